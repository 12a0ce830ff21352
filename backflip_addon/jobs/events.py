# SPDX-License-Identifier: GPL-3.0-or-later
"""events.jsonl, read bit by bit: each call goes on where the last one stopped, for no longer than it may. Standard
library alone.
"""

from __future__ import annotations

import json
import math
import os
import re
import time
from pathlib import Path

from ..core.files import open_regular
from .messages import Event, event_from_json

SLICE_BYTES = 32_768  # read between two looks at the clock; a line that is longer is no event of ours
PIECE_BYTES, LINES_AT_A_TIME = 4_096, 24  # of it that are parsed in between, a millisecond's work
TAIL_BYTES = 6_000  # of a long log that are read first: some events, of which the last are wanted
HEAD_BYTES = 128  # the beginning by which a log is told from another: it holds the time of the first event

# Progress, by far the most of events, that is followed by newer progress.
_PROGRESS = rb'\{"time": [0-9.e+]+, "kind": "progress"'
_OLD_PROGRESS = re.compile(rb"(?m)^(?:" + _PROGRESS + rb"[^\n]*\n)+(?=" + _PROGRESS + rb")")


class Budget:
    """How long one call may go on, s. It is looked at between small pieces of work, so each call gets somewhere."""

    def __init__(self, seconds: float = math.inf) -> None:
        self._end = time.perf_counter() + seconds

    def spent(self) -> bool:
        return time.perf_counter() >= self._end


class EventLog:
    """One events.jsonl and how far it has been read.

    beginnings: counts up whenever the log begins anew, because another job has taken the folder.
    more: whether whole lines are known to wait. size, offset: bytes of the file, and of them read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.beginnings = self.offset = self.size = 0
        self.more = self._skips = False
        self._head = b""
        self._mark = (-1, -1)
        self._begin()

    @property
    def fraction(self) -> float:
        """How much has been read, 0..1."""
        return min(self.offset / self.size, 1.0) if self.more and self.size else 1.0

    def read(self, budget: Budget) -> list[Event]:
        """The events that follow, as far as budget goes. Of progress events in a row the last stands for all.

        Half a line at the end waits for its other half; damaged and overlong lines are skipped.
        Raises OSError and RefusedFile.
        """
        try:
            facts = os.lstat(self.path)
        except FileNotFoundError:
            if self.offset:
                self._begin()
            return []
        mark = (facts.st_size, facts.st_mtime_ns)
        if mark == self._mark and not self.more:
            return []
        events: list[Event] = []
        with open_regular(self.path) as file:
            if facts.st_size < self.offset or file.read(len(self._head)) != self._head:
                self._begin()
            self._mark, self.size, self.more = mark, facts.st_size, True
            while self.more:
                file.seek(self.offset)
                data = file.read(SLICE_BYTES)
                left = self._take(data, events, budget)
                self.more = left or len(data) == SLICE_BYTES
                if left or budget.spent():
                    break
        return events

    def tail(self) -> list[Event]:
        """The last events, read at once and apart from all others, of a log too long for that; else none."""
        with open_regular(self.path) as file:
            size = file.seek(0, os.SEEK_END)
            if size < 4 * SLICE_BYTES:
                return []
            file.seek(size - TAIL_BYTES)
            data = file.read(TAIL_BYTES)
        return _parse(data[data.find(b"\n") + 1 : data.rfind(b"\n") + 1])

    def _begin(self) -> None:
        self.beginnings += 1
        self.offset = self.size = 0
        self.more = self._skips = False
        self._head = b""
        self._mark = (-1, -1)

    def _take(self, data: bytes, events: list[Event], budget: Budget) -> bool:
        """Add the events of the whole lines in data, which are left behind; whether budget left some for later."""
        if not self.offset:
            self._head = data[:HEAD_BYTES]
        if self._skips:  # behind the beginning of an overlong line
            behind = data.find(b"\n") + 1
            self._skips = not behind
            self.offset += behind or len(data)
            data = data[behind:] if behind else b""
        end = data.rfind(b"\n") + 1
        if not end and len(data) == SLICE_BYTES:
            self._skips = True
            self.offset += len(data)
            return False
        # Progress alone is read at a glance; of takes some lines are read between two looks at the clock
        kept = _OLD_PROGRESS.sub(b"", data[:end])
        if kept.count(b"\n") <= LINES_AT_A_TIME:
            events += _parse(kept)
            self.offset += end
            return False
        start = 0
        while start < end:
            stop = max(data.rfind(b"\n", start, start + PIECE_BYTES), data.find(b"\n", start)) + 1
            events += _parse(data[start:stop])
            self.offset += stop - start
            start = stop
            if budget.spent():
                break
        return start < end


def _parse(data: bytes) -> list[Event]:
    """The events of some lines, those alone of progress that are the last of a row."""
    events = []
    for line in _OLD_PROGRESS.sub(b"", data).split(b"\n"):
        try:
            event = json.loads(line) if line else None
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict):
            events.append(event_from_json(event))
    return events
