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
from ..planning.lqr import DESIGNS, Design, Feedback
from ..workers import Workers, even_slices

FIRST_TRIALS = 4  # one of so many is in the first look at gains
FAR_BEHIND = 0.15  # by which gains land less often there than those to beat, and are left: of 32 trials two deviations
Landings = tuple[float, float]  # the share of trials that land, and their mean cost, negative: the greater, the better


@dataclasses.dataclass(frozen=True)
class Chosen:
    """A trajectory with its gains, the share of trials that land under them, and the design they are of, if any."""

    trajectory: TargetTrajectory
    lands: float = 0.0
    design: Design | None = None


def best_feedback(
    feedback: Feedback,
    trajectory: TargetTrajectory,
    landings: Callable[[TargetTrajectory, float], Landings],
    flaws: Callable[[TargetTrajectory], int | None],
    random: np.random.Generator,
    enough: float,
    variations: int,
    tell: Callable[[float], None] = lambda share: None,
    design: Design | None = None,
) -> Chosen:
    """The trajectory with the gains under which most trials land.

    Tried are the gains it has, those of lqr.DESIGNS, or of the design that an earlier fit came to, and of so many
    variations of the best design; nothing more once a share of enough lands. landings: of a trajectory, and of the
    share to beat: of what will not, a part may be tried and told. flaws: how many the performance of a trajectory has,
    undisturbed; None: it does not land. What lands undisturbed goes before what does not, and gains with more flaws
    than without any are left. tell: before each try the share of all tries that is over, and may raise.
    """
    models, designs, without = feedback.models(), DESIGNS if design is None else (design,), flaws(trajectory)
    best, most = Chosen(trajectory, design=design), (0.0, -np.inf)
    if trajectory.gains.size:
        most = landings(trajectory, 0.0)
        best = Chosen(trajectory, most[0], design)
    found, sound = [best], without is not None

    def lands(one: Chosen) -> bool:
        has = flaws(one.trajectory)
        return has is not None and (without is None or has <= without)

    for tried in range(len(designs) + variations):
        if sound and best.lands >= enough:
            return best
        tell(tried / (len(designs) + variations))
        own = designs[tried] if tried < len(designs) else (best.design or designs[0]).varied(random)
        following = dataclasses.replace(trajectory, gains=feedback.gains(models, own, trajectory.landed))
        landed = landings(following, most[0])
        if landed > most:
            best, most = Chosen(following, landed[0], own), landed
            found.append(best)
            sound = landed[0] >= enough and lands(best)  # of what is not enough it is asked at the end
    for one in reversed(found[1:]):
        if lands(one):
            return one
    return found[0] if without is not None else dataclasses.replace(best, lands=0.0)


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
