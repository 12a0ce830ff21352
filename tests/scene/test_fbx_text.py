# SPDX-License-Identifier: GPL-3.0-or-later
"""FBX as text and of version 6.1, which the add-on's reader refuses: the same character, size and action arrive."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest

from backflip_addon import compat
from backflip_addon.core.formats import fbx_limits
from backflip_addon.scene.animation import actions, pose_sampling
from backflip_addon.scene.armature.rig import bone_order
from backflip_addon.scene.importing import importer
from backflip_addon.scene.importing.importer import FileError
from tests.scene import fbx_files, rigs

JOINTS = [(name, parent, head) for name, parent, head, _tail in rigs.t_pose()]
HEAD = "; FBX 7.4.0 project file\n"


def swing(name: str, frame: int) -> float:
    return {"thigh.L": 3.0, "thigh.R": -3.0, "spine": 1.0}.get(name, 0.0) * frame


@pytest.fixture(scope="module")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Blender writes of a skinned character that swings its legs, 100 times as large inside as outside."""
    rigs.empty_scene()
    armature = rigs.build(name="Hero", skin=True, matrix=rigs.SCALED_AND_TURNED)
    for frame in (1, 5, 9):
        for name in ("thigh.L", "thigh.R", "spine"):
            bone = armature.pose.bones[name]
            bone.rotation_quaternion = (1.0, 0.1 * frame, 0.02 * frame, 0.0)
            bone.keyframe_insert("rotation_quaternion", frame=frame)
    path = tmp_path_factory.mktemp("fbx") / "hero.fbx"
    compat.ensure_addon("io_scene_fbx")
    bpy.ops.export_scene.fbx(filepath=str(path), add_leaf_bones=False, bake_anim_use_all_bones=True)
    return path


def positions(path: Path) -> tuple[dict[str, np.ndarray], float, float]:
    """Each bone's world place by name over the frames (F, 3); the action's rate; the mesh's height at rest."""
    rigs.empty_scene()
    armature, imported = importer.import_rig(str(path))
    (action,) = imported.actions
    first, last = actions.action_range(action)
    poses = pose_sampling.sample_poses(armature, np.arange(first, last + 1), action)
    meshes = [ob for ob in imported.objects if ob.type == "MESH"]
    height = sum(np.ptp([(ob.matrix_world @ vertex.co)[2] for vertex in ob.data.vertices]) for ob in meshes)
    order = [bone.name for bone in bone_order(armature)]
    return {name: poses[:, i, :3, 3] for i, name in enumerate(order)}, action[importer.RATE_PROPERTY], float(height)


def test_a_text_fbx_is_the_character_of_the_binary_one(binary: Path, tmp_path: Path) -> None:
    text = fbx_files.as_text(binary, tmp_path / "text.fbx")
    assert text.read_bytes().startswith(b"; FBX 7.4")
    (was, was_rate, was_height), (now, rate, height) = positions(binary), positions(text)
    assert now.keys() == was.keys() and rate == was_rate and height == pytest.approx(was_height, abs=1e-3)
    assert height == pytest.approx(1.78, abs=0.01)
    for name, track in was.items():
        assert now[name] == pytest.approx(track, abs=1e-4), name
    assert max(np.ptp(track, axis=0).max() for track in was.values()) > 0.3


def test_an_fbx_of_version_6_has_the_size_and_the_motion_it_says(tmp_path: Path) -> None:
    tracks, rate, _height = positions(fbx_files.write_6100(tmp_path / "old.fbx", JOINTS, swing, 11))
    assert rate == 24.0
    for frame in (0, 10):
        for name, place in fbx_files.standing(JOINTS, swing, frame).items():
            if name in tracks:  # the topmost joint is the armature itself
                assert tracks[name][frame] == pytest.approx(place, abs=1e-4), name
    assert len(tracks) >= len(JOINTS) - 1


def test_what_the_first_reader_left_half_done_is_gone_before_the_second_reads(
    binary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_path: str) -> None:
        bpy.context.scene.collection.objects.link(bpy.data.objects.new("half", bpy.data.armatures.new("half")))
        bpy.data.actions.new("half")
        bpy.context.scene.render.fps = 7
        raise RuntimeError("Error: Python: Traceback (most recent call last):\nKeyError: 0")

    monkeypatch.setattr(compat, "import_fbx", fail)
    rigs.empty_scene()
    armature, imported = importer.import_rig(str(binary))
    assert armature.name == "Hero" and [ob.name for ob in imported.armatures] == ["Hero"]
    assert not any(item.name.startswith("half") for item in (*bpy.data.objects, *bpy.data.actions, *bpy.data.armatures))
    assert imported.actions[0][importer.RATE_PROPERTY] == 24.0 and bpy.context.scene.render.fps == 24


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "; FBX 7.4.0 project file\nObjects:  {\n\tVertices: *999999999999 {\n\t\ta: 1\n\t}\n}\n",
            "longer than it says",
        ),
        ("; FBX 7.4.0 project file\n" + "Objects:  {\n" * 5_000, "cannot be imported: it is damaged"),
        ("Kaydara? No.", "not an FBX file"),
    ],
)
def test_damaged_text_is_refused(tmp_path: Path, text: str, words: str) -> None:
    rigs.empty_scene()
    (tmp_path / "rig.fbx").write_text(text)
    with pytest.raises(FileError, match=words):
        importer.import_rig(str(tmp_path / "rig.fbx"))
    assert not bpy.data.objects and not bpy.data.armatures


def test_a_text_of_many_megabytes_is_not_given_to_the_importer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fbx_limits, "MOST_TEXT_BYTES", 1_000)
    (tmp_path / "rig.fbx").write_text(HEAD + ";" * 2_000)
    with pytest.raises(FileError, match="text of more than"):
        importer.import_rig(str(tmp_path / "rig.fbx"))
