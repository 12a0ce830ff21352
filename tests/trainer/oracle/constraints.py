# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rows of the solver want: contact points, joint servos, and the order in which Bullet goes through rows.

Of Bullet, file and line are those of the sources that PyBullet 3.2.7 was built from (bullet3 at 6c888f4).
"""

from __future__ import annotations

import itertools
from typing import Any, Literal, NamedTuple

import numpy as np

from backflip_addon.core import rotations
from backflip_addon.core.arrays import BoolArray
from backflip_addon.core.body import FEET, Body, Link
from backflip_addon.core.shapes import Shape
from backflip_addon.trainer.physics.servo_gains import servo_gain
from backflip_addon.trainer.physics.simulator import CONTACT_MARGIN, damping, erp
from backflip_addon.trainer.physics.urdf import collision_shapes

from .articulation import Tree
from .batch_math import Batch, matrices, multiply

# m, by which contacts begin early: PyBullet's, PhysicsServerCommandProcessor.cpp:2803
LINEAR_SLOP = 1e-5
# m/s, the change of speed that a contact or a limit out of reach wants: so far below 0 that it never acts
NO_CONTACT = -1e6
CORNERS_OF_BOX = 8


class ContactPoints:
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
        heights = self.positions[self.links == link, 2]
        return bool(len(heights) == CORNERS_OF_BOX and self.positions[point, 2] > np.median(heights))


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
    """Bullet's measure of a link's size, m: how far its bounding box reaches from its centre of mass
    (btCollisionShape::getAngularMotionDisc, btCollisionShape.cpp:47); contacts begin at a share of it (:42)."""
    points = _touch_points(link)
    positions = np.array([point.position for point in points]) - link.centre
    radii = np.array([point.size[0] for point in points])[:, None]
    low, high = (positions - radii).min(axis=0), (positions + radii).max(axis=0)
    return float(np.linalg.norm((low + high) / 2) + np.linalg.norm((high - low) / 2))


class Servo:
    """The joints' servos: the speeds that they drive joints to.

    A ball joint's is Bullet's btMultiBodySphericalJointMotor.cpp:130 to 168, a hinge's btMultiBodyJointMotor.cpp:133
    to 148.
    """

    def __init__(self, body: Body, tree: Tree, seconds: float) -> None:
        self._tree = tree
        gains = tree.spread([servo_gain(link, seconds) for link in body.links])
        self._ball_gains = (gains[tree.ball_freedoms] / seconds)[:, :, None].astype(np.float32)
        self._damping = np.float32(damping(seconds))
        self._hinge_gains = (gains[tree.hinge_freedoms] / seconds)[:, None].astype(np.float32)

    def target_speeds(self, orientations: Batch, angles: Batch, targets: Batch, speeds: Batch) -> tuple[Batch, Batch]:
        """Speeds that ball joints (J, 3, N) and hinges (H, N) are driven to, rad/s, before their damping.

        orientations, targets (L, 4, N): local; angles (H, N): of the hinges, rad; speeds (H, N): their target
        velocities, rad/s.
        """
        tree = self._tree
        inverse = orientations[tree.balls] * np.array([1, -1, -1, -1], np.float32)[:, None]
        x = matrices(multiply(inverse, targets[tree.balls]))
        # Euler angles of the rotation to the target, as Bullet measures the error
        error = np.empty((len(tree.balls), 3, orientations.shape[-1]), np.float32)
        error[:, 0] = np.arctan2(x[:, 2, 1], x[:, 2, 2])
        error[:, 1] = -np.arcsin(np.clip(x[:, 2, 0], -1, 1))
        error[:, 2] = np.arctan2(x[:, 1, 0], x[:, 0, 0])
        hinges = targets[tree.hinges]
        goal = 2 * np.arctan2(np.einsum("hkn,hk->hn", hinges[:, 1:], tree.hinge_axes), hinges[:, 0])
        goal -= 2 * np.pi * np.round(goal / (2 * np.pi))
        goal = np.clip(goal, tree.low, tree.high)
        return self._ball_gains * error, self._hinge_gains * (goal - angles) + self._damping * speeds


def contact_speeds(gaps: Batch, reach: Batch, seconds: np.float32) -> Batch:
    """Upward speeds, m/s, that contacts want of points so high above the floor, m.

    As Bullet has it (btMultiBodyConstraintSolver.cpp:725 and :787 to :805): what is above may come down to it within
    a step, what is below it comes out again. reach: how far off the floor each contact begins, m.
    """
    depth = gaps + np.float32(LINEAR_SLOP)
    speeds = np.where(depth > 0, -depth, np.float32(-erp(float(seconds))) * depth) / seconds
    return np.where(gaps > reach, np.float32(NO_CONTACT), speeds)


class RowTurn(NamedTuple):
    """Whose turn it is: a servo's row (which of the servos'), or a hinge's limit (of which hinge; way 0: the lower
    one, 1: the upper)."""

    kind: Literal["servo", "limit"]
    which: int
    way: int


def row_order(body: Body, tree: Tree) -> list[RowTurn]:
    """The order in which Bullet goes through servos and limits in every second iteration; in the others backwards.

    PyBullet makes the limits first, then the servos, in the links' order, and Bullet sorts them by island
    (btMultiBodyDynamicsWorld.cpp:310); all being of one island, its quicksort reverses every part that it looks at.
    """
    moving = sorted(tree.first)
    limited = [i for i in moving if body.links[i].joint == "hinge" or body.links[i].joint_limit]
    made: list[tuple[Literal["servo", "limit"], int]] = [("limit", i) for i in limited]
    made += [("servo", i) for i in moving]
    reverse_parts(made, 0, len(made) - 1)
    order = []
    for kind, i in made:
        if kind == "limit":
            # A ball joint's counts in the order alone: here it does not act
            hinge = np.flatnonzero(tree.hinges == i)
            order += [RowTurn(kind, int(k), way) for k in hinge for way in (0, 1)]
        else:
            width = 3 if body.links[i].joint == "spherical" else 1
            order += [RowTurn(kind, tree.first[i] - 6 + k, 0) for k in range(width)]
    return order


def reverse_parts(items: list[Any], low: int, high: int) -> None:
    """What a quicksort with Hoare's partition does to equal items, in place (btAlignedObjectArray.h:311)."""
    i, j = low, high
    while i <= j:
        items[i], items[j] = items[j], items[i]
        i, j = i + 1, j - 1
    if low < j:
        reverse_parts(items, low, j)
    if i < high:
        reverse_parts(items, i, high)
