# SPDX-License-Identifier: GPL-3.0-or-later
"""The mannequin as plain data, without Blender: its skeleton, and the body that is fitted to that."""

from __future__ import annotations

import functools

import numpy as np

from ...core.body import Body
from ...core.rigs import fit, roles
from ...core.rigs.rig import Rig
from .shape import BONES, NAME, Bone
from .skin import right_name


@functools.cache
def figure() -> Body:
    """A body of the mannequin's measures; of the usual girth, since it has no skin here."""
    rig = skeleton()
    return fit.fit_body(rig, roles.guess(rig))[0]


def skeleton() -> Rig:
    """The mannequin's bones at rest. Their own axes are the world's: a body needs no other."""
    bones = [*BONES, *(_mirrored(bone) for bone in BONES if bone.name.endswith(".L"))]
    names = [bone.name for bone in bones]
    rest = np.tile(np.eye(4), (len(bones), 1, 1))
    rest[:, :3, 3] = [bone.head for bone in bones]
    parents = tuple(names.index(bone.parent) if bone.parent else -1 for bone in bones)
    tails = np.array([bone.tail for bone in bones], dtype=float)
    return Rig(NAME, tuple(names), parents, rest, tails, (True,) * len(bones))


def _mirrored(bone: Bone) -> Bone:
    """The bone of the other side."""
    (x, y, z), (tail_x, tail_y, tail_z) = bone.head, bone.tail
    parent = right_name(bone.parent) if bone.parent else None
    return Bone(right_name(bone.name), parent, (-x, y, z), (-tail_x, tail_y, tail_z), bone.connected)
