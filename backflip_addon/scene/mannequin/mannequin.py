# SPDX-License-Identifier: GPL-3.0-or-later
"""The built-in avatar: a jointed mannequin of 1.75 m, skeleton, skin and materials made by code.

It stands in T-pose, palms down, facing -Y, its left at +X, its soles on z = 0. The skin is one mesh
of closed shells: hard parts hang on one bone each, the dark rubber of waist, neck and instep is
shared smoothly between neighbours. Left accents are coral, right ones teal, the visor marks the
front and the dark spine the back, so that every moment of a somersault can be read.

Proportions, as fractions of the standing height: heights of ankle, knee and hip and lengths of hand
and foot from Drillis & Contini (1966, in Winter, Biomechanics and Motor Control of Human Movement);
lengths of upper arm, forearm and head from de Leva (1996), Adjustments to Zatsiorsky-Seluyanov's
segment inertia parameters, J. Biomechanics 29(9). Shoulder and hip joints lie inside the breadths
given there by the thickness of the flesh.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator

import bpy
import numpy as np
from numpy.typing import NDArray

from ... import compat

Floats = NDArray[np.float64]
Point = tuple[float, float, float]

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
_MATERIALS = (  # name, base colour (linear), roughness
    ("Mannequin Shell", (0.78, 0.70, 0.58), 0.38),
    ("Mannequin Joint", (0.022, 0.024, 0.030), 0.45),
    ("Mannequin Left", (0.85, 0.115, 0.030), 0.35),
    ("Mannequin Right", (0.010, 0.250, 0.300), 0.35),
)

# Bones of the middle and the left side: name, parent, head, tail, joined to the parent's tail.
_BONES: tuple[tuple[str, str | None, Point, Point, bool], ...] = (
    ("hips", None, (0, 0, HIP), (0, 0.004, SPINE), False),
    ("spine", "hips", (0, 0.004, SPINE), (0, 0.008, CHEST), True),
    ("chest", "spine", (0, 0.008, CHEST), (0, 0.012, UPPER_CHEST), True),
    ("upper_chest", "chest", (0, 0.012, UPPER_CHEST), (0, 0.018, NECK), True),
    ("neck", "upper_chest", (0, 0.018, NECK), (0, 0.004, HEAD), True),
    ("head", "neck", (0, 0.004, HEAD), (0, 0.004, HEIGHT), True),
    ("shoulder.L", "upper_chest", (0.025, 0.0, SHOULDER + 0.020), (SHOULDER_X, 0.0, SHOULDER), False),
    ("upper_arm.L", "shoulder.L", (SHOULDER_X, 0.0, SHOULDER), (ELBOW_X, 0.0, SHOULDER), True),
    ("forearm.L", "upper_arm.L", (ELBOW_X, 0.0, SHOULDER), (WRIST_X, 0.0, SHOULDER), True),
    ("hand.L", "forearm.L", (WRIST_X, 0.0, SHOULDER), (WRIST_X + HAND, 0.0, SHOULDER), True),
    ("thigh.L", "hips", (HIP_X, 0.0, HIP), (HIP_X, 0.0, KNEE), False),
    ("shin.L", "thigh.L", (HIP_X, 0.0, KNEE), (HIP_X, 0.0, ANKLE), True),
    ("foot.L", "shin.L", (HIP_X, 0.0, ANKLE), (HIP_X, BALL_Y, 0.022), True),
    ("toe.L", "foot.L", (HIP_X, BALL_Y, 0.022), (HIP_X, TOE_Y, 0.022), True),
)


@dataclasses.dataclass(frozen=True)
class _Part:
    """One closed shell, lofted along an axis through elliptic rings.

    origin: where along = 0 lies, m. axis: which way "along" runs (see _FRAMES).
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
_FRAMES: dict[str, tuple[Point, Point, Point]] = {
    "up": ((0, 0, 1), (1, 0, 0), (0, -1, 0)),
    "down": ((0, 0, -1), (1, 0, 0), (0, -1, 0)),
    "out": ((1, 0, 0), (0, 0, 1), (0, -1, 0)),
    "forward": ((0, -1, 0), (1, 0, 0), (0, 0, 1)),
    "thumb": ((0.64, -0.75, -0.16), (0.75, 0.64, 0), (0.1, -0.12, 0.98)),
}


def _both(rows: tuple[tuple[float, float, float, float], ...]) -> tuple[tuple[float, float, float, float, float], ...]:
    """Rings equally wide to both sides, from rows of (along, half width, front, back)."""
    return tuple((along, side, side, front, back) for along, side, front, back in rows)


def _ball(place: Point, radius: float, bone: str) -> _Part:
    rings = _both(((-radius, radius, radius, radius), (radius, radius, radius, radius)))
    return _Part(place, "up", rings, (radius, radius), ((0.0, bone),), JOINT, segments=28 if radius > 0.05 else 18)


# Lengths in metres. Heights of the trunk's parts are above the floor, limbs' parts from their joint.
# fmt: off
_PARTS: tuple[_Part, ...] = (
    _Part(  # pelvis
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
    _Part(  # waist
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
    _Part(  # rib cage
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
    _Part(  # neck
        (0, 0.010, 0), "up",
        _both((
            (1.425, 0.058, 0.052, 0.062),
            (1.480, 0.052, 0.050, 0.056),
            (1.540, 0.048, 0.048, 0.050),
            (1.610, 0.050, 0.050, 0.050),
        )),
        (0.02, 0.02), ((1.450, "upper_chest"), (1.505, "neck"), (1.580, "head")), JOINT, segments=20,
    ),
    _Part(  # head
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
    _Part(  # visor
        (0, -0.020, 0), "up",
        _both((
            (1.618, 0.064, 0.093, -0.02),
            (1.650, 0.069, 0.096, -0.02),
            (1.688, 0.066, 0.088, -0.02),
        )),
        (0.024, 0.024), ((0.0, "head"),), JOINT, segments=28, power=2.3,
    ),
    _Part(  # spine stripe, the mark of the back
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
    _Part(  # collar: the slope from neck to shoulder
        (0, 0.004, SHOULDER), "out",
        (
            (0.020, 0.060, 0.040, 0.040, 0.062),
            (0.080, 0.048, 0.050, 0.050, 0.066),
            (0.150, 0.040, 0.045, 0.048, 0.052),
        ),
        (0.02, 0.035), ((0.020, "upper_chest"), (0.075, "shoulder.L")), segments=20,
    ),
    _ball((SHOULDER_X - 0.006, 0.0, SHOULDER), 0.057, "shoulder.L"),
    _Part(  # upper arm
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
    _Part(  # forearm
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
    _Part(  # hand
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
    _Part(  # thumb
        (WRIST_X + 0.030, -0.024, SHOULDER - 0.004), "thumb",
        (
            (0.000, 0.014, 0.014, 0.014, 0.014),
            (0.040, 0.0125, 0.0125, 0.0125, 0.0125),
            (0.078, 0.009, 0.009, 0.010, 0.010),
        ),
        (0.012, 0.012), ((0.0, "hand.L"),), ACCENT_LEFT, segments=14,
    ),
    _ball((HIP_X + 0.006, 0.0, HIP), 0.084, "hips"),
    _Part(  # thigh
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
    _Part(  # shin
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
    _Part(  # shoe
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


def add_mannequin(context: bpy.types.Context, name: str = NAME) -> bpy.types.Object:
    """Add the mannequin at the world's origin; returns its armature object, selected and active."""
    collection = _visible_collection(context)
    armature = _add_armature(context, collection, name)
    skin = bpy.data.objects.new(f"{name} Skin", _build_mesh(f"{name} Skin"))
    collection.objects.link(skin)
    _weigh(skin)
    skin.parent = armature
    modifier = skin.modifiers.new("Armature", "ARMATURE")
    modifier.object = armature
    context.view_layer.update()
    return armature


def _visible_collection(context: bpy.types.Context) -> bpy.types.Collection:
    """The active collection, or the scene's own where the active one is hidden or excluded."""
    active = context.view_layer.active_layer_collection
    if active is not None and active.is_visible and not active.exclude:
        return active.collection
    return context.scene.collection


def _right(name: str) -> str:
    """The right-hand partner's name; a bone of the middle keeps its own."""
    return name[:-2] + ".R" if name.endswith(".L") else name


def _add_armature(context: bpy.types.Context, collection: bpy.types.Collection, name: str) -> bpy.types.Object:
    armature = bpy.data.objects.new(name, bpy.data.armatures.new(name))
    collection.objects.link(armature)
    armature.show_in_front = True
    with _editing(context, armature):
        for bone in _BONES:
            _add_bone(armature.data, *bone, mirror=1)
            if bone[0].endswith(".L"):
                _add_bone(armature.data, *bone, mirror=-1)
    for bone in armature.pose.bones:
        bone.rotation_mode = "QUATERNION"
    return armature


def _add_bone(
    data: bpy.types.Armature, name: str, parent: str | None, head: Point, tail: Point, joined: bool, mirror: int
) -> None:
    side = _right if mirror < 0 else str
    bone = data.edit_bones.new(side(name))
    bone.head = (mirror * head[0], head[1], head[2])
    bone.tail = (mirror * tail[0], tail[1], tail[2])
    # Every bone's z axis faces forward, a foot's up: bending knees and elbows is a turn about local x.
    bone.align_roll((0, 0, 1) if name.startswith(("foot", "toe")) else (0, -1, 0))
    if parent:
        bone.parent = data.edit_bones[side(parent)]
        bone.use_connect = joined


@contextlib.contextmanager
def _editing(context: bpy.types.Context, armature: bpy.types.Object) -> Iterator[None]:
    """Edit mode on the armature, which is left selected and active, in object mode."""
    layer = context.view_layer
    if layer.objects.active is not None and layer.objects.active.mode != "OBJECT":
        bpy.ops.object.mode_set(mode="OBJECT")
    for other in layer.objects:
        other.select_set(False)
    armature.select_set(True)
    layer.objects.active = armature
    with context.temp_override(active_object=armature, object=armature, selected_objects=[armature]):
        bpy.ops.object.mode_set(mode="EDIT")
        try:
            yield
        finally:
            bpy.ops.object.mode_set(mode="OBJECT")


# --- The skin ---------------------------------------------------------------------------------


_FIRST_RING = 0.22  # where on a rounded end's quarter turn its first ring lies


def _loft(part: _Part) -> tuple[Floats, Floats]:
    """Points (R, S, 3) of the part's R rings, and where along its axis they lie (R,), m."""
    table = np.array(part.rings)
    along = _stations(part, table[:, 0])
    radii = np.stack([_hermite(table[:, 0], column, along) for column in table[:, 1:].T], axis=1)
    # A ring's front minus back sets its centre; only the half depth shrinks in a rounded end.
    middle = (radii[:, 2] - radii[:, 3]) / 2
    depth = (radii[:, 2] + radii[:, 3]) / 2
    round_off = _rounding(along, part.caps)[:, None]
    angles = np.arange(part.segments) * (2 * np.pi / part.segments)
    power = 2.0 / part.power
    across = np.sign(np.cos(angles)) * np.abs(np.cos(angles)) ** power
    ahead = np.sign(np.sin(angles)) * np.abs(np.sin(angles)) ** power
    side = np.where(across > 0, radii[:, :1], radii[:, 1:2]) * across * round_off
    front = middle[:, None] + depth[:, None] * ahead * round_off
    axes = np.array(_FRAMES[part.axis], dtype=float)
    points = (
        np.array(part.origin) + along[:, None, None] * axes[0] + side[..., None] * axes[1] + front[..., None] * axes[2]
    )
    if part.floor:
        points[..., 2] = np.maximum(points[..., 2], 0.0)
    return points, along


def _poles(part: _Part, points: Floats, along: Floats) -> Floats:
    """The tips (2, 3) of a part's rounded ends."""
    ahead = np.array(_FRAMES[part.axis][0], dtype=float)
    reach = np.array([part.rings[0][0] - along[0], part.rings[-1][0] - along[-1]])
    return points[[0, -1]].mean(axis=1) + reach[:, None] * ahead


def _stations(part: _Part, knots: Floats) -> Floats:
    """Where along its axis a part gets rings: dense in the rounded ends, and exact at band edges."""
    first, last = knots[0], knots[-1]
    start, end = part.caps
    steps = [np.linspace(_FIRST_RING, 1.0, 7 if cap > 0.05 else 4) * (np.pi / 2) for cap in part.caps]
    head = first + start * (1 - np.cos(steps[0]))
    tail = last - end * (1 - np.cos(steps[1]))
    span = (last - end) - (first + start)
    count = max(int(np.ceil(span / 0.042)), 1)
    body = np.linspace(first + start, last - end, count + 1)[1:-1]
    edges = np.array([edge for band in part.bands for edge in band[:2] if first + start < edge < last - end])
    if len(edges):
        body = body[np.min(np.abs(body[:, None] - edges), axis=1) > 0.009]
        edges = np.concatenate([edges, edges + 0.003, edges - 0.003])  # holds the shading at the seam
    return np.unique(np.round(np.concatenate([head, body, edges, tail]), 6))


def _rounding(along: Floats, caps: tuple[float, float]) -> Floats:
    """Factor (R,) by which rings shrink towards the ends, an ellipse over each cap's length."""
    first = along[0] - caps[0] * (1 - np.cos(_FIRST_RING * np.pi / 2))
    last = along[-1] + caps[1] * (1 - np.cos(_FIRST_RING * np.pi / 2))
    into = np.minimum((along - first) / caps[0], (last - along) / caps[1])
    return np.sqrt(1 - (1 - np.clip(into, 0, 1)) ** 2)


def _hermite(x: Floats, y: Floats, at: Floats) -> Floats:
    """A smooth curve through (x, y): cubic pieces whose slopes never overshoot (Fritsch-Butland)."""
    step = np.diff(x)
    slope = np.diff(y) / step
    inner = np.where(
        slope[1:] * slope[:-1] > 0,
        2 * slope[1:] * slope[:-1] / np.where(slope[1:] + slope[:-1] == 0, 1, slope[1:] + slope[:-1]),
        0.0,
    )
    tangent = np.concatenate([slope[:1], inner, slope[-1:]])
    i = np.clip(np.searchsorted(x, at) - 1, 0, len(x) - 2)
    t = (at - x[i]) / step[i]
    return (
        y[i] * (1 + 2 * t) * (1 - t) ** 2
        + tangent[i] * step[i] * t * (1 - t) ** 2
        + y[i + 1] * t**2 * (3 - 2 * t)
        + tangent[i + 1] * step[i] * t**2 * (t - 1)
    )


def _part_weights(part: _Part, along: Floats) -> dict[str, Floats]:
    """Weight (R,) of each ring on each of the part's bones; they sum to one."""
    weights = {bone: np.zeros(len(along)) for _, bone in part.bones}
    weights[part.bones[0][1]] += 1.0
    for (start, before), (end, after) in zip(part.bones, part.bones[1:], strict=False):
        t = np.clip((along - start) / (end - start), 0, 1)
        share = t * t * (3 - 2 * t)
        weights[after] += weights[before] * share
        weights[before] *= 1 - share
    return weights


@dataclasses.dataclass
class _Skin:
    """The shells gathered so far, as one mesh's lists."""

    vertices: list[Floats] = dataclasses.field(default_factory=list)
    faces: list[tuple[int, ...]] = dataclasses.field(default_factory=list)
    materials: list[int] = dataclasses.field(default_factory=list)
    weights: list[tuple[str, NDArray[np.int64], Floats]] = dataclasses.field(default_factory=list)
    count: int = 0

    def add(self, part: _Part, mirror: bool) -> None:
        """Append a part, or its mirror image on the right."""
        points, along = _loft(part)
        rings, segments = points.shape[:2]
        vertices = np.concatenate([points.reshape(-1, 3), _poles(part, points, along)])
        weights = _part_weights(part, np.concatenate([np.repeat(along, segments), along[[0, -1]]]))
        # Two of the frames are left-handed and a mirror image is too: those turn their faces round.
        flip = (np.linalg.det(np.array(_FRAMES[part.axis])) < 0) != mirror
        name = _right if mirror else str
        if mirror:
            vertices = vertices * (-1, 1, 1)
        faces, rows = _tube_faces(rings, segments)
        self.faces += [tuple(self.count + i for i in (face[::-1] if flip else face)) for face in faces]
        self.materials += [_mirrored_material(_ring_material(part, along, row), mirror) for row in rows]
        for bone, values in weights.items():
            indices = np.flatnonzero(values > 1e-6)
            self.weights.append((name(bone), self.count + indices, values[indices]))
        self.vertices.append(vertices)
        self.count += len(vertices)


def _tube_faces(rings: int, segments: int) -> tuple[list[tuple[int, ...]], list[int]]:
    """Faces of a closed tube with a pole vertex at each end, and the ring that each starts from."""
    faces: list[tuple[int, ...]] = []
    rows: list[int] = []
    bottom, top = rings * segments, rings * segments + 1
    for s in range(segments):
        t = (s + 1) % segments
        faces.append((bottom, t, s))
        rows.append(0)
        for r in range(rings - 1):
            a, b = r * segments, (r + 1) * segments
            faces.append((a + s, a + t, b + t, b + s))
            rows.append(r)
        faces.append((top, (rings - 1) * segments + s, (rings - 1) * segments + t))
        rows.append(rings - 2)
    return faces, rows


def _ring_material(part: _Part, along: Floats, row: int) -> int:
    middle = (along[row] + along[row + 1]) / 2
    for start, end, material in part.bands:
        if start < middle < end:
            return material
    return part.material


def _mirrored_material(material: int, mirror: bool) -> int:
    return ACCENT_RIGHT if mirror and material == ACCENT_LEFT else material


def _gather() -> _Skin:
    skin = _Skin()
    for part in _PARTS:
        skin.add(part, mirror=False)
        if any(bone.endswith(".L") for _, bone in part.bones) or part.origin[0] > 0:
            skin.add(part, mirror=True)
    return skin


def _build_mesh(name: str) -> bpy.types.Mesh:
    skin = _gather()
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(np.concatenate(skin.vertices).tolist(), [], skin.faces)
    for material in _MATERIALS:
        mesh.materials.append(_material(*material))
    mesh.polygons.foreach_set("material_index", skin.materials)
    mesh.polygons.foreach_set("use_smooth", [True] * len(skin.faces))
    mesh.update()
    return mesh


def _weigh(skin: bpy.types.Object) -> None:
    """Give the skin's vertices their shares of the bones."""
    for bone, indices, values in _gather().weights:
        group = skin.vertex_groups.get(bone) or skin.vertex_groups.new(name=bone)
        for value in np.unique(values):
            group.add(indices[values == value].tolist(), float(value), "REPLACE")


def _material(name: str, colour: tuple[float, float, float], roughness: float) -> bpy.types.Material:
    """The material of that name, made at first need and shared by all mannequins."""
    material = bpy.data.materials.get(name)
    if material is None:
        material = bpy.data.materials.new(name)
        compat.use_nodes(material)
        material.diffuse_color = (*colour, 1.0)  # what the viewport's solid mode shows
        shader = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
        shader.inputs["Base Color"].default_value = (*colour, 1.0)
        shader.inputs["Roughness"].default_value = roughness
    return material
