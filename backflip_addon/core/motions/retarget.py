# SPDX-License-Identifier: GPL-3.0-or-later
"""Motions from rigs to bodies and back to rigs.

A source's rest pose is aligned with the neutral pose by role (core.rigs.rest_pose); then each link's world
orientation follows from its bone's, and limbs are swung onto the directions between the source's
joints, so that they hold even where bones slide or their axes lie anywhere.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from .. import rotations
from ..arrays import Array, BoolArray
from ..body import LINK_NAMES, LINK_PARENTS, Body
from ..motion import Motion
from ..proportions import hip_to_ankle, hip_to_sole
from ..rigs import rest_pose, roles
from ..rigs.binding import Binding
from ..rigs.rest_pose import DOWN, Neutral
from ..rigs.rig import Rig
from ..rigs.roles import RoleMap
from . import foot_planting
from .limb_reach import SIDES

_LINK = {name: i for i, name in enumerate(LINK_NAMES)}


def retarget(
    source: Rig,
    source_map: RoleMap,
    matrices: Array,
    rate: float,
    body: Body,
    binding: Binding | None = None,
    loops: bool = False,
) -> Motion:
    """A source's motion on a body.

    matrices (F, B, 4, 4): world matrices of the source's bones per frame, at rate frames/s.
    binding: given when the source is the body's own rig; then the motion stays where it is. Else the
    path is scaled by leg length, starts over the simulation's origin, and stands on the floor.
    Raises RigError when the source cannot be read as a humanoid, ValueError on damaged matrices.
    """
    matrices = np.asarray(matrices, dtype=float)
    if matrices.ndim != 4 or matrices.shape[1:] != (len(source.bones), 4, 4) or len(matrices) < 1:
        raise ValueError("The clip does not fit its skeleton: it has other bones, or no frames.")
    if not np.isfinite(matrices).all():
        raise ValueError("The clip holds numbers that are not finite: repair it or trim the damaged frames.")
    roles.check(source, source_map)
    source = _with_sensible_rest(source, source_map, matrices)
    neutral = rest_pose.measure(source, source_map)
    orientations, positions = _link_rotations(source, neutral, matrices)
    if binding is not None:
        orientations = rotations.multiply(rotations.from_axis_angle([0.0, 0.0, 1.0], -binding.yaw), orientations)
        return Motion(float(rate), binding.to_sim(positions["pelvis"]), body.local_rotations(orientations), loops)
    resting, held = _resting(source, neutral, matrices, positions, rate)
    if source.skin is None:
        for i, side in enumerate(SIDES):
            foot = _LINK[f"foot.{side}"]
            orientations[:, foot] = foot_planting.level(orientations[:, foot], positions[f"foot.{side}"], resting[:, i])
    path = positions["pelvis"] * (hip_to_ankle(body) / neutral.leg_length)
    motion = put_on_floor(Motion(float(rate), path, body.local_rotations(orientations), loops), body)
    return from_origin(foot_planting.plant(motion, body, resting, held))


def _resting(
    source: Rig, neutral: Neutral, matrices: Array, positions: dict[str, Array], rate: float
) -> tuple[BoolArray, Array]:
    """Frames (F, 2: left, right) in which the source's feet rest on the floor, and by what (foot_planting.holds)."""
    resting, held = [], []
    for side in SIDES:
        bone = neutral.bones[f"foot.{side}"]
        local = source.rest[bone, :3, :3].T @ (neutral.toes[side] - source.heads[bone])
        toe = matrices[:, bone, :3, 3] + matrices[:, bone, :3, :3] @ local
        resting.append(foot_planting.planted(positions[f"foot.{side}"], toe, neutral.leg_length, rate))
        held.append(foot_planting.holds(positions[f"foot.{side}"], toe, neutral.leg_length, rate))
    return np.stack(resting, axis=1), np.stack(held, axis=1)


def _with_sensible_rest(source: Rig, source_map: RoleMap, matrices: Array) -> Rig:
    """The source with its most upright frame for a rest pose, where its own rest pose makes no sense."""
    if rest_pose.sensible(source, source_map, source.heads[None])[0]:
        return source
    fitness = rest_pose.standing_fitness(source, source_map, matrices[:, :, :3, 3])
    best = int(np.argmax(fitness))
    rest = np.array(matrices[best])
    rest[:, :3, :3] = _orthonormal(rest[:, :3, :3])
    local = np.einsum("bji,bj->bi", source.rest[:, :3, :3], source.tails - source.heads)
    tails = rest[:, :3, 3] + np.einsum("bij,bj->bi", rest[:, :3, :3], local)
    return dataclasses.replace(source, rest=rest, tails=tails)


def bone_matrices(
    binding: Binding, rig: Rig, motion: Motion, bones: Mapping[str, str] | None = None
) -> dict[str, Array]:
    """World matrices (F, 4, 4) of every bone that the body moves, by name, parents first.

    Exact and rigid: joints keep the distances they have at rest. Lengths are world units.
    bones: other bones, such as a rig's controls, and the link each goes with.
    """
    bones = binding.bones if bones is None else bones
    positions, orientations = link_frames(binding, motion)
    heading = rotations.matrix_about_z(binding.yaw)
    found: dict[int, Array] = {}
    for i, link in enumerate(binding.links):
        turn = heading @ rotations.to_matrix(orientations[:, i]) @ rotations.to_matrix(np.array(link.turn))
        for name in (bone for bone, owner in bones.items() if owner == link.name):
            bone = rig.index(name)
            matrix = np.zeros((motion.frames, 4, 4))
            matrix[:, :3, :3] = turn @ rig.rest[bone, :3, :3]
            matrix[:, :3, 3] = positions[:, i] + turn @ (rig.heads[bone] - np.array(link.joint))
            matrix[:, 3, 3] = 1.0
            found[bone] = matrix
    return {rig.bones[bone]: found[bone] for bone in sorted(found)}


def link_frames(binding: Binding, motion: Motion) -> tuple[Array, Array]:
    """Link origins (F, L, 3) in the world, Blender's units, and link orientations (F, L, 4), sim frame."""
    joints = np.array([link.joint for link in binding.links])
    inverse = rotations.conjugate(np.array([link.turn for link in binding.links]))
    heading = rotations.from_axis_angle([0.0, 0.0, 1.0], binding.yaw)
    positions, orientations = [binding.to_world(motion.position)], [motion.rotations[:, 0]]
    for i, name in enumerate(LINK_NAMES[1:], start=1):
        parent = _LINK[LINK_PARENTS[name] or "pelvis"]
        offset = rotations.rotate(rotations.conjugate(inverse[parent]), joints[i] - joints[parent])
        positions.append(
            positions[parent] + rotations.rotate(rotations.multiply(heading, orientations[parent]), offset)
        )
        orientations.append(rotations.multiply(orientations[parent], motion.rotations[:, i]))
    return np.stack(positions, axis=1), np.stack(orientations, axis=1)


def adapt(motion: Motion, leg: float, body: Body) -> Motion:
    """A motion recorded for legs of another length (hip to sole, m), on this body's floor."""
    scaled = dataclasses.replace(motion, position=motion.position * (hip_to_sole(body) / leg))
    return plant_feet(put_on_floor(scaled, body), body)


def plant_feet(motion: Motion, body: Body) -> Motion:
    """The motion with feet that rest nearly still and low brought to rest, still and on the floor."""
    positions, orientations = body.forward(motion.position, motion.rotations)
    resting = []
    for side in SIDES:
        points, _ = foot_planting.sole_points(body, positions, orientations, side)
        leg = hip_to_ankle(body)
        resting.append(foot_planting.planted(points[:, 0], points[:, 1], leg, motion.rate))
    return foot_planting.plant(motion, body, np.stack(resting, axis=1))


def put_on_floor(motion: Motion, body: Body) -> Motion:
    """The motion raised or sunk by a constant so that its lowest frames touch the floor."""
    lowest = body.lowest_points(*body.forward(motion.position, motion.rotations)).min(axis=1)
    # the lowest of all frames may be noise; one in fifty may sink in
    shift = -float(np.quantile(lowest, 0.02))
    return dataclasses.replace(motion, position=motion.position + [0.0, 0.0, shift])


def from_origin(motion: Motion, forward: bool = False) -> Motion:
    """The motion moved level so that it starts over the origin; forward: and turned to start facing -Y."""
    position = motion.position - motion.position[0] * [1.0, 1.0, 0.0]
    orientations = motion.rotations
    if forward:
        back = rotations.conjugate(rotations.heading(orientations[0, 0]))
        position = rotations.rotate(back, position)
        orientations = orientations.copy()
        orientations[:, 0] = rotations.multiply(back, orientations[:, 0])
    return dataclasses.replace(motion, position=position, rotations=orientations)


def _link_rotations(source: Rig, neutral: Neutral, matrices: Array) -> tuple[Array, dict[str, Array]]:
    """World orientations (F, L, 4) of the links in a source's motion, and positions of its joints (F, 3)."""
    positions = _joint_positions(source, neutral, matrices)
    orientations: dict[str, Array] = {}
    for link in LINK_NAMES:
        bone = neutral.bones[link]
        if bone < 0:
            continue
        turn = matrices[:, bone, :3, :3] @ source.rest[bone, :3, :3].T @ neutral.orientations[link].T
        orientations[link] = rotations.continuous(rotations.from_matrix(_orthonormal(turn)))
    for side in "LR":
        for upper, lower, end, sign in (("upper_arm", "forearm", "hand", -1.0), ("thigh", "shin", "foot", 1.0)):
            names = [f"{part}.{side}" for part in (upper, lower, end)]
            joints = [positions[name] for name in names]
            orientations[names[0]], orientations[names[1]] = _limb_rotations(orientations[names[0]], joints, sign)
        orientations[f"hand.{side}"] = orientations[f"forearm.{side}"]
    return np.stack([orientations[link] for link in LINK_NAMES], axis=1), positions


def _orthonormal(orientations: Array) -> Array:
    """(..., 3, 3) matrices without the scale of their columns."""
    unit: Array = orientations / np.maximum(np.linalg.norm(orientations, axis=-2, keepdims=True), 1e-12)
    return unit


def _joint_positions(source: Rig, neutral: Neutral, matrices: Array) -> dict[str, Array]:
    """Link joints (F, 3) in the source's motion, world."""
    positions: dict[str, Array] = {}
    for link in LINK_NAMES:
        bone = neutral.bones[link]
        if bone >= 0:
            positions[link] = matrices[:, bone, :3, 3]
    positions["pelvis"] = (positions["thigh.L"] + positions["thigh.R"]) / 2
    for side in "LR":
        if f"hand.{side}" not in positions:
            fore = neutral.bones[f"forearm.{side}"]
            local = source.rest[fore, :3, :3].T @ (neutral.joints[f"hand.{side}"] - source.heads[fore])
            positions[f"hand.{side}"] = matrices[:, fore, :3, 3] + matrices[:, fore, :3, :3] @ local
    return positions


def _limb_rotations(upper: Array, joints: list[Array], sign: float) -> tuple[Array, Array]:
    """Orientations (F, 4) of a limb's two parts from its joints (F, 3) and its upper part's twist.

    sign: 1 for a knee (thigh x shin = left when bent), -1 for an elbow.
    """
    first = rotations.normalise(joints[1] - joints[0])
    second = rotations.normalise(joints[2] - joints[1])
    swung = rotations.multiply(rotations.between_vectors(rotations.rotate(upper, DOWN), first), upper)
    twist = _hinge_twist(rotations.rotate(rotations.conjugate(swung), second), sign)
    swung = rotations.multiply(swung, rotations.from_axis_angle([0.0, 0.0, 1.0], twist))
    angle = _hinge_angle(rotations.rotate(rotations.conjugate(swung), second), sign)
    return swung, rotations.multiply(swung, rotations.from_axis_angle([1.0, 0.0, 0.0], angle))


# A limb bent at least so far shows its hinge's axis; one bent less keeps the twist of its bone.
_CLEAR_BEND = np.radians(20)
_ALLOWED_ERROR = np.radians(1.0)
# Over-stretched limbs of a source keep their direction up to here, even past the body's own stop.
_LEAN = 0.3


def _hinge_twist(second: Array, sign: float) -> Array:
    """Twists (F,) about the limb that bring the lower part's direction into the hinge's plane.

    second (F, 3): the lower part's direction in the upper part's frame. Continuous over time:
    where the limb is nearly straight, the twist runs on between the bent frames around it, and
    departs from that only as far as the direction of the lower part demands.
    """
    bend = np.arctan2(np.hypot(second[:, 0], second[:, 1]), -second[:, 2])
    # a twist t brings the direction's level part to +y (knee) or -y (elbow)
    demanded = rotations.arctan2(second[:, 1], second[:, 0]) - sign * np.pi / 2
    demanded = (demanded + np.pi) % (2 * np.pi) - np.pi
    clear = (bend > _CLEAR_BEND) & (bend < np.pi - _CLEAR_BEND / 4)
    frames = np.arange(len(second))
    if clear.any():
        known = np.unwrap(demanded[clear])
        smooth = np.interp(frames, frames[clear], known)
    else:
        smooth = np.zeros(len(second))
    # a nearly straight limb may lean over its hinge's stop rather than turn about by half
    off = (demanded - smooth + np.pi / 2) % np.pi - np.pi / 2
    off = np.where(clear, demanded - smooth, off)
    off = (off + np.pi) % (2 * np.pi) - np.pi
    allowed = np.arcsin(np.clip(np.sin(_ALLOWED_ERROR) / np.maximum(np.sin(bend), 1e-9), 0.0, 1.0))
    allowed = np.where(clear, 0.0, allowed)
    twists: Array = smooth + np.sign(off) * np.maximum(np.abs(off) - allowed, 0.0)
    return twists


def _hinge_angle(second: Array, sign: float) -> Array:
    """Turns (F,) about the body's left (+x) that bring straight down nearest to second (F, 3)."""
    # turning (0, 0, -1) about +x by a gives (0, sin a, -cos a)
    angle = rotations.arctan2(second[:, 1], -second[:, 2])
    return np.where(sign > 0, np.clip(angle, -_LEAN, 3.0), np.clip(angle, -3.0, _LEAN))
