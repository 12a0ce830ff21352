# SPDX-License-Identifier: GPL-3.0-or-later
"""What the sidebar's panels share: their tab, a step's button, a sentence in lines that fit."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any, cast

import bpy

from ..operators.base import Step, current_scene, what_is_missing

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import IconItems

    PanelMixIn = bpy.types.Panel
else:
    PanelMixIn = object  # the type checker alone is told that a mix-in has what a panel has

_LETTER = 6.6  # pixels a letter takes at a resolution scale of 1

MAP_BUTTONS: tuple[tuple[str, IconItems], ...] = (
    ("backflip.map_bones", "FILE_REFRESH"),
    ("backflip.mirror_roles", "MOD_MIRROR"),
    ("backflip.swap_sides", "ARROW_LEFTRIGHT"),
    ("backflip.load_map", "FILE_FOLDER"),
    ("backflip.save_map", "FILE_TICK"),
)


class SidebarPanel(PanelMixIn):
    """Mix-in of the add-on's panels: they stand in the sidebar, in a tab of their own."""

    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Backflip"


def layout_of(panel: bpy.types.Panel) -> bpy.types.UILayout:
    """A panel's layout, which it has while it is drawn."""
    return cast(bpy.types.UILayout, panel.layout)


def button(
    layout: bpy.types.UILayout,
    operator: str,
    icon: IconItems = "NONE",
    text: str | None = None,
    emboss: bool = True,
    depress: bool = False,
    **properties: Any,
) -> None:
    """An operator's button that sets properties of it. text: the operator's own label when None."""
    if text is None:
        pressed = layout.operator(operator, icon=icon, emboss=emboss, depress=depress)
    else:
        pressed = layout.operator(operator, icon=icon, emboss=emboss, depress=depress, text=text)
    for name, value in properties.items():
        setattr(pressed, name, value)


def step_button(
    layout: bpy.types.UILayout,
    context: bpy.types.Context,
    step: type[Step],
    icon: IconItems,
    text: str | None = None,
    **properties: Any,
) -> None:
    """A step's button, and under it what is missing before it can work."""
    lacking = what_is_missing(current_scene(context), *step.needs)
    row = layout.row()
    row.enabled = not lacking
    row.scale_y = 1.2
    button(row, step.bl_idname, icon, text or step.bl_label, **properties)
    if lacking:
        sentence(layout, context, lacking, "INFO")


def sentence(layout: bpy.types.UILayout, context: bpy.types.Context, text: str, icon: IconItems) -> None:
    """A sentence, broken into lines that fit the sidebar."""
    scale = cast(bpy.types.Preferences, context.preferences).system.ui_scale
    width = max(int((cast(bpy.types.Region, context.region).width - 60 * scale) / (_LETTER * scale)), 20)
    column = layout.column(align=True)
    for i, line in enumerate(textwrap.wrap(text, width) or [""]):
        column.label(text=line, icon=icon if i == 0 else "BLANK1" if icon != "NONE" else "NONE")
