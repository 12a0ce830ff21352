# SPDX-License-Identifier: GPL-3.0-or-later
"""What is worked out in a thread while Blender's window goes on; without a window whoever asks waits for it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import bpy

from .. import compat
from ..core.worked_out import WorkedOut

Result = TypeVar("Result")

TICK_SECONDS = 0.05
WORDS = "Being worked out…"  # what a panel says meanwhile

listeners: list[Callable[[], None]] = []  # told, in Blender's own thread, when something has been worked out
_asked: dict[WorkedOut[Any], bool] = {}  # works whose results are waited for; whether a panel has been told to say so


def waits() -> bool:
    """Whether whoever asks waits: timers do not fire without a window."""
    return bpy.app.background


def ask(work: WorkedOut[Result], *asked: Hashable) -> Result | None:
    """The result, None while it is worked out: the listeners are told when it is there.

    Cheap enough for drawing. Raises what the work raises.
    """
    if waits():
        return work.at_once(*asked)
    found = work.when_done(*asked)
    if found is None:
        _watch(work)
    return found


def _watch(work: WorkedOut[Any]) -> None:
    _asked.setdefault(work, False)
    if not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, first_interval=TICK_SECONDS, persistent=True)


def _tick() -> float | None:
    """Timer: have a panel say what is at work, and tell the listeners of what is done."""
    done = [work for work in _asked if not work.busy]
    if any(not said for said in _asked.values()):
        compat.redraw(sidebar_alone=True)
    for work in _asked:
        _asked[work] = True
    for work in done:
        del _asked[work]
    if done:
        for listener in listeners:
            listener()
        compat.redraw()
    return TICK_SECONDS if _asked else None


def unregister() -> None:
    _asked.clear()
    listeners.clear()
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
