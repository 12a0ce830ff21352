# SPDX-License-Identifier: GPL-3.0-or-later
"""Which gains a trajectory's feedback gets: of many regulators of the same models the one that lands most often.

A regulator is the best for its quadratic costs, and no such cost says what a landing is. So costs are drawn, the gains
that are best for them tried in small disturbances, and the landings counted.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from ...core.arrays import Array, BoolArray
from ..imitation.robustness import SMALL
from ..imitation.target_trajectory import TargetTrajectory
from ..planning.lqr import DESIGNS, Feedback
from ..workers import Workers, even_slices

FIRST_TRIALS = 4  # one of so many is in the first look at gains
FAR_BEHIND = 0.15  # by which gains land less often there than those to beat, and are left: of 32 trials two deviations
Landings = tuple[float, float]  # the share of trials that land, and their mean cost, negative: the greater, the better


def best_feedback(
    feedback: Feedback,
    trajectory: TargetTrajectory,
    landings: Callable[[TargetTrajectory, float], Landings],
    flaws: Callable[[TargetTrajectory], int | None],
    random: np.random.Generator,
    enough: float,
    variations: int,
    tell: Callable[[float], None] = lambda share: None,
) -> tuple[TargetTrajectory, float]:
    """The trajectory with the gains under which most trials land, and the share of them that do.

    Tried are the gains it has, those of lqr.DESIGNS, and of so many variations of the best design; nothing more once a
    share of enough lands. landings: of a trajectory, and of the share to beat: of what will not, a part may be tried
    and told. flaws: how many the performance of a trajectory has, undisturbed; None: it does not land.
    What lands undisturbed goes before what does not, and gains with more flaws than without any are left. tell: before
    each try the share of all tries that is over, and may raise.
    """
    models, design = feedback.models(), DESIGNS[0]
    best, most, without = trajectory, (False, 0.0, -np.inf), flaws(trajectory)
    if trajectory.gains.size:
        most = (without is not None, *landings(trajectory, 0.0))
    for tried in range(len(DESIGNS) + variations):
        if most[0] and most[1] >= enough:
            break
        tell(tried / (len(DESIGNS) + variations))
        own = DESIGNS[tried] if tried < len(DESIGNS) else design.varied(random)
        following = dataclasses.replace(trajectory, gains=feedback.gains(models, own, trajectory.landed))
        landed = landings(following, most[1])
        if (True, *landed) <= most:
            continue
        has = flaws(following)
        lands = has is not None and (without is None or has <= without)
        if (lands, *landed) > most:
            best, most, design = following, (lands, *landed), own
    return best, most[1] if most[0] else 0.0


def looked_at(pool: Workers, seeds: list[int], beat: float) -> Landings:
    """How often the feedback that workers (rl.rollouts.PolicyWorker) follow lands in small disturbances of these seeds.
    What falls far behind the share to beat in the first of them is not tried in the rest."""
    first = len(seeds) // FIRST_TRIALS
    landed, costs = _looked_at(pool, seeds[:first])
    if landed.mean() >= beat - FAR_BEHIND:
        rest = _looked_at(pool, seeds[first:])
        landed, costs = np.concatenate([landed, rest[0]]), np.concatenate([costs, rest[1]])
    return float(landed.mean()), -float(costs.mean())


def _looked_at(pool: Workers, seeds: list[int]) -> tuple[BoolArray, Array]:
    """Which trials (N,) land at a quick look, and their mean costs (N,)."""
    answers = pool.share("landings", [(seeds[part], SMALL) for part in even_slices(len(seeds), len(pool))])
    landed, costs = (np.concatenate([answer[k] for answer in answers]) for k in (0, 1))
    return landed, costs
