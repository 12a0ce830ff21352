# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the picture of the video's camera lies in a viewport that looks through it, and how it comes to lie there."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, NamedTuple

import bpy
import numpy as np
from bpy_extras import view3d_utils
from numpy.typing import ArrayLike

from ..core.arrays import Array
from ..scene.footage import CAMERA_NAME

_SHARE = 0.94  # of what is free of a viewport, which the picture fills
_LEAST_ZOOM, _MOST_ZOOM = -30.0, 600.0  # Blender's own


@dataclasses.dataclass(frozen=True)
class PictureFrame:
    """left, bottom, right, top: pixels of the viewport's region, from its lower left corner."""

    left: float
    bottom: float
    right: float
    top: float

    def shares(self, places: ArrayLike) -> Array:
        """Pixels (..., 2) of the region as shares of the picture from its upper left corner."""
        x, y = np.moveaxis(np.asarray(places, dtype=float), -1, 0)
        wide, high = self.right - self.left, self.top - self.bottom
        return np.stack([(x - self.left) / wide, (self.top - y) / high], axis=-1)

    def places(self, shares: ArrayLike) -> Array:
        """The inverse of shares()."""
        x, y = np.moveaxis(np.asarray(shares, dtype=float), -1, 0)
        return np.stack([self.left + x * (self.right - self.left), self.top - y * (self.top - self.bottom)], axis=-1)


def video_frame(
    scene: bpy.types.Scene, region: bpy.types.Region, view: bpy.types.RegionView3D | None
) -> PictureFrame | None:
    """The frame of the video's camera; None in a view that does not look through it."""
    camera = scene.camera
    if camera is None or not camera.name.startswith(CAMERA_NAME) or not isinstance(camera.data, bpy.types.Camera):
        return None
    if view is None or view.view_perspective != "CAMERA":
        return None
    corners = [
        view3d_utils.location_3d_to_region_2d(region, view, camera.matrix_world @ corner)
        for corner in camera.data.view_frame(scene=scene)
    ]
    found = np.array([corner for corner in corners if corner is not None], dtype=float)
    if len(found) < 4 or (np.ptp(found, axis=0) < 1.0).any():
        return None
    (left, bottom), (right, top) = found.min(axis=0), found.max(axis=0)
    return PictureFrame(float(left), float(bottom), float(right), float(top))


class View(NamedTuple):
    """How a viewport looks through a camera: from where, how near, and how far aside."""

    perspective: str
    zoom: float
    offset: tuple[float, ...]


def view_of(space: bpy.types.Space | None) -> View | None:
    """How a viewport looks now; None for what is none."""
    view = space.region_3d if isinstance(space, bpy.types.SpaceView3D) else None
    if view is None:
        return None
    offset: Any = view.view_camera_offset
    return View(view.view_perspective, view.view_camera_zoom, tuple(offset))


def see_through(space: bpy.types.Space | None, seen: View | None) -> None:
    """Have a viewport look so."""
    view: Any = space.region_3d if isinstance(space, bpy.types.SpaceView3D) else None
    if view is not None and seen is not None:
        view.view_perspective = seen.perspective
        view.view_camera_zoom, view.view_camera_offset = seen.zoom, seen.offset


def fitted(size: tuple[int, int], region: tuple[int, int], free: tuple[float, float, float, float]) -> View:
    """A look through a camera whose whole picture lies in what is free of a viewport.

    size: of the picture, region: of the viewport, pixels. free: left, right, bottom, top, pixels from its lower left
    corner. Blender shows the longer side of the picture as long as the region's longer one, times the zoom's factor,
    (sqrt(2) + zoom / 50)² / 4, and moves it aside by twice the offset, in sides of the region, times that factor
    (BKE_camera_params_from_view3d, BKE_screen_view3d_zoom_to_fac).
    """
    left, right, bottom, top = free
    scale = _SHARE * min((right - left) / size[0], (top - bottom) / size[1])
    factor = scale * max(size) / max(region)
    zoom = min(max((2.0 * math.sqrt(max(factor, 0.0)) - math.sqrt(2.0)) * 50.0, _LEAST_ZOOM), _MOST_ZOOM)
    factor = (math.sqrt(2.0) + zoom / 50.0) ** 2 / 4.0
    aside = (region[0] - left - right) / 2.0, (region[1] - bottom - top) / 2.0
    across, up = (part / (2.0 * factor * side) for part, side in zip(aside, region, strict=True))
    return View("CAMERA", zoom, (across, up))


def show_whole_picture(scene: bpy.types.Scene, area: bpy.types.Area | None, space: bpy.types.Space | None) -> None:
    """Look through the scene's camera so that neither sidebar nor toolbar hides a part of its picture."""
    region = next((one for one in area.regions if one.type == "WINDOW"), None) if area is not None else None
    if area is None or region is None:
        return
    left, right, bottom, top = 0, region.width, 0, region.height
    for other in area.regions:
        if other.type == "WINDOW" or min(other.width, other.height) <= 1:
            continue
        x, y = other.x - region.x, other.y - region.y
        if other.alignment == "RIGHT":
            right = min(right, x)
        elif other.alignment == "LEFT":
            left = max(left, x + other.width)
        elif other.alignment == "TOP":
            top = min(top, y)
        elif other.alignment == "BOTTOM":
            bottom = max(bottom, y + other.height)
    if right <= left or top <= bottom:
        return
    render = scene.render
    size = render.resolution_x, render.resolution_y
    see_through(space, fitted(size, (region.width, region.height), (left, right, bottom, top)))
