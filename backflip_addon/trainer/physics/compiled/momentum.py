# SPDX-License-Identifier: GPL-3.0-or-later
"""A body in flight: its momentum changes by gravity alone, and its centre of mass goes where that takes it.

Semi-implicit Euler's speeds stand for another momentum in the pose they lead to. So the root of a body in flight is put
where, and given the speeds with which, the whole has come to what it had before the step and gravity. Servos, limits
and contacts between parts are inside the body and change neither. (In an engine that knows bodies by their links:
flight.py.)
"""

from __future__ import annotations

from ....core.arrays import Float32Array
from .algebra import Vector, cross, load3, store3
from .constraints import State
from .dynamics import momentum_of
from .kinematics import velocities
from .lanes import Lanes, any_lane, everywhere, inlined, least, load, store, where
from .tables import ANGULAR, CENTRE, LINEAR, ROOM, BodyTables, Workspace


@inlined
def whole_momentum(t: BodyTables, w: Workspace) -> tuple[Lanes, Lanes, Lanes, Lanes, Lanes, Lanes]:
    """Of all links with their velocities: angular, about the root's centre of mass, and linear."""
    lx, ly, lz = everywhere(0.0), everywhere(0.0), everywhere(0.0)
    px, py, pz = everywhere(0.0), everywhere(0.0), everywhere(0.0)
    for i in range(len(t.parents)):
        wx, wy, wz = load3(w.velocity, 6 * i)
        vx, vy, vz = load3(w.velocity, 6 * i + 3)
        ax, ay, az, bx, by, bz = momentum_of(w.inertia, 9 * i, t.mass[i], wx, wy, wz, vx, vy, vz)
        lx, ly, lz, px, py, pz = lx + ax, ly + ay, lz + az, px + bx, py + by, pz + bz
    return lx, ly, lz, px, py, pz


@inlined
def centre(t: BodyTables, w: Workspace) -> Vector:
    """Of mass of the whole, from the root's."""
    hx, hy, hz = load3(w.composite, 6)
    m = 1.0 / t.carried[0]
    return m * hx, m * hy, m * hz


@inlined
def see_flight(t: BodyTables, w: Workspace, s: State) -> None:
    """Note momentum and centre of mass before a step. Needs the links' inertias and velocities."""
    rx, ry, rz = centre(t, w)
    lx, ly, lz, px, py, pz = whole_momentum(t, w)
    ax, ay, az = cross(rx, ry, rz, px, py, pz)
    x, y, z = load3(s.position, 0)
    store3(w.flight, ANGULAR, lx - ax, ly - ay, lz - az)
    store3(w.flight, LINEAR, px, py, pz)
    store3(w.flight, CENTRE, x + rx, y + ry, z + rz)
    room = everywhere(1.0)
    for k in range(len(t.point_link)):
        room = least(room, load(w.gap, k) - t.point_margin[k])
    store(w.flight, ROOM, room)


@inlined
def keep_flying(t: BodyTables, w: Workspace, s: State, gravity: Float32Array, seconds: float) -> None:
    """After a step put the root where it is to be, and give it the speeds, of bodies that had no point near the floor.
    Needs the links' inertias."""
    flies = load(w.flight, ROOM) > 0.0
    if not any_lane(flies):
        return
    velocities(t, w, s.speeds)
    rx, ry, rz = centre(t, w)
    lx, ly, lz, px, py, pz = whole_momentum(t, w)
    ax, ay, az = cross(rx, ry, rz, px, py, pz)
    kx, ky, kz = load3(w.flight, ANGULAR)
    qx, qy, qz = load3(w.flight, LINEAR)
    gx, gy, gz = load3(gravity, 0)
    m, share, zero = t.carried[0] * seconds, seconds / t.carried[0], everywhere(0.0)
    qx, qy, qz = qx + m * gx, qy + m * gy, qz + m * gz
    x, y, z = load3(s.position, 0)
    cx, cy, cz = load3(w.flight, CENTRE)
    x, y, z = cx + share * qx - rx - x, cy + share * qy - ry - y, cz + share * qz - rz - z
    x, y, z = where(flies, x, zero), where(flies, y, zero), where(flies, z, zero)
    lx, ly, lz = where(flies, kx - lx + ax, zero), where(flies, ky - ly + ay, zero), where(flies, kz - lz + az, zero)
    px, py, pz = where(flies, qx - px, zero), where(flies, qy - py, zero), where(flies, qz - pz, zero)
    store3(s.position, 0, load(s.position, 0) + x, load(s.position, 1) + y, load(s.position, 2) + z)
    add_to_root(t, w, s, lx, ly, lz, px, py, pz)


@inlined
def add_to_root(
    t: BodyTables, w: Workspace, s: State, lx: Lanes, ly: Lanes, lz: Lanes, px: Lanes, py: Lanes, pz: Lanes
) -> None:
    """Change the root's speeds so that the whole gains so much angular momentum about its centre of mass, and linear,
    all joints moving as they do."""
    m = 1.0 / t.carried[0]
    hx, hy, hz = load3(w.composite, 6)
    rx, ry, rz = centre(t, w)
    xx, xy, xz = load3(w.composite, 0)
    yy, yz, zz = load3(w.composite, 3)
    xx, xy, xz = xx - (hy * ry + hz * rz), xy + hx * ry, xz + hx * rz
    yy, yz, zz = yy - (hx * rx + hz * rz), yz + hy * rz, zz - (hx * rx + hy * ry)
    # The inverse of these moments, by their cofactors
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
