# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting, asking and ending the trainer of a job. Standard library alone.

The trainer is a process of its own that outlives Blender: it is started detached, its output goes to
trainer.log, and any later Blender finds it again by trainer.json. It is started isolated: no file of the job
folder, of the folder that Blender was started in, or of a variable is ever imported. Nothing here blocks.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from ..core import background
from ..core.files import RefusedFile, open_regular, replace
from ..core.isolation import Interpreter, clean_environment, python_command, safe_folder, trusted_path
from .folder import JobFolder
from .json_files import JobError
from .messages import RequestKind

ALIAS_PATH = Path(__file__).resolve().parent / "alias"  # where `backflip_addon` resolves
START_SCRIPT = ALIAS_PATH / "backflip_trainer.py"
LOCK_PATIENCE = 0.25  # seconds: others may be looking whether the lock is held
LOG_BYTES = 2_000_000  # a longer trainer.log is put aside when the trainer starts again
_WINDOWS = os.name == "nt"


class AlreadyRunning(JobError):
    """A trainer is at work on this job."""


# Starting


def start(folder: JobFolder, python: str | Interpreter, cluster: str = "") -> None:
    """Start the trainer on a job with an interpreter, detached, and return at once. cluster: where its workers are.

    Raises AlreadyRunning when one is at work, from this Blender or another, and JobError when the
    folder or the interpreter cannot be used.
    """
    folder.read_job()
    interpreter = _interpreter(python)
    if folder.running():
        raise AlreadyRunning(f"This is already being trained by {_trainer_words(folder)}.")
    with _start_lock(folder):
        if folder.named_trainer_lives():  # another Blender was faster; its trainer has yet to take the lock
            raise AlreadyRunning(f"This is already being trained by {_trainer_words(folder)}.")
        _forget_old_requests(folder)
        try:
            folder.make_rooms()
            with _open_log(folder) as log:
                process = _spawn(folder, interpreter, log, cluster)
            _children[process.pid] = process
            _name(folder, process)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise JobError(f"The trainer could not be started with {interpreter.path}: {reason}.") from error


def cluster_variables() -> dict[str, str]:
    """What a cluster is entered with, as this process was given it: variables, which no log and no job folder has."""
    names = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
    return {name: os.environ[name] for name in names if name in os.environ}


# Trainers this process has started, kept so that their ends are collected.
_children: dict[int, subprocess.Popen[bytes]] = {}


def collect_ended() -> None:
    """Let go of the trainers that have ended."""
    for pid in [pid for pid, child in _children.items() if child.poll() is not None]:
        del _children[pid]


def command(folder: JobFolder, python: str | Interpreter) -> list[str]:
    """The trainer's command line."""
    return python_command(python, str(START_SCRIPT), str(folder.path.resolve()))


def _interpreter(named: str | Interpreter) -> Interpreter:
    """An interpreter with the whole path of an interpreter: a name is looked up where only the user's own programs are.

    Left to the system, a relative path would be tried from the folder Blender happens to be in. Raises JobError.
    """
    python, packages = (named, "") if isinstance(named, str) else (named.path, named.packages)
    if os.path.isabs(python):
        return Interpreter(python, packages)
    if python and os.path.basename(python) == python:
        for place in trusted_path(os.environ.get("PATH", os.defpath)):
            found = shutil.which(os.path.join(place, python))
            if found:
                return Interpreter(found, packages)
    raise JobError(f"The trainer could not be started with {python or 'no Python'}: choose a Python by its whole path.")


def _open_log(folder: JobFolder) -> BinaryIO:
    """trainer.log, to be appended to; a long one is put aside first. Raises OSError and RefusedFile."""
    with contextlib.suppress(OSError):
        if os.lstat(folder.log_file).st_size > LOG_BYTES:
            replace(folder.log_file, folder.log_file.with_name("trainer.old.log"))
    return open_regular(folder.log_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def _spawn(folder: JobFolder, python: Interpreter, log: BinaryIO, cluster: str) -> subprocess.Popen[bytes]:
    """Start the trainer so that it outlives Blender. Raises OSError."""
    line = command(folder, python) + (["--cluster", cluster] if cluster else [])
    words = f"\n--- {time.strftime('%Y-%m-%d %H:%M:%S')} {' '.join(line)}\n"
    log.write(words.encode("utf-8", "backslashreplace"))
    log.flush()
    options: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": subprocess.STDOUT}
    options |= {"close_fds": True, "cwd": safe_folder(python.path)}
    options["env"] = clean_environment() | (cluster_variables() if cluster else {})
    return background.start(line, outlives=True, **options)


def _name(folder: JobFolder, process: subprocess.Popen[bytes]) -> None:
    """Write who the trainer is; one that cannot be named is ended. Raises OSError.

    Not left to the trainer, which has yet to start: until then a second Blender would see nobody at work. Under
    the lock, so that it never replaces the name of one that holds it.
    """
    try:
        folder.name_trainer(process.pid)
    except OSError:
        process.kill()
        raise


@contextlib.contextmanager
def _start_lock(folder: JobFolder) -> Iterator[None]:
    """The trainer's own lock, held while a trainer is being started: it waits until it can have it."""
    lock = folder.starting()
    try:
        taken = lock.acquire(LOCK_PATIENCE)
    except RefusedFile as error:
        raise JobError(f"The trainer could not be started: {error}.") from error
    except OSError as error:
        raise JobError(f"The folder {folder.path} cannot be written: {error.strerror}.") from error
    if not taken:
        raise AlreadyRunning("Another Blender is starting this training just now.")
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            lock.release()


def _forget_old_requests(folder: JobFolder) -> None:
    """A stop that a killed trainer never obeyed must not stop the next one; shots are still wanted."""
    for request in folder.pending_requests():
        if request.kind != "shoot":
            folder.finish_request(request)


def _trainer_words(folder: JobFolder) -> str:
    trainer = folder.trainer()
    if not trainer.pid:
        return "another process"
    host = "this computer" if trainer.host == socket.gethostname() else trainer.host[:80]
    return f"process {trainer.pid} on {host}"


# Asking


def request_stop(folder: JobFolder) -> str:
    """Ask the trainer to save a stage and end. Returns the request's id, as all of these do."""
    return _request(folder, "stop")


def request_pause(folder: JobFolder) -> str:
    """Ask the trainer to pause, keeping what it has in memory."""
    return _request(folder, "pause")


def request_resume(folder: JobFolder) -> str:
    """Ask a paused trainer to go on."""
    return _request(folder, "resume")


def request_checkpoint(folder: JobFolder) -> str:
    """Ask the trainer to save a stage now."""
    return _request(folder, "checkpoint")


def _request(folder: JobFolder, kind: RequestKind) -> str:
    """Raises JobError when nobody would hear the request."""
    if not folder.running():
        raise JobError("Nothing is being trained there; start it first.")
    try:
        return folder.request(kind)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise JobError(f"The folder {folder.path} cannot be written: {reason}.") from error


def kill(folder: JobFolder) -> bool:
    """End a trainer of this computer that no longer answers; its workers with it. True if there was one.

    Only what is this job's trainer for certain: trainer.json may be old, and its number a stranger's by now.
    """
    collect_ended()
    trainer = folder.trainer()
    pid = trainer.pid
    if pid in (0, os.getpid()) or trainer.host != socket.gethostname():
        return False
    if pid not in _children and not folder.is_trainer(pid):
        return False
    try:
        if _WINDOWS:
            killer = os.path.join(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "taskkill.exe")
            command = [killer, "/F", "/T", "/PID", str(pid)]
            done = subprocess.run(command, capture_output=True, check=False, creationflags=background.HIDDEN)
            return done.returncode == 0
        if os.getpgid(pid) == pid:
            os.killpg(pid, signal.SIGKILL)  # the trainer leads its own group, see _spawn
        else:
            os.kill(pid, signal.SIGKILL)  # started by hand; its workers end with it
    except OSError:
        return False
    return True
