# SPDX-License-Identifier: GPL-3.0-or-later
"""Removing the add-on's own runtime, with all that was left behind. Deleting goes on in a process of its own."""

from __future__ import annotations

from pathlib import Path

from . import deletion, pins
from .deletion import Removal
from .folders import BUSY, FolderLock, runtime_folder
from .install import LOG_NAME
from .progress import error_words


class RuntimeFolderError(Exception):
    """Why the runtime cannot be removed, in one sentence for the user."""


def is_there(home: str | Path) -> bool:
    """Whether there is anything to remove."""
    return bool(deletion.runtimes(Path(home)) or deletion.leftovers(Path(home)))


def remove(home: str | Path) -> Removal:
    """Begin to remove the installed runtime, those of other versions that no training uses, and all that was left.

    Raises RuntimeFolderError when an installation is at work, when a training uses the installed runtime, and when the
    folder cannot be written.
    """
    home = Path(home)
    if not is_there(home):
        return deletion.delete(())
    try:
        lock = FolderLock.acquire(home)
    except OSError as error:
        raise RuntimeFolderError(error_words(error, home)) from error
    if lock is None:
        raise RuntimeFolderError(BUSY)
    try:
        paths = _set_aside(home)
        (home / LOG_NAME).unlink(missing_ok=True)
        return deletion.delete(paths, "The trainer's Python was removed.")
    except OSError as error:
        raise RuntimeFolderError(error_words(error, home)) from error
    finally:
        lock.release()


def _set_aside(home: Path) -> list[Path]:
    """Rename the runtimes that no training uses; returns all that is to go. Raises RuntimeFolderError and OSError."""
    runtimes = deletion.runtimes(home)
    busy = [folder for folder in runtimes if deletion.in_use(folder)]
    if any(runtime_folder(home, version) in busy for version in pins.PYTHONS):
        raise RuntimeFolderError("A training runs with the trainer's Python; stop it first.")
    for folder in runtimes:
        if folder not in busy:
            deletion.set_aside(folder)
    return deletion.leftovers(home)
