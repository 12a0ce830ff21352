# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rows of the solver want: servos, joint limits, contacts with the floor, and those between a body's parts.

A row is a direction in which an impulse acts and a speed along it that it drives to, within bounds. Of Bullet, file and
line are those of the sources that PyBullet 3.2.7 was built from (bullet3 at 6c888f4).
"""

from __future__ import annotations

from typing import NamedTuple

from ....core.arrays import Float32Array
from ....core.torque_curve import CURVATURE, LEAST_SHARE
from ..simulator import TOUCHING
from .algebra import (
    Vector,
    apply,
    arcsin,
    arctan2,
    cross,
    from_rotation_vector,
    load3,
    load4,
    multiply,
    normalised,
    store3,
    store4,
)
from .dynamics import along, link_jacobians, whitened_unit
from .lanes import Lanes, absolute, any_lane, everywhere, greatest, inlined, least, load, square_root, store, where
from .tables import BALL, FIXED, HINGE, MOST_PAIRS, BodyTables, Workspace

# m, by which contacts begin early: PyBullet's, PhysicsServerCommandProcessor.cpp:2803
LINEAR_SLOP = 1e-5
# m/s, the speed that a contact or a limit out of reach wants: so far below 0 that it never acts
OUT_OF_REACH = -1e6
# Share of ERP with which a ball joint comes back from beyond its limit (m_kp, btMultiBodySphericalJointLimit.cpp:36)
BALL_LIMIT_GAIN = 0.2
LEAST_IMPULSE = 1e-9  # N m s or N s: below it an impulse's direction is of no matter
SMALLEST_LENGTH = 1e-6  # m, squared: m^2; a segment of no length is a point


class State(NamedTuple):
    """Where the bodies in the lanes are: position (3) of the root's centre of mass, m; rotations (4 L), local, the
    root's the world's; angles (H) of hinges, rad; speeds (F). And what the last substep's impulses were, with which
    the next begins: of servos and limits (F), contacts (3 P) and pairs (K), N s."""

    position: Float32Array
    rotations: Float32Array
    angles: Float32Array
    speeds: Float32Array
    servo_impulses: Float32Array
    limit_impulses: Float32Array
    contact_impulses: Float32Array
    pair_impulses: Float32Array


class Goal(NamedTuple):
    """What the servos drive to by the end of a control step: rotations (4 L) of ball joints; angles, rates (H) of
    hinges, rad and rad/s. And from where on: from_rotations (4 L), from_angles (H), the goal of the step before."""

    rotations: Float32Array
    angles: Float32Array
    rates: Float32Array
    from_rotations: Float32Array
    from_angles: Float32Array


class Surroundings(NamedTuple):
    """friction, floor (m), weakness (the mass's factor over the strength's), the mass's factor, each (1); gravity (3),
    m/s^2."""

    friction: Float32Array
    floor: Float32Array
    weakness: Float32Array
    mass: Float32Array
    gravity: Float32Array


class Contacts(NamedTuple):
    """What the floor does with each link (L) in a control step: touching, 1 where it touched when the last substep
    began; touched, the share of substeps that began so; load, the floor's mean force upward, body weights; slid, the
    way along the floor of its points that touched, their mean, m, whatever each of them carries: so a foot that turns
    about the corner it bears on slides too, with others a hair above the floor (as core.measures.footwork has it)."""

    touching: Float32Array
    touched: Float32Array
    load: Float32Array
    slid: Float32Array


@inlined
def lead_goal(t: BodyTables, w: Workspace, goal: Goal, share: float) -> None:
    """The servos' goal a share into the control step, on its way from the last one to this one: a goal that jumped
    with every control step would kick the feet off the floor 30 times a second."""
    for i in range(1, len(t.parents)):
        if t.kinds[i] == BALL:
            aw, ax, ay, az = load4(goal.from_rotations, 4 * i)
            bw, bx, by, bz = load4(goal.rotations, 4 * i)
            alike = where(aw * bw + ax * bx + ay * by + az * bz > 0.0, everywhere(share), everywhere(-share))
            rest = 1.0 - share
            turn = aw * rest + bw * alike, ax * rest + bx * alike, ay * rest + by * alike, az * rest + bz * alike
            store4(w.goal_rotations, 4 * i, *normalised(*turn))
        elif t.kinds[i] == HINGE:
            h = t.hinge[i]
            start = load(goal.from_angles, h)
            store(w.goal_angles, h, start + share * (load(goal.angles, h) - start))


@inlined
def hold_goal(goal: Goal) -> None:
    """The next control step sets out from this goal."""
    for k in range(len(goal.rotations)):
        store(goal.from_rotations, k, load(goal.rotations, k))
    for h in range(len(goal.angles)):
        store(goal.from_angles, h, load(goal.angles, h))


@inlined
def servo_error(q: Float32Array, goal: Float32Array, i: int) -> Vector:
    """Euler angles of the rotation to ball joint i's goal, the child's axes, rad: as Bullet measures the error
    (btMultiBodySphericalJointMotor.cpp:130 to :168)."""
    w, x, y, z = load4(q, 4 * i)
    w, x, y, z = multiply(w, -x, -y, -z, *load4(goal, 4 * i))
    roll = arctan2(2.0 * (y * z + w * x), 1.0 - 2.0 * (x * x + y * y))
    yaw = arctan2(2.0 * (x * y + w * z), 1.0 - 2.0 * (y * y + z * z))
    return roll, -arcsin(2.0 * (x * z - w * y)), yaw


@inlined
def limit_angles(t: BodyTables, rotations: Float32Array, i: int) -> Vector:
    """Swing about x and y and twist of ball joint i, rad: core.joint_limits.angles() in lanes."""
    frame = t.frame[i]
    q = load4(rotations, 4 * i)
    a, b = everywhere(frame[0]), everywhere(-frame[1])
    w, x, y, z = multiply(a, b, everywhere(-frame[2]), everywhere(-frame[3]), *q)
    px, py, pz = 2.0 * (x * z + w * y), 2.0 * (y * z - w * x), 1.0 - 2.0 * (x * x + y * y)
    square = greatest(w * w + z * z, everywhere(1e-12))
    cos, sin = (w * w - z * z) / square, 2.0 * w * z / square
    return arctan2(sin * px - cos * py, pz), arcsin(cos * px + sin * py), arctan2(sin, cos)


@inlined
def half_angles(angle: Lanes) -> tuple[Lanes, Lanes]:
    """Cosine and sine of an angle, by those of its half."""
    cos, sin, _, _ = from_rotation_vector(angle, everywhere(0.0), everywhere(0.0))
    return cos * cos - sin * sin, 2.0 * sin * cos


@inlined
def bounded_to_limit(t: BodyTables, rotations: Float32Array, i: int) -> None:
    """Bring ball joint i's rotation inside its limit: core.joint_limits.clamped() in lanes."""
    f = t.first[i]
    a, b, c = limit_angles(t, rotations, i)
    over = greatest(greatest(absolute(a) - t.half[f], absolute(b) - t.half[f + 1]), absolute(c) - t.half[f + 2])
    if not any_lane(over > 0.0):
        return
    x = greatest(least(a, everywhere(t.half[f])), everywhere(-t.half[f]))
    y = greatest(least(b, everywhere(t.half[f + 1])), everywhere(-t.half[f + 1]))
    z = greatest(least(c, everywhere(t.half[f + 2])), everywhere(-t.half[f + 2]))
    cos_x, sin_x = half_angles(x)
    cos_y, sin_y = half_angles(y)
    cos, sin = half_angles(z)
    sideways, ahead = sin_y, -sin_x * cos_y
    px, py, pz = cos * sideways - sin * ahead, sin * sideways + cos * ahead, cos_x * cos_y
    swing = normalised(greatest(1.0 + pz, everywhere(SMALLEST_LENGTH)), -py, px, everywhere(0.0))
    twist = from_rotation_vector(everywhere(0.0), everywhere(0.0), z)
    frame = t.frame[i]
    middle = everywhere(frame[0]), everywhere(frame[1]), everywhere(frame[2]), everywhere(frame[3])
    w, x, y, z = multiply(*middle, *multiply(*swing, *twist))
    own_w, own_x, own_y, own_z = load4(rotations, 4 * i)
    out = over > 0.0
    store4(rotations, 4 * i, where(out, w, own_w), where(out, x, own_x), where(out, y, own_y), where(out, z, own_z))


@inlined
def servo_rows(
    t: BodyTables,
    w: Workspace,
    s: State,
    goal: Goal,
    weakness: Lanes,
    mass: Lanes,
    seconds: float,
    erp: float,
    damping: float,
    response: float,
) -> None:
    """Rows of all joints' servos, and of the limits along them that are passed."""
    wanted = everywhere(0.0)
    for i in range(1, len(t.parents)):
        f = t.first[i]
        if t.kinds[i] == FIXED:
            continue
        if t.kinds[i] == BALL:
            ex, ey, ez = servo_error(s.rotations, w.goal_rotations, i)
            store3(w.servo_speed, f, t.gain[i] * ex, t.gain[i] * ey, t.gain[i] * ez)
            ax, ay, az = limit_angles(t, s.rotations, i)
            share = BALL_LIMIT_GAIN * erp / seconds
            limit_row(w, s, f, ax - t.half[f], -ax - t.half[f], share)
            limit_row(w, s, f + 1, ay - t.half[f + 1], -ay - t.half[f + 1], share)
            limit_row(w, s, f + 2, az - t.half[f + 2], -az - t.half[f + 2], share)
        else:
            h = t.hinge[i]
            angle = load(s.angles, h)
            wanted = t.gain[i] * (load(w.goal_angles, h) - angle) + damping * load(goal.rates, h)
            limit_row(w, s, f, angle - t.high[h], t.low[h] - angle, erp / seconds)
        for k in range(f, f + t.width[i]):
            store(w.servo_mass, k, 1.0 / whitened_unit(t, w, k))
            if t.kinds[i] == HINGE:  # damped by a share, from where free motion leads
                free = along(t, w.momentum, w.servo, t.row[k], t.row[k], t.row[k + 1] - t.row[k])
                store(w.servo_speed, k, wanted + (1.0 - damping) * free)
        servo_bounds(t, w, s, goal, i, weakness, mass, seconds, damping, response)


@inlined
def servo_bounds(
    t: BodyTables,
    w: Workspace,
    s: State,
    goal: Goal,
    i: int,
    weakness: Lanes,
    mass: Lanes,
    seconds: float,
    damping: float,
    response: float,
) -> None:
    """The greatest impulse of joint i's servo about each of its axes: that of its torque, less where it drives along
    the joint's speed, as it did in the substep before (core.torque_curve); and no more than a PD controller's
    (servo_gains)."""
    first, fastest = t.first[i], t.top_speed[t.first[i]]
    share, before = everywhere(1.0), everywhere(0.0)
    along, square = everywhere(0.0), everywhere(LEAST_IMPULSE * LEAST_IMPULSE)
    for f in range(first, first + t.width[i]):
        impulse = load(s.servo_impulses, f)
        along = along + impulse * load(s.speeds, f)
        square = square + impulse * impulse
        before = greatest(before, absolute(impulse))
    if fastest > 0.0:
        driving = greatest(along, everywhere(0.0)) / square_root(square)
        share = greatest((fastest - driving) / (fastest + CURVATURE * driving), everywhere(LEAST_SHARE))
    wanted = everywhere(0.0)
    if t.kinds[i] == HINGE:
        h = t.hinge[i]
        turn = (t.gain[i] / damping) * (load(w.goal_angles, h) - load(s.angles, h))
        wanted = absolute(turn + load(goal.rates, h) - load(s.speeds, first))
    else:
        square = everywhere(0.0)
        for f in range(first, first + t.width[i]):
            change = load(w.servo_speed, f) - load(s.speeds, f)
            square = square + change * change
        wanted = square_root(square)
    spring = (t.servo_damping[i] * seconds) * wanted / mass
    spring = where(before > 0.0, before + response * (spring - before), spring)
    for f in range(first, first + t.width[i]):
        store(w.servo_bound, f, least((t.torque[f] * seconds) * share / weakness, spring))


@inlined
def limit_row(w: Workspace, s: State, f: int, over: Lanes, under: Lanes, share: float) -> None:
    """A limit along freedom f that is passed by so many rad upward or downward; share: of it to come back by, 1/s."""
    sign = where(over > 0.0, everywhere(-1.0), everywhere(1.0))
    excess = greatest(over, under)
    passed = excess > 0.0
    w.limited[f] = any_lane(passed)
    if w.limited[f]:
        store(w.limit_sign, f, sign)
        store(w.limit_speed, f, where(passed, share * excess, everywhere(OUT_OF_REACH)))
    kept = load(s.limit_impulses, f)
    same = where(kept * sign > 0.0, kept, everywhere(0.0))
    store(s.limit_impulses, f, where(passed, same, everywhere(0.0)))


@inlined
def contact_gaps(t: BodyTables, w: Workspace, height: Lanes, touching: Float32Array) -> None:
    """Gaps of all points above the floor; touching (L) becomes 1 where a link is within TOUCHING of it.

    height: of the point of reference above the floor, m.
    """
    for k in range(len(t.point_link)):
        i = t.point_link[k]
        up_x, up_y, up_z = load3(w.matrix, 9 * i + 6)
        gap = load(w.origin, 3 * i + 2) + height - t.point_radius[k]
        gap = gap + up_x * t.point[k, 0] + up_y * t.point[k, 1] + up_z * t.point[k, 2]
        store(w.gap, k, gap)
        store(touching, i, where(gap < TOUCHING, everywhere(1.0), load(touching, i)))


@inlined
def approach_speed(gap: Lanes, margin: float, seconds: float, erp: float) -> Lanes:
    """The speed apart that a contact wants of what is so far apart, m/s: what is above may come down to it within a
    step, what is below comes out again (btMultiBodyConstraintSolver.cpp:725 and :787 to :805)."""
    depth = gap + LINEAR_SLOP
    speed = where(depth > 0.0, -depth, (-erp) * depth) / seconds
    return where(gap > margin, everywhere(OUT_OF_REACH), speed)


@inlined
def floor_rows(t: BodyTables, w: Workspace, s: State, seconds: float, erp: float) -> int:
    """Three rows (along x, y, z) for each point that is near the floor in any lane; returns how many points."""
    count = 0
    stride = len(w.contact) // max(len(t.point_link), 1)
    for k in range(len(t.point_link)):
        gap = load(w.gap, k)
        if not any_lane(gap <= t.point_margin[k]):
            for e in range(3):
                store(s.contact_impulses, 3 * k + e, everywhere(0.0))
            continue
        i = t.point_link[k]
        link_jacobians(t, w, i)
        tip, at = t.tip[i], t.spin_at[i]
        n = t.row[tip + 1] - t.row[tip]
        x, y, z = apply(w.matrix, 9 * i, t.point[k, 0], t.point[k, 1], t.point[k, 2])
        ox, oy, oz = load3(w.origin, 3 * i)
        x, y, z = x + ox, y + oy, z + oz - t.point_radius[k]
        to = stride * count
        xx, yy, zz = everywhere(0.0), everywhere(0.0), everywhere(0.0)
        for c in range(n):
            ax, ay, az = load(w.spin, at + c), load(w.spin, at + n + c), load(w.spin, at + 2 * n + c)
            bx, by, bz = cross(ax, ay, az, x, y, z)
            bx = bx + load(w.speed, at + c)
            by = by + load(w.speed, at + n + c)
            bz = bz + load(w.speed, at + 2 * n + c)
            store(w.contact, to + c, bx)
            store(w.contact, to + n + c, by)
            store(w.contact, to + 2 * n + c, bz)
            xx, yy, zz = xx + bx * bx, yy + by * by, zz + bz * bz
        store3(w.contact_mass, 3 * count, 1.0 / xx, 1.0 / yy, 1.0 / zz)
        store(w.contact_speed, count, approach_speed(gap, t.point_margin[k], seconds, erp))
        w.touching[count] = k
        count += 1
    return count


@inlined
def place_capsules(t: BodyTables, w: Workspace) -> None:
    """Ends of all capsules, from the point of reference."""
    for c in range(len(t.capsule_link)):
        i = t.capsule_link[c]
        ox, oy, oz = load3(w.origin, 3 * i)
        x, y, z = apply(w.matrix, 9 * i, t.capsule_start[c, 0], t.capsule_start[c, 1], t.capsule_start[c, 2])
        store3(w.segment, 6 * c, ox + x, oy + y, oz + z)
        x, y, z = apply(w.matrix, 9 * i, t.capsule_end[c, 0], t.capsule_end[c, 1], t.capsule_end[c, 2])
        store3(w.segment, 6 * c + 3, ox + x, oy + y, oz + z)


@inlined
def bounded(x: Lanes) -> Lanes:
    """A share between 0 and 1."""
    return greatest(least(x, everywhere(1.0)), everywhere(0.0))


@inlined
def nearest(w: Workspace, a: int, b: int) -> tuple[Lanes, Lanes, Lanes, Lanes, Lanes, Lanes]:
    """The way from capsule b's segment to capsule a's where they are nearest (3), and where that is on b (3):
    Ericson, "Real-Time Collision Detection" (2005), section 5.1.9."""
    px, py, pz = load3(w.segment, 6 * a)
    qx, qy, qz = load3(w.segment, 6 * a + 3)
    rx, ry, rz = load3(w.segment, 6 * b)
    sx, sy, sz = load3(w.segment, 6 * b + 3)
    ux, uy, uz, vx, vy, vz = qx - px, qy - py, qz - pz, sx - rx, sy - ry, sz - rz
    dx, dy, dz = px - rx, py - ry, pz - rz
    tiny = everywhere(SMALLEST_LENGTH)
    uu, vv, uv = ux * ux + uy * uy + uz * uz, vx * vx + vy * vy + vz * vz, ux * vx + uy * vy + uz * vz
    ud, vd = ux * dx + uy * dy + uz * dz, vx * dx + vy * dy + vz * dz
    wide = uu * vv - uv * uv
    on_a = where(
        wide > SMALLEST_LENGTH * SMALLEST_LENGTH,
        bounded((uv * vd - ud * vv) / greatest(wide, tiny * tiny)),
        everywhere(0.0),
    )
    on_b = where(vv > SMALLEST_LENGTH, bounded((uv * on_a + vd) / greatest(vv, tiny)), everywhere(0.0))
    on_a = where(uu > SMALLEST_LENGTH, bounded((uv * on_b - ud) / greatest(uu, tiny)), everywhere(0.0))
    bx, by, bz = rx + on_b * vx, ry + on_b * vy, rz + on_b * vz
    return px + on_a * ux - bx, py + on_a * uy - by, pz + on_a * uz - bz, bx, by, bz


@inlined
def far_apart(t: BodyTables, w: Workspace, a: int, b: int, reach: float) -> bool:
    """Whether the balls around two capsules are further apart than reach, m, in all lanes."""
    px, py, pz = load3(w.segment, 6 * a)
    qx, qy, qz = load3(w.segment, 6 * a + 3)
    rx, ry, rz = load3(w.segment, 6 * b)
    sx, sy, sz = load3(w.segment, 6 * b + 3)
    x, y, z = px + qx - rx - sx, py + qy - ry - sy, pz + qz - rz - sz
    return not any_lane(x * x + y * y + z * z < 4.0 * reach * reach)


@inlined
def pair_rows(t: BodyTables, w: Workspace, s: State, seconds: float, erp: float) -> int:
    """A row for each pair of capsules that is near in any lane, along the way between them; returns how many.

    Between parts there is no friction: skin and clothes slide.
    """
    place_capsules(t, w)
    count, freedoms = 0, len(t.torque)
    for k in range(len(t.pair)):
        a, b = t.pair[k, 0], t.pair[k, 1]
        radii, margin = t.capsule_radius[a] + t.capsule_radius[b], t.pair_margin[k]
        meet = not far_apart(t, w, a, b, radii + margin + t.pair_reach[k]) and count < MOST_PAIRS
        if meet:
            x, y, z, bx, by, bz = nearest(w, a, b)
            distance = square_root(greatest(x * x + y * y + z * z, everywhere(SMALLEST_LENGTH)))
            gap = distance - radii
            meet = any_lane(gap <= margin)
            if meet:
                x, y, z = x / distance, y / distance, z / distance
                square = pair_row(t, w, count * freedoms, t.capsule_link[a], t.capsule_link[b], (x, y, z), (bx, by, bz))
                store(w.pair_mass, count, 1.0 / square)
                store(w.pair_speed, count, approach_speed(gap, margin, seconds, erp))
                w.meeting[count] = k
                count += 1
        if not meet:
            store(s.pair_impulses, k, everywhere(0.0))
    return count


@inlined
def pair_row(t: BodyTables, w: Workspace, to: int, a: int, b: int, normal: Vector, point: Vector) -> Lanes:
    """The whitened row (F) of how fast link a leaves link b along a normal, at a point; returns its squared length."""
    freedoms = len(t.torque)
    for f in range(freedoms):
        store(w.pair_row, to + f, everywhere(0.0))
    for side in range(2):
        i, sign = (a, 1.0) if side == 0 else (b, -1.0)
        link_jacobians(t, w, i)
        first, at = t.row[t.tip[i]], t.spin_at[i]
        n = t.row[t.tip[i] + 1] - first
        nx, ny, nz = sign * normal[0], sign * normal[1], sign * normal[2]
        mx, my, mz = cross(point[0], point[1], point[2], nx, ny, nz)
        for c in range(n):
            along = nx * load(w.speed, at + c) + ny * load(w.speed, at + n + c) + nz * load(w.speed, at + 2 * n + c)
            along = along + mx * load(w.spin, at + c) + my * load(w.spin, at + n + c)
            along = along + mz * load(w.spin, at + 2 * n + c)
            f = to + t.chain[first + c]
            store(w.pair_row, f, load(w.pair_row, f) + along)
    square = everywhere(0.0)
    for f in range(freedoms):
        x = load(w.pair_row, to + f)
        square = square + x * x
    return square
