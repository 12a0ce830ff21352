# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting, asking and ending the trainer of a job. Standard library alone.

The trainer is a process of its own that outlives Blender: it is started detached, its output goes to
trainer.log, and any later Blender finds it again by trainer.json. Nothing here blocks.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .folder import JobError, JobFolder, process_alive, read_json, write_json

ALIAS_PATH = Path(__file__).resolve().parent / "alias"  # where `backflip_addon` resolves
LOCK_SECONDS = 60.0  # a start that holds the lock for longer than this is taken for dead
LOG_BYTES = 2_000_000  # a longer trainer.log is put aside when the trainer starts again
NICENESS = 5  # Blender's window comes first


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


def collect_ended() -> None:
    """Let go of the trainers that have ended."""
    for pid in [pid for pid, child in _children.items() if child.poll() is not None]:
        del _children[pid]


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
    dead = owner.get("host") == socket.gethostname() and not process_alive(number(owner.get("pid")))
    if dead or age > LOCK_SECONDS:
        path.unlink(missing_ok=True)


def _forget_old_requests(folder: JobFolder) -> None:
    """A stop that a killed trainer never obeyed must not stop the next one; shots are still wanted."""
    for request in folder.pending_requests():
        if request["kind"] != "shoot":
            folder.finish_request(request)


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
        pid = number(trainer.get("pid"))
        if folder.running() and trainer.get("host") == socket.gethostname():
            with contextlib.suppress(OSError):
                if os.name == "nt":
                    subprocess.run(["taskkill", "/F", "/T", "/PID", str(pid)], capture_output=True, check=False)
                else:
                    os.killpg(pid, signal.SIGKILL)  # the trainer leads its own group, see _spawn
                return True
    return False


def number(value: Any) -> int:
    """value where it is a whole number, else 0."""
    return value if isinstance(value, int) else 0
