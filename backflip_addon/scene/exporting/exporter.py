# SPDX-License-Identifier: GPL-3.0-or-later
"""Exporting a shot: the avatar, its meshes and the take that plays, in the formats of film and games.

Everything is written in metres and seconds, whatever the scene's units and frame rate, and read back enough to
know that it is there: armature, meshes, frames, size. The user's scene stays as it is (export_scene).
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import re
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import bpy
import numpy as np

from ... import compat
from ...core import rotations
from ...core.exports import bvh_writer, export_facts, gltf_writer
from ...core.exports.export_facts import Facts
from ...core.files import replace
from ...core.reading import UnreadableFile
from ..animation import pose_sampling
from ..animation.rotation_channels import to_channels
from ..armature.rig import read_rig
from ..importing import importer
from ..typed_data import current_scene, current_view_layer, mesh_data, rest_bones
from ..units import metres, scene_rate
from .export_scene import ExportScene, export_scene, scaled, with_parents

SUFFIXES = {"FBX": ".fbx", "USD": ".usdc", "ALEMBIC": ".abc", "GLTF": ".glb", "BVH": ".bvh"}
ACCEPTED = {"USD": (".usd", ".usdc", ".usda", ".usdz"), "GLTF": (".glb", ".gltf")}
ALL_SUFFIXES = tuple(suffix for kind, usual in SUFFIXES.items() for suffix in ACCEPTED.get(kind, (usual,)))

_SAME_SIZE = 0.01  # share
_SAME_TIME = 0.5  # frames


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


@dataclasses.dataclass(frozen=True)
class Exported:
    """A file that was written. warnings: sentences on what it lacks, or has otherwise than the shot."""

    path: Path
    frames: int
    meshes: int
    warnings: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """What was written, in one sentence."""
        meshes = f", {self.meshes} mesh{'es' if self.meshes != 1 else ''}" if self.path.suffix.lower() != ".bvh" else ""
        return f"Wrote {self.path}: {self.frames} frames{meshes}"


def export_shot(armature: bpy.types.Object, filepath: str, kind: str, first: int, last: int) -> Exported:
    """Write the armature and what hangs on it, frames first to last. Raises ExportError.

    A file that stands there already is replaced when the new one is complete, and not before.
    """
    path = Path(bpy.path.abspath(filepath))
    if not path.name or filepath.endswith(("/", "\\")):
        raise ExportError("Name the file to export to.")
    path = named_for(path, kind)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _object_mode(), export_scene(armature, first, last) as staged:
            _replace(path, lambda part: _WRITERS[kind](part, staged))
            warnings = what_is_missing(path, kind, staged, metres(staged.scene))
            if staged.shift and kind not in ("GLTF", "BVH"):  # which count from the first
                warnings.append(f"Its frames are {staged.shift} later than the scene's, for none can be below 0.")
            meshes = sum(ob.type == "MESH" for ob in staged.objects)
    except (RuntimeError, OSError) as error:
        raise ExportError(f"{path} could not be written: {_reason(error)}") from error
    return Exported(path, last - first + 1, meshes, tuple(warnings))


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
                replace(beside, path.with_name(beside.name))
        replace(part, path)


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
    part.touch()  # where nothing can be written the system says why, which few exporters do
    part.unlink()
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


_OF_SEVERAL = (".gltf", ".usdz")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror[:1].lower()}{error.strerror[1:]}."
    lines = [line for line in str(error).strip().splitlines() if not line.startswith(_BLENDERS_OWN)]
    return lines[-1] if lines else "nothing was said about why."


_BLENDERS_OWN = "Location: "  # the line of code that called the exporter, after all that went wrong


def _fbx(path: str, staged: ExportScene) -> None:
    if not compat.ensure_addon("io_scene_fbx"):
        raise RuntimeError("this Blender has no FBX exporter")
    bpy.ops.export_scene.fbx(
        filepath=path,
        use_selection=False,
        object_types={"ARMATURE", "MESH", "EMPTY", "OTHER"},
        add_leaf_bones=False,
        bake_anim=True,
        bake_anim_use_nla_strips=False,  # the scene as it plays, the take alone
        bake_anim_use_all_actions=False,
        bake_anim_simplify_factor=0.0,
    )


def _usd(path: str, staged: ExportScene) -> None:
    _need("wm.usd_export", "USD")
    with scaled(staged, metres(staged.scene)):  # the exporter takes a unit for a metre
        bpy.ops.wm.usd_export(filepath=path, export_animation=True, export_armatures=True)


def _alembic(path: str, staged: ExportScene) -> None:
    _need("wm.alembic_export", "Alembic")
    bpy.ops.wm.alembic_export(
        filepath=path,
        start=staged.first,
        end=staged.last,
        global_scale=metres(staged.scene),
        as_background_job=False,
    )


def _gltf(path: str, staged: ExportScene) -> None:
    compat.ensure_addon("io_scene_gltf2")
    render = staged.scene.render
    render.fps_base = 1.0 / render.fps_base  # the exporter multiplies by it where it should divide
    with with_parents(staged):  # the exporter finds objects from their topmost parents down
        bpy.ops.export_scene.gltf(
            filepath=path,
            export_format="GLTF_SEPARATE" if path.lower().endswith(".gltf") else "GLB",
            use_active_scene=True,
            use_selection=True,  # not the parents, nor their other children
            export_animations=True,
            export_animation_mode="SCENE",  # the scene as it plays, the take alone
            export_anim_scene_split_object=False,  # readers play one animation at a time
            export_frame_range=True,
            export_force_sampling=True,
            export_optimize_animation_size=False,
        )
    render.fps_base = 1.0 / render.fps_base
    gltf_writer.finish(Path(path), metres(staged.scene))  # the exporter knows no unit but the metre


def _bvh(path: str, staged: ExportScene) -> None:
    armature, scale = staged.objects[0], metres(staged.scene)
    frames = range(staged.first, staged.last + 1)
    rig = read_rig(armature, with_skin=False)
    rest, matrices = np.array(rig.rest), pose_sampling.sample_poses(armature, frames)
    rest[:, :3, 3] *= scale
    matrices[..., :3, 3] *= scale
    orientations = rotations.from_matrix(bvh_writer.local_rotations(rest, matrices, rig.parents))
    eulers = to_channels(orientations, "XYZ")
    text = bvh_writer.bvh_text(
        rig.bones, rig.parents, rest, rig.tails * scale, matrices, eulers, scene_rate(staged.scene), armature.name
    )
    Path(path).write_text(text, encoding="utf-8")


def _need(operator: str, name: str) -> None:
    """Raises ExportError where this Blender was built without a format."""
    if not compat.has_operator(operator):
        raise ExportError(
            f"This Blender was built without {name}: choose another format, or use the one from blender.org."
        )


_WRITERS = {"FBX": _fbx, "USD": _usd, "ALEMBIC": _alembic, "GLTF": _gltf, "BVH": _bvh}


@contextlib.contextmanager
def _object_mode() -> Iterator[None]:
    """Object mode inside, the mode that was again afterwards."""
    active = current_view_layer().objects.active
    mode = active.mode if active else "OBJECT"
    if mode != "OBJECT":
        bpy.ops.object.mode_set(mode="OBJECT")
    try:
        yield
    finally:
        if mode != "OBJECT":
            bpy.ops.object.mode_set(mode=mode)


def what_is_missing(path: Path, kind: str, staged: ExportScene, metres: float) -> list[str]:
    """A sentence for each thing that a file lacks; none where all is there. metres: a unit of the scene, in metres."""
    try:
        facts = _read_back(path, kind)
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


def _read_back(path: Path, kind: str) -> Facts:
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
