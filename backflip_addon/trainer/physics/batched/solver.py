# SPDX-License-Identifier: GPL-3.0-or-later
"""Bullet's solver over again for many bodies at once: servos, hinge limits and contacts."""

from __future__ import annotations

import itertools

import numpy as np
import torch

from ....core import rotations
from ....core.arrays import BoolArray, IntArray
from ....core.body import FEET, Body, Link
from ....core.shapes import Shape
from ..servo import servo_gain
from ..simulator import CONTACT_MARGIN, DAMPING, ERP, SOLVER_ITERATIONS
from ..urdf import collision_shapes
from .articulation import Motion, Pose, Tree
from .batch_math import Batch, apply, matrices, multiply
from .mass_matrix import EVERYWHERE, Factor, Rows, joints, runs

LINEAR_SLOP = 1e-5  # m, Bullet's: contacts begin so much early
MOST_CONTACTS = 12  # of a body that are solved for: its lowest points
MOST_ROWS = 16  # whose responses are worked out together, small enough for a core's own cache
NO_CONTACT = -1e6  # wanted change of speed, m/s, of a contact or a limit that is far away: it never acts


class Points:
    """The points of a body that can touch a floor: boxes' corners and capsules' ends, with radii.

    links (K,), positions (K, 3) in the link's frame, radii (K,); in the links' order. solved (P,):
    indices of those that contacts are solved for, in Bullet's order, last link first. reach (P,):
    how far off the floor a contact begins, m.
    """

    def __init__(self, body: Body, may_touch: BoolArray) -> None:
        every = [(i, shape) for i, link in enumerate(body.links) for shape in _touch_points(link)]
        self.links = np.array([i for i, _ in every])
        self.positions = np.array([shape.position for _, shape in every], np.float32)
        self.radii = np.array([shape.size[0] for _, shape in every], np.float32)
        self.first = np.flatnonzero(np.diff(self.links, prepend=-1))  # each link's first point
        allowed = [k for k in range(len(every)) if may_touch[self.links[k]] and not self._on_top(body, k)]
        self.solved = np.array(allowed[::-1], dtype=int)
        reach = {i: CONTACT_MARGIN * _size(link) for i, link in enumerate(body.links) if may_touch[i]}
        self.reach = np.array([reach[i] for i in self.links[self.solved]], np.float32)

    def _on_top(self, body: Body, point: int) -> bool:
        """Whether it is an upper corner of a foot, which the floor meets only after a fall."""
        link = self.links[point]
        if body.links[link].name not in FEET:
            return False
        same = self.positions[self.links == link, 2]
        return len(same) == 8 and self.positions[point, 2] > np.median(same)


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
    positions = np.array([point.position for point in points]) - link.centre
    radii = np.array([point.size[0] for point in points])[:, None]
    low, high = (positions - radii).min(axis=0), (positions + radii).max(axis=0)
    return float(np.linalg.norm((low + high) / 2) + np.linalg.norm((high - low) / 2))


class Servo:
    """The joints' servos: what change of speed each wants."""

    def __init__(self, body: Body, tree: Tree, seconds: float) -> None:
        self._tree = tree
        gains = tree.spread([servo_gain(link, seconds) for link in body.links])
        self._ball_gains = (ERP * gains[tree.ball_freedoms] / seconds)[:, :, None].astype(np.float32)
        self._hinge_gains = (gains[tree.hinge_freedoms] / seconds)[:, None].astype(np.float32)

    def wanted(self, orientations: Batch, angles: Batch, goals: Batch, goal_speeds: Batch) -> tuple[Batch, Batch]:
        """Speeds that ball joints (J, 3, N) and hinges (H, N) are driven to, before their damping."""
        tree = self._tree
        inverse = orientations[tree.balls] * np.array([1, -1, -1, -1], np.float32)[:, None]
        x = matrices(multiply(inverse, goals[tree.balls]))
        error = np.empty(
            (len(tree.balls), 3, orientations.shape[-1]), np.float32
        )  # Euler angles, as Bullet measures it
        error[:, 0] = np.arctan2(x[:, 2, 1], x[:, 2, 2])
        error[:, 1] = -np.arcsin(np.clip(x[:, 2, 0], -1, 1))
        error[:, 2] = np.arctan2(x[:, 1, 0], x[:, 0, 0])
        hinges = goals[tree.hinges]
        goal = 2 * np.arctan2(np.einsum("hkn,hk->hn", hinges[:, 1:], tree.hinge_axes), hinges[:, 0])
        goal -= 2 * np.pi * np.round(goal / (2 * np.pi))
        goal = np.clip(goal, tree.low, tree.high)
        return self._ball_gains * error, self._hinge_gains * (goal - angles) + np.float32(DAMPING) * goal_speeds


class Solver:
    """Bullet's sequential impulses (Catto 2005) over servos, hinge limits, contacts, and friction.

    Rows: a servo row a joint freedom, and x, y and z of each contact, in an order of the tree's
    (factor.Rows). Of each row the solver knows its impulse, and its aim: the impulse with which it
    would want nothing more. A row's turn brings the impulse as near to its aim as bounds allow, and
    moves the others' aims.
    """

    def __init__(self, body: Body, tree: Tree, points: Points, count: int) -> None:
        self._tree, self._points = tree, points
        self._contacts = contacts = min(len(points.solved), MOST_CONTACTS)
        self._factor = Factor(tree, count)
        links = points.links[points.solved]
        tips = tree.tips[links] if contacts == len(links) else np.full(contacts, EVERYWHERE)
        servos = np.arange(6, tree.freedoms)
        self._rows = Rows(self._factor, np.concatenate([servos, tips, tips, tips]))
        self._servos, positions = self._rows.rows_of[: len(servos)], self._rows.rows_of[len(servos) :]
        self._x, self._y, self._z = positions.reshape(3, contacts)
        self._balls, self._hinges = (self._servos[f - 6] for f in (tree.ball_freedoms, tree.hinge_freedoms))
        # Where the Jacobians are laid out: servos by joint, contacts by tip, turning by ball joint
        self._driven = [
            (runs(chain), self._servos[own.start - 6 : own.stop - 6], own) for own, chain in joints(tree)[1:]
        ]
        self._touched = [(np.flatnonzero(tips == tip), tip) for tip in np.unique(tips)]
        self._above_balls = [runs(tree.chains[freedoms[0]]) for freedoms in tree.ball_freedoms]
        self._order = _order(body, tree)
        self._torques = tree.spread([link.torque for link in body.links])[6:, None]
        self._moves = tree.moves[links]  # (P, F)
        # What turns a ball joint's child, and what turns its parent
        balls, above = tree.ball_freedoms.reshape(-1), tree.tips[tree.parents[tree.balls]]
        self._turning = Rows(self._factor, np.concatenate([balls, np.repeat(above, 3)]))
        rows = len(self._rows.tips)
        self._responses = torch.zeros(rows, rows, count)  # what an impulse of row j takes off the aim of row i: [j, i]
        self._scaled = torch.zeros_like(self._rows.values)
        self._products = self._plan_products()
        self._target_impulses = np.zeros((rows, count), np.float32)
        self._target_impulses_torch = torch.from_numpy(self._target_impulses)
        self._change = np.zeros(count, np.float32)
        self._change_torch = torch.from_numpy(self._change)
        # Rows as arrays of their own, since to index is what takes long
        self._target_impulse_rows, self._response_rows = list(self._target_impulses), list(self._responses)
        self._impulses = [np.zeros(count, np.float32) for _ in range(rows)]
        self._spare = np.zeros(count, np.float32)

    def _plan_products(self) -> list[tuple]:
        """(result, left, right, whether it is the first) with which responses add up: rows that hang on
        the same freedoms, freedom by freedom, with all rows that those move."""
        rows, result = self._rows, []
        for block, chain in rows.blocks:
            for first in range(block.start, block.stop, MOST_ROWS):
                part = slice(first, min(first + MOST_ROWS, block.stop))
                for k in itertools.chain.from_iterable(range(own.start, own.stop) for own in chain):
                    for others in rows.moved[k]:
                        left, right = rows.values[k, part][:, None], self._scaled[k, others][None]
                        result.append((self._responses[part, others], left, right, k == 0))
        return result

    def solve(
        self,
        pose: Pose,
        motion: Motion,
        speeds: Batch,
        wanted: tuple[Batch, Batch],
        angles: Batch,
        gaps: Batch,
        friction: Batch,
        mass: Batch,
        seconds: np.float32,
    ) -> Batch:
        """Speeds (F, N) after one physics step."""
        factor, rows = self._factor, self._rows
        factor.factorise(motion.axes, motion.momenta)
        chosen = self._lowest(gaps)
        self._lay_out(pose, motion.axes, chosen)
        rows.whiten()
        self._turning.whiten()
        free_velocities = factor.times(speeds) - seconds * factor.whiten(
            motion.bias_force
        )  # L times the speeds of free motion
        rates = rows.along(free_velocities)
        inverse = self._inverses()
        self._respond(inverse)
        wants = -rates
        wants[self._balls] += wanted[0]  # a ball joint's speed is damped whole, as in Bullet
        wants[self._hinges] = wanted[1] - np.float32(DAMPING) * rates[self._hinges]
        wants[self._z] += _closing(gaps[chosen], self._points.reach[chosen[0]], seconds)
        hinges = self._hinges
        limits = self._limits(angles, rates[hinges], wants[hinges], inverse[hinges], seconds)
        np.multiply(wants, inverse, out=self._target_impulses)
        impulses = self._iterate(self._torques * (seconds / mass), friction, limits)
        rows.add_to(free_velocities, impulses)
        return factor.solve(free_velocities)

    def _lay_out(self, pose: Pose, axes: Batch, chosen: tuple[IntArray, IntArray]) -> None:
        """The Jacobians of all rows."""
        rows, turning, tree = self._rows, self._turning, self._tree
        for chain, mine, own in self._driven:
            for part in chain:
                rows.array[part, mine[0] : mine[-1] + 1] = 0
            rows.array[range(own.start, own.stop), mine] = 1
        self._lay_out_contacts(pose, axes, chosen)
        children, parents = turning.rows_of.reshape(2, -1, 3)
        spins = axes[:, :3]
        for j, freedoms in enumerate(tree.ball_freedoms):
            child, parent = (slice(own[j, 0], own[j, 0] + 3) for own in (children, parents))
            for part in self._above_balls[j]:
                products = np.add.reduce(spins[part, None] * spins[None, freedoms], axis=2)
                turning.array[part, child] = turning.array[part, parent] = products
            turning.array[freedoms[0] : freedoms[2] + 1, child] = np.eye(3, dtype=np.float32)[:, :, None]

    def _inverses(self) -> Batch:
        """Impulse per change of speed (R, N) (1 / effective mass) that Bullet takes for each row.

        For a ball joint's servo it adds up how the child and how the parent would turn, each for
        itself, and leaves out that they hang together. Its steps, and where it ends after so few,
        depend on it.
        """
        response, turning = self._rows.squares(), self._turning.squares()
        children, parents = self._turning.rows_of.reshape(2, -1, 3)
        response[self._balls] = turning[children] + turning[parents]
        return 1 / response

    def _respond(self, inverse: Batch) -> None:
        scaled = self._scaled.numpy()
        for rows, chain in self._rows.blocks:
            for part in chain:
                np.multiply(self._rows.array[part, rows], inverse[rows], out=scaled[part, rows])
        for result, left, right, first in self._products:
            if first:
                torch.mul(left, right, out=result)
            else:
                result.addcmul_(left, right)
        torch.diagonal(self._responses).sub_(1)  # an impulse is a part of its own aim

    def _lowest(self, gaps: Batch) -> tuple[np.ndarray, np.ndarray]:
        """Indices (K, 1 or N), (1, N) of the points whose contacts are solved: all, or each body's lowest."""
        everyone = np.arange(gaps.shape[1])[None]
        if len(gaps) == self._contacts:
            return np.arange(len(gaps))[:, None], everyone
        return np.argpartition(gaps, self._contacts - 1, axis=0)[: self._contacts], everyone

    def _lay_out_contacts(self, pose: Pose, axes: Batch, chosen: tuple[IntArray, IntArray]) -> None:
        """Velocities of the contact points, world, per unit speed of each freedom."""
        points, (which, _) = self._points, chosen
        links = points.links[points.solved]
        positions = pose.origins[links] + apply(pose.orientations[links], points.positions[points.solved][:, :, None])
        positions[:, 2] -= points.radii[points.solved][:, None]
        if which.shape[1] > 1:
            positions = np.take_along_axis(positions, which[:, None], axis=0)
        for members, tip in self._touched:
            chain = [*self._tree.chains[tip], tip] if tip != EVERYWHERE else range(self._tree.freedoms)
            for part in runs(chain):
                for i, j, k, row in ((0, 1, 2, self._x), (1, 2, 0, self._y), (2, 0, 1, self._z)):
                    own = self._rows.array[part, row[members[0]] : row[members[-1]] + 1]
                    np.multiply(axes[part, j, None], positions[members, k][None], out=own)
                    own -= axes[part, k, None] * positions[members, j][None]
                    own += axes[part, 3 + i, None]
                    if tip == EVERYWHERE:
                        own *= self._moves[which].transpose(2, 0, 1)[part]

    def _limits(self, angles: Batch, speeds: Batch, wants: Batch, inverse: Batch, seconds: np.float32) -> list:
        """What hinge limits that are passed want, (hinge, way) -> (N,), in impulses of its servo's row.

        A limit pushes one way only, and knows of the servo's speed by what is still wanted there.
        """
        result: list[list[Batch | None]] = []
        for k in range(len(angles)):
            own: list[Batch | None] = []
            for way, room in ((1, angles[k] - self._tree.low[k]), (-1, self._tree.high[k] - angles[k])):
                passed = room <= 0
                push = np.float32(-ERP) * room / seconds - way * speeds[k]
                push = np.where(passed, (push - way * wants[k]) * inverse[k], np.float32(NO_CONTACT))
                own.append(push if passed.any() else None)
            result.append(own)
        return result

    def _iterate(self, bounds: Batch, friction: Batch, limits: list) -> Batch:
        """Turns of all rows, SOLVER_ITERATIONS times. Returns impulses (R, N)."""
        impulses, target_impulses = self._impulses, self._target_impulse_rows
        for impulse in impulses:
            impulse[:] = 0
        minus, servos = list(-bounds), list(self._servos)
        bounds = list(bounds)
        contacts = list(zip(self._x, self._y, self._z, strict=True))
        pushes = [np.zeros((2, len(friction)), np.float32) for _ in limits]
        for turn in range(SOLVER_ITERATIONS):
            for kind, which, way in self._order if turn % 2 else reversed(self._order):
                if kind == "servo":
                    row = servos[which]
                    spare = self._spare
                    np.minimum(target_impulses[row], bounds[which], out=spare)
                    np.maximum(spare, minus[which], out=spare)
                    self._move(row)
                elif limits[which][way] is not None:
                    self._limit(pushes[which][way], limits[which][way], self._hinges[which], 1 - 2 * way)
            for _, _, z in contacts:
                np.maximum(target_impulses[z], 0, out=self._spare)
                self._move(z)
            for x, y, z in contacts:
                a, b = target_impulses[x].copy(), target_impulses[y]
                share = friction * impulses[z] / np.maximum(np.sqrt(a * a + b * b), 1e-9)
                np.minimum(share, 1, out=share)
                np.multiply(b, share, out=self._spare)
                self._move(y)
                np.multiply(a, share, out=self._spare)
                self._move(x)
        result = np.stack(impulses)
        for k, (low, high) in enumerate(pushes):
            result[self._hinges[k]] += low - high
        return result

    def _move(self, row: int) -> None:
        """Bring a row's impulse to the spare one's value; the change reaches all rows."""
        old = self._impulses[row]
        np.subtract(self._spare, old, out=self._change)
        self._impulses[row], self._spare = self._spare, old
        self._target_impulses_torch.addcmul_(self._response_rows[row], self._change_torch, value=-1)

    def _limit(self, push: Batch, wanted: Batch, row: int, sign: int) -> None:
        """The turn of a hinge's limit, which pushes one way along the hinge's servo."""
        target_impulse = self._target_impulse_rows[row]
        pushed = np.maximum(push + wanted + sign * (target_impulse - self._impulses[row]), 0)
        np.multiply(pushed - push, sign, out=self._change)
        np.copyto(push, pushed)
        self._target_impulses_torch.addcmul_(self._response_rows[row], self._change_torch, value=-1)
        target_impulse -= self._change


def _closing(gaps: Batch, reach: Batch, seconds: np.float32) -> Batch:
    """Upward speeds that contacts want of points so high above the floor, as Bullet: what is above
    may come down to it within a step, what is below it comes out again."""
    depth = gaps + np.float32(LINEAR_SLOP)
    speeds = np.where(depth > 0, -depth, np.float32(-ERP) * depth) / seconds
    return np.where(gaps > reach, np.float32(NO_CONTACT), speeds)


def _order(body: Body, tree: Tree) -> list[tuple[str, int, int]]:
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
