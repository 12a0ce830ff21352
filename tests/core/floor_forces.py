# SPDX-License-Identifier: GPL-3.0-or-later
"""What a motion takes from the floor, worked out link by link from positions and rotation matrices."""

from __future__ import annotations

import dataclasses

import numpy as np

from backflip_addon.core import rotations
from backflip_addon.core.body import Body
from backflip_addon.core.constants import FRICTION, GRAVITY
from backflip_addon.core.motion import Motion
from backflip_addon.core.motions.feasible_flight import Flight

Array = np.ndarray
HALF = 3  # frames to each side over which parabolas are fitted: 25 ms at 120 Hz
NEAR = 0.04  # m: what is so near the floor bears
LIGHT = 0.05  # body weights under which a centre of pressure means nothing


@dataclasses.dataclass(frozen=True)
class Taken:
    """Per frame (F,): the floor's force (F, 3) in body weights; how far its moment is past the edges of what is near
    the floor, in metres times body weights; and whether the frame is on the floor, flights and their edges left out."""

    force: Array
    outside: Array
    grounded: Array

    @property
    def pull(self) -> float:
        """Body weights by which the floor would have to pull; negative when it always presses."""
        return float(-self.force[self.grounded, 2].min())

    @property
    def slipping(self) -> float:
        """Share of the frames whose force is past the cone of friction by more than 0.02 body weights."""
        level = np.linalg.norm(self.force[:, :2], axis=1)
        past = level > FRICTION * np.maximum(self.force[:, 2], 0.0) + 0.02
        return float(past[self.grounded].mean())

    @property
    def tipping(self) -> float:
        """The 95th percentile of outside, m."""
        return float(np.percentile(self.outside[self.grounded], 95))


def taken(body: Body, motion: Motion, flights: list[Flight]) -> Taken:
    """Of a motion at 120 Hz. Flights, and as much beside them as the parabolas reach, do not count."""
    positions, turns = body.forward(motion.position, motion.rotations)
    frames = rotations.to_matrix(turns)
    masses = np.array([link.mass for link in body.links])
    centres = positions + np.einsum("flij,lj->fli", frames, np.array([link.centre for link in body.links]))
    weight = masses.sum() * GRAVITY
    accelerations = _fitted(centres, motion.rate, 2)
    forces = masses[:, None] * (accelerations + [0.0, 0.0, GRAVITY])
    skew = np.gradient(frames, 1 / motion.rate, axis=0) @ np.swapaxes(frames, -1, -2)
    spin = np.stack([skew[..., 2, 1], skew[..., 0, 2], skew[..., 1, 0]], axis=-1)
    inertia = frames @ np.array([np.diag(link.inertia) for link in body.links]) @ np.swapaxes(frames, -1, -2)
    turning = _fitted(np.einsum("flij,flj->fli", inertia, spin), motion.rate, 1)
    moment = (turning + np.cross(centres, forces)).sum(axis=1) / weight  # about the world's origin
    force = forces.sum(axis=1) / weight
    corners = _points(body, positions, frames)
    near = corners[..., 2] < NEAR
    times = np.arange(motion.frames) / motion.rate
    grounded = near.any(axis=1)
    edge = (HALF + 1) / motion.rate
    for flight in flights:
        grounded &= (times < flight.start - edge) | (times > flight.end + edge)
    grounded[: HALF + 1] = grounded[-HALF - 1 :] = False
    outside = np.zeros(motion.frames)
    for f in np.flatnonzero(grounded):
        if force[f, 2] > LIGHT:
            place = np.array([-moment[f, 1], moment[f, 0]]) / force[f, 2]
            outside[f] = force[f, 2] * _distance(corners[f, near[f], :2], place)
    return Taken(force, outside, grounded)


def _fitted(track: Array, rate: float, order: int) -> Array:
    """First or second derivative of a track (F, ...) by parabolas over 2 HALF + 1 frames; zero at its ends."""
    steps = np.arange(-HALF, HALF + 1) / rate
    weights = np.linalg.pinv(np.stack([np.ones_like(steps), steps, steps**2 / 2], axis=1))[order]
    result = np.zeros(track.shape)
    for k, weight in enumerate(weights):
        result[HALF : len(track) - HALF] += weight * track[k : len(track) - 2 * HALF + k]
    return result


def _points(body: Body, positions: Array, frames: Array) -> Array:
    """Lowest points (F, P, 3) of the links' shapes: a box's corners, what is under the centres of round caps."""
    points = []
    for i, link in enumerate(body.links):
        for shape in link.shapes:
            size, round_ = np.array(shape.size), 0.0
            if shape.kind == "box":
                local = [size * [x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]
            else:
                round_ = size[0]
                half = size[1] / 2 if shape.kind == "capsule" else 0.0
                local = [np.array([0, 0, -half]), np.array([0, 0, half])]
            own = rotations.to_matrix(np.array(shape.rotation))
            for point in local:
                there = positions[:, i] + frames[:, i] @ (np.array(shape.position) + own @ point)
                points.append(there - [0.0, 0.0, round_])
    return np.stack(points, axis=1)


def _distance(points: Array, place: Array) -> float:
    """How far a place (2,) is outside the hull of points (N, 2): the farthest it is past any line that has all of them
    on one side, over directions a degree apart."""
    angles = np.radians(np.arange(360))
    ways = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return float(max((ways @ place - (points @ ways.T).max(axis=0)).max(), 0.0))
