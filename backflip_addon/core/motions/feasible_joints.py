# SPDX-License-Identifier: GPL-3.0-or-later
"""The nearest motion within the joints' limits."""

from __future__ import annotations

import dataclasses

import numpy as np

from .. import joint_limits, rotations
from ..arrays import Array
from ..body import Body, Link
from ..motion import Motion
from .foot_planting import runs
from .limb_reach import SIDES, Limb

SMOOTHED = np.radians(15.0)  # low-passing takes a joint no farther past its limit; farther, the motion itself does


@dataclasses.dataclass(frozen=True)
class Excess:
    """How far a motion is past a joint's limit at its worst: the link it holds, rad, and when, s."""

    link: str
    angle: float
    time: float


def within_joints(body: Body, motion: Motion) -> tuple[Motion, list[Excess]]:
    """The motion with every joint inside its limit, and where it was not, the worst first.

    A foot that would sink into the floor for it is drawn up by as much.
    """
    turns = motion.rotations.copy()
    found = []
    for i, link in enumerate(body.links):
        turns[:, i], over = _clamped(motion.rotations[:, i], link)
        if over.max(initial=0.0) > 0:
            at = int(np.argmax(over))
            found.append(Excess(link.name, float(over[at]), at / motion.rate))
    if not found:
        return motion, []
    clamped = dataclasses.replace(motion, rotations=_raised(body, motion, turns))
    return clamped, sorted(found, key=lambda excess: -excess.angle)


def arms_within(body: Body, smooth: Motion) -> Motion:
    """A low-passed motion with arms and head inside their limits again; legs, which hold the feet, stay as they are.

    So does what passes right through where a joint cannot be: it would snap from the one side to the other.
    """
    turns = smooth.rotations.copy()
    for i, link in enumerate(body.links):
        if link.joint_limit is None or link.name.partition(".")[0] not in ("head", "upper_arm"):
            continue
        kept, over = _clamped(turns[:, i], link)
        back = rotations.angle_between(kept, turns[:, i])
        for start, end in runs(over > 0):
            if back[start:end].max() < SMOOTHED:
                turns[start:end, i] = kept[start:end]
    if np.array_equal(turns, smooth.rotations):
        return smooth
    return dataclasses.replace(smooth, rotations=rotations.continuous(turns))


def _clamped(local: Array, link: Link) -> tuple[Array, Array]:
    """A joint's rotations (F, 4) inside its limit, and how far they were past it (F,), rad."""
    limit = link.joint_limit
    if limit is not None:
        return joint_limits.clamped(local, limit), joint_limits.excess(local, limit)
    if link.joint != "hinge":
        return local, np.zeros(len(local))
    angle = rotations.twist_angle(local, np.array(link.axis))
    kept = np.clip(angle, *link.limits)
    over: Array = np.abs(angle - kept)
    return np.where(over[:, None] > 0, rotations.from_axis_angle(link.axis, kept), local), over


def _raised(body: Body, motion: Motion, turns: Array) -> Array:
    """Joint rotations (F, L, 4) with the legs drawn up where a foot is deeper in the floor than the motion's."""
    before = body.lowest_points(*body.forward(motion.position, motion.rotations))
    positions, world = body.forward(motion.position, turns)
    lowest = body.lowest_points(positions, world)
    for side in SIDES:
        leg = Limb.leg(body, side)
        sunk = np.maximum(np.minimum(before[:, leg.end], 0.0) - lowest[:, leg.end], 0.0)
        away = positions[:, leg.end] - positions[:, leg.upper] + sunk[:, None] * [0.0, 0.0, 1.0]
        upper, lower = leg.reaching(body, world[:, leg.upper], world[:, leg.lower], away)
        deep = (sunk > 0)[:, None]
        world[:, leg.upper] = np.where(deep, upper, world[:, leg.upper])
        world[:, leg.lower] = np.where(deep, lower, world[:, leg.lower])
    return rotations.continuous(body.local_rotations(world))
