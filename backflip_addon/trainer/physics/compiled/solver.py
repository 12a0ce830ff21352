# SPDX-License-Identifier: GPL-3.0-or-later
"""One physics step, solved by sequential impulses: projected Gauss-Seidel over the impulses of all rows (Catto 2005).

With generalised speeds v, mass matrix M = L' L, bias force b and a step of h seconds, free motion leads to
v* = v - h inv(M) b. Row i, a row J_i of the Jacobian, has an impulse p_i within bounds and wants the speed w_i along
it. With u = L v and whitened rows y_i = inv(L') J_i' the speed along a row is y_i . u, and an impulse's change dp moves
u by y_i dp: nothing but u is kept. An iteration lets one row after the other do

    p_i <- clamp(p_i + r (w_i - y_i . u) / (y_i . y_i))

servos and joint limits (from the root to the tips), then contacts' normals, their friction (within the circle of radius
mu p_z), and contacts between parts. r, above 1, over-relaxes (Young 1954); in the last iterations it is 1. It begins
with the impulses of the step before (warm starting). A scene's mass factor would scale M and all impulses alike: it is
left out of both, and the servos' bounds are divided by it. So a factor on strength divides it.
"""

from __future__ import annotations

from ....core.arrays import Float32Array
from ....core.constants import GRAVITY
from ..simulator import JOINT_SPEED, TOUCHING
from .constraints import (
    LEAST_IMPULSE,
    Contacts,
    Goal,
    State,
    Surroundings,
    contact_gaps,
    floor_rows,
    pair_rows,
    servo_rows,
)
from .dynamics import along, bias_force, factorise, free_motion, inertias, mass_matrix, push, speeds_of
from .kinematics import integrate, pose
from .lanes import Lanes, everywhere, greatest, inlined, kernel, least, load, square_root, store, where
from .momentum import keep_flying, see_flight
from .tables import ROOT_FREEDOMS, BodyTables, Workspace

# r. What 10 and 20 iterations of a backflip's steps are off by is, in shares of all that impulses do, 1.6 and 0.24 %;
# 3.0 and 1.3 without. 1.5 is as good, from 1.6 on few iterations are worse
RELAXATION = 1.4
PLAIN = 5  # last iterations without: where they all over-relax and are few, the feet of a body that stands rattle


@inlined
def along_all(u: Float32Array, y: Float32Array, at: int, n: int) -> Lanes:
    """The speed along a whitened row with entries everywhere."""
    a, b = load(y, at) * load(u, 0), load(y, at + 1) * load(u, 1)
    for q in range(2, n - 1, 2):
        a = a + load(y, at + q) * load(u, q)
        b = b + load(y, at + q + 1) * load(u, q + 1)
    if n % 2 == 1:
        a = a + load(y, at + n - 1) * load(u, n - 1)
    return a + b


@inlined
def push_all(u: Float32Array, y: Float32Array, at: int, n: int, impulse: Lanes) -> None:
    """Change the motion by an impulse along a row with entries everywhere."""
    for q in range(n):
        store(u, q, load(u, q) + load(y, at + q) * impulse)


@inlined
def warm_start(t: BodyTables, w: Workspace, s: State, contacts: int, meetings: int) -> None:
    """Begin with the last step's impulses: with nine tenths of them, and few iterations, bodies fell as if caught."""
    u, freedoms = w.momentum, len(t.torque)
    for f in range(ROOT_FREEDOMS, freedoms):
        first = t.row[f]
        bound = load(w.servo_bound, f)
        servo = greatest(least(load(s.servo_impulses, f), bound), -bound)
        store(s.servo_impulses, f, servo)
        push(t, u, w.servo, first, first, t.row[f + 1] - first, servo + load(s.limit_impulses, f))
    stride = len(w.contact) // max(len(t.point_link), 1)
    for c in range(contacts):
        k = w.touching[c]
        first = t.row[t.tip[t.point_link[k]]]
        n = t.row[t.tip[t.point_link[k]] + 1] - first
        for e in range(3):
            push(t, u, w.contact, stride * c + e * n, first, n, load(s.contact_impulses, 3 * k + e))
    for c in range(meetings):
        push_all(u, w.pair_row, c * freedoms, freedoms, load(s.pair_impulses, w.meeting[c]))


@inlined
def solve_joint(t: BodyTables, w: Workspace, s: State, f: int, relax: float) -> None:
    """The turn of a servo, and of the limit along it. relax, here and below: r of the module's formula."""
    u, first = w.momentum, t.row[f]
    n = t.row[f + 1] - first
    mass, bound = load(w.servo_mass, f), load(w.servo_bound, f)
    speed = along(t, u, w.servo, first, first, n)
    old = load(s.servo_impulses, f)
    new = greatest(least(old + (load(w.servo_speed, f) - speed) * (relax * mass), bound), -bound)
    store(s.servo_impulses, f, new)
    change = new - old
    if w.limited[f]:
        # Along the same row: the servo has changed the speed by change / mass
        sign = load(w.limit_sign, f)
        pushed = sign * load(s.limit_impulses, f)
        wanted = load(w.limit_speed, f) - sign * (speed + change / mass)
        pushed = sign * greatest(pushed + wanted * (relax * mass), everywhere(0.0))
        change = change + pushed - load(s.limit_impulses, f)
        store(s.limit_impulses, f, pushed)
    push(t, u, w.servo, first, first, n, change)


@inlined
def solve_normals(t: BodyTables, w: Workspace, s: State, contacts: int, relax: float) -> None:
    """The turns of all contacts with the floor, upward."""
    stride = len(w.contact) // max(len(t.point_link), 1)
    for c in range(contacts):
        k = w.touching[c]
        tip = t.tip[t.point_link[k]]
        first = t.row[tip]
        n = t.row[tip + 1] - first
        at = stride * c + 2 * n
        old = load(s.contact_impulses, 3 * k + 2)
        wanted = load(w.contact_speed, c) - along(t, w.momentum, w.contact, at, first, n)
        new = greatest(old + wanted * (relax * load(w.contact_mass, 3 * c + 2)), everywhere(0.0))
        store(s.contact_impulses, 3 * k + 2, new)
        push(t, w.momentum, w.contact, at, first, n, new - old)


@inlined
def solve_friction(t: BodyTables, w: Workspace, s: State, friction: Lanes, contacts: int, relax: float) -> None:
    """The turns of all contacts' friction, both directions at once (btMultiBodyConstraintSolver.cpp:318)."""
    u, stride = w.momentum, len(w.contact) // max(len(t.point_link), 1)
    for c in range(contacts):
        k = w.touching[c]
        tip = t.tip[t.point_link[k]]
        first = t.row[tip]
        n = t.row[tip + 1] - first
        at = stride * c
        x, y = load(s.contact_impulses, 3 * k), load(s.contact_impulses, 3 * k + 1)
        a = x - along(t, u, w.contact, at, first, n) * (relax * load(w.contact_mass, 3 * c))
        b = y - along(t, u, w.contact, at + n, first, n) * (relax * load(w.contact_mass, 3 * c + 1))
        most = friction * load(s.contact_impulses, 3 * k + 2)
        share = least(most / greatest(square_root(a * a + b * b), everywhere(LEAST_IMPULSE)), everywhere(1.0))
        store(s.contact_impulses, 3 * k, a * share)
        store(s.contact_impulses, 3 * k + 1, b * share)
        push(t, u, w.contact, at, first, n, a * share - x)
        push(t, u, w.contact, at + n, first, n, b * share - y)


@inlined
def solve_pairs(t: BodyTables, w: Workspace, s: State, meetings: int, relax: float) -> None:
    """The turns of contacts between parts."""
    freedoms = len(t.torque)
    for c in range(meetings):
        k = w.meeting[c]
        old = load(s.pair_impulses, k)
        wanted = load(w.pair_speed, c) - along_all(w.momentum, w.pair_row, c * freedoms, freedoms)
        new = greatest(old + wanted * (relax * load(w.pair_mass, c)), everywhere(0.0))
        store(s.pair_impulses, k, new)
        push_all(w.momentum, w.pair_row, c * freedoms, freedoms, new - old)


@inlined
def tell_contacts(
    t: BodyTables, w: Workspace, s: State, floor: Contacts, contacts: int, seconds: float, share: float
) -> None:
    """Add a solved step, a share of a control step, to what the floor does with each link."""
    weight = t.carried[0] * GRAVITY * seconds
    stride = len(w.contact) // max(len(t.point_link), 1)
    for i in range(len(floor.touched)):
        store(floor.touched, i, load(floor.touched, i) + share * load(floor.touching, i))
    c = 0
    while c < contacts:  # a link's points come one after the other
        i = t.point_link[w.touching[c]]
        first = t.row[t.tip[i]]
        n = t.row[t.tip[i] + 1] - first
        pressed, counted, way = everywhere(0.0), everywhere(0.0), everywhere(0.0)
        while c < contacts and t.point_link[w.touching[c]] == i:
            x = along(t, w.momentum, w.contact, stride * c, first, n)
            y = along(t, w.momentum, w.contact, stride * c + n, first, n)
            pressed = pressed + load(s.contact_impulses, 3 * w.touching[c] + 2)
            counts = where(load(w.gap, w.touching[c]) < TOUCHING, everywhere(1.0), everywhere(0.0))
            counted = counted + counts
            way = way + counts * square_root(x * x + y * y)
            c += 1
        store(floor.load, i, load(floor.load, i) + (share / weight) * pressed)
        store(floor.slid, i, load(floor.slid, i) + seconds * way / greatest(counted, everywhere(1.0)))


@kernel
def substep(
    t: BodyTables,
    w: Workspace,
    s: State,
    goal: Goal,
    around: Surroundings,
    floor: Contacts,
    substeps: int,
    seconds: float,
    erp: float,
    damping: float,
    response: float,
    iterations: int,
) -> None:
    """One physics step of the bodies in the lanes; w holds the pose of their rotations, and the links' inertias, before
    and after.

    floor: its touching becomes this step's; this step's share, of so many substeps, is added to the others.
    """
    for i in range(len(t.parents)):
        w.known[i] = 0
    floor.touching[:] = 0.0
    contact_gaps(t, w, load(s.position, 2) - load(around.floor, 0), floor.touching)
    bias_force(t, w, s.speeds, around.gravity)
    see_flight(t, w, s)
    mass_matrix(t, w)
    factorise(t, w)
    free_motion(t, w, s.speeds, seconds)
    servo_rows(t, w, s, goal, load(around.weakness, 0), load(around.mass, 0), seconds, erp, damping, response)
    contacts = floor_rows(t, w, s, seconds, erp)
    meetings = pair_rows(t, w, s, seconds, erp)
    warm_start(t, w, s, contacts, meetings)
    freedoms = len(t.torque)
    for iteration in range(iterations):
        relax = RELAXATION if iteration < iterations - PLAIN else 1.0
        for f in range(ROOT_FREEDOMS, freedoms):
            solve_joint(t, w, s, f, relax)
        solve_normals(t, w, s, contacts, relax)
        solve_friction(t, w, s, load(around.friction, 0), contacts, relax)
        solve_pairs(t, w, s, meetings, relax)
    tell_contacts(t, w, s, floor, contacts, seconds, 1.0 / substeps)
    speeds_of(t, w, s.speeds)
    for f in range(freedoms):
        fastest = everywhere(JOINT_SPEED)
        store(s.speeds, f, greatest(least(load(s.speeds, f), fastest), -fastest))
    integrate(t, s.position, s.rotations, s.angles, s.speeds, seconds)
    pose(t, w, s.rotations)
    inertias(t, w)
    keep_flying(t, w, s, around.gravity, seconds)
