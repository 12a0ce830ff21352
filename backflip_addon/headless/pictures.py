# SPDX-License-Identifier: GPL-3.0-or-later
"""export and film: the baked take that plays, for another program and as a movie."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy

from ..core.rigs import binding as bindings
from ..jobs.json_files import JobError
from ..operators.known_job import avatar_of
from ..scene import stored_avatar
from ..scene.baking import nla
from ..scene.exporting import exporter
from ..scene.film import contact_sheet, render, stage
from ..scene.stored_avatar import StateError
from ..settings import scene_settings
from . import options as settings_options
from .console import DONE, Console, HeadlessError, WrongUse, chatter_away, check_writable
from .scene_file import Opened, jobs_beside, open_blend, save, sentence_of

Report = dict[str, Any]


def export(options: argparse.Namespace, console: Console) -> tuple[int, Report]:
    """The word: returns the exit status and the report. Raises HeadlessError."""
    opened = open_blend(options)
    settings = scene_settings(opened.scene)
    given = settings_options.given_of(options, settings_options.settings_of(type(settings), "export"))
    settings_options.apply(opened.scene, settings, given)
    name, first, last = playing(opened, options.track)
    kind = settings.export_format
    if options.out and not given:
        kind = exporter.kind_of(Path(options.out)) or kind
    target = exporter.named_for(_target(opened, options.out, name), kind)
    check_writable("--out", target)
    report: Report = {"character": opened.armature.name, "track": name, "format": kind, "file": str(target)}
    if options.dry_run:
        console.say(f"Would write {name}, frames {first} to {last}, to {target}.")
        return DONE, report
    exported = exporter.export_shot(opened.armature, str(target), kind, first, last)
    for warning in exported.warnings:
        console.say(f"  Note: {warning}")
    console.say(exported.words)
    return DONE, report | {"frames": [first, last], "warnings": list(exported.warnings)}


def playing(opened: Opened, track: str = "") -> tuple[str, int, int]:
    """The track of the take that plays, and its frames; track: the one that is to play. Raises HeadlessError."""
    tracks = nla.baked_tracks(opened.armature)
    if not tracks:
        raise HeadlessError(f"No take is baked onto {opened.armature.name} in {opened.file.name}: bake one first.")
    names = [each.name for each in tracks]
    if track and track not in names:
        raise WrongUse(f"{opened.armature.name} has no baked take called {track}; there are: {', '.join(names)}.")
    chosen = nla.playing_track(opened.armature)
    if track or chosen is None:
        nla.show_track(opened.armature, track or names[-1])
        chosen = nla.playing_track(opened.armature)
    if chosen is None or not len(chosen.strips):
        raise HeadlessError(f"The baked take of {opened.armature.name} has no strip any more: bake it again.")
    strip = chosen.strips[0]
    return chosen.name, round(strip.frame_start), round(strip.frame_end)


def _target(opened: Opened, named: str, title: str, suffix: str = "") -> Path:
    return Path(named).resolve() if named else opened.file.with_name(f"{bpy.path.clean_name(title)}{suffix}")


def film(options: argparse.Namespace, console: Console) -> tuple[int, Report]:
    """The word: returns the exit status and the report. Raises HeadlessError."""
    opened = open_blend(options)
    scene = opened.scene
    name, first, last = playing(opened, options.track)
    movie = _target(opened, options.out, name, ".mp4")
    check_writable("--out", movie)
    report: Report = {"character": opened.armature.name, "track": name, "frames": [first, last], "file": str(movie)}
    if options.own_set and scene.camera is None:
        raise HeadlessError(f"The scene {scene.name} has no camera to film with; leave out --own-set.")
    if options.dry_run:
        console.say(f"Would film {name}, frames {first} to {last}, to {movie}.")
        return DONE, report
    scene.frame_start, scene.frame_end = first, last
    scene.frame_set(first)
    if not options.own_set:
        build_set(opened, options.size)
    report["saved"] = save(opened, options)
    console.say(f"Film: {last - first + 1} frames")
    sheet = Path(options.sheet).resolve() if options.sheet else None
    shoot_film(movie, sheet, options.size, console)
    return DONE, report | {"sheet": str(sheet or "")}


def build_set(opened: Opened, size: tuple[int, int]) -> None:
    """Backflip's floor, light and camera around the take; the scene's settings for good are the film's."""
    settings = scene_settings(opened.scene)
    settings.show_body = settings.show_ghost = False
    yaw, floor = _ground(opened)
    stage.build_set(bpy.context, opened.armature, yaw=yaw, floor_height=floor, size=size)
    render.apply_render_settings(opened.scene, size)
    _look_through_camera()


def _ground(opened: Opened) -> tuple[float, float]:
    """Which way the character faced when its body was built, radians, and the floor's height there."""
    try:
        _body, binding = stored_avatar.body_and_binding(opened.scene)
    except StateError:
        jobs = [job for job in jobs_beside(opened.file) if avatar_of(job) == opened.armature.name]
        try:
            binding = bindings.from_json(dict(jobs[-1].read_job().binding))
        except (IndexError, ValueError, JobError):
            return 0.0, 0.0
    return binding.yaw, float(binding.origin[2])


def shoot_film(movie: Path, sheet: Path | None, size: tuple[int, int], console: Console) -> None:
    """Render the scene's frames into a movie and, where one is named, a sheet of its moments. Raises HeadlessError."""
    stills = Path(tempfile.mkdtemp(prefix="backflip-film-"))
    try:
        with chatter_away() as tell:
            before, console.write = console.write, tell
            try:
                tenths = _Tenths(console)
                footage = render.render_stills(bpy.context, stills, size, progress=tenths)
                render.render_movie(bpy.context, movie, size, footage=footage)
                if sheet is not None:
                    _write_sheet(sheet, size, footage)
            finally:
                console.write = before
    finally:
        shutil.rmtree(stills, ignore_errors=True)


def _write_sheet(sheet: Path, size: tuple[int, int], footage: render.Footage) -> None:
    try:
        contact_sheet.render_contact_sheet(bpy.context, sheet, size=size, footage=footage)
    except (OSError, RuntimeError) as error:
        raise HeadlessError(f"The movie is written; the sheet {sheet} cannot be: {sentence_of(error)}") from error


class _Tenths:
    """Tells of every tenth part that is done."""

    def __init__(self, console: Console) -> None:
        self._tell: Callable[..., None] = console.say
        self._told = 0

    def __call__(self, fraction: float) -> None:
        if int(fraction * 10 + 1e-6) > self._told:
            self._told = int(fraction * 10 + 1e-6)
            self._tell(f"  {fraction:4.0%}", fraction=fraction)


def _look_through_camera() -> None:
    """The file opens with the shot in its viewports."""
    for screen in bpy.data.screens:
        for area in screen.areas:
            for space in area.spaces:
                if isinstance(space, bpy.types.SpaceView3D) and space.region_3d is not None:
                    space.region_3d.view_perspective = "CAMERA"
                    space.shading.type = "MATERIAL"
