# SPDX-License-Identifier: GPL-3.0-or-later
"""4 Takes: what was recorded, and more of it."""

from __future__ import annotations

import bpy
from bpy.app.translations import pgettext_iface as translated

from ..core.verdict import engine_words, figures, verdict
from ..jobs.messages import TakeRecorded
from ..operators import baking, job_monitor, road, take_browser, take_player, takes
from ..operators.base import current_scene
from ..settings import scene_settings
from ..wording import in_parts
from .lists import minutes, take_icon
from .panel_base import SidebarPanel, StepPanel, button, fold, is_open, layout_of, open_step, sentence, step_button
from .shoot_panel import draw_shoot


class BACKFLIP_PT_takes(StepPanel, bpy.types.Panel):
    bl_label = "4 Takes"

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = open_step(self, context, "takes", self.bl_label), scene_settings(current_scene(context))
        if layout is None:
            return
        if not len(settings.takes):
            sentence(layout, context, "Takes appear here while the avatar learns (step 3).", "INFO")
            if job_monitor.binned(current_scene(context)):
                button(layout, "backflip.restore_take", "LOOP_BACK", "Restore")
            return
        if words := road.of_another(current_scene(context)):
            sentence(layout, context, words, "ERROR")
        self._draw_list(context, layout)
        self._draw_chosen(context, layout)
        self._draw_player(context, layout)
        if chosen := chosen_name(current_scene(context)):
            step_button(layout, context, baking.BakeTake, "ACTION", "Bake This Take", take=chosen)
        if settings.job_folder:
            draw_shoot(context, layout)

    def _draw_list(self, context: bpy.types.Context, layout: bpy.types.UILayout) -> None:
        """The list, how it is shown, and what can be done with what it shows."""
        scene = current_scene(context)
        settings = scene_settings(scene)
        row = layout.row(align=True)
        row.prop(settings.browser, "show", text="")
        row.prop(settings.browser, "sort", text="")
        down = settings.browser.descending
        row.prop(settings.browser, "descending", text="", icon="SORT_DESC" if down else "SORT_ASC")
        layout.template_list("BACKFLIP_UL_takes", "", settings, "takes", settings, "take_index", rows=5)
        row = layout.row(align=True)
        button(row, "backflip.choose_take", "TRIA_UP", "", which="PREVIOUS")
        button(row, "backflip.choose_take", "TRIA_DOWN", "", which="NEXT")
        button(row, "backflip.delete_take", "TRASH", "Delete")
        button(row, "backflip.restore_take", "LOOP_BACK", "Restore")
        count, _landed, clean = job_monitor.counts(scene)  # the step's header has how many there are, and landed
        shown = len(take_browser.view(scene).shown)
        if count and not shown:
            sentence(layout, context, "No take fits: choose All Takes above, or clear the name filter.", "INFO")
        told = [f"{shown} shown" if 0 < shown < count else "", f"{clean} landed cleanly" if clean else ""]
        if any(told):
            layout.label(text=", ".join(filter(None, told)))
        notes = job_monitor.notes_of(scene)
        if notes is not None and notes.trouble:
            sentence(layout, context, notes.trouble, "ERROR")

    def _draw_chosen(self, context: bpy.types.Context, layout: bpy.types.UILayout) -> None:
        """What became of the chosen take, and the user's words on it."""
        scene = current_scene(context)
        settings, facts = scene_settings(scene), _facts(scene)
        if facts is None or settings.take_index >= len(settings.takes):
            return
        if words := in_parts(verdict(vars(facts))):
            physics = engine_words(vars(facts))
            sentence(layout, context, f"{words} ({translated(physics)})" if physics else words, take_icon(facts))
        layout.prop(settings.takes[settings.take_index], "note", text="", placeholder="Note", icon="TEXT")

    def _draw_player(self, context: bpy.types.Context, layout: bpy.types.UILayout) -> None:
        """What plays in the viewport: on or off, where it is, and what it is compared with."""
        scene = current_scene(context)
        settings = scene_settings(scene)
        row = layout.row(align=True)
        row.prop(settings, "show_take", text="", icon="HIDE_OFF" if settings.show_take else "HIDE_ON")
        stands = take_player.paused(scene) or settings.browser.timeline or not settings.show_take
        button(row, "backflip.play_take", "PLAY" if stands else "PAUSE", "")
        row.prop(settings.browser, "position", text=f"{take_player.times(scene)[0]:.2f} s", slider=True)
        row.prop(settings.browser, "timeline", text="", icon="TIME")
        row.prop(settings.browser, "solid", text="", icon="MESH_CAPSULE")
        if problem := take_player.trouble(scene):
            sentence(layout, context, problem, "ERROR")
        pins = take_player.pins(scene)
        row = layout.row(align=True)
        pinned = chosen_name(scene) in pins
        button(row, "backflip.compare_take", "PINNED" if pinned else "UNPINNED", take="", depress=pinned)
        row.prop(settings.browser, "compare_reference", toggle=True)
        for name in pins:
            row = layout.row(align=True)
            facts = job_monitor.facts_of(scene, name)
            row.label(
                text=take_browser.title(facts, take_browser.note_of(scene, name)) if facts else name, icon="PINNED"
            )
            button(row, "backflip.compare_take", "X", "", emboss=False, take=name)
        if pins or settings.browser.compare_reference:
            layout.row().prop(settings.browser, "layout", expand=True)


class BACKFLIP_PT_measures(SidebarPanel, bpy.types.Panel):
    bl_label = "Measures"
    bl_parent_id = "BACKFLIP_PT_takes"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        facts = _facts(current_scene(context))
        return is_open(context, "takes") and facts is not None and bool(figures(vars(facts)))

    def draw(self, context: bpy.types.Context) -> None:
        column, facts = layout_of(self).column(align=True), _facts(current_scene(context))
        values = vars(facts) if facts else {}
        for figure in figures(values):
            row = column.split(factor=0.5)
            row.alert = figure.flaw
            button(row, takes.ExplainMeasure.bl_idname, text=figure.label, measure=figure.name, emboss=False)
            row.label(text=figure.text)
        if words := engine_words(values):
            row = column.split(factor=0.5)
            row.label(text="Physics")
            row.label(text=words)
        if facts is not None and (body := fold(layout_of(self), "origin", "Advanced")) is not None:
            sentence(body, context, _origin(facts), "NONE")


def chosen_name(scene: bpy.types.Scene) -> str:
    """The chosen take's file, "" for none."""
    settings = scene_settings(scene)
    return settings.takes[settings.take_index].name if settings.take_index < len(settings.takes) else ""


def _origin(facts: TakeRecorded) -> str:
    """Where a take came from: its phase, when it was recorded, and the seed that made it."""
    after = f"after {minutes(facts.seconds)}" if minutes(facts.seconds) else ""
    seed = f"seed {facts.seed}" if facts.seed is not None else ""
    words = ", ".join(filter(None, (facts.phase, after, seed)))
    return words[:1].upper() + words[1:]


def _facts(scene: bpy.types.Scene) -> TakeRecorded | None:
    """What is known of the chosen take."""
    settings = scene_settings(scene)
    if settings.take_index >= len(settings.takes):
        return None
    return job_monitor.facts_of(scene, settings.takes[settings.take_index].name)


CLASSES = (BACKFLIP_PT_takes, BACKFLIP_PT_measures)
