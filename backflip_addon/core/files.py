# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that may come from a stranger: read with limits and never through a link that leads elsewhere. Standard
library alone.

A name in a job folder may be a link out of it, a pipe that never answers, or a file of many gigabytes; and
what we write must never go where such a link points.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)  # or opening a pipe waits for whoever writes into it
_BINARY = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_NAME_SURROGATE = 0x20000000  # of Windows' reparse tags, those that stand for another name; others mean "in a cloud"
_WINDOWS = os.name == "nt"
_EXTENDED = "\\\\?\\"
REPLACE_SECONDS = 0.5  # of trying again; a scanner or reader is done in some hundredths
REPLACE_PAUSE_SECONDS = 0.02
MOST_PATH = 259  # letters of a path on Windows where long ones are not allowed (MAX_PATH less its closing zero)
TEMPORARY = ".tmp"  # how the names of files that are being written end


class RefusedFile(ValueError):
    """A file that will not be opened; the message is one sentence for the user, without a full stop."""


def open_regular(path: Path, flags: int = os.O_RDONLY, follow: bool = False) -> BinaryIO:
    """Open a regular file: no link, pipe, device or folder. flags: of os.open, O_RDONLY or O_WRONLY | O_APPEND.

    follow: a link is fine (a file that the user named, not one inside a folder from elsewhere).
    Raises RefusedFile, and OSError as open() does.
    """
    path = Path(path)
    writes = flags & (os.O_WRONLY | os.O_RDWR)
    # Windows knows no O_NOFOLLOW and opens no folder; elsewhere the look makes for the better sentence.
    if not follow and is_link(path):
        raise RefusedFile(f"{path.name} is a link; Backflip follows no links in a training's folder")
    if os.path.exists(path) and not os.path.isfile(path):
        raise RefusedFile(f"{path.name} is not a regular file")
    try:
        handle = os.open(path, flags | _BINARY | _NO_WAIT | (0 if follow else _NO_FOLLOW), 0o666)
    except ValueError as error:
        raise RefusedFile(f"{path.name!r} is not a file name ({error})") from error
    try:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode):
            raise RefusedFile(f"{path.name} is not a regular file")
        if writes and facts.st_nlink > 1:
            raise RefusedFile(f"{path.name} is a second name of another file; Backflip does not write to it")
        return os.fdopen(handle, "ab" if flags & os.O_APPEND else "wb" if writes else "rb")
    except BaseException:
        os.close(handle)
        raise


def read_limited(path: Path, most: int, follow: bool = False) -> bytes:
    """A regular file's bytes. Raises RefusedFile when it holds more than most, and as open_regular does."""
    with open_regular(path, follow=follow) as file:
        size = os.fstat(file.fileno()).st_size
        data = file.read(size + 1) if size <= most else b""
    if max(size, len(data)) > most:
        raise RefusedFile(f"{path.name} is larger than the {_size(most)} that such a file may have")
    return data


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file to a temporary name of its own and rename it: whole or not at all, and nothing is left behind.

    Whatever stands at path is replaced, a link included (not what it points to). Raises OSError.
    """
    path = Path(path)
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex[:12]}{TEMPORARY}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY | _NO_FOLLOW, 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def replace(source: Path, target: Path) -> None:
    """os.replace(), tried for a moment where Windows refuses: another program may have either open just now.

    A virus scanner looks into every new file, and a reader in Blender has a file open for as long as it reads; what
    stays open longer (a trainer's libraries) is an error. Raises OSError.
    """
    end = time.monotonic() + REPLACE_SECONDS
    while True:
        try:
            os.replace(source, target)
            return
        except PermissionError:
            if not _WINDOWS or time.monotonic() >= end:
                raise
            time.sleep(REPLACE_PAUSE_SECONDS)


def extended(path: Path) -> str:
    """A path in the words in which Windows takes it however long it is; elsewhere the path itself.

    Source: Microsoft, "Maximum Path Length Limitation".
    """
    text = str(path)
    if not _WINDOWS or text.startswith(_EXTENDED):
        return text
    return f"{_EXTENDED}UNC{text[1:]}" if text.startswith("\\\\") else f"{_EXTENDED}{text}"


def too_deep(folder: Path, inside: int) -> str:
    """The sentence for a folder in which Windows would refuse paths of so many letters more, "" for any other."""
    letters = len(str(folder)) + 1 + inside
    if not _WINDOWS or letters <= MOST_PATH or long_paths_allowed():
        return ""
    return (
        f"The folder {folder} is too deep for Windows: paths of {letters} letters would be needed, and it takes "
        f"{MOST_PATH}; choose another, or enable long paths (LongPathsEnabled in the registry), and try again."
    )


def long_paths_allowed() -> bool:
    """Whether this Windows takes paths of more than 260 letters from programs that can name them, as Python can."""
    try:
        import winreg

        key = winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"SYSTEM\CurrentControlSet\Control\FileSystem")  # type: ignore[attr-defined]  # Windows alone has it
        return bool(winreg.QueryValueEx(key, "LongPathsEnabled")[0])  # type: ignore[attr-defined]
    except (ImportError, OSError):
        return False


def is_link(path: Path) -> bool:
    """Whether a path is a symbolic link, or on Windows a junction."""
    try:
        facts = os.lstat(path)
    except (OSError, ValueError):
        return False
    return stat.S_ISLNK(facts.st_mode) or bool(getattr(facts, "st_reparse_tag", 0) & _NAME_SURROGATE)


def is_own_folder(path: Path) -> bool:
    """Whether a path is a folder itself, not a link to one."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode) and not is_link(path)
    except (OSError, ValueError):
        return False


def _size(count: int) -> str:
    return f"{count / 1e6:.0f} MB" if count >= 1_000_000 else f"{count / 1e3:.0f} kB"
