# SPDX-License-Identifier: GPL-3.0-or-later
"""Feedback that makes allowance for the body's weight, which a policy is not told, and can see.

A heavier body needs another performance. What changes with the weight is read off the linear models that feedback is
fitted to or, where that does not help enough, off plans that are planned anew for some weights. And how far a body is
off its goals tells its weight. Both are linear: they go into the gains.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable

import numpy as np

from ...core.arrays import Array, BoolArray
from ...core.motion import Take
from ..imitation.compiled_rollouts import CompiledRollouts
from ..imitation.disturbances import Disturbances
from ..imitation.environment import trial
from ..imitation.feedback_rollouts import FeedbackRollouts
from ..imitation.observations import Figures, Observations
from ..imitation.reference_track import Track
from ..imitation.target_trajectory import TargetTrajectory
from ..physics.state import Scene, stacked
from .lqr import Design, Feedback, gains, weights_of_differences
from .mpc import Search
from .plan import Plan, trajectory_of_plan
from .search_settings import replan_settings

logger = logging.getLogger(__name__)

WEIGHTS = (-0.05, 0.05, 0.1, -0.1)  # shares more than it weighs, that are planned for
TRIES = 2  # at planning for one
LEAST_LANDED = 3  # of WEIGHTS: a slope of fewer says little
EFFORT = 1.0  # cost of a rad^2 by which the models' performance may change: a fiftieth of what feedback's costs
ENOUGH = 0.85  # share of disturbances in which who allows for the weight lands well enough
PASSES = 4  # of estimating the weight: from how it moves under the gains of the pass before, and all before that
PLAYED = 384  # rollouts in each
SHARE = 0.6  # of the disturbances, in them
RIDGE = 0.05  # of the regression, a share of its samples' number
FAR = 5.0  # standard deviations: what is further off counts as that
FIRST_SEED = 300_000  # of these rollouts: those of no trial


@dataclasses.dataclass(frozen=True)
class WeightResponse:
    """By what a performance changes with the body's weight, for each share of it more: offsets (T, width), rad, of the
    joint targets, and differences (T, n) from the goals, those that it then goes through."""

    offsets: Array
    differences: Array

    def beside(self, gains: Array) -> Array:
        """Offsets (T, width), rad, that steer there where gains (T, width, n) hold on to the goals."""
        held: Array = np.einsum("twn,tn->tw", gains, self.differences)
        return self.offsets - held


def allowing_for_weight(
    track: Track,
    plan: Plan,
    trajectory: TargetTrajectory,
    disturbances: Disturbances,
    rate: Callable[[TargetTrajectory], float],
    flaws: Callable[[TargetTrajectory], int | None],
    lands: Callable[[Take], bool],
    workers: int,
    seed: int,
    tell: Callable[[float], None] = lambda share: None,
    known: WeightResponse | None = None,
) -> TargetTrajectory:
    """The trajectory that a plan leads along with feedback that allows for the body's weight, where it lands more often
    so, and undisturbed with no more flaws; as it is otherwise.

    rate, flaws: how often a trajectory lands when disturbed, and how many flaws its performance has, undisturbed; None:
    it does not land. lands: whether a take does. tell: the share that is done, now and then; may raise. known: a
    response that will do where with it ENOUGH land.
    """
    before, best, most = flaws(trajectory), trajectory, rate(trajectory)

    def tried(response: WeightResponse | None, tell: Callable[[float], None]) -> None:
        nonlocal best, most
        if response is None:
            return
        own = gains_for_any_weight(track, trajectory, response, disturbances, workers, tell)
        other = dataclasses.replace(trajectory, gains=own)
        after, lands_now = flaws(other), rate(other)
        logger.info("disturbed, %.0f %% land, %.0f %% allowing for weight", 100 * most, 100 * lands_now)
        if after is not None and (before is None or after <= before) and lands_now > most:
            best, most = other, lands_now

    tried(known, lambda share: tell(share / 4))
    if known is None or best is trajectory or most < ENOUGH:
        response = response_to_weight(
            track, plan, trajectory, lands, workers, seed, lambda share: tell((1 + share) / 4)
        )
        tried(response, lambda share: tell((1 + share) / 2))
    return best


def response_of_models(feedback: Feedback, design: Design | None, landed: int) -> WeightResponse | None:
    """What a body that weighs more does best by a feedback's models, each difference as costly as in a design; None
    where there are no rollouts to fit them to."""
    if not len(feedback):
        return None
    models = feedback.models_with_weight()
    count, n, width = models.of_action.shape
    costs = weights_of_differences(feedback.parts, design or Design(), landed, count)
    own = gains(models, np.concatenate([costs, np.zeros((count, 1))], axis=1), EFFORT)
    offsets, passed, now = np.zeros((count, width)), np.zeros((count, n)), np.eye(n)[-1]
    for t in range(count):
        passed[t], offsets[t] = now, own[t] @ now
        now = models.of_state[t] @ now + models.of_action[t] @ offsets[t]
    return WeightResponse(offsets, passed[:, :-1])


def response_to_weight(
    track: Track,
    plan: Plan,
    trajectory: TargetTrajectory,
    lands: Callable[[Take], bool],
    workers: int,
    seed: int = 0,
    tell: Callable[[float], None] = lambda share: None,
) -> WeightResponse | None:
    """How a plan that leads along a trajectory is to change with the body's weight; None where too few weights land.

    lands: whether a take does. tell: the share that is done, before each weight; may raise.
    """
    settings, found = replan_settings(), dict[float, tuple[Array, Array]]()
    observations = Observations(track.body, trajectory)
    with CompiledRollouts(track, settings.lost, workers) as rollouts:
        for k, weight in enumerate(WEIGHTS):
            tell(k / len(WEIGHTS))
            scene = Scene(mass=1 + weight)
            replanned = _replanned(track, rollouts, plan, scene, lands, seed)
            if replanned is None:
                continue
            other = trajectory_of_plan(track, replanned, scene, "compiled")
            offsets = track.layout.offsets_to(trajectory.targets, other.targets)
            steps = np.arange(trajectory.steps)
            found[weight] = offsets, observations(Figures.of(track.body, other.states[steps]), steps)
    logger.info("planned anew for %d weights of %d", len(found), len(WEIGHTS))
    if len(found) < LEAST_LANDED:
        return None
    return WeightResponse(*(_slope(list(found), [own[part] for own in found.values()]) for part in (0, 1)))


def _replanned(
    track: Track, rollouts: CompiledRollouts, plan: Plan, scene: Scene, lands: Callable[[Take], bool], seed: int
) -> Plan | None:
    for attempt in range(TRIES):
        search = Search(track, rollouts, replan_settings(), scene, seed + attempt, "compiled")
        search.start_from(plan)
        if lands(search.perform(good=lands).final_take()):
            return search.plan
    return None


def _slope(weights: list[float], values: list[Array]) -> Array:
    """Of a line through values at weights: by least squares."""
    off = np.array(weights) - np.mean(weights)
    slope: Array = np.tensordot(off, np.stack(values), 1) / float(off @ off)
    return slope


def gains_for_any_weight(
    track: Track,
    trajectory: TargetTrajectory,
    response: WeightResponse,
    disturbances: Disturbances,
    workers: int,
    tell: Callable[[float], None] = lambda share: None,
) -> Array:
    """A trajectory's gains (T, width, n), with allowance for the body's weight as it is seen: linear in the differences
    from the goals, by regression of rollouts in disturbances. The first of them are told the weight; the others go by
    what was estimated so far (as in DAgger, Ross et al. 2011), for how a body moves depends on what it does about it.

    tell: the share that is done, before each pass; may raise.
    """
    now, extra = trajectory.gains, response.beside(trajectory.gains)
    seen = _Seen(trajectory.steps)
    with FeedbackRollouts(track, trajectory, workers=workers) as rollouts:
        for k in range(PASSES):
            tell(k / PASSES)
            seeds = range(FIRST_SEED + k * PLAYED, FIRST_SEED + (k + 1) * PLAYED)
            begun = [trial(track.body, trajectory, seed, disturbances.scaled(SHARE)) for seed in seeds]
            weights = np.array([own.scene.mass - 1 for _, own in begun])
            told = weights[:, None, None] * (extra if not k else np.zeros_like(extra))
            states, circumstances = stacked([state for state, _ in begun]), [own for _, own in begun]
            rollouts.follow(dataclasses.replace(trajectory, gains=now))
            played = rollouts(states, circumstances, 0, told, trajectory.steps)
            for step, passed in enumerate([states, *played.passed[:-1]]):
                at = np.full(len(weights), step)
                seen.add(step, rollouts.observations(Figures.of(track.body, passed), at), weights, played.failed > step)
            now = trajectory.gains + extra[:, :, None] * seen.estimators()[:, None]
    return now


class _Seen:
    """Of each of T control steps differences (N, n) that were seen and the weights that they were seen with."""

    def __init__(self, steps: int) -> None:
        self._differences: list[list[Array]] = [[] for _ in range(steps)]
        self._weights: list[list[Array]] = [[] for _ in range(steps)]

    def add(self, step: int, differences: Array, weights: Array, sound: BoolArray) -> None:
        """Those of bodies that have not fallen: sound (N,)."""
        sound = sound & np.isfinite(differences).all(axis=1)
        self._differences[step].append(differences[sound])
        self._weights[step].append(weights[sound])

    def estimators(self) -> Array:
        """Estimators (T, n): the weight, a share more than the body has, is their product with the differences."""
        return np.stack([self._estimator(step) for step in range(len(self._weights))])

    def _estimator(self, step: int) -> Array:
        differences, weights = (np.concatenate(own[step]) for own in (self._differences, self._weights))
        size = differences.std(axis=0) + 1e-6 if len(differences) else np.ones(differences.shape[1])
        inputs = np.clip(differences / size, -FAR, FAR)
        gram = inputs.T @ inputs + (RIDGE * len(inputs) + 1e-6) * np.eye(len(size))
        estimator: Array = np.linalg.solve(gram, inputs.T @ weights) / size
        return estimator
