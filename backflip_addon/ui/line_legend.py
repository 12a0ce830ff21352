# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lines in the viewport are, for its legend, and how each kind is drawn."""

from __future__ import annotations

import dataclasses

import bpy

from ..operators import viewport_lines
from ..operators.viewport_lines import Kind
from .colours import Role


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


def entries(scene: bpy.types.Scene) -> list[tuple[str, Role]]:
    """Name and colour of each kind of line that is shown."""
    _version, lines = viewport_lines.lines(scene)
    return [(look.name, look.role) for kind, look in LOOKS.items() if kind in lines and look.name]
