# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of bones as rig families give them, and figures that carry them."""

from __future__ import annotations

from backflip_addon.core.rigs import roles
from backflip_addon.core.rigs.rig import Rig

from .skeletons import figure

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


def nameless(**kind: object) -> tuple[Rig, dict[str, str]]:
    """A figure with names that say nothing, and the map it should get."""
    names: dict[str, str] = {}
    rig = figure(name=lambda role: names.setdefault(role, f"Bone.{len(names) * 37 % 101:03d}"), **kind)
    return rig, names
