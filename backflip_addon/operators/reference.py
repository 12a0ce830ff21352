# SPDX-License-Identifier: GPL-3.0-or-later
"""Step 2: a clip to imitate."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import bpy
from bpy.props import IntProperty, StringProperty

from ..core.rigs.strength_presets import preset_at, with_strength
from ..core.slices import Slices
from ..scene import reference_source, stored_avatar, stored_reference
from ..scene.animation.action_slots import ActionError
from ..scene.importing.importer import CLIP_SUFFIXES
from ..settings import BackflipSettings, scene_settings
from ..settings.road import turn_to
from . import bone_map_files, reference_notes
from .base import (
    INTERNAL,
    PATH,
    USER_ERRORS,
    FileStep,
    Returned,
    Step,
    current_scene,
    need_body,
    need_clip,
    need_object_mode,
    need_reference,
)
from .reference_clip import ClipMapError, read_with_map_slices, take_source_slices, use_file_slices
from .reference_notes import SWITCHES, guesses
from .sliced_step import SlicedStep


def apply_fix(scene: bpy.types.Scene, code: str) -> None:
    """Set what a note offers. Raises ActionError when there is no such note or nothing to set."""
    settings = scene_settings(scene)
    fix: dict[str, Any] = next((note["fix"] for note in reference_notes.kept(scene) if note["code"] == code), {})
    new = mended(settings, fix)
    before = [getattr(settings, name) for name in new]
    for item in settings.clip_roles if "certain" in fix else ():
        item.certain = True
    for name, value in new.items():
        if name == "strength":
            _strengthen(scene, value)
        else:
            setattr(settings, name, value)
    if not {"certain", "strength"} & fix.keys() and before == [getattr(settings, name) for name in new]:
        raise ActionError("There is nothing to fix here.")
    reference_notes.look(scene)


def mended(settings: BackflipSettings, fix: dict[str, Any]) -> dict[str, Any]:
    """What a note would have the settings be, by their names."""
    new: dict[str, Any] = {name: bool(fix[name]) for name in fix if name in SWITCHES}
    if preset := preset_at(fix.get("strength", -1)):
        new["strength"] = preset
    if scale := float(fix.get("time_scale", 0.0)):
        new["time_scale"] = settings.time_scale * scale
    if start := float(fix.get("start", 0.0)):
        new["trim_start"] = max(settings.trim_start, start)
    if end := float(fix.get("end", 0.0)):
        new["trim_end"] = min(settings.trim_end or end, end)
    return new


def _strengthen(scene: bpy.types.Scene, preset: str) -> None:
    """Give the body another strength. Nothing else of it is built anew, so that the reference stays as it is."""
    body, binding = stored_avatar.body_and_binding(scene)
    scene_settings(scene).strength = preset
    stored_avatar.set_body(scene, with_strength(body, preset), binding)


class ClipStep(SlicedStep):
    """A step that reads a clip: a refusal that the map is to blame for keeps the clip, and can be undone."""

    def attempt(self, context: bpy.types.Context, work: Callable[[], Returned | None]) -> Returned:
        try:
            done = work() or {"FINISHED"}
        except ClipMapError as error:
            self.report({"ERROR"}, str(error))
            return {"FINISHED"}
        except USER_ERRORS as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        for finding in guesses(current_scene(context)) if "FINISHED" in done else ():
            self.report({"WARNING"}, finding.sentence)
        return done


class ImportReference(FileStep, ClipStep, bpy.types.Operator):
    """Import a clip to imitate (BVH, FBX, glTF, VRMA, AMASS or SMPL, DeepMimic, MimicKit)"""

    bl_idname = "backflip.import_reference"
    bl_label = "Import Clip"
    bl_options = {"REGISTER", "UNDO"}
    needs = (need_body, need_object_mode)
    suffixes = CLIP_SUFFIXES

    character: Annotated[
        str,
        StringProperty(
            name="Character",
            description="Which armature to use from a file with several animated ones",
            options={"SKIP_SAVE"},
        ),
    ]
    action: Annotated[
        str,
        StringProperty(
            name="Action",
            description="Which action to use from a file with several; the longest when empty",
            options={"SKIP_SAVE"},
        ),
    ]
    map_file: Annotated[
        str,
        StringProperty(
            name="Map", description="Bone map of the clip's own skeleton, as Save Map writes it", options=PATH
        ),
    ]

    def slices(self, context: bpy.types.Context) -> Slices[None]:
        role_map = bone_map_files.load(Path(bpy.path.abspath(self.map_file))) if self.map_file else None
        scene = current_scene(context)
        report = yield from use_file_slices(scene, self.filepath, self.action, self.character, role_map)
        self.report({report.level}, report.words)
        settings = scene_settings(scene)
        turn_to(settings, "train")
        self.action = settings.source_action if settings.reference_kind == "ACTION" else ""


class ReferenceFromAction(ClipStep, bpy.types.Operator):
    """Imitate an action of the avatar or of any armature in this file; without an action, its visual motion"""

    bl_idname = "backflip.reference_from_action"
    bl_label = "Use Action"
    bl_options = {"REGISTER", "UNDO"}
    needs = (need_body, need_object_mode)

    armature: Annotated[
        str,
        StringProperty(
            name="Armature",
            description="Armature that the action animates; the avatar when empty",
            options={"SKIP_SAVE"},
        ),
    ]
    action: Annotated[
        str,
        StringProperty(
            name="Action",
            description="Name of the action; the armature's visual motion when empty",
            options={"SKIP_SAVE"},
        ),
    ]
    slot: Annotated[str, StringProperty(name="Slot", description="The armature's own when empty", options=INTERNAL)]
    first: Annotated[
        int,
        IntProperty(
            name="First", description="First frame of the visual motion; 0 and 0 use the keyed range", options=INTERNAL
        ),
    ]
    last: Annotated[int, IntProperty(name="Last", description="Last frame of the visual motion", options=INTERNAL)]

    def slices(self, context: bpy.types.Context) -> Slices[None]:
        ob = bpy.data.objects.get(self.armature) if self.armature else stored_avatar.avatar(current_scene(context))
        if ob is None or ob.type != "ARMATURE":
            raise ActionError(f"There is no armature called {self.armature} in this file.")
        frames = (self.first, self.last) if self.first or self.last else None
        if frames and self.action:
            raise ActionError("An action has its own frames: leave out the action, or the frames.")
        source = reference_source.named_source(ob, self.action, self.slot, frames)
        report = yield from take_source_slices(current_scene(context), source)
        self.report({report.level}, report.words)
        settings = scene_settings(current_scene(context))
        self.armature, self.action, self.slot = ob.name, settings.source_action, settings.source_slot


class UseReferenceSettings(ClipStep, bpy.types.Operator):
    """Imitate the action chosen above; without one, the armature's visual motion, whatever causes it"""

    bl_idname = "backflip.use_chosen_action"
    bl_label = "Use Action"
    bl_options = {"REGISTER", "UNDO"}
    needs = (need_body, need_object_mode)

    def slices(self, context: bpy.types.Context) -> Slices[None]:
        settings = scene_settings(current_scene(context))
        ob = settings.reference_object or stored_avatar.avatar(current_scene(context))
        frames = (settings.frames_first, settings.frames_last) if settings.use_frames else None
        action = settings.reference_action
        source = reference_source.named_source(ob, action, settings.reference_slot, None if action else frames)
        report = yield from take_source_slices(current_scene(context), source)
        self.report({report.level}, report.words)
        turn_to(settings, "train")


class ReadClipAgain(ClipStep, bpy.types.Operator):
    """Read the clip again, with the bone map shown"""

    bl_idname = "backflip.read_clip_again"
    bl_label = "Read Again"
    bl_options = {"REGISTER", "UNDO"}
    needs = (need_clip, need_body, need_object_mode)

    def slices(self, context: bpy.types.Context) -> Slices[None]:
        if warning := (yield from read_with_map_slices(current_scene(context))):
            self.report({"WARNING"}, warning)


class ApplyFix(Step, bpy.types.Operator):
    """Apply the settings that the note suggests"""

    bl_idname = "backflip.apply_fix"
    bl_label = "Fix"
    bl_options = {"REGISTER", "UNDO"}
    needs = (need_reference, need_body)

    code: Annotated[str, StringProperty(name="Note", options=INTERNAL)]

    def run(self, context: bpy.types.Context) -> None:
        apply_fix(current_scene(context), self.code)


class ClearReference(Step, bpy.types.Operator):
    """Clear the reference; files and actions are kept"""

    bl_idname = "backflip.clear_reference"
    bl_label = "Clear Reference"
    bl_options = {"REGISTER", "UNDO"}
    needs = (need_clip,)

    def run(self, context: bpy.types.Context) -> None:
        stored_reference.forget_reference(current_scene(context))


CLASSES = (ImportReference, ReferenceFromAction, UseReferenceSettings, ReadClipAgain, ApplyFix, ClearReference)
