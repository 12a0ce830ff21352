# SPDX-License-Identifier: GPL-3.0-or-later
"""Splines that keep to bounds, held against differences and against what can be worked out."""

from __future__ import annotations

import numpy as np
import pytest

from backflip_addon.core.motions.spline_fit import Bounds, Fit, Spline, Tie

SPLINE = Spline(2.0, 0.1)
TIMES = np.linspace(0.0, 2.0, 81)


def bounds(low: float, tolerant: float = np.inf) -> Bounds:
    """That a curve from zero is at least low; a thousandth costs one."""
    slopes = np.zeros((len(TIMES), 1, 3, 1))
    slopes[:, 0, 0, 0] = 1000.0
    shape = (len(TIMES), 1)
    return Bounds(np.zeros(shape), slopes, np.full(shape, 1000.0 * low), np.full(shape, np.inf), np.array([tolerant]))


def fit(near: float = 1.0) -> Fit:
    return Fit(SPLINE.basis(TIMES), SPLINE.controls, np.full((len(TIMES), 1), near), np.array([1e-4]))


def test_rates_are_the_values_differences() -> None:
    controls = np.random.default_rng(1).normal(size=(SPLINE.controls, 2))
    fine = np.linspace(-0.05, 2.05, 4201)
    basis = SPLINE.basis(fine)
    value, rate, bend = (basis.of(controls, order) for order in range(3))
    step = fine[1] - fine[0]
    assert np.allclose(np.gradient(value, step, axis=0)[2:-2], rate[2:-2], atol=0.01 * np.ptp(rate))
    assert np.allclose(np.gradient(rate, step, axis=0)[2:-2], bend[2:-2], atol=0.01 * np.ptp(bend))
    assert np.abs(np.diff(bend, axis=0)).max() < 0.02 * np.ptp(bend), "no jump of the second derivative"


def test_the_least_that_is_enough() -> None:
    """Held at zero at its start and asked for 0.3 or more all along: it stays at the bound once it is there."""
    ties = [Tie(SPLINE.basis(np.zeros(1)), 0, np.eye(1), np.zeros(1), np.full(1, 1e12))]
    controls = fit().solve(bounds(0.3), ties, np.zeros((SPLINE.controls, 1)))
    curve = fit().basis.of(controls)[:, 0]
    assert abs(curve[0]) < 1e-6
    assert curve[20:] == pytest.approx(0.3, abs=2e-3)


def test_nothing_is_changed_where_nothing_is_asked() -> None:
    controls = fit().solve(bounds(-0.1), [], np.zeros((SPLINE.controls, 1)))
    assert np.abs(controls).max() < 1e-9


def test_what_cannot_be_had_pulls_no_harder_the_farther_it_is() -> None:
    """A curve that is kept near zero: ten times the want moves a tolerant fit no farther."""
    near = 1e4
    one, other = (
        fit(near).basis.of(fit(near).solve(bounds(low, 3.0), [], np.zeros((SPLINE.controls, 1)))).max()
        for low in (1.0, 10.0)
    )
    assert 0.05 < one < 0.9
    assert other == pytest.approx(one, rel=0.05)


def test_a_tied_rate() -> None:
    ties = [
        Tie(SPLINE.basis(np.array([2.0])), order, np.eye(1), np.full(1, goal), np.full(1, 1e9))
        for order, goal in [(0, 0.0), (1, 1.5)]
    ]
    controls = fit().solve(None, ties, np.zeros((SPLINE.controls, 1)))
    end = SPLINE.basis(np.array([2.0]))
    assert end.of(controls)[0, 0] == pytest.approx(0.0, abs=1e-6)
    assert end.of(controls, 1)[0, 0] == pytest.approx(1.5, abs=1e-6)
