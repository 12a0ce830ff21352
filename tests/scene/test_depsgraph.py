# SPDX-License-Identifier: GPL-3.0-or-later
"""An armature is evaluated truly however it is hidden, and stays hidden so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from backflip_addon.core.rigs import fit, roles  # noqa: E402
from backflip_addon.scene.animation import pose_sampling  # noqa: E402
from backflip_addon.scene.armature.rig import read_rig  # noqa: E402
from backflip_addon.scene.baking import bake, bake_error, nla  # noqa: E402

from . import rigs, takes  # noqa: E402


def switched_off(ob: Any) -> None:
    ob.hide_viewport = True


def keyed_off(ob: Any) -> None:
    ob.hide_viewport = True
    ob.keyframe_insert("hide_viewport", frame=1)


def driven_off(ob: Any) -> None:
    ob.driver_add("hide_viewport").driver.expression = "True"


def hidden(ob: Any) -> None:
    ob.hide_set(True)


def in_no_scene(ob: Any) -> None:
    bpy.context.scene.collection.objects.unlink(ob)


def in_collection(ob: Any) -> Any:
    collection = bpy.data.collections.new("Hidden")
    bpy.context.scene.collection.children.link(collection)
    collection.objects.link(ob)
    bpy.context.scene.collection.objects.unlink(ob)
    return bpy.context.view_layer.layer_collection.children["Hidden"]


def excluded(ob: Any) -> None:
    in_collection(ob).exclude = True


def collection_off(ob: Any) -> None:
    in_collection(ob).collection.hide_viewport = True


def eye_shut(ob: Any) -> None:
    in_collection(ob).hide_viewport = True


def at_rest(ob: Any) -> None:
    ob.data.pose_position = "REST"


HIDING: dict[str, Callable[[Any], None]] = {
    f.__name__.replace("_", " "): f
    for f in (switched_off, keyed_off, driven_off, hidden, in_no_scene, excluded, collection_off, eye_shut, at_rest)
}


def animated() -> Any:
    """A rig every bone of which turns, on an object that moves under a parent that moves."""
    rigs.empty_scene()
    armature = rigs.build()
    parent = bpy.data.objects.new("Parent", None)
    bpy.context.scene.collection.objects.link(parent)
    armature.parent = parent
    rng = np.random.default_rng(3)
    for frame in (1, 21):
        for bone in armature.pose.bones:
            bone.rotation_quaternion = rng.normal(size=4)
            bone.keyframe_insert("rotation_quaternion", frame=frame)
        for ob in (armature, parent):
            ob.location = rng.normal(size=3)
            ob.keyframe_insert("location", frame=frame)
    return armature


def seen(armature: Any) -> tuple:
    frames = [1, 7, 12.5, 21]
    return pose_sampling.sample_poses(armature, frames), pose_sampling.sample_object_matrices(armature, frames)


def state(armature: Any) -> tuple:
    layers = bpy.context.view_layer.layer_collection.children
    shown = [(c.exclude, c.hide_viewport, c.collection.hide_viewport) for c in layers]
    counts = [len(data) for data in (bpy.data.objects, bpy.data.meshes, bpy.data.scenes, bpy.data.armatures)]
    users = [armature.users, armature.data.users]
    return armature.hide_viewport, armature.hide_get(), armature.data.pose_position, shown, counts, users


@pytest.fixture(scope="module")
def truth() -> tuple:
    """As the plain rig is seen, which differs from frame to frame."""
    poses, positions = seen(animated())
    assert np.ptp(poses, axis=0)[..., :3, 3].max(axis=1).min() > 0.1 and np.ptp(positions, axis=0).max() > 0.1
    return poses, positions


@pytest.mark.parametrize("way", HIDING)
@pytest.mark.parametrize("parent", [False, True], ids=["itself", "its parent"])
def test_a_hidden_armature_is_evaluated_like_a_shown_one(way: str, parent: bool, truth: tuple) -> None:
    armature = animated()
    if parent and way == "at rest":
        pytest.skip("an empty has no rest position")
    HIDING[way](armature.parent if parent else armature)
    before = state(armature)
    for got, wanted in zip(seen(armature), truth, strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-6)
    assert state(armature) == before


@pytest.mark.parametrize("way", ["switched off", "excluded", "in no scene", "hidden"])
def test_a_rig_that_was_never_evaluated_is_read_where_it_stands(way: str, tmp_path: Any) -> None:
    """Blender keeps no world matrix in its files, and makes none for what is hidden."""
    rigs.empty_scene()
    armature = rigs.build(matrix=rigs.SCALED_AND_TURNED, skin=True)
    wanted = read_rig(armature)
    for ob in (armature, bpy.data.objects["Skin"]):
        HIDING[way](ob)
        ob.use_fake_user = True
    file = str(tmp_path / "hidden.blend")
    bpy.ops.wm.save_as_mainfile(filepath=file)
    bpy.ops.wm.open_mainfile(filepath=file)
    armature = bpy.data.objects["Rig"]
    got = read_rig(armature)
    np.testing.assert_allclose(got.rest, wanted.rest, atol=1e-6)
    np.testing.assert_allclose(got.skin.vertices, wanted.skin.vertices, atol=1e-6)


@pytest.mark.parametrize("way", ["switched off", "driven off", "in no scene", "excluded"])
def test_a_hidden_avatar_is_baked_and_measured(way: str) -> None:
    rigs.empty_scene()
    armature = rigs.build()
    rig = read_rig(armature)
    body, binding = fit.fit_body(rig, roles.guess(rig), 70.0)
    HIDING[way](armature)
    motion = takes.tumble(body, seconds=0.5)
    bake.bake_take(armature, binding, motion, name="T", start_frame=1, scene=bpy.context.scene)
    millimetres, degrees = bake_error.bake_error(armature, body, binding, motion, 1, bpy.context.scene)
    assert millimetres < 1.0 and degrees < 0.1
    nla.show_own_animation(armature)
    assert bake_error.bake_error(armature, body, binding, motion, 1, bpy.context.scene)[0] > 100.0  # measured indeed
