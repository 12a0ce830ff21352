# SPDX-License-Identifier: GPL-3.0-or-later
"""2 Reference: the clip, what seems odd about it, the map of its own skeleton."""

from __future__ import annotations

from typing import Any, ClassVar

import bpy

from ..core.clips import findings
from ..operators import reference
from .panel_base import MAP_BUTTONS, SidebarPanel, sentence, step_button

_MENDS = {
    "upright": "Turn It Upright",
    "grounded": "Put It on the Floor",
    "physical_flights": "Make Its Flights Physical",
}


class BACKFLIP_PT_reference(SidebarPanel, bpy.types.Panel):
    bl_label = "2 Reference"

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, context.scene.backflip
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
                layout.operator("backflip.apply_fix", text=words).code = note["code"]
        if settings.clip_stale:
            sentence(layout, context, "The clip's map was changed since it was read.", "ERROR")
            layout.operator("backflip.read_clip_again", icon="FILE_REFRESH")
        row = layout.row(align=True)
        row.prop(settings, "trim_start")
        row.prop(settings, "trim_end")
        layout.prop(settings, "time_scale")
        column = layout.column(align=True)
        for mend in _MENDS:
            column.prop(settings, mend)
        row = layout.row()
        row.prop(settings, "loops")
        if settings.loops:
            row.prop(settings, "cycles")
        layout.prop(settings, "show_ghost")

    def _draw_source(self, column: Any, settings: Any) -> None:
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
        words = "Use Action" if settings.reference_action else "Use What Is Seen"
        column.operator("backflip.use_chosen_action", text=words, icon="ACTION")


class BACKFLIP_PT_clip_map(SidebarPanel, bpy.types.Panel):
    bl_label = "Clip Map"
    bl_parent_id = "BACKFLIP_PT_reference"
    bl_options: ClassVar[set[str]] = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        settings = context.scene.backflip
        return bool(len(settings.clip_roles)) and not settings.reference_problem

    def draw(self, context: bpy.types.Context) -> None:
        _draw_clip_map(self.layout, context.scene.backflip)


def _draw_clip_map(layout: Any, settings: Any) -> None:
    """Which joints of the clip play which body parts."""
    row = layout.row(align=True)
    row.label(text="Joints of the Clip")
    for operator, icon in MAP_BUTTONS:
        row.operator(operator, text="", icon=icon).of = "CLIP"
    layout.template_list("BACKFLIP_UL_roles", "clip", settings, "clip_roles", settings, "clip_role_index", rows=6)
    layout.operator("backflip.read_clip_again", icon="FILE_REFRESH")


def fix_words(fix: dict[str, Any]) -> str:
    """A button's text for what a note offers, "" when there is nothing to press."""
    if "time_scale" in fix:
        scale = fix["time_scale"]
        return f"Slow Down {scale:.3g} Times" if scale >= 1.0 else f"Speed Up {1.0 / scale:.3g} Times"
    if "start" in fix:
        return f"Start at {fix['start']:.2f} s"
    if fix.get("certain"):
        return "The Map Is Right"
    for name, words in _MENDS.items():
        if fix.get(name):
            return words
    return "Loop" if fix.get("loops") else ""


CLASSES = (BACKFLIP_PT_reference, BACKFLIP_PT_clip_map)
