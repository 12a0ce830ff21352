# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job is doing, read from its folder: what its events add up to, and who is at work. Standard library alone.

Nothing here blocks but wait_for_end() and, on a job of very many events, the first read_status().
"""

from __future__ import annotations

import dataclasses
import os
import re
import time
from collections.abc import Callable
from typing import Literal

from ..core.files import RefusedFile, open_regular
from . import trainer_process
from .events import Budget, EventLog
from .folder import JobFolder
from .json_files import JobError
from .messages import Event, Failed, Finished, Paused, Progress, Rank, Resumed, Started, TakeRecorded, TrainerRecord

LOG_TAIL_BYTES = 8_000
# What PyBullet prints at every start, whatever happens, and what is logged for developers
CHATTER = ("pybullet build time", "argv[0]=", "INFO ", "DEBUG ")
PATIENCE_SECONDS = 30.0  # how long wait_for_end() waits for a folder that cannot be read to come back
MOST_READERS = 32  # jobs that are remembered
MOST_TAKES = 100_000  # that are remembered of a job
LONGEST_TEXT = 1_000  # letters of what a trainer says

# unreadable: the folder is there no more, or its disk does not answer.
State = Literal["idle", "starting", "running", "paused", "stopped", "finished", "failed", "died", "unreadable"]


@dataclasses.dataclass(frozen=True)
class JobStatus:
    """What is known of a job at one moment.

    progress: 0..1 of the present run; seconds and seconds_left: of the present run, None when unknown.
    message: one sentence for the user. event: the latest event, None before the first.
    takes: how many takes the job has recorded in all its runs; best_take: file name, "" if none.
    landed: whether a take of this job has landed. read: how much of the job's events has been read, 0..1; what
    is said of takes is right when it is 1.
    """

    state: State
    progress: float = 0.0
    seconds: float | None = None
    seconds_left: float | None = None
    message: str = ""
    event: Event | None = None
    pid: int = 0
    takes: int = 0
    best_take: str = ""
    landed: bool = False
    control_steps: int = 0
    read: float = 1.0

    @property
    def active(self) -> bool:
        """Whether a trainer is at work."""
        return self.state in ("starting", "running", "paused")


@dataclasses.dataclass
class Story:
    """What the events of a job, read so far, add up to. told: file name of a take -> the event that told of it.

    started, progress, end: of the present run. learned_to: why the last run that was to learn ended, and not only to
    shoot; "" for none that told. takes: how many all runs have recorded.
    """

    started: Started = Started()
    progress: Progress = Progress()
    end: Finished | Failed | None = None
    learned_to: str = ""
    latest: Event | None = None
    paused: bool = False
    takes: int = 0
    told: dict[str, TakeRecorded] = dataclasses.field(default_factory=dict)
    landed: bool = False
    best_take: str = ""
    best_rank: Rank = (False, 0, False, 0, float("-inf"))

    def add(self, event: Event) -> None:
        """Take in the next event."""
        self.latest = event
        match event:
            case Started():
                self.started, self.progress, self.end, self.paused = event, Progress(), None, False
            case Progress():
                self.progress = event
            case Paused() | Resumed():
                self.paused = isinstance(event, Paused)
            case TakeRecorded():
                self._add_take(event)
            case Finished() | Failed():
                self.end = event
                if isinstance(event, Finished):
                    self.best_take = event.best_take or self.best_take
                    self.learned_to = self.learned_to if event.reason == "shot" else event.reason

    def _add_take(self, take: TakeRecorded) -> None:
        self.takes += 1
        self.landed = self.landed or take.landed
        if len(self.told) < MOST_TAKES:
            self.told[take.file] = take
        if take.rank >= self.best_rank:
            self.best_rank, self.best_take = take.rank, take.file


class JobReader:
    """One job, read bit by bit; it remembers what it has read."""

    def __init__(self, folder: JobFolder) -> None:
        self.folder = folder
        self.log = EventLog(folder.events_file)
        self.story = Story()
        self.status = JobStatus("idle")
        self.away = False  # the folder could not be read, and its takes cannot be asked after
        self._beginnings = self.log.beginnings
        self._tail: Story | None = None  # what the last events say, until all have been read

    def read(self, budget: Budget) -> JobStatus:
        """What the job is doing. A folder that is damaged or away is a status with a sentence; nothing is raised."""
        trainer_process.collect_ended()
        self.away = True
        try:
            self.status = self._read(budget)
        except (OSError, RefusedFile, JobError) as error:
            self.away = True
            words = plain(getattr(error, "strerror", None) or error)
            self.status = JobStatus(
                "unreadable", message=f"The training's folder {plain(self.folder.path)} cannot be read: {words}."
            )
        return self.status

    def _read(self, budget: Budget) -> JobStatus:
        try:
            os.stat(self.folder.job_file)
        except (FileNotFoundError, NotADirectoryError):
            return JobStatus(
                "failed",
                message=f"{plain(self.folder.job_file)} is missing; this is not a training's folder, or it was moved, "
                "or its disk is not connected.",
            )
        self.away = False
        # Asked before the events are read: a trainer that ends in between has written its last event.
        running = self.folder.running()
        trainer = self.folder.trainer()
        self._read_events(budget)
        return _status(self.folder, self._tail or self.story, running, trainer, self.log.fraction)

    def _read_events(self, budget: Budget) -> None:
        events = self.log.read(budget)
        if self.log.beginnings != self._beginnings:
            self._beginnings, self.story, self._tail = self.log.beginnings, Story(), None
        for event in events:
            self.story.add(event)
        if not self.log.more:
            self._tail = None
        elif self._tail is None:
            self._tail = Story()
            for event in self.log.tail():
                self._tail.add(event)


# Jobs read so far, by folder: a timer asks for their status several times a second.
_readers: dict[str, JobReader] = {}


def reader_of(folder: JobFolder) -> JobReader:
    """The one reader of a job."""
    key = os.path.abspath(folder.path)
    reader = _readers.pop(key, None) or JobReader(folder)
    _readers[key] = reader  # the last one asked for is the last to be forgotten
    if len(_readers) > MOST_READERS:
        del _readers[next(iter(_readers))]
    return reader


def read_status(folder: JobFolder) -> JobStatus:
    """What the job is doing, all of its events read; a damaged folder is a failed job with a sentence."""
    return reader_of(folder).read(Budget())


def _status(folder: JobFolder, story: Story, running: bool, trainer: TrainerRecord, read: float) -> JobStatus:
    state = _state(running, trainer, story)
    seconds = story.end.seconds if isinstance(story.end, Finished) else None
    told = (story.progress, story.end) if isinstance(story.end, Finished) else (story.progress,)
    return JobStatus(
        state=state,
        progress=1.0 if state == "finished" else min(max(story.progress.fraction, 0.0), 1.0),
        seconds=story.progress.seconds if seconds is None else seconds,
        seconds_left=story.progress.seconds_left if state == "running" else None,
        message=plain(_message(state, folder, story)),
        event=story.latest,
        pid=trainer.pid if running else 0,
        takes=story.takes,
        best_take=story.best_take,
        landed=story.landed,
        control_steps=max(event.control_steps for event in told),
        read=read,
    )


def wait_for_end(
    folder: JobFolder,
    timeout: float,
    on_status: Callable[[JobStatus], None] | None = None,
    interval: float = 0.25,
) -> JobStatus:
    """Wait until no trainer is at work or timeout seconds have passed; returns the last status.

    on_status is called with every new status, and may raise to end the waiting. A folder that cannot be read is
    given PATIENCE_SECONDS to come back.
    """
    end = time.monotonic() + timeout
    shown, lost = None, 0.0
    while True:
        now = read_status(folder)
        if on_status and now != shown:
            on_status(now)
            shown = now
        clock = time.monotonic()
        lost = (lost or clock) if now.state == "unreadable" else 0.0
        left = min(end, lost + PATIENCE_SECONDS if lost else end) - clock
        if not (now.active or lost) or left <= 0:
            return now
        time.sleep(min(interval, left))


def log_tail(folder: JobFolder, lines: int = 6) -> str:
    """The last lines the trainer wrote to its log since it was started, "" if none that tell anything."""
    try:
        with open_regular(folder.log_file) as file:
            file.seek(max(file.seek(0, os.SEEK_END) - LOG_TAIL_BYTES, 0))
            text = file.read(LOG_TAIL_BYTES).decode("utf-8", "replace")
    except (OSError, RefusedFile):
        return ""
    written = [line.rstrip() for line in text.splitlines() if line.strip() and not line.startswith(CHATTER)]
    starts = [i for i, line in enumerate(written) if line.startswith("--- ")]
    return "\n".join(written[starts[-1] + 1 if starts else 0 :][-lines:])


def _state(running: bool, trainer: TrainerRecord, story: Story) -> State:
    launched = trainer.started
    if running:
        # Anything will do: of a long job the last events are known first.
        spoken = story.latest is not None and story.latest.time >= launched - 1.0
        spoken = spoken or (story.started.pid == trainer.pid != 0)  # spoke before its first beat
        if not spoken:
            return "starting"
        return "paused" if story.paused else "running"
    if story.end is not None and story.end.time >= launched - 1.0:
        if isinstance(story.end, Failed):
            return "failed"
        return "stopped" if story.end.reason == "stopped" else "finished"
    return "died" if trainer.pid or story.latest else "idle"


def _message(state: State, folder: JobFolder, story: Story) -> str:
    if state == "idle":
        return "Nothing has been learned yet."
    if state == "starting":
        return "The trainer is starting."
    if state == "running":
        return story.progress.message or "The trainer is at work."
    if state == "paused":
        return "Paused."
    if state == "failed":
        said = story.end.message if isinstance(story.end, Failed) else ""
        return said or "The trainer failed without giving a reason."
    if state == "died":
        return _death_words(log_tail(folder))
    if state == "stopped":
        return "Stopped; resume to continue from here."
    return _end_words(story.end.reason if isinstance(story.end, Finished) else "", story.landed)


def _end_words(reason: str, landed: bool) -> str:
    if reason == "shot":
        return "Finished: the takes are recorded."
    if reason == "robust":
        how = "the stunt lands" if landed else "the clip is followed to its end"
        return f"Finished: {how} nearly every time, pushed and on other floors too."
    if landed:
        return "Finished: the stunt has landed."
    if reason == "landed":  # a clip that ends in mid-stride has nothing to land
        return "Finished: the clip was followed to its end."
    if reason == "time":
        return "Finished: the time is up, and no take has come to the clip's end yet."
    return "Finished."


def _death_words(tail: str) -> str:
    words = "The trainer ended unexpectedly; resume the training to continue from there."
    lacking = re.search(r"No module named '?(\w+)", tail)
    if lacking and lacking[1] != "backflip_addon":
        words = f"The trainer's Python lacks {lacking[1]}; choose another or press Install in the preferences."
    return f"{words}\n{tail}" if tail else words


def plain(text: object, most: int = LONGEST_TEXT) -> str:
    """Any text as Blender's strings can hold it: whole letters alone, and not more than most of them."""
    return str(text)[:most].replace("\0", " ").encode("utf-8", "replace").decode("utf-8")
