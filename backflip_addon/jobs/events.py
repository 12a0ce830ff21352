# SPDX-License-Identifier: GPL-3.0-or-later
"""events.jsonl, read bit by bit: each call goes on where the last one stopped, for no longer than it may. Standard
library alone.
"""

from __future__ import annotations

import json
import math
import os
import time
from pathlib import Path
from typing import Any

from ..core.files import open_regular

SLICE_BYTES = 65_536  # read at a time; a line that is longer is no event of ours
LINES_AT_A_TIME = 256  # parsed between two looks at the clock
HEAD_BYTES = 128  # the beginning by which a log is told from another: it holds the time of the first event

Event = dict[str, Any]


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
        self.beginnings = 0
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
                self._take(file.read(SLICE_BYTES), events, budget)
                if budget.spent():
                    break
        return events

    def tail(self) -> list[Event]:
        """The last events, read at once and apart from all others, of a log too long for that; else none."""
        with open_regular(self.path) as file:
            size = file.seek(0, os.SEEK_END)
            if size < 4 * SLICE_BYTES:
                return []
            file.seek(size - SLICE_BYTES)
            data = file.read(SLICE_BYTES)
        return _parse(data[data.find(b"\n") + 1 : data.rfind(b"\n") + 1].split(b"\n")[-LINES_AT_A_TIME:])

    def _begin(self) -> None:
        self.beginnings += 1
        self.offset = self.size = 0
        self.more = self._skips = False
        self._head = b""
        self._mark = (-1, -1)

    def _take(self, data: bytes, events: list[Event], budget: Budget) -> None:
        """Append the events of the whole lines in data, and move on behind them."""
        if not self.offset:
            self._head = data[:HEAD_BYTES] if b"\n" in data else b""
        if self._skips:  # behind the beginning of an overlong line
            end = data.find(b"\n") + 1
            self._skips = not end
            self.offset += end or len(data)
            self.more = bool(data)
            return
        end = data.rfind(b"\n") + 1
        if not end:
            self._skips = self.more = len(data) == SLICE_BYTES
            self.offset += len(data) if self._skips else 0
            return
        lines = data[: end - 1].split(b"\n")
        for first in range(0, len(lines), LINES_AT_A_TIME):
            part = lines[first : first + LINES_AT_A_TIME]
            events += _parse(part)
            self.offset += sum(map(len, part)) + len(part)
            if budget.spent() and first + LINES_AT_A_TIME < len(lines):
                return


def _parse(lines: list[bytes]) -> list[Event]:
    """The events of some lines. Progress, by far the most of them, is parsed only where it is the last of a row."""
    events, progress = [], b""
    for line in lines:
        if line.find(b'"kind": "progress"', 0, 64) > 0:
            progress = line
        elif line:
            events += _parse_line(progress) + _parse_line(line)
            progress = b""
    return events + _parse_line(progress)


def _parse_line(line: bytes) -> list[Event]:
    try:
        event = json.loads(line) if line else None
    except (ValueError, RecursionError):
        return []
    return [event] if isinstance(event, dict) else []
