# SPDX-License-Identifier: GPL-3.0-or-later
"""How a policy is trained: the numbers, in one place."""

from __future__ import annotations

import dataclasses

from ..imitation.disturbances import Disturbances
from ..imitation.environment import Limits
from ..planning.lqr import FeedbackSettings
from .network_updates import PPOSettings


@dataclasses.dataclass(frozen=True)
class LearningSettings:
    """How to train. tests/benchmarks/policy.py measures what these numbers are worth."""

    bodies: int = 512  # in a worker's simulator: enough for numpy's loops to be long
    length: int = 8  # control steps each of them goes on an iteration
    hidden: tuple[int, ...] = (256, 128)  # widths of the networks' hidden layers
    # Deviation of exploration, in environment.ACTION_SCALE rad: until feedback is fitted, the network's first, from
    # scratch
    feedback_std: float = 0.5
    std: float = 0.18
    scratch_std: float = 0.4
    correlation: float = 0.6  # of exploration, from a control step to the next; none while feedback is fitted
    first_share: float = 0.1  # of the disturbances, from scratch, to begin with; from a plan it is all of them
    share_step: float = 0.02  # by which it grows an iteration while most episodes go well
    going_well: float = 0.6  # share of episodes from frame 0 that reach the end
    going_badly: float = 0.3  # below it the disturbances shrink again
    from_start: float = 0.3  # share of episodes that begin at frame 0
    disturbances: Disturbances = Disturbances()
    limits: Limits = Limits()
    ppo: PPOSettings = PPOSettings()
    feedback: FeedbackSettings = FeedbackSettings()
    # Share of the disturbances in the rollouts that feedback is fitted to: near the trajectory its models hold
    feedback_share: float = 0.6
    feedback_length: int = 12  # control steps that these rollouts go on at most
    feedback_trials: int = 128  # small disturbances that tell which of two fits is better
    feedback_variations: int = 8  # of the best design of gains, that are tried
    feedback_lands: float = 0.8  # share of small disturbances in which it lands that is enough: nothing is fitted anew
    # Share below which another fit, or allowing for the weight, does not come to enough
    feedback_mends: float = 0.4
    # The iteration after which feedback is fitted for the first time, with a plan, and times that it is at most, after
    # so many iterations each, the feedback so far at work in them
    feedback_fit: int = 7
    feedback_fits: int = 3

    @property
    def last_fit(self) -> int:
        """The iteration after which feedback is fitted for the last time, and the network begins to learn."""
        return self.feedback_fits * (self.feedback_fit + 1) - 1

    def fits_after(self, iteration: int) -> bool:
        """Whether feedback is fitted after an iteration."""
        return iteration <= self.last_fit and (iteration + 1) % (self.feedback_fit + 1) == 0
