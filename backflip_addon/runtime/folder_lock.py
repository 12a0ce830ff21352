# SPDX-License-Identifier: GPL-3.0-or-later
"""A lock on the folder of the trainer's Python: one installation or removal at a time, whichever Blender's it is.

The system holds the lock for a process and lets it go when the process ends, however it ends: so whoever has it knows
that no unfinished installation in the folder is still at work.
"""

from __future__ import annotations

import errno
import importlib
import os
from pathlib import Path
from typing import Any

_WINDOWS = os.name == "nt"
# Each system has one of them, and a type checker knows its own system's alone.
msvcrt: Any = importlib.import_module("msvcrt") if _WINDOWS else None
fcntl: Any = None if _WINDOWS else importlib.import_module("fcntl")

LOCK_NAME = "install.lock"
BUSY = "The trainer's Python is being installed or removed by this or another Blender; wait until that is done."
_HELD = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)
_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


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
