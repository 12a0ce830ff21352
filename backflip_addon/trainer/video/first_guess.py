# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the fit begins: link orientations from the network's own directions of limbs, frame by frame."""

from __future__ import annotations

import numpy as np

from ...core.arrays import Array
from ...core.body import LINK_NAMES
from ...core.rotations import cross, normalise
from .figure import INDEX, PARENTS

_BENT = (0.2, 0.3)  # sines of a bend: from here on, and over this range, the limb itself says where its hinge lies
_LIMBS = {"L": (11, 13, 15, 23, 25, 27, 29, 31), "R": (12, 14, 16, 24, 26, 28, 30, 32)}


def orientations(world: Array) -> tuple[Array, Array]:
    """Each link's turn in its parent (F, L, 3, 3), and the angles (F, L) of hinges about -x, rad.

    world (F, 33, 3): landmarks in the world's axes.
    """
    found = _trunk(world)
    angles = np.zeros((len(world), len(LINK_NAMES)))
    for side, (shoulder, elbow, wrist, hip, knee, ankle, heel, toe) in _LIMBS.items():
        arm, leg = (shoulder, elbow, wrist), (hip, knee, ankle)
        angles[:, INDEX[f"forearm.{side}"]] = _limb(world, found, ("upper_arm", "forearm", "chest"), side, arm)
        angles[:, INDEX[f"shin.{side}"]] = _limb(world, found, ("thigh", "shin", "pelvis"), side, leg)
        found[f"hand.{side}"] = found[f"forearm.{side}"]
        sole = world[:, heel] - world[:, toe]
        found[f"foot.{side}"] = _axes("yx", y=sole, x=found[f"shin.{side}"][..., 0])
    local = np.zeros((len(world), len(LINK_NAMES), 3, 3))
    for i, name in enumerate(LINK_NAMES):
        parent = PARENTS[i]
        own = found[name]
        local[:, i] = own if parent < 0 else np.swapaxes(found[LINK_NAMES[parent]], -1, -2) @ own
    return local, angles


def _trunk(world: Array) -> dict[str, Array]:
    hips, shoulders = world[:, [23, 24]].mean(axis=1), world[:, [11, 12]].mean(axis=1)
    spine = shoulders - hips
    ears = world[:, [7, 8]].mean(axis=1)
    return {
        "pelvis": _axes("zx", z=spine, x=world[:, 23] - world[:, 24]),
        "chest": _axes("zx", z=spine, x=world[:, 11] - world[:, 12]),
        "head": _axes("yx", y=ears - world[:, 0], x=world[:, 7] - world[:, 8]),
    }


def _limb(
    world: Array, found: dict[str, Array], names: tuple[str, str, str], side: str, marks: tuple[int, int, int]
) -> Array:
    """Put a limb's two parts into found; returns the angle (F,) of its hinge."""
    upper, lower, parent = names
    sign = -1.0 if upper == "upper_arm" else 1.0
    first, second = (normalise(world[:, b] - world[:, a]) for a, b in ((marks[0], marks[1]), (marks[1], marks[2])))
    along = (first * second).sum(axis=-1, keepdims=True)
    bend = np.arccos(np.clip(along[:, 0], -1.0, 1.0))
    lateral = found[parent][..., 0]
    by_bend = _axes("zy", z=-first, y=sign * (second - along * first))[..., 0]
    by_parent = _axes("zx", z=-first, x=lateral)[..., 0]
    weight = np.clip((np.sin(bend) - _BENT[0]) / _BENT[1], 0.0, 1.0)[:, None]
    found[f"{upper}.{side}"] = _axes("zx", z=-first, x=by_bend * weight + by_parent * (1 - weight) + 1e-6)
    angle: Array = -sign * bend
    c, s = np.cos(angle), np.sin(angle)
    hinge = np.zeros((len(world), 3, 3))
    hinge[:, 0, 0], hinge[:, 1, 1], hinge[:, 2, 2] = 1.0, c, c
    hinge[:, 1, 2], hinge[:, 2, 1] = s, -s
    found[f"{lower}.{side}"] = found[f"{upper}.{side}"] @ hinge
    return angle


def _axes(order: str, **given: Array) -> Array:
    """Frames (F, 3, 3) with columns x, y, z: the first axis of order as given, the second nearest to what is given."""
    first = normalise(given[order[0]])
    second = given[order[1]]
    second = normalise(second - (second * first).sum(axis=-1, keepdims=True) * first)
    axes = {order[0]: first, order[1]: second}
    missing = next(axis for axis in "xyz" if axis not in axes)
    a, b = {"x": ("y", "z"), "y": ("z", "x"), "z": ("x", "y")}[missing]
    axes[missing] = cross(axes[a], axes[b])
    return np.stack([axes["x"], axes["y"], axes["z"]], axis=-1)
