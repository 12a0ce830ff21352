# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows from a body's states: momenta, balance, the middle of the feet. World frame, SI."""

from __future__ import annotations

import numpy as np

from ...core import rotations
from ...core.arrays import Array
from ...core.body import FEET, Body
from ...core.constants import GRAVITY
from ..physics.state import States


def feet_middle(body: Body, positions: Array, world: Array) -> Array:
    """The middle (N, 3) of the two feet."""
    feet = [body.index(name) for name in FEET]
    soles = np.array([body.links[i].centre for i in feet])
    middle: Array = (positions[:, feet] + rotations.rotate(world[:, feet], soles)).mean(axis=1)
    return middle


def verticals(world: Array) -> Array:
    """The vertical (..., 3) as links of these orientations (..., 4) see it."""
    seen: Array = rotations.rotate(rotations.conjugate(world), np.array([0.0, 0.0, 1.0]))
    return seen


def capture_point(arm: Array, velocity: Array) -> Array:
    """Where a body would come to rest (N, 2): its capture point (Pratt et al. 2006) from the feet's middle, level, m.

    arm (N, 3): the centre of mass from there, m; velocity (N, 3): of it, m/s.
    """
    point: Array = arm[:, :2] + velocity[:, :2] * np.sqrt(np.maximum(arm[:, 2:], 0.1) / GRAVITY)
    return point


def imbalance(arm: Array, velocity: Array, wanted: Array | float = 0.0) -> Array:
    """Squared level distance (N,), m^2, of the capture point from where it is wanted (N, 2), from the feet's middle, m.

    arm (N, 3), velocity (N, 3): see capture_point().
    """
    distance: Array = np.sum((capture_point(arm, velocity) - wanted) ** 2, axis=1)
    return distance


def momenta(body: Body, states: States, positions: Array, world: Array) -> tuple[Array, Array]:
    """Velocity (N, 3) of the centre of mass, m/s, and angular momentum (N, 3) about it, kg m^2/s."""
    parents = [max(parent, 0) for parent in body.parents]
    angular = rotations.rotate(world, states.joint_velocity)
    angular[:, 0] = states.angular_velocity
    for i, parent in enumerate(body.parents[1:], start=1):
        angular[:, i] += angular[:, parent]
    linear = rotations.cross(angular[:, parents], positions - positions[:, parents])
    linear[:, 0] = states.velocity
    for i, parent in enumerate(body.parents[1:], start=1):
        linear[:, i] += linear[:, parent]
    masses = np.array([link.mass for link in body.links])
    arms = rotations.rotate(world, np.array([link.centre for link in body.links]))
    velocities = linear + rotations.cross(angular, arms)
    shares = masses / masses.sum()
    centre = np.einsum("l,nlk->nk", shares, positions + arms)
    velocity = np.einsum("l,nlk->nk", shares, velocities)
    inertia = np.array([link.inertia for link in body.links])
    own = rotations.rotate(world, inertia * rotations.rotate(rotations.conjugate(world), angular))
    orbital = rotations.cross(positions + arms - centre[:, None], masses[:, None] * (velocities - velocity[:, None]))
    return velocity, (own + orbital).sum(axis=1)


def tucked_inertia(body: Body) -> float:
    """A body's moment of inertia in a tuck, kg m^2: about 0.023 m h^2 (Yeadon 1990, 0.07 stretched)."""
    return 0.023 * body.mass * body.height**2
