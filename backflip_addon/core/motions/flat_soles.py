# SPDX-License-Identifier: GPL-3.0-or-later
"""Soles that rest on the floor, flat: captured feet hover over it, sink into it, and tilt, by a centimetre or two.

A foot that is near the floor, slow and nearly level is put down: turned level the shortest way, its lowest point on the
floor; knee and hip follow. Flights stay as they are, and so does a foot that swings, rolls over its heel or toes, or is
put down for a moment.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from .. import metrics, rotations
from ..arrays import Array
from ..body import Body
from ..motion import Motion
from . import feasible_joints
from .foot_planting import sole_points
from .limb_reach import SIDES, Limb
from .shifted_body import Poses

NEAR, OFF = 0.03, 0.06  # m over or under the floor: a foot that is nearer rests, one that is further off does not
CLOSE, FLAT = 0.003, np.radians(1)  # m and rad: what is left, for 3 mm bend a straight knee by 5 degrees
SLOW, FAST = 0.15, 0.5  # m/s of the ankle: a slower foot rests, a faster one swings
LEVEL, TILTED = np.radians(7), np.radians(14)  # of the sole, its end 2 and 5 cm up: beyond, toes or heel are meant
RESTING, TIPTOE = np.radians(15), np.radians(35)  # of the sole of a body that comes to rest
STRETCHED = 0.995  # of a leg's length: farther it reaches only where the clip does, or the knee would snap
BLEND = 0.1  # s: a foot is put down within twice as long, and raised so
_UP = np.array([0.0, 0.0, 1.0])


def put_down(body: Body, motion: Motion, flights: list[tuple[int, int]], rests_from: float = np.inf) -> Motion:
    """The motion with its resting soles on the floor, and the hips no higher than the legs are long for it.

    flights: their first and last frames, in which everything stays as it is; so do feet that do not rest.
    rests_from: s from which on the body comes to rest, on flat soles.
    """
    poses = Poses(*body.forward(motion.position, motion.rotations))
    positions, turns = poses.positions, poses.orientations
    ground = np.ones(motion.frames)
    for first, last in flights:
        ground[first : last + 1] = 0.0
    legs = [Limb.leg(body, side) for side in SIDES]
    stands_from = min(rests_from, motion.duration - 2 * BLEND) if metrics.ends_standing(body, motion) else np.inf
    tilts = (LEVEL, TILTED) if np.isinf(rests_from) else (RESTING, TIPTOE)
    shares = [_share(body, motion.rate, poses, leg.end, ground, stands_from, tilts) for leg in legs]
    goals = [_goal(body, poses, side, share) for side, share in zip(SIDES, shares, strict=True)]
    lacks = [_lack(body, poses, leg, ankle) for leg, (ankle, _) in zip(legs, goals, strict=True)]
    # the greatest lack around each frame, smoothed: so the hips do not jerk
    drop = -_within(-np.max(lacks, axis=0), motion.rate) * _within(ground, motion.rate)
    position = motion.position - drop[:, None] * _UP
    for leg, share, (ankle, turn) in zip(legs, shares, goals, strict=True):
        away = ankle - positions[:, leg.upper] + drop[:, None] * _UP
        upper, lower = leg.reaching(body, turns[:, leg.upper], turns[:, leg.lower], away)
        moves = (share > 0) | (drop > 0)
        for link, turned in ((leg.upper, upper), (leg.lower, lower), (leg.end, turn)):
            turns[moves, link] = turned[moves]
    local = rotations.continuous(body.local_rotations(turns))
    kept = feasible_joints.within_joints(body, dataclasses.replace(motion, position=position, rotations=local))[0]
    for leg, share in zip(legs, shares, strict=True):
        for link in (leg.upper, leg.lower, leg.end):  # no flatter than the ankle goes
            local[:, link] = rotations.slerp(local[:, link], kept.rotations[:, link], share)
    return dataclasses.replace(motion, position=position, rotations=local)


def _share(
    body: Body, rate: float, poses: Poses, foot: int, ground: Array, stands_from: float, tilts: tuple[float, float]
) -> Array:
    """How much a foot is put down in each frame (F,), 0 to 1: where it rests, a while within.

    ground (F,): 0 in flights, 1 else. stands_from: s from which on a body stands, so a foot that is low and level
    enough (tilts: wholly, no more, rad) rests there.
    """
    low = np.abs(body.lowest_points(poses.positions, poses.orientations, [foot])[:, 0])
    speed = np.linalg.norm(np.gradient(poses.positions[:, foot], 1 / rate, axis=0), axis=1)
    tilt = np.arccos(np.clip(rotations.rotate(poses.orientations[:, foot], _UP)[:, 2], -1, 1))
    near = ground * _falling(low, NEAR, OFF)
    share = _within(near * _falling(tilt, LEVEL, TILTED) * _falling(speed, SLOW, FAST), rate)
    early = stands_from - np.arange(len(near)) / rate
    if (early <= 0).any():
        least = (near * _falling(tilt, *tilts))[early <= 0].min()
        share = np.maximum(share, least * _falling(early, -2 * BLEND, 0.0))
    return share


def _falling(x: Array, one: float, none: float) -> Array:
    """1 up to one, 0 from none on, smooth between."""
    share = np.clip((none - x) / (none - one), 0.0, 1.0)
    smooth: Array = share * share * (3 - 2 * share)
    return smooth


def _within(track: Array, rate: float) -> Array:
    """A track (F,) smoothed over twice BLEND, nowhere above what it was; held at its ends."""
    reach = max(round(BLEND * rate), 1)
    least = np.lib.stride_tricks.sliding_window_view(np.pad(track, 2 * reach, mode="edge"), 2 * reach + 1).min(axis=1)
    kernel = np.hanning(2 * reach + 3)[1:-1]
    smooth: Array = np.convolve(least, kernel / kernel.sum(), mode="valid")
    return smooth


def _goal(body: Body, poses: Poses, side: str, share: Array) -> tuple[Array, Array]:
    """Where a foot's ankle (F, 3) and its orientation (F, 4) go that is put down by a share (F,).

    It turns about where it touches: about the ankle it would slide.
    """
    foot = body.index(f"foot.{side}")
    positions, turns = poses.positions, poses.orientations
    level = rotations.to_rotation_vector(rotations.between_vectors(rotations.rotate(turns[:, foot], _UP), _UP))
    tilt = np.maximum(np.linalg.norm(level, axis=1), FLAT)
    part = rotations.from_rotation_vector((share * (1 - FLAT / tilt))[:, None] * level)
    tried = turns.copy()
    tried[:, foot] = rotations.multiply(part, turns[:, foot])
    old, carries = sole_points(body, positions, turns, side)
    new, _ = sole_points(body, positions, tried, side)
    way = np.einsum("fp,fpk->fk", carries, old - new)
    was, now = (body.lowest_points(positions, orientations, [foot])[:, 0] for orientations in (turns, tried))
    way[:, 2] = was + share * (np.clip(was, -CLOSE, CLOSE) - was) - now
    return positions[:, foot] + way, tried[:, foot]


def _lack(body: Body, poses: Poses, leg: Limb, ankle: Array) -> Array:
    """How much farther a leg's ankle (F, 3) is than it reaches (F,), m."""
    hip = poses.positions[:, leg.upper]
    reach = np.maximum(np.linalg.norm(poses.positions[:, leg.end] - hip, axis=1), STRETCHED * leg.longest(body))
    lack: Array = np.maximum(np.linalg.norm(ankle - hip, axis=1) - reach, 0.0)
    return lack
