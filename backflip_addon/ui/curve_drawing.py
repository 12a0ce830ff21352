# SPDX-License-Identifier: GPL-3.0-or-later
"""The learning curve in the corner of a viewport: a dot for each take, green where it landed, and the best so far."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.arrays import Array
from ..operators.learning_curve import Curve

WIDTH, HEIGHT = 240, 90  # pixels at a resolution scale of 1, as all here
_DOT = 2.0  # half a dot's side
_PAD, _LETTERS = 6.0, 11
BACKGROUND = (0.05, 0.05, 0.05, 0.6)
FAILED, LANDED, BEST, TEXT = (0.8, 0.8, 0.8, 0.7), (0.45, 0.9, 0.4, 1.0), (1.0, 0.72, 0.2, 1.0), (0.9, 0.9, 0.9, 1.0)
_CORNERS: Array = np.array([(-1, -1), (1, -1), (1, 1), (-1, -1), (1, 1), (-1, 1)], dtype=float)


def draw(curve: Curve, left: float, bottom: float, scale: float) -> None:
    """Draw a curve with its lower left corner there, pixels."""
    import blf
    import gpu

    gpu.state.blend_set("ALPHA")
    size = np.array([WIDTH, HEIGHT]) * scale
    corner = np.array([left, bottom])
    _triangles(np.array(corner + (_CORNERS + 1.0) / 2.0 * size, dtype=float), BACKGROUND)
    inner, room = corner + _PAD * scale, size - 2 * _PAD * scale
    dots = inner + np.column_stack([curve.x, curve.y]) * room
    for wanted, colour in ((~curve.landed, FAILED), (curve.landed, LANDED)):
        _triangles((dots[wanted][:, None] + _CORNERS * _DOT * scale).reshape(-1, 2), colour)
    _line(inner + np.column_stack([curve.x, curve.best]) * room, BEST)
    gpu.state.blend_set("NONE")
    blf.size(0, _LETTERS * scale)
    blf.color(0, *TEXT)
    blf.position(0, float(inner[0]), float(corner[1] + size[1] - (_LETTERS + 2) * scale), 0)
    blf.draw(0, f"Score, best {curve.best[-1]:.2f}")


def _triangles(points: Array, colour: tuple[float, ...]) -> None:
    if len(points):
        _draw("TRIS", points, colour)


def _line(points: Array, colour: tuple[float, ...]) -> None:
    _draw("LINE_STRIP", points, colour)


def _draw(kind: str, points: Array, colour: tuple[float, ...]) -> None:
    import gpu
    from gpu_extras.batch import batch_for_shader

    shader = gpu.shader.from_builtin("UNIFORM_COLOR")
    places: Any = np.column_stack([points, np.zeros(len(points))]).astype(np.float32)
    drawn: Any = kind  # one of a few words, to the stubs
    batch = batch_for_shader(shader, drawn, {"pos": places})
    shader.bind()
    shader.uniform_float("color", colour)
    batch.draw(shader)
