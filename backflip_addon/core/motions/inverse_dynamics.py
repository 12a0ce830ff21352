# SPDX-License-Identifier: GPL-3.0-or-later
"""Inverse dynamics of a motion: what a body would need to perform it.

Newton and Euler for every link of a reference, summed up the tree: the net wrench that the world
must exert (the ground's reaction, where there is ground), and the torque in each joint once that
wrench is shared out over the points of the feet (and whatever else the reference puts down).
"""

from __future__ import annotations

import dataclasses

import numpy as np

from .. import batched_linalg, rotations
from ..arrays import Array, BoolArray, IntArray
from ..body import Body
from ..constants import GRAVITY
from ..motion import Motion
from ..shapes import core_points, core_radius

SMOOTHING = 0.07  # s, half width of the local parabola that accelerations are read from
TOUCH = 0.04  # m: a reference link so near the floor can carry weight
FRICTION_WEIGHT = 0.3  # cost of a horizontal against a vertical newton at a contact point
BLOCK = 1000  # frames whose contact forces are found at once: a long clip's would fill the memory


@dataclasses.dataclass(frozen=True)
class Needs:
    """What a motion needs, per sample (T,) at rate Hz.

    force (T, 3) N and moment (T, 3) N m about the centre of mass: the world's part. grounded (T,):
    some link is near the floor. torque (T, L, 3): joint torques in the child's frame, N m.
    unmet (T,): share of force that the contacts there are could not give, in body weights.
    """

    rate: float
    force: Array
    moment: Array
    grounded: BoolArray
    torque: Array
    unmet: Array


def needs(body: Body, reference: Motion, rate: float) -> Needs:
    """Inverse dynamics of a reference sampled at rate Hz.

    Newton and Euler, link by link: force m (a + g), moment d(I omega)/dt; forces and moments are summed up the tree
    from the leaves (Featherstone 2008, Rigid Body Dynamics Algorithms, chapter 5).
    """
    times = np.arange(int(np.floor(reference.duration * rate + 1e-6)) + 1) / rate
    positions, orientations = body.forward(*reference.sample(times))
    masses = np.array([link.mass for link in body.links])
    centres = positions + rotations.rotate(orientations, np.array([link.centre for link in body.links]))
    half = max(int(round(SMOOTHING * rate)), 1)
    forces = masses[:, None] * (second_derivative(centres, rate, half) + [0, 0, GRAVITY])
    moments = _momentum_rates(body, orientations, rate, half)
    com = np.einsum("l,tlk->tk", masses / masses.sum(), centres)
    total = forces.sum(axis=1)
    about = (moments + np.cross(centres - com[:, None], forces)).sum(axis=1)
    points, links, near = contact_points(body, positions, orientations)
    carried = _share(points - com[:, None], near, total, about)
    unmet = np.linalg.norm(total - carried.sum(axis=1), axis=-1) / (body.mass * GRAVITY)
    torque = _joint_torques(body, positions, orientations, centres, forces, moments, points, links, carried)
    return Needs(rate, total, about, near.any(axis=1), torque, unmet)


def second_derivative(track: Array, rate: float, half: int) -> Array:
    """Acceleration (T, ...) of a track (T, ...): parabolas fitted over 2 half + 1 samples.

    Savitzky and Golay (1964). At the ends the track goes on with its end velocity.
    """
    steps = np.arange(-half, half + 1)
    fit = np.linalg.pinv(np.stack([np.ones_like(steps), steps, steps**2], axis=1).astype(float))[2]
    padded = _extended(track, half)
    acceleration: Array = 2.0 * sum(w * padded[k : k + len(track)] for k, w in enumerate(fit)) * rate**2
    return acceleration


def _first_derivative(track: Array, rate: float, half: int) -> Array:
    """Velocity (T, ...) of a track (T, ...), see second_derivative."""
    steps = np.arange(-half, half + 1).astype(float)
    fit = steps / np.sum(steps**2)
    padded = _extended(track, half)
    slope: Array = sum(w * padded[k : k + len(track)] for k, w in enumerate(fit)) * rate
    return slope


def _extended(track: Array, count: int) -> Array:
    """A track with count samples more at either end, at its end velocities."""
    ahead = track[1] - track[0] if len(track) > 1 else 0 * track[0]
    behind = track[-1] - track[-2] if len(track) > 1 else 0 * track[0]
    steps = np.arange(1, count + 1).reshape(-1, *[1] * (track.ndim - 1))
    return np.concatenate([track[0] - steps[::-1] * ahead, track, track[-1] + steps * behind])


def _momentum_rates(body: Body, orientations: Array, rate: float, half: int) -> Array:
    """Rate of change (T, L, 3) of each link's angular momentum about its own centre, world."""
    inertia = np.array([link.inertia for link in body.links])
    omega = rotations.angular_velocity(orientations, rate)
    momentum = rotations.rotate(orientations, inertia * rotations.rotate(rotations.conjugate(orientations), omega))
    return _first_derivative(momentum, rate, half)


def contact_points(
    body: Body, positions: Array, orientations: Array, touch: float | Array = TOUCH
) -> tuple[Array, IntArray, BoolArray]:
    """Points that can carry weight: (T, P, 3) world, m, their links (P,), and whether near the floor (T, P).

    positions (T, L, 3), orientations (T, L, 4): the links', world. touch, or (T, 1): how near that is, m.
    """
    points, links = [], []
    for i, link in enumerate(body.links):
        for shape in link.shapes:
            for local in core_points(shape):
                points.append(positions[:, i] + rotations.rotate(orientations[:, i], local))
                links.append(i)
    stacked = np.stack(points, axis=1)
    reach = np.array([core_radius(shape) for link in body.links for shape in link.shapes for _ in core_points(shape)])
    return stacked, np.array(links), stacked[..., 2] - reach < touch


def _share(arms: Array, near: BoolArray, force: Array, moment: Array) -> Array:
    """Contact forces (T, P, 3), world, N, at arms (T, P, 3), m from the centre of mass, that best give force and moment
    (T, 3): ridge-regularised least squares; points that would pull on the floor are let go in a few passes."""
    carried, active = np.zeros(arms.shape), near.copy()
    touching = np.flatnonzero(near.any(axis=1))
    for start in range(0, len(touching), BLOCK):
        frames = touching[start : start + BLOCK]
        for _ in range(4):
            f = _least_forces(arms[frames], active[frames], force[frames], moment[frames])
            pulling = f[..., 2] < 0
            carried[frames] = np.where(pulling[..., None], 0.0, f)
            active[frames] &= ~pulling
            frames = frames[pulling.any(axis=1)]
    return carried


def _least_forces(arms: Array, active: BoolArray, force: Array, moment: Array) -> Array:
    """Forces (T, P, 3) at the active (T, P) ones of the points that best give the wrench."""
    count, points = active.shape
    wrench = np.concatenate([force, moment], axis=1)
    maps = np.concatenate([np.broadcast_to(np.eye(3), (count, points, 3, 3)), _skew(arms)], axis=2)  # (T, P, 6, 3)
    metric = active[..., None] * np.array([FRICTION_WEIGHT**2, FRICTION_WEIGHT**2, 1.0])
    gram = np.einsum("tpik,tpjk->tij", maps * metric[:, :, None], maps) + 1e-3 * np.eye(6)
    forces: Array = metric * np.einsum("tpik,ti->tpk", maps, batched_linalg.solve(gram, wrench))
    return forces


def _skew(v: Array) -> Array:
    """Matrices (..., 3, 3) of the cross product with v (..., 3)."""
    x, y, z = np.moveaxis(v, -1, 0)
    zero = np.zeros(x.shape)
    matrices: Array = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(*x.shape, 3, 3)
    return matrices


def _joint_torques(
    body: Body,
    positions: Array,
    orientations: Array,
    centres: Array,
    forces: Array,
    moments: Array,
    points: Array,
    links: IntArray,
    carried: Array,
) -> Array:
    """Torque (T, L, 3) in each joint, child's frame: what its subtree needs and the floor does not give."""
    need_force = forces.copy()
    need_moment = moments + np.cross(centres, forces)  # about the world's origin
    for i in range(len(body.links)):
        own = np.flatnonzero(links == i)
        if len(own):
            need_force[:, i] -= carried[:, own].sum(axis=1)
            need_moment[:, i] -= np.cross(points[:, own], carried[:, own]).sum(axis=1)
    for i in range(len(body.links) - 1, 0, -1):
        parent = body.links[i].parent
        need_force[:, parent] += need_force[:, i]
        need_moment[:, parent] += need_moment[:, i]
    world = need_moment - np.cross(positions, need_force)
    return rotations.rotate(rotations.conjugate(orientations), world)
