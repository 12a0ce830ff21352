# SPDX-License-Identifier: GPL-3.0-or-later
"""Which takes a job has: its folder is listed when that has changed, and bit by bit. Standard library alone."""

from __future__ import annotations

import bisect
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..core.files import is_own_folder
from .events import Budget

FILES_AT_A_TIME = 128  # listed between two looks at the clock
SETTLED_SECONDS = 3.0  # a folder changed less than this ago may change again within one tick of its disk's clock
FEW = 64  # takes that are put in their place one by one

Facts = dict[str, Any]


class TakeList:
    """The takes of one folder, in the order of their names.

    names: of the files that are there and of which something is known. facts: file name -> what is known of it.
    version: counts up whenever names or what is known of them has changed. landed: how many of them landed.
    """

    def __init__(self, folder: Path, facts_of: Callable[[Path], Facts]) -> None:
        self.folder = folder
        self.names: list[str] = []
        self.facts: dict[str, Facts] = {}
        self.version = self.landed = 0
        self.listings = 0  # how often the folder has been listed
        self._facts_of = facts_of  # of a take that no event told of
        self._own: dict[str, Facts] = {}  # what those said of themselves
        self._present: set[str] = set()
        self._before = self._present
        self._mark: int | None = None  # when the folder was last changed, as far as it has been listed
        self._walk: Iterator[None] | None = None
        self._untold: set[str] = set()  # present, and nothing is known of them yet
        self._told: object = None

    def look(self, told: dict[str, Facts], mark: object, budget: Budget) -> bool:
        """Take in what is new. told: what events have said, by file name; it is looked at when mark has changed.

        Returns whether more is waiting. Raises OSError.
        """
        changed = self._list(budget)
        if self._walk is not None:
            return True
        if changed or mark != self._told:
            self._told = mark
            self._arrange(told)
        if self._untold:
            while self._untold:
                name = self._untold.pop()
                self._own[name] = self._facts_of(self.folder / name)
                if budget.spent():
                    break
            self._arrange(told)
        return bool(self._untold)

    def _list(self, budget: Budget) -> bool:
        """List the folder if it has changed, as far as budget goes. Whether other files are there than before."""
        if self._walk is None:
            mark = self._changed_at()
            if mark == self._mark:
                return False
            settled = abs(time.time() - mark / 1e9) > SETTLED_SECONDS
            self._mark = mark if settled else None
            self._before, self._walk = self._present, self._files()
            self.listings += 1
        try:
            for _ in self._walk:
                if budget.spent():
                    return False
        except BaseException:
            self._walk = self._mark = None
            raise
        self._walk = None
        return self._present != self._before

    def _changed_at(self) -> int:
        try:
            changed_at = os.lstat(self.folder).st_mtime_ns
            return changed_at if is_own_folder(self.folder) else 0
        except FileNotFoundError:
            return 0

    def _files(self) -> Iterator[None]:
        """Find the files that can be takes; comes up for air now and then."""
        found = set()
        if is_own_folder(self.folder):
            with os.scandir(self.folder) as entries:
                for number, entry in enumerate(entries, 1):
                    if entry.name.endswith(".npz") and _is_text(entry.name) and entry.is_file(follow_symlinks=False):
                        found.add(entry.name)
                    if not number % FILES_AT_A_TIME:
                        yield
        self._present = found

    def _arrange(self, told: dict[str, Facts]) -> None:
        """Bring names and facts up to what is present and told."""
        known = self._present & (told.keys() | self._own.keys())
        self._untold = self._present - known
        old = self.facts
        new, gone = known - old.keys(), old.keys() - known
        if len(new) + len(gone) > FEW:
            self.names = sorted(known)
        else:
            for name in gone:
                del self.names[bisect.bisect_left(self.names, name)]
            for name in new:
                bisect.insort(self.names, name)
        self.facts = {name: told.get(name) or self._own[name] for name in self.names}
        if self.facts != old:
            self.landed = sum(bool(facts.get("landed")) for facts in self.facts.values())
            self.version += 1


def _is_text(name: str) -> bool:
    """Whether a file's name is one that Blender can show; the trainer writes no others."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
