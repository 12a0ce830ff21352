# SPDX-License-Identifier: GPL-3.0-or-later
"""Training a policy: rollouts on all cores, then an update, over and over.

From a landed plan the policy learns corrections to the plan's controls, and follows the states the
plan passed through: feedback gains are fitted to rollouts (planning.lqr), the controls planned anew in
many circumstances under that feedback (planning.robust), and the network learns what they lack. From
scratch (no plan) it learns corrections to the reference itself.
Rollouts and updates alternate: while torch uses the cores the workers wait, and the other way
round.
"""

from __future__ import annotations

import copy
import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...core import metrics
from ...core.arrays import Array
from ...core.body import Body
from ...core.motion import Motion, Take
from ..imitation.disturbances import NONE, Disturbances
from ..imitation.environment import ImitationEnvironment, Limits, begin_trial
from ..imitation.experience import Experience
from ..imitation.reference_track import Track
from ..imitation.standing import still_stands
from ..imitation.target_trajectory import TargetTrajectory
from ..physics.pybullet_batch import PyBulletBatch, Recorder
from ..physics.state import Scene, States
from ..planning.lqr import Feedback, FeedbackSettings
from ..planning.mpc import MOST_STEPS
from ..planning.plan import Plan, trajectory_of_plan
from ..planning.robust import RobustPlanning, RobustSettings
from ..workers import Pool, core_count, even_slices
from . import checkpoints
from .networks import ActorCritic
from .ppo import PPO, PPOSettings
from .rollouts import PolicyWorker, RolloutSettings
from .start_states import StartStates

REST_SPEED = 0.05  # m/s and rad/s/10: slower is at rest
LONGEST_REST = 4.0  # s that a fallen character is waited for
SCALE_ITERATIONS = 24  # after which the observations' scales are known, and stay
AVERAGED = 10  # updates that the performing network is averaged over, about
LEAST_BATCHES = 4  # batches from which feedback is fitted
# What a stage's numbers are called, and the most they may be
NUMBERS = {
    "samples": ("samples", MOST_STEPS),
    "seconds": ("seconds", 1e12),
    "iterations": ("iterations", 10**9),
    "updates": ("updates", 10**9),
    "share": ("share", 1.0),
    "survival": ("survival", 1.0),
    "landing": ("landing", 1.0),
    "seed_value": ("seed", 2**63 - 1),
}
SWITCHES = ("planned", "robust_done")


@dataclasses.dataclass(frozen=True)
class LearningSettings:
    """How to train."""

    bodies: int = 512  # bodies in a worker's simulator
    length: int = 8  # control steps each of them goes on an iteration
    hidden: tuple[int, ...] = (256, 128)
    # Of exploration, times environment.ACTION_SCALE rad: while feedback is learned, the network's first, from scratch
    feedback_std: float = 0.25
    std: float = 0.16
    scratch_std: float = 0.4
    first_share: float = 0.1  # of the disturbances, from scratch, to begin with; from a plan it is all of them
    share_step: float = 0.02  # by which it grows an iteration while most episodes go well
    going_well: float = 0.6  # share of episodes from frame 0 that reach the end
    going_badly: float = 0.3  # below it the disturbances shrink again
    from_start: float = 0.3  # share of episodes that begin at frame 0
    disturbances: Disturbances = Disturbances()
    limits: Limits = Limits()
    ppo: PPOSettings = PPOSettings()
    feedback: FeedbackSettings = FeedbackSettings()
    feedback_fit: int = 15  # the iteration after which feedback is fitted and robust planning begins, with a plan
    robust_shares: tuple[float, ...] = (0.5, 1.0)  # shares of the disturbances, one planning after the other
    robust: RobustSettings = RobustSettings()


class PolicyTraining:
    """One policy in training. plan None: from scratch. workers 0: one a core.

    meanwhile is called while workers are waited for and may raise (workers.Pool); what was begun is then as if
    it had not been.
    """

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
    ) -> None:
        self.meanwhile = meanwhile
        self.body, self.reference, self.hold = body, reference, hold
        self.settings = settings or LearningSettings()
        self.workers = workers or core_count()
        self.seed_value = seed
        self.track = Track(body, reference, hold)
        self.trajectory = trajectory_of_plan(self.track, plan, scene) if plan else TargetTrajectory.of_track(self.track)
        self.samples, self.seconds, self.iterations, self.updates = 0, 0.0, 0, 0
        self.planned = plan is not None
        self.share = 1.0 if plan else self.settings.first_share
        self.survival, self.landing = 0.0, 0.0
        self.start_states = StartStates(self.trajectory.steps, self.settings.from_start)
        self._pool: Pool | None = None
        self._env = self._take_env()
        observed, privileged = (part.shape[1] for part in self._sample_observation())
        torch.manual_seed(seed)
        s = self.settings
        std = s.feedback_std if plan else s.scratch_std
        self.network = ActorCritic(observed, privileged, self._env.layout.width, s.hidden, std)
        self.ppo = PPO(self.network, s.ppo, seed)
        self.robust: RobustPlanning | None = None
        self.robust_done = 0 if plan else len(s.robust_shares)  # robust plannings that are over
        self.feedback = Feedback(self._env.observations.parts, self.trajectory.steps, s.feedback)

    def _take_env(self) -> ImitationEnvironment:
        """For takes: one PyBullet world."""
        return ImitationEnvironment(
            PyBulletBatch(self.body, 1), self.trajectory, self.track.allowed, self.settings.limits
        )

    def _sample_observation(self) -> tuple[np.ndarray, np.ndarray]:
        begin_trial(self._env, 0, 0, NONE, Scene())
        self._env.refresh()
        return self._env.observe(np.ones(1, dtype=bool))

    @property
    def pool(self) -> Pool:
        """The workers, started when first needed (playing takes of a stage needs none)."""
        if self._pool is None:
            torch.set_num_threads(min(self.workers, core_count()))  # the workers wait meanwhile
            s = self.settings
            arguments = (self.body, self.reference, self.trajectory, self.hold, s.bodies, self.seed_value, s.limits)
            self._pool = Pool(self.workers, PolicyWorker, *arguments, meanwhile=self.meanwhile)
            seeds = np.random.default_rng([self.seed_value, self.iterations]).integers(0, 2**31, self.workers)
            self._pool.share("seed", [(int(seed),) for seed in seeds])
        return self._pool

    @property
    def learned(self) -> tuple[int, int, bool]:
        """What performances have come to differ by: updates, robust plannings, whether feedback is at work."""
        return self.updates, self.robust_done, bool(np.any(self.trajectory.gains))

    def iterate(self) -> dict[str, Any]:
        """Rollouts, then one update; or one round of robust planning. Returns JSON-ready progress."""
        began = time.monotonic()
        s = self.settings
        if self.iterations > s.feedback_fit and self.robust_done < len(s.robust_shares):
            return self._plan_robustly(began)
        rollout = RolloutSettings(s.disturbances, self.start_states.probabilities(), self.share)
        actor = self.network.exploring_actor()
        parts = self.pool.call("collect", actor, rollout, s.length)
        collected = time.monotonic()
        batch = _together(parts)
        episodes = np.concatenate([part["episodes"] for part in parts])
        report = self._learn(batch)
        self._count(batch, episodes)
        self.seconds += time.monotonic() - began
        return {
            "iteration": self.iterations,
            "samples": self.samples,
            "seconds": round(self.seconds, 2),
            "rollout_seconds": round(collected - began, 3),
            "mean_return": float(batch.rewards.mean()),
            "episode_return": float(episodes[:, 2].mean()) if len(episodes) else 0.0,
            "survival": self.survival,
            "landing_estimate": self.landing,
            "disturbance_share": round(self.share, 3),
            **report,
        }

    def _learn(self, batch: Experience) -> dict[str, float]:
        """Improve the policy by a batch of rollouts."""
        if self.planned and self.iterations <= self.settings.feedback_fit:
            self._learn_scale(batch)
            return self._learn_feedback(batch)
        if self.iterations == 0:
            self._learn_scale(batch)  # its log probabilities came from a network without scales
            return {}
        self.ppo.adapt_divergence(self.landing)
        report = self.ppo.update(batch)
        self.updates += 1
        self.network.average_weights(min(self.updates / (self.updates + 4), 1 - 1 / AVERAGED))
        if self.iterations < SCALE_ITERATIONS:
            self._learn_scale(batch)
        return report

    def _learn_feedback(self, batch: Experience) -> dict[str, float]:
        """Gather rollouts; when it is time fit the feedback to it."""
        self.feedback.remember(batch)
        if self.iterations != self.settings.feedback_fit:
            return {}
        self.network.explore(self.settings.std)
        # A training taken up again has lost its rollouts: too little of it would fit noise
        if len(self.feedback) < min(LEAST_BATCHES, self.iterations + 1):
            return {}
        gains = self.feedback.gains()
        self._follow(dataclasses.replace(self.trajectory, gains=gains))
        return {"feedback": float(np.linalg.norm(gains, 2, axis=(1, 2)).mean())}

    def _follow(self, trajectory: TargetTrajectory) -> None:
        self.trajectory = self._env.trajectory = trajectory
        self.pool.call("follow", trajectory.gains, trajectory.targets)

    def _plan_robustly(self, began: float) -> dict[str, Any]:
        """One round of robust planning; after the last one the trajectory is the refined one."""
        s = self.settings
        share = s.robust_shares[self.robust_done]
        before, cost = self.robust.samples if self.robust else 0, 0.0
        if self.robust is None:
            robust = self._next_robust()
            robust.set_out(self.pool, s.disturbances.scaled(share))
            self.robust = robust
        else:
            cost = self.robust.round(self.pool)
        self.samples += self.robust.samples - before
        fraction = (self.robust_done + self.robust.share) / len(s.robust_shares)
        if self.robust.done:
            trajectory = self.robust.trajectory()
            self.robust_done, self.robust = self.robust_done + 1, None
            self.iterations += 1
            self._follow(trajectory)
        self.seconds += time.monotonic() - began
        return {
            "iteration": self.iterations,
            "samples": self.samples,
            "seconds": round(self.seconds, 2),
            "mean_return": -cost,
            "survival": self.survival,
            "landing_estimate": self.landing,
            "disturbance_share": share,
            "robust_share": round(fraction, 3),
        }

    def _next_robust(self) -> RobustPlanning:
        s = self.settings
        seed = len(s.robust_shares) * self.seed_value + self.robust_done
        return RobustPlanning(self.trajectory, self._env.layout, s.robust, seed)

    def _learn_scale(self, batch: Experience) -> None:
        self.network.observed.learn(batch.observations.reshape(-1, batch.observations.shape[-1]))
        self.network.privileged.learn(batch.privileged.reshape(-1, batch.privileged.shape[-1]))

    def _count(self, batch: Experience, episodes: Array) -> None:
        """Keep the running figures, the start states and the disturbances' share up to date."""
        s = self.settings
        self.iterations += 1
        self.samples += batch.rewards.size
        self.start_states.learn(episodes)
        if not len(episodes):
            return
        self.survival += 0.2 * (float(1 - episodes[:, 3].mean()) - self.survival)
        whole = episodes[episodes[:, 0] == 0]
        if len(whole):
            self.landing += 0.2 * (float(1 - whole[:, 3].mean()) - self.landing)
        if self.landing > s.going_well:
            self.share = min(1.0, self.share + s.share_step)
        elif self.landing < s.going_badly and not self.planned:
            self.share = max(s.first_share, self.share - s.share_step)

    def evaluate(
        self, trials: int = 50, disturbances: Disturbances | None = None, seed: int = 10_000
    ) -> dict[str, Any]:
        """Play trials without exploration; landing rate by core.metrics, and means of its measures."""
        d = self.settings.disturbances if disturbances is None else disturbances
        seeds = [seed + k for k in range(trials)]
        actor, parts = self.network.averaged_actor(), even_slices(trials, self.workers)
        answers = self.pool.share("trials", [(actor, seeds[part], d) for part in parts])
        results = [result for answer in answers for result in answer]
        good = [r["success"] if r["landed"] is None else r["landed"] for r in results]
        return {
            "trials": trials,
            "landing_rate": float(np.mean(good)),
            "success_rate": float(np.mean([r["success"] for r in results])),
            "results": results,
            **{key: float(np.mean([r[key] for r in results])) for key in ("return", "g_mpjpe_mm", "mpjpe_mm")},
        }

    def landing_rate(self, trials: int, enough: float) -> float:
        """Share of disturbed trials that land, none of them played before.

        A rate that is enough is measured once more and the second figure counts: the best of many
        looks at a noisy rate would flatter it.
        """
        seed = 1_000_000 + 10_000 * self.iterations
        rate = self.evaluate(trials, seed=seed)["landing_rate"]
        return self.evaluate(trials, seed=seed + 5000)["landing_rate"] if rate >= enough else rate

    def attempt(
        self, seed: int = 0, scene: Scene | None = None, disturbed: bool = False, start: States | None = None
    ) -> Take:
        """One performance of the present policy, from frame 0 to the end of the hold.

        A failed one is played on until the character lies still.
        """
        env, actor = self._env, self.network.averaged_actor()
        bodies: PyBulletBatch = env.bodies
        recorder = Recorder()
        bodies.recorders = [recorder]
        disturbances = self.settings.disturbances if disturbed else NONE
        begin_trial(env, 0, seed, disturbances, scene if scene or disturbed else Scene(), start)
        fresh, terminated = np.ones(1, dtype=bool), False
        for step in range(self.trajectory.steps + int(LONGEST_REST * self.track.rate)):
            env.refresh()
            terminated |= bool(env.evaluate()[1][0])
            if step >= self.trajectory.steps and (not terminated or _at_rest(env.now.states)):
                break
            observation, _ = env.observe(fresh)
            fresh = np.zeros(1, dtype=bool)
            terminated |= bool(env.step(actor(observation))[0])
        take = recorder.take(bodies.worlds[0], seed=seed, disturbed=disturbed, samples=self.samples)
        if self.track.standing:
            take.meta[metrics.STANDS] = still_stands(bodies.worlds[0])
        bodies.recorders = [None]
        return take

    def save(self, path: str | Path) -> None:
        """Write a stage: enough to go on training, and to play takes, elsewhere."""
        content = {
            "network": self.network.state_dict(),
            "optimiser": self.ppo.optimiser.state_dict(),
            "hidden": list(self.settings.hidden),
            "rate": self.ppo.rate,
            "random": self.ppo.random.get_state(),
            "trajectory": self.trajectory.arrays(),
            "failures": self.start_states.failures,
            "numbers": {
                "samples": self.samples,
                "seconds": self.seconds,
                "iterations": self.iterations,
                "updates": self.updates,
                "share": self.share,
                "survival": self.survival,
                "landing": self.landing,
                "seed": self.seed_value,
                "planned": int(self.planned),
                "robust_done": self.robust_done,
            },
        }
        if self.robust is not None:
            content["robust"] = self.robust.checkpoint()
        checkpoints.save(Path(path), content)

    def load(self, path: str | Path) -> None:
        """Go on from a stage. Raises ValueError with a sentence when it does not fit; then all is as it was."""
        name = Path(path).name
        content = checkpoints.load(Path(path))
        before = {name: getattr(self, name) for name in (*NUMBERS, *SWITCHES, "trajectory", "robust")}
        learned = copy.deepcopy((self.network.state_dict(), self.ppo.optimiser.state_dict(), self.ppo.rate))
        random, failures, env = self.ppo.random.get_state(), self.start_states.failures, self._env
        try:
            self._take_over(content)
        except Exception as error:  # what torch raises on contents that do not fit is not told anywhere
            self.__dict__.update(before)
            self.network.load_state_dict(learned[0])
            self.ppo.optimiser.load_state_dict(learned[1])
            self.ppo.rate = learned[2]
            self.ppo.random.set_state(random)
            self.start_states.failures = failures
            if self._env is not env:
                self._env.bodies.close()
                self._env = env
            words = str(error) if isinstance(error, ValueError) else f"it is damaged ({error})"
            raise ValueError(f"The stage {name} cannot be used: {words}") from error
        env.bodies.close()
        self._close_pool()

    def _take_over(self, content: dict[str, Any]) -> None:
        """Go on from a stage's content. Raises whatever it may, then halfway."""
        trajectory = TargetTrajectory.from_arrays(checkpoints.arrays(content["trajectory"]))
        if trajectory.targets.shape != self.trajectory.targets.shape:
            raise ValueError("it belongs to another body or clip")
        if tuple(content["hidden"]) != self.settings.hidden:
            raise ValueError("it has a network of another size")
        gains = trajectory.gains.shape in (
            (0, 0, 0),
            (trajectory.steps, self._env.layout.width, self._env.observations.width),
        )
        shapes = {key: value.shape for key, value in trajectory.arrays().items() if key != "gains"}
        own = {key: value.shape for key, value in self.trajectory.arrays().items() if key != "gains"}
        failures = content["failures"].numpy().astype(float)
        if not gains or shapes != own or failures.shape != self.start_states.failures.shape or (failures < 0).any():
            raise ValueError("it is damaged: its parts do not fit together")
        self.network.load_state_dict(content["network"])
        # How to optimise is this version's to say, not a file's
        groups = self.ppo.optimiser.state_dict()["param_groups"]
        self.ppo.optimiser.load_state_dict({"state": content["optimiser"]["state"], "param_groups": groups})
        self._check_optimiser()
        self.ppo.rate = _within(content["rate"], 0.0, 1.0)
        self.ppo.optimiser.param_groups[0]["lr"] = self.ppo.rate
        self.ppo.random.set_state(content["random"])
        self.start_states.failures = failures
        numbers = content["numbers"]
        for name, (key, most) in NUMBERS.items():
            whole = isinstance(getattr(self, name), int)
            setattr(self, name, (int if whole else float)(_within(numbers[key], 0, most)))
        self.planned = bool(numbers["planned"])
        self.robust_done = int(_within(numbers["robust_done"], 0, len(self.settings.robust_shares)))
        self.trajectory, self.robust = trajectory, None
        self._env = self._take_env()
        if "robust" in content:
            saved = content["robust"]
            self.robust = self._next_robust()
            states = checkpoints.arrays(saved["states"])
            self.robust.load_state({**saved, **checkpoints.arrays(saved), "states": states})

    def _check_optimiser(self) -> None:
        """Raises ValueError where the optimiser's memory does not fit the network."""
        for parameter, memory in self.ppo.optimiser.state.items():
            if set(memory) != {"step", "exp_avg", "exp_avg_sq"} or not all(
                isinstance(value, torch.Tensor) and value.shape in ((), parameter.shape) for value in memory.values()
            ):
                raise ValueError("it is damaged: its optimiser does not fit its network")

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


def _together(parts: list[dict[str, Any]]) -> Experience:
    """One batch of the workers' batches, side by side along N."""
    names = [field.name for field in dataclasses.fields(Experience)]
    return Experience(**{name: np.concatenate([part[name] for part in parts], axis=1) for name in names})


def _within(value: Any, least: float, most: float) -> Any:
    """value, a number from least to most. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        raise ValueError("it is damaged: one of its numbers makes no sense")
    return value


def _at_rest(states: States) -> bool:
    speeds = (np.abs(states.velocity).max(), np.abs(states.angular_velocity).max() / 10)
    return bool(max(*speeds, np.abs(states.joint_velocity).max() / 10) < REST_SPEED)
