# SPDX-License-Identifier: GPL-3.0-or-later
"""How far ball joints turn: swing about x and y, twist about z, as Bullet's limit of spherical joints understands them.

A limit has a frame, the middle of the joint's range, turned out of the neutral pose. The joint's rotation seen from
there is taken apart into a twist about z and the shortest swing that brings z to where it is; the swing is measured
about the twisted x and y axes (btMultiBodySphericalJointLimit.cpp:137 to :158). A limit is symmetric about its frame.

Angles at joints, of the neutral pose (facing -Y, left +X, limbs hanging): about x, negative lifts a thigh, an upper arm
or the toes forward and up, positive bends the trunk and the neck forward.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from . import rotations
from .arrays import Array

NEUTRAL_ROOM = np.radians(5)  # a limit, however narrow, leaves the neutral pose so far inside
# At 90 degrees a swing about y cannot be told from one about x, and at 50 rad/s a limb goes 6 degrees past
# its limit in a step of 1/480 s
LARGEST_SWING_Y = np.radians(80)
LARGEST_ANGLE = np.radians(170)  # half a turn either way is the same

# What a user calls the joints
JOINTS = {
    "chest": "waist",
    "head": "neck",
    "thigh": "hip",
    "shin": "knee",
    "foot": "ankle",
    "upper_arm": "shoulder",
    "forearm": "elbow",
    "hand": "wrist",
}
Degrees = tuple[float, float]

# Least and greatest angle about x (swing), y (swing) and z (twist) of the left side, degrees. Mirrored, y and z change
# their signs. Norkin and White, "Measurement of Joint Motion" (5th ed. 2016), appendix B, tables of the American
# Academy of Orthopaedic Surgeons, for neck, trunk, hindfoot and plantarflexion. Hip: Kapandji, "The Physiology of the
# Joints" 2 (6th ed. 2011), chapter 1: passive, since a tuck is pulled in by the arms: flexion 145 with a bent knee,
# extension 30, abduction 60, adduction 30, rotation out 60, in 40. Ankle upward: 40 with weight on it (Konor et al.
# 2012, "Reliability of three measures of ankle dorsiflexion range of motion", Int. J. Sports Phys. Ther. 7(3)).
RANGES: dict[str, tuple[Degrees, Degrees, Degrees]] = {
    "chest": ((-30.0, 80.0), (-35.0, 35.0), (-45.0, 45.0)),
    "head": ((-60.0, 50.0), (-45.0, 45.0), (-80.0, 80.0)),
    "thigh": ((-145.0, 30.0), (-60.0, 30.0), (-40.0, 60.0)),
    "foot": ((-40.0, 50.0), (-15.0, 35.0), (-30.0, 30.0)),
}
# A shoulder goes round half a sphere. The middle of its range is the arm held out level, SHOULDER_YAW from straight
# ahead. From there: 135 degrees about x (hanging is 90, 50 degrees behind the back 131; over the head is -90), and 80
# to either side. Twist includes what the way to the middle twists the arm by: 45 and the 90 of turning out or in.
SHOULDER_YAW = 45.0
SHOULDER_HALF = (135.0, 80.0, 150.0)


@dataclasses.dataclass(frozen=True)
class JointLimit:
    """A ball joint's range.

    frame (4,): its middle, as a joint rotation. swing_x, swing_y, twist: how far either way of it, rad.
    """

    frame: tuple[float, float, float, float]
    swing_x: float
    swing_y: float
    twist: float

    @property
    def half(self) -> Array:
        """swing_x, swing_y, twist (3,), rad."""
        return np.array([self.swing_x, self.swing_y, self.twist])

    def scaled(self, factor: float) -> JointLimit:
        """A range so many times as wide, the neutral pose inside."""
        neutral = np.abs(angles(rotations.IDENTITY, self)) + NEUTRAL_ROOM
        widest = np.array([LARGEST_ANGLE, LARGEST_SWING_Y, LARGEST_ANGLE])
        half = np.minimum(np.maximum(self.half * factor, neutral), widest)
        return dataclasses.replace(self, swing_x=float(half[0]), swing_y=float(half[1]), twist=float(half[2]))


class JointLimits:
    """Ranges of several ball joints: frame (J, 4) and half (J, 3), as a JointLimit's."""

    def __init__(self, limits: Sequence[JointLimit]) -> None:
        self.frame: Array = np.array([limit.frame for limit in limits]).reshape(-1, 4)
        self.half: Array = np.array([limit.half for limit in limits]).reshape(-1, 3)


def usual_limit(link: str) -> JointLimit | None:
    """A person's range at the joint that holds a link of that name; None where none is known."""
    part, _, side = link.partition(".")
    mirror = np.array([1.0, -1.0, -1.0]) if side == "R" else np.ones(3)
    if part == "upper_arm":
        middle = _turn(2, SHOULDER_YAW * mirror[2]), _turn(0, -90.0)
        return _limit(rotations.multiply(*middle), np.radians(SHOULDER_HALF))
    if part not in RANGES:
        return None
    low, high = np.radians(RANGES[part]).T
    x, y, z = np.degrees((low + high) / 2) * mirror
    frame = rotations.multiply(_turn(0, x), rotations.multiply(_turn(1, y), _turn(2, z)))
    return _limit(frame, (high - low) / 2)


def angles(local: ArrayLike, limit: JointLimit | JointLimits) -> Array:
    """Swing about x and y and twist (..., 3), rad, of joint rotations (..., 4); of several limits of (..., J, 4)."""
    seen = rotations.multiply(rotations.conjugate(np.array(limit.frame)), np.asarray(local, dtype=float))
    w, x, y, z = np.moveaxis(seen, -1, 0)
    twist = 2 * rotations.arctan2(z, w)
    twist -= 2 * np.pi * np.round(twist / (2 * np.pi))
    along = np.stack([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)], axis=-1)  # where z points
    cos, sin = np.cos(twist), np.sin(twist)
    sideways = cos * along[..., 0] + sin * along[..., 1]
    ahead = cos * along[..., 1] - sin * along[..., 0]
    return np.stack([rotations.arctan2(-ahead, along[..., 2]), np.arcsin(np.clip(sideways, -1, 1)), twist], axis=-1)


def excess(local: ArrayLike, limit: JointLimit | JointLimits) -> Array:
    """By how much joint rotations (..., 4) are past a limit (...), rad; 0 inside. Of several limits (..., J, 4)."""
    over: Array = np.maximum(np.abs(angles(local, limit)) - limit.half, 0.0).max(axis=-1)
    return over


def clamped(local: ArrayLike, limit: JointLimit | JointLimits) -> Array:
    """Joint rotations (..., 4) brought inside a limit, each of its three angles by itself; those inside stay as they
    are. Of several limits (..., J, 4)."""
    given = np.asarray(local, dtype=float)
    own = angles(given, limit)
    x, y, twist = np.moveaxis(np.clip(own, -limit.half, limit.half), -1, 0)
    cos, sin = np.cos(twist), np.sin(twist)
    sideways, ahead = np.sin(y), -np.sin(x) * np.cos(y)
    along = np.stack([cos * sideways - sin * ahead, sin * sideways + cos * ahead, np.cos(x) * np.cos(y)], axis=-1)
    swing = rotations.between_vectors(np.broadcast_to([0.0, 0.0, 1.0], along.shape), along)
    turned = rotations.multiply(swing, rotations.from_axis_angle(np.array([0.0, 0.0, 1.0]), twist))
    inside = (np.abs(own) <= limit.half).all(axis=-1)
    return np.where(inside[..., None], given, rotations.multiply(np.array(limit.frame), turned))


def _limit(frame: Array, half: ArrayLike) -> JointLimit:
    w, x, y, z = map(float, frame)
    swing_x, swing_y, twist = map(float, np.asarray(half))
    return JointLimit((w, x, y, z), swing_x, swing_y, twist)


def _turn(axis: int, degrees: float) -> Array:
    return rotations.from_axis_angle(np.eye(3)[axis], np.radians(degrees))


def joint_words(link: str) -> str:
    """The joint that holds a link: "left knee" of shin.L."""
    part, _, side = link.partition(".")
    return {"L": "left ", "R": "right ", "": ""}[side] + JOINTS.get(part, part)
