# SPDX-License-Identifier: GPL-3.0-or-later
"""Which bone of a rig plays which part of a body.

Names are looked up in one data file per rig family (core.rigs.names), then read word by word
(core.rigs.body_words), and what is still missing is guessed from the skeleton's structure (core.rigs.structure).
Which bones of a trunk are its pelvis and its chest is told by the hierarchy where names say different things.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..arrays import Array
from . import body_words, names, optional_roles, structure
from .names import REQUIRED as REQUIRED
from .names import ROLES as ROLES
from .names import SIDES, score
from .rig import FEWEST_BONES, Rig, RigError

MAP_VERSION = 1
_FEWEST_OF_FAMILY = 6  # required roles: fewer names than that are shared by chance

_WORDS = {
    "pelvis": "hips", "chest": "chest", "head": "head", "spine": "spine", "neck": "neck", "shoulder": "collar bone",
    "upper_arm": "upper arm", "forearm": "forearm", "hand": "hand", "thigh": "thigh", "shin": "shin", "foot": "foot",
    "toe": "toes",
}  # fmt: skip

# VRM's names of the parts, in both versions of the format.
_VRM = {
    "hips": "pelvis", "spine": "spine", "chest": "chest", "neck": "neck", "head": "head",
    "Shoulder": "shoulder", "UpperArm": "upper_arm", "LowerArm": "forearm", "Hand": "hand",
    "UpperLeg": "thigh", "LowerLeg": "shin", "Foot": "foot", "Toes": "toe",
}  # fmt: skip


_SWAP = {
    "Left": "Right", "Right": "Left", "left": "right", "right": "left", "LEFT": "RIGHT", "RIGHT": "LEFT",
    "L": "R", "R": "L", "l": "r", "r": "l", "左": "右", "右": "左",
}  # fmt: skip
_NEAR = 0.5  # leg lengths; a bone farther than this from the hips is a root on the floor, or stands elsewhere


@dataclasses.dataclass(frozen=True)
class RoleMap:
    """bones: role -> bone name. certain: role -> False where it was guessed, see guess.

    family: the rig family whose names matched, "" where none did.
    """

    bones: dict[str, str]
    certain: dict[str, bool] = dataclasses.field(default_factory=dict)
    family: str = ""


def words(role: str) -> str:
    """A role in plain words: "left upper arm"."""
    part, _, side = role.partition(".")
    return {"L": "left ", "R": "right ", "": ""}[side] + _WORDS[part]


def guess(rig: Rig, positions: Array | None = None) -> RoleMap:
    """The best map that hints, names and structure give; it may lack roles (see missing).

    positions (F, B, 3): the joints in the frames of a clip, world, which tell more than a rest pose. A role is not
    certain where it was guessed by structure, or from a word that may mean another part.
    """
    bones, family = _by_names(rig)
    if sum(role in bones for role in REQUIRED) < _FEWEST_OF_FAMILY:
        bones, family = {}, ""
    bones = _tidy(rig, bones)
    certain = dict.fromkeys(bones, True)
    if _lacks(bones):
        bones, certain = _completed(rig, bones, positions)
    bones, certain = optional_roles.filled(rig, bones, certain)
    if _backwards(rig, bones):
        bones = {_other(role): bone for role, bone in bones.items()}
        certain = dict.fromkeys(bones, False)
    ordered = [role for role in ROLES if role in bones]
    return RoleMap({r: bones[r] for r in ordered}, {r: certain[r] for r in ordered}, family)


def _by_names(rig: Rig) -> tuple[dict[str, str], str]:
    """The roles that the file itself tells or a family's names do, and the family."""
    best, family = _from_hints(rig), "VRM"
    most = score(best)
    ways = names.readings(rig)
    for known in names.families():
        found = names.read(known, ways, rig)
        if score(found) + known.priority > most:
            best, family, most = found, known.name, score(found)
    return best, family if best else ""


def _completed(rig: Rig, named: dict[str, str], positions: Array | None) -> tuple[dict[str, str], dict[str, bool]]:
    """A map that lacks required roles, filled by words and by structure; and which roles are certain."""
    by_structure = structure.guess(rig, positions, body_words.sides(rig))
    reading = body_words.read(rig, by_structure)
    # whichever tells more goes first: a family may share a few names with a rig that is none of it
    first, second = (named, reading.bones) if score(named) >= score(reading.bones) else (reading.bones, named)
    bones = _tidy(rig, _filled(first, second))
    if not _lacks(by_structure) and sum(role in bones for role in REQUIRED) < 10:
        bones = by_structure  # names of a few roles alone do more harm than good
    else:
        bones = _filled(bones, by_structure)
    said = {role: {named.get(role), reading.bones.get(role) if role in reading.sure else None} for role in bones}
    return bones, {role: bone in said[role] for role, bone in bones.items()}


def _lacks(bones: dict[str, str]) -> bool:
    return any(role not in bones for role in REQUIRED)


def _filled(bones: dict[str, str], more: dict[str, str]) -> dict[str, str]:
    """bones with the roles it lacks taken from more, no bone twice.

    A bone that an optional role holds may be taken by a required one.
    """
    filled = dict(bones)
    for role, bone in more.items():
        holder = next((r for r, b in filled.items() if b == bone), None)
        if role in filled or holder in REQUIRED or (holder is not None and role not in REQUIRED):
            continue
        if holder is not None:
            del filled[holder]
        filled[role] = bone
    return filled


def _other(role: str) -> str:
    """The role on the other side; a role of the trunk is its own."""
    part, _, side = role.partition(".")
    return f"{part}.{'R' if side == 'L' else 'L'}" if side else part


def _backwards(rig: Rig, bones: dict[str, str]) -> bool:
    """Whether both feet point to the back: then left and right are named as the viewer sees them."""
    needed = ("thigh.L", "thigh.R", "upper_arm.L", "upper_arm.R", "foot.L", "foot.R", "toe.L", "toe.R")
    if any(role not in bones for role in needed):
        return False
    at = {role: rig.heads[rig.bone_index[bones[role]]] for role in needed}
    up = at["upper_arm.L"] + at["upper_arm.R"] - at["thigh.L"] - at["thigh.R"]
    left = at["thigh.L"] - at["thigh.R"] + at["upper_arm.L"] - at["upper_arm.R"]
    ahead = np.cross(left, up)
    feet = [at[f"toe.{side}"] - at[f"foot.{side}"] for side in SIDES]
    return all(foot @ ahead < -0.7 * np.linalg.norm(foot) * np.linalg.norm(ahead) for foot in feet)


def missing(role_map: RoleMap) -> list[str]:
    """Required roles that have no bone."""
    return [role for role in REQUIRED if role not in role_map.bones]


def check(rig: Rig, role_map: RoleMap) -> None:
    """Raises RigError with one sentence when the map cannot carry a body."""
    lacking = missing(role_map)
    if lacking:
        raise RigError(
            f"{rig.name} has no bone for the {_list([words(r) for r in lacking])}: "
            "choose one in the bone map, or pick a character that has it."
        )
    for role, bone in role_map.bones.items():
        if bone not in rig.bone_index:
            raise RigError(
                f"The {words(role)} is mapped to {bone}, which {rig.name} does not have: choose another bone."
            )
    _check_doubles(role_map)
    _check_geometry(rig, role_map)


def mirrored(rig: Rig, role_map: RoleMap) -> RoleMap:
    """The map with each gap on one side filled by the mirror image of the other side's bone.

    The image is the bone that has the same name but for its side, else the one that lies nearest to
    the mirrored position.
    """
    bones, certain = dict(role_map.bones), dict(role_map.certain)
    for role, bone in role_map.bones.items():
        other = _other(role)
        if other in bones or other == role:
            continue
        image = _image(rig, role_map, bone)
        if image is not None and image not in bones.values():
            bones[other], certain[other] = image, False
    ordered = [role for role in ROLES if role in bones]
    return RoleMap({r: bones[r] for r in ordered}, {r: certain.get(r, True) for r in ordered}, role_map.family)


def _image(rig: Rig, role_map: RoleMap, bone: str) -> str | None:
    """The bone on the other side of the body."""
    swapped = re.sub(
        r"left|right|(?<![a-zA-Z])[lr](?![a-zA-Z])|(?<=[a-z])[LR](?![a-z])|^[lr](?=[A-Z])",
        lambda found: _SWAP[found.group()],
        re.sub(r"Left|Right|LEFT|RIGHT|左|右|(?<![a-zA-Z])[LR](?![a-zA-Z])", lambda f: "\0" + _SWAP[f.group()], bone),
    ).replace("\0", "")
    if swapped != bone and swapped in rig.bone_index:
        return swapped
    if "pelvis" not in role_map.bones or bone not in rig.bone_index:
        return None
    middle = rig.heads[rig.bone_index[role_map.bones["pelvis"]]]
    pairs = [(r, _other(r)) for r in role_map.bones if r.endswith(".L") and _other(r) in role_map.bones]
    at = {role: rig.heads[rig.bone_index[name]] for role, name in role_map.bones.items()}
    across = sum((at[a] - at[b] for a, b in pairs), np.zeros(3))
    if np.linalg.norm(across) < 1e-9:
        across = np.array([1.0, 0.0, 0.0])
    across = across / np.linalg.norm(across)
    head = rig.heads[rig.bone_index[bone]]
    away = np.linalg.norm(rig.heads - (head - 2 * across * ((head - middle) @ across)), axis=1)
    best = int(np.argmin(away))
    near = 0.05 * float(np.ptp(rig.heads, axis=0).max())
    return rig.bones[best] if away[best] < near and rig.bones[best] != bone else None


def to_json(role_map: RoleMap) -> dict[str, Any]:
    """A map preset as JSON-ready data."""
    return {"version": MAP_VERSION, **dataclasses.asdict(role_map)}


def from_json(data: dict[str, Any]) -> RoleMap:
    """The inverse of to_json. Raises ValueError with a sentence on data that is no map."""
    if not isinstance(data, dict) or data.get("version") != MAP_VERSION:
        raise ValueError("the bone map was written by another version of Backflip or is not a bone map")
    bones, certain = data.get("bones"), data.get("certain", {})
    if not isinstance(bones, dict) or not isinstance(certain, dict):
        raise ValueError("the bone map is damaged: its list of bones is missing")
    unknown = [role for role in bones if role not in ROLES]
    if unknown or not all(isinstance(bone, str) for bone in bones.values()):
        raise ValueError(f"the bone map is damaged: {', '.join(map(str, unknown)) or 'a bone'} is not known")
    return RoleMap(dict(bones), {r: bool(certain.get(r, True)) for r in bones}, str(data.get("family", "")))


def _from_hints(rig: Rig) -> dict[str, str]:
    """The humanoid map that the file itself holds, in VRM's names or in ours."""
    bones: dict[str, str] = {}
    for key, bone in rig.hints.items():
        role = key if key in ROLES else _vrm_role(key)
        if role and bone in rig.bone_index:
            bones[role] = bone
    return bones if score(bones) >= 100 else {}


def _vrm_role(key: str) -> str:
    side = {"l": "L", "r": "R"}[key[0]] if re.match(r"(left|right)[A-Z]", key) else ""
    part = _VRM.get(re.sub(r"^(left|right)(?=[A-Z])", "", key), "")
    return f"{part}.{side}" if part and side else part


def _tidy(rig: Rig, bones: dict[str, str]) -> dict[str, str]:
    """Trunk roles checked against the hierarchy: the pelvis carries legs and spine, the chest the arms."""
    if "pelvis" not in bones or "upper_arm.L" not in bones or "upper_arm.R" not in bones:
        return bones
    if all(f"{part}.{side}" in bones for part in ("thigh", "shin") for side in SIDES):
        bones["pelvis"] = rig.bones[pelvis_bone(rig, {role: rig.bone_index[bone] for role, bone in bones.items()})]
    trunk = trunk_bones(rig, {role: rig.bone_index[bone] for role, bone in bones.items()})
    if not trunk:
        return bones
    names = [rig.bones[bone] for bone in trunk]
    chests = [name for name in names if body_words.says(name, "chest")]
    if bones.get("chest") not in names or (chests and bones["chest"] not in chests):
        bones["chest"] = (chests or names)[-1]
    if bones.get("spine") not in names or bones["spine"] == bones["chest"]:
        bones.pop("spine", None)
        if names[0] != bones["chest"]:
            bones["spine"] = names[0]
    return bones


def _check_doubles(role_map: RoleMap) -> None:
    seen: dict[str, str] = {}
    for role, bone in role_map.bones.items():
        if bone in seen:
            raise RigError(
                f"The bone {bone} is mapped to both the {words(seen[bone])} and the {words(role)}: "
                "choose another bone for one of them."
            )
        seen[bone] = role


def _check_geometry(rig: Rig, role_map: RoleMap) -> None:
    heads = {role: rig.heads[rig.bone_index[bone]] for role, bone in role_map.bones.items()}
    size = float(np.ptp(np.array(list(heads.values())), axis=0).max())
    for side in SIDES:
        for upper, lower in (("upper_arm", "forearm"), ("thigh", "shin"), ("shin", "foot")):
            a, b = f"{upper}.{side}", f"{lower}.{side}"
            if np.linalg.norm(heads[a] - heads[b]) < 1e-3 * size:
                raise RigError(
                    f"The {words(a)} of {rig.name} has no length: check the bones of the {words(a)} and below."
                )
    pelvis = rig.root_of(rig.bone_index[role_map.bones["pelvis"]])
    for role in ("head", "upper_arm.L", "upper_arm.R", "thigh.L", "thigh.R"):
        other = rig.root_of(rig.bone_index[role_map.bones[role]])
        if other != pelvis and not _controlled(rig, (pelvis, other)) and not _is_limb(rig, role_map, other):
            raise RigError(
                f"{rig.name} holds several skeletons that are not connected: its {words(role)} does not hang "
                "on its hips; parent the bones to one skeleton first."
            )
    count = 1 + _others_apart(rig, pelvis, heads["pelvis"], size)
    if count > 1:
        raise RigError(
            f"{rig.name} holds {count} skeletons that are not connected: separate them and pick the one to train."
        )


_UPRIGHT = np.cos(np.radians(50))  # between trunk and legs: more than that is bent at the hips
_PARALLEL = np.cos(np.radians(45))
_SHORTEST_ARMS = 0.15  # of the legs: shorter ones are ears, or fins


def check_upright(rig: Rig, role_map: RoleMap) -> None:
    """Raises RigError for a character that at rest stands on four legs, or has no arms to speak of."""
    at = {role: rig.heads[rig.bone_index[bone]] for role, bone in role_map.bones.items()}
    legs = np.mean([at[f"foot.{side}"] - at[f"thigh.{side}"] for side in SIDES], axis=0)
    arms = np.mean([at[f"forearm.{side}"] - at[f"upper_arm.{side}"] for side in SIDES], axis=0)
    trunk = at["head"] - np.mean([at[f"thigh.{side}"] for side in SIDES], axis=0)
    leg, arm, long = (float(np.linalg.norm(line)) for line in (legs, arms, trunk))
    lengths = [np.linalg.norm(at[f"forearm.{side}"] - at[f"upper_arm.{side}"]) for side in SIDES]
    if min(leg, long) < 1e-9 or max(lengths) < 1e-9:
        return
    if 2 * max(lengths) < _SHORTEST_ARMS * leg:
        raise RigError(
            f"The arms of {rig.name} are far shorter than its legs: check them in the bone map, or pick a character "
            "with two arms and two legs."
        )
    bent = -float(trunk @ legs) < _UPRIGHT * leg * long
    if bent and arm > 1e-9 and float(arms @ legs) > _PARALLEL * leg * arm:
        hands = [at.get(f"hand.{side}", at[f"forearm.{side}"]) for side in SIDES]
        feet = [at[f"foot.{side}"] for side in SIDES]
        if abs(float((np.mean(hands, axis=0) - np.mean(feet, axis=0)) @ legs)) < 0.5 * leg**2:
            raise RigError(f"{rig.name} stands on four legs: pick a character that stands on two.")


def _is_limb(rig: Rig, role_map: RoleMap, root: int) -> bool:
    """Whether a tree of bones holds mapped limbs alone: a take moves them where the body has them."""
    tree = {rig.bones[bone] for bone in rig.descendants(root)}
    return all("." in role for role, bone in role_map.bones.items() if bone in tree)


def _controlled(rig: Rig, roots: tuple[int, ...]) -> bool:
    """Whether these trees hold mechanism beside deforming bones: control rigs join trees by constraints."""
    kinds = {rig.deform[bone] for root in roots for bone in rig.descendants(root)}
    return len(kinds) == 2


def _others_apart(rig: Rig, root: int, pelvis: Array, size: float) -> int:
    """How many further humanoids the armature holds that stand apart from the mapped one.

    A second skeleton in the same place is a control rig's, and welcome.
    """
    others = 0
    for other, parent in enumerate(rig.parents):
        if parent >= 0 or other == root:
            continue
        tree = rig.descendants(other)
        if len(tree) < FEWEST_BONES or np.linalg.norm(rig.heads[tree].mean(axis=0) - pelvis) < 0.4 * size:
            continue
        others += bool(structure.guess(rig.part(tree)))
    return others


def _list(words_: list[str]) -> str:
    return words_[0] if len(words_) == 1 else ", ".join(words_[:-1]) + " and " + words_[-1]


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
