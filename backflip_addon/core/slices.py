# SPDX-License-Identifier: GPL-3.0-or-later
"""Long work in slices, so that a window goes on between them.

The work is a generator. Where it yields None it may be left for a moment; where it yields a function, that one knows
nothing of Blender, may be called in a thread, and what it returns or raises comes back. Who drives it decides:
at_once() calls all of it in one go, Sliced bit by bit.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from collections.abc import Callable, Generator
from typing import Any, Generic, ParamSpec, TypeVar

from .worked_out import switching_often

Result = TypeVar("Result")
Given = ParamSpec("Given")

Apart = Callable[[], Any]
Slices = Generator[Apart | None, Any, Result]


def apart(work: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs) -> Slices[Result]:
    """Have plain work done, in a thread where there is a window. Raises what the work raises."""
    result: Result = yield functools.partial(work, *args, **kwargs)
    return result


def at_once(slices: Slices[Result]) -> Result:
    """All slices in one go. Raises what they raise."""
    advance: Apart = functools.partial(next, slices)
    while True:
        try:
            work = advance()
        except StopIteration as end:
            result: Result = end.value
            return result
        advance = _answer(slices, work) if work is not None else functools.partial(next, slices)


def _answer(slices: Slices[Any], work: Apart) -> Apart:
    """Call what is to be done apart; returns what hands its outcome to the slices."""
    try:
        return functools.partial(slices.send, work())
    except Exception as error:  # for whoever asked for it
        return functools.partial(slices.throw, error)


class Sliced(Generic[Result]):
    """Slices that are driven bit by bit."""

    def __init__(self, slices: Slices[Result]) -> None:
        self._slices = slices
        self._advance: Apart = functools.partial(next, slices)
        self._thread: threading.Thread | None = None
        self._results: list[Result] = []

    @property
    def result(self) -> Result:
        """What came of it, once it is done."""
        return self._results[0]

    def go_on(self, seconds: float) -> bool:
        """Work for about so long, s, and no slice more; returns whether all is done. Raises what the slices raise."""
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0.0:
            if self._thread is not None:
                self._thread.join(left)
                if self._thread.is_alive():
                    return False
                self._thread = None
            try:
                work = self._advance()
            except StopIteration as stop:
                self._results.append(stop.value)
                return True
            self._advance = functools.partial(next, self._slices)
            if work is not None:
                self._thread = threading.Thread(target=self._work, args=(work,), name="backflip-slice", daemon=True)
                self._thread.start()
        return False

    def stop(self) -> None:
        """Leave the rest undone; the slices take back what they have begun. A thread's work is waited for by nobody."""
        with contextlib.suppress(ReferenceError):  # what was begun may be gone with its file
            self._slices.close()

    def _work(self, work: Apart) -> None:
        with switching_often():
            self._advance = _answer(self._slices, work)
