# SPDX-License-Identifier: GPL-3.0-or-later
"""A rig's rest pose measured against the body's neutral pose.

For every link: its joint at rest, and the rotation that brings the part from the rest pose into the neutral pose of
core.body (upright, facing -Y, arms and legs hanging straight down, soles level). Directions are taken from joints
(heads of mapped bones), never from bone axes, which may be at right angles to the limb.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from .. import rotations
from ..arrays import Array, BoolArray, IntArray
from ..body import LINK_NAMES
from .carried import carry
from .rig import Rig, RigError
from .roles import RoleMap, trunk_bones

DOWN = np.array([0.0, 0.0, -1.0])
STANDING = np.radians(35)  # a trunk this close to upright stands
_LEANING = np.radians(25)  # a trunk so near an axis of the world is meant to lie along it
_SIDEWAYS = np.radians(2)  # and its left so near one
_STRAIGHT_UP = np.radians(10)  # a limb so near straight up comes down sideways
_TOES_OUT = np.radians(60)  # a foot that points further aside was not meant to point ahead
_TOES_PITCH = np.radians([-35.0, 70.0])  # a foot's slope down to its front at rest, at which it is taken as it is
_USUAL_PITCH = np.radians(25)  # and what others are brought to: from ankle to toe with the sole level
_BETTER = np.radians(3)  # by how much a foot must point straighter in the one base than in the other
# A knee or elbow bent by the second angle at rest shows its hinge's axis, one bent by the first does not
# yet: straddled legs have knees a little off their true plane.
_BENDS = {"leg": np.radians([10.0, 25.0]), "arm": np.radians([6.0, 15.0])}


@dataclasses.dataclass(frozen=True)
class Neutral:
    """How a rig's rest pose becomes the neutral pose.

    joints: link -> joint at rest (3,), world; the pelvis' is the midpoint between the hips.
    orientations: link -> rotation (3, 3), rest (world) to neutral.
    bones: link -> index of the bone whose rotation is the link's, -1 for a hand without a bone.
    owners (B,): index into LINK_NAMES of the link that each bone belongs to, -1 for none.
    driven: indices of the bones that carry the body (the mapped ones, those between them, and those whose skin
        would stay behind).
    up, facing (3,): the trunk's directions at rest, world. standing: the trunk is upright at rest.
    toes: side -> a point at the front of the foot at rest, world.
    """

    joints: dict[str, Array]
    orientations: dict[str, Array]
    bones: dict[str, int]
    owners: IntArray
    driven: tuple[int, ...]
    up: Array
    facing: Array
    standing: bool
    toes: dict[str, Array]

    @property
    def leg_length(self) -> float:
        """Hip to ankle along the leg, mean of both sides, world units."""
        return float(np.mean([self.segment("thigh", s) + self.segment("shin", s) for s in "LR"]))

    def segment(self, part: str, side: str) -> float:
        """Length from the joint of a thigh, shin, upper_arm or forearm to the next, world units."""
        after = {"thigh": "shin", "shin": "foot", "upper_arm": "forearm", "forearm": "hand"}[part]
        return float(np.linalg.norm(self.joints[f"{after}.{side}"] - self.joints[f"{part}.{side}"]))


def measure(rig: Rig, role_map: RoleMap) -> Neutral:
    """The neutral pose of a rig. The map must have passed roles.check. Raises RigError."""
    bone_of = {role: rig.bone_index[bone] for role, bone in role_map.bones.items()}
    heads = {role: rig.heads[bone] for role, bone in bone_of.items()}
    hips = (heads["thigh.L"] + heads["thigh.R"]) / 2
    up, left = trunk_axes(rig, heads)
    facing = np.cross(left, up)
    standing = bool(up[2] > np.cos(STANDING))
    trunk = np.stack([left, -facing, up])

    chest_bone, chest_joint = _chest(rig, bone_of, hips, up, heads.get("neck", heads["head"]))
    joints = {"pelvis": hips, "chest": chest_joint, "head": heads.get("neck", heads["head"])}
    orientations = {"pelvis": trunk, "chest": trunk, "head": trunk}
    bones = {"pelvis": bone_of["pelvis"], "chest": chest_bone, "head": bone_of["head"]}
    toes: dict[str, Array] = {}
    for side in "LR":
        _measure_arm(rig, bone_of, side, trunk, joints, orientations, bones)
        toes[side] = foot_tip(rig, bone_of, side, facing)
        _measure_leg(rig, bone_of, side, trunk, toes[side], standing, joints, orientations, bones)
    owners = _owners(rig, bone_of, bones, joints["chest"])
    owners, driven = carry(rig, owners, _driven(rig, bone_of, owners), joints)
    return Neutral(joints, orientations, bones, owners, tuple(sorted(driven)), up, facing, standing, toes)


def sensible(rig: Rig, role_map: RoleMap, positions: Array) -> BoolArray:
    """Whether poses with joints at positions (F, B, 3) can be rest poses: legs below the trunk, sides apart."""
    return standing_fitness(rig, role_map, positions, upright=False) > 0.5


def standing_fitness(rig: Rig, role_map: RoleMap, positions: Array, upright: bool = True) -> Array:
    """How well poses with joints at positions (F, B, 3) serve as a rest pose: cosines (F,), 1 best, at most 0 unfit.

    upright: the pose should also stand in the world, not only in itself.
    """
    at = {role: positions[:, rig.bone_index[bone]] for role, bone in role_map.bones.items()}
    hips = (at["thigh.L"] + at["thigh.R"]) / 2
    up = rotations.normalise(at.get("neck", at["head"]) - hips)
    legs = [rotations.normalise(at[f"foot.{side}"] - at[f"thigh.{side}"]) for side in "LR"]
    thighs = [rotations.normalise(at[f"shin.{side}"] - at[f"thigh.{side}"]) for side in "LR"]
    straight = np.min([-np.sum(leg * up, axis=1) for leg in (*legs, *thighs)], axis=0)
    leg = np.linalg.norm(at["shin.L"] - at["thigh.L"], axis=1)
    across = at["thigh.L"] - at["thigh.R"] + at["upper_arm.L"] - at["upper_arm.R"]
    across = across - up * np.sum(across * up, axis=1, keepdims=True)
    apart = np.linalg.norm(across, axis=1) > 0.05 * leg
    fitness = np.minimum(straight, up[:, 2]) if upright else straight
    return np.where(apart, fitness, np.minimum(fitness, 0.0))


def trunk_axes(rig: Rig, heads: dict[str, Array]) -> tuple[Array, Array]:
    """Unit directions up and left (3,) of the character at rest, world."""
    hips = (heads["thigh.L"] + heads["thigh.R"]) / 2
    shoulders = (heads["upper_arm.L"] + heads["upper_arm.R"]) / 2
    size = float(np.ptp(np.array(list(heads.values())), axis=0).max())
    up = heads.get("neck", shoulders) - hips
    if np.linalg.norm(up) < 1e-3 * size:
        up = heads["head"] - hips
    left = _unit(heads["thigh.L"] - heads["thigh.R"], size) + _unit(heads["upper_arm.L"] - heads["upper_arm.R"], size)
    up = rotations.normalise(up)
    # a standing rest pose may lean forward or back; the ground does not
    up = np.array([0.0, 0.0, 1.0]) if up[2] > np.cos(STANDING) else _snapped(up, _LEANING)
    left = left - up * (left @ up)
    if np.linalg.norm(left) < 1e-3:
        raise RigError(
            f"In the rest pose of {rig.name} left and right lie on one line: give it a T or A rest pose first."
        )
    return up, _snapped(rotations.normalise(left), _SIDEWAYS, up)


def _unit(vector: Array, size: float) -> Array:
    """The direction of a vector, zero where it is too short to tell."""
    return rotations.normalise(vector) if np.linalg.norm(vector) > 1e-4 * size else np.zeros(3)


def _snapped(direction: Array, angle: float, normal: Array | None = None) -> Array:
    """The world axis that lies within angle of a direction, else the direction itself."""
    axis = np.zeros(3)
    best = int(np.argmax(np.abs(direction)))
    axis[best] = np.sign(direction[best])
    if normal is not None and abs(axis @ normal) > 1e-9:
        return direction
    return axis if axis @ direction > np.cos(angle) else direction


def _chest(rig: Rig, bone_of: dict[str, int], hips: Array, up: Array, neck: Array) -> tuple[int, Array]:
    """The bone that carries the arms, and the joint the chest turns about: mid trunk."""
    carrier = (trunk_bones(rig, bone_of) or [bone_of["chest"]])[-1]
    trunk = rig.chain(bone_of["pelvis"], carrier)
    ratios = (rig.heads[trunk] - hips) @ up / max(float((neck - hips) @ up), 1e-9)
    # a joint at the very hips would make the chest the whole trunk: any other is better
    return carrier, rig.heads[trunk[int(np.argmin(np.abs(ratios - 0.5)))]]


def _measure_arm(
    rig: Rig,
    bone_of: dict[str, int],
    side: str,
    trunk: Array,
    joints: dict[str, Array],
    orientations: dict[str, Array],
    bones: dict[str, int],
) -> None:
    """Fill in one arm's joints, orientations and bones."""
    upper, fore, hand = bone_of[f"upper_arm.{side}"], bone_of[f"forearm.{side}"], bone_of.get(f"hand.{side}", -1)
    wrist = rig.heads[hand] if hand >= 0 else limb_end(rig, fore)
    sideways = np.array([0.0, 1.0, 0.0])  # an arm stretched up comes down sideways
    points = (rig.heads[upper], rig.heads[fore], wrist)
    first, second = _straighten(points, trunk, np.array([0.0, -1.0]), sideways, _BENDS["arm"])
    for link, bone, point, turn in zip(
        (f"upper_arm.{side}", f"forearm.{side}", f"hand.{side}"),
        (upper, fore, hand),
        points,
        (first, second, second),
        strict=True,
    ):
        joints[link], orientations[link], bones[link] = point, turn, bone


def _measure_leg(
    rig: Rig,
    bone_of: dict[str, int],
    side: str,
    trunk: Array,
    toe: Array,
    standing: bool,
    joints: dict[str, Array],
    orientations: dict[str, Array],
    bones: dict[str, int],
) -> None:
    """Fill in one leg's joints, orientations and bones."""
    names = (f"thigh.{side}", f"shin.{side}", f"foot.{side}")
    points = tuple(rig.heads[bone_of[name]] for name in names)
    first, second = _straighten(points, trunk, np.array([0.0, 1.0]), np.array([1.0, 0.0, 0.0]), _BENDS["leg"])
    leg_down = float(rotations.normalise(trunk @ (points[2] - points[0])) @ DOWN) > np.cos(STANDING)
    foot = _foot_turn(toe - points[2], trunk, second, standing and leg_down, rig.skin is not None)
    for link, point, turn in zip(names, points, (first, second, foot), strict=True):
        joints[link], orientations[link], bones[link] = point, turn, bone_of[link]


def _straighten(
    points: tuple[Array, ...], trunk: Array, bends_to: Array, spare: Array, bends: Array
) -> tuple[Array, Array]:
    """Rotations (3, 3) of the upper and the lower part of a limb from rest to straight down.

    points: three joints at rest. bends_to (2,): where in the level plane the hinge moves the lower
    part. spare: axis to turn about for a limb that points straight up. bends (2,): see _BENDS.
    """
    upper = rotations.normalise(trunk @ (points[1] - points[0]))
    if upper[2] > np.cos(_STRAIGHT_UP):
        half = rotations.to_matrix(rotations.from_axis_angle(spare, np.pi))
        swing = _between(half @ upper, DOWN) @ half
    else:
        swing = _between(upper, DOWN)
    lower = rotations.normalise(swing @ trunk @ (points[2] - points[1]))
    level, bend = lower[:2], np.arccos(np.clip(-lower[2], -1.0, 1.0))
    if level @ bends_to > 0.25 * np.linalg.norm(level):
        angle = np.arctan2(bends_to[1], bends_to[0]) - np.arctan2(level[1], level[0])
        angle = (angle + np.pi) % (2 * np.pi) - np.pi
        swing = rotations.matrix_about_z(angle * float(np.interp(bend, bends, [0.0, 1.0]))) @ swing
    first = swing @ trunk
    return first, _between(first @ (points[2] - points[1]), DOWN) @ first


def _foot_turn(toe: Array, trunk: Array, shin: Array, standing: bool, skinned: bool) -> Array:
    """Rotation (3, 3) of a foot from rest to level and pointing forward.

    toe (3,): ankle to the foot's front at rest. Where the character stands at rest, its soles lie
    level as they are; else they are level when the shin is upright.
    """
    bases = [trunk, shin] if standing else [shin]
    if not skinned:
        # a skeleton with straddled legs may have its feet drawn at right angles to the shins;
        # the base in which the foot points straight ahead is the one it was made in
        straight = [abs(_toe_out(base @ toe)) for base in bases]
        if straight[-1] < straight[0] - _BETTER:
            bases.reverse()
    base = bases[0]
    out = _toe_out(base @ toe)
    if abs(out) < _TOES_OUT:
        base = rotations.matrix_about_z(-out) @ base
    front = base @ toe
    pitch = np.arctan2(-front[2], np.hypot(front[0], front[1]))
    if not _TOES_PITCH[0] < pitch < _TOES_PITCH[1]:
        base = rotations.to_matrix(rotations.from_axis_angle([1.0, 0.0, 0.0], _USUAL_PITCH - pitch)) @ base
    return base


def _toe_out(front: Array) -> float:
    """Angle from -Y to a direction's level part, about z."""
    return float(np.arctan2(front[0], -front[1]))


def foot_tip(rig: Rig, bone_of: dict[str, int], side: str, facing: Array) -> Array:
    """A point at the front of a foot at rest: the toe's joint, else what shows the foot's direction."""
    foot = bone_of[f"foot.{side}"]
    if f"toe.{side}" in bone_of:
        tip: Array = rig.heads[bone_of[f"toe.{side}"]]
        return tip
    ankle = rig.heads[foot]
    points = [rig.heads[child] for child in rig.children[foot]]
    points = points or [ankle + _skin_front(rig, foot, facing)] if rig.skin is not None else points or [rig.tails[foot]]
    return max(points, key=lambda point: float((point - ankle) @ facing))


def _skin_front(rig: Rig, foot: int, facing: Array) -> Array:
    """From the ankle to the front of the skin that hangs on a foot; zero where there is none."""
    skin = rig.skin
    assert skin is not None
    weight = np.where(np.isin(skin.bones, rig.descendants(foot)), skin.weights, 0.0).sum(axis=1)
    points = skin.vertices[weight > 0.5] - rig.heads[foot]
    if len(points) < 3:
        bone: Array = rig.tails[foot] - rig.heads[foot]
        return bone
    ahead = points @ facing
    front: Array = points[ahead >= np.quantile(ahead, 0.9)].mean(axis=0)
    return front


def limb_end(rig: Rig, bone: int) -> Array:
    """Where a limb's last bone ends: its farthest child, else its tail."""
    head = rig.heads[bone]
    points = [rig.heads[child] for child in rig.children[bone]]
    return max(points, key=lambda point: float(np.linalg.norm(point - head)), default=rig.tails[bone])


def _owners(rig: Rig, bone_of: dict[str, int], bones: dict[str, int], chest_joint: Array) -> IntArray:
    """The link (index into LINK_NAMES) that each bone moves with, -1 for none."""
    anchors = {bone: link for link, bone in bones.items() if bone >= 0}
    pelvis, carrier = bone_of["pelvis"], bones["chest"]
    for role in ("shoulder.L", "shoulder.R", "toe.L", "toe.R", "neck"):
        if role in bone_of:
            part, _, side = role.partition(".")
            anchors[bone_of[role]] = {"shoulder": "chest", "toe": f"foot.{side}", "neck": "head"}[part]
    for side in "LR":
        for bone in rig.chain(carrier, bone_of[f"upper_arm.{side}"])[:-1]:
            if bone not in rig.ancestors(bone_of["head"]):
                anchors.setdefault(bone, "chest")  # collar bones, wherever they hang
    for bone in rig.chain(pelvis, carrier):
        if np.array_equal(rig.heads[bone], chest_joint):
            anchors.setdefault(bone, "chest")
            break
    anchors[pelvis] = "pelvis"
    owners = np.full(len(rig.bones), -1)
    for bone, parent in enumerate(rig.parents):
        if bone in anchors:
            owners[bone] = LINK_NAMES.index(anchors[bone])
        elif parent >= 0:
            owners[bone] = owners[parent]
    return owners


def _driven(rig: Rig, bone_of: dict[str, int], owners: IntArray) -> tuple[int, ...]:
    """The mapped bones and those between them and the pelvis, parents first."""
    found = set()
    for bone in bone_of.values():
        found.update(rig.chain(bone_of["pelvis"], bone))
    found.add(bone_of["pelvis"])
    return tuple(sorted(bone for bone in found if owners[bone] >= 0))


def _between(a: Array, b: Array) -> Array:
    return rotations.to_matrix(rotations.between_vectors(a, b))
