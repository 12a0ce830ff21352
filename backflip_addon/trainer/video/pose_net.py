# SPDX-License-Identifier: GPL-3.0-or-later
"""BlazePose: persons found in a picture, and 33 landmarks of one, by the networks of MediaPipe.

Source: Bazarevsky et al. 2020, "BlazePose: On-device real-time body pose tracking"; anchors, regions and the
refinement by heatmaps follow MediaPipe's graphs pose_detection and pose_landmark (Apache-2.0).
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...core.arrays import Array, IntArray
from .network import Network
from .pictures import Region, cut_out, letterboxed

DETECTOR, LANDMARKER = "pose_detection.tflite", "pose_landmark_full.tflite"
LANDMARKS = 33
_HIPS, _SCALE_POINT = 33, 34  # auxiliary landmarks: the region's centre, and how far it reaches
_STRIDES = (8, 16, 32, 32, 32)
_OVERLAP = 0.3  # of two boxes over their union, from which on they hold one person
_MARGIN = 1.25  # a region is so much larger than the circle round the person
_HEATMAP_WINDOW, _HEATMAP_LEAST = 3, 0.5

# Where left and right are exchanged
SWAPPED: IntArray = np.arange(LANDMARKS)
for _a, _b in ((1, 4), (2, 5), (3, 6), (7, 8), (9, 10), *((i, i + 1) for i in range(11, LANDMARKS, 2))):
    SWAPPED[_a], SWAPPED[_b] = _b, _a


@dataclasses.dataclass(frozen=True)
class Sighting:
    """A person seen in a frame.

    score: how sure the network is that there is one, 0 to 1. xy (33, 2): pixels. visible (33,): 0 to 1.
    world (33, 3): metres about the hips' middle, in the camera's axes (right, down, away). region: what was looked at;
    following: where the person would be looked for next.
    """

    score: float
    xy: Array
    visible: Array
    world: Array
    region: Region
    following: Region

    def swapped(self) -> Sighting:
        """The same person seen from the other side: left and right exchanged."""
        return dataclasses.replace(self, xy=self.xy[SWAPPED], visible=self.visible[SWAPPED], world=self.world[SWAPPED])


class Detector:
    """Finds persons in a picture, on four turns of it: the network knows upright ones best."""

    def __init__(self, folder: Path) -> None:
        self._network = Network.load(folder / DETECTOR, ("Identity", "Identity_1"))
        self._size = self._network.size[0]
        self._anchors = _anchors(self._size)

    def __call__(self, picture: Any, least: float = 0.5, turns: tuple[int, ...] = (0, 1, 2, 3)) -> list[list[Region]]:
        """For each of the turns (quarters, clockwise) of a picture (1, 3, H, W) the persons in it, the surest first."""
        square, scale, corner = letterboxed(picture, self._size)
        turned = torch.cat([torch.rot90(square, -turn, (1, 2)) for turn in turns])
        found = self._network(turned / 127.5 - 1.0)
        regions = []
        for turn, boxes, logits in zip(turns, found["Identity"], found["Identity_1"][..., 0], strict=True):
            points = self._points(boxes.astype(float), logits.astype(float), least)
            regions.append([_region(*((_turned_back(p, turn) * self._size - corner) / scale)) for p in points])
        return regions

    def _points(self, boxes: Array, logits: Array, least: float) -> list[Array]:
        """Per person the hips' middle and the point that gives size and direction (2, 2), shares of the square."""
        scores = _sigmoid(logits)
        kept = np.flatnonzero(scores > least)
        kept = kept[np.argsort(-scores[kept])]
        numbers = boxes[kept].reshape(-1, 6, 2) / self._size  # box: centre and size; then four points
        numbers[:, 0] += self._anchors[kept]
        numbers[:, 2:] += self._anchors[kept][:, None]
        found: list[Array] = []
        for one in numbers:
            if not any(_overlap(one, other) > _OVERLAP for other in found):
                found.append(one)
        return [one[2:4] for one in found]


class Landmarker:
    """Finds the landmarks of the person in a region."""

    def __init__(self, folder: Path) -> None:
        self._network = Network.load(folder / LANDMARKER, ("Identity", "Identity_1", "Identity_3", "Identity_4"))
        self._size = self._network.size[0]

    def __call__(self, picture: Any, region: Region, mirrored: bool = False) -> Sighting:
        """The person in a region of a picture (1, 3, H, W); mirrored: the network is shown it as in a mirror."""
        size = self._size
        square = cut_out(picture, region, size)
        found = self._network((torch.flip(square, (2,)) if mirrored else square) / 255.0)
        marks = found["Identity"][0].reshape(-1, 5).astype(float)
        places = _refined(marks[:, :2] / size, _sigmoid(found["Identity_3"][0].astype(float)))
        world = found["Identity_4"][0].reshape(-1, 3).astype(float)
        if mirrored:
            places[:, 0], world[:, 0] = 1.0 - places[:, 0], -world[:, 0]
        xy = (places - 0.5) * region.size @ region.axes.T + [region.x, region.y]
        world[:, :2] = world[:, :2] @ region.axes.T
        seen = Sighting(
            float(found["Identity_1"][0, 0]),
            xy[:LANDMARKS],
            _sigmoid(marks[:LANDMARKS, 3]),
            world[:LANDMARKS],
            region,
            _region(xy[_HIPS], xy[_SCALE_POINT]),
        )
        return seen.swapped() if mirrored else seen


def _region(centre: Array, edge: Array) -> Region:
    x, y = edge - centre
    angle = math.pi / 2 - math.atan2(-y, x)
    return Region(float(centre[0]), float(centre[1]), max(2 * math.hypot(x, y) * _MARGIN, 1.0), angle)


def _turned_back(points: Array, turn: int) -> Array:
    """Places in a square of side 1 before it was turned clockwise by so many quarters."""
    x, y = points[:, 0], points[:, 1]
    back = ((x, y), (y, 1 - x), (1 - x, 1 - y), (1 - y, x))
    return np.stack(back[turn % 4], axis=1)


def _anchors(size: int) -> Array:
    """Centres (2254, 2) of the detector's cells, shares of the square: two for each layer of a stride."""
    found: list[tuple[float, float]] = []
    for stride in dict.fromkeys(_STRIDES):
        cells = size // stride
        each = 2 * _STRIDES.count(stride)
        found += [
            ((x + 0.5) / cells, (y + 0.5) / cells) for y in range(cells) for x in range(cells) for _ in range(each)
        ]
    return np.array(found)


def _overlap(a: Array, b: Array) -> float:
    """Intersection over union of two boxes, centre and size in the first two rows."""
    low, high = np.maximum(a[0] - a[1] / 2, b[0] - b[1] / 2), np.minimum(a[0] + a[1] / 2, b[0] + b[1] / 2)
    common = float(np.prod(np.maximum(high - low, 0.0)))
    return common / (float(np.prod(a[1]) + np.prod(b[1])) - common + 1e-9)


def _refined(places: Array, heat: Array) -> Array:
    """Places (39, 2), shares of the square, moved to the middle of the heat (H, W, 39) near them, where it is clear."""
    side, reach = heat.shape[0], _HEATMAP_WINDOW
    refined = places.copy()
    for i, (x, y) in enumerate(places * side):
        column, row = int(np.floor(x)), int(np.floor(y))
        if not (0 <= column < side and 0 <= row < side):
            continue
        left, top = max(column - reach, 0), max(row - reach, 0)
        window = heat[top : row + reach + 1, left : column + reach + 1, i]
        if window.max() < _HEATMAP_LEAST:
            continue
        weight = window.sum()
        refined[i] = (
            (window.sum(axis=0) @ np.arange(left, left + window.shape[1])) / weight / side,
            (window.sum(axis=1) @ np.arange(top, top + window.shape[0])) / weight / side,
        )
    return refined


def _sigmoid(x: Array) -> Array:
    result: Array = 1.0 / (1.0 + np.exp(-np.clip(x, -80.0, 80.0)))
    return result
