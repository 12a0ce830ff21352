# SPDX-License-Identifier: GPL-3.0-or-later
"""Many bodies that imitate at once: the environment a policy learns and performs in.

It has N bodies in a simulator: the engine in which trials are played and takes recorded. A step is step(), refresh(),
evaluate() and observe(). Observation, reward, termination and joint targets are numpy over all N together. For
rollouts the same is compiled (compiled_environment.py).
"""

from __future__ import annotations

import dataclasses
from typing import Generic, TypeVar

import numpy as np

from ...core import rotations
from ...core.arrays import AnyArray, Array, BoolArray, Float32Array, IntArray
from ...core.body import Body
from ...core.constants import FRICTION
from ...core.measures import balance
from ..physics.simulator import CONTROL_RATE, Simulator
from ..physics.state import Scene, States
from .action_layout import ActionLayout
from .disturbances import Circumstances, Disturbances, EpisodeState, disturbed, draw_circumstances
from .foresight import Foresight
from .observations import Figures, Observations
from .rewards import Imitation
from .target_trajectory import TargetTrajectory

ACTION_SCALE = 0.25  # rad of a joint's target an action of 1
LARGEST_OFFSET = 1.2  # rad, of a joint's target, feedback included
LARGEST_CORRECTION = 0.4  # rad, of the trajectory's feedback: its linear model holds no further
CATCHING = 0.15  # s after a landing in which actions count whole
FADING = 0.4  # s over which they come to count for nothing
CALMING = 0.2  # s then for what they have set in motion to come to rest
STANDING_SHARE = 0.5  # of the reward after a landing is for standing, the rest for the pose
FAR_OFF = 0.7  # m: a landing so far off earns 1/e of standing's reward
SWAY = 0.4  # m/s: a centre of mass that goes so much faster than the goal's earns 1/e
TURNING = 0.6  # rad/s: a root that turns so much faster about the vertical earns 1/e
REACH_OF_FEET = 0.1  # m: a capture point so far from the feet's middle earns 1/e
# Of what only the critic observes: so that it is of the order of 1, as the other observations
MASS_SCALE, FLOOR_SCALE = 10.0, 50.0
PRIVILEGED = 5  # what only the critic sees: friction, mass, floor, a push to come, height above the floor


@dataclasses.dataclass(frozen=True)
class Limits:
    """When an episode is over before its end."""

    distance: float = 0.4  # m, mean link distance from the goal
    tilt: float = 1.3  # rad, root orientation against the goal's


Bodies = TypeVar("Bodies", bound=Simulator)


def weights_of(privileged: AnyArray) -> AnyArray:
    """The shares (N,) that bodies weigh more, of what a critic observes of them (N, m)."""
    weights: AnyArray = privileged[:, 1 - PRIVILEGED] / MASS_SCALE
    return weights


class ImitationEnvironment(Generic[Bodies]):
    """N bodies that follow one target trajectory. allowed (L,): links that may touch the floor."""

    def __init__(
        self,
        bodies: Bodies,
        trajectory: TargetTrajectory,
        allowed: BoolArray,
        limits: Limits | None = None,
    ) -> None:
        self.bodies = bodies
        self.body = body = bodies.body
        self.count = count = bodies.count
        self.trajectory, self._shares = trajectory, shares_of_actions(trajectory)
        self.fades = True  # whether actions do, once landed: see shares_of_actions()
        self.allowed = allowed
        self.limits = limits or Limits()
        self.observations = Observations(body, trajectory)
        self.imitation = Imitation(body)
        self.layout = ActionLayout(body)
        self._feet_down = np.zeros((count, 2), dtype=np.float32)
        self.steps = np.zeros(count, dtype=int)
        self.circumstances = [Circumstances(Scene()) for _ in range(count)]
        self.floors = np.zeros(count)
        self._push_steps = np.full(count, -1)
        self.last_actions = np.zeros((count, self.layout.width), dtype=np.float32)
        self._late = np.zeros(count, dtype=bool)  # who observes a step late
        self._foresight: Foresight | None = None  # of those, once there are any
        self._foreseen: Float32Array | None = None  # what they reckon to be their differences, as _differences()
        self._observed = np.zeros((count, self.observations.width))  # differences as they are known
        self._hidden = np.zeros((count, PRIVILEGED - 2), dtype=np.float32)

    def follow(self, trajectory: TargetTrajectory) -> None:
        """Steer by another trajectory's targets and feedback, of the same goals, from now on."""
        self.trajectory, self._shares = trajectory, shares_of_actions(trajectory)

    def start(self, which: IntArray, steps: IntArray, states: States, circumstances: list[Circumstances]) -> None:
        """Begin episodes of the bodies at indices which (K,): K control steps, states in world
        coordinates, and circumstances."""
        for index, own in zip(which, circumstances, strict=True):
            scene = own.scene
            self.bodies.set_scene(index, scene)
            self.circumstances[index] = own
            self.floors[index] = scene.floor
            self._late[index] = own.delay > 0
            self._push_steps[index] = own.push_step
            self._hidden[index] = (
                scene.friction - FRICTION,
                MASS_SCALE * (scene.mass - 1),
                FLOOR_SCALE * scene.floor,
            )
        self.bodies.reset(which, states)
        before = np.clip(np.asarray(steps) - 1, 0, self.trajectory.steps - 1)
        self.bodies.drive_from(which, self.trajectory.targets[before])
        if self._late.any():
            self._foresight = self._foresight or Foresight(self.body, self.count, self.allowed)
            scenes = [own.scene for own in circumstances]
            self._foresight.start(which, states, self.trajectory.targets[before], scenes)
        self.steps[which] = steps
        self._feet_down[which] = self.bodies.contacts()[which][:, self.observations.feet]
        self.last_actions[which] = 0

    def refresh(self, which: BoolArray | None = None) -> None:
        """Compute the figures of all (or those) bodies; observe() and the rest speak of these."""
        if which is None:
            self.now = Figures.of(self.body, self.bodies.states())
            return
        index = np.flatnonzero(which)
        self.now.put(index, Figures.of(self.body, self.bodies.states(index)))

    def observe(self, fresh: BoolArray | None = None) -> tuple[Float32Array, Float32Array]:
        """What the actor (N, n) and the critic (N, m) observe. fresh (N,): episodes just begun."""
        differences = known = self._differences()
        if self._foreseen is not None:
            late = self._late if fresh is None else self._late & ~fresh
            known = np.where(late[:, None], self._foreseen, differences)
        self._observed = known[:, : self.observations.width]
        return self._observation(known), self._privileged_observation(differences)

    def bootstrap_observation(self) -> Float32Array:
        """The critic's observations (N, m) after a step, before anything is restarted."""
        return self._privileged_observation(self._differences())

    def _differences(self) -> AnyArray:
        """Differences from the goals, and which feet stand (N, width + 2)."""
        differences = self.observations(self.now, np.minimum(self.steps, self.trajectory.steps))
        return np.concatenate([differences, self._feet_down], axis=1)

    def _foresee(self, targets: Array, speeds: Array) -> None:
        """Reckon what those who observe late come to in the control step that is about to be taken."""
        if self._foresight and self._late.any():
            now, contacts = self._foresight(self.now, self._feet_down, targets, speeds)
            differences = self.observations(now, np.minimum(self.steps + 1, self.trajectory.steps))
            self._foreseen = np.concatenate([differences, contacts[:, self.observations.feet]], axis=1)

    def _observation(self, differences: AnyArray) -> Float32Array:
        phases = self.observations.phases[np.minimum(self.steps, self.trajectory.steps)]
        together: AnyArray = np.concatenate([differences, self.last_actions, phases], axis=1)
        return together.astype(np.float32)

    def _privileged_observation(self, differences: AnyArray) -> Float32Array:
        """The actor's observation as it would be if none came late, and what the actor cannot know."""
        to_come = self.steps <= self._push_steps
        privileged = np.concatenate([self._hidden, to_come[:, None], self._heights()[:, None]], axis=1)
        return np.concatenate([self._observation(differences), privileged.astype(np.float32)], axis=1)

    def _heights(self) -> AnyArray:
        """Of the centres of mass (N,) over the floors, less the goals'."""
        goal = self.observations.goals.centre[np.minimum(self.steps, self.trajectory.steps), 2]
        heights: AnyArray = self.now.centre[:, 2] - self.floors - goal
        return heights

    def step(self, actions: AnyArray, active: BoolArray | None = None) -> BoolArray:
        """One control step of all (or the active) bodies. Returns (N,): a forbidden link touched."""
        self.applied = self._corrected(actions)
        for i in np.flatnonzero(self.steps == self._push_steps):
            self.bodies.push(int(i), self.circumstances[i].push, self.circumstances[i].push_spin)
        speeds = self.trajectory.velocities[np.minimum(self.steps, self.trajectory.steps - 1)]
        targets = self._targets(self.applied)
        self._foresee(targets, speeds)
        self.bodies.set_targets(targets, speeds)
        touched = self.bodies.step(active)
        self._feet_down = self.bodies.contacts()[:, self.observations.feet].astype(np.float32)
        self.steps += 1 if active is None else active
        self.last_actions = actions.astype(np.float32)
        illegal_contacts: BoolArray = np.any(touched & ~self.allowed, axis=1)
        return illegal_contacts

    def _corrected(self, actions: AnyArray) -> Array:
        """Angles (N, width), rad, that actions ask for, the trajectory's feedback included."""
        angles = self._asked_for(actions)
        if len(self.trajectory.gains):
            gains = self.trajectory.gains[np.minimum(self.steps, self.trajectory.steps - 1)]
            correction = np.einsum("nij,nj->ni", gains, self._observed)
            angles = angles + np.clip(correction, -LARGEST_CORRECTION, LARGEST_CORRECTION)
        return np.clip(angles, -LARGEST_OFFSET, LARGEST_OFFSET)

    def _asked_for(self, actions: AnyArray) -> AnyArray:
        """Angles (N, width), rad, that actions ask for."""
        angles: AnyArray = actions * ACTION_SCALE
        return angles * self._shares[np.minimum(self.steps, self.trajectory.steps - 1), None] if self.fades else angles

    def _targets(self, angles: Array) -> Array:
        """Joint targets (N, L, 4): the trajectory's, turned by angles (N, width), rad."""
        goal = self.trajectory.targets[np.minimum(self.steps, self.trajectory.steps - 1)]
        return self.layout.offset_targets(goal, angles)

    def evaluate(self) -> tuple[Array, BoolArray]:
        """Reward (N,) in [0, 1] of the present states, and whether they are lost (N,).

        Before the landing: how well the goal is imitated. After it: that seen from where the feet
        are, and how well the body stands; a landing is none until it is stood.
        """
        steps = np.minimum(self.steps, self.trajectory.steps)
        goal = self.observations.goals[steps]
        landed = steps >= self.trajectory.landed
        observed = self.observations
        landing_offset = (observed.feet_middle(self.now) - observed.feet_middle(goal)) * landed[:, None]
        now = self.now.moved(np.column_stack([-landing_offset[:, :2], -self.floors]))
        distance = np.linalg.norm(now.positions - goal.positions, axis=-1).mean(axis=1)
        tilt = rotations.angle_between(now.states.rotations[:, 0], goal.states.rotations[:, 0])
        off = observed.imbalance(now) / REACH_OF_FEET**2 + (landing_offset[:, :2] ** 2).sum(axis=1) / FAR_OFF**2
        off += ((now.velocity - goal.velocity) ** 2).sum(axis=1) / SWAY**2
        off += (now.states.angular_velocity - goal.states.angular_velocity)[:, 2] ** 2 / TURNING**2
        stands = np.exp(-off) * self._feet_down.mean(axis=1)
        share = STANDING_SHARE * landed
        reward = (1 - share) * self.imitation(now, goal) + share * stands
        return reward, (distance > self.limits.distance) | (tilt > self.limits.tilt)


def shares_of_actions(trajectory: TargetTrajectory) -> Array:
    """How much of an action counts at each control step (T,): all of it until a body has landed that feedback can hold,
    and nothing while it is judged whether it stands.

    A network that acts to the end is told nothing of what comes after: it learns to sway, and ends in poses that fall.
    """
    if not trajectory.gains.size:
        return np.ones(trajectory.steps)
    steps = np.arange(trajectory.steps)
    last = trajectory.steps - (CALMING + balance.STILL_SECONDS) * CONTROL_RATE
    shares: Array = np.clip((last - steps) / (FADING * CONTROL_RATE), 0.0, 1.0)
    return np.where(steps < trajectory.landed + CATCHING * CONTROL_RATE, 1.0, shares)


def begin_trial(
    env: ImitationEnvironment[Bodies],
    index: int,
    seed: int,
    disturbances: Disturbances,
    scene: Scene | None = None,
    start: States | None = None,
    step: int = 0,
) -> None:
    """Set up one trial from frame 0, or from a control step."""
    state, own = trial(env.body, env.trajectory, seed, disturbances, scene, step)
    env.start(np.array([index]), np.array([step]), (start or state)[None], [own])


def trial(
    body: Body,
    trajectory: TargetTrajectory,
    seed: int,
    disturbances: Disturbances,
    scene: Scene | None = None,
    step: int = 0,
) -> EpisodeState:
    """How a trial from a control step begins: everything random follows from its seed."""
    random = np.random.default_rng([seed, 7])
    own = draw_circumstances(disturbances, random, trajectory.pushed_until, scene)
    return disturbed(body, trajectory.states[step], disturbances, random, own.scene.floor), own
