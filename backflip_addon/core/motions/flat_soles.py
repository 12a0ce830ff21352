# SPDX-License-Identifier: GPL-3.0-or-later
"""Soles that rest on the floor, flat: captured feet hover over it, sink into it, and tilt, by a centimetre or two.

A body that imitates a hovering foot stands on the other one. So a foot that is near the floor, slow and nearly level is
put down: turned level the shortest way, its lowest point on the floor; knee and hip follow.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from .. import rotations
from ..arrays import Array
from ..body import Body
from ..motion import Motion
from .limb_reach import SIDES, Limb

NEAR, OFF = 0.03, 0.06  # m over or under the floor: a foot that is nearer rests, one that is further off does not
SLOW, FAST = 0.15, 0.5  # m/s of the ankle: a slower foot rests, a faster one swings
LEVEL, TILTED = np.radians(15), np.radians(35)  # of the sole: beyond it stands on toes or heel, and is meant to
STRETCHED = 0.995  # of a leg's length: no straighter, or the knee would snap
BLEND = 0.1  # s, over which a foot is put down, standard deviation
_UP = np.array([0.0, 0.0, 1.0])


def put_down(body: Body, motion: Motion) -> Motion:
    """The motion with its resting soles on the floor, and the hips no higher than the legs are long for it."""
    positions, turns = body.forward(motion.position, motion.rotations)
    limbs = [Limb.leg(body, side) for side in SIDES]
    shares = [_resting(body, motion, positions, turns, limb.end) for limb in limbs]
    goals = [_goal(body, limb.end, share, positions, turns) for limb, share in zip(limbs, shares, strict=True)]
    lacks = [
        np.linalg.norm(ankle - positions[:, limb.upper], axis=1) - limb.longest(body) * STRETCHED
        for limb, (ankle, _) in zip(limbs, goals, strict=True)
    ]
    drop = _smooth(
        np.max([share * np.maximum(lack, 0.0) for share, lack in zip(shares, lacks, strict=True)], axis=0), motion
    )
    positions = positions - drop[:, None, None] * _UP
    for limb, share, (ankle, turn) in zip(limbs, shares, goals, strict=True):
        away = ankle - ((1 - share) * drop)[:, None] * _UP - positions[:, limb.upper]
        first, second = limb.reaching(body, turns[:, limb.upper], turns[:, limb.lower], away)
        moves = share > 0
        for link, turned in ((limb.upper, first), (limb.lower, second), (limb.end, turn)):
            turns[moves, link] = turned[moves]
    local = rotations.continuous(body.local_rotations(turns))
    return dataclasses.replace(motion, position=motion.position - drop[:, None] * _UP, rotations=local)


def _resting(body: Body, motion: Motion, positions: Array, turns: Array, foot: int) -> Array:
    """How much a foot rests in each frame (F,), 0 to 1, smoothly."""
    low = np.abs(body.lowest_points(positions, turns, [foot])[:, 0])
    speed = np.linalg.norm(np.gradient(positions[:, foot], 1 / motion.rate, axis=0), axis=1)
    tilt = np.arccos(np.clip(rotations.rotate(turns[:, foot], _UP)[:, 2], -1, 1))
    speed[[0, -1]] = 0.0  # before and after it holds still
    share = _falling(low, NEAR, OFF) * _falling(speed, SLOW, FAST) * _falling(tilt, LEVEL, TILTED)
    return _smooth(share, motion)


def _smooth(track: Array, motion: Motion) -> Array:
    """A track (F,) low-passed by a Gaussian of BLEND s, held at its ends."""
    reach = max(int(round(3 * BLEND * motion.rate)), 1)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / (BLEND * motion.rate)) ** 2)
    padded = np.concatenate([np.full(reach, track[0]), track, np.full(reach, track[-1])])
    smooth: Array = np.convolve(padded, kernel / kernel.sum(), mode="valid")
    return smooth


def _goal(body: Body, foot: int, share: Array, positions: Array, turns: Array) -> tuple[Array, Array]:
    """Where a foot's ankle (F, 3) and its orientation (F, 4) go that is put down by a share (F,)."""
    level = rotations.between_vectors(rotations.rotate(turns[:, foot], _UP), _UP)
    part = rotations.slerp(np.broadcast_to(rotations.IDENTITY, level.shape), level, share)
    goal = rotations.multiply(part, turns[:, foot])
    tried = turns.copy()
    tried[:, foot] = goal
    lows = body.lowest_points(positions, tried, [foot])[:, 0]
    return positions[:, foot] - (share * lows)[:, None] * _UP, goal


def _falling(x: Array, one: float, none: float) -> Array:
    """1 up to one, 0 from none on, smooth between."""
    share = np.clip((none - x) / (none - one), 0.0, 1.0)
    smooth: Array = share * share * (3 - 2 * share)
    return smooth
