# SPDX-License-Identifier: GPL-3.0-or-later
"""Flat things in a viewport, in pixels from its lower left corner: boxes, lines, letters."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..core.arrays import Array
from .colours import Colour

CORNERS: Array = np.array([(0, 0), (1, 0), (1, 1), (0, 0), (1, 1), (0, 1)], dtype=float)  # two triangles, 0 to 1


def boxes(low: ArrayLike, high: ArrayLike) -> Array:
    """Triangles' corners (6 N, 2) of boxes from low (N, 2) to high (N, 2)."""
    start: Array = np.atleast_2d(np.asarray(low, dtype=float))
    size: Array = np.atleast_2d(np.asarray(high, dtype=float)) - start
    corners: Array = (start[:, None] + CORNERS * size[:, None]).reshape(-1, 2)
    return corners


def draw_triangles(points: Array, colour: Colour, opacity: float = 1.0) -> None:
    """Fill triangles of corners (N, 2) in one colour."""
    _draw("TRIS", points, (*colour, opacity))


def draw_line(points: Array, colour: Colour) -> None:
    """Draw a line along points (N, 2)."""
    _draw("LINE_STRIP", points, (*colour, 1.0))


def draw_mixed(points: Array, colours: Array) -> None:
    """Fill triangles of corners (N, 2) in the colours (N, 4) of the corners."""
    import gpu
    from gpu_extras.batch import batch_for_shader

    shader = gpu.shader.from_builtin("FLAT_COLOR")
    shades: Any = colours.astype(np.float32)  # a buffer, which the stubs do not know of arrays
    gpu.state.blend_set("ALPHA")
    batch_for_shader(shader, "TRIS", {"pos": _places(points), "color": shades}).draw(shader)
    gpu.state.blend_set("NONE")


def draw_text(words: str, left: float, bottom: float, size: float, colour: Colour) -> None:
    """Write words, size pixels high."""
    import blf

    blf.size(0, size)
    blf.color(0, *colour, 1.0)
    blf.position(0, left, bottom, 0)
    blf.draw(0, words)


def text_width(words: str, size: float) -> float:
    """How wide words are, pixels."""
    import blf

    blf.size(0, size)
    return float(blf.dimensions(0, words)[0])


def _draw(kind: str, points: Array, colour: tuple[float, ...]) -> None:
    import gpu
    from gpu_extras.batch import batch_for_shader

    if not len(points):
        return
    shader = gpu.shader.from_builtin("UNIFORM_COLOR")
    drawn: Any = kind  # one of a few words, to the stubs
    batch = batch_for_shader(shader, drawn, {"pos": _places(points)})
    gpu.state.blend_set("ALPHA")
    shader.bind()
    shader.uniform_float("color", colour)
    batch.draw(shader)
    gpu.state.blend_set("NONE")


def _places(points: Array) -> Any:
    return np.column_stack([points, np.zeros(len(points))]).astype(np.float32)
