# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a video's frames as pictures. A program of its own, which a second Blender runs: write_frames.py -- FOLDER.

So that the user's own Blender does not wait for it. What to write is in FOLDER/video.json, what was written in
FOLDER/frames.json (jobs/video_folder.py, which this program cannot import). The sequencer gives one picture a frame of
the video's mean rate: where frames are unevenly timed, some are given twice.
"""

import json
import os
import re
import sys
import traceback
from pathlib import Path
from typing import Any

import bpy

LONGEST_SIDE = 1280
_MOST_BOXES, _MOST_BYTES = 1000, 64_000_000  # of an MP4 that are looked into for the shape of its pixels


def main(folder: Path) -> None:
    """Write the frames, and what they are or why there are none."""
    job = json.loads((folder / "video.json").read_text(encoding="utf-8"))
    record = {"count": 0, "width": 0, "height": 0, "rate": 0.0, "problem": ""}
    try:
        record |= write(Path(job["video"]), int(job["first"]), int(job["count"]), folder / "frames")
    except (RuntimeError, OSError) as error:
        traceback.print_exc()
        record["problem"] = f"{Path(job['video']).name} cannot be read as a video: {str(error).strip().rstrip('.')}."
    temporary = folder / "frames.json.tmp"
    temporary.write_text(json.dumps(record), encoding="utf-8")
    os.replace(temporary, folder / "frames.json")


def write(video: Path, first: int, count: int, into: Path) -> dict[str, float]:
    """Write count frames from first on; returns how many, their size and their rate. Raises RuntimeError."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    clip = bpy.data.movieclips.load(str(video))
    size: Any = clip.size
    width, height = size
    shown = width * pixel_aspect(video)
    if clip.source != "MOVIE" or not width or not height or clip.fps <= 0.0:
        raise RuntimeError("it holds no pictures that move")
    scene = bpy.data.scenes.new("Frames")
    scale = min(1.0, LONGEST_SIDE / max(shown, height))
    render = scene.render
    render.resolution_x, render.resolution_y = (max(round(side * scale), 16) for side in (shown, height))
    render.resolution_percentage = 100
    render.fps, render.fps_base = _rate(clip.fps)  # as the video's own, or the strip is stretched
    strip: Any = scene.sequence_editor_create().strips.new_movie("Video", str(video), 1, 1 - first)
    strip.transform.scale_x = render.resolution_x / width
    strip.transform.scale_y = render.resolution_y / height
    count = min(count, strip.frame_duration - first)
    if count < 1:
        raise RuntimeError(f"it has {strip.frame_duration} frames, and none of those that were asked for")
    scene.frame_start, scene.frame_end = 1, count
    view: Any = scene.view_settings
    view.view_transform = "Standard"
    settings = render.image_settings
    settings.file_format, settings.color_mode = "BMP", "RGB"
    render.filepath = str(into / "######")
    into.mkdir(exist_ok=True)
    bpy.ops.render.render(animation=True, scene=scene.name)
    return {"count": count, "width": render.resolution_x, "height": render.resolution_y, "rate": float(clip.fps)}


def pixel_aspect(video: Path) -> float:
    """A pixel's width over its height, as an MP4 or MOV tells (its pasp; ISO/IEC 14496-12, 12.1.4); 1 where none does.

    Blender itself takes all pixels for square.
    """
    with video.open("rb") as file:
        for _ in range(_MOST_BOXES):
            head = file.read(8)
            size = int.from_bytes(head[:4], "big") - 8
            if size == 1 - 8:  # it is told in the next eight bytes
                size = int.from_bytes(file.read(8), "big") - 16
            if not 0 <= size < 1 << 48:
                break
            if head[4:] == b"moov":
                found = re.search(rb"\0\0\0\x10pasp(.{4})(.{4})", file.read(min(size, _MOST_BYTES)), re.DOTALL)
                wide, high = (int.from_bytes(side, "big") for side in found.groups()) if found else (1, 1)
                return wide / high if high and 0.1 < wide / high < 10.0 else 1.0
            file.seek(size, 1)
    return 1.0


def _rate(fps: float) -> tuple[int, float]:
    whole = max(round(fps), 1)
    return whole, whole / fps


if __name__ == "__main__":
    main(Path(sys.argv[sys.argv.index("--") + 1]))
    sys.stdout.flush()
    os._exit(0)  # Blender as a module may hang at its end
