# SPDX-License-Identifier: GPL-3.0-or-later
"""Where in the world the push of the Shoot panel acts, and which way: at the part that is pushed, at that moment."""

from __future__ import annotations

import dataclasses

import bpy
import numpy as np

from ..core.arrays import Array
from ..core.rigs.binding import Binding
from ..core.rotations import matrix_about_z
from ..scene import stored_avatar
from ..settings import scene_settings
from . import take_player
from .base import USER_ERRORS
from .directions import impulse_of
from .take_places import way_aside
from .take_tracks import Track

RING_METRES = 0.35  # radius of the rings by which it is turned
LEAST = 1.0  # N s: an arrow that is shorter could not be taken hold of
_STEEP = 1e-4  # of an arrow that points straight up or down, which has no side
METRES_PER_NEWTON_SECOND = 0.01  # an arrow of 1 m is 100 N s


@dataclasses.dataclass(frozen=True)
class Arrow:
    """A push in the world.

    place (3,); way (3,): as long as it is drawn; metre: world units of a metre of the body's.
    """

    place: Array
    way: Array
    metre: float

    @property
    def length(self) -> float:
        """In world units."""
        return float(np.linalg.norm(self.way))

    def frames(self) -> tuple[Array, Array, Array]:
        """Matrices (4, 4) of the arrow, of a level ring and of an upright one, each turned about its own z.

        A turn of the level ring is to the left seen from above, one of the upright ring is upward.
        """
        along = self.way / np.linalg.norm(self.way)
        across = np.cross(along, [0.0, 0.0, 1.0])
        across = across if np.linalg.norm(across) > _STEEP else np.array([1.0, 0.0, 0.0])
        ring = RING_METRES * self.metre
        return self._frame(along, 1.0), self._frame(np.array([0.0, 0.0, 1.0]), ring), self._frame(across, ring)

    def _frame(self, z: Array, size: float) -> Array:
        z = z / np.linalg.norm(z)
        x = np.cross([0.0, 1.0, 0.0] if abs(z[1]) < 0.9 else [1.0, 0.0, 0.0], z)
        x /= np.linalg.norm(x)
        frame = np.eye(4)
        frame[:3, :3] = size * np.column_stack([x, np.cross(z, x), z])
        frame[:3, 3] = self.place
        return frame


def shown(scene: bpy.types.Scene) -> bool:
    """Whether there is a push to be shown: where takes are shot, and nothing is hidden. Cheap enough for drawing."""
    settings = scene_settings(scene)
    looked_at = settings.road.takes and settings.road.overlays
    return bool(looked_at and settings.job_folder and settings.direction.push and settings.binding_json)


def arrow(scene: bpy.types.Scene) -> Arrow | None:
    """The push that is asked for; None where there is none, or no body."""
    if not shown(scene):
        return None
    fields = scene_settings(scene).direction
    track = take_player.track(scene)
    try:
        binding = track.performer.binding if track else stored_avatar.body_and_binding(scene)[1]
    except USER_ERRORS:
        return None
    impulse = np.array(impulse_of(fields, max(fields.push_strength, LEAST)))
    way = matrix_about_z(binding.yaw) @ impulse * METRES_PER_NEWTON_SECOND / binding.scale
    place = _place(binding, fields.push_link, fields.push_at, track)
    if track is not None:
        place = place + way_aside(scene, track.performer)
    return Arrow(place, way, 1.0 / binding.scale)


def _place(binding: Binding, link: str, seconds: float, track: Track | None) -> Array:
    """Where a link's centre of mass is (3,): in the chosen take at that moment, else as the body was built."""
    index = next((i for i, known in enumerate(binding.links) if known.name == link), 0)
    if track is None:
        return np.array(binding.links[index].joint)
    move = track.solid[track.frame(seconds), index]
    place: Array = np.array([*track.performer.body.links[index].centre, 1.0]) @ move
    return place


def length(scene: bpy.types.Scene) -> float:
    """How long the arrow is, in world units."""
    found = arrow(scene)
    return found.length if found else 0.0


def set_length(scene: bpy.types.Scene, length: float) -> None:
    """Push so hard that the arrow is so long."""
    found = arrow(scene)
    if found is not None:
        strength = max(length, 0.0) / (METRES_PER_NEWTON_SECOND * found.metre)
        scene_settings(scene).direction.push_strength = strength
