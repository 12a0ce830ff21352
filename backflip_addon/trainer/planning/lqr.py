# SPDX-License-Identifier: GPL-3.0-or-later
"""Feedback to begin with: a time-varying linear-quadratic regulator around the target trajectory, fitted to rollouts.

At each control step a linear model of how differences from the goals and actions change the next differences is fitted
to rollouts (all that happened within a step or two, ridge regression), and Riccati's recursion turns the models into
gains. They become part of the trajectory; the network learns what they lack.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import NamedTuple

import numpy as np

from ...core.arrays import AnyArray, Array, IntArray
from ..imitation.environment import weights_of
from ..imitation.experience import Experience

MOST_INPUT, MOST_OUTPUT = 5.0, 8.0  # standard deviations: what is further off is no small difference any more
VARIED = 0.5  # deviation of the logarithm of a design's numbers, from one that is tried to the next
LAST_COST = 10.0  # factor on the cost of differences at the clip's end, where they stay


@dataclasses.dataclass(frozen=True)
class FeedbackSettings:
    """How gains are fitted."""

    spread: float = 0.7  # control steps over which neighbours share their rollouts
    ridge: float = 0.003  # of the regression, a share of its weights' sum
    memory: int = 48  # batches of rollouts


@dataclasses.dataclass(frozen=True)
class Design:
    """What gains are to keep small.

    effort: cost of an action's rad^2; larger: meeker gains. landed: factor on the costs of differences once the body
    has landed: what is pulled at hard there rocks on its feet. costs: of differences, instead of COSTS, before the
    landing and, where steady_costs does not name others, after it.
    """

    effort: float = 50.0
    landed: float = 0.3
    costs: dict[str, float] = dataclasses.field(default_factory=dict)
    steady_costs: dict[str, float] = dataclasses.field(default_factory=dict)

    def varied(self, random: np.random.Generator) -> Design:
        """Another one near it: each number by a factor whose logarithm is normally distributed (VARIED)."""

        def some(number: float) -> float:
            return number * float(np.exp(VARIED * random.standard_normal()))

        costs = {name: some(cost) for name, cost in {**COSTS, **self.costs}.items()}
        steady = {name: some(cost) for name, cost in self.steady_costs.items()}
        return Design(some(self.effort), some(self.landed), costs, steady)


@dataclasses.dataclass(frozen=True)
class Models:
    """Linear models of control steps: differences after one, by those before it (T, n, n), by actions (T, n, width),
    and what they become without either, constant (T, n)."""

    of_state: Array
    of_action: Array
    constant: Array


@dataclasses.dataclass(frozen=True)
class Regulator:
    """action = gains @ differences + actions: gains (T, width, n), actions (T, width), rad."""

    gains: Array
    actions: Array


def fit(steps: IntArray, before: Array, actions: Array, after: Array, count: int, settings: FeedbackSettings) -> Models:
    """Models for count control steps of rollouts (N,), (N, n), (N, width), (N, n)."""
    finite = np.isfinite(before).all(axis=1) & np.isfinite(after).all(axis=1)  # a simulation may break down
    if not finite.all():
        steps, before, actions, after = steps[finite], before[finite], actions[finite], after[finite]
    size, force = before.std(0, dtype=float) + 1e-6, actions.std(0, dtype=float) + 1e-6
    n, width = before.shape[1], actions.shape[1]
    models = Models(np.zeros((count, n, n)), np.zeros((count, n, width)), np.zeros((count, n)))
    order = np.argsort(steps, kind="stable")
    bounds = np.searchsorted(steps[order], np.arange(count + 1))
    own = [order[first:last] for first, last in itertools.pairwise(bounds)]
    # Of each control step's rollouts, which neighbours share
    each = [_products(before[rows] / size, actions[rows] / force, after[rows] / size) for rows in own]
    products, counts = np.stack([summed for summed, _ in each]), np.array([number for _, number in each])
    for t in range(count):
        near = np.arange(max(t - int(2 * settings.spread), 0), min(t + int(2 * settings.spread) + 1, count))
        weights = np.exp(-0.5 * ((near - t) / settings.spread) ** 2)
        summed, weighed = np.einsum("k,kij->ij", weights, products[near]), weights @ counts[near]
        gram = summed[:, : n + width + 1] + (settings.ridge * weighed + 1e-6) * np.eye(n + width + 1)
        solved = np.linalg.solve(gram, summed[:, n + width + 1 :])
        models.of_state[t] = solved[:n].T * size[:, None] / size
        models.of_action[t] = solved[n:-1].T * size[:, None] / force
        models.constant[t] = solved[-1] * size
    return models


def _products(before: Array, actions: Array, after: Array) -> tuple[Array, int]:
    """Inputs' products with inputs and outputs (n + width + 1, 2 n + width + 1), in standard deviations, summed over
    rollouts (N, ...), and over how many of them: falls teach nothing here."""
    inputs = np.concatenate([before, actions, np.ones((len(before), 1))], axis=1)
    sound = (np.abs(inputs) < MOST_INPUT).all(axis=1) & (np.abs(after) < MOST_OUTPUT).all(axis=1)
    together = np.concatenate([inputs, after], axis=1)[sound]
    products: Array = together[:, : inputs.shape[1]].T @ together
    return products, len(together)


def gains(models: Models, weights: Array, effort: float) -> Array:
    """Gains (T, width, n), action = gain @ differences, that cost least to the clip's end.

    weights (T, n): cost of squared differences after each control step; effort: of squared actions.
    """
    without = dataclasses.replace(models, constant=np.zeros_like(models.constant))
    return regulator(without, weights, effort, np.zeros(weights.shape[1])).gains


def regulator(models: Models, weights: Array, effort: float, wanted: Array) -> Regulator:
    """What costs least to the end: Riccati's recursion for models with a constant, and differences that are not to
    vanish (Anderson and Moore, "Optimal Control: Linear Quadratic Methods", 1990, section 4).

    weights, effort: see gains(). wanted (T, n) or (n,): the differences that are aimed at after each control step.
    """
    count, n, width = models.of_action.shape
    wanted = np.broadcast_to(wanted, (count, n))
    ahead, pull = LAST_COST * np.diag(weights[-1]), -LAST_COST * weights[-1] * wanted[-1]
    result = Regulator(np.zeros((count, width, n)), np.zeros((count, width)))
    for t in range(count - 1, -1, -1):
        a, b, constant = models.of_state[t], models.of_action[t], models.constant[t]
        drawn = ahead @ constant + pull
        both = np.concatenate([b.T @ ahead @ a, (b.T @ drawn)[:, None]], axis=1)
        solved = -np.linalg.solve(effort * np.eye(width) + b.T @ ahead @ b, both)
        gain = result.gains[t] = solved[:, :-1]
        result.actions[t] = solved[:, -1]
        closed, before = a + b @ gain, max(t - 1, 0)
        pull = closed.T @ drawn - weights[t] * wanted[before]
        ahead = np.diag(weights[t]) + closed.T @ ahead @ closed + effort * gain.T @ gain
        ahead = (ahead + ahead.T) / 2
    return result


# Cost of a squared difference, by observations.parts, in their units: m, rad, m/s, rad/s. Balance before all: what is
# off above the feet topples
COSTS = {
    "horizontal_error": 1.0,
    "support": 60.0,
    "tilt": 9.0,
    "joints": 0.3,
    "velocity": 6.0,
    "momentum": 0.3,
    "spin": 0.05,
    "joint_spin": 0.003,
}
# Which of these lands most often differs from plan to plan; of eight plans that were tried the first was the best in
# the mean
DESIGNS = (
    Design(),
    Design(landed=1.0),
    Design(landed=0.1),
    Design(costs={"velocity": 15.0, "spin": 0.2}),
    Design(landed=1.0, costs={"velocity": 15.0, "spin": 0.2}),
    Design(costs={"joints": 1.0, "joint_spin": 0.01}),
    Design(landed=1.0, steady_costs={"joints": 3.0, "joint_spin": 0.03}),
    Design(landed=1.0, costs={"support": 20.0, "tilt": 3.0, "velocity": 2.0}),
)


def weights_of_differences(parts: dict[str, int], design: Design, landed: int, count: int) -> Array:
    """Cost of squared differences (T, n) in the order of observations.parts, of count control steps T of which those
    from landed on come after the landing."""

    def weights(costs: dict[str, float]) -> Array:
        return np.concatenate([np.full(width, costs[name]) for name, width in parts.items()])

    before = {**COSTS, **design.costs}
    after = design.landed * weights({**before, **design.steady_costs})
    return np.where(np.arange(count)[:, None] >= landed, after, weights(before))


class Transitions(NamedTuple):
    """Control steps (N,) of rollouts: differences before (N, n) and after them, actions (N, width), rad, and shares
    (N,) that the bodies weigh more."""

    steps: IntArray
    before: AnyArray
    actions: AnyArray
    after: AnyArray
    weights: AnyArray


class Feedback:
    """Gathers rollouts, and makes gains of them."""

    def __init__(self, parts: dict[str, int], count: int, settings: FeedbackSettings) -> None:
        self.parts, self.count, self.settings = parts, count, settings
        self.width = sum(parts.values())
        self._batches: list[Transitions] = []

    def __len__(self) -> int:
        return len(self._batches)

    def remember(self, batch: Experience) -> None:
        """Add a batch of rollouts; beyond settings.memory the oldest goes."""

        def flat(part: AnyArray, width: int | None = None) -> AnyArray:
            return part.reshape(-1, *part.shape[2:])[:, :width].astype(np.float32)

        before, after = flat(batch.privileged, self.width), flat(batch.bootstrap_observations, self.width)
        weights = weights_of(flat(batch.privileged))
        own = Transitions(batch.steps.reshape(-1), before, flat(batch.applied), after, weights)
        self._batches = [*self._batches, own][-self.settings.memory :]

    def models(self) -> Models:
        """Linear models fitted to what was gathered."""
        return fit(*self._together[:4], self.count, self.settings)

    def models_with_weight(self) -> Models:
        """The same, with one difference more, the last: the share that a body weighs more, which stays as it is."""
        steps, before, actions, after, weights = self._together
        before, after = (np.concatenate([own, weights[:, None]], axis=1) for own in (before, after))
        models = fit(steps, before, actions, after, self.count, self.settings)
        for part in (models.of_state, models.of_action, models.constant):
            part[:, -1] = 0.0
        models.of_state[:, -1, -1] = 1.0
        return models

    @property
    def _together(self) -> Transitions:
        return Transitions(*(np.concatenate(parts) for parts in zip(*self._batches, strict=True)))

    def gains(self, models: Models, design: Design, landed: int) -> Array:
        """Gains (T, width, n) of a design. landed: the control step from which on the body only has to stand."""
        weights = weights_of_differences(self.parts, design, landed, self.count)
        return gains(models, weights, design.effort)
