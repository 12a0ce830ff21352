# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures as PNG files (Portable Network Graphics, third edition, W3C 2025), without a library for it."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from .arrays import ByteArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_EIGHT_BITS, _RGBA = 8, 6


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
