# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps 4 and 5: takes, their keyframes on the rig, the shot's export."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, StringProperty

from ..core import body as bodies
from ..core import fit
from ..core.body import Body
from ..core.fit import Binding
from ..core.motion import Take, load_take, validate
from ..jobs import process
from ..jobs.folder import JobError
from ..jobs.status import read_status
from ..scene import bake, check, export, state
from ..scene import reference as clips
from ..scene.bake import Baked
from ..scene.export import ExportError
from ..settings import FORMATS
from . import live, training
from .common import PATH, FileStep, Step, need_avatar, need_job, need_object_mode


@dataclasses.dataclass(frozen=True)
class Shot:
    """A take with the body that performed it."""

    take: Take
    body: Body
    binding: Binding
    reference: dict[str, Any]
    file: Path


def find_take(scene: bpy.types.Scene, name: str = "") -> Path:
    """A take's file: a path, a name in the scene's job, or (empty) the job's best. Raises JobError."""
    path = Path(bpy.path.abspath(name)) if name else None
    if path is not None and path.is_file():
        return path
    folder = live.job_of(scene)
    files = {file.name: file for file in folder.take_files()}
    if not files:
        raise JobError("This job has no take yet; let it train a little longer.")
    if name:
        for candidate in (name, f"{name}.npz"):
            if candidate in files:
                return files[candidate]
        raise JobError(f"This job has no take called {name}; choose one of the list.")
    return files.get(read_status(folder).best_take) or _best(scene, files)


def _best(scene: bpy.types.Scene, files: dict[str, Path]) -> Path:
    """The landed take of the highest score, the latest where scores are equal."""
    live.refresh(scene)
    facts = live.take_facts(scene)
    rank = {
        name: (bool(facts.get(name, {}).get("landed")), float(facts.get(name, {}).get("score") or 0.0), name)
        for name in files
    }
    return files[max(rank, key=lambda name: rank[name])]


def read_shot(scene: bpy.types.Scene, file: Path) -> Shot:
    """A take and its job's body; the avatar's present body for a take that lies outside a job."""
    try:
        take = load_take(file)
        folder = live.JobFolder(file.parent.parent)
        if folder.job_file.is_file():
            job = folder.read_job()
            body, binding = bodies.from_json(job["body"]), fit.from_json(job.get("binding") or {})
            facts = job.get("reference") or {}
        else:
            (body, binding), facts = state.body_and_binding(scene), {}
        validate(take.motion, len(body.links))
    except ValueError as error:
        raise JobError(f"The take {file.name} cannot be used: {error}.") from error
    return Shot(take, body, binding, facts if isinstance(facts, dict) else {}, file)


def bake_shot(scene: bpy.types.Scene, shot: Shot, start_frame: int, name: str = "") -> Baked:
    """A take's keyframes on the avatar. Raises ActionError or StateError."""
    armature = state.avatar(scene)
    check.take_back(armature)
    own = clips.own_animation(scene, armature, shot.reference)
    name = name or f"{armature.name} {shot.take.meta.get('name') or shot.file.stem}"
    baked = bake.bake_take(
        armature, shot.binding, shot.take.motion, name=name, start_frame=start_frame, scene=scene, own=own
    )
    scene.backflip.baked_first, scene.backflip.baked_last = baked.first, baked.last
    return baked


def _has_takes(scene: bpy.types.Scene) -> str:
    settings = scene.backflip
    return "" if settings.job_folder or settings.body_json else "There is no take yet: train first (step 3)."


def _has_bake(scene: bpy.types.Scene) -> str:
    avatar = scene.backflip.avatar
    return "" if avatar and bake.baked_tracks(avatar) else "Bake a take first."


class BakeTake(Step, bpy.types.Operator):
    """Write a take onto the avatar's rig: a new action on a track of its own"""

    bl_idname = "backflip.bake_take"
    bl_label = "Bake Take"
    bl_options = {"REGISTER", "UNDO"}
    needs = (need_avatar, _has_takes, need_object_mode)

    take: StringProperty(
        name="Take", description="Name or path of a take; the best of the job when empty", options={"SKIP_SAVE"}
    )
    start_frame: IntProperty(name="Start Frame", description="Scene frame of the take's start", options={"SKIP_SAVE"})
    name: StringProperty(name="Name", description="Name of the new action", options={"SKIP_SAVE"})

    def run(self, context: bpy.types.Context) -> None:
        scene = context.scene
        shot = read_shot(scene, find_take(scene, self.take))
        baked = bake_shot(scene, shot, self.given(scene.backflip, "start_frame"), self.name)
        for warning in baked.warnings:
            self.report({"WARNING"}, warning)
        self.report({"INFO"}, f"{baked.action}: frames {baked.first} to {baked.last}")


def shoot(scene: bpy.types.Scene, python: str, count: int, **circumstances: Any) -> None:
    """Ask for takes in these circumstances; a trainer is started for it where none is at work.

    Each take has a seed of its own, counted up from the one given. Raises JobError.
    """
    folder = live.job_of(scene)
    if not folder.stage_files() and not (folder.stages / "plan.npz").is_file():
        raise JobError("This job has learned nothing yet that could be shot; train until a take lands.")
    first = int(circumstances.pop("seed"))
    try:
        for number in range(count):
            folder.request("shoot", seed=first + number, **circumstances)
    except OSError as error:
        raise JobError(f"The job folder {folder.path} cannot be written: {error.strerror}.") from error
    if not folder.running():
        process.start(folder, python)
    live.watch()


class ShootMore(Step, bpy.types.Operator):
    """Have the character perform again what it has learned: another start, floor or weight"""

    bl_idname = "backflip.shoot_more"
    bl_label = "Shoot More"
    needs = (need_job,)

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
    blocking: BoolProperty(name="Wait", description="Return when the takes are recorded", options={"SKIP_SAVE"})

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
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

    track: StringProperty(name="Track", description="NLA track of a take; the latest when empty", options={"SKIP_SAVE"})
    own: BoolProperty(name="Own Animation", description="Silence all takes instead", options={"SKIP_SAVE"})

    def run(self, context: bpy.types.Context) -> None:
        armature = state.avatar(context.scene)
        if self.own:
            bake.show_own_animation(armature)
        else:
            bake.show_track(armature, self.track or bake.baked_tracks(armature)[-1].name)
        context.scene.frame_set(context.scene.frame_current)


class ExportShot(FileStep, bpy.types.Operator):
    """Export the avatar with the take it plays (FBX, USD, Alembic, glTF, BVH)"""

    bl_idname = "backflip.export_shot"
    bl_label = "Export Shot"
    needs = (need_avatar, _has_bake, need_object_mode)

    filepath: StringProperty(name="File", subtype="FILE_PATH", options=PATH)
    filter_glob: StringProperty(options={"HIDDEN", "SKIP_SAVE"})
    format: EnumProperty(name="Format", items=FORMATS, default="FBX", options={"SKIP_SAVE"})

    def run(self, context: bpy.types.Context) -> None:
        scene, settings = context.scene, context.scene.backflip
        if not self.filepath:
            raise ExportError("Name the file to export to.")
        first, last = settings.baked_first, settings.baked_last
        if last <= first:
            first, last = scene.frame_start, scene.frame_end
        path = export.export_shot(state.avatar(scene), self.filepath, self.given_format(settings), first, last)
        self.report({"INFO"}, f"Wrote {path}")

    def given_format(self, settings: Any) -> str:
        """The format asked for, else that of the file's ending, else the scene's choice."""
        if self.properties.is_property_set("format"):
            return self.format
        suffix = Path(self.filepath).suffix.lower()
        for kind, usual in export.SUFFIXES.items():
            if suffix in export.ACCEPTED.get(kind, (usual,)):
                return kind
        return settings.export_format


CLASSES = (ShootMore, BakeTake, ShowTake, ExportShot)
