# SPDX-License-Identifier: GPL-3.0-or-later
"""The map of a clip's own skeleton: shown, corrected, kept."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from backflip_addon.core import rotations  # noqa: E402
from backflip_addon.core.body import LINK_NAMES  # noqa: E402
from backflip_addon.core.rigs import roles  # noqa: E402
from backflip_addon.headless.console import Console, HeadlessError, WrongUse  # noqa: E402
from backflip_addon.headless.scene_file import Opened  # noqa: E402
from backflip_addon.headless.training import _prepare_clip  # noqa: E402
from backflip_addon.operators.reference_clip import ClipMapError  # noqa: E402
from backflip_addon.scene import stored_avatar, stored_reference  # noqa: E402
from tests.scene import rigs  # noqa: E402

FRAMES, DEGREES = 20, 50.0
LEFT_OUT = ("root", "index.L", "index.R")
PLAIN = {"upper_chest": "chest", "chest": "spine1"}


def write_bvh(path: Path, rename: Callable[[str], str] = lambda name: name) -> Path:
    """A clip of the tests' skeleton, in centimetres and y up, that raises its left thigh; its joints renamed."""
    bones = [bone for bone in rigs.t_pose() if bone[0] not in LEFT_OUT]
    heads = {name: np.array(head) for name, _parent, head, _tail in bones}
    order: list[str] = []

    def lines(name: str, depth: int) -> list[str]:
        order.append(name)
        parent = next(p for n, p, _h, _t in bones if n == name)
        x, y, z = 100.0 * (heads[name] - heads.get(parent, 0.0))
        tail = 100.0 * (np.array(next(t for n, _p, _h, t in bones if n == name)) - heads[name])
        kind = "JOINT" if parent in heads else "ROOT"
        channels = "6 Xposition Yposition Zposition" if kind == "ROOT" else "3"
        found = [
            f"{kind} {rename(name)}",
            "{",
            f"OFFSET {x} {z} {-y}",
            f"CHANNELS {channels} Zrotation Xrotation Yrotation",
        ]
        below = [n for n, p, _h, _t in bones if p == name]
        for child in below:
            found += lines(child, depth + 1)
        if not below:
            found += ["End Site", "{", f"OFFSET {tail[0]} {tail[2]} {-tail[1]}", "}"]
        return [*found, "}"]

    text = ["HIERARCHY", *lines("pelvis", 0), "MOTION", f"Frames: {FRAMES}", "Frame Time: 0.033333"]
    for angle in np.linspace(0.0, -DEGREES, FRAMES):
        values = [0.0, 94.0, 0.0]
        for name in order:
            values += [0.0, float(angle) if name == "thigh.L" else 0.0, 0.0]
        text.append(" ".join(f"{value:.4f}" for value in values))
    path.write_text("\n".join(text) + "\n", encoding="utf-8")
    return path


def numbered(name: str) -> str:
    return f"j{[bone[0] for bone in rigs.t_pose()].index(name)}"


def settings() -> Any:
    return bpy.context.scene.backflip


def swung() -> dict[str, float]:
    """Degrees by which the reference's thighs turn, from its first frame to its last."""
    motion = stored_reference.whole_reference(bpy.context.scene)
    body, _binding = stored_avatar.body_and_binding(bpy.context.scene)
    _places, turns = body.forward(motion.position, motion.rotations)
    angles = np.degrees(rotations.angle_between(turns[-1], turns[0]))
    return {side: float(angles[LINK_NAMES.index(f"thigh.{side}")]) for side in "LR"}


RAISED = {"L": DEGREES, "R": 0.0}
LOWERED = {"L": 0.0, "R": DEGREES}


@pytest.fixture
def avatar(ops: Any) -> Any:
    armature = rigs.build(skin=True)
    ops.pick_avatar()
    ops.build_body()
    return armature


def notes() -> list[str]:
    return [note["code"] for note in json.loads(settings().reference_notes)]


def test_a_map_is_shown_corrected_and_kept(ops: Any, avatar: Any, tmp_path: Path) -> None:
    ops.import_reference(filepath=str(write_bvh(tmp_path / "kick.bvh")))
    assert swung() == pytest.approx(RAISED, abs=1.0)
    assert settings().clip_roles["thigh.L"].bone == "thigh.L" and "guessed_map" not in notes()
    assert "upper_arm.R" in settings().clip_joints
    ops.swap_sides(of="CLIP")
    with pytest.raises(RuntimeError, match="read the clip again"):
        ops.start_training()
    ops.read_clip_again()
    assert swung() == pytest.approx(LOWERED, abs=1.0)
    ops.build_body(mass=77.0)
    assert swung() == pytest.approx(LOWERED, abs=1.0), "the same map for the new body"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "a.blend"))
    assert settings().clip_roles["thigh.L"].bone == "thigh.R" and not settings().clip_stale
    settings().clip_roles["toe.L"].bone = ""
    assert settings().clip_stale and settings().body_json, "the avatar's body is none of it"
    ops.map_bones(of="CLIP")
    ops.read_clip_again()
    assert swung() == pytest.approx(RAISED, abs=1.0)
    ops.clear_reference()
    assert not len(settings().clip_roles) and not len(settings().clip_joints)


def test_a_correction_can_be_undone(ops: Any, avatar: Any, tmp_path: Path) -> None:
    ops.import_reference(filepath=str(write_bvh(tmp_path / "kick.bvh")))
    bpy.ops.ed.undo_push(message="Import Clip")
    ops.swap_sides(of="CLIP")
    ops.read_clip_again()
    bpy.ops.ed.undo_push(message="Read Again")
    assert swung() == pytest.approx(LOWERED, abs=1.0)
    bpy.ops.ed.undo()
    assert swung() == pytest.approx(RAISED, abs=1.0) and settings().clip_roles["thigh.L"].bone == "thigh.L"
    bpy.ops.ed.redo()
    assert swung() == pytest.approx(LOWERED, abs=1.0) and settings().clip_roles["thigh.L"].bone == "thigh.R"


def test_a_guess_is_said_until_it_is_confirmed(
    ops: Any, avatar: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ops.import_reference(filepath=str(write_bvh(tmp_path / "kick.bvh", numbered)))
    guessed = [item.name for item in settings().clip_roles if item.bone and not item.certain]
    assert guessed and notes()[0] == "guessed_map"
    assert f"Warning: {len(guessed)} body parts were guessed from the shape" in capfd.readouterr().out
    settings().clip_roles[guessed[0]].bone = settings().clip_roles[guessed[0]].bone
    assert settings().clip_roles[guessed[0]].certain, "chosen by hand"
    ops.read_clip_again()
    ops.apply_fix(code="guessed_map")
    assert "guessed_map" not in notes() and all(item.certain for item in settings().clip_roles)


def test_a_clip_that_lacks_a_role_is_kept_to_be_mapped(ops: Any, avatar: Any, tmp_path: Path) -> None:
    def odd(name: str) -> str:
        return {"thigh.L": "Banana", "shin.L": "Apple", "foot.L": "Plum", "toe.L": "Pear"}.get(name, name)

    clip = write_bvh(tmp_path / "odd.bvh", odd)
    ops.import_reference(filepath=str(clip))
    for role in ("thigh.L", "shin.L"):
        ops.clear_role(of="CLIP", role=role)
    with pytest.raises(RuntimeError, match=r"odd.bvh has no joint for the left thigh and the left shin: choose"):
        ops.read_clip_again()
    assert not settings().reference_data and settings().clip_joints.keys()[0] == "pelvis"
    assert settings().clip_roles[settings().clip_role_index].name == "thigh.L", "the gap is in view"
    with pytest.raises(RuntimeError, match="no joint for the left thigh"):
        ops.start_training()
    with pytest.raises(RuntimeError, match="no bone called Cherry"):
        ops.set_role(of="CLIP", role="thigh.L", bone="Cherry")
    ops.set_role(of="CLIP", role="thigh.L", bone="Banana")
    ops.set_role(of="CLIP", role="shin.L", bone="Apple")
    ops.read_clip_again()
    assert swung() == pytest.approx(RAISED, abs=1.0) and not settings().reference_problem
    ops.save_map(of="CLIP", filepath=str(tmp_path / "map.json"))
    ops.import_reference(filepath=str(clip), map_file=str(tmp_path / "map.json"))
    assert settings().clip_roles["thigh.L"].certain and settings().clip_roles["thigh.L"].bone == "Banana"


def test_an_armatures_bones_are_mapped_likewise_and_the_avatars_own_are_not(ops: Any, avatar: Any) -> None:
    from tests.scene import moves

    moves.swing(rigs.build(name="Other"), "Kick", {"thigh.L": -DEGREES})
    ops.reference_from_action(armature="Other")
    assert settings().clip_joints.keys() == [bone.name for bone in bpy.data.objects["Other"].data.bones]
    ops.swap_sides(of="CLIP")
    ops.read_clip_again()
    assert swung() == pytest.approx(LOWERED, abs=1.0)
    moves.swing(avatar, "Own", {"thigh.L": -DEGREES})
    ops.reference_from_action()
    assert not len(settings().clip_roles) and swung() == pytest.approx(RAISED, abs=1.0)
    with pytest.raises(RuntimeError, match="no skeleton of its own"):
        ops.swap_sides(of="CLIP")


def test_what_is_no_body_or_does_not_move_is_refused_and_changes_nothing(ops: Any, avatar: Any, tmp_path: Path) -> None:
    clip = write_bvh(tmp_path / "kick.bvh")
    ops.import_reference(filepath=str(clip))
    head, motion = clip.read_text(encoding="utf-8").split("MOTION")
    lines = motion.replace(f"Frames: {FRAMES}", "Frames: 1").splitlines()
    (tmp_path / "pose.bvh").write_text(f"{head}MOTION" + "\n".join(lines[:4]) + "\n", encoding="utf-8")
    with pytest.raises(RuntimeError, match=r"pose.bvh is a single pose"):
        ops.import_reference(filepath=str(tmp_path / "pose.bvh"))
    rope = "".join(f"JOINT r{i}\n{{\nOFFSET 0 9 0\nCHANNELS 1 Xrotation\n" for i in range(4))
    rope = "HIERARCHY\nROOT rope\n{\nOFFSET 0 0 0\nCHANNELS 1 Xrotation\n" + rope + "End Site\n{\nOFFSET 0 9 0\n}\n"
    (tmp_path / "rope.bvh").write_text(
        rope + "}\n" * 5 + "MOTION\nFrames: 2\nFrame Time: 0.1\n0 0 0 0 0\n9 9 9 9 9\n", encoding="utf-8"
    )
    with pytest.raises(RuntimeError, match=r"rope.bvh has only 5 joints: choose a clip of a whole body"):
        ops.import_reference(filepath=str(tmp_path / "rope.bvh"))
    assert settings().reference_label == "kick.bvh" and swung() == pytest.approx(RAISED, abs=1.0)


def test_a_guessed_avatar_is_said(ops: Any, capfd: pytest.CaptureFixture[str]) -> None:
    rigs.build([(numbered(n), p and numbered(p), h, t) for n, p, h, t in rigs.t_pose()], name="Numbers")
    ops.pick_avatar()
    assert "guessed from the shape of the avatar's skeleton" in capfd.readouterr().out


def test_other_joints_than_before_are_mapped_anew(ops: Any, avatar: Any, tmp_path: Path) -> None:
    clip = write_bvh(tmp_path / "kick.bvh")
    ops.import_reference(filepath=str(clip))
    write_bvh(clip, lambda name: f"mocap_{name}")
    ops.build_body()
    assert settings().clip_roles["thigh.L"].bone == "mocap_thigh.L" and swung() == pytest.approx(RAISED, abs=1.0)


def test_a_clip_without_a_map_ends_the_command_with_one_to_fill_in(ops: Any, avatar: Any, tmp_path: Path) -> None:
    scene = bpy.context.scene
    clip = write_bvh(tmp_path / "kick.bvh")
    bones = {role: role for role in roles.REQUIRED if role != "thigh.L"}
    (tmp_path / "half.json").write_text(json.dumps(roles.to_json(roles.RoleMap(bones))), encoding="utf-8")
    options = argparse.Namespace(
        clip=str(clip), clip_action="", clip_character="", clip_map=str(tmp_path / "half.json"), dry_run=True
    )
    opened, console = Opened(tmp_path / "shot.blend", scene, avatar), Console()
    with pytest.raises(ClipMapError, match="left thigh"):
        _prepare_clip(opened, options, {}, console)
    assert not list(tmp_path.glob("*clip_map*")), "a dry run writes nothing"
    options.dry_run = False
    with pytest.raises(HeadlessError, match=r"left thigh.*--clip-map.*joints: pelvis"):
        _prepare_clip(opened, options, {}, console)
    filled = json.loads((tmp_path / "shot.clip_map.json").read_text(encoding="utf-8"))
    filled["bones"]["thigh.L"] = "thigh.L"
    (tmp_path / "shot.clip_map.json").write_text(json.dumps(filled), encoding="utf-8")
    options.clip_map = str(tmp_path / "shot.clip_map.json")
    _prepare_clip(opened, options, {}, console)
    assert swung() == pytest.approx(RAISED, abs=1.0)
    roles_given = [{"name": "thigh.L", "bone": "Nope"}]
    with pytest.raises(WrongUse, match=r"no joint called Nope \(--clip-roles\)"):
        _prepare_clip(opened, options, {"clip_roles": roles_given}, console)
