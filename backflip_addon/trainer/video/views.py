# SPDX-License-Identifier: GPL-3.0-or-later
"""The cameras of a fit: where each stands, where it looks, and when its pictures were taken.

The first one stands over the origin and looks along +Y; its frames are those of the fit. Others stand elsewhere, turned
about the vertical, and what was seen by them is brought to the times of the first one's frames.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch

from . import figure
from .figure import ROW, tensor
from .landmarks import Landmarks

NARROW, WIDE = 8.0, 1000.0  # squares of sigmas over which landmarks' squares are flattened
PICTURE, DIRECTION = 0.025, 0.2  # sigmas: of a landmark at the person, m; of a bone's direction, of length 1

# Bones that the network tells the direction of, and how much it is worth
_BONES = (
    *((a, b, 1.0) for a, b in ((11, 12), (23, 24), (11, 23), (12, 24), (11, 13), (13, 15), (12, 14), (14, 16))),
    *((a, b, 1.0) for a, b in ((23, 25), (25, 27), (24, 26), (26, 28))),
    *((a, b, 0.7) for a, b in ((29, 31), (30, 32), (7, 8))),
    *((a, b, 0.5) for a, b in ((0, 7), (0, 8))),
)
_FROM, _TO = [a for a, _b, _w in _BONES], [b for _a, b, _w in _BONES]


@dataclasses.dataclass(frozen=True)
class View:
    """One camera's video. landmarks: at the frames of the fit. focal: pixels, and pitch: rad, first guesses. scale:
    pixels per metre at the person. floor: a frame, and where in its picture somebody has put the floor under the
    person, pixels from above; None where nobody has."""

    landmarks: Landmarks
    focal: float
    pitch: float
    scale: float
    floor: tuple[int, float] | None = None


def camera_axes(pitch: Any, roll: Any) -> Any:
    """Rows (3, 3): the camera's right, down and away in the world. Unpitched it looks along +Y."""
    one, zero = torch.ones((), dtype=figure.NUMBER), torch.zeros((), dtype=figure.NUMBER)
    c, s = torch.cos(pitch), torch.sin(pitch)
    level = torch.stack([one, zero, zero, zero, -s, -c, zero, c, -s]).reshape(3, 3)
    c, s = torch.cos(roll), torch.sin(roll)
    return torch.stack([c, -s, zero, s, c, zero, zero, zero, one]).reshape(3, 3) @ level


def about_vertical(angle: Any) -> Any:
    """The turn (3, 3) about z."""
    c, s = torch.cos(angle), torch.sin(angle)
    zero, one = torch.zeros_like(c), torch.ones_like(c)
    return torch.stack([c, -s, zero, s, c, zero, zero, zero, one]).reshape(3, 3)


def cauchy(square: Any, width: Any) -> Any:
    """Cauchy's loss: squares, flattened from that width on."""
    return width * torch.log1p(square / width)


def picture_term(view: View, focal: Any, seen: Any) -> Any:
    """Landmarks against where the network sees them in the picture. focal: logarithm. seen: in the camera's axes."""
    data = view.landmarks
    off = (spots(data, focal, seen) - tensor(data.xy[:, figure.MARKS])) / (view.scale * PICTURE)
    visible = tensor(data.visible[:, figure.MARKS])
    width = torch.where(visible > 1.0, WIDE, NARROW)  # what a person has put there is no outlier
    return (visible * cauchy((off * off).sum(-1), width)).sum()


def spots(data: Landmarks, focal: Any, seen: Any) -> Any:
    """Where places in a camera's axes (..., 3) are in its picture (..., 2), pixels. focal: logarithm."""
    middle = tensor([data.width / 2, data.height / 2])
    return seen[..., :2] / seen[..., 2:].clamp(min=0.3) * torch.exp(focal) + middle


def direction_term(data: Landmarks, seen: Any, lean: Any) -> Any:
    """Bones' directions against those that the network tells, in the camera's axes."""
    right, down, away = tensor(data.world[:, _TO] - data.world[:, _FROM]).unbind(-1)
    c, s = torch.cos(lean), torch.sin(lean)
    told = torch.nn.functional.normalize(torch.stack([right, c * down - s * away, s * down + c * away], -1), dim=-1)
    rows = [ROW[mark] for mark in _TO], [ROW[mark] for mark in _FROM]
    own = torch.nn.functional.normalize(seen[:, rows[0]] - seen[:, rows[1]], dim=-1)
    visible = np.maximum(np.minimum(data.visible[:, _FROM], data.visible[:, _TO]), 0.15) * data.found[:, None]
    weight = tensor(visible * [w for _a, _b, w in _BONES])
    return (weight * cauchy(((own - told) ** 2).sum(-1) / DIRECTION**2, 4.0)).sum()
