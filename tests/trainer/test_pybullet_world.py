# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated world against the laws of mechanics."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pybullet")

from backflip_addon.core import rotations
from backflip_addon.core.body import Body
from backflip_addon.core.constants import GRAVITY
from backflip_addon.trainer.imitation.kinematics import momenta
from backflip_addon.trainer.physics import pybullet_world as worlds
from backflip_addon.trainer.physics.pybullet_world import PyBulletWorld
from backflip_addon.trainer.physics.simulator import SUBSTEPS
from backflip_addon.trainer.physics.state import Scene, States
from tests.core import performances
from tests.trainer.figure import (
    BODY,
    X,
    Y,
    Z,
    a_world,
    controls,
    hold,
    link_centres,
    lowest,
    some_state,
    standing_state,
)

world = pytest.fixture(a_world)


def test_a_state_returns(world: PyBulletWorld) -> None:
    for _ in range(5):
        state = some_state()
        world.reset(state)
        again = world.state()
        assert np.allclose(again.position, state.position, atol=1e-9)
        assert rotations.angle_between(again.rotations, state.rotations).max() < 1e-6
        assert np.allclose(again.velocity, state.velocity, atol=1e-9)
        assert np.allclose(again.angular_velocity, state.angular_velocity, atol=1e-9)
        assert np.allclose(again.joint_velocity, state.joint_velocity, atol=1e-6)


def test_our_kinematics_are_pybullets(world: PyBulletWorld) -> None:
    """Link centres of mass, worked out by our forward kinematics and asked of PyBullet."""
    for _ in range(3):
        state = some_state()
        world.reset(state)
        p = world._client
        theirs = [p.getBasePositionAndOrientation(world._figure)[0]]
        theirs += [p.getLinkState(world._figure, j, computeForwardKinematics=1)[0] for j in range(len(BODY.links) - 1)]
        assert np.allclose(link_centres(BODY, state), theirs, atol=1e-5)


def test_velocities_are_the_change_of_positions(world: PyBulletWorld) -> None:
    """What reset() is told about joint velocities is what then happens: frames and signs are right."""
    state = some_state(10.0)
    limp = PyBulletWorld(limped(BODY), control_rate=1000.0, substeps=1)
    limp.reset(state)
    limp.substep()
    after = limp.state()
    spin = (
        rotations.to_rotation_vector(rotations.multiply(rotations.conjugate(state.rotations), after.rotations)) * 1000.0
    )
    assert np.allclose(spin[1:], state.joint_velocity[1:], atol=0.5)
    assert np.allclose((after.position - state.position) * 1000.0, state.velocity, atol=0.1)
    limp.close()


def limped(body: Body) -> Body:
    return dataclasses.replace(
        body, links=tuple(dataclasses.replace(k, torque=0.0, kp=0.0, kd=0.0) for k in body.links)
    )


def as_simulated(world: PyBulletWorld) -> Body:
    """The body with the masses and inertias that the world works with."""
    links = [
        dataclasses.replace(link, mass=mass, inertia=tuple(inertia))
        for link, mass, inertia in zip(world.body.links, world._masses, world._inertias, strict=True)
    ]
    return dataclasses.replace(world.body, links=tuple(links))


def angular_momentum(body: Body, before: States, after: States, seconds: float) -> np.ndarray:
    """About the centre of mass, by differences of link poses over a short time."""
    centres = [link_centres(body, state) for state in (before, after)]
    masses = np.array([link.mass for link in body.links])[:, None]
    velocity = (centres[1] - centres[0]) / seconds
    com = (masses * centres[0]).sum(0) / masses.sum()
    com_velocity = (masses * velocity).sum(0) / masses.sum()
    total = (masses * np.cross(centres[0] - com, velocity - com_velocity)).sum(0)
    turns = [body.forward(state.position, state.rotations)[1] for state in (before, after)]
    spin = rotations.to_rotation_vector(rotations.multiply(turns[1], rotations.conjugate(turns[0]))) / seconds
    inertia = np.array([link.inertia for link in body.links])
    own = rotations.rotate(turns[0], inertia * rotations.rotate(rotations.conjugate(turns[0]), spin))
    return total + own.sum(0)


def test_free_flight_falls_and_keeps_its_momentum(world: PyBulletWorld) -> None:
    """A figure that tucks in the air: gravity acts on its centre of mass, nothing on its angular momentum."""
    start = standing_state(
        position=np.array([0.0, 0.0, 10.0]),
        velocity=np.array([1.0, 0.5, 2.0]),
        angular_velocity=np.array([-5.0, 0.6, 0.3]),
    )
    tuck = performances.bent(BODY, performances.neutral(BODY, 1), np.array([0.7]))
    world.reset(start)
    body, states = as_simulated(world), [world.state()]
    world.set_targets(world.targets(tuck)[0], controls(world, start)[1][0])
    rate = world.control_rate * world.substeps
    for _ in range(round(0.5 * rate)):
        world.substep()
        states.append(world.state())
    masses = np.array([link.mass for link in body.links])[:, None]
    com = np.array([(masses * link_centres(body, state)).sum(0) / masses.sum() for state in states])
    times = np.arange(len(com)) / rate
    positions, turns = body.forward(start.position, start.rotations)
    arm = body.centre_of_mass(positions, turns) - start.position
    velocity = start.velocity + np.cross(start.angular_velocity, arm)
    expected = com[0] + velocity * times[:, None] - 0.5 * GRAVITY * times[:, None] ** 2 * Z
    assert np.abs(com - expected).max() < 0.01, "0.5 s of semi-implicit steps of 1/480 s"
    momenta = np.array([angular_momentum(body, a, b, 1 / rate) for a, b in zip(states, states[1:], strict=False)])
    size = np.linalg.norm(momenta[0])
    assert np.abs(momenta - momenta[0]).max() < 0.01 * size
    assert lowest(states[-1]) > 1.0, "it never touched the floor"


def test_torque_stays_within_limits(world: PyBulletWorld) -> None:
    """Driven at random to wild targets, on the floor and in the air."""
    for height in (1.0, 3.0):
        world.reset(some_state(height))
        for _ in range(20):
            wild = some_state()
            world.set_targets(
                world.targets(wild.rotations[None])[0], world.velocities(10 * wild.joint_velocity[None])[0]
            )
            for _ in range(world.substeps):
                world.substep()
                assert world.effort() <= 1.0 + 1e-6


def test_a_limp_body_falls_in_a_heap() -> None:
    limp = PyBulletWorld(limped(BODY))
    # just off balance, knees slightly bent
    turns = performances.bent(BODY, performances.neutral(BODY, 1), np.array([0.1]))[0]
    limp.reset(standing_state(rotations=turns))
    hold(limp, standing_state(), 2.5)
    state = limp.state()
    assert limp.effort() == 0.0
    assert state.position[2] < 0.4 and np.isfinite(state.rotations).all()
    # What nothing holds spins up in time, a head or an arm about its axis, by what the integrator makes of gyroscopes
    held = np.array([not name.startswith(("head", "upper_arm")) for name in BODY.names])
    speeds = np.linalg.norm(state.joint_velocity[held], axis=1)
    assert np.linalg.norm(state.velocity) < 1.0 and speeds.max() < 15.0, "it lies, and does not buzz about"
    limp.close()


@pytest.mark.parametrize("speed", [1.0, 3.0, 5.0])
def test_a_landing_sinks_less_than_two_millimetres(world: PyBulletWorld, speed: float) -> None:
    start = standing_state(position=standing_state().position + 0.3 * Z, velocity=-speed * Z)
    world.reset(start)
    (targets,), (velocities,) = controls(world, start)
    world.set_targets(targets, velocities)
    depth = 0.0
    for _ in range(world.substeps * round(world.control_rate)):
        world.substep()
        depth = max(depth, -lowest(world.state()))
    assert depth < 0.002, "legs as stiff as they can be: the worst case"
    assert world.contacts()[BODY.index("foot.L")] or world.contacts()[BODY.index("foot.R")] or depth > 0


def squat(degrees: float) -> States:
    bend = np.radians(degrees)
    turns = performances.bent(BODY, performances.neutral(BODY, 1), np.array([bend]))[0]
    position = np.array([0.0, 0.0, performances.crouched_height(BODY, bend)])
    return standing_state(rotations=turns, position=position)


def lying(axis: np.ndarray, angle: float) -> States:
    turns = performances.neutral(BODY, 1)[0]
    turns[0] = rotations.from_axis_angle(axis, angle)
    state = standing_state(rotations=turns, position=np.zeros(3))
    return dataclasses.replace(state, position=np.array([0.0, 0.0, 0.01 - lowest(state)]))


@pytest.mark.parametrize(
    "start",
    [standing_state(), squat(30), squat(60), lying(X, -np.pi / 2), lying(X, np.pi / 2), lying(Y, 1.2), lying(X, np.pi)],
    ids=["standing", "crouched", "squatting", "on its back", "on its face", "on its side", "on its head"],
)
def test_holding_a_pose_never_explodes(world: PyBulletWorld, start: States) -> None:
    world.reset(start)
    (targets,), (velocities,) = controls(world, start)
    for _ in range(90):
        world.step(targets, velocities)
        state = world.state()
        assert np.isfinite(state.rotations).all() and np.isfinite(state.position).all()
        assert np.linalg.norm(state.velocity) < 8.0, "no faster than a fall from its own height"
        assert np.linalg.norm(state.position) < 3.0
    hold(world, start, 1.0)
    assert np.linalg.norm(world.state().velocity) < 0.5, "in the end it rests"
    assert lowest(world.state()) > -0.02


def test_standing_stays_standing(world: PyBulletWorld) -> None:
    start = standing_state()
    world.reset(start)
    hold(world, start, 3.0)
    state = world.state()
    assert np.linalg.norm(state.position - start.position) < 0.05
    assert rotations.angle_between(state.rotations[0], start.rotations[0]) < 0.1
    assert {BODY.names[i] for i in np.flatnonzero(world.contacts())} == {"foot.L", "foot.R"}


def test_a_new_start_forgets_what_touched(world: PyBulletWorld) -> None:
    """A performance that begins in the air must not inherit the fall before it."""
    standing = standing_state()
    world.reset(standing)
    hold(world, standing, 0.5)
    assert world.contacts().any()
    world.reset(dataclasses.replace(standing, position=standing.position + [0, 0, 1.0]))
    assert not world.contacts().any()


def run_on(world: PyBulletWorld, steps: int = 12) -> list[list[float]]:
    readings = []
    state = squat(20)
    (targets,), (velocities,) = controls(world, state)
    for _ in range(steps):
        world.step(targets, velocities)
        readings.append(world.read())
    return readings


def in_contact(world: PyBulletWorld) -> None:
    """Into the thick of it: just after touchdown."""
    world.reset(standing_state(position=standing_state().position + 0.1 * Z, velocity=-3.0 * Z, angular_velocity=X))
    run_on(world, 3)
    assert world.contacts().any()


def test_who_goes_back_goes_on_as_before(world: PyBulletWorld) -> None:
    """To the bit, the servos' torques included, and that it was kept changes nothing."""
    in_contact(world)
    plain = run_on(world)
    in_contact(world)
    moment = world.moment()
    for _ in range(3):
        assert run_on(world) == plain
        world.go_back(moment)
    world.forget(moment)


def test_two_worlds_do_the_same(world: PyBulletWorld) -> None:
    other = PyBulletWorld(BODY)
    in_contact(world)
    in_contact(other)
    assert run_on(world) == run_on(other)
    other.close()


def test_a_new_start_is_as_good_as_a_new_world(world: PyBulletWorld) -> None:
    """To the bit, whatever was played before: contacts with the floor and between parts are forgotten."""
    runs = []
    for before in (standing_state(), some_state(0.6), squat(60)):
        world.reset(before)
        run_on(world)
        world.reset(standing_state())
        runs.append(run_on(world))
    assert runs[0] == runs[1] == runs[2]


def floor_force(world: PyBulletWorld) -> float:
    return sum(point[9] for point in world._client.getContactPoints(world._figure, world._floor))


@pytest.mark.parametrize("factor", [0.9, 1.0, 1.5])
def test_the_scenes_mass_weighs_on_the_floor(world: PyBulletWorld, factor: float) -> None:
    world.set_scene(Scene(mass=factor))
    world.reset(standing_state())
    hold(world, standing_state(), 1.0)
    forces = []
    for _ in range(world.substeps * 15):
        world.substep()
        forces.append(floor_force(world))
    assert np.mean(forces) == pytest.approx(BODY.mass * factor * GRAVITY, rel=0.03)


def test_the_floor_carries_what_stands_on_it_foot_by_foot(world: PyBulletWorld) -> None:
    world.reset(standing_state())
    hold(world, standing_state(), 1.0)
    loads = []
    for _ in range(world.substeps * 15):
        world.substep()
        loads.append(world.floor_contacts().load)
    mean = np.mean(loads, axis=0)
    feet = [BODY.index("foot.L"), BODY.index("foot.R")]
    assert mean.sum() == pytest.approx(BODY.mass * GRAVITY, rel=0.03)
    assert mean[feet].sum() == mean.sum() and mean[feet].min() > 0.25 * mean.sum()


def test_a_lighter_scene_after_a_heavier_one_is_not_their_product(world: PyBulletWorld) -> None:
    world.set_scene(Scene(mass=2.0))
    world.set_scene(Scene(mass=0.5))
    p = world._client
    masses = [p.getDynamicsInfo(world._figure, j)[0] for j in world._links]
    assert sum(masses) == pytest.approx(0.5 * BODY.mass)


@pytest.mark.parametrize("friction", [0.0, 0.2, 0.9])
def test_friction_stops_a_sliding_body(world: PyBulletWorld, friction: float) -> None:
    world.set_scene(Scene(friction=friction))
    start = standing_state()
    world.reset(start)
    hold(world, start, 0.5)
    world.push(1.0 * X, np.zeros(3))
    before = world.state().position[0]
    hold(world, start, 0.2)
    state = world.state()
    feet = link_centres(BODY, state)[[BODY.index("foot.L"), BODY.index("foot.R")], 0].mean()
    if friction == 0.0:
        assert feet - before > 0.05, "on ice the feet go along"
    if friction == 0.9:
        assert feet - before < 0.05


def test_a_sliding_foot_drags_by_the_floors_friction(world: PyBulletWorld) -> None:
    """Coulomb's law at contacts of a foot that slides and has not tipped yet, by PyBullet's own account of the forces:
    at a grip of 0.9 and 4 m/s it trips within a control step."""
    for friction in (0.3, 0.9):
        world.set_scene(Scene(friction=friction))
        start = standing_state(velocity=4.0 * X)
        world.reset(start)
        (targets,), (velocities,) = controls(world, start)
        world.set_targets(targets, velocities)
        shares = []
        for _ in range(SUBSTEPS):
            world.substep()
            contacts = world._client.getContactPoints(world._figure, world._floor)
            shares += [np.hypot(point[10], point[12]) / point[9] for point in contacts if point[9] > 1.0]
        assert shares and max(shares) == pytest.approx(friction, rel=0.01)


def test_the_floors_height(world: PyBulletWorld) -> None:
    for height in (0.3, -0.02, 0.0):
        world.set_scene(Scene(floor=height))
        start = standing_state(position=standing_state().position + (height + 0.05) * Z)
        world.reset(start)
        hold(world, start, 1.0)
        assert lowest(world.state()) == pytest.approx(height, abs=0.01)


def test_a_push_adds_velocity(world: PyBulletWorld) -> None:
    start = some_state()
    world.reset(start)
    world.push(np.array([0.5, 0.0, -0.2]), 0.1 * Y)
    spin = world.state().angular_velocity - start.angular_velocity
    assert np.allclose(spin, 0.1 * Y, atol=1e-9)
    arm = rotations.rotate(start.rotations[0], np.array(BODY.links[0].centre))
    assert np.allclose(world.state().velocity - start.velocity, [0.5, 0.0, -0.2] - np.cross(0.1 * Y, arm), atol=1e-9)


def test_every_body_can_be_described(tmp_path: Path) -> None:
    """PyBullet cuts a description's lines at 8 kB."""
    text = worlds.urdf(BODY)
    assert max(map(len, text.splitlines())) < 1000
    heavy = dataclasses.replace(BODY, links=tuple(dataclasses.replace(k, mass=k.mass / 3) for k in BODY.links))
    world = PyBulletWorld(heavy)
    assert sum(world._masses) == pytest.approx(BODY.mass / 3)
    world.close()


@pytest.mark.parametrize("part", ["pelvis", "upper_arm.R", "head"])
def test_a_push_in_flight_gives_just_the_momentum_that_is_asked(world: PyBulletWorld, part: str) -> None:
    """Whichever part is pushed, however fast it swings: to the body as a whole, and about its centre of mass."""
    state, impulse = some_state(10.0), np.array([9.0, -6.0, 14.0])
    link = BODY.index(part)
    world.reset(state)
    arm = link_centres(BODY, state)[link] - centre_of(state)
    before = momentum_of(state)
    world.shove(link, impulse)
    hold(world, state, 1 / world.control_rate)
    gained = momentum_of(world.state()) - before
    gained[2] += BODY.mass * GRAVITY / world.control_rate
    np.testing.assert_allclose(gained[:3], impulse, atol=0.01 * np.linalg.norm(impulse))
    moves = 0.05  # m, as the push lasts
    np.testing.assert_allclose(gained[3:], np.cross(arm, impulse), atol=moves * np.linalg.norm(impulse))


def centre_of(state: States) -> np.ndarray:
    positions, world = BODY.forward(state.position[None], state.rotations[None])
    return BODY.centre_of_mass(positions, world)[0]


def momentum_of(state: States) -> np.ndarray:
    """Linear, N s, and about the centre of mass, N m s."""
    velocity, spin = momenta(BODY, state[None], *BODY.forward(state.position[None], state.rotations[None]))
    return np.concatenate([BODY.mass * velocity[0], spin[0]])
