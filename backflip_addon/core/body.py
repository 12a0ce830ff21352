# SPDX-License-Identifier: GPL-3.0-or-later
"""The physical model of an avatar: links, joints, shapes, masses and limits, as plain SI data.

Neutral pose: the character stands upright facing -Y, left is +X, up is +Z, legs and arms hang
straight down; then every link's frame is parallel to the world's. A link's origin is its joint;
the root link's origin is the midpoint between the hips. All joint rotations are relative to the
neutral pose, so one motion plays on every body.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from . import rotations
from .arrays import Array
from .joint_limits import JointLimit, usual_limit
from .reading import one_line
from .shapes import Shape, lowest_point

BODY_VERSION = 1
MOST_LINKS = 200  # of a body; a humanoid has 15
MOST_SIZE = 1e6  # of any of its numbers, in metres, kilograms, newton metres

# The links of a humanoid body, parents first, with the role each takes its name from.
LINK_PARENTS: dict[str, str | None] = {
    "pelvis": None,
    "chest": "pelvis",
    "head": "chest",
    "thigh.R": "pelvis",
    "shin.R": "thigh.R",
    "foot.R": "shin.R",
    "upper_arm.R": "chest",
    "forearm.R": "upper_arm.R",
    "hand.R": "forearm.R",
    "thigh.L": "pelvis",
    "shin.L": "thigh.L",
    "foot.L": "shin.L",
    "upper_arm.L": "chest",
    "forearm.L": "upper_arm.L",
    "hand.L": "forearm.L",
}
LINK_NAMES: tuple[str, ...] = tuple(LINK_PARENTS)
FEET = ("foot.L", "foot.R")
TRUNK = ("pelvis", "chest")

# Knees and elbows turn about the body's right: a knee bends by a negative angle, an elbow by a
# positive one (the convention of DeepMimic's humanoid3d).
HINGE_AXIS: tuple[float, float, float] = (-1.0, 0.0, 0.0)
HINGE_LIMITS: dict[str, tuple[float, float]] = {"shin": (-2.7, 0.05), "forearm": (-0.05, 2.7)}

JointKind = Literal["free", "spherical", "hinge", "fixed"]


@dataclasses.dataclass(frozen=True)
class Link:
    """One rigid part and the joint that holds it to its parent."""

    name: str
    parent: int  # index into Body.links, -1 for the root
    joint: JointKind
    offset: tuple[float, float, float]  # the joint's position in the parent's frame, m; root: (0, 0, 0)
    mass: float  # kg
    centre: tuple[float, float, float]  # centre of mass in the link's frame, m
    inertia: tuple[float, float, float]  # principal moments about the centre, link axes, kg m^2
    shapes: tuple[Shape, ...]
    axis: tuple[float, float, float] = HINGE_AXIS  # hinge axis, link frame
    limits: tuple[float, float] = (-3.1, 3.1)  # hinge: least and greatest angle, rad
    torque: float = 0.0  # greatest torque about each axis, N m
    kp: float = 0.0  # PD gains, N m/rad and N m s/rad
    kd: float = 0.0
    ball: tuple[float, float, float] | None = None  # of a foot: where its toes bend, link frame, m; None: not known
    limit: JointLimit | None = None  # spherical: how far it turns; None: as a person's joint of that name
    top_speed: float = 0.0  # rad/s at which the joint has no torque left to speed up with; 0: it always has

    @property
    def joint_limit(self) -> JointLimit | None:
        """How far a spherical joint turns; None of other joints, and where nothing is known."""
        if self.joint != "spherical":
            return None
        return self.limit or usual_limit(self.name)


@dataclasses.dataclass(frozen=True)
class Body:
    """A whole character. links are ordered parents first; links[0] is the root."""

    name: str
    links: tuple[Link, ...]
    height: float  # standing height in the neutral pose, m

    @property
    def names(self) -> tuple[str, ...]:
        """The links' names (L,)."""
        return tuple(link.name for link in self.links)

    @property
    def mass(self) -> float:
        """Of all links, kg."""
        return sum(link.mass for link in self.links)

    @property
    def parents(self) -> tuple[int, ...]:
        """Index of each link's parent (L,), -1 for the root."""
        return tuple(link.parent for link in self.links)

    def index(self, name: str) -> int:
        """Index of the link called name. Raises KeyError."""
        try:
            return self.names.index(name)
        except ValueError:
            raise KeyError(name) from None

    def forward(self, position: ArrayLike, local: ArrayLike) -> tuple[Array, Array]:
        """Forward kinematics.

        position (..., 3): root origin, world, m. local (..., L, 4): the root's world orientation,
        then each joint's rotation relative to its parent's frame.
        Returns link origins (..., L, 3) and link orientations (..., L, 4), world.
        """
        local = np.asarray(local, dtype=float)
        orientations = local.copy()
        for level in _levels(self.parents):  # all links equally deep in the tree at once
            above = [self.links[i].parent for i in level]
            orientations[..., level, :] = rotations.multiply(orientations[..., above, :], local[..., level, :])
        parents = [max(p, 0) for p in self.parents]
        arms = rotations.rotate(orientations[..., parents, :], np.array([link.offset for link in self.links]))
        positions = arms
        positions[..., 0, :] = position
        for i, parent in enumerate(self.parents[1:], start=1):
            positions[..., i, :] += positions[..., parent, :]
        return positions, orientations

    def local_rotations(self, world: ArrayLike) -> Array:
        """Joint rotations (..., L, 4) of link orientations (..., L, 4): forward() undone."""
        world = np.asarray(world, dtype=float)
        parents = [max(p, 0) for p in self.parents]
        local = rotations.multiply(rotations.conjugate(world[..., parents, :]), world)
        local[..., 0, :] = world[..., 0, :]
        return local

    def centre_of_mass(self, positions: Array, orientations: Array) -> Array:
        """Centre of mass (..., 3) of link frames (..., L, 3), (..., L, 4)."""
        masses = np.array([link.mass for link in self.links])
        centres = positions + rotations.rotate(orientations, np.array([link.centre for link in self.links]))
        centre: Array = np.einsum("l,...lk->...k", masses / masses.sum(), centres)
        return centre

    def lowest_points(self, positions: Array, orientations: Array, links: Sequence[int] | None = None) -> Array:
        """Height (..., L) of each (or those) links' deepest shape point, m; +inf without shapes."""
        lows = []
        for i in range(len(self.links)) if links is None else links:
            link = self.links[i]
            heights = [lowest_point(s, positions[..., i, :], orientations[..., i, :]) for s in link.shapes]
            none = np.full(positions.shape[:-2], np.inf)
            lows.append(np.min(heights, axis=0) if heights else none)
        return np.stack(lows, axis=-1)


@functools.cache
def _levels(parents: tuple[int, ...]) -> list[list[int]]:
    """Link indices by their depth in the tree, the root's left out."""
    depths = [0]
    for parent in parents[1:]:
        depths.append(depths[parent] + 1)
    return [[i for i, d in enumerate(depths) if d == depth] for depth in range(1, max(depths) + 1)]


def to_json(body: Body) -> dict[str, Any]:
    """A body as JSON-ready data."""
    return {"version": BODY_VERSION, **dataclasses.asdict(body)}


def from_json(data: dict[str, Any]) -> Body:
    """The inverse of to_json. Raises ValueError with a sentence on data that is no sound body."""
    try:
        if data["version"] != BODY_VERSION:
            raise ValueError(f"the body has version {data['version']}; this add-on reads {BODY_VERSION}")
        links = tuple(_link_from_json(link) for link in data["links"])
        body = Body(str(data["name"]), links, float(data["height"]))
        validate(body)
    except (KeyError, TypeError, AttributeError, IndexError, OverflowError) as error:
        raise ValueError(one_line(f"the body is damaged: {error!r} is missing or wrong")) from error
    except ValueError as error:
        raise ValueError(one_line(error)) from error
    return body


def _link_from_json(data: dict[str, Any]) -> Link:
    fields = dict(data)
    fields["shapes"] = tuple(_shape_from_json(shape) for shape in data["shapes"])
    for key in ("offset", "centre", "inertia", "axis", "limits"):
        fields[key] = tuple(float(x) for x in data[key])
    for key in ("mass", "torque", "kp", "kd"):
        fields[key] = float(data[key])
    fields["top_speed"] = float(data.get("top_speed", 0.0))
    if data.get("limit") is not None:
        fields["limit"] = _limit_from_json(data["limit"])
    if data.get("ball") is not None:
        fields["ball"] = tuple(float(x) for x in data["ball"])
    return Link(**fields)


def _limit_from_json(data: dict[str, Any]) -> JointLimit:
    # As long as it is given, until validate() has looked at it
    frame: Any = tuple(float(x) for x in data["frame"])
    return JointLimit(frame, *(float(data[key]) for key in ("swing_x", "swing_y", "twist")))


def _shape_from_json(data: dict[str, Any]) -> Shape:
    # Vectors may have any length until validate() has looked at them
    vectors: dict[str, Any] = {key: tuple(float(x) for x in data[key]) for key in ("size", "position", "rotation")}
    return Shape(data["kind"], **vectors)


_SIZE_COUNT = {"capsule": 2, "box": 3, "sphere": 1}


def validate(body: Body) -> None:
    """Raises ValueError with one sentence when the body cannot be simulated."""
    if not 0 < len(body.links) <= MOST_LINKS or len(set(body.names)) < len(body.links):
        raise ValueError("the body has no parts, too many, or two of the same name")
    if not 0 < body.height <= MOST_SIZE:
        raise ValueError("the body has no sensible height")
    for i, link in enumerate(body.links):
        if not isinstance(link.name, str) or type(link.parent) is not int:
            raise ValueError("the body has a part whose name is not text, or whose parent is not a number")
        vectors = (link.offset, link.centre, link.inertia, link.axis, link.ball or (0.0, 0.0, 0.0))
        if any(len(vector) != 3 for vector in vectors) or len(link.limits) != 2:
            raise ValueError(f"the body's part {link.name} has a vector of the wrong length")
        numbers = [*link.offset, link.mass, *link.centre, *link.inertia, *link.axis, *link.limits]
        numbers += [link.torque, link.kp, link.kd, link.top_speed, *(link.ball or ())]
        for shape in link.shapes:
            _validate_shape(shape, link.name)
            numbers += [*shape.size, *shape.position, *shape.rotation]
        if not np.all(np.abs(numbers) <= MOST_SIZE):  # nor is NaN
            raise ValueError(f"the body's part {link.name} has a number that is not finite, or far too large")
        if link.limit is not None:
            _validate_limit(link.limit, link.name)
        if link.top_speed < 0:
            raise ValueError(f"the body's part {link.name} has a joint whose greatest speed is below zero")
        if link.mass <= 0 or min(link.inertia) <= 0:
            raise ValueError(f"the body's part {link.name} has no mass")
        if not (link.parent < i and (link.parent >= 0) == (i > 0)):
            raise ValueError(f"the body's part {link.name} comes before its parent")
        if link.joint not in ("free", "spherical", "hinge", "fixed") or (link.joint == "free") != (i == 0):
            raise ValueError(f"the body's part {link.name} has an unknown joint {link.joint}")


def _validate_limit(limit: JointLimit, part: str) -> None:
    half = (limit.swing_x, limit.swing_y, limit.twist)
    sound = len(limit.frame) == 4 and abs(np.linalg.norm(limit.frame) - 1) < 1e-3
    if not sound or not all(0 < x <= np.pi for x in half):
        raise ValueError(f"the body's part {part} has a joint limit that is none")


def _validate_shape(shape: Shape, part: str) -> None:
    if shape.kind not in _SIZE_COUNT:
        raise ValueError(f"the body's part {part} has an unknown shape {shape.kind}")
    if len(shape.size) != _SIZE_COUNT[shape.kind] or len(shape.position) != 3 or len(shape.rotation) != 4:
        raise ValueError(f"the body's part {part} has a {shape.kind} with the wrong number of numbers")
    if min(shape.size) < 0 or shape.size[0] == 0:
        raise ValueError(f"the body's part {part} has a {shape.kind} without a size")
