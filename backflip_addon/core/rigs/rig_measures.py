# SPDX-License-Identifier: GPL-3.0-or-later
"""A rig's measures: joints, soles, crown and skin, each part in its link's frame."""

from __future__ import annotations

import numpy as np

from ..arrays import Array
from ..body import LINK_NAMES, LINK_PARENTS
from .rest_pose import Neutral
from .rig import Rig
from .roles import RoleMap

FEWEST_POINTS = 8  # of a part's skin: fewer do not tell its size


class RigMeasures:
    """A rig's measures in its own units, each part in its link's frame in the neutral pose.

    points: link -> its skin (N, 3). positions: link -> joint (3,) in the neutral pose, pelvis at the origin. leg:
    hip to ankle. soles: side -> height of the sole over the ankle (negative). sole, crown, height: of the lower sole
    over the pelvis, of the top of the head over the neck's joint, and from the one to the other.
    """

    def __init__(self, rig: Rig, neutral: Neutral, role_map: RoleMap) -> None:
        self.rig, self.neutral, self.role_map = rig, neutral, role_map
        self.points = skin_points(rig, neutral)
        self.leg = neutral.leg_length
        self.soles = {side: self._sole(side) for side in "LR"}
        self.positions = self._neutral_positions()
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

    def _neutral_positions(self) -> dict[str, Array]:
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
        if len(points) >= FEWEST_POINTS:
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
        if len(points) >= FEWEST_POINTS:
            return float(np.quantile(points[:, 2], 0.98))
        bone = self.neutral.bones["head"]
        ends = [self.rig.tails[bone], *(self.rig.heads[c] for c in self.rig.descendants(bone))]
        top = max(float(self.local("head", end)[2]) for end in ends)
        base = float(self.local("head", self.rig.heads[bone])[2])
        return float(np.clip(top, base + 0.08 * neck, base + 0.3 * neck))


def skin_points(rig: Rig, neutral: Neutral) -> dict[str, Array]:
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
