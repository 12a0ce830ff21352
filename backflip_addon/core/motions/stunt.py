# SPDX-License-Identifier: GPL-3.0-or-later
"""A stunt made of key poses, for the very body that is to learn it.

The figure moves in one plane, both sides alike. A pose has its time and angles, see ANGLES; what it does not name
passes by it from one that does to the next. A pose that leaves begins a flight, and one that lands ends it.

What poses cannot say, physics does. Toes stay where they are put down. In flight the centre of mass keeps to its
parabola and the angular momentum is constant: no pose says how far a flight has turned.
Before a flight the body rises from its lowest pose, straight and at an even acceleration, until it is as fast as the
flight asks; after it, it is stopped likewise. How long these two last follows; the poses' times say how they share it.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np

from .. import rotations
from ..arrays import Array
from ..body import FEET, HINGE_AXIS, Body
from ..constants import GRAVITY
from ..motion import Motion
from ..proportions import hip_to_sole
from . import foot_planting
from .feasible_flight import Centroidal

RATE = 120.0  # Hz, of the motion
FINE = 240.0  # Hz, at which it is worked out
LEANS = 6  # rounds in which a body is leaned over its feet until it is balanced: each leaves a tenth of what was off
LEG = 0.9275  # hip to sole of the figure that the poses' times are for, m: the mannequin's

SLOWEST, LEAST_WAY = 0.3, 0.02  # m/s at which a flight begins and ends; m that a body rises before it, and sinks after
# What a pose may name; all are 0 in the neutral pose, upright, arms and legs hanging
ANGLES = (
    "bend",  # of the chest over the pelvis, forward
    "nod",  # of the head over the chest, forward
    "arms",  # raised forward: half a turn is overhead, below 0 is behind the back
    "apart",  # the arms, sideways
    "elbows",  # bent
    "hips",  # bent: thighs raised forward
    "knees",  # bent
    "ankles",  # toes drawn up; of poses in flight, since soles stand on the floor
    "heels",  # raised over the toes; of poses that stand
)
BALANCE = "balance"  # of poses that stand: where the centre of mass is, 0 over the ankles, 1 over the tips of the toes
_X, _Y = np.eye(3)[:2]

Angles = dict[str, Array]  # of each of ANGLES, and "lean", the pelvis's forward (n,), rad


@dataclasses.dataclass(frozen=True)
class Pose:
    """A key pose: its time, s; what it names of ANGLES, rad, and BALANCE; whether a flight begins or ends with it."""

    time: float
    values: dict[str, float]
    leaves: bool = False
    lands: bool = False


@dataclasses.dataclass(frozen=True)
class _Phase:
    """A stance or a flight, finely sampled: times (n,), s; root, centre (n, 3): root's origin and centre of mass, m."""

    times: Array
    angles: Angles
    root: Array
    centre: Array

    def moved(self, seconds: float, way: Array, turned: float) -> _Phase:
        """So much later, along a way (3,), m, and turned about, rad."""
        angles = {**self.angles, "lean": self.angles["lean"] + turned}
        return _Phase(self.times + seconds, angles, self.root + way, self.centre + way)


def perform(poses: Sequence[Pose], somersaults: float, body: Body) -> Motion:
    """The motion of a body, at RATE, through poses of which the first and the last stand.

    somersaults: turns in each flight, forward ones above 0. Times go with the root of the legs' length, as falls do.
    Raises ValueError where a flight cannot be.
    """
    slower = float(np.sqrt(hip_to_sole(body) / LEG))
    poses = [dataclasses.replace(pose, time=pose.time * slower) for pose in poses]
    edges = [i for i, pose in enumerate(poses) if pose.leaves or pose.lands]
    spans = list(itertools.pairwise([0, *edges, len(poses) - 1]))  # of stances and flights, in turn
    stances = [_stance(body, poses, first, last) for first, last in spans[::2]]
    aloft = [poses[last].time - poses[first].time for first, last in spans[1::2]]
    rises = [_rise(*both, seconds) for both, seconds in zip(itertools.pairwise(stances), aloft, strict=True)]
    falls = [GRAVITY * seconds - rise for rise, seconds in zip(rises, aloft, strict=True)]
    if min([*rises, *falls], default=SLOWEST) < SLOWEST:
        raise ValueError("a flight is too short for where it begins and ends")
    phases: list[_Phase] = []
    for i, stance in enumerate(stances):
        stance = _driven(stance, [0.0, *falls][i], [*rises, 0.0][i])
        if phases:
            flight, stance = _flight(body, poses, *spans[2 * i - 1], phases[-1], stance, 2 * np.pi * somersaults * i)
            phases.append(flight)
        phases.append(stance)
    return _motion(body, phases)


def _rise(before: _Phase, after: _Phase, seconds: float) -> float:
    """How fast the centre of mass rises as a flight of so many seconds begins, m/s."""
    return float((after.centre[0, 2] - before.centre[-1, 2]) / seconds + GRAVITY * seconds / 2)


def _motion(body: Body, phases: list[_Phase]) -> Motion:
    """Phases, one after the other, at RATE; it begins over the origin."""
    clock = np.concatenate([phase.times for phase in phases])
    times = np.arange(int(clock[-1] * RATE + 1e-6) + 1) / RATE
    angles = {
        name: np.interp(times, clock, np.concatenate([phase.angles[name] for phase in phases]))
        for name in (*ANGLES, "lean")
    }
    root = np.concatenate([phase.root for phase in phases]) - phases[0].root[0] * [1.0, 1.0, 0.0]
    position = np.stack([np.interp(times, clock, root[:, axis]) for axis in range(3)], axis=1)
    return Motion(RATE, position, rotations.continuous(_turns(body, angles)))


def _stance(body: Body, poses: Sequence[Pose], first: int, last: int) -> _Phase:
    """On the floor between two poses, the tips of the toes over the origin; at the poses' own times, from 0.

    The body leans, as a whole over its ankles, so that it keeps its balance where the poses want it.
    """
    times = _samples(poses, first, last)
    standing = poses[first : last + 1]
    angles = {name: _curve(poses, name, times) for name in ANGLES}
    angles["heels"] = _curve(standing, "heels", times)
    balance = _curve(standing, BALANCE, times)
    feet, angles["lean"] = [body.index(name) for name in FEET], np.zeros(len(times))
    long = _sole(body, *body.forward(np.zeros((1, 3)), np.tile(rotations.IDENTITY, (1, len(body.links), 1))))[0, 1]
    falling = np.zeros(len(times))  # rad by which it leans too far back
    for _ in range(LEANS):
        angles["lean"] = angles["lean"] + falling
        angles["ankles"] = angles["lean"] - angles["hips"] + angles["knees"] - angles["heels"]
        positions, turns = body.forward(np.zeros((len(times), 3)), _turns(body, angles))
        centre, sole = body.centre_of_mass(positions, turns), _sole(body, positions, turns)
        ankles = positions[:, feet].mean(axis=1)
        height = centre[:, 2] - body.lowest_points(positions, turns, feet).min(axis=1)
        lowest = int(np.argmin(height))
        if standing[0].lands:
            _go_straight(balance[: lowest + 1], height[: lowest + 1])
        if standing[-1].leaves:
            _go_straight(balance[lowest:], height[lowest:])
        behind = (centre - ankles - sole)[:, 1] + (1 - balance) * long
        falling = np.arctan2(behind, (centre - ankles)[:, 2])
    root = -ankles - sole
    root[:, 2] = -body.lowest_points(positions, turns, feet).min(axis=1)
    return _Phase(times - times[0], angles, root, root + centre)


def _go_straight(balance: Array, height: Array) -> None:
    """Have a centre of mass that rises or sinks through heights (n,), m, go straight to where it ends."""
    way = height[-1] - height[0]
    if abs(way) > LEAST_WAY:
        balance[:] = balance[0] + (balance[-1] - balance[0]) * (height - height[0]) / way


def _sole(body: Body, positions: Array, turns: Array) -> Array:
    """The way (n, 3) from the ankles to the tips of the toes, mean of both sides, m."""
    tips = [foot_planting.sole_points(body, positions, turns, side)[0][:, 1] for side in "LR"]
    way: Array = np.mean(tips, axis=0) - positions[:, [body.index(name) for name in FEET]].mean(axis=1)
    return way


def _driven(stance: _Phase, fall: float, rise: float) -> _Phase:
    """A stance in which the body is stopped evenly from a fall, m/s, to its lowest pose, or rises so from there."""
    height = stance.centre[:, 2]
    lowest = int(np.argmin(height))
    times = stance.times.copy()
    if fall:
        times[: lowest + 1] = _braked(height[: lowest + 1], fall)
        times[lowest + 1 :] += times[lowest] - stance.times[lowest]
    if rise:
        seconds = _braked(height[lowest:][::-1], rise)
        times[lowest:] = times[lowest] + seconds[-1] - seconds[::-1]
    return dataclasses.replace(stance, times=times)


def _braked(height: Array, speed: float) -> Array:
    """When (n,), s, a body that sinks through heights (n,), m, gets there if it is stopped evenly at the last of them.

    With s left of the whole way S its speed is speed sqrt(s / S), and the time is 2 S / speed (1 - sqrt(s / S)).
    """
    left = np.maximum.accumulate((height - height[-1])[::-1])[::-1]
    if left[0] < LEAST_WAY:
        raise ValueError("before a flight and after it the body has to crouch")
    times: Array = 2 * left[0] / speed * (1 - np.sqrt(left / left[0]))
    return times


def _flight(
    body: Body, poses: Sequence[Pose], first: int, last: int, before: _Phase, after: _Phase, turned: float
) -> tuple[_Phase, _Phase]:
    """The flight from a stance to another one, which is turned by so much, rad, and that other one where it is then."""
    clock = _samples(poses, first, last)
    angles = {name: _curve(poses, name, clock) for name in ANGLES}
    takes_off = Pose(poses[first].time, {"ankles": float(before.angles["ankles"][-1])}, leaves=True)
    touches = Pose(poses[last].time, {"ankles": float(after.angles["ankles"][0])}, lands=True)
    angles["ankles"] = _curve([takes_off, *poses[first + 1 : last], touches], "ankles", clock)
    times = (clock - clock[0])[:, None]
    after = after.moved(before.times[-1] + times[-1, 0], np.zeros(3), turned)
    angles["lean"] = _turning(body, angles, before.angles["lean"][-1], after.angles["lean"][0], clock)
    ahead = (before.centre[-1] - before.centre[-2]) / (before.times[-1] - before.times[-2]) * [1.0, 1.0, 0.0]
    goal = before.centre[-1] + ahead * times[-1]
    goal[2] = after.centre[0, 2]
    after = after.moved(0.0, goal - after.centre[0], 0.0)
    gravity = np.array([0.0, 0.0, -GRAVITY])
    velocity = (goal - before.centre[-1]) / times[-1] - gravity * times[-1] / 2
    centre = before.centre[-1] + velocity * times + gravity * times**2 / 2
    root = centre - body.centre_of_mass(*body.forward(np.zeros_like(centre), _turns(body, angles)))
    return _Phase(before.times[-1] + times[:, 0], angles, root, centre), after


def _turning(body: Body, angles: Angles, start: float, goal: float, clock: Array) -> Array:
    """How the body leans (n,), rad, as its angular momentum stays what takes it from start to goal.

    In the plane the momentum is that of the pose's change, h, and the whole body's turning, I w; both change with it.
    """
    step = float(clock[1] - clock[0])
    turns = _turns(body, {**angles, "lean": np.zeros(len(clock))})
    motion = Motion(1 / step, np.zeros((len(clock), 3)), turns)
    seen = Centroidal.of(body, motion, 0, motion.frames - 1)
    loose, own = 1 / seen.inertia[:, 0, 0], seen.momentum[:, 0] / seen.inertia[:, 0, 0]
    sums = np.stack([np.cumsum((rate[1:] + rate[:-1]) / 2 * step) for rate in (loose, own)])
    momentum = (goal - start + sums[1, -1]) / sums[0, -1]
    lean: Array = start + np.concatenate([[0.0], momentum * sums[0] - sums[1]])
    return lean


def _samples(poses: Sequence[Pose], first: int, last: int) -> Array:
    """Times from one pose to another, both included, s."""
    start, end = poses[first].time, poses[last].time
    return np.linspace(start, end, max(round((end - start) * FINE), 2) + 1)


def _curve(poses: Sequence[Pose], name: str, times: Array) -> Array:
    """A value (n,) through the poses that name it: smooth, and nowhere beyond them (Fritsch and Butland 1984).

    It starts and ends at rest, but where a flight ends or begins.
    """
    keys = [pose for pose in poses if name in pose.values]
    if len(keys) < 2:
        return np.full(len(times), keys[0].values[name] if keys else 0.0)
    clock, values = (np.array(track) for track in zip(*((pose.time, pose.values[name]) for pose in keys), strict=True))
    spans, slopes = np.diff(clock), np.diff(values) / np.diff(clock)
    rates = np.zeros(len(keys))
    rates[0], rates[-1] = (
        slopes[0] * (keys[0].leaves or keys[0].lands),
        slopes[-1] * (keys[-1].leaves or keys[-1].lands),
    )
    same = slopes[1:] * slopes[:-1] > 0
    weights = (1 + spans[1:] / (spans[1:] + spans[:-1])) / 3
    mean = weights * slopes[1:] + (1 - weights) * slopes[:-1]
    rates[1:-1][same] = (slopes[1:] * slopes[:-1])[same] / mean[same]
    piece = np.clip(np.searchsorted(clock, times, side="right") - 1, 0, len(spans) - 1)
    t, span = np.clip((times - clock[piece]) / spans[piece], 0.0, 1.0), spans[piece]
    low, high = values[piece], values[piece + 1]
    bent = span * (rates[piece] * t * (1 - t) ** 2 - rates[piece + 1] * t**2 * (1 - t))
    curve: Array = low + (high - low) * foot_planting.ease(t) + bent
    return curve


def _turns(body: Body, angles: Angles) -> Array:
    """Rotations (n, L, 4), as Body.forward takes them, of angles (n,)."""
    turns = np.tile(rotations.IDENTITY, (len(angles["lean"]), len(body.links), 1))
    turns[:, 0] = rotations.from_axis_angle(_X, angles["lean"])
    for name, angle in (("chest", "bend"), ("head", "nod")):
        turns[:, body.index(name)] = rotations.from_axis_angle(_X, angles[angle])
    for side, sign in (("L", -1.0), ("R", 1.0)):
        raised = rotations.from_axis_angle(_X, -angles["arms"])
        arm = rotations.multiply(raised, rotations.from_axis_angle(_Y, sign * angles["apart"]))
        turns[:, body.index(f"upper_arm.{side}")] = arm
        turns[:, body.index(f"forearm.{side}")] = rotations.from_axis_angle(HINGE_AXIS, angles["elbows"])
        turns[:, body.index(f"thigh.{side}")] = rotations.from_axis_angle(_X, -angles["hips"])
        turns[:, body.index(f"shin.{side}")] = rotations.from_axis_angle(HINGE_AXIS, -angles["knees"])
        turns[:, body.index(f"foot.{side}")] = rotations.from_axis_angle(_X, -angles["ankles"])
    return turns
