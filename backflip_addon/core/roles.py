# SPDX-License-Identifier: GPL-3.0-or-later
"""Which bone of a rig plays which part of a body.

Names are looked up in one data file per rig family (families/*.json), then read word by word, and
what is still missing is guessed from the skeleton's structure (core.structure).
"""

from __future__ import annotations

import dataclasses
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from . import structure
from .rig import Rig, RigError

MAP_VERSION = 1

SIDES = ("L", "R")
_PAIRED = ("shoulder", "upper_arm", "forearm", "hand", "thigh", "shin", "foot", "toe")
ROLES: tuple[str, ...] = (
    "pelvis", "spine", "chest", "neck", "head", *(f"{part}.{side}" for side in SIDES for part in _PAIRED),
)  # fmt: skip
_OPTIONAL = {"spine", "neck", *(f"{part}.{side}" for side in SIDES for part in ("shoulder", "hand", "toe"))}
REQUIRED: tuple[str, ...] = tuple(role for role in ROLES if role not in _OPTIONAL)

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


@dataclasses.dataclass(frozen=True)
class RoleMap:
    """bones: role -> bone name. certain: role -> False where it was guessed by structure.

    family: the rig family whose names matched, "" where none did.
    """

    bones: dict[str, str]
    certain: dict[str, bool] = dataclasses.field(default_factory=dict)
    family: str = ""


@dataclasses.dataclass(frozen=True)
class Family:
    """One rig family's names: role -> possible names, best first, in plain form (see _plain)."""

    name: str
    prefix: re.Pattern[str] | None
    roles: dict[str, tuple[str, ...]]
    priority: int


def words(role: str) -> str:
    """A role in plain words: "left upper arm"."""
    part, _, side = role.partition(".")
    return {"L": "left ", "R": "right ", "": ""}[side] + _WORDS[part]


def guess(rig: Rig) -> RoleMap:
    """The best map that hints, names and structure give; it may lack roles (see missing)."""
    best = _from_hints(rig)
    for family in families():
        found = _from_family(rig, family)
        if _score(found) > _score(best):
            best = found
    bones = _tidy(rig, dict(best.bones))
    if any(role not in bones for role in REQUIRED):
        for role, bone in _from_words(rig).items():
            if role not in bones and bone not in bones.values():
                bones[role] = bone
        bones = _tidy(rig, bones)
    certain = dict.fromkeys(bones, True)
    if any(role not in bones for role in REQUIRED):
        for role, bone in structure.guess(rig).items():
            if role not in bones and bone not in bones.values():
                bones[role], certain[role] = bone, False
    return RoleMap(
        {r: bones[r] for r in ROLES if r in bones}, {r: certain[r] for r in ROLES if r in bones}, best.family
    )


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
        if bone not in rig.places:
            raise RigError(
                f"The {words(role)} is mapped to {bone}, which {rig.name} does not have: choose another bone."
            )
    _check_doubles(role_map)
    _check_geometry(rig, role_map)


def mirrored(rig: Rig, role_map: RoleMap) -> RoleMap:
    """The map with each one-sided gap filled by the mirror image of the other side's bone."""
    return role_map


def to_json(role_map: RoleMap) -> dict[str, Any]:
    """A map preset as JSON-ready data."""
    return {"version": MAP_VERSION, **dataclasses.asdict(role_map)}


def from_json(data: dict[str, Any]) -> RoleMap:
    """The inverse of to_json. Raises ValueError with a sentence on data that is no map."""
    if not isinstance(data, dict) or data.get("version") != MAP_VERSION:
        raise ValueError("the bone map was written by another version of Backflip or is no bone map")
    bones, certain = data.get("bones"), data.get("certain", {})
    if not isinstance(bones, dict) or not isinstance(certain, dict):
        raise ValueError("the bone map is damaged: its list of bones is missing")
    unknown = [role for role in bones if role not in ROLES]
    if unknown or not all(isinstance(bone, str) for bone in bones.values()):
        raise ValueError(f"the bone map is damaged: {', '.join(map(str, unknown)) or 'a bone'} is not known")
    return RoleMap(dict(bones), {r: bool(certain.get(r, True)) for r in bones}, str(data.get("family", "")))


@cache
def families() -> tuple[Family, ...]:
    """All rig families, from the data files."""
    files = sorted((Path(__file__).parent / "families").glob("*.json"))
    return tuple(_read_family(json.loads(file.read_text(encoding="utf-8"))) for file in files)


def _read_family(data: dict[str, Any]) -> Family:
    roles = {}
    for role, names in data["roles"].items():
        for side in SIDES if role in _PAIRED else ("",):
            key = f"{role}.{side}" if side else role
            roles[key] = tuple(_plain(_sided(name, side)) for name in names)
    prefix = re.compile(data["prefix"], re.IGNORECASE) if "prefix" in data else None
    return Family(data["name"], prefix, roles, int(data.get("priority", 0)))


def _sided(template: str, side: str) -> str:
    """A family file's name for one side: {Left}, {left}, {L}, {l} and {左} stand for the side."""
    if side != "R":
        return template.replace("{", "").replace("}", "")
    for left, right in (("Left", "Right"), ("left", "right"), ("L", "R"), ("l", "r"), ("左", "右")):
        template = template.replace("{" + left + "}", right)
    return template


def _plain(name: str) -> str:
    """Letters and digits alone, lower case: spellings with dots, dashes and blanks are one."""
    return re.sub(r"[\W_]+", "", name).lower()


def _stripped(rig: Rig) -> list[str]:
    """Bone names without a name space ("rig:") and without what nearly all of them begin with."""
    names = [re.split(r"[:|]", name)[-1] or name for name in rig.bones]
    common = _common_prefix(names)
    return [name[len(common) :] if name.startswith(common) and len(name) > len(common) else name for name in names]


def _common_prefix(names: list[str]) -> str:
    """The longest beginning, up to a separator, that four in five names share; "" where none."""
    counts: dict[str, int] = {}
    for name in names:
        for cut in re.finditer(r"[_\-. ]", name[:-1]):
            start = name[: cut.end()]
            counts[start] = counts.get(start, 0) + 1
    shared = [start for start, count in counts.items() if count >= 0.8 * len(names)]
    return max(shared, key=len, default="")


def _score(role_map: RoleMap) -> float:
    """How good a family's match is: required roles count most."""
    required = sum(role in role_map.bones for role in REQUIRED)
    return 10.0 * required + len(role_map.bones)


def _from_hints(rig: Rig) -> RoleMap:
    """The humanoid map that the file itself holds, in VRM's names or in ours."""
    bones: dict[str, str] = {}
    for key, bone in rig.hints.items():
        role = key if key in ROLES else _vrm_role(key)
        if role and bone in rig.places:
            bones[role] = bone
    found = RoleMap(bones, dict.fromkeys(bones, True), "VRM")
    return found if _score(found) >= 100 else RoleMap({}, {}, "")


def _vrm_role(key: str) -> str:
    side = {"l": "L", "r": "R"}[key[0]] if re.match(r"(left|right)[A-Z]", key) else ""
    part = _VRM.get(re.sub(r"^(left|right)(?=[A-Z])", "", key), "")
    return f"{part}.{side}" if part and side else part


def _from_family(rig: Rig, family: Family) -> RoleMap:
    """Roles whose bones carry the family's names."""
    spellings = _spellings(rig, family.prefix)
    bones: dict[str, str] = {}
    for role, names in family.roles.items():
        for by_name in spellings:
            bone = next((by_name[name] for name in names if name in by_name), None)
            if bone is not None and bone not in bones.values():
                bones[role] = bone
                break
    return RoleMap(bones, dict.fromkeys(bones, True), family.name)


def _spellings(rig: Rig, prefix: re.Pattern[str] | None) -> list[dict[str, str]]:
    """Ways to read the names, strictest first: plain name -> bone (the first, nearest the root)."""
    short = _stripped(rig)
    if prefix is not None:
        short = [prefix.sub("", name) for name in short]
    tail = re.compile(r"[._]\d+$")  # numbers that exporters add
    ways = [list(rig.bones), short, [tail.sub("", name) for name in short]]
    found: list[dict[str, str]] = []
    for way in ways:
        by_name: dict[str, str] = {}
        for bone, name in zip(rig.bones, way, strict=True):
            by_name.setdefault(_plain(name), bone)
        found.append(by_name)
    return found


def _tidy(rig: Rig, bones: dict[str, str]) -> dict[str, str]:
    """Trunk roles checked against the hierarchy: the chest carries the arms, the spine is below it."""
    place = rig.places
    if "pelvis" not in bones or "upper_arm.L" not in bones or "upper_arm.R" not in bones:
        return bones
    carrier = rig.common_ancestor(place[bones["upper_arm.L"]], place[bones["upper_arm.R"]])
    pelvis = place[bones["pelvis"]]
    trunk = rig.chain(pelvis, carrier) if carrier >= 0 and pelvis in rig.ancestors(carrier) else []
    trunk = [bone for bone in trunk if bone != pelvis]
    if not trunk:
        return bones
    names = [rig.bones[bone] for bone in trunk]
    if bones.get("chest") not in names:
        bones["chest"] = names[-1]
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
    heads = {role: rig.heads[rig.places[bone]] for role, bone in role_map.bones.items()}
    size = float(np.ptp(np.array(list(heads.values())), axis=0).max())
    for side in SIDES:
        for upper, lower in (("upper_arm", "forearm"), ("thigh", "shin"), ("shin", "foot")):
            a, b = f"{upper}.{side}", f"{lower}.{side}"
            if np.linalg.norm(heads[a] - heads[b]) < 1e-3 * size:
                raise RigError(
                    f"The {words(a)} of {rig.name} has no length: check the bones of the {words(a)} and below."
                )
    pelvis = rig.root_of(rig.places[role_map.bones["pelvis"]])
    for role in ("head", "upper_arm.L", "upper_arm.R", "thigh.L", "thigh.R"):
        if rig.root_of(rig.places[role_map.bones[role]]) != pelvis:
            raise RigError(
                f"{rig.name} holds several skeletons that are not connected: its {words(role)} does not hang "
                "on its hips; parent the bones to one skeleton first."
            )


def _list(words_: list[str]) -> str:
    return words_[0] if len(words_) == 1 else ", ".join(words_[:-1]) + " and " + words_[-1]


def _from_words(rig: Rig) -> dict[str, str]:
    """Roles read word by word from names in no known convention."""
    return {}
