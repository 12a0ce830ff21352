# SPDX-License-Identifier: GPL-3.0-or-later
"""What an impulse on one link does to a body's velocities, all of its joints free to give way."""

from __future__ import annotations

import dataclasses

import numpy as np

from ...core import rotations
from ...core.arrays import Array
from ...core.body import Body
from .state import States


def after_impulse(body: Body, state: States, link: int, impulse: Array) -> States:
    """A state (no leading axis) just after an impulse (3,), N s, world frame, on a link's centre of mass.

    Velocities change by inv(M) J', with the mass matrix M and the Jacobian J of that point (Featherstone 2008, section
    2.12); M is the sum of m Jv' Jv + Jw' I Jw over all links.
    """
    positions, turns = body.forward(state.position[None], state.rotations[None])
    axes, spins, centres = _jacobians(body, positions[0], turns[0])
    masses = np.array([own.mass for own in body.links])
    frames = rotations.to_matrix(turns[0])
    inertia = np.einsum("lij,lj,lkj->lik", frames, np.array([own.inertia for own in body.links]), frames)
    matrix = np.einsum("l,lif,lig->fg", masses, centres, centres) + np.einsum("lif,lij,ljg->fg", spins, inertia, spins)
    change = np.linalg.solve(matrix, centres[link].T @ impulse)
    joint_velocity = state.joint_velocity.copy()
    for freedom, (owner, axis) in enumerate(axes, start=6):
        joint_velocity[owner] += change[freedom] * axis
    return dataclasses.replace(
        state,
        angular_velocity=state.angular_velocity + change[0:3],
        velocity=state.velocity + change[3:6],
        joint_velocity=joint_velocity,
    )


def _jacobians(body: Body, positions: Array, turns: Array) -> tuple[list[tuple[int, Array]], Array, Array]:
    """The joints' freedoms as (link, axis in its frame), and the Jacobians (L, 3, F) of all links' spins and of the
    speeds of their centres of mass, world; the first six freedoms are the root's spin and its origin's speed."""
    axes = [(i, axis) for i, own in enumerate(body.links) for axis in _axes_of(own.joint, own.axis)]
    count = 6 + len(axes)
    spins = np.zeros((len(body.links), 3, count))
    centres = np.zeros_like(spins)
    points = positions + rotations.rotate(turns, np.array([own.centre for own in body.links]))
    carried = _carried(body)
    spins[:, :, 0:3] = np.eye(3)
    centres[:, :, 3:6] = np.eye(3)
    for k in range(3):
        centres[:, :, k] = np.cross(np.eye(3)[k], points - positions[0])
    for freedom, (owner, axis) in enumerate(axes, start=6):
        world = rotations.rotate(turns[owner], axis)
        for link in carried[owner]:
            spins[link, :, freedom] = world
            centres[link, :, freedom] = np.cross(world, points[link] - positions[owner])
    return axes, spins, centres


def _axes_of(joint: str, axis: tuple[float, float, float]) -> list[Array]:
    if joint == "spherical":
        return list(np.eye(3))
    return [np.array(axis)] if joint == "hinge" else []


def _carried(body: Body) -> list[list[int]]:
    """Of each link: itself and all that hangs on it."""
    carried: list[list[int]] = [[i] for i in range(len(body.links))]
    for i in range(len(body.links) - 1, 0, -1):
        carried[body.links[i].parent] += carried[i]
    return carried
