# SPDX-License-Identifier: GPL-3.0-or-later
"""How files from elsewhere are read: whatever is wrong with one becomes a sentence, and nothing is unpacked or
allocated before its size has been held against a limit.

A reader wears @told; it may raise what it likes, and its caller sees UnreadableFile alone.
"""

from __future__ import annotations

import functools
import io
import json
import math
import zipfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, BinaryIO, ParamSpec, TypeVar

import numpy as np

from .files import RefusedFile, read_limited

MOST_FILE_BYTES = 256_000_000  # of a clip on disk; the largest of AMASS have 60 MB
MOST_UNPACKED_BYTES = 200_000_000  # of what a clip's archive holds: MOST_FRAMES of a body with fingers
MOST_FRAMES = 100_000  # of a clip: a quarter of an hour at 120 frames/s
MOST_JOINTS = 2_000
MOST_POSES = 4_000_000  # frames times joints: 512 MB of matrices
MOST_FREE_POSES = 1_000_000  # of a file that holds few numbers, whose joints mostly keep still: 128 MB
MOST_MEMBERS = 100  # of an archive
MOST_NUMBER = 1e9  # of a place or an offset, any unit; what is larger is no body's
_MOST_WORDS = 300  # letters of a sentence
_ENCRYPTED = 0x1  # of a zip member's flags

P = ParamSpec("P")
T = TypeVar("T")


class UnreadableFile(ValueError):
    """A file that cannot be used; the message is one sentence for the user, with the file's name."""

    def __init__(self, words: str) -> None:
        line = one_line(words)
        super().__init__(line if len(line) < _MOST_WORDS else f"{line.rstrip(' .')}.")


def one_line(words: object) -> str:
    """A sentence or an error on one line of sensible length: what libraries say, or quote, may go on for pages."""
    return " ".join(str(words).split())[:_MOST_WORDS]


def told(reader: Callable[P, T]) -> Callable[P, T]:
    """A reader whose first argument is a path, and of whose errors the caller sees UnreadableFile alone."""

    @functools.wraps(reader)
    def reading(*args: P.args, **kwargs: P.kwargs) -> T:
        path = Path(str(args[0]))
        try:
            return reader(*args, **kwargs)
        except UnreadableFile:
            raise
        except MemoryError:
            raise UnreadableFile(f"{path.name} needs more memory than there is.") from None
        except RefusedFile as error:
            raise UnreadableFile(f"{error}.") from error
        except FileNotFoundError:
            raise UnreadableFile(f"{path.name} is missing.") from None
        except OSError as error:
            raise UnreadableFile(f"{path.name} cannot be read: {error.strerror or 'it is damaged'}.") from error
        except Exception as error:  # a damaged file raises a dozen kinds
            raise UnreadableFile(_sentence(path.name, error)) from error

    return reading


def _sentence(name: str, error: Exception) -> str:
    """One line on what a reader met."""
    words = " ".join(str(error).split())
    if isinstance(error, ValueError) and name in words:
        return words[:_MOST_WORDS]  # its own sentence
    if isinstance(error, RecursionError):
        words = "its parts are nested too deeply"
    elif isinstance(error, (KeyError, StopIteration)):
        words = f"{words or 'a part'} is missing"
    return f"{name} is damaged or of another kind: {(words or type(error).__name__)[:_MOST_WORDS].rstrip('.')}."


# Text


def read_text(path: Path, most: int = MOST_FILE_BYTES) -> str:
    """A text file's content, in UTF-8 (with or without a mark), UTF-16 with its mark, or Latin-1."""
    data = read_limited(path, most, follow=True)
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")  # names of joints by a program of long ago


def read_json(path: Path, most: int = MOST_FILE_BYTES) -> Any:
    """A JSON file's content, see parse_json."""
    return parse_json(read_text(path, most))


def parse_json(text: str | bytes) -> Any:
    """JSON whose numbers are all finite and fit into 64 bits. Raises ValueError."""
    return json.loads(text, parse_constant=_no_number, parse_int=_whole, parse_float=_decimal)


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number")


def _whole(text: str) -> int | float:
    if len(text) > 400:
        raise ValueError(f"a number has {len(text)} digits")
    value = int(text)
    return value if abs(value) < 2**63 else _decimal(text)


def _decimal(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is too large a number")
    return value


# Archives of arrays


def npz_names(path: Path) -> set[str]:
    """The names of the arrays in an npz file."""
    with zipfile.ZipFile(io.BytesIO(read_limited(path, MOST_FILE_BYTES, follow=True))) as archive:
        return set(_members(archive, MOST_UNPACKED_BYTES))


def read_npz(
    path: Path, most: int = MOST_UNPACKED_BYTES, only: Collection[str] = (), follow: bool = True
) -> dict[str, np.ndarray]:
    """The arrays of an npz file: numbers, truth values and text, no objects. Raises ValueError and zipfile's errors.

    most: bytes unpacked, of all members or of those in only, where only is given.
    """
    return unpack_npz(io.BytesIO(read_limited(path, min(most, MOST_FILE_BYTES), follow)), most, only)


def unpack_npz(file: BinaryIO, most: int, only: Collection[str] = ()) -> dict[str, np.ndarray]:
    """read_npz() of an open file."""
    with zipfile.ZipFile(file) as archive:
        members = _members(archive, most, only)
        return {name: _array(archive, member, most) for name, member in members.items()}


def _members(archive: zipfile.ZipFile, most: int, only: Collection[str] = ()) -> dict[str, zipfile.ZipInfo]:
    infos = archive.infolist()
    if len(infos) > MOST_MEMBERS:
        raise ValueError(f"it holds {len(infos)} parts")
    found: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        name = info.filename.removesuffix(".npy")
        if name == info.filename or name in found or info.flag_bits & _ENCRYPTED:
            raise ValueError("it is no archive of arrays")
        if not only or name in only:
            found[name] = info
    if sum(info.file_size for info in found.values()) > most:
        raise ValueError(f"it unpacks to more than {most / 1e6:.0f} MB")
    return found


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo, most: int) -> np.ndarray:
    """One array, whose header is held against the bytes that are there before anything is allocated."""
    with archive.open(info) as member:
        version = np.lib.format.read_magic(member)
        if version not in ((1, 0), (2, 0)):
            raise ValueError("an array is of a later kind than is known")
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        try:
            shape, by_columns, dtype = read_header(member)
        except Exception as error:  # numpy gives advice on how to read it all the same
            raise ValueError("an array's header cannot be read") from error
        if dtype.hasobject or dtype.names is not None or dtype.subdtype is not None or dtype.kind not in "biufUS":
            raise ValueError("an array holds something else than numbers and text")
        if dtype.itemsize == 0 or any(not isinstance(n, int) or n < 0 for n in shape):
            raise ValueError("an array has no sensible size")
        size = math.prod(shape) * dtype.itemsize
        if size > most or size > info.file_size:
            raise ValueError("an array is larger than what is there")
        data = member.read(size)
    if len(data) != size:
        raise ValueError("an array is cut off")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if by_columns else "C").copy()


def most_poses(numbers: int) -> int:
    """How many frames times joints a clip that holds so many numbers may make: a small file no gigabytes."""
    return min(MOST_POSES, MOST_FREE_POSES + numbers)


def finite(*arrays: np.ndarray, most: float = MOST_NUMBER) -> bool:
    """Whether all numbers are finite and none is larger than any body's."""
    return all(bool(np.isfinite(a).all()) and (a.size == 0 or float(np.abs(a).max()) <= most) for a in arrays)
