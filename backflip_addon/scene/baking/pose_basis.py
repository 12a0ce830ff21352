# SPDX-License-Identifier: GPL-3.0-or-later
"""The pose basis: each bone's own transform (PoseBone.matrix_basis) that brings it to its target.

A bone that takes no location (constraints) is brought to its place by the nearest bone above it that takes one
and carries no part of the body itself; that one is moved without being turned, so that what else hangs on it is
disturbed least.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import bpy
import numpy as np
from mathutils import Matrix

from ...core import batched_linalg
from ...core.arrays import Array
from ...core.rigs.control_rig import Controls
from ..armature.rig import bone_order, without_scale
from ..typed_data import rest_bones
from .constraints import is_location_keyable
from .drivers import DrivenChannels


@dataclasses.dataclass(frozen=True)
class Bones:
    """The armature's bones, parents first, and which of them the take moves.

    targets: mapped bone -> world matrices (F, 4, 4). carriers: unmapped bones between or above mapped ones, or a
    control rig's idle controls, kept at rest. lifts: carrier -> the mapped bone that it brings to its place.
    fixed: mapped bones that take no location.
    """

    bones: list[bpy.types.Bone]
    targets: dict[str, Array]
    carriers: frozenset[str]
    lifts: dict[str, str]
    fixed: frozenset[str]

    @property
    def moved(self) -> list[str]:
        """The bones that get keys of the take, parents first."""
        return [b.name for b in self.bones if b.name in self.targets or b.name in self.carriers]

    @property
    def free(self) -> list[str]:
        """The bones that the take leaves alone, parents first."""
        return [b.name for b in self.bones if b.name not in self.targets and b.name not in self.carriers]


def sort_bones(
    armature: bpy.types.Object, targets: dict[str, Array], controls: Controls | None, driven: DrivenChannels
) -> Bones:
    """Which of the armature's bones carry a take. targets: bone or control -> world matrices (F, 4, 4)."""
    order = bone_order(armature)
    if controls is not None:
        return Bones(order, targets, frozenset(controls.at_rest), {}, frozenset())
    carriers: set[str] = set()
    for name in targets:
        carriers.update(parent.name for parent in rest_bones(armature)[name].parent_recursive)
    carriers -= targets.keys()
    lifts: dict[str, str] = {}
    fixed: list[str] = []
    for bone in order:
        if bone.name not in targets or is_location_keyable(armature, bone.name, driven):
            continue
        fixed.append(bone.name)
        above = _carriers_above(bone, carriers)
        free = next((name for name in above if is_location_keyable(armature, name, driven)), "")
        if free:
            lifts.setdefault(free, bone.name)
    return Bones(order, targets, frozenset(carriers), lifts, frozenset(fixed))


def _carriers_above(bone: bpy.types.Bone, carriers: set[str]) -> list[str]:
    """The unmapped bones above one, up to the next mapped one, nearest first."""
    names = []
    for parent in bone.parent_recursive:
        if parent.name not in carriers:
            break
        names.append(parent.name)
    return names


def pose_basis(bones: Bones, world: Array) -> dict[str, Array]:
    """Each moved bone's own transform (F, 4, 4) that brings it to its target; identity for resting carriers.

    world (F, 4, 4): the armature object's.
    """
    inverse = batched_linalg.inverse(world)
    wanted = {name: without_scale(inverse @ target) for name, target in bones.targets.items()}
    poses: dict[str, Array] = {}
    basis: dict[str, Array] = {}
    for bone in bones.bones:
        if bone.name in wanted:
            poses[bone.name] = wanted[bone.name]
            basis[bone.name] = _to_basis(bone, poses)
        elif bone.name in bones.carriers:
            basis[bone.name] = np.broadcast_to(np.eye(4), world.shape)
            poses[bone.name] = _from_rest(bone, poses, len(world))
            lifted = bones.lifts.get(bone.name)
            if lifted:
                rests = [np.array(b.matrix_local, dtype=float) for b in (bone, _named(bones, lifted))]
                carried = poses[bone.name] @ batched_linalg.inverse(rests[0]) @ rests[1]
                poses[bone.name] = _shifted(poses[bone.name], wanted[lifted], carried)
                basis[bone.name] = _to_basis(bone, poses)
    return basis


def refine(bones: Bones, basis: Mapping[str, Array], seen: Mapping[str, Array], world: Array) -> dict[str, Array]:
    """Better own transforms, from the poses (F, 4, 4), armature space, that Blender made of these.

    What came between, such as a driver on a bone above or animated settings, is taken to stay as it is.
    """
    inverse = batched_linalg.inverse(world)
    wanted = {name: without_scale(inverse @ target) for name, target in bones.targets.items()}
    poses: dict[str, Array] = {}
    better: dict[str, Array] = {}
    for bone in (bone for bone in bones.bones if bone.name in basis):
        base = seen[bone.name] @ batched_linalg.inverse(basis[bone.name])
        if bone.parent:
            base = poses[bone.parent.name] @ batched_linalg.inverse(seen[bone.parent.name]) @ base
        if bone.name in wanted:
            poses[bone.name] = wanted[bone.name]
        else:
            poses[bone.name] = base
            lifted = bones.lifts.get(bone.name)
            if lifted:
                carried = base @ batched_linalg.inverse(seen[bone.name]) @ seen[lifted]
                poses[bone.name] = _shifted(base, wanted[lifted], carried)
        better[bone.name] = batched_linalg.inverse(base) @ poses[bone.name]
    return better


def _named(bones: Bones, name: str) -> bpy.types.Bone:
    return next(bone for bone in bones.bones if bone.name == name)


def _shifted(poses: Array, wanted: Array, carried: Array) -> Array:
    """Poses (F, 4, 4) moved by what takes carried ones to the positions of wanted ones."""
    shifted = np.array(poses)
    shifted[:, :3, 3] += wanted[:, :3, 3] - carried[:, :3, 3]
    return shifted


# Between a bone's own transform and its pose


def _is_plain(bone: bpy.types.Bone) -> bool:
    return bone.use_inherit_rotation and bone.use_local_location


def _offset(bone: bpy.types.Bone) -> Array:
    """The bone's rest matrix (4, 4) in its parent's frame."""
    rest = np.array(bone.matrix_local, dtype=float)
    return batched_linalg.inverse(np.array(bone.parent.matrix_local, dtype=float)) @ rest if bone.parent else rest


def _to_basis(bone: bpy.types.Bone, poses: dict[str, Array]) -> Array:
    pose = poses[bone.name]
    if _is_plain(bone):
        base = poses[bone.parent.name] @ _offset(bone) if bone.parent else _offset(bone)
        return batched_linalg.inverse(base) @ pose
    return np.array([_convert(bone, poses, Matrix(m), f, invert=True) for f, m in enumerate(pose)])


def _from_rest(bone: bpy.types.Bone, poses: dict[str, Array], count: int) -> Array:
    """Pose matrices of a bone that is not moved itself."""
    if _is_plain(bone):
        pose = poses[bone.parent.name] @ _offset(bone) if bone.parent else _offset(bone)
        return np.broadcast_to(pose, (count, 4, 4))
    return np.array([_convert(bone, poses, Matrix(), f, invert=False) for f in range(count)])


def _convert(bone: bpy.types.Bone, poses: dict[str, Array], matrix: Matrix, frame: int, invert: bool) -> Array:
    """Between a bone's own transform and its pose, as Blender itself does it, for the rarer kinds of bone."""
    parents = {}
    if bone.parent:
        parents["parent_matrix"] = Matrix(poses[bone.parent.name][frame])
        parents["parent_matrix_local"] = bone.parent.matrix_local
    return np.array(bone.convert_local_to_pose(matrix, bone.matrix_local, invert=invert, **parents))
