# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person does to a video's picture with the mouse: a box around whom to learn from, frames left out, landmarks
put where they belong."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import bpy
import numpy as np
from bpy.props import BoolProperty, FloatProperty, FloatVectorProperty, IntProperty

from .. import compat
from ..core.arrays import Array
from ..scene import footage
from ..scene.footage import Timing
from ..scene.importing.importer import FileError
from ..scene.units import scene_rate
from ..settings import scene_settings
from ..settings.video import BackflipVideo
from .base import INTERNAL, Returned, Step, current_scene, window_manager
from .picture_frame import PictureFrame, see_through, show_whole_picture, video_frame, view_of
from .video import need_no_work, need_result, need_video
from .video_result import correct, landmarks_at, strike, video_settings

LEAST_BOX = 0.03  # share of the picture's sides
GRASP = 30.0  # pixels at a resolution scale of 1: how near a landmark the mouse must be to grasp it


def box_between(a: Array, b: Array) -> tuple[float, float, float, float] | None:
    """left, right, top, bottom of a box with two corners (2,), shares of the picture; None for hardly any."""
    (left, top), (right, bottom) = np.clip(np.minimum(a, b), 0, 1), np.clip(np.maximum(a, b), 0, 1)
    if right - left < LEAST_BOX or bottom - top < LEAST_BOX:
        return None
    return float(left), float(right), float(top), float(bottom)


def set_box(settings: BackflipVideo, box: tuple[float, float, float, float]) -> None:
    settings.left, settings.right, settings.top, settings.bottom = box
    settings.use_box = True


def show_video(context: bpy.types.Context) -> None:
    """Look through a camera with the scene's video behind it; one is added where there is none. Raises FileError."""
    scene = current_scene(context)
    settings = video_settings(scene)
    found = footage.open_video(Path(bpy.path.abspath(settings.path)))
    before = scene.camera
    footage.show(scene, found, Timing(scene_settings(scene).start_frame, scene_rate(scene)))
    seen = view_of(context.space_data)
    if seen is not None and (seen.perspective != "CAMERA" or before != scene.camera):
        show_whole_picture(scene, context.area, context.space_data)


def trim(scene: bpy.types.Scene, end: bool) -> None:
    """Begin the part that is looked at with the frame of the footage at the scene's present time, or end it with that.

    Raises FileError where the footage is not shown, or has no such frame.
    """
    settings = video_settings(scene)
    found = footage.open_video(Path(bpy.path.abspath(settings.path)))
    frame = footage.shown_frame(scene, found)
    if frame is None:
        raise FileError("Press Show Video first, then go to a time at which it shows a picture.")
    if end:
        settings.end = (frame + 1) / found.rate
    else:
        settings.start = frame / found.rate
    if 0.0 < settings.end <= settings.start:
        settings.start, settings.end = (0.0, settings.end) if end else (settings.start, 0.0)


def set_floor(scene: bpy.types.Scene, share: float) -> None:
    """Put the floor under the person so far down in the picture, in the frame of the footage at the present time."""
    settings = video_settings(scene)
    found = footage.open_video(Path(bpy.path.abspath(settings.path)))
    frame = footage.shown_frame(scene, found)
    settings.use_floor, settings.floor = True, share
    settings.floor_frame = math.floor(settings.start * found.rate + 1e-4) if frame is None else frame


class ShowVideo(Step, bpy.types.Operator):
    """Look at the video, through a camera that has it behind it"""

    bl_idname = "backflip.show_video"
    bl_label = "Show Video"
    bl_options = {"REGISTER", "UNDO"}
    needs = (need_video,)

    def run(self, context: bpy.types.Context) -> None:
        show_video(context)


class TrimVideo(Step, bpy.types.Operator):
    """Begin with the picture that is shown at the current time, or end with it"""

    bl_idname = "backflip.trim_video"
    bl_label = "Trim Video"
    bl_options = {"REGISTER", "UNDO"}
    needs = (need_video, need_no_work)

    end: Annotated[bool, BoolProperty(name="End", description="End with it; otherwise begin with it", options=INTERNAL)]

    def run(self, context: bpy.types.Context) -> None:
        trim(current_scene(context), self.end)


class StrikeOutFrame(Step, bpy.types.Operator):
    """Leave out the video's frame at the current time, or use it again"""

    bl_idname = "backflip.strike_out_frame"
    bl_label = "Strike Out Frame"
    bl_options = {"REGISTER", "UNDO"}
    needs = (need_result, need_no_work)

    def run(self, context: bpy.types.Context) -> None:
        strike(current_scene(context))


class _InPicture(Step):
    """Mix-in of what is done by a press, a drag and a release in the camera's picture."""

    asks = ""

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> Returned:
        if not isinstance(context.space_data, bpy.types.SpaceView3D):
            return self.execute(context)
        return self.attempt(context, lambda: self._begin(context))

    def _begin(self, context: bpy.types.Context) -> Returned:
        self._seen = footage.as_seen(current_scene(context))
        self._view = view_of(context.space_data)
        self.prepare(context)
        self._start: Array | None = None
        area, window = context.area, context.window
        if area is None or window is None:
            raise FileError("Press it in a 3D viewport.")
        area.header_text_set(self.asks)
        window.cursor_modal_set("CROSSHAIR")
        window_manager(context).modal_handler_add(self)
        compat.redraw()
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> Returned:
        if event.type in {"ESC", "RIGHTMOUSE"}:
            self.abandon(context)
            self._restore(context)
            return self._end(context, {"CANCELLED"})
        if self._start is None and event.type in {"MIDDLEMOUSE", "WHEELUPMOUSE", "WHEELDOWNMOUSE"}:
            return {"PASS_THROUGH"}
        if event.type == "LEFTMOUSE" and event.value == "PRESS":
            place = self._place(context, event)
            self._start = place if place is not None and self.grasp(context, place) else None
        elif event.type == "MOUSEMOVE" and self._start is not None:
            if (place := self._place(context, event)) is not None:
                self.drag(context, self._start, place)
                compat.redraw()
        elif event.type == "LEFTMOUSE" and event.value == "RELEASE" and self._start is not None:
            place = self._place(context, event)
            done = place is not None and self.drag(context, self._start, place)
            if done:
                return self._end(context, {"FINISHED"})
            self.abandon(context)
            self._start = None
        return {"RUNNING_MODAL"}

    def _restore(self, context: bpy.types.Context) -> None:
        """The view and the scene's camera are as before the video was shown for it."""
        footage.see_as(current_scene(context), self._seen)
        see_through(context.space_data, self._view)

    def _end(self, context: bpy.types.Context, returned: Returned) -> Returned:
        if context.area is not None:
            context.area.header_text_set(None)
        if context.window is not None:
            context.window.cursor_modal_restore()
        compat.redraw()
        return returned

    def frame(self, context: bpy.types.Context) -> PictureFrame | None:
        """Where the picture lies in the viewport that the button was pressed in."""
        space, area = context.space_data, context.area
        if not isinstance(space, bpy.types.SpaceView3D) or area is None:
            return None
        region = next((one for one in area.regions if one.type == "WINDOW"), None)
        return None if region is None else video_frame(current_scene(context), region, space.region_3d)

    def _place(self, context: bpy.types.Context, event: bpy.types.Event) -> Array | None:
        """Where the mouse is, shares of the picture."""
        frame, area = self.frame(context), context.area
        region = next((one for one in area.regions if one.type == "WINDOW"), None) if area is not None else None
        if frame is None or region is None:
            return None
        return frame.shares([event.mouse_x - region.x, event.mouse_y - region.y])

    def prepare(self, context: bpy.types.Context) -> None:
        """Before the mouse is waited for."""

    def grasp(self, context: bpy.types.Context, place: Array) -> bool:
        """The button goes down; whether something begins with it."""
        raise NotImplementedError

    def drag(self, context: bpy.types.Context, start: Array, place: Array) -> bool:
        """The mouse has come from start to place; whether there is something to be kept."""
        raise NotImplementedError

    def abandon(self, context: bpy.types.Context) -> None:
        """Undo what drag() did."""


class DrawPersonBox(_InPicture, bpy.types.Operator):
    """Draw a box around all of the person's path over the picture of the video: nothing outside of it is looked at"""

    bl_idname = "backflip.draw_person_box"
    bl_label = "Draw Person Box"
    bl_options = {"REGISTER", "UNDO"}
    needs = (need_video, need_no_work)
    asks = "Drag a box around all of the person's path. Esc: leave it as it is"

    corners: Annotated[
        Any, FloatVectorProperty(name="Box", description="Left, right, top and bottom", size=4, options=INTERNAL)
    ]

    def run(self, context: bpy.types.Context) -> None:
        left, right, top, bottom = (float(x) for x in self.corners)
        box = box_between(np.array([left, top]), np.array([right, bottom]))
        if box is None:
            raise FileError("The person's box has no inside; draw it around all of the person's path.")
        set_box(video_settings(current_scene(context)), box)

    def prepare(self, context: bpy.types.Context) -> None:
        """The video is shown, and the box remembered as it was."""
        show_video(context)
        settings = video_settings(current_scene(context))
        self._before = settings.use_box, (settings.left, settings.right, settings.top, settings.bottom)

    def grasp(self, _context: bpy.types.Context, _place: Array) -> bool:
        """A box begins anywhere."""
        return True

    def drag(self, context: bpy.types.Context, start: Array, place: Array) -> bool:
        """The box lies between both places."""
        if (box := box_between(start, place)) is None:
            return False
        set_box(video_settings(current_scene(context)), box)
        self.corners = box
        return True

    def abandon(self, context: bpy.types.Context) -> None:
        """The box is as it was."""
        settings = video_settings(current_scene(context))
        set_box(settings, self._before[1])
        settings.use_box = self._before[0]


class DrawFloorLine(_InPicture, bpy.types.Operator):
    """Drag the line of the floor to where it is under the person in the current frame; Make Reference then fits anew"""

    bl_idname = "backflip.draw_floor_line"
    bl_label = "Draw Floor Line"
    bl_options = {"REGISTER", "UNDO"}
    needs = (need_video, need_no_work)
    asks = "Drag the line to where the floor is under the person. Esc: leave it as it is"

    floor: Annotated[float, FloatProperty(name="Floor", min=0.0, max=1.0, options=INTERNAL)]

    def run(self, context: bpy.types.Context) -> None:
        set_floor(current_scene(context), self.floor)

    def prepare(self, context: bpy.types.Context) -> None:
        """The video is shown, and the line remembered as it was."""
        show_video(context)
        settings = video_settings(current_scene(context))
        self._before = settings.use_floor, settings.floor, settings.floor_frame

    def grasp(self, _context: bpy.types.Context, _place: Array) -> bool:
        """The line comes to the mouse from anywhere."""
        return True

    def drag(self, context: bpy.types.Context, _start: Array, place: Array) -> bool:
        """The line is as high as the mouse."""
        self.floor = float(np.clip(place[1], 0.0, 1.0))
        self.run(context)
        return True

    def abandon(self, context: bpy.types.Context) -> None:
        """The line is where it was."""
        settings = video_settings(current_scene(context))
        settings.use_floor, settings.floor, settings.floor_frame = self._before


class CorrectLandmark(_InPicture, bpy.types.Operator):
    """Drag a landmark of the current frame to where it belongs; Make Reference then fits the motion anew"""

    bl_idname = "backflip.correct_landmark"
    bl_label = "Correct Landmark"
    bl_options = {"REGISTER", "UNDO"}
    needs = (need_result, need_no_work)
    asks = "Drag a point of the skeleton to where it belongs. Esc: leave it as it is"

    mark: Annotated[int, IntProperty(name="Landmark", min=0, max=32, options=INTERNAL)]
    place: Annotated[
        Any, FloatVectorProperty(name="Place", description="Shares of the picture", size=2, options=INTERNAL)
    ]

    def run(self, context: bpy.types.Context) -> None:
        correct(current_scene(context), self.mark, (float(self.place[0]), float(self.place[1])))

    def prepare(self, context: bpy.types.Context) -> None:
        """The video and its skeleton are shown."""
        if not len(landmarks_at(current_scene(context))):
            raise FileError("Go to a time within the reference that was made from the video.")
        video_settings(current_scene(context)).show_landmarks = True
        show_video(context)
        self._before = video_settings(current_scene(context)).corrected

    def grasp(self, context: bpy.types.Context, place: Array) -> bool:
        """The nearest landmark is taken, if it is near."""
        frame, marks = self.frame(context), landmarks_at(current_scene(context))
        preferences = context.preferences
        reach = GRASP * (preferences.system.ui_scale if preferences is not None else 1.0)
        if frame is None or not len(marks):
            return False
        away = np.linalg.norm(frame.places(marks) - frame.places(place), axis=-1)
        self.mark = int(away.argmin())
        return bool(away.min() <= reach)

    def drag(self, context: bpy.types.Context, _start: Array, place: Array) -> bool:
        """The landmark goes where the mouse is."""
        self.place = tuple(np.clip(place, 0.0, 1.0))
        self.run(context)
        return True

    def abandon(self, context: bpy.types.Context) -> None:
        """Landmarks are where they were."""
        video_settings(current_scene(context)).corrected = self._before


CLASSES: tuple[Any, ...] = (ShowVideo, TrimVideo, StrikeOutFrame, DrawPersonBox, DrawFloorLine, CorrectLandmark)
