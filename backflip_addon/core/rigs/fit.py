# SPDX-License-Identifier: GPL-3.0-or-later
"""A physical body fitted to a rig's skeleton and skin."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from .. import body as bodies
from .. import rotations
from ..body import LINK_NAMES, LINK_PARENTS, Body, JointKind, Link
from ..joint_limits import usual_limit
from ..reading import finite
from ..shapes import Shape, extent
from . import rest_pose, roles
from .anthropometry import (
    CENTRE_SHARE,
    FARTHEST,
    GAINS,
    GAINS_SIZE,
    HUMAN_HEIGHT,
    MASS_SHARE,
    ROUNDNESS,
    USUAL_BMI,
    USUAL_HEIGHT,
    part_of,
)
from .binding import LEAST_SCALE, MOST_SCALE, Binding, LinkBinding
from .link_shapes import link_shapes, scaled, triple
from .rig import Rig, RigError, check_sound
from .rig_measures import RigMeasures
from .roles import RoleMap
from .strength_presets import DEFAULT, with_strength

_JOINTS: dict[str, JointKind] = {"pelvis": "free", "shin": "hinge", "forearm": "hinge", "hand": "fixed"}


@dataclasses.dataclass(frozen=True)
class Adjustment:
    """The user's factors for one part: 1 leaves it as it was fitted."""

    mass: float = 1.0
    size: float = 1.0
    strength: float = 1.0
    reach: float = 1.0  # how far the joint turns


@dataclasses.dataclass(frozen=True)
class _Whole:
    """The body as a whole: scale, sim metres per world unit; height, m; mass, kg."""

    scale: float
    height: float
    mass: float


def fit_body(
    rig: Rig,
    role_map: RoleMap,
    mass_kg: float | None = None,
    adjustments: Mapping[str, Adjustment] | None = None,
    strength: str = DEFAULT,
) -> tuple[Body, Binding]:
    """A body of mass_kg (default: of its height at a body mass index of USUAL_BMI) fitted to a rig.

    adjustments: link name ("thigh.L") or part ("thigh": both sides) -> factors. strength: a key of
    strength_presets.PRESETS.
    Raises RigError with one sentence when the rig cannot carry a body.
    """
    check_sound(rig)
    roles.check(rig, role_map)
    roles.check_upright(rig, role_map)
    measures = RigMeasures(rig, rest_pose.measure(rig, role_map), role_map)
    scale = _scale(rig, measures.height)
    height = measures.height * scale
    mass = float(mass_kg) if mass_kg else USUAL_BMI * height**2
    if not (np.isfinite(mass) and mass > 0):
        raise RigError(f"A body of {mass:g} kg cannot be made: give a mass above zero.")
    whole = _Whole(scale, height, mass)
    links = tuple(_link(name, measures, whole, _adjustment(adjustments or {}, name)) for name in LINK_NAMES)
    body = with_strength(Body(rig.name, links, height), strength)
    try:
        bodies.validate(body)
    except ValueError as error:
        raise RigError(f"No body can be fitted to {rig.name}: {error}.") from error
    return body, _binding(measures, scale)


def _adjustment(adjustments: Mapping[str, Adjustment], link: str) -> Adjustment:
    found = adjustments.get(link) or adjustments.get(part_of(link)) or Adjustment()
    if not all(np.isfinite(x) and x > 0 for x in dataclasses.astuple(found)):
        raise RigError(f"The factors of the {roles.words(link)} must be numbers above zero.")
    return found


def _scale(rig: Rig, height: float) -> float:
    """Sim metres per world unit for a character of that height in world units. Raises RigError."""
    scale = 1.0 if HUMAN_HEIGHT[0] <= height <= HUMAN_HEIGHT[1] else USUAL_HEIGHT / height
    if not LEAST_SCALE < scale < MOST_SCALE:
        size, way = ("large", "down") if scale < 1.0 else ("small", "up")
        raise RigError(f"{rig.name} is too {size} for a body, {height:.2g} units tall: scale its object {way} (S).")
    if not finite(rig.heads):
        raise RigError(f"{rig.name} stands too far from the world's origin for a body: bring it there (Alt+G).")
    return scale


def _link(name: str, measures: RigMeasures, whole: _Whole, adjustment: Adjustment) -> Link:
    """One link without strength, SI. Its parts' masses, whose shares add up to a little off 1, make up the whole's."""
    part, parent, scale = part_of(name), LINK_PARENTS[name], whole.scale
    total = sum(MASS_SHARE[part_of(link)] for link in LINK_NAMES)
    mass = whole.mass * MASS_SHARE[part] / total * adjustment.mass
    shapes = tuple(scaled(s, scale * adjustment.size, scale) for s in link_shapes(name, measures))
    stiffness = whole.mass * whole.height / GAINS_SIZE * adjustment.strength
    kp, kd = (x * stiffness for x in GAINS.get(part, (0.0, 0.0)))
    ball = measures.ball(name)
    limit = usual_limit(name)
    return Link(
        name=name,
        parent=LINK_NAMES.index(parent) if parent else -1,
        joint=_JOINTS.get(part, "spherical"),
        offset=triple(measures.offset(name) * scale),
        mass=mass,
        centre=_centre(name, measures, shapes, scale),
        inertia=_inertia(shapes, mass),
        shapes=shapes,
        limits=_hinge_limits(part, adjustment.reach),
        limit=None if limit is None else limit.scaled(adjustment.reach),
        kp=kp,
        kd=kd,
        ball=None if ball is None else triple(ball * scale),
    )


def _hinge_limits(part: str, reach: float) -> tuple[float, float]:
    """Least and greatest angle, rad."""
    low, high = bodies.HINGE_LIMITS.get(part, (-FARTHEST, FARTHEST))
    # the small end of a hinge is its stop, and stays
    low, high = (low * reach if low < -0.1 else low), (high * reach if high > 0.1 else high)
    return max(low, -FARTHEST), min(high, FARTHEST)


def _centre(name: str, measures: RigMeasures, shapes: tuple[Shape, ...], scale: float) -> tuple[float, float, float]:
    """Centre of mass in the link's frame, m: of a limb on its bone, else in the middle of its shapes."""
    part, _, side = name.partition(".")
    if part in CENTRE_SHARE:
        return triple(np.array([0.0, 0.0, -measures.neutral.segment(part, side) * CENTRE_SHARE[part]]) * scale)
    return triple(np.mean([shape.position for shape in shapes], axis=0))


def _inertia(shapes: tuple[Shape, ...], mass: float) -> tuple[float, float, float]:
    """Principal moments of a link about its centre, kg m^2: ROUNDNESS of those of one box around its solids."""
    low, high = extent(shapes)
    x, y, z = (high - low) ** 2
    return triple(ROUNDNESS * mass / 12.0 * np.array([y + z, x + z, x + y]))


def _binding(measures: RigMeasures, scale: float) -> Binding:
    """How the body hangs on the rig."""
    rig, neutral = measures.rig, measures.neutral
    facing = neutral.facing
    level = float(np.hypot(facing[0], facing[1]))
    yaw = float(np.arctan2(facing[0], -facing[1])) if level > 0.5 else 0.0
    hips = neutral.joints["pelvis"]
    floor = float(hips[2]) + measures.sole if neutral.standing else 0.0
    if abs(floor) < 0.05 * measures.height:
        floor = 0.0  # the soles are meant to stand on the scene's floor
    links = []
    for i, name in enumerate(LINK_NAMES):
        driven = [b for b in neutral.driven if neutral.owners[b] == i]
        bones, heads = tuple(rig.bones[b] for b in driven), tuple(triple(rig.heads[b]) for b in driven)
        bone = rig.bones[neutral.bones[name]] if neutral.bones[name] >= 0 else ""
        w, x, y, z = map(float, rotations.from_matrix(neutral.orientations[name]))
        links.append(LinkBinding(name, bone, triple(neutral.joints[name]), (w, x, y, z), bones, heads))
    return Binding(scale, (float(hips[0]), float(hips[1]), floor), yaw, tuple(links))
