# SPDX-License-Identifier: GPL-3.0-or-later
"""What a playing take changes comes back exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")


from backflip_addon.scene.animation import action_slots, actions  # noqa: E402
from backflip_addon.scene.baking import bone_keys, nla  # noqa: E402

from . import rigs  # noqa: E402
from .baked import bake_one, bound  # noqa: E402


@pytest.fixture(autouse=True)
def _empty() -> None:
    rigs.empty_scene()


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


def leaves_a_new_pose_alone(armature: Any) -> None:
    """Own Animation, pressed once more after a bone was posed."""
    nla.show_own_animation(armature)
    armature.pose.bones["thigh.L"].rotation_quaternion = (0.5, 0.5, 0.5, 0.5)
    nla.show_own_animation(armature)
    assert tuple(armature.pose.bones["thigh.L"].rotation_quaternion) == pytest.approx((0.5, 0.5, 0.5, 0.5))


def test_own_animation_pressed_again_leaves_a_new_pose_alone(armature: Any) -> None:
    bake_one(armature)
    leaves_a_new_pose_alone(armature)


def test_a_linked_take_that_remembers_anew_takes_no_pose_back(armature: Any) -> None:
    """As whenever a file is opened whose character was linked while a take of its own played."""
    of = bound(armature)
    bake_one(armature, of, "One")
    bake_one(armature, of, "Two")
    one, two = (bpy.data.actions[name] for name in ("One", "Two"))
    one[nla.OWN_PROPERTY] = two[nla.OWN_PROPERTY]
    assert nla.remembering_action(armature) == two
    leaves_a_new_pose_alone(armature)


def test_of_two_takes_of_one_name_the_latest_is_shown(armature: Any) -> None:
    of = bound(armature)
    for name in ("One", "Two"):
        bake_one(armature, of, name)
    tracks = nla.baked_tracks(armature)
    tracks[0].name = tracks[1].name  # as a linked one and the shot's own
    nla.show_own_animation(armature)
    nla.show_track(armature, tracks[1].name)
    assert [track.is_solo for track in nla.baked_tracks(armature)] == [False, True]


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
