# SPDX-License-Identifier: GPL-3.0-or-later
"""Where all links are and how they move, from the root outward. The point of reference is the root's centre of mass."""

from __future__ import annotations

from ....core.arrays import Float32Array
from .algebra import (
    Vector,
    apply,
    cross,
    from_rotation_vector,
    load3,
    load4,
    multiply,
    normalised,
    store3,
    store4,
    store_matrix,
)
from .lanes import Lanes, inlined, load, store
from .tables import BALL, FIXED, HINGE, BodyTables, Workspace


@inlined
def pose(t: BodyTables, w: Workspace, rotations: Float32Array) -> None:
    """Link frames, of local rotations (4 L)."""
    for i in range(len(t.parents)):
        p = t.parents[i]
        q = load4(rotations, 4 * i)
        if i > 0:
            q = multiply(*load4(w.turned, 4 * p), *q)
        store4(w.turned, 4 * i, *q)
        store_matrix(w.matrix, 9 * i, *q)
        if i == 0:
            x, y, z = apply(w.matrix, 0, t.centre[0, 0], t.centre[0, 1], t.centre[0, 2])
            store3(w.origin, 0, -x, -y, -z)
        else:
            x, y, z = apply(w.matrix, 9 * p, t.offset[i, 0], t.offset[i, 1], t.offset[i, 2])
            ox, oy, oz = load3(w.origin, 3 * p)
            store3(w.origin, 3 * i, ox + x, oy + y, oz + z)


@inlined
def joint_spin(t: BodyTables, w: Workspace, speeds: Float32Array, i: int) -> Vector:
    """How fast link i spins against its parent, world axes, rad/s."""
    f = t.first[i]
    if t.kinds[i] == BALL:
        x, y, z = load3(speeds, f)
        return apply(w.matrix, 9 * i, x, y, z)
    x, y, z = apply(w.matrix, 9 * i, t.axis[i, 0], t.axis[i, 1], t.axis[i, 2])
    rate = load(speeds, f)
    return x * rate, y * rate, z * rate


@inlined
def velocities(t: BodyTables, w: Workspace, speeds: Float32Array) -> None:
    """Spatial velocities of all links, at the point of reference."""
    store3(w.velocity, 0, *load3(speeds, 0))
    store3(w.velocity, 3, *load3(speeds, 3))
    for i in range(1, len(t.parents)):
        p = t.parents[i]
        wx, wy, wz = load3(w.velocity, 6 * p)
        vx, vy, vz = load3(w.velocity, 6 * p + 3)
        if t.kinds[i] != FIXED:
            x, y, z = joint_spin(t, w, speeds, i)
            ox, oy, oz = load3(w.origin, 3 * i)
            ax, ay, az = cross(ox, oy, oz, x, y, z)
            wx, wy, wz, vx, vy, vz = wx + x, wy + y, wz + z, vx + ax, vy + ay, vz + az
        store3(w.velocity, 6 * i, wx, wy, wz)
        store3(w.velocity, 6 * i + 3, vx, vy, vz)


@inlined
def integrate(
    t: BodyTables,
    position: Float32Array,
    rotations: Float32Array,
    angles: Float32Array,
    speeds: Float32Array,
    seconds: float,
) -> None:
    """Positions by the new speeds (semi-implicit Euler)."""
    for k in range(3):
        store(position, k, load(position, k) + seconds * load(speeds, 3 + k))
    x, y, z = load3(speeds, 0)
    turn = from_rotation_vector(seconds * x, seconds * y, seconds * z)
    store4(rotations, 0, *normalised(*multiply(*turn, *load4(rotations, 0))))
    for i in range(1, len(t.parents)):
        f = t.first[i]
        if t.kinds[i] == BALL:
            x, y, z = load3(speeds, f)
            turn = from_rotation_vector(seconds * x, seconds * y, seconds * z)
            store4(rotations, 4 * i, *normalised(*multiply(*load4(rotations, 4 * i), *turn)))
        elif t.kinds[i] == HINGE:
            h = t.hinge[i]
            angle = load(angles, h) + seconds * load(speeds, f)
            store(angles, h, angle)
            turn_hinge(t, rotations, i, angle)


@inlined
def turn_hinge(t: BodyTables, rotations: Float32Array, i: int, angle: Lanes) -> None:
    """Write the local rotation of hinge i."""
    store4(rotations, 4 * i, *from_rotation_vector(angle * t.axis[i, 0], angle * t.axis[i, 1], angle * t.axis[i, 2]))
