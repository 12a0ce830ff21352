# SPDX-License-Identifier: GPL-3.0-or-later
"""What seems odd about a clip: looked for when it was read or mended, in a thread where there is a window."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import bpy

from .. import compat
from ..core import findings
from ..core.clips import inspection
from ..core.motions import footing, strength
from ..core.worked_out import WorkedOut
from ..scene import stored_reference
from ..scene.stored_reference import Asked
from ..settings import scene_settings
from . import background_work
from .base import USER_ERRORS, guess_sentence

SWITCHES = {"loops", "physical_flights", "physical_footing", "upright", "grounded"}


def look(scene: bpy.types.Scene) -> None:
    """Look for what is odd in what is made of the clip; the scene has it then, or soon. Raises StateError."""
    scene_settings(scene).notes_due = "REFERENCE"
    found = background_work.ask(_notes, _go_on, stored_reference.asked(scene))
    if found is not None:
        _keep(scene, found)


def look_again(scene: bpy.types.Scene) -> None:
    """look(); of a clip of which nothing is left that is said."""
    try:
        look(scene)
    except USER_ERRORS as error:
        _keep(scene, [dataclasses.asdict(findings.Finding("nothing_left", str(error)))])


def guesses(scene: bpy.types.Scene) -> list[findings.Finding]:
    """That body parts of the clip were guessed, if any were."""
    sentence = guess_sentence(scene_settings(scene).clip_roles, "clip")
    return [findings.Finding("guessed_map", sentence, {"certain": True})] if sentence else []


def kept(scene: bpy.types.Scene) -> list[dict[str, Any]]:
    """The notes on the scene's clip; those that are not there yet are waited for. Raises StateError."""
    settings = scene_settings(scene)
    if settings.notes_due:
        _keep(scene, _notes.at_once(stored_reference.asked(scene)))
    return findings.kept_notes(settings.reference_notes)


def _noted(asked: Asked) -> list[dict[str, Any]]:
    """What seems odd about a clip: code, sentence, and the settings that would mend it; knows nothing of Blender.

    What is made physical shows its rate no more.
    """
    motion, body = stored_reference.finished(asked), asked.body
    found = inspection.inspect(stored_reference.part(asked), body)
    found += strength.check(motion, body) + footing.check(motion, body)
    noted = [dataclasses.asdict(finding) for finding in found]
    for fix in [note["fix"] for note in noted]:  # From and To are seconds of the whole clip
        fix |= {name: asked.start + fix[name] / asked.time_scale for name in ("start", "end") if name in fix}
    return noted


_notes = WorkedOut(_noted)


def _keep(scene: bpy.types.Scene, found: list[dict[str, Any]]) -> None:
    """Keep the notes on a clip and on its map; what is set already is not offered."""
    settings = scene_settings(scene)
    kept = [dataclasses.asdict(finding) for finding in guesses(scene)]
    taken = {name for name in SWITCHES if getattr(settings, name)}
    if settings.physical_footing:
        taken.add("physical_flights")
    for note in found:
        if not taken & note["fix"].keys():
            kept.append(note)
        elif "loops" not in note["fix"]:
            kept.append(note | {"fix": {}})
    settings.reference_notes, settings.notes_due = json.dumps(kept), ""


def look_soon(scene: bpy.types.Scene) -> None:
    """Have notes looked for that are still to come, such as after a setting or an undone step. Cheap."""
    if scene_settings(scene).notes_due:
        background_work.call_later(_notes, _go_on)


def _go_on() -> None:
    """Look at what is still to be looked at, in any scene."""
    for scene in bpy.data.scenes if not background_work.waits() else ():
        if scene.library is None and scene_settings(scene).notes_due:
            look_again(scene)
            compat.redraw(sidebar_alone=True)


def unregister() -> None:
    _notes.forget()
