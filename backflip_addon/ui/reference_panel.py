# SPDX-License-Identifier: GPL-3.0-or-later
"""2 Reference: the clip, what seems odd about it, the map of its own skeleton."""

from __future__ import annotations

from typing import Any

import bpy

from ..core import findings
from ..core.rigs import strength_presets
from ..operators import reference
from ..operators.base import current_scene
from ..settings import BackflipSettings, scene_settings
from .panel_base import MAP_BUTTONS, SidebarPanel, button, layout_of, sentence, step_button

_FIXES = {
    "upright": "Turn Upright",
    "grounded": "Put on the Floor",
    "physical_flights": "Make Flights Physical",
    "physical_footing": "Make Footing Physical",
}


class BACKFLIP_PT_reference(SidebarPanel, bpy.types.Panel):
    bl_label = "2 Reference"

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = layout_of(self), scene_settings(current_scene(context))
        step_button(layout, context, reference.ImportReference, "IMPORT")
        self._draw_source(layout.column(align=True), settings)
        if not settings.reference_kind and not settings.reference_data:
            return
        row = layout.row()
        if settings.reference_problem:
            row.label(text=settings.reference_label, icon="ERROR")
        else:
            row.label(text=f"{settings.reference_label}, {settings.reference_seconds:.2f} s", icon="CHECKMARK")
        row.operator("backflip.clear_reference", text="", icon="X", emboss=False)
        if settings.reference_problem:
            sentence(layout, context, settings.reference_problem, "NONE")
            _draw_clip_map(layout, settings)
            return
        for note in findings.kept_notes(settings.reference_notes):
            sentence(layout, context, note["sentence"], "INFO" if note.get("level") == findings.INFO else "ERROR")
            if words := fix_words(note["fix"]):
                button(layout, "backflip.apply_fix", text=words, code=note["code"])
        if settings.clip_stale:
            sentence(layout, context, "The clip's map was changed since it was read.", "ERROR")
            button(layout, "backflip.read_clip_again", icon="FILE_REFRESH")
        row = layout.row(align=True)
        row.prop(settings, "trim_start")
        row.prop(settings, "trim_end")
        layout.prop(settings, "time_scale")
        column = layout.column(align=True)
        for fix in _FIXES:
            column.prop(settings, fix)
        row = layout.row()
        row.prop(settings, "loops")
        if settings.loops:
            row.prop(settings, "cycles")
        layout.prop(settings, "show_ghost")

    def _draw_source(self, column: bpy.types.UILayout, settings: BackflipSettings) -> None:
        """What to choose from in this file: an armature, its action and slot, or the frames to look at."""
        column.prop(settings, "reference_object", text="", icon="ARMATURE_DATA")
        column.prop_search(settings, "reference_action", bpy.data, "actions", text="")
        action = bpy.data.actions.get(settings.reference_action)
        if action is not None and len(action.slots) > 1:
            column.prop(settings, "slot_choice", text="", icon="ACTION_SLOT")
        elif action is None:
            row = column.row(align=True)
            row.prop(
                settings, "use_frames", toggle=True, icon="PREVIEW_RANGE", text="" if settings.use_frames else None
            )
            if settings.use_frames:
                row.prop(settings, "frames_first")
                row.prop(settings, "frames_last")
        words = "Use Action" if settings.reference_action else "Use Visual Motion"
        button(column, "backflip.use_chosen_action", text=words, icon="ACTION")


class BACKFLIP_PT_clip_map(SidebarPanel, bpy.types.Panel):
    bl_label = "Clip Map"
    bl_parent_id = "BACKFLIP_PT_reference"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        settings = scene_settings(current_scene(context))
        return bool(len(settings.clip_roles)) and not settings.reference_problem

    def draw(self, context: bpy.types.Context) -> None:
        _draw_clip_map(layout_of(self), scene_settings(current_scene(context)))


def _draw_clip_map(layout: bpy.types.UILayout, settings: BackflipSettings) -> None:
    """Which joints of the clip play which body parts."""
    row = layout.row(align=True)
    row.label(text="Joints of the Clip")
    for operator, icon in MAP_BUTTONS:
        button(row, operator, text="", icon=icon, of="CLIP")
    layout.template_list("BACKFLIP_UL_roles", "clip", settings, "clip_roles", settings, "clip_role_index", rows=6)
    button(layout, "backflip.read_clip_again", icon="FILE_REFRESH")


def fix_words(fix: dict[str, Any]) -> str:
    """A button's text for what a note offers, "" when there is nothing to press."""
    if "time_scale" in fix:
        scale = fix["time_scale"]
        return f"Slow Down {scale:.3g} Times" if scale >= 1.0 else f"Speed Up {1.0 / scale:.3g} Times"
    if "start" in fix:
        return f"Start at {fix['start']:.2f} s"
    if preset := strength_presets.preset_at(fix.get("strength", -1)):
        article, _, whose = strength_presets.PRESETS[preset].whose.partition(" ")
        return f"Give It {article} {whose.capitalize()} Strength"
    if fix.get("certain"):
        return "The Map Is Right"
    for name, words in _FIXES.items():
        if fix.get(name):
            return words
    return "Loop" if fix.get("loops") else ""


CLASSES = (BACKFLIP_PT_reference, BACKFLIP_PT_clip_map)
