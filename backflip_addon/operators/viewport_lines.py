# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines for the viewport, worked out once a change and kept until the next; the reference's own in a thread."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import bpy
import numpy as np

from .. import compat
from ..core.arrays import Array
from ..core.measures.overview import Overview, overview
from ..core.motion import Motion
from ..core.worked_out import WorkedOut
from ..registration import persistent
from ..scene import overlay, stored_avatar, stored_reference
from ..scene.stored_reference import Asked
from ..settings import BackflipSettings, scene_settings
from . import background_work
from .base import USER_ERRORS

# The body over the character, the reference, its centre of mass, where free fall would take that; and of the
# reference as it was before it was mended, itself and its centre of mass
Kind = Literal["body", "ghost", "path", "fall", "before", "path_before"]
Lines = dict[Kind, Array]  # world segments (N, 2, 3) of each kind that is shown


@dataclasses.dataclass(frozen=True)
class _Shown:
    """A reference, and what is to be seen of it; before: as it was before it was mended, None where it was not."""

    asked: Asked
    motion: Motion
    seen: Overview
    before: _Shown | None = None


@dataclasses.dataclass
class _Kept:
    stale: bool = True
    version: int = 0
    asked: tuple[Any, ...] = ()  # the scene and the settings that were drawn
    lines: Lines = dataclasses.field(default_factory=dict)
    reference: Overview | None = None
    shown: _Shown | None = None  # the latest reference


def _look(asked: Asked) -> _Shown:
    """Make a reference, and look at it; knows nothing of Blender. Raises StateError."""
    motion = stored_reference.finished(asked)
    before = _look(asked.unmended()) if asked.mended else None
    return _Shown(asked, motion, overview(asked.body, motion), before)


_kept = _Kept()
_looks = WorkedOut(_look)


def lines(scene: bpy.types.Scene) -> tuple[int, Lines]:
    """A number that changes with the lines, and the lines."""
    settings = scene_settings(scene)
    road = settings.road
    asked: tuple[Any, ...] = (scene.name, settings.show_body, settings.show_ghost, settings.start_frame)
    asked += (road.avatar, road.reference, road.train, road.overlays, road.path, road.before, _plays(scene))
    asked += (settings.trim_start, settings.trim_end, settings.time_scale, settings.loops, settings.cycles)
    asked += (settings.physical_flights, settings.physical_footing, settings.upright, settings.grounded)
    asked += (settings.reference_label, settings.reference_seconds, settings.body_mass, settings.body_height)
    if _kept.stale or _kept.asked != asked:
        _kept.stale, _kept.asked = False, asked
        _kept.version += 1
        _kept.reference = None
        _kept.lines = {kind: some for kind, some in (_body(scene) | _ghost(scene)).items() if len(some)}
    return _kept.version, _kept.lines


def contacts(scene: bpy.types.Scene) -> tuple[Overview, float] | None:
    """What touches the floor in the reference, and how far along it the current frame is, 0 to 1 within it.

    None where it is not to be shown.
    """
    settings = scene_settings(scene)
    lines(scene)
    seen = _kept.reference
    if seen is None or not (settings.road.contacts and settings.road.reference):
        return None
    return seen, overlay.seconds_of(scene, settings.start_frame) / max(seen.seconds, 1e-6)


def _plays(scene: bpy.types.Scene) -> bool:
    """Whether a take plays where the ghost would be, and its step is not the open one."""
    settings = scene_settings(scene)
    return settings.show_take and bool(len(settings.takes)) and not settings.road.reference


def _wanted(settings: BackflipSettings) -> bool:
    """Whether the reference is to be shown."""
    open_step = settings.road.reference or settings.road.train
    return bool(settings.show_ghost and settings.road.overlays and open_step and settings.reference_data)


def _body(scene: bpy.types.Scene) -> Lines:
    settings = scene_settings(scene)
    if not (settings.show_body and settings.body_json and settings.road.avatar and settings.road.overlays):
        return {}
    try:
        return {"body": overlay.body_lines(stored_avatar.avatar(scene), *stored_avatar.body_and_binding(scene))}
    except USER_ERRORS:
        return {}  # the panel says what is wrong


def _ghost(scene: bpy.types.Scene) -> Lines:
    settings = scene_settings(scene)
    if not _wanted(settings):
        return {}
    found: Lines = {}
    try:
        shown = _reference(scene)  # where a take plays in its place, too: a training asks for it next
        if shown is None or _plays(scene):
            return {}
        _kept.reference = shown.seen
        found["ghost"], found["path"] = _lines_of(scene, shown)
        if settings.road.path:
            found["fall"] = overlay.fall_lines(stored_avatar.body_and_binding(scene)[1], shown.seen)
        if shown.before is not None and settings.road.before and settings.road.reference:
            found["before"], found["path_before"] = _lines_of(scene, shown.before)
    except USER_ERRORS:
        return {}
    return found


def _reference(scene: bpy.types.Scene) -> _Shown | None:
    """The scene's reference; while it is worked out what was shown of the same clip before, None for nothing."""
    asked = stored_reference.asked(scene)
    shown = background_work.ask(_looks, _done, asked)
    if shown is not None:
        _kept.shown = shown
    elif _kept.shown is not None and (_kept.shown.asked.text, _kept.shown.asked.body) != (asked.text, asked.body):
        _kept.shown = None
    return _kept.shown


def _lines_of(scene: bpy.types.Scene, shown: _Shown) -> tuple[Array, Array]:
    """The lines of a motion at the current frame, and those of its centre of mass, none where they are not wanted."""
    settings = scene_settings(scene)
    body, binding = stored_avatar.body_and_binding(scene)
    ghost = overlay.ghost_lines(scene, body, binding, shown.motion, settings.start_frame)
    if not settings.road.path:
        return ghost, np.zeros((0, 2, 3))
    seconds = overlay.seconds_of(scene, settings.start_frame)
    return ghost, overlay.path_lines(binding, shown.seen, seconds)


def busy(scene: bpy.types.Scene) -> bool:
    """Whether the reference that is to be shown is being worked out."""
    lines(scene)  # a sidebar is drawn before its viewport
    return _looks.busy


@persistent
def _changed(*_args: Any) -> None:
    _kept.stale = True


def _done() -> None:
    _kept.stale = True
    compat.redraw()


_HANDLERS = ("depsgraph_update_post", "frame_change_post", "load_post", "undo_post", "redo_post")


def register() -> None:
    for name in _HANDLERS:
        getattr(bpy.app.handlers, name).append(_changed)


def unregister() -> None:
    for name in _HANDLERS:
        getattr(bpy.app.handlers, name).remove(_changed)
    _kept.stale, _kept.shown = True, None
    _looks.forget()
