# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of clips, and the files that they are written to."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest

from backflip_addon.core.clips.picture import picture, png_of
from tests.core import performances


def test_a_picture_shows_the_pose_that_is_farthest_from_standing() -> None:
    body = performances.body()
    stood = picture(performances.standing(body), body, 64)
    turned = picture(performances.somersault(body), body, 64)
    seen = [np.argwhere(pixels[..., 3] > 127) for pixels in (stood, turned)]
    high, wide = np.ptp(seen[0], axis=0)
    assert high > 50 and wide < high / 2, "upright, and filling the picture"
    top, bottom = (stood[row, :, 3] > 127 for row in (seen[0][:, 0].min() + 3, seen[0][:, 0].max() - 8))
    runs = [np.count_nonzero(np.diff(row.astype(int)) == 1) for row in (top, bottom)]
    assert runs == [1, 2], "a head above, two legs below"
    assert np.abs(stood.astype(int) - turned.astype(int)).max() > 100, "another pose"
    rims = stood[..., :3][stood[..., 3] == 255].mean(axis=-1)
    assert rims.min() < 60 and rims.max() > 200, "light and dark: seen on any ground"


def test_a_png_holds_its_pixels() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (5, 3, 4), dtype=np.uint8)
    data = png_of(pixels)
    assert data.startswith(b"\x89PNG") and struct.unpack(">2I", data[16:24]) == (3, 5)
    start = data.index(b"IDAT")
    (length,) = struct.unpack(">I", data[start - 4 : start])
    rows = np.frombuffer(zlib.decompress(data[start + 4 : start + 4 + length]), np.uint8).reshape(5, 13)
    assert not rows[:, 0].any() and np.array_equal(rows[:, 1:].reshape(5, 3, 4), pixels)
    with pytest.raises(ValueError, match="alpha"):
        png_of(pixels[..., :3])
