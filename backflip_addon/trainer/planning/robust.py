# SPDX-License-Identifier: GPL-3.0-or-later
"""Robust planning: feed-forward controls refined for many disturbed copies at once, feedback at work.

A plan that was searched for one body lands by a hair: a copy that comes down a little sooner or
turned a little further bounces off, and no linear feedback saves it. Here copies set out in all the
circumstances that a policy must bear, under the fitted feedback, and a receding-horizon
cross-entropy search (planning.mpc) refines the targets they share for the mean cost over some of
them, drawn anew every round. It begins shortly before the first copies fail and ends with the clip.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import logging
from typing import Any

import numpy as np

from ...core.arrays import Array, IntArray
from ..imitation.action_layout import ActionLayout
from ..imitation.disturbances import Circumstances, Disturbances, EpisodeState
from ..imitation.target_trajectory import TargetTrajectory
from ..physics.state import Scene, States, stacked
from ..workers import Workers, even_slices
from .cem import KnotDistribution, iterate
from .mpc import MOST_STEPS
from .plan import KnotGrid, interpolate

logger = logging.getLogger(__name__)

TRIAL_SEEDS = 700_000  # from here on: seeds of the copies, apart from those of trials and evaluations
SEEDS_A_PLANNING = 1000
LAST_STEPS = 2  # of the clip, in which there is nothing left to plan
COUNTERS = ("_step", "_first", "_round", "samples")  # as saved
CIRCUMSTANCES = 11  # numbers that a checkpoint keeps of a copy's: scene 3, delay, push's step, push 3 and 3


@dataclasses.dataclass(frozen=True)
class RobustSettings:
    """How hard to plan. Steps are control steps."""

    bodies: int = 64  # copies that set out
    copies: int = 6  # of them that a round's samples are tried on
    fewest: int = 8  # copies still on their feet with which to go on
    horizon: int = 24  # steps looked ahead: 0.8 s
    execute: int = 4  # steps performed a window
    knot: int = 4  # steps between knots
    before: int = 16  # steps before the first failures at which to begin
    first_failures: float = 0.1  # share of all failures that are the first ones
    samples: int = 48  # a round
    elites: int = 10  # of them that the distribution moves to
    rounds: int = 6  # a window
    deviation: float = 0.08  # rad, of a window's knots to begin with
    least_deviation: float = 0.01  # rad
    smoothing: float = 0.3  # share of the old mean and deviation kept a round
    effort: float = 0.05  # cost of a mean squared offset, 1/rad^2


class RobustPlanning:
    """Refines one target trajectory, a few seconds of work a round(); trajectory() may be asked for at any time.

    layout: of its offsets. pool, where asked for: workers that each hold an rl.rollouts.PolicyWorker. samples: control
    steps simulated.
    """

    def __init__(
        self,
        trajectory: TargetTrajectory,
        layout: ActionLayout,
        settings: RobustSettings,
        seed: int,
    ) -> None:
        self.settings = settings
        self._trajectory, self._layout = trajectory, layout
        self._random = np.random.default_rng([seed, 11])
        self._seed = seed
        self._grid = KnotGrid(trajectory.steps, settings.knot, settings.horizon)
        shape = (self._grid.count, layout.width)
        self._distribution = KnotDistribution(np.zeros(shape), np.full(shape, settings.deviation))
        self._episodes: list[EpisodeState] = []
        self._step, self._first, self._round = 0, 0, 0
        self.samples = 0
        self.done = False

    @property
    def step(self) -> int:
        """The control step that the copies have got to."""
        return self._step

    @property
    def share(self) -> float:
        """Of the planning that is behind us."""
        if self.done:
            return 1.0
        windows = self._step - self._first + self.settings.execute * self._round / self.settings.rounds
        return min(windows / max(self._trajectory.steps - self._first, 1), 1.0)

    def set_out(self, pool: Workers, disturbances: Disturbances) -> None:
        """Let the copies, so disturbed, go to shortly before where the first of them fail."""
        s, steps = self.settings, self._trajectory.steps
        seeds = [TRIAL_SEEDS + SEEDS_A_PLANNING * self._seed + k for k in range(s.bodies)]
        parts = even_slices(len(seeds), len(pool))
        answers = pool.share("set_out", [(seeds[part], disturbances) for part in parts])
        start_states = [episode for part in answers for episode in part]
        _, terminated = self._play(pool, start_states, 0, steps)
        falls = np.sort(terminated[terminated < steps])
        if len(falls) < s.first_failures * s.bodies:
            self.done = True
            logger.info("nothing to plan robustly: %d of %d copies fail", len(falls), s.bodies)
            return
        first = int(np.quantile(falls, s.first_failures)) - s.before
        self._first = self._step = max(first // s.knot * s.knot, 0)
        self._episodes = start_states
        if self._first:
            self._episodes, _ = self._play(pool, start_states, 0, self._first)
        self._open_window()
        logger.info("%d of %d copies fail; planning from step %d", len(falls), s.bodies, self._first)

    def round(self, pool: Workers) -> float:
        """One round of one window; returns the best sample's mean cost. Moves on after the last.

        A round that is broken off has not been: whatever is raised, this is as it was before.
        """
        random, distribution = copy.deepcopy((self._random, self._distribution))
        before = {**vars(self), "_random": random, "_distribution": distribution}
        try:
            return self._one_round(pool)
        except BaseException:
            vars(self).update(before)
            raise

    def _one_round(self, pool: Workers) -> float:
        s, step, plan = self.settings, self._step, self._distribution
        window = self._window()
        candidates = np.concatenate([plan.mean[None], plan.draw(window, s.samples - 1, self._random)])
        chosen = self._random.choice(len(self._episodes), min(s.copies, len(self._episodes)), replace=False)
        episodes = [self._episodes[i] for i in chosen]

        def evaluate(knots: Array) -> Array:
            offsets = interpolate(knots, s.knot, step, self._grid.ahead(step))
            parts = even_slices(len(offsets), len(pool))
            answers = pool.share("robust_costs", [(episodes, step, offsets[part]) for part in parts])
            self.samples += offsets.shape[0] * offsets.shape[1] * len(episodes)
            costs: Array = np.concatenate(answers) + s.effort * np.mean(offsets**2, axis=(1, 2))
            return costs

        cost, _ = iterate(plan, window, candidates, evaluate, s.elites, s.smoothing, s.least_deviation)
        self._round += 1
        if self._round == s.rounds:
            self._move_on(pool)
        return cost

    def checkpoint(self) -> dict[str, Any]:
        """Everything needed to go on from here in another process: arrays, numbers and text."""
        states = stacked([state for state, _ in self._episodes])
        own = [
            [scene.friction, scene.floor, scene.mass, c.delay, c.push_step, *c.push, *c.push_spin]
            for c, scene in ((c, c.scene) for _, c in self._episodes)
        ]
        return {
            "knots": self._distribution.mean,
            "deviation": self._distribution.deviation[self._window()],
            "states": {field.name: getattr(states, field.name) for field in dataclasses.fields(States)},
            "circumstances": np.array(own, dtype=float),
            "counters": {name: getattr(self, name) for name in COUNTERS},
            "random": json.dumps(self._random.bit_generator.state),
        }

    def load_state(self, saved: dict[str, Any]) -> None:
        """Go on from a checkpoint() of a planning of the same trajectory, settings and seed; arrays are numpy's.

        Raises ValueError when it does not fit; then this is of no more use.
        """
        try:
            knots, deviation = (np.array(saved[name], dtype=float) for name in ("knots", "deviation"))
            own = np.array(saved["circumstances"], dtype=float)
            states = States(*(np.array(saved["states"][f.name], dtype=float) for f in dataclasses.fields(States)))
            for name in COUNTERS:
                setattr(self, name, int(saved["counters"][name]))
            self._random.bit_generator.state = json.loads(saved["random"])
        except (LookupError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
            raise ValueError(f"the saved robust plan is damaged ({error})") from error
        steps, links = self._trajectory.steps, self._trajectory.targets.shape[1]
        shapes = [(), (links, 4), (), (), (links, 3)]
        shapes = [(len(own), *(shape or (3,))) for shape in shapes]
        sound = [getattr(states, f.name).shape for f in dataclasses.fields(States)] == shapes
        sound = (
            sound
            and self._distribution.mean.shape == knots.shape
            and own.shape == (len(own), CIRCUMSTANCES)
            and len(own) > 0
        )
        sound = sound and 0 <= self._first <= self._step < steps and self._first % self.settings.knot == 0
        sound = sound and 0 <= self._round < self.settings.rounds and 0 <= self.samples <= MOST_STEPS
        window = self._window()
        if not sound or deviation.shape != (window.stop - window.start, self._layout.width):
            raise ValueError("the saved robust plan is damaged: its parts do not fit together")
        self._distribution.mean[:] = knots
        self._distribution.deviation[window] = deviation
        self._episodes = [
            (states[i], Circumstances(Scene(*c[:3].tolist()), int(c[3]), int(c[4]), c[5:8].copy(), c[8:].copy()))
            for i, c in enumerate(own)
        ]

    def trajectory(self) -> TargetTrajectory:
        """The trajectory, its targets turned as far as planned. Its goals and feedback stay."""
        offsets = interpolate(self._distribution.mean, self.settings.knot, 0, self._trajectory.steps)
        targets = self._layout.offset_targets(self._trajectory.targets, offsets)
        return dataclasses.replace(self._trajectory, targets=targets)

    def _window(self) -> slice:
        """The knots that the present window may move."""
        return self._grid.window(self._step, self._step == self._first)

    def _open_window(self) -> None:
        self._round = 0
        self._distribution.deviation[self._window()] = self.settings.deviation

    def _move_on(self, pool: Workers) -> None:
        """Let the copies perform the next steps; those that fail stay behind."""
        s = self.settings
        count = min(s.execute, self._trajectory.steps - self._step)
        ends, terminated = self._play(pool, self._episodes, self._step, count)
        self._episodes = [episode for episode, step in zip(ends, terminated, strict=True) if step >= self._step + count]
        self._step += count
        self.done = self._step >= self._trajectory.steps - LAST_STEPS or len(self._episodes) < s.fewest
        logger.debug("step %d: %d copies are on their feet", self._step, len(self._episodes))
        if not self.done:
            self._open_window()

    def _play(
        self, pool: Workers, episodes: list[EpisodeState], step: int, count: int
    ) -> tuple[list[EpisodeState], IntArray]:
        """All copies over the next count steps: where they get to, and the steps (N,) at which they fail."""
        offsets = interpolate(self._distribution.mean, self.settings.knot, step, count)
        every = np.repeat(offsets[None], len(episodes), axis=0)
        parts = even_slices(len(episodes), len(pool))
        answers = pool.share("play", [(episodes[part], step, every[part]) for part in parts])
        self.samples += len(episodes) * count
        return [episode for answer in answers for episode in answer[1]], np.concatenate([a[2] for a in answers])
