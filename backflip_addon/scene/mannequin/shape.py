# SPDX-License-Identifier: GPL-3.0-or-later
"""The measures of the built-in avatar, a jointed mannequin of 1.75 m: skeleton, shells and materials as plain data.

It stands in T-pose, palms down, facing -Y, its left at +X, its soles on z = 0. The skin is one mesh
of closed shells: hard parts hang on one bone each, the dark rubber of waist, neck and instep is
shared smoothly between neighbours. Left is coral, right teal: a somersault can be read.

Proportions, as fractions of the standing height: heights of ankle, knee and hip and lengths of hand and foot from
Drillis & Contini (1966, in Winter, Biomechanics and Motor Control of Human Movement); lengths of upper arm, forearm and
head from de Leva (1996), Adjustments to Zatsiorsky-Seluyanov's segment inertia parameters, J. Biomechanics 29(9).
Shoulder and hip joints lie inside the breadths given there.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

Point = tuple[float, float, float]  # m; world space, which is the armature's own

HEIGHT = 1.75  # standing height, m
NAME = "Mannequin"

ANKLE, KNEE, HIP = 0.039 * HEIGHT, 0.285 * HEIGHT, 0.530 * HEIGHT  # heights, m
UPPER_ARM, FOREARM, HAND = 0.162 * HEIGHT, 0.1545 * HEIGHT, 0.108 * HEIGHT  # lengths, m
FOOT = 0.152 * HEIGHT
SHOULDER = 0.800 * HEIGHT
HIP_X, SHOULDER_X = 0.052 * HEIGHT, 0.101 * HEIGHT  # joints' distances from the middle, m
SPINE, CHEST, UPPER_CHEST, NECK, HEAD = (f * HEIGHT for f in (0.575, 0.655, 0.730, 0.842, 0.897))
ELBOW_X, WRIST_X = SHOULDER_X + UPPER_ARM, SHOULDER_X + UPPER_ARM + FOREARM
HEEL_Y, BALL_Y, TOE_Y = 0.26 * FOOT, -0.44 * FOOT, -0.74 * FOOT

SHELL, JOINT, ACCENT_LEFT, ACCENT_RIGHT = range(4)
MATERIALS = (  # name, base colour (linear), roughness
    ("Mannequin Shell", (0.78, 0.70, 0.58), 0.38),
    ("Mannequin Joint", (0.022, 0.024, 0.030), 0.45),
    ("Mannequin Left", (0.85, 0.115, 0.030), 0.35),
    ("Mannequin Right", (0.010, 0.250, 0.300), 0.35),
)


class Bone(NamedTuple):
    """A bone at rest: head and tail in armature space, m; connected: its head is its parent's tail."""

    name: str
    parent: str | None
    head: Point
    tail: Point
    connected: bool


# Bones of the middle and the left side; those of the right side are mirrored.
BONES: tuple[Bone, ...] = (
    Bone("hips", None, (0, 0, HIP), (0, 0.004, SPINE), False),
    Bone("spine", "hips", (0, 0.004, SPINE), (0, 0.008, CHEST), True),
    Bone("chest", "spine", (0, 0.008, CHEST), (0, 0.012, UPPER_CHEST), True),
    Bone("upper_chest", "chest", (0, 0.012, UPPER_CHEST), (0, 0.018, NECK), True),
    Bone("neck", "upper_chest", (0, 0.018, NECK), (0, 0.004, HEAD), True),
    Bone("head", "neck", (0, 0.004, HEAD), (0, 0.004, HEIGHT), True),
    Bone("shoulder.L", "upper_chest", (0.025, 0.0, SHOULDER + 0.020), (SHOULDER_X, 0.0, SHOULDER), False),
    Bone("upper_arm.L", "shoulder.L", (SHOULDER_X, 0.0, SHOULDER), (ELBOW_X, 0.0, SHOULDER), True),
    Bone("forearm.L", "upper_arm.L", (ELBOW_X, 0.0, SHOULDER), (WRIST_X, 0.0, SHOULDER), True),
    Bone("hand.L", "forearm.L", (WRIST_X, 0.0, SHOULDER), (WRIST_X + HAND, 0.0, SHOULDER), True),
    Bone("thigh.L", "hips", (HIP_X, 0.0, HIP), (HIP_X, 0.0, KNEE), False),
    Bone("shin.L", "thigh.L", (HIP_X, 0.0, KNEE), (HIP_X, 0.0, ANKLE), True),
    Bone("foot.L", "shin.L", (HIP_X, 0.0, ANKLE), (HIP_X, BALL_Y, 0.022), True),
    Bone("toe.L", "foot.L", (HIP_X, BALL_Y, 0.022), (HIP_X, TOE_Y, 0.022), True),
)


@dataclasses.dataclass(frozen=True)
class Part:
    """One closed shell, lofted along an axis through elliptic rings.

    origin: where along = 0 lies, m. axis: which way "along" runs (see AXES).
    rings (R rows): along, half width to the side +, to the side -, to the front, to the back, m.
    caps: lengths of the rounded ends, m. bones: (along, bone) knots between which the weight passes
    smoothly; one knot is a rigid part. bands: (from, to, material) rings of another colour.
    """

    origin: Point
    axis: str
    rings: tuple[tuple[float, float, float, float, float], ...]
    caps: tuple[float, float]
    bones: tuple[tuple[float, str], ...]
    material: int = SHELL
    segments: int = 20
    power: float = 2.0
    bands: tuple[tuple[float, float, int], ...] = ()
    floor: bool = False  # flat underneath, at z = 0


# Directions of (along, side, front) for each way a part can run.
AXES: dict[str, tuple[Point, Point, Point]] = {
    "up": ((0, 0, 1), (1, 0, 0), (0, -1, 0)),
    "down": ((0, 0, -1), (1, 0, 0), (0, -1, 0)),
    "out": ((1, 0, 0), (0, 0, 1), (0, -1, 0)),
    "forward": ((0, -1, 0), (1, 0, 0), (0, 0, 1)),
    "thumb": ((0.64, -0.75, -0.16), (0.75, 0.64, 0), (0.1, -0.12, 0.98)),
}


def _both(rows: tuple[tuple[float, float, float, float], ...]) -> tuple[tuple[float, float, float, float, float], ...]:
    """Rings equally wide to both sides, from rows of (along, half width, front, back)."""
    return tuple((along, side, side, front, back) for along, side, front, back in rows)


def _ball(place: Point, radius: float, bone: str) -> Part:
    rings = _both(((-radius, radius, radius, radius), (radius, radius, radius, radius)))
    return Part(place, "up", rings, (radius, radius), ((0.0, bone),), JOINT, segments=28 if radius > 0.05 else 18)


# Lengths in metres. Heights of the trunk's parts are above the floor, limbs' parts from their joint.
# fmt: off
PARTS: tuple[Part, ...] = (
    Part(  # pelvis
        (0, 0, 0), "up",
        _both((
            (0.815, 0.050, 0.062, 0.070),
            (0.850, 0.098, 0.088, 0.104),
            (0.900, 0.126, 0.104, 0.120),
            (0.950, 0.144, 0.106, 0.116),
            (1.000, 0.146, 0.102, 0.102),
            (1.045, 0.138, 0.098, 0.092),
        )),
        (0.035, 0.022), ((0.0, "hips"),), segments=28, power=2.25,
        bands=((1.012, 1.030, JOINT),),
    ),
    Part(  # waist
        (0, 0, 0), "up",
        _both((
            (0.920, 0.120, 0.086, 0.080),
            (1.060, 0.116, 0.088, 0.076),
            (1.146, 0.112, 0.088, 0.076),
            (1.230, 0.124, 0.094, 0.086),
            (1.280, 0.120, 0.090, 0.086),
        )),
        (0.02, 0.02), ((0.940, "hips"), (1.070, "spine"), (1.235, "chest")), JOINT, segments=28, power=2.2,
    ),
    Part(  # rib cage
        (0, 0, 0), "up",
        _both((
            (1.185, 0.124, 0.094, 0.086),
            (1.230, 0.140, 0.108, 0.098),
            (1.290, 0.158, 0.124, 0.112),
            (1.345, 0.170, 0.128, 0.122),
            (1.390, 0.164, 0.112, 0.120),
            (1.425, 0.136, 0.088, 0.108),
            (1.455, 0.096, 0.062, 0.090),
            (1.480, 0.066, 0.046, 0.076),
        )),
        (0.022, 0.022), ((1.215, "chest"), (1.285, "upper_chest")), segments=28, power=2.3,
    ),
    Part(  # neck
        (0, 0.010, 0), "up",
        _both((
            (1.425, 0.058, 0.052, 0.062),
            (1.480, 0.052, 0.050, 0.056),
            (1.540, 0.048, 0.048, 0.050),
            (1.610, 0.050, 0.050, 0.050),
        )),
        (0.02, 0.02), ((1.450, "upper_chest"), (1.505, "neck"), (1.580, "head")), JOINT, segments=20,
    ),
    Part(  # head
        (0, 0, 0), "up",
        _both((
            (1.520, 0.034, 0.098, -0.030),
            (1.550, 0.056, 0.106, 0.030),
            (1.590, 0.070, 0.108, 0.078),
            (1.640, 0.077, 0.106, 0.100),
            (1.690, 0.077, 0.098, 0.100),
            (1.750, 0.062, 0.076, 0.080),
        )),
        (0.022, 0.062), ((0.0, "head"),), segments=28, power=2.15,
    ),
    Part(  # visor
        (0, -0.020, 0), "up",
        _both((
            (1.618, 0.064, 0.093, -0.02),
            (1.650, 0.069, 0.096, -0.02),
            (1.688, 0.066, 0.088, -0.02),
        )),
        (0.024, 0.024), ((0.0, "head"),), JOINT, segments=28, power=2.3,
    ),
    Part(  # spine stripe, the mark of the back
        (0, 0.0, 0), "up",
        _both((
            (1.215, 0.020, -0.050, 0.101),
            (1.290, 0.022, -0.050, 0.118),
            (1.345, 0.022, -0.050, 0.128),
            (1.400, 0.020, -0.050, 0.123),
            (1.445, 0.016, -0.050, 0.100),
        )),
        (0.02, 0.02), ((1.215, "chest"), (1.285, "upper_chest")), JOINT, segments=16, power=3.0,
    ),
    Part(  # collar: the slope from neck to shoulder
        (0, 0.004, SHOULDER), "out",
        (
            (0.020, 0.060, 0.040, 0.040, 0.062),
            (0.080, 0.048, 0.050, 0.050, 0.066),
            (0.150, 0.040, 0.045, 0.048, 0.052),
        ),
        (0.02, 0.035), ((0.020, "upper_chest"), (0.075, "shoulder.L")), segments=20,
    ),
    _ball((SHOULDER_X - 0.006, 0.0, SHOULDER), 0.057, "shoulder.L"),
    Part(  # upper arm
        (SHOULDER_X, 0.0, SHOULDER), "out",
        (
            (-0.020, 0.062, 0.056, 0.062, 0.062),
            (0.040, 0.060, 0.054, 0.061, 0.061),
            (0.090, 0.052, 0.050, 0.055, 0.056),
            (0.160, 0.044, 0.043, 0.048, 0.050),
            (0.258, 0.037, 0.037, 0.039, 0.042),
        ),
        (0.042, 0.020), ((0.0, "upper_arm.L"),), bands=((0.096, 0.122, ACCENT_LEFT),),
    ),
    _ball((ELBOW_X, 0.0, SHOULDER), 0.0385, "upper_arm.L"),
    Part(  # forearm
        (ELBOW_X, 0.0, SHOULDER), "out",
        (
            (0.022, 0.035, 0.035, 0.038, 0.040),
            (0.080, 0.039, 0.039, 0.044, 0.043),
            (0.160, 0.033, 0.033, 0.036, 0.036),
            (0.252, 0.025, 0.025, 0.030, 0.030),
        ),
        (0.018, 0.012), ((0.0, "forearm.L"),), bands=((0.150, 0.270, ACCENT_LEFT),),
    ),
    _ball((WRIST_X, 0.0, SHOULDER), 0.0255, "forearm.L"),
    Part(  # hand
        (WRIST_X, 0.0, SHOULDER), "out",
        (
            (0.012, 0.018, 0.018, 0.026, 0.026),
            (0.050, 0.019, 0.020, 0.040, 0.040),
            (0.095, 0.015, 0.018, 0.042, 0.041),
            (0.140, 0.011, 0.015, 0.037, 0.036),
            (HAND, 0.006, 0.012, 0.024, 0.022),
        ),
        (0.014, 0.022), ((0.0, "hand.L"),), ACCENT_LEFT, segments=20, power=2.5,
    ),
    Part(  # thumb
        (WRIST_X + 0.030, -0.024, SHOULDER - 0.004), "thumb",
        (
            (0.000, 0.014, 0.014, 0.014, 0.014),
            (0.040, 0.0125, 0.0125, 0.0125, 0.0125),
            (0.078, 0.009, 0.009, 0.010, 0.010),
        ),
        (0.012, 0.012), ((0.0, "hand.L"),), ACCENT_LEFT, segments=14,
    ),
    _ball((HIP_X + 0.006, 0.0, HIP), 0.084, "hips"),
    Part(  # thigh
        (HIP_X, 0.0, HIP), "down",
        (
            (-0.010, 0.080, 0.060, 0.080, 0.086),
            (0.060, 0.084, 0.076, 0.088, 0.092),
            (0.140, 0.080, 0.074, 0.090, 0.084),
            (0.260, 0.066, 0.060, 0.077, 0.066),
            (0.385, 0.052, 0.049, 0.058, 0.050),
        ),
        (0.055, 0.022), ((0.0, "thigh.L"),), segments=28, bands=((0.165, 0.195, ACCENT_LEFT),),
    ),
    _ball((HIP_X, 0.0, KNEE), 0.050, "thigh.L"),
    Part(  # shin
        (HIP_X, 0.0, KNEE), "down",
        (
            (0.022, 0.047, 0.046, 0.053, 0.046),
            (0.070, 0.050, 0.049, 0.052, 0.058),
            (0.140, 0.053, 0.050, 0.047, 0.070),
            (0.240, 0.045, 0.042, 0.041, 0.056),
            (0.330, 0.036, 0.035, 0.038, 0.042),
            (0.392, 0.035, 0.034, 0.037, 0.040),
        ),
        (0.020, 0.014), ((0.0, "shin.L"),), bands=((0.255, 0.420, ACCENT_LEFT),),
    ),
    _ball((HIP_X, 0.004, ANKLE), 0.037, "shin.L"),
    Part(  # shoe
        (HIP_X, 0.0, 0.030), "forward",
        (
            (-HEEL_Y, 0.034, 0.034, 0.034, 0.032),
            (-0.030, 0.037, 0.036, 0.046, 0.036),
            (0.020, 0.041, 0.037, 0.046, 0.036),
            (0.075, 0.047, 0.041, 0.034, 0.036),
            (0.125, 0.050, 0.044, 0.024, 0.036),
            (0.160, 0.046, 0.043, 0.018, 0.036),
            (-TOE_Y, 0.032, 0.034, 0.012, 0.034),
        ),
        (0.030, 0.030), ((0.095, "foot.L"), (0.132, "toe.L")), ACCENT_LEFT, segments=28, power=2.4, floor=True,
    ),
)
# fmt: on
