# SPDX-License-Identifier: GPL-3.0-or-later
"""What a worker process does for a policy: episodes of practice and rehearsals in a Crowd, trials in
PyBullet's Worlds."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ...core import truth
from ...core.body import Body
from ...core.motion import Motion
from ...core.rotations import Array
from ..imitation.cost import Cost
from ..imitation.disturbances import Disturbances, Place, disturbed, draw_circumstances
from ..imitation.environment import ACTION_SCALE, Arena, Limits, begin_trial
from ..imitation.reference_track import Track
from ..imitation.target_trajectory import Guide
from ..physics.batched.step import Crowd
from ..physics.pybullet_batch import Recorder, Worlds
from ..physics.state import stacked
from .numpy_actor import Actor

REMEMBERED = 0.1  # share of visited states that are kept to begin episodes from
MOST_REMEMBERED = 128  # of them a control step
NEVER = 1_000_000  # the step at which an episode fails that does not
TRIALS = 32  # that a worker plays side by side
CROWDS = 4  # of different sizes that a worker keeps


@dataclasses.dataclass(frozen=True)
class Practice:
    """How episodes of practice begin.

    starts (T,): probabilities of the control step at which one begins. share: each episode is
    disturbed by a share of it all, from nothing to this much, hard ones drawn more often: the easy
    ones go on teaching what the hard ones cannot yet. visited: share of the episodes begun past frame 0 that
    begin where earlier episodes came by, and not at the guide: what has gone wrong up to there is
    what a landing has to cope with.
    """

    disturbances: Disturbances
    starts: Array
    share: float = 1.0
    visited: float = 0.7


class PracticeWorker:
    """Practises, and plays trials, in a worker process."""

    def __init__(
        self, body: Body, reference: Motion, guide: Guide, hold: float | None, count: int, seed: int, limits: Limits
    ) -> None:
        self.body = body
        self.reference = reference
        self.guide = guide
        self.count = count
        self.limits = limits
        track = Track(body, reference, hold)
        self.allowed = track.allowed
        self._arenas: dict[int, Arena] = {}  # of crowds, by size
        self.arena = self._crowd(count)
        self.trial_arena = Arena(Worlds(body, TRIALS), guide, track.allowed, limits)
        self.random = np.random.default_rng(seed)
        self.cost = Cost(track, anywhere=True)
        self.visited: dict[int, list[Place]] = {}  # by control step
        self._fresh = np.ones(count, dtype=bool)
        self._begun = np.zeros(count, dtype=int)  # at which step each episode began
        self._returns = np.zeros(count)

    def seed(self, seed: int) -> None:
        """Begin anew with another random stream (a resumed training)."""
        self.random = np.random.default_rng(seed)
        self._fresh[:] = True

    def follow(self, gains: Array, turns: Array) -> None:
        """Correct by other feedback gains, and steer by other joint targets, from now on."""
        self.guide = dataclasses.replace(self.guide, gains=gains, turns=turns)
        for arena in (*self._arenas.values(), self.trial_arena):
            arena.guide = self.guide

    def _crowd(self, count: int) -> Arena:
        """An arena of count bodies."""
        if count not in self._arenas:
            while len(self._arenas) >= CROWDS:
                del self._arenas[next(size for size in self._arenas if size != self.count)]
            crowd = Crowd(self.body, count, self.allowed)
            self._arenas[count] = Arena(crowd, self.guide, self.allowed, self.limits)
        return self._arenas[count]

    def collect(self, actor: Actor, practice: Practice, length: int) -> dict[str, Any]:
        """Practise length control steps with every body. Arrays lead with (length, N)."""
        arena, data, episodes = self.arena, [], []
        self._restart(self._fresh, practice)
        arena.look()
        for _ in range(length):
            observation, secret = arena.sense(self._fresh)
            self._fresh = np.zeros(self.count, dtype=bool)
            action, likelihood = actor.sample(observation, self.random)
            steps = arena.steps.copy()
            fouls = arena.step(action)
            arena.look()
            reward, lost = arena.judge()
            failed = fouls | lost | ~np.isfinite(reward)
            ended = arena.steps >= self.guide.steps
            ended &= ~failed
            reward = np.where(failed, 0.0, reward)
            outcome = arena.outcome()
            data.append((observation, secret, action, likelihood, reward, failed, ended, outcome, steps, arena.applied))
            self._returns += reward
            done = failed | ended
            self._visit(~done)
            if done.any():
                for i in np.flatnonzero(done):
                    episodes.append((self._begun[i], arena.steps[i], float(self._returns[i]), bool(failed[i])))
                self._restart(done, practice)
                arena.look(done)
                self._fresh = done
        names = ("observations", "secrets", "actions", "likelihoods", "rewards", "failed", "ended")
        names += ("outcomes", "steps", "applied")
        columns = zip(names, zip(*data, strict=True), strict=True)
        result: dict[str, Any] = {name: np.stack(part) for name, part in columns}
        result["episodes"] = np.array(episodes, dtype=float).reshape(-1, 4)
        return result

    def _visit(self, sound: np.ndarray) -> None:
        """Remember some of the states that episodes get to, to begin others there."""
        for i in np.flatnonzero(sound & (self.random.uniform(size=self.count) < REMEMBERED)):
            known = self.visited.setdefault(int(self.arena.steps[i]), [])
            place = (self.arena.now.states[i].copy(), self.arena.circumstances[i])
            if len(known) < MOST_REMEMBERED:
                known.append(place)
            else:
                known[self.random.integers(MOST_REMEMBERED)] = place

    def _restart(self, which: np.ndarray, practice: Practice) -> None:
        """Begin new episodes of the bodies which (N,)."""
        index = np.flatnonzero(which)
        if not len(index):
            return
        steps = self.random.choice(len(practice.starts), size=len(index), p=practice.starts)
        places = [self._place(int(step), practice) for step in steps]
        self.arena.start(index, steps, stacked([place[0] for place in places]), [place[1] for place in places])
        self._begun[index], self._returns[index] = steps, 0.0

    def _place(self, step: int, practice: Practice) -> Place:
        """Where an episode begins: where earlier ones came by, or shaken off the guide."""
        known = self.visited.get(step)
        if step and known and self.random.uniform() < practice.visited:
            return known[self.random.integers(len(known))]
        strength = practice.disturbances.scaled(practice.share * np.sqrt(self.random.uniform()))
        own = draw_circumstances(strength, self.random, self.guide.steps)
        return disturbed(self.body, self.guide.states[step], strength, self.random, own.scene.floor), own

    def trials(self, actor: Actor, seeds: list[int], disturbances: Disturbances) -> list[dict[str, Any]]:
        """Play trials from frame 0 without exploration; the measures of each (core.truth)."""
        results = []
        for first in range(0, len(seeds), TRIALS):
            results += self._trials(actor, seeds[first : first + TRIALS], disturbances)
        return results

    def _trials(self, actor: Actor, seeds: list[int], disturbances: Disturbances) -> list[dict[str, Any]]:
        arena = self.trial_arena
        bodies: Worlds = arena.bodies
        active = np.arange(TRIALS) < len(seeds)
        bodies.recorders = [Recorder() if here else None for here in active]
        for i, seed in enumerate(seeds):
            begin_trial(arena, i, seed, disturbances)
        rewards = np.zeros(TRIALS)
        arena.look()
        fresh = np.ones(TRIALS, dtype=bool)
        for _ in range(self.guide.steps):
            observation, _ = arena.sense(fresh)
            fresh = np.zeros(TRIALS, dtype=bool)
            arena.step(actor(observation), active)
            arena.look()
            rewards += arena.judge()[0]
        results = []
        for i, seed in enumerate(seeds):
            take = bodies.recorders[i].take(bodies.worlds[i])
            measures = truth.measure(self.body, self.reference, take)
            results.append({"seed": seed, "return": float(rewards[i] / self.guide.steps), **measures})
        bodies.recorders = [None] * TRIALS
        return results

    def set_out(self, seeds: list[int], disturbances: Disturbances) -> list[Place]:
        """Where trials begin."""
        arena = self._crowd(len(seeds))
        for i, seed in enumerate(seeds):
            begin_trial(arena, i, seed, disturbances)
        arena.look()
        return [(arena.now.states[i].copy(), arena.circumstances[i]) for i in range(len(seeds))]

    def play(self, places: list[Place], step: int, offsets: Array) -> tuple[Array, list[Place], np.ndarray]:
        """Go on from places at a control step, the guide's targets turned by offsets (N, H, width), rad,
        its feedback at work.

        Returns mean costs (N,), the places got to, and the steps (N,) at which episodes failed (a
        large number: they did not).
        """
        arena, count = self._crowd(len(places)), len(places)
        steps = np.full(count, step)
        arena.start(np.arange(count), steps, stacked([place[0] for place in places]), [place[1] for place in places])
        arena.look()
        fresh, costs, failed = np.ones(count, dtype=bool), np.zeros(count), np.full(count, NEVER)
        down = arena.floors[:, None] * [0.0, 0.0, 1.0]
        for h in range(offsets.shape[1]):
            arena.sense(fresh)
            fresh = np.zeros(count, dtype=bool)
            fouls = arena.step(offsets[:, h] / ACTION_SCALE)
            arena.look()
            states = dataclasses.replace(arena.now.states, position=arena.now.states.position - down)
            costs += self.cost(states, np.minimum(arena.steps, self.guide.steps) - 1)
            lost = fouls | arena.judge()[1]
            failed = np.where(lost & (failed == NEVER), step + h, failed)
        ends = [(arena.now.states[i].copy(), place[1]) for i, place in enumerate(places)]
        return costs / offsets.shape[1], ends, failed

    def rehearse(self, places: list[Place], step: int, offsets: Array) -> Array:
        """Mean costs (K,) of offsets (K, H, width) over all places."""
        count = len(offsets)
        every = [place for _ in range(count) for place in places]
        costs, _, _ = self.play(every, step, np.repeat(offsets, len(places), axis=0))
        return costs.reshape(count, len(places)).mean(axis=1)
