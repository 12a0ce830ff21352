# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a figure's joints are past what a person's turn to (core.joint_limits), in torch so that a fit minds it."""

from __future__ import annotations

from typing import Any

import torch

from ...core import rotations
from ...core.body import LINK_NAMES
from ...core.joint_limits import usual_limit
from .figure import INDEX, tensor

_EDGE = 1e-3  # off where an angle has no slope

_LIMITS = {name: limit for name in LINK_NAMES if (limit := usual_limit(name)) is not None}
_BALLS = [INDEX[name] for name in _LIMITS]
_BACK = tensor([rotations.to_matrix(rotations.conjugate(limit.frame)) for limit in _LIMITS.values()])
_HALF = tensor([limit.half for limit in _LIMITS.values()])


def past(turns: Any) -> Any:
    """By how much ball joints are past their ranges (F, B, 3), rad: swing about x and y, twist.

    turns (F, L, 3, 3): each link in its parent. The angles are those of core.joint_limits.angles().
    """
    seen = _BACK @ turns[:, _BALLS]
    # w z and w^2 - z^2 of the quaternion, four and two times: tan of twice the angle whose tan is z / w
    sine, cosine = seen[..., 1, 0] - seen[..., 0, 1], seen[..., 0, 0] + seen[..., 1, 1]
    length = torch.sqrt(sine**2 + cosine**2 + _EDGE**2)
    sin, cos = sine / length, cosine / length
    x, y, z = seen[..., 2].unbind(-1)
    ahead, sideways = cos * y - sin * x, cos * x + sin * y
    swing_x = torch.atan2(-ahead, z)
    swing_y = torch.asin(sideways.clamp(_EDGE - 1, 1 - _EDGE))
    angles = torch.stack([swing_x, swing_y, torch.atan2(sin, cos)], -1)
    return torch.relu(angles.abs() - _HALF)
