# SPDX-License-Identifier: GPL-3.0-or-later
"""What the floor is asked for, before and after; worked out in floor_forces from positions alone."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

from backflip_addon.core import rotations
from backflip_addon.core.motion import Motion
from backflip_addon.core.motions import feasible_flight
from backflip_addon.core.motions.feasible import feasible
from tests.core import floor_forces, performances

BODY = performances.body()
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


@functools.cache
def result(name: str):  # noqa: ANN201
    """The clip smoothed with its flights physical, and made feasible; its flights, and what changed."""
    clip = CLIPS[name]()
    flown, flights = feasible_flight.feasible(BODY, clip)
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
    assert np.linalg.norm(new - old, axis=-1)[:, FEET][bears].max() < 0.006
    assert rotations.angle_between(now[:, FEET], turned[:, FEET])[bears].max() < 0.01


def test_flights_stay_and_begin_and_end_as_the_floor_leaves_off() -> None:
    flown, motion, (flight,), changes = result("somersault")
    first, last = round(flight.start * 120), round(flight.end * 120)
    inside = slice(first + 1, last)
    assert np.array_equal(motion.position[inside], flown.position[inside])
    assert np.allclose(motion.position[[first, last]], flown.position[[first, last]], atol=1e-4)
    com = BODY.centre_of_mass(*BODY.forward(motion.position, motion.rotations))
    velocity = np.diff(com, axis=0) * 120.0
    assert np.abs(velocity[first] - velocity[first - 1]).max() < 0.6
    assert np.abs(velocity[last] - velocity[last - 1]).max() < 0.6
    assert [round(c.start * 120) for c in changes] == [0, last] and round(changes[0].end * 120) == first


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
    flown, _ = feasible_flight.feasible(BODY, clip)
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
    assert np.allclose(moved.position, rotations.rotate(yaw, motion.position) + shift, atol=0.005)


def test_a_long_clip_is_mended_all_along_and_has_no_seam() -> None:
    one = performances.hanging(BODY)
    down = performances.squatting(BODY, 0.6 * np.linspace(0.0, 1.0, 61))
    both = np.concatenate([one.position, down.position]), np.concatenate([one.rotations, down.rotations])
    clip = Motion(60.0, *(np.concatenate([part] * 4) for part in both))
    flown, _ = feasible_flight.feasible(BODY, clip)
    motion, _, _ = feasible(BODY, clip)
    assert floor_forces.taken(BODY, flown, []).pull > 0.1
    assert floor_forces.taken(BODY, motion, []).pull < 0.02
    moved = motion.position - flown.position
    assert np.linalg.norm(np.diff(moved, n=2, axis=0), axis=1).max() * 120**2 < 60.0


def test_a_clip_of_two_frames_and_one_in_the_air_are_left() -> None:
    short = performances.standing(BODY, 1 / 30)
    motion, flights, changes = feasible(BODY, short)
    assert motion.frames >= 2 and flights == [] and changes == []
    floating = performances.standing(BODY, 1.0)
    floating = dataclasses.replace(floating, position=floating.position + 0.5 * Z)
    motion, _, (change,) = feasible(BODY, floating)
    assert change.moved < 1e-6, "whatever holds it is not the floor"
