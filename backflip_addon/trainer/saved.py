# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans and searches on disk: npz files that are read with limits, and that must fit the job.

Everything here raises ValueError with one sentence, without a full stop, on a file that is damaged or foreign.
"""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..core.files import RefusedFile, read_limited, write_whole
from .search import Plan
from .tracking import Track

PLAN_FILE = "plan.npz"  # a landed plan, in stages/
SEARCH_FILE = "search.npz"  # a search under way, in stages/
MOST_BYTES = 64_000_000  # of such a file, packed and unpacked; ours have some hundred thousand
MOST_ARRAYS = 64
LARGEST_KNOT = 100  # control steps between knots
LARGEST_OFFSET = 100.0  # rad


def write_arrays(path: Path, arrays: dict[str, Any]) -> None:
    """Write an npz file whole or not at all. Raises OSError."""
    packed = io.BytesIO()
    np.savez(packed, **{key: np.asarray(value) for key, value in arrays.items()})

    def write(file: BinaryIO) -> None:
        file.write(packed.getbuffer())

    write_whole(path, write)


def read_arrays(path: Path) -> dict[str, np.ndarray] | None:
    """An npz file's arrays; None when there is no such file."""
    try:
        data = io.BytesIO(read_limited(path, MOST_BYTES))
    except FileNotFoundError:
        return None
    except RefusedFile as error:
        raise ValueError(f"{path.name} cannot be read: {error}") from error
    try:
        with zipfile.ZipFile(data) as archive:
            entries = archive.infolist()
            if len(entries) > MOST_ARRAYS or sum(entry.file_size for entry in entries) > MOST_BYTES:
                raise ValueError("too large")
            for entry in entries:
                with archive.open(entry) as file:
                    _check_header(file, entry.file_size)
        data.seek(0)
        with np.load(data, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except Exception as error:  # a damaged zip raises a dozen kinds
        raise ValueError(f"{path.name} is damaged and cannot be read") from error


def _check_header(file: Any, size: int) -> None:
    """Raises ValueError where an array says that it is larger than what is stored: numpy would make room for it."""
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    shape, _, dtype = read[version](file)
    count = 1
    for length in shape:
        count *= length
    if dtype.hasobject or not 0 <= count * dtype.itemsize <= size:
        raise ValueError("not what it says")


def read_plan(path: Path, track: Track) -> Plan | None:
    """A plan that fits a track; None when there is none."""
    arrays = read_arrays(path)
    if arrays is None:
        return None
    knots, knot = arrays.get("knots"), arrays.get("knot")
    if knots is None or knot is None or knot.shape or knot.dtype.kind not in "iu" or not 1 <= int(knot) <= LARGEST_KNOT:
        raise ValueError(f"{path.name} holds no plan")
    if knots.dtype.kind != "f" or knots.ndim != 2 or not len(knots) or not np.all(np.abs(knots) <= LARGEST_OFFSET):
        raise ValueError(f"{path.name} is damaged: its plan is no table of joint offsets")
    if knots.shape[1] != track.width:
        raise ValueError(f"{path.name} belongs to another body or clip")
    return Plan(knots.astype(float), int(knot))


def set_aside(path: Path) -> Path:
    """Give what is damaged another name, so that its own is free; returns the new one. Raises OSError."""
    number = 1
    while os.path.lexists(aside := path.with_name(f"{path.name[:200]}.damaged-{number}")):
        number += 1
    os.rename(path, aside)
    return aside
