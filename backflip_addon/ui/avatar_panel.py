# SPDX-License-Identifier: GPL-3.0-or-later
"""1 Avatar: the character, the map of its bones, its body and the parts of that."""

from __future__ import annotations

import bpy
from bpy.app.translations import pgettext_iface as translated

from ..core.rigs.anthropometry import USUAL_BMI
from ..operators import avatar, clip_library
from ..operators.base import current_scene, guess_sentence, need_avatar, what_is_missing
from ..settings import BackflipSettings, scene_settings
from .panel_base import (
    MAP_BUTTONS,
    SidebarPanel,
    StepPanel,
    button,
    fold,
    is_open,
    layout_of,
    open_step,
    scale_of,
    sentence,
    step_button,
)


class BACKFLIP_PT_avatar(StepPanel, bpy.types.Panel):
    bl_label = "1 Avatar"

    def draw(self, context: bpy.types.Context) -> None:
        scene = current_scene(context)
        layout, settings = open_step(self, context, "avatar", self.bl_label), scene_settings(scene)
        if layout is None:
            return
        if settings.avatar is None or what_is_missing(scene, need_avatar):
            self._draw_first(context, layout)
            return
        if settings.avatar.library is not None:
            sentence(layout, context, "It is linked: make a library override of it before you bake.", "INFO")
        if guessed := guess_sentence(settings.roles, "avatar"):
            sentence(layout, context, guessed, "INFO")
        step_button(layout, context, avatar.BuildBody, "ARMATURE_DATA")
        posed = avatar.in_check_pose(scene)
        if settings.body_json or posed:
            row = layout.row(align=True)
            row.prop(settings, "show_body", toggle=True)
            button(row, "backflip.check_pose", icon="OUTLINER_OB_ARMATURE", depress=posed)
        lacking = any(item.required and not item.bone for item in settings.roles)
        if lacking:
            self._draw_map(layout, settings, "Bone Map")
        elif (body := fold(layout, "map", "Bone Map")) is not None:
            self._draw_map(body, settings)
        if (body := fold(layout, "strength", "Weight and Strength")) is not None:
            body.use_property_split, body.use_property_decorate = True, False
            self._draw_mass(body, settings)
            body.prop(settings, "strength")
        if (body := fold(layout, "another", "Another Avatar")) is not None:
            self._draw_choice(body)

    def _draw_mass(self, layout: bpy.types.UILayout, settings: BackflipSettings) -> None:
        """The body's mass, or how it comes to the one that it has."""
        layout.prop(settings, "own_mass")
        if settings.own_mass:
            layout.prop(settings, "mass")
        elif settings.body_json:
            usual = USUAL_BMI * settings.body_height**2
            layout.label(text=f"{translated('Usual Mass')}: {usual:.0f} kg", icon="BLANK1")

    def _draw_first(self, context: bpy.types.Context, layout: bpy.types.UILayout) -> None:
        """The first look: try it, or bring your own character."""
        words = step_button(layout, context, clip_library.TryIt, "PLAY", "Try It: Learn a Backflip", told=False)
        sentence(layout, context, "Or choose your own character:", "NONE")
        self._draw_choice(layout, scale_of(context, "backflip.add_mannequin"))
        if words:  # below what can be pressed, which must not move when this goes
            sentence(layout, context, words, "INFO")

    def _draw_choice(self, layout: bpy.types.UILayout, scale: float = 1.0) -> None:
        """Where a character comes from. scale: how high the mannequin's button is, where nothing can be tried."""
        column = layout.column(align=True)
        button(column, "backflip.pick_avatar", icon="EYEDROPPER")
        button(column, "backflip.import_avatar", icon="IMPORT")
        row = column.row()
        row.scale_y = scale
        button(row, "backflip.add_mannequin", icon="OUTLINER_OB_ARMATURE")

    def _draw_map(self, layout: bpy.types.UILayout, settings: BackflipSettings, title: str = "") -> None:
        """Which bones play which body parts."""
        row = layout.row(align=True)
        row.label(text=title)
        button(row, "backflip.set_role", text="", icon="EYEDROPPER", of="AVATAR")
        for operator, icon in MAP_BUTTONS:
            button(row, operator, text="", icon=icon, of="AVATAR")
        layout.template_list("BACKFLIP_UL_roles", "", settings, "roles", settings, "role_index", rows=6)


class BACKFLIP_PT_parts(SidebarPanel, bpy.types.Panel):
    bl_label = "Body Parts"
    bl_parent_id = "BACKFLIP_PT_avatar"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        scene = current_scene(context)
        return is_open(context, "avatar") and bool(len(scene_settings(scene).parts)) and not need_avatar(scene)

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
