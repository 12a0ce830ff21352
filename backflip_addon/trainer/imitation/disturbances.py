# SPDX-License-Identifier: GPL-3.0-or-later
"""What a policy must bear: shaken start states, other floors and weights, delays and pushes."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from ...core import rotations
from ...core.arrays import Array
from ...core.body import FEET, Body
from ...core.constants import FRICTION
from ..physics.state import Scene, States


@dataclasses.dataclass(frozen=True)
class Disturbances:
    """What a robust policy must bear. Deviations are of normal distributions, the rest uniform."""

    pose: float = 0.05  # rad, every joint axis
    velocity: float = 0.1  # m/s, root
    spin: float = 0.3  # rad/s, root
    friction: tuple[float, float] = (0.6, 1.2)
    mass: float = 0.1  # share, either way
    floor: float = 0.02  # m, either way
    delay: int = 1  # control steps that observations may lag behind
    push: float = 0.3  # m/s, the whole body, horizontally, once at a random moment
    push_spin: float = 0.5  # rad/s

    def scaled(self, share: float) -> Disturbances:
        """All of it a share as strong."""
        low, high = (FRICTION + (bound - FRICTION) * share for bound in self.friction)
        numbers = {name: getattr(self, name) * share for name in ("pose", "velocity", "spin", "mass", "floor")}
        push = {"push": self.push * share, "push_spin": self.push_spin * share}
        return Disturbances(**numbers, **push, friction=(low, high), delay=self.delay if share > 0 else 0)


NONE = Disturbances(0, 0, 0, (FRICTION, FRICTION), 0, 0, 0, 0, 0)


@dataclasses.dataclass
class Circumstances:
    """Of one episode: the scene, sensor delay in control steps, and a push at a control step."""

    scene: Scene
    delay: int = 0
    push_step: int = -1
    push: Array = dataclasses.field(default_factory=lambda: np.zeros(3))
    push_spin: Array = dataclasses.field(default_factory=lambda: np.zeros(3))


def draw_circumstances(
    d: Disturbances, random: np.random.Generator, last: int, scene: Scene | None = None
) -> Circumstances:
    """Circumstances of an episode; a push falls before control step last. scene: keep this one."""
    direction = random.uniform(0, 2 * np.pi)
    own = Scene(random.uniform(*d.friction), random.uniform(-d.floor, d.floor), 1 + random.uniform(-d.mass, d.mass))
    return Circumstances(
        scene or own,
        int(random.integers(0, d.delay + 1)),
        int(random.integers(0, max(last, 1))),
        d.push * random.uniform() * np.array([math.cos(direction), math.sin(direction), 0]),
        d.push_spin * random.normal(size=3) / math.sqrt(3),
    )


def disturbed(body: Body, state: States, d: Disturbances, random: np.random.Generator, floor: float) -> States:
    """A state (no leading axis) in the clip's frame, shaken, and set on or above a floor."""
    noisy = shaken(state, random, d.pose, d.velocity, d.spin)
    position = state.position + [0, 0, max(floor, 0.0)]
    if d.pose > 0:
        feet = [body.index(name) for name in FEET]
        orientations = np.stack([noisy.rotations, state.rotations])
        positions, world = body.forward(np.stack([position, state.position]), orientations)
        low, still = body.lowest_points(positions, world, feet).min(axis=1)
        # No deeper in the floor than the undisturbed state is in its own
        position[2] += max(0.0, floor + min(still, 0.0) - low)
    return dataclasses.replace(noisy, position=position)


EpisodeState = tuple[States, Circumstances]  # where an episode has got to


def shaken(state: States, random: np.random.Generator, angle: float, speed: float, spin: float) -> States:
    """A state with noise: joint angles (rad), root velocity (m/s), root spin (rad/s), one deviation each."""
    orientations = state.rotations.copy()
    noise = rotations.from_rotation_vector(angle * random.standard_normal((len(orientations), 3)))
    orientations[1:] = rotations.multiply(orientations[1:], noise[1:])
    return dataclasses.replace(
        state,
        rotations=orientations,
        velocity=state.velocity + speed * random.standard_normal(3),
        angular_velocity=state.angular_velocity + spin * random.standard_normal(3),
    )
