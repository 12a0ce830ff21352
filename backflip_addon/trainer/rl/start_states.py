# SPDX-License-Identifier: GPL-3.0-or-later
"""Where along the clip rollouts begin."""

from __future__ import annotations

import numpy as np

from ...core.arrays import Array


class StartStates:
    """Where along the clip episodes begin: more often shortly before where they fail.

    After the adaptive state initialisation of Peng et al. (SFV, 2018), with failures counted
    instead of learned.
    """

    BEFORE = (3, 20)  # control steps before a failure within which to begin
    FORGET = 0.95  # an iteration

    def __init__(self, steps: int, from_start: float) -> None:
        self.steps = steps
        self.from_start = from_start
        self.failures = np.zeros(steps + 1)

    def learn(self, episodes: Array) -> None:
        """Take episodes (E, 4) (begun, ended, return, failed) into account."""
        self.failures *= self.FORGET
        ends = episodes[episodes[:, 3] > 0, 1].astype(int)
        np.add.at(self.failures, np.clip(ends, 0, self.steps), 1.0)

    def probabilities(self) -> Array:
        """Of each control step (T,)."""
        uniform = np.full(self.steps, 1.0 / self.steps)
        hard = np.zeros(self.steps)
        for back in range(self.BEFORE[0], min(self.BEFORE[1], self.steps)):
            hard[: self.steps + 1 - back] += self.failures[back:]
        hard = hard / hard.sum() if hard.sum() > 0 else uniform
        # The last steps teach nothing: there is no time left to fail
        mixed = (1 - self.from_start) * (0.25 * uniform + 0.75 * hard)
        mixed[0] += self.from_start
        return mixed / mixed.sum()
