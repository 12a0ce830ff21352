# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of a video that becomes a reference: what Blender and the trainer tell each other in it.

video.json      what to look at (VideoJob), by Blender
frames/         the frames as uncompressed pictures, 000001.bmp and on, by a Blender of its own (scene/footage)
frames.json     how many they are and how large (FramesRecord), once all are written
landmarks.npz   what the networks saw (trainer/video/landmarks), kept: another height or speed needs no second look
beside.npz      the landmarks of another video of the same performance, with beside.json, its VideoJob, by Blender
progress.json   how far the work is (VideoProgress); also why it ended without a result
result.npz      the motion, its camera and how sure it is (core/clips/reconstruction)
video.log       what the processes printed
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any, BinaryIO

from ..core.clips.video_motion import LANDMARKS
from ..core.files import RefusedFile, read_limited, write_whole
from .json_files import MOST_SHORT_BYTES, JobError, read_json, write_json

VERSION = 1
MOST_FRAMES = 900  # of what is looked at: half a minute at 30 frames a second
MOST_BESIDE_BYTES = 64_000_000
LONGEST_SIDE = 1280  # pixels that a frame is brought to: a person's crop is looked at with 256
HEIGHTS = (0.5, 2.6)  # m, of a person
LONGEST_DELAY = 36_000.0  # s, between two videos of one performance
Correction = tuple[int, int, float, float]
Box = tuple[float, float, float, float]  # left, top, right, bottom, as shares of the picture from its upper left
WHOLE: Box = (0.0, 0.0, 1.0, 1.0)


@dataclasses.dataclass(frozen=True)
class VideoJob:
    """What to look at.

    video: its path. first, count: which of its frames, from 0. height: the person's, m. box: where the person stays.
    speed: how many times slower than life the video plays. models: the folder with the networks. struck: which of the
    frames that are looked at are left out, from 0. corrected: of such a frame, a landmark, and where it is, as shares
    of the picture from its upper left. together: whether it is fitted together with the video beside it. delay: by how
    many seconds it began later than that one; None where that is to be found. floor: where the floor under the person
    is in such a frame, as a share of the picture from above; None where it is to be found.
    """

    video: str
    first: int
    count: int
    height: float = 1.7
    box: Box = WHOLE
    speed: float = 1.0
    models: str = ""
    struck: tuple[int, ...] = ()
    corrected: tuple[Correction, ...] = ()
    together: bool = False
    delay: float | None = None
    floor: tuple[int, float] | None = None

    def to_json(self) -> dict[str, Any]:
        return {"version": VERSION, **dataclasses.asdict(self)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> VideoJob:
        """Raises JobError where the numbers make no sense."""
        try:
            box = tuple(float(x) for x in data["box"])
            delay, floor = data.get("delay"), data.get("floor")
            job = cls(
                str(data["video"]),
                int(data["first"]),
                int(data["count"]),
                float(data["height"]),
                (box[0], box[1], box[2], box[3]),
                float(data["speed"]),
                str(data["models"]),
                tuple(int(frame) for frame in data.get("struck", ())),
                tuple((int(f), int(m), float(x), float(y)) for f, m, x, y in data.get("corrected", ())),
                bool(data.get("together", False)),
                None if delay is None else float(delay),
                None if floor is None else (int(floor[0]), float(floor[1])),
            )
        except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
            raise JobError("video.json is damaged: it lacks what it should hold.") from error
        left, top, right, bottom = job.box
        sound = 0.0 <= left < right <= 1.0 and 0.0 <= top < bottom <= 1.0 and job.first >= 0
        sound = sound and 2 <= job.count <= MOST_FRAMES and HEIGHTS[0] <= job.height <= HEIGHTS[1]
        sound = sound and all(0 <= frame < job.count for frame in job.struck)
        sound = sound and all(
            0 <= frame < job.count and 0 <= mark < LANDMARKS and -1.0 <= x <= 2.0 and -1.0 <= y <= 2.0
            for frame, mark, x, y in job.corrected
        )
        sound = sound and (job.delay is None or abs(job.delay) <= LONGEST_DELAY)
        sound = sound and (job.floor is None or (0 <= job.floor[0] < job.count and -1.0 <= job.floor[1] <= 2.0))
        if not sound or not 0.1 <= job.speed <= 100.0:
            raise JobError("video.json is damaged: its numbers make no sense.")
        return job


@dataclasses.dataclass(frozen=True)
class FramesRecord:
    """Frames that were written: how many, pixels, frames a second of the video; why not, in a sentence, else ""."""

    count: int = 0
    width: int = 0
    height: int = 0
    rate: float = 0.0
    problem: str = ""

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> FramesRecord:
        """Raises JobError where the numbers make no sense."""
        try:
            record = cls(
                int(data["count"]), int(data["width"]), int(data["height"]), float(data["rate"]), str(data["problem"])
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise JobError("frames.json is damaged.") from error
        if record.problem:
            return record
        sides = 16 <= record.width <= LONGEST_SIDE and 16 <= record.height <= LONGEST_SIDE
        if not sides or not 0 <= record.count <= MOST_FRAMES or not 1.0 <= record.rate <= 1000.0:
            raise JobError("frames.json is damaged: its numbers make no sense.")
        return record


@dataclasses.dataclass(frozen=True)
class VideoProgress:
    """How far the trainer is. problem: why it ended without a result, in a sentence; speed: to try instead, 0: none."""

    fraction: float = 0.0
    words: str = ""
    problem: str = ""
    speed: float = 0.0


class VideoFolder:
    """Paths and messages of one video's folder."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.job_file = self.path / "video.json"
        self.frames = self.path / "frames"
        self.frames_file = self.path / "frames.json"
        self.landmarks_file = self.path / "landmarks.npz"
        self.beside_file = self.path / "beside.npz"
        self.beside_job_file = self.path / "beside.json"
        self.progress_file = self.path / "progress.json"
        self.result_file = self.path / "result.npz"
        self.log_file = self.path / "video.log"

    def create(self, job: VideoJob) -> None:
        """Make the folder and write video.json. Raises JobError."""
        self._write(self.job_file, job.to_json())

    def read_job(self) -> VideoJob:
        """Raises JobError."""
        return VideoJob.from_json(read_json(self.job_file, MOST_SHORT_BYTES))

    def read_beside_job(self) -> VideoJob:
        """What was looked at in the video beside this one. Raises JobError."""
        return VideoJob.from_json(read_json(self.beside_job_file, MOST_SHORT_BYTES))

    def put_beside(self, other: VideoFolder) -> None:
        """Copy what another folder knows of its video into this one. Raises JobError."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            for source, target in (
                (other.landmarks_file, self.beside_file),
                (other.job_file, self.beside_job_file),
            ):
                _copy(source, target)
        except (OSError, RefusedFile) as error:
            raise JobError(
                f"What was seen in the other video is gone from {other.path}; make its reference again first."
            ) from error

    def write_frames(self, record: FramesRecord) -> None:
        self._write(self.frames_file, dataclasses.asdict(record))

    def read_frames(self) -> FramesRecord:
        """Raises JobError."""
        return FramesRecord.from_json(read_json(self.frames_file, MOST_SHORT_BYTES))

    def write_progress(self, progress: VideoProgress) -> None:
        self._write(self.progress_file, dataclasses.asdict(progress))

    def read_progress(self) -> VideoProgress:
        """What progress.json tells; nothing where it tells nothing."""
        try:
            data = read_json(self.progress_file, MOST_SHORT_BYTES)
            fraction, speed = float(data["fraction"]), float(data["speed"])
            if not (math.isfinite(fraction) and math.isfinite(speed)):
                return VideoProgress()
            words, problem = (str(data[key])[:1000] for key in ("words", "problem"))
            return VideoProgress(min(max(fraction, 0.0), 1.0), words, problem, speed)
        except (JobError, KeyError, TypeError, ValueError, OverflowError):
            return VideoProgress()

    def frame_file(self, number: int) -> Path:
        """The picture of a frame, counted from 0."""
        return self.frames / f"{number + 1:06d}.bmp"

    def _write(self, file: Path, data: dict[str, Any]) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            write_json(file, data)
        except OSError as error:
            raise JobError(f"The folder {self.path} cannot be written: {error.strerror or error}.") from error


def _copy(source: Path, target: Path) -> None:
    data = read_limited(source, MOST_BESIDE_BYTES)

    def write(file: BinaryIO) -> None:
        file.write(data)

    write_whole(target, write)
