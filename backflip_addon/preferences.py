# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's preferences: which Python trains, and where jobs are kept."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, cast

import bpy
from bpy.app.translations import pgettext_iface as translated
from bpy.props import BoolProperty, StringProperty

from .jobs.json_files import JobError
from .registration import register_classes, unregister_classes
from .runtime.forecast import before_adding_pybullet, before_installing
from .runtime.status import STATUS
from .wrapping import in_lines

PACKAGE = __package__
_WINDOWS = os.name == "nt"
NO_FOLDER = (
    "Blender has no folder for its user's data on this computer; set the variable HOME (or BLENDER_USER_RESOURCES) "
    "before it starts."
)
_BESIDE = 120.0  # pixels beside a sentence in the preferences, at a resolution scale of 1
ONLINE = "Install needs online access:"


class BackflipPreferences(bpy.types.AddonPreferences):
    """Shown under Preferences > Add-ons > Backflip."""

    bl_idname = PACKAGE

    python: Annotated[
        str,
        StringProperty(
            name="Trainer's Python",
            description="A Python or the folder of its environment. It needs torch and numba, and PyBullet where there "
            "is one. Empty: the variable BACKFLIP_PYTHON or what is installed above",
            subtype="FILE_PATH",
        ),
    ]
    wheels_folder: Annotated[
        str,
        StringProperty(
            name="Packages",
            description="A folder with the packages as wheels, for a computer without a network. Install takes them "
            "from there and downloads nothing",
            subtype="DIR_PATH",
        ),
    ]
    jobs_folder: Annotated[
        str,
        StringProperty(
            name="Trainings",
            description="Where trainings of unsaved files are kept; leave it empty for Blender's own data folder",
            subtype="DIR_PATH",
        ),
    ]

    clips_folder: Annotated[
        str,
        StringProperty(
            name="Clips",
            description="A folder of your own clips, which are added to the list of clips; subfolders are included",
            subtype="DIR_PATH",
            update=lambda _self, _context: clips_changed(),
        ),
    ]
    introduced: Annotated[
        bool, BoolProperty(name="Introduced", description="The tab was shown once", options={"HIDDEN"})
    ]

    def draw(self, context: bpy.types.Context) -> None:
        self._draw_runtime(context)
        layout = self.layout
        layout.prop(self, "clips_folder")
        layout.prop(self, "jobs_folder")

    def _draw_runtime(self, context: bpy.types.Context) -> None:
        """The trainer's Python: its state in a line, what is to be known before it is installed, and its buttons."""
        box = self.layout.box()
        name, state = translated("Trainer's Python"), translated(STATUS.heading)
        box.label(text=f"{name}: {state}", icon=STATUS.icon)
        if STATUS.work is not None:
            box.progress(factor=STATUS.fraction, text=f"{STATUS.fraction:.0%}", type="BAR")
            self._say(box, context, " ".join(STATUS.lines))
            box.operator("backflip.cancel_runtime", text="Cancel", icon="CANCEL")
            return
        for line in STATUS.lines:
            self._say(box, context, line)
        if not STATUS.ready:
            for line in before_installing(runtime_home(), wheels_folder()):
                self._say(box, context, line)
        ready = STATUS.ready and bpy.app.online_access
        if not (ready or self.wheels_folder):  # ticked it stays, or Install would move away from under the mouse
            box.label(text=ONLINE, icon="BLANK1")
            box.prop(cast(bpy.types.Preferences, context.preferences).system, "use_online_access")
        row = box.row()
        row.operator("backflip.check_runtime", text="Check", icon="CHECKMARK")
        row.operator("backflip.install_runtime", text="Install", icon="IMPORT")
        row.operator("backflip.repair_runtime", text="Repair", icon="TOOL_SETTINGS")
        row.operator("backflip.remove_runtime", text="Remove", icon="TRASH")
        row.operator("backflip.show_install_log", text="Log", icon="TEXT")
        if STATUS.addable:
            self._say(box, context, before_adding_pybullet())
            box.operator("backflip.add_pybullet", icon="IMPORT")
        box.prop(self, "wheels_folder")
        box.prop(self, "python")

    def _say(self, layout: bpy.types.UILayout, context: bpy.types.Context, text: str) -> None:
        column = layout.column(align=True)
        for line in in_lines(context, text, _BESIDE):
            column.label(text=line, icon="BLANK1")


def _nothing() -> None:
    """Until something looks for clips."""


clips_changed: Callable[[], None] = _nothing  # set by operators.clip_library, which looks at the folder then


def introduced() -> bool:
    """Whether the sidebar has shown our tab by itself; nor is it to where there are no preferences to note it in."""
    preferences = _preferences()
    return preferences is None or preferences.introduced


def note_introduced() -> None:
    """Note it in the preferences, which Blender saves as it ends."""
    if (preferences := _preferences()) is not None:
        preferences.introduced = True
        cast(bpy.types.Preferences, bpy.context.preferences).is_dirty = True


def trainer_python() -> str:
    """The Python the user chose, "" for none."""
    preferences = _preferences()
    return bpy.path.abspath(preferences.python) if preferences and preferences.python else ""


def wheels_folder() -> str:
    """The folder of the packages' wheels, "" for none."""
    preferences = _preferences()
    return bpy.path.abspath(preferences.wheels_folder) if preferences and preferences.wheels_folder else ""


def jobs_folder() -> Path:
    """Where jobs of unsaved files are kept."""
    preferences = _preferences()
    if preferences and preferences.jobs_folder:
        return Path(bpy.path.abspath(preferences.jobs_folder))
    return data_folder("jobs")


def clips_folder() -> Path | None:
    """The user's folder of clips, None for none."""
    preferences = _preferences()
    return Path(bpy.path.abspath(preferences.clips_folder)) if preferences and preferences.clips_folder else None


def runtime_home() -> Path | None:
    """Where the trainer's Python is installed; None where Blender has no folder for its user's data."""
    try:
        return runtime_folder()
    except JobError:
        return None


def runtime_folder() -> Path:
    """The same; raises JobError where there is none.

    On Windows it is not Blender's: that one lies so deep that the packages' paths would pass the 260 letters that
    Windows allows, and it roams, gigabytes and all, with a user who logs in on another computer.
    """
    local = os.environ.get("LOCALAPPDATA", "") if _WINDOWS else ""
    return Path(local) / "backflip" / "runtime" if os.path.isabs(local) else data_folder("runtime")


def data_folder(name: str) -> Path:
    """A folder of the add-on's own that outlives an update; it need not be there yet. Raises JobError.

    Blender has none where nobody knows the user's home. What it answers then is no path at all, and would be
    taken for the folder we happen to be in, with whatever somebody has put there.
    """
    if PACKAGE.startswith("bl_ext."):
        folder = bpy.utils.extension_path_user(PACKAGE, path=name)
    else:
        folder = bpy.utils.user_resource("DATAFILES", path=f"backflip/{name}")
    if not folder or not Path(folder).is_absolute():
        raise JobError(NO_FOLDER)
    return Path(folder)


def _preferences() -> BackflipPreferences | None:
    addon = cast(bpy.types.Preferences, bpy.context.preferences).addons.get(PACKAGE)
    return cast(BackflipPreferences, addon.preferences) if addon else None


def register() -> None:
    register_classes((BackflipPreferences,))


def unregister() -> None:
    unregister_classes((BackflipPreferences,))
