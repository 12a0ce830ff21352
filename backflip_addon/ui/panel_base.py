# SPDX-License-Identifier: GPL-3.0-or-later
"""What the sidebar's panels share: their tab, a step's button, a sentence in lines that fit."""

from __future__ import annotations

import textwrap
from typing import Any, ClassVar

import bpy

from ..operators.base import what_is_missing

_LETTER = 6.6  # pixels a letter takes at a resolution scale of 1

MAP_BUTTONS = (
    ("backflip.map_bones", "FILE_REFRESH"),
    ("backflip.mirror_roles", "MOD_MIRROR"),
    ("backflip.swap_sides", "ARROW_LEFTRIGHT"),
    ("backflip.load_map", "FILE_FOLDER"),
    ("backflip.save_map", "FILE_TICK"),
)


class SidebarPanel:
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Backflip"
    bl_options: ClassVar[set[str]] = set()


def step_button(layout: Any, context: bpy.types.Context, step: Any, icon: str, text: str | None = None) -> Any:
    """A step's button, and under it what is missing before it can work."""
    lacking = what_is_missing(context.scene, *step.needs)
    row = layout.row()
    row.enabled = not lacking
    row.scale_y = 1.2
    button = row.operator(step.bl_idname, icon=icon, text=text or step.bl_label)
    if lacking:
        sentence(layout, context, lacking, "INFO")
    return button


def sentence(layout: Any, context: bpy.types.Context, text: str, icon: str) -> None:
    """A sentence, broken into lines that fit the sidebar."""
    scale = context.preferences.system.ui_scale
    width = max(int((context.region.width - 60 * scale) / (_LETTER * scale)), 20)
    column = layout.column(align=True)
    for i, line in enumerate(textwrap.wrap(text, width) or [""]):
        column.label(text=line, icon=icon if i == 0 else "BLANK1" if icon != "NONE" else "NONE")
