# SPDX-License-Identifier: GPL-3.0-or-later
"""Does a clip's character stand as it was meant to, or does the clip lie on its side?"""

from __future__ import annotations

import dataclasses

import numpy as np

from .. import rotations
from ..arrays import Array
from ..body import Body
from ..findings import Finding
from ..motion import Motion

_LYING = np.radians(60)  # a trunk that leans further lies
_EVER_UP = np.radians(45)  # what leans less at any time has stood, if only for a moment
_NEAR_AXIS = np.radians(30)  # a direction so near an axis is meant to lie along it
_CROUCHING = np.radians(50)  # between trunk and legs: on hands and knees it is a right angle
UP = np.array([0.0, 0.0, 1.0])


def lying(body: Body, positions: Array) -> Finding | None:
    """A clip whose trunk never stands. positions (F, L, 3): the links'."""
    lean = np.arccos(np.clip(_trunk(body, positions)[:, 2], -1.0, 1.0))
    if np.median(lean) < _LYING or lean.min() < _EVER_UP:
        return None
    if np.median(_bent(body, positions)) > _CROUCHING:
        return None  # on hands and knees
    how = "stands on its head" if np.median(lean) > np.pi - _LYING else "lies"
    return Finding(
        "lying",
        f"The character {how} from beginning to end: if it should stand, the clip has another axis for up.",
        {"upright": True},
    )


def upright(motion: Motion, body: Body) -> Motion:
    """The clip turned, about its first root, so that its trunk stands in the mean. It may be off the floor then."""
    positions, _ = body.forward(motion.position, motion.rotations)
    mean = _trunk(body, positions).mean(axis=0)
    if np.linalg.norm(mean) < 1e-6:
        return motion
    # an axis that was taken for another is a quarter or half turn off
    turn = rotations.between_vectors(_nearest_axis(mean), UP)
    start = motion.position[0]
    position = start + rotations.rotate(turn, motion.position - start)
    orientations = motion.rotations.copy()
    orientations[:, 0] = rotations.multiply(turn, orientations[:, 0])
    return dataclasses.replace(motion, position=position, rotations=orientations)


def _nearest_axis(direction: Array) -> Array:
    """The direction, or the level or upright axis within _NEAR_AXIS of it."""
    level = direction * [1.0, 1.0, 0.0]
    candidates = [UP, -UP, rotations.normalise(level) if np.linalg.norm(level) > 1e-6 else UP]
    best = max(candidates, key=lambda axis: float(axis @ direction))
    unit = rotations.normalise(direction)
    return best if float(best @ unit) > np.cos(_NEAR_AXIS) else unit


def _bent(body: Body, positions: Array) -> Array:
    """How far (F,) the legs, hips to ankles, are from going on where the trunk ends, rad."""
    ankles = (positions[:, body.index("foot.L")] + positions[:, body.index("foot.R")]) / 2
    legs = rotations.normalise(positions[:, 0] - ankles)
    bend: Array = np.arccos(np.clip(np.sum(legs * _trunk(body, positions), axis=1), -1.0, 1.0))
    return bend


def _trunk(body: Body, positions: Array) -> Array:
    """From the hips to the head (F, 3), unit length."""
    return rotations.normalise(positions[:, body.index("head")] - positions[:, 0])
