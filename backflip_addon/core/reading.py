# SPDX-License-Identifier: GPL-3.0-or-later
"""How files from elsewhere are read: whatever is wrong with one becomes a sentence, and nothing is unpacked or
allocated before its size has been held against a limit.

A reader wears @told; it may raise what it likes, and its caller sees UnreadableFile alone.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np

from .arrays import AnyArray, Array
from .files import RefusedFile, read_limited

MOST_FILE_BYTES = 256_000_000  # of a clip on disk; the largest of AMASS have 60 MB
MOST_FRAMES = 100_000  # of a clip: a quarter of an hour at 120 frames/s
LEAST_RATE, MOST_RATE = 1.0, 1000.0  # frames/s of a clip
MOST_JOINTS = 2_000
MOST_POSES = 4_000_000  # frames times joints: 512 MB of matrices
MOST_FREE_POSES = 1_000_000  # of a file that holds few numbers, whose joints mostly keep still: 128 MB
MOST_NUMBER = 1e9  # of a position or an offset, any unit; what is larger is no body's
_MOST_WORDS = 300  # letters of a sentence

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
    raise ValueError(f"{text} is not a number")


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


# Sizes and numbers


def most_poses(numbers: int) -> int:
    """How many frames times joints a clip that holds so many numbers may make: a small file no gigabytes."""
    return min(MOST_POSES, MOST_FREE_POSES + numbers)


def frames_of_numbers(file: str, frames: Any, width: int) -> Array:
    """A clip's frames (F, width), of lists or an array. Raises UnreadableFile, with the frame that is none."""
    if isinstance(frames, list):
        for number, frame in enumerate(frames, 1):
            if not isinstance(frame, list) or len(frame) != width or not {*map(type, frame)} <= {int, float}:
                raise UnreadableFile(f"{file} is not a humanoid clip: its frame {number} is not {width} numbers.")
        frames = np.array(frames, dtype=float)
    sound = isinstance(frames, np.ndarray) and frames.dtype.kind in "iuf" and frames.shape[1:] == (width,)
    if not sound or len(frames) < 2:
        raise UnreadableFile(f"{file} is not a humanoid clip: it needs two or more frames of {width} numbers.")
    return np.array(frames, dtype=float)


def finite(*arrays: AnyArray, most: float = MOST_NUMBER) -> bool:
    """Whether all numbers are finite and none is larger than any body's."""
    return all(bool(np.isfinite(a).all()) and (a.size == 0 or float(np.abs(a).max()) <= most) for a in arrays)
