# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps whose work comes in slices, so that Blender's window goes on meanwhile; scripts wait for all of it."""

from __future__ import annotations

from typing import cast

import bpy

from .. import compat
from ..core.slices import Sliced, Slices, at_once
from . import background_work
from .base import Returned, Step, window_manager

TICK_SECONDS = 0.01
SLICE_SECONDS = 0.008  # of work between two looks at the window; a slice that has begun is ended
# What goes on as ever while a step works; all other presses would change what it works on
_LOOKING = {
    *("MOUSEMOVE", "INBETWEEN_MOUSEMOVE", "WINDOW_DEACTIVATE", "MIDDLEMOUSE", "WHEELUPMOUSE", "WHEELDOWNMOUSE"),
    *("TRACKPADPAN", "TRACKPADZOOM", "TIMER0", "TIMER1", "TIMER2", "TIMERREGION"),
}
GONE = "What this step was working on is gone: press the button again."


class SlicedStep(Step):
    """A Step that has slices() in place of run(). Pressed in a window it works between redraws, and Esc ends it."""

    # Annotations are for Blender's properties
    _sliced = cast("Sliced[Returned | None] | None", None)
    _timer = cast("bpy.types.Timer | None", None)

    def slices(self, context: bpy.types.Context) -> Slices[Returned | None]:
        """The work; where it is given up it takes back what it has begun."""
        raise NotImplementedError

    def run(self, context: bpy.types.Context) -> Returned | None:
        return at_once(self.slices(context))

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> Returned:
        self.pressed = True
        return self.execute(context)

    def execute(self, context: bpy.types.Context) -> Returned:
        pressed, self.pressed = self.pressed, False  # what is done over from the panel of the last step is done at once
        if not pressed or background_work.waits() or context.window is None:
            return super().execute(context)
        self._sliced = Sliced(self.slices(context))
        done = self.attempt(context, self._go_on)
        if "RUNNING_MODAL" in done:
            self._timer = window_manager(context).event_timer_add(TICK_SECONDS, window=context.window)
            window_manager(context).modal_handler_add(self)
            compat.show_status(f"{self.bl_label}…   Esc: Cancel")
        return done

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> Returned:
        if event.type == "ESC" and event.value == "PRESS":
            self.cancel(context)
            return {"CANCELLED"}
        if event.type != "TIMER":
            return {"PASS_THROUGH"} if event.type in _LOOKING else {"RUNNING_MODAL"}
        done = self.attempt(context, self._go_on)
        if "RUNNING_MODAL" not in done:
            self._end(context)
        return done

    def cancel(self, context: bpy.types.Context) -> None:
        if self._sliced is not None:
            self._sliced.stop()
        self._end(context)

    def _go_on(self) -> Returned | None:
        assert self._sliced is not None
        try:
            return self._sliced.result if self._sliced.go_on(SLICE_SECONDS) else {"RUNNING_MODAL"}
        except ReferenceError:  # a script took something away between two slices
            self.report({"ERROR"}, GONE)
            return {"CANCELLED"}

    def _end(self, context: bpy.types.Context) -> None:
        if self._timer is not None:
            window_manager(context).event_timer_remove(self._timer)
            compat.show_status(None)
            compat.redraw()  # as Blender does by itself after what is done in one go
        self._sliced = self._timer = None
