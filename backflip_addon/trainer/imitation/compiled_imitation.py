# SPDX-License-Identifier: GPL-3.0-or-later
"""What the environment computes, in lanes: joint targets with feedback, observations, reward, and when a body is lost.

The same as environment.ImitationEnvironment in numpy, to float32 rounding. Each lane is at a control step of its own.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...core.arrays import Float32Array, IntArray
from ..lane_count import LANES
from ..physics.compiled.algebra import (
    cross,
    exponential,
    from_rotation_vector,
    load3,
    load4,
    multiply,
    rotation_vector,
    store3,
    store4,
)
from ..physics.compiled.batch import Layout
from ..physics.compiled.constraints import Goal, State, bounded_to_limit
from ..physics.compiled.kinematics import velocities
from ..physics.compiled.lanes import (
    Lanes,
    everywhere,
    greatest,
    inlined,
    least,
    load,
    rows,
    square_root,
    store,
    where,
)
from ..physics.compiled.tables import BALL, HINGE, ROOT_FREEDOMS, BodyTables, Workspace
from .action_layout import ActionLayout
from .compiled_cost import angular_momentum, link_centres, middle_of_feet, off_balance, squared
from .environment import (
    FAR_OFF,
    LARGEST_CORRECTION,
    LARGEST_OFFSET,
    REACH_OF_FEET,
    STANDING_SHARE,
    SWAY,
    TURNING,
    Limits,
)
from .kinematics import tucked_inertia
from .observations import Observations
from .rewards import (
    CENTRE_FACTOR,
    ENDS_FACTOR,
    POSE_FACTOR,
    ROOT_FACTOR,
    ROOT_SPEED,
    ROOT_SPIN,
    ROOT_TURN,
    SPEED_FACTOR,
    TERM_WEIGHTS,
    Imitation,
)
from .target_trajectory import TargetTrajectory

POSE, SPEED, ENDS, ROOT, CENTRE_TERM = (float(weight) for weight in TERM_WEIGHTS / TERM_WEIGHTS.sum())
# Where in ImitationTables.figures each figure begins; of three numbers each
CENTRE, VELOCITY, MOMENTUM, ROOT_VELOCITY, ROOT_TURNING, FEET_MIDDLE, FIGURES = 0, 3, 6, 9, 12, 15, 18
REWARD, LOST, HEIGHT, TOLD = 0, 1, 2, 3  # rows of what is told of a state, and how many
# Where parts of an observation begin, in observations.parts()' order, and the width of those that are not joints
SUPPORT, TILT, JOINTS, OTHERS = 2, 5, 8, 17


class ImitationTables(NamedTuple):
    """A target trajectory of T control steps, and what imitating it needs to know of the body.

    Goals: rotations (T + 1, 4 L); speeds (T + 1, F - 6) of all joints; positions (T + 1, 3 L) of links; figures
    (T + 1, 18): of the centre of mass its place, velocity and the momentum about it, the root's velocity and spin, and
    the feet's middle. targets (T, 4 L), angles, rates (T, H): joint targets. gains (T, width, n): feedback; (0, 0, 0):
    none. columns, observed (L,): where a joint's numbers begin in an action, and among the joints observed. ends (E,),
    feet (2,): links. weights (L,): in the reward. landed (1,): the step from which on it has landed. bounds (3,): mean
    distance of links, m, and tilt, rad, at which a body is lost; 1 over the tucked body's moment of inertia.
    """

    rotations: Float32Array
    speeds: Float32Array
    positions: Float32Array
    figures: Float32Array
    targets: Float32Array
    angles: Float32Array
    rates: Float32Array
    gains: Float32Array
    columns: IntArray
    observed: IntArray
    ends: IntArray
    feet: IntArray
    weights: Float32Array
    landed: IntArray
    bounds: Float32Array


class OwnGoals(NamedTuple):
    """The goals of the bodies in the lanes, each of its own step, as in ImitationTables. landed (1): 1 where the body
    is to have landed. own (n,): one body's observation."""

    rotations: Float32Array
    speeds: Float32Array
    positions: Float32Array
    figures: Float32Array
    landed: Float32Array
    own: Float32Array


class Episodes(NamedTuple):
    """Of groups G: control steps that the bodies are at (G, LANES); push_steps (G, LANES): before which one is pushed,
    -1: never; push (G, 6): its spin and velocity."""

    steps: IntArray
    push_steps: IntArray
    push: Float32Array


class Observed(NamedTuple):
    """Of groups G: differences now (G, n) from the goals; told (G, 3): REWARD, LOST, HEIGHT (of the centre of mass over
    the floor, less the goal's); feet (G, 2): 1 where one stands."""

    now: Float32Array
    told: Float32Array
    feet: Float32Array


def imitation_tables(
    observations: Observations, imitation: Imitation, trajectory: TargetTrajectory, layout: Layout, limits: Limits
) -> ImitationTables:
    """The tables of a trajectory; observations and imitation: of the numpy environment, which knows the same."""
    body, goals = observations.body, observations.goals
    count, states = len(goals.states), goals.states
    _, turns, _, speeds = layout.numbers(states)
    figures = [goals.centre, goals.velocity, goals.momentum, states.velocity, states.angular_velocity]
    columns, observed = np.full((2, len(body.links)), -1)
    for link, own in ActionLayout(body).columns.items():
        columns[link] = own[0]
    observed[observations.joints] = 3 * np.arange(len(observations.joints))
    observed[observations.hinges] = 3 * len(observations.joints) + np.arange(len(observations.hinges))
    targets, angles, rates = layout.unbounded_goals(trajectory.targets, trajectory.velocities)
    return ImitationTables(
        rotations=_floats(turns),
        speeds=_floats(speeds[:, ROOT_FREEDOMS:]),
        positions=_floats(goals.positions.reshape(count, -1)),
        figures=_floats(np.concatenate([*figures, observations.feet_middle(goals)], axis=1)),
        targets=_floats(targets),
        angles=_floats(angles),
        rates=_floats(rates),
        gains=_floats(trajectory.gains),
        columns=_integers(columns),
        observed=_integers(observed),
        ends=_integers(imitation.ends),
        feet=_integers(observations.feet),
        weights=_floats(imitation.weights),
        landed=_integers([trajectory.landed]),
        bounds=_floats([limits.distance, limits.tilt, 1.0 / tucked_inertia(body)]),
    )


def own_goals(e: ImitationTables) -> OwnGoals:
    """Memory for the goals of a group."""
    return OwnGoals(
        rotations=rows(e.rotations.shape[1]),
        speeds=rows(e.speeds.shape[1]),
        positions=rows(e.positions.shape[1]),
        figures=rows(FIGURES),
        landed=rows(1),
        own=np.zeros(width_of(e), np.float32),
    )


def width_of(e: ImitationTables) -> int:
    """Numbers of an observation, n."""
    return OTHERS + 2 * e.speeds.shape[1]


def episodes_in(groups: int) -> Episodes:
    """Memory for the episodes of so many groups of bodies; none is pushed."""
    never = np.full((groups, LANES), -1, np.int64)
    return Episodes(np.zeros((groups, LANES), np.int64), never, rows(groups, ROOT_FREEDOMS))


@inlined
def gather_goals(e: ImitationTables, m: OwnGoals, steps: IntArray) -> None:
    """Gather the goals of the boundaries that the lanes are at."""
    for lane in range(LANES):
        at = min(steps[lane], len(e.targets))
        m.landed[0, lane] = 1.0 if at >= e.landed[0] else 0.0
        for j in range(e.rotations.shape[1]):
            m.rotations[j, lane] = e.rotations[at, j]
        for j in range(e.speeds.shape[1]):
            m.speeds[j, lane] = e.speeds[at, j]
        for j in range(e.positions.shape[1]):
            m.positions[j, lane] = e.positions[at, j]
        for j in range(FIGURES):
            m.figures[j, lane] = e.figures[at, j]


@inlined
def steer(
    t: BodyTables,
    e: ImitationTables,
    m: OwnGoals,
    steps: IntArray,
    now: Float32Array,
    goal: Goal,
    controls: Float32Array,
) -> None:
    """Joint targets of the control steps that the lanes are at: the trajectory's, turned by controls (width), rad, to
    which its feedback on the differences now (n) is added in place."""
    for lane in range(LANES):
        at = min(steps[lane], len(e.targets) - 1)
        for j in range(e.targets.shape[1]):
            goal.rotations[j, lane] = e.targets[at, j]
        for h in range(e.angles.shape[1]):
            goal.angles[h, lane] = e.angles[at, h]
            goal.rates[h, lane] = e.rates[at, h]
        if len(e.gains) > 0:
            for j in range(len(now)):
                m.own[j] = now[j, lane]
            for i in range(e.gains.shape[1]):
                gains = e.gains[at, i]
                turned = np.float32(0.0)
                for j in range(len(now)):
                    turned += gains[j] * m.own[j]
                controls[i, lane] += min(max(turned, -LARGEST_CORRECTION), LARGEST_CORRECTION)
    for i in range(len(controls)):
        bounded = greatest(least(load(controls, i), everywhere(LARGEST_OFFSET)), everywhere(-LARGEST_OFFSET))
        store(controls, i, bounded)
    for i in range(1, len(t.parents)):
        c = e.columns[i]
        if t.kinds[i] == BALL:
            turn = from_rotation_vector(*load3(controls, c))
            store4(goal.rotations, 4 * i, *multiply(*load4(goal.rotations, 4 * i), *turn))
            bounded_to_limit(t, goal.rotations, i)
        elif t.kinds[i] == HINGE:
            h = t.hinge[i]
            angle = load(goal.angles, h) + load(controls, c)
            store(goal.angles, h, greatest(least(angle, everywhere(t.high[h])), everywhere(t.low[h])))


@inlined
def begin_goal(e: ImitationTables, goal: Goal, steps: IntArray) -> None:
    """Set out from the trajectory's own targets of the control steps before those that the lanes are at."""
    for lane in range(LANES):
        at = min(max(steps[lane] - 1, 0), len(e.targets) - 1)
        for j in range(e.targets.shape[1]):
            goal.from_rotations[j, lane] = e.targets[at, j]
        for h in range(e.angles.shape[1]):
            goal.from_angles[h, lane] = e.angles[at, h]


@inlined
def give_push(s: State, steps: IntArray, push_steps: IntArray, push: Float32Array) -> None:
    """Add to the roots' speeds what those get who are pushed before this step."""
    for lane in range(LANES):
        if steps[lane] == push_steps[lane]:
            for k in range(ROOT_FREEDOMS):
                s.speeds[k, lane] += push[k, lane]


@inlined
def joint_differences(
    t: BodyTables, e: ImitationTables, m: OwnGoals, s: State, now: Float32Array
) -> tuple[Lanes, Lanes]:
    """Write how far the joints and their speeds are off; returns the weighted sums of both, squared."""
    turned, fast = everywhere(0.0), everywhere(0.0)
    spins = OTHERS + e.speeds.shape[1]
    for i in range(1, len(t.parents)):
        f, at = t.first[i] - ROOT_FREEDOMS, e.observed[i]
        if at < 0:
            continue
        gw, gx, gy, gz = load4(m.rotations, 4 * i)
        x, y, z = rotation_vector(*multiply(gw, -gx, -gy, -gz, *load4(s.rotations, 4 * i)))
        turned = turned + e.weights[i] * squared(x, y, z)
        if t.kinds[i] == BALL:
            store3(now, JOINTS + at, x, y, z)
        else:
            store(now, JOINTS + at, x * t.axis[i, 0] + y * t.axis[i, 1] + z * t.axis[i, 2])
        for k in range(t.width[i]):
            rate = load(s.speeds, ROOT_FREEDOMS + f + k) - load(m.speeds, f + k)
            store(now, spins + at + k, rate)
            fast = fast + e.weights[i] * (rate * rate)
    return turned, fast


@inlined
def look(
    t: BodyTables,
    e: ImitationTables,
    m: OwnGoals,
    w: Workspace,
    s: State,
    floor: Lanes,
    steps: IntArray,
    now: Float32Array,
    feet: Float32Array,
    told: Float32Array,
) -> None:
    """Write what is observed of the bodies, now (n), and what is told of them; w holds their pose."""
    gather_goals(e, m, steps)
    velocities(t, w, s.speeds)
    cx, cy, cz, vx, vy, vz = link_centres(t, w)
    hx, hy, hz = angular_momentum(t, w, (cx, cy, cz), (vx, vy, vz))
    fx, fy, fz = middle_of_feet(e.feet, w)
    px, py, pz = load3(s.position, 0)
    landed, joints = load(m.landed, 0), e.speeds.shape[1]
    gx, gy, gz = load3(m.figures, CENTRE)
    bx, by, bz = load3(m.figures, FEET_MIDDLE)
    store(now, 0, (px + cx - gx) * (1.0 - landed))
    store(now, 1, (py + cy - gy) * (1.0 - landed))
    store3(now, SUPPORT, cx - fx - (gx - bx), cy - fy - (gy - by), cz - fz - (gz - bz))
    height = pz + cz - floor - gz
    qw, qx, qy, qz = load4(m.rotations, 0)
    x, y, z = rotation_vector(*multiply(*load4(s.rotations, 0), qw, -qx, -qy, -qz))
    store3(now, TILT, x, y, z)
    tilt = squared(x, y, z)
    turned, fast = joint_differences(t, e, m, s, now)
    gx, gy, gz = load3(m.figures, VELOCITY)
    dx, dy, dz = vx - gx, vy - gy, vz - gz
    store3(now, JOINTS + joints, dx, dy, dz)
    gx, gy, gz = load3(m.figures, MOMENTUM)
    share = e.bounds[2]
    store3(now, JOINTS + joints + 3, (hx - gx) * share, (hy - gy) * share, (hz - gz) * share)
    gx, gy, gz = load3(m.figures, ROOT_TURNING)
    x, y, z = load3(s.speeds, 0)
    x, y, z = x - gx, y - gy, z - gz
    store3(now, JOINTS + joints + 6, x, y, z)
    spin, turning = squared(x, y, z), z * z
    turned, fast = turned + e.weights[0] * tilt, fast + e.weights[0] * spin
    # Seen from where the feet are, once landed, and from the floor
    ox, oy = landed * (px + fx - bx), landed * (py + fy - by)
    root, ends, distance = apart(t, e, m, w, s, px - ox, py - oy, pz - floor)
    root = root + ROOT_TURN * tilt + ROOT_SPIN * spin
    reward = imitation_reward(turned, fast, ends, root, squared(dx, dy, dz))
    off = off_balance((cx - fx, cy - fy, cz - fz), (vx, vy, vz), (0.0, 0.0)) * (1.0 / REACH_OF_FEET**2)
    off = off + (ox * ox + oy * oy) * (1.0 / FAR_OFF**2)
    off = off + squared(dx, dy, dz) * (1.0 / SWAY**2) + turning * (1.0 / TURNING**2)
    stands = exponential(-off) * (0.5 * (load(feet, 0) + load(feet, 1)))
    share_of_standing = STANDING_SHARE * landed
    store(told, REWARD, (1.0 - share_of_standing) * reward + share_of_standing * stands)
    sound = where(distance <= e.bounds[0], everywhere(1.0), everywhere(0.0))
    sound = where(tilt <= e.bounds[1] * e.bounds[1], sound, everywhere(0.0))
    store(told, LOST, 1.0 - sound)
    store(told, HEIGHT, height)


@inlined
def apart(
    t: BodyTables, e: ImitationTables, m: OwnGoals, w: Workspace, s: State, px: Lanes, py: Lanes, pz: Lanes
) -> tuple[Lanes, Lanes, Lanes]:
    """How far links are off their goals, the root's centre of mass being at (px, py, pz): the root's squared distance,
    with its velocity's share, the mean squared one of end links, and the mean distance of all, m."""
    total, ends = everywhere(0.0), everywhere(0.0)
    for i in range(len(t.parents)):
        x, y, z = load3(w.origin, 3 * i)
        gx, gy, gz = load3(m.positions, 3 * i)
        total = total + square_root(squared(x + px - gx, y + py - gy, z + pz - gz))
    for q in range(len(e.ends)):
        i = e.ends[q]
        x, y, z = load3(w.origin, 3 * i)
        gx, gy, gz = load3(m.positions, 3 * i)
        ends = ends + squared(x + px - gx, y + py - gy, z + pz - gz)
    ox, oy, oz = load3(w.origin, 0)
    gx, gy, gz = load3(m.positions, 0)
    root = squared(ox + px - gx, oy + py - gy, oz + pz - gz)
    # The root's origin turns about its centre of mass
    ax, ay, az = cross(*load3(s.speeds, 0), ox, oy, oz)
    vx, vy, vz = load3(s.speeds, 3)
    gx, gy, gz = load3(m.figures, ROOT_VELOCITY)
    root = root + ROOT_SPEED * squared(vx + ax - gx, vy + ay - gy, vz + az - gz)
    return root, ends * (1.0 / len(e.ends)), total * (1.0 / len(t.parents))


@inlined
def imitation_reward(turned: Lanes, fast: Lanes, ends: Lanes, root: Lanes, centre: Lanes) -> Lanes:
    """rewards.Imitation in lanes, of its terms' squared errors."""
    total = POSE * exponential(-POSE_FACTOR * turned) + SPEED * exponential(-SPEED_FACTOR * fast)
    total = total + ENDS * exponential(-ENDS_FACTOR * ends) + ROOT * exponential(-ROOT_FACTOR * root)
    return total + CENTRE_TERM * exponential(-CENTRE_FACTOR * centre)


def _floats(values: object) -> Float32Array:
    return np.ascontiguousarray(values, dtype=np.float32)


def _integers(values: object) -> IntArray:
    return np.ascontiguousarray(values, dtype=np.int64)
