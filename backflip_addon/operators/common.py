# SPDX-License-Identifier: GPL-3.0-or-later
"""What all steps share: errors that become reports, and what a step lacks before its button can work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import bpy

from ..core import roles
from ..core.rig import RigError
from ..jobs.folder import JobError
from ..scene import state
from ..scene.actions import ActionError
from ..scene.export import ExportError
from ..scene.files import FileError
from ..scene.state import StateError

# Each carries one sentence for the user.
USER_ERRORS = (RigError, JobError, ActionError, ExportError, FileError, StateError)

PATH = {"PATH_SUPPORTS_BLEND_RELATIVE"}  # options of a path property that may begin with //

Need = Callable[[bpy.types.Scene], str]


class Step:
    """Mix-in of the add-on's operators: run() does the work; a known error becomes a report."""

    needs: ClassVar[tuple[Need, ...]] = ()

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        lacking = what_is_missing(context.scene, *cls.needs)
        if lacking:
            cls.poll_message_set(lacking)
        return not lacking

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            return self.run(context) or {"FINISHED"}
        except USER_ERRORS as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}

    def run(self, context: bpy.types.Context) -> set[str] | None:
        raise NotImplementedError

    def given(self, settings: Any, name: str) -> Any:
        """An operator property that the caller set, else the scene's setting of that name."""
        return getattr(self, name) if self.properties.is_property_set(name) else getattr(settings, name)


class FileStep(Step):
    """A Step that asks for a file when it is started from a button."""

    suffixes: ClassVar[tuple[str, ...]] = ()

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        if self.filepath:
            return self.execute(context)
        self.filter_glob = ";".join(f"*{suffix}" for suffix in self.suffixes)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}


def what_is_missing(scene: bpy.types.Scene, *needs: Need) -> str:
    """The first unmet need's sentence, "" when all are met."""
    return next((sentence for need in needs if (sentence := need(scene))), "")


def need_avatar(scene: bpy.types.Scene) -> str:
    avatar = scene.backflip.avatar
    return "" if avatar is not None and avatar.name in scene.objects else "Choose an avatar first (step 1)."


def need_map(scene: bpy.types.Scene) -> str:
    lacking = [item.name for item in scene.backflip.roles if item.required and not item.bone]
    if not len(scene.backflip.roles):
        return "Map the bones first (step 1)."
    return f"No bone is mapped to the {_listed([roles.words(role) for role in lacking])} (step 1)." if lacking else ""


def need_body(scene: bpy.types.Scene) -> str:
    settings = scene.backflip
    if not settings.body_json:
        return state.NO_BODY
    return "Masses, sizes or limits were changed: build the body again (step 1)." if settings.body_stale else ""


def need_reference(scene: bpy.types.Scene) -> str:
    return "" if scene.backflip.reference_data else state.NO_REFERENCE


def need_job(scene: bpy.types.Scene) -> str:
    return "" if scene.backflip.job_folder else "Start training first (step 3), or find an earlier job."


def need_object_mode(_scene: bpy.types.Scene) -> str:
    """Bones cannot be read while the armature is being edited."""
    active = bpy.context.view_layer.objects.active if bpy.context.view_layer else None
    return "Leave edit mode first." if active is not None and active.mode == "EDIT" else ""


def _listed(words: list[str]) -> str:
    return " and the ".join(filter(None, (", ".join(words[:-1]), words[-1])))
