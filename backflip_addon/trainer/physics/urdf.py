# SPDX-License-Identifier: GPL-3.0-or-later
"""A body as URDF, the way PyBullet is told of it."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ElementTree
from typing import Any

import numpy as np

from ...core import rotations, self_contact
from ...core.arrays import Array
from ...core.body import Body, Link
from ...core.shapes import Shape

CORNER_RADIUS = 0.01  # of the spheres that stand for a box's corners, m
STOP = "1000"  # N m s, the greatest impulse of a limit: bone and ligament do not give way
SOLE_ROOM = 0.003  # m: a box's capsule, which other parts meet, stays so far inside its faces, off the floor


def urdf(body: Body) -> bytes:
    """The body as URDF.

    A spherical joint's frame is the middle of its range, from which its limit is symmetric: swing x and y and twist
    (URDF's lower, upper and twist, as PyBullet reads them; all four numbers must be above 0).
    """
    robot = ElementTree.Element("robot", name="body")
    for link in body.links:
        _link_element(robot, link)
    for link in body.links[1:]:
        _joint_element(robot, link, body.links[link.parent].name)
    ElementTree.indent(robot)  # PyBullet cuts lines at 8,191 bytes, be it in the middle of a word
    return ElementTree.tostring(robot)


def _numbers(values: Any) -> str:
    return " ".join(f"{value:.9g}" for value in values)


def _link_element(robot: ElementTree.Element, link: Link) -> None:
    element = ElementTree.SubElement(robot, "link", name=link.name)
    inertial = ElementTree.SubElement(element, "inertial")
    ElementTree.SubElement(inertial, "origin", xyz=_numbers(link.centre), rpy="0 0 0")
    ElementTree.SubElement(inertial, "mass", value=f"{link.mass:.9g}")
    ixx, iyy, izz = (f"{i:.9g}" for i in link.inertia)
    ElementTree.SubElement(inertial, "inertia", ixx=ixx, iyy=iyy, izz=izz, ixy="0", ixz="0", iyz="0")
    for shape in [*itertools.chain.from_iterable(map(collision_shapes, link.shapes)), *map(_core, _boxes(link))]:
        collision = ElementTree.SubElement(element, "collision")
        ElementTree.SubElement(
            collision, "origin", xyz=_numbers(shape.position), rpy=_numbers(roll_pitch_yaw(np.array(shape.rotation)))
        )
        _shape_element(ElementTree.SubElement(collision, "geometry"), shape)


def collision_shapes(shape: Shape) -> list[Shape]:
    """A box becomes the eight small spheres at its corners: Bullet makes only one contact a step
    between a box and a plane, and none ahead of time, so a landing foot would sink and rock."""
    if shape.kind != "box":
        return [shape]
    half = np.array(shape.size)
    radius = min(CORNER_RADIUS, half.min())
    # Level with the box's faces above and below, out to its edges sideways: the same footprint
    inset = half - np.array([0.0, 0.0, radius])
    corners = np.array(list(itertools.product((-1, 1), repeat=3))) * inset
    positions = np.array(shape.position) + rotations.rotate(np.array(shape.rotation), corners)
    return [Shape("sphere", (radius,), tuple(position)) for position in positions]


def _boxes(link: Link) -> list[Shape]:
    return [shape for shape in link.shapes if shape.kind == "box"]


def _core(box: Shape) -> Shape:
    """The capsule inside a box that other parts of the body meet, as in core.self_contact."""
    start, end, radius = self_contact.capsule(box)
    along = rotations.between_vectors(np.array([0.0, 0.0, 1.0]), end - start)
    w, x, y, z = map(float, along)
    radius, length = max(radius - SOLE_ROOM, radius / 2), float(np.linalg.norm(end - start))
    return Shape("capsule", (radius, length), box.position, (w, x, y, z))


def _shape_element(geometry: ElementTree.Element, shape: Shape) -> None:
    if shape.kind == "sphere":
        ElementTree.SubElement(geometry, "sphere", radius=f"{shape.size[0]:.9g}")
    elif shape.kind == "capsule":
        ElementTree.SubElement(geometry, "capsule", radius=f"{shape.size[0]:.9g}", length=f"{shape.size[1]:.9g}")
    else:
        ElementTree.SubElement(geometry, "box", size=_numbers(2 * half for half in shape.size))


def _joint_element(robot: ElementTree.Element, link: Link, parent: str) -> None:
    kind = {"hinge": "revolute", "spherical": "spherical", "fixed": "fixed"}[link.joint]
    joint = ElementTree.SubElement(robot, "joint", name=link.name, type=kind)
    ElementTree.SubElement(joint, "parent", link=parent)
    ElementTree.SubElement(joint, "child", link=link.name)
    limit = link.joint_limit
    frame = np.array(limit.frame if limit else rotations.IDENTITY)
    ElementTree.SubElement(joint, "origin", xyz=_numbers(link.offset), rpy=_numbers(roll_pitch_yaw(frame)))
    ElementTree.SubElement(joint, "axis", xyz=_numbers(link.axis))
    if limit:
        lower, upper, twist = (f"{x:.9g}" for x in limit.half)
        ElementTree.SubElement(joint, "limit", effort=STOP, lower=lower, upper=upper, twist=twist)
    if link.joint == "hinge":
        low, high = (f"{limit:.9g}" for limit in link.limits)
        ElementTree.SubElement(joint, "limit", lower=low, upper=high, effort="1000", velocity="100")


def roll_pitch_yaw(rotation: Array) -> tuple[float, float, float]:
    """URDF's fixed-axis angles of a rotation (4,)."""
    m = rotations.to_matrix(rotation)
    pitch = np.arcsin(np.clip(-m[2, 0], -1, 1))
    if abs(m[2, 0]) > 1 - 1e-9:  # straight up or down, roll and yaw are the same: all of it is roll
        return float(np.arctan2(-m[1, 2], m[1, 1])), float(pitch), 0.0
    return float(np.arctan2(m[2, 1], m[2, 2])), float(pitch), float(np.arctan2(m[1, 0], m[0, 0]))
