# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON files that may come from a stranger, read strictly; and our own, written whole. Standard library alone."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, BinaryIO

from ..core.files import RefusedFile, read_limited, write_whole

MOST_BYTES = 64_000_000  # of a job.json with its avatar; a kilobyte is usual
MOST_SHORT_BYTES = 64_000  # of a request or a heartbeat
MOST_WHOLE = 2**63  # no whole number of ours is larger, and float() of a 400-digit one fails


class JobError(Exception):
    """A job folder that cannot be used; the message is one sentence for the user."""


def read_json(path: Path, most: int = MOST_BYTES, follow: bool = False) -> dict[str, Any]:
    """load_object, and whatever goes wrong is a JobError with one sentence."""
    try:
        return load_object(path, most, follow)
    except FileNotFoundError:
        raise JobError(f"{path} is missing; this is not the folder of a Backflip training.") from None
    except RefusedFile as error:
        raise JobError(f"{path} cannot be read: {error}.") from error
    except OSError as error:
        raise JobError(f"{path} cannot be read: {error.strerror or error}.") from error
    except ValueError as error:
        raise JobError(f"{path} cannot be read; it is damaged or half written ({error}).") from error


def load_object(path: Path, most: int = MOST_BYTES, follow: bool = False) -> dict[str, Any]:
    """One JSON object from a regular file of at most `most` bytes; follow: also through a link (a user's own file).

    Raises OSError and ValueError (RefusedFile).
    """
    return parse_object(read_limited(path, most, follow))


def parse_object(data: bytes) -> dict[str, Any]:
    """One JSON object whose numbers are finite and fit 64 bits, and whose texts can be written.

    Raises ValueError, with no full stop, on all else.
    """
    try:
        text = data.decode("utf-8-sig")
        value = json.loads(text, parse_constant=_refuse, parse_float=_finite, parse_int=_whole)
        if b"\\ud" in data or b"\\uD" in data:
            value = _writable(value)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("it holds no JSON object")
    return value


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Write JSON whole or not at all. Raises OSError."""
    text = json.dumps(data, indent=1).encode()

    def write(file: BinaryIO) -> None:
        file.write(text)

    write_whole(path, write)


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is too large")
    return value


def _whole(text: str) -> int:
    if len(text) > 20 or not -MOST_WHOLE <= (value := int(text)) < MOST_WHOLE:
        raise ValueError("a number is too large")
    return value


def _writable(value: Any) -> Any:
    """value with texts that can be encoded: half a surrogate pair is replaced, Blender's own escapes of bytes stay."""
    if isinstance(value, dict):
        return {_writable(key): _writable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_writable(item) for item in value]
    if isinstance(value, str):
        return "".join("\ufffd" if "\ud800" <= c <= "\udfff" and not "\udc80" <= c <= "\udcff" else c for c in value)
    return value
