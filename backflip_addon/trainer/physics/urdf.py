# SPDX-License-Identifier: GPL-3.0-or-later
"""A body as URDF, the way PyBullet is told of it."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ElementTree
from typing import Any

import numpy as np

from ...core import rotations
from ...core.body import Body, Link
from ...core.shapes import Shape

CORNER_RADIUS = 0.01  # of the spheres that stand for a box's corners, m


def urdf(body: Body) -> bytes:
    """The body as URDF. Hinge limits are widened by nothing; spherical joints have none there."""
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
    for shape in itertools.chain.from_iterable(map(collision_shapes, link.shapes)):
        collision = ElementTree.SubElement(element, "collision")
        ElementTree.SubElement(collision, "origin", xyz=_numbers(shape.position), rpy=_numbers(_roll_pitch_yaw(shape)))
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
    ElementTree.SubElement(joint, "origin", xyz=_numbers(link.offset), rpy="0 0 0")
    ElementTree.SubElement(joint, "axis", xyz=_numbers(link.axis))
    if link.joint == "hinge":
        low, high = (f"{limit:.9g}" for limit in link.limits)
        ElementTree.SubElement(joint, "limit", lower=low, upper=high, effort="1000", velocity="100")


def _roll_pitch_yaw(shape: Shape) -> tuple[float, float, float]:
    """URDF's fixed-axis angles of the shape's rotation."""
    m = rotations.to_matrix(np.array(shape.rotation))
    pitch = np.arcsin(np.clip(-m[2, 0], -1, 1))
    return float(np.arctan2(m[2, 1], m[2, 2])), float(pitch), float(np.arctan2(m[1, 0], m[0, 0]))
