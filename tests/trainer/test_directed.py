# SPDX-License-Identifier: GPL-3.0-or-later
"""Directed performances do what was asked for, in both engines, and the same with the same seed."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba")

from backflip_addon.core import metrics, rotations
from backflip_addon.core.burden import burdened
from backflip_addon.core.direction import PRESETS, Direction
from backflip_addon.core.motion import Motion, Take
from backflip_addon.core.slope import floor_turn, in_the_world
from backflip_addon.trainer.imitation.directed_bodies import DirectedBodies
from backflip_addon.trainer.imitation.kinematics import momenta
from backflip_addon.trainer.imitation.performance import Performance
from backflip_addon.trainer.imitation.reference_track import Track
from backflip_addon.trainer.physics.engines import new_simulator
from backflip_addon.trainer.physics.impulse import after_impulse
from backflip_addon.trainer.physics.state import Scene, States
from tests.core import performances

BODY = performances.body()
X, Y, Z = np.eye(3)
STANDING = performances.astride(BODY, 1.0)


def scene_of(direction: Direction) -> Scene:
    return Scene(gravity=direction.gravity_vector, strength=direction.strength, mass=direction.mass)


def performed(
    engine: str, direction: Direction, reference: Motion = STANDING, height: float = 0.0, seed: int = 1
) -> Take:
    """A reference's own controls, performed as directed from height, m, over its first frame."""
    track = track_of(reference)
    start = dataclasses.replace(track.states[0], position=track.states[0].position + height * Z)
    performance = Performance(track, scene_of(direction), start, engine, direction, seed)
    performance.run(track.targets(np.zeros((track.steps, track.layout.width)), 0))
    take = performance.take()
    performance.close()
    return take


_TRACKS: dict[bytes, Track] = {}


def track_of(reference: Motion) -> Track:
    """Made once for each reference: it takes a while."""
    key = reference.position.tobytes() + reference.rotations.tobytes()
    if key not in _TRACKS:
        _TRACKS[key] = Track(BODY, reference)
    return _TRACKS[key]


def centre(take: Take) -> np.ndarray:
    return BODY.centre_of_mass(*BODY.forward(take.motion.position, take.motion.rotations))


def moving(speed: float) -> States:
    """The neutral pose a metre up, all joints turning."""
    still = performances.standing(BODY, 0.1)
    turning = np.random.default_rng(0).normal(size=(len(BODY.links), 3)) * speed
    turning[0] = 0.0
    return States(still.position[0] + Z, still.rotations[0], speed * X, speed * Y, turning)


@pytest.mark.parametrize("link", ["pelvis", "head", "forearm.L", "foot.R"])
def test_an_impulse_changes_momentum_by_itself_and_angular_momentum_by_its_arm(link: str) -> None:
    """Newton and Euler, by kinematics that know nothing of a mass matrix."""
    state, impulse = moving(1.0), np.array([3.0, -2.0, 5.0])
    index = BODY.index(link)
    positions, turns = BODY.forward(state.position[None], state.rotations[None])
    before, after = (
        momenta(BODY, one[None], positions, turns) for one in (state, after_impulse(BODY, state, index, impulse))
    )
    np.testing.assert_allclose(BODY.mass * (after[0] - before[0])[0], impulse, atol=1e-8)
    point = positions[0, index] + np.array(BODY.links[index].centre)
    arm = point - BODY.centre_of_mass(positions, turns)[0]
    np.testing.assert_allclose((after[1] - before[1])[0], np.cross(arm, impulse), atol=1e-7)


@pytest.mark.parametrize("link", ["chest", "thigh.L"])
def test_a_push_in_the_air_gives_the_momentum_that_was_asked_for(engine: str, link: str) -> None:
    asked = Direction(push_at=0.2, push_link=link, push_impulse=(0.0, -30.0, 10.0))
    pushed, alone = (performed(engine, one, height=3.0) for one in (asked, Direction()))
    gained = np.diff(centre(pushed) - centre(alone), axis=0)[40:60].mean(axis=0) * 120 * BODY.mass
    np.testing.assert_allclose(gained, asked.push_impulse, atol=0.05 * 31.6)
    first = np.flatnonzero(np.abs(pushed.motion.position - alone.motion.position).max(axis=1) > 1e-6)[0]
    assert first in (25, 26), "in the control step at 0.2 s, and not before"
    told = dataclasses.replace(pushed, meta={**pushed.meta, "direction": asked.to_json()})
    assert metrics.helped_at(BODY, told) is None is metrics.helped_at(BODY, alone), "it tells of its push"


def test_whoever_stands_is_pushed_too(engine: str) -> None:
    asked = Direction(push_at=0.2, push_link="chest", push_impulse=(0.0, -30.0, 0.0))
    pushed, alone = (performed(engine, one) for one in (asked, Direction()))
    gained = np.diff(centre(pushed) - centre(alone), axis=0)[25] * 120 * BODY.mass
    # Whoever is pushed above the centre of mass pushes with the feet the other way, and the floor pushes back
    assert -36.0 < gained[1] < -28.0 and abs(gained[0]) < 1.5


@pytest.mark.parametrize("name", PRESETS)
def test_what_is_directed_is_no_help(name: str) -> None:
    """Falls over from a metre up, whose impact no other take has."""
    asked = PRESETS[name]
    take = performed("compiled", asked, height=1.0)
    told = dataclasses.replace(take, meta={**take.meta, "direction": asked.to_json()})
    assert metrics.helped_at(BODY, told) is None


@pytest.mark.parametrize("gravity", [1.62, 24.79])
def test_what_falls_falls_by_its_own_gravity(engine: str, gravity: float) -> None:
    take = performed(engine, Direction(gravity=gravity), height=6.0)
    fallen = centre(take)[0, 2] - centre(take)[60, 2]
    assert fallen == pytest.approx(gravity * 0.5**2 / 2, rel=0.01)


def test_on_a_slope_a_body_falls_along_the_vertical_of_the_world(engine: str) -> None:
    asked = Direction(slope_deg=20.0, slope_heading_deg=90.0)  # down to the character's left, +X
    take = performed(engine, asked, height=6.0)
    way = centre(take)[60] - centre(take)[0]
    assert way[0] == pytest.approx(9.81 * np.sin(np.radians(20)) / 8, rel=0.01) and abs(way[1]) < 0.01
    world = dataclasses.replace(take, motion=in_the_world(take))
    way = centre(world)[60] - centre(world)[0]
    np.testing.assert_allclose(way, [0.0, 0.0, -9.81 / 8], atol=0.01)
    assert metrics.helped_at(BODY, take) is None
    np.testing.assert_allclose(in_the_world(world, back=True).position, take.motion.position, atol=1e-9)
    normal = rotations.rotate(floor_turn(take), Z)
    assert normal[0] > 0.3, "a floor that goes down to the left leans to the left"


def test_a_body_slides_down_an_icy_slope_and_stays_on_a_rough_one(engine: str) -> None:
    asked = Direction(slope_deg=10.0)
    ways = []
    for friction in (0.05, 0.9):
        track = track_of(STANDING)
        scene = dataclasses.replace(scene_of(asked), friction=friction)
        performance = Performance(track, scene, track.states[0], engine, asked)
        performance.run(track.targets(np.zeros((15, track.layout.width)), 0))
        feet = BODY.index("foot.L")
        take = performance.take()
        positions, _ = BODY.forward(take.motion.position, take.motion.rotations)
        ways.append(positions[-1, feet, 1] - positions[0, feet, 1])
        performance.close()
    assert ways[0] < -0.08 and abs(ways[1]) < 0.02, "the character faces -Y, which is down"


def collapse(engine: str, **asked: Any) -> float:
    """How far the hips have sunk after 0.7 s in a half squat."""
    squat = performances.squatting(BODY, np.full(61, 0.9))
    take = performed(engine, Direction(**asked), squat)
    return float(take.motion.position[0, 2] - take.motion.position[84, 2])


def test_who_has_no_strength_collapses_and_who_tires_does_so_later(engine: str) -> None:
    strong, weak, tiring = (collapse(engine, **one) for one in ({}, {"strength": 0.02}, {"fatigue": 2.0}))
    assert strong < 0.1 < 0.2 < tiring < weak


@pytest.mark.parametrize(
    "asked",
    [
        Direction(clumsiness=0.1),
        Direction(delay=0.1),
        Direction(drunk=1.0),
        Direction(fatigue=0.5, push_at=0.1, push_impulse=(10.0, 0.0, 0.0)),
    ],
    ids=lambda asked: asked.words(),
)
def test_a_direction_makes_a_difference_and_the_same_one_with_the_same_seed(engine: str, asked: Direction) -> None:
    bend = 0.5 * (1 - np.cos(np.linspace(0, 2 * np.pi, 61)))
    one, again, undirected = (
        performed(engine, direction, performances.squatting(BODY, bend)) for direction in (asked, asked, Direction())
    )
    assert one.motion.rotations.tobytes() == again.motion.rotations.tobytes()
    assert one.motion.position.tobytes() == again.motion.position.tobytes()
    assert np.abs(one.motion.rotations - undirected.motion.rotations).max() > 1e-3
    if asked.clumsiness or asked.drunk:
        other = performed(engine, asked, performances.squatting(BODY, bend), seed=2)
        assert other.motion.rotations.tobytes() != one.motion.rotations.tobytes()


def test_who_feels_is_told_late_and_tilted_and_what_is_recorded_is_true() -> None:
    bodies = DirectedBodies(new_simulator(BODY, 1, "compiled"), feels=True)
    track = Track(BODY, STANDING)
    for asked, off in ((Direction(delay=0.1), False), (Direction(drunk=1.0), True)):
        bodies.direct(asked, 3)
        bodies.record([0])
        bodies.set_scene(0, Scene())
        bodies.reset(np.array([0]), track.states[:1])
        seen, true = [], []
        for step in range(8):
            seen.append(bodies.states()[0])
            true.append(bodies.inner.states()[0])
            bodies.set_targets(track.controls[None, step], track.control_speeds[None, step])
            bodies.step()
        tilt = rotations.angle_between(seen[6].rotations[0], true[6].rotations[0])
        assert (tilt > 0.01) == off
        if not off:
            assert np.array_equal(seen[6].rotations, true[3].rotations), "a tenth of a second ago"
        recorded = bodies.recording(0).states.rotations
        assert np.array_equal(recorded[24], true[6].rotations)


def test_what_a_body_carries_weighs_and_is_measured() -> None:
    loaded = burdened(BODY, {"shin.L": 4.0})
    assert loaded.mass == pytest.approx(BODY.mass + 4.0)
    with pytest.raises(ValueError, match="no part called tail"):
        burdened(BODY, {"tail": 1.0})
    take = performed("compiled", Direction())
    told = dataclasses.replace(take, meta={**take.meta, "direction": {"part_mass": {"chest": 70.0}}})
    plain, heavy = (metrics.evaluate_take(BODY, STANDING, one) for one in (take, told))
    assert plain.landing_bw is not None and heavy.landing_bw is not None
    assert heavy.landing_bw == pytest.approx(plain.landing_bw * BODY.mass / (BODY.mass + 70.0))


def test_a_part_that_is_not_there_cannot_be_pushed() -> None:
    asked = Direction(push_link="tail", push_impulse=(1.0, 0.0, 0.0))
    with pytest.raises(ValueError, match="no part called tail"):
        performed("compiled", asked)
