# SPDX-License-Identifier: GPL-3.0-or-later
"""How sure each part of a motion from a video is, as a strip along the time in the corner of a viewport."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from ..core.arrays import Array
from ..core.clips.video_motion import HIDDEN, PARTS
from ..operators import video
from ..operators.base import current_scene

WIDTH, ROW, LABEL = 300, 12, 66  # pixels at a resolution scale of 1, as all here
_LEFT, _BOTTOM, _LETTERS = 60, 20, 10
MOST_CELLS = 75
_CORNERS = np.array([(0, 0), (1, 0), (1, 1), (0, 0), (1, 1), (0, 1)], dtype=float)
BACKGROUND, HEAD, TEXT = (0.05, 0.05, 0.05, 0.6), (1.0, 1.0, 1.0, 0.9), (0.9, 0.9, 0.9, 1.0)
UNSURE, SURE = np.array([0.9, 0.25, 0.2]), np.array([0.35, 0.8, 0.35])

_handles: list[Any] = []


def cells_of(sure: Array) -> tuple[Array, Array]:
    """Corners (6 N, 2) of a strip's rectangles, in cells and rows from below, and the colour (6 N, 4) of each.

    sure (F, P): 0 to 1; several frames fall into one cell where there are many, which then shows the least of them.
    """
    count = min(len(sure), MOST_CELLS)
    starts = np.arange(count) * len(sure) // count
    least = np.minimum.reduceat(sure, starts, axis=0)[:, ::-1]  # the first part stands at the top
    places = np.stack(np.meshgrid(np.arange(count), np.arange(sure.shape[1]), indexing="ij"), axis=-1).reshape(-1, 1, 2)
    corners = (places + _CORNERS * [1.0, 0.8]).reshape(-1, 2)
    share = np.clip((least.reshape(-1, 1) - HIDDEN / 2) / (0.8 - HIDDEN / 2), 0.0, 1.0)
    colours = np.concatenate([UNSURE + share * (SURE - UNSURE), np.full_like(share, 0.9)], axis=1)
    return corners * [1.0 / count, 1.0], np.repeat(colours, 6, axis=0)


def _draw() -> None:
    context = bpy.context
    space = context.space_data
    if isinstance(space, bpy.types.SpaceView3D) and not space.overlay.show_overlays:
        return
    scene = current_scene(context)
    sure = video.sureness(scene)
    if sure is None:
        return
    preferences = context.preferences
    scale = preferences.system.ui_scale if preferences is not None else 1.0
    corners, colours = cells_of(sure)
    size = np.array([WIDTH, ROW]) * scale
    start = np.array([_LEFT + LABEL, _BOTTOM]) * scale
    whole = np.array([[-LABEL - 4, -4], [WIDTH + 4, ROW * len(PARTS) + 2]]) * scale + start
    _triangles(whole[0] + _CORNERS * (whole[1] - whole[0]), np.tile(BACKGROUND, (6, 1)))
    _triangles(start + corners * size, colours)
    at = video.share_of_strip(scene)
    if 0.0 <= at <= 1.0:
        head = np.array([at * size[0] - scale, -2 * scale])
        _triangles(start + head + _CORNERS * [2 * scale, ROW * len(PARTS) * scale], np.tile(HEAD, (6, 1)))
    _labels(start, scale)


def _labels(start: Array, scale: float) -> None:
    import blf

    blf.size(0, _LETTERS * scale)
    blf.color(0, *TEXT)
    for row, part in enumerate(reversed(PARTS)):
        blf.position(0, float(start[0] - LABEL * scale), float(start[1] + (row * ROW + 1) * scale), 0)
        blf.draw(0, part.capitalize())


def _triangles(points: Array, colours: Array) -> None:
    import gpu
    from gpu_extras.batch import batch_for_shader

    shader = gpu.shader.from_builtin("FLAT_COLOR")
    places: Any = np.column_stack([points, np.zeros(len(points))]).astype(np.float32)
    shades: Any = colours.astype(np.float32)
    gpu.state.blend_set("ALPHA")
    batch_for_shader(shader, "TRIS", {"pos": places, "color": shades}).draw(shader)
    gpu.state.blend_set("NONE")


def register() -> None:
    if not bpy.app.background:
        _handles.append(bpy.types.SpaceView3D.draw_handler_add(_draw, (), "WINDOW", "POST_PIXEL"))


def unregister() -> None:
    while _handles:
        bpy.types.SpaceView3D.draw_handler_remove(_handles.pop(), "WINDOW")
