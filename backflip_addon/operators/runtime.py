# SPDX-License-Identifier: GPL-3.0-or-later
"""The trainer's Python: checked and, on the user's click alone, installed. Never blocks."""

from __future__ import annotations

import dataclasses

import bpy

from .. import compat, preferences
from ..jobs.folder import JobError
from ..runtime.find import find_runtime
from ..runtime.install import Installation
from .common import Step

TICK_SECONDS = 0.2
LOOK_SECONDS = 3.0


@dataclasses.dataclass
class _Live:
    """What the preferences and the training panel show."""

    ready: bool = True  # until it has been looked for
    lines: tuple[str, ...] = ()
    icon: str = "NONE"
    installation: Installation | None = None
    fraction: float = 0.0


LIVE = _Live()


def look() -> bool:
    """Find the trainer's Python and note what to say of it."""
    runtime = find_runtime(preferences.trainer_python(), preferences.data_folder("runtime"))
    LIVE.lines = tuple(runtime.sentence.splitlines())
    LIVE.icon = "CHECKMARK" if runtime.ready else "ERROR"
    LIVE.ready = runtime.ready
    return runtime.ready


def _first_look() -> None:
    """Soon after Blender has started: the panel then says what is missing before anybody asks."""
    look()
    compat.redraw()


def _tick() -> float | None:
    if LIVE.installation is None:
        return None
    progress = LIVE.installation.poll()
    LIVE.lines, LIVE.fraction = tuple(progress.message.splitlines()), progress.fraction
    compat.redraw()
    if progress.state == "running":
        return TICK_SECONDS
    LIVE.installation = None
    if progress.state == "done":
        look()
    else:
        LIVE.icon = "ERROR"
    return None


class CheckRuntime(Step, bpy.types.Operator):
    """Look for a Python that can train, and say what it lacks"""

    bl_idname = "backflip.check_runtime"
    bl_label = "Check Trainer's Python"

    def run(self, _context: bpy.types.Context) -> None:
        ready = look()
        self.report({"INFO"} if ready else {"WARNING"}, " ".join(LIVE.lines))


class InstallRuntime(Step, bpy.types.Operator):
    """Download the trainer's own Python packages (about 250 MB) into the add-on's folder"""

    bl_idname = "backflip.install_runtime"
    bl_label = "Install Trainer's Python"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        if LIVE.installation is not None:
            cls.poll_message_set("The installation is at work.")
            return False
        if not bpy.app.online_access:
            cls.poll_message_set("Allow online access in Preferences > System first.")
            return False
        return True

    def run(self, _context: bpy.types.Context) -> None:
        try:
            LIVE.installation = Installation.begin(preferences.data_folder("runtime"))
        except OSError as error:
            raise JobError(f"The runtime cannot be installed: {error.strerror}.") from error
        LIVE.lines, LIVE.icon = ("Installing.",), "IMPORT"
        bpy.app.timers.register(_tick, first_interval=TICK_SECONDS, persistent=True)


CLASSES = (CheckRuntime, InstallRuntime)


def register() -> None:
    if not bpy.app.background:
        bpy.app.timers.register(_first_look, first_interval=LOOK_SECONDS)


def unregister() -> None:
    for timer in (_tick, _first_look):
        if bpy.app.timers.is_registered(timer):
            bpy.app.timers.unregister(timer)
    if LIVE.installation is not None:
        LIVE.installation.cancel()
        LIVE.installation = None
