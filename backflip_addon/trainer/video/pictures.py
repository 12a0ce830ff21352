# SPDX-License-Identifier: GPL-3.0-or-later
"""The frames of a video, as uncompressed pictures in a folder, and cutting turned squares out of them.

Places in a picture are pixels from its upper left corner, x to the right, y down; pixel i reaches from i to i + 1.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from ...core.arrays import AnyArray, Array
from ...core.files import RefusedFile, read_limited

MOST_BYTES = 40_000_000  # of a frame: 3,600 by 3,600
_HEADER = struct.Struct("<2sIHHI IiiHHI")


class UnreadablePicture(ValueError):
    """A frame that is no picture; the message is one sentence."""


@dataclasses.dataclass(frozen=True)
class Region:
    """A square of a picture: its centre and side in pixels, and how far it is turned clockwise, rad.

    A person's region is turned so that hips to head point to its upper side.
    """

    x: float
    y: float
    size: float
    angle: float

    @property
    def axes(self) -> Array:
        """Columns (2, 2): the square's own right and down, in the picture, of unit length."""
        c, s = math.cos(self.angle), math.sin(self.angle)
        return np.array([[c, -s], [s, c]])


def read_picture(path: Path) -> AnyArray:
    """An uncompressed BMP of 24 or 32 bits as (H, W, 3) bytes, red first. Raises UnreadablePicture and OSError."""
    try:
        data = read_limited(path, MOST_BYTES)
        magic, _size, _a, _b, start, header, width, height, _planes, bits, packing = _HEADER.unpack_from(data)
    except (RefusedFile, struct.error) as error:
        raise UnreadablePicture(f"The frame {path.name} cannot be read.") from error
    rows, row = abs(height), (width * bits // 8 + 3) // 4 * 4
    sound = magic == b"BM" and header >= 40 and bits in (24, 32) and packing in (0, 3) and width > 0 and rows > 0
    if not sound or start + rows * row > len(data):
        raise UnreadablePicture(f"The frame {path.name} is damaged.")
    lines = np.frombuffer(data, np.uint8, rows * row, start).reshape(rows, row)[:, : width * bits // 8]
    pixels = lines.reshape(rows, width, bits // 8)[..., 2::-1]
    return pixels[::-1] if height > 0 else pixels


class Pictures:
    """The frames of a video, read as they are asked for. Outside of the box there is nothing to be seen.

    box: left, top, right, bottom in pixels.
    """

    def __init__(self, files: list[Path], box: tuple[int, int, int, int] | None = None) -> None:
        self._files = files
        first = read_picture(files[0])
        self.height, self.width = first.shape[:2]
        self._box = box or (0, 0, self.width, self.height)
        self._read = functools.lru_cache(maxsize=8)(self._load)

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, frame: int) -> Any:
        """A frame (1, 3, H, W), torch's floats from 0 to 255."""
        return self._read(frame)

    def _load(self, frame: int) -> Any:
        pixels = read_picture(self._files[frame])
        if pixels.shape[:2] != (self.height, self.width):
            raise UnreadablePicture(f"The frame {self._files[frame].name} has another size than those before it.")
        left, top, right, bottom = self._box
        seen = np.zeros((3, self.height, self.width), np.float32)
        seen[:, top:bottom, left:right] = pixels[top:bottom, left:right].transpose(2, 0, 1)
        return torch.from_numpy(seen)[None]

    def thumbnail(self, frame: int, columns: int = 48) -> Array:
        """A frame's brightness, coarsely, (rows, columns), 0 to 1, of what lies in the box."""
        left, top, right, bottom = self._box
        seen = self[frame][:, :, top:bottom, left:right].mean(dim=1, keepdim=True)
        rows = max(round(columns * (bottom - top) / (right - left)), 2)
        small: Array = functional.adaptive_avg_pool2d(seen, (rows, columns))[0, 0].double().numpy() / 255.0
        return small


def letterboxed(picture: Any, size: int) -> tuple[Any, float, tuple[float, float]]:
    """A picture (1, 3, H, W) as a whole in a square of size pixels, black beside it.

    Returns the square (1, size, size, 3), its pixels per pixel of the picture, and where its corner comes to lie.
    """
    height, width = picture.shape[2:]
    scale = size / max(height, width)
    rows, columns = max(round(height * scale), 1), max(round(width * scale), 1)
    small = functional.interpolate(picture, size=(rows, columns), mode="bilinear", antialias=True, align_corners=False)
    top, left = (size - rows) // 2, (size - columns) // 2
    square = functional.pad(small, (left, size - columns - left, top, size - rows - top))
    return square.permute(0, 2, 3, 1), scale, (float(left), float(top))


def cut_out(picture: Any, region: Region, size: int) -> Any:
    """A region of a picture (1, 3, H, W) as a square (1, size, size, 3), black where it leaves the picture."""
    height, width = picture.shape[2:]
    shrink = max(int(region.size / size), 1)  # several pixels fall into one: their mean, or thin limbs break up
    source = functional.avg_pool2d(picture, shrink, ceil_mode=True) if shrink > 1 else picture
    rows, columns = (side * shrink for side in source.shape[2:])
    # grid_sample has -1 and 1 at the picture's edges
    steps = region.axes * region.size / np.array([[columns], [rows]])
    centre = 2 * np.array([region.x / columns, region.y / rows]) - 1
    theta = torch.from_numpy(np.concatenate([steps, centre[:, None]], axis=1)).float()[None]
    grid = functional.affine_grid(theta, [1, 3, size, size], align_corners=False)
    return functional.grid_sample(source, grid, align_corners=False).permute(0, 2, 3, 1)
