# SPDX-License-Identifier: GPL-3.0-or-later
"""The cross-entropy method (Rubinstein 1999; for control, Pinneri et al. 2020): the loop that all planning shares.

A plan's knots x are drawn from independent normal distributions with mean m and deviation d. An iteration evaluates
candidates and moves both toward the E cheapest, the elites e = 1 ... E, best first:

    w_e ~ log(E + 1/2) - log e,  sum w_e = 1     (weights by rank as CMA-ES has them in Hansen's purecmaes.m)
    c = sum w_e x_e
    m <- s m + (1 - s) c
    d <- max(s d + (1 - s) sqrt(sum w_e (x_e - c)^2), least)

s is the smoothing. Only the knots of the present window move.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from ...core.arrays import Array


@dataclasses.dataclass
class KnotDistribution:
    """mean, deviation (K, width), rad: of a plan's knots, each number normal and independent of the others."""

    mean: Array
    deviation: Array

    def draw(self, window: slice, count: int, random: np.random.Generator) -> Array:
        """Candidates (count, K, width): drawn within the window of knots, the mean elsewhere."""
        noise = random.standard_normal((count, *self.mean[window].shape))
        candidates = np.repeat(self.mean[None], count, axis=0)
        candidates[:, window] += noise * self.deviation[window]
        return candidates

    def update(self, window: slice, elites: Array, smoothing: float, least: float) -> None:
        """Move the window's mean and deviation to elites (E, K, width), best first."""
        kept, elites = smoothing, elites[:, window]
        weights = np.log(len(elites) + 0.5) - np.log(np.arange(1, len(elites) + 1))
        weights /= weights.sum()
        centre = np.einsum("e,ekw->kw", weights, elites)
        spread = np.sqrt(np.einsum("e,ekw->kw", weights, (elites - centre) ** 2))
        spread = kept * self.deviation[window] + (1 - kept) * spread
        self.mean[window] = kept * self.mean[window] + (1 - kept) * centre
        self.deviation[window] = np.maximum(spread, least)


def iterate(
    distribution: KnotDistribution,
    window: slice,
    candidates: Array,
    evaluate: Callable[[Array], Array],
    elites: int,
    smoothing: float,
    least: float,
) -> tuple[float, Array]:
    """One iteration: evaluate candidates (S, K, width) and move the distribution, in place, to the best of them.

    evaluate: costs (S,) of candidates; whatever it raises leaves the distribution as it was. elites: candidates that it
    moves to. smoothing: share of the old mean and deviation that is kept. least: deviation of a knot, rad, that it is
    never sampled more narrowly than.
    Returns the lowest cost and its candidate (K, width).
    """
    costs = evaluate(candidates)
    order = np.argsort(costs)[:elites]
    distribution.update(window, candidates[order], smoothing, least)
    return float(costs[order[0]]), candidates[order[0]]
