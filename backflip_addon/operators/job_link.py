# SPDX-License-Identifier: GPL-3.0-or-later
"""The link of a scene to its job's folder, kept in the .blend: a file that is opened finds its job again.

It leads from the .blend where that was saved, and is absolute as well, so that it outlasts a move of either. It is
no part of what Ctrl+Z takes back: the trainer goes on, whatever is undone.
"""

from __future__ import annotations

import os
from pathlib import Path

import bpy

from ..jobs.folder import JobFolder
from ..jobs.json_files import JobError
from ..settings import scene_settings

Link = tuple[str, str, str]  # job_folder, job_folder_absolute, and the .blend they lead from

# By the scene's session_uid: the link, and where that was found to lead.
_found: dict[int, tuple[Link, str]] = {}
# By the scene's session_uid: job_folder and job_folder_absolute before a step was undone.
_remembered: dict[int, tuple[str, str]] = {}


def set_link(scene: bpy.types.Scene, folder: Path) -> None:
    """Link a scene to a job's folder."""
    folder = folder.resolve()
    settings = scene_settings(scene)
    settings.job_folder_absolute = str(folder)
    settings.job_folder = _relative(str(folder), bpy.data.filepath)
    settings.take_index = 0


def job_of(scene: bpy.types.Scene) -> JobFolder:
    """The scene's job. Raises JobError when there is none."""
    link = _link(scene)
    if not link[0]:
        raise JobError("This scene has no training yet; start one, or open an earlier one.")
    beside = os.path.normpath(bpy.path.abspath(link[0]))
    place = next((place for place in (beside, link[1]) if place and _has_job(place)), "")
    # A job that is nowhere to be found may be on a disk that comes back.
    place = place or known_place(scene) or beside
    _found[scene.session_uid] = (link, place)
    return JobFolder(place)


def known_place(scene: bpy.types.Scene) -> str:
    """Where the scene's job was last found, "" if it was not looked for. Touches no disk, so that panels may ask."""
    link, place = _found.get(scene.session_uid, (None, ""))
    return place if link == _link(scene) else ""


def remember() -> None:
    """Note the links of all scenes, for restore()."""
    for scene in bpy.data.scenes:
        _remembered[scene.session_uid] = _link(scene)[:2]


def restore() -> None:
    """Have all scenes linked as they were when they were noted: a step that is undone takes back no link."""
    for scene in bpy.data.scenes:
        link = _remembered.get(scene.session_uid, ("", ""))
        if link[0] and link != _link(scene)[:2]:
            scene_settings(scene).job_folder, scene_settings(scene).job_folder_absolute = link


def follow(blend: str) -> None:
    """Have the links lead from a .blend, that is being saved there, to where the jobs are now."""
    for scene in bpy.data.scenes:
        # Where the job was found before the .blend got its new place.
        link, place = _found.get(scene.session_uid, (("", "", ""), ""))
        if link[:2] != _link(scene)[:2] or not (blend and scene.is_editable):
            continue
        if not (os.path.isabs(place) and _has_job(place)):
            continue
        folder = _relative(place, blend)
        if (folder, place) != _link(scene)[:2]:
            scene_settings(scene).job_folder, scene_settings(scene).job_folder_absolute = folder, place
        _found[scene.session_uid] = (_link(scene), place)


def forget() -> None:
    """Another .blend was opened."""
    _found.clear()
    _remembered.clear()


def _link(scene: bpy.types.Scene) -> Link:
    settings = scene_settings(scene)
    return settings.job_folder, settings.job_folder_absolute, bpy.data.filepath


def _relative(folder: str, blend: str) -> str:
    if not blend:
        return folder
    try:
        return bpy.path.relpath(folder, start=os.path.dirname(blend))
    except ValueError:  # on another drive
        return folder


def _has_job(place: str) -> bool:
    try:
        return JobFolder(place).job_file.is_file()
    except (OSError, ValueError):
        return False
