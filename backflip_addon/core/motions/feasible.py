# SPDX-License-Identifier: GPL-3.0-or-later
"""The nearest motion that a body could perform: within its joints, in flight and on the floor."""

from __future__ import annotations

import dataclasses

from ..body import Body
from ..motion import Motion
from . import feasible_flight, feasible_joints, feasible_stance
from .feasible_flight import Flight
from .feasible_stance import StanceChange
from .shifted_body import ShiftedBody


def feasible(body: Body, reference: Motion) -> tuple[Motion, list[Flight], list[StanceChange]]:
    """The reference at feasible_flight.RATE, made possible; its flights; and what changed between them.

    First its joints are brought within their limits, then its flights are made physical, then what is between them.
    """
    within, _ = feasible_joints.within_joints(body, reference)
    smooth = feasible_flight.smoothed(within, feasible_flight.RATE)
    flown, flights = feasible_flight.flown(body, smooth)
    motion, changes = feasible_stance.carried(body, smooth, flown, flights)
    return motion, _built_up(body, motion, flights), changes


def _built_up(body: Body, motion: Motion, flights: list[Flight]) -> list[Flight]:
    """The flights with the angular momentum that the motion has on the floor, before each."""
    if not flights:
        return flights
    shifted = ShiftedBody(body, motion)
    momentum = shifted.momentum(shifted.base)[1]
    before = [momentum[round(flight.start * motion.rate) - 1] for flight in flights]
    return [dataclasses.replace(f, momentum_before=m) for f, m in zip(flights, before, strict=True)]
