# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of PyBullet's world along a reference track, recorded."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core import metrics
from ...core.arrays import Array
from ...core.motion import Take
from ..physics.pybullet_batch import Recorder, substeps_of_frame
from ..physics.pybullet_world import PyBulletWorld
from ..physics.state import Scene, States
from .reference_track import Track
from .standing import still_stands


class Performance:
    """One run of a PyBullet world from a start state (no leading axis), recorded at simulator.TAKE_RATE."""

    def __init__(self, track: Track, scene: Scene, start: States) -> None:
        self.track = track
        self.scene = scene
        self.world = PyBulletWorld(track.body, scene)
        self.world.reset(start)
        self.step = 0
        self._still_stands: bool | None = None
        self._recorder = Recorder()
        self._recorder.start(self.world)

    def run(self, joint_targets: Array) -> None:
        """Perform control steps toward PD targets (H, L, 4)."""
        targets = self.world.targets(joint_targets)
        velocities = self.world.velocities(self.track.velocities(self.step, len(joint_targets)))
        for target, velocity in zip(targets, velocities, strict=True):
            self.world.set_targets(target, velocity)
            for _ in range(self.world.substeps):
                self.world.substep()
                self._recorder.record(self.world, self.world.floor_contacts())
            self.step += 1

    def lost(self, limit: float) -> bool:
        """Whether the root is further than limit, m, from its goal."""
        goal = self.track.states.position[min(self.step, self.track.steps)] + [0, 0, self.scene.floor]
        return bool(np.linalg.norm(self.world.state().position - goal) > limit)

    def states(self) -> States:
        """States at the start and after every control step so far (N,)."""
        frames = self.world.substeps // substeps_of_frame(self.world)
        return self.world.states(self._recorder.readings[::frames])

    def final_take(self, **meta: Any) -> Take:
        """The take of a performance that is over, which says whether it goes on to stand; nothing can be run after it.

        A clip that does not end standing has nothing to stand.
        """
        if self.track.standing and self._still_stands is None:
            self._still_stands = still_stands(self.world)
        stands = {} if self._still_stands is None else {metrics.STANDS: self._still_stands}
        return self.take(**stands, **meta)

    def take(self, **meta: Any) -> Take:
        """What was performed so far."""
        return self._recorder.take(self.world, **meta)
