# SPDX-License-Identifier: GPL-3.0-or-later
"""What all steps share: errors that become reports, and what a step lacks before its button can work."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, cast

import bpy
from bpy.app.translations import pgettext_iface as translated
from bpy.props import BoolProperty, StringProperty

from ..core.rigs import roles
from ..core.rigs.names import ROLES
from ..core.rigs.rig import RigError
from ..jobs.json_files import JobError
from ..scene import stored_avatar, stored_reference
from ..scene.animation.action_slots import ActionError
from ..scene.exporting.exporter import ExportError
from ..scene.importing.importer import FileError
from ..scene.stored_avatar import StateError
from ..scene.typed_data import current_scene as current_scene
from ..settings import BackflipSettings, scene_settings

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems

    Returned = set[OperatorReturnItems]  # what Blender wants of execute() and invoke()
    OperatorMixIn = bpy.types.Operator
else:
    Returned = set[str]
    OperatorMixIn = object  # the type checker alone is told that a mix-in has what an operator has

# Each carries one sentence for the user.
USER_ERRORS = (RigError, JobError, ActionError, ExportError, FileError, StateError)

# Options of a property that only buttons and scripts set, and of a path, which may begin with //.
# Blender would fill in what was given the last time: a button would open no dialog any more.
INTERNAL = {"HIDDEN", "SKIP_SAVE"}
PATH = {"PATH_SUPPORTS_BLEND_RELATIVE", *INTERNAL}

Need = Callable[[bpy.types.Scene], str]
LINKED = "This scene is linked from another file: open that one, or append the scene."


class Step(OperatorMixIn):
    """Mix-in of the add-on's operators: run() does the work; a known error becomes a report."""

    needs: ClassVar[tuple[Need, ...]] = ()
    pressed = False  # by a person in a window, whom it must not keep waiting

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        lacking = what_is_missing(current_scene(context), *cls.needs)
        if lacking:
            cls.poll_message_set(lacking)
        return not lacking

    def execute(self, context: bpy.types.Context) -> Returned:
        return self.attempt(context, lambda: self.run(context))

    def attempt(self, context: bpy.types.Context, work: Callable[[], Returned | None]) -> Returned:
        """Do the work, or a part of it; a known error becomes a report."""
        try:
            return work() or {"FINISHED"}
        except USER_ERRORS as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}

    def run(self, context: bpy.types.Context) -> Returned | None:
        raise NotImplementedError

    def confirm(self, context: bpy.types.Context, event: bpy.types.Event, what: str) -> Returned:
        """Ask before something is done that Ctrl+Z does not take back. what: it is done to, as the user calls it."""
        about = ": ".join(filter(None, (what, translated(str(self.__doc__)))))
        ask = window_manager(context).invoke_confirm
        return ask(self, event, title=translated(self.bl_label), message=f"{about}.", icon="WARNING")

    def given(self, settings: BackflipSettings, name: str) -> Any:
        """An operator property that the caller set, else the scene's setting of that name, which it then has.

        The panel that changes the last step shows what was used.
        """
        if not self.properties.is_property_set(name):
            setattr(self, name, getattr(settings, name))
        return getattr(self, name)


class FileStep(Step):
    """A Step that asks for a file when it is started from a button; a script names it."""

    suffixes: ClassVar[tuple[str, ...]] = ()
    nothing_named: ClassVar[str] = "Choose a file."
    folders: ClassVar[dict[str, str]] = {}  # an operator's bl_idname -> the folder of what it was last asked for

    filepath: Annotated[str, StringProperty(name="File", subtype="FILE_PATH", options=PATH)]
    filter_glob: Annotated[str, StringProperty(options=INTERNAL)]

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> Returned:
        self.pressed = True
        if self.filepath and self.properties.is_property_set("filepath"):
            return self.execute(context)
        return self.ask(context)

    def execute(self, context: bpy.types.Context) -> Returned:
        if not self.names_file():
            self.report({"ERROR"}, self.nothing_named)
            return {"CANCELLED"}
        if self.pressed:
            self.folders[self.bl_idname] = str(Path(bpy.path.abspath(self.filepath)).parent)
        return super().execute(context)

    def names_file(self) -> bool:
        """Whether the path is more than a folder's: the dialog gives that where no file was chosen in it."""
        return not self.filepath.endswith(("/", "\\")) and bool(Path(self.filepath).name)

    def last_folder(self) -> str:
        """Where the dialog was left, "" for nowhere yet, or where there is no folder any more."""
        folder = self.folders.get(self.bl_idname, "")
        return folder if folder and Path(folder).is_dir() else ""

    def ask(self, context: bpy.types.Context) -> Returned:
        """Open the file dialog, where it was left in this session; else Blender chooses."""
        self.pressed = True
        if not self.filepath and (folder := self.last_folder()):
            self.filepath = f"{folder}{os.sep}"
        self.filter_glob = ";".join(f"*{suffix}" for suffix in self.suffixes)
        window_manager(context).fileselect_add(self)
        return {"RUNNING_MODAL"}


class SaveStep(FileStep):
    """A FileStep that writes: a button always asks, and a file that exists is never replaced unasked."""

    nothing_named = "Name the file to write."

    check_existing: Annotated[
        bool, BoolProperty(default=True, options=INTERNAL)
    ]  # the dialog marks names that are taken
    asked: Annotated[bool, BoolProperty(options=INTERNAL)]  # the name comes out of the dialog

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> Returned:
        if not self.filepath:
            self.filepath = self.proposed(context)
        self.asked = True
        return self.ask(context)

    def check(self, _context: bpy.types.Context) -> bool:
        """Have the dialog show the name that will be written."""
        return self.show_name()

    def show_name(self) -> bool:
        """Put the right ending on the dialog's name; whether that changed it."""
        before = self.filepath
        path = Path(before)
        if self.names_file():
            self.filepath = str(self.named(path))
        return self.filepath != before

    def target(self) -> str:
        """The file to write. Raises FileError for one that exists under another name than the dialog showed."""
        path = Path(bpy.path.abspath(self.filepath))
        final = self.named(path)
        if self.asked and final != path and final.exists():
            raise FileError(f"{final.name} exists already; choose it in the dialog to replace it.")
        return str(final)

    def proposed(self, context: bpy.types.Context) -> str:
        """A name to begin with, where the last file was written, else beside the .blend where that was saved."""
        name = self.named(Path(bpy.path.clean_name(self.title(context)))).name
        if folder := self.last_folder():
            return str(Path(folder, name))
        return str(Path(bpy.data.filepath).with_name(name)) if bpy.data.filepath else name

    def title(self, context: bpy.types.Context) -> str:
        """What to call the file, without an ending."""
        raise NotImplementedError

    def named(self, path: Path) -> Path:
        """The path with the ending that the file will have."""
        suffix = self.suffixes[0]
        return path if path.suffix.lower() == suffix else path.with_name(path.name + suffix)


def window_manager(context: bpy.types.Context) -> bpy.types.WindowManager:
    """The window manager, which a context that draws or is clicked in always has."""
    return cast(bpy.types.WindowManager, context.window_manager)


def what_is_missing(scene: bpy.types.Scene, *needs: Need) -> str:
    """The first unmet need's sentence, "" when all are met. What would be done to a linked scene is not kept."""
    if needs and scene.library is not None:
        return LINKED
    return next((sentence for need in needs if (sentence := need(scene))), "")


def need_avatar(scene: bpy.types.Scene) -> str:
    return "" if stored_avatar.present(scene) else stored_avatar.NO_AVATAR


def need_map(scene: bpy.types.Scene) -> str:
    lacking = [item.name for item in scene_settings(scene).roles if item.required and not item.bone]
    if not len(scene_settings(scene).roles):
        return "Map the bones first (step 1)."
    return f"No bone is mapped to the {listed([roles.words(role) for role in lacking])} (step 1)." if lacking else ""


def need_body(scene: bpy.types.Scene) -> str:
    settings = scene_settings(scene)
    if not settings.body_json:
        return stored_avatar.NO_BODY
    return "The body's settings were changed: build it again (step 1)." if settings.body_stale else ""


def need_reference(scene: bpy.types.Scene) -> str:
    settings = scene_settings(scene)
    if not settings.reference_data:
        return settings.reference_problem or stored_reference.NO_REFERENCE
    return "The clip's map was changed: read the clip again (step 2)." if settings.clip_stale else ""


def need_clip(scene: bpy.types.Scene) -> str:
    """A clip was chosen, whether or not it could be put on the body."""
    return (
        ""
        if scene_settings(scene).reference_kind or scene_settings(scene).reference_data
        else stored_reference.NO_REFERENCE
    )


def need_clip_map(scene: bpy.types.Scene) -> str:
    lacking = need_clip(scene)
    if lacking or len(scene_settings(scene).clip_roles):
        return lacking
    return "The clip has no skeleton of its own to map."


def need_job(scene: bpy.types.Scene) -> str:
    return "" if scene_settings(scene).job_folder else "Start training first (step 3), or open an earlier training."


def need_object_mode(scene: bpy.types.Scene) -> str:
    """Bones cannot be read while the armature is being edited: as the active object, or beside it."""
    active = bpy.context.view_layer.objects.active if bpy.context.view_layer else None
    edited = any(ob is not None and ob.mode == "EDIT" for ob in (active, scene_settings(scene).avatar))
    return "Leave edit mode first." if edited else ""


def guess_sentence(items: Iterable[Any], of: str) -> str:
    """That body parts of a map's list were guessed, "" if none were. of: whose map it is, "avatar" or "clip"."""
    words = [roles.words(item.name) for item in items if item.bone and not item.certain and item.name in ROLES]
    if not words:
        return ""
    count = f"{len(words)} body parts were" if len(words) > 1 else "1 body part was"
    return f"{count} guessed from the shape of the {of}'s skeleton, the {listed(words, 4)}: check the {of}'s map."


def listed(words: list[str], most: int = 99) -> str:
    """Words that follow a "the"; of more than most, the first ones and how many are left."""
    if len(words) > most:
        return f"{', '.join(words[: most - 1])} and {len(words) - most + 1} other parts"
    return " and the ".join(filter(None, (", ".join(words[:-1]), words[-1])))
