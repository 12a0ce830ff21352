# SPDX-License-Identifier: GPL-3.0-or-later
"""The torque that a joint has left at a speed."""

from __future__ import annotations

import numpy as np

from backflip_addon.core.torque_curve import torque_share


def test_torque_falls_with_the_speed_along_it_and_is_whole_against_it() -> None:
    speeds = np.linspace(-30.0, 30.0, 601)
    share = torque_share(speeds, 20.0)
    assert np.all(share[speeds <= 0] == 1.0) and np.all(share[speeds >= 20.0] == 0.0)
    assert np.all(np.diff(share[(speeds >= 0) & (speeds <= 20.0)]) < 0)


def test_the_curve_is_hills() -> None:
    """(F + a) (v + b) = (1 + a) b with a = 1 / 2.4 and b = a v0 (Hill 1938)."""
    speeds, top, a = np.linspace(0.0, 20.0, 50), 20.0, 1 / 2.4
    np.testing.assert_allclose((torque_share(speeds, top) + a) * (speeds + a * top), (1 + a) * a * top)


def test_without_a_top_speed_torque_is_whole_at_any() -> None:
    np.testing.assert_array_equal(torque_share([0.0, 50.0, -50.0], 0.0), 1.0)
    np.testing.assert_array_equal(torque_share([1.0, 10.0], [0.0, 10.0]), [1.0, 0.0])
