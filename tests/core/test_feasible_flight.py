# SPDX-License-Identifier: GPL-3.0-or-later
"""Flights made physical, judged by centre of mass and angular momentum worked out link by link."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from backflip_addon.core import metrics, rotations
from backflip_addon.core.body import HINGE_AXIS, Body
from backflip_addon.core.motion import Motion
from backflip_addon.core.motions import feasible_flight
from backflip_addon.core.motions.feasible_flight import Flight
from tests.core import performances

BODY = performances.body()
X, Y, Z = np.eye(3)


def tucked(turns: float = -1.0, twist: float = 0.0, height: float = 0.45) -> Motion:
    """A somersault that tucks in the air and throws one arm, so that the body's shape changes unevenly."""
    motion = performances.somersault(BODY, turns, height=height)
    local = motion.rotations.copy()
    start, end = round(0.5 * motion.rate), motion.frames - 1 - round(0.5 * motion.rate)
    share = np.clip((np.arange(motion.frames) - start) / (end - start), 0, 1)
    tuck = 1.2 * np.sin(np.pi * share) ** 2
    for side in ("L", "R"):
        local[:, BODY.index(f"thigh.{side}")] = rotations.from_axis_angle(-X, tuck)
        local[:, BODY.index(f"shin.{side}")] = rotations.from_axis_angle(np.array(HINGE_AXIS), -1.5 * tuck)
    local[:, BODY.index("upper_arm.L")] = rotations.from_axis_angle(Y, -tuck)
    local[:, 0] = rotations.multiply(local[:, 0], rotations.from_axis_angle(Z, 2 * np.pi * twist * share))
    return Motion(motion.rate, motion.position, rotations.continuous(local))


@functools.cache
def result(turns: float, twist: float = 0.0, height: float = 0.45) -> tuple[Motion, Motion, Motion, list[Flight]]:
    """The clip, the clip smoothed, what became of it, and its flights."""
    clip = tucked(turns, twist, height)
    return clip, feasible_flight.smoothed(clip, feasible_flight.RATE), *feasible_flight.feasible(BODY, clip)


def link_frames(body: Body, motion: Motion) -> tuple[np.ndarray, np.ndarray]:
    """Centres (F, L, 3) and rotation matrices (F, L, 3, 3) of the links."""
    positions, turns = body.forward(motion.position, motion.rotations)
    frames = rotations.to_matrix(turns)
    return positions + np.einsum("flij,lj->fli", frames, [link.centre for link in body.links]), frames


def momentum(body: Body, motion: Motion) -> tuple[np.ndarray, np.ndarray]:
    """Centre of mass (F, 3) and angular momentum (F - 2, 3) about it, by central differences of the links."""
    centres, frames = link_frames(body, motion)
    masses = np.array([link.mass for link in body.links])
    com = np.einsum("l,flk->fk", masses, centres) / masses.sum()
    velocity = (centres[2:] - centres[:-2]) * motion.rate / 2
    com_velocity = (com[2:] - com[:-2]) * motion.rate / 2
    # The skew matrix of the angular velocity is R' R^T
    skew = (frames[2:] - frames[:-2]) * motion.rate / 2 @ np.swapaxes(frames[1:-1], -1, -2)
    skew = (skew - np.swapaxes(skew, -1, -2)) / 2
    spin = np.stack([skew[..., 2, 1], skew[..., 0, 2], skew[..., 1, 0]], axis=-1)
    own = np.array([np.diag(link.inertia) for link in body.links])
    inertia = frames[1:-1] @ own @ np.swapaxes(frames[1:-1], -1, -2)
    total = np.einsum("flij,flj->fi", inertia, spin)
    arms, speeds = centres[1:-1] - com[1:-1, None], velocity - com_velocity[:, None]
    return com, total + np.einsum("l,flk->fk", masses, np.cross(arms, speeds))


FLIGHTS = [(-1.0, 0.0, 0.45), (1.0, 0.0, 0.45), (0.0, 0.0, 0.3), (-1.0, 0.0, 0.8)]
DOUBLE = (-2.0, 0.0, 1.2)  # no constant momentum is found for it
TWISTED = (-1.0, 1.0, 0.8)


@pytest.mark.parametrize(("turns", "twist", "height"), [*FLIGHTS, DOUBLE, TWISTED])
def test_the_centre_of_mass_flies_a_parabola(turns: float, twist: float, height: float) -> None:
    _, smooth, motion, (flight,) = result(turns, twist, height)
    first, last = round(flight.start * motion.rate), round(flight.end * motion.rate)
    com, _ = momentum(BODY, motion)
    times = (np.arange(first, last + 1) - first) / motion.rate
    expected = com[first] + flight.velocity * times[:, None] - 0.5 * 9.81 * times[:, None] ** 2 * Z
    assert np.allclose(com[first : last + 1], expected, atol=1e-6)
    before, _ = momentum(BODY, smooth)
    assert np.allclose(com[[first, last]], before[[first, last]], atol=1e-6), "it leaves and lands where it did"


@pytest.mark.parametrize(("turns", "twist", "height"), FLIGHTS)
def test_angular_momentum_is_constant_in_flight(turns: float, twist: float, height: float) -> None:
    _, smooth, motion, (flight,) = result(turns, twist, height)
    inside = slice(round(flight.start * motion.rate) + 2, round(flight.end * motion.rate) - 3)
    now, before = momentum(BODY, motion)[1][inside], momentum(BODY, smooth)[1][inside]
    size = np.linalg.norm(flight.momentum)
    assert np.abs(now - flight.momentum).max() < 0.03 * max(size, 10.0)
    if turns:
        assert np.ptp(before, axis=0).max() > 0.3 * size, "the clip itself breaks the law"


@pytest.mark.parametrize(("turns", "twist", "height"), [*FLIGHTS, DOUBLE, TWISTED])
def test_the_number_of_turns_is_kept(turns: float, twist: float, height: float) -> None:
    clip, _, motion, flights = result(turns, twist, height)
    if not twist:
        assert metrics.net_somersault(motion.rotations[:, 0]) == pytest.approx(2 * np.pi * turns, abs=0.1)
    assert rotations.angle_between(motion.rotations[-1, 0], clip.rotations[-1, 0]) < 0.02
    assert len(flights) == 1


@pytest.mark.parametrize(("turns", "twist", "height"), FLIGHTS[:2])
def test_joints_and_the_ground_phases_are_left_alone(turns: float, twist: float, height: float) -> None:
    _, smooth, motion, (flight,) = result(turns, twist, height)
    assert np.all(rotations.angle_between(motion.rotations[:, 1:], smooth.rotations[:, 1:]) < 1e-6)
    times = np.arange(motion.frames) / motion.rate
    ground = (times < flight.start - 1e-6) | (times > flight.end + 1e-6)
    assert np.allclose(motion.position[ground], smooth.position[ground])
    assert np.all(rotations.angle_between(motion.rotations[ground, 0], smooth.rotations[ground, 0]) < 1e-6)
    # no jump where flight begins and ends
    assert np.linalg.norm(np.diff(motion.position, axis=0), axis=1).max() < 0.1
    assert rotations.angle_between(motion.rotations[1:], motion.rotations[:-1]).max() < 0.4


def test_a_flight_that_obeys_already_hardly_changes() -> None:
    _, _, motion, _ = result(-1.0)
    again, (flight,) = feasible_flight.feasible(BODY, motion)
    assert flight.change < 0.15
    assert np.abs(again.position - motion.position).max() < 0.08, "its take-off is sharp, and smoothed once more"


def test_facing_elsewhere_and_standing_elsewhere_changes_nothing_else() -> None:
    clip = performances.somersault(BODY, height=0.45)
    motion, (flight,) = feasible_flight.feasible(BODY, clip)
    yaw, shift = rotations.from_axis_angle(Z, 2.0), np.array([3.0, -1.0, 0.0])
    turned = clip.rotations.copy()
    turned[:, 0] = rotations.multiply(yaw, turned[:, 0])
    moved, (other,) = feasible_flight.feasible(
        BODY, Motion(clip.rate, rotations.rotate(yaw, clip.position) + shift, turned)
    )
    assert np.allclose(moved.position, rotations.rotate(yaw, motion.position) + shift, atol=2e-3)
    assert np.allclose(other.momentum, rotations.rotate(yaw, flight.momentum), atol=0.05)


def test_a_clip_without_flight_is_only_smoothed() -> None:
    motion = performances.standing(BODY, 2.0)
    bend = 0.4 * (1 - np.cos(np.arange(motion.frames) / 30.0 * np.pi))
    squat = Motion(30.0, motion.position.copy(), performances.bent(BODY, motion.rotations.copy(), bend))
    squat.position[:, 2] = performances.crouched_height(BODY, bend)
    result, flights = feasible_flight.feasible(BODY, squat)
    smooth = feasible_flight.smoothed(squat, feasible_flight.RATE)
    assert flights == [] and result.rate == feasible_flight.RATE
    assert np.array_equal(result.position, smooth.position)
    assert np.all(rotations.angle_between(result.rotations, smooth.rotations) < 1e-7)
    position, turns = squat.sample(np.arange(result.frames) / result.rate)
    assert np.abs(result.position - position).max() < 0.002, "slow movements pass the filter"
    assert rotations.angle_between(result.rotations, turns).max() < 0.02


def test_smoothing_takes_noise_and_leaves_the_ends() -> None:
    motion = performances.standing(BODY, 2.0, 120.0)
    noise = np.random.default_rng(5).normal(scale=0.01, size=motion.position.shape)
    smooth = feasible_flight.smoothed(Motion(120.0, motion.position + noise, motion.rotations), 120.0)
    inner = (smooth.position - motion.position)[20:-20]
    assert inner.std() < 0.5 * noise.std() and abs(inner.mean()) < 0.002
    for end in (0, -1):
        assert np.allclose(smooth.position[end], motion.position[end] + noise[end], atol=1e-9)


def test_a_clip_shorter_than_the_filter_is_left_as_it_is() -> None:
    motion = performances.standing(BODY, 2 / 30)
    motion.position[:, 0] = [0.0, 0.1, 0.0]
    result, flights = feasible_flight.feasible(BODY, motion)
    assert flights == [] and np.allclose(result.position[:, 0].max(), 0.1)


def test_clips_that_begin_or_end_in_the_air_have_no_whole_flight() -> None:
    clip = tucked()
    floating = Motion(clip.rate, clip.position + 0.5 * Z, clip.rotations)
    assert feasible_flight.flight_phases(BODY, floating) == []


def test_two_hops_are_two_flights() -> None:
    one = performances.somersault(BODY, 0.0, rate=120.0, height=0.3)
    # Straight up and down: a root that flies a parabola of its own
    times = np.arange(one.frames) / one.rate - 0.5
    air = 2 * np.sqrt(2 * 0.3 / 9.81)
    lift = np.where((times > 0) & (times < air), np.sqrt(2 * 9.81 * 0.3) * times - 4.905 * times**2, 0.0)
    position = one.position * [1, 1, 0] + (performances.hips_height(BODY) + lift)[:, None] * Z
    turns = np.concatenate([one.rotations, one.rotations[1:]])
    hops = Motion(one.rate, np.concatenate([position, position[1:]]), turns)
    motion, flights = feasible_flight.feasible(BODY, hops)
    assert len(flights) == 2
    for flight in flights:
        assert np.linalg.norm(flight.momentum) < 0.1 and flight.change < 0.01
        assert flight.velocity[:2] == pytest.approx([0, 0], abs=1e-6)
        assert flight.velocity[2] == pytest.approx(9.81 * (flight.end - flight.start) / 2, rel=0.02)
    assert np.abs(motion.position - hops.position).max() < 0.03
