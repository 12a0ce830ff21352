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

from ..core import background, isolation
from ..core.files import extended, is_own_folder, replace
from .progress import Progress

UNFINISHED_PREFIX = "unfinished-"  # how the folder of an installation at work begins
GOING_PREFIX = "going-"  # and of what is being removed
_UNFINISHED = re.compile(rf"({UNFINISHED_PREFIX}|{GOING_PREFIX})\d+-\d+")
_RUNTIME = re.compile(r"python-\d+\.\d+-[0-9a-f]{8}")

_PROGRAM = """
import os, shutil, sys
for path in sys.argv[1:]:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    elif os.path.lexists(path):
        os.unlink(path)
"""


class Removal:
    """A removal at work, or ended."""

    def __init__(self, paths: Iterable[Path], words: str = "Removed.") -> None:
        self.paths = tuple(paths)
        self._words = words
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None
        python = own_python()
        if self.paths and python:
            with contextlib.suppress(OSError):
                self._process = _start(python, self.paths)
        if self.paths and self._process is None:
            self._thread = threading.Thread(target=_remove, args=(self.paths,), daemon=True)
            self._thread.start()

    def poll(self) -> Progress:
        """How far it is; never waits."""
        if self._process is not None and self._process.poll() is None:
            return Progress("running", 0.0, "Removing")
        if self._thread is not None and self._thread.is_alive():
            return Progress("running", 0.0, "Removing")
        left = [path for path in self.paths if os.path.lexists(path)]
        if left:
            words = f"{left[0]} could not be removed completely; check whether it is in use or write-protected."
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


def delete(paths: Iterable[Path], words: str = "Removed.") -> Removal:
    """Begin to remove folders, files and links (not what they lead to)."""
    _at_work[:] = [removal for removal in _at_work if removal.poll().state == "running"]  # their ends are collected
    removal = Removal(paths, words)
    _at_work.append(removal)
    return removal


def running() -> bool:
    """Whether a removal is still at work."""
    return any(removal.poll().state == "running" for removal in _at_work)


def wait() -> None:
    """Wait for all removals that were begun."""
    for removal in _at_work:
        removal.wait()


def set_aside(path: Path) -> Path | None:
    """Give something a name under which nobody takes it for a runtime; None when it is not there. Raises OSError."""
    if not os.path.lexists(path):
        return None
    aside = path.with_name(f"{GOING_PREFIX}{os.getpid()}-{time.time_ns()}")
    replace(path, aside)
    return aside


def set_aside_unused(runtimes: Iterable[Path]) -> list[Path]:
    """Set aside what no program uses, as far as the system tells; returns where it is now."""
    found = []
    for folder in runtimes:
        if not in_use(folder):
            with contextlib.suppress(OSError):  # Windows renames no folder of which a file is open
                found.append(set_aside(folder))
    return [folder for folder in found if folder is not None]


def leftovers(home: Path) -> list[Path]:
    """What installations and removals that were broken off, or are still at work, have in a folder."""
    return [path for path in _listed(home) if _is_left(path)]


def runtimes(home: Path) -> list[Path]:
    """The runtimes in a folder, of this and other versions of the add-on."""
    return [path for path in _listed(home) if _RUNTIME.fullmatch(path.name)]


def in_use(folder: Path) -> bool:
    """Whether a program runs from a folder, as far as one can see: a training outlives the Blender that began it.

    On Windows it is not looked for; the system itself renames no folder of which a file is open, as a running
    trainer's libraries are.
    """
    begin = str(folder) + os.sep
    return any(begin in line for line in _command_lines())


def own_python() -> str:
    """The interpreter that we run in, "" where it cannot be run by itself."""
    own = sys.executable or ""
    return own if os.path.basename(own).lower().startswith("python") else ""


def _start(python: str, paths: tuple[Path, ...]) -> subprocess.Popen[bytes]:
    return background.start(
        isolation.python_command(python, "-B", "-c", _PROGRAM, *map(extended, paths)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=isolation.clean_environment(),
        cwd=isolation.safe_folder(python),
        outlives=True,
    )


def _remove(paths: tuple[Path, ...]) -> None:
    import shutil

    for path in paths:
        if is_own_folder(path):
            shutil.rmtree(extended(path), ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                path.unlink()


def _is_left(path: Path) -> bool:
    if not _UNFINISHED.fullmatch(path.name):
        return False
    return is_own_folder(path) or path.name.startswith(GOING_PREFIX)


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
