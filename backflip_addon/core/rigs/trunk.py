# SPDX-License-Identifier: GPL-3.0-or-later
"""Which bones of a trunk are its pelvis and its chest, where names and hierarchy say different things."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .rig import Rig

_NEAR = 0.5  # leg lengths; a bone farther than this from the hips is a root on the floor, or stands elsewhere


def pelvis_bone(rig: Rig, place: Mapping[str, int]) -> int:
    """The bone that plays the pelvis, given the one that is named so: it carries both thighs and the spine.

    Some rigs hang thighs and hips side by side on a bone of the body. place: role -> bone, pelvis and legs at least.
    """
    named, thighs = place["pelvis"], (place["thigh.L"], place["thigh.R"])
    if all(named in rig.ancestors(thigh) for thigh in thighs):
        return named
    legs = rig.common_ancestor(*thighs)
    above = rig.common_ancestor(named, legs) if legs >= 0 else -1
    if above < 0 or above in place.values():
        return named
    hips = rig.heads[list(thighs)].mean(axis=0)
    leg = 2.0 * float(np.linalg.norm(rig.heads[place["shin.L"]] - rig.heads[place["thigh.L"]]))
    return above if np.linalg.norm(rig.heads[above] - hips) < _NEAR * leg else named


def trunk_bones(rig: Rig, place: Mapping[str, int]) -> list[int]:
    """Bones above the pelvis up to the one that carries the arms: the chest. Empty where these do not hang together.

    Collar bones may hang on the neck; it nods, and the chest is below it. place: role -> bone, pelvis and both
    upper arms at least.
    """
    carrier = rig.common_ancestor(place["upper_arm.L"], place["upper_arm.R"])
    if carrier < 0 or place["pelvis"] not in rig.ancestors(carrier):
        return []
    line = [bone for bone in rig.chain(place["pelvis"], carrier) if bone != place["pelvis"]]
    above = [i for i, bone in enumerate(line) if bone in (place.get("neck"), place.get("head"))]
    return line[: above[0]] if above and above[0] > 0 else line
