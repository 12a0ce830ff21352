# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose animation is taken for the reference, of this file and of imported ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from backflip_addon import compat  # noqa: E402
from backflip_addon.core import rotations  # noqa: E402
from backflip_addon.core.body import LINK_NAMES  # noqa: E402
from backflip_addon.scene import reference as clips  # noqa: E402
from backflip_addon.scene import stored_avatar, stored_reference  # noqa: E402
from tests.scene import moves, rigs  # noqa: E402


@pytest.fixture
def hero(ops: Any) -> bpy.types.Object:
    """The avatar, which plays its slot of an action of two; the villain's has more bones."""
    armature = rigs.build(name="Hero", skin=True)
    action = bpy.data.actions.new("Fight")
    moves.play(armature, action, moves.add_slot(action, "Hero", {"thigh.L": -50.0, "shin.L": 5.0}))
    moves.play(
        rigs.build(name="Villain"),
        action,
        moves.add_slot(action, "Villain", {"thigh.R": -80.0, "hand.L": 5, "head": 9}),
    )
    ops.pick_avatar(armature="Hero")
    ops.build_body()
    return armature


def settings() -> Any:
    return bpy.context.scene.backflip


def swung() -> dict[str, float]:
    """Degrees by which the reference's thighs turn, from its first frame to its last."""
    motion = stored_reference.whole_reference(bpy.context.scene)
    body, _binding = stored_avatar.body_and_binding(bpy.context.scene)
    _places, turns = body.forward(motion.position, motion.rotations)
    angles = np.degrees(rotations.angle_between(turns[-1], turns[0]))
    return {side: float(angles[LINK_NAMES.index(f"thigh.{side}")]) for side in "LR"}


def test_the_armatures_own_slot_is_used_and_another_can_be_chosen(ops: Any, hero: Any) -> None:
    for given in ({}, {"action": "Fight"}, {"armature": "Hero", "action": "Fight"}):
        ops.reference_from_action(**given)
        assert swung() == pytest.approx({"L": 50.0, "R": 0.0}, abs=0.5)
        assert settings().reference_label == "Fight (Hero)" and settings().slot_choice == "OBHero"
    settings().slot_choice = "OBVillain"
    ops.use_chosen_action()
    assert swung() == pytest.approx({"L": 0.0, "R": 80.0}, abs=0.5)
    ops.build_body(mass=81.0)
    assert swung() == pytest.approx({"L": 0.0, "R": 80.0}, abs=0.5), "and again for the new body"
    settings().reference_object = bpy.data.objects["Villain"]
    assert settings().reference_slot == "", "another armature, another slot"
    assert stored_reference.reference_origin(bpy.context.scene)["slot"] == "OBVillain", (
        "what was read, not what is chosen now"
    )
    assert stored_reference.reference_origin(bpy.context.scene)["object"] == "Hero"


def test_several_slots_that_fit_are_asked_about(ops: Any, hero: Any, capfd: pytest.CaptureFixture[str]) -> None:
    third = rigs.build(name="Third")
    with pytest.raises(RuntimeError, match=r"Several slots of the action Fight move Third \(Hero, Villain\)"):
        ops.reference_from_action(armature="Third", action="Fight")
    with pytest.raises(RuntimeError, match="another rotation mode"):
        ops.reference_from_action(armature="Third", action="Fight", slot="Villain")
    assert not settings().reference_data
    moves.take_angles(third)
    third.pose.bones["head"].rotation_mode = "QUATERNION"
    ops.reference_from_action(armature="Third", action="Fight", slot="Villain")
    assert swung()["R"] == pytest.approx(80.0, abs=0.5)
    said = capfd.readouterr().out
    assert "Warning: head of Third does not rotate: Fight (Villain) keys another rotation mode" in said


def test_without_an_action_what_is_seen_is_taken_again_and_again(ops: Any, hero: Any) -> None:
    leader = bpy.data.objects["Villain"]
    puppet = rigs.build(name="Puppet")
    for name in ("thigh.R", "shin.R"):
        follow = puppet.pose.bones[name].constraints.new("COPY_ROTATION")
        follow.target, follow.subtarget = leader, name
    puppet.hide_viewport = leader.hide_viewport = True
    settings().reference_object = puppet
    ops.use_chosen_action()
    assert swung()["R"] == pytest.approx(80.0, abs=0.5)
    assert (settings().reference_kind, settings().reference_label) == ("POSE", "Puppet")
    settings().use_frames, settings().frames_first, settings().frames_last = True, 1, 10
    ops.use_chosen_action()
    assert swung()["R"] == pytest.approx(80.0 * 9 / 19, abs=0.5)
    settings().frames_last = 20
    ops.build_body(mass=81.0)
    assert swung()["R"] == pytest.approx(80.0 * 9 / 19, abs=0.5), "the frames that were read"
    leader.animation_data.action = None
    with pytest.raises(RuntimeError, match="plays no action, and nothing else moves it"):
        ops.use_chosen_action()


@pytest.fixture
def two(ops: Any, tmp_path: Path) -> Path:
    """A folder with a film of two characters, as GLB and FBX; Boris moves longer, and other bones."""
    for name, degrees, frames in (("Anna", {"thigh.L": -50.0}, 12), ("Boris", {"thigh.R": -80.0, "hand.L": 5.0}, 24)):
        moves.swing(rigs.build(name=name, skin=True), f"{name}Acts", degrees, frames)
    bpy.context.scene.frame_start, bpy.context.scene.frame_end = 1, 24
    for ob in bpy.context.scene.objects:
        ob.select_set(True)
    compat.ensure_addon("io_scene_gltf2")
    compat.ensure_addon("io_scene_fbx")
    bpy.ops.export_scene.gltf(filepath=str(tmp_path / "two.glb"), export_format="GLB")
    bpy.ops.export_scene.fbx(
        filepath=str(tmp_path / "two.fbx"), bake_anim_use_all_actions=False, bake_anim_use_nla_strips=False
    )
    for ob in list(bpy.data.objects):
        bpy.data.objects.remove(ob)
    bpy.data.batch_remove(list(bpy.data.actions))
    rigs.build(name="Anna", skin=True)  # the avatar has the name of one of them
    ops.pick_avatar(armature="Anna")
    ops.build_body()
    return tmp_path


@pytest.mark.parametrize("kind", ["glb", "fbx", "fbx by the newer importer"])
def test_characters_of_a_file_keep_their_own_actions(
    ops: Any, two: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "newer" in kind:  # one action, a slot for each
        monkeypatch.setattr(compat, "import_fbx", lambda filepath: bpy.ops.wm.fbx_import(filepath=filepath))
    film = str(two / f"two.{kind[:3]}")
    wanted = {"Anna": {"L": 50.0, "R": 0.0}, "Boris": {"L": 0.0, "R": 80.0}}
    ops.import_reference(filepath=film)
    first = settings().source_object.name.partition(".")[0]
    assert swung() == pytest.approx(wanted[first], abs=1.0)
    other = "Boris" if first == "Anna" else "Anna"
    settings().reference_object = next(
        ob for ob in bpy.data.collections["Backflip Sources"].objects if ob.name.startswith(other) and ob.pose
    )
    ops.use_chosen_action()
    assert swung() == pytest.approx(wanted[other], abs=1.0), "the other one is at hand"
    ops.import_reference(filepath=film, character=first)
    assert swung() == pytest.approx(wanted[first], abs=1.0)
    with pytest.raises(RuntimeError, match=r"no character called Clara .*Anna\.\d+, Boris"):
        ops.import_reference(filepath=film, character="Clara")
    with pytest.raises(RuntimeError, match="no action called"):
        ops.import_reference(filepath=film, character="Anna", action="BorisActs")
    count = len(bpy.data.objects)
    monkeypatch.setattr(clips.Recording, "on", refuse)
    with pytest.raises(RuntimeError, match="It is out of joint"):
        ops.import_reference(filepath=film)
    assert len(bpy.data.objects) == count, "what is refused leaves nothing behind"


def refuse(*_given: Any) -> None:
    raise ValueError("It is out of joint.")


def test_several_characters_are_said(ops: Any, two: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ops.import_reference(filepath=str(two / "two.glb"))
    said = capfd.readouterr().out
    assert "Warning: two.glb holds several characters" in said and "Anna" in said and "Boris" in said
