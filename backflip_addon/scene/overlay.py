# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines that show the physical body over the character, the reference as a ghost, and the path of its centre of mass.

numpy and Blender data."""

from __future__ import annotations

import functools

import bpy
import numpy as np

from ..core import rotations
from ..core.arrays import Array, IntArray
from ..core.body import Body
from ..core.measures.overview import Overview
from ..core.motion import Motion
from ..core.rigs.binding import Binding
from ..core.shapes import Shape
from . import units
from .animation import pose_sampling
from .armature import bind_matrix
from .armature.rig import bound_meshes, read_rig
from .baking import bake_error

_RING = 24  # corners of a drawn circle
_MARK = 0.04  # m: half of the cross at the centre of mass


def body_lines(armature: bpy.types.Object, body: Body, binding: Binding) -> Array:
    """World line segments (N, 2, 3) of the body in the pose the armature shows now; none where it shows none."""
    if not armature.visible_get() and not any(ob.visible_get() for ob in bound_meshes(armature)):
        return np.zeros((0, 2, 3))
    rig = read_rig(armature, with_skin=False, world=bind_matrix.find_bind_matrix(armature, binding, drawing=True))
    poses = pose_sampling.current_poses(armature, bpy.context.evaluated_depsgraph_get())
    positions, orientations = bake_error.measured_links(binding, rig.bones, rig.rest, poses[None])
    return binding.to_world(link_lines(body, positions[0], orientations[0]))


def ghost_lines(scene: bpy.types.Scene, body: Body, binding: Binding, motion: Motion, start_frame: int) -> Array:
    """World line segments (N, 2, 3) of the reference at the scene's current frame."""
    position, orientations = motion.sample([seconds_of(scene, start_frame)])
    positions, world = body.forward(position[0], orientations[0])
    return binding.to_world(link_lines(body, positions, world))


def seconds_of(scene: bpy.types.Scene, start_frame: int) -> float:
    """Where in the reference the scene's current frame is, s."""
    return (scene.frame_current_final - start_frame) / units.scene_rate(scene)


def path_lines(binding: Binding, seen: Overview, seconds: float) -> Array:
    """World line segments (N, 2, 3) of the centre of mass's path, with a cross where it is at a time."""
    way = np.stack([seen.centre[:-1], seen.centre[1:]], axis=1)
    now = seen.centre[min(max(round(seconds * seen.rate), 0), len(seen.centre) - 1)]
    cross = now + _MARK * np.stack([-np.eye(3), np.eye(3)], axis=1)
    return binding.to_world(np.concatenate([way, cross]))


def fall_lines(binding: Binding, seen: Overview) -> Array:
    """World line segments (N, 2, 3) of the parabolas of free fall, dashed."""
    dashes = [np.stack([fall[:-1], fall[1:]], axis=1)[::2] for fall in seen.falls]
    return binding.to_world(np.concatenate(dashes)) if dashes else np.zeros((0, 2, 3))


def link_lines(body: Body, positions: Array, orientations: Array) -> Array:
    """Segments (N, 2, 3) of all shapes of links at positions (L, 3), orientations (L, 4)."""
    lines, of = _own_lines(body)
    turns = rotations.to_matrix(orientations)[of]
    turned: Array = lines @ np.swapaxes(turns, -1, -2) + positions[of, None]
    return turned


@functools.lru_cache(maxsize=8)
def _own_lines(body: Body) -> tuple[Array, IntArray]:
    """Segments (N, 2, 3) of all shapes, in the frames of their links, and the index (N,) of each one's link."""
    lines, of = [np.zeros((0, 2, 3))], []
    for i, link in enumerate(body.links):
        for shape in link.shapes:
            turned = rotations.rotate(np.array(shape.rotation), shape_lines(shape)) + np.array(shape.position)
            lines.append(turned)
            of += [i] * len(turned)
    return np.concatenate(lines), np.array(of, dtype=int)


@functools.lru_cache(maxsize=128)
def shape_lines(shape: Shape) -> Array:
    """Segments (N, 2, 3) of one shape about its own centre."""
    if shape.kind == "box":
        return _box(np.array(shape.size))
    radius = shape.size[0]
    if shape.kind == "sphere":
        return np.concatenate([_circle(radius, axis) for axis in range(3)])
    half = np.array([0.0, 0.0, shape.size[1] / 2])
    corners = radius * np.array([[1.0, 0, 0], [-1.0, 0, 0], [0, 1.0, 0], [0, -1.0, 0]])
    sides = np.stack([corners - half, corners + half], axis=1)
    caps = [_half_circle(radius, axis, up) + up * half for axis in (0, 1) for up in (1.0, -1.0)]
    rings = [_circle(radius, 2) - half, _circle(radius, 2) + half]
    return np.concatenate([sides, *caps, *rings])


def _box(half: Array) -> Array:
    corners = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * half
    edges = [(i, i | bit) for i in range(8) for bit in (1, 2, 4) if not i & bit]
    lines: Array = corners[np.array(edges)]
    return lines


def _circle(radius: float, axis: int) -> Array:
    angle = np.linspace(0, 2 * np.pi, _RING + 1)
    points = np.insert(radius * np.column_stack([np.cos(angle), np.sin(angle)]), axis, 0.0, axis=1)
    return np.stack([points[:-1], points[1:]], axis=1)


def _half_circle(radius: float, axis: int, up: float) -> Array:
    angle = np.linspace(0, np.pi, _RING // 2 + 1)
    points = np.insert(radius * np.column_stack([np.cos(angle), up * np.sin(angle)]), axis, 0.0, axis=1)
    return np.stack([points[:-1], points[1:]], axis=1)
