# SPDX-License-Identifier: GPL-3.0-or-later
"""What a worker process does for a policy: rollouts and robust planning in the compiled step, trials
in PyBullet."""

from __future__ import annotations

import dataclasses

import numpy as np

from ...core import metrics
from ...core.arrays import Array, BoolArray, IntArray
from ...core.body import Body
from ...core.motion import Motion
from ..imitation.cost import Cost
from ..imitation.disturbances import Disturbances, EpisodeState, disturbed, draw_circumstances
from ..imitation.environment import ACTION_SCALE, ImitationEnvironment, Limits, begin_trial
from ..imitation.experience import Experience
from ..imitation.reference_track import Track
from ..imitation.target_trajectory import TargetTrajectory
from ..physics.compiled.batch import CompiledBatch
from ..physics.pybullet_batch import PyBulletBatch, Recorder
from ..physics.state import stacked
from .episodes import Collected, Episodes, joined_episodes
from .evaluation import Trial
from .numpy_actor import Actor

VISITED_SHARE = 0.1  # share of the states passed through that are kept to begin episodes from
MOST_VISITED = 128  # of them a control step
NEVER = 1_000_000  # the step at which an episode fails that does not
TRIALS = 32  # that a worker plays side by side
MOST_ENVIRONMENTS = 4  # of different sizes that a worker keeps: robust planning asks for three


@dataclasses.dataclass(frozen=True)
class RolloutSettings:
    """How rollouts begin.

    start_states (T,): probabilities of the control step at which one begins. share: each episode is
    disturbed by a share of it all, from nothing to this much, hard ones drawn more often: the easy
    ones go on teaching what the hard ones cannot yet. visited: share of the episodes begun past frame 0 that
    begin in states that earlier episodes passed through, and not on the trajectory: what has gone wrong up to there is
    what a landing has to cope with.
    """

    disturbances: Disturbances
    start_states: Array
    share: float = 1.0
    visited: float = 0.7


class PolicyWorker:
    """Collects rollouts, and plays trials, in a worker process."""

    def __init__(
        self,
        body: Body,
        reference: Motion,
        trajectory: TargetTrajectory,
        hold: float | None,
        count: int,
        seed: int,
        limits: Limits,
    ) -> None:
        self.body = body
        self.reference = reference
        self.trajectory = trajectory
        self.count = count
        self.limits = limits
        track = Track(body, reference, hold)
        self.allowed = track.allowed
        self._envs: dict[int, ImitationEnvironment[CompiledBatch]] = {}  # by number of bodies
        self.env = self._environment_of(count)
        self.trial_env = ImitationEnvironment(PyBulletBatch(body, TRIALS), trajectory, track.allowed, limits)
        self.random = np.random.default_rng(seed)
        self.cost = Cost(track, anywhere=True)
        self.visited: dict[int, list[EpisodeState]] = {}  # by control step
        self._fresh = np.ones(count, dtype=bool)
        self._first_steps = np.zeros(count, dtype=int)  # at which each episode began
        self._returns = np.zeros(count)

    def seed(self, seed: int) -> None:
        """Begin anew with another random stream (a resumed training)."""
        self.random = np.random.default_rng(seed)
        self._fresh[:] = True

    def follow(self, gains: Array, targets: Array) -> None:
        """Correct by other feedback gains, and steer by other joint targets, from now on."""
        self.trajectory = dataclasses.replace(self.trajectory, gains=gains, targets=targets)
        for env in self._envs.values():
            env.trajectory = self.trajectory
        self.trial_env.trajectory = self.trajectory

    def _environment_of(self, count: int) -> ImitationEnvironment[CompiledBatch]:
        """An environment of count bodies."""
        if count not in self._envs:
            while len(self._envs) >= MOST_ENVIRONMENTS:
                del self._envs[next(size for size in self._envs if size != self.count)]
            bodies = CompiledBatch(self.body, count, self.allowed)
            self._envs[count] = ImitationEnvironment(bodies, self.trajectory, self.allowed, self.limits)
        return self._envs[count]

    def collect(self, actor: Actor, rollout: RolloutSettings, length: int) -> Collected:
        """Roll out so many control steps (T) with every body (N); what is under way goes on in the next call."""
        env, steps_done = self.env, []
        ended: list[Episodes] = []
        self._restart(self._fresh, rollout)
        env.refresh()
        for _ in range(length):
            observation, privileged = env.observe(self._fresh)
            self._fresh = np.zeros(self.count, dtype=bool)
            action, log_prob = actor.sample(observation, self.random)
            steps = env.steps.copy()
            illegal_contacts = env.step(action)
            env.refresh()
            reward, lost = env.evaluate()
            terminated = illegal_contacts | lost | ~np.isfinite(reward)
            truncated = (env.steps >= self.trajectory.steps) & ~terminated
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
        return Collected(Experience(*columns), joined_episodes(ended))

    def _ended(self, done: BoolArray, terminated: BoolArray) -> Episodes:
        """The episodes that have just ended."""
        index = np.flatnonzero(done)
        steps = self._first_steps[index], self.env.steps[index]
        return Episodes(*steps, self._returns[index], terminated[index])

    def _remember_visited(self, sound: BoolArray) -> None:
        """Remember some of the states that episodes get to, to begin others there."""
        for i in np.flatnonzero(sound & (self.random.uniform(size=self.count) < VISITED_SHARE)):
            known = self.visited.setdefault(int(self.env.steps[i]), [])
            episode_state = (self.env.now.states[i].copy(), self.env.circumstances[i])
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
        episode_states = [self._start_state(int(step), rollout) for step in steps]
        states, circumstances = zip(*episode_states, strict=True)
        self.env.start(index, steps, stacked(states), list(circumstances))
        self._first_steps[index], self._returns[index] = steps, 0.0

    def _start_state(self, step: int, rollout: RolloutSettings) -> EpisodeState:
        """Where an episode begins: in a state that an earlier one passed through, or on the trajectory, disturbed."""
        known = self.visited.get(step)
        if step and known and self.random.uniform() < rollout.visited:
            return known[self.random.integers(len(known))]
        strength = rollout.disturbances.scaled(rollout.share * np.sqrt(self.random.uniform()))
        own = draw_circumstances(strength, self.random, self.trajectory.steps)
        return disturbed(self.body, self.trajectory.states[step], strength, self.random, own.scene.floor), own

    def trials(self, actor: Actor, seeds: list[int], disturbances: Disturbances) -> list[Trial]:
        """Play trials from frame 0 without exploration."""
        results: list[Trial] = []
        for first in range(0, len(seeds), TRIALS):
            results += self._trials(actor, seeds[first : first + TRIALS], disturbances)
        return results

    def _trials(self, actor: Actor, seeds: list[int], disturbances: Disturbances) -> list[Trial]:
        env, bodies = self.trial_env, self.trial_env.bodies
        active = np.arange(TRIALS) < len(seeds)
        recorders = [Recorder() for _ in seeds]
        bodies.recorders = [*recorders, *[None] * (TRIALS - len(seeds))]
        for i, seed in enumerate(seeds):
            begin_trial(env, i, seed, disturbances)
        rewards = np.zeros(TRIALS)
        env.refresh()
        fresh = np.ones(TRIALS, dtype=bool)
        for _ in range(self.trajectory.steps):
            observation, _ = env.observe(fresh)
            fresh = np.zeros(TRIALS, dtype=bool)
            env.step(actor(observation), active)
            env.refresh()
            rewards += env.evaluate()[0]
        results = []
        for i, seed in enumerate(seeds):
            measures = metrics.evaluate_take(self.body, self.reference, recorders[i].take(bodies.worlds[i]))
            results.append(Trial(seed, float(rewards[i] / self.trajectory.steps), measures))
        bodies.recorders = [None] * TRIALS
        return results

    def set_out(self, seeds: list[int], disturbances: Disturbances) -> list[EpisodeState]:
        """Where trials begin."""
        env = self._environment_of(len(seeds))
        for i, seed in enumerate(seeds):
            begin_trial(env, i, seed, disturbances)
        env.refresh()
        return [(env.now.states[i].copy(), env.circumstances[i]) for i in range(len(seeds))]

    def play(
        self, episode_states: list[EpisodeState], step: int, offsets: Array
    ) -> tuple[Array, list[EpisodeState], IntArray]:
        """Go on from episode states at a control step, the trajectory's targets turned by offsets (N, H, width), rad,
        its feedback at work.

        Returns mean costs (N,), the states got to, and the steps (N,) at which episodes failed (a
        large number: they did not).
        """
        env, count = self._environment_of(len(episode_states)), len(episode_states)
        steps = np.full(count, step)
        starts, circumstances = zip(*episode_states, strict=True)
        env.start(np.arange(count), steps, stacked(starts), list(circumstances))
        env.refresh()
        fresh, costs, terminated = np.ones(count, dtype=bool), np.zeros(count), np.full(count, NEVER)
        down = env.floors[:, None] * [0.0, 0.0, 1.0]
        for h in range(offsets.shape[1]):
            env.observe(fresh)
            fresh = np.zeros(count, dtype=bool)
            illegal_contacts = env.step(offsets[:, h] / ACTION_SCALE)
            env.refresh()
            states = dataclasses.replace(env.now.states, position=env.now.states.position - down)
            costs += self.cost(states, np.minimum(env.steps, self.trajectory.steps) - 1)
            lost = illegal_contacts | env.evaluate()[1]
            terminated = np.where(lost & (terminated == NEVER), step + h, terminated)
        ends = [(env.now.states[i].copy(), own) for i, own in enumerate(circumstances)]
        return costs / offsets.shape[1], ends, terminated

    def robust_costs(self, episode_states: list[EpisodeState], step: int, offsets: Array) -> Array:
        """Mean costs (K,) of offsets (K, H, width) over all of them."""
        count = len(offsets)
        every = [episode_state for _ in range(count) for episode_state in episode_states]
        costs, _, _ = self.play(every, step, np.repeat(offsets, len(episode_states), axis=0))
        means: Array = costs.reshape(count, len(episode_states)).mean(axis=1)
        return means
