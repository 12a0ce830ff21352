# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a trajectory's feedback is to allow for the body's weight (planning.weight): where it lands more often so."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable

from ...core.motion import Take
from ..imitation.disturbances import Disturbances
from ..imitation.reference_track import Track
from ..imitation.target_trajectory import TargetTrajectory
from ..planning.plan import Plan
from ..planning.weight import gains_for_any_weight, response_to_weight
from .feedback_choice import Looks

logger = logging.getLogger(__name__)

PLANNING = 0.5  # share of the time that planning for other weights takes


def allowing_for_weight(
    track: Track,
    plan: Plan,
    trajectory: TargetTrajectory,
    disturbances: Disturbances,
    looks: Looks,
    flaws: Callable[[TargetTrajectory], int | None],
    lands: Callable[[Take], bool],
    workers: int,
    seed: int,
    tell: Callable[[float], None] = lambda share: None,
) -> TargetTrajectory:
    """The trajectory that a plan leads along with feedback that allows for the body's weight, where it lands more often
    so, and undisturbed with no more flaws; as it is otherwise.

    looks, flaws: at how often a trajectory lands, and how many flaws its performance has, undisturbed; None: it does
    not land. lands: whether a take does. tell: the share that is done, now and then; may raise.
    """
    response = response_to_weight(
        track, plan, trajectory, lands, workers, seed, lambda share: tell(PLANNING * share)
    )  # fmt: skip
    if response is None:
        return trajectory
    own = gains_for_any_weight(
        track, trajectory, response, disturbances, workers, lambda share: tell(PLANNING + (1 - PLANNING) * share)
    )
    other = dataclasses.replace(trajectory, gains=own)
    before, after = flaws(trajectory), flaws(other)
    rates = [looks.longer(each)[0] for each in (trajectory, other)]
    logger.info("of half disturbed rollouts %.0f %% land, %.0f %% allowing for weight", *(100 * rate for rate in rates))
    sound = after is not None and (before is None or after <= before)
    return other if sound and rates[1] > rates[0] else trajectory
