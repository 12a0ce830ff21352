# SPDX-License-Identifier: GPL-3.0-or-later
"""Bone names of the known rig families (families.json)."""

from __future__ import annotations

import dataclasses
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from .rig import Rig

SIDES = ("L", "R")
PAIRED = ("shoulder", "upper_arm", "forearm", "hand", "thigh", "shin", "foot", "toe")
ROLES: tuple[str, ...] = (
    "pelvis", "spine", "chest", "neck", "head", *(f"{part}.{side}" for side in SIDES for part in PAIRED),
)  # fmt: skip
_OPTIONAL = {"spine", "neck", *(f"{part}.{side}" for side in SIDES for part in ("shoulder", "hand", "toe"))}
REQUIRED: tuple[str, ...] = tuple(role for role in ROLES if role not in _OPTIONAL)


@dataclasses.dataclass(frozen=True)
class Family:
    """One rig family's names: role -> possible names, best first, in plain form (see _plain)."""

    name: str
    prefix: re.Pattern[str] | None
    roles: dict[str, tuple[str, ...]]
    priority: int


@cache
def families() -> tuple[Family, ...]:
    """All rig families, from their file."""
    return tuple(map(_read_family, described()))


@cache
def described() -> tuple[dict[str, Any], ...]:
    """What families.json says of each rig family."""
    return tuple(json.loads(Path(__file__).with_name("families.json").read_text(encoding="utf-8")))


def _read_family(data: dict[str, Any]) -> Family:
    roles = {}
    for role, names in data["roles"].items():
        for side in SIDES if role in PAIRED else ("",):
            key = f"{role}.{side}" if side else role
            roles[key] = tuple(_plain(sided(name, side)) for name in names)
    prefix = re.compile(data["prefix"], re.IGNORECASE) if "prefix" in data else None
    return Family(data["name"], prefix, roles, int(data.get("priority", 0)))


def sided(template: str, side: str) -> str:
    """A family's name for one side: {Left}, {left}, {L}, {l} and {左} stand for the side."""
    if side != "R":
        return template.replace("{", "").replace("}", "")
    for left, right in (("Left", "Right"), ("left", "right"), ("L", "R"), ("l", "r"), ("左", "右")):
        template = template.replace("{" + left + "}", right)
    return template


def _plain(name: str) -> str:
    """Letters and digits alone, lower case: spellings with dots, dashes and blanks are one."""
    return re.sub(r"[\W_]+", "", name).lower()


def readings(rig: Rig) -> list[list[str]]:
    """Ways to read the bone names: as they are, without a name space, without a common beginning or ending."""
    names = _short_names(rig)
    ways = [list(rig.bones), names]
    for start in _shared(names):
        ways.append([name[len(start) :] if name.startswith(start) else name for name in names])
    for way in list(ways[1:]):
        for end in _shared([name[::-1] for name in way]):
            ways.append([name[: -len(end)] if name[::-1].startswith(end) else name for name in way])
    unique: dict[tuple[str, ...], list[str]] = {tuple(way): way for way in ways}
    return list(unique.values())


def _short_names(rig: Rig) -> list[str]:
    """Bone names without a name space ("rig:")."""
    return [re.split(r"[:|]", name)[-1] or name for name in rig.bones]


def _shared(names: list[str], most: int = 3) -> list[str]:
    """Beginnings up to a separator or a capital that at least ten names (and half of them) share."""
    counts: dict[str, int] = {}
    for name in names:
        for cut in re.finditer(r"[_\-. ]|(?<=[a-z])(?=[A-Z])", name[:-1]):
            if cut.end():
                start = name[: cut.end()]
                counts[start] = counts.get(start, 0) + 1
    shared = [start for start, count in counts.items() if count >= max(10, 0.4 * len(names))]
    return sorted(shared, key=lambda start: -len(start))[:most]


def read(family: Family, ways: list[list[str]], rig: Rig) -> dict[str, str]:
    """role -> bone that carries the family's name, in the way of reading (see readings) that gives most of them."""
    best: dict[str, str] = {}
    for way in ways:
        found: dict[str, str] = {}
        spellings = _spellings(way, family.prefix, rig.bones)
        for role, names in family.roles.items():
            for by_name in spellings:
                bone = next((by_name[name] for name in names if name in by_name), None)
                if bone is not None and bone not in found.values():
                    found[role] = bone
                    break
        best = found if score(found) > score(best) else best
    return best


def _spellings(way: list[str], prefix: re.Pattern[str] | None, bones: tuple[str, ...]) -> list[dict[str, str]]:
    """Plain name -> bone (of equal names the one nearest the root), strictest spelling first."""
    short = [prefix.sub("", name) for name in way] if prefix is not None else way
    tail = re.compile(r"(?<=.)[._]\d+$")  # numbers that exporters add
    found: list[dict[str, str]] = []
    for names in (short, [tail.sub("", name) for name in short]):
        by_name: dict[str, str] = {}
        for bone, name in zip(bones, names, strict=True):
            by_name.setdefault(_plain(name), bone)
        found.append(by_name)
    return found


def score(bones: dict[str, str]) -> float:
    """How good a map is: required roles count most."""
    return 10.0 * sum(role in bones for role in REQUIRED) + len(bones)
