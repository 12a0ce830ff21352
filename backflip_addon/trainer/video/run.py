# SPDX-License-Identifier: GPL-3.0-or-later
"""A video's folder worked through: frames looked at, checked, fitted, and the motion written."""

from __future__ import annotations

import dataclasses
import logging
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ...core import rotations
from ...core.arrays import Array
from ...core.clips import video_motion
from ...core.clips.video_motion import FilmedBy, VideoMotion
from ...core.motion import Motion
from ...jobs.json_files import JobError
from ...jobs.video_folder import WHOLE, Correction, FramesRecord, VideoFolder, VideoJob, VideoProgress
from . import camera_turns, contacts, inspection, landmarks, reconstruction, tracking, two_cameras
from .inspection import MOST_REPEATS, UnfitVideo
from .landmarks import Landmarks
from .pictures import Pictures, UnreadablePicture
from .pose_net import Detector, Landmarker
from .reconstruction import Floor, Outcome
from .tflite_file import UnreadableNetwork

LOOKING_SHARE = 0.75  # of the whole work
FIRST_LOOKS, CAMERA_SHARE = 0.6, 0.05  # of the looking
TELL_SECONDS = 0.3
FEWEST_FRAMES = 8
MOST_APART = 0.07  # m: two videos that agree no better are not of one performance
# Landmarks that each part of video_motion.PARTS is seen by
_PART_MARKS = (
    (0, 7, 8),
    (11, 12, 23, 24),
    (11, 13, 15),
    (12, 14, 16),
    (23, 25, 27, 29, 31),
    (24, 26, 28, 30, 32),
)

TOLD = 4.0  # how visible a landmark counts that a person has put where it is, against 1 of one that is plain to see

_log = logging.getLogger(__name__)


def run(folder: VideoFolder) -> int:
    """Work a folder through; returns the exit status. Whatever ends it early is told in progress.json."""
    torch.set_num_threads(1)  # two threads of our own look at frames; more would wait for one another
    begin = time.perf_counter()
    try:
        seen = _work(folder)
        video_motion.save(folder.result_file, seen)
    except UnfitVideo as error:
        folder.write_progress(VideoProgress(1.0, "", str(error), error.speed))
        return 1
    except (JobError, UnreadablePicture, UnreadableNetwork) as error:
        folder.write_progress(VideoProgress(1.0, "", str(error)))
        return 1
    except OSError as error:
        words = f"{error.filename or folder.path} cannot be read or written: {error.strerror or error}."
        folder.write_progress(VideoProgress(1.0, "", words))
        return 1
    _log.info("%d frames in %.1f s", seen.motion.frames, time.perf_counter() - begin)
    folder.write_progress(VideoProgress(1.0, "The motion is ready."))
    return 0


def _work(folder: VideoFolder) -> VideoMotion:
    job, frames = folder.read_job(), folder.read_frames()
    if frames.problem:
        raise UnfitVideo(frames.problem)
    if frames.count < FEWEST_FRAMES:
        raise UnfitVideo(
            f"The part looked at has {frames.count} frames; choose at least {FEWEST_FRAMES} (From and To)."
        )
    if frames.count - len(job.struck) < FEWEST_FRAMES:
        raise UnfitVideo(f"Fewer than {FEWEST_FRAMES} frames are left; strike out fewer.")
    told = _Teller(folder)
    known = _known(folder, frames) or _look(folder, job, frames, told)
    focal = reconstruction.USUAL_FOCAL * max(known.width, known.height)
    if job.speed == 1.0 and (slow := inspection.slowness(camera_turns.steadied(known, focal))) != 1.0:
        raise UnfitVideo(
            f"The video plays about {slow:g} times slower than life, by the way the person falls; set Slow Motion to "
            f"{slow:g}.",
            slow,
        )
    shown = corrected(known.played_at(known.rate * job.speed), job.corrected).without(job.struck)
    inspection.check_seen(shown)
    seen = camera_turns.steadied(shown, focal)
    if job.together:
        return _together(folder, job, seen, shown, told)
    told.begin(LOOKING_SHARE, "Fitting the motion")
    outcome = reconstruction.reconstruct(seen, job.height, told, floor=floor_of(job, shown, focal))
    return _result(outcome, seen, job, shown)


def floor_of(job: VideoJob, shown: Landmarks, focal: float) -> Floor | None:
    """The floor that somebody has put in a frame, where the first frame's camera sees it. focal: pixels."""
    if job.floor is None:
        return None
    frame, share = job.floor
    marks = shown.xy.copy()
    marks[frame, :, 1] = share * shown.height
    marks[frame, :, 0] = shown.xy[frame, [23, 24], 0].mean()
    return frame, float(camera_turns.steadied(dataclasses.replace(shown, xy=marks), focal).xy[frame, 0, 1])


def _together(folder: VideoFolder, job: VideoJob, seen: Landmarks, shown: Landmarks, told: _Teller) -> VideoMotion:
    """What the video and the one beside it show, by two cameras."""
    other = folder.read_beside_job()
    try:
        known = landmarks.load(folder.beside_file)
        focal = reconstruction.USUAL_FOCAL * max(known.width, known.height)
        second = corrected(known.played_at(known.rate * other.speed), other.corrected).without(other.struck)
        second = camera_turns.steadied(second, focal)
    except (ValueError, zipfile.BadZipFile) as error:
        raise UnfitVideo("What was seen in the other video is damaged; make its reference again first.") from error
    begins = other.first / second.rate - job.first / seen.rate  # how much later its part begins, were both in step
    told.begin(LOOKING_SHARE, "Fitting both videos together")
    floor = floor_of(job, shown, reconstruction.USUAL_FOCAL * max(seen.width, seen.height))
    delay = None if job.delay is None else begins - job.delay
    try:
        found = two_cameras.reconstruct(seen, second, job.height, delay, told, floor=floor)
    except ValueError as error:
        raise UnfitVideo(
            "The two videos show too little at the same time: choose the same part of both (From and To), or set "
            "how much later this one began."
        ) from error
    off = max(float(one.mean()) for one in (found.outcome.off, found.off[found.second.found]))
    if off > MOST_APART:
        raise UnfitVideo(
            "The two videos do not seem to show the same performance: they come no nearer to one another than "
            f"{100 * off:.0f} cm. Switch Same Performance off, or set how much later this one began."
        )
    result = _result(found.outcome, seen, job, shown)
    sure = np.maximum(result.sure, sureness(found.second, found.off))
    return dataclasses.replace(result, sure=sure, beside=begins - found.delay)


def _known(folder: VideoFolder, frames: FramesRecord) -> Landmarks | None:
    """What an earlier run has seen of the same frames."""
    try:
        known = landmarks.load(folder.landmarks_file)
    except (OSError, ValueError, zipfile.BadZipFile):
        return None
    return known if known.frames == frames.count and known.width == frames.width else None


def _look(folder: VideoFolder, job: VideoJob, frames: FramesRecord, told: _Teller) -> Landmarks:
    told.begin(0.0, "Looking for cuts")
    box = tuple(round(x * side) for x, side in zip(job.box, 2 * (frames.width, frames.height), strict=True))
    if box[2] - box[0] < 16 or box[3] - box[1] < 16:
        raise UnfitVideo("The person's box is too small; draw it around all of the person's way.")
    files = [folder.frame_file(number) for number in range(frames.count)]
    pictures = Pictures(files, (box[0], box[1], box[2], box[3]))
    own = inspection.own_frames(pictures, frames.rate)
    models = Path(job.models)
    told.begin(0.02, "Looking for the person")
    detect, mark = Detector(models), Landmarker(models)
    found = tracking.look(pictures, detect, mark, own, lambda share: told(share * FIRST_LOOKS))
    chosen = tracking.likeliest(found)
    inspection.check_people(found, chosen, job.box != WHOLE)
    told.begin(FIRST_LOOKS * LOOKING_SHARE, "Looking whether the camera turns")
    focal = reconstruction.USUAL_FOCAL * max(pictures.width, pictures.height)
    behind = camera_turns.camera_turns(pictures, own, chosen, focal, lambda share: told(share * CAMERA_SHARE))
    told.begin((FIRST_LOOKS + CAMERA_SHARE) * LOOKING_SHARE, "Looking at the person again")
    chosen = tracking.looked_again(pictures, mark, own, chosen, told)
    everywhere = dict(zip(own, chosen, strict=True))
    seen = landmarks.from_sightings(
        [everywhere.get(frame) for frame in range(frames.count)], frames.rate, pictures.width, pictures.height
    )
    others = np.zeros(frames.count, bool)
    others[own] = [tracking.persons(one) > 1 for one in found]
    seen = dataclasses.replace(seen, turns=behind.turns, zoom=behind.zoom, lost=behind.lost, others=others)
    inspection.check_whole(camera_turns.steadied(seen, focal))
    landmarks.save(folder.landmarks_file, seen)
    return seen


def _result(outcome: Outcome, seen: Landmarks, job: VideoJob, shown: Landmarks) -> VideoMotion:
    """The motion moved so that it starts over the origin, facing -Y, with its camera. shown: as the frames show it."""
    motion, camera = outcome.motion, outcome.camera
    back = rotations.conjugate(rotations.heading(motion.rotations[0, 0]))
    start = motion.position[0] * [1.0, 1.0, 0.0]
    turns = motion.rotations.copy()
    turns[:, 0] = rotations.multiply(back, turns[:, 0])
    moved = Motion(motion.rate, rotations.rotate(back, motion.position - start), turns)
    filmed = FilmedBy(
        rotations.rotate(back, camera.position - start),
        rotations.rotate(back, camera.axes),
        camera.focal,
        camera.width,
        camera.height,
    )
    gravity = contacts.gravity_seen(seen, contacts.scale_of(seen))[0]
    marks, sure = shown.xy / [shown.width, shown.height], sureness(seen, outcome.off)
    by_one = VideoMotion(moved, outcome.leg, filmed, sure, gravity, job.first, marks, shown.turns)
    return dataclasses.replace(by_one, others=shown.others, zoom=shown.zoom, lost=shown.lost)


def sureness(seen: Landmarks, off: Array) -> Array:
    """How sure each part is (F, 6), 0 to 1: as well as it is seen, and as well as the fit agrees with what is seen.

    Frames that repeat another are as sure as those beside them.
    """
    visible = np.minimum(seen.visible, 1.0)
    visible = np.stack([visible[:, list(marks)].mean(axis=1) for marks in _PART_MARKS], axis=1)
    agrees = np.clip(1.0 - (off - 0.05) / 0.15, 0.2, 1.0)  # from 5 cm off at the person it counts less
    sure: Array = visible * agrees[:, None]
    known = np.flatnonzero(seen.found)
    for column in sure.T:
        column[:] = np.interp(np.arange(seen.frames), known, column[known])
    for first, last in contacts.runs(~seen.found):
        if last - first > MOST_REPEATS:
            sure[first:last] = 0.0
    return sure


class _Teller:
    """Writes how far the work is, not too often."""

    def __init__(self, folder: VideoFolder) -> None:
        self._folder, self._start, self._words, self._last = folder, 0.0, "", 0.0

    def begin(self, start: float, words: str) -> None:
        """A part of the work begins, at that share of the whole."""
        self._start, self._words, self._last = start, words, 0.0
        self(0.0)

    def __call__(self, share: float) -> None:
        if time.monotonic() - self._last < TELL_SECONDS:
            return
        self._last = time.monotonic()
        end = LOOKING_SHARE if self._start < LOOKING_SHARE else 1.0
        self._folder.write_progress(VideoProgress(self._start + share * (end - self._start), self._words))


def corrected(landmarks: Landmarks, corrections: Sequence[Correction]) -> Landmarks:
    """The landmarks with those put elsewhere by somebody who looked at the frames, in space along with the picture."""
    if not corrections:
        return landmarks
    xy, world, visible = landmarks.xy.copy(), landmarks.world.copy(), landmarks.visible.copy()
    scale = contacts.scale_of(landmarks)
    for frame, mark, x, y in corrections:
        place = np.array([x * landmarks.width, y * landmarks.height])
        world[frame, mark, :2] += (place - xy[frame, mark]) / scale
        xy[frame, mark], visible[frame, mark] = place, TOLD
    return dataclasses.replace(landmarks, xy=xy, world=world, visible=visible)
