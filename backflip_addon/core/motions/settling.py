# SPDX-License-Identifier: GPL-3.0-or-later
"""A motion that comes to rest after its last frame: a clip is cut while limbs still move, and no body stops dead."""

from __future__ import annotations

import dataclasses

import numpy as np

from .. import rotations
from ..motion import Motion

EASE = 0.07  # s in which speeds fall to 1/e: an arm that swings down goes on for a few degrees
SPEED_SECONDS = 1 / 30  # before the end, over which its speeds are taken


def settled(motion: Motion, seconds: float) -> Motion:
    """The motion and so many seconds more, in which all its speeds fall to nothing."""
    count = int(np.ceil(seconds * motion.rate - 1e-6))
    if count <= 0 or motion.frames < 2:
        return motion
    span = min(max(round(SPEED_SECONDS * motion.rate), 1), motion.frames - 1)
    way = EASE * (1 - np.exp(-np.arange(1, count + 1) / motion.rate / EASE)) * motion.rate / span
    last, before = motion.rotations[-1], motion.rotations[-1 - span]
    moved = motion.position[-1] - motion.position[-1 - span]
    turned = rotations.to_rotation_vector(rotations.multiply(rotations.conjugate(before), last))
    onward = rotations.from_rotation_vector(way[:, None, None] * turned)
    sure = None if motion.sure is None else np.concatenate([motion.sure, np.repeat(motion.sure[-1:], count, axis=0)])
    return dataclasses.replace(
        motion,
        sure=sure,
        position=np.concatenate([motion.position, motion.position[-1] + way[:, None] * moved]),
        rotations=np.concatenate([motion.rotations, rotations.multiply(last, onward)]),
    )
