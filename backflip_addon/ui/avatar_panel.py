# SPDX-License-Identifier: GPL-3.0-or-later
"""1 Avatar: the character, the map of its bones, its body and the parts of that."""

from __future__ import annotations

import bpy

from ..operators import avatar
from ..operators.base import current_scene, guess_sentence
from ..settings import scene_settings
from .panel_base import MAP_BUTTONS, SidebarPanel, button, layout_of, sentence, step_button


class BACKFLIP_PT_avatar(SidebarPanel, bpy.types.Panel):
    bl_label = "1 Avatar"

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = layout_of(self), scene_settings(current_scene(context))
        if settings.avatar is not None:
            layout.label(text=settings.avatar.name, icon="ARMATURE_DATA")
            if settings.avatar.library is not None:
                sentence(layout, context, "It is linked: make a library override of it before you bake.", "INFO")
        else:
            sentence(layout, context, "Choose the character to train.", "INFO")
        column = layout.column(align=True)
        button(column, "backflip.pick_avatar", icon="EYEDROPPER")
        button(column, "backflip.import_avatar", icon="IMPORT")
        button(column, "backflip.add_mannequin", icon="OUTLINER_OB_ARMATURE")
        if settings.avatar is None:
            return
        layout.separator()
        row = layout.row(align=True)
        row.label(text="Bone Map")
        button(row, "backflip.set_role", text="", icon="EYEDROPPER", of="AVATAR")
        for operator, icon in MAP_BUTTONS:
            button(row, operator, text="", icon=icon, of="AVATAR")
        layout.template_list("BACKFLIP_UL_roles", "", settings, "roles", settings, "role_index", rows=6)
        if guessed := guess_sentence(settings.roles, "avatar"):
            sentence(layout, context, guessed, "ERROR")
        layout.prop(settings, "mass", text="Mass" if settings.mass else "Mass (0: Usual)")
        layout.prop(settings, "strength")
        step_button(layout, context, avatar.BuildBody, "ARMATURE_DATA")
        if settings.body_json:
            layout.label(text=f"{settings.body_height:.2f} m, {settings.body_mass:.1f} kg", icon="CHECKMARK")
            row = layout.row(align=True)
            row.prop(settings, "show_body", toggle=True)
            button(row, "backflip.check_pose", icon="OUTLINER_OB_ARMATURE")


class BACKFLIP_PT_parts(SidebarPanel, bpy.types.Panel):
    bl_label = "Body Parts"
    bl_parent_id = "BACKFLIP_PT_avatar"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return bool(len(scene_settings(current_scene(context)).parts))

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = layout_of(self), scene_settings(current_scene(context))
        layout.template_list("BACKFLIP_UL_parts", "", settings, "parts", settings, "part_index", rows=4)
        part = settings.parts[min(settings.part_index, len(settings.parts) - 1)]
        column = layout.column(align=True)
        for name in ("mass", "size", "strength", "reach"):
            column.prop(part, name)
        row = layout.row(align=True)
        button(row, "backflip.build_body", text="Apply", icon="ARMATURE_DATA")
        button(row, "backflip.reset_parts", text="Reset", icon="LOOP_BACK")


CLASSES = (BACKFLIP_PT_avatar, BACKFLIP_PT_parts)
