# SPDX-License-Identifier: GPL-3.0-or-later
"""Feet that bear are held in one place on the floor; feet that swing are left alone."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from backflip_addon.core import rotations
from backflip_addon.core.motion import Motion
from backflip_addon.core.motions import still_feet
from tests.core import performances
from tests.core.test_flat_soles import BODY, FEET, RATE, Z, crouching, lows, tilts, unchanged

TIMES = np.arange(181) / RATE


def ankles(motion: Motion) -> np.ndarray:
    return BODY.forward(motion.position, motion.rotations)[0][:, FEET]


def crouched(hover: float = 0.0, ahead: np.ndarray | None = None) -> Motion:
    """Both feet hover, and go along with the body."""
    motion = crouching(0 * TIMES, 0 * TIMES, ahead)
    return dataclasses.replace(motion, position=motion.position + hover * Z)


@pytest.mark.parametrize("hover", [0.02, 0.0, -0.02])
def test_feet_that_glide_and_hover_stand_still_on_the_floor(hover: float) -> None:
    before = crouched(hover, 0.06 * np.sin(2 * np.pi * TIMES))
    after = still_feet.held(BODY, before)
    assert np.ptp(ankles(before), axis=0).max() > 0.1
    assert np.ptp(ankles(after), axis=0).max() < 0.002 and np.abs(lows(after)).max() < 0.001
    assert np.allclose(after.position, before.position), "bent legs follow: the hips stay"
    middle = (ankles(before).min(axis=0) + ankles(before).max(axis=0)) / 2
    assert np.abs(ankles(after) - middle)[..., :2].max() < 0.002


def test_the_hips_come_down_where_straight_legs_hover() -> None:
    before = performances.standing(BODY, 1.0, RATE)
    before = dataclasses.replace(before, position=before.position + 0.02 * Z)
    after = still_feet.held(BODY, before)
    assert lows(after).max() < still_feet.CLOSE + 0.001
    assert 0.015 < (before.position - after.position)[:, 2].max() < 0.025


def test_the_heel_comes_up_where_the_hips_go_too_far_ahead() -> None:
    """A foot that would glide 28 cm along stays in the middle, for a while on its toes."""
    ahead = 0.28 * np.clip(TIMES - 0.5, 0, 0.5) / 0.5
    straight = performances.squatting(BODY, np.full(len(TIMES), 0.1), RATE)
    before = dataclasses.replace(straight, position=straight.position - ahead[:, None] * np.array([0.0, 1.0, 0.0]))
    after = still_feet.held(BODY, before)
    assert (tilts(after) - tilts(before)).max() > np.radians(3)
    assert np.abs(lows(after)).max() < 0.005


@pytest.mark.parametrize("height", [0.06, 0.12])
def test_a_foot_that_swings_is_left_alone(height: float) -> None:
    before = crouching(np.full(len(TIMES), height), 0 * TIMES, 0.06 * np.sin(2 * np.pi * TIMES))
    after = still_feet.held(BODY, before)
    assert np.allclose(ankles(after)[:, 0], ankles(before)[:, 0], atol=1e-6)
    assert np.ptp(ankles(after)[:, 1], axis=0).max() < 0.002, "the other one is held"


def test_a_foot_that_goes_far_and_fast_is_left_to_slide() -> None:
    before = crouched(0.0, 0.8 * TIMES)
    assert unchanged(before, still_feet.held(BODY, before))


def test_once_more_changes_nothing() -> None:
    for before in (crouched(0.02, 0.06 * np.sin(2 * np.pi * TIMES)), performances.standing(BODY, 1.0, RATE)):
        once = still_feet.held(BODY, before)
        assert unchanged(once, still_feet.held(BODY, once))


def test_no_joint_snaps_where_a_foot_comes_and_goes() -> None:
    lift = np.maximum(0.1 * np.sin(2 * np.pi * TIMES), 0.0)
    before = crouching(lift, 0 * TIMES, 0.04 * np.sin(2 * np.pi * TIMES))
    after = still_feet.held(BODY, before)
    steps = [rotations.angle_between(m.rotations[1:], m.rotations[:-1]).max() for m in (before, after)]
    assert steps[1] < steps[0] + np.radians(3)


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_shortest_clips(frames: int) -> None:
    before = crouched(0.02)
    short = Motion(RATE, before.position[:frames], before.rotations[:frames])
    after = still_feet.held(BODY, short)
    assert after.frames == frames and np.isfinite(after.rotations).all() and np.isfinite(after.position).all()
