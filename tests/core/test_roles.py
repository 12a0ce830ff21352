# SPDX-License-Identifier: GPL-3.0-or-later
"""Roles from names of every family, from structure, and the refusals."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from backflip_addon.core.rigs import roles
from backflip_addon.core.rigs.rig import Rig, RigError, check_sound

from .skeletons import about, figure

# Real names of rig families, written down from the families' own files: trunk from pelvis to head
# (spine bones between), then the left side with {} for the letters of the side.
FAMILIES: dict[str, dict[str, object]] = {
    "mixamo": {
        "trunk": ["mixamorig:Hips", "mixamorig:Spine", "mixamorig:Spine1", "mixamorig:Spine2"],
        "top": ["mixamorig:Neck", "mixamorig:Head"],
        "side": "mixamorig:{}Shoulder mixamorig:{}Arm mixamorig:{}ForeArm mixamorig:{}Hand "
        "mixamorig:{}UpLeg mixamorig:{}Leg mixamorig:{}Foot mixamorig:{}ToeBase",
        "sides": ("Left", "Right"),
    },
    "mixamo numbered": {
        "trunk": ["mixamorig12:Hips", "mixamorig12:Spine", "mixamorig12:Spine1", "mixamorig12:Spine2"],
        "top": ["mixamorig12:Neck", "mixamorig12:Head"],
        "side": "mixamorig12:{}Shoulder mixamorig12:{}Arm mixamorig12:{}ForeArm mixamorig12:{}Hand "
        "mixamorig12:{}UpLeg mixamorig12:{}Leg mixamorig12:{}Foot mixamorig12:{}ToeBase",
        "sides": ("Left", "Right"),
    },
    "mixamo numbers after": {
        "trunk": ["mixamorig:Hips_01", "mixamorig:Spine_02", "mixamorig:Spine1_03", "mixamorig:Spine2_04"],
        "top": ["mixamorig:Neck_05", "mixamorig:Head_06"],
        "side": "mixamorig:{}Shoulder_08 mixamorig:{}Arm_09 mixamorig:{}ForeArm_010 mixamorig:{}Hand_011 "
        "mixamorig:{}UpLeg_055 mixamorig:{}Leg_056 mixamorig:{}Foot_057 mixamorig:{}ToeBase_058",
        "sides": ("Left", "Right"),
    },
    "ready player me": {
        "trunk": ["Hips", "Spine", "Spine1", "Spine2"],
        "top": ["Neck", "Head"],
        "side": "{}Shoulder {}Arm {}ForeArm {}Hand {}UpLeg {}Leg {}Foot {}ToeBase",
        "sides": ("Left", "Right"),
    },
    "unreal 4": {
        "trunk": ["pelvis", "spine_01", "spine_02", "spine_03"],
        "top": ["neck_01", "head"],
        "side": "clavicle_{} upperarm_{} lowerarm_{} hand_{} thigh_{} calf_{} foot_{} ball_{}",
        "sides": ("l", "r"),
    },
    "unreal 5": {
        "trunk": ["pelvis", "spine_01", "spine_02", "spine_03", "spine_04", "spine_05"],
        "top": ["neck_01", "head"],
        "side": "clavicle_{} upperarm_{} lowerarm_{} hand_{} thigh_{} calf_{} foot_{} ball_{}",
        "sides": ("l", "r"),
    },
    "unity": {
        "trunk": ["Hips", "Spine", "Chest", "UpperChest"],
        "top": ["Neck", "Head"],
        "side": "{}Shoulder {}UpperArm {}LowerArm {}Hand {}UpperLeg {}LowerLeg {}Foot {}Toes",
        "sides": ("Left", "Right"),
    },
    "vroid": {
        "trunk": ["J_Bip_C_Hips", "J_Bip_C_Spine", "J_Bip_C_Chest", "J_Bip_C_UpperChest"],
        "top": ["J_Bip_C_Neck", "J_Bip_C_Head"],
        "side": "J_Bip_{}_Shoulder J_Bip_{}_UpperArm J_Bip_{}_LowerArm J_Bip_{}_Hand "
        "J_Bip_{}_UpperLeg J_Bip_{}_LowerLeg J_Bip_{}_Foot J_Bip_{}_ToeBase",
        "sides": ("L", "R"),
    },
    "vrchat": {
        "trunk": ["Hips", "Spine", "Chest"],
        "top": ["Neck", "Head"],
        "side": "{} shoulder/{} arm/{} elbow/{} wrist/{} leg/{} knee/{} ankle/{} toe",
        "sides": ("Left", "Right"),
    },
    "makehuman default": {
        "trunk": ["root", "spine05", "spine04", "spine03", "spine02", "spine01"],
        "top": ["neck01", "head"],
        "side": "clavicle.{} upperarm01.{} lowerarm01.{} wrist.{} upperleg01.{} lowerleg01.{} foot.{} toe1-1.{}",
        "sides": ("L", "R"),
    },
    "makehuman cmu": {
        "trunk": ["Hips", "LowerBack", "Spine", "Spine1"],
        "top": ["Neck", "Head"],
        "side": "{}Shoulder {}Arm {}ForeArm {}Hand {}UpLeg {}Leg {}Foot {}ToeBase",
        "sides": ("Left", "Right"),
    },
    "rigify metarig": {
        "trunk": ["spine", "spine.001", "spine.002", "spine.003"],
        "top": ["spine.004", "spine.006"],
        "side": "shoulder.{} upper_arm.{} forearm.{} hand.{} thigh.{} shin.{} foot.{} toe.{}",
        "sides": ("L", "R"),
    },
    "rigify deform": {
        "trunk": ["DEF-spine", "DEF-spine.001", "DEF-spine.002", "DEF-spine.003"],
        "top": ["DEF-spine.004", "DEF-spine.006"],
        "side": "DEF-shoulder.{} DEF-upper_arm.{} DEF-forearm.{} DEF-hand.{} "
        "DEF-thigh.{} DEF-shin.{} DEF-foot.{} DEF-toe.{}",
        "sides": ("L", "R"),
    },
    "genesis 8": {
        "trunk": ["hip", "abdomenLower", "abdomenUpper", "chestLower", "chestUpper"],
        "top": ["neckLower", "head"],
        "side": "{}Collar {}ShldrBend {}ForearmBend {}Hand {}ThighBend {}Shin {}Foot {}Metatarsals",
        "sides": ("l", "r"),
    },
    "genesis 2": {
        "trunk": ["hip", "abdomen", "abdomen2", "chest"],
        "top": ["neck", "head"],
        "side": "{}Collar {}Shldr {}ForeArm {}Hand {}Thigh {}Shin {}Foot {}Toe",
        "sides": ("l", "r"),
    },
    "genesis 9": {
        "trunk": ["hip", "spine1", "spine2", "spine3", "spine4"],
        "top": ["neck1", "head"],
        "side": "{}_shoulder {}_upperarm {}_forearm {}_hand {}_thigh {}_shin {}_foot {}_metatarsals",
        "sides": ("l", "r"),
    },
    "character creator": {
        "trunk": ["CC_Base_Hip", "CC_Base_Waist", "CC_Base_Spine01", "CC_Base_Spine02"],
        "top": ["CC_Base_NeckTwist01", "CC_Base_Head"],
        "side": "CC_Base_{}_Clavicle CC_Base_{}_Upperarm CC_Base_{}_Forearm CC_Base_{}_Hand "
        "CC_Base_{}_Thigh CC_Base_{}_Calf CC_Base_{}_Foot CC_Base_{}_ToeBase",
        "sides": ("L", "R"),
    },
    "smpl": {
        "trunk": ["Pelvis", "Spine1", "Spine2", "Spine3"],
        "top": ["Neck", "Head"],
        "side": "{}_Collar {}_Shoulder {}_Elbow {}_Wrist {}_Hip {}_Knee {}_Ankle {}_Foot",
        "sides": ("L", "R"),
    },
    "smpl, blender's": {
        "trunk": ["m_avg_Pelvis", "m_avg_Spine1", "m_avg_Spine2", "m_avg_Spine3"],
        "top": ["m_avg_Neck", "m_avg_Head"],
        "side": "m_avg_{}_Collar m_avg_{}_Shoulder m_avg_{}_Elbow m_avg_{}_Wrist "
        "m_avg_{}_Hip m_avg_{}_Knee m_avg_{}_Ankle m_avg_{}_Foot",
        "sides": ("L", "R"),
    },
    "smpl-x": {
        "trunk": ["pelvis", "spine1", "spine2", "spine3"],
        "top": ["neck", "head"],
        "side": "{}_collar {}_shoulder {}_elbow {}_wrist {}_hip {}_knee {}_ankle {}_foot",
        "sides": ("left", "right"),
    },
    "cmu acclaim": {
        "trunk": ["root", "lowerback", "upperback", "thorax"],
        "top": ["lowerneck", "head"],
        "side": "{}clavicle {}humerus {}radius {}wrist {}femur {}tibia {}foot {}toes",
        "sides": ("l", "r"),
    },
    "bvh joints": {
        "trunk": ["Hips", "Chest", "Chest2", "Chest3", "Chest4"],
        "top": ["Neck", "Head"],
        "side": "{}Collar {}Shoulder {}Elbow {}Wrist {}Hip {}Knee {}Ankle {}Toe",
        "sides": ("Left", "Right"),
    },
    "second life bvh": {
        "trunk": ["hip", "abdomen", "chest"],
        "top": ["neck", "head"],
        "side": "{}Collar {}Shldr {}ForeArm {}Hand {}Thigh {}Shin {}Foot {}Toe",
        "sides": ("l", "r"),
    },
    "second life": {
        "trunk": ["mPelvis", "mTorso", "mChest"],
        "top": ["mNeck", "mHead"],
        "side": "mCollar{} mShoulder{} mElbow{} mWrist{} mHip{} mKnee{} mAnkle{} mFoot{}",
        "sides": ("Left", "Right"),
    },
    "rokoko": {
        "trunk": ["Hips", "Spine1", "Spine2", "Spine3", "Spine4"],
        "top": ["Neck", "Head"],
        "side": "{}Shoulder {}Arm {}ForeArm {}Hand {}Thigh {}Shin {}Foot {}Toe",
        "sides": ("Left", "Right"),
    },
    "blender": {
        "trunk": ["hips", "spine", "chest"],
        "top": ["neck", "head"],
        "side": "shoulder.{} upper_arm.{} forearm.{} hand.{} thigh.{} shin.{} foot.{} toe.{}",
        "sides": ("L", "R"),
    },
    "3ds max biped": {
        "trunk": ["Bip01 Pelvis", "Bip01 Spine", "Bip01 Spine1", "Bip01 Spine2"],
        "top": ["Bip01 Neck", "Bip01 Head"],
        "side": "Bip01 {} Clavicle/Bip01 {} UpperArm/Bip01 {} Forearm/Bip01 {} Hand/"
        "Bip01 {} Thigh/Bip01 {} Calf/Bip01 {} Foot/Bip01 {} Toe0",
        "sides": ("L", "R"),
    },
    "source": {
        "trunk": ["ValveBiped.Bip01_Pelvis", "ValveBiped.Bip01_Spine", "ValveBiped.Bip01_Spine1"],
        "top": ["ValveBiped.Bip01_Neck1", "ValveBiped.Bip01_Head1"],
        "side": "ValveBiped.Bip01_{}_Clavicle ValveBiped.Bip01_{}_UpperArm ValveBiped.Bip01_{}_Forearm "
        "ValveBiped.Bip01_{}_Hand ValveBiped.Bip01_{}_Thigh ValveBiped.Bip01_{}_Calf "
        "ValveBiped.Bip01_{}_Foot ValveBiped.Bip01_{}_Toe0",
        "sides": ("L", "R"),
    },
    "xsens": {
        "trunk": ["Pelvis", "L5", "L3", "T12", "T8"],
        "top": ["Neck", "Head"],
        "side": "{}Shoulder {}UpperArm {}ForeArm {}Hand {}UpperLeg {}LowerLeg {}Foot {}Toe",
        "sides": ("Left", "Right"),
    },
    "mmd": {
        "trunk": ["下半身", "上半身", "上半身2"],
        "top": ["首", "頭"],
        "side": "{}肩 {}腕 {}ひじ {}手首 {}足 {}ひざ {}足首 {}つま先",
        "sides": ("左", "右"),
    },
    "auto-rig pro": {
        "trunk": ["root.x", "spine_01.x", "spine_02.x", "spine_03.x"],
        "top": ["neck.x", "head.x"],
        "side": "shoulder.{} arm_stretch.{} forearm_stretch.{} hand.{} "
        "thigh_stretch.{} leg_stretch.{} foot.{} toes_01.{}",
        "sides": ("l", "r"),
    },
    "advanced skeleton": {
        "trunk": ["Root_M", "Spine1_M", "Chest_M"],
        "top": ["Neck_M", "Head_M"],
        "side": "Scapula_{} Shoulder_{} Elbow_{} Wrist_{} Hip_{} Knee_{} Ankle_{} Toes_{}",
        "sides": ("L", "R"),
    },
    "studio prefix": {
        "trunk": ["Hero_Hips", "Hero_Spine", "Hero_Spine1"],
        "top": ["Hero_Neck", "Hero_Head"],
        "side": "Hero_{}Shoulder Hero_{}Arm Hero_{}ForeArm Hero_{}Hand "
        "Hero_{}UpLeg Hero_{}Leg Hero_{}Foot Hero_{}ToeBase",
        "sides": ("Left", "Right"),
    },
    "studio suffix": {
        "trunk": ["Hips_jnt", "Spine_jnt", "Spine1_jnt"],
        "top": ["Neck_jnt", "Head_jnt"],
        "side": "{}Shoulder_jnt {}Arm_jnt {}ForeArm_jnt {}Hand_jnt {}UpLeg_jnt {}Leg_jnt {}Foot_jnt {}ToeBase_jnt",
        "sides": ("Left", "Right"),
    },
    "words": {
        "trunk": ["Bone_Pelvis", "Bone_Stomach", "Bone_UpperChest"],
        "top": ["Bone_Neck", "Bone_Skull"],
        "side": "{}-Collarbone {}-Humerus {}-Elbow {}-Palm {}-Femur {}-Tibia {}-Ankle {}-Toes",
        "sides": ("L", "R"),
    },
}
PARTS = ("shoulder", "upper_arm", "forearm", "hand", "thigh", "shin", "foot", "toe")


def named(family: str) -> tuple[Rig, dict[str, str]]:
    """A figure with a family's names, and the map it should get."""
    entry = FAMILIES[family]
    trunk, top = list(entry["trunk"]), list(entry["top"])
    names = dict(zip(("neck", "head"), top, strict=True)) | {"pelvis": trunk[0], "chest": trunk[-1]}
    names |= {"spine" if i == 0 else f"spine{i + 1}": bone for i, bone in enumerate(trunk[1:-1])}
    template = str(entry["side"])
    parts = template.split("/") if "/" in template else template.split()
    for side, word in zip("LR", entry["sides"], strict=True):
        names |= {f"{part}.{side}": bone.format(word) for part, bone in zip(PARTS, parts, strict=True)}
    rig = figure(name=names.__getitem__, spines=len(trunk) - 1)
    return rig, {role: bone for role, bone in names.items() if role in roles.ROLES}


@pytest.mark.parametrize("family", FAMILIES)
def test_names_of_a_family(family: str) -> None:
    rig, expected = named(family)
    found = roles.guess(rig)
    assert found.bones == expected
    assert all(found.certain.values())
    roles.check(rig, found)


def nameless(**kind: object) -> tuple[Rig, dict[str, str]]:
    """A figure with names that say nothing, and the map it should get."""
    names: dict[str, str] = {}
    rig = figure(name=lambda role: names.setdefault(role, f"Bone.{len(names) * 37 % 101:03d}"), **kind)
    return rig, names


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
    crowd = Rig("crowd", bones, parents, rest, np.concatenate([good.tails] * 3), (True,) * (3 * count))
    with pytest.raises(RigError, match="skeletons"):
        roles.check(crowd, roles.guess(crowd))


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
