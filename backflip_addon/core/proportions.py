# SPDX-License-Identifier: GPL-3.0-or-later
"""Lengths of a body in its neutral pose: upright, legs and arms hanging straight down (see core.body)."""

from __future__ import annotations

import numpy as np

from . import rotations
from .arrays import Array
from .body import FEET, Body


def hip_to_ankle(body: Body) -> float:
    """Length of thigh and shin, joint to joint, mean of both sides, m."""
    lengths = [
        np.linalg.norm(body.links[body.index(f"{part}.{side}")].offset) for side in "LR" for part in ("shin", "foot")
    ]
    return float(sum(lengths)) / 2


def hip_to_sole(body: Body) -> float:
    """Length of a leg down to the sole, mean of both sides, m: what speeds and heights of a clip are held against."""
    positions, lows = _neutral(body)
    feet = [body.index(name) for name in FEET]
    return hip_to_ankle(body) + float(np.mean([positions[i, 2] - lows[i] for i in feet]))


def standing_height(body: Body) -> float:
    """Height of the root's origin, m, when the body stands in the neutral pose with its lowest point on the floor."""
    return -float(_neutral(body)[1].min())


def _neutral(body: Body) -> tuple[Array, Array]:
    """Link origins (L, 3) and the heights (L,) of the links' lowest points in the neutral pose, root at the origin."""
    positions, orientations = body.forward(np.zeros(3), np.tile(rotations.IDENTITY, (len(body.links), 1)))
    return positions, body.lowest_points(positions, orientations)
