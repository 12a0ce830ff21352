# SPDX-License-Identifier: GPL-3.0-or-later
"""Feedback to begin with: a time-varying linear-quadratic regulator around the target trajectory, fitted to rollouts.

At each control step a linear model of how differences from the goals and actions change the next
differences is fitted to rollouts (all that happened within a step or two, ridge regression), and
Riccati's recursion turns the models into gains. Differences of the size met in rollouts average
over the edges of contact that derivatives at the trajectory itself fall off. The gains become part
of it; the network learns what they lack.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ...core.arrays import AnyArray, Array, IntArray
from ..imitation.experience import Experience

MOST_INPUT, MOST_OUTPUT = 5.0, 8.0  # standard deviations: what is further off is no small difference any more
LAST_COST = 10.0  # factor on the cost of differences at the clip's end, where they stay


@dataclasses.dataclass(frozen=True)
class FeedbackSettings:
    """How gains are fitted."""

    spread: float = 0.7  # control steps over which neighbours share their rollouts
    ridge: float = 0.003  # of the regression, a share of its weights' sum
    effort: float = 50.0  # cost of an action's rad^2; larger: meeker gains
    memory: int = 48  # batches of rollouts


@dataclasses.dataclass(frozen=True)
class Models:
    """Linear models a control step: differences (T, n, n), actions (T, n, width)."""

    of_state: Array
    of_action: Array


def fit(steps: IntArray, before: Array, actions: Array, after: Array, count: int, settings: FeedbackSettings) -> Models:
    """Models for count control steps of rollouts (N,), (N, n), (N, width), (N, n)."""
    size, force = before.std(0) + 1e-6, actions.std(0) + 1e-6
    inputs = np.concatenate([before / size, actions / force, np.ones((len(before), 1))], axis=1)
    outputs = after / size
    # Falls teach nothing here
    sound = (np.abs(inputs) < MOST_INPUT).all(axis=1) & (np.abs(outputs) < MOST_OUTPUT).all(axis=1)
    steps, inputs, outputs = steps[sound], inputs[sound], outputs[sound]
    n, width = before.shape[1], actions.shape[1]
    of_state, of_action = np.zeros((count, n, n)), np.zeros((count, n, width))
    for t in range(count):
        near = np.abs(steps - t) <= 2 * settings.spread
        weight = np.exp(-0.5 * ((steps[near] - t) / settings.spread) ** 2)
        x, y = inputs[near], outputs[near]
        gram = (x * weight[:, None]).T @ x + (settings.ridge * weight.sum() + 1e-6) * np.eye(x.shape[1])
        solved = np.linalg.solve(gram, (x * weight[:, None]).T @ y)
        of_state[t] = solved[:n].T * size[:, None] / size
        of_action[t] = solved[n:-1].T * size[:, None] / force
    return Models(of_state, of_action)


def gains(models: Models, weights: Array, effort: float) -> Array:
    """Gains (T, width, n), action = gain @ differences, that cost least to the clip's end.

    weights (n,): cost of squared differences; effort: of squared actions.
    """
    cost = np.diag(weights)
    ahead = LAST_COST * cost
    count, n, width = models.of_action.shape
    result = np.zeros((count, width, n))
    for t in range(count - 1, -1, -1):
        a, b = models.of_state[t], models.of_action[t]
        result[t] = -np.linalg.solve(effort * np.eye(width) + b.T @ ahead @ b, b.T @ ahead @ a)
        closed = a + b @ result[t]
        ahead = cost + closed.T @ ahead @ closed + effort * result[t].T @ result[t]
        ahead = (ahead + ahead.T) / 2
    return result


# Cost of a squared difference, by observations.parts, in their units: m, rad, m/s, rad/s. Balance before all: what is
# off above the feet topples
WEIGHTS = {
    "horizontal_error": 1.0,
    "support": 20.0,
    "tilt": 3.0,
    "joints": 0.3,
    "velocity": 2.0,
    "momentum": 0.3,
    "spin": 0.05,
    "joint_spin": 0.003,
}


def weights_of_differences(parts: dict[str, int]) -> Array:
    """Cost of squared differences (n,) in the order of observations.parts."""
    return np.concatenate([np.full(count, WEIGHTS[name]) for name, count in parts.items()])


class Feedback:
    """Gathers rollouts, and fits gains to it."""

    def __init__(self, parts: dict[str, int], count: int, settings: FeedbackSettings) -> None:
        self.parts, self.count, self.settings = parts, count, settings
        self.width = sum(parts.values())
        self._batches: list[Experience] = []

    def __len__(self) -> int:
        return len(self._batches)

    def remember(self, batch: Experience) -> None:
        """Add a batch of rollouts; beyond settings.memory the oldest goes."""
        self._batches = [*self._batches, batch][-self.settings.memory :]

    def gains(self) -> Array:
        """Gains (T, width, n) fitted to what was gathered."""
        before, after = self._all("privileged")[:, : self.width], self._all("bootstrap_observations")[:, : self.width]
        models = fit(self._all("steps"), before, self._all("applied"), after, self.count, self.settings)
        return gains(models, weights_of_differences(self.parts), self.settings.effort)

    def _all(self, name: str) -> AnyArray:
        parts: list[AnyArray] = [getattr(batch, name) for batch in self._batches]
        together: AnyArray = np.concatenate([part.reshape(-1, *part.shape[2:]) for part in parts])
        return together.astype(float)
