# SPDX-License-Identifier: GPL-3.0-or-later
"""shoot and bake: takes of what was learned, and a take's keyframes on the character."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..core.direction import PRESETS
from ..core.motion import Motion
from ..core.verdict import engine_words, verdict
from ..jobs import trainer_process
from ..jobs.folder import JobFolder
from ..jobs.json_files import JobError
from ..jobs.messages import TakeRecorded
from ..jobs.status import read_status
from ..operators import directions, shooting, takes
from ..operators import training as road
from ..operators.baking import bake_shot
from ..operators.takes import Shot, check_learned, find_take, read_shot
from ..settings import scene_settings
from . import options as settings_options
from .console import DONE, NOT_LANDED, Console, HeadlessError, WrongUse
from .measuring import measure
from .scene_file import find_job, open_blend, save

SECONDS_A_SHOT = 180.0  # that one may take at most, with the trainer's start
LOOK_SECONDS = 0.25
LAST_WORDS = 2.0  # seconds that a trainer has to tell of a shot it no longer waits for

Report = dict[str, Any]


def shoot(options: argparse.Namespace, console: Console) -> tuple[int, Report]:
    """The word: returns the exit status and the report. Raises HeadlessError."""
    opened = open_blend(options)
    folder = find_job(opened, options.job)
    fields = scene_settings(opened.scene).direction
    if (stage := getattr(options, "stage", "")) and stage not in [file.name for file in folder.list_stages()]:
        raise WrongUse(f"This job has no stage called {stage} (--stage); name another, or leave it out.")
    if options.preset:
        known = (directions.UNDIRECTED, *PRESETS, *directions.saved_directions())
        if options.preset not in known:
            raise WrongUse(f"There is no preset called {options.preset}; there are: {', '.join(known)}.")
        directions.set_direction(fields, directions.read_direction(options.preset))
    properties = list(settings_options.properties_of(type(fields)))
    settings_options.apply(opened.scene, fields, settings_options.given_of(options, properties))
    shots = shooting.asked_for(opened.scene)
    words = directions.words_of(fields) or "as trained"
    console.say(f"{len(shots)} take{'s' if len(shots) > 1 else ''} of {opened.armature.name}, {words}")
    report: Report = {
        "character": opened.armature.name,
        "job": str(folder.path),
        "asked": len(shots),
        "asked_for": words,
    }
    check_learned(folder)
    python = road.python()
    if options.dry_run:
        return DONE, report
    ids = [folder.request("shoot", **shot) for shot in shots]
    if not folder.running():
        trainer_process.start(folder, python)
    takes = _wait_for(folder, ids, console)
    report["takes"] = [
        {name: getattr(take, name) for name in ("file", "name", "seed", "landed", "success", "outcome", "engine")}
        | {"verdict": verdict(vars(take))}
        for take in takes
    ]
    for take in report["takes"]:
        console.say(f"  {take['file']}: {take['verdict']}{simulated_by(take)}")
    if len(takes) < len(ids):
        raise HeadlessError(f"{len(ids) - len(takes)} of {len(ids)} takes were not recorded: {_why_not(folder)}")
    return (DONE if any(take.success for take in takes) else NOT_LANDED), report


def _wait_for(folder: JobFolder, ids: list[str], console: Console) -> list[TakeRecorded]:
    """Wait until shots are taken or refused; returns those that were recorded."""
    end = time.monotonic() + SECONDS_A_SHOT * (len(ids) + 1)
    try:
        while time.monotonic() < end:
            status = read_status(folder)
            console.show(status)
            taken = _taken(folder, ids)
            if len(taken) == len(ids) or not status.active:
                break
            if not {request.id for request in folder.shots_asked_for()} & set(ids):
                end = min(end, time.monotonic() + LAST_WORDS)  # none waits any more: the last may yet be told of
            time.sleep(LOOK_SECONDS)
    finally:
        folder.withdraw_shots(ids)  # those that were not taken are nobody's any more
    return _taken(folder, ids)


def _taken(folder: JobFolder, ids: list[str]) -> list[TakeRecorded]:
    return [event for event in folder.read_events()[0] if isinstance(event, TakeRecorded) and event.request in ids]


def _why_not(folder: JobFolder) -> str:
    return read_status(folder).message or "the trainer gave no reason."


def bake(options: argparse.Namespace, console: Console) -> tuple[int, Report]:
    """The word: returns the exit status and the report. Raises HeadlessError."""
    opened = open_blend(options)
    folder = find_job(opened, options.job)
    settings = scene_settings(opened.scene)
    settings_options.apply(
        opened.scene,
        settings,
        settings_options.given_of(options, settings_options.settings_of(type(settings), "bake")),
    )
    try:
        file = find_take(opened.scene, options.take)
    except JobError as error:
        raise (WrongUse if options.take else HeadlessError)(str(error)) from error
    shot = read_shot(opened.scene, file)
    report: Report = {"character": opened.armature.name, "job": str(folder.path), "take": shot.file.name}
    if options.dry_run:
        console.say(f"Would bake {shot.file.name} onto {opened.armature.name} from frame {settings.start_frame} on.")
        return DONE, report
    baked = bake_shot(opened.scene, shot, settings.start_frame, options.name)
    for warning in baked.warnings:
        console.say(f"  Note: {warning}")
    frames = baked.first, baked.last
    report |= measure(opened.scene, opened.armature, shot, frames, reference_of(shot))
    meta = shot.take.meta
    report |= {"source": meta.get("source", ""), "engine": meta.get("engine", "")}
    report |= {"action": baked.action, "frames": list(frames), "warnings": list(baked.warnings)}
    report["saved"] = save(opened, options, unasked=True)
    told = f"{baked.action}: frames {baked.first} to {baked.last}{simulated_by(meta)}"
    console.say(f"{told}, saved in {Path(report['saved']).name}")
    return DONE, report


def simulated_by(values: Mapping[str, object]) -> str:
    """Which physics made a take, as the end of a line on it; "" where that is not known."""
    words = engine_words(values)
    return f", {words}" if words else ""


def reference_of(shot: Shot) -> Motion | None:
    """As takes.reference_of(). Raises HeadlessError."""
    try:
        return takes.reference_of(shot)
    except (OSError, ValueError) as error:
        raise HeadlessError(f"The job's reference cannot be used: {error}.") from error
