# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of an installed runtime: packages/, compiled/, python.json, which names the interpreter, and conda/ where
PyBullet was brought from conda-forge.

The interpreter is not part of it: Blender's own mostly, which may have been moved or replaced since.

A lock on the folder lets one installation or removal at a time, whichever Blender's it is. The system lets it go when
its process ends: so whoever has it knows that no unfinished installation in the folder is still at work.
"""

from __future__ import annotations

import dataclasses
import errno
import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from ..core.files import read_limited
from ..core.isolation import RUNTIME_NOTE, Interpreter
from ..core.start_with_packages import CONDA_NAME
from . import deletion, pins
from .pythons import Base

PACKAGES_NAME = "packages"
MOST_NOTE_BYTES = 10_000
_WINDOWS = os.name == "nt"
# Each system has one of them, and a type checker knows its own system's alone.
msvcrt: Any = importlib.import_module("msvcrt") if _WINDOWS else None
fcntl: Any = None if _WINDOWS else importlib.import_module("fcntl")

LOCK_NAME = "install.lock"
BUSY = "The trainer's Python is being installed or removed by this or another Blender; wait until that is done."
_HELD = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)
_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


@dataclasses.dataclass(frozen=True)
class Installed:
    """A runtime that was installed. interpreter: its path is "" where the Python is gone that it was made with.

    version: of the Python it was made for. named: the interpreter that it was made with.
    """

    interpreter: Interpreter
    version: pins.Version
    named: str


def runtime_folder(home: Path, version: pins.Version) -> Path:
    """Where the runtime for a Python lives; other pins, another folder."""
    pinned = pins.fingerprint(pins.torch_lock(), pins.trainer_lock(version))[:8]
    return home / f"python-{pins.name(version)}-{pinned}"


def packages_folder(runtime: Path) -> Path:
    return runtime / PACKAGES_NAME


def conda_folder(runtime: Path) -> Path:
    """The prefix with what was brought from conda-forge, if anything was."""
    return runtime / CONDA_NAME


def interpreter(runtime: Path, python: str) -> Interpreter:
    """An interpreter with the packages of a runtime's folder."""
    return Interpreter(python, str(packages_folder(runtime)))


def note_interpreter(runtime: Path, base: Base) -> None:
    """Write with what a runtime is made. Raises OSError."""
    text = json.dumps({"python": base.python, "version": pins.name(base.version)}, indent=1)
    (runtime / RUNTIME_NOTE).write_text(text, encoding="utf-8")


def installed(home: Path) -> Installed | None:
    """The runtime that was installed, sound or not, None where there is none; looks at a few files, starts nothing.

    Of several it is the first whose interpreter is there.
    """
    found = [each for version in pins.PYTHONS if (each := _installed(home, version)) is not None]
    return next((each for each in found if each.interpreter.path), found[0] if found else None)


def _installed(home: Path, version: pins.Version) -> Installed | None:
    runtime = runtime_folder(home, version)
    if not runtime.is_dir():
        return None
    named = _noted(runtime)
    python = named if named and os.path.isfile(named) else ""
    if not python and version == sys.version_info[:2]:
        python = deletion.own_python()  # Blender was moved or replaced by another with the same Python
    return Installed(interpreter(runtime, python), version, named)


def _noted(runtime: Path) -> str:
    """The interpreter that a runtime names, "" where that cannot be read."""
    try:
        python = json.loads(read_limited(runtime / RUNTIME_NOTE, MOST_NOTE_BYTES))["python"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return python if isinstance(python, str) and os.path.isabs(python) else ""


class FolderLock:
    """A lock that is held. enforced: False on a file system that knows no locks, where it keeps nobody out."""

    def __init__(self, handle: int, enforced: bool) -> None:
        self._handle = handle
        self.enforced = enforced

    @classmethod
    def acquire(cls, home: Path) -> FolderLock | None:
        """The lock of a folder, None when somebody has it. Raises OSError where the folder cannot be written."""
        handle = os.open(home / LOCK_NAME, _FLAGS, 0o666)  # not inherited by what is started
        try:
            if _WINDOWS:
                msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _HELD:
                os.close(handle)
                return None
            return cls(handle, enforced=False)
        return cls(handle, enforced=True)

    def release(self) -> None:
        """Let go. The file stays: removing it would let two in."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
