# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans and searches on disk: npz files that are read with limits, and that must fit the job.

Everything here raises ValueError with one sentence, without a full stop, on a file that is damaged or foreign.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from ...core.arrays import AnyArray
from ...core.files import RefusedFile
from ...core.npz import read_npz, write_npz
from ..imitation.reference_track import Track
from ..planning.plan import Plan

PLAN_FILE = "plan.npz"  # a landed plan, in stages/
SEARCH_FILE = "search.npz"  # a search under way, in stages/
MOST_BYTES = 64_000_000  # of such a file, packed and unpacked; ours have some hundred thousand
LARGEST_KNOT = 100  # control steps between knots
LARGEST_OFFSET = 100.0  # rad


def write_arrays(path: Path, arrays: dict[str, Any]) -> None:
    """Write an npz file whole or not at all. Raises OSError."""
    write_npz(path, arrays, compressed=False)


def read_arrays(path: Path) -> dict[str, AnyArray] | None:
    """An npz file's arrays; None when there is no such file."""
    try:
        return read_npz(path, MOST_BYTES, follow=False)
    except FileNotFoundError:
        return None
    except RefusedFile as error:
        raise ValueError(f"{path.name} cannot be read: {error}") from error
    except OSError:
        raise
    except Exception as error:  # a damaged zip raises a dozen kinds
        raise ValueError(f"{path.name} is damaged and cannot be read") from error


def read_plan(path: Path, track: Track) -> Plan | None:
    """A plan that fits a track; None when there is none."""
    arrays = read_arrays(path)
    if arrays is None:
        return None
    knots, knot = arrays.get("knots"), arrays.get("knot")
    if knots is None or knot is None or knot.shape or knot.dtype.kind not in "iu" or not 1 <= int(knot) <= LARGEST_KNOT:
        raise ValueError(f"{path.name} holds no plan")
    if knots.dtype.kind != "f" or knots.ndim != 2 or not len(knots) or not np.all(np.abs(knots) <= LARGEST_OFFSET):
        raise ValueError(f"{path.name} is damaged: its plan is not a table of joint offsets")
    if knots.shape[1] != track.layout.width:
        raise ValueError(f"{path.name} belongs to another body or clip")
    return Plan(knots.astype(float), int(knot))


def set_aside(path: Path) -> Path:
    """Give what is damaged another name, so that its own is free; returns the new one. Raises OSError."""
    number = 1
    while os.path.lexists(aside := path.with_name(f"{path.name[:200]}.damaged-{number}")):
        number += 1
    os.rename(path, aside)
    return aside
