# SPDX-License-Identifier: GPL-3.0-or-later
"""A motion of a body worked out once for all measures: where its links are, and which of them touch the floor."""

from __future__ import annotations

import dataclasses

import numpy as np

from .. import rotations
from ..arrays import Array, BoolArray
from ..body import Body
from ..constants import GRAVITY
from ..direction import BOUNDS
from ..motion import Motion, Take
from ..slope import gravity_of_take

NEAR = 0.02  # m: a link that is higher touches nothing, whatever its take says; of a clip, a lower one touches
SUNK = 0.03  # m: a sole deeper under the floor stands on nothing
THROUGH = 0.005  # m: a link so deep in the floor touches it, whatever its take says
CHATTER = 0.04  # s: a contact lost for less is not lost (5 frames at 120 Hz; a leap of 2 mm lasts as long)

Phase = tuple[int, int]  # first frame, and the frame after the last


@dataclasses.dataclass(frozen=True)
class Course:
    """F frames of a body with L links, rate Hz.

    local (F, L, 4): as Body.forward takes them; positions (F, L, 3), orientations (F, L, 4): link frames, world. lows
    (F, L): each link's lowest point, m. touching (F, L): whether it touches the floor. load (F, L): the floor's normal
    force on it, N, mean over the time since the frame before; None where that was not recorded. weight: N.
    gravity (3,): m/s^2, in the floor's frame.
    """

    body: Body
    rate: float
    local: Array
    positions: Array
    orientations: Array
    lows: Array
    touching: BoolArray
    load: Array | None
    weight: float
    gravity: Array = dataclasses.field(default_factory=lambda: np.array([0.0, 0.0, -GRAVITY]))

    @staticmethod
    def of_take(body: Body, take: Take) -> Course:
        """A take touches the floor with what its simulation says, unless that link is NEAR it no more."""
        motion = take.motion
        positions, orientations = body.forward(motion.position, motion.rotations)
        lows = body.lowest_points(positions, orientations)
        told = take.contacts if take.load is None else take.contacts | (take.load > 0)
        touching = told & (lows < NEAR) | (lows < -THROUGH)
        gravity = gravity_of_take(take)
        gravity = np.array([0.0, 0.0, -GRAVITY]) if gravity is None else gravity
        weight = body.mass * number_of_scene(take, "mass", 1.0) * float(np.linalg.norm(gravity))
        load = None if take.load is None else take.load.astype(float)
        return Course(
            body, motion.rate, motion.rotations, positions, orientations, lows, touching, load, weight, gravity
        )

    @staticmethod
    def of_clip(body: Body, clip: Motion) -> Course:
        """A clip touches with whatever is NEAR the floor: people's soles hover, and so do those fitted to them."""
        positions, orientations = body.forward(clip.position, clip.rotations)
        lows = body.lowest_points(positions, orientations)
        return Course(
            body, clip.rate, clip.rotations, positions, orientations, lows, lows < NEAR, None, body.mass * GRAVITY
        )

    @property
    def frames(self) -> int:
        """How many there are, F."""
        return len(self.positions)

    @property
    def times(self) -> Array:
        """Of the frames (F,), s."""
        times: Array = np.arange(self.frames) / self.rate
        return times

    @property
    def centre(self) -> Array:
        """Centre of mass (F, 3), world, m."""
        return self.body.centre_of_mass(self.positions, self.orientations)

    @property
    def tilt(self) -> Array:
        """Angle of the root's up axis to what is up by gravity, of each frame (F,), rad: root_tilt() on a level
        floor."""
        up = rotations.rotate(self.orientations[:, 0], np.array([0.0, 0.0, 1.0]))
        tilt: Array = np.arccos(np.clip(-up @ self.gravity / np.linalg.norm(self.gravity), -1, 1))
        return tilt


def root_tilt(orientations: Array) -> Array:
    """Angle (...) between the root's up axis and the world's, rad, of link frames (..., L, 4)."""
    up = rotations.rotate(orientations[..., 0, :], np.array([0.0, 0.0, 1.0]))[..., 2]
    tilt: Array = np.arccos(np.clip(up, -1, 1))
    return tilt


def phases(mask: BoolArray) -> list[Phase]:
    """The stretches of frames (F,) for which something holds."""
    edges = np.diff(np.concatenate([[0], mask.astype(int), [0]]))
    starts, ends = np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist()
    return list(zip(starts, ends, strict=True))


def without_chatter(mask: BoolArray, rate: float) -> BoolArray:
    """The mask (F,) with gaps shorter than CHATTER closed."""
    closed = mask.copy()
    for start, end in phases(~mask):
        if start > 0 and end < len(mask) and end - start < CHATTER * rate - 1e-6:
            closed[start:end] = True
    return closed


def number_of_scene(take: Take, name: str, otherwise: float) -> float:
    """A number of the scene that a take tells of; otherwise where it tells none that a director may ask for."""
    scene, (low, high, _) = take.meta.get("scene"), BOUNDS[name]
    told = scene.get(name) if isinstance(scene, dict) else None
    sound = isinstance(told, (int, float)) and not isinstance(told, bool) and low <= told <= high
    return float(told) if sound and told is not None else otherwise
