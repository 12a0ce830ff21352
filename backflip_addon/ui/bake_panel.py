# SPDX-License-Identifier: GPL-3.0-or-later
"""5 Bake and Export: a take onto the rig, the shot into a file."""

from __future__ import annotations

import bpy

from ..operators import baking, export
from .panel_base import SidebarPanel, sentence, step_button


class BACKFLIP_PT_bake(SidebarPanel, bpy.types.Panel):
    bl_label = "5 Bake and Export"

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, context.scene.backflip
        layout.prop(settings, "start_frame")
        row = layout.column(align=True)
        chosen = settings.takes[settings.take_index].name if settings.take_index < len(settings.takes) else ""
        button = step_button(
            row, context, baking.BakeTake, "ACTION", text="Bake Chosen Take" if chosen else "Bake Take"
        )
        button.take = chosen
        if chosen:
            row.operator("backflip.bake_take", text="Bake Best Take").take = ""
        row = layout.row(align=True)
        row.operator("backflip.show_take", text="Show Take").own = False
        row.operator("backflip.show_take", text="Own Animation").own = True
        for words in baking.bake_warnings(context.scene):
            sentence(layout, context, words, "ERROR")
        layout.prop(settings, "export_format")
        exported = step_button(layout, context, export.ExportShot, "EXPORT")
        exported.format = settings.export_format


CLASSES = (BACKFLIP_PT_bake,)
