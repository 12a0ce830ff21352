# SPDX-License-Identifier: GPL-3.0-or-later
"""Putting the add-on's own runtime right: what is left behind removed, a damaged one made anew.

Installing and deleting go on in processes of their own, to be polled.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from . import deletion
from .deletion import Removal
from .folders import FolderLock
from .install import Installation

# Where the file system knows no locks, an unfinished installation that old is taken for a broken-off one: it downloads
# some 390 MB, which takes two hours at 55 kB/s.
LEFT_BEHIND_SECONDS = 2 * 3600.0


def clean(home: str | Path) -> Removal:
    """Begin to remove what broken-off installations and removals left, nothing of an installation at work.

    What was being removed goes in any case; unfinished installations only where none can be at work.
    """
    home = Path(home)
    found = deletion.leftovers(home)
    lock = None
    with contextlib.suppress(OSError):  # of a folder that cannot be written
        lock = FolderLock.acquire(home) if found else None
    if lock is None:  # nothing is left, an installation is at work in this or another Blender, or nobody can know
        return deletion.delete(path for path in found if path.name.startswith(deletion.GOING_PREFIX))
    try:
        return deletion.delete(path for path in found if lock.enforced or _is_old(path))
    finally:
        lock.release()


def begin(home: str | Path, python: str = "", wheels: str = "") -> Installation:
    """Begin to install the runtime again; the damaged one is replaced when the new one is whole."""
    clean(home)
    return Installation.begin(home, python, wheels)


def _is_old(path: Path) -> bool:
    with contextlib.suppress(OSError):
        return time.time() - path.lstat().st_mtime > LEFT_BEHIND_SECONDS
    return False
