# SPDX-License-Identifier: GPL-3.0-or-later
"""A take on a sloping floor, turned to how it lies in the world.

It is simulated, measured and kept in its floor's frame: the floor is level there, and gravity leans. That is the same
performance, and whatever looks at a take finds its floor at height 0. Who shows it turns it back.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from . import rotations
from .arrays import Array
from .motion import Motion, Take

LEVEL = 1e-6  # rad: a floor that slopes by less is level


def gravity_of_take(take: Take) -> Array | None:
    """The gravity (3,) that a take tells of, m/s^2, in its floor's frame; None where it tells of none."""
    scene = take.meta.get("scene")
    told = scene.get("gravity") if isinstance(scene, dict) else None
    if not isinstance(told, (list, tuple)) or len(told) != 3:
        return None
    if not all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in told):
        return None
    vector = np.array(told, dtype=float)
    return vector if np.isfinite(vector).all() and vector[2] < 0 else None


def floor_turn(take: Take) -> Array:
    """The rotation (4,) that brings a take's frame into the world's, where gravity is along -z."""
    gravity = gravity_of_take(take)
    if gravity is None:
        return np.array(rotations.IDENTITY)
    down = rotations.normalise(gravity)
    if np.hypot(down[0], down[1]) < LEVEL:
        return np.array(rotations.IDENTITY)
    return rotations.between_vectors(down, np.array([0.0, 0.0, -1.0]))


def in_the_world(take: Take, back: bool = False) -> Motion:
    """A take's motion on the slope that it was performed on, about the origin of its floor; back: from there again."""
    turn, motion = floor_turn(take), take.motion
    if np.array_equal(turn, rotations.IDENTITY):
        return motion
    turn = rotations.conjugate(turn) if back else turn
    turns = motion.rotations.copy()
    turns[:, 0] = rotations.multiply(turn, turns[:, 0])
    return dataclasses.replace(motion, position=rotations.rotate(turn, motion.position), rotations=turns)
