# SPDX-License-Identifier: GPL-3.0-or-later
"""Skin weights of meshes that are bound by bone envelopes instead of vertex groups."""

from __future__ import annotations

import bpy
import numpy as np

from ...core.arrays import Array, IntArray
from ..typed_data import rest_bones

MOST = 4  # heaviest bones of a vertex that are kept, as of painted weights


def uses_envelopes(mesh: bpy.types.Object, armature: bpy.types.Object) -> bool:
    """Whether an armature modifier of a mesh binds what no vertex group holds."""
    return any(m.use_bone_envelopes for m in _modifiers(mesh, armature))


def uses_groups(mesh: bpy.types.Object, armature: bpy.types.Object) -> bool:
    """Whether the vertex groups of a mesh bind it: an armature modifier may be told to leave them alone."""
    modifiers = _modifiers(mesh, armature)
    return not modifiers or any(m.use_vertex_groups for m in modifiers)


def _modifiers(mesh: bpy.types.Object, armature: bpy.types.Object) -> list[bpy.types.ArmatureModifier]:
    """The modifiers by which an armature bends a mesh."""
    return [m for m in mesh.modifiers if isinstance(m, bpy.types.ArmatureModifier) and m.object == armature]


def envelope_weights(armature: bpy.types.Object, points: Array, index: dict[str, int]) -> tuple[IntArray, Array]:
    """Bones (V, MOST), -1 for none, and weights (V, MOST), summing to 1 or 0, of world points (V, 3) at rest.

    As Blender reckons them (source/blender/blenkernel/intern/armature_deform.cc, distfactor_to_bone).
    """
    world = np.linalg.inv(np.array(armature.matrix_world))
    local = points @ world[:3, :3].T + world[:3, 3]
    deforming = [bone for bone in rest_bones(armature) if bone.use_deform]
    factors = np.zeros((len(points), max(len(deforming), MOST)))
    for column, bone in enumerate(deforming):
        factors[:, column] = bone.envelope_weight * _factor(bone, local)
    columns = np.argsort(-factors, axis=1, kind="stable")[:, :MOST]
    weights = np.take_along_axis(factors, columns, axis=1)
    numbers = np.array([index[bone.name] for bone in deforming] + [-1] * (factors.shape[1] - len(deforming)))
    total = weights.sum(axis=1, keepdims=True)
    return np.where(weights > 0, numbers[columns], -1), np.divide(
        weights, total, out=np.zeros_like(weights), where=total > 0
    )


def _factor(bone: bpy.types.Bone, points: Array) -> Array:
    """1 within a bone's radius, falling to 0 at its envelope's distance; points (V, 3) in armature space."""
    head, axis = np.array(bone.head_local), np.array(bone.tail_local) - np.array(bone.head_local)
    length = float(np.linalg.norm(axis))
    along: Array = np.clip((points - head) @ axis / max(length, 1e-12) ** 2, 0.0, 1.0)
    away = np.linalg.norm(points - head - along[:, None] * axis, axis=1)
    radius = (1.0 - along) * bone.head_radius + along * bone.tail_radius
    beyond: Array = away - radius
    if bone.envelope_distance <= 0.0:
        return np.where(beyond < 0.0, 1.0, 0.0)
    factor: Array = np.clip(1.0 - (np.maximum(beyond, 0.0) / bone.envelope_distance) ** 2, 0.0, 1.0)
    return factor
