# SPDX-License-Identifier: GPL-3.0-or-later
"""One physics step of many bodies at once, solved as Bullet solves it: sequential impulses, that is projected
Gauss-Seidel over the impulses of all constraints (Catto 2005).

With generalised speeds v (F), mass matrix M, bias force b and a step of h seconds, free motion leads to

    v* = v - h inv(M) b

A constraint is a row J_i of the Jacobian with an impulse p_i; all together change the speeds to

    v' = v* + inv(M) sum_i J_i' p_i

Row i wants its speed J_i v to change by w_i, with bounds on p_i: a servo within its torque times h, a contact's
normal and a hinge's limit at or above 0, a contact's friction (x, y) within the circle of radius mu p_z. With
A = J inv(M) J' and the row's effective mass m_i = 1 / A_ii (but see _effective_masses), an iteration lets one row
after the other do

    p_i <- clamp(t_i)    where    t_i = p_i + m_i (w_i - sum_j A_ij p_j)

t_i is the row's target impulse, that with which it would want nothing more. What is kept is t: where row i changes
by dp, every t_j falls by R_ij dp, R_ij = m_j A_ij - [i = j] being the response. With M = L' L (mass_matrix.py) and
y_i = inv(L') J_i' (whitened rows), A_ij = y_i . y_j, and speeds are kept as L v.

In an iteration servos and limits come first, in Bullet's order and every second time backwards, then all contacts'
normals, then their friction (btMultiBodyConstraintSolver.cpp:28 to :200; one row: :235, the friction's circle: :318).
A scene's mass factor would scale M and all impulses alike: it is left out of both, and the servos' bounds are
divided by it. Of Bullet, file and line are those of the sources that PyBullet 3.2.7 was built from (bullet3 at
6c888f4).
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
import torch

from backflip_addon.core.arrays import IntArray
from backflip_addon.core.body import Body
from backflip_addon.trainer.physics.simulator import damping, erp

from .articulation import Motion, Pose, Tree
from .batch_math import Batch, apply
from .constraints import NO_CONTACT, ContactPoints, contact_speeds, row_order
from .mass_matrix import EVERYWHERE, Factor, Rows, joints, runs

MOST_CONTACTS = 12  # of a body that are solved for, its lowest points: the soles' eight corners, and some more
MOST_ROWS = 16  # whose responses are worked out together, small enough for a core's own cache
LEAST_IMPULSE = 1e-9  # N s (of the unscaled body): below it friction's direction is of no matter

Limits = list[list[Batch | None]]  # [hinge][way]: impulse wanted (N,); None: none of the bodies is past it


class _Product(NamedTuple):
    """Views of one addend of the responses: result += left * right, or = where it is the first."""

    result: torch.Tensor
    left: torch.Tensor
    right: torch.Tensor
    first: bool


class Solver:
    """Sequential impulses over servos, hinge limits, contacts and their friction, of count bodies.

    Rows R: a servo's for each joint freedom, and x, y and z of each contact, in the tree's order (mass_matrix.Rows).
    A hinge's limit has no row of its own: it acts along its servo's.
    """

    def __init__(self, body: Body, tree: Tree, points: ContactPoints, count: int, iterations: int) -> None:
        self._tree, self._points, self._iterations = tree, points, iterations
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
        self._order = row_order(body, tree)
        self._torques = tree.spread([link.torque for link in body.links])[6:, None]
        self._dampings = tree.spread([link.kd for link in body.links])[6:, None]
        self._moves = tree.moves[links]  # (P, F)
        # What rotates a ball joint's child, and what rotates its parent
        balls, above = tree.ball_freedoms.reshape(-1), tree.tips[tree.parents[tree.balls]]
        self._turning = Rows(self._factor, np.concatenate([balls, np.repeat(above, 3)]))
        rows = len(self._rows.tips)
        self._responses = torch.zeros(rows, rows, count)  # R_ij of the module's formula
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

    def _plan_products(self) -> list[_Product]:
        """The addends of the responses: rows that hang on
        the same freedoms, freedom by freedom, with all rows that those move."""
        rows, result = self._rows, []
        for block, chain in rows.blocks:
            for first in range(block.start, block.stop, MOST_ROWS):
                part = slice(first, min(first + MOST_ROWS, block.stop))
                for k in itertools.chain.from_iterable(range(own.start, own.stop) for own in chain):
                    for others in rows.moved[k]:
                        left, right = rows.values[k, part][:, None], self._scaled[k, others][None]
                        result.append(_Product(self._responses[part, others], left, right, k == 0))
        return result

    def solve(
        self,
        pose: Pose,
        motion: Motion,
        speeds: Batch,
        target_speeds: tuple[Batch, Batch],
        angles: Batch,
        gaps: Batch,
        friction: Batch,
        mass: Batch,
        seconds: np.float32,
    ) -> Batch:
        """Speeds (F, N) after one physics step.

        target_speeds: constraints.Servo's. angles (H, N): of the hinges, rad. gaps (P, N): of the contact points
        above the floor, m. friction, mass (N,): the scenes' coefficient and factor.
        """
        factor, rows = self._factor, self._rows
        factor.factorise(motion.axes, motion.momenta)
        chosen = self._lowest(gaps)
        self._lay_out(pose, motion.axes, chosen)
        rows.whiten()
        self._turning.whiten()
        free = factor.times(speeds) - seconds * factor.whiten(motion.bias_force)  # L v*
        row_speeds = rows.along(free)  # J v*
        masses = self._effective_masses()
        self._set_responses(masses)
        changes = -row_speeds  # w of the module's formula
        changes[self._balls] += target_speeds[0]  # a ball joint's speed is damped whole, as in Bullet
        changes[self._hinges] = target_speeds[1] - np.float32(damping(float(seconds))) * row_speeds[self._hinges]
        changes[self._z] += contact_speeds(gaps[chosen], self._points.reach[chosen[0]], seconds)
        hinges = self._hinges
        limits = self._limits(angles, row_speeds[hinges], changes[hinges], masses[hinges], seconds)
        np.multiply(changes, masses, out=self._target_impulses)
        torques = np.minimum(self._torques, self._springs(speeds, target_speeds, seconds))
        impulses = self._iterate(torques * (seconds / mass), friction, limits)
        rows.add_to(free, impulses)
        return factor.solve(free)

    def _springs(self, speeds: Batch, target_speeds: tuple[Batch, Batch], seconds: np.float32) -> Batch:
        """The torques (F - 6, N) that PD controllers would give."""
        tree, result = self._tree, np.zeros((self._tree.freedoms - 6, speeds.shape[1]), np.float32)
        balls = np.linalg.norm(target_speeds[0] - speeds[tree.ball_freedoms], axis=1, keepdims=True)
        hinges = np.abs(target_speeds[1] / np.float32(damping(float(seconds))) - speeds[tree.hinge_freedoms])
        result[tree.ball_freedoms - 6] = balls
        result[tree.hinge_freedoms - 6] = hinges
        return self._dampings * result

    def _lay_out(self, pose: Pose, axes: Batch, chosen: tuple[IntArray, IntArray]) -> None:
        """The Jacobians of all rows."""
        rows, turning, tree = self._rows, self._turning, self._tree
        for chain, mine, own in self._driven:
            for part in chain:
                rows.array[part, mine[0] : mine[-1] + 1] = 0
            rows.array[range(own.start, own.stop), mine] = 1
        self._lay_out_contacts(pose, axes, chosen)
        children, parents = turning.rows_of.reshape(2, -1, 3)
        angular = axes[:, :3]
        for j, freedoms in enumerate(tree.ball_freedoms):
            child, parent = (slice(own[j, 0], own[j, 0] + 3) for own in (children, parents))
            for part in self._above_balls[j]:
                products = np.add.reduce(angular[part, None] * angular[None, freedoms], axis=2)
                turning.array[part, child] = turning.array[part, parent] = products
            turning.array[freedoms[0] : freedoms[2] + 1, child] = np.eye(3, dtype=np.float32)[:, :, None]

    def _effective_masses(self) -> Batch:
        """The effective mass (R, N) that Bullet takes for each row: impulse per change of speed.

        For a ball joint's servo it adds up how the child and how the parent would turn, each for itself, and leaves
        out that they hang together (btMultiBodyConstraint.cpp:248 to :302). Its steps, and where it ends after so
        few, depend on it.
        """
        response, turning = self._rows.squares(), self._turning.squares()
        children, parents = self._turning.rows_of.reshape(2, -1, 3)
        response[self._balls] = turning[children] + turning[parents]
        masses: Batch = np.reciprocal(response)
        return masses

    def _set_responses(self, masses: Batch) -> None:
        """The responses R to impulses of all rows."""
        scaled = self._scaled.numpy()
        for rows, chain in self._rows.blocks:
            for part in chain:
                np.multiply(self._rows.array[part, rows], masses[rows], out=scaled[part, rows])
        for result, left, right, first in self._products:
            if first:
                torch.mul(left, right, out=result)
            else:
                result.addcmul_(left, right)
        torch.diagonal(self._responses).sub_(1)  # an impulse is a part of its own target impulse

    def _lowest(self, gaps: Batch) -> tuple[IntArray, IntArray]:
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
            every = list(range(self._tree.freedoms))
            for part in runs([*self._tree.chains[tip], tip] if tip != EVERYWHERE else every):
                for i, j, k, row in ((0, 1, 2, self._x), (1, 2, 0, self._y), (2, 0, 1, self._z)):
                    own = self._rows.array[part, row[members[0]] : row[members[-1]] + 1]
                    np.multiply(axes[part, j, None], positions[members, k][None], out=own)
                    own -= axes[part, k, None] * positions[members, j][None]
                    own += axes[part, 3 + i, None]
                    if tip == EVERYWHERE:
                        own *= self._moves[which].transpose(2, 0, 1)[part]

    def _limits(self, angles: Batch, speeds: Batch, changes: Batch, masses: Batch, seconds: np.float32) -> Limits:
        """What hinge limits that are passed want, in impulses of its servo's row.

        A limit pushes one way only, and knows of the servo's speed by what is still wanted there. What it wants is
        btMultiBodyJointLimitConstraint.cpp:163 to :188.
        """
        result: Limits = []
        for k in range(len(angles)):
            own: list[Batch | None] = []
            for way, room in ((1, angles[k] - self._tree.low[k]), (-1, self._tree.high[k] - angles[k])):
                passed = room <= 0
                push = np.float32(-erp(float(seconds))) * room / seconds - way * speeds[k]
                push = np.where(passed, (push - way * changes[k]) * masses[k], np.float32(NO_CONTACT))
                own.append(push if passed.any() else None)
            result.append(own)
        return result

    def _iterate(self, bounds: Batch, friction: Batch, limits: Limits) -> Batch:
        """Turns of all rows, iteration after iteration. Returns impulses (R, N); bounds (F - 6, N): the servos'."""
        for impulse in self._impulses:
            impulse[:] = 0
        lower, upper, servos = list(-bounds), list(bounds), list(self._servos)
        pushes = [np.zeros((2, len(friction)), np.float32) for _ in limits]
        for iteration in range(self._iterations):
            for kind, index, way in self._order if iteration % 2 else reversed(self._order):
                if kind == "servo":
                    row, spare = servos[index], self._spare
                    np.minimum(self._target_impulse_rows[row], upper[index], out=spare)
                    np.maximum(spare, lower[index], out=spare)
                    self._apply_spare(row)
                elif (wanted := limits[index][way]) is not None:
                    self._apply_limit(pushes[index][way], wanted, self._hinges[index], 1 - 2 * way)
            self._apply_contacts(friction)
        result = np.stack(self._impulses)
        for k, (low, high) in enumerate(pushes):
            result[self._hinges[k]] += low - high
        return result

    def _apply_contacts(self, friction: Batch) -> None:
        """The turns of all contacts' normals, then of their friction."""
        target_impulses = self._target_impulse_rows
        for z in self._z:
            np.maximum(target_impulses[z], 0, out=self._spare)
            self._apply_spare(z)
        for x, y, z in zip(self._x, self._y, self._z, strict=True):
            a, b = target_impulses[x].copy(), target_impulses[y]
            share = friction * self._impulses[z] / np.maximum(np.sqrt(a * a + b * b), LEAST_IMPULSE)
            np.minimum(share, 1, out=share)
            np.multiply(b, share, out=self._spare)
            self._apply_spare(y)
            np.multiply(a, share, out=self._spare)
            self._apply_spare(x)

    def _apply_spare(self, row: int) -> None:
        """Bring a row's impulse to the spare one's value; the change reaches all rows' target impulses."""
        old = self._impulses[row]
        np.subtract(self._spare, old, out=self._change)
        self._impulses[row], self._spare = self._spare, old
        self._target_impulses_torch.addcmul_(self._response_rows[row], self._change_torch, value=-1)

    def _apply_limit(self, push: Batch, wanted: Batch, row: int, sign: int) -> None:
        """The turn of a hinge's limit, which pushes one way along the hinge's servo."""
        target_impulse = self._target_impulse_rows[row]
        pushed = np.maximum(push + wanted + sign * (target_impulse - self._impulses[row]), 0)
        np.multiply(pushed - push, sign, out=self._change)
        np.copyto(push, pushed)
        self._target_impulses_torch.addcmul_(self._response_rows[row], self._change_torch, value=-1)
        target_impulse -= self._change
