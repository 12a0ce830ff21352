# SPDX-License-Identifier: GPL-3.0-or-later
"""The takes that wait to be shot, read bit by bit for whoever shows them. Standard library alone."""

from __future__ import annotations

import os
from pathlib import Path

from ..core.constants import FRICTION
from ..core.files import is_own_folder
from .events import Budget
from .folder import JobFolder
from .json_files import MOST_SHORT_BYTES, JobError, load_object
from .messages import Request, ShotRequest

MOST_SHOTS = 10_000  # that are read of a folder


class ShotQueue:
    """The shots that a job was asked for and that have not been taken, in order; None for one that makes no sense."""

    def __init__(self, folder: JobFolder) -> None:
        self.folder = folder
        self.shots: list[ShotRequest | None] = []
        self._names: list[str] = []
        self._read: dict[str, ShotRequest | None] = {}  # by file; a request never changes once it is there
        self._others: set[str] = set()  # files that ask for something else, or that are no requests
        self._mark: int | None = None

    def look(self, budget: Budget) -> bool:
        """Take in what is new, as far as budget goes; whether more is waiting. Raises OSError."""
        mark = self._changed_at()
        if mark != self._mark:
            self._mark, self._names = mark, self._list()
            self._read = {name: self._read[name] for name in self._names if name in self._read}
            self._others.intersection_update(self._names)
        unread = [name for name in self._names if name not in self._read and name not in self._others]
        for name in unread:
            self._load(name)
            if budget.spent():
                break
        self.shots = [self._read[name] for name in self._names if name in self._read]
        return len(self._read) + len(self._others) < len(self._names)

    def _changed_at(self) -> int:
        try:
            return os.stat(self.folder.requests).st_mtime_ns
        except FileNotFoundError:
            return 0

    def _list(self) -> list[str]:
        room: Path = self.folder.requests
        if not is_own_folder(room):
            return []
        with os.scandir(room) as entries:
            return sorted(entry.name for entry in entries if entry.name.endswith(".json"))[:MOST_SHOTS]

    def _load(self, name: str) -> None:
        try:
            data = load_object(self.folder.requests / name, MOST_SHORT_BYTES)
            request = Request.from_json(data, name.removesuffix(".json"))
        except (OSError, ValueError):
            self._others.add(name)
            return
        if request.kind != "shoot":
            self._others.add(name)
            return
        try:
            self._read[name] = ShotRequest.of(request, FRICTION)
        except JobError:
            self._read[name] = None
