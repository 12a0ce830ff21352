# SPDX-License-Identifier: GPL-3.0-or-later
"""The push as an arrow in the viewport: drag its head for the strength, its rings for where it goes."""

from __future__ import annotations

import math
from typing import Any

import bpy
from mathutils import Matrix

from ..operators import push_arrow
from ..operators.base import current_scene
from ..settings import scene_settings

COLOUR = (1.0, 0.35, 0.1)
BRIGHT = (1.0, 0.75, 0.35)


class BACKFLIP_GGT_push(bpy.types.GizmoGroup):
    """An arrow for the strength, a level ring for the direction and an upright one for how far up."""

    bl_idname = "BACKFLIP_GGT_push"
    bl_label = "Push"
    bl_space_type = "VIEW_3D"
    bl_region_type = "WINDOW"
    bl_options = {"3D", "PERSISTENT", "SHOW_MODAL_ALL"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return context.mode in ("OBJECT", "POSE") and push_arrow.shown(current_scene(context))

    def setup(self, _context: bpy.types.Context) -> None:
        """Make the arrow and the rings."""
        self.dragged, self.offset, self.rest = False, 0.0, 1.0
        self.arrow = _new(self, "GIZMO_GT_arrow_3d")
        self.arrow.draw_style = "NORMAL"
        self.arrow.length = 1.0
        self.arrow.target_set_handler("offset", get=self._offset, set=self._drag)
        self.level = _new(self, "GIZMO_GT_dial_3d")
        self.level.target_set_handler("offset", get=_heading, set=_set_heading)
        self.upright = _new(self, "GIZMO_GT_dial_3d")
        self.upright.target_set_handler("offset", get=_elevation, set=_set_elevation)
        for gizmo in (self.arrow, self.level, self.upright):
            gizmo.color, gizmo.color_highlight = COLOUR, BRIGHT
            gizmo.alpha, gizmo.alpha_highlight = 0.8, 1.0
            gizmo.use_draw_modal = True
            gizmo.use_draw_scale = False
        for ring in (self.level, self.upright):
            ring.alpha = 0.5
            ring.draw_options = {"CLIP"}

    def draw_prepare(self, context: bpy.types.Context) -> None:
        """Put them where the pushed part is at that moment."""
        arrow = push_arrow.arrow(current_scene(context))
        if arrow is None:
            return
        gizmos = (self.arrow, self.level, self.upright)
        dragged = any(gizmo.is_modal for gizmo in gizmos)
        if self.dragged and not dragged:  # Blender makes no step of what goes through handlers; none may be made here
            bpy.app.timers.register(_push_undo, first_interval=0.0)
        self.dragged = dragged
        if not dragged:  # what is dragged stays in its frame
            self.arrow.length = arrow.length
            for gizmo, frame in zip(gizmos, arrow.frames(), strict=True):
                gizmo.matrix_basis = Matrix(frame.tolist())
            self.arrow.matrix_basis @= Matrix.Translation((0.0, 0.0, -self.offset))
            self.rest = arrow.length - self.offset

    def _offset(self) -> float:
        """How far the arrow has been dragged in all. Blender draws it so far ahead of its frame, and goes on to when a
        drag has ended: so its frame is as far behind, and what is told here changes by drags alone."""
        return self.offset

    def _drag(self, offset: float) -> None:
        self.offset = offset
        push_arrow.set_length(current_scene(bpy.context), self.rest + offset)


def _push_undo() -> None:
    bpy.ops.ed.undo_push(message="Move Push")


def _new(group: bpy.types.GizmoGroup, kind: str) -> Any:
    """A gizmo, whose properties the stubs do not know: they depend on its kind."""
    return group.gizmos.new(kind)


def _fields() -> Any:
    return scene_settings(current_scene(bpy.context)).direction


# A dial counts the other way around: seen against its axis, to the right


def _heading() -> float:
    return -float(_fields().push_heading)


def _set_heading(angle: float) -> None:
    _fields().push_heading = math.remainder(-angle, 2 * math.pi)


def _elevation() -> float:
    return -float(_fields().push_elevation)


def _set_elevation(angle: float) -> None:
    _fields().push_elevation = min(max(math.remainder(-angle, 2 * math.pi), -math.pi / 2), math.pi / 2)


CLASSES = (BACKFLIP_GGT_push,)
