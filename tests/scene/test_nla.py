# SPDX-License-Identifier: GPL-3.0-or-later
"""What a playing take changes comes back exactly; a rig that is another one by now is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from mathutils import Matrix  # noqa: E402

from backflip_addon.core.rigs import binding as bindings  # noqa: E402
from backflip_addon.core.rigs import fit, roles  # noqa: E402
from backflip_addon.scene.animation import action_slots, actions  # noqa: E402
from backflip_addon.scene.armature.bind_matrix import SkeletonError  # noqa: E402
from backflip_addon.scene.armature.rig import read_rig  # noqa: E402
from backflip_addon.scene.baking import bake, bake_error, bone_keys, nla  # noqa: E402

from . import rigs, takes  # noqa: E402


@pytest.fixture(autouse=True)
def _empty() -> None:
    rigs.empty_scene()


def bound(armature: Any) -> tuple:
    rig = read_rig(armature)
    return fit.fit_body(rig, roles.guess(rig), 70.0)


def bake_one(armature: Any, of: tuple | None = None, name: str = "Tumble") -> Any:
    body, binding = of or bound(armature)
    return bake.bake_take(armature, binding, takes.tumble(body), name=name, start_frame=11, scene=bpy.context.scene)


def animated(armature: Any) -> Any:
    """Two tracks of the user's, the lower one with the star, the NLA switched off, an action of its own."""
    data = armature.animation_data_create()
    for name in ("Walk", "Wave"):
        action, slot, bag = actions.new_action(name, "Rig")
        bag.fcurves.new('pose.bones["head"].location', index=0).keyframe_points.insert(1, 0.1)
        track = data.nla_tracks.new()
        track.name = name
        track.strips.new(name, 1, action).action_slot = slot
    data.nla_tracks["Wave"].mute = True
    data.nla_tracks["Walk"].is_solo = True
    data.action = bpy.data.actions.new("Present")
    data.action_influence, data.action_blend_type, data.action_extrapolation = 0.5, "ADD", "NOTHING"
    data.use_nla = False
    return data


def story(armature: Any) -> dict[str, Any]:
    """Everything of the user's that a bake might touch."""
    data = armature.animation_data
    found: dict[str, Any] = {"data": data is not None}
    if data is not None:
        own = [track for track in data.nla_tracks if not track.name.startswith(nla.TRACK_PREFIX)]
        found["tracks"] = [(t.name, t.is_solo, t.mute, t.lock, len(t.strips)) for t in own]
        found |= {name: getattr(data, name) for name in _OF_DATA}
        found["slot"] = data.action_slot.identifier if data.action_slot else ""
        found["users"] = {t.strips[0].action.name: t.strips[0].action.users for t in own}
    found["bones"] = [[list(row) for row in bone.matrix_basis] for bone in armature.pose.bones]
    found["influences"] = [c.influence for bone in armature.pose.bones for c in bone.constraints]
    found |= {"pose": armature.data.pose_position, "keys": sorted(armature.keys()), "hidden": armature.hide_get()}
    found["scale"] = [tuple(bone.scale) for bone in armature.pose.bones]
    return found


_OF_DATA = ("use_nla", "action", "action_influence", "action_blend_type", "action_extrapolation", "use_tweak_mode")


@pytest.fixture
def armature() -> Any:
    armature = rigs.build()
    armature["mine"] = 7
    armature.pose.bones["head"].constraints.new("LIMIT_ROTATION").influence = 0.7
    armature.pose.bones["chest"].scale = (1.0, 1.2, 1.0)
    armature.pose.bones["thigh.L"].rotation_quaternion = (0.9, 0.1, 0.0, 0.0)
    animated(armature)
    bpy.context.view_layer.update()
    return armature


def through_frames(armature: Any) -> None:
    for frame in (12, 40):
        bpy.context.scene.frame_set(frame)


def same(first: dict[str, Any], second: dict[str, Any]) -> None:
    for key, value in first.items():
        if key in ("bones", "scale", "influences"):
            np.testing.assert_allclose(second[key], value, atol=1e-5, err_msg=key)
        else:
            assert second[key] == value, key


def test_own_animation_is_what_it_was_star_and_nla_and_all(armature: Any) -> None:
    before = story(armature)
    bake_one(armature)
    through_frames(armature)
    assert story(armature)["use_nla"]
    nla.show_own_animation(armature)
    same(before, story(armature))


def test_also_after_several_bakes_and_shows_and_pressed_twice(armature: Any) -> None:
    before, of = story(armature), bound(armature)
    first = bake_one(armature, of, "One")
    through_frames(armature)
    bake_one(armature, of, "Two")
    through_frames(armature)
    nla.show_track(armature, first.track)
    nla.show_track(armature, first.track)
    through_frames(armature)
    nla.show_own_animation(armature)
    same(before, story(armature))
    nla.show_own_animation(armature)
    same(before, story(armature))
    for _ in range(2):
        nla.show_track(armature, first.track)
        through_frames(armature)
        nla.show_own_animation(armature)
        same(before, story(armature))


def test_what_is_done_between_two_takes_is_remembered_by_the_second(armature: Any) -> None:
    of = bound(armature)
    first = bake_one(armature, of, "One")
    nla.show_own_animation(armature)
    armature.animation_data.nla_tracks["Wave"].is_solo = True
    armature.animation_data.use_nla = True
    armature.pose.bones["forearm.R"].location = (0.0, 0.5, 0.0)
    armature.pose.bones["root"].location = (0.0, 0.5, 0.0)
    before = story(armature)
    for show in (lambda: nla.show_track(armature, first.track), lambda: bake_one(armature, of, "Two")):
        show()
        through_frames(armature)
        nla.show_own_animation(armature)
        same(before, story(armature))


def test_own_animation_pressed_again_leaves_a_new_pose_alone(armature: Any) -> None:
    bake_one(armature)
    nla.show_own_animation(armature)
    armature.pose.bones["thigh.L"].rotation_quaternion = (0.5, 0.5, 0.5, 0.5)
    nla.show_own_animation(armature)
    assert tuple(armature.pose.bones["thigh.L"].rotation_quaternion) == pytest.approx((0.5, 0.5, 0.5, 0.5))


def test_the_memory_is_saved_with_the_file(armature: Any, tmp_path: Path) -> None:
    before = story(armature)
    bake_one(armature)
    through_frames(armature)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "a.blend"))
    armature = bpy.data.objects["Rig"]
    nla.show_own_animation(armature)
    after = story(armature)
    before["action"] = after["action"]  # another address
    same(before, after)


def test_the_star_is_found_again_on_a_renamed_track(armature: Any) -> None:
    bake_one(armature)
    armature.animation_data.nla_tracks["Walk"].name = "Stroll"
    nla.show_own_animation(armature)
    assert [t.name for t in armature.animation_data.nla_tracks if t.is_solo] == ["Stroll"]


def test_the_star_is_found_again_among_tracks_of_the_same_name(armature: Any) -> None:
    own = armature.animation_data.nla_tracks
    for track in own:
        track.name = "Same"
    own[1].is_solo = True
    before = story(armature)
    bake_one(armature)
    nla.show_own_animation(armature)
    same(before, story(armature))


@pytest.mark.parametrize("gone", ["Walk", "Wave", "Backflip: Tumble"])
def test_tracks_that_were_deleted_meanwhile_do_not_matter(armature: Any, gone: str) -> None:
    before = story(armature)
    bake_one(armature)
    through_frames(armature)
    data = armature.animation_data
    data.nla_tracks.remove(data.nla_tracks[gone])
    nla.show_own_animation(armature)
    after = story(armature)
    before["tracks"] = [track for track in before["tracks"] if track[0] != gone]
    before.pop("users"), after.pop("users")
    same(before, after)


def test_a_bake_over_a_take_whose_track_is_deleted_then_still_remembers(armature: Any) -> None:
    before, of = story(armature), bound(armature)
    first = bake_one(armature, of, "One")
    through_frames(armature)
    bake_one(armature, of, "Two")
    through_frames(armature)
    data = armature.animation_data
    data.nla_tracks.remove(data.nla_tracks[first.track])
    nla.show_own_animation(armature)
    same(before, story(armature))


@pytest.mark.parametrize("with_data", [True, False])
def test_a_bake_that_fails_leaves_nothing(armature: Any, monkeypatch: pytest.MonkeyPatch, with_data: bool) -> None:
    if not with_data:
        armature.animation_data_clear()
    before, count = story(armature), len(bpy.data.actions)

    def fail(*_args: Any) -> None:
        bpy.context.scene.frame_set(20)
        raise RuntimeError("in the midst of it")

    of = bound(armature)
    monkeypatch.setattr(bone_keys, "_bone_channels", fail)
    with pytest.raises(RuntimeError, match="in the midst"):
        bake_one(armature, of)
    same(before, story(armature))
    assert len(bpy.data.actions) == count and len(bpy.data.scenes) == 1


def test_a_failed_bake_leaves_the_take_playing_that_played(armature: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    of = bound(armature)
    first = bake_one(armature, of, "One")
    with monkeypatch.context() as patch:
        patch.setattr(bone_keys, "_bone_channels", lambda *_args: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            bake_one(armature, of, "Two")
    assert nla.playing_track(armature).name == first.track


def test_a_track_without_its_star_rests(armature: Any) -> None:
    """Un-starring a take by hand brings the user's own animation back, too."""
    result = bake_one(armature)
    data = armature.animation_data
    data.nla_tracks[result.track].is_solo = False
    data.nla_tracks["Walk"].is_solo = True
    bpy.context.scene.frame_set(30)
    assert armature.pose.bones["head"].location[0] == pytest.approx(0.1)


def test_tweak_mode_is_said(armature: Any) -> None:
    result = bake_one(armature)
    nla.show_own_animation(armature)
    data = armature.animation_data
    data.use_nla = True
    data.nla_tracks["Wave"].mute = False
    data.nla_tracks.active = data.nla_tracks["Wave"]
    data.nla_tracks["Wave"].select = data.nla_tracks["Wave"].strips[0].select = True
    data.use_tweak_mode = True
    assert data.use_tweak_mode
    for press in (
        lambda: bake_one(armature),
        lambda: nla.show_track(armature, result.track),
        lambda: nla.show_own_animation(armature),
    ):
        with pytest.raises(action_slots.ActionError, match="tweak mode"):
            press()


# The rig is the one that the body was built for


def parented(armature: Any, scale: tuple) -> None:
    parent = bpy.data.objects.new("Parent", None)
    bpy.context.scene.collection.objects.link(parent)
    armature.parent = parent
    parent.scale = scale


def applied(armature: Any) -> None:
    armature.data.transform(Matrix.Scale(3.0, 4))


CHANGED: dict[str, tuple[Callable[[Any], None], str]] = {
    "scaled": (lambda ob: setattr(ob, "scale", (3, 3, 3)), "scaled since"),
    "scaled a little": (lambda ob: setattr(ob, "scale", (1.01, 1.01, 1.01)), "scaled since"),
    "scaled unevenly": (lambda ob: setattr(ob, "scale", (1, 1, 1.5)), "scaled since"),
    "scaled to nothing": (lambda ob: setattr(ob, "scale", (0, 0, 0)), "scaled since"),
    "mirrored": (lambda ob: setattr(ob, "scale", (-1, 1, 1)), "mirrored since"),
    "mirrored whole": (lambda ob: setattr(ob, "scale", (-1, -1, -1)), "mirrored since"),
    "its scale applied": (applied, "scaled since"),
    "under a scaled parent": (lambda ob: parented(ob, (2, 2, 2)), "scaled since"),
    "under a sheared parent": (
        lambda ob: (setattr(ob, "rotation_euler", (0, 0.5, 0)), parented(ob, (1, 1, 2))),
        "scaled since",
    ),
    "a bone renamed": (lambda ob: setattr(ob.data.bones["hand.L"], "name", "Paw"), "no bone called hand.L"),
    "its data swapped": (lambda ob: setattr(ob, "data", other_data()), "has changed|no bone called"),
    "hands swapped by name": (lambda ob: names_swapped(ob, "hand.L", "hand.R"), "has changed"),
    "toes swapped by name": (lambda ob: names_swapped(ob, "toe.L", "toe.R"), "has changed"),
    "spine and chest swapped by name": (lambda ob: names_swapped(ob, "spine", "chest"), "has changed"),
    "all sides swapped by name": (lambda ob: sides_swapped(ob), "has changed"),
}


def names_swapped(armature: Any, one: str, other: str) -> None:
    bones = armature.data.bones
    first, second = bones[one], bones[other]
    first.name, second.name, first.name = "between", one, other


def sides_swapped(armature: Any) -> None:
    for name in [bone.name for bone in armature.data.bones if bone.name.endswith(".L")]:
        names_swapped(armature, name, name.replace(".L", ".R"))


def other_data() -> Any:
    other = rigs.build(rigs.a_pose(), name="Other")
    return other.data


@pytest.mark.parametrize("change", CHANGED)
def test_a_rig_that_was_changed_is_refused_by_what_was_done(change: str) -> None:
    armature = rigs.build()
    of = bound(armature)
    alter, sentence = CHANGED[change]
    alter(armature)
    bpy.context.view_layer.update()
    count = len(bpy.data.actions)
    with pytest.raises(SkeletonError, match=sentence):
        bake_one(armature, of)
    assert len(bpy.data.actions) == count and armature.animation_data is None


@pytest.mark.parametrize("bone", ["hand.R", "chest", "head", "pelvis"])
def test_a_deleted_bone_is_named(bone: str) -> None:
    armature = rigs.build()
    of = bound(armature)
    edit(armature, lambda bones: bones.remove(bones[bone]))
    with pytest.raises(SkeletonError, match=f"no bone called {bone}"):
        bake_one(armature, of)


def edit(armature: Any, change: Callable[[Any], Any]) -> None:
    bpy.context.view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")
    change(armature.data.edit_bones)
    bpy.ops.object.mode_set(mode="OBJECT")


def rolled(bones: Any) -> None:
    for i, bone in enumerate(bones):
        bone.roll += 0.4 * (i % 5)


LEGIT: dict[str, Callable[[Any], Any]] = {
    "rolled bones": lambda ob: edit(ob, rolled),
    "a finger gone": lambda ob: edit(ob, lambda bones: bones.remove(bones["index.L"])),
    "lengthened at its end": lambda ob: edit(ob, lambda bones: setattr(bones["head"], "tail", (0, 0, 1.9))),
    "moved and turned": lambda ob: setattr(
        ob, "matrix_world", Matrix.Translation((1, 2, 3)) @ Matrix.Rotation(1.0, 4, "Z")
    ),
    "tipped over": lambda ob: setattr(ob, "matrix_world", Matrix.Rotation(1.2, 4, "X")),
    "renamed": lambda ob: setattr(ob, "name", "Somebody"),
    "other units": lambda _ob: setattr(bpy.context.scene.unit_settings, "scale_length", 0.01),
}


@pytest.mark.parametrize("change", LEGIT)
def test_what_may_be_changed_does_not_falsify_the_take(change: str) -> None:
    armature = rigs.build()
    body, binding = bound(armature)
    LEGIT[change](armature)
    bpy.context.view_layer.update()
    bake_one(armature, (body, binding))
    error = bake_error.bake_error(armature, body, binding, takes.tumble(body), 11, bpy.context.scene)
    assert error[0] < 1.0 and error[1] < 0.1


# What would pull the rig elsewhere


def target() -> Any:
    ob = bpy.data.objects.new("Target", None)
    ob.location = (0.0, -1.0, 1.0)
    bpy.context.scene.collection.objects.link(ob)
    return ob


def reached(armature: Any, kind: str, chain: int) -> None:
    """A constraint of a finger, whose chain reaches bones that the take moves."""
    pull = armature.pose.bones["index.L"].constraints.new(kind)
    if kind == "IK":
        pull.target = target()
    else:
        curve = bpy.data.curves.new("Curve", "CURVE")
        curve.dimensions = "3D"
        curve.splines.new("POLY").points.add(2)
        for i, point in enumerate(curve.splines[0].points):
            point.co = (0.3 * i, 0.0, 1.0, 1.0)
        pull.target = bpy.data.objects.new("Curve", curve)
        bpy.context.scene.collection.objects.link(pull.target)
    pull.chain_count = chain


def unmuted_later(armature: Any) -> None:
    limit = armature.pose.bones["forearm.L"].constraints.new("LIMIT_ROTATION")
    limit.use_limit_x = limit.use_limit_y = limit.use_limit_z = True
    for frame, mute in ((30, False), (1, True)):
        limit.mute = mute
        limit.keyframe_insert("mute", frame=frame)


def unmuted_by_a_driver(armature: Any) -> None:
    unmuted_later(armature)
    armature.animation_data_clear()
    limit = armature.pose.bones["forearm.L"].constraints[0]
    limit.driver_add("mute").driver.expression = "frame < 20"


PULLED: dict[str, Callable[[Any], None]] = {
    "a finger's IK with three bones": lambda ob: reached(ob, "IK", 3),
    "a finger's IK up to the root": lambda ob: reached(ob, "IK", 0),
    "a finger's spline IK": lambda ob: reached(ob, "SPLINE_IK", 4),
    "a constraint whose mute is keyed": unmuted_later,
    "a constraint whose mute is driven": unmuted_by_a_driver,
}


@pytest.mark.parametrize("pull", PULLED)
def test_what_would_pull_the_bones_elsewhere_rests_while_the_take_plays(pull: str) -> None:
    armature = rigs.build()
    body, binding = bound(armature)
    PULLED[pull](armature)
    bpy.context.view_layer.update()
    bake_one(armature, (body, binding))
    error = bake_error.bake_error(armature, body, binding, takes.tumble(body), 11, bpy.context.scene)
    assert error[0] < 1.0 and error[1] < 0.1


def scaled_by_a_driver(armature: Any) -> None:
    armature.pose.bones["spine"].driver_add("scale", 1).driver.expression = "1.3"


def stretched(_armature: Any) -> None:
    bpy.context.scene.render.frame_map_new = 200


@pytest.mark.parametrize(
    ("change", "sentence"),
    [(scaled_by_a_driver, "chest does not follow"), (stretched, "stretches time"), (lambda _ob: None, "")],
)
def test_a_rig_that_does_not_show_the_take_is_said(change: Callable[[Any], None], sentence: str) -> None:
    armature = rigs.build()
    of = bound(armature)
    change(armature)
    bpy.context.view_layer.update()
    warnings = bake_one(armature, of).warnings
    assert sentence in warnings[0] if sentence else not warnings


def test_a_binding_of_before_heads_were_kept_is_read_and_baked() -> None:
    armature = rigs.build()
    body, binding = bound(armature)
    data = bindings.to_json(binding)
    assert bindings.from_json(data) == binding
    for link in data["links"]:
        del link["heads"]
    assert bake_one(armature, (body, bindings.from_json(data))).warnings == ()
