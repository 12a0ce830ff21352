# SPDX-License-Identifier: GPL-3.0-or-later
"""3 Train: the settings of a training, or how the one at work goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import bpy
from bpy.app.translations import pgettext_iface as translated

from ..core import findings
from ..core.verdict import verdict
from ..jobs.status import JobStatus
from ..operators import job_monitor, road, training
from ..operators.base import current_scene
from ..settings import scene_settings
from ..wording import in_parts
from .panel_base import StepPanel, button, fold, is_open, open_step, sentence, step_button

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import IconItems

_LONGEST = 1e7  # s, of a time that is shown
_ASKED = {"paused": "Pausing…", "running": "Resuming…", "stopped": "Stopping…"}  # the trainer has not looked yet
_ICONS: dict[str, IconItems] = {"finished": "CHECKMARK", "failed": "ERROR", "died": "ERROR", "unreadable": "ERROR"}


class BACKFLIP_PT_train(StepPanel, bpy.types.Panel):
    bl_label = "3 Train"

    def draw(self, context: bpy.types.Context) -> None:
        layout = open_step(self, context, "train", self.bl_label)
        if layout is None:
            return
        status = job_monitor.status_of(current_scene(context))
        if status is not None and status.read < 1.0:
            layout.progress(factor=status.read, text=f"Reading the takes: {status.read:.0%}", type="BAR")
        if (words := road.of_another(current_scene(context))) and not is_open(context, "takes"):
            sentence(layout, context, words, "ERROR")
        if status is not None and status.active:
            self._draw_running(context, layout, status)
        else:
            self._draw_idle(context, layout, status)
        self._draw_advanced(context, layout, status is not None and status.active)

    def _draw_advanced(self, context: bpy.types.Context, layout: bpy.types.UILayout, active: bool) -> None:
        body = fold(layout, "train", "Advanced")
        if body is None:
            return
        settings = scene_settings(current_scene(context))
        if active:
            button(body, "backflip.checkpoint", icon="FILE_TICK")
        else:
            body.use_property_split, body.use_property_decorate = True, False
            for name in ("mode", "follow", "stop_when_landed", "friction", "seed", "workers", "engine"):
                body.prop(settings, name)
            if lacking := training.lacks_engine(current_scene(context)):
                sentence(body, context, lacking, "ERROR")
        button(body, "backflip.find_job", icon="FILE_FOLDER", ask=True)

    def _draw_running(self, context: bpy.types.Context, layout: bpy.types.UILayout, status: JobStatus) -> None:
        text = f"{status.progress:.0%}"
        if status.seconds_left is not None:
            text += f", {_time(status.seconds_left)} left"
        layout.progress(factor=status.progress, text=text, type="BAR")
        expected = job_monitor.expected_state(current_scene(context))
        row = layout.row(align=True)  # above what is said, whose lines come and go
        if expected == "paused":
            button(row, "backflip.resume_training", icon="PLAY")
        else:
            button(row, "backflip.pause_training", icon="PAUSE")
        button(row, "backflip.stop_training", icon="SNAP_FACE")
        waits = "" if expected == status.state else _ASKED.get(expected, "")
        sentence(layout, context, waits or status.message, "NONE")
        scene = current_scene(context)
        takes, landed, _clean = job_monitor.counts(scene)
        row = layout.row()
        told = translated("1 take, {1} landed") if takes == 1 else translated("{0} takes, {1} landed")
        row.label(text=told.format(takes, landed))
        row.prop(scene_settings(scene).browser, "curve", text="", icon="FCURVE")
        if latest := job_monitor.latest(scene):
            words = in_parts(verdict(vars(latest)))
            sentence(
                layout, context, f"{translated('Latest take')}: {words[:1].lower()}{words[1:]}" if words else "", "NONE"
            )

    def _draw_idle(self, context: bpy.types.Context, layout: bpy.types.UILayout, status: JobStatus | None) -> None:
        settings = scene_settings(current_scene(context))
        layout.column().prop(settings, "goal", expand=True)
        layout.prop(settings, "longest")
        if odd := findings.odd(settings.reference_notes):
            words = translated("{} things seem odd about the clip: see step 2.").format(odd)
            one = "1 thing seems odd about the clip: see step 2."
            sentence(layout, context, one if odd == 1 else words, "ERROR")
        step_button(layout, context, training.StartTraining, "PLAY")
        if status is not None:
            for line in status.message.splitlines():
                sentence(layout, context, line, _ICONS.get(status.state, "INFO"))
            over = ("stopped", "died", "failed", "idle", "finished")
            if status.state in over and not job_monitor.complete(current_scene(context)):
                button(layout, "backflip.resume_training", icon="FF", text="Resume Training")
        if off := training.astray(current_scene(context)):
            sentence(
                layout, context, f"The best take goes elsewhere than the clip: {off:.2f} m off on average.", "INFO"
            )
            layout.row().prop(settings, "follow", expand=True)
        folder, name = job_monitor.job_beside(current_scene(context))
        if folder:
            words = f"A training of {name} is running beside this file, which has not been saved since it started."
            sentence(layout, context, words, "ERROR")
            find = "Find That Training"
            button(layout, "backflip.find_job", "FILE_FOLDER", find, directory=folder, ask=False)


def _time(seconds: float) -> str:
    minutes, rest = divmod(int(min(max(seconds, 0.0), _LONGEST)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


CLASSES = (BACKFLIP_PT_train,)
