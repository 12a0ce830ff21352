# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a body that has ended its performance on its feet stays on them: played further, its pose held."""

from __future__ import annotations

import numpy as np

from ...core import metrics
from ...core.arrays import BoolArray
from ...core.body import FEET
from ...core.measures.balance import REST_SPEED, REST_TURN
from ..physics.recording import RecordingSimulator
from ..physics.simulator import CONTROL_RATE


def still_stands(bodies: RecordingSimulator, seconds: float = metrics.STANDS_SECONDS) -> bool:
    """Whether the first of some bodies stands on, as who_stands()."""
    return bool(who_stands(bodies, np.arange(bodies.count) == 0, seconds)[0])


def who_stands(bodies: RecordingSimulator, which: BoolArray, seconds: float = metrics.STANDS_SECONDS) -> BoolArray:
    """Play the bodies which (N,) on toward the joint targets that were last set; which of them (N,) stand all the
    while, and rest at the end.

    They go on by so many seconds, or to the moment of the fall; nothing is recorded any more.
    """
    feet = [bodies.body.index(name) for name in FEET]
    others = np.ones(len(bodies.body.links), dtype=bool)
    others[feet] = False
    bodies.record(())
    stand = which.copy()
    for _ in range(round(seconds * CONTROL_RATE)):
        bodies.step(stand)
        upright = metrics.root_tilt(bodies.states().rotations) < metrics.UPRIGHT
        # Compared this way round, numbers that are not finite do not stand
        stand &= upright & ~(bodies.contacts() & others).any(axis=1)
        if not stand.any():
            return stand
    state = bodies.states()
    slow = (np.linalg.norm(state.velocity, axis=1) < REST_SPEED) & (np.abs(state.angular_velocity[:, 2]) < REST_TURN)
    rests: BoolArray = stand & slow & bodies.contacts()[:, feet].any(axis=1)
    return rests
