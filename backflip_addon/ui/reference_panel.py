# SPDX-License-Identifier: GPL-3.0-or-later
"""2 Reference: the clip, what seems odd about it, the map of its own skeleton."""

from __future__ import annotations

from typing import Any, cast

import bpy

from ..core import findings
from ..core.rigs import strength_presets
from ..operators import background_work, clip_choice, clip_library, clip_pictures, viewport_lines
from ..operators.base import current_scene, what_is_missing
from ..settings import BackflipSettings, scene_settings
from .panel_base import (
    MAP_BUTTONS,
    SidebarPanel,
    StepPanel,
    button,
    fold,
    is_open,
    layout_of,
    open_step,
    scale_of,
    sentence,
)

_FIXES = {
    "upright": "Turn Upright",
    "grounded": "Put on the Floor",
    "physical_flights": "Make Flights Physical",
    "physical_footing": "Make Footing Physical",
}


_COLUMN, _COLUMNS = 6, 4  # of the menu of clips, which fits half of 1280 x 720 at twice the scale
_BUTTONS = 2.0  # below the one that shows the clips, in their heights


class BACKFLIP_MT_clips(bpy.types.Menu):
    """Clips by name: those that came with Backflip and its trainer, then the user's own."""

    bl_label = "Choose a Clip"

    def draw(self, _context: bpy.types.Context | None) -> None:
        ours, own = clip_library.library()
        names = [*ours, *own]
        row, high = cast(bpy.types.UILayout, self.layout).row(), max(_COLUMN, -(-len(names) // _COLUMNS))
        for first in range(0, len(names), high):
            column = row.column()  # one is filled after the other, or a menu makes stairs of them
            for name in names[first : first + high]:
                button(column, "backflip.use_clip", "NONE" if name in ours else "FILE", name, name=name)


class BACKFLIP_PT_reference(StepPanel, bpy.types.Panel):
    bl_label = "2 Reference"

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = open_step(self, context, "reference", self.bl_label), scene_settings(current_scene(context))
        if layout is None:
            return
        clip_pictures.draw_ahead()
        self._draw_sources(context, layout)
        if settings.reference_kind or settings.reference_data:
            self._draw_clip(context, layout, settings)
        if (body := fold(layout, "action", "From This File")) is not None:
            self._draw_source(body, settings)

    def _draw_sources(self, context: bpy.types.Context, layout: bpy.types.UILayout) -> None:
        """Where a clip comes from: the list, as pictures and as names, a file, or a video."""
        lacking = what_is_missing(current_scene(context), *clip_library.UseClip.needs)
        large, row = scale_of(context, "backflip.use_clip"), layout.row()
        size, named = clip_choice.picture_scale(context)
        pictures = row.column()
        pictures.enabled = not lacking
        pictures.template_icon_view(
            cast(bpy.types.WindowManager, context.window_manager),
            clip_choice.PROPERTY,
            show_labels=named,
            scale=large + _BUTTONS,
            scale_popup=size,
        )
        column = row.column(align=True)
        menu = column.row(align=True)
        menu.enabled = not lacking
        menu.scale_y = large
        menu.menu("BACKFLIP_MT_clips", icon="POSE_HLT")
        button(column, "backflip.import_reference", icon="IMPORT")
        button(column, "backflip.choose_video", icon="FILE_MOVIE", text="From Video…")
        if lacking:
            sentence(layout, context, lacking, "INFO")

    def _draw_clip(self, context: bpy.types.Context, layout: bpy.types.UILayout, settings: BackflipSettings) -> None:
        """The clip, what is odd in it, and how it is read."""
        row = layout.row()
        row.label(text=settings.reference_label, icon="ERROR" if settings.reference_problem else "CHECKMARK")
        row.operator("backflip.clear_reference", text="", icon="X", emboss=False)
        if settings.reference_problem:
            sentence(layout, context, settings.reference_problem, "NONE")
            _draw_clip_map(layout, settings)
            return
        column = layout.column()
        column.enabled = not settings.notes_due  # they may be mended already
        for note in findings.kept_notes(settings.reference_notes):
            sentence(column, context, note["sentence"], "INFO")
            if words := fix_words(note["fix"]):
                button(column, "backflip.apply_fix", text=words, code=note["code"])
        if settings.notes_due or viewport_lines.busy(current_scene(context)):
            sentence(layout, context, background_work.WORDS, "SORTTIME")
        if settings.clip_stale:
            sentence(layout, context, "The clip's map has changed since the clip was read.", "ERROR")
            button(layout, "backflip.read_clip_again", icon="FILE_REFRESH")
        layout.prop(settings, "show_ghost")
        if (body := fold(layout, "clip", "Part and Speed")) is not None:
            self._draw_part(body, settings)

    def _draw_part(self, layout: bpy.types.UILayout, settings: BackflipSettings) -> None:
        layout.use_property_split, layout.use_property_decorate = True, False
        column = layout.column(align=True)
        column.prop(settings, "trim_start")
        column.prop(settings, "trim_end", text=None if settings.trim_end else "To (End)")
        layout.prop(settings, "time_scale")
        column = layout.column(heading="Fix", align=True)
        for fix in _FIXES:
            column.prop(settings, fix)
        layout.prop(settings, "loops")
        if settings.loops:
            layout.prop(settings, "cycles")

    def _draw_source(self, layout: bpy.types.UILayout, settings: BackflipSettings) -> None:
        """What to choose from in this file: an armature, its action and slot, or the frames to look at."""
        layout.use_property_split, layout.use_property_decorate = True, False
        column = layout.column(align=True)
        column.prop(settings, "reference_object")
        column.prop_search(settings, "reference_action", bpy.data, "actions")
        action = bpy.data.actions.get(settings.reference_action)
        if action is not None and len(action.slots) > 1:
            column.prop(settings, "slot_choice")
        elif action is None:
            column.prop(settings, "use_frames")
            if settings.use_frames:
                column.prop(settings, "frames_first")
                column.prop(settings, "frames_last")
        words = "Use Action" if settings.reference_action else "Use Visual Motion"
        button(layout, "backflip.use_chosen_action", text=words, icon="ACTION")


class BACKFLIP_PT_clip_map(SidebarPanel, bpy.types.Panel):
    bl_label = "Clip Map"
    bl_parent_id = "BACKFLIP_PT_reference"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        settings = scene_settings(current_scene(context))
        return is_open(context, "reference") and bool(len(settings.clip_roles)) and not settings.reference_problem

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
    if "end" in fix:
        return f"End at {fix['end']:.2f} s"
    if preset := strength_presets.preset_at(fix.get("strength", -1)):
        article, _, whose = strength_presets.PRESETS[preset].whose.partition(" ")
        return f"Give It {article} {whose.capitalize()} Strength"
    if fix.get("certain"):
        return "The Map Is Right"
    for name, words in _FIXES.items():
        if fix.get(name):
            return words
    return "Loop" if fix.get("loops") else ""


CLASSES = (BACKFLIP_MT_clips, BACKFLIP_PT_reference, BACKFLIP_PT_clip_map)
