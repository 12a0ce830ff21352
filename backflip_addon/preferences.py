# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's preferences: which Python trains, and where jobs are kept."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import StringProperty

PACKAGE = __package__


class BackflipPreferences(bpy.types.AddonPreferences):
    """Shown under Preferences > Add-ons > Backflip."""

    bl_idname = PACKAGE

    python: StringProperty(
        name="Trainer's Python",
        description="Python 3.11 (or the folder of its environment) with PyBullet and torch; "
        "empty for the environment variable BACKFLIP_PYTHON or the installed runtime",
        subtype="FILE_PATH",
    )
    jobs_folder: StringProperty(
        name="Jobs",
        description="Where jobs of files that have not been saved are kept; empty for Blender's own data folder",
        subtype="DIR_PATH",
    )

    def draw(self, _context: bpy.types.Context) -> None:
        from .operators import runtime

        layout = self.layout
        layout.prop(self, "python")
        for line in runtime.LIVE.lines:
            layout.label(text=line, icon=runtime.LIVE.icon)
        row = layout.row()
        row.operator("backflip.check_runtime", icon="CHECKMARK")
        row.operator("backflip.install_runtime", icon="IMPORT")
        layout.prop(self, "jobs_folder")


def trainer_python() -> str:
    """The Python the user chose, "" for none."""
    preferences = _preferences()
    return bpy.path.abspath(preferences.python) if preferences and preferences.python else ""


def jobs_folder() -> Path:
    """Where jobs of unsaved files are kept."""
    preferences = _preferences()
    if preferences and preferences.jobs_folder:
        return Path(bpy.path.abspath(preferences.jobs_folder))
    return data_folder("jobs")


def data_folder(name: str) -> Path:
    """A folder of the add-on's own that outlives an update."""
    if PACKAGE.startswith("bl_ext."):
        return Path(bpy.utils.extension_path_user(PACKAGE, path=name, create=True))
    return Path(bpy.utils.user_resource("DATAFILES", path=f"backflip/{name}", create=True))


def _preferences() -> BackflipPreferences | None:
    addon = bpy.context.preferences.addons.get(PACKAGE)
    return addon.preferences if addon else None


def register() -> None:
    bpy.utils.register_class(BackflipPreferences)


def unregister() -> None:
    bpy.utils.unregister_class(BackflipPreferences)
