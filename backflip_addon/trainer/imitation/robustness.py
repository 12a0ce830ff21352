# SPDX-License-Identifier: GPL-3.0-or-later
"""How robust a performance is: in how many of twenty small disturbances what performed it lands."""

from __future__ import annotations

import dataclasses

from ...core import metrics
from ...core.constants import FRICTION as FLOOR_FRICTION
from ...core.motion import Take
from .disturbances import Disturbances

# What nobody sees and everybody's floor and body vary by; friction, mass and floor are added to the scene's own
START_NOISE = 0.01  # rad, deviation of every joint axis
MASS, FRICTION, FLOOR = 0.02, 0.1, 0.01  # a share, a coefficient, m; either way
# The same as training knows them
SMALL = Disturbances(
    pose=START_NOISE,
    velocity=0.0,
    spin=0.0,
    friction=(FLOOR_FRICTION - FRICTION, FLOOR_FRICTION + FRICTION),
    mass=MASS,
    floor=FLOOR,
    delay=0,
    push=0.0,
    push_spin=0.0,
)
SEED = 20_000  # of the trials, apart from those of all learning


def with_robustness(take: Take, landings: int) -> Take:
    """The take, saying of itself in how many trials what performed it landed."""
    return dataclasses.replace(take, meta={**take.meta, metrics.ROBUST: landings})
