# SPDX-License-Identifier: GPL-3.0-or-later
"""The learning curve in the corner of a viewport: a dot for each take, green where it landed, and the best so far."""

from __future__ import annotations

import numpy as np
from bpy.app.translations import pgettext_iface as translated

from ..core.arrays import Array
from ..operators.learning_curve import Curve
from . import flat_drawing as flat
from .colours import Palette

WIDTH, HEIGHT = 240, 90  # pixels at a resolution scale of 1, as all here
BOX_OPACITY = 0.7
_DOT = 2.0  # half a dot's side
_PAD, _LETTERS = 6.0, 11


def draw(curve: Curve, left: float, bottom: float, scale: float, palette: Palette) -> None:
    """Draw a curve with its lower left corner there, pixels."""
    size = np.array([WIDTH, HEIGHT]) * scale
    corner = np.array([left, bottom])
    flat.draw_triangles(flat.boxes(corner, corner + size), palette.ground, BOX_OPACITY)
    inner, room = corner + _PAD * scale, size - 2 * _PAD * scale
    dots = inner + np.column_stack([curve.x, curve.y]) * room
    for wanted, colour in ((~curve.landed, palette.roles["before"]), (curve.landed, palette.roles["landed"])):
        flat.draw_triangles(_dots(dots[wanted], scale), colour)
    flat.draw_line(inner + np.column_stack([curve.x, curve.best]) * room, palette.roles["path"])
    words = f"{translated('Closest to the clip')}: {curve.best[-1]:.0%}"
    top = float(corner[1] + size[1] - (_LETTERS + 2) * scale)
    flat.draw_text(words, float(inner[0]), top, _LETTERS * scale, palette.text)


def _dots(places: Array, scale: float) -> Array:
    return flat.boxes(places - _DOT * scale, places + _DOT * scale) if len(places) else places
