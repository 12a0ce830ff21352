# SPDX-License-Identifier: GPL-3.0-or-later
"""Where takes are shown: beside the character, in a row where they are compared, in its place with the timeline."""

from __future__ import annotations

import bpy

from ..core.arrays import Array
from ..core.rotations import matrix_about_z
from ..settings import scene_settings
from .take_tracks import Performer

SPACING = 0.9  # body heights from one place to the next


def way_aside(scene: bpy.types.Scene, performer: Performer, colour: int = 0) -> Array:
    """The way (3,) from where a take was performed to where it is shown, to the character's left, world.

    colour: as take_player.Figure has it. Of takes in a row the reference stands on the character's other side.
    """
    browser = scene_settings(scene).browser
    in_a_row = browser.layout == "beside"
    aside = not browser.timeline and not (in_a_row and colour < 0)
    places = (colour if in_a_row else 0) + (1 if aside else 0)
    left: Array = matrix_about_z(performer.binding.yaw)[:, 0]
    return places * SPACING * performer.body.height / performer.binding.scale * left
