# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from backflip_addon.core.rigs import strength_presets  # noqa: E402
from backflip_addon.scene import mapping_pose  # noqa: E402
from backflip_addon.settings import STRENGTHS  # noqa: E402
from tests.scene import rigs  # noqa: E402


def settings() -> Any:
    return bpy.context.scene.backflip


def counts() -> dict[str, int]:
    kinds = ("objects", "meshes", "armatures", "actions", "materials", "images", "collections")
    return {kind: len(getattr(bpy.data, kind)) for kind in kinds}


def test_the_mannequin_is_mapped_and_gets_a_body(ops: Any) -> None:
    ops.add_mannequin()
    assert all(item.bone for item in settings().roles if item.required)
    ops.build_body()
    assert settings().body_height == pytest.approx(1.75, abs=0.03)
    assert 50 < settings().body_mass < 90
    ops.build_body(mass=80.0)
    assert settings().body_mass == pytest.approx(80.0)


def test_each_step_says_what_it_lacks(ops: Any) -> None:
    with pytest.raises(RuntimeError, match="Choose an avatar first"):
        ops.build_body()
    rigs.build()
    ops.pick_avatar()
    with pytest.raises(RuntimeError, match="Build the body first"):
        ops.import_reference(filepath="x.bvh")
    with pytest.raises(RuntimeError, match="Build the body first"):
        ops.start_training()
    with pytest.raises(RuntimeError, match="There is no take yet"):
        ops.bake_take()
    with pytest.raises(RuntimeError, match="Bake a take first"):
        ops.export_shot(filepath="x.fbx")
    with pytest.raises(RuntimeError, match="Start training first"):
        ops.stop_training()


def test_pick_by_name_and_by_the_active_mesh(ops: Any) -> None:
    one = rigs.build(name="One", skin=True)
    two = rigs.build(name="Two")
    ops.pick_avatar(armature="One")
    assert settings().avatar == one
    ops.pick_avatar()
    assert settings().avatar == two
    bpy.context.view_layer.objects.active = next(ob for ob in bpy.data.objects if ob.type == "MESH")
    ops.pick_avatar()
    assert settings().avatar == one


@pytest.mark.parametrize(
    ("bones", "sentence"),
    [
        (rigs.t_pose()[:7], "only 7 bones"),
        ([], "no bones"),
    ],
)
def test_what_is_no_character_is_refused(ops: Any, bones: list, sentence: str) -> None:
    armature = bpy.data.objects.new("Toy", bpy.data.armatures.new("Toy"))
    bpy.context.scene.collection.objects.link(armature)
    if bones:
        armature = rigs.build(bones, name="Small")
    with pytest.raises(RuntimeError, match=sentence):
        ops.pick_avatar(armature=armature.name)
    assert settings().avatar is None


def test_a_rig_without_legs_is_refused_by_name(ops: Any) -> None:
    legless = [bone for bone in rigs.t_pose() if bone[0].split(".")[0] not in ("thigh", "shin", "foot", "toe")]
    rigs.build(legless)
    ops.pick_avatar()
    with pytest.raises(RuntimeError, match="left thigh"):
        ops.build_body()
    assert not settings().body_json


def test_the_map_is_edited_mirrored_saved_and_loaded(ops: Any, tmp_path: Path) -> None:
    rigs.build()
    ops.pick_avatar()
    roles = settings().roles
    ops.build_body()
    ops.clear_role(role="thigh.R")
    assert roles["thigh.R"].bone == "" and not settings().body_json
    ops.mirror_roles()
    assert roles["thigh.R"].bone == "thigh.R"
    ops.set_role(role="chest", bone="upper_chest")
    ops.save_map(filepath=str(tmp_path / "map.json"))
    assert json.loads((tmp_path / "map.json").read_text())["bones"]["chest"] == "upper_chest"
    ops.map_bones()
    ops.load_map(filepath=str(tmp_path / "map.json"))
    assert roles["chest"].bone == "upper_chest"
    with pytest.raises(RuntimeError, match="no bone called"):
        ops.set_role(role="chest", bone="Nonsense")
    with pytest.raises(RuntimeError, match="no body part called"):
        ops.set_role(role="tail", bone="head")


def test_a_map_of_another_rig_or_no_map_is_refused(ops: Any, tmp_path: Path) -> None:
    rigs.build()
    ops.pick_avatar()
    preset = {"version": 1, "bones": {"head": "Kopf"}, "certain": {}, "family": ""}
    (tmp_path / "other.json").write_text(json.dumps(preset))
    with pytest.raises(RuntimeError, match="Kopf"):
        ops.load_map(filepath=str(tmp_path / "other.json"))
    (tmp_path / "half.json").write_text('{"version": 1, "bo')
    with pytest.raises(RuntimeError, match="not a bone map"):
        ops.load_map(filepath=str(tmp_path / "half.json"))
    assert settings().roles["head"].bone == "head"


@pytest.mark.parametrize(
    ("file", "height"),
    [
        ("CesiumMan.glb", 1.5),
        ("cryptovoxels.vrm", 1.48),
        ("keijiro_NeoLowMan.fbx", 1.81),
        ("makehuman_game_engine.glb", 1.64),
    ],
)
def test_sample_rigs_are_imported_mapped_and_fitted(ops: Any, samples: Path, file: str, height: float) -> None:
    scene = bpy.context.scene
    scene.render.fps, scene.frame_end = 25, 77
    ops.import_avatar(filepath=str(samples / "rigs" / file))
    assert not [item.name for item in settings().roles if item.required and not item.bone]
    ops.build_body()
    assert settings().body_height == pytest.approx(height, abs=0.06)
    assert (scene.render.fps, scene.frame_end) == (25, 77)


def test_a_vrm_file_brings_its_own_map(ops: Any, samples: Path) -> None:
    ops.import_avatar(filepath=str(samples / "rigs" / "cryptovoxels.vrm"))
    assert settings().roles["forearm.L"].bone == "Left elbow"
    assert json.loads(settings().avatar["backflip_vrm"])["leftLowerArm"] == "Left elbow"


def test_a_toy_is_refused_and_nothing_is_left_of_it(ops: Any, samples: Path) -> None:
    before = counts()
    with pytest.raises(RuntimeError, match="only 7 bones"):
        ops.import_avatar(filepath=str(samples / "rigs" / "kenney_mini_character-female-a.glb"))
    assert counts() == before


def test_files_that_are_no_rigs_are_refused(ops: Any, tmp_path: Path) -> None:
    (tmp_path / "broken.glb").write_bytes(b"glTF nonsense")
    (tmp_path / "notes.txt").write_text("hello")
    before = counts()
    cases = (
        ("broken.glb", "broken.glb is damaged"),
        ("notes.txt", "not a file that"),
        ("a.fbx", "does not exist"),
    )
    for name, sentence in cases:
        with pytest.raises(RuntimeError, match=sentence):
            ops.import_avatar(filepath=str(tmp_path / name))
    assert counts() == before


def test_a_character_of_another_blend_is_appended(ops: Any, tmp_path: Path) -> None:
    rigs.build(name="Stored", skin=True)
    cube = bpy.data.objects.new("Unrelated", bpy.data.meshes.new("Unrelated"))
    bpy.context.scene.collection.objects.link(cube)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "stored.blend"))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    ops.import_avatar(filepath=str(tmp_path / "stored.blend"))
    assert settings().avatar.name == "Stored"
    assert sorted(ob.name for ob in bpy.context.scene.objects) == ["Skin", "Stored"]
    ops.build_body()


def test_a_scaled_and_turned_rig_has_the_same_body(ops: Any) -> None:
    rigs.build(matrix=rigs.SCALED_AND_TURNED, skin=True)
    ops.pick_avatar()
    ops.build_body()
    assert settings().body_height == pytest.approx(1.78, abs=0.02)
    assert math.isfinite(settings().body_mass)


def test_a_mass_of_ones_own_is_a_switch_and_no_zero(ops: Any) -> None:
    rigs.build(skin=True)
    ops.pick_avatar()
    settings().own_mass = True
    assert settings().mass == 70.0
    settings().own_mass = False
    ops.build_body()
    usual = settings().body_mass
    assert settings().mass == 0.0 and not settings().own_mass
    settings().own_mass = True
    assert settings().mass == pytest.approx(usual) and settings().body_stale
    settings().mass = 50.0
    ops.build_body()
    assert settings().body_mass == pytest.approx(50.0) and settings().own_mass
    settings().own_mass = False
    ops.build_body()
    assert settings().body_mass == pytest.approx(usual)


def test_parts_are_adjusted(ops: Any) -> None:
    rigs.build(skin=True)
    ops.pick_avatar()
    ops.build_body(mass=70.0)
    parts = settings().parts
    assert parts["thigh"].kilograms == pytest.approx(2 * 0.1447 * 70.0, rel=0.02)
    parts["thigh"].mass, parts["forearm"].reach, parts["hand"].size = 2.0, 0.5, 3.0
    assert settings().body_stale
    ops.build_body(mass=70.0)
    assert not settings().body_stale
    assert settings().body_mass == pytest.approx(70.0 * (1 + 2 * 0.1447), rel=0.02)
    body = json.loads(settings().body_json)
    links = {link["name"]: link for link in body["links"]}
    assert links["forearm.L"]["limits"][1] == pytest.approx(1.35)
    assert links["forearm.L"]["limits"][0] == pytest.approx(-0.05)
    ops.reset_parts()
    assert parts["thigh"].mass == 1.0 and settings().body_stale
    ops.build_body(mass=70.0)
    ops.reset_parts()
    assert not settings().body_stale, "nothing has changed"


@pytest.mark.parametrize("guise", [{}, {"bones": rigs.a_pose(), "across": True, "matrix": rigs.SCALED_AND_TURNED}])
def test_the_check_pose_comes_and_goes(ops: Any, guise: dict) -> None:
    armature = rigs.build(skin=True, **guise)
    ops.pick_avatar()
    ops.build_body()
    armature.pose.bones["head"].location = (0.0, 0.01, 0.0)
    bpy.context.view_layer.update()
    before = {bone.name: bone.matrix.copy() for bone in armature.pose.bones}

    def head(bone: str) -> Any:
        return armature.matrix_world @ armature.pose.bones[bone].head

    ops.check_pose()
    left = head("hand.L") - head("upper_arm.L")
    assert left.y < -0.5 and abs(left.x) < 0.05 and abs(left.z) < 0.05  # straight ahead
    assert (head("forearm.R") - head("upper_arm.R")).x < -0.27
    assert (head("hand.R") - head("forearm.R")).y < -0.24
    assert (head("shin.L") - head("thigh.L")).y < -0.4 and (head("foot.L") - head("shin.L")).z < -0.39
    ops.check_pose()
    for bone in armature.pose.bones:
        assert (bone.matrix.translation - before[bone.name].translation).length < 1e-3


def test_what_is_posed_after_the_check_pose_stays(ops: Any) -> None:
    armature = rigs.build(skin=True)
    ops.pick_avatar()
    ops.build_body()
    bones = armature.pose.bones
    ops.check_pose()
    assert mapping_pose.is_shown(armature)
    bones["thigh.L"].rotation_quaternion = mine = (0.8, 0.6, 0.0, 0.0)
    ops.check_pose()
    assert tuple(bones["thigh.L"].rotation_quaternion) == pytest.approx(mine)
    assert tuple(bones["shin.L"].rotation_quaternion) == pytest.approx((1.0, 0.0, 0.0, 0.0), abs=1e-6)
    ops.check_pose()
    for bone in bones:  # as Alt+R and Alt+G do
        bone.rotation_quaternion, bone.location = (1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0)
    ops.check_pose()
    assert mapping_pose.is_shown(armature), "there was no check pose to take back any more"
    ops.check_pose()
    assert tuple(bones["thigh.L"].rotation_quaternion) == pytest.approx((1.0, 0.0, 0.0, 0.0), abs=1e-6)


def test_the_check_pose_of_a_file_of_before_is_taken_back(ops: Any) -> None:
    armature = rigs.build(skin=True)
    ops.pick_avatar()
    ops.build_body()
    thigh = armature.pose.bones["thigh.L"]
    thigh.rotation_quaternion = mine = (0.8, 0.6, 0.0, 0.0)
    ops.check_pose()
    known = json.loads(armature[mapping_pose.POSE_PROPERTY])
    del known["shown"]
    armature[mapping_pose.POSE_PROPERTY] = json.dumps(known)
    ops.check_pose()
    assert tuple(thigh.rotation_quaternion) == pytest.approx(mine)


def test_the_way_out_of_the_check_pose_needs_no_body(ops: Any) -> None:
    """Whoever finds the map wrong changes it, or the avatar."""
    armature = rigs.build(skin=True, name="Hero")
    ops.pick_avatar()
    ops.build_body()
    ops.check_pose()
    ops.swap_sides()
    assert not settings().body_json
    ops.check_pose()
    assert not mapping_pose.is_shown(armature)
    with pytest.raises(RuntimeError, match="Build the body first"):
        ops.check_pose()
    ops.build_body()
    ops.check_pose()
    rigs.build(skin=True, name="Villain")
    ops.pick_avatar(armature="Villain")
    assert not mapping_pose.is_shown(armature)


def test_a_mesh_that_no_bone_moves_is_said_to_stay_behind(ops: Any, capfd: pytest.CaptureFixture[str]) -> None:
    armature = rigs.build(skin=True)
    data = bpy.data.meshes.new("Hat")
    data.from_pydata([(0, 0, 1.8), (0.1, 0, 1.8), (0, 0.1, 1.8)], [], [(0, 1, 2)])
    hat = bpy.data.objects.new("Hat", data)
    bpy.context.scene.collection.objects.link(hat)
    hat.parent = armature
    ops.pick_avatar(armature="Rig")
    ops.build_body()
    assert "Hat will stay behind when Rig moves" in capfd.readouterr().out
    hat.parent_type, hat.parent_bone = "BONE", "head"
    ops.build_body()
    assert "stay behind" not in capfd.readouterr().out


def torques() -> dict[str, float]:
    return {link["name"]: link["torque"] for link in json.loads(settings().body_json)["links"]}


def top_speeds() -> set[float]:
    return {link["top_speed"] for link in json.loads(settings().body_json)["links"]}


def test_the_strengths_offered_are_those_that_a_body_can_have() -> None:
    assert [strength[0] for strength in STRENGTHS] == list(strength_presets.PRESETS)


def test_a_body_is_an_athletes_until_another_strength_is_chosen(ops: Any) -> None:
    rigs.build(skin=True)
    ops.pick_avatar()
    ops.build_body()
    assert settings().strength == strength_presets.DEFAULT == "athlete"
    athlete = torques()
    settings().strength = "superhero"
    assert settings().body_stale
    ops.build_body()
    assert not settings().body_stale and torques() == pytest.approx({k: 2 * v for k, v in athlete.items()})
    assert top_speeds() == {0.0}
    ops.build_body(strength="person")
    assert settings().strength == "person" and torques()["thigh.L"] < 0.7 * athlete["thigh.L"]
    settings().parts["thigh"].strength = 2.0
    ops.build_body()
    assert settings().strength == "person" and torques()["thigh.L"] > 1.2 * athlete["thigh.L"]


def test_a_chosen_strength_can_be_undone(ops: Any) -> None:
    rigs.build(skin=True)
    ops.pick_avatar()
    ops.build_body()
    bpy.ops.ed.undo_push(message="Build Body")
    athlete = torques()
    ops.build_body(strength="superhero")
    bpy.ops.ed.undo_push(message="Build Body")
    bpy.ops.ed.undo()
    assert settings().strength == "athlete" and torques() == athlete
    bpy.ops.ed.redo()
    assert settings().strength == "superhero" and torques()["shin.L"] == pytest.approx(2 * athlete["shin.L"])
