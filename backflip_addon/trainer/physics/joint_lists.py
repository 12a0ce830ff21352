# SPDX-License-Identifier: GPL-3.0-or-later
"""How PyBullet lays a body's joints out: (x, y, z, w) quaternions and single angles, in lists."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from ...core import joint_limits, rotations
from ...core.arrays import Array
from ...core.body import Body
from .state import States

JointLists: TypeAlias = list[list[float]]  # of one pose: [x, y, z, w], [x, y, z] or [angle] a moving joint


class JointLayout:
    """Where each joint's numbers stand in PyBullet's lists."""

    def __init__(self, body: Body) -> None:
        self.count = len(body.links)
        self.spherical = np.array([i for i, link in enumerate(body.links) if link.joint == "spherical"])
        self.hinges = np.array([i for i, link in enumerate(body.links) if link.joint == "hinge"])
        self.axes = np.array([body.links[i].axis for i in self.hinges]).reshape(-1, 3)
        self.order = sorted([*self.spherical, *self.hinges])
        column, self.position_columns, self.velocity_columns = 13, {}, {}
        for i in self.order:
            width = (4, 3) if i in self.spherical else (1, 1)
            self.position_columns[i] = np.arange(column, column + width[0])
            self.velocity_columns[i] = np.arange(column + width[0], column + sum(width))
            column += sum(width)
        self.hinge_slots = [self.order.index(i) for i in self.hinges]
        limits = {i: limit for i in self.spherical if (limit := body.links[i].joint_limit)}
        self.limited, self.limits = np.array(list(limits), dtype=int), joint_limits.JointLimits([*limits.values()])

    def within_limits(self, orientations: Array) -> Array:
        """Joint rotations of N poses (N, L, 4), those of ball joints brought inside their limits."""
        bounded = orientations.copy()
        bounded[:, self.limited] = joint_limits.clamped(orientations[:, self.limited], self.limits)
        return bounded

    def rotations(self, orientations: Array) -> list[JointLists]:
        """Joint rotations of N poses (N, L, 4) as PyBullet takes them, (x, y, z, w) or [angle]; a ball joint's is seen
        from the middle of its range."""
        seen = orientations.copy()
        back = rotations.conjugate(self.limits.frame)
        seen[:, self.limited] = rotations.multiply(back, orientations[:, self.limited])
        quaternions: list[JointLists] = seen[:, self.order][..., [1, 2, 3, 0]].tolist()
        angles = rotations.twist_angle(orientations[:, self.hinges], self.axes).tolist()
        for pose, hinges in zip(quaternions, angles, strict=True):
            for slot, angle in zip(self.hinge_slots, hinges, strict=True):
                pose[slot] = [angle]
        return quaternions

    def velocities(self, velocities: Array) -> list[JointLists]:
        """Joint velocities (N, L, 3), rad/s, as PyBullet takes them."""
        vectors: list[JointLists] = velocities[:, self.order].tolist()
        rates = np.sum(velocities[:, self.hinges] * self.axes, axis=-1).tolist()
        for pose, hinges in zip(vectors, rates, strict=True):
            for slot, rate in zip(self.hinge_slots, hinges, strict=True):
                pose[slot] = [rate]
        return vectors

    def states(self, numbers: Array, root_centre: Array) -> States:
        """States of flat readings (N, n); root_centre (3,): the root's centre of mass in its own frame, m."""
        count = len(numbers)
        orientations = np.broadcast_to(rotations.IDENTITY, (count, self.count, 4)).copy()
        joint_velocities = np.zeros((count, self.count, 3))
        orientations[:, 0] = numbers[:, [6, 3, 4, 5]]
        for i in self.spherical:
            orientations[:, i] = numbers[:, self.position_columns[i][[3, 0, 1, 2]]]
            joint_velocities[:, i] = numbers[:, self.velocity_columns[i]]
        for i, axis in zip(self.hinges, self.axes, strict=True):
            orientations[:, i] = rotations.from_axis_angle(axis, numbers[:, self.position_columns[i][0]])
            joint_velocities[:, i] = numbers[:, self.velocity_columns[i]] * axis
        orientations[:, self.limited] = rotations.multiply(self.limits.frame, orientations[:, self.limited])
        arm = rotations.rotate(orientations[:, 0], root_centre)
        velocity = numbers[:, 7:10] - np.cross(numbers[:, 10:13], arm)
        return States(numbers[:, 0:3] - arm, orientations, velocity, numbers[:, 10:13], joint_velocities)
