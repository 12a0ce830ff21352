# SPDX-License-Identifier: GPL-3.0-or-later
"""The takes of a job: numbered, measured, saved, told of and ranked."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import time
from collections.abc import Callable
from typing import Any

from ...core import metrics, outcome
from ...core import motion as motions
from ...core.body import Body
from ...core.metrics import Measures
from ...core.motion import Motion, Take
from ...jobs.folder import JobFolder
from ...jobs.json_values import json_ready
from ...jobs.messages import Event, Finished, Progress, StageSaved, TakeRecorded, take_from_meta
from ..planning.mpc import MOST_STEPS

NUMBERED = re.compile(r"([0-9]{1,9})_", re.ASCII)  # what our takes' names begin with
OURS = re.compile(r"[0-9]{4,9}_[a-z]{1,20}\.npz", re.ASCII)
LATEST = 20  # takes that are looked through for one whose event was lost, or that is made once more
# Share of its score that a landing loses for an unrest of 1 (metrics.unrest): of two the calmer is the better
SWAYS = 0.1
DIGEST = "digest"  # of a take's meta: what its poses are told by


class TakeRecorder:
    """Records a run's takes and knows what earlier runs have come to.

    tell: appends an event. best: the best take, None before the first. shots: the requests whose
    takes earlier runs have recorded, and when, s since 1970.
    """

    def __init__(self, folder: JobFolder, body: Body, reference: Motion, tell: Callable[[Event], None]) -> None:
        self.folder, self.body, self.reference = folder, body, reference
        self.best: TakeRecorded | None = None
        self.shots: dict[str, float] = {}
        self._tell = tell
        names = os.listdir(folder.takes)
        numbers = [int(match[1]) for name in names if (match := NUMBERED.match(name))]
        self._number = max(numbers, default=-1) + 1

    def remember(self, events: list[Event]) -> None:
        """Take the events of earlier runs into account; takes that are gone do not count, and what is said to have
        done what it should is looked at again before it counts as the best."""
        there, told = set(os.listdir(self.folder.takes)), dict[str, TakeRecorded]()
        for event in events:
            if isinstance(event, TakeRecorded) and event.file in there:
                told[event.file] = event
                self._remember(event)
        looked = set[str]()
        while (best := self.best) is not None and (best.landed or best.success) and best.file not in looked:
            looked.add(best.file)
            told[best.file] = self.best = self._seen_again(best)
            for event in told.values() if len(looked) < LATEST else ():
                self._compare(event)
        for file in sorted(name for name in there if OURS.fullmatch(name))[-LATEST:]:
            if file not in told:
                self._make_up_for(file)

    def digests(self) -> set[str]:
        """What the latest takes in the folder are told by."""
        found = set()
        for file in sorted(name for name in os.listdir(self.folder.takes) if OURS.fullmatch(name))[-LATEST:]:
            with contextlib.suppress(ValueError, OSError):
                found.add(str(motions.load_take_meta(self.folder.takes / file).get(DIGEST, "")))
        return found

    def _make_up_for(self, file: str) -> None:
        """Tell of a take whose trainer was killed between saving it and telling of it, as it is measured now."""
        try:
            take = motions.load_take(self.folder.takes / file)
            event = _told(file, {**take.meta, **self._judged(take)[1]})
        except (ValueError, OSError):
            return  # of no use to anybody, and in nobody's way
        self._tell(event)
        self._remember(dataclasses.replace(event, time=time.time()))

    def _seen_again(self, told: TakeRecorded) -> TakeRecorded:
        """What was told of a take, as it is measured now."""
        try:
            take = motions.load_take(self.folder.takes / told.file)
            event = _told(told.file, {**take.meta, **self._judged(take)[1]})
        except (ValueError, OSError):
            event = TakeRecorded(file=told.file)
        return dataclasses.replace(event, time=told.time, seconds=told.seconds)

    def _remember(self, event: TakeRecorded) -> None:
        self._compare(event)
        if event.request and event.time:
            self.shots[event.request] = event.time

    def _compare(self, take: TakeRecorded) -> None:
        if self.best is None or take.rank >= self.best.rank:
            self.best = take

    def reserve(self) -> int:
        """The number of a take that is yet to be played."""
        self._number += 1
        return self._number - 1

    def record(self, take: Take, about: TakeRecorded, number: int | None = None) -> Measures:
        """Measure and save a take, and tell of it. Returns the measures. Raises ValueError on one without a frame.

        about: what the take and its event are to say besides its measures and its file; its seed, unless the take
        knows its own. The take's own file says no seconds. number: one that was reserved for it.
        """
        measures, judged = self._judged(take)
        about = dataclasses.replace(about, seed=take.meta.get("seed", about.seed))
        facts = {name: getattr(about, name) for name in ("name", "source", "seed", "stage", "control_steps", "phase")}
        if about.request:
            facts["request"] = about.request
        meta = json_ready({**take.meta, **facts, **judged, "seconds_since_start": about.seconds})
        file = self._free_name(about.source, number)
        motions.save_take(self.folder.takes / file, dataclasses.replace(take, meta=meta))
        event = dataclasses.replace(_told(file, meta), time=about.time, seconds=about.seconds)
        self._compare(event)
        self._tell(event)
        return measures

    def _judged(self, take: Take) -> tuple[Measures, dict[str, Any]]:
        """A take's measures, and all that is told by them."""
        measures = metrics.evaluate_take(self.body, self.reference, take)
        happened = outcome.what_happened(self.body, self.reference, take, measures).facts()
        # What was begun in the clip's midst is not ranked among those that did it all
        score = 0.0 if metrics.begins_at(self.reference, take) else metrics.score(measures)
        if measures.landed:
            score *= 1.0 - SWAYS * min(metrics.unrest(self.body, take), 2.0)
        return measures, {**happened, "score": score, "measures": measures.to_json()}

    def _free_name(self, source: str, number: int | None) -> str:
        """The name of the next take, or of that of a number. It never is one that exists already, as whatever."""
        while True:
            file = f"{self.reserve() if number is None else number:04d}_{source}.npz"
            number = None
            if not os.path.lexists(self.folder.takes / file):
                return file


def _told(file: str, meta: dict[str, Any]) -> TakeRecorded:
    """What a take's file says of it, with as many digits as an event has."""
    told = take_from_meta(file, meta)
    rounded: dict[str, Any] = {name: round(x, 4) for name, x in vars(told).items() if isinstance(x, float)}
    return dataclasses.replace(told, **rounded)


def steps_of(event: Event) -> int:
    """The control steps that an event tells of; 0 where that makes no sense."""
    if not isinstance(event, (Progress, StageSaved, TakeRecorded, Finished)):
        return 0
    return event.control_steps if event.control_steps <= MOST_STEPS else 0
