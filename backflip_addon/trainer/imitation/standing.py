# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a body that has ended its performance on its feet stays on them: played further, its pose held."""

from __future__ import annotations

import numpy as np

from ...core import metrics
from ...core.body import FEET
from ..physics.pybullet_world import PyBulletWorld

REST_SPEED = 0.15  # m/s, of the root of a body that stands
REST_TURN = 0.5  # rad/s, about the vertical


def still_stands(world: PyBulletWorld, seconds: float = metrics.STANDS_SECONDS) -> bool:
    """Play on toward the joint targets that were last set; whether the body stands all the while, and rests at the end.

    The world goes on by so many seconds, or to the moment of the fall.
    """
    feet = [world.body.index(name) for name in FEET]
    others = np.ones(len(world.body.links), dtype=bool)
    others[feet] = False
    touching = world.contacts()
    for _ in range(round(seconds * world.control_rate)):
        for _ in range(world.substeps):
            world.substep()
        touching = world.contacts()
        # Compared this way round, numbers that are not finite do not stand
        if (touching & others).any() or not metrics.root_tilt(world.state().rotations) < metrics.UPRIGHT:
            return False
    state = world.state()
    slow = np.linalg.norm(state.velocity) < REST_SPEED and abs(state.angular_velocity[2]) < REST_TURN
    return bool(slow and touching[feet].any())
