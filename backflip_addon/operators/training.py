# SPDX-License-Identifier: GPL-3.0-or-later
"""Step 3: a training job, started, watched and asked through its folder."""

from __future__ import annotations

import dataclasses
import math
import re
import time
from pathlib import Path
from typing import Annotated

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, StringProperty

from .. import preferences
from ..core import body as bodies
from ..core.isolation import Interpreter
from ..core.motion import save_motion
from ..core.rigs import binding as bindings
from ..core.slices import Slices, apart, at_once
from ..jobs import trainer_process
from ..jobs.folder import JobFolder
from ..jobs.json_files import JobError
from ..jobs.messages import Job, JobSettings
from ..jobs.status import JobStatus, wait_for_end
from ..runtime.find import find_runtime
from ..runtime.status import STATUS
from ..scene import stored_avatar, stored_reference
from ..scene.armature.bind_matrix import find_bind_matrix
from ..settings import ENGINES, FOLLOWS, MODES, scene_settings
from ..settings.road import turn_to
from . import follow, job_link, job_list, job_monitor
from .base import PATH, Returned, Step, current_scene, need_avatar, need_body, need_job, need_reference, window_manager
from .sliced_step import SlicedStep

WAIT = {"HIDDEN", "SKIP_SAVE"}  # options of what is for scripts alone: it would hold Blender's window
ASTRAY = 0.2  # m off the clip's place, from which on a take is said to go elsewhere
GRACE_SECONDS = 180.0  # a blocking wait allows the trainer this long beyond its minutes to start and end


NO_PYBULLET = (
    "The trainer's Python has no PyBullet: choose Automatic under Advanced > Physics, or add it in the preferences."
)


def python(engine: str = "auto") -> Interpreter:
    """The trainer's Python, for takes that this engine simulates. Raises JobError with what it lacks."""
    runtime = find_runtime(preferences.trainer_python(), preferences.runtime_home())
    if not runtime.ready:
        raise JobError(runtime.sentence)
    if engine == "pybullet" and not runtime.pybullet:
        raise JobError(NO_PYBULLET)
    return runtime.interpreter


def astray(scene: bpy.types.Scene) -> float:
    """How far off the clip's place the best take is on the mean that has landed or followed it, m; 0 where that is less
    than ASTRAY. Cheap."""
    status = job_monitor.status_of(scene)
    facts = job_monitor.facts_of(scene, status.best_take) if status is not None else None
    if facts is None or not (facts.landed or facts.success) or not facts.g_mpjpe_mm or facts.mpjpe_mm is None:
        return 0.0
    off = math.sqrt(max(facts.g_mpjpe_mm**2 - facts.mpjpe_mm**2, 0.0)) / 1000
    return off if off >= ASTRAY else 0.0


def lacks_engine(scene: bpy.types.Scene) -> str:
    """The sentence for an engine that was chosen and is not there, as far as was looked; "" for any other."""
    asked = scene_settings(scene).engine == "pybullet"
    return NO_PYBULLET if asked and STATUS.ready and not STATUS.pybullet else ""


def new_folder(scene: bpy.types.Scene, name: str) -> Path:
    """Where a new job goes: beside a saved .blend, else into the add-on's data folder."""
    stem = re.sub(r"[^\w-]+", "_", name).strip("_") or "job"
    place = Path(bpy.data.filepath).with_suffix(".backflip") if bpy.data.filepath else preferences.jobs_folder()
    folder = place / f"{stem}-{time.strftime('%Y%m%d-%H%M%S')}"
    number = 1
    while folder.exists():
        number += 1
        folder = folder.with_name(f"{folder.name.rpartition('+')[0] or folder.name}+{number}")
    return folder


def create_job(scene: bpy.types.Scene, path: Path, settings: JobSettings) -> JobFolder:
    """Write everything the trainer needs into a folder. Raises JobError or StateError."""
    return at_once(create_job_slices(scene, path, settings))


def create_job_slices(scene: bpy.types.Scene, path: Path, settings: JobSettings) -> Slices[JobFolder]:
    """create_job() in slices: what the clip is made into may take a second."""
    avatar = stored_avatar.avatar(scene)
    body, binding = stored_avatar.body_and_binding(scene)
    find_bind_matrix(avatar, binding)  # or the takes would not fit it
    motion = yield from apart(stored_reference.finished, stored_reference.asked(scene))
    folder = JobFolder(path)
    if folder.running():
        raise JobError(f"A trainer is running in {path}; stop it first or choose another folder.")
    if folder.job_file.exists():
        raise JobError(f"{path} already holds a training; choose another folder, or resume that one.")
    facts = stored_reference.reference_origin(scene)
    folder.create(
        Job(
            name=f"{avatar.name} {facts['label']}".strip(),
            avatar=avatar.name,
            body=bodies.to_json(body),
            binding=bindings.to_json(binding),
            reference=facts,
            settings=settings.to_json(),
        )
    )
    try:
        save_motion(folder.reference_file, motion)
    except OSError as error:
        raise JobError(f"The folder {path} cannot be written: {error.strerror}.") from error
    return folder


def start(scene: bpy.types.Scene, trainer: Interpreter, chosen: JobSettings | None = None, folder: str = "") -> None:
    """Start a training. chosen: the scene's own settings when None; folder: a new one when empty.

    Raises JobError or StateError.
    """
    at_once(start_slices(scene, trainer, chosen, folder))


def start_slices(
    scene: bpy.types.Scene, trainer: Interpreter, chosen: JobSettings | None = None, folder: str = ""
) -> Slices[None]:
    """start() in slices."""
    settings = scene_settings(scene)
    chosen = chosen or JobSettings.from_json({name: getattr(settings, name) for name in _SETTINGS})
    label = f"{stored_avatar.avatar(scene).name}_{settings.reference_label}"
    path = Path(bpy.path.abspath(folder)) if folder else new_folder(scene, label)
    job = yield from create_job_slices(scene, path, chosen)
    trainer_process.start(job, trainer)
    job_monitor.set_job(scene, path)
    job_monitor.watch()
    job_list.look()
    turn_to(settings, "train")


_SETTINGS = tuple(field.name for field in dataclasses.fields(JobSettings))


def wait(scene: bpy.types.Scene, seconds: float) -> JobStatus:
    """Wait for the trainer's end; returns the last status. Raises JobError when the job failed."""
    wait_for_end(job_link.job_of(scene), seconds)
    status = job_monitor.refresh(scene, whole=True)
    if status.state in ("failed", "died", "unreadable"):
        raise JobError(status.message)
    return status


def need_no_training(scene: bpy.types.Scene) -> str:
    status = job_monitor.status_of(scene)
    return "Training is running: stop it first (step 3)." if status is not None and status.active else ""


def _at_work(scene: bpy.types.Scene) -> str:
    """A trainer that was asked to stop hears nothing else."""
    status = job_monitor.status_of(scene)
    if status is not None and not status.active:
        return "No trainer is running; start it first."
    return "The trainer is stopping." if job_monitor.expected_state(scene) == "stopped" else ""


def _not_paused(scene: bpy.types.Scene) -> str:
    return "The trainer is paused already." if job_monitor.expected_state(scene) == "paused" else ""


def _can_go_on(scene: bpy.types.Scene) -> str:
    busy = {
        "starting": "The trainer is starting.",
        "running": "The trainer is running already.",
        "stopped": "The trainer is stopping.",
    }
    status = job_monitor.status_of(scene)
    return busy.get(job_monitor.expected_state(scene), "") if status is not None and status.active else ""


class StartTraining(SlicedStep, bpy.types.Operator):
    """Train the avatar in the background; training goes on even when Blender is closed"""

    bl_idname = "backflip.start_training"
    bl_label = "Start Training"
    # The file is changed: it knows the job. Without REGISTER nothing offers to do it over with other settings.
    bl_options = {"UNDO"}
    needs = (need_avatar, need_body, need_reference, need_no_training)

    minutes: Annotated[float, FloatProperty(name="Minutes", default=10.0, min=0.01, options={"SKIP_SAVE"})]
    seed: Annotated[int, IntProperty(name="Seed", default=0, min=0, options={"SKIP_SAVE"})]
    workers: Annotated[int, IntProperty(name="Processes", default=0, min=0, options={"SKIP_SAVE"})]
    mode: Annotated[str, EnumProperty(name="Learning", items=MODES, default="auto", options={"SKIP_SAVE"})]
    stop_when_landed: Annotated[bool, BoolProperty(name="Stop When Landed", options={"SKIP_SAVE"})]
    friction: Annotated[float, FloatProperty(name="Friction", default=0.9, min=0.0, options={"SKIP_SAVE"})]
    engine: Annotated[str, EnumProperty(name="Physics", items=ENGINES, default="auto", options={"SKIP_SAVE"})]
    follow: Annotated[str, EnumProperty(name="Follow", items=FOLLOWS, default="both", options={"SKIP_SAVE"})]
    folder: Annotated[
        str,
        StringProperty(
            name="Folder",
            description="Where to keep the training; a new folder when empty",
            options={"SKIP_SAVE"},
        ),
    ]
    blocking: Annotated[bool, BoolProperty(name="Wait", description="Return when the training has ended", options=WAIT)]

    def slices(self, context: bpy.types.Context) -> Slices[None]:
        scene, settings = current_scene(context), scene_settings(current_scene(context))
        chosen = JobSettings.from_json({name: self.given(settings, name) for name in _SETTINGS})
        yield from start_slices(scene, python(chosen.engine), chosen, self.folder)
        if self.blocking:
            status = wait(scene, chosen.minutes * 60.0 + GRACE_SECONDS)
            self.report({"INFO"}, status.message)


class PauseTraining(Step, bpy.types.Operator):
    """Pause training to free the CPU"""

    bl_idname = "backflip.pause_training"
    bl_label = "Pause"
    needs = (need_job, _at_work, _not_paused)

    def run(self, context: bpy.types.Context) -> None:
        trainer_process.request_pause(job_link.job_of(current_scene(context)))
        job_monitor.ask(current_scene(context), "paused")
        job_monitor.watch()


class ResumeTraining(Step, bpy.types.Operator):
    """Resume training: a paused one at once, an ended one from where it was"""

    bl_idname = "backflip.resume_training"
    bl_label = "Resume"
    needs = (need_job, _can_go_on)

    blocking: Annotated[bool, BoolProperty(name="Wait", description="Return when the training has ended", options=WAIT)]

    def run(self, context: bpy.types.Context) -> None:
        folder = job_link.job_of(current_scene(context))
        job = folder.read_job()
        if folder.running():
            trainer_process.request_resume(folder)
            job_monitor.ask(current_scene(context), "running")
        else:
            trainer_process.start(folder, python(JobSettings.from_json(job.settings).engine))
        job_monitor.refresh(current_scene(context))
        job_monitor.watch()
        if self.blocking:
            minutes = JobSettings.from_json(job.settings).minutes
            self.report({"INFO"}, wait(current_scene(context), minutes * 60.0 + GRACE_SECONDS).message)


class StopTraining(Step, bpy.types.Operator):
    """Save what has been learned and end the training"""

    bl_idname = "backflip.stop_training"
    bl_label = "Stop"
    needs = (need_job,)

    blocking: Annotated[bool, BoolProperty(name="Wait", description="Return when the training has ended", options=WAIT)]

    def run(self, context: bpy.types.Context) -> Returned | None:
        folder = job_link.job_of(current_scene(context))
        trainer_process.request_stop(folder)
        job_monitor.ask(current_scene(context), "stopped")
        job_monitor.watch()
        if self.blocking and wait(current_scene(context), GRACE_SECONDS).active:
            self.report({"ERROR"}, "The trainer has not stopped yet.")
            return {"CANCELLED"}
        return None


class Checkpoint(Step, bpy.types.Operator):
    """Save a stage now"""

    bl_idname = "backflip.checkpoint"
    bl_label = "Save Stage"
    needs = (need_job, _at_work)

    def run(self, context: bpy.types.Context) -> None:
        trainer_process.request_checkpoint(job_link.job_of(current_scene(context)))
        paused = job_monitor.status_of(current_scene(context))
        when = " when it resumes" if paused is not None and paused.state == "paused" else " after its current step"
        self.report({"INFO"}, f"The trainer saves a stage{when}.")


class WaitJob(Step, bpy.types.Operator):
    """Wait until the training has ended; for scripts"""

    bl_idname = "backflip.wait_job"
    bl_label = "Wait for Training"
    needs = (need_job,)

    timeout: Annotated[
        float, FloatProperty(name="Timeout", description="Longest time to wait, s", default=3600.0, min=0.0)
    ]

    def run(self, context: bpy.types.Context) -> Returned | None:
        status = wait(current_scene(context), self.timeout)
        if status.active:
            self.report({"WARNING"}, f"Training is still running after {self.timeout:g} s.")
            return {"CANCELLED"}
        self.report({"INFO"}, status.message)
        return None


class FindJob(Step, bpy.types.Operator):
    """Link this scene to a job on disk, such as one that another Blender started or that was moved"""

    bl_idname = "backflip.find_job"
    bl_label = "Find Job"
    bl_options = {"UNDO"}

    directory: Annotated[
        str,
        StringProperty(
            name="Folder",
            description="The job's folder; the one stored in this file when empty",
            subtype="DIR_PATH",
            options=PATH | {"SKIP_SAVE"},
        ),
    ]
    ask: Annotated[
        bool, BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})
    ]  # for the folder, when started from a button

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> Returned:
        if not self.ask:
            return self.execute(context)
        window_manager(context).fileselect_add(self)
        return {"RUNNING_MODAL"}

    def run(self, context: bpy.types.Context) -> None:
        scene = current_scene(context)
        folder = JobFolder(bpy.path.abspath(self.directory)) if self.directory else job_link.job_of(scene)
        job = folder.read_job()
        job_monitor.set_job(scene, folder.path)
        follow.opened(scene)
        job_monitor.watch()
        job_list.look()
        turn_to(scene_settings(scene), "train", "takes")
        self._find_avatar(scene, job.avatar)

    def _find_avatar(self, scene: bpy.types.Scene, name: str) -> None:
        ob = stored_avatar.object_named(scene, name)
        if stored_avatar.present(scene) is None and ob is not None and ob.type == "ARMATURE":
            scene_settings(scene).avatar = ob
        if stored_avatar.present(scene) is None:
            self.report({"WARNING"}, f"The avatar {name} is not in this scene; choose one before baking.")


CLASSES = (
    StartTraining,
    PauseTraining,
    ResumeTraining,
    StopTraining,
    Checkpoint,
    WaitJob,
    FindJob,
)
