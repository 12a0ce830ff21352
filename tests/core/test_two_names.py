# SPDX-License-Identifier: GPL-3.0-or-later
"""Falls of which two names are as true: both are said."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from backflip_addon.core import outcome, rotations
from backflip_addon.core.measures.course import Course
from backflip_addon.core.measures.parts_down import trunk_part, what_comes_down, what_too
from tests.core.made_up_takes import BODY, REFERENCE, X, Y, moved
from tests.core.test_outcome import TOUCHDOWN, comes_down, standing_and_then, words

RATE, DOWN = 120, 60
ALLOWED = np.array([name.startswith("foot") for name in BODY.names])


@pytest.mark.parametrize(
    ("degrees", "said"),
    [
        (0.0, "Fell forward,"),
        (40.0, "Fell forward and sideways,"),
        (60.0, "Fell sideways and forward,"),
        (70.0, "Fell sideways,"),
        (90.0, "Fell sideways,"),
        (135.0, "Fell backward and sideways,"),
        (180.0, "Fell backward,"),
    ],
)
def test_who_falls_diagonally_fell_both_ways(degrees: float, said: str) -> None:
    axis = np.cos(np.radians(degrees)) * X + np.sin(np.radians(degrees)) * Y
    clip, take = standing_and_then(axis, 1.1 * np.pi / 2)
    assert words(take, clip).startswith(said), words(take, clip)


def coming_down(comes: dict[str, tuple[int, float]]) -> Course:
    """A standing body whose links touch from a frame on, and bear so much."""
    _, take = standing_and_then(X, 0.0, 1.5)
    course = Course.of_take(BODY, take)
    touching, load = np.zeros_like(course.touching), np.zeros(course.touching.shape)
    for name, (frame, bears) in comes.items():
        touching[frame:, BODY.index(name)], load[frame:, BODY.index(name)] = True, bears
    return dataclasses.replace(course, touching=touching, load=load)


@pytest.mark.parametrize(
    ("part", "comes", "other"),
    [
        ("head", {"head": (60, 100.0), "upper_arm.L": (64, 80.0)}, "shoulder"),
        ("shoulder", {"upper_arm.L": (60, 100.0), "head": (57, 80.0)}, "head"),
        ("head", {"head": (60, 100.0), "upper_arm.L": (75, 80.0)}, ""),  # an eighth of a second later
        ("head", {"head": (60, 100.0), "upper_arm.L": (64, 30.0)}, ""),  # barely
        ("head", {"head": (60, 100.0), "hand.L": (60, 100.0)}, ""),  # hands reach for the floor
        ("knees", {"shin.L": (60, 100.0), "hand.L": (61, 40.0), "hand.R": (62, 40.0)}, "hands"),
        ("chest", {"chest": (60, 100.0), "upper_arm.R": (60, 90.0)}, ""),  # who lies on its chest does on its shoulders
        ("feet", {"foot.L": (60, 100.0), "head": (60, 90.0)}, ""),
    ],
)
def test_what_comes_down_at_once_and_as_hard_is_named_too(
    part: str, comes: dict[str, tuple[int, float]], other: str
) -> None:
    assert what_too(coming_down(comes), ALLOWED, DOWN, part) == other


@pytest.mark.parametrize(
    ("comes", "part"),
    [
        ({"hand.L": (60, 130.0), "shin.L": (68, 75.0), "head": (84, 18.0)}, "knees"),  # laid down at last
        ({"hand.L": (60, 130.0), "shin.L": (68, 75.0), "head": (84, 200.0)}, "head"),  # it bears the fall
        ({"hand.L": (60, 130.0), "shin.L": (68, 75.0), "head": (70, 18.0)}, "head"),  # at once
        ({"hand.L": (60, 130.0), "head": (84, 18.0)}, "hands"),
        ({"hand.L": (60, 130.0), "chest": (84, 18.0)}, "chest"),  # who lies on its front has come down on it
    ],
)
def test_who_lays_its_head_down_at_last_has_not_come_down_on_it(comes: dict[str, tuple[int, float]], part: str) -> None:
    assert what_comes_down(coming_down(comes), ALLOWED, DOWN)[0] == part


def test_a_second_name_is_kept_with_the_take() -> None:
    axis = np.cos(0.8) * X + np.sin(0.8) * Y
    clip, take = standing_and_then(axis, 1.1 * np.pi / 2)
    facts = outcome.what_happened(BODY, clip, take).facts()
    assert {facts["outcome"], facts["outcome_too"]} == {outcome.FELL_FORWARD, outcome.FELL_SIDEWAYS}


@pytest.mark.parametrize(("leans", "part"), [(0.0, "knees"), (-25.0, "knees"), (-80.0, "seat"), (80.0, "knees")])
def test_a_thigh_that_stands_on_its_knee_kneels_and_one_that_lies_face_up_is_sat_upon(leans: float, part: str) -> None:
    _, take = standing_and_then(X, 0.0)
    thigh = BODY.index("thigh.L")
    course = Course.of_take(BODY, take)
    course.orientations[:, thigh] = rotations.from_axis_angle(X, np.radians(leans))
    assert trunk_part(course, thigh, DOWN) == part


@pytest.mark.parametrize(("turned", "said"), [(-323.0, "Fell forward, "), (-300.0, "Under-rotated by ")])
def test_who_is_on_its_feet_for_a_while_a_little_short_has_fallen_then(turned: float, said: str) -> None:
    """A quarter of a second on its soles, leaning far; then it goes down on its front."""
    take = comes_down(REFERENCE, np.radians(turned))
    position, turns = take.motion.position.copy(), take.motion.rotations.copy()
    since = np.arange(len(position)) - TOUCHDOWN
    leans = np.interp(since, [0, 3, 33, 53], [turned, -300.0, -300.0, -250.0])
    turns[since > 0, 0] = rotations.from_axis_angle(X, np.radians(leans[since > 0]))
    lows = BODY.lowest_points(*BODY.forward(position, turns)).min(axis=1)
    position[:, 2] -= np.where(since >= 0, lows, 0.0)
    contacts = BODY.lowest_points(*BODY.forward(position, turns)) < 0.01
    told = words(dataclasses.replace(moved(take, position, turns), contacts=contacts))
    assert told.startswith(said) and "nder-rotated by" in told, told
