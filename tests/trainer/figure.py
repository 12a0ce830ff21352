# SPDX-License-Identifier: GPL-3.0-or-later
"""A fitted figure in PyBullet's world, and states for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pybullet")

from backflip_addon.core import joint_limits, rotations
from backflip_addon.core.body import Body
from backflip_addon.trainer.physics.pybullet_world import PyBulletWorld
from backflip_addon.trainer.physics.state import States
from tests.core import performances

BODY = performances.body()
RNG = np.random.default_rng(2)
X, Y, Z = np.eye(3)


def a_world() -> Iterator[PyBulletWorld]:
    """For a fixture."""
    made = PyBulletWorld(BODY)
    yield made
    made.close()


def standing_state(**changes: Any) -> States:
    turns = performances.neutral(BODY, 1)[0]
    zero = np.zeros(3)
    position = np.array([0.0, 0.0, performances.hips_height(BODY)])
    return dataclasses.replace(States(position, turns, zero, zero, np.zeros((len(BODY.links), 3))), **changes)


def some_state(height: float = 3.0) -> States:
    """Everything turns and moves, within what joints can do."""
    turns = rotations.from_rotation_vector(RNG.normal(scale=0.4, size=(len(BODY.links), 3)))
    turns = within_limits(BODY, turns)
    spins = RNG.normal(scale=2.0, size=(len(BODY.links), 3))
    for i, link in enumerate(BODY.links):
        if link.joint == "hinge":
            low, high = link.limits
            turns[i] = rotations.from_axis_angle(np.array(link.axis), low + (high - low) * RNG.uniform(0.2, 0.8))
            spins[i] = RNG.normal() * np.array(link.axis)
        if link.joint == "fixed":
            turns[i], spins[i] = rotations.IDENTITY, 0.0
    spins[0] = 0.0
    return States(np.array([0.3, -0.2, height]), turns, RNG.normal(size=3), RNG.normal(scale=3.0, size=3), spins)


def within_limits(body: Body, turns: np.ndarray) -> np.ndarray:
    """Joint rotations (..., L, 4), ball joints' brought inside nine tenths of their limits."""
    turns = turns.copy()
    for i, link in enumerate(body.links):
        if limit := link.joint_limit:
            turns[..., i, :] = joint_limits.clamped(turns[..., i, :], limit.scaled(0.9))
    return turns


def hold(world: PyBulletWorld, state: States, seconds: float) -> None:
    """Drive toward a state's pose, standing still."""
    (targets,), (velocities,) = controls(world, state)
    for _ in range(round(seconds * world.control_rate)):
        world.step(targets, velocities)


def controls(world: PyBulletWorld, state: States) -> tuple[list, list]:
    still = np.zeros((1, len(world.body.links), 3))
    return world.targets(state.rotations[None]), world.velocities(still)


def link_centres(body: Body, state: States) -> np.ndarray:
    positions, turns = body.forward(state.position, state.rotations)
    return positions + rotations.rotate(turns, np.array([link.centre for link in body.links]))


def lowest(state: States) -> float:
    positions, turns = BODY.forward(state.position, state.rotations)
    return float(BODY.lowest_points(positions[None], turns[None]).min())


def in_the_air() -> States:
    return standing_state(position=np.array([0.0, 0.0, 5.0]))
