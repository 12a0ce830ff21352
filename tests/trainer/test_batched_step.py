# SPDX-License-Identifier: GPL-3.0-or-later
"""The batched simulator takes the steps that PyBullet takes; and PyBullet is not the code under test."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

pytest.importorskip("pybullet")
pytest.importorskip("torch")

from backflip_addon.core import joint_limits, rotations, self_contact
from backflip_addon.core.body import Body
from backflip_addon.core.constants import GRAVITY
from backflip_addon.trainer.physics import pybullet_world
from backflip_addon.trainer.physics.batched import solver
from backflip_addon.trainer.physics.batched.constraints import reverse_parts
from backflip_addon.trainer.physics.batched.step import BatchedSimulator
from backflip_addon.trainer.physics.pybullet_world import PyBulletWorld
from backflip_addon.trainer.physics.simulator import SUBSTEPS
from backflip_addon.trainer.physics.state import Scene, States, stacked
from tests.benchmarks import humanoid
from tests.core import performances

FITTED, HUMANOID = performances.body(), humanoid.humanoid()
COUNT = 24


def feet(body: Body) -> np.ndarray:
    return np.array([name.startswith("foot") for name in body.names])


def shaken(body: Body, states: States, random: np.random.Generator, turn: float, speed: float) -> States:
    """States with noise on everything, off the very edges of the joints' limits; hinges turn about their axes."""
    count, links = states.rotations.shape[:2]
    turns = rotations.multiply(
        states.rotations, rotations.from_rotation_vector(random.normal(scale=turn, size=(count, links, 3)))
    )
    spins = random.normal(scale=speed, size=(count, links, 3))
    spins[:, 0] = 0
    for i, link in enumerate(body.links):
        if link.joint == "hinge":
            angle = rotations.twist_angle(states.rotations[:, i], np.array(link.axis))
            low, high = link.limits
            angle = np.clip(angle + random.normal(scale=turn, size=count), low + 0.01, high - 0.01)
            turns[:, i] = rotations.from_axis_angle(np.array(link.axis), angle)
            spins[:, i] = spins[:, i, :1] * np.array(link.axis)
        if limit := link.joint_limit:
            turns[:, i] = joint_limits.clamped(turns[:, i], limit.scaled(0.95))
        if link.joint == "fixed":
            turns[:, i], spins[:, i] = rotations.IDENTITY, 0.0
    velocity = random.normal(scale=0.3 * speed, size=(count, 3))
    return States(states.position, turns, velocity, random.normal(scale=speed, size=(count, 3)), spins)


def poses(body: Body, height: float) -> States:
    """Standing, the soles at a height."""
    links = len(body.links)
    position = np.tile([0.0, 0.0, performances.hips_height(body) + height], (COUNT, 1))
    zero = np.zeros((COUNT, 3))
    return States(position, performances.neutral(body, COUNT), zero, zero, np.zeros((COUNT, links, 3)))


def targets_of(body: Body, states: States, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    targets = shaken(body, states, random, 0.2, 2.0)
    return targets.rotations, targets.joint_velocity


def in_pybullet(
    body: Body, states: States, targets: np.ndarray, speeds: np.ndarray, scenes: list[Scene], substeps: int
) -> tuple[States, np.ndarray]:
    world = PyBulletWorld(body)
    for i, j in self_contact.pairs(body):  # of which the batched step knows nothing
        world._client.setCollisionFilterPair(world._figure, world._figure, i - 1, j - 1, 0)
    readings, touching = [], []
    lists = zip(world.targets(targets), world.velocities(speeds), scenes, strict=True)
    for i, (target, speed, scene) in enumerate(lists):
        world.set_scene(scene)
        world.reset(states[i])
        world.set_targets(target, speed)
        for _ in range(substeps):
            world.substep()
        readings.append(world.read())
        touching.append(world.contacts())
    found = world.states(readings)
    world.close()
    return found, np.array(touching)


def in_batch(
    body: Body, states: States, targets: np.ndarray, speeds: np.ndarray, scenes: list[Scene], substeps: int
) -> tuple[States, np.ndarray]:
    bodies = BatchedSimulator(body, len(states), feet(body))
    for i, scene in enumerate(scenes):
        bodies.set_scene(i, scene)
    bodies.reset(np.arange(len(states)), states)
    bodies.set_targets(targets, speeds)
    for _ in range(substeps):
        bodies._substep()
    return bodies.states(), bodies.contacts()


def worst(a: States, b: States, name: str) -> np.ndarray:
    return np.abs(getattr(a, name) - getattr(b, name)).reshape(len(a), -1).max(axis=1)


def various(random: np.random.Generator) -> list[Scene]:
    drawn = random.uniform((0.3, -0.02, 0.9), (1.2, 0.02, 1.1), size=(COUNT, 3))
    return [Scene(*map(float, row)) for row in drawn]


@pytest.mark.parametrize("body", [FITTED, HUMANOID], ids=["fitted", "humanoid"])
def test_in_the_air_it_is_pybullets_step_to_rounding(body: Body) -> None:
    """Inertia, gravity, servos at and under their limits, hinges at theirs, heavier and lighter bodies."""
    random = np.random.default_rng(0)
    states = shaken(body, poses(body, 2.0), random, 0.3, 3.0)
    targets, speeds = targets_of(body, states, random)
    arguments = (body, states, targets, speeds, various(random))
    here, there = in_batch(*arguments, 1)[0], in_pybullet(*arguments, 1)[0]
    for name in ("position", "velocity", "angular_velocity", "joint_velocity"):
        change = worst(there, states, name).mean()
        assert worst(here, there, name).max() < 1e-4 * change + 1e-6, name
    assert rotations.angle_between(here.rotations, there.rotations).max() < 1e-4


def on_the_floor(body: Body) -> tuple[np.ndarray, np.ndarray]:
    """Of one step of bodies that stand or slip: how far joint velocities (N,) are from PyBullet's, in shares of how
    much they change; and whether each body (N,) touches."""
    random = np.random.default_rng(1)
    states = shaken(body, poses(body, -0.003), random, 0.02, 0.5)
    targets, speeds = targets_of(body, states, random)
    arguments = (body, states, targets, speeds, various(random))
    (here, on), (there, touching) = in_batch(*arguments, 1), in_pybullet(*arguments, 1)
    np.testing.assert_array_equal(on, touching)
    change = worst(there, states, "joint_velocity").mean()
    return worst(here, there, "joint_velocity") / change, on.any(axis=1)


@pytest.mark.parametrize("body", [FITTED, HUMANOID], ids=["fitted", "humanoid"])
def test_on_the_floor_it_is_pybullets_step_or_near_it(body: Body) -> None:
    """Only the order of contacts may differ (PyBullet's depends on what touched before), which changes
    the solver's answer where several share a foot."""
    off, on = on_the_floor(body)
    assert on.mean() > 0.5, "most of them stand"
    assert np.quantile(off, 0.3) < 1e-3, "these are the same step"
    assert np.quantile(off, 0.8) < 0.5


@pytest.mark.parametrize("body", [FITTED, HUMANOID], ids=["fitted", "humanoid"])
def test_on_the_floor_both_have_one_solution(body: Body, monkeypatch: pytest.MonkeyPatch) -> None:
    """With so many iterations the order of contacts no longer matters."""
    for module in (solver, pybullet_world):
        monkeypatch.setattr(module, "SOLVER_ITERATIONS", 200)
    off, _ = on_the_floor(body)
    assert np.median(off) < 0.005 and off.max() < 0.05


def test_it_stays_with_pybullet_for_a_fifth_of_a_second() -> None:
    """Six control steps of one target, through take-off or touchdown: the order of contacts adds up."""
    substeps = 6 * SUBSTEPS
    random = np.random.default_rng(2)
    states = shaken(HUMANOID, poses(HUMANOID, 0.02), random, 0.05, 0.5)
    targets, speeds = targets_of(HUMANOID, states, random)
    arguments = (HUMANOID, states, targets, speeds, various(random))
    here, there = in_batch(*arguments, substeps)[0], in_pybullet(*arguments, substeps)[0]
    moved = np.median(worst(there, states, "position"))
    off = worst(here, there, "position")
    assert np.median(off) < 0.1 * moved
    assert np.quantile(off, 0.8) < 0.3 * moved


@pytest.mark.parametrize("friction", [0.1, 0.3])
def test_a_sliding_body_is_braked_by_friction_alone(friction: float) -> None:
    """Coulomb: the centre of mass loses about friction times gravity a second, while it does not rise or sink."""
    body = FITTED
    bodies = BatchedSimulator(body, 2, feet(body))
    for i in range(2):
        bodies.set_scene(i, Scene(friction=friction))
    states = poses(body, 0.0)[:2]
    bodies.reset(np.arange(2), states)
    bodies.set_targets(states.rotations, states.joint_velocity)
    for _ in range(5):
        bodies.step()
    bodies.push(0, np.array([0.0, -2.0, 0.0]), np.zeros(3))
    before = momentum(body, bodies.states())[0]
    bodies.step()
    after = momentum(body, bodies.states())[0]
    lost = (after[1] - before[1]) / body.mass * bodies.control_rate
    assert lost == pytest.approx(friction * GRAVITY, rel=0.2)


def momentum(body: Body, states: States) -> np.ndarray:
    """Linear momentum (N, 3): masses times how fast their centres move, by small differences."""

    def centre(after: float) -> np.ndarray:
        turns = states.rotations.copy()
        spin = rotations.from_rotation_vector(states.angular_velocity * after)
        turns[:, 0] = rotations.multiply(spin, turns[:, 0])
        turns[:, 1:] = rotations.multiply(
            turns[:, 1:], rotations.from_rotation_vector(states.joint_velocity[:, 1:] * after)
        )
        positions, world = body.forward(states.position + states.velocity * after, turns)
        return body.centre_of_mass(positions, world)

    return body.mass * (centre(1e-4) - centre(-1e-4)) / 2e-4


def test_each_has_a_floor_and_a_weight_of_its_own() -> None:
    body = FITTED
    bodies = BatchedSimulator(body, 3, feet(body))
    heights = (0.3, -0.1, 0.0)
    states = poses(body, 0.05)[:3]
    states = dataclasses.replace(states, position=states.position + np.array([[0, 0, h] for h in heights]))
    for i, height in enumerate(heights):
        bodies.set_scene(i, Scene(floor=height, mass=1 + 0.1 * i))
    bodies.reset(np.arange(3), states)
    bodies.set_targets(states.rotations, states.joint_velocity)
    for _ in range(30):
        bodies.step()
    found = bodies.states()
    lows = body.lowest_points(*body.forward(found.position, found.rotations)).min(axis=1)
    np.testing.assert_allclose(lows, heights, atol=0.01)
    assert bodies.contacts()[:, feet(body)].all()


def test_a_body_may_lie_on_all_of_itself() -> None:
    """More points than contacts are solved for: what was dropped flat on its back comes to rest there."""
    body = FITTED
    bodies = BatchedSimulator(body, 2, np.ones(len(body.links), dtype=bool))
    states = poses(body, 0.0)[:2]
    turns = states.rotations.copy()
    turns[:, 0] = [np.sqrt(0.5), -np.sqrt(0.5), 0.0, 0.0]
    bodies.reset(np.arange(2), dataclasses.replace(states, position=states.position * [1, 1, 0.3], rotations=turns))
    bodies.set_targets(turns, states.joint_velocity)
    for _ in range(60):
        bodies.step()
    found = bodies.states()
    lows = body.lowest_points(*body.forward(found.position, found.rotations))
    assert np.abs(lows.min(axis=1)).max() < 0.02
    assert np.linalg.norm(found.velocity, axis=1).max() < 0.2 and (found.position[:, 2] < 0.25).all()


def test_what_may_not_touch_is_told() -> None:
    body = FITTED
    bodies = BatchedSimulator(body, 1, feet(body))
    head_down = poses(body, 0.0)[:1]
    turns = head_down.rotations.copy()
    turns[:, 0] = [0.0, 1.0, 0.0, 0.0]
    bodies.reset(np.arange(1), dataclasses.replace(head_down, position=np.array([[0, 0, 0.6]]), rotations=turns))
    assert bodies.contacts()[0, body.index("head")]


def test_one_of_many_moves_as_it_would_alone() -> None:
    random = np.random.default_rng(3)
    states = shaken(FITTED, poses(FITTED, 0.0), random, 0.1, 1.0)
    targets, speeds = targets_of(FITTED, states, random)
    scenes = various(random)
    together, _ = in_batch(FITTED, states, targets, speeds, scenes, 8)
    alone, _ = in_batch(FITTED, stacked([states[5]]), targets[5:6], speeds[5:6], scenes[5:6], 8)
    np.testing.assert_allclose(alone.position[0], together.position[5], atol=1e-4)
    np.testing.assert_allclose(alone.joint_velocity[0], together.joint_velocity[5], atol=0.02)


def test_a_quicksort_of_equals_reverses_every_part() -> None:
    items = list(range(5))
    reverse_parts(items, 0, 4)
    # 4 3 2 1 0 -> parts (4 3) and (1 0), the middle left -> 3 4 2 0 1
    assert items == [3, 4, 2, 0, 1]
