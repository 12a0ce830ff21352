# SPDX-License-Identifier: GPL-3.0-or-later
"""The evolution strategy that plans are refined with: its weights, its moves, and that it comes down."""

from __future__ import annotations

import numpy as np
import pytest

from backflip_addon.trainer.planning.evolution import NARROWING, PULL, STEP, KnotDistribution, iterate, normal_scores

WINDOW = slice(1, 4)
LEAST = np.full((3, 1), 0.01)


def a_distribution() -> KnotDistribution:
    random = np.random.default_rng(0)
    return KnotDistribution(0.2 * random.normal(size=(6, 5)), 0.05 + 0.1 * random.random((6, 5)))


def drawn_from(plan: KnotDistribution, count: int, random: np.random.Generator) -> np.ndarray:
    candidates = np.repeat(plan.mean[None], count, axis=0)
    candidates[:, WINDOW] += plan.deviation[WINDOW] * random.standard_normal((count, 3, 5))
    return candidates


def test_scores_are_what_sorted_normal_numbers_are_on_average() -> None:
    for count in (2, 5, 30):
        drawn = -np.sort(-np.random.default_rng(1).standard_normal((20_000, count)), axis=1)
        assert np.abs(normal_scores(count) - drawn.mean(axis=0)).max() < 0.05
        assert abs(normal_scores(count).sum()) < 1e-12


def test_a_round_moves_along_the_line_through_the_ranks_and_to_the_best() -> None:
    """Against a straight line fitted to each number by least squares."""
    plan, random = a_distribution(), np.random.default_rng(2)
    mean, deviation = plan.mean.copy(), plan.deviation.copy()
    drawn, known = drawn_from(plan, 12, random), np.stack([plan.mean, drawn_from(plan, 1, random)[0]])
    costs = random.random(14)
    costs[1] = -1.0  # what was the best before is it still
    cost, best = iterate(plan, WINDOW, known, drawn, lambda _: costs, LEAST)
    assert cost == -1.0 and np.array_equal(best, known[1])
    ranked = drawn[np.argsort(costs[2:])][:, WINDOW].reshape(12, -1)
    slopes = np.polyfit(normal_scores(12), ranked, 1)[0].reshape(3, 5)
    assert np.allclose(plan.mean[WINDOW] - mean[WINDOW], PULL * (best - mean)[WINDOW] + STEP * slopes)
    assert np.allclose(plan.deviation[WINDOW], np.maximum(NARROWING * deviation[WINDOW], LEAST))
    outside = [0, 4, 5]
    assert np.array_equal(plan.mean[outside], mean[outside])
    assert np.array_equal(plan.deviation[outside], deviation[outside])


def test_rounds_come_down_a_bowl_and_what_breaks_off_leaves_all_as_it_was() -> None:
    plan, random = a_distribution(), np.random.default_rng(3)
    steep = np.linspace(0.3, 3.0, 15).reshape(3, 5)

    def bowl(candidates: np.ndarray) -> np.ndarray:
        return np.sum(steep * candidates[:, WINDOW] ** 2, axis=(1, 2))

    def broken(_: np.ndarray) -> np.ndarray:
        raise InterruptedError

    least, before = np.zeros((3, 1)), bowl(plan.mean[None])[0]
    for _ in range(40):
        iterate(plan, WINDOW, plan.mean[None], drawn_from(plan, 30, random), bowl, least)
    assert bowl(plan.mean[None])[0] < 0.02 * before
    mean, deviation = plan.mean.copy(), plan.deviation.copy()
    with pytest.raises(InterruptedError):
        iterate(plan, WINDOW, plan.mean[None], drawn_from(plan, 4, random), broken, least)
    assert np.array_equal(plan.mean, mean) and np.array_equal(plan.deviation, deviation)


def test_what_broke_down_is_never_the_best() -> None:
    """Its cost is no number."""
    plan, random = a_distribution(), np.random.default_rng(4)
    drawn, costs = drawn_from(plan, 8, random), random.random(9)
    costs[[0, 3]] = np.nan
    cost, best = iterate(plan, WINDOW, plan.mean[None].copy(), drawn, lambda _: costs, LEAST)
    assert cost == np.nanmin(costs) and np.array_equal(best, drawn[np.nanargmin(costs) - 1])
    assert np.isfinite(plan.mean).all() and np.isfinite(plan.deviation).all()
