# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a training has come, as its checkpoints keep it and as it reports it."""

from __future__ import annotations

import dataclasses
from typing import Any

from ..planning.mpc import MOST_STEPS
from .ppo import UpdateReport

DAMAGED = "it is damaged: one of its numbers makes no sense"
MOST_SEED = 2**63 - 1  # torch takes no larger one
# The most that a checkpoint's numbers may be: far beyond what any training comes to
MOST = {
    "samples": MOST_STEPS,
    "seconds": 1e12,
    "iterations": 10**9,
    "updates": 10**9,
    "share": 1.0,
    "survival": 1.0,
    "landing": 1.0,
    "feedback_lands": 1.0,
    "seed": MOST_SEED,
}


@dataclasses.dataclass
class Counters:
    """What a training counts.

    samples: control steps simulated. seconds: spent in iterations. updates: of the network. share: of the
    disturbances in rollouts. survival, landing: running means of the shares of episodes that reach the end, of all
    and of those from frame 0. planned: whether it set out from a plan.
    feedback_lands: share of small disturbances in which the feedback at work lands; 0 until there is some.
    """

    seed: int
    planned: bool
    share: float
    samples: int = 0
    seconds: float = 0.0
    iterations: int = 0
    updates: int = 0
    survival: float = 0.0
    landing: float = 0.0
    feedback_lands: float = 0.0

    def to_numbers(self) -> dict[str, int | float]:
        """As a checkpoint keeps them."""
        return {**dataclasses.asdict(self), "planned": int(self.planned)}

    @staticmethod
    def from_numbers(numbers: dict[str, Any]) -> Counters:
        """The inverse of to_numbers(). Raises ValueError, without a full stop, on numbers that make no sense, and
        KeyError on missing ones."""
        numbers = {"feedback_lands": 0.0, **numbers}  # which earlier versions did not keep
        values = {name: within(numbers[name], 0, most) for name, most in MOST.items()}
        for name in ("samples", "iterations", "updates", "seed"):
            values[name] = int(values[name])
        return Counters(planned=bool(numbers["planned"]), **values)


@dataclasses.dataclass(frozen=True)
class IterationReport:
    """What an iteration came to. seconds: the training's so far. mean_return: of a control step's reward.
    episode_return: mean over the episodes that ended; 0 where none did. feedback: mean norm of the gains, where they
    were fitted in it."""

    iteration: int
    samples: int
    seconds: float
    mean_return: float
    survival: float
    landing_estimate: float
    disturbance_share: float
    rollout_seconds: float = 0.0
    episode_return: float = 0.0
    feedback: float | None = None
    update: UpdateReport | None = None


def within(value: Any, least: float, most: float) -> Any:
    """value, a number from least to most. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        raise ValueError(DAMAGED)
    return value
