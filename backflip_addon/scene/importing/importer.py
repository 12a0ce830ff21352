# SPDX-License-Identifier: GPL-3.0-or-later
"""Bringing rigs and clips in from files. A file that is refused leaves nothing behind.

Blender's importers believe what a file says of its sizes; so it is checked first (core.formats, core.clips.bvh).
A stranger's .blend is linked or appended as data: its scripts and drivers run only where the user has switched on
Blender's own Auto Run Python Scripts, which nothing here does.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ... import compat
from ...core.clips import bvh
from ...core.formats import fbx_limits, gltf_limits, gltf_nodes_as_bones
from ...core.reading import MOST_FRAMES, finite
from ...core.rigs import roles
from ...core.slices import Slices, apart, at_once
from ..armature.hierarchy import attached_objects
from ..armature.rig import VRM_PROPERTY, bound_meshes, read_rig
from ..typed_data import current_scene, current_view_layer, rest_bones, subtype
from . import objects_as_bones, refusal_messages
from .gltf_import import import_gltf
from .objects_as_bones import NODES_PROPERTY

RATE_PROPERTY = "backflip_rate"  # on an imported action: frames per second its keys were made for
GLTF_RATE = 60  # glTF's keys lie at seconds; they are put on this many frames a second
SOURCES = "Backflip Sources"  # the hidden collection of clips' armatures

RIG_SUFFIXES = (".fbx", ".glb", ".gltf", ".vrm", ".blend", ".bvh")
CLIP_SUFFIXES = (".bvh", ".txt", ".json", ".npz", ".fbx", ".glb", ".gltf", ".vrma")


class FileError(Exception):
    """A file that cannot be used; the message is one sentence for the user."""


@dataclasses.dataclass(frozen=True)
class Imported:
    """What a file brought into the scene."""

    objects: list[bpy.types.Object]
    actions: list[bpy.types.Action]
    before: dict[str, set[Any]]  # what the file held before it

    @property
    def armatures(self) -> list[bpy.types.Object]:
        """The armature objects among what came."""
        return [ob for ob in self.objects if ob.type == "ARMATURE"]


def import_rig(filepath: str, link: bool = False) -> tuple[bpy.types.Object, Imported]:
    """Import a character; returns its armature object. Raises FileError, and then leaves nothing behind.

    link: link the character of a .blend and override it here, instead of appending it.
    """
    return at_once(import_rig_slices(filepath, link))


def import_rig_slices(filepath: str, link: bool = False) -> Slices[tuple[bpy.types.Object, Imported]]:
    """import_rig() in slices, of which Blender's own importer is one."""
    path = _existing(filepath, RIG_SUFFIXES)
    if link and path.suffix.lower() != ".blend":
        raise FileError(f"{path.name} cannot be linked: only a .blend can; import it without Link.")
    imported = yield from import_slices(path, link)
    armatures = [ob for ob in imported.armatures if ob.library is None]
    if not armatures:
        holds = refusal_messages.contents(imported.objects, "armature")
        remove(imported)
        raise FileError(f"{path.name} holds {holds}: choose a file with a rigged character.")
    armature = max(armatures, key=_fitness) if len(armatures) > 1 else armatures[0]
    _keep_hints(path, [armature])
    return armature, imported


def import_clip_slices(filepath: str) -> Slices[Imported]:
    """Import an FBX or glTF clip into the hidden collection; Blender's own importer is one slice.

    Raises FileError, leaving nothing behind.
    """
    path = _existing(filepath, CLIP_SUFFIXES)
    imported = yield from import_slices(path)
    if not imported.armatures or not imported.actions:
        words = refusal_messages.no_clip(imported.objects, bool(imported.actions))
        remove(imported)
        raise FileError(f"{path.name} {words}")
    _keep_hints(path, imported.armatures)
    _put_away(imported.objects)
    return imported


def _fitness(armature: bpy.types.Object) -> tuple[bool, int, int, int]:
    """How much of a character an armature is: whether it moves meshes, body parts that are found, meshes, bones."""
    lacking = roles.missing(roles.guess(read_rig(armature, with_skin=False)))
    meshes = len(bound_meshes(armature))
    return meshes > 0, -len(lacking), meshes, len(rest_bones(armature))


def _keep_hints(path: Path, armatures: list[bpy.types.Object]) -> None:
    """Note on armatures which bones the file itself says are which (VRM)."""
    hints = vrm_hints(path)
    for armature in armatures:
        if names := _bone_names(hints, armature):
            armature[VRM_PROPERTY] = json.dumps(names)


def import_slices(path: Path, link: bool = False) -> Slices[Imported]:
    """Import everything in a file, with the scene's settings and selection as they were. Raises FileError."""
    yield from apart(check_sizes, path)
    imported = _import_checked(path, link)
    try:
        yield None
    except GeneratorExit:
        remove(imported)
        raise
    return imported


def _import_checked(path: Path, link: bool) -> Imported:
    before = {kind: set(getattr(bpy.data, kind)) for kind in KINDS}
    suffix = path.suffix.lower()
    with _scene_kept() as scene:
        try:
            if suffix == ".blend":
                (_link if link else _append)(path)
            elif suffix == ".bvh":
                compat.ensure_addon("io_anim_bvh")
                bpy.ops.import_anim.bvh(filepath=str(path), update_scene_fps=False)
            elif suffix == ".fbx":
                _import_fbx(path, before)
            else:
                scene.render.fps, scene.render.fps_base = GLTF_RATE, 1.0
                _import_gltf(path, before)
            rate = scene.render.fps / scene.render.fps_base
            _check_numbers(before)
        except Exception as error:  # whatever a damaged file makes of an importer
            remove_new(before)
            raise FileError(f"{path.name} cannot be imported: {_sentence(error)}") from error
    new = {kind: _new(kind, before) for kind in KINDS}
    if suffix != ".blend":  # keys in a .blend are at its own scene's rate, which is not told
        for action in new["actions"]:
            action[RATE_PROPERTY] = rate
    current_view_layer().update()
    return Imported(new["objects"], new["actions"], before)


def _import_fbx(path: Path, before: dict[str, set[Any]]) -> None:
    """Import an FBX, with plain nodes as bones where it has no bones. Raises RuntimeError or ValueError."""
    reader = _read_fbx(path, before)
    render = current_scene().render
    rate = render.fps, render.fps_base

    def again() -> list[bpy.types.Object]:
        remove_new(before)
        reader(str(path), animation=False)
        render.fps, render.fps_base = rate
        return _new("objects", before)

    objects_as_bones.with_bones(_new("objects", before), _new("actions", before), again)


def _read_fbx(path: Path, before: dict[str, set[Any]]) -> Callable[..., None]:
    """Import an FBX with the add-on's reader; what that cannot read, with Blender's newer one. Returns which."""
    if fbx_limits.is_old_or_text(path):
        compat.import_any_fbx(str(path))
        return compat.import_any_fbx
    render = current_scene().render
    rate = render.fps, render.fps_base
    try:
        compat.import_fbx(str(path))
        return compat.import_fbx
    except Exception:  # its reader meets a damaged file, or one it does not know, with errors of a dozen kinds
        remove_new(before)
        render.fps, render.fps_base = rate
        compat.import_any_fbx(str(path))
        return compat.import_any_fbx


def _new(kind: str, before: dict[str, set[Any]]) -> list[Any]:
    return [item for item in getattr(bpy.data, kind) if item not in before[kind]]


def remove(imported: Imported) -> None:
    """Take an import out of the file again, with everything that came with it."""
    remove_new(imported.before)


# Every kind of data-block that can be taken out of a file; shape keys go with what they belong to. Libraries last:
# what is linked from them goes first.
_KEPT_KINDS = ("shape_keys", "window_managers", "screens", "workspaces")
KINDS = sorted(
    (kind.identifier for kind in bpy.types.BlendData.bl_rna.properties if kind.type == "COLLECTION"),
    key=lambda kind: (kind == "libraries", kind != "objects"),
)
KINDS = [kind for kind in KINDS if kind not in _KEPT_KINDS]


def remove_new(before: dict[str, set[Any]]) -> None:
    """Take out of the file all that was not in it before: kind of data-block -> those that were there."""
    if bpy.context.mode != "OBJECT":  # where an importer failed while it was editing
        with contextlib.suppress(RuntimeError):
            bpy.ops.object.mode_set(mode="OBJECT")
    for kind, old in before.items():
        bpy.data.batch_remove([item for item in getattr(bpy.data, kind) if item not in old])
    current_view_layer().update()  # or it lists what is gone


def check_sizes(path: Path) -> None:
    """Whether a file's sizes are sound and its numbers finite, before an importer is given it. Raises FileError."""
    try:
        if path.suffix.lower() in (".glb", ".gltf", ".vrm"):
            gltf_limits.read_gltf(path)
        elif path.suffix.lower() == ".fbx":
            fbx_limits.check_fbx(path)
        elif path.suffix.lower() == ".bvh":
            bvh.read_bvh(path)
    except ValueError as error:
        raise FileError(str(error)) from error


def _check_numbers(before: dict[str, set[Any]]) -> None:
    """Whether what is new in the file is placed and moved by finite numbers alone. Raises ValueError."""
    for armature in bpy.data.armatures:
        if armature not in before["armatures"] and armature.bones:
            positions = np.zeros(16 * len(armature.bones), np.float32)
            armature.bones.foreach_get("matrix_local", positions)
            if not finite(positions):
                raise ValueError("its bones have numbers that are not finite.")
    for ob in bpy.data.objects:
        if ob not in before["objects"] and not finite(np.array(ob.matrix_basis)):
            raise ValueError(f"the place of {ob.name} is not finite.")
    for action in bpy.data.actions:
        if action not in before["actions"]:
            _check_keys(action)


def _check_keys(action: bpy.types.Action) -> None:
    for curve in (curve for slot in action.slots for curve in compat.curves(action, slot)):
        keys = np.zeros(2 * len(curve.keyframe_points), np.float32)
        curve.keyframe_points.foreach_get("co", keys)
        if not finite(keys):
            raise ValueError("its animation has numbers that are not finite.")
        if keys.size and np.ptp(keys[::2]) > MOST_FRAMES:
            raise ValueError(f"its animation is longer than {MOST_FRAMES:,} frames.")


def _existing(filepath: str, suffixes: tuple[str, ...]) -> Path:
    path = Path(bpy.path.abspath(filepath))
    if path.suffix.lower() not in suffixes:
        raise FileError(refusal_messages.unknown_kind(path, suffixes, of_a_rig=suffixes == RIG_SUFFIXES))
    try:
        ordinary = stat.S_ISREG(path.stat().st_mode)  # a pipe would hold the window for ever
    except FileNotFoundError:
        raise FileError(f"{path} does not exist: choose another file.") from None
    except (OSError, ValueError) as error:
        words = getattr(error, "strerror", None) or "its name is none"
        raise FileError(f"{path.name!r} cannot be read: {words}.") from error
    if not ordinary:
        raise FileError(f"{path.name} is not a regular file: choose another one.")
    return path


_MOST_WORDS = 200


def _sentence(error: Exception) -> str:
    """What went wrong, in one line; of an operator's error, which holds a whole traceback, what its last line says."""
    if not isinstance(error, (RuntimeError, OSError, ValueError)):
        return "it is damaged."
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if any(line.endswith("Traceback (most recent call last):") for line in lines):
        return "it is damaged, or of a kind that Blender's importer does not support."
    words = lines[-1].removeprefix("Error: ") if lines else "it is damaged"
    if "Cannot import file" in words:  # FBX's newer reader, which gives the path and a word for programmers
        return "it is damaged, or of a kind that Blender's importer does not support."
    if "decoder library not found" in words:
        return "it is packed with meshopt, which this Blender was built without; export it again without."
    if unknown := re.match(r"Extension (\w+) is not available", words):  # glTF's
        return f"it needs {unknown[1]}, which this Blender does not read; export it again without."
    return f"{words[:_MOST_WORDS].rstrip('.')}."


@contextlib.contextmanager
def _scene_kept() -> Iterator[bpy.types.Scene]:
    """Object mode inside; afterwards the scene's rate and range, the selection and the mode as they were."""
    scene, layer = current_scene(), current_view_layer()
    settings = (scene.render.fps, scene.render.fps_base, scene.frame_start, scene.frame_end, scene.frame_current)
    active = layer.objects.active
    mode = active.mode if active else "OBJECT"
    selected = [ob for ob in layer.objects if ob.select_get()]
    if mode != "OBJECT":
        bpy.ops.object.mode_set(mode="OBJECT")
    try:
        yield scene
    finally:
        scene.render.fps, scene.render.fps_base, scene.frame_start, scene.frame_end, frame = settings
        if scene.frame_current != frame:
            scene.frame_set(frame)
        for ob in layer.objects:
            ob.select_set(ob in selected)
        layer.objects.active = active
        if mode != "OBJECT":
            bpy.ops.object.mode_set(mode=mode)


def _append(path: Path) -> None:
    """Append the armatures of a .blend with what hangs on them."""
    with subtype(bpy.data.libraries).load(str(path), link=False) as (source, target):
        target.objects = source.objects
    loaded = [ob for ob in target.objects if ob is not None]
    kept: set[bpy.types.Object] = set()
    for armature in (ob for ob in loaded if ob.type == "ARMATURE"):
        kept.update([armature, *attached_objects(armature)])
        while armature.parent is not None:
            armature = armature.parent
            kept.add(armature)
    for ob in kept:
        current_scene().collection.objects.link(ob)
    bpy.data.batch_remove([ob for ob in loaded if ob not in kept and ob.users == 0])


def _link(path: Path) -> None:
    """Link the collection of a .blend that holds its armatures, and override all of it in this file."""
    with subtype(bpy.data.libraries).load(str(path), link=True) as (source, target):
        target.collections = source.collections
    rigged = [c for c in target.collections if any(ob.type == "ARMATURE" for ob in c.all_objects)]
    if not rigged:
        raise ValueError("its armature is in no collection, and only a collection can be linked; append it instead.")
    # The one that holds most of a character, and the least besides
    collection = max(rigged, key=lambda c: (_bound_within(c), -len(c.all_objects)))
    scene = current_scene()
    scene.collection.children.link(collection)
    collection.override_hierarchy_create(scene, current_view_layer(), do_fully_editable=True)
    if collection.name in scene.collection.children and scene.collection.children[collection.name] == collection:
        scene.collection.children.unlink(collection)


def _bound_within(collection: bpy.types.Collection) -> int:
    """How many meshes of a collection are moved by its armatures."""
    objects = set(collection.all_objects)
    return sum(mesh in objects for ob in objects if ob.type == "ARMATURE" for mesh in bound_meshes(ob))


def _put_away(objects: list[bpy.types.Object]) -> None:
    """Move objects into the hidden collection of sources."""
    collection = bpy.data.collections.get(SOURCES) or bpy.data.collections.new(SOURCES)
    if collection.name not in current_scene().collection.children:
        current_scene().collection.children.link(collection)
    for ob in objects:
        for user in list(ob.users_collection):
            user.objects.unlink(ob)
        collection.objects.link(ob)
    collection.hide_viewport = True
    collection.hide_render = True


# glTF and VRM


def _import_gltf(path: Path, before: dict[str, set[Any]]) -> None:
    """Import glTF in any of its wrappings; a VRM file is a GLB by another name."""
    with_bones = gltf_nodes_as_bones.with_bones(path)
    if with_bones is None and path.suffix.lower() in (".glb", ".gltf"):
        import_gltf(str(path))
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / f"{path.stem}.glb"
        if with_bones is None:
            shutil.copyfile(path, copy)
        else:
            copy.write_bytes(with_bones)
        import_gltf(str(copy))
    if with_bones is not None:
        for ob in bpy.data.objects:
            if ob.type == "ARMATURE" and ob not in before["objects"]:
                ob[NODES_PROPERTY] = True


def vrm_hints(path: Path) -> dict[str, str]:
    """VRM's humanoid map of a file: VRM's bone name -> node name; empty when there is none."""
    if path.suffix.lower() not in (".vrm", ".glb", ".gltf"):
        return {}
    try:
        content = gltf_limits.read_content(path)
        nodes = [str(node.get("name", "")) for node in content.get("nodes", [])]
        return {name: nodes[node] for name, node in gltf_nodes_as_bones.humanoid(content).items() if nodes[node]}
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, OSError):
        return {}  # the names on the bones will have to do


def _bone_names(hints: dict[str, str], armature: bpy.types.Object) -> dict[str, str]:
    """Node names as Blender's bones bear them: cut to 63 bytes."""
    names = {name: node.encode()[:63].decode(errors="ignore") for name, node in hints.items()}
    return {name: bone for name, bone in names.items() if bone in rest_bones(armature)}
