# SPDX-License-Identifier: GPL-3.0-or-later
"""5 Bake and Export: a take onto the rig, the shot into a file."""

from __future__ import annotations

import bpy

from ..operators import baking, export
from ..operators.base import current_scene
from ..settings import scene_settings
from .panel_base import StepPanel, button, fold, open_step, scale_of, sentence, step_button


class BACKFLIP_PT_bake(StepPanel, bpy.types.Panel):
    bl_label = "5 Bake and Export"

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = open_step(self, context, "bake", self.bl_label), scene_settings(current_scene(context))
        if layout is None:
            return
        chosen = settings.takes[settings.take_index].name if settings.take_index < len(settings.takes) else ""
        words = "Bake Chosen Take" if chosen else "Bake Take"
        step_button(layout, context, baking.BakeTake, "ACTION", words, take=chosen)
        if chosen:
            sentence(layout, context, f"Take {settings.takes[settings.take_index].title}", "NONE")
            button(layout, "backflip.bake_take", text="Bake Best Take", take="")
        layout.prop(settings, "start_frame")
        if settings.baked_last:
            self._draw_baked(context, layout)
        for words in baking.bake_warnings(current_scene(context)):
            sentence(layout, context, words, "ERROR")
        if (body := fold(layout, "export", "Export")) is not None:
            body.prop(settings, "export_format")
            step_button(body, context, export.ExportShot, "EXPORT", format=settings.export_format)

    def _draw_baked(self, context: bpy.types.Context, layout: bpy.types.UILayout) -> None:
        """Playing what was baked."""
        row = layout.row()
        row.scale_y = scale_of(context, "screen.animation_play")
        plays = context.screen is not None and context.screen.is_animation_playing
        button(row, "screen.animation_play", "PAUSE" if plays else "PLAY", "Pause" if plays else "Play")
        row = layout.row(align=True)
        button(row, "backflip.show_take", text="Show Take", own=False)
        button(row, "backflip.show_take", text="Own Animation", own=True)


CLASSES = (BACKFLIP_PT_bake,)
