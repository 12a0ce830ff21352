# SPDX-License-Identifier: GPL-3.0-or-later
"""Arms stay out of the trunk and of the legs: where one is hidden, the network likes to put it inside the body."""

from __future__ import annotations

from typing import Any

import torch

from . import figure
from .figure import INDEX

APART = 0.02  # m: sigma of how deep an arm's middle is inside

# Shares of the height: half of the hips' breadth (Winter 2009, figure 4.1) and half of a chest's depth, an arm's radius
# added; where along a link its bulk lies, and half of its length
BREADTH, DEPTH = 0.11, 0.08
_TRUNK = (("pelvis", 0.030, 0.11), ("chest", 0.095, 0.12))
THIGH = 0.055  # of a thigh's and an arm's radius
_ALONG_FOREARM = (0.0, 0.5, 1.0, 1.3)  # places from the elbow, in forearms: the last in the hand


def apart_term(origins: Any, orientations: Any, height: Any) -> Any:
    """How deep arms are in trunk and thighs, squares of sigmas, of all frames together.

    origins (F, L, 3), orientations (F, L, 3, 3): of the links. The trunk is two bulks that are elliptic across and
    blunt along; a thigh is a capsule.
    """
    arms = []
    for side in ("L", "R"):
        elbow, wrist = origins[:, INDEX[f"forearm.{side}"]], origins[:, INDEX[f"hand.{side}"]]
        arms += [elbow + share * (wrist - elbow) for share in _ALONG_FOREARM]
    points = torch.stack(arms, 1)
    total = torch.zeros((), dtype=figure.NUMBER)
    for link, middle, half in _TRUNK:
        away = points - origins[:, None, INDEX[link]]
        x, y, z = ((away[:, :, None, :] @ orientations[:, None, INDEX[link]])[:, :, 0] / height).unbind(-1)
        bulk = ((x / BREADTH) ** 2 + (y / DEPTH) ** 2) ** 2 + ((z - middle) / half) ** 4
        total = total + _squares((1 - (bulk + 1e-9) ** 0.25) * DEPTH * height)
    for side in ("L", "R"):
        hip, knee = origins[:, None, INDEX[f"thigh.{side}"]], origins[:, None, INDEX[f"shin.{side}"]]
        thigh = knee - hip
        along = (((points - hip) * thigh).sum(-1, keepdim=True) / (thigh * thigh).sum(-1, keepdim=True)).clamp(0, 1)
        distance = (points - hip - along * thigh).square().sum(-1).add(1e-9).sqrt()
        total = total + _squares(THIGH * height - distance)
    return total


def _squares(depths: Any) -> Any:
    return (torch.relu(depths) ** 2).sum() / APART**2
