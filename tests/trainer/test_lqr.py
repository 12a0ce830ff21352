# SPDX-License-Identifier: GPL-3.0-or-later
"""Feedback gains against a system whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba")
pytest.importorskip("torch")

from backflip_addon.trainer.planning.lqr import LAST_COST, FeedbackSettings, Models, fit, gains, regulator


def test_fit_finds_the_linear_system() -> None:
    random = np.random.default_rng(0)
    a, b = np.array([[1.0, 0.1], [-0.2, 0.9]]), np.array([[0.0], [0.5]])
    x, u, constant = random.normal(size=(4000, 2)), random.normal(size=(4000, 1)), np.array([0.3, -0.1])
    steps = random.integers(0, 5, 4000)
    models = fit(steps, x, u, x @ a.T + u @ b.T + constant, 5, FeedbackSettings(ridge=1e-9))
    np.testing.assert_allclose(models.of_state, np.broadcast_to(a, (5, 2, 2)), atol=1e-4)
    np.testing.assert_allclose(models.of_action, np.broadcast_to(b, (5, 2, 1)), atol=1e-4)
    np.testing.assert_allclose(models.constant, np.broadcast_to(constant, (5, 2)), atol=1e-4)


def test_gains_are_the_textbook_regulator() -> None:
    """Scalar x' = x + u, cost x^2 + r u^2: the steady gain solves p^2 - p - r = 0."""
    r, count = 2.0, 200
    models = Models(np.ones((count, 1, 1)), np.ones((count, 1, 1)), np.zeros((count, 1)))
    p = (1 + np.sqrt(1 + 4 * r)) / 2
    assert gains(models, np.ones((count, 1)), r)[0, 0, 0] == pytest.approx(-p / (r + p))


def test_what_moves_by_itself_and_is_to_get_somewhere_is_led_there_as_cheaply_as_can_be() -> None:
    """Against least squares over all actions at once."""
    random, steps, n, width, effort = np.random.default_rng(1), 6, 3, 2, 0.4
    a, b, constant = (random.normal(size=(steps, *shape)) * 0.6 for shape in ((n, n), (n, width), (n,)))
    cost, wanted, start = np.abs(random.normal(size=n)), random.normal(size=(steps, n)), random.normal(size=n)
    found = regulator(Models(a, b, constant), np.tile(cost, (steps, 1)), effort, wanted)
    state, of_actions = start, np.zeros((n, steps * width))
    rows, rest = [], []
    for t in range(steps):
        state, of_actions = a[t] @ state + constant[t], a[t] @ of_actions
        of_actions[:, t * width : (t + 1) * width] += b[t]
        weight = np.sqrt(cost * (LAST_COST if t == steps - 1 else 1))[:, None]
        rows.append(weight * of_actions)
        rest.append(weight[:, 0] * (wanted[t] - state))
    rows.append(np.sqrt(effort) * np.eye(steps * width))
    rest.append(np.zeros(steps * width))
    cheapest = np.linalg.lstsq(np.concatenate(rows), np.concatenate(rest), rcond=None)[0].reshape(steps, width)
    state = start
    for t in range(steps):
        action = found.gains[t] @ state + found.actions[t]
        np.testing.assert_allclose(action, cheapest[t], atol=1e-9)
        state = a[t] @ state + b[t] @ action + constant[t]
