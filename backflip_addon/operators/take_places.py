# SPDX-License-Identifier: GPL-3.0-or-later
"""Where takes are shown: in the character's place, side by side, and beside the character while it learns."""

from __future__ import annotations

import bpy

from ..core.arrays import Array
from ..core.rotations import matrix_about_z
from ..settings import scene_settings
from . import job_monitor
from .take_tracks import Performer

SPACING = 0.9  # body heights from one place to the next


def way_aside(scene: bpy.types.Scene, performer: Performer, colour: int = 0) -> Array:
    """The way (3,) from where a take was performed to where it is shown, to the character's left, world.

    colour: as take_player.Figure has it. While a training is at work its takes leave the character its place; of the
    takes in a row the reference stands on the other side.
    """
    in_a_row = scene_settings(scene).browser.layout == "beside"
    status = job_monitor.status_of(scene)
    learns = status is not None and status.active and not (in_a_row and colour < 0)
    places = (colour if in_a_row else 0) + (1 if learns else 0)
    left: Array = matrix_about_z(performer.binding.yaw)[:, 0]
    return places * SPACING * performer.body.height / performer.binding.scale * left
