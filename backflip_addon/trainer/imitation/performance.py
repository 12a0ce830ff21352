# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of a body along a reference track, recorded."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from ...core import metrics
from ...core.arrays import Array
from ...core.body import TRUNK
from ...core.direction import Direction
from ...core.motion import Take
from ..physics.engines import AUTO, EngineName, new_simulator
from ..physics.recording import FRAMES_A_STEP, Recording
from ..physics.simulator import CONTROL_RATE
from ..physics.state import Scene, States
from .directed_bodies import DirectedBodies
from .falling import with_fall
from .reference_track import Track
from .standing import still_stands

DOWN_FOR = 0.6  # s: by then it is known how a body came down


class Performance:
    """One run from a start state (no leading axis) in an engine, recorded at simulator.TAKE_RATE; to be closed.

    direction: what it is asked to bear; seed: of what is random in it. Raises ValueError where the engine is not there
    (physics.engines).
    """

    def __init__(
        self,
        track: Track,
        scene: Scene,
        start: States,
        engine: EngineName = AUTO,
        direction: Direction | None = None,
        seed: int = 0,
    ) -> None:
        self.track = track
        self.scene = scene
        self.step = 0
        self._down = False  # whether a part has touched the floor that may not
        self._bodies = DirectedBodies(new_simulator(track.body, 1, engine))
        self._bodies.direct(direction or Direction(), seed)
        self._bodies.set_scene(0, scene)
        self._bodies.record([0])
        self._bodies.reset(np.array([0]), start[None])
        self._ended: Recording | None = None
        self._still_stands: bool | None = None

    def close(self) -> None:
        """Give back what the engine holds."""
        self._bodies.close()

    def branch(self) -> Performance | None:
        """The same performance once more, to go on otherwise, bit for bit as one that has come here from its start;
        None where the engine holds what cannot be copied."""
        if self._bodies.engine == "pybullet":
            return None
        shared = {id(each): each for each in (self.track, self.track.body, *self._bodies.moments)}
        return copy.deepcopy(self, shared)

    def run(self, joint_targets: Array) -> None:
        """Perform control steps toward PD targets (H, L, 4)."""
        velocities = self.track.velocities(self.step, len(joint_targets))
        for target, velocity in zip(joint_targets, velocities, strict=True):
            self._bodies.set_targets(target[None], velocity[None])
            self._down |= bool((self._bodies.step() & ~self.track.allowed).any())
            self.step += 1

    def play(self, joint_targets: Array, meanwhile: Callable[[], None] = lambda: None) -> None:
        """As run(), but who is down has no need to be performed any further: of a clip that stays off the floor to its
        end, on its feet, a landing is lost with the first other part that comes down, and a fall is played out.
        meanwhile is called before each step, and may raise."""
        own = self.track.allowed[[self.track.body.index(name) for name in TRUNK]]
        ends = self.track.standing and not own.any() and not self._bodies.direction.gives_up
        left = DOWN_FOR * CONTROL_RATE
        for target in joint_targets:
            meanwhile()
            self.run(target[None])
            left -= bool(self._down)
            if ends and left < 0:
                return

    def lost(self, limit: float) -> bool:
        """Whether the root is further than limit, m, from its goal."""
        goal = self.track.states.position[min(self.step, self.track.steps)] + [0, 0, self.scene.floor]
        return bool(np.linalg.norm(self.state().position - goal) > limit)

    def state(self) -> States:
        """The present state (no leading axis)."""
        return self._bodies.states()[0]

    def states(self) -> States:
        """States at the start and after every control step so far (N,)."""
        return self._recording().states[::FRAMES_A_STEP]

    def final_take(self, **meta: Any) -> Take:
        """The take of a performance that is over, which says whether it goes on to stand; nothing can be run after it.

        A clip that does not end standing has nothing to stand.
        """
        if self.track.standing and self._still_stands is None:
            self._ended = self._recording()
            self._still_stands = still_stands(self._bodies)
        stands = {} if self._still_stands is None else {metrics.STANDS: self._still_stands}
        return self.take(**stands, **meta)

    def played_out(self, **meta: Any) -> Take:
        """The take of a performance that is over, its fall played out where it fell; nothing can be run after it."""
        return with_fall(self._bodies, self.track, self.final_take(**meta))

    def ended(self, **meta: Any) -> Take:
        """As played_out(), and it is closed."""
        try:
            return self.played_out(**meta)
        finally:
            self.close()

    def take(self, **meta: Any) -> Take:
        """What was performed so far."""
        return self._recording().take(**meta)

    def _recording(self) -> Recording:
        return self._ended or self._bodies.recording(0)
