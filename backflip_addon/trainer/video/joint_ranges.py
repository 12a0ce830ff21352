# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a figure's joints are past what a person's turn to (core.joint_limits), in torch so that a fit minds it."""

from __future__ import annotations

import math
from typing import Any

import torch

from ...core import rotations
from ...core.body import LINK_NAMES
from ...core.joint_limits import usual_limit
from .figure import INDEX, tensor

INSIDE = math.radians(4)  # from a range's end: what is performed, and a motion between its frames, swings a little past
_EDGE = 1e-3  # off where an angle has no slope

_LIMITS = {name: limit for name in LINK_NAMES if (limit := usual_limit(name)) is not None}
_BALLS = [INDEX[name] for name in _LIMITS]
_BACK = tensor([rotations.to_matrix(rotations.conjugate(limit.frame)) for limit in _LIMITS.values()])
_HALF = tensor([limit.half - INSIDE for limit in _LIMITS.values()])


def past(turns: Any) -> Any:
    """By how much ball joints are past INSIDE their ranges (F, B, 3), rad: swing about x and y, twist.

    turns (F, L, 3, 3): each link in its parent, or a mean of two turns that are not far apart. The angles are those of
    core.joint_limits.angles(). An arm that leaves its range behind the back and would be in it again from the other
    side, past half a turn, is as far out of it as the way back is long.
    """
    seen = _BACK @ turns[:, _BALLS]
    # w z and w^2 - z^2 of the quaternion, four and two times: sine and cosine of the twist
    sine, cosine = seen[..., 1, 0] - seen[..., 0, 1], seen[..., 0, 0] + seen[..., 1, 1]
    length = torch.sqrt(sine**2 + cosine**2 + _EDGE**2)
    sin, cos = sine / length, cosine / length
    x, y, z = torch.nn.functional.normalize(seen[..., 2], dim=-1).unbind(-1)
    swing_x = torch.atan2(sin * x - cos * y, z)
    swing_y = torch.asin((cos * x + sin * y).clamp(_EDGE - 1, 1 - _EDGE))
    angles = torch.stack([swing_x, swing_y, torch.atan2(sin, cos)], -1)
    # swung far about y, a large angle about x is a short way
    way = torch.stack([torch.cos(swing_y), torch.zeros_like(x), torch.ones_like(x)], -1)
    return torch.relu(angles.abs() - _HALF) + 2 * _round(angles.detach()) * way * (math.pi - angles.abs())


def _round(angles: Any) -> Any:
    """1 while angles (F, ...) are past half a turn, where they came from within and whence they go back; else 0."""
    turns = -torch.round((angles[1:] - angles[:-1]) / (2 * math.pi))
    count = torch.cat([torch.zeros_like(angles[:1]), torch.cumsum(turns, 0)])
    usual = (count == count.median(0).values).to(count.dtype)
    before, after = torch.cummax(usual, 0).values, torch.cummax(usual.flip(0), 0).values.flip(0)
    return (1 - usual) * before * after
