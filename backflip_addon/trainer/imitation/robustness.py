# SPDX-License-Identifier: GPL-3.0-or-later
"""How robust a performance is: in how many of twenty small disturbances what performed it lands."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from ...core import metrics
from ...core.arrays import Array
from ...core.constants import FRICTION as FLOOR_FRICTION
from ...core.motion import Take
from ..physics.engines import AUTO, EngineName
from ..physics.state import Scene, States
from .disturbances import Disturbances, disturbed
from .performance import Performance
from .reference_track import Track

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

Perform = Callable[[Scene, States], Take]  # from a start state (no leading axis) to a take that tells whether it stands


def small_disturbances(track: Track, scene: Scene, trials: int = metrics.TRIALS) -> list[tuple[Scene, States]]:
    """The scenes and start states of so many trials around a scene."""
    noise = Disturbances(pose=START_NOISE, velocity=0.0, spin=0.0)
    result = []
    for trial in range(trials):
        random = np.random.default_rng([SEED, trial])
        friction, floor, mass = random.uniform(-1.0, 1.0, 3) * (FRICTION, FLOOR, MASS)
        around = dataclasses.replace(scene, friction=max(scene.friction + friction, 0.0), floor=scene.floor + floor)
        around = dataclasses.replace(around, mass=scene.mass * (1 + mass))
        start = disturbed(track.body, track.states[0], noise, random, around.floor)
        result.append((around, start))
    return result


def controls(track: Track, targets: Array, engine: EngineName = AUTO) -> Perform:
    """What performs joint targets (T, L, 4) of a whole track, open loop, in an engine."""

    def perform(scene: Scene, start: States) -> Take:
        performance = Performance(track, scene, start, engine)
        try:
            performance.run(targets)
            return performance.final_take()
        finally:
            performance.close()

    return perform


def with_robustness(take: Take, landings: int) -> Take:
    """The take, saying of itself in how many trials what performed it landed."""
    return dataclasses.replace(take, meta={**take.meta, metrics.ROBUST: landings})
