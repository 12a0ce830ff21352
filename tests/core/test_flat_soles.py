# SPDX-License-Identifier: GPL-3.0-or-later
"""Feet that rest are put down flat; feet that swing, roll or stand on their toes, flights, and all else stay."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from backflip_addon.core import rotations
from backflip_addon.core.motion import Motion
from backflip_addon.core.motions import feasible_joints, flat_soles
from tests.core import performances

BODY = performances.body()
FEET = [BODY.index(name) for name in ("foot.L", "foot.R")]
RATE = 120.0
X, Y, Z = np.eye(3)


def lows(motion: Motion) -> np.ndarray:
    return BODY.lowest_points(*BODY.forward(motion.position, motion.rotations), FEET)


def tilts(motion: Motion) -> np.ndarray:
    """Of the soles (F, 2), rad."""
    turns = BODY.forward(motion.position, motion.rotations)[1][:, FEET]
    return np.arccos(np.clip(rotations.rotate(turns, Z)[..., 2], -1, 1))


def corners(motion: Motion, foot: int) -> np.ndarray:
    """Heel and toe of a sole (F, 2, 3), world, from its box by rotation matrices."""
    positions, turns = BODY.forward(motion.position, motion.rotations)
    (box,) = BODY.links[foot].shapes
    local = np.array(box.position) + np.array([[0, 1, -1], [0, -1, -1]]) * np.array(box.size)
    return positions[:, None, foot] + np.einsum("fij,pj->fpi", rotations.to_matrix(turns[:, foot]), local)


def crouching(lift: np.ndarray, tilt: np.ndarray, ahead: np.ndarray | None = None) -> Motion:
    """In a light crouch, the left foot lifted (F,), m, its toes raised by tilt (F,), rad, the body moving ahead, m."""
    motion = performances.squatting(BODY, np.full(len(lift), 0.35), RATE)
    positions, turns = BODY.forward(motion.position, motion.rotations)
    leg = flat_soles.Limb.leg(BODY, "L")
    goal = positions[:, leg.end] + lift[:, None] * Z - positions[:, leg.upper]
    first, second = leg.reaching(BODY, turns[:, leg.upper], turns[:, leg.lower], goal)
    turns[:, leg.upper], turns[:, leg.lower] = first, second
    turns[:, leg.end] = rotations.multiply(rotations.from_axis_angle(-X, tilt), turns[:, leg.end])
    position = motion.position if ahead is None else motion.position - ahead[:, None] * Y
    return Motion(RATE, position, body_rotations(turns))


def body_rotations(world: np.ndarray) -> np.ndarray:
    return rotations.continuous(BODY.local_rotations(world))


def unchanged(before: Motion, after: Motion) -> bool:
    return bool(
        np.allclose(after.position, before.position, atol=1e-9)
        and rotations.angle_between(after.rotations, before.rotations).max() < 1e-6
    )


def hovering(height: float, tilt: float) -> Motion:
    """Standing on straight legs for a second, so high over the floor and the left foot tilted."""
    motion = performances.standing(BODY, 1.0)
    turns = motion.rotations.copy()
    turns[:, FEET[0]] = rotations.from_axis_angle(X, tilt)
    return dataclasses.replace(motion, position=motion.position + height * Z, rotations=turns)


def test_soles_that_hover_and_tilt_come_down_flat() -> None:
    before = hovering(0.02, np.radians(6))
    after = flat_soles.put_down(BODY, before, [])
    assert np.abs(lows(before)).max() > 0.015
    assert np.abs(lows(after)).max() < 0.004 and tilts(after).max() < np.radians(1.1)
    assert np.abs(after.position - before.position)[:, 2].max() < 0.03


def test_one_foot_that_hovers_or_sinks_moves_nothing_but_its_leg() -> None:
    """Bent legs reach the floor: the hips and the other foot stay."""
    for lift in (0.02, -0.02):
        before = crouching(np.full(121, lift), np.zeros(121))
        after = flat_soles.put_down(BODY, before, [])
        assert np.abs(lows(after)).max() < 0.004 and np.allclose(after.position, before.position)
        others = [i for i, link in enumerate(BODY.links) if link.name not in ("thigh.L", "shin.L", "foot.L")]
        assert rotations.angle_between(after.rotations, before.rotations)[:, others].max() < 1e-6


def test_where_one_leg_is_too_short_the_hips_come_down_and_the_other_foot_stays() -> None:
    before = performances.standing(BODY, 1.0, RATE)
    turns = before.rotations.copy()
    turns[:, 0] = rotations.from_axis_angle(Y, np.radians(6))  # the hips tilt: one side is 2 cm up
    turns[:, [BODY.index("thigh.L"), BODY.index("thigh.R")]] = rotations.from_axis_angle(-Y, np.radians(6))
    before = dataclasses.replace(before, rotations=turns)
    before = dataclasses.replace(before, position=before.position - lows(before).min() * Z)
    assert lows(before).max() > 0.012
    after = flat_soles.put_down(BODY, before, [])
    assert np.abs(lows(after)).max() < 0.005
    assert 0.005 < (before.position - after.position)[:, 2].max() < lows(before).max()


def test_flat_soles_under_straight_legs_are_left_exactly() -> None:
    """No knee is bent for what is flat already."""
    for clip in (performances.standing(BODY, 1.0), performances.squatting(BODY, 0.4 * np.sin(np.linspace(0, 3, 121)))):
        assert unchanged(clip, flat_soles.put_down(BODY, clip, []))


def test_what_is_far_off_the_floor_stays() -> None:
    before = hovering(0.3, np.radians(6))
    assert unchanged(before, flat_soles.put_down(BODY, before, []))


@pytest.mark.parametrize("degrees", [20, 45])
def test_a_foot_on_its_toes_stays_there(degrees: int) -> None:
    before = hovering(0.0, np.radians(degrees))
    after = flat_soles.put_down(BODY, before, [])
    assert np.allclose(tilts(after)[:, 0], np.radians(degrees), atol=1e-6)


def test_a_foot_that_rests_for_a_moment_stays() -> None:
    times = np.arange(121) / RATE
    before = crouching(0.02 + 0.1 * np.clip(np.abs(times - 0.5) - 0.04, 0, None) * 5, np.zeros(121))
    assert (lows(before)[:, 0] < flat_soles.NEAR).any()
    before = before.trimmed(0.1, 0.9)
    assert unchanged(before, flat_soles.put_down(BODY, before, []))


def rolling(degrees: float, frames: int) -> tuple[Motion, tuple, np.ndarray]:
    """A stance that rolls over heel, flat sole, and toes, which stay where they touch: the motion, which of heel and
    toe touches in each frame, and where."""
    motion = crouching(np.zeros(frames), np.radians(degrees) * np.cos(np.linspace(0, np.pi, frames)))
    ends = corners(motion, FEET[0])
    touching = np.arange(frames), ends[..., 2].argmin(axis=1)
    there = ends[frames // 2, touching[1]]  # where they are when the sole is flat
    return dataclasses.replace(motion, position=motion.position + there - ends[touching]), touching, there


def test_a_walks_rolling_foot_goes_on_rolling() -> None:
    before, _, _ = rolling(25.0, 109)
    after = flat_soles.put_down(BODY, before, [])
    assert np.abs(tilts(after) - tilts(before))[:, 0].max() < np.radians(1.5)


def test_a_foot_that_rolls_a_little_is_put_flat_and_does_not_slide() -> None:
    before, touching, there = rolling(9.0, 481)
    after = flat_soles.put_down(BODY, before, [])
    assert (tilts(before) - tilts(after))[:, 0].max() > np.radians(3)
    assert np.linalg.norm(corners(after, FEET[0])[touching] - there, axis=1).max() < 0.004


def test_flights_stay_as_they_are_to_the_number() -> None:
    """Also where a foot hovers before and after."""
    before = crouching(np.full(361, 0.02), np.full(361, np.radians(5)))
    after = flat_soles.put_down(BODY, before, [(150, 210)])
    flight = slice(150, 211)
    assert np.allclose(after.position[flight], before.position[flight], atol=1e-12)
    assert rotations.angle_between(after.rotations, before.rotations)[flight].max() < 1e-6
    assert lows(after)[[0, -1], 0].max() < 0.004
    steps = np.abs(np.diff(lows(after)[:, 0])) * RATE
    assert steps.max() < 0.3, "put down and raised at no more than 30 cm/s"


def test_a_clip_that_ends_standing_ends_on_both_soles() -> None:
    """Its last pose is held: a foot that is still on its way down has come down by then."""
    times = np.arange(121) / RATE
    before = crouching(0.018 + 0.01 * np.sin(60 * times), np.zeros(121))
    after = flat_soles.put_down(BODY, before, [])
    assert lows(before)[-1].max() > 0.01 and np.abs(lows(after)[-1]).max() < 0.004
    assert np.abs(lows(after) - lows(before))[:96].max() < 1e-6, "until 0.2 s before the end it swings"


def test_no_ankle_is_turned_past_its_limit() -> None:
    """A deep crouch whose soles an ankle cannot keep flat: they stay as flat as it goes."""
    clip = performances.squatting(BODY, np.full(121, 0.8), RATE)
    within, (worst, *_) = feasible_joints.within_joints(BODY, clip)
    assert worst.link.startswith("foot") and np.degrees(tilts(within)).min() > 5
    after = flat_soles.put_down(BODY, within, [])
    left = [feasible_joints.within_joints(BODY, motion)[1][0].angle for motion in (within, after)]
    assert left[1] < left[0] + np.radians(0.5) and np.degrees(tilts(after)).min() > 5


def test_once_more_changes_next_to_nothing() -> None:
    for before in (hovering(0.02, np.radians(6)), crouching(np.full(121, 0.02), np.radians(5) * np.ones(121))):
        once = flat_soles.put_down(BODY, before, [])
        again = flat_soles.put_down(BODY, once, [])
        assert np.abs(again.position - once.position).max() < 1e-3
        assert rotations.angle_between(again.rotations, once.rotations).max() < np.radians(1.0)
