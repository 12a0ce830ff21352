# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading an armature and the meshes bound to it as plain data (core.rigs.rig.Rig).

Of a mesh with few vertices points on its faces count too: its corners alone would not tell how thick a part is.
"""

from __future__ import annotations

import json

import bpy
import numpy as np
from mathutils import Matrix

from ...core.arrays import Array, IntArray
from ...core.rigs.rig import Rig, Skin
from ...core.slices import Slices, at_once
from ..animation.depsgraph import update_world_matrices
from ..typed_data import mesh_data, pose_bones, rest_bones, subtype
from .envelopes import envelope_weights, uses_envelopes, uses_groups
from .hierarchy import attached_objects, carrying_bone, copied_bones, is_deformed, rest_matrix

VRM_PROPERTY = "backflip_vrm"  # on the armature object: the VRM file's own humanoid map, JSON
SKIN_VERTICES = 20_000  # shapes are fitted to percentiles; more vertices would change nothing
SKIN_WEIGHTS = 4  # heaviest bones of a vertex that are kept
_SLICE_VERTICES = 2_000  # whose weights are read between two looks at the window: some 10 ms

# Of the points on faces of a mesh with few vertices
SPARSE = 500  # vertices; a mesh with more shows its shape by them
_NEAR = 1 / 60  # of the skeleton's size: how near each other such points lie, so that small things weigh little
_FINEST = 24  # parts that an edge is divided into at most
_MOST = 20_000  # points of a mesh


def read_rig(armature: bpy.types.Object, with_skin: bool = True, world: Array | None = None) -> Rig:
    """The armature object's skeleton and skin at rest.

    world (4, 4): where the object stands, without it where it stands now. Bones come parents first,
    in the order of bone_order(). Reading the skin takes most of the time.
    """
    return at_once(read_rig_slices(armature, with_skin, world))


def read_rig_slices(armature: bpy.types.Object, with_skin: bool = True, world: Array | None = None) -> Slices[Rig]:
    """read_rig() in slices."""
    if world is None:
        update_world_matrices(armature)
    bones = bone_order(armature)
    index = {bone.name: i for i, bone in enumerate(bones)}
    world = np.array(armature.matrix_world) if world is None else world
    local = np.array([bone.matrix_local for bone in bones], dtype=float).reshape(-1, 4, 4)
    tails = np.array([bone.tail_local for bone in bones], dtype=float).reshape(-1, 3)
    skin = (yield from _skin_slices(armature, index)) if with_skin else None
    return Rig(
        name=armature.name,
        bones=tuple(index),
        parents=tuple(index[bone.parent.name] if bone.parent else -1 for bone in bones),
        rest=without_scale(world @ local),
        tails=tails @ world[:3, :3].T + world[:3, 3],
        deform=tuple(bone.use_deform for bone in bones),
        skin=skin,
        hints=read_hints(armature, index),
        follows=read_follows(armature, index) if with_skin else {},
    )


def bone_order(armature: bpy.types.Object) -> list[bpy.types.Bone]:
    """The armature's bones, parents before children."""
    order: list[bpy.types.Bone] = []
    waiting = [bone for bone in reversed(rest_bones(armature)) if bone.parent is None]
    while waiting:
        bone = waiting.pop()
        order.append(bone)
        waiting.extend(reversed(bone.children))
    return order


def without_scale(matrices: Array) -> Array:
    """Matrices (..., 4, 4) with each axis brought to unit length; shear, if any, stays to be seen."""
    matrices = np.array(matrices, dtype=float)
    lengths = np.linalg.norm(matrices[..., :3, :3], axis=-2, keepdims=True)
    matrices[..., :3, :3] /= np.maximum(lengths, 1e-12)
    return matrices


def read_hints(armature: bpy.types.Object, index: dict[str, int]) -> dict[str, str]:
    """role -> bone as the file the rig came from told it (VRM); empty for most rigs."""
    try:
        hints = json.loads(armature.get(VRM_PROPERTY, "{}"))
    except (TypeError, ValueError):
        return {}
    return {role: bone for role, bone in hints.items() if bone in index} if isinstance(hints, dict) else {}


# Constraints that put a bone where another is, whatever its parent does; and those that tie it to another besides.
_REPLACING = ("COPY_TRANSFORMS", "COPY_LOCATION", "CHILD_OF", "ARMATURE")
_TYING = ("COPY_ROTATION", "STRETCH_TO")


def read_follows(armature: bpy.types.Object, index: dict[str, int]) -> dict[int, tuple[int, ...]]:
    """Rig.follows: the bones that constraints have a bone move with; copies between local spaces tie nothing."""
    follows = {}
    for bone in pose_bones(armature) if armature.pose else ():
        targets: dict[int, None] = {}
        replaced = False
        for constraint in map(subtype, bone.constraints):
            if constraint.mute or constraint.influence <= 0.0 or constraint.type not in (*_REPLACING, *_TYING):
                continue
            if constraint.type in ("COPY_TRANSFORMS", "COPY_LOCATION", "COPY_ROTATION") and _is_local(constraint):
                continue
            replaced |= constraint.type in _REPLACING
            for other in constraint.targets if constraint.type == "ARMATURE" else [constraint]:
                if other.target is not None:
                    own = other.target == armature and other.subtarget in index
                    targets[index[other.subtarget] if own else -1] = None
        if bone.parent is not None and not bone.bone.use_inherit_rotation:
            targets[-1] = None  # it stays turned as it is in the armature
        if targets and not replaced and bone.parent is not None:
            targets[index[bone.parent.name]] = None
        if targets:
            follows[index[bone.name]] = tuple(targets)
    return follows


def _is_local(constraint: bpy.types.Constraint) -> bool:
    return constraint.owner_space.startswith("LOCAL")


# Skin


def bound_meshes(armature: bpy.types.Object) -> list[bpy.types.Object]:
    """The mesh objects that the armature's bones move: bent by them, or hanging on one through whatever is between."""
    return [
        ob
        for ob in attached_objects(armature)
        if ob.type == "MESH" and mesh_data(ob).vertices and _is_moved(ob, armature)
    ]


def _is_moved(ob: bpy.types.Object, armature: bpy.types.Object) -> bool:
    return is_deformed(ob, armature) or bool(carrying_bone(ob, armature))


def _skin_slices(armature: bpy.types.Object, index: dict[str, int]) -> Slices[Skin | None]:
    """Vertices and their weights over all bound meshes; None when no vertex is bound."""
    parts = []
    for mesh in bound_meshes(armature):
        if part := (yield from _mesh_slices(mesh, armature, index)):
            parts.append(part)
    for ob in attached_objects(armature):
        parts += _read_instance(ob, armature, index)
        parts += (yield from _outfit_slices(ob, armature, index)) if ob.type == "ARMATURE" else []
    if not parts:
        return None
    vertices, bones, weights = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Skin(vertices, bones, weights)


_Part = tuple[Array, IntArray, Array]  # vertices (V, 3), bones (V, SKIN_WEIGHTS), weights (V, SKIN_WEIGHTS)


def _mesh_slices(mesh: bpy.types.Object, armature: bpy.types.Object, index: dict[str, int]) -> Slices[_Part | None]:
    """One mesh's vertices, at rest; None when none has a weight."""
    vertices, chosen = _places(mesh, rest_matrix(mesh, armature))
    if not is_deformed(mesh, armature):
        return add_points(mesh_data(mesh), armature, *_rigid(vertices, index[carrying_bone(mesh, armature)]))
    deforming = {bone.name: index[bone.name] for bone in rest_bones(armature) if bone.use_deform}
    bones, weights = yield from _weight_slices(mesh, chosen, deforming if uses_groups(mesh, armature) else {})
    if uses_envelopes(mesh, armature):
        loose = weights.sum(axis=1) == 0
        bones[loose], weights[loose] = envelope_weights(armature, vertices[loose], index)
    vertices, bones, weights = add_points(mesh_data(mesh), armature, vertices, bones, weights)
    bound = weights.sum(axis=1) > 0
    return (vertices[bound], bones[bound], weights[bound]) if bound.any() else None


def _read_instance(ob: bpy.types.Object, armature: bpy.types.Object, index: dict[str, int]) -> list[_Part]:
    """The meshes of a collection that an empty on a bone shows a copy of."""
    collection = ob.instance_collection if ob.instance_type == "COLLECTION" else None
    bone = carrying_bone(ob, armature) if collection is not None else ""
    if collection is None or not bone:
        return []
    place = rest_matrix(ob, armature) @ np.array(Matrix.Translation(tuple(-np.array(collection.instance_offset))))
    meshes = [mesh for mesh in collection.all_objects if mesh.type == "MESH" and mesh_data(mesh).vertices]
    return [
        add_points(
            mesh_data(mesh), armature, *_rigid(_places(mesh, place @ np.array(mesh.matrix_world))[0], index[bone])
        )
        for mesh in meshes
    ]


def _outfit_slices(other: bpy.types.Object, armature: bpy.types.Object, index: dict[str, int]) -> Slices[list[_Part]]:
    """The meshes that another armature bends whose bones copy this one's."""
    copied = {name: index[bone] for name, bone in copied_bones(other, armature).items() if bone in index}
    parts = []
    for mesh in attached_objects(other) if copied else ():
        if (
            mesh.type == "MESH"
            and mesh_data(mesh).vertices
            and is_deformed(mesh, other)
            and not _is_moved(mesh, armature)
        ):
            vertices, chosen = _places(mesh, rest_matrix(mesh, other))
            read = yield from _weight_slices(mesh, chosen, copied)
            vertices, bones, weights = add_points(mesh_data(mesh), armature, vertices, *read)
            bound = weights.sum(axis=1) > 0
            parts.append((vertices[bound], bones[bound], weights[bound]))
    return parts


def _places(mesh: bpy.types.Object, world: Array) -> tuple[Array, IntArray]:
    """World positions (V, 3) of a mesh's vertices, at most SKIN_VERTICES, and which they are."""
    count = len(mesh_data(mesh).vertices)
    positions = np.empty(count * 3, dtype=np.float32)
    mesh_data(mesh).vertices.foreach_get("co", positions)
    chosen = np.arange(0, count, -(-count // SKIN_VERTICES))
    return positions.reshape(-1, 3).astype(float)[chosen] @ world[:3, :3].T + world[:3, 3], chosen


def _rigid(vertices: Array, bone: int) -> _Part:
    """Vertices that move with one bone alone."""
    bones = np.full((len(vertices), SKIN_WEIGHTS), -1)
    weights = np.zeros((len(vertices), SKIN_WEIGHTS))
    bones[:, 0], weights[:, 0] = bone, 1.0
    return vertices, bones, weights


def _weight_slices(mesh: bpy.types.Object, chosen: IntArray, index: dict[str, int]) -> Slices[tuple[IntArray, Array]]:
    """The heaviest SKIN_WEIGHTS bones of each chosen vertex, normalised; -1 and 0 where there are fewer."""
    bone_of = {group.index: index[group.name] for group in mesh.vertex_groups if group.name in index}
    bones = np.full((len(chosen), SKIN_WEIGHTS), -1)
    weights = np.zeros((len(chosen), SKIN_WEIGHTS))
    for row, vertex in enumerate(chosen.tolist()):
        if row % _SLICE_VERTICES == 0:
            yield None
            vertices = mesh_data(mesh).vertices
        pairs = [(g.weight, bone_of[g.group]) for g in vertices[vertex].groups if g.group in bone_of]
        pairs.sort(reverse=True)
        for column, (weight, bone) in enumerate(pairs[:SKIN_WEIGHTS]):
            bones[row, column], weights[row, column] = bone, weight
    total = weights.sum(axis=1, keepdims=True)
    return bones, np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)


def add_points(
    mesh: bpy.types.Mesh, armature: bpy.types.Object, vertices: Array, bones: IntArray, weights: Array
) -> tuple[Array, IntArray, Array]:
    """World positions (V, 3) of all of a mesh's vertices, bones (V, W) and weights (V, W), with points on faces added.

    The weights of such a point are between those of its face's corners.
    """
    if not 0 < len(vertices) <= SPARSE or not len(mesh.polygons):
        return vertices, bones, weights
    mesh.calc_loop_triangles()
    corners = np.empty(len(mesh.loop_triangles) * 3, dtype=np.int32)
    mesh.loop_triangles.foreach_get("vertices", corners)
    corners = corners.reshape(-1, 3)
    positions = vertices[corners]
    longest = np.linalg.norm(positions - np.roll(positions, 1, axis=1), axis=-1).max(axis=1)
    parts = np.clip(np.ceil(longest / max(_NEAR * _size(armature), 1e-12)), 1, _FINEST).astype(int)
    names = np.unique(bones[bones >= 0])
    dense = _dense(bones, weights, names)
    points, shares = [], []
    for count in np.unique(parts[parts > 1]).tolist():
        between = _between(count)
        of = corners[parts == count]
        points.append(np.einsum("pc,tcx->tpx", between, vertices[of]).reshape(-1, 3))
        shares.append(np.einsum("pc,tcb->tpb", between, dense[of]).reshape(-1, len(names)))
    if not points:
        return vertices, bones, weights
    added, share = np.concatenate(points), np.concatenate(shares)
    thin = -(-len(added) // _MOST)
    found = _heaviest(share[::thin], names, bones.shape[1])
    return np.concatenate([vertices, added[::thin]]), *(
        np.concatenate(pair) for pair in zip((bones, weights), found, strict=True)
    )


def _size(armature: bpy.types.Object) -> float:
    """The skeleton's greatest extent, world units."""
    ends = np.array([end for bone in rest_bones(armature) for end in (bone.head_local, bone.tail_local)])
    return float(np.ptp(ends @ np.array(armature.matrix_world)[:3, :3].T, axis=0).max())


def _between(count: int) -> Array:
    """Barycentric coordinates (P, 3) of a triangle's points, count parts an edge, but for its corners."""
    grid = [(i, j, count - i - j) for i in range(count + 1) for j in range(count + 1 - i) if count not in (i, j)]
    return np.array([point for point in grid if point[2] != count], dtype=float) / count


def _dense(bones: IntArray, weights: Array, names: IntArray) -> Array:
    """Weight (V, N) of each of the bones."""
    dense = np.zeros((len(bones), len(names)))
    rows, columns = np.nonzero(bones >= 0)
    np.add.at(dense, (rows, np.searchsorted(names, bones[rows, columns])), weights[rows, columns])
    return dense


def _heaviest(share: Array, names: IntArray, most: int) -> tuple[IntArray, Array]:
    """The heaviest bones (P, W) of points with weights (P, N) and their weights, normalised; -1 and 0 for none."""
    order = np.argsort(-share, axis=1)[:, :most]
    weights = np.zeros((len(share), most))
    weights[:, : order.shape[1]] = np.take_along_axis(share, order, axis=1)
    bones = np.full((len(share), most), -1)
    bones[:, : order.shape[1]] = names[order]
    bones[weights <= 0.0] = -1
    total = weights.sum(axis=1, keepdims=True)
    return bones, np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
