# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user calls the joints of a body."""

from __future__ import annotations

JOINTS = {
    "chest": "waist",
    "head": "neck",
    "thigh": "hip",
    "shin": "knee",
    "foot": "ankle",
    "upper_arm": "shoulder",
    "forearm": "elbow",
    "hand": "wrist",
}


def joint_words(link: str) -> str:
    """The joint that holds a link: "left knee" of shin.L."""
    part, _, side = link.partition(".")
    return {"L": "left ", "R": "right ", "": ""}[side] + JOINTS.get(part, part)
