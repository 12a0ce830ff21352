# SPDX-License-Identifier: GPL-3.0-or-later
"""Shoot: new takes of what was learned, with what is asked of them; the detail folds away."""

from __future__ import annotations

from typing import cast

import bpy
from bpy.app.translations import pgettext_iface as translated

from ..core.direction import PRESETS
from ..jobs.json_files import JobError
from ..operators import directions, job_monitor, shooting
from ..operators.base import current_scene
from ..settings import BackflipDirection, scene_settings
from ..wording import in_parts
from .panel_base import SidebarPanel, button, fold, is_open, layout_of, sentence, step_button

_MANNERS = {"replanned": "It manages in spite of it, if it can.", "learned": "It does what it can."}
_STAGED = "It does what it could when it had learned so far."
_SHOWN_OF_QUEUE = 3  # shots that are named; the others are counted


def _fields(context: bpy.types.Context) -> BackflipDirection:
    return scene_settings(current_scene(context)).direction


class BACKFLIP_MT_directions(bpy.types.Menu):
    """What to ask for, by name."""

    bl_label = "Presets"

    def draw(self, _context: bpy.types.Context | None) -> None:
        layout = cast(bpy.types.UILayout, self.layout)
        for name in (directions.UNDIRECTED, *PRESETS):
            button(layout, "backflip.use_direction", text=name, name=name)
        own = directions.saved_directions()
        if own:
            layout.separator()
        for name in own:
            row = layout.row()
            button(row, "backflip.use_direction", "USER", name, name=name)
            button(row, "backflip.delete_direction", "TRASH", "", name=name)


def draw_shoot(context: bpy.types.Context, layout: bpy.types.UILayout) -> None:
    """The line that shoots: what is asked for, by name, and the button. The rest is in the panel below."""
    fields = _fields(context)
    try:
        title = directions.title_of(fields)
    except JobError:
        title = "Makes No Sense"  # the panel below says why
    layout.menu("BACKFLIP_MT_directions", icon="PRESET", text=title)
    words = translated("Shoot {} Takes").format(fields.count) if fields.count > 1 else "Shoot"
    step_button(layout, context, shooting.Shoot, "VIEW_CAMERA", words)
    _draw_queue(context, layout)


def _draw_queue(context: bpy.types.Context, layout: bpy.types.UILayout) -> None:
    waiting = job_monitor.queue(current_scene(context))
    if not waiting:
        return
    row = layout.row(align=True)
    told = translated("1 take waits") if len(waiting) == 1 else translated("{} takes wait")
    row.label(text=told.format(len(waiting)), icon="SORTTIME")
    button(row, "backflip.empty_queue", "X")
    column = layout.column(align=True)
    for number, shot in enumerate(waiting[:_SHOWN_OF_QUEUE], 1):
        words = directions.name_of(shot.direction) if shot else translated("A request that cannot be read")
        column.label(text=f"{number}. {words}", icon="BLANK1")
    if len(waiting) > _SHOWN_OF_QUEUE:
        column.label(text=translated("and {} more").format(len(waiting) - _SHOWN_OF_QUEUE), icon="BLANK1")


class BACKFLIP_PT_shoot(SidebarPanel, bpy.types.Panel):
    bl_label = "Direction"
    bl_parent_id = "BACKFLIP_PT_takes"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return is_open(context, "takes") and bool(scene_settings(current_scene(context)).job_folder)

    def draw(self, context: bpy.types.Context) -> None:
        layout, fields = layout_of(self), _fields(context)
        try:
            words = in_parts(directions.direction_of(fields).words())
        except JobError as error:
            words = str(error)
        row = layout.row(align=True)
        row.label(text=directions.UNDIRECTED if not words else "")
        button(row, "backflip.save_direction", "ADD", "Save as Preset")
        if words:
            sentence(layout, context, words[:1].upper() + words[1:], "NONE")
        row = layout.row()
        row.enabled = not fields.stage
        row.prop(fields, "manner", expand=True)
        sentence(layout, context, _STAGED if fields.stage else _MANNERS[fields.manner], "NONE")
        layout.prop(fields, "count")
        if (body := fold(layout, "shoot", "Advanced")) is not None:
            body.prop(fields, "seed")
            self._draw_stage(context, body)

    def _draw_stage(self, context: bpy.types.Context, layout: bpy.types.UILayout) -> None:
        """How far it had learned."""
        fields, stages = _fields(context), job_monitor.stages(current_scene(context))
        if not stages:
            return
        row = layout.row(align=True)
        row.label(text=f"Stage: {fields.stage or 'the best there is'}")
        row.menu("BACKFLIP_MT_stages", text="", icon="DOWNARROW_HLT")
        if fields.stage and fields.stage not in stages:
            sentence(layout, context, f"This job has no stage {fields.stage}: choose another.", "ERROR")


class BACKFLIP_MT_stages(bpy.types.Menu):
    """How far it had learned."""

    bl_label = "Stage"

    def draw(self, context: bpy.types.Context | None) -> None:
        layout = cast(bpy.types.UILayout, self.layout)
        button(layout, "backflip.choose_stage", text="The Best There Is", stage="")
        for stage in reversed(job_monitor.stages(current_scene(context))):
            button(layout, "backflip.choose_stage", text=stage, stage=stage)


class _Detail(SidebarPanel):
    """Mix-in of the folded parts. switch: the property that turns the part on, in its header."""

    bl_parent_id = "BACKFLIP_PT_shoot"
    bl_options = {"DEFAULT_CLOSED"}
    switch = ""
    names: tuple[str, ...] = ()

    def draw_header(self, context: bpy.types.Context) -> None:
        if self.switch:
            layout_of(cast(bpy.types.Panel, self)).prop(_fields(context), self.switch, text="")

    def draw(self, context: bpy.types.Context) -> None:
        layout, fields = layout_of(cast(bpy.types.Panel, self)), _fields(context)
        layout.use_property_split = True
        layout.use_property_decorate = False
        column = layout.column(align=True)
        column.active = bool(getattr(fields, self.switch)) if self.switch else True
        for name in self.names:
            column.prop(fields, name)


class BACKFLIP_PT_push(_Detail, bpy.types.Panel):
    bl_label = "Push"
    switch = "push"
    names = ("push_link", "push_at", "push_strength", "push_heading", "push_elevation")


class BACKFLIP_PT_world(_Detail, bpy.types.Panel):
    bl_label = "Floor and Gravity"
    names = ("slope", "slope_heading", "gravity")

    def draw(self, context: bpy.types.Context) -> None:
        layout, fields = layout_of(self), _fields(context)
        row = layout.row(align=True)
        row.prop(fields, "own_floor")
        part = row.row()
        part.enabled = fields.own_floor
        part.prop(fields, "friction", text="")
        super().draw(context)


class BACKFLIP_PT_performer(_Detail, bpy.types.Panel):
    bl_label = "Body and Mind"
    names = (
        *("mass", "strength", "fatigue", "clumsiness", "clumsiness_time", "delay", "drunk"),
        "start_noise",
    )

    def draw(self, context: bpy.types.Context) -> None:
        super().draw(context)
        layout, fields = layout_of(self), _fields(context)
        for index, load in enumerate(fields.loads):
            row = layout.row(align=True)
            row.prop(load, "part", text="")
            row.prop(load, "kilograms", text="")
            button(row, "backflip.remove_load", "X", "", index=index)
        button(layout, "backflip.add_load", "ADD")


class BACKFLIP_PT_fall(_Detail, bpy.types.Panel):
    bl_label = "Fall"
    names = ("tone", "reflex", "gives_up")

    def draw(self, context: bpy.types.Context) -> None:
        super().draw(context)
        column, fields = layout_of(self).column(), _fields(context)
        column.enabled = fields.gives_up
        column.prop(fields, "falls_at")


class BACKFLIP_PT_sweep(_Detail, bpy.types.Panel):
    bl_label = "Sweep"
    switch = "sweep"
    names = ("sweep_what", "sweep_from", "sweep_to", "count")


CLASSES = (
    *(BACKFLIP_MT_directions, BACKFLIP_MT_stages, BACKFLIP_PT_shoot, BACKFLIP_PT_push, BACKFLIP_PT_world),
    *(BACKFLIP_PT_performer, BACKFLIP_PT_fall, BACKFLIP_PT_sweep),
)
