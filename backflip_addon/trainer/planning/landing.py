# SPDX-License-Identifier: GPL-3.0-or-later
"""How good a landing is that a plan leads to: which of several ends is kept, and whether another one is tried."""

from __future__ import annotations

import dataclasses

from ...core import metrics
from ...core.body import Body
from ...core.motion import Motion, Take
from ..imitation.reference_track import Track
from .plan import Plan

SEARCHES = 3  # for a landing that settles: what every end of one lacks, it lacks from before its touchdown
# What feedback can be expected to steady: of ten backflips those with less came to land in 65 to 82 % of small
# disturbances, with 0.86 to 0.92 in 9 to 38; another end takes as long as half of its fit
SETTLED = 0.85  # metrics.unrest: of one that stands 1 at most
TURNED = 0.6  # Measures.turned_off: small disturbances turn a landing by 10 to 15 degrees more, or less


def left_before_landing(track: Track, measures: metrics.Measures) -> bool:
    """Whether a take left its clip before the last touchdown, so that no other end makes it a success."""
    return measures.followed * track.clip_steps < track.landed


@dataclasses.dataclass(frozen=True)
class Landing:
    """A plan whose take succeeds. flaws: how many keep it from being clean, its robustness aside. unrest: how much it
    sways and leans at its end (metrics.unrest). turned: how far it has turned too much or too little
    (metrics.Measures.turned_off). astray: it landed, and elsewhere than its clip."""

    plan: Plan
    flaws: int
    unrest: float
    turned: float = 0.0
    astray: bool = False

    @staticmethod
    def of(body: Body, reference: Motion, plan: Plan, take: Take) -> Landing:
        """Of what a plan performs; of a clip that ends in mid-stride nothing is asked."""
        if not metrics.ends_standing(body, reference):
            return Landing(plan, 0, 0.0)
        measures = metrics.evaluate_take(body, reference, take)
        unrest = metrics.unrest(body, take)
        return Landing(plan, len(measures.flaws), unrest, measures.turned_off, not measures.success)

    @property
    def strain(self) -> float:
        """How near it is to what would not count as a landing; below 1 there is room for small disturbances."""
        return max(self.unrest / SETTLED, self.turned / TURNED)

    @property
    def settled(self) -> bool:
        """Whether no other end is needed."""
        return not self.flaws and self.strain < 1.0

    def enough(self, another_end: bool, attempt: int) -> bool:
        """Whether a search that is to end in a clean landing may stop here, the best of so many attempts (0: the
        first), which has another end to try or has none."""
        return self.settled or not another_end and attempt + 1 >= SEARCHES

    def better_than(self, other: Landing | None) -> bool:
        """Whether it is where its clip is and the other is not; else whether it has fewer flaws, or as many and is
        further from not being one."""
        return other is None or (self.astray, self.flaws, self.strain) < (other.astray, other.flaws, other.strain)
