# SPDX-License-Identifier: GPL-3.0-or-later
"""Which gains a trajectory's feedback gets: of many regulators of the same models the one that lands most often.

A regulator is the best for its quadratic costs, and no such cost says what a landing is. So costs are drawn, the gains
that are best for them tried in small disturbances, and the landings counted.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from ..imitation.target_trajectory import TargetTrajectory
from ..planning.lqr import DESIGNS, Feedback

Landings = tuple[float, float]  # the share of trials that land, and their mean cost, negative: the greater, the better


def best_feedback(
    feedback: Feedback,
    trajectory: TargetTrajectory,
    landings: Callable[[TargetTrajectory], Landings],
    flaws: Callable[[TargetTrajectory], int | None],
    random: np.random.Generator,
    enough: float,
    variations: int,
    tell: Callable[[float], None] = lambda share: None,
) -> tuple[TargetTrajectory, float]:
    """The trajectory with the gains under which most trials land, and the share of them that do.

    Tried are the gains it has, those of lqr.DESIGNS, and of so many variations of the best design; nothing more once a
    share of enough lands. flaws: how many the performance of a trajectory has, undisturbed; None: it does not land.
    What lands undisturbed goes before what does not, and gains with more flaws than without any are left. tell: before
    each try the share of all tries that is over, and may raise.
    """
    models, design = feedback.models(), DESIGNS[0]
    best, most, without = trajectory, (False, 0.0, -np.inf), flaws(trajectory)
    if trajectory.gains.size:
        most = (without is not None, *landings(trajectory))
    for tried in range(len(DESIGNS) + variations):
        if most[0] and most[1] >= enough:
            break
        tell(tried / (len(DESIGNS) + variations))
        own = DESIGNS[tried] if tried < len(DESIGNS) else design.varied(random)
        following = dataclasses.replace(trajectory, gains=feedback.gains(models, own, trajectory.landed))
        landed = landings(following)
        if (True, *landed) <= most:
            continue
        has = flaws(following)
        lands = has is not None and (without is None or has <= without)
        if (lands, *landed) > most:
            best, most, design = following, (lands, *landed), own
    return best, most[1] if most[0] else 0.0
