# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes in the 3D viewport: translucent and shaded."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from ..core.arrays import IntArray
from ..operators import job_monitor, take_browser, take_player
from ..operators.take_player import Figure
from .colours import TAKES, Palette

OPACITY = 0.55
REFERENCE_OPACITY = 0.35

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


def draw(figures: list[Figure], palette: Palette) -> None:
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
        shader.uniform_float("colour", (*palette.roles[TAKES[figure.colour]], opacity))
        batch.draw(shader)
        gpu.state.blend_set("NONE")
    gpu.state.depth_test_set("NONE")


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
