# SPDX-License-Identifier: GPL-3.0-or-later
"""The running job as the panels show it. One timer looks the job folder up by name at every tick.

Whatever a tick does is bounded: a job of any size is taken in bit by bit, see jobs.events and jobs.takes.
Nothing here is saved but the list of takes, and the link to the job's folder (operators.job_link).
"""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import bpy

from .. import compat
from ..jobs.events import Budget
from ..jobs.folder import JobFolder
from ..jobs.messages import ShotRequest, TakeRecorded
from ..jobs.status import JobStatus, plain, reader_of
from ..jobs.take_notes import TakeNotes
from ..registration import add_handlers, persistent, remove_handlers
from ..scene import stored_avatar
from ..settings import scene_settings
from ..settings import takes as take_settings
from . import follow, job_link
from .job_link import job_of
from .known_job import KnownJob, avatar_of
from .take_list import Shown, keep_choice, show

READING_SECONDS, BUSY_SECONDS, IDLE_SECONDS, AWAY_SECONDS = 0.01, 0.5, 2.0, 5.0
STEP_SECONDS = 0.0015  # for reading, and again for the list
MOST_JOBS_BESIDE = 200

_log = logging.getLogger(__name__)


_jobs: dict[str, KnownJob] = {}  # by folder
_shown: dict[int, Shown] = {}  # by the scene's session_uid, as all of these
_troubles: dict[int, str] = {}  # what a scene's tick met
_beside: dict[int, tuple[str, str]] = {}  # folder and avatar of a running job beside the .blend, see job_beside
_logged: set[str] = set()


def set_job(scene: bpy.types.Scene, folder: Path) -> None:
    """Tie a scene to a job folder, and show what is known of it."""
    job_link.set_link(scene, folder)
    _beside.pop(scene.session_uid, None)
    refresh(scene)


def _job(scene: bpy.types.Scene) -> KnownJob | None:
    """What is known of the scene's job, without a look at the disk."""
    return _jobs.get(job_link.known_place(scene))


# What is known of it


def status_of(scene: bpy.types.Scene) -> JobStatus | None:
    """The job's status as last read; None without a job. Cheap enough for drawing."""
    if not scene_settings(scene).job_folder:
        return None
    trouble = _troubles.get(scene.session_uid)
    if trouble:
        return JobStatus("unreadable", message=trouble)
    job = _job(scene)
    return job.status if job else None


def expected_state(scene: bpy.types.Scene) -> str:
    """The job's state, or the one its trainer was asked for and has not come to yet; "" when nothing is known."""
    job = _job(scene)
    return job.expected if job and scene_settings(scene).job_folder else ""


def ask(scene: bpy.types.Scene, state: str) -> None:
    """Note that the job's trainer was asked to be "paused", "running" or "stopped"."""
    if job := _job(scene):
        job.ask(state)


def job_avatar(scene: bpy.types.Scene) -> str:
    """The name of the character whose takes the job has, "" when it is not known. Cheap enough for drawing."""
    job = _job(scene)
    return job.avatar if job and scene_settings(scene).job_folder else ""


def learned(scene: bpy.types.Scene) -> bool | None:
    """Whether the job has learned anything that could be performed again; None when it is not known. Cheap."""
    job = _job(scene)
    return job.learned if job and scene_settings(scene).job_folder else None


def complete(scene: bpy.types.Scene) -> bool:
    """Whether a trainer would find nothing to do: the last that learned, and not only shot, ended with a landing, and
    no network was to learn without end. Cheap."""
    job = _job(scene)
    if not (job and scene_settings(scene).job_folder and job.learned and job.status.state == "finished"):
        return False
    story = job.reader.story
    return story.started.mode in ("search", "auto") and story.learned_to == "landed"


def other_avatar(scene: bpy.types.Scene) -> str:
    """The name of the job's character where that is another one than the scene's avatar; else "".

    A character that was renamed since is the same one.
    """
    avatar, name = stored_avatar.present(scene), job_avatar(scene)
    return name if avatar is not None and name and avatar.name != name and name in scene.objects else ""


def other_clip(scene: bpy.types.Scene) -> str:
    """The name of the job's clip where that is another one than the scene's reference; else ""."""
    job, name = _job(scene), scene_settings(scene).reference_label
    clip = job.clip if job and name and scene_settings(scene).job_folder else ""
    return clip if clip != name else ""


def counts(scene: bpy.types.Scene) -> tuple[int, int, int]:
    """How many takes the list holds, how many of the job's have landed, and of them cleanly."""
    job = _job(scene)
    return len(scene_settings(scene).takes), job.takes.landed if job else 0, job.takes.clean if job else 0


def scores(scene: bpy.types.Scene) -> tuple[Sequence[float], Sequence[bool], int]:
    """Score of each take of the scene's job and whether it landed, and a number that changes with them. Cheap."""
    job = _job(scene) if scene_settings(scene).job_folder else None
    return (job.takes.scores, job.takes.landings, job.takes.version) if job else ((), (), -1)


def latest(scene: bpy.types.Scene) -> TakeRecorded | None:
    """What is known of the job's latest take, None without any. Cheap enough for drawing."""
    job = _job(scene) if scene_settings(scene).job_folder else None
    return job.takes.facts.get(job.takes.names[-1]) if job and job.takes.names else None


def job_beside(scene: bpy.types.Scene) -> tuple[str, str]:
    """Folder and avatar of a job that is being trained beside the .blend while the file knows nothing of it."""
    return _beside.get(scene.session_uid, ("", ""))


def take_facts(scene: bpy.types.Scene) -> dict[str, TakeRecorded]:
    """File name -> what is known of each take of the scene's job."""
    job = _jobs.get(str(job_of(scene).path))
    return job.takes.facts if job else {}


def known_facts(scene: bpy.types.Scene) -> Mapping[str, TakeRecorded]:
    """File name -> what is known of each take, as far as the job has been read. Cheap enough for drawing."""
    job = _job(scene)
    return job.takes.facts if job and scene_settings(scene).job_folder else {}


def facts_of(scene: bpy.types.Scene, name: str) -> TakeRecorded | None:
    """What is known of one take in the scene's list, by its file's name. Cheap enough for drawing."""
    job = _job(scene)
    return job.takes.facts.get(name) if job and scene_settings(scene).job_folder else None


def listed(scene: bpy.types.Scene) -> tuple[Sequence[str], int]:
    """The takes in the scene's list, by their files' names, and a number that changes with what is known of them."""
    shown, settings = _shown.get(scene.session_uid), scene_settings(scene)
    if shown is None or len(shown.names) != len(settings.takes):  # a file was just loaded, or a step undone
        return [item.name for item in settings.takes], -1
    return shown.names, shown.takes.version if shown.takes else -1


def notes_of(scene: bpy.types.Scene) -> TakeNotes | None:
    """What the user says of the takes of the scene's job; None without one. Cheap enough for drawing."""
    job = _job(scene)
    return job.notes if job and scene_settings(scene).job_folder else None


def notes_in(folder: Path) -> TakeNotes:
    """What the user says of the takes of a job's folder, whether or not a scene shows it."""
    job = _jobs.get(str(folder))
    return job.notes if job else TakeNotes(JobFolder(folder))


def binned(scene: bpy.types.Scene) -> bool:
    """Whether the bin of the scene's job has a take, or may have one: nothing is known yet. Cheap."""
    job = _job(scene)
    return job.binned if job else True


def queue(scene: bpy.types.Scene) -> list[ShotRequest | None]:
    """The takes that wait to be shot, None for one that makes no sense. Cheap enough for drawing."""
    job = _job(scene)
    return job.queue.shots if job and scene_settings(scene).job_folder else []


def stages(scene: bpy.types.Scene) -> list[str]:
    """The stages of the scene's job, oldest first. Cheap enough for drawing."""
    job = _job(scene)
    return job.stages if job and scene_settings(scene).job_folder else []


def any_take(scene: bpy.types.Scene) -> bool:
    """Whether the scene's job has a take, by a short look at its folder. Raises JobError without a job."""
    try:
        with os.scandir(job_of(scene).takes) as entries:
            return any(entry.name.endswith(".npz") for entry in entries)
    except OSError:
        return False


def chosen_take(scene: bpy.types.Scene) -> Path | None:
    """The file of the take that is selected in the list."""
    settings = scene_settings(scene)
    if not settings.job_folder or settings.take_index >= len(settings.takes):
        return None
    place = job_link.known_place(scene)
    folder = JobFolder(place) if place else job_of(scene)
    return folder.takes / settings.takes[settings.take_index].name


# Reading


def refresh(scene: bpy.types.Scene, whole: bool = False) -> JobStatus:
    """Read what is new of a scene's job, the list of takes included. Raises JobError without a job.

    whole: to the end, however much it is; else what can be read in a moment, and the timer reads on.
    """
    folder = job_of(scene)
    key = str(folder.path)
    if key not in _jobs:
        _jobs[key] = KnownJob(reader_of(folder))
    job = _jobs[key]
    while True:
        job.look(Budget(STEP_SECONDS))
        if not job.reader.away and not job.more:
            shown = _shown.setdefault(scene.session_uid, Shown())
            live = job.status.active and job.status.read >= 1.0
            job.more = show(scene, shown, job.takes, Budget(STEP_SECONDS), live)
        if not (whole and job.more):
            return job.status


# The timer


def _tick() -> float:
    try:
        scenes = [scene for scene in bpy.data.scenes if scene_settings(scene).job_folder and scene.is_editable]
        return min((_look_at(scene) for scene in scenes), default=IDLE_SECONDS)
    except Exception as error:  # whatever it is: the timer lives
        _complain(error)
        return AWAY_SECONDS


def _look_at(scene: bpy.types.Scene) -> float:
    """Refresh what is shown of one scene's job; returns when to look again, s. Errors become a sentence."""
    uid = scene.session_uid
    before, version, moment = _said(scene), listed(scene)[1], _moment(scene)
    try:
        status = refresh(scene)
        more = _jobs[job_link.known_place(scene)].more
        _troubles.pop(uid, None)
    except Exception as error:
        _troubles[uid] = f"Backflip could not read the training: {plain(error, 200) or type(error).__name__}."
        _complain(error)
        status, more = None, False
    follow.react(scene, moment, _moment(scene), _landing(scene), _shot(scene, moment.takes))
    if _said(scene) != before:
        compat.redraw()  # the curve in the viewport, too
    if listed(scene)[1] != version:
        take_settings.playback.changed(scene_settings(scene))
    if more:
        return READING_SECONDS
    if status is None or status.state == "unreadable":
        return AWAY_SECONDS
    return BUSY_SECONDS if status.active else IDLE_SECONDS


def _moment(scene: bpy.types.Scene) -> follow.Moment:
    status, (takes, landed, clean) = status_of(scene), counts(scene)
    if status is None:
        return follow.Moment(False, takes, landed, False)
    best = facts_of(scene, status.best_take) or TakeRecorded()
    return follow.Moment(status.active, takes, landed, status.read >= 1.0, clean, status.best_take, best.rank)


def _landing(scene: bpy.types.Scene) -> str:
    """The latest take of the scene's job that landed, "" for none."""
    job = _job(scene)
    taken = zip(reversed(job.takes.names), reversed(job.takes.landings), strict=False) if job else ()
    return next((name for name, landed in taken if landed), "")


def _shot(scene: bpy.types.Scene, known: int) -> str:
    """The first of the scene's takes that was asked for and is not among those that were known, "" for none."""
    names = [take.name for take in itertools.islice(scene_settings(scene).takes, known, None)]
    facts = known_facts(scene) if names else {}
    return next((name for name in names if name in facts and facts[name].request), "")


def _said(scene: bpy.types.Scene) -> tuple[object, ...]:
    """What the panels say of a scene's job."""
    notes = notes_of(scene)
    about = (notes.version, notes.trouble) if notes else ()
    return status_of(scene), expected_state(scene), counts(scene), about, len(queue(scene)), stages(scene)


def _complain(error: Exception) -> None:
    """Tell the console of an error, once."""
    words = f"{type(error).__name__}: {error}"[:1000]
    if words not in _logged:
        _logged.add(words)
        _log.error("Backflip could not read a training: %s", plain(words), exc_info=error)


def watch(seconds: float = BUSY_SECONDS) -> None:
    """Look at the job soon, and go on looking."""
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    bpy.app.timers.register(_tick, first_interval=seconds, persistent=True)


# Blender's own comings and goings


@persistent
def _on_load(*_args: Any) -> None:
    for known in (_jobs, _shown, _troubles, _beside):
        known.clear()
    job_link.forget()
    for scene in bpy.data.scenes:
        _look_beside(scene)
    watch(READING_SECONDS)


def _look_beside(scene: bpy.types.Scene) -> None:
    """Look for a job that is being trained beside the .blend, started by a Blender that ended before it saved."""
    avatar = scene_settings(scene).avatar
    folder = Path(bpy.data.filepath).with_suffix(".backflip") if bpy.data.filepath else None
    if folder is None or avatar is None:
        return
    known = os.path.basename(os.path.normpath(scene_settings(scene).job_folder_absolute))
    try:
        with os.scandir(folder) as entries:
            names = sorted((entry.name for entry in entries if entry.name != known), reverse=True)
        for job in (JobFolder(folder / name) for name in names[:MOST_JOBS_BESIDE]):
            if os.path.lexists(job.trainer_file) and job.running() and avatar_of(job) == avatar.name:
                _beside[scene.session_uid] = (str(job.path), avatar.name)
                return
    except (OSError, ValueError):
        return  # no folder there, or none that can be read


@persistent
def _before_undo(*_args: Any) -> None:
    job_link.remember()
    for scene in bpy.data.scenes:
        _shown[scene.session_uid] = keep_choice(scene, _shown.get(scene.session_uid))


@persistent
def _after_undo(*_args: Any) -> None:
    """The link stays as it was, and the choice; the list of takes, an older one now, is looked through again."""
    job_link.restore()
    watch(READING_SECONDS)


@persistent
def _before_save(filepath: str = "", *_args: Any) -> None:
    job_link.follow(filepath)


@persistent
def _after_save(*_args: Any) -> None:
    job_link.follow(bpy.data.filepath)  # a copy was saved elsewhere, or nothing


_HANDLERS = {
    "load_post": _on_load,
    "undo_pre": _before_undo,
    "redo_pre": _before_undo,
    "undo_post": _after_undo,
    "redo_post": _after_undo,
    "save_pre": _before_save,
    "save_post": _after_save,
    "save_post_fail": _after_save,
}


def register() -> None:
    add_handlers(_HANDLERS)
    watch()


def unregister() -> None:
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    follow.unregister()
    remove_handlers(_HANDLERS)
    for known in (_jobs, _shown, _troubles, _beside, _logged):
        known.clear()
    job_link.forget()
