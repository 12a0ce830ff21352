# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a body turns over, and about its spine, beside what it is to turn."""

from __future__ import annotations

import numpy as np

from .. import rotations
from ..arrays import Array, BoolArray

ON_ITS_SIDE = np.sin(np.radians(60))  # of the left-right axis, up or down: a body that lies on its side
OVER, SURELY_OVER = np.radians(90), np.radians(120)  # of the root's tilt: may count as upside down, and must
UPRIGHT_AGAIN = np.radians(60)  # of the root's tilt: between two turns it has been less


def net_somersault(root: Array) -> float:
    """Net turn of the root (F, 4) about its own left-right axis over the frames, rad, signed.

    The angular velocity's component along the body's lateral axis (x), summed.
    """
    steps = rotations.to_rotation_vector(rotations.multiply(rotations.conjugate(root[:-1]), root[1:]))
    return float(steps[:, 0].sum())


def somersault_off(root: Array, goal: Array) -> float:
    """By how much a root (F, 4) has turned over further than a goal (G, 4) when each is at its end, rad, signed as
    net_somersault(): by what their pitches are apart, and by whole turns.

    net_somersault() says how many turns, and no more. One that lies on its side has no pitch; there they have to do.
    """
    apart = net_somersault(root) - net_somersault(goal)
    left = rotations.rotate(np.stack([root[-1], goal[-1]]), np.array([1.0, 0.0, 0.0]))
    if np.abs(left[:, 2]).max() > ON_ITS_SIDE:
        return apart
    own, wanted = _pitch(root[-1]), _pitch(goal[-1])
    return float(own - wanted + 2 * np.pi * np.round((apart - own + wanted) / (2 * np.pi)))


def _pitch(root: Array) -> float:
    """How far a root (4,) has turned about its left-right axis (x) from upright, rad, whichever way it faces."""
    back, up = rotations.rotate(root, np.array([0.0, 1.0, 0.0])), rotations.rotate(root, np.array([0.0, 0.0, 1.0]))
    return float(np.arctan2(back[2], up[2]))


def twist_off(root: Array, goal: Array) -> float:
    """By how much a root (F, 4) has twisted more about its spine (z) than its goal (F, 4), rad, whole turns included.

    The twist of the one seen from the other, followed from frame to frame.
    """
    twist = rotations.twist_angle(rotations.multiply(rotations.conjugate(goal), root), np.array([0.0, 0.0, 1.0]))
    followed = np.unwrap(twist)
    return float(followed[-1] - followed[0])


def turns_over_off(tilt: Array, goal: Array) -> int:
    """How many times more a body whose root is tilted so (F,), rad, goes upside down than its goal (G,), whichever way;
    negative: fewer. What may count as upside down, and what must, is left in doubt.

    A sum of turns about one axis says so of somersaults, and not of side flips.
    """
    fewer = _times_over(tilt, OVER) - _times_over(goal, SURELY_OVER)
    more = _times_over(tilt, SURELY_OVER) - _times_over(goal, OVER)
    return min(fewer, 0) + max(more, 0)


def _times_over(tilt: Array, upside_down: float) -> int:
    """How often a tilt (F,) goes past another, from upright."""
    over: BoolArray = tilt > upside_down
    upright: BoolArray = tilt < UPRIGHT_AGAIN
    count, ready = 0, True
    for down, up in zip(over.tolist(), upright.tolist(), strict=True):
        count += ready and down
        ready = up or (ready and not down)
    return count
