# SPDX-License-Identifier: GPL-3.0-or-later
"""Bodies in states of all kinds, and what PyBullet makes of them."""

from __future__ import annotations

import numpy as np

from backflip_addon.core import joint_limits, rotations, self_contact
from backflip_addon.core.body import Body
from backflip_addon.trainer.physics.pybullet_world import PyBulletWorld
from backflip_addon.trainer.physics.state import Scene, States
from tests.core import performances

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
    body: Body,
    states: States,
    targets: np.ndarray,
    speeds: np.ndarray,
    scenes: list[Scene],
    substeps: int,
    steps: int = 1,
) -> tuple[States, np.ndarray]:
    world = PyBulletWorld(body)
    world._let_collide = lambda pairs, collide: None  # of which the oracle knows nothing, nor after a reset
    for i, j in self_contact.pairs(body):
        world._client.setCollisionFilterPair(world._figure, world._figure, i - 1, j - 1, 0)
    readings, touching = [], []
    lists = zip(world.targets(targets), world.velocities(speeds), scenes, strict=True)
    for i, (target, speed, scene) in enumerate(lists):
        world.set_scene(scene)
        world.reset(states[i])
        world.set_targets(target, speed)  # held: it is the first after a reset
        for _ in range(substeps * steps):
            world.substep()
        readings.append(world.read())
        touching.append(world.contacts())
    found = world.states(readings)
    world.close()
    return found, np.array(touching)


def worst(a: States, b: States, name: str) -> np.ndarray:
    return np.abs(getattr(a, name) - getattr(b, name)).reshape(len(a), -1).max(axis=1)


def various(random: np.random.Generator) -> list[Scene]:
    drawn = random.uniform((0.3, -0.02, 0.9), (1.2, 0.02, 1.1), size=(COUNT, 3))
    return [Scene(*map(float, row)) for row in drawn]
