# SPDX-License-Identifier: GPL-3.0-or-later
"""The takes of a job: numbered, measured, saved, told of and ranked."""

from __future__ import annotations

import dataclasses
import math
import os
import re
import time
from collections.abc import Callable
from typing import Any

from ...core import metrics
from ...core import motion as motions
from ...core.body import Body
from ...core.metrics import Measures
from ...core.motion import Motion, Take
from ...jobs.folder import JobFolder
from ..planning.mpc import MOST_STEPS
from .settings import is_number

NUMBERED = re.compile(r"([0-9]{1,9})_", re.ASCII)  # what our takes' names begin with
OURS = re.compile(r"[0-9]{4,9}_[a-z]{1,20}\.npz", re.ASCII)
LATEST = 20  # takes that are looked through for one whose event was lost

# landed, known to stand on, success, score: what makes one take better than another
Rank = tuple[bool, bool, bool, float]


class TakeRecorder:
    """Records a run's takes and knows what earlier runs have come to.

    tell: appends an event. best: the best take's rank and file, None before the first. shots: the requests whose
    takes earlier runs have recorded, and when, s since 1970.
    """

    def __init__(self, folder: JobFolder, body: Body, reference: Motion, tell: Callable[..., None]) -> None:
        self.folder, self.body, self.reference = folder, body, reference
        self.best: tuple[Rank, str] | None = None
        self.shots: dict[str, float] = {}
        self._tell = tell
        names = os.listdir(folder.takes)
        numbers = [int(match[1]) for name in names if (match := NUMBERED.match(name))]
        self._number = max(numbers, default=-1) + 1

    def remember(self, events: list[dict[str, Any]]) -> None:
        """Take the events of earlier runs into account. They may hold anything; takes that are gone do not count."""
        there, told = set(os.listdir(self.folder.takes)), set()
        for event in events:
            file = event.get("file")
            if event.get("kind") == "take" and isinstance(file, str) and file in there:
                told.add(file)
                self._remember(event)
        for file in sorted(name for name in there if OURS.fullmatch(name))[-LATEST:]:
            if file not in told:
                self._make_up_for(file)

    def _make_up_for(self, file: str) -> None:
        """Tell of a take whose trainer was killed between saving it and telling of it."""
        try:
            meta = motions.load_take(self.folder.takes / file).meta
        except (ValueError, OSError):
            return  # of no use to anybody, and in nobody's way
        measures = meta.get("measures")
        facts = {**meta, **(measures if isinstance(measures, dict) else {}), "file": file}
        known = ("file", "name", "landed", metrics.STANDS, "success", "score", "source", "stage", "seed", "request")
        event = {key: facts[key] for key in known if isinstance(facts.get(key), (str, bool, int, float))}
        self._tell("take", **event)
        self._remember({**event, "time": time.time()})

    def _remember(self, event: dict[str, Any]) -> None:
        self._compare(_rank(event, event.get("score")), event["file"])
        when = event.get("time")
        if isinstance(event.get("request"), str) and isinstance(when, (int, float)):
            self.shots[event["request"]] = float(when)

    def _compare(self, rank: Rank, file: str) -> None:
        if self.best is None or rank >= self.best[0]:
            self.best = (rank, file)

    def record(self, take: Take, name: str, source: str, **facts: Any) -> Measures:
        """Measure and save a take, and tell of it. Returns the measures. Raises ValueError on one without a frame.

        facts: more that the take and its event are to say: seed (unless the take knows its own), stage, request,
        control_steps; seconds, for the event alone.
        """
        measures = metrics.evaluate_take(self.body, self.reference, take)
        score = metrics.score(measures)
        seconds = facts.pop("seconds", None)
        facts = {"stage": "", **facts, "name": name, "source": source, "seed": take.meta.get("seed", facts.get("seed"))}
        meta = {**take.meta, **facts, "score": score, "measures": measures.to_json()}
        file = self._free_name(source)
        motions.save_take(self.folder.takes / file, dataclasses.replace(take, meta=finite(meta)))
        marks = {"landed": bool(measures.landed), metrics.STANDS: measures.stands_3_s, "success": measures.success}
        self._compare(_rank(marks, score), file)
        self._tell("take", file=file, **marks, score=round(score, 4), seconds=seconds, **facts)
        return measures

    def _free_name(self, source: str) -> str:
        """The next take's name. It never is one that exists already, as whatever."""
        while True:
            file = f"{self._number:04d}_{source}.npz"
            self._number += 1
            if not os.path.lexists(self.folder.takes / file):
                return file


def _rank(marks: dict[str, Any], score: Any) -> Rank:
    landed, stands, success = (marks.get(key) is True for key in ("landed", metrics.STANDS, "success"))
    return landed, stands, success, float(score) if is_number(score, 0, 1) else 0.0


def steps_of(event: dict[str, Any]) -> int:
    """The control steps that an event tells of; 0 where that makes no sense."""
    steps = event.get("control_steps")
    return steps if isinstance(steps, int) and 0 <= steps <= MOST_STEPS else 0


def finite(value: Any) -> Any:
    """value without the numbers in it that are not finite, which JSON does not know: None in their place."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return value
