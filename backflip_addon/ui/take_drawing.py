# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes in the 3D viewport: translucent, shaded, with their names in the corner where there are several."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from ..core.arrays import IntArray
from ..operators import job_monitor, learning_curve, take_browser, take_player
from ..operators.base import current_scene
from ..operators.take_player import Figure
from ..settings import scene_settings
from . import curve_drawing, line_legend

# By take_player.Figure.colour: the chosen one, those beside it, and the reference
COLOURS = ((1.0, 0.42, 0.62), (1.0, 0.72, 0.2), (0.45, 0.85, 0.4), (0.72, 0.55, 1.0), (0.35, 0.75, 1.0))
OPACITY = 0.55
REFERENCE_OPACITY = 0.35
_MARGIN, _LINE, _LETTERS = 16, 18, 12  # pixels at a resolution scale of 1: of the names in the corner

_VERTEX = """
void main()
{
  place = pos;
  gl_Position = projection * vec4(pos, 1.0);
}
"""
# A face is lit by how far it looks at the viewer; dFdx and dFdy give its normal without one being sent
_FRAGMENT = """
void main()
{
  vec3 across = cross(dFdx(place), dFdy(place));
  float facing = abs(dot(across, toward)) / max(length(across), 1e-20);
  out_colour = vec4(colour.rgb * (0.35 + 0.65 * facing), colour.a);
}
"""

_kept: dict[str, Any] = {}  # the shader, and the indices of the skins drawn last by the array they were made of


def draw_figures(figures: list[Figure]) -> None:
    """Draw takes into the viewport that is being drawn."""
    import gpu

    view = bpy.context.region_data
    if not figures or not isinstance(view, bpy.types.RegionView3D):
        return
    shader = _shader()
    toward = np.linalg.inv(np.array(view.view_matrix))[:3, 2].tolist()
    gpu.state.depth_test_set("LESS_EQUAL")
    shader.bind()
    shader.uniform_float("projection", view.perspective_matrix)
    shader.uniform_float("toward", toward)
    for figure in sorted(figures, key=lambda figure: -figure.colour):
        batch = _batch(figure)
        # First its depth alone, then what is in front: one layer of it is seen, and not the inside
        gpu.state.depth_mask_set(True)
        gpu.state.color_mask_set(False, False, False, False)
        batch.draw(shader)
        gpu.state.color_mask_set(True, True, True, True)
        gpu.state.depth_mask_set(False)
        gpu.state.blend_set("ALPHA")
        opacity = OPACITY if figure.colour >= 0 else REFERENCE_OPACITY
        shader.uniform_float("colour", (*COLOURS[figure.colour], opacity))
        batch.draw(shader)
        gpu.state.blend_set("NONE")
    gpu.state.depth_test_set("NONE")


def draw_legend(entries: list[tuple[str, tuple[float, float, float]]], above: float, scale: float) -> None:
    """Write what is drawn, each in its colour, into the corner of the viewport, so far above its margin.

    A shadow keeps it readable on any ground.
    """
    import blf

    blf.size(0, _LETTERS * scale)
    blf.enable(0, blf.SHADOW)
    blf.shadow(0, 3, 0.0, 0.0, 0.0, 0.8)
    blf.shadow_offset(0, 1, -1)
    for line, (name, colour) in enumerate(reversed(entries)):
        blf.color(0, *colour, 1.0)
        blf.position(0, _MARGIN * scale, (_MARGIN + above + _LINE * line) * scale, 0)
        blf.draw(0, name)
    blf.disable(0, blf.SHADOW)


def forget() -> None:
    """Free what was kept for drawing."""
    _kept.clear()


def _shader() -> Any:
    import gpu

    if "shader" not in _kept:
        info = gpu.types.GPUShaderCreateInfo()
        between: Any = gpu.types.GPUStageInterfaceInfo("backflip_take")
        between.smooth("VEC3", "place")
        info.push_constant("MAT4", "projection")
        info.push_constant("VEC4", "colour")
        info.push_constant("VEC3", "toward")
        info.vertex_in(0, "VEC3", "pos")
        info.vertex_out(between)
        info.fragment_out(0, "VEC4", "out_colour")
        info.vertex_source(_VERTEX)
        info.fragment_source(_FRAGMENT)
        _kept["format"] = gpu.types.GPUVertFormat()
        _kept["format"].attr_add(id="pos", comp_type="F32", len=3, fetch_mode="FLOAT")
        _kept["shader"] = gpu.shader.create_from_info(info)
    return _kept["shader"]


def _batch(figure: Figure) -> Any:
    import gpu

    buffer: Any = gpu.types.GPUVertBuf(_kept["format"], len(figure.points))
    buffer.attr_fill("pos", np.ascontiguousarray(figure.points))
    return gpu.types.GPUBatch(type="TRIS", buf=buffer, elem=_indices(figure.triangles))


def _indices(triangles: IntArray) -> Any:
    """Triangles as the graphics card has them, kept for the skins that were drawn last."""
    import gpu

    kept: list[tuple[IntArray, Any]] = _kept.setdefault("indices", [])
    for known, indices in kept:
        if known is triangles:
            return indices
    buffer: Any = triangles  # which the stubs do not know of arrays
    made: Any = gpu.types.GPUIndexBuf(type="TRIS", seq=buffer)
    kept.append((triangles, made))
    del kept[:-4]
    return made


def named(scene: bpy.types.Scene) -> list[tuple[str, int]]:
    """Title and colour of each take that is shown."""
    found = []
    for name, colour in take_player.compared(scene):
        facts = job_monitor.facts_of(scene, name)
        title = take_browser.title(facts, take_browser.note_of(scene, name)) if facts else name
        found.append((title or "Reference", colour))
    return found


def draw_takes() -> None:
    """Handler of a viewport: what is in the scene's space."""
    if _overlays_shown():
        draw_figures(take_player.figures(current_scene(bpy.context)))


def draw_corner() -> None:
    """Handler of a viewport: what is on the picture's plane."""
    if not _overlays_shown():
        return
    scene = current_scene(bpy.context)
    curve = learning_curve.curve(scene) if learning_curve.shown(scene) else None
    preferences = bpy.context.preferences
    scale = preferences.system.ui_scale if preferences else 1.0
    if curve is not None:
        curve_drawing.draw(curve, _MARGIN * scale, _MARGIN * scale, scale)
    above = curve_drawing.HEIGHT + _LINE if curve is not None else 0
    lines = [(name, COLOURS[colour]) for name, colour in named(scene)]
    draw_legend([*lines, *line_legend.entries(scene)], above, scale)


def _overlays_shown() -> bool:
    space = bpy.context.space_data
    if not scene_settings(current_scene(bpy.context)).road.overlays:
        return False
    return not isinstance(space, bpy.types.SpaceView3D) or space.overlay.show_overlays
