# SPDX-License-Identifier: GPL-3.0-or-later
"""The first time that the sidebar is opened after the add-on was installed, it shows our tab; never again by itself."""

from __future__ import annotations

from typing import Any

import bpy

from .. import preferences
from .panel_base import SidebarPanel

_handles: list[Any] = []


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
