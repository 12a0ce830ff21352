# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands along the reference's time: what touches the floor in it, and how sure a video was of each part."""

from __future__ import annotations

import dataclasses

import bpy
import numpy as np
from bpy.app.translations import pgettext_iface as translated

from ..core.arrays import Array
from ..core.clips.video_motion import HIDDEN, PARTS
from ..core.measures.course import phases
from ..core.measures.overview import Overview
from ..operators import video_result, viewport_lines
from . import flat_drawing as flat
from .colours import Colour, Palette
from .flat_drawing import CORNERS, boxes

WIDTH, ROW, LABEL = 240, 12, 92  # pixels at a resolution scale of 1, as all here
FULL = 0.8  # of a row's height that is filled
_LETTERS, _PAD = 10, 4
WHOLE_WIDTH = LABEL + WIDTH + 2 * _PAD

MOST_CELLS = 75
_OPACITY = 0.9


@dataclasses.dataclass(frozen=True)
class Strip:
    """rows: what they are called, from above. corners (N, 2) of triangles: 0 to 1 along the time, and rows counted from
    below; colours (N, 4) of them. now: where the current frame is, 0 to 1 within the strip."""

    rows: tuple[str, ...]
    corners: Array
    colours: Array
    now: float

    def height(self) -> float:
        """Pixels at a resolution scale of 1."""
        return ROW * len(self.rows) + 2 * _PAD


def draw(strip: Strip, left: float, bottom: float, scale: float, palette: Palette) -> None:
    """Draw a row for each part, and where the current frame is, with the lower left corner there, pixels."""
    low = np.array([left, bottom])
    whole = np.array([WHOLE_WIDTH, strip.height()]) * scale
    flat.draw_triangles(flat.boxes(low, low + whole), palette.ground, 0.7)
    start, size = low + np.array([LABEL + _PAD, _PAD]) * scale, np.array([WIDTH, ROW]) * scale
    if len(strip.corners):
        flat.draw_mixed(start + strip.corners * size, strip.colours)
    if 0.0 <= strip.now <= 1.0:
        head = start + np.array([strip.now * size[0] - scale, 0.0])
        flat.draw_triangles(flat.boxes(head, head + np.array([2 * scale, len(strip.rows) * size[1]])), palette.text)
    for row, words in enumerate(reversed(strip.rows)):
        foot = float(start[1] + (row * ROW + 1) * scale)
        flat.draw_text(translated(words), left + _PAD * scale, foot, _LETTERS * scale, palette.text)


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
