# SPDX-License-Identifier: GPL-3.0-or-later
"""The road as the sidebar shows it: what each step holds in one line, and which button is the next to press.

On Ctrl+Z what is looked at stays open, and where another button comes next its step opens. An undo step holds the
panels as they were when it was made: they have been opened and folded since.
"""

from __future__ import annotations

from typing import Any

import bpy
from bpy.app.translations import pgettext_iface as translated

from ..core import findings
from ..registration import add_handlers, persistent, remove_handlers
from ..runtime.status import STATUS
from ..scene import stored_avatar
from ..settings import BackflipSettings, scene_settings
from ..settings.road import STEPS, turn_to
from . import job_monitor, reference_notes
from .base import need_avatar, need_body, need_reference, what_is_missing

_STATES = {
    "starting": "starting",
    "paused": "paused",
    "failed": "failed",
    "died": "ended early",
    "unreadable": "not found",
    "stopped": "stopped",
}
_STEP_OF = {
    "backflip.try_it": "avatar",
    "backflip.build_body": "avatar",
    "backflip.use_clip": "reference",
    "backflip.reference_from_video": "reference",
    "backflip.start_training": "train",
    "backflip.bake_take": "bake",
    "screen.animation_play": "bake",
}

_panels_before: dict[int, tuple[list[str], str]] = {}  # a scene's session_uid -> its open steps, and what came next


def held(scene: bpy.types.Scene, step: str) -> str:
    """What a step holds, in a line: "Mannequin, 1.75 m, 67 kg"; "" for nothing yet. Cheap enough for drawing.

    step: one of settings.road.STEPS.
    """
    return _HELD[step](scene)


def amiss(scene: bpy.types.Scene, step: str) -> bool:
    """Whether a step holds what should be looked at before the next one, which a folded step hides. Cheap."""
    settings = scene_settings(scene)
    reference_notes.look_soon(scene)
    return step == "reference" and bool(settings.reference_problem or findings.odd(settings.reference_notes))


def of_another(scene: bpy.types.Scene) -> str:
    """That the takes are not those of the avatar and the clip that are chosen now; "" where they are. Cheap."""
    if not len(scene_settings(scene).takes):
        return ""
    if other := job_monitor.other_avatar(scene):
        return f"These takes belong to {other}: make it the avatar (step 1), or start a new training (step 3)."
    if other := job_monitor.other_clip(scene):
        return f"These takes imitate {other}: choose it again (step 2), or start a new training (step 3)."
    return ""


def _avatar(scene: bpy.types.Scene) -> str:
    settings, avatar = scene_settings(scene), stored_avatar.present(scene)
    if avatar is None:
        return ""
    body = f", {settings.body_height:.2f} m, {settings.body_mass:.0f} kg" if settings.body_json else ""
    return f"{avatar.name}{body}"


def _reference(scene: bpy.types.Scene) -> str:
    settings = scene_settings(scene)
    seconds = f", {_reference_seconds(settings):.1f} s" if settings.reference_data else ""
    return f"{settings.reference_label}{seconds}" if settings.reference_label else ""


def _reference_seconds(settings: BackflipSettings) -> float:
    """How long what is to be imitated takes: the part of the clip, at its speed, as often as it is performed."""
    end = min(settings.trim_end or settings.reference_seconds, settings.reference_seconds)
    once = max(end - settings.trim_start, 0.0) * settings.time_scale
    return once * (settings.cycles if settings.loops else 1)


def _train(scene: bpy.types.Scene) -> str:
    status = job_monitor.status_of(scene)
    if status is None:
        return ""
    if status.state == "running":  # a run that only shoots has no share of a training to tell
        return f"{status.progress:.0%}" if status.progress else translated("at work")
    if status.landed and status.state in ("finished", "stopped"):
        return translated("landed")
    return translated(_STATES.get(status.state, "ended" if status.state == "finished" else ""))


def _takes(scene: bpy.types.Scene) -> str:
    count, landed, _clean = job_monitor.counts(scene)
    return translated("{}, {} landed").format(count, landed) if count else ""


def _bake(scene: bpy.types.Scene) -> str:
    settings = scene_settings(scene)
    if not settings.baked_last:
        return ""
    return translated("frames {} to {}").format(settings.baked_first, settings.baked_last)


_HELD = {"avatar": _avatar, "reference": _reference, "train": _train, "takes": _takes, "bake": _bake}


def next_press(scene: bpy.types.Scene) -> str:
    """The operator whose button is to be pressed next, "" while there is nothing to do but wait. Cheap."""
    settings, status = scene_settings(scene), job_monitor.status_of(scene)
    if not STATUS.ready:
        return "backflip.install_runtime" if STATUS.work is None else ""
    if what_is_missing(scene, need_avatar):
        return "backflip.try_it"
    if status is not None and status.active and not settings.baked_last:
        return "backflip.bake_take" if status.landed else ""
    if what_is_missing(scene, need_body):
        return "backflip.build_body"
    if what_is_missing(scene, need_reference):
        return "backflip.reference_from_video" if settings.video.path else "backflip.use_clip"
    at_work = status is not None and status.active
    if not len(settings.takes) or of_another(scene) and not at_work:
        return "backflip.start_training"
    return "screen.animation_play" if settings.baked_last else "backflip.bake_take"


@persistent
def _before_undo(*_args: Any) -> None:
    for scene in bpy.data.scenes:
        opened = [step for step in STEPS if getattr(scene_settings(scene).road, step)]
        _panels_before[scene.session_uid] = opened, next_press(scene)


@persistent
def _after_undo(*_args: Any) -> None:
    for scene in bpy.data.scenes:
        if scene.session_uid in _panels_before:
            opened, came_next = _panels_before[scene.session_uid]
            comes_next = next_press(scene)
            step = _STEP_OF.get(comes_next) if comes_next != came_next else None
            turn_to(scene_settings(scene), *([step] if step else opened))
    _panels_before.clear()


_HANDLERS = {"undo_pre": _before_undo, "redo_pre": _before_undo, "undo_post": _after_undo, "redo_post": _after_undo}


def register() -> None:
    add_handlers(_HANDLERS)


def unregister() -> None:
    remove_handlers(_HANDLERS)
    _panels_before.clear()
