# SPDX-License-Identifier: GPL-3.0-or-later
"""PyBullet's world of one body: the one file that talks to PyBullet.

PyBullet's conventions ((x, y, z, w) quaternions, the base's frame at its centre of mass, hinge
angles as single numbers) end here.

Control: PD toward joint targets that move evenly through a control step, solved as constraints together with the
floor's contacts, each joint's torque clamped at what a PD controller would give, and at its limit (servo_gains.py: so
that a servo yields as a muscle does, and is not as stiff as the solver is exact). PyBullet's STABLE_PD_CONTROL (Tan et
al. 2011) predicts each link's acceleration as if nothing touched it: the ankles of a body that stands give way.
"""

from __future__ import annotations

import itertools
import math
import os
import tempfile
from collections.abc import Iterable
from operator import mul
from typing import Any, NamedTuple

import numpy as np
import pybullet
from pybullet_utils import bullet_client

from ...core import rotations, self_contact
from ...core.arrays import Array, BoolArray
from ...core.body import Body, Link
from ...core.torque_curve import CURVATURE, LEAST_SHARE
from .flight import Moving
from .joint_lists import JointLayout, JointLists
from .servo_gains import servo_gain
from .simulator import (
    CONTACT_MARGIN,
    CONTROL_RATE,
    JOINT_SPEED,
    SOLVER_ITERATIONS,
    SUBSTEPS,
    TOUCHING,
    damping,
    erp,
    response,
    shove_substeps,
)
from .state import Scene, States
from .urdf import urdf

# Friction of links: a contact's is the product of both. The floor's is so many times the scene's, and between a body's
# own parts there is all but none, as between skin and clothes
SLIPPERY = 0.1
LEAST_TORQUE = 1e-6  # N m: less is none
FLOOR = -1  # the floor body's only link, in PyBullet's numbering


class FloorContacts(NamedTuple):
    """touching (L,): whether each link touches the floor. load (L,): normal force of the floor on each, N."""

    touching: BoolArray
    load: Array


class Moment(NamedTuple):
    """saved: PyBullet's number for it. joints: as told, their motors' torques too, which PyBullet does not keep."""

    saved: int
    joints: list[Any]
    own: dict[str, Any]


# What else a world keeps of a moment; none of it is changed in place
OWN = ("_path", "_speeds", "_done", "_target", "_last_target", "_driven", "_strength", "_now", "_shove", "_flight")


class PyBulletWorld:
    """One body on one floor in a PyBullet server of its own. control_rate: Hz; substeps: of a control step."""

    def __init__(
        self, body: Body, scene: Scene | None = None, control_rate: float = CONTROL_RATE, substeps: int = SUBSTEPS
    ) -> None:
        self.body = body
        self.control_rate = control_rate
        self.substeps = substeps
        self._client = bullet_client.BulletClient(connection_mode=pybullet.DIRECT)
        p = self._client
        seconds = 1.0 / (control_rate * substeps)
        p.setTimeStep(seconds)
        p.setPhysicsEngineParameter(
            contactBreakingThreshold=CONTACT_MARGIN,
            numSolverIterations=SOLVER_ITERATIONS,
            erp=erp(seconds),
            contactERP=erp(seconds),
            deterministicOverlappingPairs=1,
        )
        self._floor = p.createMultiBody(0, p.createCollisionShape(p.GEOM_PLANE))
        self._figure = _load_figure(p, body)
        self._links = range(-1, len(body.links) - 1)  # PyBullet's numbers: the base is -1
        self._root_centre = np.array(body.links[0].centre)
        # PyBullet numbers the links behind the base as the URDF does: link i is our link i + 1
        self._joints = [i - 1 for i, link in enumerate(body.links) if link.joint in ("spherical", "hinge")]
        self._layout = JointLayout(body)
        moving = [body.links[j + 1] for j in self._joints]
        self._gains = [_position_gain(link, seconds) for link in moving]
        self._dampings = [damping(seconds)] * len(moving)
        self._torques = [[link.torque] * (3 if link.joint == "spherical" else 1) for link in moving]
        self._disable_motors(moving)
        self._masses = [p.getDynamicsInfo(self._figure, j)[0] for j in self._links]
        self._inertias = [body.links[j + 1].inertia for j in self._links]
        for j in self._links:
            p.changeDynamics(self._figure, j, linearDamping=0, angularDamping=0, jointDamping=0)
            # In one call with a joint speed a link's friction would be ignored and stay at 0.5
            p.changeDynamics(self._figure, j, maxJointVelocity=JOINT_SPEED)
            p.changeDynamics(self._figure, j, lateralFriction=SLIPPERY, restitution=0)
        self._let_collide(itertools.combinations(range(len(body.links)), 2), False)
        self._let_collide(self_contact.pairs(body), True)
        self._top_speeds = [link.top_speed for link in moving]
        self._response = response(seconds)
        self._servo_dampings = [link.kd for link in moving]
        # By how much of a joint's error a servo changes its speed, 1/s
        self._rates = [servo_gain(link, seconds) / seconds for link in moving]
        self._speeds: JointLists = []  # that the servos drive at
        self._path: list[JointLists] = []  # what the servos drive to, of each substep of the control step
        self._done = 0  # substeps of it
        self._target: Array | None = None  # where the path leads to
        self._last_target: Array | None = None  # and from where on; None: there was none since the last reset
        self._driven = False  # whether the joints' torques are those of a substep since the last reset
        self._told_joints: list[Any] | None = None  # after the last substep; None: not asked for yet
        self._told_contacts: tuple[Any, ...] | None = None
        self._strength = np.ones(len(moving))  # factors on the joints' greatest torques, beside the scene's
        self._shove = (0, np.zeros(3), 0)  # a link, the force on it, N, and for how many substeps more
        self._seconds = seconds
        # Of a flight: momentum (6,), linear, N s, and about the centre of mass, N m s, and the centre (3,), m
        self._flight: tuple[Array, Array] | None = None
        self.set_scene(scene or Scene())

    def close(self) -> None:
        """End the PyBullet server."""
        self._client.disconnect()

    def set_scene(self, scene: Scene) -> None:
        """Change the circumstances: floor, friction, masses, gravity, strength."""
        p = self._client
        self.scene, self._flight, self._told_contacts = scene, None, None
        p.setGravity(*scene.gravity)
        self._take_strength()
        p.changeDynamics(self._floor, FLOOR, lateralFriction=scene.friction / SLIPPERY, restitution=0)
        p.resetBasePositionAndOrientation(self._floor, [0, 0, scene.floor], [0, 0, 0, 1])
        for j, mass, inertia in zip(self._links, self._masses, self._inertias, strict=True):
            moments = [moment * scene.mass for moment in inertia]
            p.changeDynamics(self._figure, j, mass=mass * scene.mass, localInertiaDiagonal=moments)

    def set_strength(self, factors: Array) -> None:
        """Factors (L,) on the joints' greatest torques, beside the scene's."""
        self._strength = np.array([factors[j + 1] for j in self._joints])
        self._take_strength()

    def _take_strength(self) -> None:
        """The joints' greatest torques as they are now."""
        factors = (self._strength * self.scene.strength).tolist()
        self._now = [[x * torque for torque in own] for x, own in zip(factors, self._torques, strict=True)]

    def shove(self, link: int, impulse: Array) -> None:
        """Push a link at its centre of mass, over shove_substeps(): an impulse (3,), N s, world frame."""
        lasts = shove_substeps(self.body.links[link].mass * self.scene.mass, impulse)
        self._shove = link, np.asarray(impulse, dtype=float) * (self.control_rate * self.substeps / lasts), lasts

    def _apply_shove(self) -> None:
        """Bullet forgets outer forces after every substep. What one does to a momentum in flight is known."""
        link, force, left = self._shove
        if left:
            self._shove = link, force, left - 1
            p, number = self._client, link - 1
            here = p.getLinkState(self._figure, number)[0] if link else p.getBasePositionAndOrientation(self._figure)[0]
            p.applyExternalForce(self._figure, number, force.tolist(), here, p.WORLD_FRAME)
            if self._flight:
                momentum, centre = self._flight
                self._flight = momentum + self._seconds * np.append(force, np.cross(here - centre, force)), centre

    def _let_collide(self, pairs: Iterable[tuple[int, int]], collide: bool) -> None:
        for i, j in pairs:
            self._client.setCollisionFilterPair(self._figure, self._figure, i - 1, j - 1, int(collide))

    def _forget_contacts(self) -> None:
        """Clear what is kept of contacts between parts, which a pose that is set leaves where parts are as near."""
        pairs = self_contact.pairs(self.body)
        self._let_collide(pairs, False)
        self._client.performCollisionDetection()
        self._let_collide(pairs, True)

    def _disable_motors(self, moving: list[Link]) -> None:
        """PyBullet gives every joint a velocity motor; without this it would brake them all."""
        p = self._client
        for j, link in zip(self._joints, moving, strict=True):
            if link.joint == "hinge":
                p.setJointMotorControl2(self._figure, j, p.VELOCITY_CONTROL, force=0)
            else:
                p.setJointMotorControlMultiDof(
                    self._figure, j, p.POSITION_CONTROL, [0, 0, 0, 1], positionGain=0, velocityGain=1, force=[0, 0, 0]
                )

    def reset(self, state: States) -> None:
        """Place the body in a state (no leading axis). The contact cache is lost."""
        p = self._client
        self._forget_contacts()
        root = state.rotations[0]
        arm = rotations.rotate(root, self._root_centre)
        p.resetBasePositionAndOrientation(self._figure, state.position + arm, _xyzw(root))
        angular = state.angular_velocity
        p.resetBaseVelocity(self._figure, state.velocity + np.cross(angular, arm), angular)
        (joints,) = self._layout.rotations(state.rotations[None])
        (velocities,) = self._layout.velocities(state.joint_velocity[None])
        p.resetJointStatesMultiDof(self._figure, self._joints, joints, velocities)
        self._driven, self._last_target, self._flight = False, None, None
        self._told_joints = self._told_contacts = None
        p.performCollisionDetection()  # or contacts() would tell what touched where the body was before

    def drive_from(self, target: Array) -> None:
        """As if the body, just reset, had driven to a target, as targets() makes it, until now."""
        self._last_target = target

    def set_targets(self, target: Array, velocities: JointLists) -> None:
        """Set the joints' targets, as targets() and velocities() make them, until the next call: the next control step
        leads to them from the last ones."""
        before = target if self._last_target is None else self._last_target
        shares = np.arange(1, self.substeps + 1)[:, None, None] / self.substeps
        alike = np.where(np.sum(before * target, axis=-1, keepdims=True) < 0.0, -1.0, 1.0)
        self._path = self._layout.rotations(rotations.normalise((1.0 - shares) * before + shares * alike * target))
        self._target, self._speeds, self._done = target, velocities, 0

    def _drive(self) -> None:
        """Set the motors: the joints' targets in the next substep, with the torques that they have for it."""
        if not self._path:
            return
        goals = self._path[min(self._done, self.substeps - 1)]
        self._client.setJointMotorControlMultiDofArray(
            self._figure,
            self._joints,
            pybullet.POSITION_CONTROL,
            targetPositions=goals,
            targetVelocities=self._speeds,
            forces=self._bounds(goals),
            positionGains=self._gains,
            velocityGains=self._dampings,
        )
        self._done += 1
        if self._done >= self.substeps:
            self._last_target = self._target

    def _bounds(self, goals: JointLists) -> JointLists:
        """The greatest torques of joints at their present speeds: less where they drive along them, as they did in the
        substep before (core.torque_curve); and no more than a PD controller's (servo_gains).

        A ball joint has one for all its axes, at its speed along its torque: of a list of them PyBullet takes the
        first, since it is given one gain (PhysicsServerCommandProcessor.cpp:7435).
        """
        bounds = []
        for k, ((place, speeds, _, torques), most) in enumerate(zip(self._joint_states(), self._now, strict=True)):
            share, fastest = 1.0, self._top_speeds[k]
            if fastest > 0 and self._driven:
                strength = math.sqrt(sum(map(mul, torques, torques)))
                along = sum(map(mul, speeds, torques))
                driving = max(along, 0.0) / max(strength, LEAST_TORQUE)
                share = max((fastest - driving) / (fastest + CURVATURE * driving), LEAST_SHARE)
            spring = self._servo_dampings[k] * self._wanted_change(k, place, speeds, goals[k])
            before = max(map(abs, torques)) if self._driven else 0.0
            if before > 0.0:
                spring = before + self._response * (spring - before)
            # With a bound of 0 PyBullet goes on telling the torque of before
            most_now = max(spring, LEAST_TORQUE)
            bounds.append([min(torque * share, most_now) for torque in most])
        return bounds

    def _wanted_change(self, k: int, place: list[float], speeds: list[float], goal: list[float]) -> float:
        """By how much moving joint k's servo wants to change its speed, rad/s."""
        if len(place) == 1:
            rate = self._rates[k] / self._dampings[k]
            return abs(rate * (goal[0] - place[0]) + self._speeds[k][0] - speeds[0])
        rate, (x, y, z), (sx, sy, sz) = self._rates[k], _angles_between(place, goal), speeds
        return math.sqrt((rate * x - sx) ** 2 + (rate * y - sy) ** 2 + (rate * z - sz) ** 2)

    def substep(self) -> None:
        """One physics step. In flight gravity and pushes alone change the momentum (flight.py)."""
        self._drive()
        if not self._flies():
            self._flight = None
        elif self._flight is None:
            moving = self._moving()
            self._flight = moving.momentum, moving.centre
        self._apply_shove()
        self._client.stepSimulation()
        self._driven, self._told_joints, self._told_contacts = True, None, None
        if self._flight and self._flies():
            self._keep_flying(*self._flight)

    def _joint_states(self) -> list[Any]:
        """Place, speed, reaction and torque of every moving joint."""
        if self._told_joints is None:
            self._told_joints = self._client.getJointStatesMultiDof(self._figure, self._joints)
        return self._told_joints

    def _contact_points(self) -> tuple[Any, ...]:
        """Of the body with the floor."""
        if self._told_contacts is None:
            self._told_contacts = self._client.getContactPoints(self._figure, self._floor)
        return self._told_contacts

    def _flies(self) -> bool:
        """Whether the floor is out of reach."""
        return not self._contact_points()

    def _moving(self) -> Moving:
        """The links as they move now."""
        p = self._client
        links = p.getLinkStates(self._figure, list(self._links)[1:], 1, 1)
        places = [p.getBasePositionAndOrientation(self._figure), *(own[:2] for own in links)]
        speeds = [p.getBaseVelocity(self._figure), *(own[6:8] for own in links)]
        parts = (np.array([own[k] for own in each]) for each in (places, speeds) for k in (0, 1))
        return Moving(np.array(self._masses) * self.scene.mass, np.array(self._inertias) * self.scene.mass, *parts)

    def _keep_flying(self, momentum: Array, centre: Array) -> None:
        """Put the root where gravity has led the centre of mass (3,), with the speeds for what it has made of the
        momentum (6,), pushes included: both become what they are now."""
        p, moving, seconds = self._client, self._moving(), self._seconds
        mass = moving.masses.sum()
        momentum = momentum + np.append(mass * seconds * np.array(self.scene.gravity), np.zeros(3))
        centre = centre + momentum[:3] / mass * seconds
        self._flight = momentum, centre
        velocity, spin = moving.change_to(momentum)
        linear, angular = p.getBaseVelocity(self._figure)
        position, orientation = p.getBasePositionAndOrientation(self._figure)
        p.resetBasePositionAndOrientation(self._figure, np.add(position, centre - moving.centre), orientation)
        p.resetBaseVelocity(self._figure, np.add(linear, velocity), np.add(angular, spin))

    def step(self, target: Array, velocities: JointLists) -> None:
        """One control step toward joint targets."""
        self.set_targets(target, velocities)
        for _ in range(self.substeps):
            self.substep()

    def targets(self, orientations: Array) -> Array:
        """PD targets (N, L, 4) for step() of N poses (N, L, 4).

        A target past a joint's limit ends at it: a servo that pushed against a limit would make it chatter.
        """
        return self._layout.within_limits(orientations)

    def velocities(self, velocities: Array) -> list[JointLists]:
        """Target velocities for step() of N poses' joint velocities (N, L, 3)."""
        return self._layout.velocities(velocities)

    def read(self) -> list[float]:
        """The state as a flat list of numbers; states() turns many of them into arrays at once."""
        p = self._client
        position, orientation = p.getBasePositionAndOrientation(self._figure)
        velocity, angular_velocity = p.getBaseVelocity(self._figure)
        numbers = [*position, *orientation, *velocity, *angular_velocity]
        for joint in self._joint_states():
            numbers += joint[0]
            numbers += joint[1]
        return numbers

    def states(self, numbers: list[list[float]] | Array) -> States:
        """States of flat readings (N, n)."""
        return self._layout.states(np.asarray(numbers), self._root_centre)

    def state(self) -> States:
        """The present state (no leading axis)."""
        return self.states([self.read()])[0]

    def contacts(self) -> BoolArray:
        """Whether each link (L,) touches the floor (contact distance below 2 mm)."""
        return self.floor_contacts().touching

    def floor_contacts(self) -> FloorContacts:
        """What touches the floor, and the floor's forces in the last substep."""
        touching, load = np.zeros(len(self.body.links), dtype=bool), np.zeros(len(self.body.links))
        for point in self._contact_points():
            link, distance, force = point[3] + 1, point[8], point[9]
            load[link] += force
            if distance < TOUCHING:
                touching[link] = True
        return FloorContacts(touching, load)

    def effort(self) -> float:
        """The greatest joint torque of the last substep over its limit."""
        ratios = [
            max(map(abs, state[3]), default=0.0) / limit[0]
            for state, limit in zip(self._joint_states(), self._torques, strict=True)
            if limit[0] > 0
        ]
        return max(ratios, default=0.0)

    def push(self, velocity: Array, angular_velocity: Array) -> None:
        """Kick the root: add velocities, m/s and rad/s, world frame."""
        p = self._client
        linear, angular = p.getBaseVelocity(self._figure)
        p.resetBaseVelocity(self._figure, np.add(linear, velocity), np.add(angular, angular_velocity))
        self._flight = None

    def moment(self) -> Moment:
        """The present moment, contact cache included, in memory; to be forgotten. It takes 2.5 ms."""
        return Moment(int(self._client.saveState()), self._joint_states(), {name: getattr(self, name) for name in OWN})

    def go_back(self, moment: Moment) -> None:
        """Back to a moment of this scene, to go on to the number, but where Bullet had contacts in another order."""
        self._client.restoreState(stateId=moment.saved)
        self._told_joints, self._told_contacts = moment.joints, None
        vars(self).update(moment.own)

    def forget(self, moment: Moment) -> None:
        """Give back a moment's memory, 200 kB."""
        self._client.removeState(moment.saved)


def _position_gain(link: Link, seconds: float) -> float:
    """A servo's gain for PyBullet, where a ball joint's is multiplied by the ERP (btMultiBodyConstraint.cpp:362)."""
    return servo_gain(link, seconds) / (erp(seconds) if link.joint == "spherical" else 1.0)


def _angles_between(a: list[float], b: list[float]) -> tuple[float, float, float]:
    """Euler angles of the rotation from a to b, (x, y, z, w), in a's axes, rad: as Bullet's motor measures its error
    (btMultiBodySphericalJointMotor.cpp:130 to :168)."""
    ax, ay, az, aw = a
    bx, by, bz, bw = b
    w = aw * bw + ax * bx + ay * by + az * bz
    x = aw * bx - ax * bw - ay * bz + az * by
    y = aw * by + ax * bz - ay * bw - az * bx
    z = aw * bz - ax * by + ay * bx - az * bw
    pitch = math.asin(min(max(-2.0 * (x * z - w * y), -1.0), 1.0))
    return (
        math.atan2(2.0 * (y * z + w * x), 1.0 - 2.0 * (x * x + y * y)),
        pitch,
        math.atan2(2.0 * (x * y + w * z), 1.0 - 2.0 * (y * y + z * z)),
    )


def _xyzw(q: Array) -> list[float]:
    return [q[1], q[2], q[3], q[0]]


def _load_figure(client: Any, body: Body) -> int:
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "body.urdf")
        with open(path, "wb") as file:
            file.write(urdf(body))
        flags = (
            pybullet.URDF_MAINTAIN_LINK_ORDER | pybullet.URDF_USE_INERTIA_FROM_FILE | pybullet.URDF_USE_SELF_COLLISION
        )
        return int(client.loadURDF(path, [0, 0, 2], useFixedBase=False, flags=flags))
