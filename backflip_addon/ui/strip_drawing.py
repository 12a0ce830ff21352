# SPDX-License-Identifier: GPL-3.0-or-later
"""A strip along the time in the corner of a viewport: a row for each part, and where the current frame is."""

from __future__ import annotations

import dataclasses

import numpy as np
from bpy.app.translations import pgettext_iface as translated

from ..core.arrays import Array
from . import flat_drawing as flat
from .colours import Palette

WIDTH, ROW, LABEL = 240, 12, 92  # pixels at a resolution scale of 1, as all here
FULL = 0.8  # of a row's height that is filled
_LETTERS, _PAD = 10, 4
WHOLE_WIDTH = LABEL + WIDTH + 2 * _PAD


@dataclasses.dataclass(frozen=True)
class Strip:
    """rows: what they are called, from above. corners (N, 2) of triangles: 0 to 1 along the time, and rows counted from
    below; colours (N, 4) of them. now: where the current frame is, 0 to 1 within the strip."""

    rows: tuple[str, ...]
    corners: Array
    colours: Array
    now: float

    def height(self) -> float:
        """Pixels at a resolution scale of 1."""
        return ROW * len(self.rows) + 2 * _PAD


def draw(strip: Strip, left: float, bottom: float, scale: float, palette: Palette) -> None:
    """Draw a strip with its lower left corner there, pixels."""
    low = np.array([left, bottom])
    whole = np.array([WHOLE_WIDTH, strip.height()]) * scale
    flat.draw_triangles(flat.boxes(low, low + whole), palette.ground, 0.7)
    start, size = low + np.array([LABEL + _PAD, _PAD]) * scale, np.array([WIDTH, ROW]) * scale
    if len(strip.corners):
        flat.draw_mixed(start + strip.corners * size, strip.colours)
    if 0.0 <= strip.now <= 1.0:
        head = start + np.array([strip.now * size[0] - scale, 0.0])
        flat.draw_triangles(flat.boxes(head, head + np.array([2 * scale, len(strip.rows) * size[1]])), palette.text)
    for row, words in enumerate(reversed(strip.rows)):
        foot = float(start[1] + (row * ROW + 1) * scale)
        flat.draw_text(translated(words), left + _PAD * scale, foot, _LETTERS * scale, palette.text)
