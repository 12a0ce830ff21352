# SPDX-License-Identifier: GPL-3.0-or-later
"""The .blend that a word works on: opened, its character found by name, its job found, and saved again."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import bpy

from ..jobs.folder import JobFolder
from ..jobs.json_files import JobError
from ..operators import job_link
from ..operators.known_job import avatar_of
from ..scene import stored_avatar
from ..scene.typed_data import current_scene, current_view_layer
from ..settings import scene_settings
from .console import HeadlessError, WrongUse

MOST_JOBS = 10_000  # folders that are looked into for jobs


@dataclasses.dataclass(frozen=True)
class Opened:
    """A .blend with the scene that was asked for and the character in it."""

    file: Path
    scene: bpy.types.Scene
    armature: bpy.types.Object


def open_blend(options: argparse.Namespace) -> Opened:
    """Open the .blend of the options. Raises HeadlessError and WrongUse."""
    file = Path(options.blend).resolve()
    if not file.is_file():
        raise WrongUse(f"{file} is a folder: name a .blend." if file.is_dir() else f"There is no file {file}.")
    try:
        bpy.ops.wm.open_mainfile(filepath=str(file), load_ui=False)
    except RuntimeError as error:
        raise HeadlessError(f"{file.name} cannot be opened: {sentence_of(error)}") from error
    scene = _scene(options.scene)
    _leave_edit_mode()
    return Opened(file, scene, find_character(scene, options.character))


def _scene(name: str) -> bpy.types.Scene:
    if not name:
        return current_scene()
    scene = bpy.data.scenes.get(name)
    if scene is None:
        raise WrongUse(f"There is no scene called {name}; there are: {', '.join(bpy.data.scenes.keys())}.")
    window = bpy.context.window
    if window is not None:
        window.scene = scene
    if current_scene() != scene:
        raise HeadlessError(f"This Blender cannot change to the scene {name}; save the file with that scene open.")
    return scene


def _leave_edit_mode() -> None:
    """Bones cannot be read or keyed while they are being edited, and a file may have been saved meanwhile."""
    layer = current_view_layer()
    active = layer.objects.active
    for ob in [ob for ob in layer.objects if ob.mode == "EDIT"]:
        layer.objects.active = ob
        bpy.ops.object.mode_set(mode="OBJECT")
    layer.objects.active = active


def find_character(scene: bpy.types.Scene, name: str) -> bpy.types.Object:
    """The armature called so; with no name the scene's avatar, or the one armature there is. Raises WrongUse."""
    armatures = [ob for ob in scene.objects if ob.type == "ARMATURE"]
    known = f"there are: {', '.join(ob.name for ob in armatures)}" if armatures else "the scene has none"
    if name:
        ob = stored_avatar.object_named(scene, name)
        if ob is not None and ob.type == "MESH":
            ob = ob.find_armature() or ob
        if ob is None or ob.type != "ARMATURE":
            raise WrongUse(f"There is no armature called {name} in the scene {scene.name}; {known}.")
        return ob
    avatar = scene_settings(scene).avatar
    if avatar is not None and avatar.name in scene.objects:
        return avatar
    if len(armatures) != 1:
        raise WrongUse(f"Name the character with --character; {known}.")
    return armatures[0]


def jobs_beside(blend: Path) -> list[JobFolder]:
    """The jobs in the folder beside a .blend, the latest last."""
    return jobs_in(blend.with_suffix(".backflip"))


def jobs_in(folder: Path) -> list[JobFolder]:
    """A folder's jobs, or itself where it is one, the latest last. Raises HeadlessError."""
    try:
        if (folder / "job.json").is_file():
            return [JobFolder(folder)]
        found = [each for each in sorted(folder.iterdir())[:MOST_JOBS] if (each / "job.json").is_file()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise HeadlessError(f"{folder} cannot be read: {error.strerror}.") from error
    return [JobFolder(each) for each in sorted(found, key=lambda each: (each / "job.json").stat().st_mtime)]


def find_job(opened: Opened, named: str) -> JobFolder:
    """The job that was named, else the one the .blend is linked to, else the character's latest beside the .blend.

    The scene is linked to it. Raises HeadlessError.
    """
    folder = JobFolder(Path(named).resolve()) if named else _own_job(opened)
    try:
        folder.read_job()
    except JobError as error:
        raise HeadlessError(str(error)) from error
    job_link.set_link(opened.scene, folder.path)
    settings = scene_settings(opened.scene)
    if settings.avatar != opened.armature:
        settings.avatar = opened.armature
    return folder


def _own_job(opened: Opened) -> JobFolder:
    if scene_settings(opened.scene).avatar in (None, opened.armature):
        try:
            linked = job_link.job_of(opened.scene)
            if linked.job_file.is_file():
                return linked
        except JobError:
            pass
    beside = [job for job in jobs_beside(opened.file) if avatar_of(job) == opened.armature.name]
    if not beside:
        raise HeadlessError(f"No job of {opened.armature.name} is known here: train first, or name one with --job.")
    return beside[-1]


def save(opened: Opened, options: argparse.Namespace, unasked: bool = False) -> str:
    """Save the .blend where the options say, or in its place where unasked; returns where, "" for nowhere.

    Raises HeadlessError.
    """
    target = Path(options.save_as).resolve() if options.save_as else opened.file
    if not (options.save_as or options.save or unasked):
        return ""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        bpy.ops.wm.save_as_mainfile(filepath=str(target), compress=False, check_existing=False)
    except (OSError, RuntimeError) as error:
        raise HeadlessError(f"{target} cannot be saved: {sentence_of(error)}") from error
    return str(target)


def sentence_of(error: Exception) -> str:
    """What an error says, without Blender's "Error:" before it, with a full stop."""
    words = str(getattr(error, "strerror", None) or error).removeprefix("Error: ").strip()
    return f"{(words.splitlines() or [type(error).__name__])[0].rstrip('.')}."
