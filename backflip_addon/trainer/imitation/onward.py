# SPDX-License-Identifier: GPL-3.0-or-later
"""The reference from where a body has landed.

What is left of the reference is begun anew, from the pose and with the speeds that the body has: whatever it is off
decays as a critically damped spring does (an inertial blend; Bollo, "Inertialization", GDC 2018), its feet stay where
they have come down, and the floor gives what it can, as in any reference (core.motions).
"""

from __future__ import annotations

import copy
import dataclasses

import numpy as np

from ...core import metrics, rotations
from ...core.arrays import AnyArray, Array
from ...core.body import Body
from ...core.motion import Motion
from ...core.motions import feasible_joints, feasible_stance, still_feet
from ...core.motions.foot_planting import sole_points
from ...core.motions.limb_reach import SIDES
from ..physics.servo_gains import servo_rate
from ..physics.state import States
from .kinematics import momenta
from .reference_track import Track, states_of

CATCH_UP = 8.0  # 1/s: what is off has fallen to two fifths after a quarter of a second, to a tenth after a half
DOWN = 0.01  # m over the floor: a foot that is so low has come down


def both_feet_down(track: Track, here: States, floor: float) -> bool:
    """Whether both feet have come down on a floor so high, m, in a state without leading axis."""
    positions, turns = track.body.forward(here.position[None], here.rotations[None])
    return bool((track.body.lowest_points(positions, turns, list(track.feet)) - floor < DOWN).all())


def onward(track: Track, here: States, step: int, floor: float = 0.0) -> tuple[Track, Array]:
    """The track from a state (no leading axis) at a control step on, with the same controls, and the offsets
    (T - step, width), rad, that lead along it."""
    start = dataclasses.replace(here, position=here.position - [0, 0, floor])
    blended = _blended(track, start, step)
    within, _ = feasible_joints.within_joints(track.body, blended)
    smooth = still_feet.held(track.body, within, where_put_down=True)
    rests = max(track.clip_steps - step, 0) / track.rate
    motion, _ = feasible_stance.carried(track.body, smooth, smooth, [], rests, landed=True)
    return _followed(track, motion, step), _offsets_along(track, motion, step)


def _blended(track: Track, start: States, step: int) -> Motion:
    """What is left of the track's motion, moved to the feet of a state, and from its pose and speeds on."""
    body, motion = track.body, track.motion
    count = int(np.ceil((track.steps - step) / track.rate * motion.rate)) + 1
    times = step / track.rate + np.arange(count) / motion.rate
    position, local = motion.sample(times)
    turn, shift = _moved_to(body, start, position[0], local[0])
    position = rotations.rotate(turn, position) + shift
    local = local.copy()
    local[:, 0] = rotations.multiply(turn, local[:, 0])
    goal = states_of(motion, times[:1], track.rate)[0]
    seconds = np.arange(count) / motion.rate
    off = start.position - position[0]
    speed = start.velocity - rotations.rotate(turn, goal.velocity)
    position = position + _decaying(off[None], speed[None], seconds)[:, 0]
    rates = start.joint_velocity - goal.joint_velocity
    spin = start.angular_velocity - rotations.rotate(turn, goal.angular_velocity)
    rates[0] = rotations.rotate(rotations.conjugate(local[0, 0]), spin)
    turned = rotations.to_rotation_vector(rotations.multiply(rotations.conjugate(local[0]), start.rotations))
    local = rotations.multiply(local, rotations.from_rotation_vector(_decaying(turned, rates, seconds)))
    return Motion(motion.rate, position, rotations.continuous(local))


def _decaying(off: Array, rate: Array, seconds: Array) -> Array:
    """(F, N, 3): what is off by (N, 3) and changes by (N, 3) a second, after so many seconds (F,)."""
    t = seconds[:, None, None]
    decaying: Array = (off + (rate + CATCH_UP * off) * t) * np.exp(-CATCH_UP * t)
    return decaying


def _moved_to(body: Body, start: States, position: Array, local: Array) -> tuple[Array, Array]:
    """The turn about the vertical (4,) and the level way (3,) that bring a pose's soles nearest to a state's."""
    own, theirs = (
        _sole_ends(body, *body.forward(p[None], r[None]))
        for p, r in ((position, local), (start.position, start.rotations))
    )
    a, b = own - own.mean(axis=0), theirs - theirs.mean(axis=0)
    angle = np.arctan2((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum(), (a * b).sum())
    turn = rotations.from_rotation_vector(np.array([0.0, 0.0, angle]))
    middle = np.append(own.mean(axis=0), 0.0)
    shift = np.append(theirs.mean(axis=0), 0.0) - rotations.rotate(turn, middle)
    return turn, shift


def _sole_ends(body: Body, positions: Array, turns: Array) -> Array:
    """Heels and toes (4, 2) of both feet along the floor."""
    ends = [sole_points(body, positions, turns, side)[0][0, :, :2] for side in SIDES]
    return np.concatenate(ends)


def _followed(track: Track, motion: Motion, step: int) -> Track:
    """The track with a motion's goals from a step on, and its own controls."""
    own = slice(step, track.steps + 1)
    states = states_of(motion, np.arange(track.steps + 1 - step) / track.rate, track.rate)
    positions, world = track.body.forward(states.position, states.rotations)
    velocity, momentum = momenta(track.body, states, positions, world)
    lows = track.body.lowest_points(positions, world)[:, track.feet]
    new = copy.copy(track)
    new.states = track.states.copy()
    for field in dataclasses.fields(states):
        getattr(new.states, field.name)[own] = getattr(states, field.name)
    new.positions, new.world = _with(track.positions, own, positions), _with(track.world, own, world)
    new.centre = _with(track.centre, own, track.body.centre_of_mass(positions, world))
    new.centre_velocity, new.momentum = (
        _with(track.centre_velocity, own, velocity),
        _with(track.momentum, own, momentum),
    )
    leaning = track.leaning_of(positions, world, new.centre[own], velocity) * track.leaning[own].any(axis=1)[:, None]
    new.leaning = _with(track.leaning, own, leaning)
    new.resting = _with(track.resting, own, lows < metrics.RESTING_HEIGHT)
    return new


def _with(array: AnyArray, own: slice, values: AnyArray) -> AnyArray:
    """A copy with other values in a slice."""
    changed = array.copy()
    changed[own] = values
    return changed


def _offsets_along(track: Track, motion: Motion, step: int) -> Array:
    """The offsets (T - step, width), rad, that lead along a motion from a step on."""
    controls, speeds = track.controls_of(motion, np.arange(track.steps - step) / track.rate)
    offsets = track.layout.offsets_to(track.controls[step:], controls)
    for link, columns in track.layout.columns.items():
        if link in track.layout.axes:  # whose target speed stays the track's
            faster = (speeds - track.control_speeds[step:])[:, link] @ track.layout.axes[link]
            offsets[:, columns[0]] += faster / servo_rate(track.body.links[link])
    return offsets
