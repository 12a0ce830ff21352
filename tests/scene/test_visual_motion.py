# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from backflip_addon.core.slices import at_once  # noqa: E402
from backflip_addon.scene import reference_source  # noqa: E402
from backflip_addon.scene.animation import visual_motion  # noqa: E402
from backflip_addon.scene.animation.action_slots import ActionError  # noqa: E402
from backflip_addon.scene.armature.rig import bone_order  # noqa: E402

from . import moves, rigs  # noqa: E402


@pytest.fixture
def rig() -> bpy.types.Object:
    rigs.empty_scene()
    return rigs.build()


def look(rig: bpy.types.Object) -> tuple[tuple[int, int], np.ndarray]:
    frames = visual_motion.extent(bpy.context.scene, rig)
    return frames, at_once(visual_motion.sample_visual_pose_slices(bpy.context.scene, rig, *frames))


def strips(rig: bpy.types.Object) -> None:
    action = bpy.data.actions.new("Swing")
    slot = moves.add_slot(action, "Rig", {"thigh.L": 50.0})
    moves.add_strip(rig, action, slot, 31)
    moves.add_strip(rig, action, slot, 900).mute = True


def constraint(rig: bpy.types.Object) -> None:
    """A bone follows another armature, which is switched off."""
    leader = rigs.build(name="Leader")
    action = moves.swing(leader, "Lead", {"thigh.L": 50.0})
    action.use_frame_range, action.frame_start, action.frame_end = True, 1, 20
    leader.hide_viewport = True
    follow = rig.pose.bones["thigh.L"].constraints.new("COPY_ROTATION")
    follow.target, follow.subtarget = leader, "thigh.L"


def driver(rig: bpy.types.Object) -> None:
    """A bone is turned by how far an object has moved."""
    moves.take_angles(rig)
    lever = bpy.data.objects.new("Lever", None)
    bpy.context.scene.collection.objects.link(lever)
    for frame, place in ((1, 0.0), (20, np.radians(50.0))):
        lever.location.x = place
        lever.keyframe_insert("location", frame=frame)
    curve = rig.driver_add('pose.bones["thigh.L"].rotation_euler', 0)
    variable = curve.driver.variables.new()
    variable.type = "TRANSFORMS"
    variable.targets[0].id, variable.targets[0].transform_type = lever, "LOC_X"
    curve.driver.type = "SUM"


def scenes_property(rig: bpy.types.Object) -> None:
    """A bone is turned by a property of the scene, which the scene alone evaluates."""
    scene = bpy.context.scene
    scene.frame_end = 20
    _turned_by_property(rig, scene)


def worlds_property(rig: bpy.types.Object) -> None:
    """A bone is turned by a property of what is no object."""
    _turned_by_property(rig, bpy.data.worlds.new("World"))


def _turned_by_property(rig: bpy.types.Object, owner: Any) -> None:
    moves.take_angles(rig)
    for frame, value in ((1, 0.0), (20, np.radians(50.0))):
        owner["lift"] = value
        owner.keyframe_insert('["lift"]', frame=frame)
    curve = rig.driver_add('pose.bones["thigh.L"].rotation_euler', 0)
    variable = curve.driver.variables.new()
    variable.targets[0].id_type, variable.targets[0].id = owner.id_type, owner
    variable.targets[0].data_path = '["lift"]'
    curve.driver.type = "SUM"


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize(
    ("mover", "frames"),
    [(strips, (31, 50)), *((mover, (1, 20)) for mover in (constraint, driver, scenes_property, worlds_property))],
)
def test_what_moves_an_armature_is_seen(rig: Any, mover: Any, frames: tuple[int, int], hidden: bool) -> None:
    mover(rig)
    rig.hide_viewport = hidden
    bpy.context.scene.frame_set(3)
    found, poses = look(rig)
    assert found == frames and len(poses) == 20
    turned = moves.turn_of(rig, poses, "thigh.L")
    assert turned[-1] == pytest.approx(50.0, abs=0.5) and (np.diff(turned) > 0).all()
    assert bpy.context.scene.frame_current == 3 and rig.hide_viewport == hidden
    assert len(bpy.data.scenes) == 1 and not [ob for ob in bpy.data.objects if "Backflip" in ob.name]


def test_a_parent_that_moves_is_seen(rig: Any) -> None:
    cart = bpy.data.objects.new("Cart", None)
    bpy.context.scene.collection.objects.link(cart)
    for frame, place in ((5, 0.0), (15, 2.0)):
        cart.location.x = place
        cart.keyframe_insert("location", frame=frame)
    rig.parent = cart
    frames, poses = look(rig)
    assert frames == (5, 15)
    np.testing.assert_allclose(poses[-1, :, 0, 3] - poses[0, :, 0, 3], 2.0, atol=1e-5)


def test_rigid_bodies_are_played_from_their_start_and_all_is_put_back(rig: Any) -> None:
    scene = bpy.context.scene
    mesh = bpy.data.meshes.new("Stone")
    corners = [(x, y, z) for x in (-0.1, 0.1) for y in (-0.1, 0.1) for z in (-0.1, 0.1)]
    mesh.from_pydata(corners, [], [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)])
    stone = bpy.data.objects.new("Stone", mesh)
    scene.collection.objects.link(stone)
    stone.location.z = 20.0
    bpy.context.view_layer.objects.active = stone
    bpy.ops.rigidbody.world_add()
    bpy.ops.rigidbody.object_add()
    rig.pose.bones["pelvis"].constraints.new("COPY_LOCATION").target = stone
    moves.take_angles(rig)
    rig.pose.bones["shin.L"].keyframe_insert("rotation_euler", frame=1)
    rig.pose.bones["shin.L"].rotation_euler.x = 0.3  # posed, not keyed
    poses = at_once(visual_motion.sample_visual_pose_slices(scene, rig, 13, 37))
    names = [bone.name for bone in bone_order(rig)]
    height = poses[:, names.index("pelvis"), 2, 3]
    fallen = 0.5 * 9.81 * ((np.arange(13, 38) - 1) / 24.0) ** 2
    np.testing.assert_allclose(20.0 - height, fallen, rtol=0.1)  # Bullet damps a little
    assert rig.pose.bones["shin.L"].rotation_euler.x == pytest.approx(0.3)
    assert scene.frame_current == 1


def test_a_still_armature_is_refused(rig: Any) -> None:
    with pytest.raises(ActionError, match=r"plays no action, and nothing else moves it from frame 1 to 250"):
        look(rig)
    strips(rig)
    with pytest.raises(ActionError, match=r"stands still from frame 60 to 70"):
        at_once(visual_motion.sample_visual_pose_slices(bpy.context.scene, rig, 60, 70))
    with pytest.raises(ActionError, match="2 to"):
        at_once(visual_motion.sample_visual_pose_slices(bpy.context.scene, rig, 60, 60))


def test_whole_frames_of_what_is_heard(rig: Any) -> None:
    strips(rig)
    strip = rig.animation_data.nla_tracks[0].strips[0]
    strip.frame_start_ui, strip.extrapolation = 30.5, "HOLD_FORWARD"
    assert look(rig)[0] == (31, 49)  # at frame 30 it is not yet
    longer = bpy.data.actions.new("Long")
    moves.play(rig, longer, moves.add_slot(longer, "Rig", {"thigh.L": 80.0}, 90))
    assert look(rig)[0] == (1, 90)
    rig.animation_data.nla_tracks[0].is_solo = True
    assert look(rig)[0] == (31, 49), "the star silences the action"


def test_an_action_of_a_finger_is_not_all_that_is_seen(rig: Any) -> None:
    constraint(rig)
    cart = bpy.data.objects.new("Cart", None)
    bpy.context.scene.collection.objects.link(cart)
    for frame in (1, 60):
        cart.location.x = frame
        cart.keyframe_insert("location", frame=frame)
    rig.parent = cart
    moves.swing(rig, "Finger", {"index.L": 20.0}, 5)
    source = reference_source.named_source(rig, "")
    assert source.action is None and (source.first, source.last) == (1, 60)
    rig.pose.bones["thigh.L"].constraints[0].mute = True
    source = reference_source.named_source(rig, "")
    assert source.action.name == "Finger", "one that only glides on does nothing more"
