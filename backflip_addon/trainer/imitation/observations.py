# SPDX-License-Identifier: GPL-3.0-or-later
"""What a policy observes: how far the body is off its goals, and where in the clip it is."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ...core import rotations
from ...core.arrays import Array, Float32Array, IntArray
from ...core.body import FEET, Body
from ..physics.state import States
from .kinematics import feet_middle, imbalance, momenta, tucked_inertia
from .target_trajectory import TargetTrajectory


@dataclasses.dataclass(frozen=True)
class Figures:
    """What is computed of N states once and used by observation, reward and termination.

    positions (N, L, 3), world (N, L, 4): link frames. centre, velocity, momentum (N, 3): of the
    centre of mass; momentum about it, kg m^2/s.
    """

    states: States
    positions: Array
    world: Array
    centre: Array
    velocity: Array
    momentum: Array

    @staticmethod
    def of(body: Body, states: States) -> Figures:
        """Of states (N,)."""
        positions, world = body.forward(states.position, states.rotations)
        centre = body.centre_of_mass(positions, world)
        return Figures(states, positions, world, centre, *momenta(body, states, positions, world))

    def __getitem__(self, index: Any) -> Figures:
        return Figures(*(getattr(self, field.name)[index] for field in dataclasses.fields(self)))

    def put(self, index: IntArray, others: Figures) -> None:
        """Write other figures over those at index, in place."""
        for field in dataclasses.fields(States):
            getattr(self.states, field.name)[index] = getattr(others.states, field.name)
        for name in ("positions", "world", "centre", "velocity", "momentum"):
            getattr(self, name)[index] = getattr(others, name)

    def moved(self, way: Array) -> Figures:
        """The same, elsewhere by way (N, 3)."""
        states = dataclasses.replace(self.states, position=self.states.position + way)
        return dataclasses.replace(
            self, states=states, positions=self.positions + way[:, None], centre=self.centre + way
        )


def parts(joints: int) -> dict[str, int]:
    """What Observations give and in which order: names and widths. joints: numbers of all joints.

    Where the centre of mass is above the feet matters more than where it is in the world: once landed a body does not
    observe how far off it is. Its height above a floor that may be higher or lower than it looks is left out, too.
    """
    position = {"horizontal_error": 2, "support": 3, "tilt": 3, "joints": joints}
    return {**position, "velocity": 3, "momentum": 3, "spin": 3, "joint_spin": joints}


class Observations:
    """What the policy observes of N states: how far the body is off its goal, and what the goal is.

    The goal being known from the phase, the difference says all; a network of differences starts
    out as a feedback controller. Everything is in the clip's own frame.
    """

    def __init__(self, body: Body, trajectory: TargetTrajectory) -> None:
        self.body = body
        self.trajectory = trajectory
        self.goals = Figures.of(body, trajectory.states)
        self.landed = trajectory.landed
        self.joints = np.array([i for i, link in enumerate(body.links) if link.joint == "spherical"])
        self.hinges = np.array([i for i, link in enumerate(body.links) if link.joint == "hinge"])
        self.axes = np.array([body.links[i].axis for i in self.hinges])
        self.phases = _phases(trajectory.steps)
        self.feet = np.array([body.index(name) for name in FEET])
        self._inertia = tucked_inertia(body)
        self.parts = parts(3 * len(self.joints) + len(self.hinges))
        self.width = sum(self.parts.values())

    def __call__(self, now: Figures, steps: IntArray) -> Array:
        """Differences (N, width) from the goals at control-step boundaries steps (N,), in the
        order of parts()."""
        goal = self.goals[steps]
        a, b = now.states, goal.states
        orientations = rotations.to_rotation_vector(rotations.multiply(rotations.conjugate(b.rotations), a.rotations))
        root = rotations.multiply(a.rotations[:, 0], rotations.conjugate(b.rotations[:, 0]))
        together = [
            (now.centre - goal.centre)[:, :2] * (steps < self.landed)[:, None],
            self.support(now) - self.support(goal),
            rotations.to_rotation_vector(root),
            self._columns(orientations),
            now.velocity - goal.velocity,
            (now.momentum - goal.momentum) / self._inertia,
            a.angular_velocity - b.angular_velocity,
            self._columns(a.joint_velocity - b.joint_velocity),
        ]
        return np.concatenate(together, axis=1)

    def support(self, now: Figures) -> Array:
        """The centre of mass (N, 3) from the middle of the two feet."""
        return now.centre - self.feet_middle(now)

    def feet_middle(self, now: Figures) -> Array:
        """The middle (N, 3) of the two feet, world."""
        return feet_middle(self.body, now.positions, now.world)

    def imbalance(self, now: Figures) -> Array:
        """Squared level distance (N,), m^2, of the capture point from the feet's middle."""
        return imbalance(self.support(now), now.velocity)

    def _columns(self, vectors: Array) -> Array:
        """Joint vectors (N, L, 3) as (N, width): three a spherical joint, one a hinge."""
        balls = vectors[:, self.joints].reshape(len(vectors), -1)
        return np.concatenate([balls, np.sum(vectors[:, self.hinges] * self.axes, axis=-1)], axis=1)


PHASE_STEPS = 3  # control steps between the bumps that tell a network where in the clip it is


def _phases(steps: int) -> Float32Array:
    """Bumps (steps + 1, n) along the clip: 1 at their own step, falling off to both sides."""
    centres = np.arange(0, steps + PHASE_STEPS, PHASE_STEPS)
    positions = np.arange(steps + 1)
    bumps: Float32Array = np.exp(-0.5 * ((positions[:, None] - centres) / PHASE_STEPS) ** 2).astype(np.float32)
    return bumps
