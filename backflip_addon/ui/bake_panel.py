# SPDX-License-Identifier: GPL-3.0-or-later
"""5 Bake and Export: a take onto the rig, the shot into a file."""

from __future__ import annotations

import bpy

from ..operators import baking, export
from ..operators.base import current_scene
from ..settings import scene_settings
from .panel_base import SidebarPanel, button, layout_of, sentence, step_button


class BACKFLIP_PT_bake(SidebarPanel, bpy.types.Panel):
    bl_label = "5 Bake and Export"

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = layout_of(self), scene_settings(current_scene(context))
        layout.prop(settings, "start_frame")
        row = layout.column(align=True)
        chosen = settings.takes[settings.take_index].name if settings.take_index < len(settings.takes) else ""
        words = "Bake Chosen Take" if chosen else "Bake Take"
        step_button(row, context, baking.BakeTake, "ACTION", words, take=chosen)
        if chosen:
            button(row, "backflip.bake_take", text="Bake Best Take", take="")
        row = layout.row(align=True)
        button(row, "backflip.show_take", text="Show Take", own=False)
        button(row, "backflip.show_take", text="Own Animation", own=True)
        for words in baking.bake_warnings(current_scene(context)):
            sentence(layout, context, words, "ERROR")
        layout.prop(settings, "export_format")
        step_button(layout, context, export.ExportShot, "EXPORT", format=settings.export_format)


CLASSES = (BACKFLIP_PT_bake,)
