# SPDX-License-Identifier: GPL-3.0-or-later
"""The set frames the performance; film and contact sheet are written without a window; settings come back."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from bpy_extras.object_utils import world_to_camera_view  # noqa: E402
from mathutils import Vector  # noqa: E402

from backflip_addon.scene.film import camera, contact_sheet, render, stage  # noqa: E402
from backflip_addon.scene.mannequin.build import add_mannequin  # noqa: E402

TINY = (64, 36)


@pytest.fixture
def performer() -> bpy.types.Object:
    """A mannequin that leaps two metres to the side and back down within 24 frames."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end, scene.render.fps = 1, 25, 24
    armature = add_mannequin(bpy.context)
    move(armature, {1: (0, 0, 0), 13: (0.4, 1.0, 0.8), 25: (0, 2.0, 0)})
    return armature


def move(armature: bpy.types.Object, keys: dict[int, tuple[float, float, float]]) -> None:
    for frame, place in keys.items():
        armature.location = place
        armature.keyframe_insert("location", frame=frame)


def views(scene: bpy.types.Scene, armature: bpy.types.Object) -> np.ndarray:
    """The skin's vertices (N, 3) as the scene's camera sees them now: across and up in 0..1, distance."""
    depsgraph = bpy.context.evaluated_depsgraph_get()
    skin = armature.children[0].evaluated_get(depsgraph)
    camera = scene.camera.evaluated_get(depsgraph)
    some = skin.data.vertices.values()[::7]
    return np.array([world_to_camera_view(scene, camera, skin.matrix_world @ v.co) for v in some])


def settings(scene: bpy.types.Scene) -> dict[str, object]:
    found = {"frame": scene.frame_current, "camera": scene.camera, "world": scene.world}
    groups = (scene.render, scene.render.image_settings, scene.render.ffmpeg, scene.cycles, scene.view_settings)
    for group in groups:
        for prop in group.bl_rna.properties:
            value = getattr(group, prop.identifier)
            if not prop.is_readonly and isinstance(value, int | float | str | bool):
                found[f"{group.bl_rna.identifier}.{prop.identifier}"] = value
    return found


def test_camera_fits_any_points_exactly() -> None:
    rng = np.random.default_rng(5)
    points = rng.normal(size=(50, 3)) * (1, 2, 1)
    turn = camera.camera_turn(0.7)
    half = np.array([0.36, 0.2])
    place = camera.fit_camera(points, turn, half)
    seen = (points - place) @ turn
    across = np.abs(seen[:, :2]) / -seen[:, 2:]  # tangents of the angles at which the points are seen
    assert np.all(seen[:, 2] < 0)
    assert np.all(across <= half + 1e-9)
    assert np.isclose(across.max(axis=0), half, atol=1e-9).any()  # and no farther away than needed


def test_camera_shows_the_whole_performance_and_looks_at_its_left_side(performer: bpy.types.Object) -> None:
    scene = bpy.context.scene
    made = stage.build_set(bpy.context, performer)
    render.apply_render_settings(scene)
    assert scene.camera is made.camera and made.camera.animation_data is None
    assert scene.frame_current == 1
    edges = []
    for frame in (1, 7, 13, 19, 25):
        scene.frame_set(frame)
        seen = views(scene, performer)
        assert np.all(seen[:, 2] > 0)
        edges += [seen[:, :2].min(axis=0), seen[:, :2].max(axis=0)]
    assert np.min(edges) > 0.0 and np.max(edges) < 1.0
    assert np.ptp(edges, axis=0).max() > 0.75  # and fills the picture
    assert made.camera.matrix_world.translation.x > 2  # its left is +X
    assert made.camera.matrix_world.to_3x3().col[0].y > 0.8  # a step backwards, to +Y, goes to the right


def test_camera_follows_a_long_run_gently(performer: bpy.types.Object) -> None:
    scene = bpy.context.scene
    scene.frame_end = 97
    move(performer, {25: (0, -3, 0), 97: (0, -14, 0)})
    made = stage.build_set(bpy.context, performer)
    render.apply_render_settings(scene)
    positions = []
    for frame in range(1, 98, 4):
        scene.frame_set(frame)
        seen = views(scene, performer)[:, :2]
        assert seen.min() > 0.0 and seen.max() < 1.0
        assert np.ptp(seen[:, 1]) > 0.3  # close enough to be seen well
        positions.append(np.array(made.camera.matrix_world.translation))
    assert np.linalg.norm(np.diff(positions, n=2, axis=0), axis=1).max() < 0.25
    assert np.ptp(positions, axis=0)[2] < 1e-4


def test_set_is_built_to_the_performers_measure(performer: bpy.types.Object) -> None:
    near = stage.build_set(bpy.context, performer).camera.matrix_world.translation.copy()
    performer.animation_data_clear()
    performer.scale = (100.0,) * 3
    move(performer, {1: (0, 0, 0), 13: (40, 100, 80), 25: (0, 200, 0)})
    far = stage.build_set(bpy.context, performer)
    np.testing.assert_allclose(far.camera.matrix_world.translation, np.array(near) * 100, rtol=0.01)
    assert far.floor.dimensions.x == pytest.approx(8000, rel=0.02)


def test_set_turns_with_the_performer(performer: bpy.types.Object) -> None:
    performer.rotation_euler.z = math.pi / 2  # it faces +X now, and its left is +Y
    made = stage.build_set(bpy.context, performer, yaw=math.pi / 2)
    offset = made.camera.matrix_world.translation - Vector((0.2, 1.0, 0.0))
    assert offset.y > 2 and 0 < offset.x < offset.y


def test_a_rebuilt_set_replaces_the_old_one_and_striking_it_gives_camera_and_world_back(
    performer: bpy.types.Object,
) -> None:
    scene = bpy.context.scene
    own = bpy.data.objects.new("My Camera", bpy.data.cameras.new("My Camera"))
    scene.collection.objects.link(own)
    world = bpy.data.worlds.new("My World")
    scene.camera, scene.world = own, world
    stage.build_set(bpy.context, performer)
    count = len(bpy.data.objects)
    stage.build_set(bpy.context, performer)
    assert len(bpy.data.objects) == count
    assert scene.camera is not own and scene.world is not world
    stage.remove_set(scene)
    assert scene.camera is own and scene.world is world
    assert {o.name for o in scene.objects} == {"My Camera", performer.name, performer.children[0].name}


def test_film_and_contact_sheet_are_cut_from_footage_shot_once(performer: bpy.types.Object, tmp_path: Path) -> None:
    scene = bpy.context.scene
    stage.build_set(bpy.context, performer, size=TINY)
    scene.frame_set(9)
    before, scenes = settings(scene), len(bpy.data.scenes)
    told: list[float] = []
    footage = render.render_stills(bpy.context, tmp_path, TINY, fps=4, progress=told.append)
    assert footage.times == pytest.approx([0, 0.25, 0.5, 0.75, 1.0])
    assert told == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    stills = [contact_sheet.read_pixels(path) for path in footage.stills]
    assert all(still.shape == (36, 64, 4) for still in stills)
    assert all(np.abs(a - b).mean() > 1e-3 for a, b in zip(stills, stills[1:], strict=False))  # it moves

    movie = render.render_movie(bpy.context, tmp_path / "out" / "film.mp4", footage=footage)
    data = movie.read_bytes()
    sizes = data.index(b"stsz")  # MP4's table of samples: version, common size, count
    assert b"ftyp" in data[:32] and int.from_bytes(data[sizes + 12 : sizes + 16], "big") == 5
    sequence = bpy.data.scenes.new("Read").sequence_editor_create()
    strip = sequence.strips.new_movie("Movie", str(movie), channel=1, frame_start=1)
    assert strip.fps == pytest.approx(4)
    bpy.data.scenes.remove(bpy.data.scenes["Read"])

    sheet = contact_sheet.render_contact_sheet(bpy.context, tmp_path / "sheet.png", 3, footage=footage, columns=2)
    pixels = contact_sheet.read_pixels(sheet)
    assert pixels.shape == (2 * 37 + 1, 2 * 65 + 1, 4)
    for tile, shown in ((pixels[1:37, 1:65], stills[:1]), (pixels[1:37, 66:130], stills[1:4])):
        assert min(np.abs(tile - still).max() for still in shown) <= 1 / 255
    assert settings(scene) == before
    assert len(bpy.data.scenes) == scenes
    assert not [image for image in bpy.data.images if image.name != "Render Result"]


def test_settings_come_back_even_when_shooting_fails(performer: bpy.types.Object) -> None:
    scene = bpy.context.scene
    render.compat.write_movie(scene.render)
    before = settings(scene)
    with pytest.raises(RuntimeError), render.temporary_render_settings(scene, (33, 21)):
        assert (scene.render.resolution_x, scene.render.resolution_y) == (32, 20)
        assert scene.render.engine == "CYCLES"
        raise RuntimeError
    assert settings(scene) == before


def test_a_blender_without_a_denoiser_films_with_more_samples(
    performer: bpy.types.Object, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = bpy.context.scene
    before, samples = settings(scene), dict(render._LOOK)["cycles.samples"]
    without = {"cycles.denoiser": "NOT_BUILT_IN"}
    monkeypatch.setattr(render, "_LOOK", tuple((path, without.get(path, value)) for path, value in render._LOOK))
    with render.temporary_render_settings(scene):
        assert not scene.cycles.use_denoising and scene.cycles.samples > 2 * samples
    assert settings(scene) == before


def test_a_scene_without_a_camera_is_refused_in_words(performer: bpy.types.Object, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no camera"):
        render.render_stills(bpy.context, tmp_path, TINY)


def test_moments_are_denser_where_more_happens() -> None:
    levels = [0.0] * 20 + list(np.linspace(0.0, 1.0, 10)) + [1.0] * 20
    stills = [np.full((4, 6, 4), level, dtype=np.float32) for level in levels]
    picks = contact_sheet.pick_moments(stills, 8)
    assert picks[0] == 0 and picks[-1] == 49 and picks == sorted(set(picks))
    assert sum(20 <= i <= 30 for i in picks) >= 4
    assert contact_sheet.pick_moments(stills[:1] * 40, 4) == [0, 13, 26, 39]
    assert contact_sheet.pick_moments(stills[:3], 8) == [0, 1, 2]


def test_time_stamps_are_drawn_on_large_enough_pictures() -> None:
    large = contact_sheet.stamped(np.zeros((120, 200, 4), dtype=np.float32), 1.25)
    assert 20 < np.count_nonzero(large[..., 0]) < 80
    assert not large[:100].any()
    assert not contact_sheet.stamped(np.zeros((90, 160, 4), dtype=np.float32), 1.25).any()
