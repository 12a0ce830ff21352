# SPDX-License-Identifier: GPL-3.0-or-later
"""Roles of skeletons whose names say nothing, with tails, wings, skirts and twist bones."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from backflip_addon.core.rigs import roles
from backflip_addon.core.rigs.rig import Rig

from .rig_families import nameless
from .skeletons import about, figure


@pytest.mark.parametrize(
    "kind",
    [
        {},
        {"arms": 45.0},
        {"turn": about((0, 0, 1), 180)},
        {"turn": about((0, 0, 1), 90)},
        {"turn": about((1, 0, 0), 90)},
        {"scale": 0.011},
        {"scale": 100.0},
        {"axes": about((1, 0, 0), 90)},
        {"spines": 1},
        {"spines": 6},
        {"leave_out": ("neck", "shoulder.L", "shoulder.R", "toe.L", "toe.R"), "knee": 10.0},
        {"root": True},
    ],
)
def test_structure_alone(kind: dict[str, object]) -> None:
    rig, names = nameless(**kind)
    found = roles.guess(rig)
    assert roles.missing(found) == []
    assert {role: names[role] for role in found.bones} == found.bones
    assert not any(found.certain.values())


def _with_bones(rig: Rig, more: list[tuple[str, str, np.ndarray]]) -> Rig:
    """The rig with further bones (name, parent, head), each after its parent."""
    bones, parents = list(rig.bones), [rig.bones[p] if p >= 0 else "" for p in rig.parents]
    rest, tails = list(rig.rest), list(rig.tails)
    for name, parent, head in more:
        matrix = np.eye(4)
        matrix[:3, 3] = head
        bones.append(name)
        parents.append(parent)
        rest.append(matrix)
        tails.append(head + [0.0, 0.0, 0.04])
    positions = tuple(bones.index(p) if p else -1 for p in parents)
    return Rig(rig.name, tuple(bones), positions, np.array(rest), np.array(tails), (True,) * len(bones))


def _serial_twists(rig: Rig, limbs: tuple[tuple[str, str], ...], count: int) -> Rig:
    """Twist bones between a limb's bones, one behind the other, as parents of the next."""
    for upper, lower in limbs:
        for side in "LR":
            start, end = (rig.heads[rig.index(f"{part}.{side}")] for part in (upper, lower))
            bones, parents = list(rig.bones), [rig.bones[p] if p >= 0 else "" for p in rig.parents]
            rest, tails = list(rig.rest), list(rig.tails)
            at, above = bones.index(f"{lower}.{side}"), f"{upper}.{side}"
            for k in range(count):
                matrix = np.eye(4)
                matrix[:3, 3] = start + (end - start) * (k + 1) / (count + 1)
                bones.insert(at + k, f"{upper} twist {k}.{side}")
                parents.insert(at + k, above)
                rest.insert(at + k, matrix)
                tails.insert(at + k, matrix[:3, 3] + [0.0, 0.0, 0.02])
                above = bones[at + k]
            parents[at + count] = above
            positions = tuple(bones.index(p) if p else -1 for p in parents)
            rig = Rig(rig.name, tuple(bones), positions, np.array(rest), np.array(tails), (True,) * len(bones))
    return rig


def _chain(rig: Rig, start: str, name: str, count: int, step: tuple[float, float, float]) -> Rig:
    """A chain of bones from a bone on."""
    origin = rig.heads[rig.index(start)]
    above = [start, *(f"{name}{k}" for k in range(count))]
    return _with_bones(rig, [(f"{name}{k}", above[k], origin + np.array(step) * (k + 1)) for k in range(count)])


def _tailed(rig: Rig) -> Rig:
    return _chain(rig, "pelvis", "tail", 9, (0.0, 0.12, -0.05))


def _winged(rig: Rig, length: float = 0.25) -> Rig:
    for side, sign in (("L", 1.0), ("R", -1.0)):
        rig = _chain(rig, "chest", f"wing {side}", 5, (sign * length, 0.08, 0.05))
    return rig


def _fingered(rig: Rig) -> Rig:
    for side, sign in (("L", 1.0), ("R", -1.0)):
        for finger in range(5):
            rig = _chain(rig, f"hand.{side}", f"f{finger}{side}", 3, (sign * 0.04, (finger - 2) * 0.008, 0.0))
    return rig


def _skirted(rig: Rig) -> Rig:
    for panel in range(8):
        c, s = np.cos(np.pi * panel / 4), np.sin(np.pi * panel / 4)
        rig = _chain(rig, "pelvis", f"skirt{panel} ", 4, (0.06 * c, 0.06 * s, -0.15))
    return rig


def _haired(rig: Rig) -> Rig:
    for lock in range(6):
        rig = _chain(rig, "head", f"lock{lock} ", 4, (0.03 * np.cos(lock), 0.03 * np.sin(lock), -0.1))
    return rig


_ARMS = (("upper_arm", "forearm"), ("forearm", "hand"))
_LEGS = (("thigh", "shin"), ("shin", "foot"))
STRANGE = {
    "one twist bone in each arm part": _serial_twists(figure(root=True), _ARMS, 1),
    "two twist bones in every limb": _serial_twists(figure(root=True), _ARMS + _LEGS, 2),
    "fingers and twist bones": _fingered(_serial_twists(figure(arms=40.0), _ARMS, 2)),
    "tail": _tailed(figure()),
    "wings": _winged(figure()),
    "wings wider than the legs are long": _winged(figure(), 0.4),
    "tail and wings": _winged(_tailed(figure(arms=45.0))),
    "skirt": _skirted(figure()),
    "long hair": _haired(figure()),
    "everything": _haired(_skirted(_fingered(figure(spines=4, root=True)))),
}


@pytest.mark.parametrize("kind", STRANGE)
def test_structure_alone_of_strange_skeletons(kind: str) -> None:
    rig = STRANGE[kind]
    names = {bone: f"Bone.{i:03d}" for i, bone in enumerate(rig.bones)}
    nameless = dataclasses.replace(rig, bones=tuple(names.values()))
    role_map = roles.guess(nameless)
    roles.check(nameless, role_map)
    found = {role: next(b for b, n in names.items() if n == name) for role, name in role_map.bones.items()}
    assert {role: bone for role, bone in found.items() if role != bone and role not in ("spine", "chest")} == {}
    assert {"shoulder.L", "shoulder.R", "toe.L", "toe.R", "hand.L"} <= found.keys()
    assert not any(role_map.certain.values())
