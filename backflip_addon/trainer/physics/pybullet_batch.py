# SPDX-License-Identifier: GPL-3.0-or-later
"""Several PyBullet worlds of one body side by side, as one simulator: where trials are played and takes are
recorded."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import numpy as np

from ...core.arrays import Array, BoolArray, IntArray
from ...core.body import Body
from ...core.motion import Motion, Take
from .pybullet_world import PyBulletWorld
from .state import Scene, States


class PyBulletBatch:
    """count bodies, each in a world of its own. recorders: who writes down what happens in each."""

    def __init__(self, body: Body, count: int) -> None:
        self.body, self.count = body, count
        self.worlds = [PyBulletWorld(body) for _ in range(count)]
        self.recorders: list[Recorder | None] = [None] * count
        self._readings = [world.read() for world in self.worlds]

    def set_scene(self, index: int, scene: Scene) -> None:
        """Change one body's circumstances."""
        if self.worlds[index].scene != scene:
            self.worlds[index].set_scene(scene)

    def reset(self, which: IntArray, states: States) -> None:
        """Place the bodies at indices which (K,) in K states."""
        for k, index in enumerate(which):
            self.worlds[index].reset(states[k])
            self._readings[index] = self.worlds[index].read()
            if self.recorders[index]:
                self.recorders[index].record(self.worlds[index], self._readings[index])

    def set_targets(self, targets: Array, velocities: Array) -> None:
        """Joint targets (N, L, 4) and target velocities (N, L, 3) until the next call."""
        world = self.worlds[0]
        for own, target, speed in zip(self.worlds, world.targets(targets), world.velocities(velocities), strict=True):
            own.set_targets(target, speed)

    def push(self, index: int, velocity: Array, angular_velocity: Array) -> None:
        """Kick one root: add velocities, m/s and rad/s, world frame."""
        self.worlds[index].push(velocity, angular_velocity)

    def step(self, active: BoolArray | None = None) -> BoolArray:
        """One control step of all (or the active) bodies. Returns (N, L): links that touched the floor in it."""
        touched = np.zeros((self.count, len(self.body.links)), dtype=bool)
        for i, (world, recorder) in enumerate(zip(self.worlds, self.recorders, strict=True)):
            if active is not None and not active[i]:
                continue
            for _ in range(world.substeps):
                world.substep()
                touched[i] |= world.contacts()
                if recorder:
                    recorder.record(world)
            self._readings[i] = world.read()
        return touched

    def contacts(self) -> BoolArray:
        """Whether each link (N, L) touches the floor."""
        return np.array([world.contacts() for world in self.worlds])

    def states(self, which: IntArray | None = None) -> States:
        """The present states of all bodies, or of those at indices which."""
        readings = self._readings if which is None else [self._readings[i] for i in which]
        return self.worlds[0].states(readings)

    def close(self) -> None:
        """End the PyBullet servers."""
        for world in self.worlds:
            world.close()


class Recorder:
    """Everything of one performance, substep by substep."""

    def __init__(self) -> None:
        self.readings: list[list[float]] = []
        self.contacts: list[BoolArray] = []
        self.efforts: list[float] = []

    def record(self, world: PyBulletWorld, reading: list[float] | None = None) -> None:
        """Write down a world's present state, or its reading where that is at hand already."""
        self.efforts.append(world.effort() if self.readings else 0.0)
        self.readings.append(reading or world.read())
        self.contacts.append(world.contacts())

    def take(self, world: PyBulletWorld, **meta: Any) -> Take:
        """What was recorded, at the physics' own rate, the floor at height 0."""
        states = world.states(self.readings)
        motion = Motion(
            world.control_rate * world.substeps, states.position - [0, 0, world.scene.floor], states.rotations
        )
        meta = {"scene": dataclasses.asdict(world.scene), "recorded": time.time(), **meta}
        # No helper force exists in this world: assist is zero because there is none to act
        return Take(motion, np.array(self.contacts), np.array(self.efforts), np.zeros(len(states)), meta)
