# SPDX-License-Identifier: GPL-3.0-or-later
"""The camera that frames a performance, or follows it."""

from __future__ import annotations

import math

import bpy
import numpy as np
from mathutils import Matrix

from ...core.arrays import Array, IntArray

LENS, SENSOR = 50.0, 36.0  # mm: focal length and width of Blender's own default camera
AZIMUTH, PITCH = math.radians(28.0), math.radians(7.0)  # camera: off the exact side view, and downwards
MARGIN = 1.12  # times: how much more than the performance the picture shows
ROAM = 4.5  # m; a performance that covers more ground is followed by the camera
FOLLOW_SECONDS = 0.6  # s, standard deviation of the smoothing: how gently it follows


def build_camera(
    name: str,
    boxes: Array,
    at: IntArray,
    rate: float,
    unit: float,
    yaw: float,
    size: tuple[int, int],
) -> bpy.types.Object:
    """A camera, in no collection yet, that shows boxes (F, 8, 3), world, at frames at (F,), rate of them a second.

    unit: world units per metre of a human performer. yaw: the performer's facing, radians about world z from -Y.
    size: of the picture, pixels.
    """
    turn = camera_turn(yaw)
    path = _camera_path(boxes, at / rate, unit)
    place = fit_camera((boxes - path[:, None]).reshape(-1, 3), turn, _half_views(size))
    data = bpy.data.cameras.new(name)
    data.lens, data.sensor_width, data.sensor_fit = LENS, SENSOR, "AUTO"
    data.clip_start, data.clip_end = 0.05 * unit, 1000.0 * unit
    camera = bpy.data.objects.new(data.name, data)
    camera.matrix_world = Matrix.Translation(place.tolist()) @ Matrix(turn.tolist()).to_4x4()
    if np.any(path):
        for frame, shift in zip(at, path, strict=True):
            camera.location = (place + shift).tolist()
            camera.keyframe_insert("location", frame=int(frame))
    return camera


def camera_turn(yaw: float) -> Array:
    """The camera's axes as columns (3, 3): right, up, backward; from the performer's left, a little ahead."""
    # The performer's left is +X at yaw 0 and its front -Y, so a turn towards the front is clockwise.
    around = yaw - AZIMUTH
    back: Array = np.array([math.cos(around) * math.cos(PITCH), math.sin(around) * math.cos(PITCH), math.sin(PITCH)])
    right: Array = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(back, right), back], axis=1)


def _half_views(size: tuple[int, int]) -> Array:
    """Tangents (2,) of half the angle that the picture shows across and up, less the margin."""
    wide = SENSOR / 2 / LENS
    longer = max(size)
    return np.array([wide * size[0] / longer, wide * size[1] / longer]) / MARGIN


def fit_camera(points: Array, turn: Array, half_views: Array) -> Array:
    """Where (3,) a camera turned by turn (3, 3) must stand to have points (N, 3) just within its picture.

    Exact: every point gives a plane that the camera must stay behind, so the nearest place follows
    from the greatest point along each picture edge's direction.
    """
    seen = points @ turn  # right, up, backward of each point
    place = np.zeros(3)
    for i, half in enumerate(half_views):
        high = np.max(seen[:, i] + half * seen[:, 2])
        low = np.max(-seen[:, i] + half * seen[:, 2])
        place[i] = (high - low) / 2
        distance = (high + low) / (2 * half)
        place[2] = distance if i == 0 else max(place[2], distance)
    return turn @ place


def _camera_path(boxes: Array, seconds: Array, unit: float) -> Array:
    """How far (F, 3), world, the camera is moved at each frame: not at all, or smoothly after the performer.

    seconds (F,): of the frames; their mean position is smoothed by a Gaussian of FOLLOW_SECONDS.
    """
    ground = boxes.reshape(-1, 3)[:, :2]
    if np.max(np.ptp(ground, axis=0)) <= ROAM * unit:
        return np.zeros((len(boxes), 3))
    middles = boxes.mean(axis=1)
    gaps = (seconds[:, None] - seconds) / FOLLOW_SECONDS
    weights = np.exp(-0.5 * gaps**2)
    path: Array = weights @ middles / weights.sum(axis=1, keepdims=True)
    path[:, 2] = 0.0
    return path
