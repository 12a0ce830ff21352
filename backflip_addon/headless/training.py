# SPDX-License-Identifier: GPL-3.0-or-later
"""train: a character of a .blend learns a clip; waits for the end, and says whether it landed."""

from __future__ import annotations

import argparse
import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import bpy

from ..core.isolation import Interpreter
from ..jobs import trainer_process
from ..jobs.folder import JobFolder
from ..jobs.json_files import JobError
from ..jobs.messages import JobSettings, TakeRecorded
from ..jobs.status import JobStatus, read_status, wait_for_end
from ..operators import bone_map, bone_map_files, job_link, reference, reference_clip, reference_notes
from ..operators import training as road
from ..operators.avatar import build_body
from ..operators.base import USER_ERRORS, need_body, need_map, need_reference, what_is_missing
from ..scene import reference_source, stored_avatar
from ..scene.reference import READ_HERE
from ..settings import BackflipSettings, scene_settings
from . import options as settings_options
from .console import DONE, FAILED, NOT_LANDED, Console, HeadlessError, WrongUse, check_there, facts_of, unwritable
from .scene_file import Opened, open_blend, save, sentence_of

STOP_SECONDS = 60.0  # a trainer that was asked to stop gets so long to save its last stage
GRACE_SECONDS = 300.0  # so much longer than its time a trainer may take, for its start and its last take
BODY = ("roles", "mass", "strength", "parts")  # settings that a body is built from
SOURCE = ("reference_object", "reference_action", "reference_slot", "use_frames", "frames_first", "frames_last")

Report = dict[str, Any]


def train(options: argparse.Namespace, console: Console) -> tuple[int, Report]:
    """The word: returns the exit status and the report. Raises HeadlessError."""
    opened = open_blend(options)
    kept = _kept_job(options)
    if kept is None:
        lacking = prepare(opened, options, console)
    else:
        console.say(f"{kept.path} holds a job already: it is gone on with, as it was set up.")
        lacking = []
    python, trouble = _python(opened, options, kept)
    lacking += [trouble] if trouble else []
    folder = kept or JobFolder(_new_folder(opened, options))
    if why := unwritable(folder.path, folder=True):
        lacking.append(f"The job's folder {folder.path} cannot be written: {why}. Name another with --job.")
    report: Report = {"character": opened.armature.name, "job": str(folder.path), "missing": lacking}
    if not kept and not what_is_missing(opened.scene, need_reference):
        report["notes"] = _notes(opened, console)
    if options.dry_run:
        console.say(f"Would train {opened.armature.name} in {folder.path}.")
        for sentence in lacking:
            console.say(f"  Missing: {sentence}")
        return (FAILED if lacking else DONE), report
    if lacking:
        raise HeadlessError(" ".join(lacking))
    if kept is None:
        _create(opened, folder)
        job_link.set_link(opened.scene, folder.path)
        report["saved"] = save(opened, options)
    if options.prepare:
        console.say(f"The job is prepared: {folder.path}")
        return DONE, report
    return finish(folder, python, console, report, options.cluster)


def finish(
    folder: JobFolder, python: Interpreter | None, console: Console, report: Report, cluster: str = ""
) -> tuple[int, Report]:
    """Train a job that is written, and say what came of it. A finished one is not trained again, unless its best take
    was lost."""
    assert python is not None, "a lack of it was said before"
    status = read_status(folder)
    if status.state != "finished" or not status.takes or status.lost:
        status = run_trainer(folder, python, console, cluster)
    report |= facts_of(status)
    if status.state in ("failed", "died", "unreadable"):
        raise HeadlessError(status.message or "The trainer ended unexpectedly.")
    if status.active:
        raise HeadlessError("The trainer did not stop in time.")
    return (DONE if succeeded(folder) else NOT_LANDED), report


def succeeded(folder: JobFolder) -> bool:
    """Whether a take that is there landed or, of a clip that does not end standing, followed it to its end."""
    there, events = folder.take_names(), folder.read_events()[0]
    told = {event.file: event.success for event in events if isinstance(event, TakeRecorded)}
    return any(success and file in there for file, success in told.items())


def run_trainer(folder: JobFolder, python: Interpreter, console: Console, cluster: str = "") -> JobStatus:
    """Train until the end, or until the job's minutes are over, or somebody interrupts. Raises JobError."""
    minutes = JobSettings.from_json(folder.read_job().settings).minutes
    trainer_process.start(folder, python, cluster)
    try:
        status = wait_for_end(folder, minutes * 60.0 + GRACE_SECONDS, console.show)
        if status.active:
            console.say("  The time is up; the trainer is asked to stop.")
            status = stop(folder)
    except KeyboardInterrupt:
        console.say("\n  Stopping; press Ctrl-C again to quit.")
        status = stop(folder)
    finally:
        if read_status(folder).active:  # broken off: nobody is left to watch the trainer
            trainer_process.kill(folder)
    console.show(status)
    return status


def stop(folder: JobFolder) -> JobStatus:
    """Have the trainer save what it has, and end."""
    trainer_process.request_stop(folder)
    return wait_for_end(folder, STOP_SECONDS)


def _python(opened: Opened, options: argparse.Namespace, kept: JobFolder | None) -> tuple[Interpreter | None, str]:
    """The trainer's Python, or a sentence on what it lacks; none is needed to prepare a job."""
    if options.prepare:
        return None, ""
    try:
        asked = JobSettings.from_json(kept.read_job().settings) if kept is not None else scene_settings(opened.scene)
        return road.python(asked.engine), ""
    except JobError as error:
        return None, str(error)


def _kept_job(options: argparse.Namespace) -> JobFolder | None:
    """The job that is there already in the folder that was named."""
    folder = JobFolder(Path(options.job).resolve()) if options.job else None
    return folder if folder is not None and folder.job_file.exists() else None


def _new_folder(opened: Opened, options: argparse.Namespace) -> Path:
    if options.job:
        return Path(options.job).resolve()
    return road.new_folder(opened.scene, f"{opened.armature.name}_{scene_settings(opened.scene).reference_label}")


def _create(opened: Opened, folder: JobFolder) -> None:
    settings = scene_settings(opened.scene)
    names = [field.name for field in dataclasses.fields(JobSettings)]
    road.create_job(opened.scene, folder.path, JobSettings.from_json({name: getattr(settings, name) for name in names}))


# Avatar and reference


def prepare(opened: Opened, options: argparse.Namespace, console: Console) -> list[str]:
    """The character mapped, its body built, the clip on it, as the options say; returns what is still missing."""
    scene, settings = opened.scene, scene_settings(opened.scene)
    properties = settings_options.settings_of(type(settings), "train")
    given = settings_options.given_of(options, properties)
    _check_use(options, given)
    try:
        if settings.avatar != opened.armature or not len(settings.roles):
            bone_map.choose(scene, opened.armature)
        _prepare_body(opened, options, {name: given[name] for name in BODY if name in given}, console)
        if not (lacking := what_is_missing(scene, need_map, need_body)):
            _prepare_clip(opened, options, given, console)
            rest = {name: value for name, value in given.items() if name not in (*BODY, *SOURCE, "clip_roles")}
            settings_options.apply(scene, settings, rest)
            lacking = what_is_missing(scene, need_reference)
    except reference_clip.ClipMapError as error:
        joints = ", ".join(settings.clip_joints.keys())
        lacking = f"{sentence_of(error)} Say it with --clip-roles name=...,bone=...; the clip's joints: {joints}."
    except USER_ERRORS as error:
        lacking = sentence_of(error)
    return [lacking] if lacking else []


def _check_use(options: argparse.Namespace, given: Mapping[str, Any]) -> None:
    """Raises WrongUse for files that are not there, and for options that would go unheard beside the others."""
    check_there(options, "bone_map", "clip", "clip_map")
    which = [name for name in ("clip_character", "clip_action", "clip_map") if getattr(options, name)]
    if which and not options.clip:
        raise WrongUse(f"--{which[0].replace('_', '-')} is about the file of --clip: name that too.")
    if Path(options.clip).suffix.lower() in READ_HERE and (which := [name for name in which if name != "clip_map"]):
        raise WrongUse(f"{options.clip} holds one performance alone: leave out --{which[0].replace('_', '-')}.")
    beside = [name for name in SOURCE if name in given]
    if beside and options.clip:
        raise WrongUse(f"--clip names a file, and --{beside[0].replace('_', '-')} what the .blend has: leave out one.")
    if (name := given.get("reference_action")) and name not in bpy.data.actions:
        raise WrongUse(f"There is no action called {name} (--reference-action); name one of this file.")


def _check_frames(settings: BackflipSettings, given: Mapping[str, Any]) -> None:
    """Raises WrongUse for frames that would go unheard, or make no range."""
    asked = [name for name in SOURCE[-3:] if name in given and given[name] is not False]
    if not asked:
        return
    if not settings.use_frames:
        raise WrongUse(f"--{asked[0].replace('_', '-')} counts with --use-frames alone: give that too.")
    if settings.reference_action:
        action = f"the action {settings.reference_action}"
        raise WrongUse(f'--use-frames: {action} has its own frames. Leave it out, or give --reference-action "".')
    if settings.frames_first > settings.frames_last:
        first, last = settings.frames_first, settings.frames_last
        raise WrongUse(f"Frame {first} comes after frame {last}: change --frames-first or --frames-last.")


def _prepare_body(opened: Opened, options: argparse.Namespace, given: dict[str, Any], console: Console) -> None:
    scene, settings = opened.scene, scene_settings(opened.scene)
    if options.bone_map:
        stored_avatar.set_role_map(scene, bone_map_files.load(Path(options.bone_map)))
    _check_names(given.get("roles", ()), stored_bones(opened), f"{opened.armature.name} has no bone called", "--roles")
    settings_options.apply(scene, settings, given)
    if lacking := what_is_missing(scene, need_map):
        raise HeadlessError(lacking)
    anew = bool(given or options.bone_map or what_is_missing(scene, need_body))
    if warning := build_body(scene, settings.mass, settings.strength) if anew else "":
        console.say(f"  Note: {warning}")
    body, _binding = stored_avatar.body_and_binding(scene)
    console.say(f"  {opened.armature.name}: {body.height:.2f} m, {body.mass:.0f} kg, {len(body.links)} parts")


def _check_names(items: Iterable[Mapping[str, Any]], known: Sequence[str], lacks: str, option: str) -> None:
    """Raises WrongUse for an item of a map with a bone that is not known. lacks: the sentence, up to its name."""
    if unknown := [item["bone"] for item in items if item.get("bone") and item["bone"] not in known]:
        raise WrongUse(f"{lacks} {unknown[0]} ({option}); name one that is there.")


def stored_bones(opened: Opened) -> list[str]:
    pose = opened.armature.pose
    return list(pose.bones.keys()) if pose is not None else []


def _prepare_clip(opened: Opened, options: argparse.Namespace, given: dict[str, Any], console: Console) -> None:
    """The reference as the options name it, else the one that the .blend has. Raises what reading a clip raises."""
    scene, settings = opened.scene, scene_settings(opened.scene)
    chosen = {name: given[name] for name in SOURCE if name in given}
    settings_options.apply(scene, settings, chosen)
    _check_frames(settings, chosen)
    report = None
    if options.clip:
        role_map = bone_map_files.load(Path(options.clip_map)) if options.clip_map else None
        file = str(Path(options.clip).resolve())
        try:
            report = reference_clip.use_file(scene, file, options.clip_action, options.clip_character, role_map)
        except reference_source.NoSuchSource as error:
            raise WrongUse(sentence_of(error)) from error
        except USER_ERRORS as error:
            raise (error if options.dry_run else _with_map_to_mend(opened, error)) from error
    elif chosen:
        report = reference_clip.take_source(scene, _source(opened, settings))
    if report is not None:
        console.say(f"  {report.words}")
    if "clip_roles" in given:
        if not len(settings.clip_roles):
            raise WrongUse("The clip has no skeleton of its own to map (--clip-roles).")
        _check_names(given["clip_roles"], settings.clip_joints.keys(), "The clip has no joint called", "--clip-roles")
        settings_options.apply(scene, settings, {"clip_roles": given["clip_roles"]})
        reference_clip.read_with_map(scene)


def _notes(opened: Opened, console: Console) -> list[dict[str, Any]]:
    """What seems odd about the clip as it is to be learned, told with the options that would mend it."""
    scene, settings = opened.scene, scene_settings(opened.scene)
    reference_notes.look(scene)
    found = []
    for note in reference_notes.kept(scene):
        mends = settings_options.written(reference.mended(settings, note["fix"]))
        found.append({"code": note["code"], "sentence": note["sentence"], "options": mends})
        console.say(" ".join(["  Note:", note["sentence"], *mends]))
    return found


def _with_map_to_mend(opened: Opened, error: Exception) -> Exception:
    """The error; where the bone map of the clip's skeleton is to blame, with one beside the .blend to be mended."""
    role_map = stored_avatar.clip_map(opened.scene)
    if role_map is None:
        return error
    file = next(f for n in itertools.count() if not (f := opened.file.with_suffix(f".clip_map{n or ''}.json")).exists())
    bone_map_files.save(file, role_map)
    joints = ", ".join(scene_settings(opened.scene).clip_joints.keys())
    said = sentence_of(error)
    return HeadlessError(f"{said} Here: edit {file} and give it as --clip-map. The clip's joints: {joints}")


def _source(opened: Opened, settings: BackflipSettings) -> reference_source.Source:
    armature = settings.reference_object or opened.armature
    frames = (settings.frames_first, settings.frames_last) if settings.use_frames else None
    action = settings.reference_action
    return reference_source.named_source(armature, action, settings.reference_slot, None if action else frames)
