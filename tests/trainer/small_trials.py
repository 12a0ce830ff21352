# SPDX-License-Identifier: GPL-3.0-or-later
"""In how many small disturbances a performance lands, one after the other."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from backflip_addon.core import metrics
from backflip_addon.core.arrays import Array
from backflip_addon.core.motion import Take
from backflip_addon.trainer.imitation import disturbances
from backflip_addon.trainer.imitation.disturbances import Disturbances, disturbed
from backflip_addon.trainer.imitation.performance import Performance
from backflip_addon.trainer.imitation.reference_track import Track
from backflip_addon.trainer.physics.engines import AUTO, EngineName
from backflip_addon.trainer.physics.state import Scene, States

Perform = Callable[[Scene, States], Take]  # from a start state (no leading axis) to a take that tells whether it stands


def small_disturbances(track: Track, scene: Scene, trials: int = metrics.TRIALS) -> list[tuple[Scene, States]]:
    """The scenes and start states of so many trials around a scene."""
    noise = Disturbances(pose=disturbances.START_NOISE, velocity=0.0, spin=0.0)
    result = []
    for trial in range(trials):
        random = np.random.default_rng([disturbances.SMALL_SEED, trial])
        friction, floor, mass = random.uniform(-1.0, 1.0, 3) * (
            disturbances.GRIP,
            disturbances.FLOOR,
            disturbances.MASS,
        )
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


def robust_landings(track: Track, perform: Perform, scene: Scene | None = None, trials: int = metrics.TRIALS) -> int:
    """How many of so many trials land; of a clip that does not end standing, succeed.

    The trials are always the same: the same plan or policy in the same scene has the same number.
    """
    landings = 0
    for around, start in small_disturbances(track, scene or Scene(), trials):
        measures = metrics.evaluate_take(track.body, track.reference, perform(around, start))
        landings += measures.success if measures.landed is None else measures.landed
    return landings
