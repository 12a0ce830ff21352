# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks that find people in videos: installed on the user's click alone, or from a file. Never blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import bpy
from bpy.props import BoolProperty

from .. import compat
from ..jobs.json_files import JobError
from ..runtime import video_models
from ..runtime.video_models import ModelsDownload, ModelsError
from .base import FileStep, Step
from .training import WAIT
from .video import models_folder

TICK_SECONDS = 0.3


class _State:
    download: ModelsDownload | None = None
    problem = ""


_state = _State()


def downloading() -> str:
    """What the download at work is doing, "" when none is."""
    work = _state.download
    progress = work.poll() if work is not None else None
    return progress.message if progress is not None and progress.state == "running" else ""


def problem() -> str:
    """Why the last installation failed, "" for nothing."""
    return _state.problem


def _tick() -> float | None:
    work = _state.download
    progress = work.poll() if work is not None else None
    compat.redraw(sidebar_alone=True)
    if progress is None or progress.state == "running":
        return TICK_SECONDS if progress is not None else None
    _state.problem = progress.message if progress.state == "failed" else ""
    _state.download = None
    return None


class InstallNetworks(Step, bpy.types.Operator):
    """Download the networks that find a person in a video"""

    bl_idname = "backflip.install_networks"
    bl_label = "Install Networks"

    blocking: Annotated[bool, BoolProperty(name="Wait", description="Return when they are there", options=WAIT)]

    @classmethod
    def description(cls, _context: bpy.types.Context, _properties: bpy.types.OperatorProperties) -> str:
        return f"{cls.__doc__}: BlazePose by Google, {video_models.LICENCE}, {video_models.SIZE_WORDS}"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        lacking = "" if bpy.app.online_access else "Allow online access in Preferences > System first."
        lacking = "The networks are being downloaded." if downloading() else lacking
        if lacking:
            cls.poll_message_set(lacking)
        return not lacking

    def run(self, _context: bpy.types.Context) -> None:
        _state.problem = ""
        _state.download = ModelsDownload.begin(models_folder())
        if not self.blocking:
            if not bpy.app.timers.is_registered(_tick):
                bpy.app.timers.register(_tick, first_interval=TICK_SECONDS, persistent=True)
            return
        progress = _state.download.wait()
        _state.download = None
        if progress.state != "done":
            raise JobError(progress.message)
        self.report({"INFO"}, progress.message)


class InstallNetworksFile(FileStep, bpy.types.Operator):
    """Install the networks from a wheel of mediapipe 0.10.21, or from a folder that holds them; nothing goes online"""

    bl_idname = "backflip.install_networks_file"
    bl_label = "Install from File"
    suffixes = (".whl", ".tflite")
    nothing_named = "Choose the wheel of mediapipe 0.10.21, or one of the networks."

    def names_file(self) -> bool:
        return bool(self.filepath)

    def run(self, _context: bpy.types.Context) -> None:
        source = Path(bpy.path.abspath(self.filepath))
        try:
            video_models.take_from(source.parent if source.suffix.lower() == ".tflite" else source, models_folder())
        except ModelsError as error:
            raise JobError(str(error)) from error
        _state.problem = ""
        self.report({"INFO"}, "The networks are installed.")


class CancelNetworks(Step, bpy.types.Operator):
    """Cancel the download of the networks"""

    bl_idname = "backflip.cancel_networks"
    bl_label = "Cancel Download"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        if not downloading():
            cls.poll_message_set("Nothing is being downloaded.")
            return False
        return True

    def run(self, _context: bpy.types.Context) -> None:
        if _state.download is not None:
            _state.download.cancel()


CLASSES = (InstallNetworks, InstallNetworksFile, CancelNetworks)


def unregister() -> None:
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    if _state.download is not None:
        _state.download.cancel()
    _state.download = None
