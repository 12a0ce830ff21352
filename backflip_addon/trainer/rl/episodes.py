# SPDX-License-Identifier: GPL-3.0-or-later
"""What workers bring back from rollouts: the experience, and how the episodes that ended in it went."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from ...core.arrays import Array, BoolArray, IntArray
from ..imitation.experience import Experience


@dataclasses.dataclass(frozen=True)
class Episodes:
    """E episodes that ended. first_steps, last_steps (E,): control steps of the clip. returns (E,): sums of
    rewards. terminated (E,): failed; the others went on to the end."""

    first_steps: IntArray
    last_steps: IntArray
    returns: Array
    terminated: BoolArray

    def __len__(self) -> int:
        return len(self.returns)


@dataclasses.dataclass(frozen=True)
class Collected:
    """The rollouts of one worker, or of all."""

    experience: Experience
    episodes: Episodes


def joined(parts: Sequence[Collected]) -> Collected:
    """One batch of the workers' batches, side by side along N."""
    names = [field.name for field in dataclasses.fields(Experience)]
    columns = {name: [getattr(part.experience, name) for part in parts] for name in names}
    whole = {name: np.concatenate(its, axis=1) for name, its in columns.items() if its[0] is not None}
    experience = Experience(**whole)
    return Collected(experience, joined_episodes([part.episodes for part in parts]))


def joined_episodes(parts: Sequence[Episodes]) -> Episodes:
    """All episodes of several lots, in their order."""
    names = [field.name for field in dataclasses.fields(Episodes)]
    return Episodes(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
