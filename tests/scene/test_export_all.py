# SPDX-License-Identifier: GPL-3.0-or-later
"""A shot is exported whole, in metres and seconds, from whatever state the scene is in, and says what it lacks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from mathutils import Matrix  # noqa: E402

from backflip_addon.core.rigs import fit, roles  # noqa: E402
from backflip_addon.scene.animation import actions, pose_sampling  # noqa: E402
from backflip_addon.scene.animation.depsgraph import evaluation_scene  # noqa: E402
from backflip_addon.scene.armature import rig  # noqa: E402
from backflip_addon.scene.baking import bake, nla  # noqa: E402
from backflip_addon.scene.exporting import export_scene, exporter  # noqa: E402

from . import rigs, takes  # noqa: E402

BONES = ("pelvis", "thigh.L", "foot.R", "head", "hand.L")
PROPS = ("Sword", "Glasses")
KINDS = ("FBX", "GLTF", "USD", "ALEMBIC", "BVH")


@pytest.fixture(autouse=True)
def _empty() -> None:
    rigs.empty_scene()


def _cube(name: str, size: float) -> bpy.types.Object:
    mesh = bpy.data.meshes.new(name)
    corners = [(x * size, y * size, z * size) for x in (0, 1) for y in (0, 1) for z in (0, 1)]
    mesh.from_pydata(corners, [], [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)])
    ob = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(ob)
    return ob


def _add_props(armature: bpy.types.Object, unit: float) -> None:
    """A sword on an empty on the hand, and glasses on a hat on the head. unit: a metre in the armature's units."""
    grip = bpy.data.objects.new("Grip", None)
    bpy.context.scene.collection.objects.link(grip)
    grip.parent, grip.parent_type, grip.parent_bone = armature, "BONE", "hand.L"
    sword, hat, glasses = (_cube(name, 0.1 * unit) for name in ("Sword", "Hat", "Glasses"))
    sword.parent, sword.location = grip, (0.0, 0.1 * unit, 0.0)
    hat.parent, hat.parent_type, hat.parent_bone = armature, "BONE", "head"
    glasses.parent, glasses.location = hat, (0.0, 0.0, -0.1 * unit)


def _baked(first: int = 1, unit: float = 1.0, matrix: Matrix | None = None) -> tuple[bpy.types.Object, int]:
    """A character with its props and a baked take; the take's last frame. unit: units a metre, of the scene."""
    armature = rigs.build(skin=True, matrix=matrix)
    if unit != 1.0:
        armature.data.transform(Matrix.Scale(unit, 4))
        bpy.data.objects["Skin"].data.transform(Matrix.Scale(unit, 4))
    _add_props(armature, unit if matrix is None else 1.0 / matrix.median_scale)
    read = rig.read_rig(armature)
    body, binding = fit.fit_body(read, roles.guess(read))
    bake.bake_take(armature, binding, takes.tumble(body), name="Shot", start_frame=first, scene=bpy.context.scene)
    return armature, round(nla.playing_track(armature).strips[0].frame_end)


def _heads(armature: bpy.types.Object, frames: np.ndarray) -> np.ndarray:
    order = [bone.name.replace("_", ".") for bone in rig.bone_order(armature)]
    poses = pose_sampling.sample_poses(armature, frames)
    return poses[:, [order.index(name) for name in BONES], :3, 3]


def _props(armature: bpy.types.Object | None, frames: np.ndarray) -> np.ndarray:
    """Where the props are (F, 2, 3)."""
    scene, positions = bpy.context.scene, []
    objects = [bpy.data.objects[name] for name in PROPS]
    if armature is not None:
        with evaluation_scene(armature, objects) as scene:
            for frame in frames:
                scene.frame_set(int(frame))
                graph = scene.view_layers[0].depsgraph
                positions.append([np.array(ob.evaluated_get(graph).matrix_world.translation) for ob in objects])
        return np.array(positions)
    for frame in frames:
        scene.frame_set(int(np.floor(frame)), subframe=frame - np.floor(frame))
        positions.append([np.array(ob.matrix_world.translation) for ob in objects])
    return np.array(positions)


def _import(path: Path, kind: str) -> None:
    read: dict[str, Callable[..., Any]] = {
        "FBX": bpy.ops.import_scene.fbx,
        "GLTF": bpy.ops.import_scene.gltf,
        "USD": bpy.ops.wm.usd_import,
        "ALEMBIC": bpy.ops.wm.alembic_import,
        "BVH": bpy.ops.import_anim.bvh,
    }
    options = {"as_background_job": False} if kind == "ALEMBIC" else {}
    assert read[kind](filepath=str(path), **options) == {"FINISHED"}


def _comes_back(armature: bpy.types.Object, first: int, last: int, folder: Path, metre: float, kinds: Any) -> None:
    """Blender's own importers, in a scene in metres, find all of it where it was, to the millimetre."""
    frames = np.arange(first, last + 1)
    heads, props = _heads(armature, frames) * metre, _props(armature, frames) * metre
    written = [exporter.export_shot(armature, str(folder / "shot"), kind, first, last) for kind in kinds]
    for kind, exported in zip(kinds, written, strict=True):
        assert exported.frames == len(frames) and exported.meshes == 4, kind
        assert not [warning for warning in exported.warnings if "later" not in warning], kind
        rigs.empty_scene()
        bpy.context.scene.render.fps = 24
        _import(exported.path, kind)
        back = next((ob for ob in bpy.data.objects if ob.type == "ARMATURE"), None)
        begin = max(first, 0) if back is None else actions.action_range(back.animation_data.action)[0]
        if back is not None:
            assert actions.action_range(back.animation_data.action)[1] - begin == pytest.approx(last - first, abs=1e-3)
            np.testing.assert_allclose(_heads(back, begin + frames - first), heads, atol=1e-3, err_msg=kind)
        if kind in ("FBX", "GLTF"):
            assert "Shot" in back.animation_data.action.name, "it is called as the take is"
        if kind != "BVH":
            np.testing.assert_allclose(_props(None, begin + frames - first), props, atol=1e-3, err_msg=kind)


@pytest.mark.parametrize(
    ("unit", "matrix"),
    [(1.0, None), (100.0, None), (1.0, rigs.SCALED_AND_TURNED)],
    ids=["metres", "centimetres", "scaled and turned"],
)
def test_all_that_hangs_on_the_character_comes_back_where_it_was(
    tmp_path: Path, unit: float, matrix: Matrix | None
) -> None:
    settings = bpy.context.scene.unit_settings
    settings.system, settings.scale_length = "METRIC", 1.0 / unit
    armature, last = _baked(unit=unit, matrix=matrix)
    _comes_back(armature, 1, last, tmp_path, 1.0 / unit, KINDS)


def test_frames_below_zero_are_all_there(tmp_path: Path) -> None:
    armature, last = _baked(first=-20)
    glasses = bpy.data.objects["Glasses"]
    glasses.keyframe_insert("location", frame=-20)
    glasses.location.z -= 0.2
    glasses.keyframe_insert("location", frame=last)
    _comes_back(armature, -20, last, tmp_path, 1.0, KINDS[:1])


def _keys(ob: bpy.types.Object) -> list[float]:
    bag = ob.animation_data.action.layers[0].strips[0].channelbags[0]
    return [point.co.x for curve in bag.fcurves for point in curve.keyframe_points]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_hidden_locked_or_at_rest_is_exported_and_stays_so(tmp_path: Path, kind: str) -> None:
    armature, last = _baked(first=-3)
    glasses, layer = bpy.data.objects["Glasses"], bpy.context.view_layer
    glasses.keyframe_insert("location", frame=-3)
    inner = bpy.data.collections.new("Wardrobe")
    bpy.context.scene.collection.children.link(inner)
    for name in ("Sword", "Skin"):
        inner.objects.link(bpy.data.objects[name])
        bpy.context.scene.collection.objects.unlink(bpy.data.objects[name])
    armature.hide_set(True)
    armature.data.pose_position = "REST"
    for ob in (armature, glasses):
        ob.hide_viewport = ob.hide_select = ob.hide_render = True
    layer.layer_collection.children["Wardrobe"].exclude = True
    layer.update()
    before = _whole_state()
    exported = exporter.export_shot(armature, str(tmp_path / "shot"), kind, -3, last)
    assert _whole_state() == before
    assert exported.frames == last + 4
    assert not [warning for warning in exported.warnings if "later" not in warning]


def _whole_state() -> list[Any]:
    """What an export might leave changed."""
    scene = bpy.context.scene
    state: list[Any] = [scene.name, scene.frame_start, scene.frame_end, scene.frame_current, scene.render.fps_base]
    state += [{kind: sorted(item.name for item in getattr(bpy.data, kind)) for kind in ("scenes", "objects", "meshes")}]
    state += [sorted(item.name for item in bpy.data.actions)]
    for ob in bpy.data.objects:
        state += [ob.name, ob.hide_viewport, ob.hide_select, ob.hide_render, [c.name for c in ob.users_collection]]
        data = ob.animation_data
        if data is not None:
            state += [data.action.name if data.action else "", data.action_slot.identifier if data.action_slot else ""]
            state += [(s.frame_start, s.frame_end, t.is_solo) for t in data.nla_tracks for s in t.strips]
            state += _keys(ob) if data.action else []
    state += [(ob.name, ob.hide_get(), ob.select_get()) for ob in bpy.context.view_layer.objects]
    state += [data.pose_position for data in bpy.data.armatures]
    return state


@pytest.mark.parametrize("kind", ["FBX", "GLTF", "USD", "ALEMBIC"])
def test_seconds_are_right_at_a_broken_rate(tmp_path: Path, kind: str) -> None:
    from backflip_addon.core.exports import export_facts

    render = bpy.context.scene.render
    render.fps, render.fps_base = 24, 1.001
    armature, last = _baked()
    exported = exporter.export_shot(armature, str(tmp_path / "shot"), kind, 1, last)
    assert exported.warnings == ()
    if kind in ("FBX", "GLTF"):
        facts = (export_facts.of_fbx if kind == "FBX" else export_facts.of_gltf)(exported.path)
        assert facts.seconds == pytest.approx((last - 1) * 1.001 / 24, abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_an_export_that_lacks_something_says_so(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exporter is given half of what it should be given."""
    armature, last = _baked()
    write = exporter._WRITERS[kind]

    def half(path: str, staged: Any) -> None:
        scene = staged.scene
        for ob in [ob for ob in scene.collection.objects if ob.name in ("Sword", "Skin")]:
            scene.collection.objects.unlink(ob)
        scene.frame_end = staged.first + 5
        write(path, export_scene.ExportScene(scene, staged.objects, staged.first, staged.first + 5, 0))

    monkeypatch.setitem(exporter._WRITERS, kind, half)
    said = " ".join(exporter.export_shot(armature, str(tmp_path / "shot"), kind, 1, last).warnings)
    assert "s long instead of" in said
    # glTF takes children along that are in no scene
    assert kind in ("BVH", "GLTF") or "lacks Skin, Sword" in said or "lacks Sword, Skin" in said


def test_a_character_on_a_moving_scaled_parent_comes_back_without_its_neighbours(tmp_path: Path) -> None:
    armature, last = _baked()
    carrier = bpy.data.objects.new("Carrier", None)
    bpy.context.scene.collection.objects.link(carrier)
    armature.parent = _cube("Neighbour", 1.0).parent = carrier
    carrier.scale = (2.0, 2.0, 2.0)
    for frame, place in ((1, 0.0), (last, 3.0)):
        for ob in (carrier, bpy.data.objects["Glasses"]):
            ob.location.x = place
            ob.keyframe_insert("location", frame=frame)
    bpy.context.scene.frame_set(7)
    before = _seen(carrier)
    exporter.export_shot(armature, str(tmp_path / "seen"), "FBX", 1, last)
    np.testing.assert_allclose(_seen(carrier), before, atol=1e-6)
    _comes_back(armature, 1, last, tmp_path, 1.0, ("GLTF",))
    assert "Neighbour" not in bpy.data.objects


def _seen(carrier: bpy.types.Object) -> np.ndarray:
    """What the user sees in the present frame: the carrier's place and the sword's."""
    return np.concatenate([carrier.location, np.ravel(bpy.data.objects["Sword"].matrix_world)])
