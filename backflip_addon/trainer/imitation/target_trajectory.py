# SPDX-License-Identifier: GPL-3.0-or-later
"""What a policy follows: goal states and feed-forward controls, a control step at a time.

From a plan that landed, the goals are the states it passed through. Without a plan (learning from scratch) the goals
are the feasible reference, and the joint targets its poses.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ...core import metrics
from ...core.arrays import Array
from ..physics.simulator import CONTROL_RATE
from ..physics.state import States
from .reference_track import Track


@dataclasses.dataclass(frozen=True)
class TargetTrajectory:
    """steps T; states (T + 1,): goals at the control steps' boundaries; targets (T, L, 4) and velocities
    (T, L, 3): joint targets and target velocities that lead from each to the next. gains
    (T, width, n): feedback, rad of a target per difference observed; empty: none yet. landed:
    the boundary from which on the body only has to stand, wherever it came down; past the end where
    there is none (reference_track.Track.landed)."""

    states: States
    targets: Array
    velocities: Array
    landed: int
    gains: Array = dataclasses.field(default_factory=lambda: np.zeros((0, 0, 0)))

    @property
    def steps(self) -> int:
        """Control steps, T."""
        return len(self.targets)

    @property
    def pushed_until(self) -> int:
        """The control step before which a trial's push falls: a body that is to stand has the second past its clip to
        come to rest, of which half is judged; no push in there could be borne by the rule."""
        rest = metrics.TAIL_SECONDS * CONTROL_RATE if self.landed <= self.steps else 0.0
        return max(self.steps - round(rest), 1)

    @staticmethod
    def of_track(track: Track) -> TargetTrajectory:
        """The feasible reference itself."""
        none = np.zeros((track.steps, track.layout.width))
        return TargetTrajectory(track.states, track.targets(none, 0), track.velocities(0, track.steps), track.landed)

    def arrays(self) -> dict[str, Array]:
        """As plain arrays, to be stored."""
        states = {f"states.{f.name}": getattr(self.states, f.name) for f in dataclasses.fields(States)}
        rest = {"targets": self.targets, "velocities": self.velocities, "gains": self.gains}
        return {**states, **rest, "landed": np.array(self.landed)}

    @staticmethod
    def from_arrays(arrays: dict[str, Any]) -> TargetTrajectory:
        """The inverse of arrays(). Raises KeyError when something is missing."""
        states = States(*(np.asarray(arrays[f"states.{f.name}"]) for f in dataclasses.fields(States)))
        targets, velocities, gains = (np.asarray(arrays[name]) for name in ("targets", "velocities", "gains"))
        return TargetTrajectory(states, targets, velocities, int(np.asarray(arrays["landed"]).item()), gains)
