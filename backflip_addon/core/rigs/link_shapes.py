# SPDX-License-Identifier: GPL-3.0-or-later
"""The solids of a body's links, fitted to a rig's skin, or to its bones and the usual sizes where it has none.

All in the rig's own units and in the links' frames in the neutral pose.
"""

from __future__ import annotations

import numpy as np

from ..arrays import Array
from ..shapes import Shape
from .anthropometry import CENTRE_SHARE, RADIUS_SHARE
from .rig_measures import FEWEST_POINTS, RigMeasures

_OWN = 0.2  # a part of the trunk that holds less than this share of the skin around it isn't measured by its own


def link_shapes(name: str, measures: RigMeasures) -> tuple[Shape, ...]:
    """Solids of a link, in rig units."""
    part, _, side = name.partition(".")
    points = measures.points[name]
    if part in CENTRE_SHARE:
        return (_limb_shape(measures, part, side, points),)
    if part == "foot":
        return (_foot_shape(measures, side, points),)
    if part == "hand":
        return (_hand_shape(measures, points),)
    if part == "head":
        return (_head_shape(measures, points),)
    return _trunk_shapes(measures, name)


def _limb_shape(measures: RigMeasures, part: str, side: str, points: Array) -> Shape:
    """A capsule from the joint to the next, its radius the skin's."""
    length = measures.neutral.segment(part, side)
    radius = RADIUS_SHARE[part] * measures.height
    inside = points[(points[:, 2] < -0.15 * length) & (points[:, 2] > -0.85 * length)]
    if len(inside) >= FEWEST_POINTS:
        middle = np.median(inside[:, :2], axis=0)
        radius = float(np.median(np.linalg.norm(inside[:, :2] - middle, axis=1)))
    radius = float(np.clip(radius, 0.06 * length, 0.35 * length))
    # shins end above the ankle, so that the foot alone meets the floor; other ends meet their joints
    bottom = length - (radius if part == "shin" else 0.0)
    top = 0.0 if part in ("shin", "forearm") else 0.3 * radius
    return Shape("capsule", (radius, max(bottom - top, 0.02 * length)), (0.0, 0.0, -(bottom + top) / 2))


def _foot_shape(measures: RigMeasures, side: str, points: Array) -> Shape:
    """A box from heel to toe, on the sole."""
    sole = measures.soles[side]
    tip = measures.local(f"foot.{side}", measures.neutral.toes[side])
    if len(points) >= FEWEST_POINTS:
        low, high = np.quantile(points, 0.01, axis=0), np.quantile(points, 0.99, axis=0)
        front, back, x, width = low[1], high[1], (low[0] + high[0]) / 2, high[0] - low[0]
    else:
        reach = float(np.hypot(tip[0], tip[1]))
        front = -max(reach * 1.35, 0.2 * measures.leg)
        back, x, width = 0.06 * measures.leg, 0.0, 0.1 * measures.leg
    length = float(np.clip(back - front, 0.15 * measures.leg, 0.6 * measures.leg))
    width = float(np.clip(width, 0.06 * measures.leg, 0.35 * measures.leg))
    thickness = float(np.clip(-sole * 0.9, 0.04 * measures.leg, 0.16 * measures.leg))
    return Shape(
        "box", (width / 2, length / 2, thickness / 2), (float(x), float(back - length / 2), sole + thickness / 2)
    )


def _hand_shape(measures: RigMeasures, points: Array) -> Shape:
    """A ball in the middle of the hand's skin, or hanging from the wrist."""
    radius = RADIUS_SHARE["hand"] * measures.height
    centre = np.array([0.0, 0.0, -1.6 * radius])
    if len(points) >= FEWEST_POINTS:
        low, high = np.quantile(points, 0.1, axis=0), np.quantile(points, 0.9, axis=0)
        radius = float(np.clip(np.median(high - low) / 2, 0.6 * radius, 2.0 * radius))
        centre = np.median(points, axis=0)
    return Shape("sphere", (radius,), triple(centre))


def _head_shape(measures: RigMeasures, points: Array) -> Shape:
    """A ball that ends at the crown."""
    bone = measures.neutral.bones["head"]
    base = float(measures.local("head", measures.rig.heads[bone])[2])
    tall = max(measures.crown - base, 0.02 * measures.height)
    radius = min(max(tall / 2, RADIUS_SHARE["head"] * measures.height), tall * 0.75)
    centre = np.array([0.0, 0.0, measures.crown - radius])
    above = points[points[:, 2] > base] if len(points) else points
    if len(above) >= FEWEST_POINTS:
        low, high = np.quantile(above, 0.01, axis=0), np.quantile(above, 0.99, axis=0)
        radius = float(np.clip(np.median(high - low) / 2, 0.3 * tall, 0.7 * tall))
        centre = np.array([*(low + high)[:2] / 2, measures.crown - radius])
    return Shape("sphere", (radius,), triple(centre))


def _trunk_shapes(measures: RigMeasures, name: str) -> tuple[Shape, ...]:
    """Lateral capsules: one for the pelvis, two above each other for the chest."""
    joints = measures.positions
    side_on = (np.sqrt(0.5), 0.0, np.sqrt(0.5), 0.0)  # turns a capsule's z to x
    if name == "pelvis":
        span = float(np.linalg.norm(joints["thigh.L"] - joints["thigh.R"]))
        rise = float(joints["chest"][2])
        levels = [(0.35 * rise, 0.3 * rise + 0.25 * span)]
        width = span
    else:
        span = float(np.linalg.norm(joints["upper_arm.L"] - joints["upper_arm.R"]))
        rise = float(max(joints["head"][2] - joints["chest"][2], 0.05 * measures.height))
        levels = [(0.25 * rise, 0.3 * rise), (0.68 * rise, 0.32 * rise)]
        width = 0.85 * span
    shapes = []
    for height, band in levels:
        depth, wide, ahead = 0.062 * measures.height * 2, width * 1.15, 0.0
        near = _level_points(measures, name, height, band, 0.6 * span + 0.03 * measures.height)
        if len(near) >= FEWEST_POINTS:
            low, high = np.quantile(near, 0.06, axis=0), np.quantile(near, 0.94, axis=0)
            depth, wide, ahead = float(high[1] - low[1]), float(high[0] - low[0]), float((low + high)[1] / 2)
        radius = float(np.clip(depth / 2, 0.035 * measures.height, 0.11 * measures.height))
        length = max(float(wide) - 2 * radius, 0.1 * radius)
        shapes.append(Shape("capsule", (radius, length), (0.0, ahead, height), side_on))
    return tuple(shapes)


def _level_points(measures: RigMeasures, name: str, height: float, band: float, half_width: float) -> Array:
    """The skin (N, 3) around a level of pelvis or chest, in its frame: its own, or the other's where its own leaves
    out the middle, as that of a robot does whose torso hangs whole on its hips.
    """
    other = "chest" if name == "pelvis" else "pelvis"
    found: list[Array] = []
    for points in (
        measures.points[name],
        measures.points[other] + measures.positions[other] - measures.positions[name],
    ):
        near = points[(np.abs(points[:, 2] - height) < band) & (np.abs(points[:, 0]) < half_width)]
        found.append(near if np.count_nonzero(np.abs(near[:, 0]) < 0.4 * half_width) >= FEWEST_POINTS else near[:0])
    own, others = found
    return own if len(own) >= _OWN * len(others) else others


def scaled(shape: Shape, size: float, distance: float) -> Shape:
    """A shape so many times as large, and so many times as far from its link's joint."""
    return Shape(
        shape.kind,
        tuple(float(x * size) for x in shape.size),
        triple(np.array(shape.position) * distance),
        shape.rotation,
    )


def triple(values: Array) -> tuple[float, float, float]:
    """An array (3,) as plain numbers."""
    x, y, z = map(float, values)
    return x, y, z
