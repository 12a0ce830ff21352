# SPDX-License-Identifier: GPL-3.0-or-later
"""Rigs whose bones cannot receive what a take would key, or are moved from elsewhere: baked right, or said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from backflip_addon.core.rigs import fit, roles  # noqa: E402
from backflip_addon.scene import mapping_pose  # noqa: E402
from backflip_addon.scene.animation import actions, pose_sampling  # noqa: E402
from backflip_addon.scene.armature.rig import bone_order, read_rig  # noqa: E402
from backflip_addon.scene.baking import bake, bake_error, nla, own_animation  # noqa: E402

from . import rigs, takes  # noqa: E402

FIRST = 11
Change = Callable[[Any], None]


def edited(change: Callable[[Any], None]) -> Change:
    def apply(armature: Any) -> None:
        bpy.context.view_layer.objects.active = armature
        bpy.ops.object.mode_set(mode="EDIT")
        change(armature.data.edit_bones)
        bpy.ops.object.mode_set(mode="OBJECT")

    return apply


def _link(bones: Any, *names: str) -> None:
    """Each bone begins where the one before it ends, and is connected to it."""
    for above, below in zip(names, names[1:], strict=False):
        bones[above].tail = bones[below].head
        bones[below].parent, bones[below].use_connect = bones[above], True


def _new(bones: Any, name: str, parent: str, head: tuple, tail: tuple) -> None:
    bone = bones.new(name)
    bone.head, bone.tail = head, tail
    bone.parent = bones.get(parent)


def _waist(bones: Any) -> None:
    _new(bones, "waist", "root", (0, 0, 0.5), (0, 0, 0.9))
    _link(bones, "root", "waist", "pelvis")


def _ground(bones: Any) -> None:
    _waist(bones)
    _new(bones, "ground", "", (0, 0.3, 0), (0, 0, 0.1))
    _link(bones, "ground", "root")


def _no_root(bones: Any) -> None:
    bones["pelvis"].parent = None
    bones.remove(bones["root"])


connected = edited(lambda bones: _link(bones, "root", "pelvis"))
through_waist = edited(_waist)
to_the_ground = edited(_ground)
no_root = edited(_no_root)
beside = edited(lambda bones: _new(bones, "weapon", "hand.L", (0.8, 0, 1.42), (1.2, 0, 1.42)))
under_shin = edited(lambda bones: _new(bones, "tip", "shin.L", (0.1, 0.01, 0.08), (0.1, 0.01, 0)))
control = edited(lambda bones: _new(bones, "control", "root", (0, 0, 1), (0, 0, 1.2)))


def plain(_armature: Any) -> None:
    pass


def empty(place: tuple = (1.0, -1.0, 1.0), moving: bool = False) -> Any:
    ob = bpy.data.objects.new("Target", None)
    bpy.context.scene.collection.objects.link(ob)
    ob.location, ob.rotation_euler = place, (0.3, 0.2, 1.0)
    if moving:
        for frame in (1, 40):
            ob.location.x, ob.rotation_euler.x = frame * 0.1, frame * 0.05
            ob.keyframe_insert("location", frame=frame)
            ob.keyframe_insert("rotation_euler", frame=frame)
    return ob


def constrained(bone: str, kind: str, **settings: Any) -> Change:
    def apply(armature: Any) -> None:
        _constrain(armature, bone, kind, **settings)

    return apply


def _constrain(armature: Any, bone: str, kind: str, **settings: Any) -> Any:
    constraint = (armature.pose.bones[bone] if bone else armature).constraints.new(kind)
    if hasattr(constraint, "target"):
        constraint.target = empty()
    for name, value in settings.items():
        setattr(constraint, name, value)
    return constraint


def drives(owner: Any, prop: str, expression: str, index: int = -1) -> None:
    owner.driver_add(prop, index).driver.expression = expression


def driven(bone: str, prop: str, index: int = 1) -> Change:
    return lambda armature: drives(armature.pose.bones[bone], prop, "0.3 + frame * 0.01", index)


def held_constraint(*props: str) -> Change:
    def apply(armature: Any) -> None:
        ik = _constrain(armature, "shin.L", "IK", chain_count=2)
        for prop in props:
            drives(ik, prop, {"mute": "0", "enabled": "1", "influence": "0.8"}[prop])

    return apply


def all_at_once(*changes: Change) -> Change:
    def apply(armature: Any) -> None:
        for change in changes:
            change(armature)

    return apply


def spline(armature: Any) -> None:
    curve = bpy.data.objects.new("Curve", bpy.data.curves.new("Curve", "CURVE"))
    curve.data.splines.new("POLY").points.add(3)
    for i, point in enumerate(curve.data.splines[0].points):
        point.co = (i, 1, 2, 1)
    bpy.context.scene.collection.objects.link(curve)
    _constrain(armature, "head", "SPLINE_IK", chain_count=5, target=curve)


def acted(armature: Any) -> None:
    action, slot, bag = actions.new_action("Act", "Rig")
    bag.fcurves.new('pose.bones["forearm.L"].location', index=0).keyframe_points.insert(1, 0.5)
    constraint = armature.pose.bones["forearm.L"].constraints.new("ACTION")
    constraint.target, constraint.subtarget, constraint.action = armature, "head", action
    constraint.use_eval_time, constraint.eval_time = True, 0.5


def armature_constraint(armature: Any) -> None:
    target = armature.pose.bones["pelvis"].constraints.new("ARMATURE").targets.new()
    target.target, target.subtarget = armature, "root"


def follows_control(armature: Any) -> None:
    _constrain(armature, "head", "COPY_TRANSFORMS", target=armature, subtarget="control")


def parent_constrained(armature: Any) -> None:
    armature.parent = empty((0, 0, 0))
    armature.parent.constraints.new("COPY_ROTATION").target = empty(moving=True)


def object_constrained(armature: Any) -> None:
    armature.constraints.new("COPY_LOCATION").target = empty(moving=True)


def fed_back(armature: Any) -> None:
    """The hips are driven by the very bone that has to bring them to their place."""
    driver = armature.pose.bones["pelvis"].driver_add("location", 1).driver
    variable = driver.variables.new()
    variable.type = "TRANSFORMS"
    target = variable.targets[0]
    target.id, target.bone_target = armature, "root"
    target.transform_type, target.transform_space = "LOC_Z", "LOCAL_SPACE"
    driver.expression = f"{variable.name} * 0.5 + 0.1"


def keyed_modes(armature: Any) -> None:
    bone = armature.pose.bones["forearm.L"]
    for frame, mode in ((40, "XYZ"), (1, "ZYX")):
        bone.rotation_mode = mode
        bone.keyframe_insert("rotation_mode", frame=frame)
    bone.rotation_mode = "QUATERNION"


def locked(armature: Any) -> None:
    for bone in armature.pose.bones:
        bone.lock_location = bone.lock_rotation = bone.lock_scale = (True,) * 3
        bone.lock_rotation_w = bone.lock_rotations_4d = True


def no_inheritance(armature: Any) -> None:
    modes = ("FULL", "FIX_SHEAR", "ALIGNED", "AVERAGE", "NONE", "NONE_LEGACY")
    for i, bone in enumerate(armature.data.bones):
        bone.use_local_location, bone.inherit_scale = False, modes[i % 6]
    for name in ("root", "waist", "pelvis", "head"):
        armature.data.bones[name].use_inherit_rotation = False


def keyed_settings(armature: Any) -> None:
    bone = armature.data.bones["upper_arm.L"]
    for frame, inherits in ((25, False), (1, True)):
        bone.use_inherit_rotation = inherits
        bone.keyframe_insert("use_inherit_rotation", frame=frame)


def driven_settings(armature: Any) -> None:
    drives(armature.data.bones["upper_arm.L"], "use_inherit_rotation", "frame < 20")


# How the skeleton is built, and what is done to it once it has a body.
RIGHT: dict[str, tuple[Change, Change]] = {
    "hips connected to the root": (connected, plain),
    "hips connected through a waist": (through_waist, plain),
    "hips connected through two": (to_the_ground, plain),
    "nothing inherited": (to_the_ground, no_inheritance),
    "all locked": (connected, locked),
    "hips driven": (plain, driven("pelvis", "location")),
    "hips driven by what lifts them": (plain, fed_back),
    "root driven": (plain, driven("root", "location")),
    "root turned by a driver": (plain, driven("root", "rotation_quaternion", 2)),
    "elbow driven": (plain, driven("forearm.L", "rotation_quaternion", 0)),
    "a driver on another mode": (plain, driven("forearm.L", "rotation_euler")),
    "a driven mode": (plain, lambda ob: drives(ob.pose.bones["forearm.L"], "rotation_mode", "1")),
    "keyed modes": (plain, keyed_modes),
    "connected to a constrained root": (connected, constrained("root", "COPY_LOCATION")),
    "connected to a child of something": (connected, constrained("root", "CHILD_OF")),
    "IK on a tip under the shin": (under_shin, constrained("tip", "IK", chain_count=3)),
    "IK beside its own tip": (under_shin, constrained("tip", "IK", chain_count=1, use_tail=False)),
    "IK of a weapon to the root": (beside, constrained("weapon", "IK", chain_count=0)),
    "IK of two arms": (
        plain,
        all_at_once(constrained("hand.L", "IK", chain_count=4), constrained("hand.R", "IK", chain_count=0)),
    ),
    "spline IK": (plain, spline),
    "a driven influence": (plain, held_constraint("influence")),
    "a driven mute": (plain, held_constraint("mute")),
    "an action": (plain, acted),
    "an armature constraint": (plain, armature_constraint),
    "a bone that copies a control": (control, follows_control),
    "a carrier that stretches": (through_waist, constrained("waist", "STRETCH_TO")),
    "a carrier that tracks": (through_waist, constrained("waist", "DAMPED_TRACK")),
    "a scaling constraint": (plain, constrained("forearm.L", "LIMIT_SCALE", use_min_x=True, min_x=2.0)),
    "an object that is constrained": (plain, object_constrained),
    "an object that is driven": (plain, lambda ob: drives(ob, "location", "frame * 0.05", 0)),
    "a parent that is constrained": (plain, parent_constrained),
    "keyed settings": (plain, keyed_settings),
    "driven settings": (plain, driven_settings),
}

# The bone that is named, and the word that tells why.
SAID: dict[str, tuple[Change, Change, str, str]] = {
    "no bone above the hips": (no_root, driven("pelvis", "location"), "pelvis", "drivers go on moving pelvis"),
    "a driven bone above": (to_the_ground, driven("ground", "location"), "pelvis", "drivers go on moving ground"),
    "every rotation driven": (
        plain,
        all_at_once(*(driven("forearm.L", f"rotation_{kind}") for kind in ("quaternion", "euler", "axis_angle"))),
        "forearm.L",
        "drivers go on moving forearm.L",
    ),
    "a driver on all that would rest it": (plain, held_constraint("influence", "mute"), "thigh.L", "IK of shin.L"),
    "or on its counterpart": (plain, held_constraint("influence", "enabled"), "thigh.L", "IK of shin.L"),
    "a driven scale": (plain, driven("spine", "scale"), "chest", "drivers go on moving spine"),
}


def built(build: Change) -> tuple:
    rigs.empty_scene()
    armature = rigs.build()
    build(armature)
    rig = read_rig(armature)
    return armature, *fit.fit_body(rig, roles.guess(rig), 70.0)


def baked(armature: Any, binding: Any, motion: Any) -> Any:
    bpy.context.view_layer.update()
    return bake.bake_take(armature, binding, motion, name="T", start_frame=FIRST, scene=bpy.context.scene)


def story(armature: Any) -> list:
    """What a playing take may set on bones and constraints."""
    found: list = [list(armature.location), list(armature.rotation_euler)]
    for bone in armature.pose.bones:
        found.append((bone.rotation_mode, *(tuple(getattr(bone, prop)) for prop in own_animation.TRANSFORMS)))
        found += [(c.mute, round(c.influence, 6)) for c in bone.constraints]
    return found


@pytest.mark.parametrize("case", RIGHT)
def test_the_rig_shows_the_take_whatever_its_bones_can_receive(case: str) -> None:
    build, change = RIGHT[case]
    armature, body, binding = built(build)
    change(armature)
    bpy.context.scene.frame_set(FIRST)
    before = story(armature)
    motion = takes.tumble(body, seconds=1.0)
    result = baked(armature, binding, motion)
    millimetres, degrees = bake_error.bake_error(armature, body, binding, motion, FIRST, bpy.context.scene)
    assert millimetres < 1.0 and degrees < 0.1
    assert result.warnings == () and nla.warnings(armature) == []
    bpy.context.scene.frame_set(FIRST + 7)
    nla.show_own_animation(armature)
    bpy.context.scene.frame_set(FIRST)
    assert story(armature) == before


@pytest.mark.parametrize("case", SAID)
def test_a_bone_that_cannot_be_brought_to_its_place_is_said(case: str) -> None:
    build, change, bone, reason = SAID[case]
    armature, body, binding = built(build)
    change(armature)
    motion = takes.tumble(body, seconds=1.0)
    result = baked(armature, binding, motion)
    error = bake_error.bake_error(armature, body, binding, motion, FIRST, bpy.context.scene)
    assert error[0] > 1.0 or error[1] > 0.1
    assert len(result.warnings) == 1
    assert result.warnings[0].startswith(f"{bone} does not follow the take") and reason in result.warnings[0]
    assert nla.warnings(armature) == list(result.warnings)  # as long as the take plays
    nla.show_own_animation(armature)
    assert nla.warnings(armature) == []
    nla.show_track(armature, result.track)
    assert nla.warnings(armature) == list(result.warnings)


def twin(armature: Any) -> None:
    """All bones copy another armature's, which stands elsewhere."""
    leader = rigs.build(name="Leader")
    leader.location, leader.rotation_euler = (1, -1, 0), (0, 0, 2)
    for bone in armature.pose.bones:
        constraint = bone.constraints.new("COPY_TRANSFORMS")
        constraint.target, constraint.subtarget = leader, bone.name


def control_hand(armature: Any) -> None:
    def add(bones: Any) -> None:
        _new(bones, "c_hand", "root", (0.7, 0, 1.42), (0.8, 0, 1.42))
        _new(bones, "c_index", "c_hand", (0.8, 0, 1.42), (0.88, 0, 1.42))

    edited(add)(armature)
    for name, control in {"pelvis": "root", "hand.L": "c_hand", "index.L": "c_index"}.items():
        _constrain(armature, name, "COPY_TRANSFORMS", target=armature, subtarget=control)


@pytest.mark.parametrize("change", [twin, control_hand])
def test_fingers_no_longer_copy_those_of_a_hand_that_the_take_does_not_follow(change: Change) -> None:
    armature, body, binding = built(plain)
    change(armature)
    curl = _constrain(armature, "index.R", "COPY_ROTATION", target=armature, subtarget="index.L")
    curl.owner_space = curl.target_space = "LOCAL"
    stays = _constrain(armature, "index.R", "COPY_LOCATION", target=armature, subtarget="hand.R", head_tail=1.0)
    assert baked(armature, binding, takes.tumble(body, seconds=0.3)).warnings == ()
    for frame in (FIRST, FIRST + 6):
        bpy.context.scene.frame_set(frame)
        for side in "LR":
            hand, finger = (armature.pose.bones[f"{part}.{side}"] for part in ("hand", "index"))
            rest = hand.bone.matrix_local.inverted() @ finger.bone.matrix_local
            np.testing.assert_allclose(hand.matrix.inverted() @ finger.matrix, rest, atol=1e-5)
    assert curl.influence == stays.influence == 1.0


def test_only_the_place_of_what_lifts_the_hips_changes() -> None:
    armature, body, binding = built(to_the_ground)
    rest = np.array(armature.data.bones["ground"].matrix_local)[:3, :3]
    baked(armature, binding, takes.tumble(body, seconds=1.0))
    poses = pose_sampling.sample_poses(armature, range(FIRST, FIRST + 25))
    order = [bone.name for bone in bone_order(armature)]
    ground = poses[:, order.index("ground")]
    np.testing.assert_allclose(ground[:, :3, :3], np.broadcast_to(rest, (25, 3, 3)), atol=1e-5)
    assert np.ptp(ground[:, :3, 3], axis=0).max() > 0.3


def test_the_check_pose_stands_on_connected_hips() -> None:
    armature, body, binding = built(connected)
    mapping_pose.show(armature, body, binding)
    bpy.context.view_layer.update()
    motion = mapping_pose.pose(body)
    place, _turns = body.forward(motion.position[0], motion.rotations[0])
    for name in ("thigh.L", "foot.R", "hand.R"):
        head = np.array(armature.matrix_world @ armature.pose.bones[name].head)
        np.testing.assert_allclose(binding.to_sim(head), place[body.index(name)], atol=1e-3)
    assert mapping_pose.take_back(armature)


def test_a_memory_that_is_none_of_ours_is_no_warning() -> None:
    armature, body, binding = built(plain)
    baked(armature, binding, takes.tumble(body, seconds=0.2))
    action = nla.baked_action(nla.playing_track(armature))
    for value in ("[", "7", '{"a": 1}', 7):
        action[nla.WARNINGS_PROPERTY] = value
        assert nla.warnings(armature) == []
