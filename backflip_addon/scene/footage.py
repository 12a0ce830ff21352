# SPDX-License-Identifier: GPL-3.0-or-later
"""A video as Blender sees it, and a camera that stands where the one that filmed it stood."""

from __future__ import annotations

import dataclasses
import math
import sys
from pathlib import Path
from typing import Any, Literal, NamedTuple

import bpy
import numpy as np
from mathutils import Matrix

from ..core.arrays import Array
from ..core.body import Body
from ..core.clips.video_motion import VideoMotion
from ..core.motion import Motion
from ..core.proportions import hip_to_sole
from ..core.rigs.binding import Binding
from ..core.rotations import matrix_about_z
from .importing.importer import FileError
from .write_frames import pixel_aspect

VIDEO_SUFFIXES = (".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ogv", ".wmv", ".mts", ".3gp")
SENSOR = 36.0  # mm, of Blender's own cameras
CAMERA_NAME = "Video Camera"
UNKNOWN_PLACE = (0.0, -5.0, 1.3)  # of a camera of which nothing is known yet
_WRITER = Path(__file__).with_name("write_frames.py")


@dataclasses.dataclass(frozen=True)
class Footage:
    """A video: its frames, frames a second, and pixels, as if they were square."""

    clip: bpy.types.MovieClip
    frames: int
    rate: float
    width: int
    height: int

    @property
    def seconds(self) -> float:
        return self.frames / self.rate


@dataclasses.dataclass(frozen=True)
class Timing:
    """When the footage is seen in a scene: the frame at which the reference starts, the scene's frames a second, how
    many times slower than life it is performed, and seconds of the motion that are left out before."""

    start: int
    rate: float
    slower: float = 1.0
    skipped: float = 0.0

    def scene_frame(self, seconds: float) -> float:
        """The scene's frame at a time in the motion."""
        return self.start + (seconds - self.skipped) * self.rate * self.slower

    def seconds(self, frame: float) -> float:
        """The inverse of scene_frame()."""
        return (frame - self.start) / (self.rate * self.slower) + self.skipped


def open_video(path: Path) -> Footage:
    """Look at a video; it becomes a movie clip of the .blend, once. Raises FileError with one sentence."""
    if not path.is_file():
        raise FileError(f"{path} does not exist: choose another file.")
    known = set(bpy.data.movieclips)
    try:
        clip = bpy.data.movieclips.load(str(path), check_existing=True)
    except RuntimeError as error:
        raise FileError(f"{path.name} is not a video that Blender can read; choose another file.") from error
    size: Any = clip.size
    width, height = size
    if clip.source != "MOVIE" or width < 1 or height < 1 or clip.fps <= 0.0 or clip.frame_duration < 2:
        if clip not in known:
            bpy.data.movieclips.remove(clip)
        raise FileError(f"{path.name} is not a video that Blender can read; choose another file.")
    aspect = pixel_aspect(path)
    if aspect != 1.0:
        clip.display_aspect = aspect, 1.0
    return Footage(clip, clip.frame_duration, float(clip.fps), round(width * aspect), int(height))


def writer_command() -> list[str]:
    """The command of a second Blender that writes a video's frames (write_frames.py); its folder follows."""
    if not bpy.app.binary_path:  # Blender as a module of a Python
        return [sys.executable, "-I", str(_WRITER)]
    options = ("--background", "--factory-startup", "--python-exit-code", "1", "--python")
    return [bpy.app.binary_path, *options, str(_WRITER)]


def place_camera(
    scene: bpy.types.Scene,
    footage: Footage,
    seen: VideoMotion,
    reference: Motion,
    body: Body,
    binding: Binding,
    timing: Timing,
) -> bpy.types.Object:
    """Add the camera that filmed a motion, or move the one that was added before, and show the footage behind it.

    reference: the motion as it was put on the body, from which one sees how it was scaled and set down.
    """
    scale = hip_to_sole(body) / seen.leg
    shift = reference.position[0] - seen.motion.position[0] * scale
    place = binding.to_world(seen.camera.position * scale + shift)
    axes = seen.camera.axes @ matrix_about_z(binding.yaw).T
    camera = _camera(scene) or _new_camera(scene)
    camera.animation_data_clear()
    camera.matrix_world = _matrix(axes, place)
    _turn(camera, [_matrix(turn @ axes, place) for turn in seen.turns], seen.motion.rate, timing)
    data = camera.data
    assert isinstance(data, bpy.types.Camera)
    # Focal lengths are in pixels of a picture that may have been made smaller: its longer side is the sensor's
    data.sensor_fit, data.sensor_width = "AUTO", SENSOR
    data.lens = seen.camera.focal / max(seen.camera.width, seen.camera.height) * SENSOR
    data.clip_start = 0.1 / binding.scale
    _show_footage(data, footage.clip, "BACK")
    _set_time(footage, timing, seen.motion.rate, seen.first, seen.motion.frames)
    scene.camera = camera
    return camera


def _matrix(axes: Array, place: Array) -> Matrix:
    """A camera's matrix from its axes (3, 3), rows right, down, away, and its place."""
    right, down, away = axes
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = np.stack([right, -down, -away], axis=1), place
    return Matrix(matrix.tolist())


def _set_time(footage: Footage, timing: Timing, rate: float, first: int, frames: int) -> None:
    """Have the footage's frames seen when the motion is at them, whatever the scene's rate; from 0, first is the one at
    which the motion starts. Blender itself shows one frame of a movie at each of the scene's."""
    clip = footage.clip
    _forget_times(clip)
    clip.frame_start, clip.frame_offset = timing.start - first, 0
    last = math.ceil(timing.scene_frame((frames - 1) / rate))
    offsets = [round(timing.seconds(frame) * rate) - (frame - timing.start) for frame in range(timing.start, last + 1)]
    clip.frame_offset = offsets[0] if offsets else 0
    if len(set(offsets)) < 2:
        return
    for frame, offset in enumerate(offsets, timing.start):
        clip.frame_offset = offset
        clip.keyframe_insert("frame_offset", frame=frame)


def _forget_times(clip: bpy.types.MovieClip) -> None:
    """Have Blender show one frame of a movie at each of the scene's, as it does by itself."""
    data = clip.animation_data
    action = data.action if data is not None else None
    clip.animation_data_clear()
    clip.frame_start, clip.frame_offset = 1, 0
    if action is not None and not action.users:
        bpy.data.actions.remove(action)


def _turn(camera: bpy.types.Object, matrices: list[Matrix], rate: float, timing: Timing) -> None:
    """Key a camera's turns, one a frame of the footage, of which there are so many a second."""
    if not matrices:
        return
    camera.rotation_mode = "QUATERNION"
    before = matrices[0].to_quaternion()
    for frame, matrix in enumerate(matrices):
        turn = matrix.to_quaternion()
        turn.make_compatible(before)
        camera.rotation_quaternion = before = turn
        camera.keyframe_insert("rotation_quaternion", frame=timing.scene_frame(frame / rate))


def _camera(scene: bpy.types.Scene) -> bpy.types.Object | None:
    """The video's camera, where there is one already."""
    camera = scene.objects.get(CAMERA_NAME)
    return camera if camera is not None and camera.type == "CAMERA" else None


def _new_camera(scene: bpy.types.Scene) -> bpy.types.Object:
    camera = bpy.data.objects.new(CAMERA_NAME, bpy.data.cameras.new(CAMERA_NAME))
    scene.collection.objects.link(camera)
    return camera


def show(scene: bpy.types.Scene, footage: Footage, timing: Timing) -> None:
    """Make the video's camera the scene's, with the footage; before anything is known of where the video was filmed
    from, a camera in front of the world's origin, and the footage before all else, from its beginning."""
    camera = _camera(scene)
    if camera is None:
        camera = _new_camera(scene)
        camera.matrix_world = Matrix.Translation(UNKNOWN_PLACE) @ Matrix.Rotation(np.pi / 2, 4, "X")
    data = camera.data
    assert isinstance(data, bpy.types.Camera)
    if not _is_behind(footage, data):
        _show_footage(data, footage.clip, "FRONT")
        _set_time(footage, timing, footage.rate, 0, footage.frames)
        fit_picture(scene, footage)
    scene.camera = camera


class Seen(NamedTuple):
    """What show() changes of a scene: whether there is a video's camera, the scene's camera, and its picture's size."""

    had_camera: bool
    camera: str
    size: tuple[int, int]


def as_seen(scene: bpy.types.Scene) -> Seen:
    """What show() would change, to be put back by see_as()."""
    name = scene.camera.name if scene.camera is not None else ""
    return Seen(_camera(scene) is not None, name, (scene.render.resolution_x, scene.render.resolution_y))


def see_as(scene: bpy.types.Scene, before: Seen) -> None:
    """Take back what show() has done since."""
    camera = _camera(scene)
    if camera is not None and not before.had_camera:
        data = camera.data
        bpy.data.objects.remove(camera)
        if isinstance(data, bpy.types.Camera):
            for clip in [image.clip for image in data.background_images if image.clip is not None]:
                _forget_times(clip)
            bpy.data.cameras.remove(data)
    scene.camera = scene.objects.get(before.camera) if before.camera else None
    scene.render.resolution_x, scene.render.resolution_y = before.size


def shown_frame(scene: bpy.types.Scene, footage: Footage) -> int | None:
    """The footage's frame, from 0, behind the scene's camera at the present time; None where there is none."""
    camera = scene.camera.data if scene.camera is not None else None
    if not isinstance(camera, bpy.types.Camera):
        return None
    frame = scene.frame_current - footage.clip.frame_start + footage.clip.frame_offset
    return frame if _is_behind(footage, camera) and 0 <= frame < footage.frames else None


def _is_behind(footage: Footage, camera: bpy.types.Camera) -> bool:
    return any(image.clip == footage.clip for image in camera.background_images)


def _show_footage(camera: bpy.types.Camera, clip: bpy.types.MovieClip, depth: Literal["BACK", "FRONT"]) -> None:
    camera.show_background_images = True
    for image in list(camera.background_images):
        if image.source == "MOVIE_CLIP":
            camera.background_images.remove(image)
    image = camera.background_images.new()
    image.source, image.clip, image.alpha = "MOVIE_CLIP", clip, 1.0
    image.frame_method, image.display_depth = "FIT", depth


def fit_picture(scene: bpy.types.Scene, footage: Footage) -> None:
    """Give the scene's picture the footage's shape, its longer side kept: else the two do not lie on one another."""
    longest = max(scene.render.resolution_x, scene.render.resolution_y)
    factor = longest / max(footage.width, footage.height)
    scene.render.resolution_x = max(round(footage.width * factor), 4)
    scene.render.resolution_y = max(round(footage.height * factor), 4)
