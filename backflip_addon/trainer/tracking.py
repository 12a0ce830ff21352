# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is to follow: the reference per control step, the controls around it, and the cost.

A control step t drives the joints toward the reference at the step's end, time (t + 1) / rate,
turned by the step's offsets: three numbers (a rotation vector, joint frame) a spherical joint, one
a hinge. Past the clip's end the last pose is held. What is followed is the reference made feasible
(core.feasible): its flights obey the laws of motion, and take-off aims at the momentum they need.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ..core import feasible, rotations, truth
from ..core.body import Body
from ..core.motion import Motion
from ..core.rotations import Array
from .world import CONTROL_RATE, GRAVITY, States

END_LINKS = ("head", "hand.R", "foot.R", "hand.L", "foot.L")


@dataclasses.dataclass(frozen=True)
class Weights:
    """Of the cost's terms; each term is a mean square over links or axes."""

    pose: float = 1.0  # rad^2, joints
    root: float = 2.0  # rad^2, root orientation
    ends: float = 10.0  # m^2, end links about the centre of mass
    centre: float = 20.0  # m^2, centre of mass
    velocity: float = 2.0  # (m/s)^2, its velocity: half a second later it is a place
    spin: float = 0.03  # (rad/s)^2, root's angular velocity
    momentum: float = 0.3  # (rad/s)^2, angular momentum over the tucked body's moment of inertia
    contact: float = 1.0  # a foot off the floor by CONTACT_MARGIN or more where the goal's rests
    balance: float = 10.0  # m^2, after the last touchdown: where the body would come to rest, off the feet's middle
    floor: float = 1.0  # a link that may not touch, FLOOR_MARGIN deep or more
    effort: float = 0.05  # rad^2, offsets


BUILD_UP = 0.2  # s before take-off over which a flight's momentum is built up
CONTACT_MARGIN = 0.04  # m
FLOOR_MARGIN = 0.04  # m: forbidden links are kept so far off the floor
LARGE_COST = 4.0  # beyond it a step's cost grows by its logarithm: a fall is a fall


class Track:
    """A reference sampled at the control rate, clip first, then its last pose held."""

    def __init__(self, body: Body, reference: Motion, hold: float | None = None, rate: float = CONTROL_RATE) -> None:
        self.body = body
        self.reference = reference
        self.rate = rate
        self.standing = truth.ends_standing(body, reference)
        self.hold = (truth.SETTLE_SECONDS if self.standing else 0.0) if hold is None else hold
        self.clip_steps = int(np.floor(reference.duration * rate + 1e-6))
        self.steps = int(np.ceil((reference.duration + self.hold) * rate - 1e-6))
        goal, flights = feasible.feasible(body, reference)
        times = np.arange(self.steps + 1) / rate
        self.states = states_of(goal, times, rate)
        places, world = body.forward(self.states.position, self.states.rotations)
        self.places, self.world = places, world
        self.centre = body.centre_of_mass(places, world)
        self.centre_velocity, self.momentum = momenta(body, self.states, places, world)
        for flight in flights:
            self._build_up(flight, times)
        self.feet = np.array([body.index(name) for name in truth.FEET])
        lows = body.lowest_points(places, world)[:, self.feet]
        self.resting = lows < truth.SKATE_HEIGHT
        self.landed = self._last_touchdown() if self.standing else self.steps + 1
        self.allowed = truth.allowed_contacts(body, reference)
        self.columns = control_columns(body)
        self.width = sum(len(c) for c in self.columns.values())

    def _last_touchdown(self) -> int:
        """The step from which on a foot rests to the end; the clip's end where none ever leaves the floor."""
        airborne = np.flatnonzero(~self.resting.any(axis=1))
        return int(airborne[-1]) + 1 if len(airborne) else self.clip_steps

    def _build_up(self, flight: feasible.Flight, times: Array) -> None:
        """Aim at the momentum that a flight needs: hold it in the air, build it up before."""
        air = (times >= flight.start) & (times <= flight.end)
        self.momentum[air] = flight.momentum
        self.centre_velocity[air] = flight.velocity + (times[air] - flight.start)[:, None] * [0, 0, -GRAVITY]
        share = np.clip(1 - (flight.start - times) / BUILD_UP, 0, 1)[:, None] * (times < flight.start)[:, None]
        takeoff = int(np.flatnonzero(air)[0])
        self.momentum += share * (flight.momentum - flight.momentum_before)
        self.centre_velocity += share * (flight.velocity - self.centre_velocity[max(takeoff - 1, 0)])

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


def states_of(motion: Motion, times: Array, rate: float) -> States:
    """A motion's states at times, velocities read off its poses over one step of rate."""
    return States(*motion.sample(times), *_velocities(motion, times, rate))


def _velocities(reference: Motion, times: Array, rate: float) -> tuple[Array, Array, Array]:
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


class Cost:
    """How far states are from a track, per state.

    anywhere: what has landed is compared where it stands, not where it should have come down.
    """

    def __init__(self, track: Track, weights: Weights | None = None, anywhere: bool = False) -> None:
        self.track = track
        self.anywhere = anywhere
        self.weights = weights or Weights()
        body = track.body
        self._joints = np.array(list(track.columns))
        self._ends = np.array([body.index(name) for name in END_LINKS if name in body.names])
        self._inertia = tucked_inertia(body)
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
        away = centre - track.centre[goal] - [0, 0, floor]
        if self.anywhere:
            stray = feet_middle(body, places, world) - feet_middle(body, track.places[goal], track.world[goal])
            away[:, :2] -= stray[:, :2] * (goal >= track.landed)[:, None]
        cost += w.centre * np.sum(away**2, axis=-1)
        velocity, momentum = momenta(body, states, places, world)
        cost += w.velocity * np.sum((velocity - track.centre_velocity[goal]) ** 2, axis=-1)
        cost += w.momentum * np.sum(((momentum - track.momentum[goal]) / self._inertia) ** 2, axis=-1)
        cost += w.spin * np.sum((states.angular_velocity - aim.angular_velocity[goal]) ** 2, axis=-1)
        lows = body.lowest_points(places, world) - floor
        hovering = np.clip(lows[:, track.feet] / CONTACT_MARGIN, 0, 1) ** 2
        cost += w.contact * np.sum(hovering * track.resting[goal], axis=1)
        cost += w.floor * np.sum(np.clip(1 - lows[:, self._forbidden] / FLOOR_MARGIN, 0, 1), axis=1)
        cost += w.balance * (goal >= track.landed) * imbalance(centre - feet_middle(body, places, world), velocity)
        return LARGE_COST * np.log1p(cost / LARGE_COST)


def feet_middle(body: Body, places: Array, world: Array) -> Array:
    """The middle (N, 3) of the two feet."""
    feet = [body.index(name) for name in truth.FEET]
    soles = np.array([body.links[i].centre for i in feet])
    return (places[:, feet] + rotations.rotate(world[:, feet], soles)).mean(axis=1)


def imbalance(arm: Array, velocity: Array) -> Array:
    """Squared level distance (N,), m^2, of the capture point (Pratt et al. 2006) from the feet's middle.

    arm (N, 3): the centre of mass from there, m; velocity (N, 3): of it, m/s.
    """
    point = arm[:, :2] + velocity[:, :2] * np.sqrt(np.maximum(arm[:, 2:], 0.1) / GRAVITY)
    return np.sum(point**2, axis=1)


def momenta(body: Body, states: States, places: Array, world: Array) -> tuple[Array, Array]:
    """Velocity (N, 3) of the centre of mass, m/s, and angular momentum (N, 3) about it, kg m^2/s."""
    parents = [max(parent, 0) for parent in body.parents]
    spins = rotations.rotate(world, states.joint_velocity)
    spins[:, 0] = states.angular_velocity
    for i, parent in enumerate(body.parents[1:], start=1):
        spins[:, i] += spins[:, parent]
    linear = rotations.cross(spins[:, parents], places - places[:, parents])
    linear[:, 0] = states.velocity
    for i, parent in enumerate(body.parents[1:], start=1):
        linear[:, i] += linear[:, parent]
    masses = np.array([link.mass for link in body.links])
    arms = rotations.rotate(world, np.array([link.centre for link in body.links]))
    velocities = linear + rotations.cross(spins, arms)
    shares = masses / masses.sum()
    centre = np.einsum("l,nlk->nk", shares, places + arms)
    velocity = np.einsum("l,nlk->nk", shares, velocities)
    inertia = np.array([link.inertia for link in body.links])
    own = rotations.rotate(world, inertia * rotations.rotate(rotations.conjugate(world), spins))
    orbital = rotations.cross(places + arms - centre[:, None], masses[:, None] * (velocities - velocity[:, None]))
    return velocity, (own + orbital).sum(axis=1)


def tucked_inertia(body: Body) -> float:
    """A body's moment of inertia in a tuck, kg m^2: about 0.023 m h^2 (Yeadon 1990, 0.07 stretched)."""
    return 0.023 * body.mass * body.height**2
