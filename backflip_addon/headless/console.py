# SPDX-License-Identifier: GPL-3.0-or-later
"""What a word says: lines or JSON lines while it works, a report at its end, and an exit status."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import shutil
import signal
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import bpy
import numpy as np

from ..core.files import write_whole
from ..jobs.status import JobStatus
from ..jobs.status import plain as shown

DONE, FAILED, WRONG_USE, NOT_LANDED = 0, 1, 2, 3  # exit statuses
STATES = {DONE: "done", FAILED: "failed", WRONG_USE: "used wrongly", NOT_LANDED: "not landed"}
LINE_SECONDS = 10.0  # between lines when nothing changes


class HeadlessError(Exception):
    """What ends a word, in one sentence for the user."""


class WrongUse(HeadlessError):
    """The word was not used as its --help says."""


class Console:
    """Says lines, or the same as JSON lines. as_json: each line is an object with a "kind"."""

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json
        self._begin = time.monotonic()
        self._last = -LINE_SECONDS
        self._shown: tuple[Any, ...] = ()
        self.write: Callable[[str], None] = _print

    def say(self, line: str, **facts: Any) -> None:
        """One line; facts: what a program wants to know of it."""
        told = json.dumps({"kind": "line", "line": line.strip(), **plain(facts)}) if self.as_json else line
        self.write(printable(told))

    def show(self, status: JobStatus) -> None:
        """A job's status, where there is something new in it, and now and then where there is nothing."""
        now = time.monotonic() - self._begin
        news = (status.state, status.takes, status.landed)
        if news == self._shown and now - self._last < LINE_SECONDS:
            return
        self._shown, self._last = news, now
        told = json.dumps({"kind": "progress", **facts_of(status)}) if self.as_json else progress_line(status, now)
        self.write(printable(told))


def printable(text: str) -> str:
    """Lines as a terminal may be given them: no letter of a stranger's steers it."""
    return "\n".join(shown(line, len(line)) for line in text.split("\n"))


def _print(line: str) -> None:
    print(line, flush=True)


def facts_of(status: JobStatus) -> dict[str, Any]:
    """A job's status as JSON has it."""
    names = ("state", "progress", "seconds", "seconds_left", "takes", "best_take", "landed", "control_steps", "message")
    facts: dict[str, Any] = plain({name: getattr(status, name) for name in names})
    return facts


def progress_line(status: JobStatus, seconds: float) -> str:
    """One line on how the learning goes, seconds after its start."""
    parts = [f"  {clock(seconds)} {status.state:<8} {status.progress:4.0%}"]
    if status.takes:
        parts.append(f"{status.takes} take{'s' if status.takes > 1 else ''}{', landed' if status.landed else ''}")
    if status.seconds_left:
        parts.append(f"{clock(status.seconds_left)} left")
    if status.message:
        parts.append(status.message.splitlines()[0])
    return "  ".join(parts)


def clock(seconds: float) -> str:
    """75 s as 1:15."""
    whole = max(round(seconds), 0)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


def plain(value: Any) -> Any:
    """A value as JSON knows it: no numpy, no paths, no infinities (a measure that has no value is null)."""
    if isinstance(value, dict):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Path):
        return str(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def unwritable(place: Path, folder: bool = False, stream: bool = False) -> str:
    """Why no file, or no folder, can be written there, "" where it can: asked before the work. Nothing is written.

    stream: a pipe or a device will do.
    """
    for there in (place, *place.parents):
        try:
            mode = os.stat(there).st_mode
        except FileNotFoundError:
            continue
        except OSError as error:
            return str(error.strerror)
        if stat.S_ISDIR(mode) != (folder or there != place):
            return os.strerror(errno.EISDIR if stat.S_ISDIR(mode) else errno.ENOTDIR)
        if not (stream or stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
            return "it is no regular file"
        asked = (there, there.parent) if stat.S_ISREG(mode) else (there,)
        return "" if all(os.access(each, os.W_OK) for each in asked) else os.strerror(errno.EACCES)
    return os.strerror(errno.ENOENT)


def check_writable(option: str, file: Path, stream: bool = False) -> None:
    """Raises WrongUse where a file cannot be written."""
    if why := unwritable(file, stream=stream):
        raise WrongUse(f"{file} cannot be written: {why}. Name another file with {option}.")


def check_there(options: Any, *names: str) -> None:
    """Raises WrongUse where a file that an option names is not there. names: of the options, as argparse has them."""
    for name in names:
        file = getattr(options, name, "")
        if file and not Path(file).is_file():
            raise WrongUse(f"There is no file {file} (--{name.replace('_', '-')}); name one that is there.")


def write_report(file: Path, report: dict[str, Any]) -> None:
    """Write a report as JSON, whole; into a pipe, a device and what this process prints to. Raises HeadlessError."""
    text = json.dumps(plain(report), indent=1, allow_nan=False) + "\n"

    def write(out: BinaryIO) -> None:
        out.write(text.encode())

    try:
        printed_to = file.is_symlink() and file.parts[1] in ("dev", "proc")  # such as /dev/stdout
        if file.exists() and (printed_to or not file.is_file()):
            with open(file, "ab") as out:
                write(out)
            return
        file = file.resolve()
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, write)
    except OSError as error:
        raise HeadlessError(f"The report {file} cannot be written: {error.strerror}.") from error


@contextlib.contextmanager
def chatter_away() -> Iterator[Callable[[str], None]]:
    """What Blender's own code prints goes nowhere; the function given prints all the same."""
    sys.stdout.flush()
    kept = os.dup(1)

    def say_all_the_same(line: str) -> None:
        os.write(kept, f"{line}\n".encode())

    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 1)
        yield say_all_the_same
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


@contextlib.contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """While it lasts, what ends a process politely (a farm that cancels a task) is as good as Ctrl-C."""

    def interrupt(_signal: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def leave(code: int) -> None:
    """End the process at once: Blender's module may hang in its own end, and all files are written."""
    sys.stdout.flush()
    sys.stderr.flush()
    shutil.rmtree(bpy.app.tempdir, ignore_errors=True)
    os._exit(code)
