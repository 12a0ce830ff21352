# SPDX-License-Identifier: GPL-3.0-or-later
"""Which takes a job has: its folder is listed when that has changed, and bit by bit. Standard library alone."""

from __future__ import annotations

import bisect
import os
import time
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path

from ..core.files import is_own_folder
from .events import Budget
from .folder import by_number
from .messages import TakeRecorded

FILES_AT_A_TIME = 128  # listed between two looks at the clock
FEW = 64  # takes that are new at once while a character learns
PIECES = 8  # of work that are done before the first look at the clock: a short list is never left half done
# A folder changed less than this ago may change again within one tick of its disk's clock: of most, and of those
# that count whole seconds.
SETTLED_SECONDS, SLOWLY_SETTLED_SECONDS = 0.1, 3.0
GREATEST_SCORE = 1e30  # Blender keeps single precision


class TakeList:
    """The takes of one folder, in the order of their names.

    names: of the files that are there and of which something is known; scores, landings: of each of them.
    facts: file name -> what is known of it. landed, clean: how many landed, and of them cleanly. version: counts up
    when any of it has changed. listings: how often the folder has been listed.
    """

    def __init__(self, folder: Path, facts_of: Callable[[Path], TakeRecorded]) -> None:
        self.folder = folder
        self.names: list[str] = []
        self.scores: array[float] = array("f")
        self.landings: list[bool] = []
        self.facts: dict[str, TakeRecorded] = {}
        self.version = self.landed = self.clean = self.listings = 0
        self._facts_of = facts_of  # of a take that no event told of
        self._own: dict[str, TakeRecorded] = {}  # what those said of themselves
        self._present: set[str] = set()
        self._untold: set[str] = set()  # present, and nothing is known of them yet
        self._mark: int | None = None  # when the folder was last changed, as far as it has been listed
        self._told: object = None
        self._work: Iterator[None] | None = None

    def look(self, told: dict[str, TakeRecorded], mark: object, budget: Budget) -> bool:
        """Take in what is new. told: what events have said, by file name; it is looked at when mark has changed.

        Returns whether more is waiting. Raises OSError.
        """
        if self._work is None:
            changed_at = self._changed_at()
            if changed_at == self._mark and mark == self._told and not self._untold:
                return False
            self._work = self._renew(told, mark, changed_at)
        try:
            for piece, _ in enumerate(self._work, 1):
                if piece >= PIECES and budget.spent():
                    return True
        except BaseException:
            self._work = self._mark = None
            raise
        self._work = None
        return bool(self._untold)

    def _changed_at(self) -> int:
        try:
            changed_at = os.lstat(self.folder).st_mtime_ns
            return changed_at if is_own_folder(self.folder) else 0
        except FileNotFoundError:
            return 0

    def _renew(self, told: dict[str, TakeRecorded], mark: object, changed_at: int) -> Iterator[None]:
        """Do what look() says; comes up for air after each small piece of work."""
        present = self._present
        if changed_at != self._mark:
            wait = SETTLED_SECONDS if changed_at % 1_000_000_000 else SLOWLY_SETTLED_SECONDS
            self._mark = changed_at if abs(time.time() - changed_at / 1e9) > wait else None
            present = set()
            yield from self._list(present)
        if self._untold:
            name = self._untold.pop()
            self._own[name] = self._facts_of(self.folder / name)
            yield
        if (present, mark) != (self._present, self._told) or self._own.keys() - self.facts.keys():
            yield from self._arrange(told, present)
        self._present, self._told = present, mark

    def _list(self, found: set[str]) -> Iterator[None]:
        """Find the files that can be takes."""
        self.listings += 1
        if is_own_folder(self.folder):
            with os.scandir(self.folder) as entries:
                for number, entry in enumerate(entries, 1):
                    if entry.name.endswith(".npz") and _is_text(entry.name) and entry.is_file(follow_symlinks=False):
                        found.add(entry.name)
                    if not number % FILES_AT_A_TIME:
                        yield

    def _arrange(self, told: dict[str, TakeRecorded], present: set[str]) -> Iterator[None]:
        """Bring names and what is known of them up to what is present and told; all at once, in the end."""
        known = {name for name in present if name in told or name in self._own}
        yield
        untold = present - known
        yield
        names: list[str] = []
        for found in self._in_order(known):
            names = found
            yield
        facts: dict[str, TakeRecorded] = {}
        scores: array[float] = array("f")
        landings: list[bool] = []
        for number, name in enumerate(names, 1):
            facts[name] = told.get(name) or self._own.get(name) or TakeRecorded(file=name)
            scores.append(_score(facts[name]))
            landings.append(facts[name].landed)
            if not number % FILES_AT_A_TIME:
                yield
        landed = sum(landings)
        clean = sum(take.landed_cleanly is True for take in facts.values()) if landed else 0
        yield
        if (names, scores, landings) != (self.names, self.scores, self.landings):
            self.version += 1
        self.names, self.facts, self.scores, self.landings, self._untold = names, facts, scores, landings, untold
        self.landed, self.clean = landed, clean

    def _in_order(self, known: set[str]) -> Iterator[list[str]]:
        """The names of known takes, sorted, in the end; where few are new, by putting those in their places."""
        added = known - self.facts.keys()
        yield []
        if len(added) <= FEW:
            names = [name for name in self.names if name in known]
            for name in added:
                bisect.insort(names, name, key=by_number)
            yield names
            return
        # As by_number() has them, as texts: thousands of those are sorted in a few thousandths of a second
        keyed: list[str] = []
        for number, name in enumerate(known, 1):
            keyed.append(chr(name.find("_") + 2) + name)
            if not number % FILES_AT_A_TIME:
                yield []
        keyed.sort()
        yield []
        yield [key[1:] for key in keyed]


def _score(take: TakeRecorded) -> float:
    """A take's score as Blender can keep it, 0 where it is none."""
    return take.score if abs(take.score) < GREATEST_SCORE else 0.0


def _is_text(name: str) -> bool:
    """Whether a file's name is one that Blender can show; the trainer writes no others."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
