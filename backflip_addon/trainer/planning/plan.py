# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan: feed-forward controls along a clip, and the trajectory that it leads along."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from contextlib import closing
from typing import Any

import numpy as np

from ...core.arrays import Array
from ...core.direction import Direction
from ...core.motion import Take
from ..imitation.performance import Performance
from ..imitation.reference_track import Track
from ..imitation.target_trajectory import TargetTrajectory
from ..physics.engines import AUTO, EngineName
from ..physics.state import Scene, States

GIVES_WAY = 10  # of a process's niceness: beside two that compute it gets a tenth of a core


@dataclasses.dataclass(frozen=True)
class Plan:
    """Feed-forward controls along a clip.

    knots (K, width): offsets of the joint targets, rad, by imitation.action_layout; one every `knot` control steps.
    """

    knots: Array
    knot: int

    def offsets(self, first: int, count: int) -> Array:
        """Offsets (count, width) for control steps from first on."""
        return interpolate(self.knots, self.knot, first, count)


@dataclasses.dataclass(frozen=True)
class KnotGrid:
    """Knots of a plan of so many control steps, one every spacing steps, refined a horizon of steps at a time.

    goes_on: whether the last goal is still asked for after the last step: a body that stands must not be toppling.
    """

    steps: int
    spacing: int
    horizon: int
    goes_on: bool = False

    @property
    def count(self) -> int:
        """Knots in all."""
        return (self.steps + self.horizon) // self.spacing + 2

    def ahead(self, step: int) -> int:
        """Control steps looked ahead from a step."""
        return self.horizon if self.goes_on else min(self.horizon, self.steps - step)

    def window(self, step: int, first: bool) -> slice:
        """The knots that may still move at a step; but for the first window the one under it is acted upon already."""
        return slice(step // self.spacing + (not first), (step + self.ahead(step) - 1) // self.spacing + 2)


def interpolate(knots: Array, spacing: int, first: int, count: int) -> Array:
    """Offsets (..., count, width) at steps first... of knots (..., K, width), linear between."""
    position = np.arange(first, first + count) / spacing
    low = np.minimum(position.astype(int), knots.shape[-2] - 1)
    high = np.minimum(low + 1, knots.shape[-2] - 1)
    share = (position - low)[:, None]
    offsets: Array = knots[..., low, :] * (1 - share) + knots[..., high, :] * share
    return offsets


def knots_along(knots: Array, spacing: int, first: int, offsets: Array) -> Array:
    """Knots (K, width) between which offsets (H, width) from step first on are met best, in least squares: those up to
    that step stay as they are, and those past the offsets' end keep their last."""
    fixed, last = first // spacing + 1, first + len(offsets) - 1
    shares = interpolate(np.eye(len(knots)), spacing, first, len(offsets))
    result = np.array(knots)
    free = slice(fixed, min(-(-last // spacing) + 1, len(knots)))
    result[free.stop :] = offsets[-1]
    rest = offsets - shares[:, :fixed] @ knots[:fixed]
    result[free] = np.linalg.lstsq(shares[:, free], rest, rcond=None)[0]
    return result


def take_of_plan(
    track: Track,
    plan: Plan,
    scene: Scene,
    engine: EngineName,
    start: States | None = None,
    direction: Direction | None = None,
    chance: int = 0,
    meanwhile: Callable[[], None] = lambda: None,
    **meta: Any,
) -> Take:
    """What a plan performs open loop, its fall played out where it fell. start: None is the track's first state.
    direction, chance: what it is asked to bear, and the seed of what is random in it. meanwhile: may raise."""
    with closing(Performance(track, scene, start or track.states[0], engine, direction, chance)) as performance:
        performance.play(track.targets(plan.offsets(0, track.steps), 0), meanwhile)
        return performance.played_out(**meta)


class PlanPlayer:
    """Plays plans in a process of its own, which loads no more than that takes. gives_way: to whatever else runs."""

    def __init__(self, track: Track, scene: Scene, engine: EngineName, gives_way: bool = False) -> None:
        self.track, self.scene, self.engine = track, scene, engine
        if gives_way and hasattr(os, "nice"):
            os.nice(GIVES_WAY)

    def play(self, plan: Plan) -> Take:
        """What a plan performs open loop."""
        return take_of_plan(self.track, plan, self.scene, self.engine)


def trajectory_of_plan(
    track: Track, plan: Plan, scene: Scene | None = None, engine: EngineName = AUTO
) -> TargetTrajectory:
    """A plan, performed once from frame 0."""
    targets = track.targets(plan.offsets(0, track.steps), 0)
    performance = Performance(track, scene or Scene(), track.states[0], engine)
    performance.run(targets)
    states = performance.states()
    performance.close()
    return TargetTrajectory(states, targets, track.velocities(0, track.steps), track.landed)
