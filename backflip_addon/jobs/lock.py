# SPDX-License-Identifier: GPL-3.0-or-later
"""A lock that the operating system holds for a process and lets go at its end, however it ends.

So there are no stale locks to be broken: what is left of a crashed Blender or a killed trainer is an empty file
that nobody holds. Standard library alone.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import json
import os
import socket
import time
from pathlib import Path
from typing import Any, BinaryIO

from ..core.files import open_regular
from .json_files import JobError, read_json
from .os_processes import process_alive

_WINDOWS = os.name == "nt"
# Each system has one of them, and a type checker knows its own system's alone.
msvcrt: Any = importlib.import_module("msvcrt") if _WINDOWS else None
fcntl: Any = None if _WINDOWS else importlib.import_module("fcntl")

RETRY_SECONDS = 0.02
OWNER_SILENT_SECONDS = 60.0  # on a file system without locks: an owner elsewhere who has not touched its file is dead
_HELD = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)
_UNKNOWN = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)  # no locks on this file system


class FileLock:
    """A lock on a file, for one holder on one machine or, where the file system can, on all."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None
        self._owns_name = False

    def acquire(self, seconds: float = 0.0) -> bool:
        """Take the lock, trying for so long; False when another has it. Raises OSError and RefusedFile (a link)."""
        end = time.monotonic() + seconds
        while not self._try():
            if time.monotonic() >= end:
                return False
            time.sleep(RETRY_SECONDS)
        return True

    def release(self) -> None:
        """Let go; the file stays, for removing it would let two in."""
        if self._owns_name:
            self._name.unlink(missing_ok=True)
            self._owns_name = False
        if self._file is not None:
            with contextlib.suppress(OSError):
                _unlock(self._file)
            self._file.close()
            self._file = None

    def touch(self) -> None:
        """Show other machines that the holder lives, where that is all they can go by."""
        if self._owns_name:
            os.utime(self._name)

    @property
    def _name(self) -> Path:
        return self.path.with_name(f"{self.path.name}.owner")

    def _try(self) -> bool:
        # The handle is not inherited (PEP 446): a worker that outlives its trainer holds nothing.
        file = open_regular(self.path, os.O_RDWR | os.O_CREAT)
        taken = False
        try:
            locked = _lock(file)
            taken = self._take_name() if locked is None else locked and _is_at(file, self.path)
        finally:
            if not taken:
                file.close()
        self._file = file if taken else None
        return taken

    def _take_name(self) -> bool:
        """For file systems without locks (some of clusters): a file that only one can make.

        It can outlive its owner: on this machine the owner's process tells, of another machine its silence does.
        """
        facts = json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode()
        for _ in range(2):
            try:
                handle = os.open(self._name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
            except FileExistsError:
                if not self._owner_is_dead():
                    return False
                self._name.unlink(missing_ok=True)
                continue
            with os.fdopen(handle, "wb") as file:
                file.write(facts)
            self._owns_name = True
            return True
        return False

    def _owner_is_dead(self) -> bool:
        try:
            age = time.time() - os.lstat(self._name).st_mtime
            owner = read_json(self._name)
        except FileNotFoundError:
            return True
        except JobError:
            return age > OWNER_SILENT_SECONDS
        pid = owner.get("pid")
        if owner.get("host") == socket.gethostname():
            return not (isinstance(pid, int) and process_alive(pid))
        return age > OWNER_SILENT_SECONDS


def is_held(path: Path) -> bool | None:
    """Whether anybody holds the lock; None where that cannot be known. Raises nothing and disturbs nobody.

    A look takes the lock, shared with other looks, for a moment: whoever acquires it must try for longer.
    """
    try:
        with open_regular(path) as file:
            locked = _lock(file, shared=True)
            if locked:
                _unlock(file)
            return None if locked is None else not locked
    except FileNotFoundError:
        return False
    except (OSError, ValueError):
        return None


def _lock(file: BinaryIO, shared: bool = False) -> bool | None:
    """Take the system's lock: True, or False when another has it, or None where there are none. Raises OSError."""
    try:
        if _WINDOWS:
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # of an empty file: what is locked cannot be read
        else:
            fcntl.flock(file.fileno(), (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            return False
        if error.errno in _UNKNOWN:
            return None
        raise
    return True


def _unlock(file: BinaryIO) -> None:
    if _WINDOWS:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
    else:
        fcntl.flock(file.fileno(), fcntl.LOCK_UN)


def _is_at(file: BinaryIO, path: Path) -> bool:
    """Whether an open file still is the one of that name: it may have been removed before it was locked."""
    with contextlib.suppress(OSError):
        return os.path.samestat(os.fstat(file.fileno()), os.lstat(path))
    return False
