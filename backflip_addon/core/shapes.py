# SPDX-License-Identifier: GPL-3.0-or-later
"""The convex solids that links are made of, and how far they reach."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Literal

import numpy as np

from . import rotations
from .arrays import Array

ShapeKind = Literal["capsule", "box", "sphere"]


@dataclasses.dataclass(frozen=True)
class Shape:
    """One convex solid of a link, in the link's frame.

    size: capsule (radius, length between the cap centres, along its own z);
    box (half extents x, y, z); sphere (radius,). Metres. position (3,), rotation (4,): of its own frame.
    """

    kind: ShapeKind
    size: tuple[float, ...]
    position: tuple[float, float, float] = (0.0, 0.0, 0.0)
    rotation: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 0.0)


def extent(shapes: Iterable[Shape]) -> tuple[Array, Array]:
    """Lower and upper corner (3,), (3,) of the box around a link's shapes, link frame, m.

    Raises ValueError when there are none.
    """
    centres, halves = zip(*((np.array(shape.position), half_extents(shape)) for shape in shapes), strict=True)
    low, high = np.subtract(centres, halves), np.add(centres, halves)
    return np.min(low, axis=0), np.max(high, axis=0)


def half_extents(shape: Shape) -> Array:
    """Half the sides (3,) of the box around a shape, along the link's axes, m."""
    if shape.kind == "sphere":
        return np.full(3, shape.size[0])
    axes: Array = np.abs(rotations.to_matrix(np.array(shape.rotation)))
    if shape.kind == "box":
        box: Array = axes @ np.array(shape.size)
        return box
    capsule: Array = shape.size[0] + axes[:, 2] * shape.size[1] / 2
    return capsule


def lowest_point(shape: Shape, position: Array, orientation: Array) -> Array:
    """Height (...) of a shape's lowest point, m, on a link at position (..., 3), orientation (..., 4), world."""
    centre = position + rotations.rotate(orientation, np.array(shape.position))
    axes = rotations.to_matrix(rotations.multiply(orientation, np.array(shape.rotation)))
    up = np.abs(axes[..., 2, :])  # |z component| of each shape axis
    reach: Array
    if shape.kind == "sphere":
        reach = np.full(centre.shape[:-1], shape.size[0])
    elif shape.kind == "capsule":
        reach = shape.size[0] + up[..., 2] * shape.size[1] / 2
    else:
        reach = up @ np.array(shape.size)
    lowest: Array = centre[..., 2] - reach
    return lowest


def core_points(shape: Shape) -> Array:
    """The points (P, 3), link frame, whose hull is the shape once it is grown by core_radius(): a box's corners,
    the centres of a capsule's caps, a sphere's centre."""
    size = np.array(shape.size)
    if shape.kind == "sphere":
        local = np.zeros((1, 3))
    elif shape.kind == "capsule":
        local = np.array([[0, 0, -size[1] / 2], [0, 0, size[1] / 2]])
    else:
        local = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * size
    points: Array = np.array(shape.position) + rotations.rotate(np.array(shape.rotation), local)
    return points


def core_radius(shape: Shape) -> float:
    """By how much a shape is larger than the hull of its core_points(), m; 0 of a box."""
    return 0.0 if shape.kind == "box" else shape.size[0]
