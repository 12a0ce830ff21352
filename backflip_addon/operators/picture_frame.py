# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the picture of the video's camera lies in a viewport that looks through it."""

from __future__ import annotations

import dataclasses

import bpy
import numpy as np
from bpy_extras import view3d_utils
from numpy.typing import ArrayLike

from ..core.arrays import Array
from ..scene.footage import CAMERA_NAME


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
