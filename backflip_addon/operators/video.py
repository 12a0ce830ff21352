# SPDX-License-Identifier: GPL-3.0-or-later
"""Step 2, from a video: a file is chosen, a part of it looked at behind Blender's window, and what was seen becomes the
reference."""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import re
from pathlib import Path
from typing import Annotated, Any

import bpy
from bpy.props import BoolProperty

from .. import compat, preferences
from ..core.clips import video_motion
from ..core.files import replace
from ..jobs.json_files import JobError
from ..jobs.video_folder import MOST_FRAMES, WHOLE, Box, VideoFolder, VideoJob
from ..jobs.video_process import VideoReconstruction
from ..runtime import video_models
from ..scene import footage, stored_avatar, stored_reference
from ..scene.footage import VIDEO_SUFFIXES, Footage, Timing
from ..scene.importing.importer import FileError
from ..scene.typed_data import current_scene as scene_of_blender
from ..scene.units import scene_rate
from ..settings import scene_settings
from ..settings.road import turn_to
from ..settings.video import BackflipVideo
from .base import USER_ERRORS, FileStep, Step, current_scene, need_body, need_object_mode
from .clip_library import over_viewport
from .reference_clip import ClipMapError, use_file
from .training import WAIT, new_folder, python
from .video_result import (
    Tried,
    asked_of_frames,
    corrections,
    doubts,
    note_tried,
    other_video,
    struck_frames,
    tried,
    video_settings,
)

TICK_SECONDS = 0.2
FEWEST_FRAMES = 8

_log = logging.getLogger(__name__)


class _Work:
    """The one video that is being looked at, and the scene whose reference it becomes."""

    reconstruction: VideoReconstruction | None = None
    scene: int = 0  # its session_uid: another file may have a scene of that name
    path: str = ""  # the video's, as it was chosen: what it leads to is another once the file is saved elsewhere
    asked: str = ""  # of its frames (video_result.asked_of_frames)


_work = _Work()


def models_folder() -> Path:
    """Where the networks are kept. Raises JobError."""
    return preferences.data_folder("video-networks")


def models_lacking() -> str:
    """The sentence for networks that are not there, "" where they are. Cheap enough for drawing."""
    try:
        return "" if video_models.are_installed(models_folder()) else video_models.LACKING
    except JobError as error:
        return str(error)


def at_work() -> VideoReconstruction | None:
    """What is being looked at; None when nothing is."""
    work = _work.reconstruction
    return work if work is not None and work.state == "running" else None


def choose(scene: bpy.types.Scene, path: str) -> Footage:
    """Take a video to learn from, all of it. Raises FileError."""
    found = footage.open_video(Path(bpy.path.abspath(path)))
    settings = video_settings(scene)
    settings.path, settings.frames, settings.rate = path, found.frames, found.rate
    settings.start = settings.end = 0.0
    settings.speed, settings.use_box = 1.0, False
    settings.use_floor = settings.use_delay = False
    settings.problem, settings.suggested_speed, settings.result, settings.doubts = "", 0.0, "", ""
    settings.struck = settings.corrected = settings.made_with = ""
    return found


def job_for(settings: BackflipVideo, found: Footage, models: Path) -> VideoJob:
    """What is to be looked at. Raises FileError where the part chosen is none."""
    first = math.floor(settings.start * found.rate + 1e-4)
    last = math.ceil(settings.end * found.rate - 1e-4) if settings.end > 0.0 else found.frames
    last = min(last, found.frames, first + MOST_FRAMES)
    if last - first < FEWEST_FRAMES:
        raise FileError(
            f"From {settings.start:.2f} s on there are too few frames: the video lasts {found.seconds:.2f} s; change "
            "From and To."
        )
    box: Box = (settings.left, settings.top, settings.right, settings.bottom) if settings.use_box else WHOLE
    if not (box[0] < box[2] and box[1] < box[3]):
        raise FileError("The person's box has no inside: its left side lies right of its right one, or its top below.")
    path = str(Path(bpy.path.abspath(settings.path)).resolve())
    struck = tuple(frame - first for frame in struck_frames(settings) if first <= frame < last)
    corrected = tuple((f - first, mark, x, y) for f, mark, x, y in corrections(settings) if first <= f < last)
    job = VideoJob(path, first, last - first, settings.height, box, settings.speed, str(models), struck, corrected)
    floor = (min(max(settings.floor_frame - first, 0), job.count - 1), settings.floor) if settings.use_floor else None
    together = settings.together and other_video(settings) is not None
    delay = settings.delay if together and settings.use_delay else None
    return dataclasses.replace(job, together=together, delay=delay, floor=floor)


def begin(scene: bpy.types.Scene) -> VideoReconstruction:
    """Start to look at the scene's video. Raises FileError or JobError."""
    settings = video_settings(scene)
    found = footage.open_video(Path(bpy.path.abspath(settings.path)))
    models = models_folder()
    if not video_models.are_installed(models):
        raise JobError(video_models.LACKING)
    job = job_for(settings, found, models)
    folder = _folder_for(scene, job)
    folder.create(job)
    if job.together and (other := other_video(settings)) is not None:
        folder.put_beside(VideoFolder(Path(other.result).parent))
    settings.problem, settings.suggested_speed = "", 0.0
    _work.reconstruction = VideoReconstruction.begin(folder, footage.writer_command(), python())
    _work.asked = asked_of_frames(settings)
    _work.scene, _work.path = scene.session_uid, settings.path
    return _work.reconstruction


def _folder_for(scene: bpy.types.Scene, job: VideoJob) -> VideoFolder:
    """The folder of an earlier look at the same frames, which then need not be looked at again; else a new one."""
    earlier = [VideoFolder(Path(one.result).parent) for one in tried(video_settings(scene))]
    if _work.reconstruction is not None:
        earlier.insert(0, _work.reconstruction.folder)
    for folder in earlier:
        try:
            if folder.landmarks_file.exists() and _same_frames(folder.read_job(), job):
                return folder
        except JobError:
            continue
    return VideoFolder(new_folder(scene, f"video_{Path(job.video).stem}"))


def _same_frames(a: VideoJob, b: VideoJob) -> bool:
    return (a.video, a.first, a.count, a.box) == (b.video, b.first, b.count, b.box)


def finish(scene: bpy.types.Scene, work: VideoReconstruction) -> str:
    """Take what came of it: the reference and the camera, or why there is none. Returns the words for it.

    Raises JobError where nothing came of it, and what use_file() raises.
    """
    settings = video_settings(scene)
    if work.state != "done":
        settings.problem, settings.suggested_speed = work.progress.problem, work.progress.speed
        raise JobError(settings.problem)
    stem = re.sub(r"[^\w-]+", "_", Path(settings.path).stem).strip("_") or "video"
    result = work.folder.path / f"{stem}.npz"
    try:
        replace(work.folder.result_file, result)
    except OSError as error:
        raise JobError(f"{result} cannot be written: {error.strerror or error}.") from error
    own = note_tried(settings, str(result))
    best = tried(settings)[0]
    if best.video != own.video and not settings.together:
        take(scene, best)
        surer = f"its motion is surer ({best.quality:.0%}) than that of {own.name} ({own.quality:.0%})"
        return f"{best.name} stays the reference: {surer}."
    words = take(scene, own)
    settings.made_with = _work.asked
    return words


def take(scene: bpy.types.Scene, one: Tried) -> str:
    """Use a motion that came of a video, with its camera; returns the words for it. Raises what use_file() raises."""
    settings, result = video_settings(scene), Path(one.result)
    report = use_file(scene, one.result)
    seen = video_motion.load(result)
    if settings.path != one.video:
        settings.path, settings.frames, settings.rate = one.video, one.frames, one.rate
        settings.start, settings.end = one.start, one.end
        settings.struck = settings.corrected = settings.made_with = ""
        settings.use_box, settings.use_floor = one.use_box, False
        settings.left, settings.right, settings.top, settings.bottom = one.box
    settings.result = one.result
    settings.doubts = json.dumps([*video_motion.remarks(seen), *video_motion.doubts(seen)])
    if settings.use_camera:
        add_camera(scene)
    scene_settings(scene).reference_label = one.name  # as the user knows it
    return report.words.replace(result.name, one.name)


def add_camera(scene: bpy.types.Scene) -> None:
    """The camera that filmed the reference, with its footage. Raises FileError, StateError."""
    settings = video_settings(scene)
    try:
        seen = video_motion.load(Path(settings.result))
    except ValueError as error:
        raise FileError(str(error)) from error
    found = footage.open_video(Path(bpy.path.abspath(settings.path)))
    body, binding = stored_avatar.body_and_binding(scene)
    whole = stored_reference.whole_reference(scene)
    kept = scene_settings(scene)
    timing = Timing(kept.start_frame, scene_rate(scene), kept.time_scale, kept.trim_start)
    footage.place_camera(scene, found, seen, whole, body, binding, timing)
    footage.fit_picture(scene, found)


def need_video(scene: bpy.types.Scene) -> str:
    return "" if video_settings(scene).path else "Choose a video first."


def need_models(_scene: bpy.types.Scene) -> str:
    return models_lacking()


def need_no_work(_scene: bpy.types.Scene) -> str:
    return "Wait until the video is done, or cancel it." if at_work() is not None else ""


def need_result(scene: bpy.types.Scene) -> str:
    return "" if video_settings(scene).result else "Learn from a video first."


# The timer


def _asking() -> bpy.types.Scene | None:
    """The scene whose reference the video becomes; None where another file was opened, or the choice was undone."""
    mine = (each for each in bpy.data.scenes if each.session_uid == _work.scene)
    return next((each for each in mine if video_settings(each).path == _work.path), None)


def _tick() -> float | None:
    work = _work.reconstruction
    if work is None:
        return None
    if (scene := _asking()) is None:
        work.cancel()
    state = work.poll()
    compat.redraw()
    if state == "running":
        return TICK_SECONDS
    if scene is None or state == "cancelled":
        return None
    try:
        finish(scene, work)
        bpy.ops.ed.undo_push(message="Reference from Video")
    except ClipMapError as error:
        video_settings(scene).problem = str(error)
    except USER_ERRORS as error:
        video_settings(scene).problem = str(error)
    compat.redraw()
    return None


def _watch() -> None:
    if not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, first_interval=TICK_SECONDS, persistent=True)


# Operators


class ChooseVideo(FileStep, bpy.types.Operator):
    """Choose a video that shows the stunt: one person from head to toe, filmed by a camera that stays in place"""

    bl_idname = "backflip.choose_video"
    bl_label = "Learn from Video"  # in the menu of what can be done with a dropped file, too
    bl_options = {"REGISTER", "UNDO"}
    needs = (need_no_work,)
    suffixes = VIDEO_SUFFIXES
    nothing_named = "Choose a video."

    def run(self, context: bpy.types.Context) -> None:
        found = choose(current_scene(context), self.filepath)
        turn_to(scene_settings(current_scene(context)), "reference")
        compat.redraw()  # which Blender leaves out where a file was dropped
        self.report(
            {"INFO"}, f"{found.width} x {found.height}, {found.seconds:.2f} s, {found.rate:.4g} frames a second."
        )


def learn(operator: bpy.types.Operator, scene: bpy.types.Scene, blocking: bool) -> None:
    """Begin with the video; blocking: and return when its motion is the reference, and what is unsure is told."""
    work = begin(scene)
    if not blocking:
        _watch()
        return
    work.wait()
    operator.report({"INFO"}, finish(scene, work))
    for sentence in doubts(video_settings(scene)):
        operator.report({"WARNING"}, sentence)


class LearnFromVideo(Step, bpy.types.Operator):
    """Find the person in the video and use the motion as the reference; you can go on working meanwhile"""

    bl_idname = "backflip.reference_from_video"
    bl_label = "Make Reference"
    bl_options = {"UNDO"}
    needs = (need_body, need_object_mode, need_video, need_models, need_no_work)

    blocking: Annotated[bool, BoolProperty(name="Wait", description="Return when the reference is there", options=WAIT)]

    def run(self, context: bpy.types.Context) -> None:
        learn(self, current_scene(context), self.blocking)


class CancelVideo(Step, bpy.types.Operator):
    """Stop working on the video"""

    bl_idname = "backflip.cancel_video"
    bl_label = "Cancel Video"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        if at_work() is None:
            cls.poll_message_set("No video is being worked on.")
            return False
        return True

    def run(self, _context: bpy.types.Context) -> None:
        if (work := at_work()) is not None:
            work.cancel()


class UseSlowMotion(Step, bpy.types.Operator):
    """Use the slow motion that the person's fall suggests, and make the reference"""

    bl_idname = "backflip.use_slow_motion"
    bl_label = "Use Slow Motion"
    bl_options = {"UNDO"}
    needs = (need_body, need_object_mode, need_video, need_models, need_no_work)

    blocking: Annotated[bool, BoolProperty(name="Wait", description="Return when the reference is there", options=WAIT)]

    def run(self, context: bpy.types.Context) -> None:
        scene = current_scene(context)
        settings = video_settings(scene)
        if not settings.suggested_speed:
            raise FileError("Nothing suggests that the video is in slow motion.")
        settings.speed = settings.suggested_speed
        learn(self, scene, self.blocking)


class AddVideoCamera(Step, bpy.types.Operator):
    """Add a camera where the video's stood, with the video as its background"""

    bl_idname = "backflip.add_video_camera"
    bl_label = "Add Video Camera"
    bl_options = {"REGISTER", "UNDO"}
    needs = (need_result, need_body)

    def run(self, context: bpy.types.Context) -> None:
        add_camera(current_scene(context))


class VideoFileHandler(bpy.types.FileHandler):
    """Drop a video into the viewport to learn from it."""

    bl_idname = "BACKFLIP_FH_video"
    bl_label = "Backflip Video"
    bl_import_operator = "backflip.choose_video"
    bl_file_extensions = ";".join(VIDEO_SUFFIXES)

    @classmethod
    def poll_drop(cls, context: bpy.types.Context | None) -> bool:
        return over_viewport(context) and bool(scene_settings(scene_of_blender(context)).avatar)


CLASSES: tuple[Any, ...] = (
    ChooseVideo,
    LearnFromVideo,
    CancelVideo,
    UseSlowMotion,
    AddVideoCamera,
    VideoFileHandler,
)


def unregister() -> None:
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    if (work := at_work()) is not None:
        work.cancel()
    _work.reconstruction = None
