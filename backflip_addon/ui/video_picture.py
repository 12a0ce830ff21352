# SPDX-License-Identifier: GPL-3.0-or-later
"""Over the picture of a video, in a view through its camera: the skeleton that was found, and the person's box."""

from __future__ import annotations

import bpy
import numpy as np

from ..core.arrays import Array
from ..operators import video_result
from ..operators.picture_frame import PictureFrame, video_frame
from . import flat_drawing as flat
from .colours import Palette

BONES = (
    *((0, 7), (0, 8), (11, 12), (23, 24), (11, 23), (12, 24)),
    *((11, 13), (13, 15), (15, 19), (12, 14), (14, 16), (16, 20)),
    *((23, 25), (25, 27), (27, 29), (29, 31), (24, 26), (26, 28), (28, 30), (30, 32)),
)
POINTS = sorted({mark for bone in BONES for mark in bone})
_WIDE, _POINT, _EDGE = 1.5, 4.0, 1.0  # half widths, pixels at a resolution scale of 1
_POINT_SHARE = 0.005  # of the picture's width, in a small view


def draw(
    scene: bpy.types.Scene, region: bpy.types.Region, view: bpy.types.RegionView3D, palette: Palette, scale: float
) -> None:
    """Draw both, where the view looks through the video's camera. scale: of the interface."""
    settings = video_result.video_settings(scene)
    frame = video_frame(scene, region, view) if settings.path else None
    if frame is None:
        return
    if settings.use_box:
        box = np.array([[settings.left, settings.top], [settings.right, settings.bottom]])
        flat.draw_triangles(_edges(frame, box, _EDGE * scale), palette.text)
    if settings.use_floor:
        line = frame.places(np.array([[0.0, settings.floor], [1.0, settings.floor]]))
        flat.draw_triangles(flat.boxes(line[:1] - [0.0, _EDGE * scale], line[1:] + [0.0, _EDGE * scale]), palette.text)
    marks = video_result.landmarks_at(scene) if settings.show_landmarks else np.zeros((0, 2))
    if len(marks):
        places = frame.places(marks)
        flat.draw_triangles(_bones(places, _WIDE * scale), palette.roles["unsure"], 0.9)
        half = min(_POINT * scale, _POINT_SHARE * (frame.right - frame.left))
        flat.draw_triangles(flat.boxes(places[POINTS] - half, places[POINTS] + half), palette.text)


def _bones(places: Array, half: float) -> Array:
    """Triangles' corners (6 N, 2) of bars between landmarks (33, 2)."""
    start, end = (places[[bone[k] for bone in BONES]] for k in (0, 1))
    along = end - start
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    across *= half / np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-6)
    corners: Array = np.stack(
        [start - across, end - across, end + across, start - across, end + across, start + across], axis=1
    )
    return corners.reshape(-1, 2)


def _edges(frame: PictureFrame, box: Array, half: float) -> Array:
    """Triangles' corners of the four sides of a box (2, 2), shares of the picture."""
    (left, top), (right, bottom) = frame.places(box)
    low = [(left, top), (left, bottom), (left, bottom), (right, bottom)]
    high = [(right, top), (right, bottom), (left, top), (right, top)]
    return flat.boxes(np.array(low) - half, np.array(high) + half)
