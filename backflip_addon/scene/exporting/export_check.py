# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an exported file holds what it was to hold: armature, meshes, frames, size."""

from __future__ import annotations

import re
from pathlib import Path

import bpy
import numpy as np

from ... import compat
from ...core.exports import export_facts
from ...core.exports.export_facts import Facts
from ...core.reading import UnreadableFile
from ..armature.rig import read_rig
from ..importing import importer
from ..typed_data import current_scene, mesh_data, rest_bones
from .export_scene import ExportScene

_SAME_SIZE = 0.01  # share
_SAME_TIME = 0.5  # frames


def what_is_missing(path: Path, kind: str, staged: ExportScene, metres: float) -> list[str]:
    """A sentence for each thing that a file lacks; none where all is there. metres: a unit of the scene, in metres."""
    try:
        facts = _read(path, kind)
    except (UnreadableFile, importer.FileError) as error:
        return [f"{path.name} cannot be read back, look at it before you use it: {error}"]
    found = {_plain(name) for name in facts.meshes}
    lost = [ob.name for ob in staged.objects if _has_faces(ob) and _plain(ob.name) not in found]
    says = []
    if kind != "ALEMBIC" and facts.bones < len(rest_bones(staged.objects[0])):
        says.append(f"{path.name} holds {facts.bones} of {len(rest_bones(staged.objects[0]))} bones.")
    if lost and kind != "BVH":
        says.append(f"{path.name} lacks {', '.join(lost[:5])}{' and others' if len(lost) > 5 else ''}.")
    rate = staged.scene.render.fps / staged.scene.render.fps_base
    frames, wanted = facts.seconds * rate, staged.last - staged.first
    if abs(frames - wanted) > _SAME_TIME:
        says.append(f"{path.name} is {facts.seconds:.2f} s long instead of {wanted / rate:.2f} s.")
    size = export_facts.diagonal(read_rig(staged.objects[0], with_skin=False).heads) * metres
    if facts.size and kind != "ALEMBIC" and abs(facts.size - size) > _SAME_SIZE * size:
        says.append(f"{path.name} is {facts.size / size:.3g} times as large as the character.")
    return says


def _read(path: Path, kind: str) -> Facts:
    if kind == "FBX":
        return export_facts.of_fbx(path)
    if kind == "GLTF":
        return export_facts.of_gltf(path)
    return export_facts.of_bvh(path) if kind == "BVH" else _imported(path, kind)


def _imported(path: Path, kind: str) -> Facts:
    """What Blender itself finds in a file that nothing else here can read; it is taken out again."""
    if not compat.has_operator("wm.usd_import" if kind == "USD" else "wm.alembic_import"):
        raise importer.FileError("this Blender was built without its importer.")
    before = {name: set(getattr(bpy.data, name)) for name in importer.KINDS}
    scene = bpy.data.scenes.new("Backflip Check")
    render = current_scene().render
    scene.render.fps, scene.render.fps_base = render.fps, render.fps_base
    layer = scene.view_layers[0]
    try:
        with bpy.context.temp_override(scene=scene, view_layer=layer, collection=scene.collection, area=None):
            if kind == "USD":
                bpy.ops.wm.usd_import(filepath=str(path), set_frame_range=True, import_all_materials=False)
            else:
                bpy.ops.wm.alembic_import(filepath=str(path), set_frame_range=True, as_background_job=False)
            layer.update()
        new = list(scene.objects)
        armatures = [ob for ob in new if ob.type == "ARMATURE"]
        heads = [np.array(ob.matrix_world @ bone.head_local) for ob in armatures for bone in rest_bones(ob)]
        meshes = frozenset(name for ob in new if ob.type == "MESH" for name in (ob.name, mesh_data(ob).name))
        seconds = (scene.frame_end - scene.frame_start) / (render.fps / render.fps_base)
        return Facts(meshes, len(heads), seconds, export_facts.diagonal(np.array(heads).reshape(-1, 3)))
    except RuntimeError as error:
        raise importer.FileError(str(error).strip().splitlines()[-1]) from error
    finally:
        importer.remove_new(before)


def _has_faces(ob: bpy.types.Object) -> bool:
    return ob.type == "MESH" and len(mesh_data(ob).polygons) > 0


def _plain(name: str) -> str:
    """A name as all formats have it: some take letters, digits and _ alone, and importers number what is double."""
    return re.sub(r"\W", "_", re.sub(r"\.\d{3}$", "", name))
