# SPDX-License-Identifier: GPL-3.0-or-later
"""What planning minimises, in numpy: what the compiled cost is held against."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from backflip_addon.core import rotations
from backflip_addon.core.arrays import AnyArray, Array, IntArray
from backflip_addon.trainer.imitation.cost import (
    FIRM,
    FLOOR_MARGIN,
    HARD,
    HOVER_MARGIN,
    LARGE_COST,
    PRESSES,
    Weights,
)
from backflip_addon.trainer.imitation.kinematics import feet_middle, imbalance, momenta, tucked_inertia, verticals
from backflip_addon.trainer.imitation.reference_track import END_LINKS, Track
from backflip_addon.trainer.physics.state import States


class Footwork(NamedTuple):
    """What the feet (N, 2) did on the floor in a control step: load, body weights; slid, m, while they touched."""

    load: AnyArray
    slid: AnyArray


class Cost:
    """How far states are from a track, per state.

    anywhere: what has landed is compared where it stands, not where it should have come down.
    """

    def __init__(self, track: Track, weights: Weights | None = None, anywhere: bool = False) -> None:
        self.track = track
        self.anywhere = anywhere
        self.weights = weights or Weights()
        body = track.body
        self._joints = np.array(list(track.layout.columns))
        self._ends = np.array([body.index(name) for name in END_LINKS if name in body.names])
        self._inertia = tucked_inertia(body)
        self._forbidden = np.flatnonzero(~track.allowed)

    def __call__(self, states: States, steps: IntArray, floor: float = 0.0, footwork: Footwork | None = None) -> Array:
        """Cost (N,) of states that end control steps (N,) (state index steps + 1), and of the footwork in them."""
        track, w, body = self.track, self.weights, self.track.body
        goal = np.minimum(steps + 1, track.steps)
        positions, world = body.forward(states.position, states.rotations)
        centre = body.centre_of_mass(positions, world)
        goal_states = track.states
        pose = rotations.angle_between(states.rotations[:, self._joints], goal_states.rotations[goal][:, self._joints])
        root = rotations.angle_between(states.rotations[:, 0], goal_states.rotations[goal][:, 0])
        ends = (positions[:, self._ends] - centre[:, None]) - (
            track.positions[goal][:, self._ends] - track.centre[goal][:, None]
        )
        trust = track.trust[goal]
        off = rotations.multiply(states.rotations[:, 0], rotations.conjugate(goal_states.rotations[goal][:, 0]))
        cost = w.pose * np.mean(trust[:, self._joints] * pose**2, axis=1) + w.root * root**2
        cost += w.heading * (2 * off[:, 3]) ** 2
        cost += w.ends * np.mean(trust[:, self._ends] * np.sum(ends**2, axis=-1), axis=1)
        away = centre - track.centre[goal] - [0, 0, floor]
        if self.anywhere:
            landing_offset = feet_middle(body, positions, world) - feet_middle(
                body, track.positions[goal], track.world[goal]
            )
            away[:, :2] -= landing_offset[:, :2] * (goal >= track.landed)[:, None]
        cost += w.centre * np.sum(away**2, axis=-1)
        velocity, momentum = momenta(body, states, positions, world)
        cost += w.velocity * np.sum((velocity - track.centre_velocity[goal]) ** 2, axis=-1)
        cost += w.momentum * np.sum(((momentum - track.momentum[goal]) / self._inertia) ** 2, axis=-1)
        cost += w.rates * self._joint_speeds(states.joint_velocity - goal_states.joint_velocity[goal])
        if track.standing:
            stands = goal >= track.clip_steps
            cost += w.calm * stands * self._joint_speeds(states.joint_velocity)
            cost += w.still * stands * np.sum(velocity**2, axis=-1)
        cost += w.spin * np.sum((states.angular_velocity - goal_states.angular_velocity[goal]) ** 2, axis=-1)
        lows = body.lowest_points(positions, world) - floor
        hovering = np.clip(lows[:, track.feet] / HOVER_MARGIN, 0, 1) ** 2
        tilted = verticals(world[:, track.feet]) - verticals(track.world[goal][:, track.feet])
        tilts = np.sum(tilted**2, axis=-1)
        cost += np.sum((w.contact * hovering + w.sole * tilts) * track.resting[goal], axis=1)
        cost += w.floor * np.sum(np.clip(1 - lows[:, self._forbidden] / FLOOR_MARGIN, 0, 1), axis=1)
        cost += (
            w.balance
            * (goal >= track.landed)
            * imbalance(centre - feet_middle(body, positions, world), velocity, track.leaning[goal])
        )
        if footwork is not None:
            cost += self._of_footwork(footwork, goal)
        bounded: Array = LARGE_COST * np.log1p(cost / LARGE_COST)
        return bounded

    def _of_footwork(self, feet: Footwork, goal: IntArray) -> Array:
        """Cost (N,) of footwork in the control steps that end at boundaries (N,)."""
        w, resting = self.weights, self.track.resting
        rests = resting[goal] & resting[np.maximum(goal - 1, 0)]
        hard = np.maximum(feet.load.sum(axis=1) - HARD, 0.0)
        planted = w.planted if self.track.flies else w.stepping
        cost: Array = planted * np.sum((1 - np.minimum(feet.load / PRESSES, 1.0)) * rests, axis=1)
        cost += w.aloft * (1 - np.minimum(feet.load.sum(axis=1) / FIRM, 1.0)) * rests.any(axis=1)
        cost += w.slide * feet.slid.sum(axis=1) + w.impact * hard**2
        return cost

    def _joint_speeds(self, velocities: Array) -> Array:
        """Mean square (N,) over the joints' degrees of freedom of velocities (N, L, 3)."""
        squares: Array = np.sum(velocities[:, self._joints] ** 2, axis=(1, 2)) / self.track.layout.width
        return squares
