# SPDX-License-Identifier: GPL-3.0-or-later
"""Roles from names of every family, maps as files, and the refusals."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from backflip_addon.core.rigs import roles
from backflip_addon.core.rigs.rig import Rig, RigError, check_sound

from .rig_families import FAMILIES, named, nameless
from .skeletons import figure


@pytest.mark.parametrize("family", FAMILIES)
def test_names_of_a_family(family: str) -> None:
    rig, expected = named(family)
    found = roles.guess(rig)
    assert found.bones == expected
    assert all(found.certain.values())
    roles.check(rig, found)


def test_vrm_map_wins_over_names() -> None:
    rig, expected = named("mixamo")
    words = {"pelvis": "hips", "upper_arm": "UpperArm", "forearm": "LowerArm", "thigh": "UpperLeg", "shin": "LowerLeg"}
    words |= {"shoulder": "Shoulder", "hand": "Hand", "foot": "Foot", "toe": "Toes"}
    hints = {}
    for role, bone in expected.items():
        part, _, side = role.partition(".")
        hints[({"L": "left", "R": "right"}[side] if side else "") + words.get(part, part)] = bone
    shuffled = tuple(f"x{i}" for i in range(len(rig.bones)))
    renamed = dict(zip(rig.bones, shuffled, strict=True))
    vrm = dataclasses.replace(rig, bones=shuffled, hints={k: renamed[v] for k, v in hints.items()})
    assert roles.guess(vrm).bones == {role: renamed[bone] for role, bone in expected.items()}


def test_sides_named_as_the_viewer_sees_them_are_exchanged() -> None:
    swap = {"L": "R", "R": "L"}
    rig = figure(name=lambda role: f"{role[:-1]}{swap[role[-1]]}" if role[-2:-1] == "." else role)
    found = roles.guess(rig)
    assert found.bones["thigh.L"] == "thigh.R"
    assert not found.certain["thigh.L"]


def test_control_bones_do_not_take_roles() -> None:
    rig, expected = named("blender")
    extra = ["hand_ik.L", "foot_ik.L", "knee_target.L", "upper_arm_twist.L"]
    count = len(rig.bones)
    wide = dataclasses.replace(
        rig,
        bones=rig.bones + tuple(extra),
        parents=rig.parents + (-1, -1, -1, rig.index("upper_arm.L")),
        rest=np.concatenate([rig.rest, rig.rest[:4]]),
        tails=np.concatenate([rig.tails, rig.tails[:4]]),
        deform=(True,) * count + (False,) * 4,
    )
    assert roles.guess(wide).bones == expected


@pytest.mark.parametrize(
    ("without", "word"),
    [
        (("thigh.L", "shin.L", "foot.L", "toe.L", "thigh.R", "shin.R", "foot.R", "toe.R"), "thigh"),
        (("upper_arm.L", "forearm.L", "hand.L", "upper_arm.R", "forearm.R", "hand.R"), "upper arm"),
        (("foot.R", "toe.R"), "right foot"),
    ],
)
def test_lacking_parts_are_refused_by_name(without: tuple[str, ...], word: str) -> None:
    rig = figure(leave_out=without, spines=6)
    with pytest.raises(RigError, match=word) as refusal:
        roles.check(rig, roles.guess(rig))
    assert str(refusal.value).count("\n") == 0


def test_mirrored_fills_the_other_side() -> None:
    rig, expected = named("mixamo")
    half = roles.RoleMap({role: bone for role, bone in expected.items() if not role.endswith(".R")})
    assert roles.mirrored(rig, half).bones == expected
    rig, expected = nameless()
    one = {r: b for r, b in expected.items() if r in roles.ROLES and not r.endswith(".R")}
    one |= {r: expected[r] for r in ("thigh.R", "upper_arm.R")}
    filled = roles.mirrored(rig, roles.RoleMap(one))
    assert filled.bones == {r: expected[r] for r in roles.ROLES}


def test_map_preset_round_trip() -> None:
    rig, _ = named("unreal 5")
    found = roles.guess(rig)
    assert roles.from_json(json.loads(json.dumps(roles.to_json(found)))) == found


@pytest.mark.parametrize(
    "data", [{}, {"version": 99}, {"version": 1, "bones": []}, {"version": 1, "bones": {"fin": "x"}}]
)
def test_damaged_preset_is_refused(data: dict) -> None:
    with pytest.raises(ValueError, match="bone map"):
        roles.from_json(data)


def test_unsound_rigs_are_refused() -> None:
    good = figure()
    check_sound(good)
    nowhere = np.array(good.rest)
    nowhere[3, 0, 3] = np.nan
    sheared = np.array(good.rest)
    sheared[2, 0, 1] = 0.4
    toy = figure(leave_out=tuple(b for b in good.bones if b[:4] not in ("pelv", "ches", "head", "thig", "uppe")))
    for bad, word in (
        (dataclasses.replace(good, rest=nowhere), "finite"),
        (dataclasses.replace(good, rest=sheared), "sheared"),
        (
            dataclasses.replace(good, rest=np.tile(np.eye(4), (len(good.bones), 1, 1)), tails=good.tails * 0),
            "zero length",
        ),
        (toy, "7 bones"),
    ):
        with pytest.raises(RigError, match=word):
            check_sound(bad)


def test_three_disconnected_skeletons_are_refused() -> None:
    good = figure()
    parents = list(good.parents)
    parents[good.index("chest")] = -1
    parents[good.index("head")] = -1
    split = dataclasses.replace(good, parents=tuple(parents))
    with pytest.raises(RigError, match="not connected"):
        roles.check(split, roles.guess(split))


def test_control_rigs_may_join_their_trees_by_constraints() -> None:
    """Rigify's arms hang on mechanism bones, its hips on another root."""
    good = figure()
    parents = list(good.parents)
    parents[good.index("chest")] = -1
    deform = tuple(name != "neck" for name in good.bones)
    split = dataclasses.replace(good, parents=tuple(parents), deform=deform)
    roles.check(split, roles.guess(split))


def test_three_characters_in_one_armature_are_refused() -> None:
    good = figure()
    count = len(good.bones)
    bones = tuple(f"{name}{ending}" for ending in ("", "_b", "_c") for name in good.bones)
    parents = tuple(p + k * count if p >= 0 else -1 for k in range(3) for p in good.parents)
    rest = np.concatenate([good.rest] * 3)
    rest[count:, 0, 3] += 1.0
    three = Rig("three", bones, parents, rest, np.concatenate([good.tails] * 3), (True,) * (3 * count))
    with pytest.raises(RigError, match="skeletons"):
        roles.check(three, roles.guess(three))
