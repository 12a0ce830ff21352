# SPDX-License-Identifier: GPL-3.0-or-later
"""An evolution strategy in which every candidate has its weight (Arnold 2006, "Weighted multirecombination evolution
strategies"): the loop that all planning shares.

A plan's knots x are drawn from independent normal distributions with mean m and deviation d. Each of a round's N drawn
candidates, best first, moves the mean by the normal score of its rank, bad ones away from them; so does b, the best
that is known:

    u_i = -Phi^-1((i - 3/8) / (N + 1/4)),  i = 1 ... N     (Blom 1958)
    m <- m + PULL (b - m) + STEP sum u_i (x_i - m) / sum u_i^2
    d <- max(NARROWING d, least)

Only the knots of the present window move.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from statistics import NormalDist

import numpy as np

from ...core.arrays import Array

STEP = 2.0
PULL = 0.3
NARROWING = 0.85


@dataclasses.dataclass
class KnotDistribution:
    """mean, deviation (K, width), rad: of a plan's knots, each number normal and independent of the others."""

    mean: Array
    deviation: Array

    def move(self, window: slice, drawn: Array, best: Array) -> None:
        """Move the window's mean by what was drawn (N, K, width), best first, and to the best so far (K, width)."""
        scores, mean = normal_scores(len(drawn)), self.mean[window]
        downhill = np.einsum("n,nkw->kw", scores / np.sum(scores**2), drawn[:, window] - mean)
        self.mean[window] = mean + PULL * (best[window] - mean) + STEP * downhill

    def narrow(self, window: slice, least: Array) -> None:
        """Narrow the window's deviation, not below the least (K, 1), rad."""
        self.deviation[window] = np.maximum(NARROWING * self.deviation[window], least)


@functools.cache
def normal_scores(count: int) -> Array:
    """(count,): what the best, the second, ... of so many standard normal numbers is on average, largest first."""
    standard = NormalDist()
    return np.array([-standard.inv_cdf((rank - 0.375) / (count + 0.25)) for rank in range(1, count + 1)])


def iterate(
    distribution: KnotDistribution,
    window: slice,
    known: Array,
    drawn: Array,
    evaluate: Callable[[Array], Array],
    least: Array,
) -> tuple[float, Array]:
    """One round: evaluate what is known already (M, K, width) and what was drawn (N, K, width), two at least, and
    move the distribution, in place, by the latter and to the best of all.

    evaluate: costs (M + N,) of both; whatever it raises leaves the distribution as it was. least: see narrow().
    Returns the lowest cost and its candidate (K, width).
    """
    candidates = np.concatenate([known, drawn])
    costs = evaluate(candidates)
    best = int(np.argsort(costs, kind="stable")[0])  # where a simulation broke down it is no number: last
    distribution.move(window, drawn[np.argsort(costs[len(known) :])], candidates[best])
    distribution.narrow(window, least)
    return float(costs[best]), candidates[best]
