# SPDX-License-Identifier: GPL-3.0-or-later
"""A physical body fitted to a rig's skeleton and skin."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from .. import body as bodies
from .. import rotations
from ..arrays import Array
from ..body import LINK_NAMES, LINK_PARENTS, Body, Link
from ..shapes import Shape, extent
from . import rest_pose, roles
from .binding import Binding, LinkBinding
from .rest_pose import Neutral
from .rig import Rig, RigError, check_sound
from .roles import RoleMap

HUMAN_HEIGHT = (1.4, 2.0)  # m; a rig of another size is brought to USUAL_HEIGHT
USUAL_HEIGHT = 1.7
USUAL_BMI = 22.0

# Part of the body's mass, mean of women and men: de Leva 1996, "Adjustments to Zatsiorsky-Seluyanov's
# segment inertia parameters", table 4. The middle trunk is shared by pelvis and chest, whose joint
# lies in its midst.
_MASS = {
    "pelvis": 0.1182 + 0.1549 / 2,
    "chest": 0.1570 + 0.1549 / 2,
    "head": 0.0681,
    "upper_arm": 0.0263,
    "forearm": 0.0150,
    "hand": 0.00585,
    "thigh": 0.1447,
    "shin": 0.0457,
    "foot": 0.0133,
}
# Centre of mass along a limb, from its joint to the next: the same table.
_CENTRE = {"upper_arm": 0.576, "forearm": 0.457, "thigh": 0.385, "shin": 0.444}

# Torque limit N m, kp N m/rad, kd N m s/rad of DeepMimic's humanoid (45 kg, 1.62 m).
_STRENGTH = {
    "chest": (200.0, 1000.0, 100.0),
    "head": (50.0, 100.0, 10.0),
    "upper_arm": (100.0, 400.0, 40.0),
    "forearm": (60.0, 300.0, 30.0),
    "thigh": (200.0, 500.0, 50.0),
    "shin": (150.0, 500.0, 50.0),
    "foot": (90.0, 400.0, 40.0),
}
_STRENGTH_SIZE = 45.0 * 1.62  # kg m

# Greatest angle from neutral of the spherical joints, rad.
_REACH = {"chest": 1.3, "head": 1.4, "upper_arm": 3.1, "thigh": 2.7, "foot": 1.3}

_FARTHEST = 3.1

_OWN = 0.2  # a part of the trunk that holds less than this of the skin around it isn't measured by its own

# Sizes for a rig without skin, as parts of the standing height.
_RADIUS = {"upper_arm": 0.026, "forearm": 0.022, "thigh": 0.042, "shin": 0.030, "head": 0.062, "hand": 0.025}


@dataclasses.dataclass(frozen=True)
class Adjustment:
    """The user's factors for one part: 1 leaves it as it was fitted."""

    mass: float = 1.0
    size: float = 1.0
    strength: float = 1.0
    reach: float = 1.0  # how far the joint turns


def fit_body(
    rig: Rig,
    role_map: RoleMap,
    mass_kg: float | None = None,
    adjustments: Mapping[str, Adjustment | Mapping[str, float]] | None = None,
) -> tuple[Body, Binding]:
    """A body of mass_kg (default: of its height at a body mass index of 22) fitted to a rig.

    adjustments: link name ("thigh.L") or part ("thigh": both sides) -> factors.
    Raises RigError with one sentence when the rig cannot carry a body.
    """
    check_sound(rig)
    roles.check(rig, role_map)
    roles.check_upright(rig, role_map)
    neutral = rest_pose.measure(rig, role_map)
    parts = _Parts(rig, neutral, role_map)
    scale = _scale(parts.height)
    height = parts.height * scale
    mass = float(mass_kg) if mass_kg else USUAL_BMI * height**2
    if not (np.isfinite(mass) and mass > 0):
        raise RigError(f"A body of {mass:g} kg cannot be made: give a mass above zero.")
    links = []
    for name, parent in LINK_PARENTS.items():
        adjustment = _adjustment(adjustments or {}, name)
        links.append(_link(name, parent, parts, scale, mass, height, adjustment))
    body = Body(rig.name, tuple(links), height)
    try:
        bodies.validate(body)
    except ValueError as error:
        raise RigError(f"No body can be fitted to {rig.name}: {error}.") from error
    return body, _binding(rig, neutral, parts, scale)


def _adjustment(adjustments: Mapping[str, Adjustment | Mapping[str, float]], link: str) -> Adjustment:
    found = adjustments.get(link, adjustments.get(link.partition(".")[0], Adjustment()))
    found = found if isinstance(found, Adjustment) else Adjustment(**found)
    if not all(np.isfinite(x) and x > 0 for x in dataclasses.astuple(found)):
        raise RigError(f"The factors of the {roles.words(link)} must be numbers above zero.")
    return found


def _scale(height: float) -> float:
    """Sim metres per world unit for a character of that height in world units."""
    return 1.0 if HUMAN_HEIGHT[0] <= height <= HUMAN_HEIGHT[1] else USUAL_HEIGHT / height


class _Parts:
    """The rig's measures in its own units, each part in its link's frame in the neutral pose."""

    def __init__(self, rig: Rig, neutral: Neutral, role_map: RoleMap) -> None:
        self.rig, self.neutral, self.role_map = rig, neutral, role_map
        self.points = _skin_points(rig, neutral)
        self.leg = neutral.leg_length
        self.soles = {side: self._sole(side) for side in "LR"}
        self.positions = self._neutral_places()
        self.sole = min(self.positions[f"foot.{side}"][2] + self.soles[side] for side in "LR")
        self.crown = self._crown()
        self.height = self.crown + float(self.positions["head"][2]) - self.sole

    def offset(self, link: str) -> Array:
        """A link's joint in its parent's frame."""
        parent = LINK_PARENTS[link]
        if parent is None:
            return np.zeros(3)
        joints = self.neutral.joints
        return self.neutral.orientations[parent] @ (joints[link] - joints[parent])

    def _neutral_places(self) -> dict[str, Array]:
        """Joints in the neutral pose, pelvis at the origin (all link frames are parallel)."""
        positions: dict[str, Array] = {}
        for link, parent in LINK_PARENTS.items():
            positions[link] = self.offset(link) + (positions[parent] if parent else 0.0)
        return positions

    def local(self, link: str, point: Array) -> Array:
        """A world point at rest, in the link's frame."""
        return self.neutral.orientations[link] @ (point - self.neutral.joints[link])

    def ball(self, link: str) -> Array | None:
        """Where a foot's toes bend, in its frame; None for what has no toes."""
        part, _, side = link.partition(".")
        toe = self.role_map.bones.get(f"toe.{side}") if part == "foot" else None
        return None if toe is None else self.local(link, self.rig.heads[self.rig.bone_index[toe]])

    def _sole(self, side: str) -> float:
        """Height of the sole below the ankle (negative), in the foot's frame."""
        link = f"foot.{side}"
        points = self.points[link]
        if len(points) >= 8:
            return float(min(np.quantile(points[:, 2], 0.02), -0.02 * self.leg))
        neutral, rig = self.neutral, self.rig
        bones = np.flatnonzero(neutral.owners == LINK_NAMES.index(link))
        ends = np.concatenate([rig.heads[bones], rig.tails[bones], neutral.toes[side][None]])
        low = float(np.min((ends - neutral.joints[link]) @ neutral.orientations[link].T, axis=0)[2])
        ankle = float(neutral.joints[link][2])
        if neutral.standing and 0.04 * self.leg < ankle < 0.25 * self.leg:
            return -ankle  # the skeleton stands on the floor of its scene
        # bones end inside the flesh; nothing tells more where all lie in one line
        return float(np.clip(low - 0.02 * self.leg, -0.25 * self.leg, -0.07 * self.leg))

    def _crown(self) -> float:
        """Height of the top of the head above the neck's joint."""
        points = self.points["head"]
        neck = float(self.positions["head"][2] - self.sole)
        if len(points) >= 8:
            return float(np.quantile(points[:, 2], 0.98))
        bone = self.neutral.bones["head"]
        ends = [self.rig.tails[bone], *(self.rig.heads[c] for c in self.rig.descendants(bone))]
        top = max(float(self.local("head", end)[2]) for end in ends)
        base = float(self.local("head", self.rig.heads[bone])[2])
        return float(np.clip(top, base + 0.08 * neck, base + 0.3 * neck))


def _skin_points(rig: Rig, neutral: Neutral) -> dict[str, Array]:
    """Link -> skin vertices (N, 3) that mostly hang on it, in the link's frame."""
    if rig.skin is None or not len(rig.skin.vertices):
        return {link: np.zeros((0, 3)) for link in LINK_NAMES}
    skin = rig.skin
    owners = np.append(neutral.owners, -1)[skin.bones]  # bone -1 reads the appended entry
    shares = np.zeros((len(skin.vertices), len(LINK_NAMES)))
    rows = np.broadcast_to(np.arange(len(shares))[:, None], owners.shape)
    held = owners >= 0
    np.add.at(shares, (rows[held], owners[held]), skin.weights[held])
    best, most = shares.argmax(axis=1), shares.max(axis=1)
    found = {}
    for i, link in enumerate(LINK_NAMES):
        points = skin.vertices[(best == i) & (most > 0.5 * skin.weights.sum(axis=1)) & (most > 0)]
        found[link] = (points - neutral.joints[link]) @ neutral.orientations[link].T
    return found


def _link(
    name: str, parent: str | None, parts: _Parts, scale: float, mass: float, height: float, adjustment: Adjustment
) -> Link:
    part = name.partition(".")[0]
    total = sum(_MASS[link.partition(".")[0]] for link in LINK_NAMES)
    link_mass = mass * _MASS[part] / total * adjustment.mass
    shapes = tuple(_scaled(s, scale * adjustment.size, scale) for s in _shapes(name, parts))
    centre = _centre(name, parts, shapes) * (scale if part in _CENTRE else 1.0)
    factor = mass * height / _STRENGTH_SIZE * adjustment.strength
    torque, kp, kd = (x * factor for x in _STRENGTH.get(part, (0.0, 0.0, 0.0)))
    ball = parts.ball(name)
    joint = "free" if parent is None else {"shin": "hinge", "forearm": "hinge", "hand": "fixed"}.get(part, "spherical")
    return Link(
        name=name,
        parent=LINK_NAMES.index(parent) if parent else -1,
        joint=joint,
        offset=_triple(parts.offset(name) * scale),
        mass=link_mass,
        centre=_triple(centre),
        inertia=_inertia(shapes, link_mass),
        shapes=shapes,
        limits=_limits(part, adjustment.reach),
        torque=torque,
        kp=kp,
        kd=kd,
        ball=None if ball is None else _triple(ball * scale),
    )


def _limits(part: str, reach: float) -> tuple[float, float]:
    """Hinge: least and greatest angle; spherical: 0 and the greatest angle; rad."""
    low, high = bodies.HINGE_LIMITS.get(part, (0.0, _REACH.get(part, _FARTHEST)))
    if reach == 1.0:
        return low, high
    # the small end of a hinge is its stop, and stays
    low, high = (low * reach if low < -0.1 else low), (high * reach if high > 0.1 else high)
    return max(low, -_FARTHEST), min(high, _FARTHEST)


def _centre(name: str, parts: _Parts, shapes: tuple[Shape, ...]) -> Array:
    """Centre of mass in the link's frame: limbs in rig units along the bone, else of the shapes, m."""
    part, _, side = name.partition(".")
    if part in _CENTRE:
        return np.array([0.0, 0.0, -parts.neutral.segment(part, side) * _CENTRE[part]])
    return np.mean([shape.position for shape in shapes], axis=0)


def _shapes(name: str, parts: _Parts) -> tuple[Shape, ...]:
    """Solids of a link, in rig units."""
    part, _, side = name.partition(".")
    points = parts.points[name]
    if part in _CENTRE:
        return (_limb_shape(parts, part, side, points),)
    if part == "foot":
        return (_foot_shape(parts, side, points),)
    if part == "hand":
        return (_hand_shape(parts, side, points),)
    if part == "head":
        return (_head_shape(parts, points),)
    return _trunk_shapes(parts, name)


def _limb_shape(parts: _Parts, part: str, side: str, points: Array) -> Shape:
    """A capsule from the joint to the next, its radius the skin's."""
    length = parts.neutral.segment(part, side)
    radius = _RADIUS[part] * parts.height
    inside = points[(points[:, 2] < -0.15 * length) & (points[:, 2] > -0.85 * length)]
    if len(inside) >= 8:
        middle = np.median(inside[:, :2], axis=0)
        radius = float(np.median(np.linalg.norm(inside[:, :2] - middle, axis=1)))
    radius = float(np.clip(radius, 0.06 * length, 0.35 * length))
    # shins end above the ankle, so that the foot alone meets the floor; other ends meet their joints
    bottom = length - (radius if part == "shin" else 0.0)
    top = 0.0 if part in ("shin", "forearm") else 0.3 * radius
    return Shape("capsule", (radius, max(bottom - top, 0.02 * length)), (0.0, 0.0, -(bottom + top) / 2))


def _foot_shape(parts: _Parts, side: str, points: Array) -> Shape:
    """A box from heel to toe, on the sole."""
    sole = parts.soles[side]
    tip = parts.local(f"foot.{side}", parts.neutral.toes[side])
    if len(points) >= 8:
        low, high = np.quantile(points, 0.01, axis=0), np.quantile(points, 0.99, axis=0)
        front, back, x, width = low[1], high[1], (low[0] + high[0]) / 2, high[0] - low[0]
    else:
        reach = float(np.hypot(tip[0], tip[1]))
        front = -max(reach * 1.35, 0.2 * parts.leg)
        back, x, width = 0.06 * parts.leg, 0.0, 0.1 * parts.leg
    length = float(np.clip(back - front, 0.15 * parts.leg, 0.6 * parts.leg))
    width = float(np.clip(width, 0.06 * parts.leg, 0.35 * parts.leg))
    thickness = float(np.clip(-sole * 0.9, 0.04 * parts.leg, 0.16 * parts.leg))
    return Shape(
        "box", (width / 2, length / 2, thickness / 2), (float(x), float(back - length / 2), sole + thickness / 2)
    )


def _hand_shape(parts: _Parts, side: str, points: Array) -> Shape:
    radius = _RADIUS["hand"] * parts.height
    centre = np.array([0.0, 0.0, -1.6 * radius])
    if len(points) >= 8:
        low, high = np.quantile(points, 0.1, axis=0), np.quantile(points, 0.9, axis=0)
        radius = float(np.clip(np.median(high - low) / 2, 0.6 * radius, 2.0 * radius))
        centre = np.median(points, axis=0)
    return Shape("sphere", (radius,), _triple(centre))


def _head_shape(parts: _Parts, points: Array) -> Shape:
    bone = parts.neutral.bones["head"]
    base = float(parts.local("head", parts.rig.heads[bone])[2])
    tall = max(parts.crown - base, 0.02 * parts.height)
    radius = min(max(tall / 2, _RADIUS["head"] * parts.height), tall * 0.75)
    centre = np.array([0.0, 0.0, parts.crown - radius])
    above = points[points[:, 2] > base] if len(points) else points
    if len(above) >= 8:
        low, high = np.quantile(above, 0.01, axis=0), np.quantile(above, 0.99, axis=0)
        radius = float(np.clip(np.median(high - low) / 2, 0.3 * tall, 0.7 * tall))
        centre = np.array([*(low + high)[:2] / 2, parts.crown - radius])
    return Shape("sphere", (radius,), _triple(centre))


def _trunk_shapes(parts: _Parts, name: str) -> tuple[Shape, ...]:
    """Lateral capsules: one for the pelvis, two above each other for the chest."""
    joints = parts.positions
    side_on = (np.sqrt(0.5), 0.0, np.sqrt(0.5), 0.0)  # turns a capsule's z to x
    if name == "pelvis":
        span = float(np.linalg.norm(joints["thigh.L"] - joints["thigh.R"]))
        rise = float(joints["chest"][2])
        levels = [(0.35 * rise, 0.3 * rise + 0.25 * span)]
        width = span
    else:
        span = float(np.linalg.norm(joints["upper_arm.L"] - joints["upper_arm.R"]))
        rise = float(max(joints["head"][2] - joints["chest"][2], 0.05 * parts.height))
        levels = [(0.25 * rise, 0.3 * rise), (0.68 * rise, 0.32 * rise)]
        width = 0.85 * span
    shapes = []
    for height, band in levels:
        depth, wide, ahead = 0.062 * parts.height * 2, width * 1.15, 0.0
        near = _level_points(parts, name, height, band, 0.6 * span + 0.03 * parts.height)
        if len(near) >= 8:
            low, high = np.quantile(near, 0.06, axis=0), np.quantile(near, 0.94, axis=0)
            depth, wide, ahead = float(high[1] - low[1]), float(high[0] - low[0]), float((low + high)[1] / 2)
        radius = float(np.clip(depth / 2, 0.035 * parts.height, 0.11 * parts.height))
        length = max(float(wide) - 2 * radius, 0.1 * radius)
        shapes.append(Shape("capsule", (radius, length), (0.0, ahead, height), side_on))
    return tuple(shapes)


def _level_points(parts: _Parts, name: str, height: float, band: float, half_width: float) -> Array:
    """The skin (N, 3) around a level of pelvis or chest, in its frame: its own, or where that leaves out the midst, as
    a robot's shoulders do whose torso hangs whole on its hips, the other's.
    """
    other = "chest" if name == "pelvis" else "pelvis"
    found = []
    for points in (parts.points[name], parts.points[other] + parts.positions[other] - parts.positions[name]):
        near = points[(np.abs(points[:, 2] - height) < band) & (np.abs(points[:, 0]) < half_width)]
        found.append(near if np.count_nonzero(np.abs(near[:, 0]) < 0.4 * half_width) >= 8 else near[:0])
    own, others = found
    return own if len(own) >= _OWN * len(others) else others


def _scaled(shape: Shape, size: float, place: float) -> Shape:
    return Shape(
        shape.kind,
        tuple(float(x * size) for x in shape.size),
        _triple(np.array(shape.position) * place),
        shape.rotation,
    )


def _triple(values: Array) -> tuple[float, float, float]:
    return tuple(float(v) for v in values)  # type: ignore[return-value]


def _inertia(shapes: tuple[Shape, ...], mass: float) -> tuple[float, float, float]:
    """Principal moments of a link as those of one box around its solids, about its centre."""
    low, high = extent(shapes)
    # a solid as round as a limb fills its box with about 0.8 of the box's moments
    x, y, z = (high - low) ** 2
    return _triple(0.8 * mass / 12.0 * np.array([y + z, x + z, x + y]))


def _binding(rig: Rig, neutral: Neutral, parts: _Parts, scale: float) -> Binding:
    facing = neutral.facing
    level = float(np.hypot(facing[0], facing[1]))
    yaw = float(np.arctan2(facing[0], -facing[1])) if level > 0.5 else 0.0
    hips = neutral.joints["pelvis"]
    floor = float(hips[2]) + parts.sole if neutral.standing else 0.0
    if abs(floor) < 0.05 * parts.height:
        floor = 0.0  # the soles are meant to stand on the scene's floor
    links = []
    for i, name in enumerate(LINK_NAMES):
        driven = [b for b in neutral.driven if neutral.owners[b] == i]
        bones, heads = tuple(rig.bones[b] for b in driven), tuple(_triple(rig.heads[b]) for b in driven)
        bone = rig.bones[neutral.bones[name]] if neutral.bones[name] >= 0 else ""
        turn = tuple(rotations.from_matrix(neutral.orientations[name]).tolist())
        links.append(LinkBinding(name, bone, _triple(neutral.joints[name]), turn, bones, heads))
    return Binding(scale, (float(hips[0]), float(hips[1]), floor), yaw, tuple(links))
