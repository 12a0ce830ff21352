# SPDX-License-Identifier: GPL-3.0-or-later
"""Moments of a performance as tiles of one picture, each stamped with its time."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

import bpy
import numpy as np

from ...core.arrays import Float32Array
from ..typed_data import current_scene, subtype
from .render import SIZE, Footage, render_stills

Pixels = Float32Array  # (height, width, 4) RGBA, top row first


def render_contact_sheet(
    context: bpy.types.Context,
    path: Path,
    frames: int = 8,
    size: tuple[int, int] = SIZE,
    footage: Footage | None = None,
    columns: int = 4,
) -> Path:
    """Write frames moments of the performance, stamped with their time, as one PNG.

    Of footage the moments are picked closer together where more happens; without it they are evenly spread.
    """
    path = Path(path).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        if footage is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            scene = current_scene(context)
            seconds = (scene.frame_end - scene.frame_start) * scene.render.fps_base / scene.render.fps
            footage = render_stills(context, folder, size, times=np.linspace(0.0, seconds, frames).tolist())
        thumbnails = [read_pixels(path)[::4, ::4].copy() for path in footage.stills]
        picks = pick_moments(thumbnails, frames)
        tiles = [stamped(read_pixels(footage.stills[i]), footage.times[i]) for i in picks]
    _write_pixels(path, contact_sheet(tiles, columns))
    return path


def pick_moments(stills: list[Pixels], count: int) -> list[int]:
    """Indices of at most count stills, first and last among them, between which about as much time and change lies."""
    if len(stills) <= count:
        return list(range(len(stills)))
    change = np.array([np.abs(b - a).mean() for a, b in zip(stills, stills[1:], strict=False)], dtype=float)
    flow = np.concatenate([[0.0], np.cumsum(change + max(change.mean(), 1e-9) / 2)])
    picks = [int(np.argmin(np.abs(flow - share))) for share in np.linspace(0.0, flow[-1], count)]
    return sorted(set(picks))


def contact_sheet(tiles: list[Pixels], columns: int) -> Pixels:
    """Pictures (H, W, 4), top row first, laid out in a grid with gutters."""
    height, width = tiles[0].shape[:2]
    gap = max(width // 80, 1)
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    sheet = np.ones((rows * (height + gap) + gap, columns * (width + gap) + gap, 4), dtype=np.float32)
    sheet[..., :3] = 0.09
    for i, tile in enumerate(tiles):
        top, left = gap + (i // columns) * (height + gap), gap + (i % columns) * (width + gap)
        sheet[top : top + height, left : left + width] = tile
    return sheet


# Five rows of three pixels a sign, a digit of octal a row.
_SIGNS = {
    "0": "75557", "1": "26227", "2": "71747", "3": "71717", "4": "55711", "5": "74717",
    "6": "74757", "7": "71222", "8": "75757", "9": "75717", ".": "00002", "s": "07473", " ": "00000",
}  # fmt: skip


def stamped(tile: Pixels, seconds: float) -> Pixels:
    """The picture with its time written in the lower left corner, where it is large enough to be read."""
    zoom = tile.shape[0] // 120
    if zoom:
        rows = [[int(_SIGNS[sign][row]) for sign in f"{seconds:.2f} s"] for row in range(5)]
        bits = np.array([[code >> 2 & 1, code >> 1 & 1, code & 1, 0] for row in rows for code in row])
        text = np.kron(bits.reshape(5, -1), np.ones((zoom, zoom))).astype(bool)
        margin = 4 * zoom
        corner = tile[-margin - text.shape[0] : -margin, margin : margin + text.shape[1]]
        corner[text] = (0.92, 0.92, 0.90, 1.0)
    return tile


def read_pixels(path: Path) -> Pixels:
    """A picture's pixels (H, W, 4), top row first, as they are stored."""
    image = bpy.data.images.load(str(path))
    try:
        source = subtype(image.pixels)
        pixels = np.empty(len(source), dtype=np.float32)
        source.foreach_get(pixels)
        width, height = subtype(image.size)
        return pixels.reshape(height, width, 4)[::-1].copy()
    finally:
        bpy.data.images.remove(image)


def _write_pixels(path: Path, pixels: Pixels) -> None:
    image = bpy.data.images.new("Contact sheet", pixels.shape[1], pixels.shape[0])
    try:
        subtype(image.pixels).foreach_set(np.ascontiguousarray(pixels[::-1]).ravel())
        image.filepath_raw, image.file_format = str(path), "PNG"
        image.save()
    finally:
        bpy.data.images.remove(image)
