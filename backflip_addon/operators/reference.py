# SPDX-License-Identifier: GPL-3.0-or-later
"""Step 2: a clip to imitate."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import bpy
from bpy.props import StringProperty

from ..core import clipcheck, strength
from ..core.body import Body
from ..core.motion import Motion
from ..core.rig import RigError
from ..scene import reference as clips
from ..scene import state
from ..scene.actions import ActionError
from ..scene.files import CLIP_SUFFIXES, FileError
from ..scene.reference import Source
from .common import INTERNAL, FileStep, Step, need_body, need_object_mode, need_reference


def use_file(scene: bpy.types.Scene, filepath: str, action: str = "") -> str:
    """Take a file's clip for the reference; returns what to tell the user. Raises FileError, RigError."""
    path = Path(bpy.path.abspath(filepath))
    if path.suffix.lower() not in CLIP_SUFFIXES:
        kinds = ", ".join(suffix[1:].upper() for suffix in CLIP_SUFFIXES)
        raise FileError(f"{path.name or 'That'} is no clip this add-on can read: choose one of {kinds}.")
    if path.suffix.lower() not in clips.READ_HERE:
        source, names = clips.import_source(filepath, action)
        use_source(scene, source)
        others = [name for name in names if name != source.action.name]
        return f"{source.action.name} is the reference." + (f" Others: {', '.join(others)}." if others else "")
    if not path.is_file():
        raise FileError(f"{path} does not exist: choose another file.")
    body, _binding = state.body_and_binding(scene)
    _keep(scene, clips.read_file(path, body), body, kind="FILE", label=path.name, file=filepath)
    return f"{path.name} is the reference."


def use_source(scene: bpy.types.Scene, source: Source) -> None:
    """Take an armature's action for the reference. Raises ActionError or RigError."""
    body, _binding = state.body_and_binding(scene)
    motion = read_source(scene, source)
    _keep(scene, motion, body, kind="ACTION", label=source.action.name, source=source)


def read_source(scene: bpy.types.Scene, source: Source) -> Motion:
    """An action on the avatar's body."""
    body, binding = state.body_and_binding(scene)
    own = (state.role_map(scene), binding) if source.armature == scene.backflip.avatar else None
    try:
        return clips.read_source(scene, source, body, own)
    except ValueError as error:
        raise ActionError(str(error)) from error


def read_again(scene: bpy.types.Scene) -> str:
    """Put the reference on the body that was just built; returns a warning, "" for none."""
    settings = scene.backflip
    if not settings.reference_kind:
        return ""
    body, _binding = state.body_and_binding(scene)
    try:
        if settings.reference_kind == "FILE":
            motion = clips.read_file(Path(bpy.path.abspath(settings.reference_file)), body)
        else:
            if settings.reference_object is None:
                raise ActionError("its armature has been deleted.")
            source = clips.named_source(
                settings.reference_object, settings.reference_action, settings.reference_slot
            )
            motion = read_source(scene, source)
    except (FileError, ActionError, RigError) as error:
        state.forget_reference(scene)
        return f"The reference could not be read again, choose it anew: {error}"
    state.set_reference(scene, motion, _open_notes(scene, motion, body))
    return ""


def notes(motion: Motion, body: Body) -> list[dict[str, Any]]:
    """What seems odd about a clip: code, sentence, and the settings that would mend it."""
    return [dataclasses.asdict(finding) for finding in clipcheck.inspect(motion, body) + strength.check(motion, body)]


def _open_notes(scene: bpy.types.Scene, motion: Motion, body: Body) -> list[dict[str, Any]]:
    """The notes on a clip, less the offer of a loop that has been taken."""
    return [note for note in notes(motion, body) if not (scene.backflip.loops and "loops" in note["fix"])]


def apply_fix(scene: bpy.types.Scene, code: str) -> None:
    """Set what a note offers. Raises ActionError when there is no such note or nothing to set."""
    settings = scene.backflip
    fix = next((note["fix"] for note in clipcheck.kept_notes(settings.reference_notes) if note["code"] == code), {})
    if not _FIXABLE & fix.keys():
        raise ActionError("There is nothing to mend here.")
    settings.time_scale *= float(fix.get("time_scale", 1.0))
    settings.trim_start = max(settings.trim_start, float(fix.get("start", 0.0)))
    settings.loops = bool(fix.get("loops", settings.loops))
    settings.physical_flights = bool(fix.get("physical_flights", settings.physical_flights))
    body, _binding = state.body_and_binding(scene)
    settings.reference_notes = json.dumps(_open_notes(scene, state.reference(scene), body))


_FIXABLE = {"time_scale", "start", "loops", "physical_flights"}  # every clip is put on the floor as it is


def _keep(
    scene: bpy.types.Scene, motion: Motion, body: Body, *, kind: str, label: str, file: str = "", source: Any = None
) -> None:
    settings = scene.backflip
    state.set_reference(scene, motion, notes(motion, body))
    settings.reference_kind, settings.reference_label, settings.reference_file = kind, label, file
    if source is not None:
        settings.reference_object = source.armature
        settings.reference_action = source.action.name
        settings.reference_slot = source.slot.identifier
    settings.trim_start, settings.trim_end, settings.time_scale = 0.0, 0.0, 1.0
    settings.loops, settings.physical_flights = False, False


class ImportReference(FileStep, bpy.types.Operator):
    """Import a clip to imitate (BVH, FBX, glTF, VRMA, AMASS or SMPL, DeepMimic, MimicKit)"""

    bl_idname = "backflip.import_reference"
    bl_label = "Import Clip"
    bl_options = {"REGISTER", "UNDO"}
    needs = (need_body, need_object_mode)
    suffixes = CLIP_SUFFIXES

    action: StringProperty(
        name="Action", description="Which action of a file with several; the longest when empty", options={"SKIP_SAVE"}
    )

    def run(self, context: bpy.types.Context) -> None:
        self.report({"INFO"}, use_file(context.scene, self.filepath, self.action))
        settings = context.scene.backflip
        self.action = settings.reference_action if settings.reference_kind == "ACTION" else ""


class ReferenceFromAction(Step, bpy.types.Operator):
    """Imitate an action: of the avatar itself, or of any armature of this file"""

    bl_idname = "backflip.reference_from_action"
    bl_label = "Use Action"
    bl_options = {"REGISTER", "UNDO"}
    needs = (need_body, need_object_mode)

    armature: StringProperty(
        name="Armature", description="Object that the action moves; the avatar when empty", options={"SKIP_SAVE"}
    )
    action: StringProperty(
        name="Action", description="Name of the action; the one the armature plays when empty", options={"SKIP_SAVE"}
    )
    slot: StringProperty(name="Slot", description="The best one when empty", options=INTERNAL)

    def run(self, context: bpy.types.Context) -> None:
        ob = bpy.data.objects.get(self.armature) if self.armature else state.avatar(context.scene)
        if ob is None or ob.type != "ARMATURE":
            raise ActionError(f"There is no armature called {self.armature} in this file.")
        source = clips.named_source(ob, self.action, self.slot)
        use_source(context.scene, source)
        self.armature, self.action, self.slot = ob.name, source.action.name, source.slot.identifier


class UseReferenceSettings(Step, bpy.types.Operator):
    """Imitate the action chosen above"""

    bl_idname = "backflip.use_chosen_action"
    bl_label = "Use Action"
    bl_options = {"REGISTER", "UNDO"}
    needs = (need_body, need_object_mode)

    def run(self, context: bpy.types.Context) -> None:
        settings = context.scene.backflip
        ob = settings.reference_object or state.avatar(context.scene)
        use_source(context.scene, clips.named_source(ob, settings.reference_action))


class ApplyFix(Step, bpy.types.Operator):
    """Change the clip's settings as the note offers"""

    bl_idname = "backflip.apply_fix"
    bl_label = "Mend"
    bl_options = {"REGISTER", "UNDO"}
    needs = (need_reference, need_body)

    code: StringProperty(name="Note", options=INTERNAL)

    def run(self, context: bpy.types.Context) -> None:
        apply_fix(context.scene, self.code)


class ClearReference(Step, bpy.types.Operator):
    """Forget the reference; files and actions stay"""

    bl_idname = "backflip.clear_reference"
    bl_label = "Clear Reference"
    bl_options = {"REGISTER", "UNDO"}
    needs = (need_reference,)

    def run(self, context: bpy.types.Context) -> None:
        state.forget_reference(context.scene)


CLASSES = (ImportReference, ReferenceFromAction, UseReferenceSettings, ApplyFix, ClearReference)
