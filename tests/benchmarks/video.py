# SPDX-License-Identifier: GPL-3.0-or-later
"""How well a motion comes out of a video: clips drawn from several sides, looked at, and held against the truth.

    python tests/benchmarks/video.py --models DIR [--rig FILE] [--clips backflip,jump] [--azimuths 90,45] --json FILE
    ... --second 90     each fitted together with what a camera at 90 has filmed, begun LATE frames later

Runs in a Python with bpy and the trainer's packages. --models: the folder with the networks. --rig: the figure to draw,
by default the project's mannequin. 90 is a view from the side, 0 from the front. The camera's and the person's true
measures are not told: the height is 1.70 m for a person of whatever height.

mpjpe_mm: mean error of twelve limb joints about the hips, in the camera's axes. pa_mpjpe_mm: after the best similarity,
frame by frame. g_mpjpe_mm: in the world, after one turn about the vertical and one shift of the whole clip. root_mm: of
the hips alone, root of the mean square. inverted_tracked: share of the frames with the trunk head down in which the
network's landmarks are within 15 cm. gravity: as read from the picture. take_off_frames, landing_frames: how far off.
delay_frames: by how much what lies between the beginnings of two videos is found wrong.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

import common
import figure_video
import numpy as np
from figure_video import Performance, View
from humanoid import CLIPS

from backflip_addon.core.arrays import Array, BoolArray
from backflip_addon.core.body import LINK_NAMES
from backflip_addon.core.clips import video_motion
from backflip_addon.core.clips.video_motion import VideoMotion
from backflip_addon.jobs.video_folder import FramesRecord, VideoFolder, VideoJob
from backflip_addon.trainer.video import camera_turns, contacts, landmarks, reconstruction, run, two_cameras

CLIP_NAMES = ("backflip", "jump", "walk", "spinkick", "cartwheel", "kick")
AZIMUTHS = (90, 45, 135, 0)
TOLD_HEIGHT = 1.70
LATE = 5  # frames that the second camera misses
JOINTS = [f"{part}.{side}" for part in ("upper_arm", "forearm", "hand", "thigh", "shin", "foot") for side in "LR"]
MARKS = [11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28]  # landmarks of JOINTS
HIPS = slice(6, 8)
INVERTED, RIGHT = -0.35, 0.15  # the trunk's upward part, and m


def main() -> int:
    """Measure, print and write; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--models", type=Path, required=True, help="folder with the networks")
    parser.add_argument("--rig", default="", help="a rig to draw instead of the mannequin")
    parser.add_argument("--clips", default=",".join(CLIP_NAMES))
    parser.add_argument("--azimuths", default=",".join(map(str, AZIMUTHS)))
    parser.add_argument("--second", type=int, help="angle of a second camera")
    parser.add_argument("--keep", type=Path, help="keep the frames and what came of them here")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for name in options.clips.split(","):
        file = CLIPS / f"humanoid3d_{name}.txt"
        shown = figure_video.perform(options.rig, str(file if file.exists() else Path(name).resolve()))
        for azimuth in map(int, options.azimuths.split(",")):
            rows.append(measure(Path(name).stem, azimuth, shown, options))
            common.table(rows[-1:])
    print()
    common.table(rows)
    common.write(options, {"clips": rows, "medians": medians(rows)})
    return 0


def measure(name: str, azimuth: int, shown: Performance, options: argparse.Namespace) -> dict[str, Any]:
    """The figures of one clip from one side."""
    places = shown.origins.reshape(-1, 3)
    view = figure_video.view_from(azimuth, (places.min(axis=0) + places.max(axis=0)) / 2)
    with tempfile.TemporaryDirectory() as temporary:
        folder = VideoFolder((options.keep or Path(temporary)) / f"{name}_{azimuth}")
        write_frames(folder, figure_video.draw(shown, view), options.models)
        begin, used = time.perf_counter(), time.process_time()
        status = run.run(folder)
        other = None
        if options.second is not None and not status:
            other = VideoFolder(folder.path.with_name(f"{name}_{azimuth}_{options.second}"))
            status = beside(folder, other, shown, options)
        facts = {"clip": name, "azimuth": azimuth, "seconds": time.perf_counter() - begin}
        facts["cpu_seconds"] = time.process_time() - used
        if status:
            return {**facts, "problem": folder.read_progress().problem}
        seen = video_motion.load(folder.result_file)
        marks = _steady(folder)
        if other is None:
            outcome = reconstruction.reconstruct(marks, TOLD_HEIGHT)
        else:
            outcome = two_cameras.reconstruct(marks, _steady(other), TOLD_HEIGHT).outcome
            facts["delay_frames"] = (seen.beside or 0.0) * figure_video.RATE + LATE
    return facts | errors(shown, view, seen, outcome.origins, outcome.contacts.flight) | looked(shown, view, marks)


def beside(folder: VideoFolder, other: VideoFolder, shown: Performance, options: argparse.Namespace) -> int:
    """Film it with the second camera as well, and fit both together; returns the exit status."""
    places = shown.origins.reshape(-1, 3)
    view = figure_video.view_from(options.second, (places.min(axis=0) + places.max(axis=0)) / 2)
    write_frames(other, figure_video.draw(shown, view, seed=1)[LATE:], options.models)
    if status := run.run(other):
        return status
    folder.create(dataclasses.replace(folder.read_job(), together=True))
    folder.put_beside(other)
    return run.run(folder)


def _steady(folder: VideoFolder) -> landmarks.Landmarks:
    marks = landmarks.load(folder.landmarks_file)
    return camera_turns.steadied(marks, reconstruction.USUAL_FOCAL * max(marks.width, marks.height))


def write_frames(folder: VideoFolder, frames: list[Any], models: Path) -> None:
    """A video's folder as Blender would leave it."""
    folder.create(VideoJob("", 0, len(frames), TOLD_HEIGHT, models=str(models.resolve())))
    folder.frames.mkdir(exist_ok=True)
    for number, frame in enumerate(frames):
        figure_video.write_bmp(folder.frame_file(number), frame)
    height, width = frames[0].shape[:2]
    folder.write_frames(FramesRecord(len(frames), width, height, figure_video.RATE))


def errors(shown: Performance, view: View, seen: VideoMotion, origins: Array, flight: BoolArray) -> dict[str, Any]:
    """How far the fit is from the truth."""
    index = [LINK_NAMES.index(joint) for joint in JOINTS]
    true = shown.origins[:, index]
    own = seen_places(seen, origins)[:, index]
    in_camera = (own - own[:, HIPS].mean(axis=1, keepdims=True)) @ seen.camera.axes.T
    truly = (true - true[:, HIPS].mean(axis=1, keepdims=True)) @ view.axes.T
    moved = aligned(own, true)
    root = moved[:, HIPS].mean(axis=1) - true[:, HIPS].mean(axis=1)
    return {
        "pa_mpjpe_mm": 1000 * float(np.mean([after_similarity(a, b) for a, b in zip(own, true, strict=True)])),
        "mpjpe_mm": 1000 * float(np.linalg.norm(in_camera - truly, axis=-1).mean()),
        "g_mpjpe_mm": 1000 * float(np.linalg.norm(moved - true, axis=-1).mean()),
        "root_mm": 1000 * float(np.sqrt((root**2).sum(axis=1).mean())),
        **flight_errors(shown, flight),
    }


def seen_places(seen: VideoMotion, origins: Array) -> Array:
    """Link origins (F, L, 3), moved as the result's motion was against the fit."""
    from backflip_addon.core import rotations

    first = seen.motion.position
    back = origins - origins[0, 0] * [1.0, 1.0, 0.0]
    a, b = back[:, 0] - back[:1, 0], first - first[:1]
    angle = np.arctan2((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum(), (a[:, 0] * b[:, 0] + a[:, 1] * b[:, 1]).sum())
    return rotations.rotate(rotations.from_axis_angle([0.0, 0.0, 1.0], angle), back)


def aligned(own: Array, true: Array) -> Array:
    """The clip (F, J, 3) turned about the vertical and shifted as a whole, as near to the truth as it goes."""
    a, b = own.reshape(-1, 3), true.reshape(-1, 3)
    centres = a.mean(axis=0), b.mean(axis=0)
    a, b = a - centres[0], b - centres[1]
    angle = np.arctan2((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum(), (a[:, 0] * b[:, 0] + a[:, 1] * b[:, 1]).sum())
    c, s = np.cos(angle), np.sin(angle)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    return (own - centres[0]) @ turn.T + centres[1]


def after_similarity(own: Array, true: Array) -> float:
    """Mean distance of places (J, 3) after the best turn, scale and shift (Umeyama 1991)."""
    a, b = own - own.mean(axis=0), true - true.mean(axis=0)
    u, s, vt = np.linalg.svd(b.T @ a)
    flip = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    turn = u @ np.diag(flip) @ vt
    scale = (s * flip).sum() / (a * a).sum()
    return float(np.linalg.norm(scale * a @ turn.T - b, axis=1).mean())


def flight_errors(shown: Performance, flight: BoolArray) -> dict[str, Any]:
    """Frames by which the longest flight begins and ends off the truth's: feet 6 cm over where they stood."""
    feet = shown.vertices[..., 2].min(axis=1) > 0.06
    true, own = (max(contacts.runs(mask), key=lambda r: r[1] - r[0], default=None) for mask in (feet, flight))
    if true is None or true[1] - true[0] < 5:
        return {"take_off_frames": None, "landing_frames": None}
    if own is None:
        return {"take_off_frames": 99, "landing_frames": 99}
    return {"take_off_frames": own[0] - true[0], "landing_frames": own[1] - true[1]}


def looked(shown: Performance, view: View, marks: landmarks.Landmarks) -> dict[str, Any]:
    """What the network itself saw: head down, and falling."""
    true = shown.origins[:, [LINK_NAMES.index(joint) for joint in JOINTS]]
    spots, seen = view.project(true)
    off = np.linalg.norm(marks.xy[:, MARKS] - spots, axis=-1) * seen[..., 2] / view.focal
    spine = true[:, :2].mean(axis=1) - true[:, HIPS].mean(axis=1)
    inverted = spine[:, 2] / np.linalg.norm(spine, axis=1) < INVERTED
    right = marks.found & (off.mean(axis=1) < RIGHT)
    gravity, _seconds = contacts.gravity_seen(marks, contacts.scale_of(marks))
    return {
        "inverted": int(inverted.sum()),
        "inverted_tracked": float(right[inverted].mean()) if inverted.any() else None,
        "tracked": float(right.mean()),
        "gravity": gravity,
    }


def medians(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Over side and three-quarter views, and over front views."""
    found = {}
    for kind, chosen in (("side", [r for r in rows if r["azimuth"]]), ("front", [r for r in rows if not r["azimuth"]])):
        known = [row for row in chosen if "mpjpe_mm" in row]
        found[kind] = {key: common.median([r[key] for r in known]) for key in ("pa_mpjpe_mm", "mpjpe_mm", "g_mpjpe_mm")}
    return found


if __name__ == "__main__":
    code = 1
    try:
        code = main()
    except Exception:
        traceback.print_exc()
    sys.stdout.flush()
    os._exit(code)  # Blender as a module may hang at its end
