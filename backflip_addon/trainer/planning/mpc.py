# SPDX-License-Identifier: GPL-3.0-or-later
"""Model predictive control by sampling: from a reference to a performed take, without a network.

Controls are PD targets around the reference (imitation.reference_track). Their offsets are knots on a fixed
grid, linear between. In each window the cross-entropy method (cem.py) refines the knots of the next horizon
steps by rollouts from the present state; then a few steps are performed and the window moves. The performance
happens in one world that is only ever stepped forward from frame 0, so what it records is the replay; rollouts
start from its state, contact cache included, written to a file that each worker restores.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np

from ...core.arrays import Array
from ...core.body import Body
from ...core.motion import Motion, Take
from ..imitation.cost import Cost
from ..imitation.performance import Performance
from ..imitation.reference_track import Track
from ..physics.pybullet_world import PyBulletWorld
from ..physics.state import Scene, States
from ..workers import Workers, even_slices
from .cem import KnotDistribution, iterate
from .plan import KnotGrid, Plan, interpolate

logger = logging.getLogger(__name__)

MOST_STEPS = 10**15  # control steps that a job can have come to
GOOD_FROM = 0.25  # share of a track below which its open-loop end is not even tried
Tell = Callable[[float, float], None]  # share of the track performed, best cost of the window


@dataclasses.dataclass(frozen=True)
class SearchSettings:
    """How hard to search. Steps are control steps. tests/benchmarks/first_landing.py measures what these
    numbers are worth."""

    horizon: int = 24  # 0.8 s: longer than a backflip's flight
    execute: int = 4  # steps performed a window
    knot: int = 4  # steps between knots
    samples: int = 64  # rollouts a round
    elites: int = 10
    rounds: int = 6
    first_rounds: int = 12  # before the first step, when nothing is known
    new_deviation: float = 0.12  # rad, of knots never sampled
    deviation: float = 0.08  # rad, of knots a former window has refined
    least_deviation: float = 0.02  # rad
    improvement: float = 0.01  # share by which a window's best must improve in a round, or the round is stale
    patience: int = 3  # stale rounds in a row after which a window is done
    smoothing: float = 0.2  # share of the old mean and deviation kept a round
    lost: float = 0.6  # m, root too far from its goal to go on with a rollout


class RolloutWorker:
    """Runs rollouts of one body along one track, in a worker process."""

    def __init__(self, body: Body, reference: Motion, scene: Scene, hold: float | None, lost: float) -> None:
        self.world = PyBulletWorld(body, scene)
        self.track = Track(body, reference, hold)
        self.cost = Cost(self.track)
        self.lost = lost

    def set_scene(self, scene: Scene) -> None:
        """Change the circumstances of all rollouts to come."""
        self.world.set_scene(scene)

    def rollouts(self, state_file: str, first: int, offsets: Array) -> tuple[Array, int]:
        """Mean costs (N,) over the horizon of offsets (N, H, width), rad, from a saved state at control step first.

        Also the number of control steps simulated: a rollout whose body is lost is broken off, and its last state
        counts to the end.
        """
        count, horizon = offsets.shape[:2]
        self.world.restore_file(state_file)
        start = self.world.save()
        try:
            return self._rollouts(start, first, offsets, count, horizon)
        finally:
            self.world.forget(start)

    def _rollouts(self, start: int, first: int, offsets: Array, count: int, horizon: int) -> tuple[Array, int]:
        world, track = self.world, self.track
        orientations = track.targets(offsets, first)
        targets = world.targets(orientations.reshape(-1, *orientations.shape[2:]))
        velocities = world.velocities(track.velocities(first, horizon))
        steps = np.minimum(np.arange(first, first + horizon), track.steps - 1)
        goals = (track.states.position[steps + 1] + [0, 0, world.scene.floor]).tolist()
        readings, simulated = [], 0
        for sample in range(count):
            world.restore(start)
            for h in range(horizon):
                world.step(targets[sample * horizon + h], velocities[h])
                reading = world.read()
                readings.append(reading)
                simulated += 1
                if _far(reading, goals[h], self.lost):
                    readings += [reading] * (horizon - 1 - h)
                    break
        costs = self.cost(world.states(readings), np.tile(steps, count), world.scene.floor).reshape(count, horizon)
        effort = self.cost.weights.effort * np.mean(offsets**2, axis=(1, 2))
        return costs.mean(axis=1) + effort, simulated


def _far(reading: list[float], goal: list[float], limit: float) -> bool:
    """Whether a root is lost: so many metres off its goal in height, or twice as many along the floor (|x| + |y|)."""
    return abs(reading[2] - goal[2]) > limit or abs(reading[0] - goal[0]) + abs(reading[1] - goal[1]) > 2 * limit


def replan_settings() -> SearchSettings:
    """For a search that starts from a plan of the same clip: small steps away from it."""
    return SearchSettings(samples=32, elites=6, rounds=4, first_rounds=8, new_deviation=0.08, deviation=0.06)


class Search:
    """Plans a take of one body along one reference in one scene.

    pool: workers that each hold a RolloutWorker of the same body, reference, scene and hold. control_steps: simulated
    so far. costs: of each window's best rollout. performed: control steps whose controls are final.
    """

    def __init__(
        self,
        body: Body,
        reference: Motion,
        pool: Workers,
        settings: SearchSettings | None = None,
        scene: Scene | None = None,
        seed: int = 0,
        hold: float | None = None,
    ) -> None:
        self.settings = settings or SearchSettings()
        self.scene = scene or Scene()
        self.track = Track(body, reference, hold)
        self.pool = pool
        self.control_steps = 0
        self._random = np.random.default_rng(seed)
        self.grid = KnotGrid(self.track.steps, self.settings.knot, self.settings.horizon)
        shape = (self.grid.count, self.track.layout.width)
        self._distribution = KnotDistribution(np.zeros(shape), np.full(shape, self.settings.new_deviation))
        self.costs: list[float] = []
        self.performed = 0

    def start_from(self, plan: Plan) -> None:
        """Warm start: refine an older plan instead of the bare reference."""
        count = min(len(plan.knots), self.grid.count)
        self._distribution.mean[:count] = plan.knots[:count]
        self._distribution.deviation[:] = self.settings.deviation

    @property
    def plan(self) -> Plan:
        """What is planned so far."""
        return Plan(self._distribution.mean.copy(), self.settings.knot)

    def perform(
        self,
        start: States | None = None,
        tell: Tell | None = None,
        good: Callable[[Take], bool] | None = None,
    ) -> Performance:
        """Search and perform the track from its first state, or another, to its end.

        Ends early when the character is lost past hope, or when the plan so far, played open loop
        to the end, is already good. tell is called after every round, and may raise to break the
        search off; what is performed so far is in self.performed steps.
        """
        performance = Performance(self.track, self.scene, start or self.track.states[0])
        performance.run(self._targets(0, self.performed))  # a resumed search: its past is known
        with tempfile.TemporaryDirectory(prefix="backflip-") as folder:
            while self.performed < self.track.steps and not performance.lost(2 * self.settings.lost):
                first = self.performed
                # A new name each time: PyBullet keeps what it has once read from a file's name
                file = os.path.join(folder, f"state-{first}.bullet")
                performance.world.save_file(file)
                self._refine(file, first, self.settings.rounds if first else self.settings.first_rounds, tell)
                os.unlink(file)
                count = min(self.settings.execute, self.track.steps - first)
                performance.run(self._targets(first, count))
                self.control_steps += count
                self.performed += count
                if good and self.performed > GOOD_FROM * self.track.steps:
                    attempt = self.attempt(start=start)
                    if good(attempt.final_take()):
                        logger.info("good enough at step %d of %d", self.performed, self.track.steps)
                        return attempt
        return performance

    def attempt(self, scene: Scene | None = None, start: States | None = None) -> Performance:
        """Play the present plan open loop from the first state to the end, wherever that leads."""
        performance = Performance(self.track, scene or self.scene, start or self.track.states[0])
        performance.run(self._targets(0, self.track.steps))
        self.control_steps += self.track.steps
        return performance

    def _targets(self, first: int, count: int) -> Array:
        return self.track.targets(interpolate(self._distribution.mean, self.settings.knot, first, count), first)

    def checkpoint(self) -> dict[str, Any]:
        """Everything needed to go on from here in another process: arrays and numbers."""
        return {
            "mean": self._distribution.mean,
            "deviation": self._distribution.deviation,
            "costs": np.array(self.costs),
            "performed": self.performed,
            "control_steps": self.control_steps,
            "random": json.dumps(self._random.bit_generator.state),
        }

    def load_state(self, checkpoint: dict[str, Any]) -> None:
        """Go on from a checkpoint() of a search with the same body, reference and settings.

        Raises ValueError when it does not fit or makes no sense; then this search is as it was.
        """
        try:
            mean, deviation = (np.array(checkpoint[name], dtype=float) for name in ("mean", "deviation"))
            costs = [float(cost) for cost in checkpoint["costs"]]
            performed, control_steps = int(checkpoint["performed"]), int(checkpoint["control_steps"])
            random = np.random.default_rng()
            random.bit_generator.state = json.loads(str(checkpoint["random"]))
        except (LookupError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
            raise ValueError(f"the saved search is damaged ({error})") from error
        shape = self._distribution.mean.shape
        if mean.shape != shape or deviation.shape != shape:
            raise ValueError("the saved search belongs to another body or clip")
        sound = np.isfinite(mean).all() and np.isfinite(deviation).all() and (deviation > 0).all()
        if not sound or not 0 <= performed <= self.track.steps or not 0 <= control_steps <= MOST_STEPS:
            raise ValueError("the saved search is damaged: its numbers make no sense")
        self._distribution, self.costs = KnotDistribution(mean, deviation), costs
        self.performed, self.control_steps, self._random = performed, control_steps, random

    def _refine(self, state_file: str, first: int, rounds: int, tell: Tell | None) -> None:
        """Refine the knots of one window in place."""
        s, plan = self.settings, self._distribution
        window = self.grid.window(first, first == 0)
        best, best_cost, stale = plan.mean.copy(), np.inf, 0

        def evaluate(knots: Array) -> Array:
            return self._evaluate(state_file, first, knots)

        for _ in range(rounds):
            candidates = plan.draw(window, s.samples, self._random)
            candidates[0] = plan.mean
            if np.isfinite(best_cost):
                candidates[1] = best
            cost, cheapest = iterate(plan, window, candidates, evaluate, s)
            improvement = (best_cost - cost) / max(best_cost, 1e-9) if np.isfinite(best_cost) else 1.0
            if cost < best_cost:
                best_cost, best = cost, cheapest
            if tell:
                tell(first / self.track.steps, best_cost)
            stale = stale + 1 if improvement < s.improvement else 0
            if stale >= s.patience:
                break
        plan.mean[window] = best[window]
        plan.deviation[window] = np.maximum(plan.deviation[window], s.deviation)
        self.costs.append(best_cost)
        logger.debug("window at step %d: cost %.4f, %d stale rounds", first, best_cost, stale)

    def _evaluate(self, state_file: str, first: int, knots: Array) -> Array:
        offsets = interpolate(knots, self.settings.knot, first, self.grid.ahead(first))
        parts = even_slices(len(offsets), len(self.pool))
        answers = self.pool.share("rollouts", [(state_file, first, offsets[part]) for part in parts])
        simulated = sum(steps for _, steps in answers)
        self.control_steps += simulated
        logger.debug("%d of %d rollout steps: the rest were broken off", simulated, offsets.shape[0] * offsets.shape[1])
        return np.concatenate([costs for costs, _ in answers])
