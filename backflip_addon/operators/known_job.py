# SPDX-License-Identifier: GPL-3.0-or-later
"""One job as far as it has been read, bit by bit: its state, its takes, what the user says of them, its queue."""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path

from ..core.motion import load_take_meta
from ..jobs.events import Budget
from ..jobs.folder import JobFolder
from ..jobs.json_files import JobError
from ..jobs.messages import TakeRecorded, take_from_meta
from ..jobs.shot_queue import ShotQueue
from ..jobs.status import JobReader, JobStatus, plain
from ..jobs.take_notes import TakeNotes
from ..jobs.takes import TakeList

ASKED_SECONDS = 60.0  # a trainer that has not obeyed for so long is not expected to
JOB_BYTES = 4_000_000  # a larger job.json is not looked into for names


class KnownJob:
    """One job as far as it has been read. more: there is more to read at once. trouble: what is wrong with it."""

    def __init__(self, reader: JobReader) -> None:
        self.reader = reader
        self.folder = reader.folder
        self.status = JobStatus("idle")
        self.takes = TakeList(self.folder.takes, _facts_of)
        self.notes = TakeNotes(self.folder)
        self.more = False
        self.avatar, self.clip = "", ""  # their names, as far as job.json tells
        self.learned = False  # whether there is anything that could be performed again
        self.stages: list[str] = []  # that are saved, by their files' names
        self.queue = ShotQueue(self.folder)
        self.binned = False  # whether there is a take in the bin
        self._bin: object = None  # what the bin, and what is said of it, was when it was looked into
        self._saved: object = None  # what the folder of stages was when its files were listed
        self._stages: object = None  # what the folder of stages was when it was looked into
        self._about: object = None  # what job.json was when it was looked into
        self._asked, self._asked_at = "", 0.0
        self._beginnings = reader.log.beginnings

    def look(self, budget: Budget) -> None:
        """Take in what is new, as far as budget goes."""
        self.status = self.reader.read(budget)
        self.more = self.reader.log.more and not self.reader.away
        if self.reader.away:
            return  # what is known of its takes is as good as before
        self.notes.look()
        if self.reader.log.beginnings != self._beginnings:
            self._beginnings = self.reader.log.beginnings
            self.takes = TakeList(self.folder.takes, _facts_of)
        try:
            self._read_about()
            if not self.learned:
                self._look_for_stages()
            self._list_stages()
            if (bin_now := (_changed_at(self.folder.bin), self.notes.version)) != self._bin:
                self._bin, self.binned = bin_now, bool(self.notes.binned())
            if not self.more:
                story = self.reader.story
                self.more = self.takes.look(story.told, (self._beginnings, story.takes), budget)
            self.more = self.queue.look(budget) or self.more
        except OSError as error:
            words = f"The takes cannot be listed: {plain(error.strerror or error)}."
            self.status = dataclasses.replace(self.status, message=words)
        except JobError as error:
            self.status = dataclasses.replace(self.status, message=plain(error))
        self._obeyed()

    def ask(self, state: str) -> None:
        """Note that the trainer was asked to be "paused", "running" or "stopped"."""
        self._asked, self._asked_at = state, time.monotonic()

    @property
    def expected(self) -> str:
        """The job's state, or that which it was asked for and has not come to yet."""
        return self._asked or self.status.state

    def _obeyed(self) -> None:
        late = time.monotonic() - self._asked_at > ASKED_SECONDS
        if late or not self.status.active or self.status.state == self._asked:
            self._asked = ""

    def _look_for_stages(self) -> None:
        try:
            changed = os.stat(self.folder.stages).st_mtime_ns
        except FileNotFoundError:
            changed = 0
        # A folder's time may be coarse: the event that tells of a stage is another sign.
        if (changed, self.status.event) != self._stages:
            self._stages, self.learned = (changed, self.status.event), has_learned(self.folder)

    def _list_stages(self) -> None:
        """List the stages where their folder has changed."""
        if (saved := _changed_at(self.folder.stages)) != self._saved:
            self._saved = saved
            self.stages = [file.name for file in self.folder.list_stages()]

    def _read_about(self) -> None:
        facts = os.stat(self.folder.job_file)
        about = (facts.st_mtime_ns, facts.st_size)
        if about != self._about:
            self._about, self.avatar, self.clip = about, "", ""
            if facts.st_size <= JOB_BYTES:
                self.avatar, self.clip = names_of(self.folder)


def has_learned(folder: JobFolder) -> bool:
    """Whether a job has a stage or a plan, by a look at its folder."""
    return bool((folder.stages / "plan.npz").is_file() or folder.list_stages())


def _changed_at(room: Path) -> object:
    try:
        return os.stat(room).st_mtime_ns
    except FileNotFoundError:
        return None


def avatar_of(folder: JobFolder) -> str:
    return names_of(folder)[0]


def names_of(folder: JobFolder) -> tuple[str, str]:
    """What a job calls its avatar and its clip, "" where it does not say."""
    try:
        job = folder.read_job()
    except JobError:
        return "", ""
    return plain(job.avatar), plain(job.reference.get("label", ""))


def _facts_of(file: Path) -> TakeRecorded:
    """What a take that no event told of tells of itself."""
    try:
        return take_from_meta(file.name, load_take_meta(file))
    except (OSError, ValueError):
        return TakeRecorded(file=file.name)
