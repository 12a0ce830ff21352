# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether what a take shows is what gravity, the floor and the body's own strength make of it, and nothing else."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..arrays import BoolArray
from ..constants import FRICTION
from ..motion import Take
from .course import NEAR, Course, number_of_scene

WINDOW, FEWEST = 0.25, 12  # s, and frames at least, over which the centre of mass is followed
# Takes leave the laws by 12 mm and 0.22 m/s at most; pushes of trials, which no take tells of, come to 0.3 m/s.
# Besides, what a rate leaves open: how far a body falls in LOST_FRAMES, and is thrown in one
OFF_COURSE = 0.03  # m up or down
OFF_SPEED = 0.6  # m/s along the floor
LOST_FRAMES = 2
RISES = 5.0  # m/s, of a part that the floor has borne since the frame before
STRONGEST = 1.01  # of a joint's greatest torque, as strong as the body is to be


def helped_at(course: Course, take: Take) -> float | None:
    """Seconds at which something else moves a body; None where nothing does.

    That is: a helper force; a joint stronger than it can be; a floor that pulls, or bears what is above it; a centre
    of mass that rises and sinks otherwise than by gravity and the floor's forces, or changes its speed along the floor
    by more than friction does. A push that the take tells of leaves a moment open. 0 where the floor's forces were not
    recorded: nothing shows that there were any.
    """
    if course.load is None:
        return 0.0
    low = np.minimum(course.lows, np.concatenate([course.lows[:1], course.lows[:-1]]))
    borne = (course.load < 0) | (course.load > 0) & (low > NEAR + RISES / course.rate)
    wrong = (
        (take.assist != 0)
        | (take.torque > STRONGEST * number_of_scene(take, "strength", 1.0))
        | borne.any(axis=1)
        | _off_course(course, take)
    )
    return float(np.argmax(wrong) / course.rate) if wrong.any() else None


def _off_course(course: Course, take: Take) -> BoolArray:
    """Of which frames (F,) the following WINDOW breaks the laws of motion."""
    count = max(round(WINDOW * course.rate), FEWEST)
    wrong = np.zeros(course.frames, dtype=bool)
    if course.load is None or course.frames <= count:
        return wrong
    fall, step = float(np.linalg.norm(course.gravity)), 1.0 / course.rate
    lift = course.load.sum(axis=1) * fall / course.weight  # m/s^2
    slack = fall * LOST_FRAMES * step
    speed = np.cumsum((lift + course.gravity[2]) * step)
    way = np.concatenate([[0.0], np.cumsum((speed[1:] + speed[:-1]) / 2 * step)])
    apart = sliding_window_view(course.centre[:, 2] - way, count + 1)
    times = np.stack([np.ones(count + 1), np.arange(count + 1) * step], axis=1)
    off = np.abs(apart - apart @ np.linalg.pinv(times).T @ times.T).max(axis=1)
    along = np.diff(course.centre[:, :2], axis=0) * course.rate
    span = count - 1  # of speeds, which lie between frames
    gained = np.linalg.norm(along[span:] - along[:-span] - course.gravity[:2] * span * step, axis=1)
    gripped = sliding_window_view(lift, count + 1).sum(axis=1) * step * number_of_scene(take, "friction", FRICTION)
    lost = (slack * LOST_FRAMES + sliding_window_view(lift, count + 1).max(axis=1) * step) * step
    broken = (off > OFF_COURSE + lost) | (gained > OFF_SPEED + slack + gripped)
    wrong[: len(broken)] = broken & ~_pushed(course, take, count)[: len(broken)]
    return wrong


def _pushed(course: Course, take: Take, count: int) -> BoolArray:
    """In which windows of count frames, by their first ones (F,), the take says that it is pushed."""
    pushed = np.zeros(course.frames, dtype=bool)
    if (at := push_frame(course, take)) is not None:
        pushed[max(at - count, 0) : at + 1] = True
    return pushed


def push_frame(course: Course, take: Take) -> int | None:
    """The frame by which the take says that it was pushed; None of most."""
    direction = take.meta.get("direction")
    if not isinstance(direction, dict) or not direction.get("push_impulse"):
        return None
    at = direction.get("push_at", 0.0)
    sound = isinstance(at, (int, float)) and not isinstance(at, bool) and 0.0 <= at * course.rate < course.frames
    return int(at * course.rate) + 1 if sound else None
