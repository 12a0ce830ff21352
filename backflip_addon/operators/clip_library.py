# SPDX-License-Identifier: GPL-3.0-or-later
"""Clips by name, files dropped into the viewport, and all of the first steps in one button."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Annotated, ClassVar

import bpy
import numpy as np
from bpy.props import StringProperty

from .. import compat, preferences
from ..core.clips import key_poses
from ..core.isolation import Interpreter
from ..core.rotations import matrix_about_z
from ..core.slices import Slices
from ..runtime import clips
from ..runtime.status import STATUS
from ..scene import stored_avatar
from ..scene.importing.importer import CLIP_SUFFIXES, RIG_SUFFIXES
from ..settings import scene_settings
from ..settings.road import turn_to
from .avatar import build_body_slices, choose_mannequin_slices, import_avatar_slices, take_back_mannequin
from .base import INTERNAL, PATH, current_scene, need_body, need_object_mode
from .reference import ClipStep
from .reference_clip import use_file_slices
from .sliced_step import SlicedStep
from .take_places import SPACING
from .training import need_no_training, python, start_slices

FIRST_CLIP = "Standing Backflip"  # what Try It learns: one of our own, so that there is one everywhere
# Name in the menu -> file of each clip that comes with Backflip
STUNTS = {file.stem.replace("_", " ").title(): file for file in sorted(key_poses.FOLDER.glob("*.json"))}
DROPPED = (".bvh", ".fbx", ".glb", ".gltf", ".vrm", ".vrma")


class _Own:
    clips: ClassVar[dict[str, Path]] = {}  # the user's, as a thread found them


def library() -> tuple[dict[str, Path], dict[str, Path]]:
    """Name -> file of the clips that came with Backflip or its trainer, and of the user's. Cheap enough for drawing."""
    return {**STUNTS, **STATUS.clips}, _Own.clips


def look_for_clips(trainer: Interpreter | None) -> None:
    """Note the clips that a Python brings, and look through the user's folder of clips in a thread."""
    STATUS.clips = clips.trainer_clips(trainer) if trainer is not None else {}
    look_for_own()


def look_for_own() -> None:
    """Look through the user's folder of clips in a thread."""
    if folder := preferences.clips_folder():
        threading.Thread(target=_find_own, args=(folder,), name="backflip-clips", daemon=True).start()
    else:
        _Own.clips = {}


def register() -> None:
    preferences.clips_changed = look_for_own


def _find_own(folder: Path) -> None:
    _Own.clips = clips.user_clips(folder, CLIP_SUFFIXES)


def need_runtime(_scene: bpy.types.Scene) -> str:
    return "" if STATUS.ready else "Install the trainer's Python first."


def need_no_avatar(scene: bpy.types.Scene) -> str:
    return "An avatar has been chosen already." if stored_avatar.present(scene) else ""


def _frame(scene: bpy.types.Scene) -> None:
    """Have the viewports show the character and the place beside it, where its takes play."""
    body, binding = stored_avatar.body_and_binding(scene)
    high = body.height / binding.scale
    across = SPACING * high * matrix_about_z(binding.yaw)[:, 0]
    x, y, z = np.array(binding.origin) + across / 2 + [0.0, 0.0, high / 2]
    compat.frame_in_viewports((float(x), float(y), float(z)), float(high + np.linalg.norm(across)) / 2)


class UseClip(ClipStep, bpy.types.Operator):
    """Use a clip from the list as the reference"""

    bl_idname = "backflip.use_clip"
    bl_label = "Use Clip"
    bl_options = {"REGISTER", "UNDO"}
    needs = (need_body, need_object_mode)

    name: Annotated[str, StringProperty(name="Clip", description="The clip's name in the list", options=INTERNAL)]

    def slices(self, context: bpy.types.Context) -> Slices[None]:
        ours, own = library()
        file = ours.get(self.name) or own.get(self.name)
        report = yield from use_file_slices(current_scene(context), str(file or self.name))
        words = report.words
        if self.name in ours:
            scene_settings(current_scene(context)).reference_label = self.name
            words = words.replace(ours[self.name].name, self.name)
        self.report({report.level}, words)
        turn_to(scene_settings(current_scene(context)), "train")


class TryIt(SlicedStep, bpy.types.Operator):
    """Add the mannequin, give it a backflip to learn, and start the training"""

    bl_idname = "backflip.try_it"
    bl_label = "Try It"
    bl_options = {"UNDO"}  # without REGISTER: nothing offers to do it over, with a second training
    needs = (need_object_mode, need_no_avatar, need_runtime, need_no_training)

    def slices(self, context: bpy.types.Context) -> Slices[None]:
        scene = current_scene(context)
        settings = scene_settings(scene)
        trainer = python(settings.engine)
        yield from choose_mannequin_slices(context)
        try:
            yield from build_body_slices(scene, settings.mass, settings.strength)
            yield from use_file_slices(scene, str(STUNTS[FIRST_CLIP]))
            settings.reference_label = FIRST_CLIP
            settings.goal = "LANDING"
            yield from start_slices(scene, trainer)
        except GeneratorExit:
            take_back_mannequin(scene)
            raise
        _frame(scene)
        self.report({"INFO"}, "The mannequin is learning a backflip. It takes a minute or two.")


class DropFile(ClipStep, bpy.types.Operator):
    """Use a dropped file as the avatar if there is none yet, otherwise as the reference"""

    bl_idname = "backflip.drop_file"
    bl_label = "Backflip: Avatar or Reference"
    bl_options = {"REGISTER", "UNDO"}
    needs = (need_object_mode,)

    filepath: Annotated[str, StringProperty(name="File", subtype="FILE_PATH", options=PATH)]

    def slices(self, context: bpy.types.Context) -> Slices[None]:
        scene, suffix = current_scene(context), Path(self.filepath).suffix.lower()
        settings = scene_settings(scene)
        if suffix == ".vrm" or (stored_avatar.present(scene) is None and suffix in RIG_SUFFIXES):
            _armature, words = yield from import_avatar_slices(scene, self.filepath)
            self.report({"INFO"}, words)
            return
        if not settings.body_json:
            yield from build_body_slices(scene, settings.mass, settings.strength)  # or says what it lacks
        report = yield from use_file_slices(scene, self.filepath)
        self.report({report.level}, report.words)
        turn_to(settings, "train")


def over_viewport(context: bpy.types.Context | None) -> bool:
    """Whether the pointer is over a 3D viewport, which files may be dropped into."""
    return context is not None and context.area is not None and context.area.type == "VIEW_3D"


class BACKFLIP_FH_file(bpy.types.FileHandler):
    """Characters and clips that are dropped into the viewport."""

    bl_idname = "BACKFLIP_FH_file"
    bl_label = "Backflip: Avatar or Reference"
    bl_import_operator = "backflip.drop_file"
    bl_file_extensions = ";".join(DROPPED)

    @classmethod
    def poll_drop(cls, context: bpy.types.Context | None) -> bool:
        return over_viewport(context)


CLASSES = (UseClip, TryIt, DropFile)
HANDLERS = (BACKFLIP_FH_file,)  # registered after its operator, with which it would go
