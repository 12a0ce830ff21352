# SPDX-License-Identifier: GPL-3.0-or-later
"""2 Reference, from a video: the file, the part and the person to look at, how it goes, and what is unsure of it."""

from __future__ import annotations

from typing import cast

import bpy

from ..operators import video, video_networks, video_result
from ..operators.base import current_scene
from ..settings.video import BackflipVideo
from .panel_base import SidebarPanel, button, is_open, layout_of, sentence, step_button


class BACKFLIP_PT_video(SidebarPanel, bpy.types.Panel):
    bl_label = "From Video"
    bl_parent_id = "BACKFLIP_PT_reference"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return is_open(context, "reference") and bool(video_result.video_settings(current_scene(context)).path)

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = layout_of(self), video_result.video_settings(current_scene(context))
        if (lacking := video.models_lacking()) or video_networks.downloading():
            self._draw_networks(context, lacking)
            return
        layout.label(text=bpy.path.basename(settings.path), icon="FILE_MOVIE")
        self._draw_part(layout, settings)
        if (work := video.at_work()) is not None:
            row = layout.row(align=True)
            row.progress(factor=work.progress.fraction, text=work.progress.words, type="BAR")
            button(row, "backflip.cancel_video", icon="CANCEL", text="")
            return
        step_button(layout, context, video.LearnFromVideo, "ARMATURE_DATA")
        if settings.problem:
            sentence(layout, context, settings.problem, "ERROR")
        if settings.suggested_speed:
            words = f"Slow Motion, {settings.suggested_speed:g} Times"
            button(layout, "backflip.use_slow_motion", icon="MOD_TIME", text=words)
        self._draw_tried(layout, context, settings)
        for words in video_result.doubts(settings):
            sentence(layout, context, words, "INFO")
        if settings.result:
            layout.prop(settings, "show_strip")
            layout.prop(settings, "show_landmarks")
            column = layout.column(align=True)
            button(column, "backflip.strike_out_frame", icon="X")
            button(column, "backflip.correct_landmark", icon="TRACKER")
            for words in _changed(settings):
                sentence(layout, context, words, "INFO")
            button(layout, "backflip.add_video_camera", icon="CAMERA_DATA")

    def _draw_tried(self, layout: bpy.types.UILayout, context: bpy.types.Context, settings: BackflipVideo) -> None:
        """Of several videos of one stunt, how sure each is."""
        found = video_result.tried(settings)
        if not found:
            return
        layout.prop(settings, "keep_best")
        if settings.keep_best:
            for one in found:
                sentence(layout, context, f"{one.name}: {one.quality:.0%} sure", "FILE_MOVIE")
        if (other := video_result.other_video(settings)) is None:
            return
        layout.prop(settings, "together")
        if settings.together:
            sentence(layout, context, f"It is fitted together with {other.name}.", "FILE_MOVIE")
            column = layout.column(align=True)
            column.prop(settings, "use_delay")
            if settings.use_delay:
                column.prop(settings, "delay")

    def _draw_part(self, layout: bpy.types.UILayout, settings: BackflipVideo) -> None:
        button(layout, "backflip.show_video", icon="CAMERA_DATA")
        column = layout.column(align=True)
        for name, words, end in (("start", "Begin Here", False), ("end", "End Here", True)):
            row = column.row(align=True)
            row.prop(settings, name, text="To (End)" if end and not settings.end else None)
            button(row, "backflip.trim_video", text=words, end=end)
        column = layout.column()
        column.prop(settings, "height")
        column.prop(settings, "speed")
        row = column.row(align=True)
        row.prop(settings, "use_box")
        button(row, "backflip.draw_person_box", icon="SELECT_SET", text="Draw")
        if settings.use_box:
            for pair in (("left", "right"), ("top", "bottom")):
                row = column.row(align=True)
                for name in pair:
                    row.prop(settings, name, slider=True)
        row = column.row(align=True)
        row.prop(settings, "use_floor")
        button(row, "backflip.draw_floor_line", icon="AXIS_TOP", text="Draw")
        if settings.use_floor:
            column.prop(settings, "floor", slider=True)
        column.prop(settings, "use_camera")

    def _draw_networks(self, context: bpy.types.Context, lacking: str) -> None:
        """What is missing before a video can be looked at, and how to have it."""
        layout = layout_of(self)
        if words := video_networks.downloading():
            sentence(layout, context, words, "SORTTIME")
            button(layout, "backflip.cancel_networks", icon="CANCEL")
            return
        sentence(layout, context, video_networks.problem() or lacking, "ERROR")
        # ticked it stays, or the button below would move away from under the mouse
        layout.prop(cast(bpy.types.Preferences, context.preferences).system, "use_online_access")
        button(layout, "backflip.install_networks", icon="IMPORT")
        button(layout, "backflip.install_networks_file", icon="FILE_FOLDER", text="From File")


def _changed(settings: BackflipVideo) -> list[str]:
    """What was said of the frames, for which the reference is to be made anew."""
    struck, moved = len(video_result.struck_frames(settings)), len(video_result.corrections(settings))
    frames = "1 frame is" if struck == 1 else f"{struck} frames are"
    marks = "1 landmark is" if moved == 1 else f"{moved} landmarks are"
    found = [f"{frames} struck out."] if struck else []
    found += [f"{marks} corrected."] if moved else []
    return [*found, "Press Make Reference to take account of it."] if video_result.is_outdated(settings) else found


CLASSES = (BACKFLIP_PT_video,)
