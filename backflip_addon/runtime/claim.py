# SPDX-License-Identifier: GPL-3.0-or-later
"""One installation at a time in a folder, whichever Blender it belongs to.

The system holds the lock for a process and lets it go when the process ends, however it ends: so whoever has it knows
that no unfinished installation in the folder is still at work.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

if os.name == "nt":
    import msvcrt
else:
    import fcntl

LOCK_NAME = "install.lock"
TAKEN = "The trainer's Python is being installed or removed just now, by this or another Blender; wait for its end."
_HELD = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)
_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


class Claim:
    """A lock that is held. sure: False on a file system that knows no locks, where it keeps nobody out."""

    def __init__(self, handle: int, sure: bool) -> None:
        self._handle = handle
        self.sure = sure

    @classmethod
    def take(cls, home: Path) -> Claim | None:
        """The lock of a folder, None when somebody has it. Raises OSError where the folder cannot be written."""
        handle = os.open(home / LOCK_NAME, _FLAGS, 0o666)  # not inherited by what is started
        try:
            if os.name == "nt":
                msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _HELD:
                os.close(handle)
                return None
            return cls(handle, sure=False)
        return cls(handle, sure=True)

    def release(self) -> None:
        """Let go. The file stays: removing it would let two in."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
