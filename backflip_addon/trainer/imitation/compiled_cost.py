# SPDX-License-Identifier: GPL-3.0-or-later
"""What planning minimises, in lanes, of the bodies of a group at the end of a control step; and the joint
targets that a control step begins with."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...core import rotations
from ...core.arrays import Array, Float32Array, IntArray
from ...core.body import Body
from ...core.constants import GRAVITY
from ..physics.compiled.algebra import (
    Vector,
    apply,
    apply_transposed,
    arctan2,
    cross,
    from_rotation_vector,
    load3,
    load4,
    multiply,
    store3,
    store4,
)
from ..physics.compiled.batch import Layout
from ..physics.compiled.constraints import Contacts, Goal, State, bounded_to_limit
from ..physics.compiled.kinematics import velocities
from ..physics.compiled.lanes import (
    Lanes,
    absolute,
    everywhere,
    greatest,
    inlined,
    least,
    load,
    square_root,
    store,
    where,
)
from ..physics.compiled.tables import BALL, FIXED, HINGE, ROOT_FREEDOMS, BodyTables, Workspace
from .cost import FIRM, FLOOR_MARGIN, HARD, HOVER_MARGIN, PRESSES, Weights
from .kinematics import feet_middle, tucked_inertia, verticals
from .reference_track import END_LINKS, Track

SPHERE, CAPSULE, BOX = 0, 1, 2
LEAST_HEIGHT = 0.1  # m, of a centre of mass over the feet, in the capture point's formula


class GoalTables(NamedTuple):
    """A track, boundaries 0 to T, and what its cost needs to know of the body.

    rotations (T + 1, 4 L); speeds (T + 1, F - 6) of all joints; position (T + 1, 3)
    of the root; ends (T + 1, E, 3) of end links from the centre of mass; centre, velocity, momentum, spin (T + 1, 3);
    resting (T + 1, 2); soles (T + 1, 2, 3), the vertical as the feet see it; feet_middle (T + 1, 3); leaning
    (T + 1, 2); landed (3,): steps from which on it has landed, from which on it stands still, and from which on it may
    stand anywhere. trust (T + 1, L), ends_trust (T + 1, E): Track.trust, and that of end links. targets (T, 4 L),
    angles, rates (T, H) of hinges: the controls of the control steps. columns (L,): a link's first number in an action.
    end_links (E,), feet (2,), forbidden (Q,): links. shape (L + 1,): where a link's shapes begin; kind (S,), solid
    (S, 13): centre 3, radius, three half axes. weights: cost.Weights.
    """

    rotations: Float32Array
    targets: Float32Array
    angles: Float32Array
    rates: Float32Array
    speeds: Float32Array
    position: Float32Array
    ends: Float32Array
    centre: Float32Array
    velocity: Float32Array
    momentum: Float32Array
    spin: Float32Array
    resting: Float32Array
    soles: Float32Array
    feet_middle: Float32Array
    leaning: Float32Array
    landed: IntArray
    trust: Float32Array
    ends_trust: Float32Array
    columns: IntArray
    end_links: IntArray
    feet: IntArray
    forbidden: IntArray
    shape: IntArray
    kind: IntArray
    solid: Float32Array
    weights: Float32Array


def goal_tables(track: Track, layout: Layout, weights: Weights, anywhere: bool = False) -> GoalTables:
    """The tables of a track. anywhere: what has landed is compared where it stands, not where
    it should have come down."""
    body, states = track.body, track.states
    ends = [body.index(name) for name in END_LINKS if name in body.names]
    columns = np.full(len(body.links), -1)
    for link, own in track.layout.columns.items():
        columns[link] = own[0]
    _, turns, _, speeds = layout.numbers(states)
    targets, angles, rates = layout.unbounded_goals(track.controls, track.control_speeds)
    shape, kind, solid = _solids(body)
    never = track.steps + 1
    calm = track.clip_steps if track.standing else never
    w, planted = weights, weights.planted if track.flies else weights.stepping
    numbers = [w.pose, w.root, w.ends, w.centre, w.velocity, w.spin, w.momentum / tucked_inertia(body) ** 2]
    numbers += [w.contact, w.balance, w.floor, w.rates, w.calm, planted, w.slide, w.impact, w.aloft, w.sole, w.still]
    numbers += [w.heading]
    return GoalTables(
        rotations=_floats(turns),
        targets=_floats(targets),
        angles=_floats(angles),
        rates=_floats(rates),
        speeds=_floats(speeds[:, ROOT_FREEDOMS:]),
        position=_floats(states.position),
        ends=_floats(track.positions[:, ends] - track.centre[:, None]),
        centre=_floats(track.centre),
        velocity=_floats(track.centre_velocity),
        momentum=_floats(track.momentum),
        spin=_floats(states.angular_velocity),
        resting=_floats(track.resting),
        soles=_floats(verticals(track.world[:, track.feet])),
        feet_middle=_floats(feet_middle(body, track.positions, track.world)),
        leaning=_floats(track.leaning),
        landed=_integers([track.landed, calm, track.landed if anywhere else never]),
        trust=_floats(track.trust),
        ends_trust=_floats(track.trust[:, ends]),
        columns=_integers(columns),
        end_links=_integers(ends),
        feet=_integers(track.feet),
        forbidden=_integers(np.flatnonzero(~track.allowed)),
        shape=shape,
        kind=kind,
        solid=solid,
        weights=_floats(numbers),
    )


def _solids(body: Body) -> tuple[IntArray, IntArray, Float32Array]:
    """Shapes of all links, for their lowest points."""
    starts, kinds, numbers = [0], [], []
    for link in body.links:
        for shape in link.shapes:
            axes = rotations.to_matrix(np.array(shape.rotation))
            half: Array = np.zeros((3, 3))
            if shape.kind == "capsule":
                half[0] = axes[:, 2] * shape.size[1] / 2
            elif shape.kind == "box":
                half = axes.T * np.array(shape.size)[:, None]
            radius = 0.0 if shape.kind == "box" else shape.size[0]
            kinds.append({"sphere": SPHERE, "capsule": CAPSULE, "box": BOX}[shape.kind])
            numbers.append([*shape.position, radius, *half.ravel()])
        starts.append(len(kinds))
    return _integers(starts), _integers(kinds), _floats(np.array(numbers).reshape(-1, 13))


@inlined
def set_goal(t: BodyTables, k: GoalTables, goal: Goal, step: int, offsets: Float32Array) -> None:
    """Joint targets of a control step: the track's, turned by offsets (width), rad, bounded to the joints' limits."""
    for i in range(1, len(t.parents)):
        c = k.columns[i]
        if t.kinds[i] == BALL:
            x, y, z = load3(offsets, c)
            r = k.targets[step]
            q = 4 * i
            own = everywhere(r[q]), everywhere(r[q + 1]), everywhere(r[q + 2]), everywhere(r[q + 3])
            store4(goal.rotations, q, *multiply(*own, *from_rotation_vector(x, y, z)))
            bounded_to_limit(t, goal.rotations, i)
        elif t.kinds[i] == HINGE:
            h = t.hinge[i]
            angle = load(offsets, c) + k.angles[step, h]
            store(goal.angles, h, greatest(least(angle, everywhere(t.high[h])), everywhere(t.low[h])))
            store(goal.rates, h, everywhere(k.rates[step, h]))


@inlined
def link_centres(t: BodyTables, w: Workspace) -> tuple[Lanes, Lanes, Lanes, Lanes, Lanes, Lanes]:
    """The centre of mass from the point of reference, and its velocity. Leaves each link's centre and its velocity in
    w.acceleration."""
    zero = everywhere(0.0)
    cx, cy, cz, px, py, pz = zero, zero, zero, zero, zero, zero
    for i in range(len(t.parents)):
        x, y, z = apply(w.matrix, 9 * i, t.centre[i, 0], t.centre[i, 1], t.centre[i, 2])
        ox, oy, oz = load3(w.origin, 3 * i)
        x, y, z = x + ox, y + oy, z + oz
        wx, wy, wz = load3(w.velocity, 6 * i)
        vx, vy, vz = load3(w.velocity, 6 * i + 3)
        ax, ay, az = cross(wx, wy, wz, x, y, z)
        ax, ay, az = ax + vx, ay + vy, az + vz
        store3(w.acceleration, 6 * i, x, y, z)
        store3(w.acceleration, 6 * i + 3, ax, ay, az)
        share = t.mass[i] / t.carried[0]
        cx, cy, cz, px, py, pz = (
            cx + share * x, cy + share * y, cz + share * z, px + share * ax, py + share * ay, pz + share * az,
        )  # fmt: skip
    return cx, cy, cz, px, py, pz


@inlined
def angular_momentum(t: BodyTables, w: Workspace, centre: Vector, velocity: Vector) -> Vector:
    """About the centre of mass; link_centres() has been called."""
    hx, hy, hz = everywhere(0.0), everywhere(0.0), everywhere(0.0)
    for i in range(len(t.parents)):
        x, y, z = load3(w.acceleration, 6 * i)
        ax, ay, az = load3(w.acceleration, 6 * i + 3)
        ax, ay, az = cross(
            x - centre[0], y - centre[1], z - centre[2], ax - velocity[0], ay - velocity[1], az - velocity[2]
        )
        wx, wy, wz = apply_transposed(w.matrix, 9 * i, *load3(w.velocity, 6 * i))
        wx, wy, wz = apply(w.matrix, 9 * i, wx * t.inertia[i, 0], wy * t.inertia[i, 1], wz * t.inertia[i, 2])
        m = t.mass[i]
        hx, hy, hz = hx + wx + m * ax, hy + wy + m * ay, hz + wz + m * az
    return hx, hy, hz


@inlined
def lowest(k: GoalTables, w: Workspace, i: int, height: Lanes) -> Lanes:
    """Height of a link's lowest point; height: of the point of reference."""
    low = everywhere(1e9)
    ux, uy, uz = load3(w.matrix, 9 * i + 6)
    for q in range(k.shape[i], k.shape[i + 1]):
        d = k.solid[q]
        z = load(w.origin, 3 * i + 2) + height + ux * d[0] + uy * d[1] + uz * d[2] - d[3]
        if k.kind[q] != SPHERE:
            z = z - absolute(ux * d[4] + uy * d[5] + uz * d[6])
        if k.kind[q] == BOX:
            z = z - absolute(ux * d[7] + uy * d[8] + uz * d[9]) - absolute(ux * d[10] + uy * d[11] + uz * d[12])
        low = least(low, z)
    return low


@inlined
def squared(x: Lanes, y: Lanes, z: Lanes) -> Lanes:
    """Of a vector's length."""
    return x * x + y * y + z * z


@inlined
def pose_cost(t: BodyTables, k: GoalTables, s: State, g: int) -> Lanes:
    """Of joint angles, joint speeds and the root's orientation."""
    turned, count, root, fast = everywhere(0.0), 0.0, everywhere(0.0), everywhere(0.0)
    for i in range(len(t.parents)):
        if i > 0 and t.kinds[i] == FIXED:
            continue
        w, x, y, z = load4(s.rotations, 4 * i)
        r = k.rotations[g]
        alike = absolute(w * r[4 * i] + x * r[4 * i + 1] + y * r[4 * i + 2] + z * r[4 * i + 3])
        alike = least(alike, everywhere(1.0))
        angle = 2.0 * arctan2(square_root(greatest(1.0 - alike * alike, everywhere(1e-12))), alike)
        if i == 0:
            about_vertical = 2.0 * (z * r[0] - w * r[3] + y * r[1] - x * r[2])
            root = k.weights[1] * angle * angle + k.weights[18] * about_vertical * about_vertical
        else:
            turned = turned + k.trust[g, i] * (angle * angle)
            count += 1.0
    freedoms = len(t.torque)
    own = everywhere(0.0)
    for f in range(ROOT_FREEDOMS, freedoms):
        rate = load(s.speeds, f)
        off = rate - k.speeds[g, f - ROOT_FREEDOMS]
        fast = fast + off * off
        own = own + rate * rate
    weights = k.weights
    total = weights[0] * (turned * (1.0 / count)) + root + (weights[10] / (freedoms - 6.0)) * fast
    if g >= k.landed[1]:
        total = total + (weights[11] / (freedoms - 6.0)) * own
    return total


@inlined
def floor_cost(k: GoalTables, w: Workspace, g: int, height: Lanes) -> Lanes:
    """Of feet that hover or tilt where the goal's rest, and of links that may not touch."""
    total = everywhere(0.0)
    for q in range(len(k.feet)):
        rests = k.resting[g, q]
        if rests > 0.0:
            low = lowest(k, w, k.feet[q], height) * (1.0 / HOVER_MARGIN)
            low = least(greatest(low, everywhere(0.0)), everywhere(1.0))
            total = total + (k.weights[7] * rests) * (low * low)
            ux, uy, uz = load3(w.matrix, 9 * k.feet[q] + 6)
            up = k.soles[g, q]
            total = total + (k.weights[16] * rests) * squared(ux - up[0], uy - up[1], uz - up[2])
    for q in range(len(k.forbidden)):
        low = 1.0 - lowest(k, w, k.forbidden[q], height) * (1.0 / FLOOR_MARGIN)
        total = total + k.weights[9] * least(greatest(low, everywhere(0.0)), everywhere(1.0))
    return total


@inlined
def footwork_cost(k: GoalTables, contacts: Contacts, g: int) -> Lanes:
    """Of feet that leave the floor in the control step before boundary g and should rest, of slides and of impacts."""
    total, load_of_all, any_rests = everywhere(0.0), everywhere(0.0), 0.0
    for q in range(len(k.feet)):
        i = k.feet[q]
        rests = k.resting[g, q] * k.resting[max(g - 1, 0), q]
        any_rests = max(any_rests, rests)
        total = total + (k.weights[12] * rests) * (
            1.0 - least(load(contacts.load, i) * (1.0 / PRESSES), everywhere(1.0))
        )
        total = total + k.weights[13] * load(contacts.slid, i)
        load_of_all = load_of_all + load(contacts.load, i)
    total = total + (k.weights[15] * any_rests) * (1.0 - least(load_of_all * (1.0 / FIRM), everywhere(1.0)))
    hard = greatest(load_of_all - HARD, everywhere(0.0))
    return total + k.weights[14] * (hard * hard)


@inlined
def middle_of_feet(feet: IntArray, w: Workspace) -> Vector:
    """From the point of reference; link_centres() has been called."""
    fx, fy, fz = everywhere(0.0), everywhere(0.0), everywhere(0.0)
    for q in range(len(feet)):
        x, y, z = load3(w.acceleration, 6 * feet[q])
        fx, fy, fz = fx + 0.5 * x, fy + 0.5 * y, fz + 0.5 * z
    return fx, fy, fz


@inlined
def off_balance(arm: Vector, velocity: Vector, wanted: tuple[float, float]) -> Lanes:
    """Squared level distance of the capture point from where it is wanted: kinematics.imbalance() in lanes."""
    seconds = square_root(greatest(arm[2], everywhere(LEAST_HEIGHT)) * (1.0 / GRAVITY))
    x, y = arm[0] + velocity[0] * seconds - wanted[0], arm[1] + velocity[1] * seconds - wanted[1]
    return x * x + y * y


@inlined
def cost(t: BodyTables, k: GoalTables, w: Workspace, s: State, contacts: Contacts, floor: Lanes, g: int) -> Lanes:
    """Cost of a control step that ends at boundary g, and of the states there, before its logarithm; w holds their
    pose."""
    velocities(t, w, s.speeds)
    cx, cy, cz, px, py, pz = link_centres(t, w)
    hx, hy, hz = angular_momentum(t, w, (cx, cy, cz), (px, py, pz))
    weights = k.weights
    total = pose_cost(t, k, s, g)
    apart = everywhere(0.0)
    for q in range(len(k.end_links)):
        x, y, z = load3(w.origin, 3 * k.end_links[q])
        goal = k.ends[g, q]
        apart = apart + k.ends_trust[g, q] * squared(x - cx - goal[0], y - cy - goal[1], z - cz - goal[2])
    total = total + weights[2] * (apart * (1.0 / len(k.end_links)))
    rx, ry, rz = load3(s.position, 0)
    height = rz - floor
    fx, fy, fz = middle_of_feet(k.feet, w)
    goal = k.centre[g]
    ax, ay = rx + cx - goal[0], ry + cy - goal[1]
    if g >= k.landed[2]:
        ax, ay = ax - (rx + fx - k.feet_middle[g, 0]), ay - (ry + fy - k.feet_middle[g, 1])
    total = total + weights[3] * squared(ax, ay, height + cz - goal[2])
    goal = k.velocity[g]
    total = total + weights[4] * squared(px - goal[0], py - goal[1], pz - goal[2])
    goal = k.momentum[g]
    total = total + weights[6] * squared(hx - goal[0], hy - goal[1], hz - goal[2])
    wx, wy, wz = load3(s.speeds, 0)
    goal = k.spin[g]
    total = total + weights[5] * squared(wx - goal[0], wy - goal[1], wz - goal[2])
    total = total + floor_cost(k, w, g, height) + footwork_cost(k, contacts, g)
    if g >= k.landed[1]:
        total = total + weights[17] * squared(px, py, pz)
    if g >= k.landed[0]:
        total = total + weights[8] * off_balance(
            (cx - fx, cy - fy, cz - fz), (px, py, pz), (k.leaning[g, 0], k.leaning[g, 1])
        )
    return total


@inlined
def lost(k: GoalTables, w: Workspace, s: State, floor: Lanes, g: int, limit: float) -> Lanes:
    """1 where the root is off its goal by more than limit, m, in height, or twice as much along the floor (|x| + |y|);
    0 elsewhere."""
    goal = k.position[g]
    x, y, z = load3(s.position, 0)
    ox, oy, oz = load3(w.origin, 0)
    up = absolute(z + oz - floor - goal[2])
    level = absolute(x + ox - goal[0]) + absolute(y + oy - goal[1])
    one, zero = everywhere(1.0), everywhere(0.0)
    return greatest(where(up > limit, one, zero), where(level > 2.0 * limit, one, zero))


def _floats(values: object) -> Float32Array:
    return np.ascontiguousarray(values, dtype=np.float32)


def _integers(values: object) -> IntArray:
    return np.ascontiguousarray(values, dtype=np.int64)
