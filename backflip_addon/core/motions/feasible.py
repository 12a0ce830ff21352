# SPDX-License-Identifier: GPL-3.0-or-later
"""The nearest motion that a body could perform: within its joints, in flight and on the floor."""

from __future__ import annotations

import dataclasses

import numpy as np

from ..body import Body
from ..motion import Motion
from . import feasible_flight, feasible_joints, feasible_stance, settling, still_feet
from .feasible_flight import Flight
from .feasible_stance import StanceChange
from .shifted_body import ShiftedBody

OFF_THE_FLOOR = 0.01  # m: a body whose feet are held on the floor while they bear is in flight when all is higher


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
    onward = settling.feet_put_down(body, settling.settled(smooth, seconds), smooth.frames - 1)
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
