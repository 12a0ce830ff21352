# SPDX-License-Identifier: GPL-3.0-or-later
"""A scene's own units: how many frames are a second, and how long a unit is."""

from __future__ import annotations

import bpy


def scene_rate(scene: bpy.types.Scene) -> float:
    """The scene's frames per second."""
    return scene.render.fps / scene.render.fps_base


def metres(scene: bpy.types.Scene) -> float:
    """How long a unit of a scene is, in metres."""
    return 1.0 if scene.unit_settings.system == "NONE" else float(scene.unit_settings.scale_length)
