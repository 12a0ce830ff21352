# SPDX-License-Identifier: GPL-3.0-or-later
"""The nearest motion that a body could perform: within its joints, in flight and on the floor.

It comes to rest after its last frame: a clip is cut while limbs still move, and no body stops dead, or holds a foot a
hand's breadth over the floor.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from .. import metrics, rotations
from ..body import Body
from ..motion import Motion
from . import feasible_flight, feasible_joints, feasible_stance, still_feet
from .feasible_flight import Flight
from .feasible_stance import StanceChange
from .foot_planting import ease
from .limb_reach import SIDES, Limb
from .shifted_body import ShiftedBody

OFF_THE_FLOOR = 0.01  # m: a body whose feet are held on the floor while they bear is in flight when all is higher
EASE = 0.07  # s in which speeds fall to 1/e: an arm that swings down goes on for a few degrees
SPEED_SECONDS = 1 / 30  # before the end, over which its speeds are taken
PUT_DOWN = 0.3  # s in which one between is put down
STRETCHED = 0.995  # of a leg's length, for its foot to be put down


def feasible(body: Body, reference: Motion, rest: float = 0.0) -> tuple[Motion, list[Flight], list[StanceChange]]:
    """The reference at feasible_flight.RATE, made possible; its flights; and what changed between them.

    rest: seconds in which it comes to rest after its end. First its joints are brought within their limits and its feet
    held where they bear, then its flights are made physical, then what is between them: soles that rest are put down
    flat, and the body is moved over them.
    """
    within, _ = feasible_joints.within_joints(body, reference)
    smooth = feasible_joints.arms_within(body, feasible_flight.smoothed(within, feasible_flight.RATE))
    smooth = still_feet.held(body, smooth)
    if rest:
        smooth = still_feet.held(body, _come_to_rest(body, smooth, rest))
    flown, flights = feasible_flight.flown(body, smooth, OFF_THE_FLOOR)
    motion, changes = feasible_stance.carried(body, smooth, flown, flights, reference.duration if rest else np.inf)
    return motion, _built_up(body, motion, flights), changes


def _come_to_rest(body: Body, smooth: Motion, seconds: float) -> Motion:
    """The motion, settled on its feet, in what is added within the joints' limits: a knee goes no further than
    straight."""
    onward = feet_put_down(body, settled(smooth, seconds), smooth.frames - 1)
    turns = feasible_joints.within_joints(body, onward)[0].rotations.copy()
    turns[: smooth.frames] = smooth.rotations  # within them but for smoothing: bounded again, it would snap
    return dataclasses.replace(onward, rotations=turns)


def _built_up(body: Body, motion: Motion, flights: list[Flight]) -> list[Flight]:
    """The flights with the angular momentum that the motion has on the floor, before each."""
    if not flights:
        return flights
    shifted = ShiftedBody(body, motion)
    momentum = shifted.momentum(shifted.base)[1]
    before = [momentum[round(flight.start * motion.rate) - 1] for flight in flights]
    return [dataclasses.replace(f, momentum_before=m) for f, m in zip(flights, before, strict=True)]


def settled(motion: Motion, seconds: float) -> Motion:
    """The motion and so many seconds more, in which all its speeds fall to nothing."""
    count = int(np.ceil(seconds * motion.rate - 1e-6))
    if count <= 0 or motion.frames < 2:
        return motion
    span = min(max(round(SPEED_SECONDS * motion.rate), 1), motion.frames - 1)
    way = EASE * (1 - np.exp(-np.arange(1, count + 1) / motion.rate / EASE)) * motion.rate / span
    last, before = motion.rotations[-1], motion.rotations[-1 - span]
    moved = motion.position[-1] - motion.position[-1 - span]
    turned = rotations.to_rotation_vector(rotations.multiply(rotations.conjugate(before), last))
    onward = rotations.from_rotation_vector(way[:, None, None] * turned)
    sure = None if motion.sure is None else np.concatenate([motion.sure, np.repeat(motion.sure[-1:], count, axis=0)])
    return dataclasses.replace(
        motion,
        sure=sure,
        position=np.concatenate([motion.position, motion.position[-1] + way[:, None] * moved]),
        rotations=np.concatenate([motion.rotations, rotations.multiply(last, onward)]),
    )


def feet_put_down(body: Body, motion: Motion, end: int) -> Motion:
    """The motion with a foot that hangs over the floor at a clip's last frame, end, put down after it: who comes to
    rest does so on both."""
    positions, turns = body.forward(motion.position, motion.rotations)
    legs = [Limb.leg(body, side) for side in SIDES]
    lows = body.lowest_points(positions, turns, [leg.end for leg in legs])
    hanging = metrics.hanging_foot(lows[end])
    if hanging is None:
        return motion
    after = slice(end + 1, motion.frames)
    leg, low = legs[hanging], lows[after, hanging]
    share = ease(np.arange(1, len(low) + 1) / (PUT_DOWN * motion.rate))
    away = positions[after, leg.end] - positions[after, leg.upper] - (share * low)[:, None] * [0.0, 0.0, 1.0]
    length = np.linalg.norm(away, axis=1, keepdims=True)
    away *= np.minimum(STRETCHED * leg.longest(body) / length, 1.0)
    turns[after, leg.upper], turns[after, leg.lower] = leg.reaching(
        body, turns[after, leg.upper], turns[after, leg.lower], away
    )
    return dataclasses.replace(motion, rotations=rotations.continuous(body.local_rotations(turns)))
