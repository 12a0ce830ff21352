# SPDX-License-Identifier: GPL-3.0-or-later
"""Ctrl+Z and the steps' panels: what is looked at stays open, and where another button comes next its step opens.

An undo step holds the panels as they were when it was made: they have been opened and folded since.
"""

from __future__ import annotations

from typing import Any

import bpy

from ..registration import add_handlers, persistent, remove_handlers
from ..settings import scene_settings
from ..settings.road import STEPS, turn_to
from . import road

_STEP_OF = {
    "backflip.try_it": "avatar",
    "backflip.build_body": "avatar",
    "backflip.use_clip": "reference",
    "backflip.reference_from_video": "reference",
    "backflip.start_training": "train",
    "backflip.bake_take": "bake",
    "screen.animation_play": "bake",
}

_before: dict[int, tuple[list[str], str]] = {}  # a scene's session_uid -> its open steps, and what came next


@persistent
def _before_undo(*_args: Any) -> None:
    for scene in bpy.data.scenes:
        opened = [step for step in STEPS if getattr(scene_settings(scene).road, step)]
        _before[scene.session_uid] = opened, road.next_press(scene)


@persistent
def _after_undo(*_args: Any) -> None:
    for scene in bpy.data.scenes:
        if scene.session_uid in _before:
            opened, came_next = _before[scene.session_uid]
            comes_next = road.next_press(scene)
            step = _STEP_OF.get(comes_next) if comes_next != came_next else None
            turn_to(scene_settings(scene), *([step] if step else opened))
    _before.clear()


_HANDLERS = {"undo_pre": _before_undo, "redo_pre": _before_undo, "undo_post": _after_undo, "redo_post": _after_undo}


def register() -> None:
    add_handlers(_HANDLERS)


def unregister() -> None:
    remove_handlers(_HANDLERS)
    _before.clear()
