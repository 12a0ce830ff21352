# SPDX-License-Identifier: GPL-3.0-or-later
"""The sidebar's tab: one panel a step of the road, each saying what it lacks."""

from __future__ import annotations

import textwrap
from typing import Any, ClassVar

import bpy

from ..core.clips import findings
from ..operators import avatar, job_monitor, reference, takes, training
from ..operators.base import guess_sentence, what_is_missing
from ..runtime.status import STATUS

_LETTER = 6.6  # pixels a letter takes at a resolution scale of 1
_LONGEST = 1e7  # s, of a time that is shown
_ASKED = {"paused": "Pausing…", "running": "Going on…", "stopped": "Stopping…"}  # the trainer has not looked yet
_ICONS = {"finished": "CHECKMARK", "failed": "ERROR", "died": "ERROR", "unreadable": "ERROR"}

_MAP_BUTTONS = (
    ("backflip.map_bones", "FILE_REFRESH"),
    ("backflip.mirror_roles", "MOD_MIRROR"),
    ("backflip.swap_sides", "ARROW_LEFTRIGHT"),
    ("backflip.load_map", "FILE_FOLDER"),
    ("backflip.save_map", "FILE_TICK"),
)


class _Panel:
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Backflip"
    bl_options: ClassVar[set[str]] = set()


class BACKFLIP_PT_avatar(_Panel, bpy.types.Panel):
    bl_label = "1 Avatar"

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, context.scene.backflip
        if settings.avatar is not None:
            layout.label(text=settings.avatar.name, icon="ARMATURE_DATA")
            if settings.avatar.library is not None:
                _say(layout, context, "It is linked: before you bake, make a library override of it.", "INFO")
        else:
            _say(layout, context, "Choose the character that is to learn.", "INFO")
        column = layout.column(align=True)
        column.operator("backflip.pick_avatar", icon="EYEDROPPER")
        column.operator("backflip.import_avatar", icon="IMPORT")
        column.operator("backflip.add_mannequin", icon="OUTLINER_OB_ARMATURE")
        if settings.avatar is None:
            return
        layout.separator()
        row = layout.row(align=True)
        row.label(text="Bone Map")
        row.operator("backflip.set_role", text="", icon="EYEDROPPER").of = "AVATAR"
        for operator, icon in _MAP_BUTTONS:
            row.operator(operator, text="", icon=icon).of = "AVATAR"
        layout.template_list("BACKFLIP_UL_roles", "", settings, "roles", settings, "role_index", rows=6)
        if sentence := guess_sentence(settings.roles, "avatar"):
            _say(layout, context, sentence, "ERROR")
        layout.prop(settings, "mass", text="Mass" if settings.mass else "Mass (0: Usual)")
        _button(layout, context, avatar.BuildBody, "ARMATURE_DATA")
        if settings.body_json:
            layout.label(text=f"{settings.body_height:.2f} m, {settings.body_mass:.1f} kg", icon="CHECKMARK")
            row = layout.row(align=True)
            row.prop(settings, "show_body", toggle=True)
            row.operator("backflip.check_pose", icon="OUTLINER_OB_ARMATURE")


class BACKFLIP_PT_parts(_Panel, bpy.types.Panel):
    bl_label = "Body Parts"
    bl_parent_id = "BACKFLIP_PT_avatar"
    bl_options: ClassVar[set[str]] = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return bool(len(context.scene.backflip.parts))

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, context.scene.backflip
        layout.template_list("BACKFLIP_UL_parts", "", settings, "parts", settings, "part_index", rows=4)
        part = settings.parts[min(settings.part_index, len(settings.parts) - 1)]
        column = layout.column(align=True)
        for name in ("mass", "size", "strength", "reach"):
            column.prop(part, name)
        row = layout.row(align=True)
        row.operator("backflip.build_body", text="Apply", icon="ARMATURE_DATA")
        row.operator("backflip.reset_parts", text="Reset", icon="LOOP_BACK")


class BACKFLIP_PT_reference(_Panel, bpy.types.Panel):
    bl_label = "2 Reference"

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, context.scene.backflip
        _button(layout, context, reference.ImportReference, "IMPORT")
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
            _say(layout, context, settings.reference_problem, "NONE")
            _draw_clip_map(layout, settings)
            return
        for note in findings.kept_notes(settings.reference_notes):
            _say(layout, context, note["sentence"], "INFO" if note.get("level") == findings.INFO else "ERROR")
            if words := fix_words(note["fix"]):
                layout.operator("backflip.apply_fix", text=words).code = note["code"]
        if settings.clip_stale:
            _say(layout, context, "The clip's map was changed since it was read.", "ERROR")
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


class BACKFLIP_PT_clip_map(_Panel, bpy.types.Panel):
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
    for operator, icon in _MAP_BUTTONS:
        row.operator(operator, text="", icon=icon).of = "CLIP"
    layout.template_list("BACKFLIP_UL_roles", "clip", settings, "clip_roles", settings, "clip_role_index", rows=6)
    layout.operator("backflip.read_clip_again", icon="FILE_REFRESH")


class BACKFLIP_PT_train(_Panel, bpy.types.Panel):
    bl_label = "3 Train"

    def draw(self, context: bpy.types.Context) -> None:
        status = job_monitor.status_of(context.scene)
        if status is not None and status.read < 1.0:
            self.layout.progress(factor=status.read, text=f"Reading the job: {status.read:.0%}", type="BAR")
        if status is not None and status.active:
            self._draw_running(context, status)
        else:
            self._draw_idle(context, status)
        self._draw_runtime(context)

    def _draw_runtime(self, context: bpy.types.Context) -> None:
        """What the trainer's Python lacks, and how to mend it; nothing when all is well."""
        if STATUS.work is not None:
            self.layout.progress(factor=STATUS.fraction, text=" ".join(STATUS.lines), type="BAR")
        elif not STATUS.ready:
            for line in STATUS.lines:
                _say(self.layout, context, line, "ERROR")
            row = self.layout.row(align=True)
            row.operator("backflip.install_runtime", text="Install", icon="IMPORT")
            row.operator("backflip.check_runtime", text="Check Again", icon="FILE_REFRESH")

    def _draw_running(self, context: bpy.types.Context, status: Any) -> None:
        layout = self.layout
        text = f"{status.progress:.0%}"
        if status.seconds_left is not None:
            text += f", {_time(status.seconds_left)} left"
        layout.progress(factor=status.progress, text=text, type="BAR")
        expected = job_monitor.expected_state(context.scene)
        waits = "" if expected == status.state else _ASKED.get(expected, "")
        _say(layout, context, waits or status.message, "NONE")
        row = layout.row(align=True)
        if expected == "paused":
            row.operator("backflip.resume_training", icon="PLAY")
        else:
            row.operator("backflip.pause_training", icon="PAUSE")
        row.operator("backflip.stop_training", icon="SNAP_FACE")
        layout.operator("backflip.checkpoint", icon="FILE_TICK")

    def _draw_idle(self, context: bpy.types.Context, status: Any) -> None:
        layout, settings = self.layout, context.scene.backflip
        column = layout.column()
        column.prop(settings, "mode", text="")
        column.prop(settings, "minutes")
        column.prop(settings, "stop_when_landed")
        row = column.row(align=True)
        row.prop(settings, "seed")
        row.prop(settings, "workers")
        column.prop(settings, "friction")
        _button(layout, context, training.StartTraining, "PLAY")
        if status is not None:
            for line in status.message.splitlines():
                _say(layout, context, line, _ICONS.get(status.state, "INFO"))
            over = ("stopped", "died", "failed", "idle", "finished")
            if status.state in over and not job_monitor.complete(context.scene):
                layout.operator("backflip.resume_training", icon="FF", text="Go On Training")
        folder, name = job_monitor.job_beside(context.scene)
        if folder:
            words = f"A training of {name} is running beside this file, which was not saved since it began."
            _say(layout, context, words, "ERROR")
            find = layout.operator("backflip.find_job", icon="FILE_FOLDER", text="Find That Training")
            find.directory, find.ask = folder, False
        layout.operator("backflip.find_job", icon="FILE_FOLDER").ask = True


class BACKFLIP_PT_takes(_Panel, bpy.types.Panel):
    bl_label = "4 Takes"

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, context.scene.backflip
        if not len(settings.takes):
            _say(layout, context, "Takes appear here while the avatar learns (step 3).", "INFO")
            return
        if other := job_monitor.other_avatar(context.scene):
            words = f"These takes are of {other}: choose it as the avatar (step 1), or start a new training (step 3)."
            _say(layout, context, words, "ERROR")
        layout.template_list("BACKFLIP_UL_takes", "", settings, "takes", settings, "take_index", rows=5)
        count, landed = job_monitor.counts(context.scene)
        layout.label(text=f"{count} {'take' if count == 1 else 'takes'}, {landed} landed")
        layout.prop(settings, "show_take")
        _button(layout, context, takes.ShootMore, "VIEW_CAMERA", text="Shoot More…")


class BACKFLIP_PT_bake(_Panel, bpy.types.Panel):
    bl_label = "5 Bake and Export"

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, context.scene.backflip
        layout.prop(settings, "start_frame")
        row = layout.column(align=True)
        chosen = settings.takes[settings.take_index].name if settings.take_index < len(settings.takes) else ""
        bake = _button(row, context, takes.BakeTake, "ACTION", text="Bake Chosen Take" if chosen else "Bake Take")
        bake.take = chosen
        if chosen:
            row.operator("backflip.bake_take", text="Bake Best Take").take = ""
        row = layout.row(align=True)
        row.operator("backflip.show_take", text="Show Take").own = False
        row.operator("backflip.show_take", text="Own Animation").own = True
        for words in takes.bake_warnings(context.scene):
            _say(layout, context, words, "ERROR")
        layout.prop(settings, "export_format")
        export = _button(layout, context, takes.ExportShot, "EXPORT")
        export.format = settings.export_format


def _button(layout: Any, context: bpy.types.Context, step: Any, icon: str, text: str | None = None) -> Any:
    """A step's button, and under it what is missing before it can work."""
    lacking = what_is_missing(context.scene, *step.needs)
    row = layout.row()
    row.enabled = not lacking
    row.scale_y = 1.2
    button = row.operator(step.bl_idname, icon=icon, text=text or step.bl_label)
    if lacking:
        _say(layout, context, lacking, "INFO")
    return button


def _say(layout: Any, context: bpy.types.Context, text: str, icon: str) -> None:
    """A sentence, broken into lines that fit the sidebar."""
    scale = context.preferences.system.ui_scale
    width = max(int((context.region.width - 60 * scale) / (_LETTER * scale)), 20)
    column = layout.column(align=True)
    for i, line in enumerate(textwrap.wrap(text, width) or [""]):
        column.label(text=line, icon=icon if i == 0 else "BLANK1" if icon != "NONE" else "NONE")


_MENDS = {
    "upright": "Turn It Upright",
    "grounded": "Put It on the Floor",
    "physical_flights": "Make Its Flights Physical",
}


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


def _time(seconds: float) -> str:
    minutes, rest = divmod(int(min(max(seconds, 0.0), _LONGEST)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


CLASSES = (
    BACKFLIP_PT_avatar,
    BACKFLIP_PT_parts,
    BACKFLIP_PT_reference,
    BACKFLIP_PT_clip_map,
    BACKFLIP_PT_train,
    BACKFLIP_PT_takes,
    BACKFLIP_PT_bake,
)
