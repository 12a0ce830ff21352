# SPDX-License-Identifier: GPL-3.0-or-later
"""Step 5: the shot, written to a file for another program."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import bpy
from bpy.props import EnumProperty, StringProperty

from ..scene import stored_avatar
from ..scene.baking import nla
from ..scene.exporting import exporter
from ..settings import FORMATS, scene_settings
from .baking import need_bake
from .base import INTERNAL, Returned, SaveStep, current_scene, need_avatar, need_object_mode


def _plays_take(scene: bpy.types.Scene) -> str:
    avatar = scene_settings(scene).avatar
    return "" if avatar and nla.playing_track(avatar) else "The avatar plays its own animation: press Show Take first."


def _strip(armature: bpy.types.Object) -> bpy.types.NlaStrip:
    """The strip of the take that plays; there is one, see _plays_take."""
    return cast(bpy.types.NlaTrack, nla.playing_track(armature)).strips[0]


class ExportShot(SaveStep, bpy.types.Operator):
    """Export the avatar with the take it plays (FBX, USD, Alembic, glTF, BVH)"""

    bl_idname = "backflip.export_shot"
    bl_label = "Export Shot"
    needs = (need_avatar, need_bake, _plays_take, need_object_mode)
    suffixes = exporter.ALL_SUFFIXES

    format: Annotated[str, EnumProperty(name="Format", items=FORMATS, default="FBX", options={"SKIP_SAVE"})]
    shown_format: Annotated[str, StringProperty(options=INTERNAL)]  # that of the dialog's name

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> Returned:
        self.format = self.shown_format = self.given_format(scene_settings(current_scene(context)))
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
        armature = stored_avatar.avatar(current_scene(context))
        self.format = self.given_format(scene_settings(current_scene(context)))
        strip = _strip(armature)
        first, last = round(strip.frame_start), round(strip.frame_end)
        exported = exporter.export_shot(armature, self.target(), self.format, first, last)
        for warning in exported.warnings:
            self.report({"WARNING"}, warning)
        self.report({"INFO"}, exported.words)

    def title(self, context: bpy.types.Context) -> str:
        return _strip(stored_avatar.avatar(current_scene(context))).name

    def named(self, path: Path) -> Path:
        return exporter.named_for(path, self.format)

    def given_format(self, settings: Any) -> str:
        """The format asked for, else that of the file's ending, else the scene's choice."""
        if self.properties.is_property_set("format"):
            return self.format
        return exporter.kind_of(Path(self.filepath)) or settings.export_format


CLASSES = (ExportShot,)
