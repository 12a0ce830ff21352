# SPDX-License-Identifier: GPL-3.0-or-later
"""Training a policy: rollouts on all cores, then an update, over and over.

From a landed plan the policy learns corrections to the plan's controls, and follows the states the
plan passed through: feedback gains are fitted to rollouts (planning.lqr), and the network learns what they lack. From
scratch (no plan) it learns corrections to the reference itself.
"""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...core import metrics
from ...core.arrays import Float32Array
from ...core.body import Body
from ...core.direction import Direction
from ...core.motion import Motion, Take
from ..imitation.directed_bodies import DirectedBodies
from ..imitation.disturbances import NONE, SMALL, SMALL_SEED, Disturbances
from ..imitation.environment import ImitationEnvironment, begin_trial
from ..imitation.experience import Experience
from ..imitation.reference_track import Track
from ..imitation.target_trajectory import TargetTrajectory
from ..physics.engines import AUTO, EngineName, chosen, new_simulator
from ..physics.state import Scene, States
from ..planning.lqr import Design, Feedback
from ..planning.plan import Plan, trajectory_of_plan
from ..planning.weight import allowing_for_weight, response_of_models
from ..workers import Pool, Workers, core_count, even_slices
from . import checkpoints
from .counters import Counters, IterationReport
from .evaluation import Act, Evaluation, flaws_of, perform_take
from .feedback_choice import Looks, best_feedback, remembered
from .networks import ActorCritic
from .numpy_actor import Exploration
from .ppo import PPO, UpdateReport, is_shared_with
from .rollouts import PolicyWorker, RolloutSettings
from .settings import LearningSettings
from .start_states import Collected, Episodes, StartStates, joined

logger = logging.getLogger(__name__)

SCALE_ITERATIONS = 24  # after which the observations' scales are known, and stay
AVERAGED = 10  # updates that the performing network is averaged over, about
WARM_UP = 4  # updates: the average of the first few forgets faster
LEAST_BATCHES = 4  # batches from which feedback is fitted
SMOOTHING = 0.2  # share of a running mean that the latest iteration makes up
# Trials of a landing's robustness that are played together, at least: PyBullet's take a second each, compiled all one
AT_A_TIME: dict[EngineName, int] = {"pybullet": 4, "compiled": metrics.TRIALS}
LANDING_TRIALS_SEED = 1_000_000  # seeds of the trials that a landing rate is measured by: played at no other time
WEIGHT_TRIALS_SEED = 400_000  # seeds of the trials that tell whether to allow for the body's weight
FIT_TRIALS_SEED = 500_000  # seeds of the performances that tell which of two fits is better
SEEDS_AN_ITERATION = 10_000  # set aside for those of one iteration, half of them for a second look


class PolicyTraining:
    """One policy in training. plan None: from scratch. workers 0: one a core. engine: takes and trials are performed
    in it; raises ValueError where it is not there (physics.engines). new_pool: makes the workers, as workers.Pool does.
    track: where it is known; it takes a second to make. meanwhile is called while workers are waited for and may raise
    (workers.Pool); what was begun is then as if it had not been."""

    def __init__(
        self,
        body: Body,
        reference: Motion,
        settings: LearningSettings | None = None,
        workers: int = 0,
        seed: int = 0,
        plan: Plan | None = None,
        hold: float | None = None,
        scene: Scene | None = None,
        meanwhile: Callable[[], None] | None = None,
        engine: EngineName = AUTO,
        new_pool: Callable[..., Workers] = Pool,
        track: Track | None = None,
    ) -> None:
        self._new_pool = new_pool
        self.meanwhile = meanwhile or (lambda: None)
        # Told how much of a fit of feedback is over, and of what allows for the body's weight
        self.tell_fit: Callable[[float], None] = lambda share: None
        self.tell_weight: Callable[[float], None] = lambda share: None
        self.engine = chosen(engine)
        self.body, self.reference = body, reference
        self._plan, self._scene = plan, scene
        self.settings = settings or LearningSettings()
        self.workers = workers or core_count()
        self.track = track = track or Track(body, reference, hold)
        self.trajectory = trajectory_of_plan(track, plan, scene, engine) if plan else TargetTrajectory.of_track(track)
        s = self.settings
        self.counters = Counters(
            seed=seed,
            planned=plan is not None,
            share=1.0 if plan else s.first_share,
        )
        self.start_states = StartStates(self.trajectory.steps, s.from_start)
        self._pool: Workers | None = None
        self._env = self._new_env()
        observed, privileged = (part.shape[1] for part in self._sample_observation())
        torch.manual_seed(seed)
        std = s.feedback_std if plan else s.scratch_std
        self.network = ActorCritic(observed, privileged, self._env.layout.width, s.hidden, std)
        self.ppo = PPO(self.network, s.ppo, seed)
        self.feedback = Feedback(self._env.observations.parts, self.trajectory.steps, s.feedback)
        self._design: Design | None = None  # of the feedback so far
        self._flaws = remembered(self._perform_for_flaws)  # while no network has learned

    def _new_env(self) -> ImitationEnvironment[DirectedBodies]:
        """An environment for takes: one body."""
        bodies = DirectedBodies(new_simulator(self.body, 1, self.engine), feels=True)
        return ImitationEnvironment(bodies, self.trajectory, self.track.allowed, self.settings.limits)

    def _sample_observation(self) -> tuple[Float32Array, Float32Array]:
        begin_trial(self._env, 0, 0, NONE, Scene())
        self._env.refresh()
        return self._env.observe(np.ones(1, dtype=bool))

    @property
    def pool(self) -> Workers:
        """The workers, started when first needed (playing takes of a stage needs none)."""
        if self._pool is None:
            torch.set_num_threads(min(self.workers, core_count()))  # the workers wait meanwhile
            s, seed = self.settings, self.counters.seed
            arguments = (self.track, self.trajectory, s.bodies, seed, s.limits, self.engine)
            self._pool = self._new_pool(self.workers, PolicyWorker, *arguments, meanwhile=self.meanwhile)
            seeds = np.random.default_rng([seed, self.counters.iterations]).integers(0, 2**31, len(self._pool))
            self._pool.share("seed", [(int(own),) for own in seeds])
        return self._pool

    @property
    def samples(self) -> int:
        """Control steps simulated so far."""
        return self.counters.samples

    @property
    def iterations(self) -> int:
        """Iterations of learning done."""
        return self.counters.iterations

    @property
    def fitting(self) -> bool:
        """Whether it gathers rollouts for feedback: until that lands often enough, or was fitted often enough."""
        c, s = self.counters, self.settings
        return c.planned and c.iterations <= s.last_fit and c.feedback_lands < s.feedback_lands

    @property
    def falls_short(self) -> bool:
        """Whether feedback was fitted that lands in so few small disturbances that no fit to the same plan will do."""
        c, s = self.counters, self.settings
        return c.planned and c.iterations > s.feedback_fit and c.feedback_lands < s.feedback_mends

    @property
    def learned(self) -> tuple[int, bool]:
        """What performances have come to differ by: updates, and whether feedback is at work."""
        return self.counters.updates, bool(np.any(self.trajectory.gains))

    def iterate(self) -> IterationReport:
        """Rollouts, then one update. Raises WorkerError, and what meanwhile raises."""
        began = time.monotonic()
        s = self.settings
        if self._may_weigh and not self.fitting and not self.counters.updates:  # the network is about to learn
            self._allow_for_weight(WEIGHT_TRIALS_SEED, s.disturbances.scaled(0.5))
        rollout = self._rollouts_for_feedback() if self.fitting else self._rollouts()
        critic = self.network.valuing_critic() if not self.fitting and is_shared_with(self.pool) else None
        parts: list[Collected] = self.pool.call("collect", self.network.exploring_actor(), rollout, s.length, critic)
        collected = time.monotonic()
        whole = joined(parts)
        batch, episodes = whole.experience, whole.episodes
        update, feedback = self._learn(batch)
        self._count(batch, episodes)
        self.counters.seconds += time.monotonic() - began
        return self._report(
            mean_return=float(batch.rewards.mean()),
            rollout_seconds=round(collected - began, 3),
            episode_return=float(episodes.returns.mean()) if len(episodes) else 0.0,
            disturbance_share=round(self.counters.share, 3),
            update=update,
            feedback=feedback,
        )

    def _rollouts(self) -> RolloutSettings:
        s, start_states = self.settings, self.start_states.probabilities()
        return RolloutSettings(s.disturbances.prompt, start_states, self.counters.share, correlation=s.correlation)

    def _rollouts_for_feedback(self) -> RolloutSettings:
        """Short ones from everywhere along the trajectory, near it: there its linear models are to hold."""
        s, steps = self.settings, self.trajectory.steps
        everywhere = np.full(steps, 1.0 / steps)
        return RolloutSettings(
            s.disturbances.prompt, everywhere, s.feedback_share, visited=0.0, longest=s.feedback_length
        )

    def _report(self, mean_return: float, disturbance_share: float, **facts: Any) -> IterationReport:
        c = self.counters
        return IterationReport(
            c.iterations, c.samples, round(c.seconds, 2), mean_return, c.survival, c.landing, disturbance_share, **facts
        )

    def _learn(self, batch: Experience) -> tuple[UpdateReport | None, float | None]:
        """Improve the policy by a batch of rollouts: the network, or the feedback gains, whose mean norm is told."""
        counters = self.counters
        if self.fitting:
            self._update_scale(batch)
            return None, self._learn_feedback(batch)
        if counters.iterations == 0:
            self._update_scale(batch)  # its log probabilities came from a network without scales
            return None, None
        self.ppo.adapt_desired_kl(counters.landing)
        report = self.ppo.update(batch, self.pool)
        counters.updates += 1
        self.network.average_weights(min(counters.updates / (counters.updates + WARM_UP), 1 - 1 / AVERAGED))
        if counters.iterations < SCALE_ITERATIONS:
            self._update_scale(batch)
        return report, None

    def _learn_feedback(self, batch: Experience) -> float | None:
        """Gather rollouts; when it is time fit the feedback to them, and return the gains' mean norm."""
        self.feedback.remember(batch)
        if not self.settings.fits_after(self.counters.iterations):
            return None
        norm = self._fit_feedback()
        if self.counters.iterations == self.settings.last_fit or not self.fitting:
            self.network.explore(self.settings.std)
        return norm

    def _fit_feedback(self) -> float | None:
        """Fit feedback to the rollouts, follow the best, and return its gains' mean norm; None: there are too few."""
        # A resumed training has lost its rollouts: too few of them would fit noise
        if len(self.feedback) < min(LEAST_BATCHES, self.counters.iterations + 1):
            logger.info("no feedback is fitted: %d batches of rollouts are too few", len(self.feedback))
            return None
        s, c = self.settings, self.counters
        random = np.random.default_rng([c.seed, c.iterations])
        looks = Looks(self.pool, self._follow, [FIT_TRIALS_SEED + k for k in range(s.feedback_trials)])
        best = best_feedback(
            self.feedback, self.trajectory, looks, self._flaws, random,
            s.feedback_lands, s.feedback_variations, self.tell_fit, self._design,
        )  # fmt: skip
        self._follow(best.trajectory)
        c.feedback_lands, self._design = best.lands, best.design
        # No gains at all where the plan lands by itself, and less cleanly under each that was tried
        norm = float(np.linalg.norm(gains, 2, axis=(1, 2)).mean()) if (gains := best.trajectory.gains).size else 0.0
        logger.info("%d batches: mean norm of gains %.2f; %.0f %% land", len(self.feedback), norm, 100 * best.lands)
        return norm

    @property
    def _may_weigh(self) -> bool:
        """Whether there is feedback that could allow for the body's weight."""
        could = self._plan is not None and self._scene in (None, Scene()) and self.settings.disturbances.mass > 0
        return could and self.track.standing and self.trajectory.gains.size > 0

    def allow_for_weight(self) -> bool:
        """Have the feedback allow for the body's weight where that helps; whether it does. Raises as meanwhile does."""
        before = self.trajectory
        if self._may_weigh and not self.falls_short:
            self._allow_for_weight(FIT_TRIALS_SEED, SMALL)
        return self.trajectory is not before

    def _allow_for_weight(self, first_seed: int, disturbances: Disturbances) -> None:
        """The same in other disturbances: of trials of seeds from the first on."""
        assert self._plan is not None
        s, before, cores = self.settings, self.trajectory, min(self.workers, core_count())
        looks = Looks(self.pool, self._follow, [first_seed + k for k in range(s.feedback_trials)], disturbances)
        known = response_of_models(self.feedback, self._design, before.landed) if disturbances is SMALL else None

        def tell(share: float) -> None:
            self.meanwhile()
            self.tell_weight(share)

        try:
            before = allowing_for_weight(
                self.track, self._plan, before, s.disturbances, lambda other: looks.judged(other)[0], self._flaws,
                self._lands, cores, self.counters.seed, tell, known,
            )  # fmt: skip
        finally:
            self._follow(before)

    def _lands(self, take: Take) -> bool:
        return flaws_of(metrics.evaluate_take(self.body, self.reference, take)) is not None

    def _perform_for_flaws(self, trajectory: TargetTrajectory) -> int | None:
        """How many flaws the performance of a trajectory has, undisturbed; None: it does not land, or succeed."""
        self._env.follow(trajectory)
        self._env.bodies.direct(Direction(), 0)
        actor: Act = self.network.averaged_actor()
        take = perform_take(self._env, actor, self.track, 0, NONE, Scene(), None, plays_out=False)
        return flaws_of(metrics.evaluate_take(self.body, self.reference, take))

    def _follow(self, trajectory: TargetTrajectory) -> None:
        self.trajectory = trajectory
        self._env.follow(trajectory)
        self.pool.call("follow", trajectory.gains, trajectory.targets)

    def _update_scale(self, batch: Experience) -> None:
        self.network.observed.update(batch.observations.reshape(-1, batch.observations.shape[-1]))
        self.network.privileged.update(batch.privileged.reshape(-1, batch.privileged.shape[-1]))

    def _count(self, batch: Experience, episodes: Episodes) -> None:
        """Keep the running figures, the start states and the disturbances' share up to date."""
        s, counters = self.settings, self.counters
        counters.iterations += 1
        counters.samples += batch.rewards.size
        self.start_states.count(episodes)
        if not len(episodes):
            return
        counters.survival += SMOOTHING * (float(1 - episodes.terminated.mean()) - counters.survival)
        whole = episodes.terminated[episodes.first_steps == 0]
        if len(whole):
            counters.landing += SMOOTHING * (float(1 - whole.mean()) - counters.landing)
        if counters.landing > s.going_well:
            counters.share = min(1.0, counters.share + s.share_step)
        elif counters.landing < s.going_badly and not counters.planned:
            counters.share = max(s.first_share, counters.share - s.share_step)

    def evaluate(
        self, trials: int = 50, disturbances: Disturbances | None = None, seed: int = SEEDS_AN_ITERATION
    ) -> Evaluation:
        """Play so many trials without exploration, of seeds from seed on. disturbances None: those of the training."""
        d = self.settings.disturbances if disturbances is None else disturbances
        seeds = [seed + k for k in range(trials)]
        actor, parts = self.network.averaged_actor(), even_slices(trials, len(self.pool))
        answers = self.pool.share("trials", [(actor, seeds[part], d) for part in parts])
        return Evaluation(tuple(trial for answer in answers for trial in answer))

    def landing_rate(self, trials: int, enough: float) -> float:
        """Share of disturbed trials that land, none of them played before.

        A rate that is enough is measured once more and the second figure counts: the best of many
        looks at a noisy rate would flatter it.
        """
        seed = LANDING_TRIALS_SEED + SEEDS_AN_ITERATION * self.counters.iterations
        rate = self.evaluate(trials, seed=seed).landing_rate
        logger.info("%.0f %% of %d disturbed trials land", 100 * rate, trials)
        return self.evaluate(trials, seed=seed + SEEDS_AN_ITERATION // 2).landing_rate if rate >= enough else rate

    def small_landings(self, tell: Callable[[float], None] = lambda share: None) -> int:
        """In how many of metrics.TRIALS small disturbances it lands, as imitation.disturbances counts them: others than
        those that feedback was chosen by. tell: the share that is over, now and then; may raise."""
        landings, count = 0, max(AT_A_TIME[self.engine], min(len(self.pool), metrics.TRIALS))
        for first in range(0, metrics.TRIALS, count):
            tell(first / metrics.TRIALS)
            trials = self.evaluate(count, SMALL, SMALL_SEED + first).trials
            landings += sum(trial.lands for trial in trials)
        return landings

    def attempt(
        self,
        seed: int = 0,
        scene: Scene | None = None,
        disturbed: bool = False,
        start: States | None = None,
        direction: Direction | None = None,
        exploring: bool = False,
        begins: int = 0,
        plays_out: bool = True,
    ) -> Take:
        """One performance of the present policy, from frame 0 to the end of the hold, as directed.

        exploring: as it tries while it learns, with noise on its actions; begins: from which control step on;
        plays_out: a failed one's fall is. Raises ValueError with a sentence on a direction that does not fit the body.
        """
        self._env.bodies.direct(direction or Direction(), seed)
        disturbances = self.settings.disturbances if disturbed else NONE
        scene = scene if scene or disturbed else Scene()
        facts: dict[str, Any] = {"disturbed": disturbed, "samples": self.counters.samples, "exploring": exploring}
        actor: Act = self.network.averaged_actor()
        if exploring:
            noise = Exploration(np.random.default_rng([seed, 13]), self.settings.correlation)
            actor = self.network.exploring_actor().exploring(noise)
        return perform_take(
            self._env, actor, self.track, seed, disturbances, scene, start, plays_out, begins=begins, **facts
        )

    def save(self, path: str | Path) -> None:
        """Write a checkpoint: enough to go on training, and to play takes, elsewhere. Raises OSError."""
        content = {
            "network": self.network.state_dict(),
            **self.ppo.state_dict(),
            "hidden": list(self.settings.hidden),
            "trajectory": self.trajectory.arrays(),
            "failures": self.start_states.failures,
            "numbers": self.counters.to_numbers(),
        }
        checkpoints.save(Path(path), content)

    def load(self, path: str | Path) -> None:
        """Go on from a checkpoint. Raises ValueError with a sentence when it does not fit; then all is as it was."""
        name, env = Path(path).name, self._env
        content = checkpoints.load(Path(path))
        before = (self.counters, self.trajectory, self.start_states.failures)
        learned = copy.deepcopy((self.network.state_dict(), self.ppo.state_dict()))
        try:
            self._load_state(content)
        except Exception as error:  # what torch raises on contents that do not fit is not told anywhere
            self.counters, self.trajectory, self.start_states.failures = before
            self.network.load_state_dict(learned[0])
            self.ppo.load_state_dict(learned[1])
            if self._env is not env:
                self._env.bodies.close()
                self._env = env
            words = str(error) if isinstance(error, ValueError) else f"it is damaged ({error})"
            raise ValueError(f"What was learned until {name} cannot be used: {words}") from error
        env.bodies.close()
        self._close_pool()
        logger.info("going on from %s: iteration %d, %d samples", name, self.iterations, self.samples)

    def _load_state(self, content: dict[str, Any]) -> None:
        """Go on from a checkpoint's content. Raises whatever it may, then halfway."""
        trajectory = TargetTrajectory.from_arrays(checkpoints.arrays(content["trajectory"]))
        if trajectory.targets.shape != self.trajectory.targets.shape:
            raise ValueError("it belongs to another body or clip")
        if tuple(content["hidden"]) != self.settings.hidden:
            raise ValueError("it has a network of another size")
        width = self._env.layout.width
        gains = trajectory.gains.shape in ((0, 0, 0), (trajectory.steps, width, self._env.observations.width))
        shapes = {key: value.shape for key, value in trajectory.arrays().items() if key != "gains"}
        own = {key: value.shape for key, value in self.trajectory.arrays().items() if key != "gains"}
        failures = content["failures"].numpy().astype(float)
        if not gains or shapes != own or failures.shape != self.start_states.failures.shape or (failures < 0).any():
            raise ValueError("it is damaged: its parts do not fit together")
        self.network.load_state_dict(content["network"])
        self.ppo.load_state_dict(content)
        self.start_states.failures = failures
        self.counters = Counters.from_numbers(content["numbers"])
        self.trajectory = trajectory
        self._env = self._new_env()

    def _close_pool(self) -> None:
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def close(self) -> None:
        self._close_pool()
        self._env.bodies.close()

    def __enter__(self) -> PolicyTraining:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
