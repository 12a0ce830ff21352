# SPDX-License-Identifier: GPL-3.0-or-later
"""Landmarks that somebody who looked at the frames has put elsewhere."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from ...jobs.video_folder import Correction
from . import contacts
from .landmarks import Landmarks

TOLD = 4.0  # how visible a landmark counts that a person has put where it is, against 1 of one that is plain to see


def corrected(landmarks: Landmarks, corrections: Sequence[Correction]) -> Landmarks:
    """The landmarks with those corrections, which move them in space along with the picture."""
    if not corrections:
        return landmarks
    xy, world, visible = landmarks.xy.copy(), landmarks.world.copy(), landmarks.visible.copy()
    scale = contacts.scale_of(landmarks)
    for frame, mark, x, y in corrections:
        place = np.array([x * landmarks.width, y * landmarks.height])
        world[frame, mark, :2] += (place - xy[frame, mark]) / scale
        xy[frame, mark], visible[frame, mark] = place, TOLD
    return dataclasses.replace(landmarks, xy=xy, world=world, visible=visible)
