# SPDX-License-Identifier: GPL-3.0-or-later
"""The person of each frame looked at again, turned and in a mirror: what several looks agree on is nearer the truth.

The network's errors change with how its square lies, the person's pose does not. Over 20 drawn videos five more looks
bring its landmarks in space from 78 to 73 mm after alignment, and those in the picture from 33 to 31 mm.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from .pictures import Pictures, Region
from .pose_net import Landmarker, Sighting
from .tracking import BODY, LEAST_SCORE

TURNED = math.radians(20)
LOOKS = ((0.0, True), (TURNED, False), (-TURNED, False), (TURNED, True), (-TURNED, True))  # turned, mirrored


def looked_again(
    pictures: Pictures,
    mark: Landmarker,
    frames: Sequence[int],
    chosen: Sequence[Sighting | None],
    told: Callable[[float], None],
) -> list[Sighting | None]:
    """What was chosen in each of the frames, joined with more looks at the same person. told: the share that is done;
    may raise to end it."""
    found: list[Sighting | None] = []
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(_joined, pictures, mark, frame, one) for frame, one in zip(frames, chosen, strict=True)]
        try:
            for n, job in enumerate(jobs):
                found.append(job.result())
                told((n + 1) / len(jobs))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return found


def _joined(pictures: Pictures, mark: Landmarker, frame: int, first: Sighting | None) -> Sighting | None:
    if first is None:
        return None
    around = first.following
    looks = [first]
    for turned, mirrored in LOOKS:
        seen = mark(pictures[frame], Region(around.x, around.y, around.size, around.angle + turned), mirrored)
        if seen.score > LEAST_SCORE:
            looks.append(_as_sided(seen, first))
    return dataclasses.replace(
        first,
        xy=np.median([one.xy for one in looks], axis=0),
        world=np.mean([one.world for one in looks], axis=0),
        visible=np.mean([one.visible for one in looks], axis=0),
    )


def _as_sided(seen: Sighting, first: Sighting) -> Sighting:
    """A sighting with left and right as the first has them."""
    other = seen.swapped()
    off, swapped = (np.linalg.norm(one.xy[BODY] - first.xy[BODY], axis=-1).sum() for one in (seen, other))
    return seen if off <= swapped else other
