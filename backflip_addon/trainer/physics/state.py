# SPDX-License-Identifier: GPL-3.0-or-later
"""What a simulation is in and what it takes place in: plain arrays that know no engine."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...core.arrays import Array
from ...core.constants import FRICTION, GRAVITY


@dataclasses.dataclass(frozen=True)
class Scene:
    """What a performance takes place in.

    friction: floor's coefficient. floor: floor height, m. mass: factor on all masses and inertias. gravity (3,): m/s^2,
    in the floor's frame: on a slope it is not along -z (core.slope). strength: factor on the joints' greatest torques.
    """

    friction: float = FRICTION
    floor: float = 0.0
    mass: float = 1.0
    gravity: tuple[float, float, float] = (0.0, 0.0, -GRAVITY)
    strength: float = 1.0


@dataclasses.dataclass(frozen=True)
class States:
    """N states of a body, world frame, SI.

    position (N, 3), velocity (N, 3): the root's origin. rotations (N, L, 4): Body.forward's local
    rotations. angular_velocity (N, 3): the root's, world. joint_velocity (N, L, 3): of each
    joint, in the child's frame.
    """

    position: Array
    rotations: Array
    velocity: Array
    angular_velocity: Array
    joint_velocity: Array

    def __getitem__(self, index: Any) -> States:
        return States(*(getattr(self, field.name)[index] for field in dataclasses.fields(self)))

    def __len__(self) -> int:
        return len(self.position)

    def copy(self) -> States:
        """The same in arrays of their own."""
        return States(*(getattr(self, field.name).copy() for field in dataclasses.fields(self)))


def joined(states: Sequence[States]) -> States:
    """States (N,), one after the other."""
    names = [field.name for field in dataclasses.fields(States)]
    return States(*(np.concatenate([getattr(each, name) for each in states]) for name in names))


def stacked(states: Sequence[States]) -> States:
    """States without a leading axis, one after the other."""
    names = [field.name for field in dataclasses.fields(States)]
    return States(*(np.stack([getattr(state, name) for state in states]) for name in names))
