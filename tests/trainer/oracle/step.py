# SPDX-License-Identifier: GPL-3.0-or-later
"""Many bodies on many floors, stepped at once in numpy and torch: an oracle for the compiled step.

Written another way than it: all N bodies take a substep together, impulses act through the matrix of responses, and
rows have Bullet's own order. From the same state it takes the step that PyBulletWorld takes, to rounding where the
order of contacts is the same. It knows neither limits of ball joints nor contacts between parts, nor does a joint's
torque fall with its speed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from backflip_addon.core import rotations
from backflip_addon.core.arrays import Array, BoolArray, IntArray
from backflip_addon.core.body import Body
from backflip_addon.trainer.physics.simulator import CONTROL_RATE, JOINT_SPEED, SOLVER_ITERATIONS, SUBSTEPS, TOUCHING
from backflip_addon.trainer.physics.state import Scene, States

from .articulation import Pose, Tree
from .batch_math import Batch, multiply, quaternions
from .constraints import ContactPoints, Servo
from .solver import Solver


class BatchedSimulator:
    """count bodies, each in a scene of its own. may_touch (L,): links whose contacts are solved;
    the others only report that they touch."""

    def __init__(
        self,
        body: Body,
        count: int,
        may_touch: BoolArray,
        control_rate: float = CONTROL_RATE,
        substeps: int = SUBSTEPS,
        iterations: int = SOLVER_ITERATIONS,
    ) -> None:
        self.body, self.count = body, count
        self.control_rate, self.substeps = control_rate, substeps
        self.seconds = 1.0 / (control_rate * substeps)
        self.tree = tree = Tree(body)
        self.points = ContactPoints(body, may_touch)
        self._servo = Servo(body, tree, self.seconds)
        self._solver = Solver(body, tree, self.points, count, iterations)
        self._position = np.zeros((3, count), np.float32)  # of the root's centre of mass
        self._rotations = np.zeros((tree.links, 4, count), np.float32)  # local; the root's is the world's
        self._rotations[:, 0] = 1.0
        self._angles = np.zeros((len(tree.hinges), count), np.float32)
        self._speeds = np.zeros((tree.freedoms, count), np.float32)
        self._friction = np.zeros(count, np.float32)
        self._floor = np.zeros(count, np.float32)
        self._mass = np.ones(count, np.float32)
        self._targets = self._rotations.copy()
        self._target_rates = np.zeros_like(self._angles)
        self._known_pose: Pose | None = None
        self._known_touching: BoolArray | None = None
        for index in range(count):
            self.set_scene(index, Scene())

    def set_scene(self, index: int, scene: Scene) -> None:
        """Change one body's circumstances."""
        self._friction[index], self._floor[index], self._mass[index] = scene.friction, scene.floor, scene.mass

    def reset(self, which: IntArray, states: States) -> None:
        """Place the bodies at indices which (K,) in K states."""
        tree = self.tree
        arm = rotations.rotate(states.rotations[:, 0], np.array(self.body.links[0].centre))
        self._position[:, which] = (states.position + arm).T
        self._speeds[0:3, which] = states.angular_velocity.T
        self._speeds[3:6, which] = (states.velocity + np.cross(states.angular_velocity, arm)).T
        self._rotations[:, :, which] = states.rotations.transpose(1, 2, 0)
        for link, freedoms in zip(tree.balls, tree.ball_freedoms, strict=True):
            self._speeds[freedoms[:, None], which] = states.joint_velocity[:, link].T
        for k, (link, freedom) in enumerate(zip(tree.hinges, tree.hinge_freedoms, strict=True)):
            axis = tree.hinge_axes[k]
            self._speeds[freedom, which] = states.joint_velocity[:, link] @ axis
            self._angles[k, which] = rotations.twist_angle(states.rotations[:, link], axis)
        self._set_hinge_rotations()
        self._known_pose = self._known_touching = None

    def set_targets(self, targets: Array, velocities: Array) -> None:
        """Joint targets (N, L, 4) and target velocities (N, L, 3) until the next call.

        As in PyBullet a ball joint's servo has no use for a target velocity, and a hinge's target
        ends at the hinge's limits.
        """
        tree = self.tree
        self._targets = np.ascontiguousarray(targets.transpose(1, 2, 0), dtype=np.float32)
        self._target_rates = np.einsum("nhk,hk->hn", velocities[:, tree.hinges], tree.hinge_axes).astype(np.float32)

    def push(self, index: int, velocity: Array, angular_velocity: Array) -> None:
        """Kick one root: add velocities, m/s and rad/s, world frame."""
        self._speeds[0:3, index] += angular_velocity
        self._speeds[3:6, index] += velocity

    def step(self, active: BoolArray | None = None) -> BoolArray:
        """One control step of all bodies. Returns (N, L): links that touched the floor at any time in it.

        active is there for PyBulletBatch's sake: to step them all is as quick.
        """
        touched = np.zeros((self.count, self.tree.links), dtype=bool)
        for _ in range(self.substeps):
            touched |= self._substep()
        return touched

    def contacts(self) -> BoolArray:
        """Whether each link (N, L) touched the floor when the last substep began, as PyBullet tells it."""
        if self._known_touching is None:
            self._known_touching = self._touching()
        return self._known_touching

    def states(self, which: IntArray | None = None) -> States:
        """The present states of all bodies, or of those at indices which."""
        tree = self.tree
        chosen: Any = slice(None) if which is None else which
        speeds = self._speeds[:, chosen].astype(float)
        orientations = self._rotations[:, :, chosen].transpose(2, 0, 1).astype(float)
        arm = rotations.rotate(orientations[:, 0], np.array(self.body.links[0].centre))
        joints = np.zeros((len(orientations), tree.links, 3))
        joints[:, tree.balls] = speeds[tree.ball_freedoms].transpose(2, 0, 1)
        joints[:, tree.hinges] = speeds[tree.hinge_freedoms].T[:, :, None] * tree.hinge_axes
        angular = speeds[0:3].T
        position = self._position[:, chosen].T - arm
        return States(position, orientations, speeds[3:6].T - np.cross(angular, arm), angular, joints)

    @property
    def _pose(self) -> Pose:
        if self._known_pose is None:
            self._known_pose = self.tree.pose(self._rotations)
        return self._known_pose

    def _substep(self) -> BoolArray:
        """One physics step. Returns (N, L): links that touched the floor at its start."""
        tree, seconds = self.tree, np.float32(self.seconds)
        pose = self._pose
        touching = self._known_touching = self._touching()
        motion = tree.motion(pose, self._speeds)
        target_speeds = self._servo.target_speeds(self._rotations, self._angles, self._targets, self._target_rates)
        self._speeds = self._solver.solve(
            pose, motion, self._speeds, target_speeds, self._angles, self._gaps(), self._friction, self._mass, seconds
        )
        np.clip(self._speeds, -JOINT_SPEED, JOINT_SPEED, out=self._speeds)
        self._integrate(seconds)
        return touching

    def _integrate(self, seconds: np.float32) -> None:
        """Positions by the new speeds (semi-implicit Euler)."""
        tree, speeds, orientations = self.tree, self._speeds, self._rotations
        self._position += seconds * speeds[3:6]
        orientations[0] = multiply(quaternions(speeds[0:3] * seconds), orientations[0])
        orientations[tree.balls] = multiply(orientations[tree.balls], quaternions(speeds[tree.ball_freedoms] * seconds))
        self._angles += seconds * speeds[tree.hinge_freedoms]
        self._set_hinge_rotations()
        orientations /= np.sqrt((orientations * orientations).sum(axis=1, keepdims=True))
        self._known_pose = None

    def _set_hinge_rotations(self) -> None:
        half = 0.5 * self._angles
        self._rotations[self.tree.hinges, 0] = np.cos(half)
        self._rotations[self.tree.hinges, 1:] = np.sin(half)[:, None] * self.tree.hinge_axes[:, :, None]

    def close(self) -> None:
        """Nothing to give back; a PyBulletBatch has."""

    def _gaps(self) -> Batch:
        """Heights (P, N) above the floor of the points that contacts are solved for."""
        return self._heights(self.points.solved)

    def _heights(self, which: Any) -> Batch:
        points, pose = self.points, self._pose
        links, positions = points.links[which], points.positions[which]
        up = pose.orientations[links, 2]
        height = up[:, 0] * positions[:, :1] + up[:, 1] * positions[:, 1:2] + up[:, 2] * positions[:, 2:]
        height += pose.origins[links, 2]
        heights: Batch = height + (self._position[2] - self._floor) - points.radii[which, None]
        return heights

    def _touching(self) -> BoolArray:
        """Links (N, L) within TOUCHING of the floor."""
        points = self.points
        result = np.zeros((self.count, self.tree.links), dtype=bool)
        low = self._heights(slice(None)) < TOUCHING
        result[:, points.links[points.first]] = np.logical_or.reduceat(low, points.first, axis=0).T
        return result
