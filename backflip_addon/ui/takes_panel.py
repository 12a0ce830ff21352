# SPDX-License-Identifier: GPL-3.0-or-later
"""4 Takes: the attempts of a job, and more of them."""

from __future__ import annotations

import bpy

from ..operators import job_monitor, takes
from ..operators.base import current_scene
from ..settings import scene_settings
from .panel_base import SidebarPanel, layout_of, sentence, step_button


class BACKFLIP_PT_takes(SidebarPanel, bpy.types.Panel):
    bl_label = "4 Takes"

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = layout_of(self), scene_settings(current_scene(context))
        if not len(settings.takes):
            sentence(layout, context, "Takes appear here while the avatar learns (step 3).", "INFO")
            return
        if other := job_monitor.other_avatar(current_scene(context)):
            words = f"These takes are of {other}: choose it as the avatar (step 1), or start a new training (step 3)."
            sentence(layout, context, words, "ERROR")
        layout.template_list("BACKFLIP_UL_takes", "", settings, "takes", settings, "take_index", rows=5)
        count, landed = job_monitor.counts(current_scene(context))
        layout.label(text=f"{count} {'take' if count == 1 else 'takes'}, {landed} landed")
        layout.prop(settings, "show_take")
        step_button(layout, context, takes.ShootMore, "VIEW_CAMERA", text="Shoot More…")


CLASSES = (BACKFLIP_PT_takes,)
