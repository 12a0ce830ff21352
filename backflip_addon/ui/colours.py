# SPDX-License-Identifier: GPL-3.0-or-later
"""The colours of what is drawn in a viewport: the theme's own, made to stand out from the viewport's ground.

A theme has eight colours by which collections are told apart; what Backflip shows is told apart by the same. All are
as displays have them (sRGB), 0 to 1.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

import bpy

Colour = tuple[float, float, float]
Role = Literal["take", "second", "third", "fourth", "reference", "before", "body", "path", "fall", "landed", "unsure"]

CONTRAST = 3.0  # of lines and figures to what is behind them (WCAG 2.1, 1.4.11)
TEXT_CONTRAST = 4.5  # of letters (1.4.3)
_USUAL_GROUND: Colour = (0.24, 0.24, 0.24)
# Which of the theme's colours of collections each has; Blender's own themes have red, orange, yellow, green, blue,
# violet, pink and brown
_INDEX: dict[Role, int] = {
    "take": 6,
    "second": 2,
    "third": 3,
    "fourth": 5,
    "reference": 4,
    "body": 2,
    "path": 1,
    "fall": 3,
    "landed": 3,
    "unsure": 0,
}
_USUAL: tuple[Colour, ...] = (
    *((0.89, 0.38, 0.36), (0.95, 0.64, 0.33), (0.95, 0.86, 0.33), (0.48, 0.8, 0.48)),
    *((0.36, 0.71, 0.92), (0.55, 0.35, 0.86), (0.78, 0.45, 0.72), (0.48, 0.33, 0.26)),
)
TAKES: tuple[Role, ...] = ("take", "second", "third", "fourth", "reference")  # by take_player.Figure.colour


@dataclasses.dataclass(frozen=True)
class Palette:
    """Colours on a ground. text: of letters, and of what has no colour of its own."""

    ground: Colour
    text: Colour
    roles: dict[Role, Colour]


def palette(space: bpy.types.Space | None) -> Palette:
    """The colours for a viewport, made anew when its ground or the theme has changed. Cheap."""
    preferences = bpy.context.preferences
    theme: Any = preferences.themes[0] if preferences is not None and len(preferences.themes) else None
    ground = _ground(space, theme)
    own = tuple(_rgb(colour.color) for colour in theme.collection_color) if theme is not None else ()
    if _kept.get("of") != (ground, own):
        _kept.update(of=(ground, own), palette=made_of(ground, own))
    made: Palette = _kept["palette"]
    return made


_kept: dict[str, Any] = {}


def made_of(ground: Colour, own: Sequence[Colour]) -> Palette:
    """The palette on a ground of a theme's own colours; of Blender's usual ones where it has fewer."""
    hues = own if len(own) >= len(_USUAL) else _USUAL
    text = (1.0, 1.0, 1.0) if _luminance(ground) < 0.18 else (0.0, 0.0, 0.0)
    roles = {role: readable(hues[index], ground) for role, index in _INDEX.items()}
    roles["before"] = readable(ground, ground)
    return Palette(ground, readable(_mixed(text, ground, 0.15), ground, TEXT_CONTRAST), roles)


def readable(colour: Colour, ground: Colour, least: float = CONTRAST) -> Colour:
    """The colour, brightened or darkened no more than it needs to stand out from a ground."""
    towards: Colour = (1.0, 1.0, 1.0) if _luminance(ground) < 0.18 else (0.0, 0.0, 0.0)
    shares = (share / 20 for share in range(21))
    mixed = (_mixed(colour, towards, share) for share in shares)
    return next((found for found in mixed if contrast(found, ground) >= least), towards)


def contrast(one: Colour, other: Colour) -> float:
    """The contrast ratio of two colours, 1 to 21 (WCAG 2.1)."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: Colour) -> float:
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _mixed(one: Colour, other: Colour, share: float) -> Colour:
    """One colour with a share of the other."""
    red, green, blue = (a + (b - a) * share for a, b in zip(one, other, strict=True))
    return red, green, blue


def _ground(space: bpy.types.Space | None, theme: Any) -> Colour:
    """What is behind all in a viewport: its own colour, else the theme's."""
    shading = space.shading if isinstance(space, bpy.types.SpaceView3D) else None
    if shading is not None and shading.type in ("SOLID", "WIREFRAME") and shading.background_type == "VIEWPORT":
        return _rgb(shading.background_color)
    return _rgb(theme.view_3d.space.gradients.high_gradient) if theme is not None else _USUAL_GROUND


def _rgb(colour: Any) -> Colour:
    red, green, blue = (round(float(part), 4) for part in list(colour)[:3])
    return red, green, blue
