# SPDX-License-Identifier: GPL-3.0-or-later
"""Results that take too long for a window to wait for: worked out in a thread, and kept."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import threading
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

Result = TypeVar("Result")
Asked = tuple[Hashable, ...]

# s after which a thread that computes lets another one have Python, for which a redraw asks some hundred times
_SWITCH_INTERVAL = 1e-4
_at_work = threading.Lock()  # one thread at a time: they would take Python from one another, too


class _Switching:
    """How many threads want it, and what was usual before the first of them."""

    lock = threading.Lock()
    wanted = 0
    usual = 0.0


@contextlib.contextmanager
def switching_often() -> Iterator[None]:
    """Have this thread, while it computes, leave Python to others as soon as they ask for it."""
    with _Switching.lock:
        if not _Switching.wanted:
            _Switching.usual = sys.getswitchinterval()
            sys.setswitchinterval(min(_Switching.usual, _SWITCH_INTERVAL))
        _Switching.wanted += 1
    try:
        yield
    finally:
        with _Switching.lock:
            _Switching.wanted -= 1
            if not _Switching.wanted:
                sys.setswitchinterval(_Switching.usual)


@dataclasses.dataclass
class _Outcome(Generic[Result]):
    """What came of a call: its result alone, or what it raised."""

    results: list[Result] = dataclasses.field(default_factory=list)
    error: Exception | None = None


class WorkedOut(Generic[Result]):
    """The latest results of a function of plain values, by these values.

    The function runs in a thread of its own, so it must know nothing of Blender. What it raises is kept as well, and
    raised to whoever asks.
    """

    def __init__(self, work: Callable[..., Result], most: int = 4) -> None:
        """most: results that are kept; of so many one may ask in turn."""
        self._work, self._most = work, most
        self._lock = threading.Lock()
        self._known: dict[Asked, _Outcome[Result]] = {}
        self._wanted: Asked | None = None  # the one asked for last; who asks for another has no use for it any more
        self._thread: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        """Whether the thread is at work."""
        with self._lock:
            return self._thread is not None

    def at_once(self, *asked: Hashable) -> Result:
        """The result, for which the caller waits where it is not known yet."""
        with self._lock:
            known = self._known.get(asked)
        return self._told(self._worked_out(asked) if known is None else known)

    def when_done(self, *asked: Hashable) -> Result | None:
        """The result, None while it is worked out: ask again."""
        with self._lock:
            known = self._known.get(asked)
            if known is None:
                self._wanted = asked
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="backflip-work", daemon=True)
                    self._thread.start()
                return None
        return self._told(known)

    def forget(self) -> None:
        """Keep nothing, and want nothing any more."""
        with self._lock:
            self._known, self._wanted = {}, None

    def _run(self) -> None:
        with _at_work, switching_often():
            while (asked := self._next()) is not None:
                self._worked_out(asked)

    def _next(self) -> Asked | None:
        """What to work out now; None ends the thread."""
        with self._lock:
            asked, self._wanted = self._wanted, None
            if asked is None:
                self._thread = None
            return asked

    def _worked_out(self, asked: Asked) -> _Outcome[Result]:
        outcome: _Outcome[Result] = _Outcome()
        try:
            outcome.results.append(self._work(*asked))
        except Exception as error:  # raised in the thread that asks
            outcome.error = error
        with self._lock:
            self._known[asked] = outcome
            while len(self._known) > self._most:
                del self._known[next(iter(self._known))]
        return outcome

    def _told(self, outcome: _Outcome[Result]) -> Result:
        if outcome.error is not None:
            raise outcome.error.with_traceback(None)  # or it would grow with every time that it is raised
        return outcome.results[0]
