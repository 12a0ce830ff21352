# SPDX-License-Identifier: GPL-3.0-or-later
"""What a viewport shows of a motion's physics: the path of its centre of mass, where free fall would take that, and
which parts touch the floor."""

from __future__ import annotations

import dataclasses

import numpy as np

from ..arrays import Array, BoolArray
from ..body import Body
from ..motion import Motion
from .course import Course
from .flight import SHORTEST
from .footwork import airborne

MOST_FRAMES = 1500  # of a path that is drawn; a longer clip has fewer frames a second
_FALL_RATE = 60.0  # points of a parabola a second
_PARTS = {"Left Foot": ("foot.L",), "Right Foot": ("foot.R",), "Hands": ("hand.L", "hand.R")}
_REST = "Rest of the Body"
_ALWAYS = ("Left Foot", "Right Foot")  # the others are listed where they touch at all


@dataclasses.dataclass(frozen=True)
class Overview:
    """rate: Hz. centre (F, 3): of mass, m. falls: the parabola of each flight, (N, 3), m, from where the body leaves
    the floor to where it comes down, in the time that the motion takes for it. parts: names (P,), the first at the top.
    touching (F, P): whether each touches the floor.
    """

    rate: float
    centre: Array
    falls: tuple[Array, ...]
    parts: tuple[str, ...]
    touching: BoolArray

    @property
    def seconds(self) -> float:
        """From the first frame to the last."""
        return (len(self.centre) - 1) / self.rate


def overview(body: Body, motion: Motion) -> Overview:
    """The overview of a motion on a body, at the motion's rate or a lower one where it has very many frames."""
    if motion.frames > MOST_FRAMES:
        motion = motion.resampled((MOST_FRAMES - 1) / motion.duration)
    course = Course.of_clip(body, motion)
    centre = course.centre
    flights = [phase for phase in airborne(course) if phase[1] - phase[0] >= SHORTEST * course.rate]
    falls = tuple(_fall(course, centre, max(start - 1, 0), min(end, course.frames - 1)) for start, end in flights)
    return Overview(course.rate, centre, falls, *_contacts(course))


def _fall(course: Course, centre: Array, first: int, last: int) -> Array:
    """The parabola (N, 3) on which a body falls freely from its centre's place at one frame to that at another."""
    whole = (last - first) / course.rate
    times = np.linspace(0.0, whole, max(round(whole * _FALL_RATE), 2) + 1)[:, None]
    velocity = (centre[last] - centre[first]) / whole - course.gravity * whole / 2
    fall: Array = centre[first] + velocity * times + course.gravity * times**2 / 2
    return fall


def _contacts(course: Course) -> tuple[tuple[str, ...], BoolArray]:
    index = {name: i for i, name in enumerate(course.body.names)}
    known = {part: [index[link] for link in links if link in index] for part, links in _PARTS.items()}
    named = {i for links in known.values() for i in links}
    known[_REST] = [i for i in index.values() if i not in named]
    touching = {part: course.touching[:, links].any(axis=1) for part, links in known.items()}
    shown = tuple(part for part, touches in touching.items() if part in _ALWAYS or touches.any())
    return shown, np.stack([touching[part] for part in shown], axis=1)
