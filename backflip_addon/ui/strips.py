# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands along the reference's time: what touches the floor in it, and how sure a video was of each part."""

from __future__ import annotations

import bpy
import numpy as np

from ..core.arrays import Array
from ..core.clips.video_motion import HIDDEN, PARTS
from ..core.measures.course import phases
from ..core.measures.overview import Overview
from ..operators import video_result, viewport_lines
from .colours import Colour, Palette
from .flat_drawing import CORNERS, boxes
from .strip_drawing import FULL, Strip

MOST_CELLS = 75
_OPACITY = 0.9


def contacts(scene: bpy.types.Scene, palette: Palette) -> Strip | None:
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
    return boxes(low, high) if low else np.zeros((0, 2))


def sureness(scene: bpy.types.Scene, palette: Palette) -> Strip | None:
    """The strip of the scene's video; None where there is none to be shown."""
    sure = video_result.sureness(scene)
    if sure is None:
        return None
    corners, colours = cells_of(sure, palette.roles["unsure"], palette.roles["landed"])
    return Strip(tuple(part.capitalize() for part in PARTS), corners, colours, video_result.share_of_strip(scene))


def cells_of(sure: Array, lowest: Colour, highest: Colour) -> tuple[Array, Array]:
    """Corners (6 N, 2) of a strip's rectangles, in shares of the time and rows from below, and the colour (6 N, 4) of
    each, from that of what is hidden to that of what is sure.

    sure (F, P): 0 to 1; several frames fall into one cell where there are many, which then shows the least of them.
    """
    count = min(len(sure), MOST_CELLS)
    starts = np.arange(count) * len(sure) // count
    least = np.minimum.reduceat(sure, starts, axis=0)[:, ::-1]  # the first part stands at the top
    places = np.stack(np.meshgrid(np.arange(count), np.arange(sure.shape[1]), indexing="ij"), axis=-1).reshape(-1, 1, 2)
    corners = (places + CORNERS * [1.0, FULL]).reshape(-1, 2)
    share = np.clip((least.reshape(-1, 1) - HIDDEN / 2) / (0.8 - HIDDEN / 2), 0.0, 1.0)
    shades = np.array(lowest) + share * (np.array(highest) - np.array(lowest))
    colours = np.concatenate([shades, np.full_like(share, _OPACITY)], axis=1)
    return corners * [1.0 / count, 1.0], np.repeat(colours, 6, axis=0)
