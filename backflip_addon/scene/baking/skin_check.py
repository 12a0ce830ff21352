# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the skin goes where the take has the body, as Blender evaluates it.

Each bound mesh is looked at in a copy that keeps nothing but the armature's own deforming, linear and without shape
keys; so its vertices are held against a linear blend of where the take has the bones, reckoned here. What other
modifiers do on top is the user's art.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from typing import cast

import bpy
import numpy as np

from ...core import batched_linalg
from ...core.arrays import Array, IntArray
from ...core.slices import Slices, apart, at_once
from ..animation.depsgraph import evaluation_scene
from ..animation.pose_sampling import read_world
from ..armature.envelopes import uses_groups
from ..armature.hierarchy import carrying_bone, is_deformed, rest_matrix
from ..armature.rig import bone_order, bound_meshes
from ..typed_data import depsgraph_of, mesh_data, pose_bones, rest_bones
from .bone_check import FAR_MM, ExpectedPoses, error_text
from .constraints import constrained_bones

_VERTICES = 5_000  # of all meshes together that are looked at, and at least of each:
_FEWEST = 200
_WEIGHTS = 8  # heaviest bones of a vertex
_NEAR = 3  # mapped bones that skin on an unmapped one may belong to
_BEHIND = 0.05  # of the rig's size: skin that departs so far from all of those follows none
_TORN = 0.25  # the same of skin whose bone something pulls off the mapped one that it hangs on
_POINTS = 16  # vertices of a bone that tell whether it follows


@dataclasses.dataclass(frozen=True)
class SkinOff:
    """How far a mesh's farthest vertex is from where the take has it, and by which bone."""

    mesh: str
    bone: str
    frame: int
    millimetres: float  # at the body's scale
    left_behind: bool  # the bone is none that the take moves


@dataclasses.dataclass(frozen=True)
class _Part:
    """Vertices of a mesh: which, at rest in armature space (V, 3), their bones (V, W), -1 for none, and weights."""

    mesh: bpy.types.Object
    chosen: IntArray
    rest: Array
    bones: IntArray
    weights: Array


@dataclasses.dataclass(frozen=True)
class _Moves:
    """World matrices (K, B, 4, 4) that take armature space at rest along with each bone: seen, and as expected."""

    seen: Array
    meant: Array
    behind: frozenset[int]


def skin_warning_slices(armature: bpy.types.Object, expected: ExpectedPoses) -> Slices[list[str]]:
    """A sentence for each bone that carries skin away from the body, or leaves it behind; the farthest three."""
    errors = yield from _skin_error_slices(armature, expected)
    off = [found for found in errors if found.millimetres > FAR_MM]
    worst: dict[str, SkinOff] = {}
    for found in sorted(off, key=lambda found: -found.millimetres):
        worst.setdefault(found.bone if found.left_behind else found.mesh, found)
    return [_sentence(found) for found in list(worst.values())[:3]]


def _sentence(found: SkinOff) -> str:
    far = f"{error_text(found.millimetres)} off at frame {found.frame} for one"
    if found.left_behind:
        return (
            f"Skin of {found.mesh} hangs on {found.bone}, which stays behind while the body moves, {far}: give it to a "
            f"bone that moves with the body (Weight Paint), or have {found.bone} follow one."
        )
    return (
        f"The skin of {found.mesh} is not where {found.bone} has it, {far}: look for an Armature modifier "
        f"too many or off, a scaled bone, keys or constraints of {found.mesh}."
    )


def skin_errors(armature: bpy.types.Object, expected: ExpectedPoses) -> list[SkinOff]:
    """For each bound mesh its farthest vertex, over the frames that are looked at."""
    return at_once(_skin_error_slices(armature, expected))


def _skin_error_slices(armature: bpy.types.Object, expected: ExpectedPoses) -> Slices[list[SkinOff]]:
    parts = yield from _part_slices(armature)
    if not parts:
        return []
    poses, positions = yield from _seen_slices(armature, parts, expected.frames)
    yield None
    moves = _moves(armature, expected, parts, poses)
    found = []
    for part, place in zip(parts, positions, strict=True):
        found.append((yield from _farthest_slices(armature, part, moves, place, expected)))
    return found


def _farthest_slices(
    armature: bpy.types.Object, part: _Part, moves: _Moves, positions: Array, expected: ExpectedPoses
) -> Slices[SkinOff]:
    """positions (K, V, 3): where the part's vertices are seen, world."""
    if is_deformed(part.mesh, armature):
        wanted = yield from apart(_blended, part, moves.meant)
    else:  # what a rigid mesh does of its own is its own affair
        bone = int(part.bones[0, 0])
        back = moves.meant[:, bone] @ batched_linalg.inverse(moves.seen[:, bone])
        wanted = _apply(back, positions)
    away = np.linalg.norm(positions - wanted, axis=-1) * expected.scale * 1000.0
    frame, vertex = np.unravel_index(int(np.argmax(away)), away.shape)
    bone = _guilty(part, moves, int(frame), int(vertex))
    name = bone_order(armature)[bone].name
    return SkinOff(part.mesh.name, name, int(expected.frames[frame]), float(away[frame, vertex]), bone in moves.behind)


def _guilty(part: _Part, moves: _Moves, frame: int, vertex: int) -> int:
    """The bone that has the greatest part in a vertex's error."""
    bones, weights = part.bones[vertex], part.weights[vertex]
    point = part.rest[vertex]
    ways = [m[frame, bones][:, :3, :3] @ point + m[frame, bones][:, :3, 3] for m in (moves.seen, moves.meant)]
    shares = weights * np.linalg.norm(ways[0] - ways[1], axis=-1)
    return int(bones[np.argmax(np.where(shares.max() > 0, shares, weights))])


def _apply(matrices: Array, points: Array) -> Array:
    """Points (K, V, 3) through matrices (K, 4, 4)."""
    return points @ np.swapaxes(matrices[:, :3, :3], 1, 2) + matrices[:, None, :3, 3]


def _blended(part: _Part, moves: Array) -> Array:
    """Where a linear blend of bones' moves (K, B, 4, 4) brings the part's vertices (K, V, 3)."""
    result = np.zeros((len(moves), len(part.rest), 3))
    for column in np.flatnonzero(part.weights.any(axis=0)):
        of = moves[:, part.bones[:, column]]  # (K, V, 4, 4)
        moved = np.einsum("kvij,vj->kvi", of[..., :3, :3], part.rest) + of[..., :3, 3]
        result += part.weights[None, :, column, None] * moved
    return result


# Where the bones take the skin


def _moves(armature: bpy.types.Object, expected: ExpectedPoses, parts: list[_Part], poses: Array) -> _Moves:
    """How each bone moves, poses (K, B, 4, 4) being what is seen of them, world and with scale."""
    bones = bone_order(armature)
    index = {bone.name: i for i, bone in enumerate(bones)}
    rest = np.array([bone.matrix_local for bone in bones], dtype=float)
    seen = poses @ batched_linalg.inverse(rest)
    wanted = np.array(seen)
    scale = np.cbrt(np.abs(np.linalg.det(np.array(armature.matrix_world)[:3, :3])))
    from_rest = np.diag([scale, scale, scale, 1.0]) @ batched_linalg.inverse(rest)
    for name in expected.bones.keys() - expected.unturned:
        wanted[:, index[name]] = expected.bones[name] @ from_rest[index[name]]
    carrying = {index[name] for name in expected.body}
    pulled = constrained_bones(armature)
    behind: set[int] = set()
    for i, bone in enumerate(bones):
        if bone.name in expected.bones or i in carrying:  # a control rig moves bones of the body between its own
            continue
        points = _points_of(parts, i)
        line = list(itertools.takewhile(lambda b: index[b.name] not in carrying, (bone, *bone.parent_recursive)))
        if line[-1].parent is not None:  # it hangs on a mapped one, where it may do what it does
            above = index[line[-1].parent.name]
            wanted[:, i] = wanted[:, above] @ batched_linalg.inverse(seen[:, above]) @ seen[:, i]
            loose = not pulled.isdisjoint(b.name for b in line)
            lags = loose and _strays(points, seen[:, i], rest[above, :3, 3], wanted[:, above]) > _TORN * expected.size
            near = [above]
        else:
            near = _nearest(bones, carrying, points)
            lags = _lags(points, seen[:, i], near, wanted) > _BEHIND * expected.size
        if lags:
            behind.add(i)
            wanted[:, i] = wanted[:, near[0]]
    return _Moves(seen, wanted, frozenset(behind))


def _points_of(parts: list[_Part], bone: int) -> Array:
    """Some of the points (P, 3) that a bone has a part in."""
    found = [part.rest[(part.weights * (part.bones == bone)).sum(axis=1) > 0] for part in parts]
    points: Array = np.concatenate(found)
    return points[:: max(len(points) // _POINTS, 1)]


def _nearest(bones: list[bpy.types.Bone], carrying: set[int], points: Array) -> list[int]:
    """The mapped bones nearest to points (P, 3), nearest first."""
    away = {}
    for i in carrying if len(points) else ():
        head, tail = np.array(bones[i].head_local), np.array(bones[i].tail_local)
        along = (points - head) @ (tail - head) / max(float((tail - head) @ (tail - head)), 1e-20)
        foot = head + np.clip(along, 0.0, 1.0)[:, None] * (tail - head)
        away[i] = float(np.median(np.linalg.norm(points - foot, axis=1)))
    return sorted(away, key=away.__getitem__)[:_NEAR]


def _lags(points: Array, seen: Array, near: list[int], wanted: Array) -> float:
    """How far points (P, 3) on a bone that is seen to move so (K, 4, 4) depart from all the bones near them."""
    if not len(points):
        return 0.0
    at = _apply(seen, points[None])
    gaps = [np.linalg.norm(at - _apply(wanted[:, i], points[None]), axis=-1) for i in near]
    return float(np.min(gaps, axis=0).max())


def _strays(points: Array, seen: Array, joint: Array, above: Array) -> float:
    """How much farther points (P, 3) on a bone get from a joint (3,) of the bone above, which moves so (K, 4, 4).

    What hangs from it, or points somewhere, keeps its distance.
    """
    if not len(points):
        return 0.0
    gaps = np.linalg.norm(_apply(seen, points[None]) - _apply(above, joint[None, None]), axis=-1)
    own = np.linalg.norm(_apply(above, points[None]) - _apply(above, joint[None, None]), axis=-1)
    return float((gaps - own).max())


# The meshes


def _part_slices(armature: bpy.types.Object) -> Slices[list[_Part]]:
    index = {bone.name: i for i, bone in enumerate(bone_order(armature))}
    meshes = bound_meshes(armature)
    total = sum(len(mesh_data(mesh).vertices) for mesh in meshes)
    step = max(-(-total // _VERTICES), 1)
    steps = {mesh: max(min(step, len(mesh_data(mesh).vertices) // _FEWEST), 1) for mesh in meshes}
    parts = []
    for mesh in meshes:
        yield None
        parts.append(_part(mesh, armature, index, steps[mesh]))
    return [part for part in parts if part is not None]


def _part(mesh: bpy.types.Object, armature: bpy.types.Object, index: Mapping[str, int], step: int) -> _Part | None:
    """Every step-th vertex of a mesh that hangs on bones whose moves are plain; None where there is none."""
    chosen = np.arange(0, len(mesh_data(mesh).vertices), step)
    deformed = is_deformed(mesh, armature)
    if not deformed:
        bones = np.full((len(chosen), 1), index[carrying_bone(mesh, armature)])
        weights = np.ones((len(chosen), 1))
    elif uses_groups(mesh, armature):
        bones, weights = _weights(mesh, armature, chosen, index)
    else:
        return None
    kept = weights.sum(axis=1) > 0
    if not kept.any():
        return None
    to_armature = np.linalg.inv(np.array(armature.matrix_world)) @ rest_matrix(mesh, armature)
    rest = _basis_shape(mesh)[chosen[kept]] @ to_armature[:3, :3].T + to_armature[:3, 3]
    return _Part(mesh, chosen[kept], rest, bones[kept], weights[kept])


def _basis_shape(mesh: bpy.types.Object) -> Array:
    """The vertices (V, 3) without shape keys."""
    keys = mesh_data(mesh).shape_keys
    points = keys.reference_key.data if keys else mesh_data(mesh).vertices
    flat = np.empty(len(points) * 3, dtype=np.float32)
    points.foreach_get("co", flat)
    return flat.reshape(-1, 3).astype(float)


def _weights(
    mesh: bpy.types.Object, armature: bpy.types.Object, chosen: IntArray, index: Mapping[str, int]
) -> tuple[IntArray, Array]:
    """Bones (V, W) and weights (V, W), normalised; all 0 for a vertex that a bent or envelope-scaled bone moves."""
    deforming = {bone.name: bone for bone in rest_bones(armature) if bone.use_deform}
    of_group = {group.index: deforming[group.name] for group in mesh.vertex_groups if group.name in deforming}
    odd = {number for number, bone in of_group.items() if bone.bbone_segments > 1 or bone.use_envelope_multiply}
    bones = np.zeros((len(chosen), _WEIGHTS), dtype=int)
    weights = np.zeros((len(chosen), _WEIGHTS))
    vertices = mesh_data(mesh).vertices
    for row, vertex in enumerate(chosen.tolist()):
        groups = [(g.weight, g.group) for g in vertices[vertex].groups if g.group in of_group and g.weight > 0.0]
        if len(groups) > _WEIGHTS or any(group in odd for _weight, group in groups):
            continue
        for column, (weight, group) in enumerate(groups):
            bones[row, column], weights[row, column] = index[of_group[group].name], weight
    total = weights.sum(axis=1, keepdims=True)
    return bones, np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)


def _seen_slices(armature: bpy.types.Object, parts: list[_Part], frames: IntArray) -> Slices[tuple[Array, list[Array]]]:
    """World pose matrices (K, B, 4, 4), scale and all, and each part's vertices (K, V, 3), at frames."""
    bone_index: dict[str, int] = {bone.name: i for i, bone in enumerate(pose_bones(armature))}
    order = [bone_index[bone.name] for bone in bone_order(armature)]
    poses: list[Array] = []
    points: list[list[Array]] = [[] for _ in parts]
    with _copies(armature, parts) as copies, evaluation_scene(armature, copies) as scene:
        for frame in frames:
            yield None
            scene.frame_set(int(frame))
            depsgraph = depsgraph_of(scene)
            poses.append(read_world(armature.evaluated_get(depsgraph))[order])
            for part, copy, found in zip(parts, copies, points, strict=True):
                evaluated = copy.evaluated_get(depsgraph)
                flat = np.empty(len(mesh_data(evaluated).vertices) * 3, dtype=np.float32)
                mesh_data(evaluated).vertices.foreach_get("co", flat)
                world = np.array(evaluated.matrix_world)
                found.append(flat.reshape(-1, 3)[part.chosen] @ world[:3, :3].T + world[:3, 3])
    return np.array(poses), [np.array(found) for found in points]


@contextlib.contextmanager
def _copies(armature: bpy.types.Object, parts: list[_Part]) -> Iterator[list[bpy.types.Object]]:
    """Copies of the meshes' objects that show the armature's plain deforming alone; gone afterwards."""
    copies: list[bpy.types.Object] = []
    try:
        for part in parts:
            copy = cast(bpy.types.Object, part.mesh.copy())
            copies.append(copy)
            _strip(copy, armature)
        yield copies
    finally:
        for copy in copies:
            bpy.data.objects.remove(copy)


def _strip(copy: bpy.types.Object, armature: bpy.types.Object) -> None:
    for modifier in list(copy.modifiers):
        plain = isinstance(modifier, bpy.types.ArmatureModifier) and modifier.object == armature
        if not isinstance(modifier, bpy.types.ArmatureModifier) or not plain or modifier.use_multi_modifier:
            copy.modifiers.remove(modifier)
            continue
        modifier.show_viewport = modifier.show_viewport or modifier.show_render
        modifier.use_deform_preserve_volume = modifier.use_bone_envelopes = False
        modifier.vertex_group = ""
    if mesh_data(copy).shape_keys:
        copy.show_only_shape_key, copy.active_shape_key_index = True, 0
