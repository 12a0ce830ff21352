# SPDX-License-Identifier: GPL-3.0-or-later
"""Many bodies on many floors, stepped at once: PyBullet's physics over again, for practice.

PyBullet steps one body at a time, and a policy practises millions of steps. Here N bodies take each
substep together, in numpy and torch, by the same equations and the same solver as World: free motion
of the tree (Featherstone 2008, chapters 5 and 6), then Bullet's sequential impulses over joint
servos, hinge limits and contacts, row after row in Bullet's own order, as many iterations as World
has. From the same state it takes the same step, to rounding where the order of contacts is the same.
Only practice happens here: whatever is shown, measured or called landed comes from a World.

Arrays are float32 and end in N, for numpy's loops to be long. Spatial vectors are (angular, linear)
at the root's centre of mass, in world axes.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import torch

from ..core import rotations, truth
from ..core.body import Body, Link, Shape
from .world import (
    CONTROL_RATE,
    DAMPING,
    GRAVITY,
    JOINT_SPEED,
    REACH,
    RECOVERY,
    ROUNDS,
    SUBSTEPS,
    TOUCHING,
    Scene,
    States,
    collision_shapes,
    servo_gain,
    steady_inertia,
)

SLOP = 1e-5  # m, Bullet's: contacts begin so much early
NO_CONTACT = -1e6  # wanted change of speed, m/s, of a contact or a limit that is far away: it never acts

Batch = np.ndarray  # float32, (..., N)


class Crowd:
    """count bodies, each in a scene of its own. may_touch (L,): links whose contacts are solved;
    the others only report that they touch."""

    def __init__(
        self,
        body: Body,
        count: int,
        may_touch: np.ndarray,
        control_rate: float = CONTROL_RATE,
        substeps: int = SUBSTEPS,
    ) -> None:
        self.body, self.count = body, count
        self.control_rate, self.substeps = control_rate, substeps
        self.seconds = 1.0 / (control_rate * substeps)
        self.tree = tree = _Tree(body, self.seconds)
        self.points = _Points(body, may_touch)
        self._servo = _Servo(body, tree, self.seconds)
        self._solver = _Solver(body, tree, self.points, count)
        self._position = np.zeros((3, count), np.float32)  # of the root's centre of mass
        self._turns = np.zeros((tree.links, 4, count), np.float32)  # local; the root's is the world's
        self._turns[:, 0] = 1.0
        self._angles = np.zeros((len(tree.hinges), count), np.float32)
        self._speeds = np.zeros((tree.freedoms, count), np.float32)
        self._friction = np.zeros(count, np.float32)
        self._floor = np.zeros(count, np.float32)
        self._mass = np.ones(count, np.float32)
        self._goals = self._turns.copy()
        self._goal_speeds = np.zeros_like(self._angles)
        self._known_pose: _Pose | None = None
        self._known_touching: np.ndarray | None = None
        for index in range(count):
            self.arrange(index, Scene())

    def arrange(self, index: int, scene: Scene) -> None:
        """Change one body's circumstances."""
        self._friction[index], self._floor[index], self._mass[index] = scene.friction, scene.floor, scene.mass

    def restart(self, which: np.ndarray, states: States) -> None:
        """Place the bodies at indices which (K,) in K states."""
        tree = self.tree
        arm = rotations.rotate(states.rotations[:, 0], np.array(self.body.links[0].centre))
        self._position[:, which] = (states.position + arm).T
        self._speeds[0:3, which] = states.angular_velocity.T
        self._speeds[3:6, which] = (states.velocity + np.cross(states.angular_velocity, arm)).T
        self._turns[:, :, which] = states.rotations.transpose(1, 2, 0)
        for link, freedoms in zip(tree.balls, tree.ball_freedoms, strict=True):
            self._speeds[freedoms[:, None], which] = states.joint_velocity[:, link].T
        for k, (link, freedom) in enumerate(zip(tree.hinges, tree.hinge_freedoms, strict=True)):
            axis = tree.hinge_axes[k]
            self._speeds[freedom, which] = states.joint_velocity[:, link] @ axis
            self._angles[k, which] = rotations.twist_angle(states.rotations[:, link], axis)
        self._turn_hinges()
        self._known_pose = self._known_touching = None

    def drive(self, targets: np.ndarray, speeds: np.ndarray) -> None:
        """Joint targets (N, L, 4) and target velocities (N, L, 3) until the next call.

        As in PyBullet a ball joint's servo has no use for a target velocity, and a hinge's target
        ends at the hinge's limits.
        """
        tree = self.tree
        self._goals = np.ascontiguousarray(targets.transpose(1, 2, 0), dtype=np.float32)
        self._goal_speeds = np.einsum("nhk,hk->hn", speeds[:, tree.hinges], tree.hinge_axes).astype(np.float32)

    def push(self, index: int, velocity: np.ndarray, spin: np.ndarray) -> None:
        """Kick one root: add velocities, m/s and rad/s, world frame."""
        self._speeds[0:3, index] += spin
        self._speeds[3:6, index] += velocity

    def step(self, active: np.ndarray | None = None) -> np.ndarray:
        """One control step of all bodies. Returns (N, L): links that touched the floor at any time in it.

        active is there for Worlds' sake: to step them all is as quick.
        """
        touched = np.zeros((self.count, self.tree.links), dtype=bool)
        for _ in range(self.substeps):
            touched |= self._substep()
        return touched

    def contacts(self) -> np.ndarray:
        """Whether each link (N, L) touched the floor when the last substep began, as PyBullet tells it."""
        if self._known_touching is None:
            self._known_touching = self._touching()
        return self._known_touching

    def states(self, which: np.ndarray | None = None) -> States:
        """The present states of all bodies, or of those at indices which."""
        tree = self.tree
        chosen: Any = slice(None) if which is None else which
        speeds = self._speeds[:, chosen].astype(float)
        turns = self._turns[:, :, chosen].transpose(2, 0, 1).astype(float)
        arm = rotations.rotate(turns[:, 0], np.array(self.body.links[0].centre))
        joints = np.zeros((len(turns), tree.links, 3))
        joints[:, tree.balls] = speeds[tree.ball_freedoms].transpose(2, 0, 1)
        joints[:, tree.hinges] = speeds[tree.hinge_freedoms].T[:, :, None] * tree.hinge_axes
        spin = speeds[0:3].T
        position = self._position[:, chosen].T - arm
        return States(position, turns, speeds[3:6].T - np.cross(spin, arm), spin, joints)

    @property
    def _pose(self) -> _Pose:
        if self._known_pose is None:
            self._known_pose = self.tree.pose(self._turns)
        return self._known_pose

    def _substep(self) -> np.ndarray:
        """One physics step. Returns (N, L): links that touched the floor at its start."""
        tree, seconds = self.tree, np.float32(self.seconds)
        pose = self._pose
        touching = self._known_touching = self._touching()
        motion = tree.motion(pose, self._speeds)
        wanted = self._servo.wanted(self._turns, self._angles, self._goals, self._goal_speeds)
        self._speeds = self._solver.solve(
            pose, motion, self._speeds, wanted, self._angles, self._gaps(), self._friction, self._mass, seconds
        )
        np.clip(self._speeds, -JOINT_SPEED, JOINT_SPEED, out=self._speeds)
        self._integrate(seconds)
        return touching

    def _integrate(self, seconds: np.float32) -> None:
        """Positions by the new speeds (semi-implicit Euler)."""
        tree, speeds, turns = self.tree, self._speeds, self._turns
        self._position += seconds * speeds[3:6]
        turns[0] = _multiply(_turned(speeds[0:3] * seconds), turns[0])
        turns[tree.balls] = _multiply(turns[tree.balls], _turned(speeds[tree.ball_freedoms] * seconds))
        self._angles += seconds * speeds[tree.hinge_freedoms]
        self._turn_hinges()
        turns /= np.sqrt((turns * turns).sum(axis=1, keepdims=True))
        self._known_pose = None

    def _turn_hinges(self) -> None:
        half = 0.5 * self._angles
        self._turns[self.tree.hinges, 0] = np.cos(half)
        self._turns[self.tree.hinges, 1:] = np.sin(half)[:, None] * self.tree.hinge_axes[:, :, None]

    def close(self) -> None:
        """Nothing to give back; Worlds have."""

    def _gaps(self) -> Batch:
        """Heights (P, N) above the floor of the points that contacts are solved for."""
        return self._heights(self.points.solved)

    def _heights(self, which: Any) -> Batch:
        points, pose = self.points, self._pose
        links, places = points.links[which], points.places[which]
        up = pose.turns[links, 2]
        height = up[:, 0] * places[:, :1] + up[:, 1] * places[:, 1:2] + up[:, 2] * places[:, 2:]
        height += pose.origins[links, 2]
        return height + (self._position[2] - self._floor) - points.radii[which, None]

    def _touching(self) -> np.ndarray:
        """Links (N, L) within 2 mm of the floor."""
        points = self.points
        result = np.zeros((self.count, self.tree.links), dtype=bool)
        low = self._heights(slice(None)) < TOUCHING
        result[:, points.links[points.first]] = np.logical_or.reduceat(low, points.first, axis=0).T
        return result


class _Tree:
    """A body as arrays.

    links L, freedoms F: the root's angular and linear ones, then three for a ball joint (about the
    child's own axes, as in Bullet) and one for a hinge. of_link (F,): the link each moves.
    above (L, L): whether a link (column) is another (row) or above it.
    """

    def __init__(self, body: Body, seconds: float) -> None:
        links = body.links
        self.links = len(links)
        self.parents = np.array([max(link.parent, 0) for link in links])
        self.levels = _levels(body)
        self.masses = np.array([link.mass for link in links], np.float32)
        self.inertias = np.array([steady_inertia(link, seconds) for link in links], np.float32)
        self.centres = np.array([link.centre for link in links], np.float32)
        self.offsets = np.array([link.offset for link in links], np.float32)
        of_link, first = [0] * 6, {}
        for i, link in enumerate(links):
            if link.joint in ("spherical", "hinge"):
                first[i] = len(of_link)
                of_link += [i] * (3 if link.joint == "spherical" else 1)
        self.of_link = np.array(of_link)
        self.freedoms = len(of_link)
        self.first = first
        self.balls = np.array([i for i in first if links[i].joint == "spherical"], dtype=int)
        self.hinges = np.array([i for i in first if links[i].joint == "hinge"], dtype=int)
        self.ball_freedoms = np.array([first[i] for i in self.balls], dtype=int)[:, None] + np.arange(3)
        self.hinge_freedoms = np.array([first[i] for i in self.hinges], dtype=int)
        self.hinge_axes = np.array([links[i].axis for i in self.hinges], np.float32).reshape(-1, 3)
        self.above = np.zeros((self.links, self.links), dtype=bool)
        for i, link in enumerate(links):
            self.above[i, i] = True
            if link.parent >= 0:
                self.above[i] |= self.above[link.parent]
        self._above = self.above.astype(np.float32)
        self._below = np.ascontiguousarray(self._above.T)
        self.moves = self._above[:, self.of_link]  # (L, F): whether a freedom moves a link

    def pose(self, turns: Batch) -> _Pose:
        """Where all links are, from local rotations (L, 4, N)."""
        world = turns.copy()
        for level in self.levels:
            world[level] = _multiply(world[self.parents[level]], world[level])
        matrices = _matrices(world)
        origins = np.empty((self.links, 3, turns.shape[-1]), np.float32)
        origins[0] = -_apply(matrices[0], self.centres[0][:, None])
        for level in self.levels:
            above = self.parents[level]
            origins[level] = origins[above] + _apply(matrices[above], self.offsets[level][:, :, None])
        return _Pose(matrices, origins)

    def motion(self, pose: _Pose, speeds: Batch) -> _Motion:
        """Axes of all freedoms, what moves with each, and the force that free motion needs."""
        count = speeds.shape[-1]
        links, freedoms = self.links, self.freedoms
        centres = pose.origins + _apply(pose.turns, self.centres[:, :, None])
        # Of each link: moments (9) at the reference point, mass times centre (3), mass
        inertia = np.empty((links, 13, count), np.float32)
        moments = inertia[:, :9].reshape(links, 3, 3, count)
        scaled = pose.turns * self.inertias[:, None, :, None]
        weighted = self.masses[:, None, None] * centres
        for i, j in ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)):
            moment = scaled[:, i, 0] * pose.turns[:, j, 0]
            moment += scaled[:, i, 1] * pose.turns[:, j, 1]
            moment += scaled[:, i, 2] * pose.turns[:, j, 2]
            if i == j:
                a, b = (k for k in range(3) if k != i)
                moment += weighted[:, a] * centres[:, a]
                moment += weighted[:, b] * centres[:, b]
            else:
                moment -= weighted[:, i] * centres[:, j]
                moments[:, j, i] = moment
            moments[:, i, j] = moment
        inertia[:, 9:12] = weighted
        inertia[:, 12] = self.masses[:, None]
        axes = np.zeros((freedoms, 6, count), np.float32)
        for k in range(6):
            axes[k, k] = 1.0
        axes[self.ball_freedoms, :3] = pose.turns[self.balls].transpose(0, 2, 1, 3)
        axes[self.hinge_freedoms, :3] = _apply(pose.turns[self.hinges], self.hinge_axes[:, :, None])
        _cross(pose.origins[self.of_link[6:]], axes[6:, :3], out=axes[6:, 3:])
        moving = (self._below @ inertia.reshape(links, -1)).reshape(links, 13, count)[self.of_link]
        momenta = _momentum(moving, axes)
        needed = self._needed(inertia, axes, speeds)
        return _Motion(axes, momenta, needed)

    def _needed(self, inertia: Batch, axes: Batch, speeds: Batch) -> Batch:
        """Generalised forces (F, N) with which nothing would accelerate: gravity's and inertia's."""
        links, count = self.links, speeds.shape[-1]
        velocity = (self.moves @ (axes * speeds[:, None]).reshape(self.freedoms, -1)).reshape(links, 6, count)
        own = velocity.copy()
        own[1:] -= velocity[self.parents[1:]]
        acceleration = np.empty_like(velocity)
        spin, linear = velocity[:, :3], velocity[:, 3:]
        _cross(spin, own[:, :3], out=acceleration[:, :3])
        _cross(spin, own[:, 3:], out=acceleration[:, 3:])
        acceleration[:, 3:] += _cross(linear, own[:, :3])
        # The root's linear speed is its centre's, which moves along with it
        acceleration[0, :3] = 0
        acceleration[0, 3:] = _cross(speeds[3:6], speeds[0:3])
        acceleration[0, 5] += np.float32(GRAVITY)
        acceleration = (self._above @ acceleration.reshape(links, -1)).reshape(links, 6, count)
        momentum = _momentum(inertia, velocity)
        force = _momentum(inertia, acceleration)
        force[:, :3] += _cross(spin, momentum[:, :3])
        force[:, :3] += _cross(linear, momentum[:, 3:])
        force[:, 3:] += _cross(spin, momentum[:, 3:])
        carried = (self._below @ force.reshape(links, -1)).reshape(links, 6, count)
        return (axes * carried[self.of_link]).sum(axis=1)


@dataclasses.dataclass
class _Pose:
    """turns (L, 3, 3, N): link orientations; origins (L, 3, N): from the root's centre of mass."""

    turns: Batch
    origins: Batch


@dataclasses.dataclass
class _Motion:
    """axes (F, 6, N): of the freedoms; momenta (F, 6, N): of all that moves with each at unit
    speed; needed (F, N): forces that free motion needs."""

    axes: Batch
    momenta: Batch
    needed: Batch


class _Points:
    """The points of a body that can touch a floor: boxes' corners and capsules' ends, with radii.

    links (K,), places (K, 3) in the link's frame, radii (K,); in the links' order. solved (P,):
    indices of those that contacts are solved for, in Bullet's order, last link first. reach (P,):
    how far off the floor a contact begins, m.
    """

    def __init__(self, body: Body, may_touch: np.ndarray) -> None:
        every = [(i, shape) for i, link in enumerate(body.links) for shape in _touch_points(link)]
        self.links = np.array([i for i, _ in every])
        self.places = np.array([shape.position for _, shape in every], np.float32)
        self.radii = np.array([shape.size[0] for _, shape in every], np.float32)
        self.first = np.flatnonzero(np.diff(self.links, prepend=-1))  # each link's first point
        allowed = [k for k in range(len(every)) if may_touch[self.links[k]] and not self._on_top(body, k)]
        self.solved = np.array(allowed[::-1], dtype=int)
        reach = {i: REACH * _size(link) for i, link in enumerate(body.links) if may_touch[i]}
        self.reach = np.array([reach[i] for i in self.links[self.solved]], np.float32)

    def _on_top(self, body: Body, point: int) -> bool:
        """Whether it is an upper corner of a foot, which the floor meets only after a fall."""
        link = self.links[point]
        if body.links[link].name not in truth.FEET:
            return False
        same = self.places[self.links == link, 2]
        return len(same) == 8 and self.places[point, 2] > np.median(same)


def _touch_points(link: Link) -> list[Shape]:
    """Spheres that touch a floor where the link's shapes do."""
    spheres = []
    for shape in itertools.chain.from_iterable(map(collision_shapes, link.shapes)):
        if shape.kind == "sphere":
            spheres.append(shape)
            continue
        along = rotations.rotate(np.array(shape.rotation), np.array([0.0, 0.0, shape.size[1] / 2]))
        for end in (-along, along):
            spheres.append(Shape("sphere", (shape.size[0],), tuple(np.array(shape.position) + end)))
    return spheres


def _size(link: Link) -> float:
    """Bullet's measure of a link's size, m: how far its bounding box reaches from its centre of mass."""
    points = _touch_points(link)
    places = np.array([point.position for point in points]) - link.centre
    radii = np.array([point.size[0] for point in points])[:, None]
    low, high = (places - radii).min(axis=0), (places + radii).max(axis=0)
    return float(np.linalg.norm((low + high) / 2) + np.linalg.norm((high - low) / 2))


class _Servo:
    """The joints' servos: what change of speed each wants."""

    def __init__(self, body: Body, tree: _Tree, seconds: float) -> None:
        self._tree = tree
        gains = np.zeros(tree.freedoms, np.float32)
        for i, freedom in tree.first.items():
            gains[freedom : freedom + 3 if body.links[i].joint == "spherical" else freedom + 1] = servo_gain(
                body.links[i], seconds
            )
        self._ball_gains = (RECOVERY * gains[tree.ball_freedoms] / seconds)[:, :, None].astype(np.float32)
        self._hinge_gains = (gains[tree.hinge_freedoms] / seconds)[:, None].astype(np.float32)
        limits = np.array([body.links[i].limits for i in tree.hinges], np.float32).reshape(-1, 2, 1)
        self.low, self.high = limits[:, 0], limits[:, 1]

    def wanted(self, turns: Batch, angles: Batch, goals: Batch, goal_speeds: Batch) -> tuple[Batch, Batch]:
        """Speeds that ball joints (J, 3, N) and hinges (H, N) are driven to, before their damping."""
        tree = self._tree
        inverse = turns[tree.balls] * np.array([1, -1, -1, -1], np.float32)[:, None]
        x = _matrices(_multiply(inverse, goals[tree.balls]))
        error = np.empty((len(tree.balls), 3, turns.shape[-1]), np.float32)  # Euler angles, as Bullet measures it
        error[:, 0] = np.arctan2(x[:, 2, 1], x[:, 2, 2])
        error[:, 1] = -np.arcsin(np.clip(x[:, 2, 0], -1, 1))
        error[:, 2] = np.arctan2(x[:, 1, 0], x[:, 0, 0])
        hinges = goals[tree.hinges]
        goal = 2 * np.arctan2(np.einsum("hkn,hk->hn", hinges[:, 1:], tree.hinge_axes), hinges[:, 0])
        goal -= 2 * np.pi * np.round(goal / (2 * np.pi))
        goal = np.clip(goal, self.low, self.high)
        return self._ball_gains * error, self._hinge_gains * (goal - angles) + np.float32(DAMPING) * goal_speeds


class _Solver:
    """Bullet's sequential impulses (Catto 2005) over servos, hinge limits, contacts, and friction.

    Rows: a servo row a joint freedom (M), then the contacts' x, y and z (3 P). Of all rows the
    solver knows the change of speed per impulse of each other, and what is still wanted of each,
    both times the row's own inverse; a row's turn costs one pass over all of them.
    """

    def __init__(self, body: Body, tree: _Tree, points: _Points, count: int) -> None:
        self._tree, self._points = tree, points
        self._servos = tree.freedoms - 6
        self._contacts = len(points.solved)
        self._rows = rows = self._servos + 3 * self._contacts
        self._order = _order(body, tree)
        torques = np.zeros(self._servos, np.float32)
        for i, freedom in tree.first.items():
            torques[freedom - 6 : freedom - 6 + (3 if body.links[i].joint == "spherical" else 1)] = body.links[i].torque
        self._torques = torques[:, None]
        limits = np.array([body.links[i].limits for i in tree.hinges], np.float32).reshape(-1, 2, 1)
        self._low, self._high = limits[:, 0], limits[:, 1]
        self._lower = torch.from_numpy(_lower(tree))
        self._moves = tree.moves[points.links[points.solved]]  # (P, F)
        parents = tree.parents[tree.of_link[6:]]
        turned = tree.moves[parents]  # (M, F): what turns the parent of a servo's link
        turned[:, 3:6] = 0
        self._ball_rows = tree.ball_freedoms.reshape(-1) - 6
        self._turned = torch.from_numpy(np.ascontiguousarray(turned[self._ball_rows]))
        # Right-hand sides, one a row: free motion, the rows' own, and those that turn balls' parents
        self._sides = torch.zeros(count, 1 + rows + len(self._ball_rows), tree.freedoms)
        self._sides[:, 1 : 1 + self._servos, 6:] = torch.eye(self._servos)
        self._responses = torch.zeros(rows, rows, count)  # change of row i's want, per impulse of row j: [j, i]
        self._products = torch.zeros(count, rows, rows)
        self._wants = np.zeros((rows, count), np.float32)
        self._wants_torch = torch.from_numpy(self._wants)
        self._impulses = np.zeros((rows, count), np.float32)
        self._change = np.zeros(count, np.float32)
        self._change_torch = torch.from_numpy(self._change)
        # Rows as arrays of their own, since to index is what takes long
        self._want_rows, self._impulse_rows = list(self._wants), list(self._impulses)
        self._response_rows = list(self._responses)

    def solve(
        self,
        pose: _Pose,
        motion: _Motion,
        speeds: Batch,
        wanted: tuple[Batch, Batch],
        angles: Batch,
        gaps: Batch,
        friction: Batch,
        mass: Batch,
        seconds: np.float32,
    ) -> Batch:
        """Speeds (F, N) after one physics step."""
        servos, contacts, rows = self._servos, self._contacts, self._rows
        axes, momenta = (_batch_first(part) for part in (motion.axes, motion.momenta))
        factor = torch.linalg.cholesky_ex(torch.bmm(momenta, axes.transpose(1, 2)).mul_(self._lower))[0]
        jacobian = self._jacobian(pose, motion.axes)
        sides = self._sides
        sides[:, 0] = torch.from_numpy(motion.needed).T
        sides[:, 1 + servos : 1 + rows] = _batch_first(jacobian.reshape(3 * contacts, *motion.needed.shape))
        spins = axes[:, :, :3]
        torch.mul(
            torch.bmm(spins[:, 6 + self._ball_rows], spins.transpose(1, 2)), self._turned, out=sides[:, 1 + rows :]
        )
        solved = torch.linalg.solve_triangular(factor, sides.transpose(1, 2), upper=False).transpose(1, 2)
        return self._finish(factor, solved, jacobian, speeds, wanted, angles, gaps, friction, mass, seconds)

    def _finish(
        self,
        factor: torch.Tensor,
        solved: torch.Tensor,
        jacobian: Batch,
        speeds: Batch,
        wanted: tuple[Batch, Batch],
        angles: Batch,
        gaps: Batch,
        friction: Batch,
        mass: Batch,
        seconds: np.float32,
    ) -> Batch:
        tree, servos, contacts, rows = self._tree, self._servos, self._contacts, self._rows
        upper = factor.transpose(1, 2)
        own = solved[:, 1 : 1 + rows]
        free = torch.linalg.solve_triangular(upper, solved[:, 0, :, None] * -float(seconds), upper=True)
        speeds = speeds + free[:, :, 0].numpy().T
        inverses = self._inverses(solved)
        responses, inverse = self._responses, _batch_last(inverses)
        torch.bmm(own, (own * inverses[:, :, None]).transpose(1, 2), out=self._products)
        responses.view(rows * rows, -1).copy_(self._products.view(-1, rows * rows).T)
        wants, impulses = self._wants, self._impulses
        balls, hinges = tree.ball_freedoms - 6, tree.hinge_freedoms - 6
        wants[balls] = wanted[0] - speeds[tree.ball_freedoms]  # a ball joint's speed is damped whole, as in Bullet
        wants[hinges] = wanted[1] - np.float32(DAMPING) * speeds[tree.hinge_freedoms]
        flat = jacobian.reshape(3 * contacts, tree.freedoms, -1)
        wants[servos:] = -np.einsum("kfn,fn->kn", flat, speeds)
        depth = gaps + np.float32(SLOP)
        closing = np.where(depth > 0, -depth, np.float32(-RECOVERY) * depth) / seconds
        wants[rows - contacts :] += np.where(gaps > self._points.reach[:, None], np.float32(NO_CONTACT), closing)
        limits = self._limits(angles, speeds, wants[hinges], inverse[hinges], seconds)
        wants *= inverse
        impulses[:] = 0
        self._iterate(self._torques * (seconds / mass), friction, limits)
        change = torch.bmm(_batch_first(impulses)[:, None], own).transpose(1, 2)
        return speeds + torch.linalg.solve_triangular(upper, change, upper=True)[:, :, 0].numpy().T

    def _inverses(self, solved: torch.Tensor) -> torch.Tensor:
        """Impulse per change of speed (N, rows) that Bullet reckons with for each row.

        For a ball joint's servo it adds up how the child and how the parent would turn, each for
        itself, and leaves out that they hang together. Its steps, and where it ends after so few,
        depend on it.
        """
        own, parents = solved[:, 1 : 1 + self._rows], solved[:, 1 + self._rows :]
        response = own.square().sum(2)
        children = own[:, self._ball_rows] + parents
        response[:, self._ball_rows] = children.square_().sum(2) + parents.square().sum(2)
        return response.reciprocal_()

    def _jacobian(self, pose: _Pose, axes: Batch) -> Batch:
        """Velocities (3, P, F, N) of the contact points, world, per unit speed of each freedom."""
        points = self._points
        links = points.links[points.solved]
        places = pose.origins[links] + _apply(pose.turns[links], points.places[points.solved][:, :, None])
        places[:, 2] -= points.radii[points.solved][:, None]
        x, y, z = (places[:, k, None] for k in range(3))
        spin, linear = axes[:, :3], axes[:, 3:]
        moves = self._moves[:, :, None]
        result = np.empty((3, len(links), *axes.shape[::2]), np.float32)
        result[0] = (linear[:, 0] + spin[:, 1] * z - spin[:, 2] * y) * moves
        result[1] = (linear[:, 1] + spin[:, 2] * x - spin[:, 0] * z) * moves
        result[2] = (linear[:, 2] + spin[:, 0] * y - spin[:, 1] * x) * moves
        return result

    def _limits(self, angles: Batch, speeds: Batch, wants: Batch, inverse: Batch, seconds: np.float32) -> list:
        """What hinge limits that are passed want, (hinge, way) -> (N,), in impulses of its servo's row.

        A limit pushes one way only, and knows of the servo's speed by what is still wanted there.
        """
        speeds = speeds[self._tree.hinge_freedoms]
        result: list[list[Batch | None]] = []
        for k in range(len(angles)):
            own: list[Batch | None] = []
            for way, room in ((1, angles[k] - self._low[k]), (-1, self._high[k] - angles[k])):
                passed = room <= 0
                push = np.float32(-RECOVERY) * room / seconds - way * speeds[k]
                push = np.where(passed, (push - way * wants[k]) * inverse[k], np.float32(NO_CONTACT))
                own.append(push if passed.any() else None)
            result.append(own)
        return result

    def _iterate(self, bounds: Batch, friction: Batch, limits: list) -> None:
        """Turns of all rows, ROUNDS times; leaves the impulses."""
        impulses, wants, rows = self._impulse_rows, self._want_rows, self._rows
        first, contacts = rows - self._contacts, self._contacts
        minus = [-bound for bound in bounds]
        aim, pushes = np.empty_like(friction), [np.zeros((2, len(friction)), np.float32) for _ in limits]
        for turn in range(ROUNDS):
            for kind, row, way in self._order if turn % 2 else reversed(self._order):
                if kind == "servo":
                    np.add(impulses[row], wants[row], out=aim)
                    np.minimum(aim, bounds[row], out=aim)
                    np.maximum(aim, minus[row], out=aim)
                    self._move(row, aim)
                elif limits[row][way] is not None:
                    self._limit(pushes[row][way], limits[row][way], row, 1 - 2 * way)
            for row in range(first, rows):
                np.add(impulses[row], wants[row], out=aim)
                np.maximum(aim, 0, out=aim)
                self._move(row, aim)
            for k in range(contacts):
                x, y = self._servos + k, self._servos + contacts + k
                a, b = impulses[x] + wants[x], impulses[y] + wants[y]
                share = friction * impulses[first + k] / np.maximum(np.sqrt(a * a + b * b), 1e-9)
                np.minimum(share, 1, out=share)
                self._move(y, b * share)
                self._move(x, a * share)
        for k, (low, high) in enumerate(pushes):
            self._impulses[self._tree.hinge_freedoms[k] - 6] += low - high

    def _move(self, row: int, impulse: Batch) -> None:
        """Bring a row's impulse to a value; all rows feel the change."""
        np.subtract(impulse, self._impulse_rows[row], out=self._change)
        np.copyto(self._impulse_rows[row], impulse)
        self._wants_torch.addcmul_(self._response_rows[row], self._change_torch, value=-1)

    def _limit(self, push: Batch, wanted: Batch, hinge: int, sign: int) -> None:
        """The turn of a hinge's limit, which pushes one way along the hinge's servo."""
        row = self._tree.hinge_freedoms[hinge] - 6
        pushed = np.maximum(push + wanted + sign * self._want_rows[row], 0)
        np.multiply(pushed - push, sign, out=self._change)
        np.copyto(push, pushed)
        self._wants_torch.addcmul_(self._response_rows[row], self._change_torch, value=-1)


def _batch_first(array: Batch) -> torch.Tensor:
    """(..., N) as (N, ...), contiguous."""
    flat = torch.from_numpy(array).reshape(-1, array.shape[-1])
    return flat.T.contiguous().reshape(array.shape[-1], *array.shape[:-1])


def _batch_last(tensor: torch.Tensor) -> Batch:
    """(N, k) as (k, N), contiguous."""
    return tensor.T.contiguous().numpy()


def _lower(tree: _Tree) -> np.ndarray:
    """Which entries of the mass matrix's lower half (F, F) differ from zero: freedoms above one another."""
    links = tree.of_link
    related = tree.above[links][:, links]
    return (related & np.tri(len(links), dtype=bool)).astype(np.float32)


def _order(body: Body, tree: _Tree) -> list[tuple[str, int, int]]:
    """The order in which Bullet goes through ("servo", row, 0) and ("limit", hinge, way).

    It makes the limits first, then the servos, in the links' order, and sorts them by island; all
    being of one island, its quicksort reverses every part that it looks at.
    """
    made = [("limit", k) for k in range(len(tree.hinges))] + [("servo", i) for i in sorted(tree.first)]
    _reverse_parts(made, 0, len(made) - 1)
    order = []
    for kind, i in made:
        if kind == "limit":
            order += [(kind, i, 0), (kind, i, 1)]
        else:
            width = 3 if body.links[i].joint == "spherical" else 1
            order += [(kind, tree.first[i] - 6 + k, 0) for k in range(width)]
    return order


def _reverse_parts(items: list, low: int, high: int) -> None:
    """What a quicksort with Hoare's partition does to equal items, in place."""
    i, j = low, high
    while i <= j:
        items[i], items[j] = items[j], items[i]
        i, j = i + 1, j - 1
    if low < j:
        _reverse_parts(items, low, j)
    if i < high:
        _reverse_parts(items, i, high)


def _levels(body: Body) -> list[np.ndarray]:
    """Links equally deep in the tree, the root left out."""
    depths = np.zeros(len(body.links), dtype=int)
    for i, link in enumerate(body.links[1:], start=1):
        depths[i] = depths[link.parent] + 1
    return [np.flatnonzero(depths == depth) for depth in range(1, depths.max() + 1)]


def _momentum(inertia: Batch, velocity: Batch) -> Batch:
    """Spatial inertia (K, 13, N) times spatial velocity (K, 6, N)."""
    result = np.empty((len(inertia), *velocity.shape[1:]), np.float32)
    spin, linear, weighted = velocity[:, :3], velocity[:, 3:], inertia[:, 9:12]
    moments = inertia[:, :9].reshape(len(inertia), 3, 3, -1)
    result[:, :3] = _apply(moments, spin)
    result[:, :3] += _cross(weighted, linear)
    np.multiply(inertia[:, 12:], linear, out=result[:, 3:])
    result[:, 3:] -= _cross(weighted, spin)
    return result


def _apply(matrices: Batch, vectors: Batch) -> Batch:
    """Matrices (..., 3, 3, N) times vectors (..., 3, N)."""
    result = matrices[..., 0, :] * vectors[..., None, 0, :]
    result += matrices[..., 1, :] * vectors[..., None, 1, :]
    result += matrices[..., 2, :] * vectors[..., None, 2, :]
    return result


def _cross(a: Batch, b: Batch, out: Batch | None = None) -> Batch:
    """Cross products of (..., 3, N)."""
    out = np.empty(np.broadcast_shapes(a.shape, b.shape), np.float32) if out is None else out
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        np.multiply(a[..., j, :], b[..., k, :], out=out[..., i, :])
        out[..., i, :] -= a[..., k, :] * b[..., j, :]
    return out


def _multiply(a: Batch, b: Batch) -> Batch:
    """Products of quaternions (..., 4, N)."""
    aw, ax, ay, az = (a[..., k, :] for k in range(4))
    bw, bx, by, bz = (b[..., k, :] for k in range(4))
    products = (
        aw * bw - ax * bx - ay * by - az * bz,
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
    )
    return np.stack(products, axis=-2)


def _matrices(q: Batch) -> Batch:
    """Rotation matrices (K, 3, 3, N) of unit quaternions (K, 4, N)."""
    w, x, y, z = (q[:, k] for k in range(4))
    result = np.empty((len(q), 3, 3, q.shape[-1]), np.float32)
    for i, a in enumerate((x, y, z)):
        b, c = ((y, z), (z, x), (x, y))[i]
        j = (i + 1) % 3
        result[:, i, i] = 1 - 2 * (b * b + c * c)
        product, twist = 2 * a * b, 2 * w * c
        result[:, i, j], result[:, j, i] = product - twist, product + twist
    return result


def _turned(vectors: Batch) -> Batch:
    """Quaternions (..., 4, N) of rotation vectors (..., 3, N), rad."""
    angle = np.sqrt((vectors * vectors).sum(axis=-2))
    result = np.empty((*vectors.shape[:-2], 4, vectors.shape[-1]), np.float32)
    result[..., 0, :] = np.cos(0.5 * angle)
    share = np.where(angle > 1e-4, np.sin(0.5 * angle) / np.maximum(angle, 1e-8), 0.5)
    result[..., 1:, :] = vectors * share[..., None, :]
    return result
