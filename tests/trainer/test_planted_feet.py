# SPDX-License-Identifier: GPL-3.0-or-later
"""Noise that a search draws: it does not pull the feet apart on which a body stands."""

from __future__ import annotations

import numpy as np
import pytest

from backflip_addon.core import rotations
from backflip_addon.core.motion import Motion
from backflip_addon.trainer.imitation.reference_track import Track
from backflip_addon.trainer.planning.evolution import KnotDistribution
from backflip_addon.trainer.planning.noise import Mirror, PlantedFeet
from tests.core import performances

BODY = performances.body()
COUNT, KNOTS, DEVIATION = 200, 6, 0.08


def drawn(track: Track) -> tuple[np.ndarray, np.ndarray]:
    """How far the right foot is moved off its place as the left one sees it, m, by noise of a search's deviation, and
    how far the hips are as the feet see them: root mean squares."""
    random = np.random.default_rng(1)
    shape = (KNOTS, track.layout.width)
    plan = KnotDistribution(np.zeros(shape), np.full(shape, DEVIATION))
    candidates = Mirror(BODY, track.layout, 0.0).draw(plan, slice(0, KNOTS), COUNT, random)
    PlantedFeet(track, KNOTS, 3).condition(candidates, plan, slice(1, KNOTS), random)
    step = 3 * (KNOTS - 1)
    joints = track.layout.offset_targets(np.repeat(track.controls[step][None], COUNT + 1, axis=0), _rows(candidates))
    joints[:, 0] = [1.0, 0.0, 0.0, 0.0]
    positions, world = BODY.forward(np.zeros((COUNT + 1, 3)), joints)
    right, left = track.feet
    apart, hips = (
        rotations.rotate(rotations.conjugate(world[:, left]), positions[:, link] - positions[:, left])
        for link in (right, 0)
    )
    return tuple(np.sqrt(np.mean(np.sum((way[1:] - way[0]) ** 2, axis=1))) for way in (apart, hips))


def _rows(candidates: np.ndarray) -> np.ndarray:
    """No offsets, and the last knot's."""
    return np.concatenate([np.zeros((1, candidates.shape[2])), candidates[:, -1]])


def test_feet_that_stand_stay_where_they_are_to_each_other_and_the_hips_go_on_moving() -> None:
    apart, hips = drawn(Track(BODY, performances.standing(BODY)))
    assert apart < 0.015 and hips > 0.03


def test_feet_in_the_air_are_free() -> None:
    standing = performances.standing(BODY)
    apart, _ = drawn(
        Track(BODY, Motion(standing.rate, standing.position + [0.0, 0.0, 2.0], standing.rotations), hold=0.0)
    )
    assert apart > 0.06


def test_knots_before_the_window_stay_as_they_are() -> None:
    track, random = Track(BODY, performances.standing(BODY)), np.random.default_rng(2)
    plan = KnotDistribution(*(random.normal(size=(KNOTS, track.layout.width)) ** 2 for _ in range(2)))
    candidates = Mirror(BODY, track.layout, 0.0).draw(plan, slice(2, KNOTS), 4, random)
    PlantedFeet(track, KNOTS, 3).condition(candidates, plan, slice(2, KNOTS), random)
    assert np.array_equal(candidates[:, :2], np.repeat(plan.mean[None, :2], 4, axis=0))


def test_noise_of_a_narrow_search_is_left_as_it_is() -> None:
    """Below the slack there is nothing to hold back."""
    track, random = Track(BODY, performances.standing(BODY)), np.random.default_rng(3)
    shape = (KNOTS, track.layout.width)
    plan = KnotDistribution(np.zeros(shape), np.full(shape, 1e-5))
    candidates = Mirror(BODY, track.layout, 0.0).draw(plan, slice(0, KNOTS), 50, random)
    before = candidates.copy()
    PlantedFeet(track, KNOTS, 3).condition(candidates, plan, slice(0, KNOTS), random)
    assert candidates.std() == pytest.approx(before.std(), rel=0.01)
