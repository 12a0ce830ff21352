# SPDX-License-Identifier: GPL-3.0-or-later
"""What touches the floor in the reference, as a strip along its time."""

from __future__ import annotations

import bpy
import numpy as np

from ..core.arrays import Array
from ..core.measures.course import phases
from ..core.measures.overview import Overview
from ..operators import viewport_lines
from . import flat_drawing as flat
from .colours import Palette
from .strip_drawing import FULL, Strip

_OPACITY = 0.9


def strip(scene: bpy.types.Scene, palette: Palette) -> Strip | None:
    """The strip of the scene's reference; None where there is none to be shown."""
    found = viewport_lines.contacts(scene)
    if found is None:
        return None
    seen, now = found
    corners = bars_of(seen)
    colours = np.tile([*palette.roles["reference"], _OPACITY], (len(corners), 1))
    return Strip(seen.parts, corners, colours, now)


def bars_of(seen: Overview) -> Array:
    """Corners (6 N, 2) of a bar for each contact: shares of the time, rows from below; the first part at the top."""
    count, rows = len(seen.centre), len(seen.parts)
    low, high = [], []
    for part in range(rows):
        row = rows - 1 - part
        for start, end in phases(seen.touching[:, part]):
            low.append((start / (count - 1), row))
            high.append((min(end, count - 1) / (count - 1), row + FULL))
    return flat.boxes(low, high) if low else np.zeros((0, 2))
