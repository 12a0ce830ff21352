# SPDX-License-Identifier: GPL-3.0-or-later
"""Earlier trainings: a list of them, read in a thread, and what can be done with each."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from pathlib import Path
from typing import Annotated, Any

import bpy
from bpy.props import StringProperty

from .. import preferences
from ..jobs.folder import JobFolder
from ..jobs.job_summaries import JobSummary, summaries
from ..jobs.json_files import JobError
from ..registration import persistent
from . import job_link
from .base import INTERNAL, Returned, Step, current_scene

FIRST_SECONDS = 2.0  # after Blender's start


class _Found:
    """What a thread found. number: of the latest search, whose result alone is taken."""

    jobs: tuple[JobSummary, ...] = ()
    number = 0


def jobs() -> tuple[JobSummary, ...]:
    """The jobs beside the .blend and those of unsaved files, the latest first. Cheap enough for drawing."""
    return _Found.jobs


def line(job: JobSummary) -> str:
    """A job in a line, whose icon says what became of it: "3 May Backflip, Mannequin", or "14:02 …" of today.

    What is too long is cut at its end, so that what tells one from another comes first.
    """
    when, today = time.localtime(job.changed), time.localtime()
    date = f"{when.tm_mday} {time.strftime('%b', when)}" if when[:3] != today[:3] else time.strftime("%H:%M", when)
    return f"{date} {', '.join(filter(None, (job.clip, job.avatar)))}"


def look() -> None:
    """Look for jobs, in a thread."""
    places = [Path(bpy.data.filepath).with_suffix(".backflip")] if bpy.data.filepath else []
    with contextlib.suppress(JobError):  # Blender has no folder for it here
        places.append(preferences.jobs_folder())
    _Found.number += 1
    threading.Thread(target=_look, args=(places, _Found.number), name="backflip-jobs", daemon=True).start()


def _look(places: list[Path], number: int) -> None:
    found = tuple(summaries(places))
    if number == _Found.number:
        _Found.jobs = found


class RefreshJobs(Step, bpy.types.Operator):
    """Look for trainings again"""

    bl_idname = "backflip.refresh_jobs"
    bl_label = "Refresh"

    def run(self, _context: bpy.types.Context) -> None:
        look()


class _OneJob(Step):
    """A Step with one of the jobs in the list: no other folder is touched."""

    directory: Annotated[str, StringProperty(name="Folder", description="The training's folder", options=INTERNAL)]

    def named(self) -> Path:
        """The job's folder. Raises JobError for one that is not in the list."""
        if self.directory not in [job.path for job in jobs()]:
            raise JobError("Choose a training from the list.")
        return Path(self.directory)


class RevealJob(_OneJob, bpy.types.Operator):
    """Show the folder of this training in the file manager"""

    bl_idname = "backflip.reveal_job"
    bl_label = "Show Folder"

    def run(self, _context: bpy.types.Context) -> None:
        folder = str(self.named())
        bpy.ops.wm.path_open(filepath=folder)  # which says nothing where the desktop has no file manager
        self.report({"INFO"}, folder)


class DeleteJob(_OneJob, bpy.types.Operator):
    """Delete this training and all of its takes. What was baked stays"""

    bl_idname = "backflip.delete_job"
    bl_label = "Delete Training"

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> Returned:
        try:
            folder = self._to_delete(context)
        except JobError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return self.confirm(context, event, next(line(job) for job in jobs() if job.path == str(folder)))

    def _to_delete(self, context: bpy.types.Context) -> Path:
        """The job's folder. Raises JobError where it is at work, or is what the scene shows."""
        folder = self.named()
        if JobFolder(folder).running():
            raise JobError("This training is running: stop it first.")
        if str(folder) == job_link.known_place(current_scene(context)):
            raise JobError("This scene shows the takes of this training: open another one first.")
        return folder

    def run(self, context: bpy.types.Context) -> None:
        folder = self._to_delete(context)
        _Found.jobs = tuple(job for job in jobs() if job.path != str(folder))
        _Found.number += 1  # a search that is at work would find it once more
        threading.Thread(target=shutil.rmtree, args=(folder, True), name="backflip-delete").start()


@persistent
def _on_load(*_args: Any) -> None:
    look()


def register() -> None:
    bpy.app.handlers.load_post.append(_on_load)
    if not bpy.app.background:
        bpy.app.timers.register(look, first_interval=FIRST_SECONDS, persistent=True)


def unregister() -> None:
    bpy.app.handlers.load_post.remove(_on_load)
    if bpy.app.timers.is_registered(look):
        bpy.app.timers.unregister(look)
    _Found.jobs = ()


CLASSES = (RefreshJobs, RevealJob, DeleteJob)
