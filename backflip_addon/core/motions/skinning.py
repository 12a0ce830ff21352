# SPDX-License-Identifier: GPL-3.0-or-later
"""A skin, or a body's solid shapes, moved by the body's links: linear blending, all of a frame in one product.

Each point's weights times its place at rest make a row of 4 L numbers, once; a frame's links make 4 L rows of 3. Their
product is the frame: sum over links of weight (place rotation + shift), as Blender's own linear blending has it (Kavan,
"Skinning: Real-time Shape Deformation", SIGGRAPH 2014, section 1.1).
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from .. import rotations
from ..arrays import Array, Float32Array, IntArray
from ..body import Body
from ..motion import Motion
from ..rigs.binding import Binding
from ..rotations import matrix_about_z
from ..shapes import Shape
from .retarget import link_frames

_RING = 12  # corners of a solid shape's rings
_CAP = 3  # rings of a half sphere


@dataclasses.dataclass(frozen=True)
class Skin:
    """Points that the links of a body move. rows (V, 4 L): see the module; triangles (T, 3): of points, outward."""

    rows: Float32Array
    triangles: IntArray

    def posed(self, moves: Float32Array) -> Float32Array:
        """Points (V, 3) in the world, of the links' moves (L, 4, 3) at one moment."""
        points: Float32Array = self.rows @ moves.reshape(-1, 3)
        return points


def skin_rows(rest: Array, links: IntArray, weights: Array, count: int) -> Float32Array:
    """Rows (V, 4 L) of a skin of count links. rest (V, 3): points at rest; links (V, W), weights (V, W): of each.

    A point's weights are brought to a sum of 1; a link may stand in its row more than once.
    """
    whole = np.zeros((len(rest), count))
    np.add.at(whole, (np.arange(len(rest))[:, None], links), weights)
    total = whole.sum(axis=1, keepdims=True)
    np.divide(whole, total, out=whole, where=total > 0.0)
    place = np.concatenate([rest, np.ones((len(rest), 1))], axis=1)
    rows: Float32Array = (whole[:, :, None] * place[:, None]).reshape(len(rest), 4 * count).astype(np.float32)
    return rows


def solid_skin(body: Body) -> Skin:
    """The solid shapes of a body's links, each point in the frame of its link."""
    points, triangles, links, count = [], [], [], 0
    for index, link in enumerate(body.links):
        for shape in link.shapes:
            local, faces = _solid(shape)
            points.append(rotations.rotate(np.array(shape.rotation), local) + np.array(shape.position))
            triangles.append(faces + count)
            links.append(np.full(len(local), index))
            count += len(local)
    if not points:
        return Skin(np.zeros((0, 4 * len(body.links)), np.float32), np.zeros((0, 3), np.int32))
    of = np.concatenate(links)[:, None]
    rows = skin_rows(np.concatenate(points), of, np.ones(of.shape), len(body.links))
    return Skin(rows, np.concatenate(triangles).astype(np.int32))


def skin_moves(binding: Binding, motion: Motion) -> Float32Array:
    """How links move points of the rig (F, L, 4, 3), from where they are in the world at rest to where motion has them.

    As retarget.bone_matrices() moves bones: exact and rigid.
    """
    positions, orientations = link_frames(binding, motion)
    turns = rotations.to_matrix(np.array([link.turn for link in binding.links]))
    whole = matrix_about_z(binding.yaw) @ rotations.to_matrix(orientations) @ turns
    joints = np.array([link.joint for link in binding.links])
    return _moves(whole, positions - np.einsum("flij,lj->fli", whole, joints))


def solid_moves(body: Body, binding: Binding, motion: Motion) -> Float32Array:
    """How links move points of their own frames, m, into the world (F, L, 4, 3), Blender's units."""
    positions, orientations = body.forward(motion.position, motion.rotations)
    whole = matrix_about_z(binding.yaw) @ rotations.to_matrix(orientations) / binding.scale
    return _moves(whole, binding.to_world(positions))


def _moves(whole: Array, shift: Array) -> Float32Array:
    """Matrices (F, L, 3, 3) and shifts (F, L, 3) as rows times them: (F, L, 4, 3)."""
    moves: Float32Array = np.concatenate([np.swapaxes(whole, -1, -2), shift[..., None, :]], axis=-2).astype(np.float32)
    return moves


# Solid shapes


@functools.lru_cache(maxsize=128)
def _solid(shape: Shape) -> tuple[Array, IntArray]:
    """Points (P, 3) about a shape's own centre, and triangles (T, 3) of them, outward."""
    if shape.kind == "box":
        corners = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * np.array(shape.size)
        sides = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
        return corners, np.array([face for a, b, c, d in sides for face in ((a, b, c), (a, c, d))])
    radius, half = shape.size[0], shape.size[1] / 2 if shape.kind == "capsule" else 0.0
    latitudes = np.linspace(0.0, np.pi / 2, _CAP + 1)
    lower = [(-half - radius * np.cos(a), radius * np.sin(a)) for a in latitudes]  # height, radius of each ring
    rings = lower + [(-height, wide) for height, wide in reversed(lower)]
    around = np.linspace(0.0, 2 * np.pi, _RING, endpoint=False)
    circle = np.stack([np.cos(around), np.sin(around)], axis=1)
    points = np.concatenate([np.column_stack([wide * circle, np.full(_RING, height)]) for height, wide in rings])
    faces = []
    for ring in range(len(rings) - 1):
        for i in range(_RING):
            a, b = ring * _RING + i, ring * _RING + (i + 1) % _RING
            faces += [(a, b, b + _RING), (a, b + _RING, a + _RING)]
    return points, np.array(faces)
