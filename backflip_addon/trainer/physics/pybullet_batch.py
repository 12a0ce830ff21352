# SPDX-License-Identifier: GPL-3.0-or-later
"""Several PyBullet worlds of one body side by side, as one simulator that records: the engine "pybullet"."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ...core.arrays import Array, BoolArray, IntArray
from ...core.body import Body
from .pybullet_world import PyBulletWorld
from .recording import Recorder, Recording
from .state import Scene, States


class PyBulletBatch:
    """count bodies, each in a world of its own."""

    engine = "pybullet"

    def __init__(self, body: Body, count: int) -> None:
        self.body, self.count = body, count
        self.worlds = [PyBulletWorld(body) for _ in range(count)]
        self._readings = [world.read() for world in self.worlds]
        self._recorded: frozenset[int] = frozenset()
        self._recorders: dict[int, Recorder] = {}

    def set_scene(self, index: int, scene: Scene) -> None:
        """Change one body's circumstances."""
        if self.worlds[index].scene != scene:
            self.worlds[index].set_scene(scene)

    def reset(self, which: IntArray, states: States) -> None:
        """Place the bodies at indices which (K,) in K states."""
        for k, index in enumerate(which):
            self.worlds[index].reset(states[k])
            self._readings[index] = self.worlds[index].read()
            if index in self._recorded:
                self._recorders[int(index)] = Recorder(self._readings[index], self.worlds[index].contacts())

    def drive_from(self, which: IntArray, targets: Array) -> None:
        """As if the bodies at indices which (K,), just reset, had driven to joint targets (K, L, 4) until now."""
        for index, target in zip(which, self.worlds[0].targets(targets), strict=True):
            self.worlds[index].drive_from(target)

    def set_targets(self, targets: Array, velocities: Array) -> None:
        """Joint targets (N, L, 4) and target velocities (N, L, 3) until the next call."""
        world = self.worlds[0]
        for own, target, speed in zip(self.worlds, world.targets(targets), world.velocities(velocities), strict=True):
            own.set_targets(target, speed)

    def push(self, index: int, velocity: Array, angular_velocity: Array) -> None:
        """Kick one root: add velocities, m/s and rad/s, world frame."""
        self.worlds[index].push(velocity, angular_velocity)

    def shove(self, index: int, link: int, impulse: Array) -> None:
        """Push a link at its centre of mass, over shove_substeps(): an impulse (3,), N s, world frame."""
        self.worlds[index].shove(link, impulse)

    def set_strength(self, factors: Array) -> None:
        """Factors (L,) on the greatest torques of all bodies' joints, from now on, beside their scenes' own."""
        for world in self.worlds:
            world.set_strength(factors)

    def step(self, active: BoolArray | None = None) -> BoolArray:
        """One control step of all (or the active) bodies. Returns (N, L): links that touched the floor in it."""
        touched = np.zeros((self.count, len(self.body.links)), dtype=bool)
        for i, world in enumerate(self.worlds):
            if active is not None and not active[i]:
                continue
            recorder = self._recorders.get(i)
            for _ in range(world.substeps):
                world.substep()
                floor = world.floor_contacts()
                touched[i] |= floor.touching
                if recorder and recorder.record(floor.touching, floor.load, world.effort()):
                    recorder.readings.append(world.read())
            self._readings[i] = world.read()
        return touched

    def contacts(self) -> BoolArray:
        """Whether each link (N, L) touches the floor."""
        return np.array([world.contacts() for world in self.worlds])

    def states(self, which: IntArray | None = None) -> States:
        """The present states of all bodies, or of those at indices which."""
        readings = self._readings if which is None else [self._readings[i] for i in which]
        return self.worlds[0].states(readings)

    def record(self, which: Iterable[int]) -> None:
        """Record the bodies at these indices from their next resets on, and no others."""
        self._recorded, self._recorders = frozenset(which), {}

    def recording(self, index: int) -> Recording:
        """What a body that is recorded has done since it was reset."""
        recorder, world = self._recorders[index], self.worlds[index]
        return recorder.recording(self.engine, world.scene, world.states(np.array(recorder.readings)))

    def moment(self) -> Any:
        """The present one, between two control steps, what is recorded included; to be forgotten."""
        recorders = {index: own.copied() for index, own in self._recorders.items()}
        return [world.moment() for world in self.worlds], list(self._readings), recorders

    def go_back(self, moment: Any) -> None:
        """Go back to a moment in the same scenes, as often as is wanted."""
        moments, readings, recorders = moment
        for world, own in zip(self.worlds, moments, strict=True):
            world.go_back(own)
        self._readings = list(readings)
        self._recorders = {index: own.copied() for index, own in recorders.items()}

    def forget(self, moment: Any) -> None:
        """Give back what a moment holds."""
        for world, own in zip(self.worlds, moment[0], strict=True):
            world.forget(own)

    def close(self) -> None:
        """End the PyBullet servers."""
        for world in self.worlds:
            world.close()
