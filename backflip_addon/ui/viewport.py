# SPDX-License-Identifier: GPL-3.0-or-later
"""What is drawn in the 3D viewport: the body over the character, the reference as a ghost, and takes that play."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from ..core.arrays import Array
from ..operators import viewport_lines
from ..operators.base import current_scene
from . import take_drawing

BODY_COLOUR = (0.75, 1.0, 0.25, 0.85)
GHOST_COLOUR = (0.35, 0.75, 1.0, 0.7)

_handles: list[Any] = []
_batches: tuple[int, tuple[Any, ...]] = (-1, ())


def _draw() -> None:
    import gpu

    global _batches
    context = bpy.context
    space = context.space_data
    if isinstance(space, bpy.types.SpaceView3D) and not space.overlay.show_overlays:
        return
    version, *segments = viewport_lines.lines(current_scene(context))
    if version != _batches[0]:
        _batches = (version, tuple(_batch(part) for part in segments))
    gpu.state.blend_set("ALPHA")
    shader = gpu.shader.from_builtin("POLYLINE_UNIFORM_COLOR")
    shader.uniform_float("viewportSize", gpu.state.viewport_get()[2:])
    shader.uniform_float("lineWidth", 1.4)
    for batch, colour in zip(_batches[1], (BODY_COLOUR, GHOST_COLOUR), strict=True):
        if batch is not None:
            shader.uniform_float("color", colour)
            batch.draw(shader)
    gpu.state.blend_set("NONE")


def _batch(segments: Array) -> Any:
    import gpu
    from gpu_extras.batch import batch_for_shader

    if not len(segments):
        return None
    shader = gpu.shader.from_builtin("POLYLINE_UNIFORM_COLOR")
    points: Any = segments.reshape(-1, 3).astype(np.float32)  # a buffer, which the stubs do not know of arrays
    return batch_for_shader(shader, "LINES", {"pos": points})


def register() -> None:
    if bpy.app.background:
        return
    for draw, when in (
        (_draw, "POST_VIEW"),
        (take_drawing.draw_takes, "POST_VIEW"),
        (take_drawing.draw_corner, "POST_PIXEL"),
    ):
        _handles.append(bpy.types.SpaceView3D.draw_handler_add(draw, (), "WINDOW", when))


def unregister() -> None:
    global _batches
    while _handles:
        bpy.types.SpaceView3D.draw_handler_remove(_handles.pop(), "WINDOW")
    _batches = (-1, ())
    take_drawing.forget()
