# SPDX-License-Identifier: GPL-3.0-or-later
"""A body's whole momentum, changed by gravity and the floor alone.

Semi-implicit Euler moves a body on by the speeds of its freedoms, which stand for another momentum in the pose they
lead to: limbs that fold as fast as in a tuck accelerated the centre of mass by 0.2 to 0.4 m/s^2 beside gravity, and it
came off its parabola by 2 cm. So what gravity and contacts make of the momentum is told to the next step, and the root
is given the speeds with which it is that. Servos, limits and contacts between parts are inside the body and change none
of it.

Momentum is spatial: angular, about the root's centre of mass, and linear; of the body without its scene's mass factor.
"""

from __future__ import annotations

from ....core.arrays import Float32Array
from .algebra import apply, cross, load3, store3
from .constraints import State
from .dynamics import momentum_of
from .kinematics import velocities
from .lanes import everywhere, inlined, load, store, where
from .tables import ROOT_FREEDOMS, BodyTables, Workspace

KNOWN = ROOT_FREEDOMS  # the row of State.momentum that is 1 where the others hold


@inlined
def restore_momentum(t: BodyTables, w: Workspace, s: State) -> None:
    """Give the root the speeds with which the whole has the momentum that the step before led to, where that is known;
    the momentum is in s then. Needs the links' inertias."""
    velocities(t, w, s.speeds)
    lx, ly, lz = everywhere(0.0), everywhere(0.0), everywhere(0.0)
    px, py, pz = everywhere(0.0), everywhere(0.0), everywhere(0.0)
    for i in range(len(t.parents)):
        spin, speed = load3(w.velocity, 6 * i), load3(w.velocity, 6 * i + 3)
        ax, ay, az, bx, by, bz = momentum_of(w.inertia, 9 * i, t.mass[i], *spin, *speed)
        lx, ly, lz, px, py, pz = lx + ax, ly + ay, lz + az, px + bx, py + by, pz + bz
    known = load(s.momentum, KNOWN) > 0.5
    kx, ky, kz = load3(s.momentum, 0)
    qx, qy, qz = load3(s.momentum, 3)
    kx, ky, kz = where(known, kx, lx), where(known, ky, ly), where(known, kz, lz)
    qx, qy, qz = where(known, qx, px), where(known, qy, py), where(known, qz, pz)
    store3(s.momentum, 0, kx, ky, kz)
    store3(s.momentum, 3, qx, qy, qz)
    # What is missing, of a rigid body: about its centre of mass by spin, of the centre by speed
    m = 1.0 / t.carried[0]
    hx, hy, hz = load3(w.composite, 6)
    rx, ry, rz = m * hx, m * hy, m * hz
    px, py, pz = qx - px, qy - py, qz - pz
    ax, ay, az = cross(rx, ry, rz, px, py, pz)
    lx, ly, lz = kx - lx - ax, ky - ly - ay, kz - lz - az
    xx, xy, xz = load3(w.composite, 0)
    yy, yz, zz = load3(w.composite, 3)
    xx, xy, xz = xx - (hy * ry + hz * rz), xy + hx * ry, xz + hx * rz
    yy, yz, zz = yy - (hx * rx + hz * rz), yz + hy * rz, zz - (hx * rx + hy * ry)
    cxx, cxy, cxz = yy * zz - yz * yz, xz * yz - xy * zz, xy * yz - xz * yy
    cyy, cyz, czz = xx * zz - xz * xz, xy * xz - xx * yz, xx * yy - xy * xy
    scale = 1.0 / (xx * cxx + xy * cxy + xz * cxz)
    wx = scale * (cxx * lx + cxy * ly + cxz * lz)
    wy = scale * (cxy * lx + cyy * ly + cyz * lz)
    wz = scale * (cxz * lx + cyz * ly + czz * lz)
    dx, dy, dz = cross(wx, wy, wz, rx, ry, rz)
    ax, ay, az = load3(s.speeds, 0)
    bx, by, bz = load3(s.speeds, 3)
    store3(s.speeds, 0, ax + wx, ay + wy, az + wz)
    store3(s.speeds, 3, bx + m * px - dx, by + m * py - dy, bz + m * pz - dz)


@inlined
def tell_momentum(t: BodyTables, w: Workspace, s: State, gravity: Float32Array, contacts: int, seconds: float) -> None:
    """What gravity and the floor's impulses make of the momentum in s, about where the root goes by its new speeds."""
    fx, fy, fz = load3(gravity, 0)
    hx, hy, hz = load3(w.composite, 6)
    lx, ly, lz = load3(s.momentum, 0)
    px, py, pz = load3(s.momentum, 3)
    m = t.carried[0] * seconds
    ax, ay, az = cross(hx, hy, hz, fx, fy, fz)
    lx, ly, lz = lx + seconds * ax, ly + seconds * ay, lz + seconds * az
    px, py, pz = px + m * fx, py + m * fy, pz + m * fz
    for c in range(contacts):
        k = w.touching[c]
        i = t.point_link[k]
        x, y, z = apply(w.matrix, 9 * i, t.point[k, 0], t.point[k, 1], t.point[k, 2])
        ox, oy, oz = load3(w.origin, 3 * i)
        fx, fy, fz = load3(s.contact_impulses, 3 * k)
        ax, ay, az = cross(x + ox, y + oy, z + oz - t.point_radius[k], fx, fy, fz)
        lx, ly, lz, px, py, pz = lx + ax, ly + ay, lz + az, px + fx, py + fy, pz + fz
    vx, vy, vz = load3(s.speeds, 3)
    ax, ay, az = cross(vx, vy, vz, px, py, pz)
    store3(s.momentum, 0, lx - seconds * ax, ly - seconds * ay, lz - seconds * az)
    store3(s.momentum, 3, px, py, pz)
    store(s.momentum, KNOWN, everywhere(1.0))
