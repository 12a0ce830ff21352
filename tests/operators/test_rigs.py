# SPDX-License-Identifier: GPL-3.0-or-later
"""Rigs as files bring them: maps against the files' own meaning, and what is refused."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from mathutils import Matrix  # noqa: E402

from backflip_addon.scene import stored_avatar, stored_reference  # noqa: E402
from backflip_addon.scene.animation.action_slots import ActionError  # noqa: E402
from backflip_addon.scene.baking import bake, bake_error  # noqa: E402
from tests.operators.test_road import crouch  # noqa: E402
from tests.scene import rigs  # noqa: E402


def settings() -> Any:
    return bpy.context.scene.backflip


def mapped() -> dict[str, str]:
    return {item.name: item.bone for item in settings().roles if item.bone}


def gltf_of(path: Path) -> tuple[dict[str, Any], bytes]:
    data = path.read_bytes()
    length = struct.unpack_from("<I", data, 12)[0]
    return json.loads(data[20 : 20 + length]), data[20 + length :]


def write_glb(path: Path, gltf: dict[str, Any], rest: bytes) -> None:
    text = json.dumps(gltf).encode()
    text += b" " * (-len(text) % 4)
    body = struct.pack("<II", len(text), 0x4E4F534A) + text + rest
    path.write_bytes(struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body)


SIDES = {"left": "L", "right": "R"}
VRM = {
    "hips": "pelvis", "spine": "spine", "chest": "chest", "neck": "neck", "head": "head", "Shoulder": "shoulder",
    "UpperArm": "upper_arm", "LowerArm": "forearm", "Hand": "hand", "UpperLeg": "thigh", "LowerLeg": "shin",
    "Foot": "foot", "Toes": "toe",
}  # fmt: skip


def vrm_roles(names: dict[str, str]) -> dict[str, str]:
    """VRM's bone name -> node as role -> node, without the fingers."""
    found = {}
    for name, node in names.items():
        side = next((side for side in SIDES if name.startswith(side)), "")
        part = VRM.get(name.removeprefix(side))
        if part:
            found[f"{part}.{SIDES[side]}" if side else part] = node
    return found


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("renamed", [False, True])
def test_vrm_files_are_mapped_as_they_say(ops: Any, samples: Path, tmp_path: Path, version: int, renamed: bool) -> None:
    """Also where the nodes' names mean nothing, and in version 1's form."""
    gltf, rest = gltf_of(samples / "rigs" / "cryptovoxels.vrm")
    if renamed:
        for i, node in enumerate(gltf["nodes"]):
            node["name"] = f"n{(i * 37) % 1009}"
    bones = {bone["bone"]: bone["node"] for bone in gltf["extensions"]["VRM"]["humanoid"]["humanBones"]}
    if version == 1:
        del gltf["extensions"]["VRM"]
        gltf["extensions"]["VRMC_vrm"] = {
            "specVersion": "1.0",
            "humanoid": {"humanBones": {name: {"node": node} for name, node in bones.items()}},
        }
        gltf["extensionsUsed"] = ["VRMC_vrm"]
    write_glb(tmp_path / "avatar.vrm", gltf, rest)
    ops.import_avatar(filepath=str(tmp_path / "avatar.vrm"))
    assert mapped() == vrm_roles({name: gltf["nodes"][node]["name"] for name, node in bones.items()})
    assert all(item.certain for item in settings().roles if item.bone)
    ops.build_body()


# The samples' own names; of CesiumMan's arms the numbers do not tell, their order from the trunk does.
SEMANTICS = {
    "makehuman_game_engine.glb": {
        "pelvis": "pelvis", "spine": "spine_01", "chest": "spine_03", "neck": "neck_01", "head": "head",
        "shoulder": "clavicle_{l}", "upper_arm": "upperarm_{l}", "forearm": "lowerarm_{l}", "hand": "hand_{l}",
        "thigh": "thigh_{l}", "shin": "calf_{l}", "foot": "foot_{l}", "toe": "ball_{l}",
    },
    "keijiro_NeoLowMan.fbx": {
        "pelvis": "Neo_Hips", "spine": "Neo_Spine", "chest": "Neo_Spine2", "neck": "Neo_Neck", "head": "Neo_Head",
        "shoulder": "Neo_{Left}Shoulder", "upper_arm": "Neo_{Left}Arm", "forearm": "Neo_{Left}ForeArm",
        "hand": "Neo_{Left}Hand", "thigh": "Neo_{Left}UpLeg", "shin": "Neo_{Left}Leg", "foot": "Neo_{Left}Foot",
        "toe": "Neo_{Left}ToeBase",
    },
    "CesiumMan.glb": {
        "pelvis": "Skeleton_torso_joint_1", "spine": "Skeleton_torso_joint_2", "chest": "torso_joint_3",
        "neck": "Skeleton_neck_joint_1", "head": "Skeleton_neck_joint_2",
        "upper_arm": ("Skeleton_arm_joint_L__4_", "Skeleton_arm_joint_R"),
        "forearm": ("Skeleton_arm_joint_L__3_", "Skeleton_arm_joint_R__2_"),
        "hand": ("Skeleton_arm_joint_L__2_", "Skeleton_arm_joint_R__3_"),
        "thigh": "leg_joint_{L}_1", "shin": "leg_joint_{L}_2", "foot": "leg_joint_{L}_3", "toe": "leg_joint_{L}_5",
    },
}  # fmt: skip


@pytest.mark.parametrize("file", SEMANTICS)
def test_every_role_of_the_samples(ops: Any, samples: Path, file: str) -> None:
    ops.import_avatar(filepath=str(samples / "rigs" / file))
    wanted = {}
    for part, name in SEMANTICS[file].items():
        if isinstance(name, str) and "{" not in name:
            wanted[part] = name
            continue
        for i, side in enumerate("LR"):
            if isinstance(name, tuple):
                wanted[f"{part}.{side}"] = name[i]
            else:
                words = ("l", "Left", "L") if side == "L" else ("r", "Right", "R")
                wanted[f"{part}.{side}"] = name.format(l=words[0], Left=words[1], L=words[2])
    assert mapped() == wanted


UNEVEN = Matrix.Rotation(0.7, 4, "X") @ Matrix.Diagonal((1.0, 1.0, 1.4, 1.0))


@pytest.mark.parametrize(
    ("matrix", "sentence"),
    [
        (UNEVEN, r"scaled differently along its axes.*Apply > Scale"),
        (Matrix.Diagonal((-1.0, 1.0, 1.0, 1.0)), r"mirrored by a negative scale.*Apply > Scale"),
        (Matrix.Diagonal((-1.0, -1.0, -1.0, 1.0)), r"negative scale"),
    ],
)
def test_uneven_and_negative_scales_are_refused(ops: Any, matrix: Matrix, sentence: str) -> None:
    armature = rigs.build(rigs.a_pose(), skin=True)
    armature.matrix_world = matrix
    bpy.context.view_layer.update()
    with pytest.raises(RuntimeError, match=sentence):
        ops.pick_avatar()
    assert settings().avatar is None
    assert armature.matrix_world.to_scale() == matrix.to_scale()


def test_applying_the_scale_is_all_it_takes(ops: Any) -> None:
    armature = rigs.build(rigs.a_pose(), skin=True)
    armature.matrix_world = Matrix.Diagonal((1.0, 1.0, 1.4, 1.0))
    bpy.context.view_layer.update()
    for ob in bpy.context.view_layer.objects:
        ob.select_set(True)
    bpy.ops.object.transform_apply(location=False, rotation=False, scale=True)
    ops.pick_avatar()
    ops.build_body()
    assert 1.2 < settings().body_height < 2.6


def test_a_blend_file_is_appended(ops: Any, tmp_path: Path) -> None:
    rigs.build(name="Hero", skin=True)
    bpy.data.objects.new("Lonely", None)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "hero.blend"))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    ops.import_avatar(filepath=str(tmp_path / "hero.blend"))
    assert settings().avatar.name == "Hero"
    assert [ob.type for ob in settings().avatar.children] == ["MESH"]
    ops.build_body()


def linked_hero(folder: Path) -> Any:
    """A skinned rig's collection, linked from another file into an empty scene."""
    armature = rigs.build(name="Hero", skin=True)
    collection = bpy.data.collections.new("Set")
    for ob in (armature, *armature.children):
        collection.objects.link(ob)
    stage = bpy.data.collections.new("Stage")  # the whole scene: more than the character
    stage.objects.link(bpy.data.objects.new("Lamp", bpy.data.lights.new("Lamp", "POINT")))
    stage.children.link(collection)
    bpy.context.scene.collection.children.link(stage)
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "hero.blend"))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    with bpy.data.libraries.load(str(folder / "hero.blend"), link=True) as (_source, target):
        target.collections = ["Set"]
    bpy.context.scene.collection.children.link(target.collections[0])
    return target.collections[0]


def test_a_linked_rig_is_mapped_and_asks_for_an_override(ops: Any, tmp_path: Path) -> None:
    linked_hero(tmp_path)
    ops.pick_avatar(armature="Hero")
    ops.build_body()
    assert settings().body_height == pytest.approx(1.74, abs=0.1)
    ops.import_reference(filepath=str(crouch(tmp_path / "crouch.txt")))
    with pytest.raises(ActionError, match=r"Hero is linked from another file; make a library override"):
        bake_reference()
    assert not bpy.data.actions


def test_a_library_override_is_trained_for_and_baked(ops: Any, tmp_path: Path) -> None:
    collection = linked_hero(tmp_path)
    collection.override_hierarchy_create(bpy.context.scene, bpy.context.view_layer, do_fully_editable=True)
    hero = next(ob for ob in bpy.context.scene.objects if ob.type == "ARMATURE" and ob.override_library)
    ops.pick_avatar(armature=hero.name)
    ops.build_body()
    ops.import_reference(filepath=str(crouch(tmp_path / "crouch.txt")))
    body, binding, motion = bake_reference()
    distance, angle = bake_error.bake_error(hero, body, binding, motion, 1, bpy.context.scene)
    assert distance < 0.1 and angle < 0.1


def test_a_character_is_linked_and_overridden_by_the_import(ops: Any, tmp_path: Path) -> None:
    linked_hero(tmp_path)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    ops.import_avatar(filepath=str(tmp_path / "hero.blend"), link=True)
    hero = settings().avatar
    assert hero.library is None and hero.override_library is not None
    assert [ob for ob in bpy.context.scene.objects if ob.library is not None] == []
    assert "LIGHT" not in {ob.type for ob in bpy.context.scene.objects}
    ops.build_body()
    ops.import_reference(filepath=str(crouch(tmp_path / "crouch.txt")))
    body, binding, motion = bake_reference()
    assert bake_error.bake_error(hero, body, binding, motion, 1, bpy.context.scene)[0] < 0.1
    # The library's own file keeps the character: what was baked is this file's override
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
    assert settings().avatar.override_library is not None
    assert [track.name for track in settings().avatar.animation_data.nla_tracks] == ["Backflip: Stunt"]


def test_what_cannot_be_linked_is_refused_and_leaves_nothing(ops: Any, tmp_path: Path) -> None:
    rigs.build(name="Hero", skin=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "loose.blend"))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    with pytest.raises(RuntimeError, match="only a collection can be linked"):
        ops.import_avatar(filepath=str(tmp_path / "loose.blend"), link=True)
    (tmp_path / "hero.fbx").write_bytes(b"")
    collection = bpy.data.collections.new("Toy")
    collection.objects.link(rigs.build([bone for bone in rigs.t_pose() if "thigh" not in bone[0]][:7], name="Toy"))
    bpy.context.scene.collection.children.link(collection)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "toy.blend"))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    with pytest.raises(RuntimeError, match="has only 7 bones"):
        ops.import_avatar(filepath=str(tmp_path / "toy.blend"), link=True)
    with pytest.raises(RuntimeError, match="only a .blend can"):
        ops.import_avatar(filepath=str(tmp_path / "hero.fbx"), link=True)
    assert not bpy.data.objects and not bpy.data.collections and not bpy.data.libraries


def bake_reference() -> Any:
    """The reference baked onto the avatar, as a take is."""
    scene = bpy.context.scene
    body, binding = stored_avatar.body_and_binding(scene)
    motion = stored_reference.whole_reference(scene)
    bake.bake_take(stored_avatar.avatar(scene), binding, motion, name="Stunt", start_frame=1, scene=scene)
    return body, binding, motion


def _box_on(armature: Any, bone: str, size: float) -> Any:
    data = bpy.data.meshes.new(bone)
    data.from_pydata([(x, y, z) for x in (-size, size) for y in (-size, size) for z in (-size, size)], [], [])
    box = bpy.data.objects.new(bone, data)
    bpy.context.scene.collection.objects.link(box)
    box.parent, box.parent_type, box.parent_bone = armature, "BONE", bone
    return box


def test_parts_that_hang_on_bones_and_several_skins(ops: Any) -> None:
    """A robot of rigid parts, a skin beside it, and an importer's helper mesh that belongs to nothing."""
    armature = rigs.build(skin=True)
    for bone in ("head", "chest", "hand.L", "hand.R", "thigh.L", "thigh.R"):
        _box_on(armature, bone, 0.06)
    rigs._add_skin(armature, rigs.t_pose()[:8])
    helper = bpy.data.meshes.new("Icosphere")
    helper.from_pydata([(100.0, 0, 0), (0, 100.0, 0), (0, 0, 100.0)], [], [])
    bpy.context.scene.collection.objects.link(bpy.data.objects.new("Icosphere", helper))
    ops.pick_avatar()
    ops.build_body()
    assert 1.6 < settings().body_height < 1.95


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
def test_size_and_facing_do_not_matter(ops: Any, turns: int, scale: float) -> None:
    """A rig whose own bones are a hundredth or a hundred times as long, facing any way, is as tall as before."""
    armature = rigs.build(rigs.a_pose(), skin=True)
    armature.matrix_world = Matrix.Rotation(turns * 1.5707963, 4, "Z") @ Matrix.Scale(scale, 4)
    bpy.context.view_layer.update()
    ops.pick_avatar()
    ops.build_body()
    height = settings().body_height
    assert height == pytest.approx(1.74 if scale == 1.0 else 1.7, abs=0.05)
    binding = json.loads(settings().binding_json)
    assert binding["scale"] * scale == pytest.approx(1.0 if scale == 1.0 else 0.975, abs=0.03)
