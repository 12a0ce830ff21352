# SPDX-License-Identifier: GPL-3.0-or-later
"""A search's rollouts on a cluster: a round's samples are shared out, and those of a lost machine are done again."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ...core.arrays import Array, IntArray
from ..imitation.compiled_rollouts import CompiledRollouts, Rolled
from ..imitation.cost import Weights
from ..imitation.reference_track import Track
from ..lane_count import LANES, MOST_LANES
from ..physics.state import Scene, States, joined
from ..workers import even_slices
from .rounds import Machines, Rounds

FEWEST = LANES  # samples that are worth a message


class RolloutsWorker:
    """Rollouts of one core."""

    def __init__(self, track: Track, lost: float, weights: Weights | None) -> None:
        self.rollouts = CompiledRollouts(track, lost, 1, weights)

    def follow(self, track: Track) -> None:
        """Go on with other goals."""
        self.rollouts.follow(track)

    def roll(
        self, starts: States, scenes: list[Scene], first: int | IntArray, offsets: Array, before: Array | None
    ) -> Rolled:
        return self.rollouts(starts, scenes, first, offsets, before)


class ClusterRollouts(CompiledRollouts):
    """CompiledRollouts whose samples are shared out over machines, with the same results."""

    def __init__(
        self,
        track: Track,
        lost: float,
        machines: Callable[[Callable[..., Any], tuple[Any, ...]], Machines],
        meanwhile: Callable[[], None] | None = None,
        weights: Weights | None = None,
    ) -> None:
        self.rounds: Rounds | None = None
        super().__init__(track, lost, 1, weights)
        self.rounds = Rounds(machines(RolloutsWorker, (track, lost, weights)), meanwhile)
        self.seconds = 0.0  # that rounds have taken

    def follow(self, track: Track) -> None:
        super().follow(track)
        if self.rounds is not None:
            self.rounds.tell("follow", track)

    def close(self) -> None:
        super().close()
        if self.rounds is not None:
            self.rounds.close()

    def __call__(
        self, starts: States, scenes: list[Scene], first: int | IntArray, offsets: Array, before: Array | None = None
    ) -> Rolled:
        count = len(offsets)
        if count <= FEWEST or self.rounds is None:
            return super().__call__(starts, scenes, first, offsets, before)  # a few are done before they could be sent
        began = time.monotonic()
        size = LANES if isinstance(first, int) else MOST_LANES  # of what may not be torn apart, whoever gets it
        groups = even_slices(-(-count // size), len(self.rounds.machines.present()) or 1)
        parts = [slice(part.start * size, min(part.stop * size, count)) for part in groups]
        jobs = [
            (
                starts[part] if len(starts) == count else starts,
                scenes[part] if len(scenes) == count else scenes,
                first if isinstance(first, int) else first[part],
                offsets[part],
                before[part] if before is not None and before.ndim > 1 else before,
            )
            for part in parts
        ]
        rolled: list[Rolled] = self.rounds.scatter("roll", jobs)
        self.seconds += time.monotonic() - began
        ends = joined([each.ends for each in rolled])
        return Rolled(np.concatenate([each.costs for each in rolled]), ends, sum(each.steps for each in rolled))
