# SPDX-License-Identifier: GPL-3.0-or-later
"""Feedback gains against a system whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba")
pytest.importorskip("torch")

from backflip_addon.trainer.planning.lqr import FeedbackSettings, Models, fit, gains


def test_fit_finds_the_linear_system() -> None:
    random = np.random.default_rng(0)
    a, b = np.array([[1.0, 0.1], [-0.2, 0.9]]), np.array([[0.0], [0.5]])
    x, u = random.normal(size=(4000, 2)), random.normal(size=(4000, 1))
    steps = random.integers(0, 5, 4000)
    models = fit(steps, x, u, x @ a.T + u @ b.T, 5, FeedbackSettings(ridge=1e-9))
    np.testing.assert_allclose(models.of_state, np.broadcast_to(a, (5, 2, 2)), atol=1e-4)
    np.testing.assert_allclose(models.of_action, np.broadcast_to(b, (5, 2, 1)), atol=1e-4)


def test_gains_are_the_textbook_regulator() -> None:
    """Scalar x' = x + u, cost x^2 + r u^2: the steady gain solves p^2 - p - r = 0."""
    r, count = 2.0, 200
    models = Models(np.ones((count, 1, 1)), np.ones((count, 1, 1)))
    p = (1 + np.sqrt(1 + 4 * r)) / 2
    assert gains(models, np.ones((count, 1)), r)[0, 0, 0] == pytest.approx(-p / (r + p))
