# SPDX-License-Identifier: GPL-3.0-or-later
"""Bullet's solver over again for many bodies at once: servos, hinge limits and contacts."""

from __future__ import annotations

import itertools

import numpy as np
import torch

from ..core import rotations, truth
from ..core.body import Body, Link, Shape
from .batched import Batch, apply, batch_first, batch_last, matrices, multiply
from .tree import Motion, Pose, Tree
from .world import DAMPING, REACH, RECOVERY, ROUNDS, collision_shapes, servo_gain

SLOP = 1e-5  # m, Bullet's: contacts begin so much early
MOST_CONTACTS = 12  # of a body that are solved for: its lowest points
NO_CONTACT = -1e6  # wanted change of speed, m/s, of a contact or a limit that is far away: it never acts


class Points:
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


class Servo:
    """The joints' servos: what change of speed each wants."""

    def __init__(self, body: Body, tree: Tree, seconds: float) -> None:
        self._tree = tree
        gains = tree.spread([servo_gain(link, seconds) for link in body.links])
        self._ball_gains = (RECOVERY * gains[tree.ball_freedoms] / seconds)[:, :, None].astype(np.float32)
        self._hinge_gains = (gains[tree.hinge_freedoms] / seconds)[:, None].astype(np.float32)

    def wanted(self, turns: Batch, angles: Batch, goals: Batch, goal_speeds: Batch) -> tuple[Batch, Batch]:
        """Speeds that ball joints (J, 3, N) and hinges (H, N) are driven to, before their damping."""
        tree = self._tree
        inverse = turns[tree.balls] * np.array([1, -1, -1, -1], np.float32)[:, None]
        x = matrices(multiply(inverse, goals[tree.balls]))
        error = np.empty((len(tree.balls), 3, turns.shape[-1]), np.float32)  # Euler angles, as Bullet measures it
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

    Rows: a servo row a joint freedom (M), then the contacts' x, y and z (3 P). Of all rows the
    solver knows the change of speed per impulse of each other, and what is still wanted of each,
    both times the row's own inverse; a row's turn costs one pass over all of them.
    """

    def __init__(self, body: Body, tree: Tree, points: Points, count: int) -> None:
        self._tree, self._points = tree, points
        self._servos = tree.freedoms - 6
        self._contacts = min(len(points.solved), MOST_CONTACTS)
        self._rows = rows = self._servos + 3 * self._contacts
        self._order = _order(body, tree)
        self._torques = tree.spread([link.torque for link in body.links])[6:, None]
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
        servos, contacts, rows = self._servos, self._contacts, self._rows
        axes, momenta = (batch_first(part) for part in (motion.axes, motion.momenta))
        factor = torch.linalg.cholesky_ex(torch.bmm(momenta, axes.transpose(1, 2)).mul_(self._lower))[0]
        chosen = self._lowest(gaps)
        jacobian = self._jacobian(pose, motion.axes, chosen)
        gaps, reach = gaps[chosen], self._points.reach[chosen[0]]
        sides = self._sides
        sides[:, 0] = torch.from_numpy(motion.needed).T
        sides[:, 1 + servos : 1 + rows] = batch_first(jacobian.reshape(3 * contacts, *motion.needed.shape))
        spins = axes[:, :, :3]
        torch.mul(
            torch.bmm(spins[:, 6 + self._ball_rows], spins.transpose(1, 2)), self._turned, out=sides[:, 1 + rows :]
        )
        solved = torch.linalg.solve_triangular(factor, sides.transpose(1, 2), upper=False).transpose(1, 2)
        closing = _closing(gaps, reach, seconds)
        return self._finish(factor, solved, jacobian, speeds, wanted, angles, closing, friction, mass, seconds)

    def _finish(
        self,
        factor: torch.Tensor,
        solved: torch.Tensor,
        jacobian: Batch,
        speeds: Batch,
        wanted: tuple[Batch, Batch],
        angles: Batch,
        closing: Batch,
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
        responses, inverse = self._responses, batch_last(inverses)
        torch.bmm(own, (own * inverses[:, :, None]).transpose(1, 2), out=self._products)
        responses.view(rows * rows, -1).copy_(self._products.view(-1, rows * rows).T)
        wants, impulses = self._wants, self._impulses
        balls, hinges = tree.ball_freedoms - 6, tree.hinge_freedoms - 6
        wants[balls] = wanted[0] - speeds[tree.ball_freedoms]  # a ball joint's speed is damped whole, as in Bullet
        wants[hinges] = wanted[1] - np.float32(DAMPING) * speeds[tree.hinge_freedoms]
        flat = jacobian.reshape(3 * contacts, tree.freedoms, -1)
        wants[servos:] = -np.einsum("kfn,fn->kn", flat, speeds)
        wants[rows - contacts :] += closing
        limits = self._limits(angles, speeds, wants[hinges], inverse[hinges], seconds)
        wants *= inverse
        impulses[:] = 0
        self._iterate(self._torques * (seconds / mass), friction, limits)
        change = torch.bmm(batch_first(impulses)[:, None], own).transpose(1, 2)
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

    def _lowest(self, gaps: Batch) -> tuple[np.ndarray, np.ndarray]:
        """Indices (K, 1 or N), (1, N) of the points whose contacts are solved: all, or each body's lowest."""
        everyone = np.arange(gaps.shape[1])[None]
        if len(gaps) == self._contacts:
            return np.arange(len(gaps))[:, None], everyone
        return np.argpartition(gaps, self._contacts - 1, axis=0)[: self._contacts], everyone

    def _jacobian(self, pose: Pose, axes: Batch, chosen: tuple[np.ndarray, np.ndarray]) -> Batch:
        """Velocities (3, K, F, N) of the contact points, world, per unit speed of each freedom."""
        points, (which, _) = self._points, chosen
        links = points.links[points.solved]
        places = pose.origins[links] + apply(pose.turns[links], points.places[points.solved][:, :, None])
        places[:, 2] -= points.radii[points.solved][:, None]
        moves = self._moves[:, :, None]
        if which.shape[1] > 1:
            places = np.take_along_axis(places, which[:, None], axis=0)
            moves = self._moves[which].transpose(0, 2, 1)
        x, y, z = (places[:, k, None] for k in range(3))
        spin, linear = axes[:, :3], axes[:, 3:]
        result = np.empty((3, len(places), *axes.shape[::2]), np.float32)
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
            for way, room in ((1, angles[k] - self._tree.low[k]), (-1, self._tree.high[k] - angles[k])):
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


def _closing(gaps: Batch, reach: Batch, seconds: np.float32) -> Batch:
    """Upward speeds that contacts want of points so high above the floor, as Bullet: what is above
    may come down to it within a step, what is below it comes out again."""
    depth = gaps + np.float32(SLOP)
    speeds = np.where(depth > 0, -depth, np.float32(-RECOVERY) * depth) / seconds
    return np.where(gaps > reach, np.float32(NO_CONTACT), speeds)


def _lower(tree: Tree) -> np.ndarray:
    """Which entries of the mass matrix's lower half (F, F) differ from zero: freedoms above one another."""
    links = tree.of_link
    related = tree.above[links][:, links]
    return (related & np.tri(len(links), dtype=bool)).astype(np.float32)


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
