# SPDX-License-Identifier: GPL-3.0-or-later
"""Which bones of a trunk are its pelvis and its chest, where names and hierarchy say different things."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .rig import Rig

_NEAR = 0.5  # leg lengths; a bone farther than this from the hips is a root on the floor, or stands elsewhere


def pelvis_bone(rig: Rig, bone_of: Mapping[str, int]) -> int:
    """The bone that plays the pelvis, given the one that is named so: it carries both thighs and the spine.

    Some rigs hang thighs and hips side by side on a bone of the body. bone_of: role -> bone, pelvis and legs at least.
    """
    named, thighs = bone_of["pelvis"], (bone_of["thigh.L"], bone_of["thigh.R"])
    if all(named in rig.ancestors(thigh) for thigh in thighs):
        return named
    legs = rig.common_ancestor(*thighs)
    above = rig.common_ancestor(named, legs) if legs >= 0 else -1
    if above < 0 or above in bone_of.values():
        return named
    hips = rig.heads[list(thighs)].mean(axis=0)
    leg = 2.0 * float(np.linalg.norm(rig.heads[bone_of["shin.L"]] - rig.heads[bone_of["thigh.L"]]))
    return above if np.linalg.norm(rig.heads[above] - hips) < _NEAR * leg else named


def trunk_bones(rig: Rig, bone_of: Mapping[str, int]) -> list[int]:
    """Bones above the pelvis up to the one that carries the arms: the chest. Empty where these do not hang together.

    Collar bones may hang on the neck; it nods, and the chest is below it. bone_of: role -> bone, pelvis and both
    upper arms at least.
    """
    carrier = rig.common_ancestor(bone_of["upper_arm.L"], bone_of["upper_arm.R"])
    if carrier < 0 or bone_of["pelvis"] not in rig.ancestors(carrier):
        return []
    line = [bone for bone in rig.chain(bone_of["pelvis"], carrier) if bone != bone_of["pelvis"]]
    above = [i for i, bone in enumerate(line) if bone in (bone_of.get("neck"), bone_of.get("head"))]
    return line[: above[0]] if above and above[0] > 0 else line
