# SPDX-License-Identifier: GPL-3.0-or-later
"""The free motion of a tree of bodies: bias force, mass matrix, and its factor (Featherstone 2008, chapters 5 and 6).

Spatial vectors are (angular, linear) at the root's centre of mass, in world axes. M = L' L with L lower triangular:
rows along a freedom's chain alone, so that neither factoring nor solving fills in what a tree leaves empty (section
6.5). A vector or a row y is whitened by inv(L'): of whitened rows, y . y' is how far an impulse along one moves along
the other.
"""

from __future__ import annotations

from ....core.arrays import Float32Array
from .algebra import apply, cross, load3, store3
from .kinematics import velocities
from .lanes import Lanes, everywhere, inlined, load, square_root, store
from .tables import BALL, FIXED, ROOT_FREEDOMS, BodyTables, Workspace


@inlined
def momentum_of(
    inertia: Float32Array, k: int, m: float, wx: Lanes, wy: Lanes, wz: Lanes, vx: Lanes, vy: Lanes, vz: Lanes
) -> tuple[Lanes, Lanes, Lanes, Lanes, Lanes, Lanes]:
    """The spatial inertia whose nine numbers begin at row k, with mass m, times a spatial velocity."""
    xx, xy, xz = load3(inertia, k)
    yy, yz, zz = load3(inertia, k + 3)
    hx, hy, hz = load3(inertia, k + 6)
    ax, ay, az = cross(hx, hy, hz, vx, vy, vz)
    bx, by, bz = cross(hx, hy, hz, wx, wy, wz)
    return (
        xx * wx + xy * wy + xz * wz + ax,
        xy * wx + yy * wy + yz * wz + ay,
        xz * wx + yz * wy + zz * wz + az,
        m * vx - bx,
        m * vy - by,
        m * vz - bz,
    )


@inlined
def inertias(t: BodyTables, w: Workspace) -> None:
    """Spatial inertias of all links, and of each with all that hangs on it."""
    links = len(t.parents)
    for i in range(links):
        x, y, z = apply(w.matrix, 9 * i, t.centre[i, 0], t.centre[i, 1], t.centre[i, 2])
        ox, oy, oz = load3(w.origin, 3 * i)
        x, y, z = x + ox, y + oy, z + oz
        m, ix, iy, iz = t.mass[i], t.inertia[i, 0], t.inertia[i, 1], t.inertia[i, 2]
        r0, r1, r2 = load3(w.matrix, 9 * i)
        r3, r4, r5 = load3(w.matrix, 9 * i + 3)
        r6, r7, r8 = load3(w.matrix, 9 * i + 6)
        hx, hy, hz = m * x, m * y, m * z
        xx = ix * r0 * r0 + iy * r1 * r1 + iz * r2 * r2 + hy * y + hz * z
        xy = ix * r0 * r3 + iy * r1 * r4 + iz * r2 * r5 - hx * y
        xz = ix * r0 * r6 + iy * r1 * r7 + iz * r2 * r8 - hx * z
        yy = ix * r3 * r3 + iy * r4 * r4 + iz * r5 * r5 + hx * x + hz * z
        yz = ix * r3 * r6 + iy * r4 * r7 + iz * r5 * r8 - hy * z
        zz = ix * r6 * r6 + iy * r7 * r7 + iz * r8 * r8 + hx * x + hy * y
        for array in (w.inertia, w.composite):
            store3(array, 9 * i, xx, xy, xz)
            store3(array, 9 * i + 3, yy, yz, zz)
            store3(array, 9 * i + 6, hx, hy, hz)
    for i in range(links - 1, 0, -1):
        p = t.parents[i]
        for k in range(9):
            store(w.composite, 9 * p + k, load(w.composite, 9 * p + k) + load(w.composite, 9 * i + k))


@inlined
def bias_force(t: BodyTables, w: Workspace, speeds: Float32Array, gravity: Float32Array) -> None:
    """Forces with which no link would accelerate against gravity's and its own inertia, summed up the tree: the
    recursive Newton-Euler algorithm (section 5.3) with no joint accelerating."""
    velocities(t, w, speeds)
    links = len(t.parents)
    for i in range(links):
        p = t.parents[i]
        wx, wy, wz = load3(w.velocity, 6 * i)
        vx, vy, vz = load3(w.velocity, 6 * i + 3)
        if i == 0:
            # The root's linear speed is its centre's, which moves along with it
            ax, ay, az = everywhere(0.0), everywhere(0.0), everywhere(0.0)
            bx, by, bz = cross(vx, vy, vz, wx, wy, wz)
            gx, gy, gz = load3(gravity, 0)
            bx, by, bz = bx - gx, by - gy, bz - gz
        else:
            ax, ay, az = load3(w.acceleration, 6 * p)
            bx, by, bz = load3(w.acceleration, 6 * p + 3)
            if t.kinds[i] != FIXED:
                px, py, pz = load3(w.velocity, 6 * p)
                qx, qy, qz = load3(w.velocity, 6 * p + 3)
                ox, oy, oz, nx, ny, nz = wx - px, wy - py, wz - pz, vx - qx, vy - qy, vz - qz
                cx, cy, cz = cross(wx, wy, wz, ox, oy, oz)
                dx, dy, dz = cross(wx, wy, wz, nx, ny, nz)
                ex, ey, ez = cross(vx, vy, vz, ox, oy, oz)
                ax, ay, az = ax + cx, ay + cy, az + cz
                bx, by, bz = bx + dx + ex, by + dy + ey, bz + dz + ez
        store3(w.acceleration, 6 * i, ax, ay, az)
        store3(w.acceleration, 6 * i + 3, bx, by, bz)
        hx, hy, hz, mx, my, mz = momentum_of(w.inertia, 9 * i, t.mass[i], wx, wy, wz, vx, vy, vz)
        fx, fy, fz, gx, gy, gz = momentum_of(w.inertia, 9 * i, t.mass[i], ax, ay, az, bx, by, bz)
        cx, cy, cz = cross(wx, wy, wz, hx, hy, hz)
        dx, dy, dz = cross(vx, vy, vz, mx, my, mz)
        ex, ey, ez = cross(wx, wy, wz, mx, my, mz)
        store3(w.force, 6 * i, fx + cx + dx, fy + cy + dy, fz + cz + dz)
        store3(w.force, 6 * i + 3, gx + ex, gy + ey, gz + ez)
    for i in range(links - 1, 0, -1):
        p = t.parents[i]
        for k in range(6):
            store(w.force, 6 * p + k, load(w.force, 6 * p + k) + load(w.force, 6 * i + k))


@inlined
def root_block(t: BodyTables, w: Workspace) -> None:
    """The root's part of bias and mass matrix."""
    for k in range(ROOT_FREEDOMS):
        store(w.bias, k, load(w.force, k))
    xx, xy, xz = load3(w.composite, 0)
    yy, yz, zz = load3(w.composite, 3)
    hx, hy, hz = load3(w.composite, 6)
    zero, m, rows = everywhere(0.0), everywhere(t.carried[0]), w.factor
    store(rows, 0, xx)
    store(rows, 1, xy)
    store(rows, 2, yy)
    store3(rows, 3, xz, yz, zz)
    store3(rows, 6, zero, hz, -hy)
    store(rows, 9, m)
    store3(rows, 10, -hz, zero, hx)
    store(rows, 13, zero)
    store(rows, 14, m)
    store3(rows, 15, hy, -hx, zero)
    store3(rows, 18, zero, zero, m)


@inlined
def mass_matrix(t: BodyTables, w: Workspace) -> None:
    """Axes of all freedoms, bias and mass matrix: the composite rigid body algorithm (section 6.2)."""
    root_block(t, w)
    for i in range(1, len(t.parents)):
        if t.kinds[i] == FIXED:
            continue
        ox, oy, oz = load3(w.origin, 3 * i)
        fx, fy, fz = load3(w.force, 6 * i)
        gx, gy, gz = load3(w.force, 6 * i + 3)
        for d in range(t.width[i]):
            f = t.first[i] + d
            if t.kinds[i] == BALL:
                ax, ay, az = load(w.matrix, 9 * i + d), load(w.matrix, 9 * i + 3 + d), load(w.matrix, 9 * i + 6 + d)
            else:
                ax, ay, az = apply(w.matrix, 9 * i, t.axis[i, 0], t.axis[i, 1], t.axis[i, 2])
            bx, by, bz = cross(ox, oy, oz, ax, ay, az)
            store3(w.axis, 6 * f, ax, ay, az)
            store3(w.axis, 6 * f + 3, bx, by, bz)
            store(w.bias, f, ax * fx + ay * fy + az * fz + bx * gx + by * gy + bz * gz)
            hx, hy, hz, mx, my, mz = momentum_of(w.composite, 9 * i, t.carried[i], ax, ay, az, bx, by, bz)
            r = t.row[f]
            store3(w.factor, r, hx, hy, hz)
            store3(w.factor, r + 3, mx, my, mz)
            for c in range(r + ROOT_FREEDOMS, t.row[f + 1]):
                k = 6 * t.chain[c]
                x, y, z = load3(w.axis, k)
                u, v, q = load3(w.axis, k + 3)
                store(w.factor, c, hx * x + hy * y + hz * z + mx * u + my * v + mz * q)


@inlined
def factorise(t: BodyTables, w: Workspace) -> None:
    """From the mass matrix to L, in place."""
    rows = w.factor
    for k in range(len(t.torque) - 1, -1, -1):
        r, n = t.row[k], t.row[k + 1] - t.row[k] - 1
        scale = 1.0 / square_root(load(rows, r + n))
        store(w.scale, k, scale)
        for c in range(n):
            store(rows, r + c, load(rows, r + c) * scale)
        for c in range(n):
            x = load(rows, r + c)
            above = t.row[t.chain[r + c]]
            for d in range(c + 1):
                store(rows, above + d, load(rows, above + d) - x * load(rows, r + d))


@inlined
def free_motion(t: BodyTables, w: Workspace, speeds: Float32Array, seconds: float) -> None:
    """L times the speeds that free motion leads to: L v - h inv(L') bias."""
    rows = w.factor
    for k in range(len(t.torque) - 1, -1, -1):
        r, n = t.row[k], t.row[k + 1] - t.row[k] - 1
        force = load(w.bias, k) * load(w.scale, k)
        total = load(speeds, k) / load(w.scale, k) - seconds * force
        for c in range(n):
            j = t.chain[r + c]
            x = load(rows, r + c)
            store(w.bias, j, load(w.bias, j) - x * force)
            total = total + x * load(speeds, j)
        store(w.momentum, k, total)


@inlined
def speeds_of(t: BodyTables, w: Workspace, speeds: Float32Array) -> None:
    """The speeds v with L v = momentum."""
    for k in range(len(t.torque)):
        r, n = t.row[k], t.row[k + 1] - t.row[k] - 1
        rest = load(w.momentum, k)
        for c in range(n):
            rest = rest - load(w.factor, r + c) * load(speeds, t.chain[r + c])
        store(speeds, k, rest * load(w.scale, k))


@inlined
def whiten(t: BodyTables, w: Workspace, y: Float32Array, at: int, tip: int) -> None:
    """Three rows on end at y[at], hanging on freedom tip, to inv(L') times them, in place."""
    first = t.row[tip]
    n = t.row[tip + 1] - first
    for p in range(n - 1, -1, -1):
        k = t.chain[first + p]
        scale, r = load(w.scale, k), t.row[k]
        a, b, c = load(y, at + p) * scale, load(y, at + n + p) * scale, load(y, at + 2 * n + p) * scale
        store(y, at + p, a)
        store(y, at + n + p, b)
        store(y, at + 2 * n + p, c)
        for q in range(p):
            x = load(w.factor, r + q)
            store(y, at + q, load(y, at + q) - x * a)
            store(y, at + n + q, load(y, at + n + q) - x * b)
            store(y, at + 2 * n + q, load(y, at + 2 * n + q) - x * c)


@inlined
def whitened_unit(t: BodyTables, w: Workspace, f: int) -> Lanes:
    """The whitened row of freedom f's own speed, into w.servo; returns its squared length."""
    first = t.row[f]
    n = t.row[f + 1] - first
    y, scale = w.servo, load(w.scale, f)
    store(y, first + n - 1, scale)
    square = scale * scale
    for c in range(n - 1):
        store(y, first + c, -load(w.factor, first + c) * scale)
    for p in range(n - 2, -1, -1):
        k = t.chain[first + p]
        r = t.row[k]
        x = load(y, first + p) * load(w.scale, k)
        store(y, first + p, x)
        square = square + x * x
        for c in range(p):
            store(y, first + c, load(y, first + c) - load(w.factor, r + c) * x)
    return square


@inlined
def link_jacobians(t: BodyTables, w: Workspace, i: int) -> None:
    """Whitened Jacobians of link i's spin and of its speed at the point of reference, world axes: once a substep."""
    if w.known[i] == 1:
        return
    w.known[i] = 1
    tip, at = t.tip[i], t.spin_at[i]
    first = t.row[tip]
    n = t.row[tip + 1] - first
    one, zero = everywhere(1.0), everywhere(0.0)
    for e in range(3):
        for c in range(ROOT_FREEDOMS):
            store(w.spin, at + e * n + c, one if c == e else zero)
            store(w.speed, at + e * n + c, one if c == e + 3 else zero)
        for c in range(ROOT_FREEDOMS, n):
            k = 6 * t.chain[first + c]
            store(w.spin, at + e * n + c, load(w.axis, k + e))
            store(w.speed, at + e * n + c, load(w.axis, k + 3 + e))
    whiten(t, w, w.spin, at, tip)
    whiten(t, w, w.speed, at, tip)


@inlined
def along(t: BodyTables, u: Float32Array, y: Float32Array, at: int, first: int, n: int) -> Lanes:
    """The speed along a whitened row of n entries at y[at], whose chain begins at first."""
    a = load(y, at) * load(u, 0) + load(y, at + 1) * load(u, 1)
    b = load(y, at + 2) * load(u, 2) + load(y, at + 3) * load(u, 3)
    c = load(y, at + 4) * load(u, 4) + load(y, at + 5) * load(u, 5)
    for q in range(ROOT_FREEDOMS, n):
        a = a + load(y, at + q) * load(u, t.chain[first + q])
    return a + b + c


@inlined
def push(t: BodyTables, u: Float32Array, y: Float32Array, at: int, first: int, n: int, impulse: Lanes) -> None:
    """Change the motion by an impulse along such a row."""
    for q in range(ROOT_FREEDOMS):
        store(u, q, load(u, q) + load(y, at + q) * impulse)
    for q in range(ROOT_FREEDOMS, n):
        k = t.chain[first + q]
        store(u, k, load(u, k) + load(y, at + q) * impulse)
