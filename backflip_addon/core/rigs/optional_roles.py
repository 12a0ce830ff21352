# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles a body can do without (collars, hands, toes, spine, neck), found near the bones of the other roles.

A planted foot without its toe slides, so these are looked for also where a family's names gave all that is needed.
"""

from __future__ import annotations

import numpy as np

from . import body_words
from .names import ROLES, SIDES
from .rig import Rig

_ABOVE = {"shoulder": "chest", "hand": "forearm", "toe": "foot"}  # part -> what it hangs on
_NEAR = 0.6  # of the limb's part above: a hand is no nearer to the elbow


def filled(rig: Rig, bones: dict[str, str], certain: dict[str, bool]) -> tuple[dict[str, str], dict[str, bool]]:
    """A map with the optional roles it lacks, by words, else by their position in a chain; and which are certain."""
    lacking = [role for role in ROLES if role not in bones and _has_neighbours(role, bones)]
    if not lacking:
        return bones, certain
    bones, certain = dict(bones), dict(certain)
    reading = body_words.read(rig, bones)
    for role in lacking:
        positions = _places(rig, role, bones)
        named = reading.bones.get(role)
        if named in positions:
            bones[role], certain[role] = named, role in reading.sure
        elif (only := _by_structure(rig, role, bones, positions)) is not None:
            bones[role], certain[role] = only, False
    return bones, certain


def _has_neighbours(role: str, bones: dict[str, str]) -> bool:
    part, _, side = role.partition(".")
    if part == "shoulder":
        return "chest" in bones and f"upper_arm.{side}" in bones
    if part in _ABOVE:
        return f"{_ABOVE[part]}.{side}" in bones
    return {"spine": "pelvis", "neck": "head"}.get(part, "") in bones and "chest" in bones


def _places(rig: Rig, role: str, bones: dict[str, str]) -> list[str]:
    """Bones that may play a role by where they hang, nearest to the root first, none of them in use."""
    part, _, side = role.partition(".")
    if part == "spine":
        found = _between(rig, bones["pelvis"], bones["chest"])
    elif part == "neck":
        found = _between(rig, bones["chest"], bones["head"])
    elif part == "shoulder":
        found = _between(rig, bones["chest"], bones[f"upper_arm.{side}"])
    else:
        found = rig.descendants(rig.bone_index[bones[f"{_ABOVE[part]}.{side}"]])[1:]
    # a bone that carries the head or the other arm is one of the trunk
    others = [bones[r] for r in ("head", *(f"upper_arm.{s}" for s in SIDES)) if r in bones and role != "spine"]
    if part == "neck":
        others.remove(bones["head"])
    elif part == "shoulder":
        others.remove(bones[f"upper_arm.{side}"])
    carriers = {bone for other in others for bone in rig.ancestors(rig.bone_index[other])}
    return [rig.bones[bone] for bone in found if bone not in carriers and rig.bones[bone] not in bones.values()]


def _between(rig: Rig, top: str, bone: str) -> list[int]:
    """Bones strictly between two of a chain."""
    above, below = rig.bone_index[top], rig.bone_index[bone]
    return rig.chain(above, below)[:-1] if above in rig.ancestors(below) else []


def _by_structure(rig: Rig, role: str, bones: dict[str, str], positions: list[str]) -> str | None:
    """The bone that plays a role by its position alone; None where several might."""
    part, _, side = role.partition(".")
    if part in ("spine", "neck"):
        return positions[0] if positions else None
    if part == "shoulder":
        return positions[-1] if positions else None
    above = rig.bone_index[bones[f"{_ABOVE[part]}.{side}"]]
    before = rig.bone_index[bones[f"{'upper_arm' if part == 'hand' else 'shin'}.{side}"]]
    length = float(np.linalg.norm(rig.heads[above] - rig.heads[before]))
    least = _NEAR * length if part == "hand" else 0.1 * length
    ends = [
        child
        for child in rig.children[above]
        if rig.bones[child] in positions and np.linalg.norm(rig.heads[child] - rig.heads[above]) > least
    ]
    going_on = [child for child in ends if rig.children[child]] if part == "hand" else ends
    return rig.bones[going_on[0]] if len(going_on) == 1 and body_words.may_be_body(rig.bones[going_on[0]]) else None
