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
from .pybullet_world import FloorContacts, PyBulletWorld
from .simulator import TAKE_RATE
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
            if recorder := self.recorders[index]:
                recorder.start(self.worlds[index], self._readings[index])

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
                floor = world.floor_contacts()
                touched[i] |= floor.touching
                if recorder:
                    recorder.record(world, floor)
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
    """One performance, frame by frame at TAKE_RATE: what is gone through in the substeps since the frame before is
    told with the frame."""

    def __init__(self) -> None:
        self.readings: list[list[float]] = []
        self.contacts: list[BoolArray] = []  # whether each link (L,) touched in any of a frame's substeps
        self.loads: list[Array] = []  # of each link (L,): the floor's mean normal force in a frame's substeps, N
        self.efforts: list[float] = []  # the greatest in any of a frame's substeps
        self._since = 0  # substeps since the last frame

    def start(self, world: PyBulletWorld, reading: list[float] | None = None) -> None:
        """Write down the state that a performance begins in, or its reading where that is at hand already."""
        floor = world.floor_contacts()
        self.readings.append(reading or world.read())
        self.contacts.append(floor.touching)
        self.loads.append(np.zeros_like(floor.load))  # no substep has been taken, no force has acted
        self.efforts.append(0.0)

    def record(self, world: PyBulletWorld, floor: FloorContacts) -> None:
        """Write down a substep that was just taken; floor: the contacts in it."""
        effort, substeps = world.effort(), substeps_of_frame(world)
        if self._since == 0:
            self.contacts.append(floor.touching)
            self.loads.append(floor.load / substeps)
            self.efforts.append(effort)
        else:
            self.contacts[-1] |= floor.touching
            self.loads[-1] += floor.load / substeps
            self.efforts[-1] = max(self.efforts[-1], effort)
        self._since += 1
        if self._since == substeps:
            self.readings.append(world.read())
            self._since = 0

    def take(self, world: PyBulletWorld, **meta: Any) -> Take:
        """What was recorded, the floor at height 0."""
        states = world.states(self.readings)
        rate = world.control_rate * world.substeps / substeps_of_frame(world)
        motion = Motion(rate, states.position - [0, 0, world.scene.floor], states.rotations)
        meta = {"scene": dataclasses.asdict(world.scene), "recorded": time.time(), **meta}
        # No helper force exists in this world: assist is zero because there is none to act
        assist = np.zeros(len(states))
        load = np.array(self.loads, dtype=np.float32)
        return Take(motion, np.array(self.contacts), np.array(self.efforts), assist, meta, load)


def substeps_of_frame(world: PyBulletWorld) -> int:
    """Substeps that a world takes from one frame of a take to the next."""
    return round(world.control_rate * world.substeps / TAKE_RATE)
