# SPDX-License-Identifier: GPL-3.0-or-later
"""A motion that was seen in a video: a clip as any other, with the camera that filmed it and how sure each part is.

An npz file, written by trainer/video. The motion starts over the origin and faces -Y there; the camera stands where it
stood beside it.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np

from .. import motion as motions
from .. import rotations
from ..arrays import AnyArray, Array, BoolArray
from ..body import LINK_NAMES
from ..motion import Motion
from ..npz import npz_names, read_npz, write_npz
from ..reading import finite, told

VERSION = 1
PARTS = ("head", "trunk", "left arm", "right arm", "left leg", "right leg")
HIDDEN, HIDDEN_SECONDS = 0.3, 0.15  # a part that is less sure than that for so long is told of
USUAL_GRAVITY, GRAVITY_ERROR = 9.81, 0.15  # m/s^2, and the share by which a fall may be off before it is told of
DOUBT = 0.1  # share of a motion's quality that each doubt costs
TURNS = math.radians(3.0)  # of a camera: less needs no telling
ZOOM, LOST = 1.08, 0.1  # times, and share of the frames: more is told of
OTHERS_SECONDS = 0.3
TOWARDS_CAMERA = 0.8  # of a motion's way, along the line of sight: then its depth is a guess
LANDMARKS = 33  # that the network knows of a person
_MARK = "video_version"


@dataclasses.dataclass(frozen=True)
class FilmedBy:
    """A camera. position (3,): m. axes (3, 3): rows right, down, away, of unit length. focal: pixels, of a picture of
    width by height pixels."""

    position: Array
    axes: Array
    focal: float
    width: int
    height: int


@dataclasses.dataclass(frozen=True)
class VideoMotion:
    """leg: hip to sole of the person, m. sure (F, 6): of each of PARTS, 0 to 1. gravity: as its longest flight fell,
    m/s^2, 0 without one. first: the video's frame that it begins with, from 0. marks (F, 33, 2): where landmarks are
    seen, shares of the picture from its upper left; none (0, 33, 2) in files of earlier versions. turns
    (F, 3, 3): of the camera, from its axes in the first frame; none (0, 3, 3) where it keeps still. beside: by how many
    seconds the video began later than another camera's of the same performance, with which it was fitted; None where
    there is none. others (F,): in which frames somebody else is seen as well; none (0,) in files of earlier versions.
    zoom: how many times as large the background is at most as at least. lost: share of the frames in which it is
    another one than before."""

    motion: Motion
    leg: float
    camera: FilmedBy
    sure: Array
    gravity: float
    first: int
    marks: Array = dataclasses.field(default_factory=lambda: np.zeros((0, LANDMARKS, 2)))
    turns: Array = dataclasses.field(default_factory=lambda: np.zeros((0, 3, 3)))
    beside: float | None = None
    others: BoolArray = dataclasses.field(default_factory=lambda: np.zeros(0, bool))
    zoom: float = 1.0
    lost: float = 0.0

    @property
    def turned(self) -> float:
        """How far the camera turns at most from where it looks at first, rad."""
        if not len(self.turns):
            return 0.0
        vectors = rotations.to_rotation_vector(rotations.from_matrix(self.turns))
        return float(np.linalg.norm(vectors, axis=-1).max())


def with_sureness(seen: VideoMotion) -> Motion:
    """Its motion, each link as sure as its part."""
    return dataclasses.replace(seen.motion, sure=seen.sure[:, [_part_of(link) for link in LINK_NAMES]])


def _part_of(link: str) -> int:
    """Of PARTS, that of a link."""
    name, _dot, side = link.partition(".")
    if not side:
        return PARTS.index("head" if name == "head" else "trunk")
    limb = "arm" if name in ("upper_arm", "forearm", "hand") else "leg"
    return PARTS.index(f"{'left' if side == 'L' else 'right'} {limb}")


@told
def is_video_motion(path: Path) -> bool:
    """Whether an npz file holds a motion from a video. Raises UnreadableFile."""
    return _MARK in npz_names(path)


def save(path: Path, seen: VideoMotion) -> None:
    """Write it whole or not at all. Raises OSError."""
    camera = seen.camera
    arrays: dict[str, AnyArray | float | int] = {
        _MARK: VERSION,
        "rate": seen.motion.rate,
        "position": seen.motion.position,
        "rotations": seen.motion.rotations,
        "leg": seen.leg,
        "sure": seen.sure,
        "gravity": seen.gravity,
        "first": seen.first,
        "marks": seen.marks,
        "turns": seen.turns,
        "beside": math.nan if seen.beside is None else seen.beside,
        "others": seen.others,
        "zoom": seen.zoom,
        "lost": seen.lost,
        "camera_position": camera.position,
        "camera_axes": camera.axes,
        "camera_picture": np.array([camera.focal, camera.width, camera.height], float),
    }
    write_npz(path, arrays)


@told
def load(path: Path) -> VideoMotion:
    """Raises UnreadableFile with one sentence on a file that is no sound motion."""
    arrays = read_npz(path, motions.MOST_MOTION_BYTES)
    if int(arrays[_MARK]) != VERSION:
        raise ValueError(f"{path.name} was written by another version of Backflip.")
    motion = Motion(float(arrays["rate"]), arrays["position"].astype(float), arrays["rotations"].astype(float))
    motions.validate(motion, len(LINK_NAMES))
    sure, position, axes = (arrays[name].astype(float) for name in ("sure", "camera_position", "camera_axes"))
    focal, width, height = (float(x) for x in arrays["camera_picture"])
    marks = arrays["marks"].astype(float) if "marks" in arrays else np.zeros((0, LANDMARKS, 2))
    turns = arrays["turns"].astype(float) if "turns" in arrays else np.zeros((0, 3, 3))
    leg, gravity, first = float(arrays["leg"]), float(arrays["gravity"]), int(arrays["first"])
    shapes = (sure.shape, position.shape, axes.shape) == ((motion.frames, len(PARTS)), (3,), (3, 3))
    shapes = shapes and marks.shape[1:] == (LANDMARKS, 2) and len(marks) in (0, motion.frames)
    shapes = shapes and turns.shape[1:] == (3, 3) and len(turns) in (0, motion.frames)
    others = arrays["others"].astype(bool) if "others" in arrays else np.zeros(0, bool)
    usual = {"beside": math.nan, "zoom": 1.0, "lost": 0.0}
    beside, zoom, lost = (float(arrays.get(name, value)) for name, value in usual.items())
    shapes = shapes and others.ndim == 1 and len(others) in (0, motion.frames) and math.isfinite(zoom + lost)
    numbers = (
        finite(sure, position, axes, motion.position, marks, turns) and math.isfinite(gravity) and 0.05 < leg < 5.0
    )
    if not shapes or not numbers or first < 0 or not (1.0 < focal < 1e6 and 1 <= width <= 1e5 and 1 <= height <= 1e5):
        raise ValueError(f"{path.name} is damaged: its parts do not fit together.")
    every = np.concatenate([axes[None], turns])
    if not np.allclose(np.swapaxes(every, 1, 2) @ every, np.eye(3), atol=1e-3):
        raise ValueError(f"{path.name} is damaged: its camera is none.")
    camera = FilmedBy(position, axes, focal, int(width), int(height))
    began = beside if math.isfinite(beside) else None
    return VideoMotion(motion, leg, camera, sure, gravity, first, marks, turns, began, others, zoom, lost)


def remarks(seen: VideoMotion) -> list[str]:
    """What else is to be known of how it was made, a sentence each, for the user."""
    if seen.beside is None:
        return []
    when = "earlier" if seen.beside > 0 else "later"
    return [f"Fitted together with the other camera's video, which began {abs(seen.beside):.2f} s {when}."]


def doubts(seen: VideoMotion) -> list[str]:
    """What is unsure of it, a sentence each, for the user."""
    found = []
    rate = seen.motion.rate
    lost = seen.sure.max(axis=1) <= 0.0
    found += [f"The person is not seen {_when(run, rate)}: the motion in between is made up." for run in _runs(lost)]
    for column, part in enumerate(PARTS):
        hidden = (seen.sure[:, column] < HIDDEN) & ~lost
        found += [
            f"The {part} is hidden {_when(run, rate)}, where the stunt need not follow it closely."
            for run in _runs(hidden)
            if run[1] - run[0] >= HIDDEN_SECONDS * rate
        ]
    if seen.gravity and abs(seen.gravity / USUAL_GRAVITY - 1) > GRAVITY_ERROR:
        speed = math.sqrt(USUAL_GRAVITY / seen.gravity)
        how = f"{speed:.2f} times slower" if speed > 1 else f"{1 / speed:.2f} times faster"
        found.append(
            f"The flight falls at {seen.gravity:.1f} m/s² instead of 9.8: the height is not right, or the video plays "
            f"{how} than life."
        )
    if seen.turned > TURNS:
        found.append(
            f"The camera turns by up to {math.degrees(seen.turned):.0f}°: it is taken to stay where it is meanwhile."
        )
    if seen.zoom > ZOOM:
        found.append(
            f"The camera zooms or walks: the background grows or shrinks {seen.zoom:.2f} times. It is taken to do "
            "neither, so how far the motion goes is a guess."
        )
    if seen.lost > LOST:
        found.append(
            f"The background cannot be followed in {seen.lost:.0%} of the frames: the camera seems to walk along, and "
            "is taken to stay where it is."
        )
    found += [
        f"Somebody else is seen {_when(run, rate)}. Check that the skeleton is always the right person's, or draw a "
        "Person Box."
        for run in _runs(seen.others)
        if run[1] - run[0] >= OTHERS_SECONDS * rate
    ]
    if seen.beside is None and _runs_towards(seen):
        found.append("The motion runs towards the camera or away from it: how far it goes is a guess.")
    return found


def quality(seen: VideoMotion) -> float:
    """How good a motion is as a reference, 0 to 1, by itself: how sure its parts are on the mean, less a share for each
    doubt; a fall at another rate than things fall at is one."""
    return float(np.clip(seen.sure, 0.0, 1.0).mean()) * (1 - DOUBT) ** len(doubts(seen))


def _runs_towards(seen: VideoMotion) -> bool:
    way = np.ptp(seen.motion.position[:, :2] @ seen.camera.axes[2, :2])
    across = np.ptp(seen.motion.position[:, :2] @ seen.camera.axes[0, :2])
    return bool(way > 0.3 and way > TOWARDS_CAMERA * math.hypot(way, across))


def _when(run: tuple[int, int], rate: float) -> str:
    return f"from {run[0] / rate:.1f} to {run[1] / rate:.1f} s"


def _runs(mask: AnyArray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(int)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
