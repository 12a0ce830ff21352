# SPDX-License-Identifier: GPL-3.0-or-later
"""How hard a body hits the floor, and with which part."""

from __future__ import annotations

from .course import Course, phases, without_chatter

HIT_FRAMES = 2  # before a touch, over which a part's speed is taken
LEAST_IMPACT = 0.3  # m/s: slower parts are put down


def hardest_impact(course: Course) -> tuple[float, str]:
    """The greatest speed at which a part comes down onto the floor, m/s, and the link's name; 0 and "" without one."""
    hardest, part = 0.0, ""
    for link, name in enumerate(course.body.names):
        for start, _ in phases(without_chatter(course.touching[:, link], course.rate)):
            if start < HIT_FRAMES + 1:
                continue
            fallen = course.lows[start - 1 - HIT_FRAMES, link] - course.lows[start - 1, link]
            speed = float(fallen * course.rate / HIT_FRAMES)
            if speed > max(hardest, LEAST_IMPACT):
                hardest, part = speed, name
    return hardest, part
