# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is to follow: the reference per control step, the controls around it, and the cost.

A control step t drives the joints toward the reference at the step's end, time (t + 1) / rate,
turned by the step's offsets: three numbers (a rotation vector, joint frame) a spherical joint, one
a hinge. Past the clip's end the last pose is held.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ..core import rotations, truth
from ..core.body import Body
from ..core.motion import Motion
from ..core.rotations import Array
from .world import CONTROL_RATE, States

END_LINKS = ("head", "hand.R", "foot.R", "hand.L", "foot.L")


@dataclasses.dataclass(frozen=True)
class Weights:
    """Of the cost's terms; each term is a mean square over links or axes."""

    pose: float = 1.0  # rad^2, joints
    root: float = 2.0  # rad^2, root orientation
    ends: float = 10.0  # m^2, end links about the centre of mass
    centre: float = 20.0  # m^2, centre of mass
    velocity: float = 0.6  # (m/s)^2, its velocity
    spin: float = 0.03  # (rad/s)^2, root's angular velocity
    floor: float = 40.0  # m^2, depth of links that may not touch under FLOOR_MARGIN
    effort: float = 0.05  # rad^2, offsets


FLOOR_MARGIN = 0.02


class Track:
    """A reference sampled at the control rate, clip first, then its last pose held."""

    def __init__(self, body: Body, reference: Motion, hold: float | None = None, rate: float = CONTROL_RATE) -> None:
        self.body = body
        self.reference = reference
        self.rate = rate
        self.standing = truth.ends_standing(body, reference)
        self.hold = (truth.SETTLE_SECONDS if self.standing else 0.0) if hold is None else hold
        self.clip_steps = int(np.floor(reference.duration * rate + 1e-6))
        self.steps = self.clip_steps + int(round(self.hold * rate))
        times = np.arange(self.steps + 1) / rate
        position, turns = reference.sample(times)
        places, world = body.forward(position, turns)
        self.states = States(position, turns, *_velocities(body, reference, times, rate))
        self.places, self.world = places, world
        self.centre = body.centre_of_mass(places, world)
        self.centre_velocity = _centre_velocity(body, reference, times)
        self.allowed = truth.allowed_contacts(body, reference)
        self.columns = control_columns(body)
        self.width = sum(len(c) for c in self.columns.values())

    def targets(self, offsets: Array, first: int) -> Array:
        """PD targets (..., H, L, 4) of offsets (..., H, width) for steps from first on."""
        steps = np.minimum(np.arange(first, first + offsets.shape[-2]) + 1, self.steps)
        turns = np.broadcast_to(self.states.rotations[steps], offsets.shape[:-1] + self.states.rotations.shape[1:])
        turns = turns.copy()
        for link, columns in self.columns.items():
            vector = offsets[..., columns]
            if len(columns) == 1:
                vector = vector * np.array(self.body.links[link].axis)
            turns[..., link, :] = rotations.multiply(turns[..., link, :], rotations.from_rotation_vector(vector))
        return turns

    def velocities(self, first: int, count: int) -> Array:
        """Target joint velocities (count, L, 3) for steps from first on."""
        steps = np.minimum(np.arange(first, first + count) + 1, self.steps)
        return self.states.joint_velocity[steps]


def control_columns(body: Body) -> dict[int, np.ndarray]:
    """Which columns of an offset vector belong to which link."""
    columns: dict[int, np.ndarray] = {}
    start = 0
    for i, link in enumerate(body.links):
        width = {"spherical": 3, "hinge": 1}.get(link.joint, 0)
        if width:
            columns[i] = np.arange(start, start + width)
            start += width
    return columns


def _velocities(body: Body, reference: Motion, times: Array, rate: float) -> tuple[Array, Array, Array]:
    """Root velocity, root angular velocity and joint velocities of the reference at times.

    Central differences over one control step; zero past the clip's end.
    """
    half = 0.5 / rate
    before, before_turns = reference.sample(times - half)
    after, after_turns = reference.sample(times + half)
    # At the clip's ends sample() holds still: the difference spans only what is inside
    span = np.clip(times + half, 0, reference.duration) - np.clip(times - half, 0, reference.duration)
    span = np.where(times <= reference.duration + 1e-9, np.maximum(span, half), np.inf)
    velocity = (after - before) / span[:, None]
    turn = rotations.multiply(after_turns, rotations.conjugate(before_turns))
    spin = rotations.to_rotation_vector(turn) / span[:, None, None]
    # Joint velocities in the child's frame: the local rotation's own
    local = rotations.multiply(rotations.conjugate(before_turns), after_turns)
    joints = rotations.to_rotation_vector(local) / span[:, None, None]
    joints[:, 0] = 0.0
    return velocity, spin[:, 0], joints


def _centre_velocity(body: Body, reference: Motion, times: Array) -> Array:
    half = 1 / 60
    ends = [np.clip(times + sign * half, 0, reference.duration) for sign in (-1, 1)]
    centres = [body.centre_of_mass(*body.forward(*reference.sample(t))) for t in ends]
    span = np.where(times <= reference.duration + 1e-9, np.maximum(ends[1] - ends[0], half), np.inf)
    return (centres[1] - centres[0]) / span[:, None]


class Cost:
    """How far states are from a track, per state."""

    def __init__(self, track: Track, weights: Weights | None = None) -> None:
        self.track = track
        self.weights = weights or Weights()
        body = track.body
        self._joints = np.array(list(track.columns))
        self._ends = np.array([body.index(name) for name in END_LINKS if name in body.names])
        self._forbidden = np.flatnonzero(~track.allowed)

    def __call__(self, states: States, steps: np.ndarray, floor: float = 0.0) -> Array:
        """Cost (N,) of states that end control steps (N,) (state index steps + 1)."""
        track, w, body = self.track, self.weights, self.track.body
        goal = np.minimum(steps + 1, track.steps)
        places, world = body.forward(states.position, states.rotations)
        centre = body.centre_of_mass(places, world)
        aim = track.states
        pose = rotations.angle_between(states.rotations[:, self._joints], aim.rotations[goal][:, self._joints])
        root = rotations.angle_between(states.rotations[:, 0], aim.rotations[goal][:, 0])
        ends = (places[:, self._ends] - centre[:, None]) - (
            track.places[goal][:, self._ends] - track.centre[goal][:, None]
        )
        cost = w.pose * np.mean(pose**2, axis=1) + w.root * root**2
        cost += w.ends * np.mean(np.sum(ends**2, axis=-1), axis=1)
        cost += w.centre * np.sum((centre - track.centre[goal] - [0, 0, floor]) ** 2, axis=-1)
        velocity = centre_velocity(body, states, places, world)
        cost += w.velocity * np.sum((velocity - track.centre_velocity[goal]) ** 2, axis=-1)
        cost += w.spin * np.sum((states.angular_velocity - aim.angular_velocity[goal]) ** 2, axis=-1)
        if len(self._forbidden):
            lows = body.lowest_points(places, world)[:, self._forbidden] - floor
            depth = np.clip(FLOOR_MARGIN - lows, 0, 0.2)
            cost += w.floor * np.sum(depth**2, axis=1) / FLOOR_MARGIN
        return cost


def centre_velocity(body: Body, states: States, places: Array, world: Array) -> Array:
    """Velocity (N, 3) of the centre of mass."""
    count = len(body.links)
    linear, angular = [states.velocity], [states.angular_velocity]
    for i in range(1, count):
        parent = body.links[i].parent
        linear.append(linear[parent] + np.cross(angular[parent], places[:, i] - places[:, parent]))
        angular.append(angular[parent] + rotations.rotate(world[:, i], states.joint_velocity[:, i]))
    masses = np.array([link.mass for link in body.links])
    arms = rotations.rotate(world, np.array([link.centre for link in body.links]))
    velocities = np.stack(linear, axis=1) + np.cross(np.stack(angular, axis=1), arms)
    return np.einsum("l,nlk->nk", masses / masses.sum(), velocities)
