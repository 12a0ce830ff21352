# SPDX-License-Identifier: GPL-3.0-or-later
"""A take on a generated control rig: keys on its FK controls, the rig's own constraints left at work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from backflip_addon import compat  # noqa: E402
from backflip_addon.core import rotations  # noqa: E402
from backflip_addon.core.motions import retarget  # noqa: E402
from backflip_addon.core.rigs import fit, roles  # noqa: E402
from backflip_addon.scene import mapping_pose, units  # noqa: E402
from backflip_addon.scene.animation import pose_sampling, rna_paths  # noqa: E402
from backflip_addon.scene.armature import bind_matrix  # noqa: E402
from backflip_addon.scene.armature.rig import bone_order, read_rig  # noqa: E402
from backflip_addon.scene.baking import bake, bake_error, nla  # noqa: E402
from tests.scene.takes import tumble  # noqa: E402

from . import rigs  # noqa: E402
from .skin import skin_error  # noqa: E402


@pytest.fixture(scope="module")
def rigify(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Rigify's metarig of a human and the rig it generates: (metarig, rig)."""
    file = tmp_path_factory.mktemp("rigify") / "rig.blend"
    if not rigs.generate_rigify(file):
        pytest.skip("this Blender has no Rigify")
    bpy.ops.wm.open_mainfile(filepath=str(file), use_scripts=False)
    yield bpy.data.objects["metarig"], bpy.data.objects["rig"]
    bpy.ops.wm.read_factory_settings(use_empty=True)


def dress(rig: Any) -> None:
    """A vertex in the middle of each bone that deforms."""
    bones = [bone for bone in rig.data.bones if bone.use_deform]
    mesh = bpy.data.meshes.new("Skin")
    mesh.from_pydata([tuple((bone.head_local + bone.tail_local) / 2) for bone in bones], [], [])
    skin = bpy.data.objects.new("Skin", mesh)
    bpy.context.scene.collection.objects.link(skin)
    skin.parent = rig
    skin.modifiers.new("Armature", "ARMATURE").object = rig
    for i, bone in enumerate(bones):
        skin.vertex_groups.new(name=bone.name).add([i], 1.0, "REPLACE")
    bpy.context.view_layer.update()


@pytest.fixture(scope="module")
def shown(rigify: Any) -> tuple:
    """A take baked on the generated rig: rig, body, binding, motion, baked."""
    rig = rigify[1]
    rig.pose.bones["thigh_parent.L"]["IK_FK"] = 0.25
    rig.pose.bones["root"].location = (0.3, 0.2, 0.1)  # the user has walked the character off
    deforming = [bone for bone in rig.data.bones if bone.name.startswith("DEF-")]
    rigs._add_skin(rig, [(bone.name, None, tuple(bone.head_local), tuple(bone.tail_local)) for bone in deforming])
    data = read_rig(rig)
    body, binding = fit.fit_body(data, roles.guess(data))
    dress(rig)
    motion = tumble(body)
    baked = bake.bake_take(rig, binding, motion, name="Take", start_frame=5, scene=bpy.context.scene)
    return rig, body, binding, motion, baked


def test_both_rigs_are_mapped_by_name(rigify: Any) -> None:
    for armature, prefix in zip(rigify, ("", "DEF-"), strict=True):
        role_map = roles.guess(read_rig(armature, with_skin=False))
        assert not roles.missing(role_map) and all(role_map.certain.values())
        assert role_map.bones["forearm.R"] == f"{prefix}forearm.R"
        assert role_map.bones["head"] == f"{prefix}spine.006"


def test_the_deforming_bones_show_the_take(shown: tuple) -> None:
    rig, body, binding, motion, baked = shown
    millimetres, degrees = bake_error.bake_error(rig, body, binding, motion, 5, bpy.context.scene)
    assert millimetres < 0.1 and degrees < 0.02
    assert baked.warnings == ()


def test_joints_and_directions_of_the_deforming_bones(shown: tuple) -> None:
    """Measured with Blender's own matrices of the DEF bones alone."""
    rig, body, binding, motion, baked = shown
    data = read_rig(rig, with_skin=False, world=bind_matrix.find_bind_matrix(rig, binding))
    clip = motion.resampled(units.scene_rate(bpy.context.scene))
    wanted = retarget.bone_matrices(binding, data, clip)
    poses = pose_sampling.sample_poses(rig, range(baked.first, baked.last + 1))
    for bone, target in wanted.items():
        pose = poses[:, data.index(bone)]
        assert np.abs(pose[:, :3, 3] - target[:, :3, 3]).max() < 1e-3, bone
        turn = np.arccos(np.clip((pose[:, :3, 1] * target[:, :3, 1]).sum(axis=1), -1, 1))
        assert np.degrees(turn.max()) < 0.1, bone


def test_the_keys_are_on_fk_controls_and_switches(shown: tuple) -> None:
    rig, _body, _binding, _motion, baked = shown
    action = bpy.data.actions[baked.action]
    keyed = {rna_paths.bone_of(curve.data_path) for curve in compat.curves(action, action.slots[0])}
    assert {"torso", "upper_arm_fk.L", "forearm_fk.R", "thigh_fk.L", "shin_fk.L", "foot_fk.R", "spine_fk.003"} <= keyed
    assert not any(name.startswith(("DEF-", "ORG-", "MCH-")) for name in keyed)
    for bone in ("thigh_parent.L", "thigh_parent.R", "upper_arm_parent.L", "upper_arm_parent.R"):
        path = f'pose.bones["{bone}"]["IK_FK"]'
        curve = next(c for c in compat.curves(action, action.slots[0]) if c.data_path == path)
        assert [point.co[1] for point in curve.keyframe_points] == [1.0]


def test_the_animator_can_go_on_posing(shown: tuple) -> None:
    """A key changed on a control moves the bones that deform."""
    rig, _body, _binding, _motion, baked = shown
    names = [bone.name for bone in bone_order(rig)]
    before = pose_sampling.sample_poses(rig, [20.0])[0, names.index("DEF-hand.L")]
    action = bpy.data.actions[baked.action]
    curve = next(
        c
        for c in compat.curves(action, action.slots[0])
        if c.data_path == 'pose.bones["upper_arm_fk.L"].rotation_quaternion' and c.array_index == 1
    )
    keys = np.empty(2 * len(curve.keyframe_points), dtype=np.float32)
    curve.keyframe_points.foreach_get("co", keys)
    turned = keys.copy()
    turned[1::2] += 0.5
    after = None
    for values in (turned, keys):
        curve.keyframe_points.foreach_set("co", values)
        curve.update()
        if after is None:
            after = pose_sampling.sample_poses(rig, [20.0])[0, names.index("DEF-hand.L")]
    assert np.linalg.norm(after[:3, 3] - before[:3, 3]) > 0.05


def test_the_users_pose_comes_back(shown: tuple) -> None:
    rig = shown[0]
    nla.show_own_animation(rig)
    assert rig.pose.bones["thigh_parent.L"]["IK_FK"] == pytest.approx(0.25)
    assert tuple(rig.pose.bones["root"].location) == pytest.approx((0.3, 0.2, 0.1))
    assert rotations.angle_between(np.array(rig.pose.bones["thigh_fk.L"].rotation_quaternion), [1, 0, 0, 0]) < 1e-5


def test_the_check_pose_on_the_controls(shown: tuple) -> None:
    rig, body, binding, _motion, _baked = shown
    nla.show_own_animation(rig)
    before = rig.pose.bones["thigh_fk.L"].matrix_basis.copy()
    mapping_pose.show(rig, body, binding)
    bpy.context.view_layer.update()
    arm, hand, thigh, shin = (
        rig.pose.bones[f"DEF-{name}.L"].head.copy() for name in ("upper_arm", "hand", "thigh", "shin")
    )
    arm, thigh = hand - arm, shin - thigh
    assert arm.normalized().y < -0.99 and thigh.normalized().y < -0.95
    assert mapping_pose.take_back(rig) and not mapping_pose.take_back(rig)
    assert rig.pose.bones["thigh_fk.L"].matrix_basis == before
    assert rig.pose.bones["thigh_parent.L"]["IK_FK"] == pytest.approx(0.25)


def test_the_skin_of_every_deforming_bone_goes_along_and_nothing_is_said(shown: tuple) -> None:
    rig, _body, binding, motion, baked = shown
    nla.show_track(rig, baked.track)
    assert baked.warnings == ()
    assert skin_error(rig, binding, motion, 5, bpy.context.scene) < 1.0
