# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps 4 and 5: takes, their keyframes on the rig, the shot's export."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, StringProperty

from ..core import body as bodies
from ..core.body import Body
from ..core.motion import Take, load_take, validate
from ..core.rigs import fit
from ..core.rigs.fit import Binding
from ..jobs import process
from ..jobs.folder import JobError, JobFolder
from ..jobs.status import plain, read_status, take_rank
from ..scene import mapping_pose, state
from ..scene import reference as clips
from ..scene.animation.actions import ActionError
from ..scene.armature.bind_matrix import SkeletonError
from ..scene.baking import bake
from ..scene.baking.bake import Baked
from ..scene.exporting import exporter
from ..settings import FORMATS
from . import job_monitor, training
from .base import INTERNAL, SaveStep, Step, need_avatar, need_job, need_object_mode


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
    folder = job_monitor.job_of(scene)
    files = {file.name: file for file in folder.list_takes()}
    if not files:
        raise JobError("This job has no take yet; let it train a little longer.")
    if name:
        for candidate in (name, f"{name}.npz"):
            if candidate in files:
                return files[candidate]
        raise JobError(f"This job has no take called {name}; choose one of the list.")
    return files.get(read_status(folder).best_take) or _best(scene, files)


def _best(scene: bpy.types.Scene, files: dict[str, Path]) -> Path:
    """The best by what is known of each, the latest among equals."""
    job_monitor.refresh(scene, whole=True)
    facts = job_monitor.take_facts(scene)
    return files[max(files, key=lambda name: (take_rank(facts.get(name, {})), name))]


def read_shot(scene: bpy.types.Scene, file: Path) -> Shot:
    """A take and its job's body; the avatar's present body for a take that lies outside a job."""
    try:
        take = load_take(file)
        folder = JobFolder(file.parent.parent)
        if folder.job_file.is_file():
            job = folder.read_job()
            body, binding = bodies.from_json(job["body"]), fit.from_json(job.get("binding") or {})
            facts, avatar = job.get("reference") or {}, plain(job.get("avatar") or "")
        else:
            (body, binding), facts, avatar = state.body_and_binding(scene), {}, ""
        validate(take.motion, len(body.links))
    except ValueError as error:
        raise JobError(f"The take {file.name} cannot be used: {error}.") from error
    return Shot(take, body, binding, facts if isinstance(facts, dict) else {}, file, avatar)


def bake_shot(scene: bpy.types.Scene, shot: Shot, start_frame: int, name: str = "") -> Baked:
    """A take's keyframes on the avatar. Raises ActionError or StateError."""
    armature = state.avatar(scene)
    _check_performer(scene, armature, shot)
    mapping_pose.take_back(armature)
    own = clips.own_animation(scene, armature, shot.reference)
    name = name or f"{armature.name} {shot.take.meta.get('name') or shot.file.stem}"
    baked = bake.bake_take(
        armature, shot.binding, shot.take.motion, name=name, start_frame=start_frame, scene=scene, own=own
    )
    scene.backflip.baked_first, scene.backflip.baked_last = baked.first, baked.last
    return baked


def _check_performer(scene: bpy.types.Scene, armature: bpy.types.Object, shot: Shot) -> None:
    """Raises ActionError where the take cannot be this avatar's, with the name of whose it is."""
    try:
        bake.bound_world(armature, shot.binding)
    except SkeletonError as error:
        if shot.avatar in ("", armature.name):
            raise
        here = state.object_named(scene, shot.avatar) is not None
        instead = f"choose {shot.avatar} as the avatar (step 1)" if here else f"train {armature.name} (step 3)"
        raise ActionError(
            f"This take was performed by {shot.avatar}, and the avatar is {armature.name}; {instead}."
        ) from error


def _has_takes(scene: bpy.types.Scene) -> str:
    settings = scene.backflip
    if len(settings.takes):
        return ""
    if not settings.job_folder:
        return "There is no take yet: train first (step 3)."
    if bpy.app.background and job_monitor.any_take(scene):
        return ""  # without a window nothing keeps the list up to date
    return "There is no take yet: let the avatar train a little longer (step 3)."


def _has_bake(scene: bpy.types.Scene) -> str:
    avatar = scene.backflip.avatar
    return "" if avatar and bake.baked_tracks(avatar) else "Bake a take first."


def _plays_take(scene: bpy.types.Scene) -> str:
    avatar = scene.backflip.avatar
    return "" if avatar and bake.playing_track(avatar) else "The avatar plays its own animation: press Show Take first."


def bake_warnings(scene: bpy.types.Scene) -> list[str]:
    """What the take that plays was found to show otherwise than it was performed."""
    avatar = scene.backflip.avatar
    return bake.warnings(avatar) if avatar else []


class BakeTake(Step, bpy.types.Operator):
    """Write a take onto the avatar's rig: a new action on a track of its own"""

    bl_idname = "backflip.bake_take"
    bl_label = "Bake Take"
    bl_options = {"REGISTER", "UNDO"}
    needs = (need_avatar, _has_takes, need_object_mode)

    take: StringProperty(
        name="Take", description="Name or path of a take; the best of the job when empty", options=INTERNAL
    )
    start_frame: IntProperty(name="Start Frame", description="Scene frame of the take's start", options={"SKIP_SAVE"})
    name: StringProperty(name="Name", description="Name of the new action", options={"SKIP_SAVE"})

    def run(self, context: bpy.types.Context) -> None:
        scene = context.scene
        shot = read_shot(scene, find_take(scene, self.take))
        baked = bake_shot(scene, shot, self.given(scene.backflip, "start_frame"), self.name)
        self.take, self.name = self.take or shot.file.name, baked.action
        for warning in baked.warnings:
            self.report({"WARNING"}, warning)
        self.report({"INFO"}, f"{baked.action}: frames {baked.first} to {baked.last}")


def shoot(scene: bpy.types.Scene, python: str, count: int, **circumstances: Any) -> None:
    """Ask for takes in these circumstances; a trainer is started for it where none is at work.

    Each take has a seed of its own, counted up from the one given. Raises JobError.
    """
    folder = job_monitor.job_of(scene)
    check_learned(folder)
    first = int(circumstances.pop("seed"))
    try:
        for number in range(count):
            folder.request("shoot", seed=first + number, **circumstances)
    except OSError as error:
        raise JobError(f"The job folder {folder.path} cannot be written: {error.strerror}.") from error
    if not folder.running():
        process.start(folder, python)
    job_monitor.watch()


def check_learned(folder: JobFolder) -> None:
    """Raises JobError for a job that has learned nothing yet that could be performed again."""
    if not job_monitor.has_learned(folder):
        raise JobError(NOTHING_LEARNED)


NOTHING_LEARNED = "This job has learned nothing yet that could be shot; train until a take lands."


def _need_learned(scene: bpy.types.Scene) -> str:
    return NOTHING_LEARNED if job_monitor.learned(scene) is False else ""


class ShootMore(Step, bpy.types.Operator):
    """Have the character perform again what it has learned: another start, floor or weight"""

    bl_idname = "backflip.shoot_more"
    bl_label = "Shoot More"
    needs = (need_job, _need_learned)

    count: IntProperty(name="Takes", description="How many", default=1, min=1, max=100, options={"SKIP_SAVE"})
    seed: IntProperty(name="Seed", description="Of the first take; each has its own", min=0, options={"SKIP_SAVE"})
    disturbed: BoolProperty(
        name="Unsteady Start", description="Start each take a little differently", default=True, options={"SKIP_SAVE"}
    )
    friction: FloatProperty(name="Friction", description="Of the floor", default=0.9, min=0.0, options={"SKIP_SAVE"})
    mass: FloatProperty(name="Weight", description="Factor", default=1.0, min=0.1, max=10.0, options={"SKIP_SAVE"})
    replan: BoolProperty(
        name="Replan",
        description="Plan each take anew from the landed one, some seconds each; without it the network performs, as "
        "well or badly as it has learned to",
        default=True,
        options={"SKIP_SAVE"},
    )
    blocking: BoolProperty(name="Wait", description="Return when the takes are recorded", options=INTERNAL)

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        try:  # what would fail after the dialog fails before it
            check_learned(job_monitor.job_of(context.scene))
            training.python()
        except JobError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.seed = len(context.scene.backflip.takes)
        return context.window_manager.invoke_props_dialog(self)

    def run(self, context: bpy.types.Context) -> None:
        circumstances = {name: getattr(self, name) for name in ("seed", "disturbed", "friction", "mass", "replan")}
        shoot(context.scene, training.python(), self.count, **circumstances)
        if self.blocking:
            self.report({"INFO"}, training.wait(context.scene, self.count * training.GRACE_SECONDS).message)


class ShowTake(Step, bpy.types.Operator):
    """Play a baked take, or the avatar's own animation again"""

    bl_idname = "backflip.show_take"
    bl_label = "Show Take"
    bl_options = {"REGISTER", "UNDO"}
    needs = (need_avatar, _has_bake)

    track: StringProperty(name="Track", description="NLA track of a take; the latest when empty", options=INTERNAL)
    own: BoolProperty(name="Own Animation", description="Silence all takes instead", options={"SKIP_SAVE"})

    def run(self, context: bpy.types.Context) -> None:
        armature = state.avatar(context.scene)
        if self.own:
            bake.show_own_animation(armature)
        else:
            self.track = self.track or bake.baked_tracks(armature)[-1].name
            bake.show_track(armature, self.track)
        context.scene.frame_set(context.scene.frame_current)


class ExportShot(SaveStep, bpy.types.Operator):
    """Export the avatar with the take it plays (FBX, USD, Alembic, glTF, BVH)"""

    bl_idname = "backflip.export_shot"
    bl_label = "Export Shot"
    needs = (need_avatar, _has_bake, _plays_take, need_object_mode)
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


CLASSES = (ShootMore, BakeTake, ShowTake, ExportShot)
