# SPDX-License-Identifier: GPL-3.0-or-later
"""What hangs on an armature, through modifiers, parents and constraints, to any depth; and on which of its bones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import bpy
import numpy as np

from ...core.arrays import Array
from ..typed_data import mesh_data, pose_bones, rest_bones, subtype

# Constraints that carry an object along, rather than turn or limit it; the last does with a Copy Rotation.
_CARRYING = ("CHILD_OF", "ARMATURE", "COPY_TRANSFORMS", "COPY_LOCATION")
_FOLLOWING = (*_CARRYING, "COPY_ROTATION")
# Modifiers whose object carries the mesh along. Surface Deform calls it target.
_DEFORMING = ("ARMATURE", "HOOK", "LATTICE", "CURVE", "MESH_DEFORM", "SURFACE_DEFORM")
_BENT = ("MESH", "CURVE", "SURFACE", "FONT", "LATTICE", "CURVES", "GREASEPENCIL", "VOLUME", "META", "POINTCLOUD")
_GOOD_PART = 0.25  # of an armature's bones
_OFTEN = 64  # objects in a line of parents; parents cannot form a ring, constraints can


def attached_objects(armature: bpy.types.Object) -> list[bpy.types.Object]:
    """Every object of the file that moves with the armature object or its bones, carriers before the carried.

    The armature itself is not among them; nor are its own parents. Objects of any type, hidden or not.
    """
    carried: dict[bpy.types.Object, list[bpy.types.Object]] = defaultdict(list)
    for ob in bpy.data.objects:
        for carrier in _carriers(ob):
            carried[carrier].append(ob)
    found: dict[bpy.types.Object, None] = {}
    waiting = [armature]
    for above in waiting:  # grows while it is walked
        for ob in carried[above]:
            if ob not in found and ob != armature:
                found[ob] = None
                waiting.append(ob)
    return list(found)


def _carriers(ob: bpy.types.Object) -> Iterator[bpy.types.Object]:
    """The objects that an object hangs on."""
    if ob.parent is not None:
        yield ob.parent
    yield from _tied_to(ob)


def _tied_to(ob: bpy.types.Object) -> Iterator[bpy.types.Object]:
    """The objects that an object follows otherwise than as their child."""
    for modifier in map(subtype, ob.modifiers) if ob.type in _BENT else ():
        if modifier.type in _DEFORMING:
            other = modifier.target if modifier.type == "SURFACE_DEFORM" else modifier.object
            if other is not None:
                yield other
    yield from (target for target, _bone, _rigid in _constraint_targets(ob))
    if ob.type == "ARMATURE":
        yield from {target: None for target in _copied_armatures(ob)}


def _constraint_targets(ob: bpy.types.Object) -> Iterator[tuple[bpy.types.Object, str, bool]]:
    """What an object's constraints have it follow, the last one, which decides, first: objects, bones of theirs, and
    whether in everything.
    """
    if not len(ob.constraints):
        return
    active = [c for c in map(subtype, ob.constraints) if c.type in _FOLLOWING and not c.mute and c.influence > 0.0]
    turned = {(c.target, c.subtarget) for c in active if c.type == "COPY_ROTATION"}
    for constraint in reversed(active):
        if constraint.type not in _CARRYING:
            continue
        if constraint.type == "COPY_LOCATION" and (constraint.target, constraint.subtarget) not in turned:
            continue
        targets = constraint.targets if constraint.type == "ARMATURE" else [constraint]
        heaviest = sorted(targets, key=lambda target: -getattr(target, "weight", 1.0))
        for target in heaviest:
            if target.target is not None:
                yield target.target, target.subtarget, len(heaviest) == 1 and _is_whole(constraint)


def _is_whole(constraint: bpy.types.Constraint) -> bool:
    """Whether a constraint has an object follow in place and rotation, by full influence."""
    parts = [f"use_{part}_{axis}" for part in ("location", "rotation") for axis in "xyz"]
    return constraint.influence > 0.999 and all(getattr(constraint, part, True) for part in parts)


def is_deformed(ob: bpy.types.Object, armature: bpy.types.Object) -> bool:
    """Whether the armature bends the object, through a modifier or as a parent that deforms."""
    if ob.parent == armature and ob.parent_type == "ARMATURE":
        return True
    return any(isinstance(m, bpy.types.ArmatureModifier) and m.object == armature for m in ob.modifiers)


def carrying_bone(ob: bpy.types.Object, armature: bpy.types.Object) -> str:
    """The bone that an object moves rigidly with, through whatever hangs between; "" for none."""
    carried: bpy.types.Object | None = ob
    for _ in range(_OFTEN):
        if carried is None or carried == armature:
            return ""
        own_bone = carried.parent_bone if carried.parent_type == "BONE" else ""
        by_parent = carried.parent, own_bone, carried.parent_type in ("OBJECT", "ARMATURE", "BONE")
        carried, bone, rigid = next(_constraint_targets(carried), by_parent)
        if not rigid:
            return ""
        if carried == armature:
            return bone if bone in rest_bones(armature) else ""
    return ""


def meshes_left_behind(armature: bpy.types.Object) -> list[bpy.types.Object]:
    """Rendered meshes that hang on the armature object alone: they stay where they are when its bones move."""
    moved, still = {armature}, []
    for ob in attached_objects(armature):
        if _goes_along(ob, armature, moved):
            moved.add(ob)
        elif ob.type == "MESH" and mesh_data(ob).polygons and not ob.hide_render:
            still.append(ob)
    shapes = {bone.custom_shape for bone in pose_bones(armature)}
    return [ob for ob in still if ob not in shapes]


def _goes_along(ob: bpy.types.Object, armature: bpy.types.Object, moved: set[bpy.types.Object]) -> bool:
    """Whether the armature's bones move an object, in part at least; moved: what they move that it may hang on."""
    if is_deformed(ob, armature) or carrying_bone(ob, armature):
        return True
    if ob.parent in moved and ob.parent_type in ("VERTEX", "VERTEX_3", "LATTICE", "CURVE"):
        return True
    if ob.parent in moved and ob.parent != armature and ob.parent_type in ("BONE", "ARMATURE"):
        return True
    return any(carrier in moved for carrier in _tied_to(ob))


def copied_bones(other: bpy.types.Object, armature: bpy.types.Object) -> dict[str, str]:
    """Bone of another armature, such as an outfit's -> bone of this armature that it copies, or its parents do."""
    copied: dict[str, str] = {}
    for bone in _parents_first(other):
        own = [c for c in _copying(pose_bones(other)[bone.name]) if c.target == armature and c.subtarget]
        if own:
            copied[bone.name] = own[-1].subtarget
        elif bone.parent is not None and bone.parent.name in copied:
            copied[bone.name] = copied[bone.parent.name]
    return copied


def _parents_first(armature: bpy.types.Object) -> list[bpy.types.Bone]:
    roots = [bone for bone in rest_bones(armature) if bone.parent is None]
    return [bone for root in roots for bone in (root, *root.children_recursive)]


def _copied_armatures(other: bpy.types.Object) -> Iterator[bpy.types.Object]:
    """Armatures that a good part of another's bones copy, as an outfit's do; two that hold hands are none."""
    copied: dict[bpy.types.Object, int] = defaultdict(int)
    for bone in pose_bones(other) if other.pose else ():
        for target in {c.target for c in _copying(bone)}:
            copied[target] += target != other
    return (target for target, count in copied.items() if count >= max(3, _GOOD_PART * len(pose_bones(other))))


def _copying(bone: bpy.types.PoseBone) -> list[Any]:
    """Constraints by which a bone copies another."""
    kinds = ("COPY_TRANSFORMS", "COPY_LOCATION", "COPY_ROTATION", "CHILD_OF")
    return [c for c in map(subtype, bone.constraints) if c.type in kinds and not c.mute and c.target is not None]


def rest_matrix(ob: bpy.types.Object, armature: bpy.types.Object) -> Array:
    """World matrix (4, 4), scale and all, of an object that hangs on the armature, while that is at rest."""
    if ob == armature or ob.parent is None and not any(_carriers(ob)):
        return np.array(ob.matrix_world)
    if ob.parent is None or not _is_plain(ob, armature):
        return _unposed(ob, armature)
    above = np.array(armature.matrix_world) if ob.parent == armature else rest_matrix(ob.parent, armature)
    if ob.parent_type == "BONE":
        above = above @ _hanging_point(rest_bones(armature)[ob.parent_bone])
    world: Array = above @ np.array(ob.matrix_parent_inverse) @ np.array(ob.matrix_basis)
    return world


def _is_plain(ob: bpy.types.Object, armature: bpy.types.Object) -> bool:
    """Whether an object's place follows from the armature's rest, its parent's place and its own channels alone."""
    if ob.parent is None or any(not constraint.mute for constraint in ob.constraints):
        return False
    if ob.parent_type == "BONE" and (ob.parent != armature or ob.parent_bone not in rest_bones(armature)):
        return False
    own = subtype(ob)
    deltas = (*own.delta_location, *own.delta_rotation_euler, *own.delta_rotation_quaternion, *own.delta_scale)
    return ob.parent_type in ("OBJECT", "ARMATURE", "BONE") and deltas == (0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1)


def _hanging_point(bone: bpy.types.Bone) -> Array:
    """Where a bone's children hang at rest (4, 4), armature space: on its tail, or where relative, as they stand."""
    if bone.use_relative_parent:
        return np.eye(4)
    tail = np.array(bone.matrix_local)
    tail[:3, 3] = bone.tail_local
    return tail


def _unposed(ob: bpy.types.Object, armature: bpy.types.Object) -> Array:
    """An object's world matrix (4, 4) as it stands now, with the pose of the bone that carries it taken back."""
    bone = carrying_bone(ob, armature)
    if not bone:
        return np.array(ob.matrix_world)
    world = np.array(armature.matrix_world)
    posed = world @ np.array(pose_bones(armature)[bone].matrix)
    rest = world @ np.array(rest_bones(armature)[bone].matrix_local)
    unposed: Array = rest @ np.linalg.inv(posed) @ np.array(ob.matrix_world)
    return unposed
