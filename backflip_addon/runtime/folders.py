# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of an installed runtime: packages/, compiled/, python.json, which names the interpreter, and conda/ where
PyBullet was brought from conda-forge.

The interpreter is not part of it: Blender's own mostly, which may have been moved or replaced since.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path

from ..core.files import read_limited
from ..core.isolation import RUNTIME_NOTE, Interpreter
from ..core.start_with_packages import CONDA_NAME
from . import deletion, pins
from .pythons import Base

PACKAGES_NAME = "packages"
MOST_NOTE_BYTES = 10_000


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
