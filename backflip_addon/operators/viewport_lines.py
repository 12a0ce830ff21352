# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines for the viewport, worked out once a change and kept until the next."""

from __future__ import annotations

import dataclasses
from typing import Any

import bpy
import numpy as np

from ..core.arrays import Array
from ..registration import persistent
from ..scene import overlay, stored_avatar, stored_reference
from ..settings import scene_settings
from .base import USER_ERRORS

NOTHING: Array = np.zeros((0, 2, 3))


@dataclasses.dataclass
class _Kept:
    stale: bool = True
    version: int = 0
    asked: tuple[Any, ...] = ()  # the scene and the settings that were drawn
    body: Array = dataclasses.field(default_factory=lambda: NOTHING)
    ghost: Array = dataclasses.field(default_factory=lambda: NOTHING)


_kept = _Kept()


def lines(scene: bpy.types.Scene) -> tuple[int, Array, Array]:
    """A number that changes with the lines, and world segments (N, 2, 3) of body and ghost."""
    settings = scene_settings(scene)
    road = settings.road
    asked: tuple[Any, ...] = (scene.name, settings.show_body, settings.show_ghost, settings.start_frame)
    asked += (road.avatar, road.reference, road.train, road.overlays, _plays(scene))
    asked += (settings.trim_start, settings.trim_end, settings.time_scale)
    asked += (settings.physical_flights, settings.physical_footing, settings.upright, settings.grounded)
    if _kept.stale or _kept.asked != asked:
        _kept.stale, _kept.asked = False, asked
        _kept.version += 1
        _kept.body, _kept.ghost = _body(scene), _ghost(scene)
    return _kept.version, _kept.body, _kept.ghost


def _plays(scene: bpy.types.Scene) -> bool:
    """Whether a take plays where the ghost would be, and its step is not the open one."""
    settings = scene_settings(scene)
    return settings.show_take and bool(len(settings.takes)) and not settings.road.reference


def _body(scene: bpy.types.Scene) -> Array:
    settings = scene_settings(scene)
    if not (settings.show_body and settings.body_json and settings.road.avatar and settings.road.overlays):
        return NOTHING
    try:
        return overlay.body_lines(stored_avatar.avatar(scene), *stored_avatar.body_and_binding(scene))
    except USER_ERRORS:
        return NOTHING  # the panel says what is wrong


def _ghost(scene: bpy.types.Scene) -> Array:
    settings = scene_settings(scene)
    wanted = settings.show_ghost and settings.road.overlays and (settings.road.reference or settings.road.train)
    if not (wanted and settings.reference_data) or _plays(scene):
        return NOTHING
    try:
        body, binding = stored_avatar.body_and_binding(scene)
        return overlay.ghost_lines(scene, body, binding, stored_reference.reference(scene), settings.start_frame)
    except USER_ERRORS:
        return NOTHING


@persistent
def _changed(*_args: Any) -> None:
    _kept.stale = True


_HANDLERS = ("depsgraph_update_post", "frame_change_post", "load_post", "undo_post", "redo_post")


def register() -> None:
    for name in _HANDLERS:
        getattr(bpy.app.handlers, name).append(_changed)


def unregister() -> None:
    for name in _HANDLERS:
        getattr(bpy.app.handlers, name).remove(_changed)
    _kept.stale = True
