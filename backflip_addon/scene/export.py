# SPDX-License-Identifier: GPL-3.0-or-later
"""Exporting a shot: the avatar, its meshes and the take that plays, in the formats of film and games.

The selection, the scene's range and the mode are as they were afterwards.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import bpy

from .. import compat
from .rig import bound_meshes

SUFFIXES = {"FBX": ".fbx", "USD": ".usdc", "ALEMBIC": ".abc", "GLTF": ".glb", "BVH": ".bvh"}
ACCEPTED = {"USD": (".usd", ".usdc", ".usda", ".usdz"), "GLTF": (".glb", ".gltf")}
ALL_SUFFIXES = tuple(suffix for kind, usual in SUFFIXES.items() for suffix in ACCEPTED.get(kind, (usual,)))


class ExportError(Exception):
    """A shot that could not be written; the message is one sentence for the user."""


def kind_of(path: Path) -> str:
    """The format that a file's ending stands for, "" for none."""
    suffix = path.suffix.lower()
    return next((kind for kind in SUFFIXES if suffix in _accepted(kind)), "")


def named_for(path: Path, kind: str) -> Path:
    """A path with an ending of the format: one that says something else is kept and the format's is added."""
    return path if path.suffix.lower() in _accepted(kind) else path.with_name(path.name + SUFFIXES[kind])


def _accepted(kind: str) -> tuple[str, ...]:
    return ACCEPTED.get(kind, (SUFFIXES[kind],))


def export_shot(armature: bpy.types.Object, filepath: str, kind: str, first: int, last: int) -> Path:
    """Write the armature and what hangs on it, frames first to last; returns the file. Raises ExportError.

    A file that stands there already is replaced when the new one is complete, and not before.
    """
    path = Path(bpy.path.abspath(filepath))
    if not path.name or filepath.endswith(("/", "\\")):
        raise ExportError("Name the file to export to.")
    path = named_for(path, kind)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _only(armature, first, last):
            _replace(path, lambda part: _WRITERS[kind](part, first, last))
    except (RuntimeError, OSError) as error:
        raise ExportError(f"{path} could not be written: {_reason(error)}") from error
    return path


def _replace(path: Path, write: Callable[[str], object]) -> None:
    """Have a file written under another name, and give it its own when it is complete.

    Raises RuntimeError, OSError or ExportError.
    """
    path = path.resolve()  # where the user's own link leads
    if path.exists() and not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, "the file is protected against writing")
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "it is a folder")
    with _part(path) as part:
        write(str(part))
        if not part.is_file() or part.stat().st_size == 0:
            raise RuntimeError("the exporter left no file.")
        for beside in part.parent.iterdir() if part.name == path.name else ():
            if beside != part:
                os.replace(beside, path.with_name(beside.name))
        os.replace(part, path)


@contextlib.contextmanager
def _part(path: Path) -> Iterator[Path]:
    """A name to write a file under, on the same disk; nothing is left there.

    Files that are told their own name, or bring others with them, get a folder; for the rest it would be
    one too many in the paths they tell.
    """
    if path.suffix.lower() in _OF_SEVERAL:
        with tempfile.TemporaryDirectory(prefix=".backflip-", dir=path.parent) as folder:
            yield Path(folder) / path.name
        return
    part = path.with_name(f".backflip-{uuid.uuid4().hex[:12]}{path.suffix}")
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


_OF_SEVERAL = (".gltf", ".usdz")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror[:1].lower()}{error.strerror[1:]}."
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else "nothing was said about why."


def _fbx(path: str, _first: int, _last: int) -> None:
    if not compat.ensure_addon("io_scene_fbx"):
        raise RuntimeError("this Blender has no FBX exporter")
    bpy.ops.export_scene.fbx(
        filepath=path,
        use_selection=True,
        object_types={"ARMATURE", "MESH"},
        add_leaf_bones=False,
        bake_anim=True,
        bake_anim_use_nla_strips=False,  # the scene as it plays, the take alone
        bake_anim_use_all_actions=False,
        bake_anim_simplify_factor=0.0,
    )


def _usd(path: str, _first: int, _last: int) -> None:
    bpy.ops.wm.usd_export(filepath=path, selected_objects_only=True, export_animation=True, export_armatures=True)


def _alembic(path: str, first: int, last: int) -> None:
    bpy.ops.wm.alembic_export(filepath=path, start=first, end=last, selected=True, as_background_job=False)


def _gltf(path: str, _first: int, _last: int) -> None:
    compat.ensure_addon("io_scene_gltf2")
    bpy.ops.export_scene.gltf(
        filepath=path,
        export_format="GLTF_SEPARATE" if path.lower().endswith(".gltf") else "GLB",
        use_selection=True,
        export_animations=True,
        export_animation_mode="SCENE",  # the scene as it plays, the take alone
        export_frame_range=True,
        export_force_sampling=True,
        export_optimize_animation_size=False,
    )


def _bvh(path: str, first: int, last: int) -> None:
    compat.ensure_addon("io_anim_bvh")
    bpy.ops.export_anim.bvh(filepath=path, frame_start=first, frame_end=last, root_transform_only=False)


_WRITERS = {"FBX": _fbx, "USD": _usd, "ALEMBIC": _alembic, "GLTF": _gltf, "BVH": _bvh}


@contextlib.contextmanager
def _only(armature: bpy.types.Object, first: int, last: int) -> Iterator[None]:
    """The armature and its meshes selected in object mode, the scene's range set to the shot's.

    Raises ExportError for an armature that is not in the view layer.
    """
    scene, layer = bpy.context.scene, bpy.context.view_layer
    if layer.objects.get(armature.name) != armature:
        raise ExportError(
            f"{armature.name} is not in the view layer {layer.name}: switch its collection on in the Outliner."
        )
    frames = (scene.frame_start, scene.frame_end, scene.frame_current)
    active = layer.objects.active
    mode = active.mode if active else "OBJECT"
    selected = [ob for ob in layer.objects if ob.select_get()]
    wanted = {armature, *bound_meshes(armature)}
    if mode != "OBJECT":
        bpy.ops.object.mode_set(mode="OBJECT")
    try:
        with _selectable(armature), bpy.context.temp_override(area=None):  # no local view hides anything
            for ob in layer.objects:
                ob.select_set(ob in wanted)
            layer.objects.active = armature
            scene.frame_start, scene.frame_end = first, last
            yield
    finally:
        scene.frame_start, scene.frame_end, frame = frames
        scene.frame_set(frame)
        for ob in layer.objects:
            ob.select_set(ob in selected)
        layer.objects.active = active
        if mode != "OBJECT":
            bpy.ops.object.mode_set(mode=mode)


@contextlib.contextmanager
def _selectable(armature: bpy.types.Object) -> Iterator[None]:
    """The armature visible and selectable; collections that are hidden whole are left to the user."""
    before = (armature.hide_get(), armature.hide_viewport, armature.hide_select)
    try:
        armature.hide_viewport = armature.hide_select = False
        armature.hide_set(False)
        bpy.context.view_layer.update()
        if not armature.visible_get():
            raise ExportError(f"{armature.name} is in a hidden collection: show that in the Outliner first.")
        yield
    finally:
        armature.hide_set(before[0])
        armature.hide_viewport, armature.hide_select = before[1:]
