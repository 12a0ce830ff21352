# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import math

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from backflip_addon import compat  # noqa: E402
from backflip_addon.scene.animation import action_slots, actions, pose_sampling, rna_paths  # noqa: E402
from backflip_addon.scene.animation.action_slots import ActionError  # noqa: E402
from backflip_addon.scene.animation.actions import Channel  # noqa: E402
from backflip_addon.scene.animation.rna_paths import bone_path  # noqa: E402
from backflip_addon.scene.armature.rig import bone_order  # noqa: E402

from . import rigs  # noqa: E402


@pytest.fixture(autouse=True)
def _empty() -> None:
    rigs.empty_scene()


def _swing(armature: bpy.types.Object, name: str, degrees: float) -> bpy.types.Action:
    """An action that turns the left thigh from 0 to degrees about its x over frames 1 to 11."""
    armature.pose.bones["thigh.L"].rotation_mode = "XYZ"
    action, _slot, bag = actions.new_action(name, armature.name)
    values = np.radians(np.linspace(0, degrees, 11))
    actions.write_channels(bag, np.arange(1, 12), [Channel(bone_path("thigh.L", "rotation_euler"), 0, "x", values)])
    return action


def _angle(armature: bpy.types.Object, pose: np.ndarray) -> float:
    """Degrees between the thigh's axis and straight down."""
    index = [bone.name for bone in bone_order(armature)].index("thigh.L")
    rest = np.array(armature.matrix_world @ armature.data.bones["thigh.L"].matrix_local)[:3, 1]
    return math.degrees(math.acos(min(float(pose[index, :3, 1] @ rest / np.linalg.norm(rest)), 1.0)))


def test_poses_are_sampled_at_whole_and_broken_frames() -> None:
    armature = rigs.build()
    action = _swing(armature, "Swing", 50.0)
    poses = pose_sampling.sample_poses(armature, [1, 6, 6.5, 11], action)
    assert [_angle(armature, p) for p in poses] == pytest.approx([0, 25, 27.5, 50], abs=0.05)


def test_sampling_leaves_everything_as_it_was() -> None:
    armature = rigs.build()
    first, second = _swing(armature, "First", 50.0), _swing(armature, "Second", 10.0)
    data = armature.animation_data_create()
    data.action = first
    data.action_slot = first.slots[0]
    bpy.context.scene.frame_set(6)
    before = np.array(armature.pose.bones["thigh.L"].matrix)
    pose_sampling.sample_poses(armature, [1, 11], second)
    bpy.context.scene.frame_set(6)
    assert (data.action, data.action_slot) == (first, first.slots[0])
    assert bpy.context.scene.frame_current == 6 and len(bpy.data.scenes) == 1
    np.testing.assert_allclose(np.array(armature.pose.bones["thigh.L"].matrix), before, atol=1e-6)


def test_an_armature_without_animation_gets_none() -> None:
    armature = rigs.build()
    action = _swing(armature, "Swing", 50.0)
    pose_sampling.sample_poses(armature, [1], action)
    assert armature.animation_data is None


def test_rest_position_is_no_obstacle() -> None:
    armature = rigs.build()
    action = _swing(armature, "Swing", 50.0)
    armature.data.pose_position = "REST"
    poses = pose_sampling.sample_poses(armature, [11], action)
    assert _angle(armature, poses[0]) == pytest.approx(50, abs=0.05)
    assert armature.data.pose_position == "REST"


def test_the_slot_that_moves_the_armature_is_picked() -> None:
    armature = rigs.build()
    action = _swing(armature, "Many", 50.0)
    wanted = action.slots[0]
    other = action.slots.new(id_type="OBJECT", name="Camera")
    bag = action.layers[0].strips[0].channelbag(other, ensure=True)
    bag.fcurves.new("location", index=0)
    assert action_slots.pick_slot(action, armature) == wanted
    assert action_slots.pick_slot(action, armature, "Camera") == other
    with pytest.raises(ActionError, match="no slot called"):
        action_slots.pick_slot(action, armature, "Nobody")


def test_curves_are_linear_grouped_and_short_where_nothing_moves() -> None:
    _action, slot, bag = actions.new_action("A", "Rig")
    still, moving = np.full(5, 2.0), np.arange(5.0)
    channels = [Channel('pose.bones["a"].location', i, "a", v) for i, v in enumerate((still, moving))]
    actions.write_channels(bag, np.arange(5), channels)
    first, second = compat.curves(_action, slot)
    assert (len(first.keyframe_points), len(second.keyframe_points)) == (1, 5)
    assert second.group.name == "a"
    assert {key.interpolation for key in second.keyframe_points} == {"LINEAR"}
    assert second.evaluate(2.5) == pytest.approx(2.5)


def test_odd_bone_names_survive_their_paths() -> None:
    name = 'a "quoted" \\ bone]'
    assert rna_paths.bone_of(bone_path(name, "location")) == name
    assert rna_paths.bone_of("location") == ""


def test_a_name_that_is_no_text_makes_an_action_all_the_same() -> None:
    """As a take's file, or a command line in another encoding, may have it."""
    action, _slot, _bag = actions.new_action("flip\ud800", "Rig")
    assert action.name.startswith("flip")
