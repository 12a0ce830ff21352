# SPDX-License-Identifier: GPL-3.0-or-later
"""In how many small disturbances a performance lands, one after the other."""

from __future__ import annotations

from backflip_addon.core import metrics
from backflip_addon.trainer.imitation.reference_track import Track
from backflip_addon.trainer.imitation.robustness import Perform, small_disturbances
from backflip_addon.trainer.physics.state import Scene


def robust_landings(track: Track, perform: Perform, scene: Scene | None = None, trials: int = metrics.TRIALS) -> int:
    """How many of so many trials land; of a clip that does not end standing, succeed.

    The trials are always the same: the same plan or policy in the same scene has the same number.
    """
    landings = 0
    for around, start in small_disturbances(track, scene or Scene(), trials):
        measures = metrics.evaluate_take(track.body, track.reference, perform(around, start))
        landings += measures.success if measures.landed is None else measures.landed
    return landings
