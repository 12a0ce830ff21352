# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lines in the viewport are, for its legend, and their colours."""

from __future__ import annotations

import bpy

from ..operators import viewport_lines

BODY_COLOUR = (0.75, 1.0, 0.25, 0.85)
GHOST_COLOUR = (0.35, 0.75, 1.0, 0.7)


def entries(scene: bpy.types.Scene) -> list[tuple[str, tuple[float, float, float]]]:
    """Name and colour of each kind of line that is shown."""
    _version, body, ghost = viewport_lines.lines(scene)
    shown = (("Body", body, BODY_COLOUR), ("Reference", ghost, GHOST_COLOUR))
    return [(name, colour[:3]) for name, lines, colour in shown if len(lines)]
