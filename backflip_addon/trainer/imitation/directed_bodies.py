# SPDX-License-Identifier: GPL-3.0-or-later
"""One body in an engine that performs as a director asks: pushed, tiring, clumsy, late, drunk; and that can go back.

It keeps to RecordingSimulator, so that whatever performs (a plan, a search, a policy) need not know. What it is made to
do is written down, so that a performance that is lost can be taken back to where it was lost, and play out from there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np

from ...core import rotations
from ...core.arrays import Array, BoolArray, IntArray
from ...core.direction import Direction
from ..physics.recording import Recording, RewindingSimulator
from ..physics.simulator import CONTROL_RATE
from ..physics.state import Scene, States

LEAST_STRENGTH = 0.05  # that fatigue leaves
# Of one who is as drunk as can be: the deviation of what is felt as upright, rad, and how slowly it sways, s. A blood
# alcohol of 1 per mille doubles to triples a standing person's sway of a degree or two
SWAY = 0.25
SWAY_SECONDS = 0.8
KEPT = 4  # control steps from one moment that can be gone back to to the next: PyBullet takes 2.5 ms for each
LEANING = ("foot",)  # the joints by which one who feels tilted leans the other way


class DirectedBodies:
    """The one body of a simulator.

    feels: what performs acts on states() in every control step, as a policy does: it is told of them late, and with
    the sense of balance off. Of one that follows a plan it is the commands that come late, and the ankles that answer
    to what is felt as a tilt (as those of standing people do: Day et al. 1997, "Human body-segment tilts induced by
    galvanic stimulation", J. Physiol. 500).
    """

    count = 1

    def __init__(self, bodies: RewindingSimulator, feels: bool = False) -> None:
        self.inner = bodies
        self.body, self.engine = bodies.body, bodies.engine
        self.feels = feels
        self.steps = 0
        self._ankles = [i for i, name in enumerate(self.body.names) if name.split(".")[0] in LEANING]
        self.direct(Direction(), 0)
        self._start: tuple[Scene, States] | None = None
        self._scene = Scene()
        self._records = False
        self.moments: list[Any] = []  # of inner, after every KEPT steps of which all is recorded
        self._forget()

    def direct(self, direction: Direction, seed: int) -> None:
        """Perform so from the next reset on; all that is random follows from the seed.

        Raises ValueError with a sentence where a link is to be pushed that the body does not have.
        """
        if direction.pushes and direction.push_link not in self.body.names:
            raise ValueError(f"This body has no part called {direction.push_link} that could be pushed.")
        self.direction, self._seed = direction, seed

    def _forget(self) -> None:
        self.steps = 0
        for moment in self.moments:
            self.inner.forget(moment)
        self.moments = []
        self._calls: list[list[tuple[str, tuple[Any, ...]]]] = [[]]  # on inner, of each control step
        self._commands: list[tuple[Array, Array]] = []
        self._felt: list[States] = []
        self._random = np.random.default_rng([self._seed, 11])
        links = len(self.body.links)
        self._clumsy = _Wandering((links, 3), self.direction.clumsiness, self.direction.clumsiness_time, self._random)
        self._swaying = _Wandering((2,), SWAY * self.direction.drunk, SWAY_SECONDS, self._random)

    def _call(self, name: str, *arguments: Any) -> None:
        getattr(self.inner, name)(*arguments)
        self._calls[-1].append((name, arguments))

    # What a Simulator does

    def set_scene(self, index: int, scene: Scene) -> None:
        """Change the circumstances."""
        self._scene = scene
        self.inner.set_scene(0, scene)

    def reset(self, which: IntArray, states: States) -> None:
        """Place the body in the first of the states; its direction begins anew."""
        self._start = self._scene, states[:1]
        self.inner.set_strength(np.ones(len(self.body.links)))
        self.inner.reset(np.array([0]), states[:1])
        self._forget()

    def drive_from(self, which: IntArray, targets: Array) -> None:
        """As if the body, just reset, had driven to joint targets (1, L, 4) until now."""
        self._call("drive_from", np.array([0]), targets[:1])

    def set_targets(self, targets: Array, velocities: Array) -> None:
        """Joint targets (1, L, 4) and target velocities (1, L, 3) of the next control step."""
        self._commands.append((targets, velocities))
        targets, velocities = self._late(targets, velocities)
        off = self._clumsy.step()
        if self.direction.clumsiness:
            targets = rotations.multiply(targets, rotations.from_rotation_vector(off[None]))
        tilt = self._swaying.step()
        if self.direction.drunk and not self.feels:
            targets = targets.copy()
            lean = rotations.from_rotation_vector(np.array([-tilt[0], -tilt[1], 0.0]))
            targets[:, self._ankles] = rotations.multiply(targets[:, self._ankles], lean)
        self._call("set_targets", targets, velocities)

    def _late(self, targets: Array, velocities: Array) -> tuple[Array, Array]:
        """The commands that reach the muscles now: those of so long ago, between two control steps a mixture."""
        if self.feels or not self.direction.delay:
            return targets, velocities
        back = self.direction.delay * CONTROL_RATE
        last = len(self._commands) - 1
        newer, older = (self._commands[max(last - n, 0)] for n in (int(back), int(back) + 1))
        share = back - int(back)
        return rotations.slerp(newer[0], older[0], share), (1 - share) * newer[1] + share * older[1]

    def push(self, index: int, velocity: Array, angular_velocity: Array) -> None:
        """Kick the root: add velocities, m/s and rad/s, world frame."""
        self._call("push", 0, velocity, angular_velocity)

    def shove(self, index: int, link: int, impulse: Array) -> None:
        """Push a link for a moment: an impulse (3,), N s, world frame."""
        self._call("shove", 0, link, impulse)

    def set_strength(self, factors: Array) -> None:
        """Factors (L,) on the joints' greatest torques from now on."""
        self._call("set_strength", factors)

    def step(self, active: BoolArray | None = None) -> BoolArray:
        """One control step, as directed. Returns (1, L): links that touched the floor in it."""
        asked = self.direction
        if asked.pushes and self.steps == round(asked.push_at * CONTROL_RATE):
            self.shove(0, self.body.index(asked.push_link), np.array(asked.push_impulse))
        if asked.fatigue:
            self.set_strength(np.full(len(self.body.links), self.freshness()))
        if self.feels and (asked.delay or asked.drunk):
            self._felt.append(self.inner.states())
        touched = self.inner.step(active)
        self.steps += 1
        self._calls.append([])
        if self._records and self.steps == KEPT * (len(self.moments) + 1):
            self.moments.append(self.inner.moment())
        return touched

    def freshness(self) -> float:
        """The share of strength that fatigue has left by now."""
        return max(1.0 - self.direction.fatigue * self.steps / CONTROL_RATE, LEAST_STRENGTH)

    def contacts(self) -> BoolArray:
        return self.inner.contacts()

    def states(self, which: IntArray | None = None) -> States:
        """The present state; of a performer that feels, as it feels it: late, and tilted."""
        now = self.inner.states(which)
        if not self.feels:
            return now
        if self.direction.delay and self._felt:
            back = round(self.direction.delay * CONTROL_RATE)
            now = self._felt[max(len(self._felt) - back, 0)] if back else now
        return self._tilted(now) if self.direction.drunk else now

    def _tilted(self, states: States) -> States:
        x, y = self._swaying.now
        turn = rotations.from_rotation_vector(np.array([x, y, 0.0]))
        felt = states.rotations.copy()
        felt[:, 0] = rotations.multiply(turn, felt[:, 0])
        return dataclasses.replace(states, rotations=felt)

    def record(self, which: Iterable[int]) -> None:
        """Record the body from its next reset on, or not."""
        which = list(which)
        self._records = bool(which)
        self.inner.record(which)

    def recording(self, index: int) -> Recording:
        """What the body has done since it was reset."""
        return self.inner.recording(0)

    def close(self) -> None:
        """Give back what the engine holds."""
        self.inner.close()

    def go_back(self, steps: int) -> None:
        """Back to a control step since the last reset, what was recorded until then included: to the last moment before
        it, and from there by doing again what was done."""
        if self._start is None:
            raise RuntimeError("nothing was performed that could be done again")
        moments = min(steps // KEPT, len(self.moments))
        if moments:
            self.inner.go_back(self.moments[moments - 1])
        else:
            scene, start = self._start
            self.inner.record([0])
            self.inner.set_scene(0, scene)
            self.inner.set_strength(np.ones(len(self.body.links)))
            self.inner.reset(np.array([0]), start)
        for calls in self._calls[KEPT * moments : steps]:
            for name, arguments in calls:
                getattr(self.inner, name)(*arguments)
            self.inner.step()
        self.steps = steps


class _Wandering:
    """Noise that wanders about zero: an Ornstein-Uhlenbeck process of a deviation, correlated over so many seconds."""

    def __init__(self, shape: tuple[int, ...], deviation: float, seconds: float, random: np.random.Generator) -> None:
        self._kept = float(np.exp(-1.0 / (seconds * CONTROL_RATE)))
        self._fresh = deviation * float(np.sqrt(1.0 - self._kept**2))
        self._random = random
        self.now: Array = deviation * random.standard_normal(shape)

    def step(self) -> Array:
        """Its value (...) in the next control step."""
        self.now = self._kept * self.now + self._fresh * self._random.standard_normal(self.now.shape)
        return self.now
