# SPDX-License-Identifier: GPL-3.0-or-later
"""Exporting a shot: the avatar, its meshes and the take that plays, in the formats of film and games.

The selection, the scene's range and the mode are as they were afterwards.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import bpy

from .. import compat
from .rig import bound_meshes

SUFFIXES = {"FBX": ".fbx", "USD": ".usdc", "ALEMBIC": ".abc", "GLTF": ".glb", "BVH": ".bvh"}
ACCEPTED = {"USD": (".usd", ".usdc", ".usda", ".usdz"), "GLTF": (".glb", ".gltf")}


class ExportError(Exception):
    """A shot that could not be written; the message is one sentence for the user."""


def export_shot(armature: bpy.types.Object, filepath: str, kind: str, first: int, last: int) -> Path:
    """Write the armature and what hangs on it, frames first to last; returns the file. Raises ExportError."""
    path = Path(bpy.path.abspath(filepath))
    if path.suffix.lower() not in ACCEPTED.get(kind, (SUFFIXES[kind],)):
        path = path.with_suffix(SUFFIXES[kind])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _only(armature, first, last):
            _WRITERS[kind](str(path), first, last)
    except (RuntimeError, OSError) as error:
        raise ExportError(f"{path} could not be written: {str(error).strip().splitlines()[-1]}") from error
    if not path.is_file() or path.stat().st_size == 0:
        raise ExportError(f"{path} could not be written: the exporter left no file.")
    return path


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
    """The armature and its meshes selected in object mode, the scene's range set to the shot's."""
    scene, layer = bpy.context.scene, bpy.context.view_layer
    frames = (scene.frame_start, scene.frame_end, scene.frame_current)
    active = layer.objects.active
    mode = active.mode if active else "OBJECT"
    selected = [ob for ob in layer.objects if ob.select_get()]
    hidden = armature.hide_get()
    if mode != "OBJECT":
        bpy.ops.object.mode_set(mode="OBJECT")
    try:
        armature.hide_set(False)
        wanted = {armature, *bound_meshes(armature)}
        for ob in layer.objects:
            ob.select_set(ob in wanted)
        layer.objects.active = armature
        scene.frame_start, scene.frame_end = first, last
        yield
    finally:
        armature.hide_set(hidden)
        scene.frame_start, scene.frame_end, frame = frames
        scene.frame_set(frame)
        for ob in layer.objects:
            ob.select_set(ob in selected)
        layer.objects.active = active
        if mode != "OBJECT":
            bpy.ops.object.mode_set(mode=mode)
