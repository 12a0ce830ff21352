# SPDX-License-Identifier: GPL-3.0-or-later
"""Removing environments of gigabytes: in a process of its own, which outlives Blender, and only what we have made."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..core import isolation
from ..core.files import is_own_folder
from .progress import Progress

SOON = "unfinished-"  # how the folder of an installation at work begins
GOING = "going-"  # and of what is being removed
_UNFINISHED = re.compile(rf"({SOON}|{GOING})\d+-\d+")
_RUNTIME = re.compile(r"python-\d+\.\d+-[0-9a-f]{8}")
_LOG_OF_OLD = re.compile(rf"{SOON}\d+-\d+\.log")  # an earlier version kept them beside

_PROGRAM = """
import os, shutil, sys
for place in sys.argv[1:]:
    if os.path.isdir(place) and not os.path.islink(place):
        shutil.rmtree(place, ignore_errors=True)
    elif os.path.lexists(place):
        os.unlink(place)
"""


class Removal:
    """A removal at work, or ended."""

    def __init__(self, places: Iterable[Path], words: str = "Removed.") -> None:
        self.places = tuple(places)
        self._words = words
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None
        python = own_python()
        if self.places and python:
            with contextlib.suppress(OSError):
                self._process = _start(python, self.places)
        if self.places and self._process is None:
            self._thread = threading.Thread(target=_remove, args=(self.places,), daemon=True)
            self._thread.start()

    def poll(self) -> Progress:
        """How far it is; never waits."""
        if self._process is not None and self._process.poll() is None:
            return Progress("running", 0.0, "Removing")
        if self._thread is not None and self._thread.is_alive():
            return Progress("running", 0.0, "Removing")
        left = [place for place in self.places if os.path.lexists(place)]
        if left:
            words = f"{left[0]} could not be removed whole; see whether it is in use or may not be written."
            return Progress("failed", 1.0, words)
        return Progress("done", 1.0, self._words)

    def wait(self) -> Progress:
        """Wait for the end."""
        while (progress := self.poll()).state == "running":
            time.sleep(0.02)
        return progress

    def cancel(self) -> None:
        """Nothing: what has been begun is done, with Blender or without it."""


_at_work: list[Removal] = []


def delete(places: Iterable[Path], words: str = "Removed.") -> Removal:
    """Begin to remove folders, files and links (not what they lead to)."""
    _at_work[:] = [removal for removal in _at_work if removal.poll().state == "running"]  # their ends are collected
    removal = Removal(places, words)
    _at_work.append(removal)
    return removal


def wait() -> None:
    """Wait for all removals that were begun."""
    for removal in _at_work:
        removal.wait()


def set_aside(place: Path) -> Path | None:
    """Give something a name under which nobody takes it for a runtime; None when it is not there. Raises OSError."""
    if not os.path.lexists(place):
        return None
    aside = place.with_name(f"{GOING}{os.getpid()}-{time.time_ns()}")
    os.rename(place, aside)
    return aside


def leftovers(home: Path) -> list[Path]:
    """What installations and removals that were broken off, or are still at work, have in a folder."""
    return [place for place in _listed(home) if _is_left(place)]


def runtimes(home: Path) -> list[Path]:
    """The runtimes in a folder, of this and other versions of the add-on."""
    return [place for place in _listed(home) if _RUNTIME.fullmatch(place.name)]


def in_use(folder: Path) -> bool:
    """Whether a program runs from a folder, as far as one can see: a training outlives the Blender that began it.

    On Windows it is not looked for; the system itself renames no folder whose programs run.
    """
    begin = str(folder) + os.sep
    return any(begin in line for line in _command_lines())


def own_python() -> str:
    """The interpreter that we run in, "" where it cannot be run by itself."""
    own = sys.executable or ""
    return own if os.path.basename(own).lower().startswith("python") else ""


def _start(python: str, places: tuple[Path, ...]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        isolation.python_command(python, "-c", _PROGRAM, *map(str, places)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=isolation.clean_environment(),
        cwd=isolation.safe_folder(python),
        start_new_session=os.name != "nt",
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )


def _remove(places: tuple[Path, ...]) -> None:
    import shutil

    for place in places:
        if is_own_folder(place):
            shutil.rmtree(place, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                place.unlink()


def _is_left(place: Path) -> bool:
    if _UNFINISHED.fullmatch(place.name):
        return is_own_folder(place) or place.name.startswith(GOING)
    return bool(_LOG_OF_OLD.fullmatch(place.name))


def _listed(home: Path) -> list[Path]:
    try:
        return sorted(home.iterdir())
    except OSError:
        return []


def _command_lines() -> Iterator[str]:
    """The command lines of the programs that run; none where they cannot be asked for."""
    if os.name == "nt":
        return
    processes = Path("/proc")
    if (processes / "self" / "cmdline").exists():
        for process in processes.iterdir():
            if process.name.isdigit():
                with contextlib.suppress(OSError):
                    yield (process / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        return
    for program in ("/bin/ps", "/usr/bin/ps"):
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            run = subprocess.run(
                [program, "-A", "-o", "args="],
                capture_output=True,
                stdin=subprocess.DEVNULL,
                env=isolation.clean_environment(),
                timeout=10.0,
                check=False,
            )
            yield from run.stdout.decode("utf-8", "replace").splitlines()
            return
