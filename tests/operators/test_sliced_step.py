# SPDX-License-Identifier: GPL-3.0-or-later
"""A step that is given up between two slices leaves the file as it was, whichever slice it was at."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from backflip_addon.core.slices import Slices  # noqa: E402
from backflip_addon.operators import avatar, reference_clip  # noqa: E402
from backflip_addon.scene import stored_avatar  # noqa: E402
from backflip_addon.scene.animation import pose_sampling  # noqa: E402
from backflip_addon.scene.baking import bake  # noqa: E402
from tests.operators.test_road import crouch  # noqa: E402
from tests.scene import rigs, takes  # noqa: E402

KINDS = ("objects", "armatures", "meshes", "actions", "collections", "scenes", "cameras", "lights")


def kept() -> dict[str, Any]:
    """The data-blocks by name, and what the scene's settings hold."""
    found: dict[str, Any] = {kind: sorted(item.name for item in getattr(bpy.data, kind)) for kind in KINDS}
    settings = bpy.context.scene.backflip
    found["settings"] = [settings.body_json, settings.binding_json, settings.reference_data, settings.reference_label]
    found["avatar"] = settings.avatar and settings.avatar.name
    return found


def give_up_everywhere(work: Callable[[], Slices[Any]]) -> int:
    """Give work up after one slice, after two, and so on until it ends; how many slices it has."""
    before = kept()
    for count in itertools.count(1):
        slices, answer = work(), None
        try:
            for _slice in range(count):
                apart = slices.send(answer)
                answer = apart() if apart is not None else None
        except StopIteration:
            return count
        slices.close()
        assert kept() == before, f"given up after {count} slices"
    raise AssertionError


@pytest.fixture
def hero(ops: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(pose_sampling, "_SLICE_SECONDS", 0.0)  # each frame a slice
    armature = rigs.build(skin=True, name="Hero")
    ops.pick_avatar()
    ops.build_body()
    return armature


def test_a_bake_that_is_given_up_leaves_the_animation_as_it_was(hero: Any) -> None:
    scene = bpy.context.scene
    body, binding = stored_avatar.body_and_binding(scene)
    motion = takes.tumble(body)

    def work() -> Slices[Any]:
        return bake.bake_slices(hero, binding, motion, name="T", start_frame=1, scene=scene)

    assert give_up_everywhere(work) > 10
    assert len(hero.animation_data.nla_tracks) == 1, "and done at last"


def test_a_clip_that_is_given_up_leaves_nothing_behind(hero: Any, tmp_path: Path) -> None:
    scene, clip = bpy.context.scene, crouch(tmp_path / "humanoid3d_crouch.txt")
    assert give_up_everywhere(lambda: reference_clip.use_file_slices(scene, str(clip))) > 2
    bpy.ops.object.select_all(action="DESELECT")
    other = rigs.build(name="Clip")
    other.keyframe_insert("location", frame=1)
    for frame, angle in ((1, 0.0), (6, 0.5)):
        bone = other.pose.bones["thigh.L"]
        bone.rotation_mode, bone.rotation_euler = "XYZ", (angle, 0.0, 0.0)
        bone.keyframe_insert("rotation_euler", frame=frame)
    bpy.ops.object.select_all(action="DESELECT")
    other.select_set(True)
    bpy.ops.export_scene.gltf(filepath=str(tmp_path / "clip.glb"), use_selection=True)
    bpy.data.objects.remove(other)
    bpy.data.actions.remove(bpy.data.actions[0])
    assert give_up_everywhere(lambda: reference_clip.use_file_slices(scene, str(tmp_path / "clip.glb"))) > 6


def test_a_body_that_is_given_up_stays_as_it_was(hero: Any, ops: Any, tmp_path: Path) -> None:
    ops.import_reference(filepath=str(crouch(tmp_path / "humanoid3d_crouch.txt")))
    assert give_up_everywhere(lambda: avatar.build_body_slices(bpy.context.scene, 90.0, "person")) > 3
    assert stored_avatar.body_and_binding(bpy.context.scene)[0].mass == pytest.approx(90.0)


def test_a_mannequin_that_is_given_up_was_never_there(ops: Any) -> None:
    give_up_everywhere(lambda: avatar.choose_mannequin_slices(bpy.context))
    assert stored_avatar.avatar(bpy.context.scene).name == "Mannequin"
