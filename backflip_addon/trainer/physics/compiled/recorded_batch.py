# SPDX-License-Identifier: GPL-3.0-or-later
"""Bodies in the compiled step whose performances are recorded: the engine "compiled".

What a take says of a substep (contacts, the floor's load, the joints' effort) is written down after it; the numbers
are the same as those of a control step of which nothing is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ....core.arrays import AnyArray, Array, BoolArray, Float32Array, IntArray
from ....core.body import Body
from ....core.constants import GRAVITY
from ...lane_count import LANES
from ..recording import Recorder, Recording
from ..simulator import PERFORMED_ITERATIONS, shove_substeps
from ..state import States
from .batch import CompiledBatch, StepNumbers, step_groups, taken, written_of_groups


class RecordedBatch(CompiledBatch):
    """count bodies, each in a scene of its own, all of whose contacts are solved."""

    engine = "compiled"

    def __init__(self, body: Body, count: int) -> None:
        everything = np.ones(len(body.links), dtype=bool)
        super().__init__(body, count, everything, iterations=PERFORMED_ITERATIONS)
        tables, numbers = self.steps.tables, self.steps.numbers
        self._substeps = numbers.substeps
        self._written = written_of_groups(tables, self.groups, numbers.substeps)
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
        each = 1 if shoves else self._substeps
        for first in range(0, self._substeps, each):
            for index, (link, impulse) in shoves.items():
                lasts = shove_substeps(self.body.links[link].mass * self.scenes[index].mass, impulse)
                if first < lasts:
                    super().shove(index, link, impulse / lasts)
            self._advance(self.steps.numbers._replace(before=first, substeps=each), written=True)
            touched |= self._write_down(recorders, each)
        return touched

    def _write_down(self, recorders: dict[int, Recorder], count: int) -> BoolArray:
        """Record so many substeps, which have just been taken. Returns (N, L): links that touched in them."""
        masses = np.array([scene.mass for scene in self.scenes])[:, None]
        touching, loads, servos, *state = (self._all_of(part[:count]) for part in self._written)
        touches = touching > 0.5
        # The step leaves a scene's mass factor out of its impulses (solver.py)
        loads = loads * self._weight * masses
        efforts = (np.abs(servos) * masses / self._most).max(axis=2)
        readings = np.concatenate(state, axis=2)
        for i, own in recorders.items():
            for k in range(count):
                if own.record(touches[k, i], loads[k, i], float(efforts[k, i])):
                    own.readings.append(readings[k, i].astype(float))
        touched: BoolArray = touches.any(axis=0)
        return touched

    def _all_of(self, part: Float32Array) -> Float32Array:
        """The numbers (K, N, n) of groups (K, G, n, LANES)."""
        numbers: Float32Array = part.swapaxes(2, 3).reshape(len(part), -1, part.shape[2])[:, : self.count]
        return numbers

    def _advance(self, numbers: StepNumbers, written: bool = False) -> None:
        """Step all bodies. The lanes after the last body go as it does: what is any lane's concern is one body's.
        written: into self._written, substep by substep."""
        last = (self.count - 1) % LANES
        for array in (*self.state, *self.goal, *self.around):
            array[-1, :, last + 1 :] = array[-1, :, last : last + 1]
        steps = self.steps
        step_groups(
            steps.tables, steps.workspace, self.state, self.goal, self.around, self.floor, numbers,
            self._written if written else self._nothing,
        )  # fmt: skip
        self.known = True

    def _readings(self) -> Array:
        """The present states (N, n) as the step has them: position, rotations, speeds."""
        parts = (self.state.position, self.state.rotations, self.state.speeds)
        return np.concatenate([taken(array, self.count) for array in parts], axis=1).astype(float)

    def record(self, which: Iterable[int]) -> None:
        """Record the bodies at these indices from their next resets on, and no others."""
        self._recorded, self._recorders = frozenset(which), {}

    def moment(self) -> Any:
        """The present one, between two control steps, what is recorded included."""
        recorders = {index: own.copied() for index, own in self._recorders.items()}
        return [array.copy() for array in self._arrays()], self.known, dict(self._shoves), recorders

    def go_back(self, moment: Any) -> None:
        """Go back to a moment in the same scenes, as often as is wanted."""
        arrays, self.known, shoves, recorders = moment
        for own, then in zip(self._arrays(), arrays, strict=True):
            own[:] = then
        self._shoves = dict(shoves)
        self._recorders = {index: own.copied() for index, own in recorders.items()}

    def forget(self, moment: Any) -> None:
        """Nothing but memory is held."""

    def _arrays(self) -> list[AnyArray]:
        """All that changes as bodies move, but for what is recorded."""
        return [*self.state, *self.goal, *self.floor, self._fresh, self.steps.tables.torque]

    def recording(self, index: int) -> Recording:
        """What a body that is recorded has done since it was reset."""
        recorder = self._recorders[index]
        readings = np.array(recorder.readings)
        position, turns, speeds = np.split(readings, [3, 3 + 4 * len(self.body.links)], axis=1)
        states = self.layout.states(position, turns, speeds)
        return recorder.recording(self.engine, self.scenes[index], states)
