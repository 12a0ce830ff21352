# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a body that has ended its performance on its feet stays on them: played further, its pose held."""

from __future__ import annotations

import numpy as np

from ...core import metrics
from ...core.body import FEET
from ..physics.recording import RecordingSimulator
from ..physics.simulator import CONTROL_RATE

REST_SPEED = 0.15  # m/s, of the root of a body that stands
REST_TURN = 0.5  # rad/s, about the vertical


def still_stands(bodies: RecordingSimulator, seconds: float = metrics.STANDS_SECONDS) -> bool:
    """Play the first of some bodies on toward the joint targets that were last set; whether it stands all the while,
    and rests at the end.

    It goes on by so many seconds, or to the moment of the fall; nothing is recorded any more.
    """
    feet = [bodies.body.index(name) for name in FEET]
    others = np.ones(len(bodies.body.links), dtype=bool)
    others[feet] = False
    first = np.arange(bodies.count) == 0
    bodies.record(())
    touching, state = bodies.contacts()[0], bodies.states()[0]
    for _ in range(round(seconds * CONTROL_RATE)):
        bodies.step(first)
        touching, state = bodies.contacts()[0], bodies.states()[0]
        # Compared this way round, numbers that are not finite do not stand
        if (touching & others).any() or not metrics.root_tilt(state.rotations) < metrics.UPRIGHT:
            return False
    slow = np.linalg.norm(state.velocity) < REST_SPEED and abs(state.angular_velocity[2]) < REST_TURN
    return bool(slow and touching[feet].any())
