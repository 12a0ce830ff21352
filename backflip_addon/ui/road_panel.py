# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands above the steps until there is a Python that can train.

The first time that the sidebar is opened after the add-on was installed, it shows our tab; never again by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import bpy
from bpy.app.translations import pgettext_iface as translated

from .. import preferences
from ..operators import job_link, job_list, job_monitor
from ..operators.base import current_scene
from ..runtime.forecast import before_installing
from ..runtime.status import STATUS
from .panel_base import SidebarPanel, button, layout_of, scale_of, sentence

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import IconItems

SHOWN_JOBS = 12  # the latest

_handles: list[Any] = []


class BACKFLIP_PT_road(SidebarPanel, bpy.types.Panel):
    """Holds the steps, and above them what the trainer's Python lacks; nothing when all is well."""

    bl_label = "Backflip"

    def draw(self, context: bpy.types.Context) -> None:
        layout = layout_of(self)
        if STATUS.work is not None:
            row = layout.row(align=True)
            row.progress(factor=STATUS.fraction, text=f"{STATUS.fraction:.0%}", type="BAR")
            button(row, "backflip.cancel_runtime", "X", "")
            sentence(layout, context, " ".join(STATUS.lines), "NONE")
        elif not STATUS.ready:
            self._draw_missing(context, layout)

    def _draw_missing(self, context: bpy.types.Context, layout: bpy.types.UILayout) -> None:
        name, state = translated("Trainer's Python"), translated(STATUS.heading)
        layout.label(text=f"{name}: {state}", icon="INFO")
        wheels = preferences.wheels_folder()
        for line in (*STATUS.lines, *before_installing(preferences.runtime_home(), wheels)):
            sentence(layout, context, line, "BLANK1")
        if not wheels:  # ticked it stays, or the button below would move away from under the mouse
            sentence(layout, context, preferences.ONLINE, "BLANK1")
            layout.prop(cast(bpy.types.Preferences, context.preferences).system, "use_online_access")
        row = layout.row()
        row.scale_y = scale_of(context, "backflip.install_runtime")
        button(row, "backflip.install_runtime", text="Install", icon="IMPORT")
        row = layout.row(align=True)
        button(row, "backflip.check_runtime", text="Check Again", icon="FILE_REFRESH")
        button(row, "backflip.open_preferences", text="Choose a Python", icon="PREFERENCES")


class BACKFLIP_PT_jobs(SidebarPanel, bpy.types.Panel):
    bl_label = "Earlier Trainings"
    bl_parent_id = "BACKFLIP_PT_road"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        return bool(job_list.jobs())

    def draw(self, context: bpy.types.Context) -> None:
        layout, scene = layout_of(self), current_scene(context)
        here = job_link.known_place(scene)
        column = layout.column(align=True)
        for job in job_list.jobs()[:SHOWN_JOBS]:
            row = column.row(align=True)
            running, landed = job.running, job.landed
            if job.path == here and (status := job_monitor.status_of(scene)) is not None:  # known better than by a look
                running, landed = status.active, landed or job_monitor.counts(scene)[1] > 0
            icon: IconItems = "PLAY" if running else "CHECKMARK" if landed else "DOT"
            button(
                row,
                "backflip.find_job",
                icon,
                job_list.line(job),
                depress=job.path == here,
                directory=job.path,
                ask=False,
            )
            button(row, "backflip.reveal_job", "FILE_FOLDER", "", directory=job.path)
            button(row, "backflip.delete_job", "TRASH", "", directory=job.path)
        button(layout, "backflip.refresh_jobs", "FILE_REFRESH")


CLASSES = (BACKFLIP_PT_road,)
LAST_CLASSES = (BACKFLIP_PT_jobs,)  # below the steps


def _drawn() -> None:
    """Handler of a sidebar that is being drawn: its tabs are known from then on, and nothing is changed in drawing."""
    if not bpy.app.timers.is_registered(_turn_to_us):
        bpy.app.timers.register(_turn_to_us, first_interval=0.0)


def _turn_to_us() -> None:
    ours: Any = SidebarPanel.bl_category  # to the stubs a region has no tabs
    for window in bpy.context.window_manager.windows if bpy.context.window_manager else ():
        for area in window.screen.areas if window.screen else ():
            for region in area.regions if area.type == "VIEW_3D" else ():
                if region.type == "UI" and region.width > 1 and region.active_panel_category != ours:
                    region.active_panel_category = ours
                    region.tag_redraw()
    preferences.note_introduced()
    unregister()


def register() -> None:
    if not bpy.app.background and not preferences.introduced():
        _handles.append(bpy.types.SpaceView3D.draw_handler_add(_drawn, (), "UI", "POST_PIXEL"))


def unregister() -> None:
    while _handles:
        bpy.types.SpaceView3D.draw_handler_remove(_handles.pop(), "UI")
    if bpy.app.timers.is_registered(_turn_to_us):
        bpy.app.timers.unregister(_turn_to_us)
