# SPDX-License-Identifier: GPL-3.0-or-later
"""Inverse dynamics held against sums that fit on a napkin."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from backflip_addon.core import rotations
from backflip_addon.core.body import HINGE_AXIS
from backflip_addon.core.motion import Motion
from backflip_addon.core.motions import inverse_dynamics
from tests.core import performances

BODY = performances.body()
WEIGHT = BODY.mass * 9.81
X, Y, Z = np.eye(3)


def inner(values: np.ndarray, margin: int = 12) -> np.ndarray:
    """Away from the ends, where the filter has no samples to look at."""
    return values[margin:-margin]


def raised(motion: Motion, height: float = 1.0) -> Motion:
    return dataclasses.replace(motion, position=motion.position + height * Z)


def test_standing_needs_its_weight_from_the_floor() -> None:
    needs = inverse_dynamics.needs(BODY, performances.standing(BODY), 30.0)
    assert needs.rate == 30.0 and len(needs.force) == 31
    assert np.allclose(needs.force, [0, 0, WEIGHT], atol=1e-6)
    assert np.allclose(needs.moment, 0, atol=1e-6)
    assert needs.grounded.all()
    assert needs.unmet.max() < 0.02


def test_standing_ankles_hold_the_lean() -> None:
    """All above the ankles hangs on them: their torques about x are weight times lever, shared by two."""
    needs = inverse_dynamics.needs(BODY, performances.standing(BODY), 30.0)
    motion = performances.standing(BODY)
    positions, turns = BODY.forward(motion.position[:1], motion.rotations[:1])
    feet = [BODY.index("foot.L"), BODY.index("foot.R")]
    above = [i for i in range(len(BODY.links)) if i not in feet]
    moment = sum(
        BODY.links[i].mass * 9.81 * (positions[0, i, 1] + BODY.links[i].centre[1] - positions[0, feet[0], 1])
        for i in above
    )
    # Gravity's moment about the ankles' line (along x): y times -weight; the ankles' torque on the feet is its equal
    torque = needs.torque[0, feet, 0].sum()
    assert abs(torque) == pytest.approx(abs(moment), rel=0.05, abs=1.0)


def test_free_fall_needs_nothing() -> None:
    motion = performances.standing(BODY, 1.0, 60.0)
    times = np.arange(motion.frames) / motion.rate
    fall = np.stack([1.5 * times, 0 * times, 10 + 2 * times - 9.81 * times**2 / 2], axis=1)
    needs = inverse_dynamics.needs(BODY, dataclasses.replace(motion, position=fall), 60.0)
    assert np.abs(inner(needs.force)).max() < 1e-3 * WEIGHT
    assert np.abs(inner(needs.torque)).max() < 0.1 and np.abs(inner(needs.moment)).max() < 0.1
    assert not needs.grounded.any()
    assert inner(needs.unmet).max() < 1e-3


def test_floating_is_unmet() -> None:
    needs = inverse_dynamics.needs(BODY, raised(performances.standing(BODY)), 30.0)
    assert not needs.grounded.any() and np.allclose(needs.unmet, 1.0)


def test_rising_faster_needs_more_than_its_weight() -> None:
    motion = performances.standing(BODY, 1.0, 60.0)
    times = np.arange(motion.frames) / motion.rate
    lifted = dataclasses.replace(motion, position=motion.position + (3.0 * times**2 / 2)[:, None] * Z)
    needs = inverse_dynamics.needs(BODY, lifted, 60.0)
    assert np.allclose(inner(needs.force), [0, 0, BODY.mass * (9.81 + 3.0)], rtol=1e-3, atol=1e-3)


def test_turning_free_about_a_main_axis_needs_no_moment() -> None:
    """The figure is its own mirror image: left-right is a main axis of its inertia (its skin is nearly so)."""
    motion = performances.standing(BODY, 1.0, 120.0)
    turn = rotations.from_axis_angle(X, 3.0 * np.arange(motion.frames) / motion.rate)
    positions, world = BODY.forward(motion.position[0], motion.rotations[0])
    arm = BODY.centre_of_mass(positions, world) - motion.position[0]
    turns = motion.rotations.copy()
    turns[:, 0] = turn
    needs = inverse_dynamics.needs(BODY, Motion(120.0, 5.0 * Z - rotations.rotate(turn, arm), turns), 120.0)
    assert np.abs(inner(needs.moment, 20)).max() < 2.0
    assert np.allclose(inner(needs.force, 20), [0, 0, WEIGHT], atol=0.01 * WEIGHT)


def elbow(angles: np.ndarray, rate: float = 120.0) -> Motion:
    """A floating figure that bends its left elbow."""
    motion = raised(performances.standing(BODY, (len(angles) - 1) / rate, rate))
    motion.rotations[:, BODY.index("forearm.L")] = rotations.from_axis_angle(np.array(HINGE_AXIS), angles)
    return motion


def forearm_facts() -> tuple[float, float, float]:
    """Mass times lever, kg m, moment of inertia about the elbow's axis, kg m^2, and the rest angle of the lever."""
    fore, hand = (BODY.links[BODY.index(f"{name}.L")] for name in ("forearm", "hand"))
    positions = [np.array(fore.centre), np.array(hand.offset) + hand.centre]
    lever = fore.mass * positions[0] + hand.mass * positions[1]
    inertia = sum(
        link.inertia[0] + link.mass * (place[1] ** 2 + place[2] ** 2)
        for link, place in zip((fore, hand), positions, strict=True)
    )
    # The angle of the lever ahead (-y) of straight down
    return float(np.hypot(lever[1], lever[2])), inertia, float(np.arctan2(-lever[1], -lever[2]))


@pytest.mark.parametrize("degrees", [0.0, 30.0, 90.0, 140.0])
def test_a_forearm_held_out(degrees: float) -> None:
    angle = np.radians(degrees)
    needs = inverse_dynamics.needs(BODY, elbow(np.full(60, angle)), 60.0)
    lever, _, rest = forearm_facts()
    torque = needs.torque[:, BODY.index("forearm.L")]
    assert np.allclose(torque @ HINGE_AXIS, 9.81 * lever * np.sin(angle + rest), rtol=1e-3, atol=1e-6)


def test_a_swinging_forearm() -> None:
    times = np.arange(241) / 120.0
    angle, faster = 1.0 + 0.8 * np.sin(3.0 * times), -0.8 * 9.0 * np.sin(3.0 * times)
    needs = inverse_dynamics.needs(BODY, elbow(angle), 120.0)
    lever, inertia, rest = forearm_facts()
    expected = inertia * faster + 9.81 * lever * np.sin(angle + rest)
    torque = needs.torque[:, BODY.index("forearm.L")] @ HINGE_AXIS
    assert np.allclose(inner(torque, 20), inner(expected, 20), atol=0.02 * np.abs(expected).max())


def test_a_hanging_arm_pulls_straight_down_on_its_shoulder() -> None:
    needs = inverse_dynamics.needs(BODY, raised(performances.standing(BODY)), 30.0)
    arm = [BODY.index(f"{name}.L") for name in ("upper_arm", "forearm", "hand")]
    lever = 0.0
    for i in arm:
        lever += BODY.links[i].mass * BODY.links[i].centre[1]
    # links hang straight below each other: only their centres' own offsets ahead count
    assert needs.torque[:, arm[0], 0] == pytest.approx(9.81 * lever, abs=0.2)


def test_torques_turn_with_the_whole_body() -> None:
    """In the child's frame, a figure that faces elsewhere needs the same torques."""
    motion = elbow(np.full(30, 1.0), 30.0)
    turned = motion.rotations.copy()
    turned[:, 0] = rotations.multiply(rotations.from_axis_angle(Z, 2.1), turned[:, 0])
    one = inverse_dynamics.needs(BODY, motion, 30.0)
    other = inverse_dynamics.needs(BODY, dataclasses.replace(motion, rotations=turned), 30.0)
    assert np.allclose(one.torque[:, 1:], other.torque[:, 1:], atol=1e-6)


def test_feet_push_and_never_pull() -> None:
    """Dropping faster than gravity would need the floor to pull."""
    motion = performances.standing(BODY, 0.5, 60.0)
    times = np.arange(motion.frames) / motion.rate
    bend = 0.1 + 8.0 * times**2 / 2
    turns = performances.bent(BODY, motion.rotations.copy(), np.minimum(bend, 1.2))
    position = motion.position - (20.0 * times**2 / 2)[:, None] * Z
    needs = inverse_dynamics.needs(BODY, Motion(60.0, position, turns), 60.0)
    assert needs.force[5, 2] < 0 and needs.unmet[5] > 0.3


def test_second_derivative_of_a_parabola() -> None:
    times = np.arange(50) / 25.0
    track = np.stack([3.0 * times**2, 1.0 - times, np.ones(50)], axis=1)
    assert np.allclose(inverse_dynamics.second_derivative(track, 25.0, 4)[4:-4], [6.0, 0.0, 0.0], atol=1e-9)
