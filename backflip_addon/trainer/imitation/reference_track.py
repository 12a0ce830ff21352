# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is to follow: the reference per control step, and the controls around it.

A control step t drives the joints along the reference to the step's end, time (t + 1) / rate, and ahead of it
by as much as their servos lag behind, turned by the step's offsets (action_layout.py). Past its end a clip that ends
standing comes to rest. What is followed is the reference made feasible (core.motions.feasible): within the joints'
limits, its flights as free bodies fly, and on the floor what a floor can carry; take-off has the momentum that flight
needs.
"""

from __future__ import annotations

import numpy as np

from ...core import metrics, rotations
from ...core.arrays import Array
from ...core.body import FEET, Body
from ...core.constants import FRICTION, GRAVITY
from ...core.measures.course import phases
from ...core.motion import Motion
from ...core.motions.feasible import feasible
from ...core.motions.feasible_flight import Centroidal, Flight
from ...core.motions.floor_limits import GRIP
from ..physics.servo_gains import servo_lag
from ..physics.simulator import CONTROL_RATE
from ..physics.state import States
from .action_layout import ActionLayout
from .kinematics import capture_point, feet_middle, momenta

END_LINKS = ("head", "hand.R", "foot.R", "hand.L", "foot.L")


UNSURE, SURE, LOOSE = 0.3, 0.7, 0.1  # how sure a link is that is followed loosely, fully; and how much loosely is
LEANS = 0.1  # m from the feet's middle, some half a sole: a capture point further off is none of a quiet stance
# Body weights that the floor gives in the mean up to a flight that a clip begins with, and the least time for it, s
MOST_PUSH, PUSH_SECONDS = 4.0, 0.1
BUILD_UP = 0.2  # s before take-off over which a flight's momentum is built up
# s that both feet are off the floor at least in a leap, and for which before and after it all is planned as for one
LEAP, BEFORE_LEAP, AFTER_LEAP = 0.15, 1.6, 0.5


class Track:
    """A reference sampled at the control rate, clip first, then its last pose held.

    hold: seconds of it; None: as long as core.metrics asks for. T control steps, boundaries 0 ... T: states (T + 1,),
    positions (T + 1, L, 3), world (T + 1, L, 4): the goals and their link frames, m, world. centre, centre_velocity,
    momentum (T + 1, 3): of the centre of mass, m and m/s, and about it, kg m^2/s. feet (2,): their links; resting
    (T + 1, 2): whether each rests on the floor. landed: the step from which on a foot rests to the end, and nothing but
    feet; past T for a clip that ends in mid-stride. flies: whether a clip that ends standing has both feet off the
    floor before; leaps (T + 1,): whether it leaps soon, or has just done. leaning (T + 1, 2): the goal's capture point
    from the middle of its feet, m, where it is LEANS or more away and not both of them rest on the floor; elsewhere 0.
    controls, control_speeds (T, L, 4), (T, L, 3): joint targets of the control steps without offsets, and their speeds,
    rad/s. allowed (L,): links that may touch the floor. trust (T + 1, L): how much it counts that a link is off its
    goal, LOOSE to 1. layout: of its offsets.
    """

    def __init__(self, body: Body, reference: Motion, hold: float | None = None, rate: float = CONTROL_RATE) -> None:
        self.body = body
        self.reference = reference
        self.rate = rate
        self.standing = metrics.ends_standing(body, reference)
        self.hold = metrics.tail_seconds(body, reference) if hold is None else hold
        self.clip_steps = int(np.floor(reference.duration * rate + 1e-6))
        self.steps = int(np.ceil((reference.duration + self.hold) * rate - 1e-6))
        goal, flights, _ = feasible(body, reference, self.hold)
        times = np.arange(self.steps + 1) / rate
        self.states = states_of(goal, times, rate)
        self.motion = goal
        self.controls, self.control_speeds = self.controls_of(goal, times[:-1])
        positions, world = body.forward(self.states.position, self.states.rotations)
        self.positions, self.world = positions, world
        self.centre = body.centre_of_mass(positions, world)
        self.centre_velocity, self.momentum = momenta(body, self.states, positions, world)
        for flight in flights:
            self._build_up(flight, times)
        if flights:
            self._begin_for(flights[0], times)
        self.feet = np.array([body.index(name) for name in FEET])
        lows = body.lowest_points(positions, world)[:, self.feet]
        self.resting = lows < metrics.RESTING_HEIGHT
        self.landed = self._last_touchdown() if self.standing else self.steps + 1
        self.flies = self.standing and not self.resting[: self.landed].any(axis=1).all()
        self.leaps = np.zeros(self.steps + 1, dtype=bool)
        for first, end in phases(~self.resting.any(axis=1)):
            if self.standing and end - first >= LEAP * rate:
                self.leaps[max(first - round(BEFORE_LEAP * rate), 0) : end + round(AFTER_LEAP * rate)] = True
        self.leaning = self.leaning_of(self.positions, self.world, self.centre, self.centre_velocity)
        self.leaning[self.resting.all(axis=1)] = 0.0  # asked to lean as it comes down, a body lands off its balance
        self.allowed = metrics.allowed_contacts(body, reference)
        self.trust = _trust(reference, times, len(body.links))
        self.layout = ActionLayout(body)

    def leaning_of(self, positions: Array, world: Array, centre: Array, velocity: Array) -> Array:
        """leaning (N, 2) of goals (N, ...)."""
        point = capture_point(centre - feet_middle(self.body, positions, world), velocity)
        return np.where(np.linalg.norm(point, axis=1, keepdims=True) < LEANS, 0.0, point)

    def _last_touchdown(self) -> int:
        """The step from which on a foot rests to the end, and nothing but feet; the clip's end where that is so all
        along."""
        down = metrics.brought_down(self.body, self.positions, self.world)
        down[:, self.feet] = False
        elsewhere = np.flatnonzero(~self.resting.any(axis=1) | down.any(axis=1))
        return int(elsewhere[-1]) + 1 if len(elsewhere) else self.clip_steps

    def _build_up(self, flight: Flight, times: Array) -> None:
        """Give the goals the momentum that a flight needs: kept in the air, and what take-off lacks built up before."""
        air = (times >= flight.start) & (times <= flight.end)
        self.momentum[air] = flight.momentum
        self.centre_velocity[air] = flight.velocity + (times[air] - flight.start)[:, None] * [0, 0, -GRAVITY]
        share = np.clip(1 - (flight.start - times) / BUILD_UP, 0, 1)[:, None] * (times < flight.start)[:, None]
        self.momentum += share * (flight.momentum - flight.momentum_before)

    def _begin_for(self, flight: Flight, times: Array) -> None:
        """Have the body begin with a momentum of which its first flight can come: a clip that begins with a take-off
        leaves the floor little time to change it, and whoever cut it there did not ask what its speed leads to."""
        before, state = times < flight.start, self.states
        fallen = np.array([0.0, 0.0, GRAVITY * flight.start])
        wanted = flight.velocity - self.centre_velocity[0] + fallen  # of the floor, an impulse for each kilogram
        given = np.clip(wanted, [-np.inf, -np.inf, 0.0], MOST_PUSH * fallen + [np.inf, np.inf, 0.0])
        given[:2] *= min(1.0, GRIP * FRICTION * given[2] / max(float(np.linalg.norm(given[:2])), 1e-9))
        given *= min(1.0, flight.start / PUSH_SECONDS)
        left = (1 - times[before] / flight.start)[:, None] * (wanted - given)
        self.centre_velocity[before] += left
        frame = rotations.to_matrix(state.rotations[0, 0])
        about = Centroidal.of(self.body, self.motion, 0, 0)
        lacks = max(1 - flight.start / BUILD_UP, 0.0) * (flight.momentum - flight.momentum_before)
        spin = frame @ np.linalg.solve(about.inertia[0], frame.T @ lacks)
        state.angular_velocity[0] += spin
        state.velocity[0] += left[0] + np.cross(spin, -frame @ about.centre[0])

    def controls_of(self, motion: Motion, times: Array) -> tuple[Array, Array]:
        """The joint targets (H, L, 4) of control steps that begin at times (H,) of a motion, s, and their speeds
        (H, L, 3), rad/s: those of the steps' middles, since a target is led to all through its step."""
        end = states_of(motion, times + 1.0 / self.rate, self.rate)
        lead = np.array([servo_lag(link) for link in self.body.links])[:, None] * end.joint_velocity
        controls = rotations.multiply(end.rotations, rotations.from_rotation_vector(lead))
        _, _, speeds = _velocities(motion, times + 0.5 / self.rate, self.rate)
        return controls, speeds

    def targets(self, offsets: Array, first: int) -> Array:
        """PD targets (..., H, L, 4) of offsets (..., H, width) for steps from first on."""
        steps = np.minimum(np.arange(first, first + offsets.shape[-2]), self.steps - 1)
        return self.layout.offset_targets(self.controls[steps], offsets)

    def velocities(self, first: int, count: int) -> Array:
        """Target joint velocities (count, L, 3) for steps from first on."""
        steps = np.minimum(np.arange(first, first + count), self.steps - 1)
        velocities: Array = self.control_speeds[steps]
        return velocities


def _trust(reference: Motion, times: Array, links: int) -> Array:
    """trust (T, L) at times (T,): less where the reference is unsure, as of what a video hid."""
    sure = reference.sure_at(times)
    if sure is None:
        return np.ones((len(times), links))
    return np.clip(LOOSE + (1 - LOOSE) * (sure - UNSURE) / (SURE - UNSURE), LOOSE, 1.0)


def states_of(motion: Motion, times: Array, rate: float) -> States:
    """A motion's states at times, velocities read off its poses over one step of rate."""
    return States(*motion.sample(times), *_velocities(motion, times, rate))


def _velocities(reference: Motion, times: Array, rate: float) -> tuple[Array, Array, Array]:
    """Root velocity, root angular velocity and joint velocities of the reference at times.

    Central differences over one control step; zero past the clip's end.
    """
    half = 0.5 / rate
    before, before_rotations = reference.sample(times - half)
    after, after_rotations = reference.sample(times + half)
    # At the clip's ends sample() holds still: the difference spans only what is inside
    span = np.clip(times + half, 0, reference.duration) - np.clip(times - half, 0, reference.duration)
    span = np.where(times <= reference.duration + 1e-9, np.maximum(span, half), np.inf)
    velocity = (after - before) / span[:, None]
    rotation = rotations.multiply(after_rotations, rotations.conjugate(before_rotations))
    angular = rotations.to_rotation_vector(rotation) / span[:, None, None]
    # Joint velocities in the child's frame: the local rotation's own
    local = rotations.multiply(rotations.conjugate(before_rotations), after_rotations)
    joints = rotations.to_rotation_vector(local) / span[:, None, None]
    joints[:, 0] = 0.0
    return velocity, angular[:, 0], joints
