# SPDX-License-Identifier: GPL-3.0-or-later
"""Many bodies on many floors, stepped at once: PyBullet's physics over again, compiled, for rollouts.

The same equations as PyBulletWorld's and the same constraints, solved nearer to their solution. LANES bodies take a
control step together, one group after another, so that all that a group needs stays in the processor's first cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from ....core import joint_limits, rotations
from ....core.arrays import AnyArray, Array, BoolArray, Float32Array, IntArray
from ....core.body import Body
from ...lane_count import LANES
from ..impulse import after_impulse
from ..simulator import COMPILED_ITERATIONS, CONTROL_RATE, SUBSTEPS, damping, erp, response
from ..state import Scene, States
from .constraints import Contacts, Goal, State, Surroundings, contact_gaps, hold_goal, lead_goal
from .dynamics import inertias
from .kinematics import pose
from .lanes import inlined, kernel, load, rows, store
from .solver import substep
from .tables import BALL, BodyTables, Workspace, body_tables, workspace

LEAST_STRENGTH = 1e-6  # a factor: with less a servo does nothing; the kernels know no infinite weakness


class StepNumbers(NamedTuple):
    """Of a control step of so many substeps in all: the substeps to be taken, and how many were before; their seconds,
    shares of error reduction, of damping and of response; solver iterations."""

    whole: int
    before: int
    substeps: int
    seconds: float
    erp: float
    damping: float
    response: float
    iterations: int


class Written(NamedTuple):
    """What is written down of substeps (K, G, ...) of groups: links that touched as each began, their loads in it, body
    weights, and after it the servos' impulses, N m s over the scene's mass factor, and the states."""

    touching: Float32Array
    load: Float32Array
    servos: Float32Array
    position: Float32Array
    rotations: Float32Array
    speeds: Float32Array


class Steps:
    """A body's tables, memory, and the numbers of a control step: what a kernel needs that steps bodies."""

    def __init__(
        self,
        body: Body,
        may_touch: BoolArray | None = None,
        control_rate: float = CONTROL_RATE,
        substeps: int = SUBSTEPS,
        iterations: int = COMPILED_ITERATIONS,
    ) -> None:
        self.seconds = 1.0 / (control_rate * substeps)
        self.tables = body_tables(body, self.seconds, may_touch)
        self.workspace = workspace(self.tables)
        seconds = self.seconds
        erp_, damping_, response_ = (_single(share(seconds)) for share in (erp, damping, response))
        self.numbers = StepNumbers(substeps, 0, substeps, _single(seconds), erp_, damping_, response_, iterations)


def _single(number: float) -> float:
    """As kernels take it, who reckon with single precision."""
    return cast(float, np.float32(number))


class CompiledBatch:
    """count bodies, each in a scene of its own. may_touch (L,): links whose contacts are solved; the others only
    report that they touch."""

    def __init__(
        self,
        body: Body,
        count: int,
        may_touch: BoolArray | None = None,
        control_rate: float = CONTROL_RATE,
        substeps: int = SUBSTEPS,
        iterations: int = COMPILED_ITERATIONS,
    ) -> None:
        self.body, self.count = body, count
        self.steps = Steps(body, may_touch, control_rate, substeps, iterations)
        t = self.steps.tables
        self.groups = -(-count // LANES)
        links, hinges = len(body.links), len(t.low)
        self.state = states_of_groups(t, self.groups)
        self.state.rotations[:, 0::4] = 1.0
        sizes = (4 * links, hinges, hinges, 4 * links, hinges)
        self.goal = Goal(*(rows(self.groups, size) for size in sizes))
        self.goal.rotations[:, 0::4] = self.goal.from_rotations[:, 0::4] = 1.0
        self._fresh = np.ones((self.groups, 1, LANES), dtype=bool)  # bodies that no goal was set for since their reset
        self.around = surroundings_of_groups(self.groups)
        self.floor = contacts_of_groups(t, self.groups)
        self._nothing = written_of_groups(t, self.groups, 0)
        self.scenes = [Scene()] * count
        self._torque = t.torque.copy()
        self.known = False  # whether floor.touching is that of the present state
        self.layout = Layout(body, t)
        for index in range(count):
            self.set_scene(index, Scene())

    def set_scene(self, index: int, scene: Scene) -> None:
        """Change one body's circumstances."""
        g, lane = divmod(index, LANES)
        for array, numbers in zip(self.around, scene_numbers(scene), strict=True):
            array[g, :, lane] = numbers
        self.scenes[index] = scene
        self.known = False

    def reset(self, which: IntArray, states: States) -> None:
        """Place the bodies at indices which (K,) in K states."""
        g, lane = np.divmod(np.asarray(which), LANES)
        for array, numbers in zip(self.state, self.layout.numbers(states), strict=False):
            array[g, :, lane] = numbers
        for array in self.state[4:]:
            array[g, :, lane] = 0.0
        self._fresh[g, 0, lane] = True
        self.known = False

    def go_on_from(self, states: States) -> None:
        """Place all bodies in states (N,), what their servos and contacts were at remaining as it was."""
        for array, numbers in zip(self.state, self.layout.numbers(states), strict=False):
            put(array, numbers)
        self.known = False

    def place_floors(self, heights: Array) -> None:
        """Have the floors of all bodies at heights (N,), m, and their scenes as they are."""
        put(self.around.floor, heights[:, None])
        self.known = False

    def drive_from(self, which: IntArray, targets: Array) -> None:
        """As if the bodies at indices which (K,), just reset, had driven to joint targets (K, L, 4) until now."""
        g, lane = np.divmod(np.asarray(which), LANES)
        turns, angles, _ = self.layout.goals(targets, np.zeros((*targets.shape[:2], 3)))
        self.goal.from_rotations[g, :, lane], self.goal.from_angles[g, :, lane] = turns, angles
        self._fresh[g, 0, lane] = False

    def set_targets(self, targets: Array, velocities: Array) -> None:
        """Joint targets (N, L, 4) and target velocities (N, L, 3) until the next call. They end at the joints' limits;
        a ball joint's servo has no use for a target velocity."""
        goal = self.goal
        for array, numbers in zip(goal, self.layout.goals(targets, velocities), strict=False):
            put(array, numbers)
        for before, array in ((goal.from_rotations, goal.rotations), (goal.from_angles, goal.angles)):
            before[:] = np.where(self._fresh, array, before)
        self._fresh[:] = False

    def push(self, index: int, velocity: Array, angular_velocity: Array) -> None:
        """Kick one root: add velocities, m/s and rad/s, world frame."""
        g, lane = divmod(int(index), LANES)
        self.state.speeds[g, 0:3, lane] += angular_velocity
        self.state.speeds[g, 3:6, lane] += velocity

    def shove(self, index: int, link: int, impulse: Array) -> None:
        """Push a link at its centre of mass: an impulse (3,), N s, world frame, all at once."""
        g, lane = divmod(int(index), LANES)
        state = self.states(np.array([index]))
        mass = self.scenes[index].mass
        pushed = after_impulse(self.body, state[0], link, np.asarray(impulse, dtype=float) / mass)
        self.state.speeds[g, :, lane] = self.layout.numbers(pushed[None])[3][0]

    def set_strength(self, factors: Array) -> None:
        """Factors (L,) on the greatest torques of all bodies' joints, from now on, beside their scenes' own."""
        self.steps.tables.torque[:] = self._torque * np.asarray(factors, dtype=np.float32)[self.layout.owner]

    def step(self, active: BoolArray | None = None) -> BoolArray:
        """One control step of all bodies. Returns (N, L): links that touched the floor at any time in it.

        active is there for PyBulletBatch's sake: to step them all is as quick.
        """
        steps = self.steps
        step_groups(
            steps.tables,
            steps.workspace,
            self.state,
            self.goal,
            self.around,
            self.floor,
            steps.numbers,
            self._nothing,
        )
        self.known = True
        return taken(self.floor.touched, self.count) > 0.0

    def contacts(self) -> BoolArray:
        """Whether each link (N, L) touched the floor when the last substep began, as PyBullet tells it."""
        if not self.known:
            self.floor.touching[:] = 0.0
            look_at_groups(self.steps.tables, self.steps.workspace, self.state, self.around, self.floor.touching)
            self.known = True
        return taken(self.floor.touching, self.count) > 0.5

    def states(self, which: IntArray | None = None) -> States:
        """The present states of all bodies, or of those at indices which."""
        chosen: Any = slice(None) if which is None else which
        position, turns, speeds = (
            taken(array, self.count)[chosen].astype(float)
            for array in (self.state.position, self.state.rotations, self.state.speeds)
        )
        return self.layout.states(position, turns, speeds)

    def close(self) -> None:
        """Nothing to give back; a PyBulletBatch has."""


class Layout:
    """Between a body's states and targets and the kernels' numbers."""

    def __init__(self, body: Body, t: BodyTables) -> None:
        self.links = len(body.links)
        self.freedoms = len(t.torque)
        self.centre = np.array(body.links[0].centre)
        self.balls = np.flatnonzero(t.kinds == BALL)
        self.ball_freedoms = t.first[self.balls][:, None] + np.arange(3)
        self.hinges = np.array([i for i, link in enumerate(body.links) if link.joint == "hinge"], dtype=int)
        self.hinge_freedoms = t.first[self.hinges]
        self.owner = np.zeros(self.freedoms, dtype=int)  # the link that each freedom moves against its parent
        self.owner[self.ball_freedoms] = self.balls[:, None]
        self.owner[self.hinge_freedoms] = self.hinges
        self.axes = np.array([body.links[i].axis for i in self.hinges]).reshape(-1, 3)
        self.low, self.high = t.low, t.high
        limits = {int(i): limit for i in self.balls if (limit := body.links[i].joint_limit)}
        self.limited, self.limits = np.array(list(limits), dtype=int), joint_limits.JointLimits([*limits.values()])

    def numbers(self, states: States) -> tuple[Array, Array, Array, Array]:
        """States (K,) as numbers of State's first arrays: (K, 3), (K, 4 L), (K, H), (K, F)."""
        count = len(states)
        arm = rotations.rotate(states.rotations[:, 0], self.centre)
        speeds = np.zeros((count, self.freedoms))
        speeds[:, 0:3] = states.angular_velocity
        speeds[:, 3:6] = states.velocity + rotations.cross(states.angular_velocity, arm)
        speeds[:, self.ball_freedoms] = states.joint_velocity[:, self.balls]
        speeds[:, self.hinge_freedoms] = np.sum(states.joint_velocity[:, self.hinges] * self.axes, axis=-1)
        angles = rotations.twist_angle(states.rotations[:, self.hinges], self.axes)
        turns = states.rotations.copy()
        turns[:, self.hinges] = rotations.from_axis_angle(self.axes, angles)
        return states.position + arm, turns.reshape(count, -1), angles, speeds

    def states(self, position: Array, turns: Array, speeds: Array) -> States:
        """The inverse of numbers()."""
        orientations = turns.reshape(len(turns), self.links, 4)
        arm = rotations.rotate(orientations[:, 0], self.centre)
        joints = np.zeros((len(turns), self.links, 3))
        joints[:, self.balls] = speeds[:, self.ball_freedoms]
        joints[:, self.hinges] = speeds[:, self.hinge_freedoms, None] * self.axes
        spin = speeds[:, 0:3]
        return States(position - arm, orientations, speeds[:, 3:6] - rotations.cross(spin, arm), spin, joints)

    def goals(self, targets: Array, velocities: Array) -> tuple[Array, Array, Array]:
        """Joint targets (K, L, 4) and velocities (K, L, 3) as Goal's numbers (K, 4 L), (K, H), (K, H), bounded."""
        bounded = targets.copy()
        bounded[:, self.limited] = joint_limits.clamped(targets[:, self.limited], self.limits)
        turns, angles, rates = self.unbounded_goals(bounded, velocities)
        return turns, np.clip(angles, self.low, self.high), rates

    def unbounded_goals(self, targets: Array, velocities: Array) -> tuple[Array, Array, Array]:
        """As goals(), whatever the joints' limits are."""
        angles = rotations.twist_angle(targets[:, self.hinges], self.axes)
        rates = np.sum(velocities[:, self.hinges] * self.axes, axis=-1)
        return targets.reshape(len(targets), -1), angles, rates


def states_of_groups(t: BodyTables, groups: int) -> State:
    """Memory for the states of so many groups of bodies."""
    links, freedoms, points = len(t.parents), len(t.torque), len(t.point_link)
    sizes = (3, 4 * links, len(t.low), freedoms, freedoms, freedoms, 3 * points, len(t.pair))
    return State(*(rows(groups, n) for n in sizes))


def goal_of_group(t: BodyTables) -> Goal:
    """Memory for the goal of one group."""
    links, hinges = len(t.parents), len(t.low)
    return Goal(*(rows(size) for size in (4 * links, hinges, hinges, 4 * links, hinges)))


def contacts_of_groups(t: BodyTables, groups: int) -> Contacts:
    """Memory for what the floor does with so many groups of bodies."""
    return Contacts(*(rows(groups, len(t.parents)) for _ in range(4)))


def written_of_groups(t: BodyTables, groups: int, substeps: int) -> Written:
    """Memory for what is written down of so many substeps of so many groups of bodies."""
    links, freedoms = len(t.parents), len(t.torque)
    return Written(*(rows(substeps, groups, n) for n in (links, links, freedoms, 3, 4 * links, freedoms)))


def put(array: Float32Array, numbers: AnyArray) -> None:
    """Write numbers (N, n) into groups (G, n, LANES); lanes without a body get the last one's."""
    groups = len(array)
    padded = np.concatenate([numbers, np.repeat(numbers[-1:], groups * LANES - len(numbers), axis=0)])
    array[:] = padded.reshape(groups, LANES, -1).transpose(0, 2, 1)


def taken(array: Float32Array, count: int) -> Float32Array:
    """The numbers (count, n) of groups (G, n, LANES)."""
    numbers: Float32Array = array.transpose(0, 2, 1).reshape(-1, array.shape[1])[:count]
    return numbers


@inlined
def group_state(s: State, g: int) -> State:
    """A group's part of all."""
    return State(
        s.position[g], s.rotations[g], s.angles[g], s.speeds[g],
        s.servo_impulses[g], s.limit_impulses[g], s.contact_impulses[g], s.pair_impulses[g],
    )  # fmt: skip


@inlined
def group_goal(goal: Goal, g: int) -> Goal:
    """A group's part of all."""
    return Goal(goal.rotations[g], goal.angles[g], goal.rates[g], goal.from_rotations[g], goal.from_angles[g])


@inlined
def group_contacts(c: Contacts, g: int) -> Contacts:
    """A group's part of all."""
    return Contacts(c.touching[g], c.touched[g], c.load[g], c.slid[g])


def surroundings_of_groups(groups: int) -> Surroundings:
    """Of scenes in groups of lanes. Lanes without a body of their own are never looked at, but must be sound."""
    around = Surroundings(*(rows(groups, size) for size in (1, 1, 1, 1, 3)))
    for array, numbers in zip(around, scene_numbers(Scene()), strict=True):
        array[:] = np.asarray(numbers, dtype=np.float32)[:, None]
    return around


def scene_numbers(scene: Scene) -> tuple[list[float], ...]:
    """A scene as Surroundings has it."""
    weakness = scene.mass / max(scene.strength, LEAST_STRENGTH)
    return [scene.friction], [scene.floor], [weakness], [scene.mass], list(scene.gravity)


def put_scenes(around: Surroundings, scenes: Sequence[Scene]) -> None:
    """Write scenes (N,) into the first lanes of groups."""
    for array, numbers in zip(around, zip(*map(scene_numbers, scenes), strict=True), strict=True):
        put(array, np.array(numbers))


@inlined
def group_surroundings(around: Surroundings, g: int) -> Surroundings:
    """Of one group."""
    return Surroundings(around.friction[g], around.floor[g], around.weakness[g], around.mass[g], around.gravity[g])


@inlined
def control_step(
    t: BodyTables,
    w: Workspace,
    s: State,
    goal: Goal,
    around: Surroundings,
    floor: Contacts,
    n: StepNumbers,
) -> None:
    """A control step of one group, w holding its pose; floor becomes what the floor does in it."""
    floor.touched[:] = 0.0
    floor.load[:] = 0.0
    floor.slid[:] = 0.0
    inertias(t, w)
    for k in range(n.substeps):
        lead_goal(t, w, goal, (n.before + k + 1) / n.whole)
        substep(t, w, s, goal, around, floor, n.substeps, n.seconds, n.erp, n.damping, n.response, n.iterations)
    if n.before + n.substeps == n.whole:
        hold_goal(goal)


@inlined
def copy_rows(to: Float32Array, numbers: Float32Array) -> None:
    """Numbers (n, LANES), without the memory that an assignment of arrays asks for."""
    for q in range(len(numbers)):
        store(to, q, load(numbers, q))


@kernel
def step_groups(
    t: BodyTables,
    w: Workspace,
    s: State,
    goal: Goal,
    around: Surroundings,
    floor: Contacts,
    n: StepNumbers,
    written: Written,
) -> None:
    """A control step of all groups; arrays lead with them.

    written: of as many substeps or none; where it is, floor becomes what the floor does in the last of them.
    """
    writes = len(written.touching) > 0
    for g in range(floor.touched.shape[0]):
        own, own_goal, own_floor = group_state(s, g), group_goal(goal, g), group_contacts(floor, g)
        scene = group_surroundings(around, g)
        pose(t, w, own.rotations)
        inertias(t, w)
        for k in range(n.substeps):
            if k == 0 or writes:
                own_floor.touched[:] = 0.0
                own_floor.load[:] = 0.0
                own_floor.slid[:] = 0.0
            lead_goal(t, w, own_goal, (n.before + k + 1) / n.whole)
            # One call for both: a second one could be compiled to round otherwise
            substep(
                t, w, own, own_goal, scene, own_floor, 1 if writes else n.substeps, n.seconds, n.erp, n.damping,
                n.response, n.iterations,
            )  # fmt: skip
            if writes:
                copy_rows(written.touching[k, g], own_floor.touching)
                copy_rows(written.load[k, g], own_floor.load)
                copy_rows(written.servos[k, g], own.servo_impulses)
                copy_rows(written.position[k, g], own.position)
                copy_rows(written.rotations[k, g], own.rotations)
                copy_rows(written.speeds[k, g], own.speeds)
        if n.before + n.substeps == n.whole:
            hold_goal(own_goal)


@kernel
def look_at_groups(t: BodyTables, w: Workspace, s: State, around: Surroundings, touching: Float32Array) -> None:
    """Which links touch the floor, of all groups."""
    for g in range(touching.shape[0]):
        pose(t, w, s.rotations[g])
        contact_gaps(t, w, load(s.position[g], 2) - load(around.floor[g], 0), touching[g])
