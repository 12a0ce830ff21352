# SPDX-License-Identifier: GPL-3.0-or-later
"""What a policy is worth: takes it performs, and trials of which the landings are counted, in the engine that
performs (physics.engines)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from ...core import metrics
from ...core.arrays import Float32Array
from ...core.metrics import Measures
from ...core.motion import Take
from ..imitation.directed_bodies import DirectedBodies
from ..imitation.disturbances import Disturbances
from ..imitation.environment import ImitationEnvironment, begin_trial
from ..imitation.falling import with_fall
from ..imitation.reference_track import Track
from ..imitation.standing import still_stands
from ..physics.simulator import CONTROL_RATE
from ..physics.state import Scene, States

DECIDED = 0.5  # s after a part has come down that may not, in which all is seen that tells what happened

Act = Callable[[Float32Array], Float32Array]  # from observations (N, n) to actions (N, width): a numpy_actor.Actor


@dataclasses.dataclass(frozen=True)
class Trial:
    """One performance without exploration. mean_reward: a control step, in [0, 1]."""

    seed: int
    mean_reward: float
    measures: Measures

    @property
    def lands(self) -> bool:
        """Whether it landed; of a clip that ends in mid-stride, whether it was followed."""
        return self.measures.success if self.measures.landed is None else self.measures.landed


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Several trials, in the order of their seeds."""

    trials: tuple[Trial, ...]

    @property
    def landing_rate(self) -> float:
        """Share of the trials that land."""
        return float(np.mean([trial.lands for trial in self.trials]))

    @property
    def mean_reward(self) -> float:
        """Mean over the trials, in [0, 1]."""
        return float(np.mean([trial.mean_reward for trial in self.trials]))

    @property
    def g_mpjpe_mm(self) -> float:
        """Mean link position error over the trials, mm, global."""
        return float(np.mean([trial.measures.g_mpjpe_mm for trial in self.trials]))


def flaws_of(measures: Measures) -> int | None:
    """How many flaws a performance has; None: it does not land, or, of a clip that ends in mid-stride, succeed."""
    lands = measures.success if measures.landed is None else measures.landed
    return len(measures.flaws) if lands else None


def perform_take(
    env: ImitationEnvironment[DirectedBodies],
    actor: Act,
    track: Track,
    seed: int,
    disturbances: Disturbances,
    scene: Scene | None,
    start: States | None,
    plays_out: bool = True,
    begins: int = 0,
    **facts: Any,
) -> Take:
    """One performance from frame 0, or from the control step at which it begins, to the end of the hold, in an
    environment of one body.

    As the bodies of the environment are directed. scene, start (no leading axis): drawn from the disturbances where
    None. facts: more that the take is to say. A failed one's fall is played out (imitation.falling), and a landed one
    three seconds on, where plays_out; of one that can no longer land nothing else is performed past it.
    """
    bodies = env.bodies
    bodies.record([0])
    begin_trial(env, 0, seed, disturbances, scene, start, begins)
    fresh = np.ones(1, dtype=bool)
    ends_early = track.standing and not bodies.direction.gives_up
    down = 0  # control steps since a part came down that may not
    for _ in range(begins, env.trajectory.steps):
        env.refresh()
        observation, _ = env.observe(fresh)
        fresh = np.zeros(1, dtype=bool)
        touched = bool(env.step(actor(observation))[0])
        down += down > 0 or touched
        if ends_early and down > DECIDED * CONTROL_RATE:
            break
    if begins:
        facts[metrics.BEGINS] = begins / CONTROL_RATE
    take = bodies.recording(0).take(seed=seed, **facts)
    if track.standing and not down:
        take.meta[metrics.STANDS] = still_stands(bodies.inner, None if plays_out else env.circumstances[0].scene)
    if plays_out:
        take = with_fall(bodies, track, take)
    bodies.record(())
    return take
