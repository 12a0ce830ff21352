# SPDX-License-Identifier: GPL-3.0-or-later
"""A body, and the memory that a step of it needs, as arrays that kernels read.

Degrees of freedom F: the root's spin (3) and the speed of its centre of mass (3), world axes; then joint by joint,
depth first, three of a ball joint about the child's own axes and one of a hinge. A freedom's chain is those that move
what it hangs on, root first, and itself last: a row of the mass matrix, of its factor, and of a Jacobian has entries
there alone (Featherstone 2008, section 6.5). Such rows lie one after the other; that of freedom f begins at row[f].
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ....core import self_contact
from ....core.arrays import Array, BoolArray, Float32Array, IntArray
from ....core.body import FEET, Body, Link
from ....core.joint_limits import LARGEST_ANGLE
from ....core.shapes import Shape, core_points, core_radius
from ..servo_gains import servo_gain
from ..simulator import CONTACT_MARGIN
from ..urdf import collision_shapes
from .lanes import rows

FIXED, BALL, HINGE = 0, 1, 2  # kinds of joints; the root's is FIXED, which is to say that it has no servo
ROOT_FREEDOMS = 6
AT_ROOT = 5  # the last of the root's freedoms
CORNERS_OF_BOX = 8
MOST_PAIRS = 16  # contacts between a body's own parts that are solved at once
ANGULAR, LINEAR, CENTRE, ROOM = 0, 3, 6, 9  # rows of Workspace.flight


class BodyTables(NamedTuple):
    """What never changes. L links, F freedoms, H hinges, P points that can touch a floor, C capsules, K pairs of them.

    parents, kinds, first, width (L,): of each link its parent, its joint's kind, first freedom and how many; tip (L,):
    the last freedom that moves it. row (F + 1,), chain (row[F],): see the module. mass, carried (L,): a link's own,
    and with all that hangs on it, kg. centre, offset (L, 3), m; inertia (L, 3), kg m^2. hinge (L,): its index among
    the hinges, -1 of others; axis (L, 3). gain (L,): of the servo, 1/s; servo_damping (L,), N m s/rad; torque,
    top_speed (F,), N m and rad/s. frame (L, 4), half (F,): of ball joints, the limit's frame and its reach either way;
    low, high (H,): the hinges'.
    point_link (P,), point (P, 3), point_radius, point_margin (P,): see contact_points(). spin_at, speed_at (L + 1,):
    where the whitened Jacobians of a link's spin and of its speed begin. capsule_link (C,), capsule_start, capsule_end
    (C, 3), capsule_radius (C,): for contacts between parts; pair (K, 2): of capsules; pair_margin (K,): how far
    apart a contact begins, pair_reach (K,): half the length of both together, m.
    """

    parents: IntArray
    kinds: IntArray
    first: IntArray
    width: IntArray
    tip: IntArray
    row: IntArray
    chain: IntArray
    mass: Float32Array
    carried: Float32Array
    centre: Float32Array
    offset: Float32Array
    inertia: Float32Array
    hinge: IntArray
    axis: Float32Array
    gain: Float32Array
    servo_damping: Float32Array
    torque: Float32Array
    top_speed: Float32Array
    frame: Float32Array
    half: Float32Array
    low: Float32Array
    high: Float32Array
    point_link: IntArray
    point: Float32Array
    point_radius: Float32Array
    point_margin: Float32Array
    spin_at: IntArray
    capsule_link: IntArray
    capsule_start: Float32Array
    capsule_end: Float32Array
    capsule_radius: Float32Array
    pair: IntArray
    pair_margin: Float32Array
    pair_reach: Float32Array


class Workspace(NamedTuple):
    """What a substep works with, of the bodies in the lanes; rows of lanes, vectors by their components.

    turned (4 L), matrix (9 L), origin (3 L): link frames, world axes, origins from the root's centre of mass. velocity,
    acceleration, force (6 L): spatial, at that point, angular part first. inertia, composite (9 L): moments xx xy xz yy
    yz zz at that point, then mass times centre. axis (6 F): the freedoms' own. factor (row[F]), scale (F): L with
    mass matrix = L' L, and 1 over its diagonal. bias (F), momentum (F): L times the speeds. servo (row[F]): whitened
    rows. goal_rotations (4 L), goal_angles (H): what the servos drive to now. servo_speed, servo_mass, servo_bound
    (F): wanted, effective mass, greatest impulse; limit_speed, limit_sign
    (F): the slowest speed that a limit allows, and along which direction; limited (F,): whether any lane is past it.
    known (L,): whether spin and speed, the whitened Jacobians, have been made of a link. gap (P): of points over the
    floor; contact, contact_mass, contact_speed: rows of those near it, touching (P,): which they are. segment (6 C):
    ends of capsules; pair_row, pair_mass, pair_speed: rows of pairs that meet, meeting: which they are.
    flight: of the whole before the step ANGULAR and LINEAR momentum (3) and CENTRE of mass (3), world; ROOM: how far
    its nearest point is from where a contact with the floor begins, m.
    """

    turned: Float32Array
    matrix: Float32Array
    origin: Float32Array
    velocity: Float32Array
    acceleration: Float32Array
    force: Float32Array
    inertia: Float32Array
    composite: Float32Array
    axis: Float32Array
    factor: Float32Array
    scale: Float32Array
    bias: Float32Array
    momentum: Float32Array
    servo: Float32Array
    goal_rotations: Float32Array
    goal_angles: Float32Array
    servo_speed: Float32Array
    servo_mass: Float32Array
    servo_bound: Float32Array
    limit_speed: Float32Array
    limit_sign: Float32Array
    limited: IntArray
    known: IntArray
    spin: Float32Array
    speed: Float32Array
    gap: Float32Array
    contact: Float32Array
    contact_mass: Float32Array
    contact_speed: Float32Array
    touching: IntArray
    segment: Float32Array
    pair_row: Float32Array
    pair_mass: Float32Array
    pair_speed: Float32Array
    meeting: IntArray
    flight: Float32Array


def body_tables(body: Body, seconds: float, may_touch: BoolArray | None = None) -> BodyTables:
    """The tables of a body for physics steps of so many seconds. may_touch (L,): links whose contacts with the floor
    are solved; the others pass through it (and are told to have touched it). None: all, as quickly as it goes."""
    links, count = body.links, len(body.links)
    first, chains = _freedoms(body)
    owner = [link for link, _ in sorted(first.items(), key=lambda item: item[1]) for _ in range(_width(links[link]))]
    tip = [first[i] + _width(links[i]) - 1 if i in first else -1 for i in range(count)]
    for i in range(count):
        if tip[i] < 0:
            tip[i] = tip[links[i].parent] if i else AT_ROOT
    hinges = [i for i, link in enumerate(links) if link.joint == "hinge"]
    limits = [link.joint_limit for link in links]
    half = np.full(ROOT_FREEDOMS + len(owner), 2 * LARGEST_ANGLE)
    for i, limit in enumerate(limits):
        if limit is not None:
            half[first[i] : first[i] + 3] = limit.half
    nothing = [0.0] * ROOT_FREEDOMS
    lengths = [len(chain) for chain in chains]
    row = np.concatenate([[0], np.cumsum(lengths)])
    points = contact_points(body, may_touch)
    capsules, pairs, margins = _pairs(body)
    halves = np.linalg.norm(np.array(capsules.ends) - capsules.starts, axis=1) / 2
    return BodyTables(
        parents=_integers([max(link.parent, 0) for link in links]),
        kinds=_integers([{"spherical": BALL, "hinge": HINGE}.get(link.joint, FIXED) for link in links]),
        first=_integers([first.get(i, 0) for i in range(count)]),
        width=_integers([_width(links[i]) if i in first else 0 for i in range(count)]),
        tip=_integers(tip),
        row=_integers(row),
        chain=_integers(list(itertools.chain.from_iterable(chains))),
        mass=_floats([link.mass for link in links]),
        carried=_floats(_carried(links)),
        centre=_floats([link.centre for link in links]),
        offset=_floats([link.offset for link in links]),
        inertia=_floats([link.inertia for link in links]),
        hinge=_integers([hinges.index(i) if i in hinges else -1 for i in range(count)]),
        axis=_floats([link.axis for link in links]),
        gain=_floats([servo_gain(link, seconds) / seconds for link in links]),
        servo_damping=_floats([link.kd for link in links]),
        torque=_floats(nothing + [links[i].torque for i in owner]),
        top_speed=_floats(nothing + [links[i].top_speed for i in owner]),
        frame=_floats([limit.frame if limit else (1.0, 0.0, 0.0, 0.0) for limit in limits]),
        half=_floats(half),
        low=_floats([links[i].limits[0] for i in hinges]),
        high=_floats([links[i].limits[1] for i in hinges]),
        point_link=points[0],
        point=points[1],
        point_radius=points[2],
        point_margin=points[3],
        spin_at=_integers(np.concatenate([[0], np.cumsum([3 * (row[t + 1] - row[t]) for t in tip])])),
        capsule_link=_integers(capsules.links),
        capsule_start=_floats(capsules.starts),
        capsule_end=_floats(capsules.ends),
        capsule_radius=_floats(capsules.radii),
        pair=pairs,
        pair_margin=margins,
        pair_reach=_floats(halves[pairs].sum(axis=1)),
    )


def workspace(t: BodyTables) -> Workspace:
    """Memory for a substep of bodies with such tables."""
    links, freedoms, points, capsules = len(t.parents), len(t.torque), len(t.point_link), len(t.capsule_link)
    entries, jacobians = int(t.row[-1]), int(t.spin_at[-1])
    longest = int(np.diff(t.row).max())
    return Workspace(
        turned=rows(4 * links),
        matrix=rows(9 * links),
        origin=rows(3 * links),
        velocity=rows(6 * links),
        acceleration=rows(6 * links),
        force=rows(6 * links),
        inertia=rows(9 * links),
        composite=rows(9 * links),
        axis=rows(6 * freedoms),
        factor=rows(entries),
        scale=rows(freedoms),
        bias=rows(freedoms),
        momentum=rows(freedoms),
        servo=rows(entries),
        goal_rotations=rows(4 * links),
        goal_angles=rows(len(t.low)),
        servo_speed=rows(freedoms),
        servo_mass=rows(freedoms),
        servo_bound=rows(freedoms),
        limit_speed=rows(freedoms),
        limit_sign=rows(freedoms),
        limited=np.zeros(freedoms, np.int64),
        known=np.zeros(links, np.int64),
        spin=rows(jacobians),
        speed=rows(jacobians),
        gap=rows(points),
        contact=rows(3 * longest * points),
        contact_mass=rows(3 * points),
        contact_speed=rows(points),
        touching=np.zeros(points, np.int64),
        segment=rows(6 * capsules),
        pair_row=rows(freedoms * MOST_PAIRS),
        pair_mass=rows(MOST_PAIRS),
        pair_speed=rows(MOST_PAIRS),
        meeting=np.zeros(MOST_PAIRS, np.int64),
        flight=rows(ROOM + 1),
    )


def contact_points(
    body: Body, may_touch: BoolArray | None = None
) -> tuple[IntArray, Float32Array, Float32Array, Float32Array]:
    """Spheres that touch a floor where a body does: boxes' corners and capsules' ends.

    Their links (P,), centres (P, 3) in the link's frame and radii (P,), m, and how far off the floor a contact begins,
    m: below 0 where none is solved. The upper corners of feet are left out, unless all links are named as such that
    may touch.
    """
    every = [(i, shape) for i, link in enumerate(body.links) for shape in _spheres(link)]
    if may_touch is None or not may_touch.all():
        every = [(i, shape) for i, shape in every if not _upper_corner(body.links[i], shape)]
    solved = np.ones(len(body.links), bool) if may_touch is None else may_touch
    margins = [CONTACT_MARGIN * _size(body.links[i]) if solved[i] else -np.inf for i, _ in every]
    return (
        _integers([i for i, _ in every]),
        _floats([shape.position for _, shape in every]),
        _floats([shape.size[0] for _, shape in every]),
        _floats(np.maximum(margins, -1e9)),
    )


def _spheres(link: Link) -> list[Shape]:
    pieces = itertools.chain.from_iterable(map(collision_shapes, link.shapes))
    return [Shape("sphere", (core_radius(shape),), tuple(point)) for shape in pieces for point in core_points(shape)]


def _upper_corner(link: Link, corner: Shape) -> bool:
    """Whether it is an upper corner of a foot, which the floor meets only after a fall."""
    heights = [sphere.position[2] for sphere in _spheres(link)]
    return link.name in FEET and len(heights) == CORNERS_OF_BOX and corner.position[2] > float(np.median(heights))


def _size(link: Link) -> float:
    """Bullet's measure of a link's size, m: how far its bounding box reaches from its centre of mass
    (btCollisionShape::getAngularMotionDisc, btCollisionShape.cpp:47); contacts begin at a share of it (:42)."""
    spheres = _spheres(link)
    positions = np.array([sphere.position for sphere in spheres]) - link.centre
    radii = np.array([sphere.size[0] for sphere in spheres])[:, None]
    low, high = (positions - radii).min(axis=0), (positions + radii).max(axis=0)
    return float(np.linalg.norm((low + high) / 2) + np.linalg.norm((high - low) / 2))


def _pairs(body: Body) -> tuple[self_contact.Capsules, IntArray, Float32Array]:
    """The capsules, pairs of them (K, 2) that collide, and how far apart contacts between them begin (K,), m."""
    capsules = self_contact.capsules(body)
    chosen = [
        (a, b)
        for i, j in self_contact.pairs(body)
        for a in np.flatnonzero(capsules.links == i)
        for b in np.flatnonzero(capsules.links == j)
    ]
    sizes = [_size(link) if link.shapes else 0.0 for link in body.links]
    links = capsules.links
    margins = [CONTACT_MARGIN * min(sizes[links[a]], sizes[links[b]]) for a, b in chosen]
    return capsules, _integers(np.array(chosen, dtype=np.int64).reshape(-1, 2)), _floats(margins)


def _freedoms(body: Body) -> tuple[dict[int, int], list[list[int]]]:
    """Each moving link's first freedom, depth first, and each freedom's chain."""
    chains = [list(range(k + 1)) for k in range(ROOT_FREEDOMS)]
    first: dict[int, int] = {}
    tips = {0: AT_ROOT}

    def visit(link: int) -> None:
        for i, other in enumerate(body.links):
            if other.parent != link:
                continue
            above = chains[tips[link]]
            if other.joint in ("spherical", "hinge"):
                first[i] = len(chains)
                for k in range(_width(other)):
                    chains.append([*above, *range(first[i], first[i] + k + 1)])
            tips[i] = len(chains) - 1 if i in first else tips[link]
            visit(i)

    visit(0)
    return first, chains


def _carried(links: Sequence[Link]) -> Array:
    """The masses (L,), kg, of links with all that hangs on each."""
    carried: Array = np.array([link.mass for link in links])
    for i in range(len(links) - 1, 0, -1):
        carried[links[i].parent] += carried[i]
    return carried


def _width(link: Link) -> int:
    return 3 if link.joint == "spherical" else 1


def _floats(values: object) -> Float32Array:
    return np.ascontiguousarray(values, dtype=np.float32)


def _integers(values: object) -> IntArray:
    return np.ascontiguousarray(values, dtype=np.int64)
