# SPDX-License-Identifier: GPL-3.0-or-later
"""The running job as the panels show it. One timer looks the job folder up by name at every tick.

Nothing here is saved but the list of takes; a .blend that is opened finds its job again.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import bpy
from bpy.app.handlers import persistent

from .. import compat
from ..core.motion import load_take
from ..jobs.folder import JobError, JobFolder
from ..jobs.status import JobStatus, read_status

BUSY_SECONDS, IDLE_SECONDS = 0.5, 2.0


@dataclasses.dataclass
class _Watched:
    """One job as far as it has been read."""

    offset: int = 0
    takes: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)  # file name -> facts
    status: JobStatus = dataclasses.field(default_factory=lambda: JobStatus("idle"))


_watched: dict[str, _Watched] = {}


def set_job(scene: bpy.types.Scene, folder: Path) -> None:
    """Tie a scene to a job folder: relative to the .blend where that was saved, and absolute as well."""
    folder = folder.resolve()
    settings = scene.backflip
    settings.job_folder_absolute = str(folder)
    settings.job_folder = _relative(folder)
    settings.take_index = 0
    refresh(scene)


def _relative(folder: Path) -> str:
    if not bpy.data.filepath:
        return str(folder)
    try:
        return bpy.path.relpath(str(folder))
    except ValueError:  # on another drive
        return str(folder)


def job_of(scene: bpy.types.Scene) -> JobFolder:
    """The scene's job. Raises JobError when there is none."""
    settings = scene.backflip
    if not settings.job_folder:
        raise JobError("This scene has no training job yet; start training or find an earlier job.")
    beside = JobFolder(bpy.path.abspath(settings.job_folder))
    if not beside.job_file.is_file() and settings.job_folder_absolute:
        return JobFolder(settings.job_folder_absolute)
    return beside


def status_of(scene: bpy.types.Scene) -> JobStatus | None:
    """The job's status as last read; None without a job. Cheap enough for drawing."""
    if not scene.backflip.job_folder:
        return None
    seen = _watched.get(str(job_of(scene).path))
    return seen.status if seen else None


def refresh(scene: bpy.types.Scene) -> JobStatus:
    """Read what is new of a scene's job, the list of takes included. Raises JobError without a job."""
    folder = job_of(scene)
    seen = _watched.setdefault(str(folder.path), _Watched())
    seen.status = read_status(folder)
    _read_takes(folder, seen)
    _show_takes(scene, seen)
    return seen.status


def take_facts(scene: bpy.types.Scene) -> dict[str, dict[str, Any]]:
    """File name -> what is known of each take of the scene's job."""
    seen = _watched.get(str(job_of(scene).path))
    return seen.takes if seen else {}


def chosen_take(scene: bpy.types.Scene) -> Path | None:
    """The file of the take that is selected in the list."""
    settings = scene.backflip
    if not settings.job_folder or settings.take_index >= len(settings.takes):
        return None
    return job_of(scene).takes / settings.takes[settings.take_index].name


def _read_takes(folder: JobFolder, seen: _Watched) -> None:
    try:
        if folder.events_file.exists() and folder.events_file.stat().st_size < seen.offset:
            seen.offset, seen.takes = 0, {}  # another job has taken the folder
        events, seen.offset = folder.read_events(seen.offset)
        files = [file.name for file in folder.take_files()]
    except OSError:
        return  # the next tick may have better luck
    for event in events:
        if event.get("kind") == "take" and event.get("file"):
            seen.takes[Path(str(event["file"])).name] = event
    for name in files:
        if name not in seen.takes:
            seen.takes[name] = _facts_of(folder.takes / name)
    seen.takes = {name: seen.takes[name] for name in sorted(seen.takes) if name in files}


def _facts_of(file: Path) -> dict[str, Any]:
    """What a take that no event told of tells of itself."""
    try:
        meta = load_take(file).meta
    except ValueError:
        return {}
    measures = meta.get("measures") or {}
    return {"source": meta.get("source", ""), "score": meta.get("score", 0.0), "landed": measures.get("landed", False)}


def _show_takes(scene: bpy.types.Scene, seen: _Watched) -> None:
    items = scene.backflip.takes
    if [item.name for item in items] == list(seen.takes):
        return
    settings = scene.backflip
    follows = settings.take_index >= len(items) - 1  # the latest was chosen, or nothing
    items.clear()
    for name, facts in seen.takes.items():
        item = items.add()
        item.name = name
        item.landed = bool(facts.get("landed"))
        item.score = _number(facts.get("score"))
        item.source = str(facts.get("source") or "")
    if follows:
        settings.take_index = max(len(items) - 1, 0)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) and value == value and abs(value) < 1e30 else 0.0


# The timer


def _tick() -> float:
    busy = False
    for scene in bpy.data.scenes:
        if scene.backflip.job_folder:
            before = status_of(scene)
            now = refresh(scene)
            busy = busy or now.active
            if now != before:
                compat.redraw()
    return BUSY_SECONDS if busy else IDLE_SECONDS


def watch() -> None:
    """Look at the job soon, and go on looking."""
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    bpy.app.timers.register(_tick, first_interval=BUSY_SECONDS, persistent=True)


@persistent
def _on_load(*_args: Any) -> None:
    _watched.clear()
    watch()


def register() -> None:
    bpy.app.handlers.load_post.append(_on_load)
    watch()


def unregister() -> None:
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    bpy.app.handlers.load_post.remove(_on_load)
    _watched.clear()
