# SPDX-License-Identifier: GPL-3.0-or-later
"""A clip that ends in motion comes to rest after it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from backflip_addon.core import metrics, rotations
from backflip_addon.core.motion import Motion
from backflip_addon.core.motions.feasible import EASE, feasible, settled
from tests.core import performances

BODY = performances.body()
ARM = BODY.index("upper_arm.L")
X, Y, Z = np.eye(3)


def swinging(arm: float = 3.0, ahead: float = 0.2) -> Motion:
    """In a light crouch, an arm swinging at arm rad/s and the hips going ahead, m/s, over feet that stay."""
    motion = performances.squatting(BODY, np.full(121, 0.4), 120.0)
    times = np.arange(121) / 120.0 - 1.0
    turns = motion.rotations.copy()
    turns[:, ARM] = rotations.from_axis_angle(-X, 0.5 + arm * np.clip(times, -0.3, 0))
    position = motion.position - (ahead * np.clip(times, -0.3, 0))[:, None] * Y
    return Motion(120.0, position, turns)


def test_speeds_fall_to_nothing_and_the_pose_goes_on() -> None:
    clip = swinging()
    after = settled(clip, 1.0)
    assert after.frames == clip.frames + 120
    assert np.array_equal(after.position[: clip.frames], clip.position)
    assert np.array_equal(after.rotations[: clip.frames], clip.rotations)
    speed = rotations.angle_between(after.rotations[1:], after.rotations[:-1])[:, ARM] * 120.0
    ended = clip.frames - 1
    assert speed[ended] == pytest.approx(3.0, rel=0.1) and speed[-1] < 1e-4, "no jolt at its end"
    assert (np.diff(speed[ended:]) < 1e-6).all()
    moved = (after.position - clip.position[-1]) @ -Y
    assert moved[-1] == pytest.approx(0.2 * EASE, rel=1e-3)
    turned = rotations.angle_between(after.rotations[-1], clip.rotations[-1])
    assert turned[ARM] == pytest.approx(3.0 * EASE, rel=1e-3)
    assert turned[:ARM].max() < 1e-6, "what stood still stays"


def test_nothing_is_added_to_a_pose_or_for_no_time() -> None:
    clip = swinging()
    pose = dataclasses.replace(clip, position=clip.position[:1], rotations=clip.rotations[:1])
    assert settled(pose, 1.0) is pose and settled(clip, 0.0) is clip


def test_a_clip_that_ends_moving_comes_to_stand_over_the_middle_of_its_soles() -> None:
    clip = swinging()
    motion, flights, _ = feasible(BODY, clip, 1.0)
    assert flights == [] and motion.duration == pytest.approx(clip.duration + 1.0, abs=0.01)
    positions, turns = BODY.forward(motion.position, motion.rotations)
    centre = BODY.centre_of_mass(positions, turns)
    feet = [BODY.index(name) for name in ("foot.L", "foot.R")]
    assert np.abs(BODY.lowest_points(positions, turns, feet)[-60:]).max() < 0.004
    box = BODY.links[feet[0]].shapes[0]
    soles = positions[-1, feet] + rotations.rotate(turns[-1, feet], np.array(box.position) * [0, 1, 1])
    long = 2 * box.size[1]
    assert abs(centre[-1, 1] - soles[:, 1].mean()) < 0.2 * long, "within the middle third"
    assert abs(centre[-1, 0] - soles[:, 0].mean()) < 0.02
    assert np.linalg.norm(np.diff(centre[-30:], axis=0), axis=1).max() * 120 < 0.1


def test_a_straight_knee_goes_no_further_at_rest() -> None:
    """One that is being straightened as the clip ends would bend the wrong way."""
    clip = performances.squatting(BODY, np.linspace(0.6, 0.02, 61), 120.0)
    motion, _, _ = feasible(BODY, clip, 1.0)
    for side in ("L", "R"):
        knee = rotations.twist_angle(motion.rotations[:, BODY.index(f"shin.{side}")], X)
        assert knee.min() > -np.radians(2)


def on_one_foot(height: float) -> Motion:
    """Standing, the left knee so far bent that its foot is so high over the floor, m."""
    motion = performances.standing(BODY, 0.5)
    foot, left = BODY.index("foot.L"), [BODY.index(f"{part}.L") for part in ("thigh", "shin", "foot")]
    angles = np.linspace(0.0, 1.2, 400)
    tried = performances.neutral(BODY, len(angles))
    tried[:, left] = performances.bent(BODY, tried.copy(), angles)[:, left]
    lows = BODY.lowest_points(*BODY.forward(np.repeat(motion.position[:1], len(angles), axis=0), tried))[:, foot]
    turns = motion.rotations.copy()
    turns[:, left] = tried[int(np.argmin(np.abs(lows - height)))][left]
    return dataclasses.replace(motion, rotations=turns)


@pytest.mark.parametrize(("height", "seconds", "put_down"), [(0.08, 1.5, True), (0.02, 1.0, True), (0.3, 1.0, False)])
def test_a_foot_that_hangs_just_over_the_floor_is_put_down_and_one_that_is_up_is_not(
    height: float, seconds: float, put_down: bool
) -> None:
    clip = on_one_foot(height)
    assert metrics.ends_standing(BODY, clip) and metrics.tail_seconds(BODY, clip) == seconds
    motion, flights, _ = feasible(BODY, clip, seconds)
    feet = [BODY.index(name) for name in ("foot.L", "foot.R")]
    lows = BODY.lowest_points(*BODY.forward(motion.position, motion.rotations), feet)
    assert not flights and (lows[-30:, 1] < 0.01).all()
    assert (lows[-30:, 0] < 0.01).all() if put_down else (lows[:, 0] > 0.2).all()
    if height > 0.04:
        during = lows[: round(clip.duration * motion.rate) - 2, 0]
        assert (np.abs(during - height) < 0.05).all(), "during the clip it stays where it is"
