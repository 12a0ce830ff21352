# SPDX-License-Identifier: GPL-3.0-or-later
"""What the floor is asked for, before and after; worked out in floor_forces from positions alone."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

from backflip_addon.core import rotations
from backflip_addon.core.motion import Motion
from backflip_addon.core.motions import feasible_flight, still_feet
from backflip_addon.core.motions.feasible import OFF_THE_FLOOR, feasible
from backflip_addon.core.motions.feasible_flight import Flight
from tests.core import floor_forces, performances
from tests.core.test_feasible_flight import momentum

BODY = performances.body()
BODY_LEG = performances.crouched_height(BODY, np.array(0.0)) - performances.crouched_height(BODY, np.array(np.pi / 2))
X, Y, Z = np.eye(3)
FEET = [BODY.index("foot.L"), BODY.index("foot.R")]


def leaning() -> Motion:
    """Stands and leans ahead from its ankles, the centre of mass some 15 cm before the toes, and back."""
    motion = performances.standing(BODY, 3.0, 60.0)
    times = np.arange(motion.frames) / 60.0
    lean = 0.22 * np.sin(np.pi * np.clip((times - 0.5) / 2.0, 0, 1)) ** 2
    turns = motion.rotations.copy()
    turns[:, 0] = rotations.from_axis_angle(X, lean)
    ankle = BODY.forward(motion.position[0], turns[0])[0][FEET].mean(axis=0) - motion.position[0]
    position = motion.position + ankle - rotations.rotate(turns[:, 0], ankle)
    for foot in FEET:
        turns[:, foot] = rotations.from_axis_angle(-X, lean)
    return Motion(60.0, position, turns)


def sliding() -> Motion:
    """Throws its hips sideways faster than feet can push them."""
    motion = performances.squatting(BODY, np.full(121, 0.3))
    times = np.arange(121) / 60.0
    side = 0.1 * np.clip(np.sin(2 * np.pi * 2.2 * (times - 0.5)), -1, 1) * (np.abs(times - 1.0) < 0.5)
    return dataclasses.replace(motion, position=motion.position + side[:, None] * X)


CLIPS = {
    "hanging": lambda: performances.hanging(BODY),
    "leaning": leaning,
    "sliding": sliding,
    "somersault": lambda: performances.somersault(BODY),
}


def before_stances(clip: Motion) -> tuple[Motion, list[Flight]]:
    """The clip smoothed, its feet held where they bear, its flights physical; and these."""
    smooth = feasible_flight.smoothed(clip, feasible_flight.RATE)
    return feasible_flight.flown(BODY, still_feet.held(BODY, smooth), OFF_THE_FLOOR)


@functools.cache
def result(name: str):  # noqa: ANN201
    """The clip before its stances were carried, and made feasible; its flights, and what changed."""
    clip = CLIPS[name]()
    flown, flights = before_stances(clip)
    motion, _, changes = feasible(BODY, clip)
    return flown, motion, flights, changes


@pytest.mark.parametrize("name", ["hanging", "leaning", "sliding"])
def test_the_floor_presses_grips_and_bears(name: str) -> None:
    flown, motion, flights, _ = result(name)
    before, after = (floor_forces.taken(BODY, m, flights) for m in (flown, motion))
    assert after.pull < 0.0 and after.slipping < 0.01 and after.tipping < 0.05
    worst = {"hanging": before.pull, "leaning": before.tipping, "sliding": before.slipping}[name]
    assert worst > 0.08, "the clip itself asks for what no floor gives"


@pytest.mark.parametrize("name", CLIPS)
def test_feet_that_bear_stay_where_they_were(name: str) -> None:
    flown, motion, _, _ = result(name)
    (old, turned), (new, now) = (BODY.forward(m.position, m.rotations) for m in (flown, motion))
    bears = BODY.lowest_points(old, turned)[:, FEET] < 0.02
    # along the floor; up and down only toward it, for smoothing leaves a hasty foot up to 8 mm in the floor
    assert np.linalg.norm((new - old)[..., :2], axis=-1)[:, FEET][bears].max() < 0.006
    before, after = (np.abs(BODY.lowest_points(*poses)[:, FEET])[bears] for poses in ((old, turned), (new, now)))
    assert (after - before).max() < 0.003
    assert rotations.angle_between(now[:, FEET], turned[:, FEET])[bears].max() < 0.01


def test_flights_stay() -> None:
    flown, motion, (flight,), changes = result("somersault")
    first, last = round(flight.start * 120), round(flight.end * 120)
    inside = slice(first + 1, last)
    assert np.array_equal(motion.position[inside], flown.position[inside])
    assert np.allclose(motion.position[[first, last]], flown.position[[first, last]], atol=1e-4)
    assert [round(c.start * 120) for c in changes] == [0, last] and round(changes[0].end * 120) == first


def leap() -> Motion:
    """From a crouch up into the air within a quarter of a second, where it turns by 30 degrees, and down again."""
    speed, seconds, rest = 2.0, 0.25, 0.2
    push = np.arange(round(seconds * 120) + 1) / 120.0
    rise = speed / seconds * push**2 / 2
    air = np.arange(1, round(2 * speed / 9.81 * 120)) / 120.0
    still = np.full(36, 0.0)
    low = rise[-1] + BODY_LEG * (1 - np.cos(rest)) - np.concatenate([still, rise])
    bend = np.arccos(1 - low / BODY_LEG)
    bend = np.concatenate([bend, np.full(len(air), rest), bend[::-1]])
    motion = performances.squatting(BODY, bend, 120.0)
    flying = slice(len(still) + len(rise), len(still) + len(rise) + len(air))
    motion.position[flying, 2] += speed * air - 9.81 * air**2 / 2
    turn = np.zeros(motion.frames)
    turn[flying], turn[flying.stop :] = np.radians(-30) * air / air[-1], np.radians(-30)
    centre = motion.position + rotations.rotate(motion.rotations[:, 0], 0.1 * Z)
    motion.rotations[:, 0] = rotations.from_axis_angle(X, turn)
    position = centre - rotations.rotate(motion.rotations[:, 0], 0.1 * Z)
    lows = BODY.lowest_points(*BODY.forward(position, motion.rotations)).min(axis=1)
    landed = np.clip(np.arange(motion.frames) - flying.start, 0, len(air)) / len(air)
    over = np.where(landed < 1, landed * lows[flying.stop], lows)
    return dataclasses.replace(motion, position=position - over[:, None] * Z)


def test_a_flight_begins_with_the_momentum_that_it_needs() -> None:
    """Velocity of the centre of mass from the floor's side, by backward differences of third order."""
    clip = leap()
    before, _ = before_stances(clip)
    motion, (flight,), _ = feasible(BODY, clip)
    first = round(flight.start * 120)
    (centre, now), (_, then) = (momentum(BODY, m) for m in (motion, before))
    leaving = np.array([11, -18, 9, -2]) / 6 * 120.0 @ centre[first - np.arange(4)]
    assert np.abs(leaving - flight.velocity).max() < 0.3
    lacking = [np.linalg.norm(m[first - 1] - flight.momentum) / np.linalg.norm(flight.momentum) for m in (then, now)]
    assert lacking[0] > 0.2 and lacking[1] < 0.15, "the clip turns in the air only"


def test_no_pose_jumps() -> None:
    for name in ("hanging", "leaning", "sliding"):
        flown, motion, _, _ = result(name)
        assert np.linalg.norm(np.diff(motion.position - flown.position, axis=0), axis=1).max() * 120 < 1.0
        steps = rotations.angle_between(motion.rotations[1:], motion.rotations[:-1]).max()
        assert steps < rotations.angle_between(flown.rotations[1:], flown.rotations[:-1]).max() + 0.08


def test_what_is_told_is_what_was_changed() -> None:
    flown, motion, _, (change,) = result("hanging")
    moved = np.linalg.norm(motion.position - flown.position, axis=1)
    assert change.moved == pytest.approx(moved.max()) and change.moved_at * 120 == pytest.approx(moved.argmax())
    assert 0.005 < change.moved < 0.15


@pytest.mark.parametrize(
    "clip",
    [performances.standing(BODY, 1.0), performances.squatting(BODY, 0.3 * (1 - np.cos(np.pi * np.arange(121) / 60)))],
)
def test_what_a_floor_can_carry_hardly_changes(clip: Motion) -> None:
    flown, _ = before_stances(clip)
    motion, _, (change,) = feasible(BODY, clip)
    assert change.moved < 0.004 and change.turned < 0.01
    assert np.abs(motion.position - flown.position).max() < 0.004


def test_once_more_changes_little() -> None:
    _, motion, _, (first,) = result("hanging")
    again, _, (second,) = feasible(BODY, motion)
    assert second.moved < 0.5 * first.moved
    assert floor_forces.taken(BODY, again, []).pull < 0.0


def test_facing_elsewhere_changes_nothing_else() -> None:
    yaw, shift = rotations.from_axis_angle(Z, 2.0), np.array([3.0, -1.0, 0.0])
    clip = leaning()
    turns = clip.rotations.copy()
    turns[:, 0] = rotations.multiply(yaw, turns[:, 0])
    moved, _, _ = feasible(BODY, Motion(clip.rate, rotations.rotate(yaw, clip.position) + shift, turns))
    _, motion, _, (change,) = result("leaning")
    assert change.moved > 0.02
    # But for the pyramid inside the cone of friction, which does not turn with it
    assert np.allclose(moved.position, rotations.rotate(yaw, motion.position) + shift, atol=0.01)


def test_a_long_clip_is_mended_all_along_and_has_no_seam() -> None:
    one = performances.hanging(BODY)
    down = performances.squatting(BODY, 0.6 * np.linspace(0.0, 1.0, 61))
    both = np.concatenate([one.position, down.position]), np.concatenate([one.rotations, down.rotations])
    clip = Motion(60.0, *(np.concatenate([part] * 4) for part in both))
    flown, _ = before_stances(clip)
    motion, _, _ = feasible(BODY, clip)
    assert floor_forces.taken(BODY, flown, []).pull > 0.1
    assert floor_forces.taken(BODY, motion, []).pull < 0.02
    moved = motion.position - flown.position
    assert np.linalg.norm(np.diff(moved, n=2, axis=0), axis=1).max() * 120**2 < 60.0


def test_clips_of_one_or_two_frames_and_one_in_the_air_are_left() -> None:
    still = performances.standing(BODY)
    for count in (1, 2):
        short = Motion(30.0, still.position[:count], still.rotations[:count])
        motion, flights, changes = feasible(BODY, short)
        assert motion.frames >= count and flights == [] and changes == []
    floating = performances.standing(BODY, 1.0)
    floating = dataclasses.replace(floating, position=floating.position + 0.5 * Z)
    motion, _, (change,) = feasible(BODY, floating)
    assert change.moved < 1e-6, "whatever holds it is not the floor"
