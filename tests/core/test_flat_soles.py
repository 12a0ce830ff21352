# SPDX-License-Identifier: GPL-3.0-or-later
"""Feet that rest are put down flat; feet that swing, and all else, stay as they are."""

from __future__ import annotations

import dataclasses

import numpy as np

from backflip_addon.core import rotations
from backflip_addon.core.motion import Motion
from backflip_addon.core.motions import flat_soles
from tests.core import performances

BODY = performances.body()
FEET = [BODY.index(name) for name in ("foot.L", "foot.R")]


def lows(motion: Motion) -> np.ndarray:
    return BODY.lowest_points(*BODY.forward(motion.position, motion.rotations), FEET)


def tilts(motion: Motion) -> np.ndarray:
    """Of the soles (F, 2), rad."""
    turns = BODY.forward(motion.position, motion.rotations)[1][:, FEET]
    return np.arccos(np.clip(rotations.rotate(turns, np.array([0.0, 0.0, 1.0]))[..., 2], -1, 1))


def hovering(height: float, tilt: float) -> Motion:
    """Standing for a second, so high over the floor and the left foot tilted."""
    motion = performances.standing(BODY, 1.0)
    turns = motion.rotations.copy()
    turns[:, FEET[0]] = rotations.from_axis_angle(np.array([1.0, 0.0, 0.0]), tilt)
    return dataclasses.replace(motion, position=motion.position + [0, 0, height], rotations=turns)


def test_soles_that_hover_and_tilt_come_down_flat() -> None:
    before = hovering(0.02, np.radians(8))
    after = flat_soles.put_down(BODY, before)
    assert np.abs(lows(before)).max() > 0.015
    assert np.abs(lows(after)).max() < 0.004 and tilts(after).max() < np.radians(1)
    assert np.abs(after.position - before.position)[:, 2].max() < 0.06


def test_what_is_far_off_the_floor_stays() -> None:
    before = hovering(0.3, np.radians(8))
    after = flat_soles.put_down(BODY, before)
    assert np.allclose(after.position, before.position)
    assert rotations.angle_between(after.rotations, before.rotations).max() < 1e-6


def test_a_foot_on_its_toes_stays_there() -> None:
    before = hovering(0.0, np.radians(45))
    after = flat_soles.put_down(BODY, before)
    assert tilts(after)[:, 0].min() > np.radians(44)
