# SPDX-License-Identifier: GPL-3.0-or-later
"""3 Train: the settings of a training, or how the one at work goes on; what the trainer's Python lacks."""

from __future__ import annotations

from typing import Any

import bpy

from ..operators import job_monitor, training
from ..runtime.status import STATUS
from .panel_base import SidebarPanel, sentence, step_button

_LONGEST = 1e7  # s, of a time that is shown
_ASKED = {"paused": "Pausing…", "running": "Going on…", "stopped": "Stopping…"}  # the trainer has not looked yet
_ICONS = {"finished": "CHECKMARK", "failed": "ERROR", "died": "ERROR", "unreadable": "ERROR"}


class BACKFLIP_PT_train(SidebarPanel, bpy.types.Panel):
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
                sentence(self.layout, context, line, "ERROR")
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
        sentence(layout, context, waits or status.message, "NONE")
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
        step_button(layout, context, training.StartTraining, "PLAY")
        if status is not None:
            for line in status.message.splitlines():
                sentence(layout, context, line, _ICONS.get(status.state, "INFO"))
            over = ("stopped", "died", "failed", "idle", "finished")
            if status.state in over and not job_monitor.complete(context.scene):
                layout.operator("backflip.resume_training", icon="FF", text="Go On Training")
        folder, name = job_monitor.job_beside(context.scene)
        if folder:
            words = f"A training of {name} is running beside this file, which was not saved since it began."
            sentence(layout, context, words, "ERROR")
            find = layout.operator("backflip.find_job", icon="FILE_FOLDER", text="Find That Training")
            find.directory, find.ask = folder, False
        layout.operator("backflip.find_job", icon="FILE_FOLDER").ask = True


def _time(seconds: float) -> str:
    minutes, rest = divmod(int(min(max(seconds, 0.0), _LONGEST)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


CLASSES = (BACKFLIP_PT_train,)
