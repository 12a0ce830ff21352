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
    measures = metrics.evaluate_take(BODY, walk, performances.performed(BODY, walk, tail=0.0))
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


@pytest.mark.parametrize("rate", [30.0, 120.0])
@pytest.mark.parametrize("speed", [0.0, 0.25, 2.0])
def test_sliding_feet(speed: float, rate: float) -> None:
    motion = performances.standing(BODY, 1.0, rate)
    slide = np.arange(motion.frames)[:, None] / rate * speed * np.array([0.6, -0.8, 0.0])
    positions, turns = BODY.forward(motion.position + slide, motion.rotations)
    assert metrics.foot_skate(BODY, positions, turns, rate) == pytest.approx(speed)


def test_feet_above_3_cm_do_not_skate() -> None:
    motion = performances.standing(BODY)
    slide = np.arange(motion.frames)[:, None] * 0.1 * X
    for height, expected in ((0.029, 3.0), (0.031, 0.0)):
        positions, turns = BODY.forward(motion.position + slide + height * Z, motion.rotations)
        assert metrics.foot_skate(BODY, positions, turns, 30.0) == pytest.approx(expected)


def test_one_foot_sliding_of_two_down_is_half_the_speed() -> None:
    motion = performances.standing(BODY)
    positions, turns = BODY.forward(motion.position, motion.rotations)
    positions[:, BODY.index("foot.L"), 0] += np.arange(motion.frames) / 30.0 * 0.4
    assert metrics.foot_skate(BODY, positions, turns, 30.0) == pytest.approx(0.2)


def test_a_foot_that_rolls_over_its_toes_does_not_skate() -> None:
    motion = performances.standing(BODY)
    positions, turns = BODY.forward(motion.position, motion.rotations)
    foot = BODY.index("foot.L")
    box = BODY.links[foot].shapes[0]
    toes = np.array(box.position) + np.array(box.size) * [0, -1, -1]
    roll = rotations.from_axis_angle(X, np.linspace(0, 1.0, motion.frames))
    pivot = positions[:, foot] + toes
    turns[:, foot] = roll
    positions[:, foot] = pivot - rotations.rotate(roll, toes)
    assert metrics.foot_skate(BODY, positions, turns, 30.0) == pytest.approx(0.0, abs=0.02)


def test_penetration_is_the_deepest_point() -> None:
    position = TAKE.motion.position.copy()
    position[40, 2] -= 0.025
    assert measure(moved(TAKE, position)).penetration_cm == pytest.approx(2.5 + measure(TAKE).penetration_cm, abs=0.01)
    assert measure(moved(TAKE, TAKE.motion.position + 0.1 * Z)).penetration_cm == 0.0


def test_jerk_of_sines() -> None:
    """The jerk of a sin(w t) is a w^3 |cos(w t)|: its mean is a w^3 2/pi over whole periods."""
    rate, seconds = 120.0, 2 * np.pi
    times = np.arange(round(seconds * rate)) / rate

    def track(a: float, w: float) -> np.ndarray:
        return np.tile((a * np.sin(w * times))[:, None, None], (1, 4, 1)) * np.array([0.6, 0.0, 0.8])

    during = np.ones(len(times), dtype=bool)
    ratio = metrics.jerk_ratio(track(0.3, 2.0), track(0.1, 3.0), during, rate, 60.0)
    assert ratio == pytest.approx(0.3 * 2**3 / (0.1 * 3**3), rel=0.02)
    assert metrics.jerk_ratio(track(0.3, 2.0), track(0.3, 2.0), during, rate, 16.0) == pytest.approx(1.0)


def test_jerk_looks_at_the_clip_alone() -> None:
    rate = 120.0
    times = np.arange(480) / rate
    track = np.tile(np.sin(3 * times)[:, None, None], (1, 2, 3))
    noisy = track.copy()
    noisy[300:] += np.random.default_rng(0).normal(size=noisy[300:].shape)
    assert metrics.jerk_ratio(noisy, track, times < 2.0, rate, 30.0) == pytest.approx(1.0)


def test_leg_length_and_tilt() -> None:
    assert proportions.hip_to_sole(BODY) == pytest.approx(performances.hips_height(BODY), abs=0.01)
    turns = np.zeros((3, 15, 4))
    turns[:, 0] = rotations.from_axis_angle(Y, np.array([0.0, 1.0, -2.0]))
    assert np.allclose(metrics.root_tilt(turns), [0.0, 1.0, 2.0])
