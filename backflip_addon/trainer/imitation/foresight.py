# SPDX-License-Identifier: GPL-3.0-or-later
"""What a body that observes late has come to since, as it can reckon itself: it knows what it did.

So a policy learns, and its feedback is fitted, as if nothing came late.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...core.arrays import AnyArray, Array, BoolArray, IntArray
from ...core.body import FEET, Body
from ..physics.compiled.batch import CompiledBatch
from ..physics.simulator import LOOK_ITERATIONS, TOUCHING
from ..physics.state import Scene, States
from .observations import Figures


class Foresight:
    """One control step on, of so many bodies: under the gravity and with the strength that they feel, with the weight
    and friction that they are taught with, and a floor where their feet have felt it. may_touch (L,): links whose
    contacts are solved."""

    def __init__(self, body: Body, count: int, may_touch: BoolArray) -> None:
        self.body = body
        self._bodies = CompiledBatch(body, count, may_touch, iterations=LOOK_ITERATIONS)
        self._all = np.arange(count)
        self._feet = [body.index(name) for name in FEET]
        self._floors = np.zeros(count)

    def start(self, which: IntArray, states: States, targets: Array, scenes: Sequence[Scene]) -> None:
        """The bodies at indices which (K,) begin in K states and scenes, having driven to joint targets (K, L, 4)."""
        for index, scene in zip(which, scenes, strict=True):
            self._bodies.set_scene(int(index), Scene(strength=scene.strength, gravity=scene.gravity))
        self._bodies.reset(which, states)
        self._bodies.drive_from(which, targets)
        self._floors[which] = 0.0

    def __call__(
        self, seen: Figures, feet_down: AnyArray, targets: Array, velocities: Array
    ) -> tuple[Figures, BoolArray]:
        """What bodies (N,) come to, and which of their links (N, L) touch the floor then.

        seen, feet_down (N, 2): of the control step before, and which feet stood. targets (N, L, 4), velocities
        (N, L, 3): what their joints were led to since.
        """
        bodies = self._bodies
        bodies.place_floors(self._felt_floors(seen, feet_down))
        bodies.go_on_from(seen.states)
        bodies.set_targets(targets, velocities)
        bodies.step()
        return Figures.of(self.body, bodies.states()), bodies.contacts()

    def _felt_floors(self, seen: Figures, feet_down: AnyArray) -> Array:
        """Where the floors (N,) are: under the lower foot that stands; where none does, below both."""
        lows = self.body.lowest_points(seen.positions, seen.world, self._feet)
        under = np.where(feet_down > 0.5, lows, np.inf).min(axis=1)
        below = np.minimum(self._floors, lows.min(axis=1) - TOUCHING)
        self._floors = np.where(np.isfinite(under), under, below)
        return self._floors
