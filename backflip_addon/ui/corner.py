# SPDX-License-Identifier: GPL-3.0-or-later
"""The lower left corner of a viewport: the learning curve, strips along the time, and above them the legend."""

from __future__ import annotations

import bpy
import numpy as np
from bpy.app.translations import pgettext_iface as translated

from ..operators import learning_curve
from ..registration import CONTEXT
from . import curve_drawing, line_legend, strip_drawing, strips, take_drawing
from . import flat_drawing as flat
from .colours import TAKES, Palette, Role

MARGIN, _GAP = 16, 8  # pixels at a resolution scale of 1, as all here
_LINE, _LETTERS, _PAD, _SWATCH = 18, 12, 6, 14


def draw(scene: bpy.types.Scene, palette: Palette, scale: float) -> None:
    """Draw all that the scene has for it."""
    area = bpy.context.area
    left, bottom = (free + MARGIN * scale for free in _free_corner(area))
    curve = learning_curve.curve(scene) if learning_curve.shown(scene) else None
    shown = [strip for one in (strips.contacts, strips.sureness) if (strip := one(scene, palette)) is not None]
    wide = strip_drawing.WHOLE_WIDTH if shown else curve_drawing.WIDTH
    fitted = fitting(scale, wide, _free_right(area) - left)
    if curve is not None:
        curve_drawing.draw(curve, left, bottom, fitted, palette)
        bottom += (curve_drawing.HEIGHT + _GAP) * fitted
    for strip in shown:
        strip_drawing.draw(strip, left, bottom, fitted, palette)
        bottom += (strip.height() + _GAP) * fitted
    lines = [(translated(name, CONTEXT), role) for name, role in line_legend.entries(scene)]
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
