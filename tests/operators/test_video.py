# SPDX-License-Identifier: GPL-3.0-or-later
"""A video for the reference: what is refused and in which words, and what a motion from a video becomes."""

from __future__ import annotations

import dataclasses
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from backflip_addon.core import rotations  # noqa: E402
from backflip_addon.core.body import LINK_NAMES  # noqa: E402
from backflip_addon.core.clips import video_motion  # noqa: E402
from backflip_addon.core.clips.video_motion import FilmedBy, VideoMotion  # noqa: E402
from backflip_addon.core.motion import Motion  # noqa: E402
from backflip_addon.jobs.json_files import JobError  # noqa: E402
from backflip_addon.jobs.video_folder import VideoFolder  # noqa: E402
from backflip_addon.operators import picture_frame, video, video_frames, video_result  # noqa: E402
from backflip_addon.runtime import video_models  # noqa: E402
from backflip_addon.scene import stored_avatar, stored_reference  # noqa: E402
from tests.scene import rigs  # noqa: E402

FRAMES, WIDTH, HEIGHT = 12, 64, 48


@pytest.fixture
def avatar(ops: Any) -> Any:
    armature = rigs.build(skin=True)
    ops.pick_avatar()
    ops.build_body()
    return armature


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of nothing, as Blender writes one."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = WIDTH, HEIGHT
    scene.frame_end = FRAMES
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):  # Blender 5.0 and later
        settings.media_type = "VIDEO"
    settings.file_format = "FFMPEG"
    scene.render.ffmpeg.format = "MPEG4"
    strips = scene.sequence_editor_create().strips
    try:
        strips.new_effect(name="Grey", type="COLOR", channel=1, frame_start=1, length=FRAMES)
    except TypeError:
        strips.new_effect(name="Grey", type="COLOR", channel=1, frame_start=1, frame_end=FRAMES + 1)
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    scene.render.filepath, scene.render.use_file_extension = str(path), False
    bpy.ops.render.render(animation=True)
    return path


@pytest.fixture
def networks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder that looks as if the networks were there."""
    for name in video_models.MODELS:
        (tmp_path / name).write_bytes(b"no network")
    monkeypatch.setattr(video, "models_folder", lambda: tmp_path)
    return tmp_path


def settings() -> Any:
    return bpy.context.scene.backflip.video


def seen(rate: float = 30.0) -> VideoMotion:
    """A person who hops on the spot, filmed from its left from 5 m off."""
    rise = 0.3 * np.sin(np.linspace(0, np.pi, 30))
    position = np.stack([0 * rise, 0 * rise, 0.9 + rise], axis=1)
    turns = np.tile(rotations.IDENTITY, (30, len(LINK_NAMES), 1))
    axes = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, -1.0], [-1.0, 0.0, 0.0]])
    sure = np.full((30, len(video_motion.PARTS)), 0.9)
    sure[10:20, 2] = 0.1
    camera = FilmedBy(np.array([5.0, 0.0, 1.2]), axes, 1400.0, 1280, 720)
    marks = np.full((30, video_motion.LANDMARKS, 2), 0.4)
    return VideoMotion(Motion(rate, position, turns), 0.9, camera, sure, 7.0, 3, marks)


def test_a_file_that_is_no_video_is_refused(ops: Any, tmp_path: Path) -> None:
    words = tmp_path / "words.mp4"
    words.write_text("no video")
    with pytest.raises(RuntimeError, match="words.mp4 is not a video that Blender can read"):
        ops.choose_video(filepath=str(words))
    with pytest.raises(RuntimeError, match="does not exist"):
        ops.choose_video(filepath=str(tmp_path / "none.mp4"))
    assert not len(bpy.data.movieclips)
    assert not settings().path


def test_what_is_missing_is_said(
    ops: Any, avatar: Any, film: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(video, "models_folder", lambda: tmp_path)
    with pytest.raises(RuntimeError, match="Choose a video first"):
        ops.reference_from_video(blocking=True)
    ops.choose_video(filepath=str(film))
    assert settings().frames == FRAMES
    with pytest.raises(RuntimeError, match="Apache License 2.0"):
        ops.reference_from_video(blocking=True)


def test_a_part_that_is_none_is_refused(ops: Any, avatar: Any, film: Path, networks: Path) -> None:
    ops.choose_video(filepath=str(film))
    settings().start = 9.0
    with pytest.raises(RuntimeError, match="too few frames"):
        ops.reference_from_video(blocking=True)
    settings().start, settings().use_box, settings().left, settings().right = 0.0, True, 0.7, 0.3
    with pytest.raises(RuntimeError, match="box has no inside"):
        ops.reference_from_video(blocking=True)


def test_the_frames_are_written_by_another_blender(
    ops: Any, avatar: Any, film: Path, networks: Path, tmp_path: Path
) -> None:
    """And looked at by the trainer's Python, which says that these are no networks."""
    pytest.importorskip("torch")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    ops.choose_video(filepath=str(film))
    with pytest.raises(RuntimeError, match="pose_detection.tflite is not a network that Backflip can run"):
        ops.reference_from_video(blocking=True)
    assert "not a network" in settings().problem
    work = video._work.reconstruction
    assert work is not None
    record = work.folder.read_frames()
    assert (record.count, record.width, record.height) == (FRAMES, WIDTH, HEIGHT)


def test_a_motion_from_a_video_is_a_reference_with_its_camera(
    ops: Any, avatar: Any, film: Path, tmp_path: Path
) -> None:
    ops.choose_video(filepath=str(film))
    path = tmp_path / "hop.npz"
    video_motion.save(path, seen())
    ops.import_reference(filepath=str(path))
    scene = bpy.context.scene
    motion = stored_reference.reference(scene)
    assert motion.duration == pytest.approx(29 / 30)
    assert motion.sure is not None
    unsure = {name for name, sure in zip(LINK_NAMES, motion.sure[15], strict=True) if sure < 0.5}
    assert unsure == {"upper_arm.L", "forearm.L", "hand.L"}
    assert np.ptp(motion.position[:, 2]) > 0.2
    settings().result = str(path)
    ops.add_video_camera()
    camera = scene.objects["Video Camera"]
    _body, binding = stored_avatar.body_and_binding(scene)
    away = np.array(camera.matrix_world)[:3, 2]
    beside = binding.to_sim(np.array(camera.matrix_world)[:3, 3])
    np.testing.assert_allclose(away, [np.cos(binding.yaw), np.sin(binding.yaw), 0.0], atol=1e-5)
    assert beside[0] > 3.0
    assert abs(beside[1]) < 0.2
    image = camera.data.background_images[0]
    clip, start = image.clip, scene.backflip.start_frame
    for rate, frame in ((30, 20), (24, 16), (60, 40)):  # two thirds of a second on: the video's frame 3 + 20
        scene.render.fps = rate
        ops.add_video_camera()
        scene.frame_set(start + frame)
        assert scene.frame_current - clip.frame_start + clip.frame_offset == seen().first + 20
        scene.frame_set(start)
        assert scene.frame_current - clip.frame_start + clip.frame_offset == seen().first
    ops.add_video_camera()
    assert sum(ob.type == "CAMERA" for ob in scene.objects) == 1


def test_a_camera_that_panned_pans_behind_the_reference(ops: Any, avatar: Any, film: Path, tmp_path: Path) -> None:
    """By the angle that it turned in the video, frame by frame with its footage; and a still one afterwards keeps
    still."""
    ops.choose_video(filepath=str(film))
    path = tmp_path / "hop.npz"
    turns = rotations.to_matrix(rotations.from_axis_angle([0.0, 1.0, 0.0], np.linspace(0.0, 0.3, 30)))
    panned = dataclasses.replace(seen(), turns=turns)
    video_motion.save(path, panned)
    assert any("turns by up to 17°" in words for words in video_motion.doubts(video_motion.load(path)))
    ops.import_reference(filepath=str(path))
    settings().result = str(path)
    scene = bpy.context.scene
    scene.render.fps = 30
    ops.add_video_camera()
    looks = []
    for frame in (0, 29):
        scene.frame_set(scene.backflip.start_frame + frame)
        looks.append(np.array(scene.objects["Video Camera"].matrix_world)[:3, :3])
    turned = (np.trace(looks[0].T @ looks[1]) - 1) / 2
    assert np.arccos(turned) == pytest.approx(0.3, abs=1e-3)
    video_motion.save(path, seen())
    ops.add_video_camera()
    assert scene.objects["Video Camera"].animation_data is None


def test_what_is_unsure_is_said(tmp_path: Path) -> None:
    hidden, gravity = video_motion.doubts(seen())
    assert hidden == "The left arm is hidden from 0.3 to 0.7 s, where the stunt need not follow it closely."
    assert "7.0 m/s²" in gravity
    others = np.arange(30) >= 15
    path = tmp_path / "more.npz"
    video_motion.save(path, dataclasses.replace(seen(), zoom=1.25, lost=0.2, others=others))
    more = video_motion.doubts(video_motion.load(path))
    for words in ("grows or shrinks 1.25 times", "followed in 20% of the frames", "Somebody else is seen from 0.5 to"):
        assert any(words in sentence for sentence in more)
    path = tmp_path / "hop.npz"
    video_motion.save(path, seen())
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(ValueError, match=r"hop\.npz"):
        video_motion.load(path)


def test_other_networks_are_not_installed(networks: Path, tmp_path: Path) -> None:
    wheel = tmp_path / "mediapipe-0.10.21.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for place, _hash in video_models.MODELS.values():
            archive.writestr(place, b"another")
    with pytest.raises(video_models.ModelsError, match="another network than Backflip knows"):
        video_models.take_from(wheel, tmp_path / "into")
    with pytest.raises(video_models.ModelsError, match="another network than Backflip knows"):
        video_models.take_from(networks, tmp_path / "into")
    with pytest.raises(video_models.ModelsError, match="does not hold the networks"):
        video_models.take_from(tmp_path / "none.whl", tmp_path / "into")
    assert not (tmp_path / "into").exists()


def test_the_strip_shows_what_is_hidden(ops: Any, avatar: Any, tmp_path: Path) -> None:
    """A red cell where the left arm is hidden, green beside it; and nothing any more when another clip came."""
    from backflip_addon.ui import strips

    path = tmp_path / "hop.npz"
    video_motion.save(path, seen())
    ops.import_reference(filepath=str(path))
    settings().result = str(path)
    scene = bpy.context.scene
    scene.backflip.road.reference = False
    assert video_result.sureness(scene) is None, "what is looked at is another step"
    scene.backflip.road.reference = True
    sure = video_result.sureness(scene)
    assert sure is not None
    corners, colours = strips.cells_of(sure, (0.9, 0.25, 0.2), (0.35, 0.8, 0.35))
    cells = colours[::6].reshape(30, len(video_motion.PARTS), 4)[:, ::-1]
    assert corners.min() == 0.0
    assert (cells[10:20, 2, 0] > 0.8).all()
    assert (np.delete(cells[..., 0], range(10, 20), axis=0) < 0.5).all()
    scene.frame_set(scene.backflip.start_frame)
    assert video_result.share_of_strip(scene) == 0.0
    scene.backflip.reference_file = "another.bvh"
    assert video_result.sureness(scene) is None


def seen_at_its_third_frame(ops: Any, film: Path, folder: Path) -> bpy.types.Scene:
    """The scene with what was seen in a film as its reference, two frames after its start."""
    ops.choose_video(filepath=str(film))
    path = folder / "hop.npz"
    video_motion.save(path, seen())
    ops.import_reference(filepath=str(path))
    settings().result = str(path)
    scene = bpy.context.scene
    scene.render.fps = 30
    scene.frame_set(scene.backflip.start_frame + 2)
    return scene


def test_a_frame_at_the_present_time_is_struck_out(ops: Any, avatar: Any, film: Path, tmp_path: Path) -> None:
    """By its number in the video; again, and it is taken; where the motion is not, nothing is."""
    scene = seen_at_its_third_frame(ops, film, tmp_path)
    ops.strike_out_frame()
    assert video_result.struck_frames(settings()) == [seen().first + 2]
    assert video.job_for(settings(), video.footage.open_video(film), tmp_path).struck == (seen().first + 2,)
    ops.strike_out_frame()
    assert video_result.struck_frames(settings()) == []
    scene.frame_set(scene.backflip.start_frame + 200)
    with pytest.raises(RuntimeError, match="Go to a time within the reference"):
        ops.strike_out_frame()


def test_a_landmark_is_put_elsewhere(ops: Any, avatar: Any, film: Path, tmp_path: Path) -> None:
    """In the frame of the present time alone; once more, and the last place counts; the fit is told of it."""
    scene = seen_at_its_third_frame(ops, film, tmp_path)
    assert (video_result.landmarks_at(scene) == 0.4).all()
    ops.correct_landmark(mark=15, place=(0.1, 0.2))
    ops.correct_landmark(mark=15, place=(0.3, 0.2))
    np.testing.assert_allclose(video_result.landmarks_at(scene)[15], [0.3, 0.2], atol=1e-6)
    ((frame, mark, x, _y),) = video.job_for(settings(), video.footage.open_video(film), tmp_path).corrected
    assert (frame, mark, round(x, 3)) == (seen().first + 2, 15, 0.3)
    assert video_result.is_outdated(settings())
    settings().made_with = video_result.asked_of_frames(settings())
    assert not video_result.is_outdated(settings())
    scene.frame_set(scene.backflip.start_frame + 3)
    assert (video_result.landmarks_at(scene) == 0.4).all()
    scene.frame_set(scene.backflip.start_frame + 200)
    assert not len(video_result.landmarks_at(scene))
    with pytest.raises(RuntimeError, match="Go to a time within the reference"):
        ops.correct_landmark(mark=15, place=(0.1, 0.2))


def test_a_box_is_drawn_in_the_picture(ops: Any, avatar: Any, film: Path) -> None:
    """From any corner to the one across, and no further than the picture; a mere click is no box."""
    frame = picture_frame.PictureFrame(100.0, 50.0, 300.0, 150.0)
    corners = frame.shares([[280.0, 140.0], [80.0, 60.0]])
    np.testing.assert_allclose(frame.places(corners), [[280.0, 140.0], [80.0, 60.0]])
    np.testing.assert_allclose(video_frames.box_between(*corners), [0.0, 0.9, 0.1, 0.9])
    assert video_frames.box_between(corners[0], corners[0] + 0.01) is None
    ops.choose_video(filepath=str(film))
    ops.draw_person_box(corners=(0.1, 0.6, 0.2, 0.9))
    assert settings().use_box
    assert (settings().left, settings().bottom) == pytest.approx((0.1, 0.9))
    with pytest.raises(RuntimeError, match="box has no inside"):
        ops.draw_person_box(corners=(0.5, 0.5, 0.2, 0.9))


@pytest.mark.parametrize("size", [(1920, 1080), (608, 1080)])
def test_the_picture_is_shown_whole_beside_the_sidebar(size: tuple[int, int]) -> None:
    """A viewport of 1048 x 620 of which 50 pixels to the left, 272 to the right and 54 above are covered."""
    region, free = (1048, 620), (50.0, 776.0, 0.0, 566.0)
    view = picture_frame.fitted(size, region, free)
    factor = (2**0.5 + view.zoom / 50) ** 2 / 4
    wide, high = (side / max(size) * max(region) * factor for side in size)
    across, up = (side * (0.5 - 2 * part * factor) for side, part in zip(region, view.offset, strict=True))
    assert (across, up) == pytest.approx((413.0, 283.0), abs=0.1), "in the middle of what is free"
    assert max(wide / 726.0, high / 566.0) == pytest.approx(0.94, abs=1e-3)


def test_a_video_is_trimmed_where_one_looks(ops: Any, avatar: Any, film: Path) -> None:
    """By the picture behind the camera at the present time; a begin past the end leaves the end open."""
    ops.choose_video(filepath=str(film))
    scene = bpy.context.scene
    with pytest.raises(RuntimeError, match="Press Show Video first"):
        ops.trim_video()
    ops.show_video()
    rate = settings().rate  # the film's own is the scene's
    scene.frame_set(scene.backflip.start_frame + 9)
    ops.trim_video(end=True)
    scene.frame_set(scene.backflip.start_frame + 1)
    ops.trim_video(end=False)
    assert (settings().start * rate, settings().end * rate) == pytest.approx((1.0, 10.0), abs=1e-3)
    job = video.job_for(settings(), video.footage.open_video(film), Path())
    assert (job.first, job.count) == (1, 9)
    scene.frame_set(scene.backflip.start_frame + 11)
    ops.trim_video(end=False)
    assert settings().end == 0.0
    scene.frame_set(scene.backflip.start_frame + FRAMES)
    with pytest.raises(RuntimeError, match="Press Show Video first"):
        ops.trim_video()


def test_of_several_videos_of_a_stunt_the_surest_is_kept(ops: Any, avatar: Any, film: Path, tmp_path: Path) -> None:
    """Whichever comes last; without the switch the last one is taken."""
    other = tmp_path / "other.mp4"
    other.write_bytes(film.read_bytes())
    good = dataclasses.replace(seen(), gravity=9.8, sure=np.full((30, len(video_motion.PARTS)), 0.9))
    assert video_motion.quality(good) > video_motion.quality(seen())
    scene = bpy.context.scene

    def made(path: Path, motion: VideoMotion) -> str:
        ops.choose_video(filepath=str(path))
        folder = VideoFolder(tmp_path / f"of_{path.stem}")
        folder.create(video.job_for(settings(), video.footage.open_video(path), tmp_path))
        video_motion.save(folder.result_file, motion)
        done: Any = SimpleNamespace(state="done", folder=folder)
        return video.finish(scene, done)

    made(film, good)
    settings().keep_best = True
    words = made(other, seen())
    assert words.startswith("film.mp4 stays the reference: its motion is surer (90%) than that of other.mp4")
    assert (Path(settings().path).name, scene.backflip.reference_label) == ("film.mp4", "film.mp4")
    assert video_result.is_reference(scene)
    assert [one.name for one in video_result.tried(settings())] == ["film.mp4", "other.mp4"]
    settings().keep_best = False
    assert made(other, seen()) == "other.mp4 is the reference."
    assert [one.name for one in video_result.tried(settings())] == ["other.mp4"]
    assert video_result.sureness(scene)[15, 2] < 0.2
    made(other, good)
    assert video_result.sureness(scene)[15, 2] == pytest.approx(0.9), "a fit anew in the same file"


def test_a_video_is_fitted_together_with_the_one_before(
    ops: Any, avatar: Any, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was seen in that one goes into its folder; its motion is taken, and what was told of it is asked for."""
    other = tmp_path / "other.mp4"
    other.write_bytes(film.read_bytes())
    ops.choose_video(filepath=str(film))
    settings().left, settings().use_box = 0.25, True
    before = VideoFolder(tmp_path / "before")
    before.create(video.job_for(settings(), video.footage.open_video(film), tmp_path))
    video_motion.save(before.result_file, seen())
    done: Any = SimpleNamespace(state="done", folder=before)
    video.finish(bpy.context.scene, done)
    settings().keep_best = True
    ops.choose_video(filepath=str(other))
    assert video_result.other_video(settings()) is None, "nothing is known of its landmarks"
    before.landmarks_file.write_bytes(b"landmarks")
    settings().together, settings().use_delay, settings().delay = True, True, 0.5
    job = video.job_for(settings(), video.footage.open_video(other), tmp_path)
    assert (job.together, job.delay, job.floor) == (True, 0.5, None)
    folder = VideoFolder(tmp_path / "own")
    folder.create(job)
    assert folder.read_job() == job
    folder.put_beside(before)
    assert folder.beside_file.read_bytes() == b"landmarks"
    assert folder.read_beside_job() == before.read_job()
    video_motion.save(folder.result_file, dataclasses.replace(seen(), beside=0.5))
    done = SimpleNamespace(state="done", folder=folder)
    assert video.finish(bpy.context.scene, done) == "other.mp4 is the reference."
    words = "Fitted together with the other camera's video, which began 0.50 s earlier."
    assert words in video_result.doubts(settings())
    assert not settings().use_box
    monkeypatch.setattr(video._work, "reconstruction", None)  # as after Blender was closed
    folder.landmarks_file.write_bytes(b"landmarks")
    assert video._folder_for(bpy.context.scene, job).path == folder.path, "nobody looks at the same frames twice"
    video.take(bpy.context.scene, next(one for one in video_result.tried(settings()) if one.name == "film.mp4"))
    assert settings().use_box
    assert settings().left == pytest.approx(0.25)
    before.landmarks_file.unlink()
    with pytest.raises(JobError, match="make its reference again first"):
        folder.put_beside(before)


def test_the_floor_is_set_in_the_picture(ops: Any, avatar: Any, film: Path, tmp_path: Path) -> None:
    """In the frame that is shown; and what showing the video has changed can be taken back."""
    scene = bpy.context.scene
    ops.choose_video(filepath=str(film))
    was, actions = video.footage.as_seen(scene), len(bpy.data.actions)
    scene.render.fps = 50  # so that the film's frames need keys
    ops.show_video()
    assert scene.camera.data.background_images[0].display_depth == "FRONT", "no cube stands before it"
    assert len(bpy.data.actions) == actions + 1
    scene.frame_set(scene.backflip.start_frame + 10)
    ops.draw_floor_line(floor=0.75)
    assert video.job_for(settings(), video.footage.open_video(film), tmp_path).floor == pytest.approx((5, 0.75))
    assert video_result.is_outdated(settings())
    video.footage.see_as(scene, was)
    assert video.footage.as_seen(scene) == was
    assert not any(ob.name.startswith(video.footage.CAMERA_NAME) for ob in scene.objects)
    assert len(bpy.data.actions) == actions
