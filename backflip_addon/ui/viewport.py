# SPDX-License-Identifier: GPL-3.0-or-later
"""What is drawn in the 3D viewport: the body over the character, the reference as a ghost, and takes that play."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from ..core.arrays import Array
from ..operators import viewport_lines
from ..operators.base import current_scene
from ..settings import scene_settings
from . import take_drawing
from .line_legend import BODY_COLOUR, GHOST_COLOUR

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


def _overlay_panel() -> Any:
    return bpy.types.VIEW3D_PT_overlay


def _draw_switch(panel: Any, context: bpy.types.Context) -> None:
    """The one switch for all of it, in the Overlays popover."""
    panel.layout.prop(scene_settings(current_scene(context)).road, "overlays")


def register() -> None:
    if bpy.app.background:
        return
    for draw, when in (
        (_draw, "POST_VIEW"),
        (take_drawing.draw_takes, "POST_VIEW"),
        (take_drawing.draw_corner, "POST_PIXEL"),
    ):
        _handles.append(bpy.types.SpaceView3D.draw_handler_add(draw, (), "WINDOW", when))
    _overlay_panel().append(_draw_switch)


def unregister() -> None:
    global _batches
    if _handles:
        _overlay_panel().remove(_draw_switch)
    while _handles:
        bpy.types.SpaceView3D.draw_handler_remove(_handles.pop(), "WINDOW")
    _batches = (-1, ())
    take_drawing.forget()
