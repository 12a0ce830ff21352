# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of a screen: words found on them, a press marked, and a PNG written."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .x11 import Picture

Grey = NDArray[np.float64]  # (rows, columns), 0 to 255

LIKE = 0.95  # correlation from which on words are taken for found; seen: 0.99 for the same, 0.91 for Mode and Moon
READY = 0.35  # contrast, of white on black, below which a button is greyed out; seen: 0.2, and 0.57 of others
_FAINT = 9.0  # grey levels squared: a variance below it is a plain surface
_RING, _RING_COLOUR = (11.0, 14.0), (255, 140, 0)  # inner and outer radius in pixels
# Pixels of the ground round the words that must be free: after them more than a space takes, so that no part of a
# longer text is taken for them; below them none, where menus underline a letter
_LEFT, _RIGHT, _ABOVE = 2, 6, 2


def find(picture: Picture, words: Grey, whole: bool = True) -> list[tuple[int, int]]:
    """Where words stand: their middles (x, y) in pixels, from top to bottom.

    words: as they are drawn, bright on black. whole: nothing follows them. Compared by normalised cross-correlation
    (Lewis 1995, Fast Normalized Cross-Correlation), its sign left out: colours of letters and ground are all one. Words
    that are greyed out are passed over, since nothing comes of pressing them.
    """
    pattern = _cropped(words, whole)
    likeness, contrast = _correlation(picture.mean(2), pattern)
    likeness[contrast < READY] = 0.0
    height, width = pattern.shape
    found = []
    while likeness.size and likeness.max() > LIKE:
        row, column = np.unravel_index(likeness.argmax(), likeness.shape)
        found.append((int(column + width // 2), int(row + height // 2)))
        likeness[max(row - height, 0) : row + height, max(column - width, 0) : column + width] = 0.0
    return sorted(found, key=lambda place: place[1])


def _cropped(words: Grey, whole: bool) -> Grey:
    rows, columns = np.nonzero(words.any(1))[0], np.nonzero(words.any(0))[0]
    if not len(rows):
        raise ValueError("There are no letters to look for.")
    padded = np.pad(words.astype(float), ((_ABOVE, 0), (_LEFT, _RIGHT)))
    width = _LEFT + columns[-1] + 1 + (_RIGHT if whole else 0)
    return padded[rows[0] : _ABOVE + rows[-1] + 1, columns[0] : width]


def _correlation(ground: Grey, pattern: Grey) -> tuple[Grey, Grey]:
    """Correlation of the pattern with each window of the ground, 0 on plain surfaces, and contrast; without signs."""
    height, width = pattern.shape
    if ground.shape[0] < height or ground.shape[1] < width:
        return np.zeros((0, 0)), np.zeros((0, 0))
    apart = pattern - pattern.mean()
    product = np.fft.irfft2(np.fft.rfft2(ground) * np.fft.rfft2(apart, ground.shape).conj(), ground.shape)
    product = np.abs(product[: ground.shape[0] - height + 1, : ground.shape[1] - width + 1])
    spread = _sums(ground**2, height, width) - _sums(ground, height, width) ** 2 / pattern.size
    plain, energy = spread < _FAINT * pattern.size, (apart**2).sum()
    return np.where(plain, 0.0, product / np.sqrt(np.where(plain, 1.0, spread) * energy)), product / energy


def _sums(values: Grey, height: int, width: int) -> Grey:
    """The sum of each window."""
    total = np.pad(values, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    return total[height:, width:] - total[:-height, width:] - total[height:, :-width] + total[:-height, :-width]


def marked(picture: Picture, place: tuple[int, int]) -> Picture:
    """The picture with a ring where the mouse was pressed."""
    rows, columns = np.indices(picture.shape[:2])
    distance = np.hypot(columns - place[0], rows - place[1])
    done = picture.copy()
    done[(distance > _RING[0]) & (distance < _RING[1])] = _RING_COLOUR
    return done


def write_png(path: Path, picture: Picture) -> None:
    """Write a picture in eight bits a colour (PNG specification, ISO/IEC 15948)."""
    height, width, _colours = picture.shape
    lines = np.concatenate([np.zeros((height, 1), np.uint8), picture.reshape(height, -1)], axis=1)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(lines.tobytes())), (b"IEND", b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
