# SPDX-License-Identifier: GPL-3.0-or-later
"""DeepMimic's reward."""

from __future__ import annotations

import numpy as np

from ...core import rotations
from ...core.arrays import Array
from ...core.body import Body
from .observations import Figures
from .reference_track import END_LINKS

# DeepMimic's weights of the joints (and the root) in the pose and velocity terms, by part
LINK_WEIGHTS = {
    "pelvis": 0.20833,
    "chest": 0.10416,
    "head": 0.0625,
    "thigh": 0.10416,
    "shin": 0.0625,
    "foot": 0.0416,
    "upper_arm": 0.0625,
    "forearm": 0.0416,
}
# Of pose, velocity, end links, root, centre of mass; these and the factors: Peng et al. 2018, section 5, and its
# published code, from which the root's term comes
TERM_WEIGHTS = np.array([0.5, 0.05, 0.15, 0.2, 0.1])
# What a term's squared error is multiplied by: of pose, rad^2, velocity, (rad/s)^2, end links, m^2, root, m^2, centre
# of mass, (m/s)^2
POSE_FACTOR, SPEED_FACTOR, ENDS_FACTOR, ROOT_FACTOR, CENTRE_FACTOR = 2.0, 0.1, 40.0, 5.0, 1.0
# In the root's term, of rad^2, (m/s)^2 and (rad/s)^2 against its position's m^2
ROOT_TURN, ROOT_SPEED, ROOT_SPIN = 0.1, 0.01, 0.001


class Imitation:
    """DeepMimic's reward (Peng et al. 2018) with the weights of its published code, in [0, 1]."""

    def __init__(self, body: Body) -> None:
        weights = np.array([LINK_WEIGHTS.get(name.partition(".")[0], 0.0) for name in body.names])
        self.weights = weights / weights.sum()
        self.ends = np.array([body.index(name) for name in END_LINKS])

    def terms(self, now: Figures, goal: Figures) -> Array:
        """The five terms (N, 5), each 1 where now equals goal."""
        a, b = now.states, goal.states
        angles = rotations.angle_between(a.rotations, b.rotations) ** 2
        joint_velocity = np.sum((a.joint_velocity - b.joint_velocity) ** 2, axis=-1)
        root_angular = np.sum((a.angular_velocity - b.angular_velocity) ** 2, axis=-1)
        joint_velocity[:, 0] = root_angular
        ends = np.sum((now.positions[:, self.ends] - goal.positions[:, self.ends]) ** 2, axis=-1).mean(axis=1)
        position = np.sum((a.position - b.position) ** 2, axis=-1)
        velocity = np.sum((a.velocity - b.velocity) ** 2, axis=-1)
        root = position + ROOT_TURN * angles[:, 0] + ROOT_SPEED * velocity + ROOT_SPIN * root_angular
        centre = np.sum((now.velocity - goal.velocity) ** 2, axis=-1)
        pose, speed = POSE_FACTOR * angles @ self.weights, SPEED_FACTOR * joint_velocity @ self.weights
        errors = [pose, speed, ENDS_FACTOR * ends, ROOT_FACTOR * root, CENTRE_FACTOR * centre]
        terms: Array = np.exp(-np.stack(errors, axis=1))
        return terms

    def __call__(self, now: Figures, goal: Figures) -> Array:
        """Reward (N,)."""
        reward: Array = self.terms(now, goal) @ (TERM_WEIGHTS / TERM_WEIGHTS.sum())
        return reward
