# SPDX-License-Identifier: GPL-3.0-or-later
"""Bodies in the compiled step whose performances are recorded: the engine "compiled".

What a take says of a substep (contacts, the floor's load, the joints' effort) is read after it, so that recorded bodies
are stepped substep by substep; the numbers are the same as those of a whole control step in one call.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ....core.arrays import Array, BoolArray, IntArray
from ....core.body import Body
from ....core.constants import GRAVITY
from ..recording import Recorder, Recording
from ..simulator import PERFORMED_ITERATIONS, shove_substeps
from ..state import States
from .batch import CompiledBatch, StepNumbers, step_groups, taken
from .lanes import LANES


class RecordedBatch(CompiledBatch):
    """count bodies, each in a scene of its own, all of whose contacts are solved."""

    engine = "compiled"

    def __init__(self, body: Body, count: int) -> None:
        everything = np.ones(len(body.links), dtype=bool)
        super().__init__(body, count, everything, iterations=PERFORMED_ITERATIONS)
        tables, numbers = self.steps.tables, self.steps.numbers
        self._substeps, self._substep = numbers.substeps, numbers._replace(substeps=1)
        self._weight = float(tables.carried[0]) * GRAVITY  # N
        driven = tables.torque > 0.0
        self._most = np.where(driven, tables.torque * self.steps.seconds, np.inf)  # a servo's impulse (F,), N m s
        self._recorded: frozenset[int] = frozenset()
        self._recorders: dict[int, Recorder] = {}
        self._shoves: dict[int, tuple[int, Array]] = {}  # of bodies, from the next substep on: link, impulse

    def shove(self, index: int, link: int, impulse: Array) -> None:
        """Push a link at its centre of mass, over shove_substeps(): an impulse (3,), N s, world frame."""
        self._shoves[index] = link, np.asarray(impulse, dtype=float)

    def reset(self, which: IntArray, states: States) -> None:
        """Place the bodies at indices which (K,) in K states."""
        super().reset(which, states)
        recorded = self._recorded.intersection(int(index) for index in which)
        if recorded:
            readings, touching = self._readings(), self.contacts()
            self._recorders.update((index, Recorder(readings[index], touching[index])) for index in recorded)

    def step(self, active: BoolArray | None = None) -> BoolArray:
        """One control step of all bodies. Returns (N, L): links that touched the floor at any time in it."""
        recorders = {i: own for i, own in self._recorders.items() if active is None or active[i]}
        shoves, self._shoves = self._shoves, {}
        if not recorders and not shoves:
            self._advance(self.steps.numbers)
            return taken(self.floor.touched, self.count) > 0.0
        touched = np.zeros((self.count, len(self.body.links)), dtype=bool)
        masses = np.array([scene.mass for scene in self.scenes])[:, None]
        for substep in range(self._substeps):
            for index, (link, impulse) in shoves.items():
                lasts = shove_substeps(self.body.links[link].mass * self.scenes[index].mass, impulse)
                if substep < lasts:
                    super().shove(index, link, impulse / lasts)
            self._advance(self._substep._replace(before=substep))
            touching = taken(self.floor.touching, self.count) > 0.5
            touched |= touching
            # The step leaves a scene's mass factor out of its impulses (solver.py)
            loads = taken(self.floor.load, self.count) * self._weight * masses
            efforts = (np.abs(taken(self.state.servo_impulses, self.count)) * masses / self._most).max(axis=1)
            ended = [i for i, own in recorders.items() if own.record(touching[i], loads[i], float(efforts[i]))]
            if ended:
                readings = self._readings()
                for i in ended:
                    recorders[i].readings.append(readings[i])
        return touched

    def _advance(self, numbers: StepNumbers) -> None:
        """Step all bodies. The lanes after the last body go as it does: what is any lane's concern is one body's."""
        last = (self.count - 1) % LANES
        for array in (*self.state, *self.goal, *self.around):
            array[-1, :, last + 1 :] = array[-1, :, last : last + 1]
        steps = self.steps
        step_groups(steps.tables, steps.workspace, self.state, self.goal, self.around, self.floor, numbers)
        self.known = True

    def _readings(self) -> Array:
        """The present states (N, n) as the step has them: position, rotations, speeds."""
        parts = (self.state.position, self.state.rotations, self.state.speeds)
        return np.concatenate([taken(array, self.count) for array in parts], axis=1).astype(float)

    def record(self, which: Iterable[int]) -> None:
        """Record the bodies at these indices from their next resets on, and no others."""
        self._recorded, self._recorders = frozenset(which), {}

    def recording(self, index: int) -> Recording:
        """What a body that is recorded has done since it was reset."""
        recorder = self._recorders[index]
        readings = np.array(recorder.readings)
        position, turns, speeds = np.split(readings, [3, 3 + 4 * len(self.body.links)], axis=1)
        states = self.layout.states(position, turns, speeds)
        return recorder.recording(self.engine, self.scenes[index], states)
