# SPDX-License-Identifier: GPL-3.0-or-later
"""A motion whose body is shifted and turned over feet and hands that stay where they are.

The whole body is turned about its centre of mass and shifted; legs, and arms whose hands bear weight, then reach for
where their ends were. A change (F, ..., 6) is a shift, m, and a turn as a rotation vector, rad, in the world's frame.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from .. import rotations
from ..arrays import Array
from ..body import Body
from ..motion import Motion
from .limb_reach import SIDES, Limb

CHANGES = 6  # numbers of a change
HELD, FREE = 0.05, 0.2  # m over the floor: an end that is lower is held, one that is higher goes with the body
SOFT = 0.006  # m that a limb lacks of its length: nearer to it, it straightens more slowly than geometry has it
PROBE = 1e-4  # m and rad, of the differences


@dataclasses.dataclass(frozen=True)
class Poses:
    """Link origins (F, ..., L, 3) and orientations (F, ..., L, 4), world."""

    positions: Array
    orientations: Array


@dataclasses.dataclass(frozen=True)
class State:
    """A change (F, 6), the poses that it leads to, their centre of mass (F, 3), m, and their angular momentum about it
    (F, 3), kg m^2/s."""

    change: Array
    poses: Poses
    centre: Array
    momentum: Array


@dataclasses.dataclass(frozen=True)
class Slopes:
    """How the centre of mass follows a change, and the angular momentum a change and its rate: (F, 3, 6) each."""

    centre: Array
    momentum: Array
    momentum_rate: Array


class ShiftedBody:
    """A motion's poses as functions of a change a frame.

    base: the motion's own poses. centre (F, 3): its centre of mass. lowest (F, L): heights of its links' lowest points.
    limbs: those whose ends are held where they are low; held (F, limbs): how much.
    """

    def __init__(self, body: Body, motion: Motion) -> None:
        self.body, self.rate = body, motion.rate
        self.base = Poses(*body.forward(motion.position, motion.rotations))
        self.centre = body.centre_of_mass(self.base.positions, self.base.orientations)
        self.lowest = body.lowest_points(self.base.positions, self.base.orientations)
        self.limbs = [make(body, side) for make in (Limb.leg, Limb.arm) for side in SIDES]
        low = np.clip((FREE - self.lowest[:, [limb.end for limb in self.limbs]]) / (FREE - HELD), 0.0, 1.0)
        self.held = low * low * (3 - 2 * low)
        self._masses = np.array([link.mass for link in body.links])
        self._inertia = np.array([link.inertia for link in body.links])
        self._centres = np.array([link.centre for link in body.links])

    def poses(self, change: Array) -> Poses:
        """Under a change (F, ..., 6)."""
        turn = rotations.from_rotation_vector(change[..., 3:])[..., None, :]
        extra = (1,) * (change.ndim - 2)
        frames = len(change)
        origin = self.centre.reshape(frames, *extra, 1, 3)
        base = Poses(
            self.base.positions.reshape(frames, *extra, -1, 3), self.base.orientations.reshape(frames, *extra, -1, 4)
        )
        positions = origin + rotations.rotate(turn, base.positions - origin) + change[..., None, :3]
        poses = Poses(positions, rotations.multiply(turn, base.orientations))
        for limb, held in zip(self.limbs, self.held.T, strict=True):
            self._reach(limb, held.reshape(frames, *extra), base, poses)
        return poses

    def _reach(self, limb: Limb, held: Array, base: Poses, poses: Poses) -> None:
        """Bring a limb's end back to where it was, as far as it is held (F, ...)."""
        upper, lower, end = limb.upper, limb.lower, limb.end
        positions, turns = poses.positions, poses.orientations
        goal = positions[..., end, :] + held[..., None] * (base.positions[..., end, :] - positions[..., end, :])
        was = np.linalg.norm(base.positions[..., end, :] - base.positions[..., upper, :], axis=-1)
        away = _eased(goal - positions[..., upper, :], was, limb.longest(self.body))
        first, second = limb.reaching(self.body, turns[..., upper, :], turns[..., lower, :], away)
        if self.body.links[end].joint == "fixed":  # it goes with the link that holds it
            local = rotations.multiply(rotations.conjugate(turns[..., lower, :]), turns[..., end, :])
            turns[..., end, :] = rotations.multiply(second, local)
        else:
            turns[..., end, :] = rotations.slerp(turns[..., end, :], base.orientations[..., end, :], held)
        turns[..., upper, :], turns[..., lower, :] = first, second
        bones = [np.array(self.body.links[i].offset) for i in (lower, end)]
        positions[..., lower, :] = positions[..., upper, :] + rotations.rotate(first, bones[0])
        positions[..., end, :] = positions[..., lower, :] + rotations.rotate(second, bones[1])

    def state(self, change: Array) -> State:
        """Under a change (F, 6)."""
        poses = self.poses(change)
        return State(change, poses, *self.momentum(poses))

    def momentum(self, poses: Poses) -> tuple[Array, Array]:
        """Centre of mass (F, ..., 3), m, and angular momentum about it (F, ..., 3), kg m^2/s, by central differences
        from frame to frame."""
        centre, arms = self._arms(poses)
        spin = rotations.angular_velocity(poses.orientations, self.rate)
        return centre, self._momentum_of(poses, arms, np.gradient(arms, 1 / self.rate, axis=0), spin)

    def slopes(self, state: State) -> Slopes:
        """At a state, by differences."""
        here = Poses(state.poses.positions[:, None], state.poses.orientations[:, None])
        _, old_arms = self._arms(here)
        poses = self.poses(state.change[:, None] + PROBE * np.eye(CHANGES))
        centre, arms = self._arms(poses)
        momentum = self.momentum(poses)[1]
        turned = rotations.multiply(poses.orientations, rotations.conjugate(here.orientations))
        spin = rotations.to_rotation_vector(turned) / PROBE
        by_rate = self._momentum_of(here, old_arms, (arms - old_arms) / PROBE, spin)
        columns = (centre - state.centre[:, None]) / PROBE, (momentum - state.momentum[:, None]) / PROBE, by_rate
        return Slopes(*(np.swapaxes(column, 1, 2) for column in columns))

    def _arms(self, poses: Poses) -> tuple[Array, Array]:
        """Centre of mass (F, ..., 3), and the links' centres of mass seen from there (F, ..., L, 3)."""
        centres = poses.positions + rotations.rotate(poses.orientations, self._centres)
        centre = np.einsum("l,...lk->...k", self._masses / self._masses.sum(), centres)
        return centre, centres - centre[..., None, :]

    def _momentum_of(self, poses: Poses, arms: Array, velocities: Array, spin: Array) -> Array:
        back = rotations.conjugate(poses.orientations)
        own = rotations.rotate(poses.orientations, self._inertia * rotations.rotate(back, spin))
        about: Array = (own + rotations.cross(arms, self._masses[:, None] * velocities)).sum(axis=-2)
        return about


def _eased(away: Array, was: Array, longest: float) -> Array:
    """The way (..., 3) from a limb's root to its end, was (...) m long, so that it does not snap straight.

    A limb's bend goes as the root of what it lacks of its full length, and near that as steeply as one likes: here no
    more steeply than at SOFT. An end that is near its root's reach is missed by as much as a few millimetres.
    """
    distance = np.linalg.norm(away, axis=-1)
    lack, old = longest - distance, np.maximum(longest - was, 0.0)
    unchanged = np.exp(-(((lack - old) / SOFT) ** 2))
    bend = _soft_root(lack) - (_soft_root(old) - np.sqrt(old)) * unchanged
    eased: Array = away * ((longest - np.maximum(bend, 0.0) ** 2) / np.maximum(distance, 1e-9))[..., None]
    return eased


def _soft_root(lack: Array) -> Array:
    root: Array = np.sqrt((lack + np.hypot(lack, SOFT)) / 2)
    return root
