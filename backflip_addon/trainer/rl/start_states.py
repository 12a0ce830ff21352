# SPDX-License-Identifier: GPL-3.0-or-later
"""The start-state distribution: where along the clip rollouts begin; and what workers bring back from them.

They bring back the experience, and how the episodes that ended in it went.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from ...core.arrays import Array, BoolArray, IntArray
from ..imitation.experience import Experience

BEFORE = (3, 20)  # control steps before a failure, from and to, within which to begin: 0.1 to 0.7 s
KEPT = 0.95  # share of the failures counted that an iteration keeps: they are forgotten within some 20
UNIFORM = 0.25  # share of the episodes past frame 0 that begin anywhere, whether it is hard there or not


@dataclasses.dataclass(frozen=True)
class Episodes:
    """E episodes that ended. first_steps, last_steps (E,): control steps of the clip. returns (E,): sums of
    rewards. terminated (E,): failed; the others went on to the end."""

    first_steps: IntArray
    last_steps: IntArray
    returns: Array
    terminated: BoolArray

    def __len__(self) -> int:
        return len(self.returns)


@dataclasses.dataclass(frozen=True)
class Collected:
    """The rollouts of one worker, or of all."""

    experience: Experience
    episodes: Episodes


def joined(parts: Sequence[Collected]) -> Collected:
    """One batch of the workers' batches, side by side along N."""
    names = [field.name for field in dataclasses.fields(Experience)]
    columns = {name: [getattr(part.experience, name) for part in parts] for name in names}
    whole = {name: np.concatenate(its, axis=1) for name, its in columns.items() if its[0] is not None}
    experience = Experience(**whole)
    return Collected(experience, joined_episodes([part.episodes for part in parts]))


def joined_episodes(parts: Sequence[Episodes]) -> Episodes:
    """All episodes of several lots, in their order."""
    names = [field.name for field in dataclasses.fields(Episodes)]
    return Episodes(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


class StartStates:
    """The control steps at which episodes begin: more often shortly before where they fail.

    After the adaptive state initialisation of Peng et al. (SFV, 2018), with failures counted instead
    of learned. steps: T of the clip. from_start: share of the episodes that begin at frame 0. failures (T + 1,): at
    each step, older ones counting less.
    """

    def __init__(self, steps: int, from_start: float) -> None:
        self.steps = steps
        self.from_start = from_start
        self.failures: Array = np.zeros(steps + 1)

    def count(self, episodes: Episodes) -> None:
        """Take episodes into account."""
        self.failures *= KEPT
        ends = episodes.last_steps[episodes.terminated]
        np.add.at(self.failures, np.clip(ends, 0, self.steps), 1.0)

    def probabilities(self) -> Array:
        """Of each control step (T,)."""
        uniform = np.full(self.steps, 1.0 / self.steps)
        hard = np.zeros(self.steps)
        for back in range(BEFORE[0], min(BEFORE[1], self.steps)):
            hard[: self.steps + 1 - back] += self.failures[back:]
        hard = hard / hard.sum() if hard.sum() > 0 else uniform
        # The last steps teach nothing: there is no time left to fail
        mixed: Array = (1 - self.from_start) * (UNIFORM * uniform + (1 - UNIFORM) * hard)
        mixed[0] += self.from_start
        mixed /= mixed.sum()
        return mixed

    def draw(self, random: np.random.Generator, first: int, last: int) -> int:
        """A control step from first to before last at which an episode might begin; 0 where there is none."""
        chances = self.probabilities()[first:last]
        return first + int(random.choice(len(chances), p=chances / chances.sum())) if len(chances) else 0
