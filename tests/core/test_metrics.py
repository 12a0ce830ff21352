# SPDX-License-Identifier: GPL-3.0-or-later
"""Single measures on made-up takes and signals whose values are known."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from backflip_addon.core import metrics, proportions, rotations
from tests.core import performances
from tests.core.made_up_takes import BODY, TAKE, X, Y, Z, measure, moved


def test_errors_of_a_shifted_take() -> None:
    measures = measure(moved(TAKE, TAKE.motion.position + [0.06, 0.08, 0.0]))
    assert measures.g_mpjpe_mm == pytest.approx(100.0) and measures.mpjpe_mm == pytest.approx(0.0, abs=1e-6)
    assert metrics.score(measures) == pytest.approx(np.exp(-0.2))


def test_error_of_one_raised_arm() -> None:
    """One elbow at a right angle: only the hand moves, by the forearm's length times root two."""
    turns = TAKE.motion.rotations.copy()
    turns[:, BODY.index("forearm.L")] = rotations.from_axis_angle(-X, np.pi / 2)
    hand = np.linalg.norm(BODY.links[BODY.index("hand.L")].offset)
    measures = measure(moved(TAKE, turns=turns))
    expected = 1000 * hand * np.sqrt(2) / len(BODY.links)
    assert measures.mpjpe_mm == pytest.approx(expected) and measures.g_mpjpe_mm == pytest.approx(expected)


# Ends standing, allowed contacts


def ended(change: Callable[[np.ndarray, np.ndarray], None]) -> bool:
    motion = performances.standing(BODY)
    position, turns = motion.position.copy(), motion.rotations.copy()
    change(position, turns)
    return metrics.ends_standing(BODY, dataclasses.replace(motion, position=position, rotations=turns))


def test_clips_that_end_standing_and_others() -> None:
    frames = 31

    def squat(position: np.ndarray, turns: np.ndarray) -> None:
        performances.bent(BODY, turns, np.full(frames, np.radians(60)))
        position[:, 2] = performances.crouched_height(BODY, np.radians(60))

    def lie(position: np.ndarray, turns: np.ndarray) -> None:
        turns[:, 0] = rotations.from_axis_angle(X, -np.pi / 2)
        position[:, 2] = 0.15

    def walk(position: np.ndarray, turns: np.ndarray) -> None:
        position[:, 1] -= np.arange(frames) / 30.0

    def fly(position: np.ndarray, turns: np.ndarray) -> None:
        position[:, 2] += 0.2

    assert ended(lambda position, turns: None)
    assert not any(ended(change) for change in (squat, lie, walk, fly))


def test_a_clip_that_does_not_end_standing_has_nothing_to_land() -> None:
    motion = performances.standing(BODY)
    walk = dataclasses.replace(motion, position=motion.position - np.arange(31)[:, None] / 30.0 * Y)
    measures = metrics.evaluate_motion(BODY, walk, performances.performed(BODY, walk, tail=0.0))
    assert measures.landed is None and measures.success is True


def test_only_feet_may_touch_in_a_standing_clip() -> None:
    allowed = metrics.allowed_contacts(BODY, performances.standing(BODY))
    assert {BODY.names[i] for i in np.flatnonzero(allowed)} == {"foot.L", "foot.R"}


def test_a_crouch_allows_no_shins_and_kneeling_does() -> None:
    motion = performances.standing(BODY)
    bend = np.full(motion.frames, np.radians(75))
    turns = performances.bent(BODY, motion.rotations.copy(), bend)
    position = motion.position.copy()
    position[:, 2] = performances.crouched_height(BODY, bend)
    crouch = dataclasses.replace(motion, position=position, rotations=turns)
    assert not metrics.allowed_contacts(BODY, crouch)[BODY.index("shin.L")]
    turns = motion.rotations.copy()
    turns[:, BODY.index("shin.L")] = rotations.from_axis_angle(X, np.pi / 2)
    position[:, 2] = -BODY.links[BODY.index("shin.L")].offset[2] + 0.05
    kneel = dataclasses.replace(motion, position=position, rotations=turns)
    allowed = metrics.allowed_contacts(BODY, kneel)
    assert allowed[BODY.index("shin.L")]


def test_a_hand_on_the_floor_is_allowed_where_the_reference_puts_it() -> None:
    motion = performances.standing(BODY)
    hand = BODY.lowest_points(*BODY.forward(motion.position, motion.rotations))[0, BODY.index("hand.L")]
    sunk = dataclasses.replace(motion, position=motion.position - [0, 0, hand])
    assert metrics.allowed_contacts(BODY, sunk)[BODY.index("hand.L")]


@pytest.mark.parametrize(("gap", "all_of_it"), [(0.0, True), (0.07, True), (0.2, False)])
def test_a_body_that_lies_may_touch_with_all_of_itself_and_its_head_where_that_lies_too(
    gap: float, all_of_it: bool
) -> None:
    """On its back, a gap over the floor: fitted bodies are thinner or thicker than people. Then its head held up."""
    motion = performances.standing(BODY)
    position, turns = motion.position.copy(), motion.rotations.copy()
    turns[:, 0] = rotations.from_axis_angle(X, -np.pi / 2)
    trunk = [BODY.index(name) for name in ("pelvis", "chest")]
    lows = BODY.lowest_points(*BODY.forward(position, turns))[0]
    position[:, 2] += gap - lows[trunk].min()
    lying = dataclasses.replace(motion, position=position, rotations=turns)
    head = BODY.index("head")
    allowed, low = metrics.allowed_contacts(BODY, lying), lows[head] + gap - lows[trunk].min()
    assert np.delete(allowed, head).all() == all_of_it
    assert allowed[head] == (all_of_it and low < 0.11 * metrics.hip_to_sole(BODY))
    turns[:, head] = rotations.from_axis_angle(X, np.pi / 2)
    assert not metrics.allowed_contacts(BODY, lying)[head]


# Single measures


def test_somersaults_are_counted() -> None:
    start = rotations.from_rotation_vector([0.2, 0.4, 1.0])
    for turns in (-2.5, -1.0, 0.0, 0.25, 3.0):
        angles = np.linspace(0, 2 * np.pi * turns, 240)
        root = rotations.multiply(start, rotations.from_axis_angle(X, angles))
        assert metrics.net_somersault(root) == pytest.approx(2 * np.pi * turns, abs=1e-6)


def test_a_pirouette_is_no_somersault_and_a_turn_back_cancels() -> None:
    assert metrics.net_somersault(rotations.from_axis_angle(Z, np.linspace(0, 9, 100))) == pytest.approx(0, abs=1e-9)
    there_and_back = np.concatenate([np.linspace(0, 4, 50), np.linspace(4, 0, 50)])
    assert metrics.net_somersault(rotations.from_axis_angle(X, there_and_back)) == pytest.approx(0, abs=1e-9)


def askew(turns: float, lean: float = 0.0, heading: float = 0.0) -> np.ndarray:
    """A root (F, 4) that goes over so many turns and then leans, rad, its left side dipped by up to 35 degrees on the
    way; it faces somewhere in the end."""
    way = np.linspace(0, 1, 240)
    dipped = rotations.from_axis_angle(np.array([0.0, 1.0, 0.0]), np.radians(35) * np.sin(np.pi * way) ** 2)
    over = rotations.from_axis_angle(X, 2 * np.pi * turns * way + lean * way)
    return rotations.multiply(rotations.from_axis_angle(Z, heading * way), rotations.multiply(over, dipped))


def test_who_goes_over_askew_and_stands_has_turned_as_far_as_who_goes_straight() -> None:
    straight = rotations.from_axis_angle(X, np.linspace(0, -2 * np.pi, 240))
    own = askew(-1.0)
    assert abs(np.degrees(metrics.net_somersault(own)) + 360) > 20, "the sum does not say so"
    assert metrics.somersault_off(own, straight) == pytest.approx(0, abs=1e-6)
    assert metrics.somersault_off(askew(-1.0, heading=0.5), straight) == pytest.approx(0, abs=1e-6)
    assert np.degrees(metrics.somersault_off(askew(-1.0, np.radians(40)), straight)) == pytest.approx(40, abs=1e-6)
    assert np.degrees(metrics.somersault_off(askew(0.0), straight)) == pytest.approx(360, abs=1e-6)
    assert np.degrees(metrics.somersault_off(askew(-2.0), straight)) == pytest.approx(-360, abs=1e-6)
    assert np.degrees(metrics.somersault_off(askew(-0.4), straight)) == pytest.approx(216, abs=1e-6)


def test_on_its_side_a_body_has_turned_as_far_as_the_sum_says() -> None:
    straight = rotations.from_axis_angle(X, np.linspace(0, -2 * np.pi, 240))
    aside = rotations.multiply(straight, rotations.from_axis_angle([0.0, 1.0, 0.0], np.linspace(0, np.pi / 2, 240)))
    sums = metrics.net_somersault(aside) - metrics.net_somersault(straight)
    assert metrics.somersault_off(aside, straight) == pytest.approx(sums)


def test_penetration_is_the_deepest_point() -> None:
    position = TAKE.motion.position.copy()
    position[40, 2] -= 0.025
    assert measure(moved(TAKE, position)).penetration_cm == pytest.approx(2.5 + measure(TAKE).penetration_cm, abs=0.01)
    assert measure(moved(TAKE, TAKE.motion.position + 0.1 * Z)).penetration_cm == 0.0


def test_leg_length_and_tilt() -> None:
    assert proportions.hip_to_sole(BODY) == pytest.approx(performances.hips_height(BODY), abs=0.01)
    turns = np.zeros((3, 15, 4))
    turns[:, 0] = rotations.from_axis_angle(Y, np.array([0.0, 1.0, -2.0]))
    assert np.allclose(metrics.root_tilt(turns), [0.0, 1.0, 2.0])
