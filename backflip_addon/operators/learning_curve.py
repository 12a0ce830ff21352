# SPDX-License-Identifier: GPL-3.0-or-later
"""How a job's takes got better: a score for each, which of them landed, and the best so far."""

from __future__ import annotations

import dataclasses

import bpy
import numpy as np

from ..core.arrays import Array, BoolArray
from ..settings import scene_settings
from . import job_monitor

MOST_DOTS = 240  # takes that are drawn, evenly chosen: a dot has two pixels or so
FEWEST = 2  # takes of which there is a curve


@dataclasses.dataclass(frozen=True)
class Curve:
    """Dots of a plot, in the order of the takes. x (D,), y (D,): 0 to 1; landed (D,); best (D,): the best y until then.

    The best is that of all takes, of those as well that are no dots.
    """

    x: Array
    y: Array
    landed: BoolArray
    best: Array


_kept: dict[int, tuple[tuple[object, ...], Curve | None]] = {}  # by the scene's session_uid: of what, and the curve


def shown(scene: bpy.types.Scene) -> bool:
    """Whether the curve is to be drawn: a training is at work, and it is wanted. Cheap enough for drawing."""
    status = job_monitor.status_of(scene)
    return bool(status is not None and status.active and scene_settings(scene).browser.curve)


def curve(scene: bpy.types.Scene) -> Curve | None:
    """The curve of the scene's job, None of fewer than two takes; worked out when there is a new one."""
    scores, landings, version = job_monitor.scores(scene)
    asked = (scene_settings(scene).job_folder_absolute, len(scores), version)
    kept = _kept.get(scene.session_uid)
    if kept is None or kept[0] != asked:
        kept = (asked, _curve(np.clip(np.array(scores, dtype=float), 0.0, 1.0), np.array(landings, dtype=bool)))
        _kept[scene.session_uid] = kept
    return kept[1]


def _curve(scores: Array, landings: BoolArray) -> Curve | None:
    count = len(scores)
    if count < FEWEST:
        return None
    dots = np.unique(np.linspace(0, count - 1, MOST_DOTS).round().astype(int))
    best = np.maximum.accumulate(scores)
    return Curve(dots / (count - 1), scores[dots], landings[dots], best[dots])


def forget() -> None:
    """Keep no curve."""
    _kept.clear()
