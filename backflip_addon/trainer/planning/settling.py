# SPDX-License-Identifier: GPL-3.0-or-later
"""How a body that has come down is brought to rest: a regulator around what is left of the reference.

Candidates drawn at random find out how a landing is caught, and little of standing still. So linear models are fitted
to short rollouts from states about the reference's own (planning.lqr), with a constant: the reference was never
performed. What the regulator does from where the body is, is the guess that a search goes on from.
"""

from __future__ import annotations

import dataclasses
from typing import Protocol

import numpy as np

from ...core.arrays import Array, IntArray
from ..imitation.compiled_rollouts import Rolled
from ..imitation.disturbances import shaken
from ..imitation.environment import LARGEST_CORRECTION
from ..imitation.observations import Figures, Observations
from ..imitation.reference_track import Track
from ..imitation.target_trajectory import TargetTrajectory
from ..lane_count import MOST_LANES
from ..physics.state import Scene, States, joined
from .lqr import Design, FeedbackSettings, Regulator, fit, regulator, weights_of_differences

SAMPLES = 16_000  # control steps that models are fitted to, in all
LENGTH = 3  # of them that are rolled out from one state: a step on, it bears on the floor as bodies do
FITTED = FeedbackSettings(spread=1.5)
DESIGN = Design(landed=1.0, costs={"velocity": 15.0, "spin": 0.2})


@dataclasses.dataclass(frozen=True)
class Noise:
    """Deviations of the states and controls that models are fitted to."""

    pose: float = 0.03  # rad, every joint axis
    velocity: float = 0.1  # m/s, root
    spin: float = 0.2  # rad/s, root
    joint_spin: float = 0.3  # rad/s
    action: float = 0.06  # rad


class Rollouts(Protocol):
    """What tries controls: imitation.compiled_rollouts.CompiledRollouts."""

    def __call__(
        self, starts: States, scenes: list[Scene], first: int | IntArray, offsets: Array, before: Array | None = None
    ) -> Rolled:
        """Roll out offsets (N, H, width), rad, from control step first, or (N,), the same in every MOST_LANES of them.
        before (N, width) or (width,): those of the step before."""


class Settling:
    """A regulator from a control step on. track: whose controls are turned, and which is led along.

    steps: control steps simulated. cost: mean cost of what it does from where it was fitted.
    """

    def __init__(self, track: Track, rollouts: Rollouts, scene: Scene, random: np.random.Generator) -> None:
        self.track, self._rollouts, self._scene, self._random = track, rollouts, scene, random
        self.steps, self.cost = 0, np.inf
        self._around: _Around | None = None

    def fit(self, here: States, first: int, offsets: Array) -> None:
        """Fit the regulator. here: the state at step first (no leading axis). offsets (T - first + 1, width), rad: what
        leads along the track from the step before on."""
        goals = self.track.states[first:]
        lifted = dataclasses.replace(goals, position=goals.position + [0, 0, self._scene.floor])
        around = _Around(lifted, offsets, first)
        self._around = dataclasses.replace(around, regulator=self._regulator(around))
        self.cost = self._closed_loop(self._around, here, first)[1]

    def offsets(self, here: States, first: int, before: Array) -> Array:
        """What the regulator does from a state at step first to the end (T - first, width), rad. before (width,): the
        offsets of the step before. Raises RuntimeError when nothing is fitted."""
        if self._around is None:
            raise RuntimeError("nothing is fitted yet")
        return self._closed_loop(self._around, here, first, before)[0]

    def _regulator(self, around: _Around) -> Regulator:
        first, count = around.first, len(around.offsets) - 1
        observations, width = self._observations(around), around.offsets.shape[1]
        each = -(-SAMPLES // (LENGTH * count * MOST_LANES)) * MOST_LANES
        now = np.repeat(np.arange(count), each)  # control steps from first on that the bodies are at

        def seen(states: States) -> Array:
            return observations(Figures.of(self.track.body, states), first + now)

        here, last = self._shaken(around.states[now]), around.offsets[now]
        off = seen(here)
        steps, actions, before, after = [], [], [], []
        for _ in range(LENGTH):
            action = Noise.action * self._random.standard_normal((len(now), width))
            offsets = around.offsets[now + 1] + action
            rolled = self._rollouts(here, [self._scene], first + now, offsets[:, None], last)
            self.steps += rolled.steps
            steps.append(now)
            actions.append(action)
            before.append(off)
            here, last, now = rolled.ends, offsets, now + 1
            off = seen(here)
            after.append(off)
            going = now < count
            if not going.any():
                break
            here, last, off, now = here[going], last[going], off[going], now[going]
        every = [np.concatenate(parts) for parts in (before, actions, after)]
        models = fit(np.concatenate(steps), every[0], every[1], every[2], count, FITTED)
        weights = weights_of_differences(observations.parts, DESIGN, 0, count)
        goals = Figures.of(self.track.body, self.track.states[first + 1 :])
        wanted = observations(goals, first + 1 + np.arange(count))
        return regulator(models, weights, DESIGN.effort, wanted)

    def _closed_loop(
        self, around: _Around, here: States, first: int, before: Array | None = None
    ) -> tuple[Array, float]:
        """Offsets (T - first, width) that the regulator comes to from a state, and their mean cost."""
        passed = first - around.first
        observations, last = self._observations(around), around.offsets[passed] if before is None else before
        applied, costs, state = [], [], here[None]
        for k in range(passed, len(around.offsets) - 1):
            off = observations(Figures.of(self.track.body, state), np.array([around.first + k]))[0]
            turned = around.regulator.gains[k] @ off + around.regulator.actions[k]
            now = around.offsets[k + 1] + np.clip(turned, -LARGEST_CORRECTION, LARGEST_CORRECTION)
            rolled = self._rollouts(state, [self._scene], around.first + k, now[None, None], last)
            self.steps += rolled.steps
            applied.append(now)
            costs.append(float(rolled.costs[0, 0]))
            last, state = now, rolled.ends
        return np.array(applied), float(np.mean(costs))

    def _observations(self, around: _Around) -> Observations:
        """Differences from the states that models hold around, by control-step boundary."""
        states = joined([self.track.states[: around.first], around.states])
        none = self.track.velocities(0, self.track.steps)
        return Observations(self.track.body, TargetTrajectory(states, self.track.controls, none, 0))

    def _shaken(self, states: States) -> States:
        """States (N,) about these."""
        noisy = shaken(states, self._random, Noise.pose, Noise.velocity, Noise.spin)
        turned = Noise.joint_spin * self._random.standard_normal(states.joint_velocity.shape)
        turned[:, 0] = 0.0  # the root is none
        return dataclasses.replace(noisy, joint_velocity=noisy.joint_velocity + turned)


@dataclasses.dataclass(frozen=True)
class _Around:
    """Where models hold: states (T - first + 1,) from a step on, offsets (T - first + 1, width), rad, from the step
    before on."""

    states: States
    offsets: Array
    first: int
    regulator: Regulator = dataclasses.field(default_factory=lambda: Regulator(np.zeros((0, 0, 0)), np.zeros((0, 0))))
