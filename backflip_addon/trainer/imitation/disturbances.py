# SPDX-License-Identifier: GPL-3.0-or-later
"""What a policy must bear: shaken start states, other floors and weights, delays and pushes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ...core import metrics, rotations
from ...core.arrays import Array
from ...core.body import FEET, Body
from ...core.constants import FRICTION
from ...core.motion import Take
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
    delay: int = 1  # control steps that observations may lag behind, in trials
    push: float = 0.3  # m/s, the whole body, horizontally, once at a random moment
    push_spin: float = 0.5  # rad/s

    def scaled(self, share: float) -> Disturbances:
        """All of it a share as strong."""
        low, high = (FRICTION + (bound - FRICTION) * share for bound in self.friction)
        numbers = {name: getattr(self, name) * share for name in ("pose", "velocity", "spin", "mass", "floor")}
        push = {"push": self.push * share, "push_spin": self.push_spin * share}
        return Disturbances(**numbers, **push, friction=(low, high), delay=self.delay if share > 0 else 0)

    @property
    def prompt(self) -> Disturbances:
        """Without delays, as they are learned in: what comes late is reckoned forward (imitation.foresight)."""
        return dataclasses.replace(self, delay=0)


NONE = Disturbances(0, 0, 0, (FRICTION, FRICTION), 0, 0, 0, 0, 0)
# How robust a performance is, is told by how often it lands in small ones: what nobody sees and everybody's floor and
# body vary by; friction, mass and floor are added to the scene's own
START_NOISE = 0.01  # rad, deviation of every joint axis
MASS, GRIP, FLOOR = 0.02, 0.1, 0.01  # a share, a coefficient, m; either way
# The same as training knows them
SMALL = Disturbances(
    pose=START_NOISE,
    velocity=0.0,
    spin=0.0,
    friction=(FRICTION - GRIP, FRICTION + GRIP),
    mass=MASS,
    floor=FLOOR,
    delay=0,
    push=0.0,
    push_spin=0.0,
)
SMALL_SEED = 20_000  # of their trials, apart from those of all learning


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
    return disturbed_many(body, state[None], [d], random, np.array([floor]))[0]


def disturbed_many(
    body: Body, states: States, strengths: Sequence[Disturbances], random: np.random.Generator, floors: Array
) -> States:
    """As disturbed(), of states (K,), disturbances (K,) and floors (K,)."""
    angle, speed, spin = np.array([(d.pose, d.velocity, d.spin) for d in strengths]).T
    noisy = shaken(states, random, angle, speed, spin)
    position = states.position.copy()
    position[:, 2] += np.maximum(floors, 0.0)
    feet = [body.index(name) for name in FEET]
    orientations = np.concatenate([noisy.rotations, states.rotations])
    positions, world = body.forward(np.concatenate([position, states.position]), orientations)
    low, still = body.lowest_points(positions, world, feet).min(axis=1).reshape(2, -1)
    # No deeper in the floor than the undisturbed state is in its own
    position[:, 2] += np.maximum(0.0, floors + np.minimum(still, 0.0) - low)
    return dataclasses.replace(noisy, position=position)


EpisodeState = tuple[States, Circumstances]  # where an episode has got to


def shaken(states: States, random: np.random.Generator, angle: ArrayLike, speed: ArrayLike, spin: ArrayLike) -> States:
    """States (...) with noise: joint angles (rad), root velocity (m/s), root spin (rad/s), one deviation (...) each."""

    def noise(like: Array, deviation: ArrayLike) -> Array:
        numbers = random.standard_normal((*like.shape[:-1], 3))
        deviations = np.asarray(deviation, dtype=float)
        drawn: Array = numbers * deviations.reshape(deviations.shape + (1,) * (numbers.ndim - deviations.ndim))
        return drawn

    orientations = states.rotations.copy()
    turns = rotations.from_rotation_vector(noise(orientations, angle))
    orientations[..., 1:, :] = rotations.multiply(orientations[..., 1:, :], turns[..., 1:, :])
    return dataclasses.replace(
        states,
        rotations=orientations,
        velocity=states.velocity + noise(states.velocity, speed),
        angular_velocity=states.angular_velocity + noise(states.angular_velocity, spin),
    )


def with_robustness(take: Take, landings: int) -> Take:
    """The take, saying of itself in how many trials what performed it landed."""
    return dataclasses.replace(take, meta={**take.meta, metrics.ROBUST: landings})
