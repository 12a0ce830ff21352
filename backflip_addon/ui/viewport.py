# SPDX-License-Identifier: GPL-3.0-or-later
"""What is drawn in the 3D viewport: lines of body and reference, takes that play, and the corner that explains them."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from ..core.arrays import Array
from ..operators import take_player, viewport_lines
from ..operators.base import current_scene
from ..operators.viewport_lines import Kind
from ..settings import scene_settings
from . import colours, corner, take_drawing, video_picture
from .corner import LOOKS

_handles: list[Any] = []
_batches: tuple[int, dict[Kind, Any]] = (-1, {})


def _draw_lines() -> None:
    import gpu

    global _batches
    if not _shown():
        return
    version, lines = viewport_lines.lines(current_scene(bpy.context))
    if version != _batches[0]:
        _batches = (version, {kind: _batch(segments) for kind, segments in lines.items()})
    if not _batches[1]:
        return
    palette, scale = colours.palette(bpy.context.space_data), _scale()
    gpu.state.blend_set("ALPHA")
    shader = gpu.shader.from_builtin("POLYLINE_UNIFORM_COLOR")
    shader.uniform_float("viewportSize", gpu.state.viewport_get()[2:])
    for kind, look in LOOKS.items():
        if kind in _batches[1]:
            shader.uniform_float("lineWidth", look.width * scale)
            shader.uniform_float("color", (*palette.roles[look.role], look.opacity))
            _batches[1][kind].draw(shader)
    gpu.state.blend_set("NONE")


def _batch(segments: Array) -> Any:
    import gpu
    from gpu_extras.batch import batch_for_shader

    shader = gpu.shader.from_builtin("POLYLINE_UNIFORM_COLOR")
    points: Any = segments.reshape(-1, 3).astype(np.float32)  # a buffer, which the stubs do not know of arrays
    return batch_for_shader(shader, "LINES", {"pos": points})


def _draw_takes() -> None:
    if _shown():
        take_drawing.draw(take_player.figures(current_scene(bpy.context)), colours.palette(bpy.context.space_data))


def _draw_corner() -> None:
    if _shown():
        corner.draw(current_scene(bpy.context), colours.palette(bpy.context.space_data), _scale())


def _draw_picture() -> None:
    space, region = bpy.context.space_data, bpy.context.region
    if not _shown() or not isinstance(space, bpy.types.SpaceView3D) or region is None or space.region_3d is None:
        return
    video_picture.draw(current_scene(bpy.context), region, space.region_3d, colours.palette(space), _scale())


def _shown() -> bool:
    space = bpy.context.space_data
    if not scene_settings(current_scene(bpy.context)).road.overlays:
        return False
    return not isinstance(space, bpy.types.SpaceView3D) or space.overlay.show_overlays


def _scale() -> float:
    preferences = bpy.context.preferences
    return preferences.system.ui_scale if preferences is not None else 1.0


def _overlay_panel() -> Any:
    return bpy.types.VIEW3D_PT_overlay


def _draw_switch(panel: Any, context: bpy.types.Context) -> None:
    """The one switch for all of it, in the Overlays popover, and below it what it is made of."""
    settings = scene_settings(current_scene(context))
    panel.layout.prop(settings.road, "overlays")
    parts = panel.layout.grid_flow(columns=2, even_columns=True)
    parts.active = settings.road.overlays
    for owner, name in (
        *((settings, "show_body"), (settings, "show_ghost"), (settings.road, "path"), (settings.road, "contacts")),
        *((settings.road, "before"), (settings, "show_take"), (settings.browser, "curve")),
    ):
        parts.prop(owner, name)


def register() -> None:
    if bpy.app.background:
        return
    in_pixels = ((_draw_picture, "POST_PIXEL"), (_draw_corner, "POST_PIXEL"))
    for draw, when in ((_draw_lines, "POST_VIEW"), (_draw_takes, "POST_VIEW"), *in_pixels):
        _handles.append(bpy.types.SpaceView3D.draw_handler_add(draw, (), "WINDOW", when))
    _overlay_panel().append(_draw_switch)


def unregister() -> None:
    global _batches
    if _handles:
        _overlay_panel().remove(_draw_switch)
    while _handles:
        bpy.types.SpaceView3D.draw_handler_remove(_handles.pop(), "WINDOW")
    _batches = (-1, {})
    take_drawing.forget()
