# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulator that records, and what it writes down of a performance, whichever engine it is: a take is made of it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np

from ...core.arrays import Array, BoolArray, Float32Array
from ...core.motion import Motion, Take
from .simulator import CONTROL_RATE, SUBSTEPS, TAKE_RATE, Simulator
from .state import Scene, States

SUBSTEPS_A_FRAME = round(CONTROL_RATE * SUBSTEPS / TAKE_RATE)
FRAMES_A_STEP = SUBSTEPS // SUBSTEPS_A_FRAME  # of a take, in a control step


@dataclasses.dataclass(frozen=True)
class Recording:
    """A performance of one body, TAKE_RATE frames a second, the first of them its start.

    states (F,). contacts (F, L): links that touched the floor in any of a frame's substeps. load (F, L): the floor's
    normal force on each link, N, mean over them. effort (F,): the greatest joint torque over its limit in any of them.
    engine: the name of what simulated it (engines.py).
    """

    engine: str
    scene: Scene
    states: States
    contacts: BoolArray
    load: Float32Array
    effort: Array

    def take(self, **meta: Any) -> Take:
        """The take, the floor at height 0; meta: more that it is to say."""
        motion = Motion(TAKE_RATE, self.states.position - [0, 0, self.scene.floor], self.states.rotations)
        meta = {"engine": self.engine, "scene": dataclasses.asdict(self.scene), "recorded": time.time(), **meta}
        # No helper force exists in these worlds: assist is zero because there is none to act
        return Take(motion, self.contacts, self.effort, np.zeros(len(self.states)), meta, self.load)


class RecordingSimulator(Simulator, Protocol):
    """A simulator whose bodies' performances can be recorded: what takes and trials are made with (engines.py)."""

    engine: str

    def record(self, which: Iterable[int]) -> None:
        """Record the bodies at these indices from their next resets on, and no others."""

    def recording(self, index: int) -> Recording:
        """What a body that is recorded has done since it was reset."""


class RewindingSimulator(RecordingSimulator, Protocol):
    """What an engine is: a simulator that records and can go back."""

    def moment(self) -> Any:
        """The present one, between two control steps, what is recorded included; to be forgotten."""

    def go_back(self, moment: Any) -> None:
        """Go back to a moment in the same scenes, as often as is wanted."""

    def forget(self, moment: Any) -> None:
        """Give back what a moment holds."""


class Recorder:
    """Writes down one body's performance, substep by substep: what is gone through in the substeps since the frame
    before is told with the frame. readings: the states at the frames, as the simulator reads them."""

    def __init__(self, reading: Sequence[float] | Array, touching: BoolArray) -> None:
        """reading, touching (L,): the state that the performance begins in, and the links that touch the floor in it.
        No substep has been taken yet, no force has acted."""
        self.readings = [reading]
        self._contacts = [touching.copy()]
        self._loads: list[Array] = [np.zeros(len(touching))]
        self._efforts = [0.0]
        self._since = 0  # substeps since the last frame

    def record(self, touching: BoolArray, load: Array, effort: float) -> bool:
        """Write down a substep that was just taken; returns whether a frame ends with it, whose reading is due.

        touching (L,), load (L,), N, effort: of this substep, as in Recording.
        """
        if self._since == 0:
            self._contacts.append(touching.copy())
            self._loads.append(load / SUBSTEPS_A_FRAME)
            self._efforts.append(effort)
        else:
            self._contacts[-1] |= touching
            self._loads[-1] += load / SUBSTEPS_A_FRAME
            self._efforts[-1] = max(self._efforts[-1], effort)
        self._since = (self._since + 1) % SUBSTEPS_A_FRAME
        return self._since == 0

    def copied(self) -> Recorder:
        """What was written down so far, between two frames, to be gone on with."""
        new = Recorder(self.readings[0], self._contacts[0])
        new.readings, new._contacts = list(self.readings), list(self._contacts)
        new._loads, new._efforts = list(self._loads), list(self._efforts)
        return new

    def recording(self, engine: str, scene: Scene, states: States) -> Recording:
        """What was written down; states (F,): what the readings say."""
        load = np.array(self._loads, dtype=np.float32)
        return Recording(engine, scene, states, np.array(self._contacts), load, np.array(self._efforts))
