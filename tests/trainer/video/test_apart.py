# SPDX-License-Identifier: GPL-3.0-or-later
"""A fitted figure's arms are kept out of its trunk and legs, and nothing else is asked of them."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from backflip_addon.core import rotations  # noqa: E402
from backflip_addon.trainer.video import figure, losses  # noqa: E402
from backflip_addon.trainer.video.figure import INDEX, tensor  # noqa: E402

HEIGHT = 1.7
Y = np.array([0.0, 1.0, 0.0])


def depth(degrees: float) -> float:
    """What it costs that the left upper arm hangs so far off the vertical, outward, the rest of the figure neutral."""
    turns = np.tile(np.eye(3), (1, figure.L, 1, 1))
    turns[0, INDEX["upper_arm.L"]] = rotations.to_matrix(rotations.from_axis_angle(Y, -np.radians(degrees)))
    origins, orientations = figure.places(tensor(np.zeros((1, 3))), tensor(turns), HEIGHT, tensor(np.zeros(7)))
    assert (float(origins[0, INDEX["hand.L"], 0]) > float(origins[0, INDEX["upper_arm.L"], 0])) == (degrees > 0)
    return float(losses.apart_term(origins, orientations, HEIGHT))


def test_arms_that_hang_or_are_raised_cost_nothing() -> None:
    for degrees in (10.0, 45.0, 120.0, 170.0):
        assert depth(degrees) < 0.1


def test_an_arm_costs_the_more_the_deeper_it_is_inside() -> None:
    costs = [depth(degrees) for degrees in (-5.0, -8.0, -11.0)]
    assert 1.0 < costs[0] < costs[1] < costs[2]


def test_the_way_out_is_downhill() -> None:
    turns = np.tile(np.eye(3), (1, figure.L, 1, 1))
    turns[0, INDEX["upper_arm.L"]] = rotations.to_matrix(rotations.from_axis_angle(Y, np.radians(8)))
    more = torch.zeros((1, figure.L, 3), dtype=torch.float64, requires_grad=True)
    turned = tensor(turns) @ figure.turns_of(more)
    origins, orientations = figure.places(tensor(np.zeros((1, 3))), turned, HEIGHT, tensor(np.zeros(7)))
    losses.apart_term(origins, orientations, HEIGHT).backward()
    assert float(more.grad[0, INDEX["upper_arm.L"], 1]) > 0, "less of the inward turn costs less"
