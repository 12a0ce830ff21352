# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines for the viewport, worked out once a change and kept until the next."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ..core.arrays import Array
from ..registration import persistent
from ..scene import overlay, stored_avatar, stored_reference
from ..settings import scene_settings
from . import job_monitor
from .base import USER_ERRORS
from .takes import Shot, read_shot

NOTHING: Array = np.zeros((0, 2, 3))


@dataclasses.dataclass
class _Kept:
    stale: bool = True
    version: int = 0
    asked: tuple[Any, ...] = ()  # the scene and the settings that were drawn
    body: Array = dataclasses.field(default_factory=lambda: NOTHING)
    ghost: Array = dataclasses.field(default_factory=lambda: NOTHING)
    take: Array = dataclasses.field(default_factory=lambda: NOTHING)


_kept = _Kept()


def lines(scene: bpy.types.Scene) -> tuple[int, Array, Array, Array]:
    """A number that changes with the lines, and world segments (N, 2, 3) of body, ghost and chosen take."""
    settings = scene_settings(scene)
    asked: tuple[Any, ...] = (
        scene.name,
        settings.show_body,
        settings.show_ghost,
        settings.show_take,
        settings.start_frame,
    )
    asked += (settings.take_index, len(settings.takes), settings.trim_start, settings.trim_end, settings.time_scale)
    asked += (settings.physical_flights, settings.physical_footing, settings.upright, settings.grounded)
    if _kept.stale or _kept.asked != asked:
        _kept.stale, _kept.asked = False, asked
        _kept.version += 1
        _kept.body, _kept.ghost, _kept.take = _body(scene), _ghost(scene), _take(scene)
    return _kept.version, _kept.body, _kept.ghost, _kept.take


def _body(scene: bpy.types.Scene) -> Array:
    settings = scene_settings(scene)
    if not (settings.show_body and settings.body_json):
        return NOTHING
    try:
        return overlay.body_lines(stored_avatar.avatar(scene), *stored_avatar.body_and_binding(scene))
    except USER_ERRORS:
        return NOTHING  # the panel says what is wrong


def _ghost(scene: bpy.types.Scene) -> Array:
    settings = scene_settings(scene)
    if not (settings.show_ghost and settings.reference_data):
        return NOTHING
    try:
        body, binding = stored_avatar.body_and_binding(scene)
        return overlay.ghost_lines(scene, body, binding, stored_reference.reference(scene), settings.start_frame)
    except USER_ERRORS:
        return NOTHING


def _take(scene: bpy.types.Scene) -> Array:
    settings = scene_settings(scene)
    file = job_monitor.chosen_take(scene) if settings.show_take and settings.job_folder else None
    if file is None:
        return NOTHING
    try:
        shot = _read_shot(scene.name, str(file), file.stat().st_mtime_ns)
    except (OSError, *USER_ERRORS):
        return NOTHING
    return overlay.ghost_lines(scene, shot.body, shot.binding, shot.take.motion, settings.start_frame)


@functools.lru_cache(maxsize=4)
def _read_shot(scene_name: str, file: str, _changed_at: int) -> Shot:
    return read_shot(bpy.data.scenes[scene_name], Path(file))


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
