# SPDX-License-Identifier: GPL-3.0-or-later
"""3 Train: the settings of a training, or how the one at work goes on; what the trainer's Python lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import bpy

from ..core.verdict import verdict
from ..jobs.status import JobStatus
from ..operators import job_monitor, training
from ..operators.base import current_scene
from ..runtime.status import STATUS
from ..settings import scene_settings
from .panel_base import SidebarPanel, button, layout_of, sentence, step_button

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import IconItems

_LONGEST = 1e7  # s, of a time that is shown
_ASKED = {"paused": "Pausing…", "running": "Resuming…", "stopped": "Stopping…"}  # the trainer has not looked yet
_ICONS: dict[str, IconItems] = {"finished": "CHECKMARK", "failed": "ERROR", "died": "ERROR", "unreadable": "ERROR"}


class BACKFLIP_PT_train(SidebarPanel, bpy.types.Panel):
    bl_label = "3 Train"

    def draw(self, context: bpy.types.Context) -> None:
        status = job_monitor.status_of(current_scene(context))
        if status is not None and status.read < 1.0:
            layout_of(self).progress(factor=status.read, text=f"Reading the job: {status.read:.0%}", type="BAR")
        if status is not None and status.active:
            self._draw_running(context, status)
        else:
            self._draw_idle(context, status)
        self._draw_runtime(context)

    def _draw_runtime(self, context: bpy.types.Context) -> None:
        """What the trainer's Python lacks, and how to mend it; nothing when all is well."""
        if STATUS.work is not None:
            layout_of(self).progress(factor=STATUS.fraction, text=" ".join(STATUS.lines), type="BAR")
        elif not STATUS.ready:
            for line in STATUS.lines:
                sentence(layout_of(self), context, line, "ERROR")
            row = layout_of(self).row(align=True)
            button(row, "backflip.install_runtime", text="Install", icon="IMPORT")
            button(row, "backflip.check_runtime", text="Check Again", icon="FILE_REFRESH")

    def _draw_running(self, context: bpy.types.Context, status: JobStatus) -> None:
        layout = layout_of(self)
        text = f"{status.progress:.0%}"
        if status.seconds_left is not None:
            text += f", {_time(status.seconds_left)} left"
        layout.progress(factor=status.progress, text=text, type="BAR")
        expected = job_monitor.expected_state(current_scene(context))
        waits = "" if expected == status.state else _ASKED.get(expected, "")
        sentence(layout, context, waits or status.message, "NONE")
        scene = current_scene(context)
        attempts, landed, _clean = job_monitor.counts(scene)
        row = layout.row()
        row.label(text=f"{attempts} {'attempt' if attempts == 1 else 'attempts'}, {landed} landed")
        row.prop(scene_settings(scene).browser, "curve", text="", icon="FCURVE")
        if latest := job_monitor.latest(scene):
            words = ", ".join(filter(None, (latest.phase, verdict(vars(latest)))))
            sentence(layout, context, f"Latest: {words}" if words else "", "NONE")
        row = layout.row(align=True)
        if expected == "paused":
            button(row, "backflip.resume_training", icon="PLAY")
        else:
            button(row, "backflip.pause_training", icon="PAUSE")
        button(row, "backflip.stop_training", icon="SNAP_FACE")
        button(layout, "backflip.checkpoint", icon="FILE_TICK")

    def _draw_idle(self, context: bpy.types.Context, status: JobStatus | None) -> None:
        layout, settings = layout_of(self), scene_settings(current_scene(context))
        column = layout.column()
        column.prop(settings, "mode", text="")
        column.prop(settings, "minutes")
        column.prop(settings, "stop_when_landed")
        row = column.row(align=True)
        row.prop(settings, "seed")
        row.prop(settings, "workers")
        column.prop(settings, "friction")
        step_button(layout, context, training.StartTraining, "PLAY")
        if status is not None:
            for line in status.message.splitlines():
                sentence(layout, context, line, _ICONS.get(status.state, "INFO"))
            over = ("stopped", "died", "failed", "idle", "finished")
            if status.state in over and not job_monitor.complete(current_scene(context)):
                button(layout, "backflip.resume_training", icon="FF", text="Resume Training")
        folder, name = job_monitor.job_beside(current_scene(context))
        if folder:
            words = f"A training of {name} is running beside this file, which has not been saved since it started."
            sentence(layout, context, words, "ERROR")
            find = "Find That Training"
            button(layout, "backflip.find_job", "FILE_FOLDER", find, directory=folder, ask=False)
        button(layout, "backflip.find_job", icon="FILE_FOLDER", ask=True)


def _time(seconds: float) -> str:
    minutes, rest = divmod(int(min(max(seconds, 0.0), _LONGEST)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


CLASSES = (BACKFLIP_PT_train,)
