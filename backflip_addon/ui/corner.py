# SPDX-License-Identifier: GPL-3.0-or-later
"""The lower left corner of a viewport: the learning curve, strips along the time, and above them the legend."""

from __future__ import annotations

import dataclasses

import bpy
import numpy as np
from bpy.app.translations import pgettext_iface as translated

from ..core.arrays import Array
from ..operators import learning_curve, viewport_lines
from ..operators.learning_curve import Curve
from ..operators.viewport_lines import Kind
from ..registration import CONTEXT
from . import flat_drawing as flat
from . import strips, take_drawing
from .colours import TAKES, Palette, Role

MARGIN, _GAP = 16, 8  # pixels at a resolution scale of 1, as all here
_LINE, _LETTERS, _PAD, _SWATCH = 18, 12, 6, 14
CURVE_WIDTH, CURVE_HEIGHT = 240, 90
BOX_OPACITY = 0.7
_DOT = 2.0  # half a dot's side
_CURVE_PAD, _CURVE_LETTERS = 6.0, 11


@dataclasses.dataclass(frozen=True)
class Look:
    """How a kind of line is drawn. name: in the legend, "" for none of its own. width: pixels at a scale of 1."""

    name: str
    role: Role
    opacity: float
    width: float


LOOKS: dict[Kind, Look] = {
    "before": Look("Before Fixes", "before", 0.8, 1.0),
    "path_before": Look("", "before", 0.8, 1.4),
    "body": Look("Body", "body", 0.85, 1.4),
    "ghost": Look("Reference", "reference", 0.7, 1.4),
    "path": Look("Center of Mass", "path", 0.95, 2.0),
    "fall": Look("Free Fall", "fall", 0.95, 2.0),
}


def draw(scene: bpy.types.Scene, palette: Palette, scale: float) -> None:
    """Draw all that the scene has for it."""
    area = bpy.context.area
    left, bottom = (free + MARGIN * scale for free in _free_corner(area))
    curve = learning_curve.curve(scene) if learning_curve.shown(scene) else None
    shown = [strip for one in (strips.contacts, strips.sureness) if (strip := one(scene, palette)) is not None]
    wide = strips.WHOLE_WIDTH if shown else CURVE_WIDTH
    fitted = fitting(scale, wide, _free_right(area) - left)
    if curve is not None:
        draw_curve(curve, left, bottom, fitted, palette)
        bottom += (CURVE_HEIGHT + _GAP) * fitted
    for strip in shown:
        strips.draw(strip, left, bottom, fitted, palette)
        bottom += (strip.height() + _GAP) * fitted
    lines = [(translated(name, CONTEXT), role) for name, role in line_entries(scene)]
    takes = [(name, TAKES[colour]) for name, colour in take_drawing.named(scene)]
    draw_legend([*takes, *lines], left, bottom, scale, palette)


def fitting(scale: float, wide: float, room: float) -> float:
    """The resolution scale, or a smaller one down to 1 at which what is so wide fits into the room there is, pixels."""
    return max(min(scale, room / wide), min(scale, 1.0))


def _free_right(area: bpy.types.Area | None) -> float:
    """How far a viewport is free of its sidebar, pixels from its left."""
    shown = [region for region in area.regions if region.width > 1 and region.height > 1] if area else []
    window = next((region for region in shown if region.type == "WINDOW"), None)
    if window is None:
        return 0.0
    middle = window.x + window.width / 2
    sides = [part.x - window.x for part in shown if part.type == "UI" and part.x + part.width / 2 > middle]
    return float(min([window.width, *sides]))


def _free_corner(area: bpy.types.Area | None) -> tuple[float, float]:
    """How far the toolbar reaches into a viewport from the left, and the last operator's panel from below; pixels."""
    shown = [region for region in area.regions if region.width > 1 and region.height > 1] if area else []
    window = next((region for region in shown if region.type == "WINDOW"), None)
    if window is None:
        return 0.0, 0.0
    left = max((part.x + part.width - window.x for part in shown if part.type == "TOOLS"), default=0)
    low = max((part.y + part.height - window.y for part in shown if part.type == "HUD"), default=0)
    return float(max(left, 0)), float(max(low, 0))  # a panel that is hidden lies below


def draw_legend(entries: list[tuple[str, Role]], left: float, bottom: float, scale: float, palette: Palette) -> None:
    """Write what is drawn, each with its colour, the first at the top; the lower left corner is there, pixels."""
    if not entries:
        return
    size = _LETTERS * scale
    wide = max(flat.text_width(name, size) for name, _role in entries) + (_SWATCH + 3 * _PAD) * scale
    low = np.array([left, bottom])
    flat.draw_triangles(flat.boxes(low, low + [wide, (_LINE * len(entries) + _PAD) * scale]), palette.ground, 0.7)
    for line, (name, role) in enumerate(reversed(entries)):
        foot = bottom + (_PAD + _LINE * line) * scale
        swatch = np.array([left + _PAD * scale, foot + _LETTERS * scale / 4])
        flat.draw_triangles(flat.boxes(swatch, swatch + np.array([_SWATCH, 4]) * scale), palette.roles[role])
        flat.draw_text(name, left + (_SWATCH + 2 * _PAD) * scale, foot, size, palette.text)


def draw_curve(curve: Curve, left: float, bottom: float, scale: float, palette: Palette) -> None:
    """Draw a dot for each take, green where it landed, and the best so far; the lower left corner is there, pixels."""
    size = np.array([CURVE_WIDTH, CURVE_HEIGHT]) * scale
    corner = np.array([left, bottom])
    flat.draw_triangles(flat.boxes(corner, corner + size), palette.ground, BOX_OPACITY)
    inner, room = corner + _CURVE_PAD * scale, size - 2 * _CURVE_PAD * scale
    dots = inner + np.column_stack([curve.x, curve.y]) * room
    for wanted, colour in ((~curve.landed, palette.roles["before"]), (curve.landed, palette.roles["landed"])):
        flat.draw_triangles(_dots(dots[wanted], scale), colour)
    flat.draw_line(inner + np.column_stack([curve.x, curve.best]) * room, palette.roles["path"])
    words = f"{translated('Closest to the clip')}: {curve.best[-1]:.0%}"
    top = float(corner[1] + size[1] - (_CURVE_LETTERS + 2) * scale)
    flat.draw_text(words, float(inner[0]), top, _CURVE_LETTERS * scale, palette.text)


def _dots(places: Array, scale: float) -> Array:
    return flat.boxes(places - _DOT * scale, places + _DOT * scale) if len(places) else places


def line_entries(scene: bpy.types.Scene) -> list[tuple[str, Role]]:
    """Name and colour, for the legend, of each kind of line that is shown."""
    _version, lines = viewport_lines.lines(scene)
    return [(look.name, look.role) for kind, look in LOOKS.items() if kind in lines and look.name]
