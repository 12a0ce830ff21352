# SPDX-License-Identifier: GPL-3.0-or-later
"""Step 5: the shot, written to a file for another program."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
from bpy.props import EnumProperty, StringProperty

from ..scene import state
from ..scene.baking import bake
from ..scene.exporting import exporter
from ..settings import FORMATS
from .baking import need_bake
from .base import INTERNAL, SaveStep, need_avatar, need_object_mode


def _plays_take(scene: bpy.types.Scene) -> str:
    avatar = scene.backflip.avatar
    return "" if avatar and bake.playing_track(avatar) else "The avatar plays its own animation: press Show Take first."


class ExportShot(SaveStep, bpy.types.Operator):
    """Export the avatar with the take it plays (FBX, USD, Alembic, glTF, BVH)"""

    bl_idname = "backflip.export_shot"
    bl_label = "Export Shot"
    needs = (need_avatar, need_bake, _plays_take, need_object_mode)
    suffixes = exporter.ALL_SUFFIXES

    format: EnumProperty(name="Format", items=FORMATS, default="FBX", options={"SKIP_SAVE"})
    shown_format: StringProperty(options=INTERNAL)  # that of the dialog's name

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        self.format = self.shown_format = self.given_format(context.scene.backflip)
        return super().invoke(context, event)

    def check(self, _context: bpy.types.Context) -> bool:
        """Keep the dialog's name and format together: the one that was changed leads."""
        before, path = (self.filepath, self.format), Path(self.filepath)
        if self.format == self.shown_format:
            self.format = exporter.kind_of(path) or self.format
        elif exporter.kind_of(path):
            self.filepath = str(path.with_suffix(""))
        self.shown_format = self.format
        self.show_name()
        return (self.filepath, self.format) != before

    def run(self, context: bpy.types.Context) -> None:
        armature = state.avatar(context.scene)
        self.format = self.given_format(context.scene.backflip)
        strip = bake.playing_track(armature).strips[0]
        first, last = round(strip.frame_start), round(strip.frame_end)
        exported = exporter.export_shot(armature, self.target(), self.format, first, last)
        for warning in exported.warnings:
            self.report({"WARNING"}, warning)
        self.report({"INFO"}, exported.words)

    def title(self, context: bpy.types.Context) -> str:
        return bake.playing_track(state.avatar(context.scene)).strips[0].name

    def named(self, path: Path) -> Path:
        return exporter.named_for(path, self.format)

    def given_format(self, settings: Any) -> str:
        """The format asked for, else that of the file's ending, else the scene's choice."""
        if self.properties.is_property_set("format"):
            return self.format
        return exporter.kind_of(Path(self.filepath)) or settings.export_format


CLASSES = (ExportShot,)
