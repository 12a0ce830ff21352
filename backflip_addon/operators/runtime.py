# SPDX-License-Identifier: GPL-3.0-or-later
"""The trainer's Python: checked and, on the user's click alone, installed, repaired or removed. Never blocks."""

from __future__ import annotations

from pathlib import Path

import bpy

from .. import compat, preferences
from ..jobs.json_files import JobError
from ..runtime import deletion, pins, repair, uninstall
from ..runtime.deletion import Removal
from ..runtime.find import Runtime, RuntimeSearch, find_runtime
from ..runtime.install import LOG_NAME, Installation
from ..runtime.pybullet_addition import INSTALL_FIRST, PyBulletAddition
from ..runtime.status import STATUS
from . import clip_library
from .base import Returned, Step

TICK_SECONDS = 0.2
LOOK_SECONDS = 3.0


def look() -> bool:
    """Find the trainer's Python and note what to say of it; waits for it."""
    return _note(find_runtime(preferences.trainer_python(), preferences.runtime_home()))


def begin_look() -> None:
    """The same without waiting."""
    if STATUS.search is not None:
        STATUS.search.cancel()
    STATUS.search = RuntimeSearch(preferences.trainer_python(), preferences.runtime_home())
    _watch()


def _note(runtime: Runtime) -> bool:
    STATUS.installed = None
    STATUS.lines = tuple(f"{runtime.sentence}\n{STATUS.remark}".splitlines())
    STATUS.icon = "CHECKMARK" if runtime.ready else "ERROR"
    STATUS.ready, STATUS.state, STATUS.pybullet = runtime.ready, runtime.state, runtime.pybullet
    STATUS.addable = runtime.addable
    clip_library.look_for_clips(runtime.interpreter if runtime.ready else None)
    return runtime.ready


def _first_look() -> None:
    """Soon after Blender has started: the panel then says what is missing before anybody asks."""
    home = preferences.runtime_home()
    if home is not None:
        repair.clean(home)
    begin_look()


def _tick() -> float | None:
    if STATUS.work is not None:
        _look_at_work(STATUS.work)
    elif STATUS.search is not None and (found := STATUS.search.poll()):
        STATUS.search = None
        _note(found)
    _redraw()
    return None if STATUS.work is None and STATUS.search is None else TICK_SECONDS


def _look_at_work(work: Installation | Removal) -> None:
    progress = work.poll()
    STATUS.lines, STATUS.fraction = tuple(progress.in_words().splitlines()), progress.fraction
    if progress.state == "running":
        return
    STATUS.work, STATUS.installed, STATUS.remark = None, None, progress.remark
    if progress.state == "done":
        begin_look()
    else:
        STATUS.icon = "ERROR"


def _begin(work: Installation | Removal, words: str) -> None:
    STATUS.work, STATUS.lines, STATUS.remark, STATUS.fraction, STATUS.icon = work, (words,), "", 0.0, "NONE"
    _watch()


def _watch() -> None:
    if not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, first_interval=TICK_SECONDS, persistent=True)


def _redraw() -> None:
    compat.redraw(sidebar_alone=True)
    for manager in bpy.data.window_managers:
        for window in manager.windows:
            for area in window.screen.areas if window.screen else ():
                if area.type == "PREFERENCES":
                    area.tag_redraw()


def _home() -> Path:
    return preferences.runtime_folder()


def _wheels() -> str:
    """The folder to install from, "" for the network. Raises JobError for one that is not there."""
    folder = preferences.wheels_folder()
    if folder and not Path(folder).is_dir():
        raise JobError(f"There is no folder {folder}: choose another folder for the packages in the preferences.")
    return folder


def _is_there() -> bool:
    """Whether there is anything to repair or remove; asked at every drawing, looked at when it may have changed."""
    if STATUS.installed is None:
        home = preferences.runtime_home()
        there = home is not None and uninstall.is_there(home)
        if deletion.running():  # what a cancelled installation has left is going
            return there
        STATUS.installed = there
    return STATUS.installed


class _Work(Step):
    """A Step that goes on in the background; one at a time."""

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        lacking = (
            "Wait until the running operation has finished, or cancel it." if STATUS.work is not None else cls.lacking()
        )
        if lacking:
            cls.poll_message_set(lacking)
        return not lacking

    @classmethod
    def lacking(cls) -> str:
        """The sentence for what keeps the button from working, "" when nothing does."""
        online = bpy.app.online_access or preferences.wheels_folder()
        return "" if online else "Allow online access in Preferences > System first."


class CheckRuntime(_Work, bpy.types.Operator):
    """Look for a Python that can train, and report what is missing"""

    bl_idname = "backflip.check_runtime"
    bl_label = "Check Trainer's Python"

    @classmethod
    def lacking(cls) -> str:
        return ""

    def invoke(self, _context: bpy.types.Context, _event: bpy.types.Event) -> Returned:
        STATUS.lines, STATUS.remark, STATUS.icon = ("Looking for a Python that can train",), "", "NONE"
        begin_look()
        return {"FINISHED"}

    def run(self, _context: bpy.types.Context) -> None:
        STATUS.remark = ""
        ready = look()
        self.report({"INFO"} if ready else {"WARNING"}, " ".join(STATUS.lines))


class _Download(_Work):
    """A _Work whose tooltip says how large it is."""

    @classmethod
    def description(cls, _context: bpy.types.Context, _properties: bpy.types.OperatorProperties) -> str:
        size = pins.expected_size()
        return f"{cls.__doc__}: about {size.in_words()}" if size.disk else str(cls.__doc__)


class InstallRuntime(_Download, bpy.types.Operator):
    """Download the packages that the trainer needs into the add-on's own folder"""

    bl_idname = "backflip.install_runtime"
    bl_label = "Install Trainer's Python"

    def run(self, _context: bpy.types.Context) -> None:
        _begin(Installation.begin(_home(), wheels=_wheels()), "Installing")


class RepairRuntime(_Download, bpy.types.Operator):
    """Install the trainer's packages again, and replace the old ones once the new are complete"""

    bl_idname = "backflip.repair_runtime"
    bl_label = "Repair Trainer's Python"

    @classmethod
    def lacking(cls) -> str:
        return super().lacking() if _is_there() else "There is nothing to repair; press Install."

    def run(self, _context: bpy.types.Context) -> None:
        _begin(repair.begin(_home(), wheels=_wheels()), "Repairing")


class AddPyBullet(_Work, bpy.types.Operator):
    """Download PyBullet from conda-forge into the add-on's own folder. Takes are then simulated by it"""

    bl_idname = "backflip.add_pybullet"
    bl_label = "Add PyBullet"

    @classmethod
    def lacking(cls) -> str:
        if STATUS.addable:
            return super().lacking()
        return "The trainer's Python has PyBullet." if STATUS.ready and STATUS.pybullet else INSTALL_FIRST

    def run(self, _context: bpy.types.Context) -> None:
        _begin(PyBulletAddition.begin(_home(), wheels=_wheels()), "Adding PyBullet")


class RemoveRuntime(_Work, bpy.types.Operator):
    """Remove the trainer's Python installed here, and what is left of interrupted installations"""

    bl_idname = "backflip.remove_runtime"
    bl_label = "Remove Trainer's Python"

    @classmethod
    def lacking(cls) -> str:
        return "" if _is_there() else "There is nothing to remove."

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> Returned:
        return self.confirm(context, event, "")

    def run(self, _context: bpy.types.Context) -> None:
        try:
            removal = uninstall.remove(_home())
        except uninstall.RuntimeFolderError as error:
            raise JobError(str(error)) from error
        _begin(removal, "Removing")


class CancelRuntime(Step, bpy.types.Operator):
    """Cancel the installation and remove what it has installed so far"""

    bl_idname = "backflip.cancel_runtime"
    bl_label = "Cancel Installation"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        lacking = "" if isinstance(STATUS.work, Installation) else "No installation is running."
        if lacking:
            cls.poll_message_set(lacking)
        return not lacking

    def run(self, _context: bpy.types.Context) -> None:
        if STATUS.work is not None:
            STATUS.work.cancel()
        _tick()


class ShowInstallLog(Step, bpy.types.Operator):
    """Show the log of the last installation"""

    bl_idname = "backflip.show_install_log"
    bl_label = "Show Installation Log"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        home = preferences.runtime_home()
        there = home is not None and (home / LOG_NAME).is_file()
        if not there:
            cls.poll_message_set("Nothing has been installed yet.")
        return there

    def run(self, _context: bpy.types.Context) -> None:
        bpy.ops.wm.path_open(filepath=str(_home() / LOG_NAME))


class OpenPreferences(Step, bpy.types.Operator):
    """Open the add-on's preferences, where a Python can be chosen"""

    bl_idname = "backflip.open_preferences"
    bl_label = "Open Preferences"

    def run(self, _context: bpy.types.Context) -> None:
        bpy.ops.preferences.addon_show(module=str(preferences.PACKAGE))


CLASSES = (
    *(CheckRuntime, InstallRuntime, RepairRuntime, AddPyBullet, RemoveRuntime),
    *(CancelRuntime, ShowInstallLog, OpenPreferences),
)


def look_soon() -> None:
    """Have the first look a moment from now, whatever file is opened before: one named at Blender's start is."""
    bpy.app.timers.register(_first_look, first_interval=LOOK_SECONDS, persistent=True)


def register() -> None:
    if not bpy.app.background:
        look_soon()


def unregister() -> None:
    for timer in (_tick, _first_look):
        if bpy.app.timers.is_registered(timer):
            bpy.app.timers.unregister(timer)
    for each in (STATUS.work, STATUS.search):
        if each is not None:
            each.cancel()
    STATUS.work = STATUS.search = None
