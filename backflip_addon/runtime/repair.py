# SPDX-License-Identifier: GPL-3.0-or-later
"""Putting the add-on's own runtime right: what is left behind removed, a damaged one made anew, all of it removed.

Installing and deleting go on in processes of their own, to be polled. Only remove() waits, for the system's list of
processes.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from . import removal
from .folder_lock import BUSY, FolderLock
from .install import LOG_NAME, Installation, runtime_folder
from .progress import error_words
from .removal import Removal

# Where the file system knows no locks, an unfinished installation that old is taken for a broken-off one: it downloads
# some 300 MB, which takes two hours at 40 kB/s.
LEFT_BEHIND_SECONDS = 2 * 3600.0


class RuntimeFolderError(Exception):
    """Why the runtime cannot be removed, in one sentence for the user."""


def clean(home: str | Path) -> Removal:
    """Begin to remove what broken-off installations and removals left, nothing of an installation at work.

    What was being removed goes in any case; unfinished installations only where none can be at work.
    """
    home = Path(home)
    found = removal.leftovers(home)
    lock = None
    with contextlib.suppress(OSError):  # of a folder that cannot be written
        lock = FolderLock.acquire(home) if found else None
    if lock is None:  # nothing is left, an installation is at work in this or another Blender, or nobody can know
        return removal.delete(path for path in found if path.name.startswith(removal.GOING_PREFIX))
    try:
        return removal.delete(path for path in found if lock.enforced or _is_old(path))
    finally:
        lock.release()


def begin(home: str | Path, python: str = "") -> Installation:
    """Begin to install the runtime again; the damaged one is replaced when the new one is whole."""
    clean(home)
    return Installation.begin(home, python)


def is_there(home: str | Path) -> bool:
    """Whether there is anything to remove."""
    return bool(removal.runtimes(Path(home)) or removal.leftovers(Path(home)))


def remove(home: str | Path) -> Removal:
    """Begin to remove the installed runtime, those of other versions that no training uses, and all that was left.

    Raises RuntimeFolderError when an installation is at work, when a training uses the installed runtime, and when the
    folder cannot be written.
    """
    home = Path(home)
    if not is_there(home):
        return removal.delete(())
    try:
        lock = FolderLock.acquire(home)
    except OSError as error:
        raise RuntimeFolderError(error_words(error, home)) from error
    if lock is None:
        raise RuntimeFolderError(BUSY)
    try:
        paths = _set_aside(home)
        (home / LOG_NAME).unlink(missing_ok=True)
        return removal.delete(paths, "The trainer's Python was removed.")
    except OSError as error:
        raise RuntimeFolderError(error_words(error, home)) from error
    finally:
        lock.release()


def _set_aside(home: Path) -> list[Path]:
    """Rename the runtimes that no training uses; returns all that is to go. Raises RuntimeFolderError and OSError."""
    runtimes = removal.runtimes(home)
    busy = [folder for folder in runtimes if removal.in_use(folder)]
    if runtime_folder(home) in busy:
        raise RuntimeFolderError("A training runs with the trainer's Python; stop it first.")
    for folder in runtimes:
        if folder not in busy:
            removal.set_aside(folder)
    return removal.leftovers(home)


def _is_old(path: Path) -> bool:
    with contextlib.suppress(OSError):
        return time.time() - path.lstat().st_mtime > LEFT_BEHIND_SECONDS
    return False
