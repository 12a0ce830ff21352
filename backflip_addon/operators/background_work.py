# SPDX-License-Identifier: GPL-3.0-or-later
"""What is worked out in a thread while Blender's window goes on; without a window whoever asks waits for it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import bpy

from ..core.worked_out import WorkedOut

Result = TypeVar("Result")

TICK_SECONDS = 0.05
WORDS = "Calculating…"  # what a panel says meanwhile

_asked: dict[WorkedOut[Any], Callable[[], None]] = {}  # works whose results are waited for -> what to call then


def waits() -> bool:
    """Whether whoever asks waits: timers do not fire without a window."""
    return bpy.app.background


def ask(work: WorkedOut[Result], done: Callable[[], None], *asked: Hashable) -> Result | None:
    """The result, None while it is worked out. done: called in Blender's own thread when it is there.

    Cheap enough for drawing. Raises what the work raises.
    """
    if waits():
        return work.at_once(*asked)
    found = work.when_done(*asked)
    if found is None:
        call_later(work, done)
    return found


def call_later(work: WorkedOut[Any], done: Callable[[], None]) -> None:
    """Have done called in Blender's own thread as soon as the work rests."""
    _asked[work] = done
    if not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, first_interval=TICK_SECONDS, persistent=True)


def _tick() -> float | None:
    """Timer: call those whose results are there."""
    for work in [work for work in _asked if not work.busy]:
        _asked.pop(work)()
    return TICK_SECONDS if _asked else None


def unregister() -> None:
    _asked.clear()
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
