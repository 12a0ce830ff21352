# SPDX-License-Identifier: GPL-3.0-or-later
"""A small picture of a clip: a body in the pose by which the clip is told from others, as pixels and as a PNG file.

PNG: Portable Network Graphics, third edition, W3C 2025; written without a library for it.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np

from .. import rotations
from ..arrays import Array, ByteArray
from ..body import Body
from ..motion import Motion
from ..shapes import Shape

_MOST_FRAMES = 200  # that are looked at for the pose
_MARGIN = 0.07  # of the picture's side, around the body
_RIM = 0.014  # of the picture's side: the dark line around each part, by which it is seen on a bright ground as well
_LIGHT = np.array([236.0, 222.0, 198.0])  # of the part that is nearest; sRGB
_DARK = np.array([150.0, 141.0, 126.0])  # of the farthest
_LINE = np.array([34.0, 35.0, 38.0])
_FINE = 2  # samples a pixel, each way
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_EIGHT_BITS, _RGBA = 8, 6


def picture(motion: Motion, body: Body, size: int) -> ByteArray:
    """Pixels (size, size, 4: red, green, blue, alpha), sRGB, the highest row first, of a motion of a body.

    The pose is the one that is farthest from standing, and is seen from where it is broadest.
    """
    every = max(motion.frames // _MOST_FRAMES, 1)
    positions, orientations = body.forward(motion.position[::every], motion.rotations[::every])
    level = rotations.conjugate(rotations.heading(orientations[:, 0]))[:, None]
    places, turns = rotations.rotate(level, positions - positions[:, :1]), rotations.multiply(level, orientations)
    upright = np.zeros((len(body.links), 4))
    upright[:, 0] = 1.0
    standing = body.forward(np.zeros(3), upright)[0]
    frame = int(np.argmax(np.linalg.norm(places - standing, axis=-1).mean(axis=1)))
    return _drawn(*_rods(body, places[frame], turns[frame]), size)


def _rods(body: Body, positions: Array, orientations: Array) -> tuple[Array, Array]:
    """All solids of links at positions (L, 3), orientations (L, 4), as rods: their ends (N, 2, 3) and radii (N,), m."""
    ends, radii = [], []
    for link, position, orientation in zip(body.links, positions, orientations, strict=True):
        for shape in link.shapes:
            own, radius = _rod(shape)
            ends.append(position + rotations.rotate(orientation, own))
            radii.append(radius)
    return np.array(ends), np.array(radii)


def _rod(shape: Shape) -> tuple[Array, float]:
    """A solid as a rod in its link's frame: ends (2, 3), radius; a box as the rod along its longest side."""
    along, radius = np.zeros(3), shape.size[0]
    if shape.kind == "capsule":
        along[2] = shape.size[1] / 2
    elif shape.kind == "box":
        longest = int(np.argmax(shape.size))
        radius = float(np.mean(np.delete(shape.size, longest)))
        along[longest] = max(shape.size[longest] - radius, 0.0)
    ends: Array = np.array(shape.position) + rotations.rotate(np.array(shape.rotation), np.stack([-along, along]))
    return ends, radius


def _drawn(ends: Array, radii: Array, size: int) -> ByteArray:
    """Rods (N, 2, 3), m, as a picture: the farthest first, and each with a rim."""
    sideways = np.ptp(ends[..., 1]) > np.ptp(ends[..., 0])
    across, depth = (-ends[..., 1], ends[..., 0]) if sideways else (ends[..., 0], -ends[..., 1])
    flat = np.stack([across, ends[..., 2]], axis=-1)
    low, high = (flat - radii[:, None, None]).min(axis=(0, 1)), (flat + radii[:, None, None]).max(axis=(0, 1))
    fine = size * _FINE
    scale = fine * (1 - 2 * _MARGIN) / float((high - low).max())
    flat, thick = (flat - (low + high) / 2) * scale + fine / 2, radii * scale
    near = depth.mean(axis=1)
    near = (near - near.min()) / max(float(np.ptp(near)), 1e-9)
    rows, columns = np.mgrid[fine:0:-1, 0:fine] - 0.5 * np.array([1.0, -1.0])[:, None, None]
    pixels = np.zeros((fine, fine, 4))
    for one in np.argsort(near):
        start, way = flat[one, 0], flat[one, 1] - flat[one, 0]
        along = ((columns - start[0]) * way[0] + (rows - start[1]) * way[1]) / max(float(way @ way), 1e-9)
        along = np.clip(along, 0.0, 1.0)
        far = np.hypot(columns - start[0] - along * way[0], rows - start[1] - along * way[1])
        pixels[far < thick[one] + _RIM * fine] = [*_LINE, 255.0]
        pixels[far < thick[one]] = [*(_DARK + (_LIGHT - _DARK) * near[one]), 255.0]
    return _shrunk(pixels)


def _shrunk(pixels: Array) -> ByteArray:
    """A pixel of each _FINE x _FINE; colours count by how opaque they are."""
    size = len(pixels) // _FINE
    blocks = pixels.reshape(size, _FINE, size, _FINE, 4)
    alpha = blocks[..., 3:].sum(axis=(1, 3))
    colour = (blocks[..., :3] * blocks[..., 3:]).sum(axis=(1, 3)) / np.maximum(alpha, 1.0)
    shrunk: ByteArray = np.concatenate([colour, alpha / _FINE**2], axis=-1).round().astype(np.uint8)
    return shrunk


def png_of(pixels: ByteArray) -> bytes:
    """A PNG file of pixels (height, width, 4: red, green, blue, alpha), the highest row first, 0 to 255."""
    height, width, channels = pixels.shape
    if channels != 4:
        raise ValueError("A pixel has red, green, blue and alpha.")
    rows = np.zeros((height, 1 + 4 * width), np.uint8)  # each row begins with its filter: 0, none
    rows[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">2I5B", width, height, _EIGHT_BITS, _RGBA, 0, 0, 0)
    packed = zlib.compress(rows.tobytes(), 9)
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
