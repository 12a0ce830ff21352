# SPDX-License-Identifier: GPL-3.0-or-later
"""What a worker process does for a policy: rollouts in the compiled physics, trials in the engine
that performs (physics.engines)."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING

import numpy as np

from ...core import metrics
from ...core.arrays import Array, BoolArray, IntArray
from ..imitation.compiled_environment import CompiledEnvironment
from ..imitation.disturbances import (
    Circumstances,
    Disturbances,
    EpisodeState,
    disturbed_many,
    draw_circumstances,
)
from ..imitation.environment import ImitationEnvironment, Limits, begin_trial, trial
from ..imitation.experience import Experience
from ..imitation.feedback_landings import who_lands
from ..imitation.feedback_rollouts import FeedbackRollouts
from ..imitation.reference_track import Track
from ..imitation.standing import who_stands
from ..imitation.target_trajectory import TargetTrajectory
from ..physics.compiled.batch import CompiledBatch
from ..physics.engines import AUTO, EngineName, chosen, new_simulator
from ..physics.recording import RecordingSimulator
from ..physics.simulator import LOOK_ITERATIONS
from ..physics.state import States, stacked
from .evaluation import Trial
from .numpy_actor import Actor, Exploration
from .start_states import Collected, Episodes, joined_episodes

if TYPE_CHECKING:  # torch, which takes seconds and memory, comes with half an update to the worker that has it to do
    from .network_updates import Learned, NetworkUpdate

VISITED_SHARE = 0.1  # share of the states passed through that are kept to begin episodes from
MOST_VISITED = 128  # of them a control step
MOST_SET_OUT = 1000  # trials whose beginnings are remembered
HARDER = 0.25  # exponent of a number between 0 and 1: how strongly an episode is disturbed
# That a worker plays side by side, one after the other where each has a world of its own, which takes 70 ms to make
TRIALS: dict[str, int] = {"pybullet": 2, "compiled": 32}


@dataclasses.dataclass(frozen=True)
class RolloutSettings:
    """How rollouts begin.

    start_states (T,): probabilities of the control step at which one begins. share: each episode is disturbed by a
    share of it all, from nothing to this much, hard ones drawn more often. visited: share of the episodes begun past
    frame 0 that begin in states that earlier episodes passed through, and not on the trajectory. longest: control steps
    after which an episode is broken off, that began there. correlation: of the exploration.
    """

    disturbances: Disturbances
    start_states: Array
    share: float = 1.0
    visited: float = 0.7
    longest: int | None = None
    correlation: float = 0.0


class PolicyWorker:
    """Collects rollouts, and plays trials, in a worker process."""

    def __init__(
        self,
        track: Track,
        trajectory: TargetTrajectory,
        count: int,
        seed: int,
        limits: Limits,
        engine: EngineName = AUTO,
    ) -> None:
        self.track, self.body = track, track.body
        self.trajectory = trajectory
        self.count = count
        self.limits = limits
        bodies = CompiledBatch(track.body, count, track.allowed)
        self.env = CompiledEnvironment(bodies, trajectory, track.allowed, limits)
        self.with_feedback = FeedbackRollouts(track, trajectory, limits, iterations=LOOK_ITERATIONS)
        self._engine = chosen(engine)
        self.random = np.random.default_rng(seed)
        self._exploration = Exploration(self.random)
        self.visited: dict[int, list[EpisodeState]] = {}  # by control step
        self._set_out: dict[tuple[int, Disturbances], EpisodeState] = {}
        self._fresh = np.ones(count, dtype=bool)
        self._first_steps = np.zeros(count, dtype=int)  # at which each episode began
        self._returns = np.zeros(count)

    def seed(self, seed: int) -> None:
        """Begin anew with another random stream (a resumed training)."""
        self.random = np.random.default_rng(seed)
        self._exploration = Exploration(self.random)
        self._fresh[:] = True

    @functools.cached_property
    def trial_env(self) -> ImitationEnvironment[RecordingSimulator]:
        """What trials are played in."""
        performers = new_simulator(self.body, TRIALS[self._engine], self._engine)
        return ImitationEnvironment(performers, self.trajectory, self.track.allowed, self.limits)

    def follow(self, gains: Array, targets: Array) -> None:
        """Correct by other feedback gains, and steer by other joint targets, from now on."""
        self.trajectory = dataclasses.replace(self.trajectory, gains=gains, targets=targets)
        self.env.follow(self.trajectory)
        self.with_feedback.follow(self.trajectory)

    def collect(self, actor: Actor, rollout: RolloutSettings, length: int, critic: Actor | None = None) -> Collected:
        """Roll out so many control steps (T) with every body (N); what is under way goes on in the next call.

        critic: values all of it here, and what the network's update has no more need of then stays here.
        """
        env, steps_done = self.env, []
        env.fades = rollout.longest is None  # short ones are to try actions at every step
        self._exploration.correlation = rollout.correlation
        ended: list[Episodes] = []
        self._restart(self._fresh, rollout)
        env.refresh()
        for _ in range(length):
            observation, privileged = env.observe(self._fresh)
            self._fresh = np.zeros(self.count, dtype=bool)
            action, log_prob = actor.sample(observation, self._exploration)
            steps = env.steps.copy()
            illegal_contacts = env.step(action)
            reward, lost = env.evaluate()
            terminated = illegal_contacts | lost | ~np.isfinite(reward)
            truncated = env.steps >= self.trajectory.steps
            if rollout.longest is not None:
                truncated |= env.steps >= self._first_steps + rollout.longest
            truncated &= ~terminated
            reward = np.where(terminated, 0.0, reward)
            bootstrap = env.bootstrap_observation()
            ends = (terminated, truncated, bootstrap)
            steps_done.append((observation, privileged, action, log_prob, reward, *ends, steps, env.applied))
            self._returns += reward
            done = terminated | truncated
            self._remember_visited(~done)
            ended.append(self._ended(done, terminated))
            if done.any():
                self._restart(done, rollout)
                env.refresh(done)
                self._fresh = done
        columns = [np.stack(column) for column in zip(*steps_done, strict=True)]
        experience = Experience(*columns)
        if critic is not None:
            experience = _valued(experience, critic)
        return Collected(experience, joined_episodes(ended))

    def _ended(self, done: BoolArray, terminated: BoolArray) -> Episodes:
        """The episodes that have just ended."""
        index = np.flatnonzero(done)
        steps = self._first_steps[index], self.env.steps[index]
        return Episodes(*steps, self._returns[index], terminated[index])

    def _remember_visited(self, sound: BoolArray) -> None:
        """Remember some of the states that episodes get to, to begin others there."""
        chosen = np.flatnonzero(sound & (self.random.uniform(size=self.count) < VISITED_SHARE))
        states = self.env.bodies.states(chosen)
        for k, i in enumerate(chosen):
            known = self.visited.setdefault(int(self.env.steps[i]), [])
            episode_state = (states[k].copy(), self.env.circumstances[i])
            if len(known) < MOST_VISITED:
                known.append(episode_state)
            else:
                known[self.random.integers(MOST_VISITED)] = episode_state

    def _restart(self, which: BoolArray, rollout: RolloutSettings) -> None:
        """Begin new episodes of the bodies which (N,)."""
        index = np.flatnonzero(which)
        if not len(index):
            return
        steps = self.random.choice(len(rollout.start_states), size=len(index), p=rollout.start_states)
        states, circumstances = self._start_states(steps, rollout)
        self.env.start(index, steps, states, circumstances)
        self._first_steps[index], self._returns[index] = steps, 0.0

    def _start_states(self, steps: IntArray, rollout: RolloutSettings) -> tuple[States, list[Circumstances]]:
        """Where episodes begin that begin at control steps (K,): in states that earlier ones passed through, or on the
        trajectory, disturbed."""
        random, episodes = self.random, dict[int, EpisodeState]()
        for k, step in enumerate(steps):
            known = self.visited.get(int(step))
            if step and known and random.uniform() < rollout.visited:
                episodes[k] = known[random.integers(len(known))]
        others = [k for k in range(len(steps)) if k not in episodes]
        shares = rollout.share * random.uniform(size=len(others)) ** HARDER
        strengths = [rollout.disturbances.scaled(float(share)) for share in shares]
        drawn = [draw_circumstances(strength, random, self.trajectory.pushed_until) for strength in strengths]
        if others:
            floors = np.array([own.scene.floor for own in drawn])
            begun = disturbed_many(self.body, self.trajectory.states[steps[others]], strengths, random, floors)
            episodes.update((k, (begun[j], drawn[j])) for j, k in enumerate(others))
        states, circumstances = zip(*(episodes[k] for k in range(len(steps))), strict=True)
        return stacked(states), list(circumstances)

    def learn(self, half: NetworkUpdate) -> Learned:
        """Half of an update; the same whoever does it."""
        return half.learn()

    def trials(self, actor: Actor, seeds: list[int], disturbances: Disturbances) -> list[Trial]:
        """Play trials from frame 0 without exploration."""
        results: list[Trial] = []
        self.trial_env.follow(self.trajectory)
        count = TRIALS[self._engine]
        for first in range(0, len(seeds), count):
            results += self._trials(actor, seeds[first : first + count], disturbances)
        return results

    def _trials(self, actor: Actor, seeds: list[int], disturbances: Disturbances) -> list[Trial]:
        env, bodies = self.trial_env, self.trial_env.bodies
        active = np.arange(bodies.count) < len(seeds)
        bodies.record(range(len(seeds)))
        for i in range(bodies.count):  # those that aren't needed begin as the last one does
            begin_trial(env, i, seeds[min(i, len(seeds) - 1)], disturbances)
        rewards = np.zeros(bodies.count)
        env.refresh()
        fresh = np.ones(bodies.count, dtype=bool)
        for _ in range(self.trajectory.steps):
            observation, _ = env.observe(fresh)
            fresh = np.zeros(bodies.count, dtype=bool)
            env.step(actor(observation), active)
            env.refresh()
            rewards += env.evaluate()[0]
        recordings = [bodies.recording(i) for i in range(len(seeds))]
        scenes = [own.scene for own in env.circumstances]
        stand = who_stands(bodies, active, scenes) if self.track.standing else None
        bodies.record(())
        results = []
        for i, (seed, recording) in enumerate(zip(seeds, recordings, strict=True)):
            take = recording.take(**({} if stand is None else {metrics.STANDS: bool(stand[i])}))
            measures = metrics.evaluate_take(self.body, self.track.reference, take)
            results.append(Trial(seed, float(rewards[i] / self.trajectory.steps), measures))
        return results

    def set_out(self, seeds: list[int], disturbances: Disturbances) -> list[EpisodeState]:
        """Where trials begin: the same ones whatever gains and targets are followed."""
        known = self._set_out
        if len(known) > MOST_SET_OUT:
            known.clear()
        for key in ((seed, disturbances) for seed in seeds):
            if key not in known:
                known[key] = trial(self.body, self.trajectory, *key)
        return [known[seed, disturbances] for seed in seeds]

    def landings(self, seeds: list[int], disturbances: Disturbances, stays: bool) -> tuple[BoolArray, Array]:
        """Which trials (N,) land under the trajectory's feedback alone, at a quick look, and their mean costs (N,).
        stays: whether they are to stand three seconds on."""
        starts, circumstances = zip(*self.set_out(seeds, disturbances), strict=True)
        return who_lands(self.with_feedback, stacked(starts), circumstances, self.track.standing, stays)


def _valued(experience: Experience, critic: Actor) -> Experience:
    """What a critic says of it, and not by what. An episode that goes on is seen again as its last step left it."""
    values, last = critic(experience.privileged)[..., 0], experience.bootstrap_observations
    following = np.concatenate([values[1:], critic(last[-1])[None, :, 0]])
    ended = experience.terminated | experience.truncated
    following[ended] = critic(last[ended])[:, 0]
    nothing = np.zeros((*values.shape, 0))
    return dataclasses.replace(
        experience,
        bootstrap_observations=nothing.astype(np.float32),
        applied=nothing,
        values=values,
        next_values=following,
    )
