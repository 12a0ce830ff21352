# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job is doing, read from its folder: what its events add up to, and who is at work. Standard library alone.

Nothing here blocks but wait_for_end().
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from . import process
from .folder import JobError, JobFolder, read_json

LOG_TAIL_BYTES = 8_000

State = Literal["idle", "starting", "running", "paused", "stopped", "finished", "failed", "died"]


@dataclasses.dataclass(frozen=True)
class JobStatus:
    """What is known of a job at one moment.

    progress: 0..1 of the present run; seconds and seconds_left: of the present run, None when unknown.
    message: one sentence for the user. event: the latest event, an empty dict before the first.
    takes: how many takes the job has recorded in all its runs; best_take: file name, "" if none.
    landed: whether a take of this job has landed.
    """

    state: State
    progress: float = 0.0
    seconds: float | None = None
    seconds_left: float | None = None
    message: str = ""
    event: dict[str, Any] = dataclasses.field(default_factory=dict)
    pid: int = 0
    takes: int = 0
    best_take: str = ""
    landed: bool = False
    control_steps: int = 0

    @property
    def active(self) -> bool:
        """Whether a trainer is at work."""
        return self.state in ("starting", "running", "paused")


@dataclasses.dataclass
class _Story:
    """What the events of a job, read so far, add up to."""

    offset: int = 0
    started: dict[str, Any] = dataclasses.field(default_factory=dict)
    progress: dict[str, Any] = dataclasses.field(default_factory=dict)
    end: dict[str, Any] = dataclasses.field(default_factory=dict)
    latest: dict[str, Any] = dataclasses.field(default_factory=dict)
    paused: bool = False
    takes: int = 0
    best_take: str = ""
    best_rank: tuple[bool, float] = (False, float("-inf"))

    def add(self, event: dict[str, Any]) -> None:
        kind = event.get("kind")
        self.latest = event
        if kind == "started":
            self.started, self.progress, self.end, self.paused = event, {}, {}, False
        elif kind == "progress":
            self.progress = event
        elif kind in ("paused", "resumed"):
            self.paused = kind == "paused"
        elif kind in ("finished", "error"):
            self.end = event
            if event.get("best_take"):
                self.best_take = Path(str(event["best_take"])).name
        elif kind == "take":
            self.takes += 1
            rank = (bool(event.get("landed")), _decimal(event.get("score"), float("-inf")))
            if rank >= self.best_rank:
                self.best_rank, self.best_take = rank, Path(str(event.get("file", ""))).name


# Events read so far, by job folder: a timer asks for the status several times a second.
_stories: dict[str, _Story] = {}


def read_status(folder: JobFolder) -> JobStatus:
    """What the job is doing. Cheap, never blocks; a damaged folder is a failed job with a sentence."""
    process.collect_ended()
    if not folder.job_file.exists():
        return JobStatus("failed", message=f"{folder.job_file} is missing; this is not a Backflip job folder.")
    # Asked before the events are read: a trainer that ends in between has written its last event.
    running = folder.running()
    trainer = _trainer(folder)
    story = _read_story(folder)
    state = _state(running, trainer, story)
    progress = _decimal(story.progress.get("fraction"), 0.0)
    return JobStatus(
        state=state,
        progress=1.0 if state == "finished" else min(max(progress, 0.0), 1.0),
        seconds=_decimal(story.end.get("seconds"), _decimal(story.progress.get("seconds"), None)),
        seconds_left=_decimal(story.progress.get("seconds_left"), None) if state == "running" else None,
        message=_message(state, folder, story),
        event=story.latest,
        pid=process.number(trainer.get("pid")) if running else 0,
        takes=story.takes,
        best_take=story.best_take,
        landed=story.best_rank[0],
        control_steps=max(process.number(e.get("control_steps")) for e in (story.progress, story.end)),
    )


def wait_for_end(
    folder: JobFolder,
    timeout: float,
    on_status: Callable[[JobStatus], None] | None = None,
    interval: float = 0.25,
) -> JobStatus:
    """Wait until no trainer is at work or timeout seconds have passed; returns the last status.

    on_status is called with every new status, and may raise to end the waiting.
    """
    end = time.monotonic() + timeout
    shown = None
    while True:
        now = read_status(folder)
        if on_status and now != shown:
            on_status(now)
            shown = now
        left = end - time.monotonic()
        if not now.active or left <= 0:
            return now
        time.sleep(min(interval, left))


def log_tail(folder: JobFolder, lines: int = 6) -> str:
    """The last lines the trainer wrote to its log since it was started, "" if none."""
    try:
        with open(folder.log_file, "rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - LOG_TAIL_BYTES, 0))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    written = [line.rstrip() for line in text.splitlines() if line.strip()]
    starts = [i for i, line in enumerate(written) if line.startswith("--- ")]
    return "\n".join(written[starts[-1] + 1 if starts else 0 :][-lines:])


def _read_story(folder: JobFolder) -> _Story:
    key = str(folder.path.resolve())
    story = _stories.get(key, _Story())
    try:
        size = folder.events_file.stat().st_size
    except OSError:
        size = 0
    if size < story.offset:  # another job has taken the folder
        story = _Story()
    events: list[dict[str, Any]] = []
    with contextlib.suppress(OSError):
        events, story.offset = folder.read_events(story.offset)
    for event in events:
        story.add(event)
    _stories[key] = story
    return story


def _trainer(folder: JobFolder) -> dict[str, Any]:
    with contextlib.suppress(JobError):
        return read_json(folder.trainer_file)
    return {}


def _state(running: bool, trainer: dict[str, Any], story: _Story) -> State:
    launched = _decimal(trainer.get("started"), 0.0)
    if running:
        spoken = _decimal(story.started.get("time"), -1.0) >= launched - 1.0
        spoken = spoken or story.started.get("pid") == trainer.get("pid", 0)  # spoke before its first beat
        if not spoken:
            return "starting"
        return "paused" if story.paused else "running"
    ended = story.end and _decimal(story.end.get("time"), 0.0) >= launched - 1.0
    if ended:
        if story.end.get("kind") == "error":
            return "failed"
        return "stopped" if story.end.get("reason") == "stopped" else "finished"
    return "died" if trainer or story.latest else "idle"


def _message(state: State, folder: JobFolder, story: _Story) -> str:
    if state == "idle":
        return "Nothing has been learned yet."
    if state == "starting":
        return "The trainer is starting."
    if state == "running":
        return str(story.progress.get("message") or "The trainer is at work.")
    if state == "paused":
        return "Paused."
    if state == "failed":
        return str(story.end.get("message") or "The trainer failed without giving a reason.")
    if state == "died":
        return _death_words(log_tail(folder))
    if state == "stopped":
        return "Stopped; training can go on from here."
    return _end_words(str(story.end.get("reason", "")), story.best_rank[0])


def _end_words(reason: str, landed: bool) -> str:
    if reason == "shot":
        return "Finished: the takes are recorded."
    if reason == "robust":
        return "Finished: the stunt lands nearly every time, pushed and on other floors too."
    if reason == "landed" or landed:
        return "Finished: the stunt has landed."
    if reason == "time":
        return "Finished: the time is up and nothing has landed yet."
    return "Finished."


def _death_words(tail: str) -> str:
    words = "The trainer ended without a word; start it again to go on from its last stage."
    lacking = re.search(r"No module named '?(\w+)", tail)
    if lacking and lacking[1] != "backflip_addon":
        words = f"The trainer's Python lacks {lacking[1]}; choose another or install the runtime in the preferences."
    return f"{words}\n{tail}" if tail else words


def _decimal(value: Any, default: Any) -> Any:
    """value as a finite float, or default."""
    if isinstance(value, (int, float)) and value == value and abs(value) != float("inf"):
        return float(value)
    return default
