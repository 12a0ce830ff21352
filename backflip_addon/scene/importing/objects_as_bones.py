# SPDX-License-Identifier: GPL-3.0-or-later
"""Skeletons of plain objects, as FBX brings them: captures of nulls, robots of rigid parts that hang on each other.

They become an armature with a bone for each object: its parts hang on the bones, its takes are actions of the
armature. Where the objects are is worked out from their channels; the scene's frame stays.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import bpy
import numpy as np
from mathutils import Euler, Matrix, Quaternion

from ... import compat
from ...core import rotations
from ...core.arrays import Array, IntArray
from ...core.reading import MOST_FRAMES
from ...core.rigs.joint_nodes import Node, skeletons
from ..animation.action_slots import plain_name
from ..animation.actions import Channel, new_action, write_channels
from ..typed_data import armature_data, current_scene, current_view_layer, ensure_animation_data, rest_bones, subtype

NODES_PROPERTY = "backflip_nodes"  # on an armature whose bones were plain nodes in its file
_MOST_PLACES = 1_000_000  # frames times objects of all takes
_SHORTEST = 1e-4  # of a bone, of the skeleton's size: shorter ones Blender drops

Curves = dict[tuple[str, int], bpy.types.FCurve]  # (RNA path, index) -> curve


@dataclasses.dataclass(frozen=True)
class Take:
    """An animation of objects. moved: their names. worlds: object's name -> world matrices (F, 4, 4) at frames (F,)."""

    name: str
    moved: frozenset[str]
    frames: IntArray
    worlds: dict[str, Array]


def with_bones(
    objects: list[bpy.types.Object], actions: list[bpy.types.Action], again: Callable[[], list[bpy.types.Object]]
) -> None:
    """Make an armature of each skeleton of objects, where an import brought no bones; else leave it as it is.

    again: takes the import out and brings the file's objects anew, without animation: as they rest. Raises ValueError.
    """
    if any(ob.type == "ARMATURE" and rest_bones(ob) for ob in objects):
        return
    moves = _moves(objects, actions)
    moved = {ob.name for curves in moves.values() for ob in curves}
    if not _skeletons(objects, moved):
        return
    takes = [_take(name, curves, objects) for name, curves in moves.items()]
    left = again()
    for joints in _skeletons(left, moved):
        left = _make_armature(joints, left, takes)
    current_view_layer().update()


def _skeletons(objects: list[bpy.types.Object], moved: set[str]) -> list[list[bpy.types.Object]]:
    index = {ob: i for i, ob in enumerate(objects)}
    below = _children(objects)
    nodes = [
        Node(
            tuple(index[child] for child in below[ob]),
            ob.type == "MESH",
            ob.type not in ("MESH", "EMPTY", "ARMATURE"),
            tuple(subtype(ob.location)),
        )
        for ob in objects
    ]
    found = skeletons(nodes, {index[ob] for ob in objects if ob.name in moved})
    return [[objects[i] for i in joints] for joints in found]


# Takes


def _moves(
    objects: list[bpy.types.Object], actions: list[bpy.types.Action]
) -> dict[str, dict[bpy.types.Object, Curves]]:
    """A take's name -> object -> its curves. Importers make an action a take, or one a take and object."""
    by_name = {plain_name(ob.name): ob for ob in objects} | {ob.name: ob for ob in objects}
    found: dict[str, dict[bpy.types.Object, Curves]] = defaultdict(dict)
    for action in actions:
        parts = action.name.split("|")
        take = "|".join(part for part in parts if part not in by_name) or action.name
        for slot in action.slots:
            ob = _animated(action, slot, objects) or by_name.get(slot.name_display) or by_name.get(parts[0])
            curves = {(curve.data_path, curve.array_index): curve for curve in compat.curves(action, slot)}
            if ob is not None and curves:
                found[take][ob] = curves
    return found


def _animated(action: bpy.types.Action, slot: Any, objects: list[bpy.types.Object]) -> bpy.types.Object | None:
    for ob in objects:
        data = ob.animation_data
        if data is not None and data.action == action and data.action_slot == slot:
            return ob
    return None


def _take(name: str, moves: dict[bpy.types.Object, Curves], objects: list[bpy.types.Object]) -> Take:
    ranges = [curve.range() for curves in moves.values() for curve in curves.values()]
    first, last = min(r[0] for r in ranges), max(r[1] for r in ranges)
    frames = np.arange(round(first), round(last) + 1)
    if len(frames) > MOST_FRAMES or len(frames) * len(objects) > _MOST_PLACES:
        raise ValueError(f"its animation {name} is too long for a skeleton of {len(objects)} objects.")
    worlds: dict[str, Array] = {}
    for ob in _parents_first(objects):
        local = [np.array(ob.matrix_parent_inverse @ _basis(ob, moves.get(ob, {}), float(f))) for f in frames]
        above = worlds.get(ob.parent.name) if ob.parent is not None else None
        worlds[ob.name] = np.array(local) if above is None else above @ np.array(local)
    return Take(name, frozenset(ob.name for ob in moves), frames, worlds)


def _basis(ob: bpy.types.Object, curves: Curves, frame: float) -> Matrix:
    """An object's own matrix at a frame, as its curves say, and where they say nothing as it is."""

    def values(path: str, now: Any) -> list[float]:
        keyed = (curves.get((path, i)) for i in range(4))
        return [value if curve is None else curve.evaluate(frame) for value, curve in zip(now, keyed, strict=False)]

    if ob.rotation_mode == "QUATERNION":
        turn: Quaternion | Euler = Quaternion(values("rotation_quaternion", ob.rotation_quaternion)).normalized()
    elif ob.rotation_mode == "AXIS_ANGLE":
        angle, *axis = subtype(ob.rotation_axis_angle)
        turn = Quaternion(axis, angle)
    else:
        turn = Euler(values("rotation_euler", ob.rotation_euler), ob.rotation_mode)
    return Matrix.LocRotScale(values("location", ob.location), turn, values("scale", ob.scale))


def _children(objects: list[bpy.types.Object]) -> dict[bpy.types.Object | None, list[bpy.types.Object]]:
    """The children of each object among the others; of None those that have no parent among them."""
    found: dict[bpy.types.Object | None, list[bpy.types.Object]] = {ob: [] for ob in (None, *objects)}
    for ob in objects:
        found[ob.parent if ob.parent in found else None].append(ob)
    return found


def _parents_first(objects: list[bpy.types.Object]) -> list[bpy.types.Object]:
    below = _children(objects)
    order = list(below[None])
    for ob in order:  # grows while it is walked
        order.extend(below[ob])
    return order


# The armature


def _make_armature(
    joints: list[bpy.types.Object], objects: list[bpy.types.Object], takes: list[Take]
) -> list[bpy.types.Object]:
    """The armature of some objects' skeleton; returns what is left of all objects."""
    current_view_layer().update()
    bones = _bone_names(joints)
    origin = {bone: ob.name for ob, bone in bones.items()}
    rest = {bone: _rigid(np.array(ob.matrix_world)) for ob, bone in bones.items()}
    parents = {bone: _bone_above(ob, bones) for ob, bone in bones.items()}
    holders = _above(joints[0])
    name = plain_name(holders[0].name) if holders else f"{bones[joints[0]]} Armature"
    armature = bpy.data.objects.new(name, bpy.data.armatures.new(name))
    armature[NODES_PROPERTY] = True
    current_scene().collection.objects.link(armature)
    _add_bones(armature, rest, parents)
    gone = {ob for ob in (*joints, *holders) if ob.type == "EMPTY"}
    kept = [ob for ob in objects if ob not in gone]
    _hang_parts(armature, bones, {ob: ob.matrix_world.copy() for ob in kept}, gone)
    bpy.data.batch_remove(list(gone))
    armature.name = armature_data(armature).name = name
    for take in takes:
        _key(armature, take, origin, rest, parents)
    return kept


def _bone_names(joints: list[bpy.types.Object]) -> dict[bpy.types.Object, str]:
    """A bone's name for each object: without the number behind a name that was taken in this file."""
    names = Counter(plain_name(ob.name) for ob in joints)
    return {ob: plain_name(ob.name) if names[plain_name(ob.name)] == 1 else ob.name for ob in joints}


def _above(ob: bpy.types.Object) -> list[bpy.types.Object]:
    """The object's parent, its parent, and so on."""
    line = []
    above = ob.parent
    while above is not None:
        line.append(above)
        above = above.parent
    return line


def _bone_above(ob: bpy.types.Object, bones: dict[bpy.types.Object, str]) -> str:
    """The bone of the nearest object above that has one, "" for none."""
    return next((bones[above] for above in _above(ob) if above in bones), "")


def _rigid(matrices: Array) -> Array:
    """Matrices (..., 4, 4) without scale and shear."""
    matrices = np.array(matrices, dtype=float)
    flat = matrices.reshape(-1, 4, 4)
    for matrix in flat:
        matrix[:3, :3] = np.array(Matrix(matrix[:3, :3]).to_quaternion().to_matrix())
    return matrices


def _add_bones(armature: bpy.types.Object, rest: dict[str, Array], parents: dict[str, str]) -> None:
    """A bone for each joint, from its place towards those below it."""
    heads = {name: matrix[:3, 3] for name, matrix in rest.items()}
    size = float(np.ptp(list(heads.values()), axis=0).max())
    layer = current_view_layer()
    layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")
    along: dict[str, Array] = {}
    for name, head in heads.items():
        below = [heads[child] for child, parent in parents.items() if parent == name]
        way = np.mean(below, axis=0) - head if below else along.get(parents[name], np.zeros(3)) * 0.5
        if np.linalg.norm(way) < max(_SHORTEST * size, 1e-5):
            way = np.array([0.0, 0.0, max(0.05 * size, 1e-3)])
        along[name] = way
        bone = armature_data(armature).edit_bones.new(name)
        bone.head, bone.tail = head.tolist(), (head + way).tolist()
        if parents[name]:
            bone.parent = armature_data(armature).edit_bones[parents[name]]
    bpy.ops.object.mode_set(mode="OBJECT")


def _hang_parts(
    armature: bpy.types.Object,
    bones: dict[bpy.types.Object, str],
    worlds: dict[bpy.types.Object, Matrix],
    gone: set[bpy.types.Object],
) -> None:
    """Parent what stood on a joint to its bone, where it is; what else stood on an object that goes stands alone."""
    for ob, name in [(ob, bones.get(ob) or _bone_above(ob, bones)) for ob in worlds]:
        if name and (ob in bones or ob.parent in bones):
            bone = rest_bones(armature)[name]
            tail = armature.matrix_world @ bone.matrix_local @ Matrix.Translation((0.0, bone.length, 0.0))
            ob.parent, ob.parent_type, ob.parent_bone = armature, "BONE", name
            ob.matrix_parent_inverse = tail.inverted() @ worlds[ob] @ ob.matrix_basis.inverted()
        elif ob.parent in gone:
            ob.parent = None
            ob.matrix_world = worlds[ob]


def _key(
    armature: bpy.types.Object, take: Take, origin: dict[str, str], rest: dict[str, Array], parents: dict[str, str]
) -> None:
    """A take as an action of the armature, where it moves any of its bones. origin: bone -> the object it was."""
    if not take.moved.intersection(origin.values()):
        return
    own = {bone.name: np.array(bone.matrix_local) for bone in rest_bones(armature)}
    poses = {name: _rigid(take.worlds[origin[name]]) @ np.linalg.inv(rest[name]) @ own[name] for name in rest}
    channels = []
    for name, parent in parents.items():
        still = np.linalg.inv(own[parent]) @ own[name] if parent else own[name]
        moved = np.linalg.inv(poses[parent]) @ poses[name] if parent else poses[name]
        basis = np.linalg.inv(still) @ moved
        orientations = rotations.continuous(rotations.from_matrix(basis[:, :3, :3]))
        path = f'pose.bones["{bpy.utils.escape_identifier(name)}"]'
        channels += [Channel(f"{path}.location", i, name, basis[:, i, 3]) for i in range(3)]
        channels += [Channel(f"{path}.rotation_quaternion", i, name, orientations[:, i]) for i in range(4)]
    action, slot, bag = new_action(take.name, armature.name)
    write_channels(bag, take.frames, channels)
    data = ensure_animation_data(armature)
    if data.action is None or np.ptp(subtype(data.action.frame_range)) < np.ptp(take.frames):
        data.action, data.action_slot = action, slot
