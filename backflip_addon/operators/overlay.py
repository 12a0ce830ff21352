# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines for the viewport, worked out once a change and kept until the next."""

from __future__ import annotations

import dataclasses
from typing import Any

import bpy
import numpy as np
from bpy.app.handlers import persistent

from ..core.rotations import Array
from ..scene import overlay, state
from .common import USER_ERRORS

NOTHING: Array = np.zeros((0, 2, 3))


@dataclasses.dataclass
class _Kept:
    stale: bool = True
    version: int = 0
    scene: str = ""
    body: Array = dataclasses.field(default_factory=lambda: NOTHING)
    ghost: Array = dataclasses.field(default_factory=lambda: NOTHING)


_kept = _Kept()


def lines(scene: bpy.types.Scene) -> tuple[int, Array, Array]:
    """A number that changes with the lines, and world segments (N, 2, 3) of body and ghost."""
    if _kept.stale or _kept.scene != scene.name:
        _kept.stale, _kept.scene = False, scene.name
        _kept.version += 1
        _kept.body, _kept.ghost = _body(scene), _ghost(scene)
    return _kept.version, _kept.body, _kept.ghost


def _body(scene: bpy.types.Scene) -> Array:
    settings = scene.backflip
    if not (settings.show_body and settings.body_json):
        return NOTHING
    try:
        return overlay.body_lines(state.avatar(scene), *state.body_and_binding(scene))
    except USER_ERRORS:
        return NOTHING  # the panel says what is wrong


def _ghost(scene: bpy.types.Scene) -> Array:
    settings = scene.backflip
    if not (settings.show_ghost and settings.reference_data):
        return NOTHING
    try:
        body, binding = state.body_and_binding(scene)
        return overlay.ghost_lines(scene, body, binding, state.reference(scene), settings.start_frame)
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
