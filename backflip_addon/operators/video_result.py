# SPDX-License-Identifier: GPL-3.0-or-later
"""What came of the scene's video, and what a person says of its frames: those left out, landmarks put elsewhere."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import bpy
import numpy as np

from ..core.arrays import Array
from ..core.clips import video_motion
from ..core.clips.video_motion import LANDMARKS, VideoMotion
from ..jobs.video_folder import Correction, VideoFolder
from ..scene.importing.importer import FileError
from ..scene.units import scene_rate
from ..settings import scene_settings
from ..settings.video import BackflipVideo


def video_settings(scene: bpy.types.Scene) -> BackflipVideo:
    """What a scene keeps of its video."""
    return scene_settings(scene).video


def doubts(settings: BackflipVideo) -> list[str]:
    """What is unsure of the motion, a sentence each."""
    return [str(one) for one in _listed(settings.doubts)]


def struck_frames(settings: BackflipVideo) -> list[int]:
    """The frames of the video that are left out, from 0."""
    return sorted({one for one in _listed(settings.struck) if isinstance(one, int)})


class Tried(NamedTuple):
    """A motion that came of a video: its file; the video's path, its length in frames, its rate, and the part of it
    that was looked at, s; the motion's quality; and the person's box: whether there is one, left, right, top,
    bottom."""

    result: str
    video: str
    frames: int
    rate: float
    start: float
    end: float
    quality: float
    use_box: bool = False
    box: Sequence[float] = (0.0, 1.0, 0.0, 1.0)

    @property
    def name(self) -> str:
        return Path(self.video).name


def tried(settings: BackflipVideo) -> list[Tried]:
    """The motions of the same stunt that there are, the best first; those whose files are gone are left out."""
    found = [Tried(*one) for one in _listed(settings.tried) if isinstance(one, list) and len(one) in (7, 9)]
    return sorted((one for one in found if Path(one.result).is_file()), key=lambda one: -one.quality)


def note_tried(settings: BackflipVideo, result: str) -> Tried:
    """Remember the motion in a file that has come of the scene's video, in the place of one that came of it before, and
    of all others unless the best is to be kept. Raises UnreadableFile."""
    _kept.cache_clear()  # the file may be a fit anew, in the place of the last one
    quality = video_motion.quality(video_motion.load(Path(result)))
    part = (settings.frames, settings.rate, settings.start, settings.end)
    box = (settings.left, settings.right, settings.top, settings.bottom)
    own = Tried(result, settings.path, *part, quality, settings.use_box, box)
    several = settings.keep_best or settings.together
    others = [one for one in tried(settings) if one.video != own.video] if several else []
    settings.tried = json.dumps([own, *others])
    return own


def other_video(settings: BackflipVideo) -> Tried | None:
    """Another video, the surest, whose landmarks are known, so that this one may be fitted together with it."""
    others = (one for one in tried(settings) if one.video != settings.path)
    return next((one for one in others if VideoFolder(Path(one.result).parent).landmarks_file.is_file()), None)


def asked_of_frames(settings: BackflipVideo) -> str:
    """What is struck out, corrected and told of the floor, and whether with another video: as text to be compared."""
    asked: list[Any] = [struck_frames(settings), corrections(settings)]
    if settings.use_floor:
        asked.append([settings.floor_frame, round(settings.floor, 5)])
    if settings.together:
        asked.append(["together", round(settings.delay, 4) if settings.use_delay else None])
    return json.dumps(asked)


def is_outdated(settings: BackflipVideo) -> bool:
    """Whether more or less of that is asked for than when the motion was made."""
    return asked_of_frames(settings) != (settings.made_with or json.dumps([[], []]))


def corrections(settings: BackflipVideo) -> list[Correction]:
    """Frames of the video, landmarks, and where somebody has put them."""
    found = [one for one in _listed(settings.corrected) if isinstance(one, list) and len(one) == 4]
    return [(int(f), int(mark), float(x), float(y)) for f, mark, x, y in found if 0 <= int(mark) < LANDMARKS]


def correct(scene: bpy.types.Scene, mark: int, place: tuple[float, float]) -> None:
    """Put a landmark of the video's frame at the scene's present time elsewhere in its picture, in shares of it.

    Raises FileError where the present time is not in the video's motion.
    """
    settings, frame = video_settings(scene), frame_at(scene)
    kept = [one for one in corrections(settings) if one[:2] != (frame, mark)]
    settings.corrected = json.dumps(sorted([*kept, (frame, mark, *place)]))


def frame_at(scene: bpy.types.Scene) -> int:
    """The video's frame, from 0, at the scene's present time. Raises FileError where its motion is not."""
    share, known = share_of_strip(scene), _kept(video_settings(scene).result)
    if known is None or not -1e-6 <= share <= 1.0 + 1e-6:
        raise FileError("Go to a time within the reference that was made from the video.")
    return known.first + round(share * (len(known.sure) - 1))


def landmarks_at(scene: bpy.types.Scene) -> Array:
    """Where landmarks are at the scene's present time (33, 2), shares of the picture, as corrected; none (0, 2) where
    nothing is known of them. Cheap."""
    settings = video_settings(scene)
    known = _kept(settings.result) if is_reference(scene) else None
    if known is None or not len(known.marks) or not -1e-6 <= share_of_strip(scene) <= 1.0 + 1e-6:
        return np.zeros((0, 2))
    frame = frame_at(scene)
    marks: Array = known.marks[frame - known.first].copy()
    for at, mark, x, y in corrections(settings):
        if at == frame:
            marks[mark] = x, y
    return marks


def is_reference(scene: bpy.types.Scene) -> bool:
    """Whether the scene's reference is what came of its video."""
    settings = video_settings(scene)
    return bool(settings.result and settings.result == scene_settings(scene).reference_file)


def _listed(text: str) -> list[Any]:
    """What a list in JSON holds; nothing where it is none."""
    try:
        found = json.loads(text or "[]")
    except ValueError:
        return []
    return found if isinstance(found, list) else []


def strike(scene: bpy.types.Scene) -> bool:
    """Leave the video's frame at the scene's present time out, or take it again; returns whether it is left out now.

    Raises FileError where the present time is not in the video's motion.
    """
    settings, frame = video_settings(scene), frame_at(scene)
    struck = set(struck_frames(settings)) ^ {frame}
    settings.struck = json.dumps(sorted(struck))
    return frame in struck


@functools.lru_cache(maxsize=4)
def _kept(path: str) -> VideoMotion | None:
    """A motion's file; None where it cannot be read."""
    try:
        return video_motion.load(Path(path))
    except ValueError:
        return None


def sureness(scene: bpy.types.Scene) -> Array | None:
    """How sure each part of the reference is (F, 6), where it came from the scene's video and is to be shown: while its
    step is open. Cheap."""
    settings, looked_at = video_settings(scene), scene_settings(scene).road.reference
    known = _kept(settings.result) if settings.show_strip and looked_at and is_reference(scene) else None
    return known.sure if known else None


def share_of_strip(scene: bpy.types.Scene) -> float:
    """How far along the video's motion the scene's present frame is, 0 to 1 within it."""
    known, settings = _kept(video_settings(scene).result), scene_settings(scene)
    if known is None:
        return -1.0
    seconds = (scene.frame_current - settings.start_frame) / scene_rate(scene) / settings.time_scale
    return (seconds + settings.trim_start) * known.motion.rate / max(len(known.sure) - 1, 1)
