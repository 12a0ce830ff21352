# SPDX-License-Identifier: GPL-3.0-or-later
"""Which parts of a body come down on the floor in a fall, and of several which one an eye would name."""

from __future__ import annotations

import numpy as np

from .. import rotations
from ..arrays import BoolArray
from .course import Course
from .toppling import FACES, STILL_LEANS, faces_up

# What a link is called when the body comes down on it, by its name without its side. Of the trunk see trunk_part()
PARTS = {
    "head": "head",
    "shin": "knees",
    "hand": "hands",
    "forearm": "hands",
    "upper_arm": "shoulder",
    "foot": "feet",
}
# By part those of another sort: what can be named beside it, among parts that catch a fall and those that do not
_BACK, _FRONT = ("back", "shoulder", "seat", "side"), ("chest",)
_NOT_THE_SAME = {
    "head": (*_BACK, *_FRONT),
    "chest": ("head", "back", "seat"),
    "knees": ("hands",),
    "hands": ("knees",),
    "shoulder": ("head",),
    "side": ("head",),
    "back": ("head", *_FRONT),
    "seat": ("head", *_FRONT),
}
# Links whose coming down is a fall, before those that catch it, and those that reach for the floor
_WEIGHTY = (("head", "chest", "pelvis"), ("upper_arm", "thigh", "shin"))
_LEGS = ("thigh", "shin", "foot")

# Of the line from hips to head, from upright: a body that comes down like that, its legs in the air, was thrown over,
# where one that topples lies down at 90 degrees
UPSIDE_DOWN = np.radians(110)
STEEP = np.radians(140)  # and of a head that comes down so it is the head, though the back comes soon
WITH_IT = 0.1  # s after the head by which the back is down of who comes down on that, and not on the head
# s in which parts come down together: hands that reach for the floor, and knees, come before what a fall is told by
HIT_TOGETHER = 0.3
AT_ONCE = 0.06  # s within which parts come down at once: no eye tells which was first
AS_HARD = 0.5  # of what the one bears, that another that counts as well bears at least
# s by which the head is down of who falls on it, where it is not thrown over and bears little: one that has come down
# on hands and knees lays its head down after
HEAD_FIRST = 0.1


def what_comes_down(course: Course, allowed: BoolArray, hit: int) -> tuple[str, int]:
    """What comes down at a frame and just after it, and when: head or trunk before legs, legs before arms, and of those
    the first, or the one that bears the most; of a body that is upside down the head. A head that is laid down at last
    is not what came down.

    allowed (L,): links that may touch the floor.
    """
    together = slice(hit, hit + round(HIT_TOGETHER * course.rate) + 1)
    touching = course.touching[together] & ~allowed
    kinds = [name.split(".")[0] for name in course.body.names]
    down = touching.any(axis=0)
    first = np.argmax(touching, axis=0)
    borne = touching.sum(axis=0) if course.load is None else (course.load[together] * touching).sum(axis=0)
    thrown = thrown_over(course)[together]
    head, chest = kinds.index("head"), kinds.index("chest")
    if first[head] > round(HEAD_FIRST * course.rate) and not thrown[first[head]]:
        down[head] &= borne[head] >= AS_HARD * borne.max()
    for group in _WEIGHTY:
        weighty = np.array([kind in group for kind in kinds]) & down
        if weighty.any():
            down = weighty
            break
    heads = [head] if down[head] else []
    if heads and down[chest] and first[chest] <= first[heads[0]] + round(WITH_IT * course.rate):
        frame = hit + int(first[chest])
        steep = upside_down(course, STEEP)[hit + int(first[heads[0]])]
        if faces_up(course, frame) > FACES and not steep:
            return trunk_part(course, chest, frame), frame
    heads = [i for i in heads if thrown[first[i]]]
    link = min(heads or np.flatnonzero(down).tolist(), key=lambda i: (first[i], -borne[i]))
    frame = hit + int(first[link])
    return _name(course, link, frame), frame


def what_too(course: Course, allowed: BoolArray, down: int, part: str) -> str:
    """What of another sort comes down at once with a part that does at a frame, and as hard: head, back, front; or
    knees and hands. "" where nothing does."""
    near = round(AT_ONCE * course.rate)
    begin = max(down - near, 0)
    soon = slice(begin, down + round(HIT_TOGETHER * course.rate) + 1)
    touching = course.touching[soon] & ~allowed
    load = touching if course.load is None else course.load[soon] * touching
    borne: dict[str, float] = {}
    at_once: dict[str, bool] = {}
    for link in np.flatnonzero(touching.any(axis=0)).tolist():
        first = begin + int(np.argmax(touching[:, link]))
        name = _name(course, link, first)
        borne[name] = borne.get(name, 0.0) + float(load[:, link].sum())
        at_once[name] = at_once.get(name, False) or first <= down + near
    others = [name for name in _NOT_THE_SAME.get(part, ()) if at_once.get(name, False)]
    hardest = max(others, key=lambda name: borne[name], default="")
    return hardest if hardest and borne[hardest] >= AS_HARD * borne.get(part, 0.0) else ""


def trunk_part(course: Course, link: int, frame: int) -> str:
    """Which side of the trunk is down, or of a thigh: face up it is sat upon, standing on its knee it kneels."""
    ahead = rotations.rotate(course.orientations[frame, link], np.array([0.0, -1.0, 0.0]))
    if course.body.names[link].startswith("thigh"):
        return "seat" if ahead[2] > np.sin(STILL_LEANS) else "knees"
    if course.body.links[link].parent < 0 and abs(ahead[2]) < np.sin(STILL_LEANS):
        return "seat"
    side = rotations.rotate(course.orientations[frame, link], np.array([1.0, 0.0, 0.0]))
    if abs(side[2]) > abs(ahead[2]):
        return "side"
    return "back" if ahead[2] > 0 else "chest"


def thrown_over(course: Course) -> BoolArray:
    """The frames (F,) in which the body is upside down, with nothing of its legs on the floor."""
    legs = [i for i, name in enumerate(course.body.names) if name.startswith(_LEGS)]
    thrown: BoolArray = upside_down(course) & ~course.touching[:, legs].any(axis=1)
    return thrown


def upside_down(course: Course, from_on: float = UPSIDE_DOWN) -> BoolArray:
    """The frames (F,) in which the line from the hips to the head points down: so far from upright at least, rad."""
    line = rotations.normalise(course.positions[:, course.body.index("head")] - course.positions[:, 0])
    down: BoolArray = line[:, 2] < np.cos(from_on)
    return down


def _name(course: Course, link: int, frame: int) -> str:
    return PARTS.get(course.body.names[link].split(".")[0]) or trunk_part(course, link, frame)
