# SPDX-License-Identifier: GPL-3.0-or-later
"""What every simulator of bodies keeps to, and the numbers that all of them share.

PyBullet (pybullet_world.py, pybullet_batch.py) performs where it is there; the compiled step (compiled/) takes the same
steps of many bodies at once, for rollouts, and performs where PyBullet is not (engines.py). Rates, gains and the
solver's settings stand here once. Of Bullet, file and line are those of the sources that PyBullet 3.2.7 was built from
(bullet3 at 6c888f4).
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ...core.arrays import Array, BoolArray, IntArray
from ...core.body import Body
from .state import Scene, States

CONTROL_RATE = 30.0  # control steps a second
# Physics steps in a control step: 480 Hz. At 120 Hz landings hung on the step's length
SUBSTEPS = 16
TAKE_RATE = 120.0  # Hz, at which takes are recorded: every fourth substep
# Substeps that a push lasts: a frame of a take. A light part that would be thrown faster than LIGHT_SPEED, m/s, is
# pushed for longer, up to a control step: what would turn its joint faster than JOINT_SPEED would be lost
SHOVE_SUBSTEPS = 4
LIGHT_SPEED = 4.0
# A joint's error decays at SERVO_RATE kp/kd a second, where torque suffices: twice as fast as under an overdamped PD
# controller of these gains. At four times as fast joints shake
SERVO_RATE = 2.0
JOINT_SPEED = 50.0  # rad/s, a safety net far above what a human joint does; Bullet clamps to it (btMultiBody.h:486)
TOUCHING = 0.002  # m: a contact so near touches
# A substep: PyBullet's default. With Bullet's, 10 (btContactSolverInfo.h:85), a take hung on their number
SOLVER_ITERATIONS = 50
# Of the compiled step, which begins each with the impulses of the one before and over-relaxes
COMPILED_ITERATIONS = 10
# Where feedback is looked at
LOOK_ITERATIONS = 20
# Of what is performed in the compiled step: the nearer to the solution, the less a take hangs on their number
PERFORMED_ITERATIONS = 80
# How far ahead contacts are made, in shares of a link's size (btCollisionShape.cpp:42): a foot that lands with 5 m/s
# moves 1 cm a substep, and the solver is to stop it on the floor and not in it. PyBullet's default is 0.02
CONTACT_MARGIN = 0.1

# Shares that the solver takes away a substep are rates, so that all converges alike at any length of substep: with a
# share x in RATED_SECONDS, 1 - (1 - x) ** (h / RATED_SECONDS) in h
RATED_SECONDS = 1.0 / 120.0
RATED_DAMPING = 0.6  # of a hinge's velocity error
# Of the way from its last torque to a PD controller's that a servo's bound goes, as muscles take their time to answer
# (a time constant of 7 ms): a bound that jumped there would make light limbs tremble, since a substep reckons it with
# the speed at its beginning. Stable where kd h is less than 4 / share - 2 times the inertia that is moved
RATED_RESPONSE = 0.7
# Of an error of position: Bullet's default is 0.2 a substep (btContactSolverInfo.h:86), PyBullet's for contacts 0.08
# (PhysicsServerCommandProcessor.cpp:2800); here a foot that has sunk into the floor is out again within 1/30 s
RATED_ERP = 0.8


def damping(seconds: float) -> float:
    """Share of a hinge's velocity error that its servo takes away in a substep of so many seconds."""
    return 1.0 - float((1.0 - RATED_DAMPING) ** (seconds / RATED_SECONDS))


def response(seconds: float) -> float:
    """Share of the way to a PD controller's torque that a servo's bound goes in a substep of so many seconds."""
    return 1.0 - float((1.0 - RATED_RESPONSE) ** (seconds / RATED_SECONDS))


def erp(seconds: float) -> float:
    """Error reduction parameter: share of an error of position that is taken away in a substep of so many seconds."""
    return 1.0 - float((1.0 - RATED_ERP) ** (seconds / RATED_SECONDS))


def shove_substeps(mass: float, impulse: Array) -> int:
    """How many substeps a push by an impulse (3,), N s, lasts on a link of a mass, kg."""
    speed = float(np.linalg.norm(impulse)) / mass
    return int(np.clip(np.ceil(SHOVE_SUBSTEPS * speed / LIGHT_SPEED), SHOVE_SUBSTEPS, SUBSTEPS))


class Simulator(Protocol):
    """N bodies of one kind, each in a scene of its own. Metres, radians, seconds, world frame with z up."""

    body: Body
    count: int

    def set_scene(self, index: int, scene: Scene) -> None:
        """Change one body's circumstances."""

    def reset(self, which: IntArray, states: States) -> None:
        """Place the bodies at indices which (K,) in K states."""

    def drive_from(self, which: IntArray, targets: Array) -> None:
        """As if the bodies at indices which (K,), just reset, had driven to joint targets (K, L, 4) until now."""

    def set_targets(self, targets: Array, velocities: Array) -> None:
        """Joint targets (N, L, 4) and target velocities (N, L, 3), rad/s, until the next call.

        A control step leads the joints evenly from the targets of the step before to these; the first step after a
        reset holds them.
        """

    def push(self, index: int, velocity: Array, angular_velocity: Array) -> None:
        """Kick one root: add velocities, m/s and rad/s, world frame."""

    def shove(self, index: int, link: int, impulse: Array) -> None:
        """Push a link of one body at its centre of mass, evenly over the next shove_substeps(): an impulse (3,), N s,
        world frame."""

    def set_strength(self, factors: Array) -> None:
        """Factors (L,) on the greatest torques of all bodies' joints, from now on, beside their scenes' own."""

    def step(self, active: BoolArray | None = None) -> BoolArray:
        """One control step of all (or the active) bodies. Returns (N, L): links that touched the floor in it."""

    def contacts(self) -> BoolArray:
        """Whether each link (N, L) touches the floor."""

    def states(self, which: IntArray | None = None) -> States:
        """The present states of all bodies, or of those at indices which."""

    def close(self) -> None:
        """Give back what the simulator holds."""
