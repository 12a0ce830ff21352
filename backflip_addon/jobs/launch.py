# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting and watching the trainer through its job folder. Standard library alone.

The trainer is a process of its own that outlives Blender: it is started detached, its output goes to
trainer.log, and any later Blender finds it again by trainer.json. Nothing here blocks but wait().
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from .folder import JobError, JobFolder, process_alive, read_json, write_json

State = Literal["idle", "starting", "running", "paused", "stopped", "finished", "failed", "died"]

ALIAS_PATH = Path(__file__).resolve().parent / "alias"  # where `backflip_addon` resolves
LOCK_SECONDS = 60.0  # a start that holds the lock for longer than this is taken for dead
LOG_BYTES = 2_000_000  # a longer trainer.log is put aside when the trainer starts again
LOG_TAIL_BYTES = 8_000
NICENESS = 5  # Blender's window comes first


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


class AlreadyRunning(JobError):
    """A trainer is at work on this job."""


# Starting


def start(folder: JobFolder, python: str) -> None:
    """Start the trainer on a job with the interpreter python, detached, and return at once.

    Raises AlreadyRunning when one is at work, from this Blender or another, and JobError when the
    folder or the interpreter cannot be used.
    """
    folder.read_job()
    with _start_lock(folder):
        if folder.running():
            raise AlreadyRunning(f"This job is already being trained by {_trainer_words(folder)}.")
        _forget_old_requests(folder)
        try:
            process = _spawn(folder, python)
            # Written here and not left to the trainer, whose imports take seconds: until then a second
            # Blender would see nobody at work.
            write_json(
                folder.trainer_file, {"pid": process.pid, "started": time.time(), "host": socket.gethostname()}
            )
        except OSError as error:
            raise JobError(f"The trainer could not be started with {python}: {error.strerror or error}.") from error
        _children[process.pid] = process


# Trainers this process has started, kept so that their ends are collected.
_children: dict[int, subprocess.Popen[bytes]] = {}


def command(folder: JobFolder, python: str) -> list[str]:
    """The trainer's command line."""
    return [python, "-m", "backflip_addon.trainer", str(folder.path.resolve())]


def environment() -> dict[str, str]:
    """The trainer's environment: this process's, without what Blender does to Python in it."""
    kept = {key: value for key, value in os.environ.items() if not key.upper().startswith("PYTHON")}
    kept.pop("__PYVENV_LAUNCHER__", None)  # macOS: would make a venv's Python take itself for Blender's
    return kept | {
        "PYTHONPATH": str(ALIAS_PATH),
        "PYTHONNOUSERSITE": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
    }


def _spawn(folder: JobFolder, python: str) -> subprocess.Popen[bytes]:
    """Start the trainer in a session of its own. Raises OSError."""
    line = command(folder, python)
    options: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stderr": subprocess.STDOUT, "close_fds": True}
    options |= {"cwd": str(folder.path), "env": environment()}
    with contextlib.suppress(OSError):
        if folder.log_file.stat().st_size > LOG_BYTES:
            os.replace(folder.log_file, folder.log_file.with_name("trainer.old.log"))
    with open(folder.log_file, "ab") as log:
        log.write(f"\n--- {time.strftime('%Y-%m-%d %H:%M:%S')} {' '.join(line)}\n".encode())
        log.flush()
        options["stdout"] = log
        if os.name == "nt":
            return _spawn_windows(line, options)
        process = subprocess.Popen(line, start_new_session=True, **options)
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
    return process


def _spawn_windows(line: list[str], options: dict[str, Any]) -> subprocess.Popen[bytes]:
    new_group, no_window, low_priority, breakaway = 0x200, 0x08000000, 0x4000, 0x01000000
    flags = new_group | no_window | low_priority
    try:
        # Out of the job object of a launcher that ends its children with itself (Steam, some shells).
        return subprocess.Popen(line, creationflags=flags | breakaway, **options)
    except PermissionError:
        return subprocess.Popen(line, creationflags=flags, **options)


@contextlib.contextmanager
def _start_lock(folder: JobFolder) -> Iterator[None]:
    """Held while a trainer is being started, so that two Blenders cannot start two."""
    path = folder.path / "start.lock"
    _break_stale_lock(path)
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        raise AlreadyRunning("This job is being started by another Blender just now.") from None
    except OSError as error:
        raise JobError(f"The job folder {folder.path} cannot be written: {error.strerror}.") from error
    try:
        os.write(handle, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode())
        os.close(handle)
        yield
    finally:
        path.unlink(missing_ok=True)


def _break_stale_lock(path: Path) -> None:
    try:
        age = time.time() - path.stat().st_mtime
    except OSError:
        return
    owner: dict[str, Any] = {}
    with contextlib.suppress(JobError):
        owner = read_json(path)
    dead = owner.get("host") == socket.gethostname() and not process_alive(_number(owner.get("pid")))
    if dead or age > LOCK_SECONDS:
        path.unlink(missing_ok=True)


def _forget_old_requests(folder: JobFolder) -> None:
    """A stop that a killed trainer never obeyed must not stop the next one; shots are still wanted."""
    for file in folder.requests.glob("*.json") if folder.requests.is_dir() else []:
        with contextlib.suppress(JobError):
            if read_json(file).get("kind") == "shoot":
                continue
        file.unlink(missing_ok=True)


def _trainer_words(folder: JobFolder) -> str:
    with contextlib.suppress(JobError):
        trainer = read_json(folder.trainer_file)
        host = "this computer" if trainer.get("host") == socket.gethostname() else trainer.get("host")
        return f"process {trainer.get('pid')} on {host}"
    return "another process"


# Asking


def request_stop(folder: JobFolder) -> str:
    """Ask the trainer to save a stage and end. Returns the request's id, as all of these do."""
    return _request(folder, "stop")


def request_pause(folder: JobFolder) -> str:
    """Ask the trainer to rest, keeping what it has in memory."""
    return _request(folder, "pause")


def request_resume(folder: JobFolder) -> str:
    """Ask a paused trainer to go on."""
    return _request(folder, "resume")


def request_checkpoint(folder: JobFolder) -> str:
    """Ask the trainer to save a stage now."""
    return _request(folder, "checkpoint")


def request_shoot(folder: JobFolder, **fields: Any) -> str:
    """Ask the trainer to record a take; fields say of which stage, seed and scene."""
    return _request(folder, "shoot", **fields)


def _request(folder: JobFolder, kind: str, **fields: Any) -> str:
    """Raises JobError when nobody would hear the request."""
    if not folder.running():
        raise JobError("No trainer is at work on this job; start it first.")
    try:
        return folder.request(kind, **fields)
    except OSError as error:
        raise JobError(f"The job folder {folder.path} cannot be written: {error.strerror}.") from error


def kill(folder: JobFolder) -> bool:
    """End a trainer of this computer that no longer answers; its workers with it. True if there was one."""
    with contextlib.suppress(JobError):
        trainer = read_json(folder.trainer_file)
        pid = _number(trainer.get("pid"))
        if folder.running() and trainer.get("host") == socket.gethostname():
            with contextlib.suppress(OSError):
                if os.name == "nt":
                    subprocess.run(["taskkill", "/F", "/T", "/PID", str(pid)], capture_output=True, check=False)
                else:
                    os.killpg(pid, signal.SIGKILL)  # the trainer leads its own group, see _spawn
                return True
    return False


# Watching


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


def status(folder: JobFolder) -> JobStatus:
    """What the job is doing. Cheap, never blocks; a damaged folder is a failed job with a sentence."""
    for pid in [pid for pid, child in _children.items() if child.poll() is not None]:
        del _children[pid]
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
        pid=_number(trainer.get("pid")) if running else 0,
        takes=story.takes,
        best_take=story.best_take,
        landed=story.best_rank[0],
        control_steps=max(_number(e.get("control_steps")) for e in (story.progress, story.end)),
    )


def wait(
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
        now = status(folder)
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


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _decimal(value: Any, default: Any) -> Any:
    """value as a finite float, or default."""
    if isinstance(value, (int, float)) and value == value and abs(value) != float("inf"):
        return float(value)
    return default
