# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import numpy as np

from backflip_addon.core.unlikeness import unlikeness


def test_the_odd_one_is_the_least_like_the_others() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(500, 4)) * [1.0, 100.0, 0.01, 3.0]
    values[123] += [8.0, 800.0, 0.0, 24.0]
    assert np.argmax(unlikeness(values)) == 123
    assert np.argmax(unlikeness(values * [1.0, 1e6, 1e-6, 1.0])) == 123, "units do not matter"


def test_what_is_not_known_makes_nothing_odd() -> None:
    values = np.tile([[1.0, 2.0]], (50, 1)) + np.random.default_rng(2).normal(size=(50, 2)) * 0.1
    values[7], values[20:30, 1] = np.nan, np.nan
    values[40] += 5.0
    found = unlikeness(np.column_stack([values, np.full(50, np.nan), np.ones(50)]))
    assert np.isfinite(found).all() and np.argmax(found) == 40 and found[7] < np.median(found) + 1.0


def test_alone_or_all_alike_nothing_is_odd() -> None:
    assert unlikeness(np.zeros((0, 3))).shape == (0,)
    assert unlikeness(np.full((1, 3), 5.0)).tolist() == [0.0]
    assert unlikeness(np.tile([[1.0, np.nan]], (10, 1))).tolist() == [0.0] * 10
