# SPDX-License-Identifier: GPL-3.0-or-later
"""What seems odd about a clip: looked for when it was read or mended, in a thread where there is a window."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Literal

import bpy

from .. import compat
from ..core import findings
from ..core.body import Body
from ..core.clips import inspection
from ..core.motion import Motion
from ..core.motions import footing, strength
from ..core.worked_out import WorkedOut
from ..registration import persistent
from ..scene import stored_avatar, stored_reference
from ..scene.stored_reference import Asked
from ..settings import scene_settings
from . import background_work
from .base import USER_ERRORS, guess_sentence

Due = Literal["", "CLIP", "REFERENCE"]  # what is still to be looked at: nothing, the whole clip, what is made of it


def notes(motion: Motion, body: Body) -> list[dict[str, Any]]:
    """What seems odd about a clip: code, sentence, and the settings that would mend it."""
    found = inspection.inspect(motion, body) + strength.check(motion, body) + footing.check(motion, body)
    return [dataclasses.asdict(finding) for finding in found]


def look(scene: bpy.types.Scene, at: Due) -> None:
    """Look for what is odd, at the whole clip as it was read or at what is made of it; the scene has it then, or soon.

    Raises StateError.
    """
    settings = scene_settings(scene)
    settings.reference_notes, settings.notes_due = "", at
    _look_on(scene)


def guesses(scene: bpy.types.Scene) -> list[findings.Finding]:
    """That body parts of the clip were guessed, if any were."""
    sentence = guess_sentence(scene_settings(scene).clip_roles, "clip")
    return [findings.Finding("guessed_map", sentence, {"certain": True})] if sentence else []


def kept(scene: bpy.types.Scene) -> list[dict[str, Any]]:
    """The notes on the scene's clip; those that are not there yet are waited for. Raises StateError."""
    settings = scene_settings(scene)
    if settings.notes_due:
        _keep(scene, _notes.at_once(*_question(scene)))
    return findings.kept_notes(settings.reference_notes)


def _noted(text: str, asked: Asked | None, body: Body) -> list[dict[str, Any]]:
    """The notes on a clip as it was read, where it is not asked for anything else; knows nothing of Blender."""
    return notes(stored_reference.whole_clip(text) if asked is None else stored_reference.finished(asked), body)


_notes = WorkedOut(_noted)


def _question(scene: bpy.types.Scene) -> tuple[str, Asked | None, Body]:
    settings = scene_settings(scene)
    asked = stored_reference.asked(scene) if settings.notes_due == "REFERENCE" else None
    return settings.reference_data, asked, stored_avatar.body_and_binding(scene)[0]


def _look_on(scene: bpy.types.Scene) -> None:
    found = background_work.ask(_notes, _go_on, *_question(scene))
    if found is not None:
        _keep(scene, found)


def _keep(scene: bpy.types.Scene, found: list[dict[str, Any]]) -> None:
    """Keep the notes on a clip and on its map, less the offer of a loop that has been taken."""
    settings = scene_settings(scene)
    guessed = [dataclasses.asdict(finding) for finding in guesses(scene)]
    open_ones = [note for note in found if not (settings.loops and "loops" in note["fix"])]
    settings.reference_notes, settings.notes_due = json.dumps(guessed + open_ones), ""


@persistent
def _go_on(*_args: Any) -> None:
    """Look at what is still to be looked at, in any scene: a step that was undone may have brought it back."""
    for scene in bpy.data.scenes if not background_work.waits() else ():
        if scene.library is None and scene_settings(scene).notes_due:
            try:
                _look_on(scene)
            except USER_ERRORS:  # the clip or the body is gone meanwhile
                scene_settings(scene).notes_due = ""
            compat.redraw(sidebar_alone=True)


_HANDLERS = ("load_post", "undo_post", "redo_post")


def register() -> None:
    for name in _HANDLERS:
        getattr(bpy.app.handlers, name).append(_go_on)


def unregister() -> None:
    for name in _HANDLERS:
        getattr(bpy.app.handlers, name).remove(_go_on)
    _notes.forget()
