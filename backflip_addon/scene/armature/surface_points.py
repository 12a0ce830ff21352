# SPDX-License-Identifier: GPL-3.0-or-later
"""Points on the faces of meshes with few vertices, whose corners alone would not tell how thick a part is."""

from __future__ import annotations

import bpy
import numpy as np

from ...core.arrays import Array, IntArray
from ..typed_data import rest_bones

SPARSE = 500  # vertices; a mesh with more shows its shape by them
_NEAR = 1 / 60  # of the skeleton's size: how near each other such points lie, so that small things weigh little
_FINEST = 24  # parts that an edge is divided into at most
_MOST = 20_000  # points of a mesh


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
