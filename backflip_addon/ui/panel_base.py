# SPDX-License-Identifier: GPL-3.0-or-later
"""What the sidebar's panels share: their tab, a step's button, a sentence in lines that fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import bpy
from bpy.app.translations import pgettext_iface as translated

from ..operators import road
from ..operators.base import Step, current_scene, what_is_missing
from ..registration import CONTEXT
from ..settings import scene_settings
from ..wrapping import in_lines

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import IconItems

    PanelMixIn = bpy.types.Panel
else:
    PanelMixIn = object  # the type checker alone is told that a mix-in has what a panel has

BIG = 1.7  # times a button's height
_BESIDE = 60.0  # pixels beside a sentence in the sidebar, at a resolution scale of 1

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
    bl_translation_context = CONTEXT


class StepPanel(SidebarPanel):
    """Mix-in of the steps' panels, whose header is drawn by open_step()."""

    bl_parent_id = "BACKFLIP_PT_road"
    bl_options = {"HIDE_HEADER"}


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


def open_step(panel: bpy.types.Panel, context: bpy.types.Context, step: str, title: str) -> bpy.types.UILayout | None:
    """A step's header, with what the step holds in a line, and the layout below it; None while it is folded."""
    scene = current_scene(context)
    held = road.held(scene, step)
    header, body = layout_of(panel).panel_prop(scene_settings(scene).road, step)
    icon: IconItems = "ERROR" if road.amiss(scene, step) else "NONE"
    header.label(text=f"{translated(title)}: {held}" if held else title, icon=icon)
    return body


def fold(layout: bpy.types.UILayout, name: str, title: str) -> bpy.types.UILayout | None:
    """A part that is folded until it is opened; the layout below its header, None while it is folded."""
    header, body = layout.panel(f"BACKFLIP_{name}", default_closed=True)
    header.label(text=title)
    return body


def is_open(context: bpy.types.Context, step: str) -> bool:
    """Whether a step's panel is open: panels in it are drawn then."""
    return bool(getattr(scene_settings(current_scene(context)).road, step))


def step_button(
    layout: bpy.types.UILayout,
    context: bpy.types.Context,
    step: type[Step],
    icon: IconItems,
    text: str | None = None,
    told: bool = True,
    **properties: Any,
) -> str:
    """A step's button, and under it, where it is told, what is missing before it can work; returns that."""
    lacking = what_is_missing(current_scene(context), *step.needs)
    row = layout.row()
    row.enabled = not lacking
    row.scale_y = scale_of(context, step.bl_idname)
    button(row, step.bl_idname, icon, text or step.bl_label, **properties)
    if lacking and told:
        sentence(layout, context, lacking, "INFO")
    return lacking


def scale_of(context: bpy.types.Context, operator: str) -> float:
    """How high a button is: the one to press next is the only big one."""
    return BIG if road.next_press(current_scene(context)) == operator else 1.0


def sentence(layout: bpy.types.UILayout, context: bpy.types.Context, text: str, icon: IconItems) -> None:
    """A sentence, in the user's language and broken into lines that fit the sidebar."""
    column = layout.column(align=True)
    for i, line in enumerate(in_lines(context, text, _BESIDE)):
        column.label(text=line, icon=icon if i == 0 else "BLANK1" if icon != "NONE" else "NONE")
