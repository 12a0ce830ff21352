# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import math

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from mathutils import Matrix  # noqa: E402

from backflip_addon.core import rotations  # noqa: E402
from backflip_addon.core.rigs import fit, roles  # noqa: E402
from backflip_addon.core.slices import at_once  # noqa: E402
from backflip_addon.scene import reference  # noqa: E402
from backflip_addon.scene.animation import action_slots, visual_motion  # noqa: E402
from backflip_addon.scene.armature.rig import read_rig  # noqa: E402
from backflip_addon.scene.baking import bake, bake_error, nla, own_animation  # noqa: E402
from tests.work import count_calls  # noqa: E402

from . import rigs, takes  # noqa: E402

ALL_MODES = ("QUATERNION", "XYZ", "AXIS_ANGLE", "ZYX", "YXZ", "XZY", "ZXY", "YZX")

GUISES = {
    "plain T-pose": {},
    "A-pose": {"bones": rigs.a_pose()},
    "scaled 0.01 and turned 90 degrees": {"matrix": rigs.SCALED_AND_TURNED},
    "scaled 100": {"matrix": Matrix.Scale(100.0, 4)},
    "axes across the limbs": {"across": True},
    "rolled bones": {"roll": lambda name: 0.7 * len(name)},
    "every rotation mode": {"modes": ALL_MODES},
    "all of it": {
        "bones": rigs.a_pose(),
        "matrix": rigs.SCALED_AND_TURNED,
        "across": True,
        "roll": lambda name: 0.3 * len(name),
        "modes": ALL_MODES[::-1],
    },
}


@pytest.fixture(autouse=True)
def _empty() -> None:
    rigs.empty_scene()


def bound(armature: bpy.types.Object) -> tuple:
    rig = read_rig(armature)
    return fit.fit_body(rig, roles.guess(rig), 70.0)


def baked(armature: bpy.types.Object, start: int = 11, **kwargs: object) -> tuple:
    body, binding = bound(armature)
    motion = takes.tumble(body)
    result = bake.bake_take(
        armature, binding, motion, name="Tumble", start_frame=start, scene=bpy.context.scene, **kwargs
    )
    return body, binding, motion, result


def world_bone(armature: bpy.types.Object, bone: str) -> Matrix:
    return armature.matrix_world @ armature.pose.bones[bone].matrix


@pytest.mark.parametrize("guise", GUISES)
def test_the_rig_shows_the_take(guise: str) -> None:
    armature = rigs.build(**GUISES[guise])
    body, binding, motion, result = baked(armature)
    millimetres, degrees = bake_error.bake_error(armature, body, binding, motion, 11, bpy.context.scene)
    assert millimetres < 1.0 and degrees < 0.1
    assert (result.first, result.last) == (11, 11 + 36)


@pytest.mark.parametrize("guise", GUISES)
def test_joints_lie_where_the_body_says(guise: str) -> None:
    """Seen with nothing of ours but forward kinematics: heads of limb bones against link origins."""
    armature = rigs.build(**GUISES[guise])
    body, binding, motion, result = baked(armature)
    scene = bpy.context.scene
    for frame in (11, 20, 33, result.last):
        scene.frame_set(frame)
        positions, _turns = body.forward(*motion.sample([(frame - 11) / 24.0]))
        for name in ("thigh.L", "shin.R", "foot.L", "upper_arm.R", "forearm.L", "hand.R"):
            head = (armature.matrix_world @ armature.pose.bones[name].head.to_4d()).to_3d()
            np.testing.assert_allclose(binding.to_sim(np.array(head)), positions[0, body.index(name)], atol=1e-3)


@pytest.mark.parametrize(("fps", "base"), [(24, 1.0), (25, 1.0), (30, 1.001), (60, 1.0)])
def test_every_frame_rate_samples_the_same_performance(fps: int, base: float) -> None:
    bpy.context.scene.render.fps, bpy.context.scene.render.fps_base = fps, base
    armature = rigs.build()
    body, binding, motion, result = baked(armature)
    assert result.last - result.first == math.floor(motion.duration * fps / base + 1e-6)
    assert bake_error.bake_error(armature, body, binding, motion, 11, bpy.context.scene)[0] < 1.0
    back = bake_error.read_take_from_rig(armature, body, binding, result.first, result.last, bpy.context.scene)
    position, turns = motion.sample(np.arange(back.frames) / (fps / base))
    np.testing.assert_allclose(back.position, position, atol=1e-3)
    assert np.degrees(rotations.angle_between(back.rotations, turns)).max() < 0.1


def test_parents_and_moving_objects_do_not_move_the_take() -> None:
    carrier = bpy.data.objects.new("Carrier", None)
    bpy.context.scene.collection.objects.link(carrier)
    carrier.rotation_euler = (0.2, 0.3, 0.9)
    carrier.keyframe_insert("location", frame=1)
    carrier.location = (3.0, 1.0, 2.0)
    carrier.keyframe_insert("location", frame=40)
    armature = rigs.build()
    body, binding = bound(armature)
    armature.parent = carrier
    bpy.context.view_layer.update()
    motion = takes.tumble(body)
    bake.bake_take(armature, binding, motion, name="T", start_frame=1, scene=bpy.context.scene)
    millimetres, degrees = bake_error.bake_error(armature, body, binding, motion, 1, bpy.context.scene)
    assert millimetres < 1.0 and degrees < 0.1


def test_an_object_moved_since_the_body_was_built_plays_the_same_take() -> None:
    armature = rigs.build()
    body, binding = bound(armature)
    armature.matrix_world = Matrix.Translation((2, 1, 0.5)) @ Matrix.Rotation(1.0, 4, "Z")
    bpy.context.view_layer.update()
    motion = takes.tumble(body)
    bake.bake_take(armature, binding, motion, name="T", start_frame=1, scene=bpy.context.scene)
    assert bake_error.bake_error(armature, body, binding, motion, 1, bpy.context.scene)[0] < 1.0
    bpy.context.scene.frame_set(1)
    head = np.array(world_bone(armature, "thigh.L").translation)
    place = body.forward(*motion.sample([0.0]))[0][0, body.index("thigh.L")]
    np.testing.assert_allclose(head, binding.to_world(place), atol=1e-3)


def _users_action(armature: bpy.types.Object) -> bpy.types.Action:
    """An action that moves a thigh, a finger and the object itself."""
    armature.rotation_mode = "XYZ"
    for frame, value in ((1, 0.0), (60, 1.0)):
        armature.pose.bones["thigh.L"].rotation_quaternion = (math.cos(value / 2), math.sin(value / 2), 0, 0)
        armature.pose.bones["thigh.L"].keyframe_insert("rotation_quaternion", frame=frame)
        armature.pose.bones["index.L"].rotation_quaternion = (math.cos(value / 2), 0, 0, math.sin(value / 2))
        armature.pose.bones["index.L"].keyframe_insert("rotation_quaternion", frame=frame)
        armature.location = (value, 0.0, 0.0)
        armature.keyframe_insert("location", frame=frame)
    return armature.animation_data.action


def _snapshot(action: bpy.types.Action, slot: object) -> list:
    from backflip_addon import compat

    return [(c.data_path, c.array_index, [tuple(k.co) for k in c.keyframe_points]) for c in compat.curves(action, slot)]


def test_what_the_user_had_is_left_alone_and_comes_back() -> None:
    scene = bpy.context.scene
    armature = rigs.build()
    action = _users_action(armature)
    data = armature.animation_data
    keys, slot = _snapshot(action, data.action_slot), data.action_slot.handle
    scene.frame_set(30)
    before = [tuple(v) for bone in armature.pose.bones for v in bone.matrix]
    body, binding, motion, result = baked(armature)
    assert (data.action, data.action_slot.handle) == (action, slot)
    assert _snapshot(action, data.action_slot) == keys
    assert bake_error.bake_error(armature, body, binding, motion, 11, scene)[0] < 1.0
    scene.frame_set(29)
    nla.show_own_animation(armature)
    scene.frame_set(30)
    after = [tuple(v) for bone in armature.pose.bones for v in bone.matrix]
    np.testing.assert_allclose(after, before, atol=1e-6)
    assert data.nla_tracks[result.track].strips[0].action.name == result.action
    nla.show_track(armature, result.track)
    assert bake_error.bake_error(armature, body, binding, motion, 11, scene)[0] < 1.0


def test_fingers_keep_their_own_animation() -> None:
    scene = bpy.context.scene
    armature = rigs.build()
    _users_action(armature)
    scene.frame_set(30)
    finger = armature.pose.bones["index.L"].rotation_quaternion.copy()
    baked(armature)
    scene.frame_set(1)
    scene.frame_set(30)
    np.testing.assert_allclose(armature.pose.bones["index.L"].rotation_quaternion, finger, atol=1e-4)


def test_fingers_follow_the_reference_in_its_own_time() -> None:
    scene = bpy.context.scene
    armature = rigs.build()
    action = _users_action(armature)
    slot = armature.animation_data.action_slot
    armature.animation_data.action = None
    own = own_animation.OwnAnimation(action, slot, 10.0, 60.0, 12.0)  # half speed, from its frame 10
    baked(armature, own=own)
    scene.frame_set(11 + 24)  # a second into the take
    curve = next(c for c in _curves(action, slot) if "index.L" in c.data_path and c.array_index == 3)
    assert armature.pose.bones["index.L"].rotation_quaternion[3] == pytest.approx(curve.evaluate(22.0), abs=1e-5)


@pytest.mark.parametrize("number", [0, -1.0, "fast", None, [1], float("nan"), float("inf"), 10**400])
def test_a_strangers_numbers_on_the_reference_are_the_usual_ones(number: object) -> None:
    armature = rigs.build()
    action = _users_action(armature)
    facts = {"kind": "ACTION", "object": armature.name, "action": action.name}
    usual = reference.own_animation(bpy.context.scene, armature, facts)
    odd = reference.own_animation(
        bpy.context.scene, armature, facts | {"trim_start": number, "time_scale": number, "slot": ""}
    )
    assert usual is not None and odd == usual


def _curves(action: bpy.types.Action, slot: object) -> list:
    from backflip_addon import compat

    return list(compat.curves(action, slot))


def test_two_takes_play_one_at_a_time() -> None:
    scene = bpy.context.scene
    armature = rigs.build()
    _body, _binding, _motion, first = baked(armature, start=1)
    body, binding, motion, second = baked(armature, start=100)
    tracks = armature.animation_data.nla_tracks
    assert [tracks[r.track].is_solo for r in (first, second)] == [False, True]
    assert bake_error.bake_error(armature, body, binding, motion, 100, scene)[0] < 1.0
    nla.show_track(armature, first.track)
    assert bake_error.bake_error(armature, body, binding, motion, 1, scene)[0] < 1.0
    nla.show_own_animation(armature)
    scene.frame_set(5)
    np.testing.assert_allclose(np.array([b.matrix_basis for b in armature.pose.bones]) - np.eye(4), 0, atol=1e-6)


def test_constraints_rest_while_the_take_plays_and_return() -> None:
    scene = bpy.context.scene
    armature = rigs.build()
    target = bpy.data.objects.new("Target", None)
    target.location = (1.0, -1.0, 1.0)
    scene.collection.objects.link(target)
    body, binding = bound(armature)
    ik = armature.pose.bones["shin.L"].constraints.new("IK")
    ik.target, ik.chain_count, ik.influence = target, 2, 0.7
    motion = takes.tumble(body)
    bake.bake_take(armature, binding, motion, name="T", start_frame=1, scene=scene)
    assert bake_error.bake_error(armature, body, binding, motion, 1, scene)[0] < 1.0
    scene.frame_set(9)
    nla.show_own_animation(armature)
    scene.frame_set(10)
    assert ik.influence == pytest.approx(0.7)


def test_bones_that_do_not_inherit_rotation() -> None:
    armature = rigs.build()
    armature.data.bones["head"].use_inherit_rotation = False
    armature.data.bones["upper_arm.L"].use_inherit_rotation = False
    armature.data.bones["pelvis"].use_local_location = False
    body, binding, motion, _result = baked(armature)
    millimetres, degrees = bake_error.bake_error(armature, body, binding, motion, 11, bpy.context.scene)
    assert millimetres < 1.0 and degrees < 0.1


def test_another_skeleton_is_refused_and_nothing_is_left() -> None:
    armature = rigs.build()
    body, binding = bound(armature)
    bpy.context.view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")
    armature.data.edit_bones["shin.L"].head.x += 0.2
    bpy.ops.object.mode_set(mode="OBJECT")
    count = len(bpy.data.actions)
    with pytest.raises(action_slots.ActionError, match="build the body again"):
        bake.bake_take(armature, binding, takes.tumble(body), name="T", start_frame=1, scene=bpy.context.scene)
    assert len(bpy.data.actions) == count


def test_frames_that_blender_does_not_have_are_refused_and_nothing_is_left() -> None:
    armature = rigs.build()
    for start in (1_048_574, -1_048_600):
        with pytest.raises(action_slots.ActionError, match="beyond Blender's"):
            baked(armature, start)
    assert not bpy.data.actions and not nla.baked_tracks(armature)
    with pytest.raises(action_slots.ActionError, match="beyond Blender's"):
        at_once(visual_motion.sample_visual_pose_slices(bpy.context.scene, armature, 2_000_000, 2_000_010))


def test_ten_times_the_frames_on_65_bones_are_hardly_more_calls() -> None:
    """All frames of a bone are worked out and written at once."""
    bones = rigs.t_pose()
    for side, sign in (("L", 1), ("R", -1)):
        for finger in range(5):
            parent = f"hand.{side}"
            for joint in range(4 if finger else 3):
                x = sign * (0.80 + 0.02 * joint)
                y = -0.04 + 0.02 * finger
                bones.append((f"finger{finger}_{joint}.{side}", parent, (x, y, 1.42), (x + sign * 0.02, y, 1.42)))
                parent = f"finger{finger}_{joint}.{side}"
    armature = rigs.build(bones)
    assert len(armature.data.bones) >= 63
    body, binding = bound(armature)

    def calls(frames: int) -> int:
        def work() -> None:
            result = bake.bake_take(armature, binding, motion, name="T", start_frame=1, scene=bpy.context.scene)
            assert result.last == frames

        motion = takes.tumble(body, seconds=(frames - 1) / 24)
        return count_calls(work)

    calls(30)  # what is loaded and remembered once is no take's
    assert calls(300) < 1.5 * calls(30)
