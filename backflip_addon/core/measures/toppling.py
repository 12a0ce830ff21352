# SPDX-License-Identifier: GPL-3.0-or-later
"""Which way a body topples: by how it leans as it begins to, and how it faced before."""

from __future__ import annotations

from typing import Literal

import numpy as np

from .. import rotations
from ..arrays import Array
from ..body import FEET, TRUNK
from ..proportions import hip_to_sole
from .course import Course

# Lean of the trunk: a body that leans more has begun to fall. How it faces later, while it twists on the way down, is
# not what an eye goes by
UPRIGHT = np.radians(25)
STILL_LEANS = np.radians(45)  # a body that goes down with less has slumped, where it went nowhere
SLANT = 2.0  # times as far sideways as forward or backward, up to which it counts as that for who comes down so
FACES = 0.5  # of the way up or down: a trunk's front that faces more so is what it comes down on, or its back is
WENT = 0.25  # leg lengths that the hips come away from the feet in a fall with a direction

DIAGONAL = 0.5  # times as far one way as the other, from which on a body goes down both ways

Way = Literal["forward", "backward", "sideways", "nowhere"]


def ways_down(course: Course, hit: int, down: int, since: int = 0) -> tuple[Way, ...]:
    """Which way a body goes down that is down at a frame, and, of one that goes down diagonally, which other way: where
    its centre of mass is from its feet as it leans too far to stand, as it faced when it was upright last, or else its
    hips level.

    down: the frame in which the part is down that counts: whose front comes down, or whose back does, fell forward or
    backward, though somewhat sideways as well. since: the frame from which on it can have begun to fall.
    """
    if np.linalg.norm(_from_feet(course, hit)) < WENT * hip_to_sole(course.body) and course.tilt[hit] < STILL_LEANS:
        return ("nowhere",)
    lefts = rotations.rotate(course.orientations[: hit + 1, 0], np.array([1.0, 0.0, 0.0]))
    upright = np.flatnonzero(course.tilt[since : hit + 1] < UPRIGHT) + since
    level = np.flatnonzero(np.abs(lefts[:, 2]) < np.sin(STILL_LEANS))
    begins = int(upright[-1] if len(upright) else level[-1] if len(level) else hit)
    leans = np.flatnonzero(course.tilt[begins:hit] > STILL_LEANS)
    left, way = lefts[begins, :2], _from_feet(course, begins + int(leans[0]) if len(leans) else hit)
    ahead = np.array([left[1], -left[0]])  # faces -Y with +X to its left
    forward, sideways, up = float(way @ ahead), float(way @ left), faces_up(course, down)
    as_it_faces = abs(up) > FACES and forward * up < 0
    ways: tuple[Way, Way] = ("forward" if forward > 0 else "backward", "sideways")
    if abs(sideways) > (SLANT if as_it_faces else 1.0) * abs(forward):
        ways = (ways[1], ways[0])
    lesser, greater = sorted((abs(forward), abs(sideways)))
    return ways if lesser > DIAGONAL * greater else ways[:1]


def faces_up(course: Course, frame: int) -> float:
    """How far the trunk's front faces up, -1 to 1."""
    trunk = [i for i, name in enumerate(course.body.names) if name in TRUNK]
    ahead = rotations.rotate(course.orientations[frame, trunk], np.array([0.0, -1.0, 0.0]))
    return float(ahead[:, 2].mean())


def _from_feet(course: Course, frame: int) -> Array:
    """Where the centre of mass is from the middle of the feet (2,), m."""
    feet = [course.body.index(name) for name in FEET]
    way: Array = course.centre[frame, :2] - course.positions[frame, feet, :2].mean(axis=0)
    return way
