# SPDX-License-Identifier: GPL-3.0-or-later
"""Step 4: takes: found, read, and shot anew."""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import bpy
from bpy.props import BoolProperty, FloatProperty, IntProperty, StringProperty

from ..core import body as bodies
from ..core.body import Body
from ..core.isolation import Interpreter
from ..core.motion import Motion, Take, load_motion, load_take, validate
from ..core.rigs import binding as bindings
from ..core.rigs.binding import Binding
from ..core.slope import in_the_world
from ..core.verdict import meaning_of
from ..jobs import trainer_process
from ..jobs.folder import JobFolder
from ..jobs.json_files import JobError
from ..jobs.messages import TakeRecorded
from ..jobs.status import plain, read_status
from ..scene import stored_avatar
from ..settings import scene_settings
from . import job_link, job_monitor, training
from .base import INTERNAL, Returned, Step, current_scene, need_job, window_manager
from .known_job import has_learned

FEW_SHOTS = 4  # that are asked for at once, in some hundredths of a second

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Shot:
    """A take with the body that performed it. avatar: the name of the character, "" when it is not known."""

    take: Take
    body: Body
    binding: Binding
    reference: dict[str, Any]
    file: Path
    avatar: str = ""


def find_take(scene: bpy.types.Scene, name: str = "") -> Path:
    """A take's file: a path, a name in the scene's job, or (empty) the job's best. Raises JobError."""
    path = Path(bpy.path.abspath(name)) if name else None
    if path is not None and path.is_file():
        return path
    folder = job_link.job_of(scene)
    files = {file.name: file for file in folder.list_takes()}
    if not files:
        raise JobError("There is no take yet; let it train a little longer.")
    if name:
        for candidate in (name, f"{name}.npz"):
            if candidate in files:
                return files[candidate]
        raise JobError(f"There is no take called {name}; choose one from the list.")
    return files.get(read_status(folder).best_take) or _best(scene, files)


def _best(scene: bpy.types.Scene, files: dict[str, Path]) -> Path:
    """The best by what is known of each, the latest among equals."""
    job_monitor.refresh(scene, whole=True)
    facts = job_monitor.take_facts(scene)
    return files[max(files, key=lambda name: (facts.get(name, TakeRecorded()).rank, name))]


def read_shot(scene: bpy.types.Scene, file: Path) -> Shot:
    """A take, on the slope where it was performed on one, and its job's body; the avatar's present body for a take that
    lies outside a job."""
    try:
        take = load_take(file)
        take = dataclasses.replace(take, motion=in_the_world(take))
        folder = JobFolder(file.parent.parent)
        if folder.job_file.is_file():
            job = folder.read_job()
            body, binding = bodies.from_json(dict(job.body)), bindings.from_json(dict(job.binding))
            facts, avatar = dict(job.reference), plain(job.avatar)
        else:
            (body, binding), facts, avatar = stored_avatar.body_and_binding(scene), {}, ""
        validate(take.motion, len(body.links))
    except ValueError as error:
        raise JobError(f"The take {file.name} cannot be used: {error}.") from error
    return Shot(take, body, binding, facts, file, avatar)


def reference_of(shot: Shot) -> Motion | None:
    """The clip that a take imitates; None for a take that lies outside a job. Raises OSError or ValueError."""
    file = JobFolder(shot.file.parent.parent).reference_file
    if not file.is_file():
        return None
    reference = load_motion(file)
    validate(reference, len(shot.body.links))
    return reference


def shoot(scene: bpy.types.Scene, python: Interpreter, count: int, **circumstances: Any) -> None:
    """Ask for takes in these circumstances, each with a seed of its own, counted up from the one given.

    Raises JobError.
    """
    first = int(circumstances.pop("seed"))
    ask_for(scene, python, [{**circumstances, "seed": first + number} for number in range(count)])


def ask_for(scene: bpy.types.Scene, python: Interpreter, shots: Sequence[Mapping[str, Any]]) -> None:
    """Ask for takes, each by the fields of its request; a trainer is started for it where none is at work.

    Many are asked for in a thread, which Blender's end waits for: a disk takes some thousandths for each. Raises
    JobError.
    """
    folder = job_link.job_of(scene)
    check_learned(folder)
    few = len(shots) if bpy.app.background else FEW_SHOTS
    try:
        for shot in shots[:few]:
            folder.request("shoot", **shot)
    except OSError as error:
        raise JobError(f"The folder {folder.path} cannot be written: {error.strerror}.") from error
    if shots[few:]:
        threading.Thread(target=_ask_for_more, args=(folder, shots[few:]), name="backflip-shots").start()
    if not folder.running():
        trainer_process.start(folder, python)
    job_monitor.watch()


def _ask_for_more(folder: JobFolder, shots: Sequence[Mapping[str, Any]]) -> None:
    try:
        for shot in shots:
            folder.request("shoot", **shot)
    except (OSError, JobError) as error:
        _log.error("Backflip could not ask for all takes: %s", error)


def check_learned(folder: JobFolder) -> None:
    """Raises JobError for a job that has learned nothing yet that could be performed again."""
    if not has_learned(folder):
        raise JobError(NOTHING_LEARNED)


NOTHING_LEARNED = "The avatar has learned nothing yet that could be shot; train until a take lands."


def need_learned(scene: bpy.types.Scene) -> str:
    return NOTHING_LEARNED if job_monitor.learned(scene) is False else ""


class ShootMore(Step, bpy.types.Operator):
    """Record more takes of what the character has learned, with another start, floor or weight"""

    bl_idname = "backflip.shoot_more"
    bl_label = "Shoot More"
    needs = (need_job, need_learned)

    count: Annotated[
        int,
        IntProperty(
            name="Takes", description="How many takes to record", default=1, min=1, max=100, options={"SKIP_SAVE"}
        ),
    ]
    seed: Annotated[
        int,
        IntProperty(
            name="Seed", description="Seed of the first take; each take has its own", min=0, options={"SKIP_SAVE"}
        ),
    ]
    disturbed: Annotated[
        bool,
        BoolProperty(
            name="Unsteady Start",
            description="Start each take a little differently",
            default=True,
            options={"SKIP_SAVE"},
        ),
    ]
    friction: Annotated[
        float,
        FloatProperty(
            name="Friction", description="Friction of the floor", default=0.9, min=0.0, options={"SKIP_SAVE"}
        ),
    ]
    mass: Annotated[
        float,
        FloatProperty(
            name="Weight",
            description="Factor of the character's mass",
            default=1.0,
            min=0.1,
            max=10.0,
            options={"SKIP_SAVE"},
        ),
    ]
    replan: Annotated[
        bool,
        BoolProperty(
            name="Replan",
            description="Plan each take anew from the landed one, which takes some seconds; without it the network "
            "performs, as well or badly as it has learned to",
            default=True,
            options={"SKIP_SAVE"},
        ),
    ]
    blocking: Annotated[
        bool, BoolProperty(name="Wait", description="Return when the takes are recorded", options=INTERNAL)
    ]

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> Returned:
        try:  # what would fail after the dialog fails before it
            check_learned(job_link.job_of(current_scene(context)))
            training.python()
        except JobError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.seed = len(scene_settings(current_scene(context)).takes)
        return window_manager(context).invoke_props_dialog(self)

    def run(self, context: bpy.types.Context) -> None:
        circumstances = {name: getattr(self, name) for name in ("seed", "disturbed", "replan")}
        # As they were meant: Blender's own 0.9 is a little less, and a take would say that it was asked to bear it
        circumstances |= {name: round(getattr(self, name), 5) for name in ("friction", "mass")}
        shoot(current_scene(context), training.python(), self.count, **circumstances)
        if self.blocking:
            self.report({"INFO"}, training.wait(current_scene(context), self.count * training.GRACE_SECONDS).message)


class ExplainMeasure(Step, bpy.types.Operator):
    """Say what this measure means"""

    bl_idname = "backflip.explain_measure"
    bl_label = "Explain Measure"
    bl_options = {"INTERNAL"}

    measure: Annotated[str, StringProperty(name="Measure", options=INTERNAL)]

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: bpy.types.OperatorProperties) -> str:
        return meaning_of(properties.measure)

    def run(self, _context: bpy.types.Context) -> None:
        self.report({"INFO"}, f"{meaning_of(self.measure)}.")


CLASSES = (ShootMore, ExplainMeasure)
