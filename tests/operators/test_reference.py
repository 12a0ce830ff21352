# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from backflip_addon.core import rotations  # noqa: E402
from backflip_addon.operators import reference_notes  # noqa: E402
from backflip_addon.scene import stored_avatar, stored_reference  # noqa: E402
from backflip_addon.scene.baking import bake, nla  # noqa: E402
from tests.core import floor_forces, performances, test_clips  # noqa: E402
from tests.core.test_strength import squats  # noqa: E402
from tests.operators.test_road import crouch  # noqa: E402
from tests.scene import rigs, takes  # noqa: E402


@pytest.fixture
def avatar(ops: Any) -> Any:
    armature = rigs.build(skin=True)
    ops.pick_avatar()
    ops.build_body()
    return armature


def settings() -> Any:
    return bpy.context.scene.backflip


def set_reference(scene: Any, clip: Any) -> None:
    stored_reference.keep_reference(scene, stored_reference.encode_motion(clip), clip.duration, [])
    reference_notes.look(scene)


CLIPS = (
    ("cmu1_jumping_jacks.bvh", 4.13),
    ("fair1_dab.bvh", 11.27),
    ("sl_avatar_jumpforjoy.bvh", 1.29),
    ("snu_backflip.bvh", 1.65),
    ("deepmimic_sideflip.txt", 2.44),
    ("cmu_07_01_walk.fbx", 2.63),
)


@pytest.mark.parametrize(("file", "seconds"), CLIPS)
def test_sample_clips_are_put_on_the_body(ops: Any, avatar: Any, samples: Path, file: str, seconds: float) -> None:
    fps = bpy.context.scene.render.fps
    ops.import_reference(filepath=str(samples / "motions" / file))
    assert settings().reference_seconds == pytest.approx(seconds, abs=0.02)
    motion = stored_reference.reference(bpy.context.scene)
    body, _binding = stored_avatar.body_and_binding(bpy.context.scene)
    lows = body.lowest_points(*body.forward(motion.position, motion.rotations)).min(axis=1)
    assert abs(np.quantile(lows, 0.02)) < 0.01
    assert bpy.context.scene.render.fps == fps
    assert bpy.context.view_layer.objects.active == avatar


def test_an_imported_armature_is_put_away(
    ops: Any, avatar: Any, samples: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ops.import_reference(filepath=str(samples / "motions" / "cmu_07_01_walk.fbx"))
    assert f"Info: {settings().reference_label} is the reference." in capfd.readouterr().out, "as the sidebar calls it"
    source = settings().reference_object
    assert [c.name for c in source.users_collection] == ["Backflip Sources"]
    assert bpy.data.collections["Backflip Sources"].hide_viewport


def test_what_is_odd_is_offered_and_mended_on_demand(ops: Any, avatar: Any, samples: Path) -> None:
    ops.import_reference(filepath=str(samples / "motions" / "snu_backflip.bvh"))
    assert "time_scale" in [note["code"] for note in json.loads(settings().reference_notes)]
    assert settings().time_scale == 1.0
    ops.apply_fix(code="time_scale")
    assert settings().time_scale == 2.5  # of 2 and 2.5 the one that leaves it nearest to 9.8 m/s^2
    assert stored_reference.reference(bpy.context.scene).duration == pytest.approx(2.5 * 1.65, abs=0.02)
    assert "time_scale" not in [note["code"] for note in json.loads(settings().reference_notes)]


@pytest.mark.parametrize(("code", "setting"), [("lying", "upright"), ("hovering", "grounded")])
def test_a_clip_that_lies_or_floats_is_mended_by_a_button_and_by_hand(
    ops: Any, avatar: Any, samples: Path, code: str, setting: str
) -> None:
    """The note goes when the clip is mended; what was set stands in the panel and can be taken back."""
    scene = bpy.context.scene
    ops.import_reference(filepath=str(samples / "motions" / "cmu1_jumping_jacks.bvh"))
    body, _ = stored_avatar.body_and_binding(scene)
    motion = stored_reference.whole_reference(scene)
    if code == "lying":
        turn = rotations.from_axis_angle([1.0, 0.0, 0.0], 1.57)
        turns = motion.rotations.copy()
        turns[:, 0] = rotations.multiply(turn, turns[:, 0])
        odd = dataclasses.replace(motion, position=rotations.rotate(turn, motion.position), rotations=turns)
    else:
        lift = 0.2 * np.clip(2.0 - np.arange(motion.frames) / motion.rate, 0.0, 1.0)
        odd = dataclasses.replace(motion, position=motion.position + np.multiply.outer(lift, [0.0, 0.0, 1.0]))
    set_reference(scene, odd)
    assert code in scene.backflip.reference_notes
    ops.apply_fix(code=code)
    assert getattr(scene.backflip, setting) and code not in scene.backflip.reference_notes
    mended = stored_reference.reference(scene)
    np.testing.assert_allclose(mended.position[:, 2], motion.position[:, 2], atol=0.08)
    setattr(scene.backflip, setting, False)
    assert np.abs(stored_reference.reference(scene).position[:, 2] - motion.position[:, 2]).max() > 0.1


def test_impossible_flights_are_offered_to_be_made_physical(ops: Any, avatar: Any) -> None:
    """A somersault whose root turns in a hurry at first and hardly later; nothing in the air does that."""
    scene = bpy.context.scene
    body, _binding = stored_avatar.body_and_binding(scene)
    clip = performances.somersault(body, 1.0, height=0.5)
    turned = clip.rotations.copy()
    start, end = round(0.5 * clip.rate), clip.frames - 1 - round(0.5 * clip.rate)
    share = np.clip((np.arange(clip.frames) - start) / (end - start), 0, 1)
    angle = 2 * np.pi * share**0.4
    turned[:, 0] = rotations.from_axis_angle(np.array([1.0, 0.0, 0.0]), angle)
    clip = dataclasses.replace(clip, rotations=rotations.continuous(turned))
    set_reference(scene, clip)
    settings().reference_kind = "FILE"
    assert "impossible_flight" in [note["code"] for note in json.loads(settings().reference_notes)]
    before = stored_reference.reference(scene)
    ops.apply_fix(code="impossible_flight")
    assert settings().physical_flights
    assert "impossible_flight" not in [note["code"] for note in json.loads(settings().reference_notes)]
    after = stored_reference.reference(scene)

    def spin_in_flight(motion: Any) -> np.ndarray:
        times = np.linspace(0.7, motion.duration - 0.7, 40)
        turns = motion.sample(times)[1][:, 0]
        steps = rotations.angle_between(turns[1:], turns[:-1])
        return steps / np.diff(times)

    assert np.ptp(spin_in_flight(before)) > 2.0
    assert np.ptp(spin_in_flight(after)) < 0.5, "a stiff body turns evenly"
    assert stored_reference.reference_origin(scene)["physical_flights"]


def _keep_squats(hertz: float) -> None:
    scene = bpy.context.scene
    body, _binding = stored_avatar.body_and_binding(scene)
    clip = squats(body, hertz)
    set_reference(scene, clip)
    settings().reference_kind = "FILE"


def _strength_notes() -> list[dict[str, Any]]:
    return [n for n in json.loads(settings().reference_notes) if n["code"] in ("too_strong", "needs_strength")]


def test_the_strength_that_a_clip_needs_is_offered_and_given_at_a_click(ops: Any, avatar: Any) -> None:
    """The body is the preset's afterwards, the reference and all else as it was; undone, it is the weak one again."""
    ops.build_body(strength="person")
    _keep_squats(2.8)
    (note,) = _strength_notes()
    assert "an athlete's strength" in note["sentence"] and "the body has less" in note["sentence"]
    before = (settings().body_json, settings().reference_data)
    bpy.ops.ed.undo_push(message="Clip")
    ops.apply_fix(code="too_strong")
    bpy.ops.ed.undo_push(message="Fix")
    assert settings().strength == "athlete" and not settings().body_stale
    assert settings().reference_data == before[1]
    (note,) = _strength_notes()
    assert note["code"] == "needs_strength" and note["level"] == "info" and "which the body has" in note["sentence"]
    given = settings().body_json
    ops.build_body()
    assert settings().body_json == given
    bpy.ops.ed.undo()
    assert settings().strength == "person" and settings().body_json == before[0]
    assert _strength_notes()[0]["code"] == "too_strong"


def test_a_body_of_an_earlier_version_keeps_its_strength_until_another_is_given(ops: Any, avatar: Any) -> None:
    """Its joints have no greatest speed, and may be weaker than any preset's."""
    data = json.loads(settings().body_json)
    for link in data["links"]:
        del link["top_speed"]
        link["torque"] *= 0.3
    settings().body_json = json.dumps(data)
    body, _binding = stored_avatar.body_and_binding(bpy.context.scene)
    assert not any(link.top_speed for link in body.links)
    _keep_squats(2.8)
    ops.apply_fix(code="too_strong")
    body, _binding = stored_avatar.body_and_binding(bpy.context.scene)
    assert body.links[body.index("shin.L")].top_speed > 0 and _strength_notes()[0]["code"] == "needs_strength"


def test_a_clip_that_hangs_from_the_floor_is_offered_physical_footing(ops: Any, avatar: Any) -> None:
    """The note goes at the press; the reference then presses on the floor. Undone it hangs again, as the note says."""
    scene = bpy.context.scene
    body, _binding = stored_avatar.body_and_binding(scene)
    clip = performances.hanging(body)
    set_reference(scene, clip)
    settings().reference_kind = "FILE"
    bpy.ops.ed.undo_push(message="Import Clip")
    assert "impossible_stance" in settings().reference_notes
    assert floor_forces.taken(body, stored_reference.reference(scene).resampled(120.0), []).pull > 0.1

    ops.apply_fix(code="impossible_stance")
    bpy.ops.ed.undo_push(message="Fix")
    mended = stored_reference.reference(scene)
    assert settings().physical_footing and "impossible_stance" not in settings().reference_notes
    assert floor_forces.taken(body, mended, []).pull < 0.0
    assert stored_reference.reference_origin(scene)["physical_footing"]

    with pytest.raises(RuntimeError, match="nothing to fix"):
        ops.apply_fix(code="impossible_stance")
    assert np.array_equal(stored_reference.reference(scene).position, mended.position), "pressed twice is pressed once"

    bpy.ops.ed.undo()
    assert not settings().physical_footing and "impossible_stance" in settings().reference_notes
    body, _binding = stored_avatar.body_and_binding(bpy.context.scene)
    assert floor_forces.taken(body, stored_reference.reference(bpy.context.scene).resampled(120.0), []).pull > 0.1
    bpy.ops.ed.redo()
    assert np.array_equal(stored_reference.reference(bpy.context.scene).position, mended.position)


def test_physical_footing_puts_a_tilted_sole_down_flat_and_says_so(ops: Any, avatar: Any) -> None:
    scene = bpy.context.scene
    body, _binding = stored_avatar.body_and_binding(scene)
    clip = performances.tilted(body, performances.hanging(body), 6.0)
    set_reference(scene, clip)
    assert "soles come down flat" in settings().reference_notes
    assert "oles that rest lie flat" in settings().bl_rna.properties["physical_footing"].description

    def tilt() -> float:
        motion = stored_reference.reference(scene)
        turns = body.forward(motion.position[-1:], motion.rotations[-1:])[1][0, body.index("foot.L")]
        return float(np.degrees(np.arccos(rotations.rotate(turns, np.array([0.0, 0.0, 1.0]))[2])))

    assert tilt() == pytest.approx(6.0, abs=0.5)
    ops.apply_fix(code="impossible_stance")
    assert tilt() < 1.5


def test_trim_and_time_scale(ops: Any, avatar: Any, samples: Path) -> None:
    ops.import_reference(filepath=str(samples / "motions" / "cmu1_jumping_jacks.bvh"))
    settings().trim_start, settings().trim_end, settings().time_scale = 1.0, 3.0, 0.5
    assert stored_reference.reference(bpy.context.scene).duration == pytest.approx(1.0, abs=0.02)
    settings().trim_start = 3.0
    with pytest.raises(stored_avatar.StateError, match="Change From and To"):
        stored_reference.reference(bpy.context.scene)


def _baked_action(armature: Any) -> tuple[Any, Any, Any]:
    """An action that shows a known motion: body, the motion, the action."""
    scene = bpy.context.scene
    body, binding = stored_avatar.body_and_binding(scene)
    motion = takes.tumble(body)
    result = bake.bake_take(armature, binding, motion, name="Known", start_frame=10, scene=scene)
    nla.show_own_animation(armature)
    return body, motion, bpy.data.actions[result.action]


def test_a_cycle_is_offered_and_performed_several_times(ops: Any, avatar: Any, tmp_path: Path) -> None:
    clip = json.loads(crouch(tmp_path / "crouch.txt").read_text(encoding="utf-8"))
    frames = clip["Frames"][3:10]  # from half way down to half way up: it begins and ends in motion
    frames[-1][0] = 0.0
    frames += [[*frame] for frame in frames[-2::-1]]
    for frame in frames[:-1]:
        frame[0] = 1 / 15
    frames[-1][0] = 0.0
    (tmp_path / "squats.txt").write_text(json.dumps({"Loop": "wrap", "Frames": frames}), encoding="utf-8")
    ops.import_reference(filepath=str(tmp_path / "squats.txt"))
    assert not settings().loops  # offered, never done silently
    once = stored_reference.reference(bpy.context.scene)
    ops.apply_fix(code="loops")
    settings().cycles = 4
    again = stored_reference.reference(bpy.context.scene)
    assert again.duration == pytest.approx(4 * once.duration)
    assert again.loops and not once.loops
    assert "loops" not in [note["code"] for note in json.loads(settings().reference_notes)]


def test_an_action_of_the_avatar_itself_comes_back_as_it_was(ops: Any, avatar: Any) -> None:
    scene = bpy.context.scene
    body, motion, action = _baked_action(avatar)
    ops.reference_from_action(action=action.name)
    read = stored_reference.whole_reference(scene)
    position, turns = motion.sample(np.arange(read.frames) / 24.0)
    assert read.rate == 24.0
    np.testing.assert_allclose(read.position, position, atol=2e-3)
    positions, world = body.forward(position, turns)
    read_places, read_world = body.forward(read.position, read.rotations)
    np.testing.assert_allclose(read_places, positions, atol=5e-3)
    assert np.degrees(rotations.angle_between(read_world[:, :1], world[:, :1])).max() < 0.1
    assert avatar.animation_data.action is None


def test_an_action_of_another_armature(ops: Any, avatar: Any) -> None:
    scene = bpy.context.scene
    _body, _motion, action = _baked_action(avatar)
    other = rigs.build(name="Other", matrix=rigs.SCALED_AND_TURNED, across=True)
    other.animation_data_create().action = action
    other.animation_data.action_slot = action.slots[0]
    scene.frame_set(7)
    ops.reference_from_action(armature="Other")
    assert settings().reference_seconds == pytest.approx(1.5, abs=0.05)
    assert other.animation_data.action == action
    assert scene.frame_current == 7
    assert len(bpy.data.scenes) == 1


def test_a_new_body_gets_the_reference_again(ops: Any, avatar: Any, samples: Path) -> None:
    ops.import_reference(filepath=str(samples / "motions" / "deepmimic_sideflip.txt"))
    before = settings().reference_data
    ops.build_body(mass=90.0)
    assert settings().reference_data == before
    settings().reference_file = "/nowhere/clip.txt"
    ops.build_body()
    assert not settings().reference_data


def test_bad_clips_are_refused_in_a_sentence(ops: Any, avatar: Any, tmp_path: Path) -> None:
    (tmp_path / "half.bvh").write_text("HIERARCHY\nROOT Hips\n{\n OFFSET 0 0 0\n")
    (tmp_path / "clip.txt").write_text('{"Frames": [[1, 2')
    (tmp_path / "clip.doc").write_text("")
    for name in ("half.bvh", "clip.txt", "clip.doc", "missing.bvh", "missing.fbx"):
        with pytest.raises(RuntimeError) as caught:
            ops.import_reference(filepath=str(tmp_path / name))
        assert "Traceback" not in str(caught.value) and len(str(caught.value)) > 20
    with pytest.raises(RuntimeError, match="no action called"):
        ops.reference_from_action(action="Nothing")
    with pytest.raises(RuntimeError, match="plays no action"):
        ops.reference_from_action()
    _body, _motion, action = _baked_action(avatar)
    bpy.context.scene.render.fps, bpy.context.scene.render.fps_base = 1, 2.0
    with pytest.raises(RuntimeError, match="0.5 frames a second, and a clip 1 to 1000"):
        ops.reference_from_action(action=action.name)
    assert not settings().reference_data


def test_the_reference_survives_in_the_file(ops: Any, avatar: Any, samples: Path, tmp_path: Path) -> None:
    ops.import_reference(filepath=str(samples / "motions" / "deepmimic_sideflip.txt"))
    before = stored_reference.reference(bpy.context.scene)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "a.blend"))
    after = stored_reference.reference(bpy.context.scene)
    np.testing.assert_array_equal(after.position, before.position)
    assert math.isclose(after.rate, before.rate)


def test_clips_of_other_formats(ops: Any, avatar: Any, tmp_path: Path) -> None:
    """AMASS, MimicKit and VRMA files through the one import."""
    test_clips.amass(tmp_path / "walk.npz")
    np.savez(tmp_path / "jump.npz", fps=30, frames=np.array(test_clips.frames()))
    (tmp_path / "jump.json").write_text(json.dumps({"fps": 30, "frames": test_clips.frames()}))
    test_clips.write_vrma(tmp_path / "kick.vrma")
    for name in ("walk.npz", "jump.npz", "jump.json", "kick.vrma"):
        ops.import_reference(filepath=str(tmp_path / name))
        assert settings().reference_label == name and settings().reference_data
    (tmp_path / "bad.npz").write_bytes(b"PK not a zip")
    with pytest.raises(RuntimeError, match=r"bad\.npz"):
        ops.import_reference(filepath=str(tmp_path / "bad.npz"))


@pytest.mark.parametrize(
    ("fix", "words"),
    [
        ({"time_scale": 2.0}, "Slow Down 2 Times"),
        ({"time_scale": 0.5}, "Speed Up 2 Times"),
        ({"start": 0.4}, "Start at 0.40 s"),
        ({"end": 2.8}, "End at 2.80 s"),
        ({"strength": 1}, "Give It an Athlete's Strength"),
        ({"strength": 7}, ""),
        ({}, ""),
    ],
)
def test_a_notes_button_says_what_it_does(fix: dict[str, float], words: str) -> None:
    from backflip_addon.ui.reference_panel import fix_words

    assert fix_words(fix) == words
