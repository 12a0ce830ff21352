# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes that are asked for, each with its direction: how many, in which manner; and the queue of those that wait."""

from __future__ import annotations

from typing import Annotated, Any

import bpy
from bpy.props import BoolProperty, StringProperty

from .. import compat
from ..jobs.json_files import JobError
from ..settings import scene_settings
from . import directions, follow, job_link, job_monitor, takes, training
from .base import INTERNAL, Step, current_scene, need_job


def asked_for(scene: bpy.types.Scene) -> list[dict[str, Any]]:
    """The shots that the Shoot panel asks for, each as the fields of its request. Raises JobError."""
    fields = scene_settings(scene).direction
    _check_stage(scene, fields.stage)
    return [
        {
            "seed": fields.seed + number,
            "replan": fields.manner == "replanned",
            "stage": fields.stage,
            "direction": direction.to_json(),
        }
        for number, direction in enumerate(directions.swept(fields))
    ]


def _check_stage(scene: bpy.types.Scene, stage: str) -> None:
    """Raises JobError for a stage that the job has not, or no more."""
    if stage and stage not in [file.name for file in job_link.job_of(scene).list_stages()]:
        raise JobError(f"This job has no stage called {stage}; choose another.")


class Shoot(Step, bpy.types.Operator):
    """Shoot takes as directed, one after the other in the background; a running training continues"""

    bl_idname = "backflip.shoot"
    bl_label = "Shoot"
    needs = (need_job, takes.need_learned)

    preset: Annotated[
        str,
        StringProperty(
            name="Preset",
            description="Use this preset first; what the Shoot panel says when empty",
            options=INTERNAL,
        ),
    ]
    blocking: Annotated[
        bool, BoolProperty(name="Wait", description="Return when the takes are recorded", options=INTERNAL)
    ]

    def run(self, context: bpy.types.Context) -> None:
        scene = current_scene(context)
        fields = scene_settings(scene).direction
        if self.preset:
            directions.set_direction(fields, directions.read_direction(self.preset))
        shots = asked_for(scene)
        takes.ask_for(scene, training.python(), shots)
        follow.asked(scene)
        fields.seed += len(shots)  # the next press gives other takes
        scene_settings(scene).show_take = True  # a bake may have hidden them
        compat.redraw(sidebar_alone=True)
        count = "1 take is" if len(shots) == 1 else f"{len(shots)} takes are"
        words = directions.words_of(fields)
        self.report({"INFO"}, f"{count} asked for{f': {words}' if words else ''}.")
        if self.blocking:
            self.report({"INFO"}, training.wait(scene, len(shots) * training.GRACE_SECONDS).message)


class EmptyQueue(Step, bpy.types.Operator):
    """Cancel the takes that are waiting. The one being shot is finished"""

    bl_idname = "backflip.empty_queue"
    bl_label = "Empty Queue"
    needs = (need_job,)

    def run(self, context: bpy.types.Context) -> None:
        count = job_link.job_of(current_scene(context)).withdraw_shots()
        if not count:
            raise JobError("No take is waiting to be shot.")
        job_monitor.refresh(current_scene(context))
        compat.redraw(sidebar_alone=True)
        taken = "1 take is" if count == 1 else f"{count} takes are"
        self.report({"INFO"}, f"{taken} taken off the queue. One that is being shot already is finished.")


class ChooseStage(Step, bpy.types.Operator):
    """Shoot what it could at this stage of its learning"""

    bl_idname = "backflip.choose_stage"
    bl_label = "Choose Stage"
    bl_options = {"REGISTER", "UNDO"}
    needs = (need_job,)

    stage: Annotated[
        str, StringProperty(name="Stage", description="The stage's file; empty for the best there is", options=INTERNAL)
    ]

    def run(self, context: bpy.types.Context) -> None:
        scene = current_scene(context)
        _check_stage(scene, self.stage)
        scene_settings(scene).direction.stage = self.stage


CLASSES = (Shoot, EmptyQueue, ChooseStage)
