# SPDX-License-Identifier: GPL-3.0-or-later
"""Exported shots, read back by Blender's own importers, show the take."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from backflip_addon.core.rigs import fit, roles  # noqa: E402
from backflip_addon.core.slices import at_once  # noqa: E402
from backflip_addon.scene.animation import actions, pose_sampling  # noqa: E402
from backflip_addon.scene.armature import rig  # noqa: E402
from backflip_addon.scene.baking import bake  # noqa: E402
from backflip_addon.scene.exporting import exporter  # noqa: E402
from backflip_addon.scene.importing import importer  # noqa: E402

from . import rigs, takes  # noqa: E402

BONES = ("pelvis", "thigh.L", "foot.R", "head", "hand.L")
FIRST, LAST = 1, 30


@pytest.fixture(autouse=True)
def _empty() -> None:
    rigs.empty_scene()


def _baked(**guise: object) -> bpy.types.Object:
    armature = rigs.build(skin=True, **guise)
    read = rig.read_rig(armature)
    body, binding = fit.fit_body(read, roles.guess(read))
    bake.bake_take(armature, binding, takes.tumble(body), name="Shot", start_frame=FIRST, scene=bpy.context.scene)
    return armature


def _heads(armature: bpy.types.Object) -> np.ndarray:
    """Heads (F, bones, 3) of BONES in the world."""
    order = [bone.name for bone in rig.bone_order(armature)]
    names = [next(n for n in order if n.replace("_", ".") == b.replace("_", ".")) for b in BONES]
    poses = pose_sampling.sample_poses(armature, range(FIRST, LAST + 1))
    return poses[:, [order.index(name) for name in names], :3, 3]


@pytest.mark.parametrize("guise", [{}, {"matrix": rigs.SCALED_AND_TURNED}], ids=["plain", "scaled and turned"])
@pytest.mark.parametrize(("kind", "suffix"), [("FBX", ".fbx"), ("GLTF", ".glb")])
def test_a_shot_comes_back_as_it_went(tmp_path: Path, kind: str, suffix: str, guise: dict) -> None:
    armature = _baked(**guise)
    expected = _heads(armature)
    scene = bpy.context.scene
    scene.frame_set(7)
    path = exporter.export_shot(armature, str(tmp_path / "shot"), kind, FIRST, LAST).path
    assert path.suffix == suffix
    assert (scene.frame_start, scene.frame_end, scene.frame_current) == (1, 250, 7)
    rigs.empty_scene()
    bpy.context.scene.render.fps = 24
    imported = at_once(importer.import_slices(path))
    back = imported.armatures[0]
    action = back.animation_data.action
    scale = action[importer.RATE_PROPERTY] / 24.0
    first = actions.action_range(action, back.animation_data.action_slot)[0]
    order = [bone.name for bone in rig.bone_order(back)]
    poses = pose_sampling.sample_poses(back, first + np.arange(LAST - FIRST + 1) * scale)
    heads = poses[:, [order.index(name) for name in BONES], :3, 3]
    np.testing.assert_allclose(heads, expected, atol=2e-3)


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    armature = _baked()
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(exporter.ExportError, match="could not be written"):
        exporter.export_shot(armature, str(tmp_path / "file" / "shot.fbx"), "FBX", FIRST, LAST)


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder that nobody can write in")
@pytest.mark.parametrize("kind", ["FBX", "GLTF", "BVH"])
def test_of_a_folder_that_cannot_be_written_the_systems_reason_is_said(kind: str) -> None:
    with pytest.raises(exporter.ExportError, match=r"could not be written: (no such file|permission denied)[^:]*$"):
        exporter.export_shot(_baked(), "/proc/shot", kind, FIRST, LAST)


def test_where_an_exporter_fails_its_own_words_are_said_and_no_line_of_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object) -> None:
        raise RuntimeError("Error: Python: Traceback\nValueError: a bone is odd\nLocation: exporter.py:147")

    monkeypatch.setitem(exporter._WRITERS, "BVH", fail)
    with pytest.raises(exporter.ExportError, match="could not be written: ValueError: a bone is odd"):
        exporter.export_shot(_baked(), str(tmp_path / "shot"), "BVH", FIRST, LAST)


def test_a_blender_without_a_format_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Distributions build Blender without USD."""
    assert exporter.compat.has_operator("wm.usd_export") and not exporter.compat.has_operator("wm.usd_report")
    monkeypatch.setattr(exporter.compat, "has_operator", lambda _name: False)
    with pytest.raises(exporter.ExportError, match="built without USD"):
        exporter.export_shot(_baked(), str(tmp_path / "shot"), "USD", FIRST, LAST)
    assert not list(tmp_path.iterdir()) and len(bpy.data.scenes) == 1


def test_selection_and_mode_are_kept(tmp_path: Path) -> None:
    armature = _baked()
    other = bpy.data.objects.new("Other", None)
    bpy.context.scene.collection.objects.link(other)
    armature.select_set(False)
    other.select_set(True)
    bpy.context.view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="POSE")
    exporter.export_shot(armature, str(tmp_path / "shot.usd"), "USD", FIRST, LAST)
    assert armature.mode == "POSE"
    assert other.select_get() and not armature.select_get()
