# SPDX-License-Identifier: GPL-3.0-or-later
"""What planning minimises: how far states are from a reference track, per control step (compiled_cost)."""

from __future__ import annotations

import dataclasses

HOVER_MARGIN = 0.04  # m
FLOOR_MARGIN = 0.04  # m: forbidden links are kept so far off the floor
PRESSES = 0.15  # body weights: a foot with less on it does not stand firm
FIRM = 0.3  # body weights: a body with less on all its feet is about to hop
HARD = 2.5  # body weights: a landing that is harder is a hard one
LARGE_COST = 4.0  # beyond it a step's cost grows by its logarithm: a fall is a fall


@dataclasses.dataclass(frozen=True)
class Weights:
    """Of the cost's terms; each term is a mean square over links or axes."""

    pose: float = 1.0  # rad^2, joints
    root: float = 2.0  # rad^2, root orientation
    heading: float = 4.0  # rad^2, what of it is a turn about the vertical: a landing that faces elsewhere is none
    ends: float = 10.0  # m^2, end links about the centre of mass
    centre: float = 20.0  # m^2, centre of mass
    velocity: float = 2.0  # (m/s)^2, its velocity: half a second later it is a distance
    spin: float = 0.03  # (rad/s)^2, root's angular velocity
    momentum: float = 0.3  # (rad/s)^2, angular momentum over the tucked body's moment of inertia
    contact: float = 1.0  # a foot off the floor by HOVER_MARGIN or more where the goal's rests
    sole: float = 10.0  # rad^2, tilt of a foot where the goal's rests
    planted: float = 4.0  # lack of load on a foot, as a share of PRESSES, where the goal's stays; Track.flies
    stepping: float = 1.0  # the same of other clips: whoever walks, boxes or dances takes the weight off a foot
    aloft: float = 8.0  # lack of load on all feet, as a share of FIRM, where the goal's rest on the floor
    slide: float = 300.0  # m, that a foot slides along the floor while it touches
    impact: float = 0.1  # (body weights)^2, the feet's mean load over a control step, of what is above HARD
    balance: float = 200.0  # m^2, once landed: its capture point, off its feet's middle or where the goal leans
    floor: float = 1.0  # a link that may not touch, FLOOR_MARGIN deep or more
    rates: float = 0.01  # (rad/s)^2, joint speeds off the goal's
    calm: float = 1.0  # (rad/s)^2, joint speeds of a body that has come to stand
    still: float = 40.0  # (m/s)^2, velocity of the centre of mass of a body that has come to stand
    effort: float = 2.0  # rad^2, offsets
