# SPDX-License-Identifier: GPL-3.0-or-later
"""Control rigs: which controls an animator would pose to move the bones that carry the body.

Bones of a generated rig follow its controls through constraints; keys on them would be lost. The
family's data file tells which controls move which bone, and what has to be switched to FK.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection
from functools import cache
from typing import Any

from .binding import Binding
from .names import SIDES, described, sided


@dataclasses.dataclass(frozen=True)
class Switch:
    """A custom property of a bone and the value it is keyed with; an IK/FK switch for one."""

    bone: str
    prop: str
    value: float


@dataclasses.dataclass(frozen=True)
class Controls:
    """What a bake keys on a control rig.

    links: control -> the link it moves rigidly with. at_rest: controls that are kept at rest.
    turned_by: bone that carries the body -> the bone that has its whole rotation, where the rig
    spreads the twist of a limb over several bones.
    """

    family: str
    links: dict[str, str]
    switches: tuple[Switch, ...]
    at_rest: tuple[str, ...]
    turned_by: dict[str, str]


@dataclasses.dataclass(frozen=True)
class _Family:
    name: str
    bones: dict[str, tuple[str, ...]]  # bone that carries the body -> its controls
    switches: tuple[Switch, ...]
    at_rest: re.Pattern[str]
    turned_by: dict[str, str]


def find(binding: Binding, bones: Collection[str]) -> Controls | None:
    """The controls of a rig with these bones, None where the body's bones are keyed themselves."""
    carriers = binding.bones
    played = [link.bone for link in binding.links if link.bone]
    for family in _families():
        if not all(any(c in bones for c in family.bones.get(bone, ())) for bone in played):
            continue
        links = {c: carriers[bone] for bone in carriers for c in family.bones.get(bone, ()) if c in bones}
        resting = tuple(bone for bone in bones if bone not in links and family.at_rest.fullmatch(bone))
        switches = tuple(switch for switch in family.switches if switch.bone in bones)
        turned = {bone: other for bone, other in family.turned_by.items() if other in bones}
        return Controls(family.name, links, switches, resting, turned)
    return None


@cache
def _families() -> tuple[_Family, ...]:
    return tuple(_family(d["name"], d["controls"]) for d in described() if "controls" in d)


def _family(name: str, data: dict[str, Any]) -> _Family:
    bones = {
        sided(bone, side): tuple(sided(control, side) for control in controls)
        for bone, controls in data["bones"].items()
        for side in SIDES
    }
    switches = {
        Switch(sided(switch["bone"], side), str(switch["property"]), float(switch["value"])): None
        for switch in data["switches"]
        for side in SIDES
    }
    at_rest = re.compile("|".join(f"(?:{pattern})" for pattern in data["at_rest"]))
    turned = {sided(a, side): sided(b, side) for a, b in data.get("turned_by", {}).items() for side in SIDES}
    return _Family(name, bones, tuple(switches), at_rest, turned)
