# SPDX-License-Identifier: GPL-3.0-or-later
"""What a policy follows: goal states and feed-forward controls, a control step at a time.

From a plan that landed, the goals are the states it passed through: physics has been through them
once, and the controls that led there are known. Without a plan (learning from scratch) the goals
are the feasible reference and the controls aim at it.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ..core import rotations, truth
from ..core.body import Body
from ..core.rotations import Array
from .search import Performance, Plan
from .tracking import END_LINKS, Track, feet_middle, imbalance, momenta, tucked_inertia
from .world import Scene, States

# DeepMimic's weights of the joints (and the root) in the pose and velocity terms, by part
LINK_WEIGHTS = {
    "pelvis": 0.20833,
    "chest": 0.10416,
    "head": 0.0625,
    "thigh": 0.10416,
    "shin": 0.0625,
    "foot": 0.0416,
    "upper_arm": 0.0625,
    "forearm": 0.0416,
}
TERM_WEIGHTS = np.array([0.5, 0.05, 0.15, 0.2, 0.1])  # pose, velocity, ends, root, centre of mass


@dataclasses.dataclass(frozen=True)
class Guide:
    """steps T; states (T + 1,): goals at the control steps' boundaries; turns (T, L, 4) and spins
    (T, L, 3): joint targets and target velocities that lead from each to the next. gains
    (T, width, n): feedback, rad of a target per difference felt (Senses); empty: none yet. landed:
    the boundary from which on the body only has to stand, wherever it came down; past the end where
    there is none (tracking.Track.landed)."""

    states: States
    turns: Array
    spins: Array
    landed: int
    gains: Array = dataclasses.field(default_factory=lambda: np.zeros((0, 0, 0)))

    @property
    def steps(self) -> int:
        return len(self.turns)

    @staticmethod
    def of_track(track: Track) -> Guide:
        """The feasible reference itself."""
        none = np.zeros((track.steps, track.width))
        return Guide(track.states, track.targets(none, 0), track.velocities(0, track.steps), track.landed)

    @staticmethod
    def of_plan(track: Track, plan: Plan, scene: Scene | None = None) -> Guide:
        """A plan, performed once from frame 0."""
        turns = track.targets(plan.offsets(0, track.steps), 0)
        performance = Performance(track, scene or Scene(), track.states[0])
        performance.run(turns)
        states = performance.states()[:: performance.world.substeps]
        performance.world.close()
        return Guide(states, turns, track.velocities(0, track.steps), track.landed)

    def arrays(self) -> dict[str, Array]:
        """As plain arrays, to be stored."""
        states = {f"states.{f.name}": getattr(self.states, f.name) for f in dataclasses.fields(States)}
        rest = {"turns": self.turns, "spins": self.spins, "gains": self.gains}
        return {**states, **rest, "landed": np.array(self.landed)}

    @staticmethod
    def from_arrays(arrays: dict[str, Any]) -> Guide:
        """The inverse of arrays(). Raises KeyError when something is missing."""
        states = States(*(np.asarray(arrays[f"states.{f.name}"]) for f in dataclasses.fields(States)))
        turns, spins, gains = (np.asarray(arrays[name]) for name in ("turns", "spins", "gains"))
        return Guide(states, turns, spins, int(np.asarray(arrays["landed"]).item()), gains)


@dataclasses.dataclass(frozen=True)
class Figures:
    """What is computed of N states once and used by observation, reward and termination.

    places (N, L, 3), world (N, L, 4): link frames. centre, velocity, momentum (N, 3): of the
    centre of mass; momentum about it, kg m^2/s.
    """

    states: States
    places: Array
    world: Array
    centre: Array
    velocity: Array
    momentum: Array

    @staticmethod
    def of(body: Body, states: States) -> Figures:
        places, world = body.forward(states.position, states.rotations)
        centre = body.centre_of_mass(places, world)
        return Figures(states, places, world, centre, *momenta(body, states, places, world))

    def __getitem__(self, index: Any) -> Figures:
        return Figures(*(getattr(self, field.name)[index] for field in dataclasses.fields(self)))

    def put(self, index: np.ndarray, others: Figures) -> None:
        """Write other figures over those at index, in place."""
        for field in dataclasses.fields(States):
            getattr(self.states, field.name)[index] = getattr(others.states, field.name)
        for name in ("places", "world", "centre", "velocity", "momentum"):
            getattr(self, name)[index] = getattr(others, name)

    def moved(self, way: Array) -> Figures:
        """The same, elsewhere by way (N, 3)."""
        states = dataclasses.replace(self.states, position=self.states.position + way)
        return dataclasses.replace(self, states=states, places=self.places + way[:, None], centre=self.centre + way)


class Imitation:
    """DeepMimic's reward (Peng et al. 2018) with the weights of its published code, in [0, 1]."""

    def __init__(self, body: Body) -> None:
        weights = np.array([LINK_WEIGHTS.get(name.partition(".")[0], 0.0) for name in body.names])
        self.weights = weights / weights.sum()
        self.ends = np.array([body.index(name) for name in END_LINKS])

    def terms(self, now: Figures, goal: Figures) -> Array:
        """The five terms (N, 5), each 1 where now equals goal."""
        a, b = now.states, goal.states
        turn = rotations.angle_between(a.rotations, b.rotations) ** 2
        spin = np.sum((a.joint_velocity - b.joint_velocity) ** 2, axis=-1)
        root_spin = np.sum((a.angular_velocity - b.angular_velocity) ** 2, axis=-1)
        spin[:, 0] = root_spin
        ends = np.sum((now.places[:, self.ends] - goal.places[:, self.ends]) ** 2, axis=-1).mean(axis=1)
        place = np.sum((a.position - b.position) ** 2, axis=-1)
        speed = np.sum((a.velocity - b.velocity) ** 2, axis=-1)
        root = place + 0.1 * turn[:, 0] + 0.01 * speed + 0.001 * root_spin
        centre = 0.1 * np.sum((now.velocity - goal.velocity) ** 2, axis=-1)
        pose, speed = 2 * turn @ self.weights, 0.1 * spin @ self.weights
        return np.exp(-np.stack([pose, speed, 40 * ends, 5 * root, 10 * centre], axis=1))

    def __call__(self, now: Figures, goal: Figures) -> Array:
        """Reward (N,)."""
        return self.terms(now, goal) @ (TERM_WEIGHTS / TERM_WEIGHTS.sum())


def parts(joints: int) -> dict[str, int]:
    """What Senses gives and in which order: names and widths. joints: numbers of all joints.

    Where the centre of mass is above the feet matters more than where it is in the world: a body
    that has landed half a foot further on must not lean back to where it should have landed, and
    once landed it does not feel how far it strayed. Its height above a floor that may be higher or
    lower than it looks is left out for the same reason.
    """
    position = {"drift": 2, "support": 3, "tilt": 3, "joints": joints}
    return {**position, "velocity": 3, "momentum": 3, "spin": 3, "joint_spin": joints}


class Senses:
    """What the policy feels of N states: how far the body is off its goal, and what the goal is.

    The goal being known from the phase, the difference says all; a network of differences starts
    out as a feedback controller. Everything is in the clip's own frame.
    """

    def __init__(self, body: Body, guide: Guide) -> None:
        self.body = body
        self.guide = guide
        self.goals = Figures.of(body, guide.states)
        self.landed = guide.landed
        self.joints = np.array([i for i, link in enumerate(body.links) if link.joint == "spherical"])
        self.hinges = np.array([i for i, link in enumerate(body.links) if link.joint == "hinge"])
        self.axes = np.array([body.links[i].axis for i in self.hinges])
        self.phases = _phases(guide.steps)
        self.feet = np.array([body.index(name) for name in truth.FEET])
        self._inertia = tucked_inertia(body)
        self.parts = parts(3 * len(self.joints) + len(self.hinges))
        self.width = sum(self.parts.values())

    def __call__(self, now: Figures, steps: np.ndarray) -> Array:
        """Differences (N, width) from the goals at control-step boundaries steps (N,), in the
        order of parts()."""
        goal = self.goals[steps]
        a, b = now.states, goal.states
        turns = rotations.to_rotation_vector(rotations.multiply(rotations.conjugate(b.rotations), a.rotations))
        root = rotations.multiply(a.rotations[:, 0], rotations.conjugate(b.rotations[:, 0]))
        together = [
            (now.centre - goal.centre)[:, :2] * (steps < self.landed)[:, None],
            self.support(now) - self.support(goal),
            rotations.to_rotation_vector(root),
            self._columns(turns),
            now.velocity - goal.velocity,
            (now.momentum - goal.momentum) / self._inertia,
            a.angular_velocity - b.angular_velocity,
            self._columns(a.joint_velocity - b.joint_velocity),
        ]
        return np.concatenate(together, axis=1)

    def support(self, now: Figures) -> Array:
        """The centre of mass (N, 3) from the middle of the two feet."""
        return now.centre - self.feet_middle(now)

    def feet_middle(self, now: Figures) -> Array:
        """The middle (N, 3) of the two feet, world."""
        return feet_middle(self.body, now.places, now.world)

    def imbalance(self, now: Figures) -> Array:
        """Squared level distance (N,), m^2, of the capture point from the feet's middle."""
        return imbalance(self.support(now), now.velocity)

    def _columns(self, vectors: Array) -> Array:
        """Joint vectors (N, L, 3) as (N, width): three a spherical joint, one a hinge."""
        balls = vectors[:, self.joints].reshape(len(vectors), -1)
        return np.concatenate([balls, np.sum(vectors[:, self.hinges] * self.axes, axis=-1)], axis=1)


PHASE_STEPS = 3  # control steps between the bumps that tell a network where in the clip it is


def _phases(steps: int) -> Array:
    """Bumps (steps + 1, n) along the clip: 1 at their own place, falling off to both sides."""
    centres = np.arange(0, steps + PHASE_STEPS, PHASE_STEPS)
    places = np.arange(steps + 1)
    return np.exp(-0.5 * ((places[:, None] - centres) / PHASE_STEPS) ** 2)
