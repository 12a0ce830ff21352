# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole road without a window: `python -m backflip_addon.headless --out DIR`, in Blender's module.

It walks through the same operators as the sidebar's buttons, from the built-in mannequin to a film
of what it learned, and measures the take on the rig that was baked. `build.py demo` runs it.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import bpy
import numpy as np

from . import register
from .core import metrics, verdict
from .core import motion as motions
from .core.motion import Motion, Take
from .jobs import trainer_process
from .jobs.folder import JobFolder
from .jobs.json_files import JobError
from .jobs.messages import ENGINES
from .jobs.status import JobStatus, read_status, wait_for_end
from .operators import bone_map_files, job_link
from .scene import stored_avatar
from .scene.baking import bake_error
from .scene.film import contact_sheet, render, stage
from .scene.importing.importer import FileError
from .scene.typed_data import current_scene, subtype
from .settings import scene_settings

FPS = 24  # the film's, and Blender's own
STOP_SECONDS = 60.0  # a trainer that was asked to stop gets so long to save its last stage
GRACE_SECONDS = 300.0  # so much longer than its time a trainer may take, for its start and its last take
LINE_SECONDS = 10.0
CLIP_FOLDER = Path("data", "motions")
CLIP_PREFIX = "humanoid3d_"


class DemoError(Exception):
    """What ends the demo, in one sentence for the user."""


def main(arguments: list[str]) -> int:
    """Run the demo; the exit status tells whether the road was walked to its end, not whether it landed."""
    options = _parse(arguments)
    signal.signal(signal.SIGTERM, _terminate)
    begin = time.monotonic()
    try:
        clip = find_clip(options.clip)
        options.out.mkdir(parents=True, exist_ok=True)
        wanted = {"action": options.action, "character": options.character, "map_file": options.clip_map}
        report = walk(clip, options.out, options.minutes, options.seed, wanted, options.engine)
    except (DemoError, JobError, stored_avatar.StateError, FileError, OSError, RuntimeError) as error:
        print(f"\nThe demo ended: {str(error).removeprefix('Error: ').strip()}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nThe demo was interrupted.", file=sys.stderr)
        return 1
    _say_result(report, options.out, time.monotonic() - begin)
    return 0


def walk(
    clip: Path, out: Path, minutes: float, seed: int, wanted: dict[str, str] | None = None, engine: str = "auto"
) -> dict[str, Any]:
    """The road: avatar, reference, training, take, bake, film. Returns the report.

    wanted: what of the clip to take and how to read it, properties of the operator that imports it. engine: of
    JobSettings.
    """
    begin = time.monotonic()
    _clean_scene(out / "backflip.blend")
    ops = subtype(bpy.ops).backflip
    scene = current_scene()
    say("1 Avatar: adding the mannequin, mapping its bones, building its body")
    ops.add_mannequin()
    ops.map_bones()
    ops.build_body()
    body, binding = stored_avatar.body_and_binding(scene)
    print(f"  {body.height:.2f} m, {body.mass:.0f} kg, {len(body.links)} parts")
    say(f"2 Reference: {clip.stem}")
    _import(scene, clip, out, wanted or {})
    bpy.ops.wm.save_mainfile()  # the job folder lies beside the file
    say(f"3 Train: up to {minutes:g} min, seed {seed}; Ctrl-C goes on with the best take so far")
    folder, status = _train(scene, minutes, seed, engine)
    say(f"4 Takes: {status.takes} recorded, the best is {status.best_take or 'none'}")
    take_file = _best_take(folder, status)
    say(f"5 Bake and export: {take_file.name}")
    ops.bake_take(take=take_file.name)
    take = motions.load_take(take_file)
    reference = motions.load_motion(folder.reference_file)
    report = _measure(scene, reference, take)
    report |= {
        "seconds": round(status.seconds or 0.0, 1),
        "control_steps": status.control_steps,
        "clip": clip.stem,
        "seed": seed,
        "minutes": minutes,
        "take": take_file.name,
        "source": take.meta.get("source", ""),
        "engine": take.meta.get("engine", ""),
        "blender": bpy.app.version_string,
    }
    ops.export_shot(filepath=str(out / "backflip.fbx"), format="FBX")
    _shoot(scene, out)
    report["total_seconds"] = round(time.monotonic() - begin, 1)
    text = json.dumps({key: _plain(value) for key, value in report.items()}, indent=1, allow_nan=False)
    (out / "report.json").write_text(text + "\n", encoding="utf-8")
    return report


def _import(scene: bpy.types.Scene, clip: Path, out: Path, wanted: dict[str, str]) -> None:
    """The clip as the reference. Raises DemoError; where its map is to blame, that is written to be mended."""
    try:
        subtype(bpy.ops).backflip.import_reference(filepath=str(clip), **wanted)
    except RuntimeError as error:
        role_map = stored_avatar.clip_map(scene)
        if role_map is None:
            raise
        file = out / "clip_map.json"
        bone_map_files.save(file, role_map)
        joints = ", ".join(scene_settings(scene).clip_joints.keys())
        said = str(error).removeprefix("Error: ").strip()
        raise DemoError(f"{said} Here: edit {file} and give it as --clip-map. The clip's joints: {joints}") from error


def find_clip(name: str) -> Path:
    """A clip by DeepMimic's name or as a file. Raises DemoError.

    pybullet_data is looked up by its place alone: importing it is the trainer's.
    """
    if Path(name).is_file():
        return Path(name).resolve()
    spec = importlib.util.find_spec("pybullet_data")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    clips = [clip for folder in folders for clip in (Path(folder) / CLIP_FOLDER).glob(f"{CLIP_PREFIX}*.txt")]
    known = {clip.stem.removeprefix(CLIP_PREFIX): clip for clip in clips}
    if name in known:
        return known[name]
    names = ", ".join(sorted(known)) or "none in this environment"
    raise DemoError(f"There is no clip {name}; give a file, or one of: {names}.")


def _clean_scene(blend: Path) -> None:
    """An empty file with the add-on enabled, saved at blend."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    register()
    current_scene().render.fps = FPS
    current_scene().render.fps_base = 1.0
    cast(bpy.types.Preferences, bpy.context.preferences).filepaths.save_version = 0
    bpy.ops.wm.save_as_mainfile(filepath=str(blend))


# Training


def _train(scene: bpy.types.Scene, minutes: float, seed: int, engine: str) -> tuple[JobFolder, JobStatus]:
    """Train in the background until it has landed or the time is up. Raises DemoError."""
    settings = scene_settings(scene)
    settings.minutes, settings.seed, settings.stop_when_landed, settings.engine = minutes, seed, True, engine
    subtype(bpy.ops).backflip.start_training()
    folder = job_link.job_of(scene)
    ticker = Ticker()
    try:
        status = wait_for_end(folder, minutes * 60.0 + GRACE_SECONDS, ticker.show)
        if status.active:
            print("  The time is up; the trainer is asked to stop.")
            status = _stop(folder)
    except KeyboardInterrupt:
        print("\n  Stopping; press Ctrl-C again to quit.")
        status = _stop(folder)
    finally:
        if read_status(folder).active:  # broken off: nobody is left to watch the trainer
            trainer_process.kill(folder)
    ticker.show(status)
    if status.state in ("failed", "died") and not status.takes:
        raise DemoError(status.message)
    return folder, status


def _stop(folder: JobFolder) -> JobStatus:
    trainer_process.request_stop(folder)
    return wait_for_end(folder, STOP_SECONDS)


def _best_take(folder: JobFolder, status: JobStatus) -> Path:
    """The file of the best take. Raises DemoError when none was recorded."""
    best = folder.takes / status.best_take
    if status.best_take and best.is_file():
        return best
    files = folder.list_takes()
    if not files:
        raise DemoError("Nothing was recorded in so short a time; give it more --minutes.")
    return files[-1]


class Ticker:
    """Prints a line when something changes, and now and then when nothing does."""

    def __init__(self) -> None:
        self._begin = time.monotonic()
        self._last = -LINE_SECONDS
        self._shown: tuple[Any, ...] = ()

    def show(self, status: JobStatus) -> None:
        """Print a status if there is something new in it."""
        now = time.monotonic() - self._begin
        news = (status.state, status.takes, status.landed)
        if news == self._shown and now - self._last < LINE_SECONDS:
            return
        self._shown, self._last = news, now
        print(progress_line(status, now), flush=True)


def progress_line(status: JobStatus, seconds: float) -> str:
    """One line on how the learning goes, seconds after its start."""
    parts = [f"  {clock(seconds)} {status.state:<8} {status.progress:4.0%}"]
    if status.takes:
        parts.append(f"{status.takes} take{'s' if status.takes > 1 else ''}{', landed' if status.landed else ''}")
    if status.seconds_left:
        parts.append(f"{clock(status.seconds_left)} left")
    if status.message:
        parts.append(status.message.splitlines()[0])
    return "  ".join(parts)


class _Tenths:
    """Tells of every tenth part that is done."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._told = 0

    def __call__(self, fraction: float) -> None:
        if int(fraction * 10 + 1e-6) > self._told:
            self._told = int(fraction * 10 + 1e-6)
            self._tell(f"  {fraction:4.0%}")


def clock(seconds: float) -> str:
    """75 s as 1:15."""
    whole = max(round(seconds), 0)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


# The proof

# Measures that are read off the baked rig
SEEN = frozenset(
    ("g_mpjpe_mm", "mpjpe_mm", "worst_error_mm", "followed", "somersault_deg", "twist_off_deg", "illegal_contacts")
    + ("penetration_cm", "self_penetration_cm", "self_penetration_s", "limit_excess_deg")
)


def _measure(scene: bpy.types.Scene, reference: Motion, take: Take) -> dict[str, Any]:
    """The measures of truth, of the baked rig as Blender evaluates it, with the forces of the take.

    What happens between two frames of a film (an impact, a slide that ends, the law of a flight) is the take's own.
    """
    settings = scene_settings(scene)
    armature = stored_avatar.avatar(scene)
    body, binding = stored_avatar.body_and_binding(scene)
    first, last = settings.baked_first, settings.baked_last
    shown = bake_error.read_take_from_rig(armature, body, binding, first, last, scene)
    distance, angle = bake_error.bake_error(armature, body, binding, take.motion, first, scene)
    own, seen = (metrics.evaluate_take(body, reference, one) for one in (take, as_shown(take, shown)))
    report = own.to_json() | {name: value for name, value in seen.to_json().items() if name in SEEN}
    report["landed"] = None if own.landed is None else bool(own.landed and seen.landed)
    report["success"] = own.success and seen.success
    report["landed_cleanly"] = metrics.cleanly(report)
    return report | {"verdict": verdict.verdict(report), "bake_error_mm": distance, "bake_error_deg": angle}


def _plain(value: Any) -> Any:
    """JSON knows no infinities: a measure that has no value is null."""
    return None if isinstance(value, float) and not np.isfinite(value) else value


def as_shown(take: Take, shown: Motion) -> Take:
    """A take with the motion measured off the rig; contacts and forces are the simulation's.

    A frame of the rig stands for the simulated frames from the one before it to itself: what touched
    the floor in between has touched.
    """
    positions = np.arange(shown.frames) * take.motion.rate / shown.rate
    ends = np.minimum(np.floor(positions + 1e-6).astype(int), take.motion.frames - 1)
    starts = np.concatenate([[0], ends[:-1] + 1])
    spans = [slice(min(start, end), end + 1) for start, end in zip(starts, ends, strict=True)]
    return Take(
        motion=shown,
        contacts=np.array([take.contacts[span].any(axis=0) for span in spans]),
        torque=np.array([take.torque[span].max() for span in spans]),
        assist=np.array([take.assist[span].max() for span in spans]),
        meta=take.meta,
        load=None if take.load is None else np.array([take.load[span].mean(axis=0) for span in spans]),
    )


# The film


def _shoot(scene: bpy.types.Scene, out: Path) -> None:
    """Set, camera and light into the file; the film and the contact sheet beside it."""
    settings = scene_settings(scene)
    scene.frame_start, scene.frame_end = settings.baked_first, settings.baked_last
    scene.frame_set(scene.frame_start)
    settings.show_body = settings.show_ghost = False
    _body, binding = stored_avatar.body_and_binding(scene)
    armature = stored_avatar.avatar(scene)
    stage.build_set(bpy.context, armature, yaw=binding.yaw, floor_height=float(binding.origin[2]), size=render.SIZE)
    render.apply_render_settings(scene, render.SIZE)
    _look_through_camera()
    bpy.ops.wm.save_mainfile()
    say(f"6 Film: {scene.frame_end - scene.frame_start + 1} frames")
    stills = Path(tempfile.mkdtemp(prefix="backflip-film-"))
    try:
        with _chatter_away() as tell:
            footage = render.render_stills(bpy.context, stills, render.SIZE, progress=_Tenths(tell))
            contact_sheet.render_contact_sheet(bpy.context, out / "backflip.png", size=render.SIZE, footage=footage)
            render.render_movie(bpy.context, out / "backflip.mp4", render.SIZE, footage=footage)
    finally:
        shutil.rmtree(stills, ignore_errors=True)


def _look_through_camera() -> None:
    """The file opens with the shot in its viewports."""
    for screen in bpy.data.screens:
        for area in screen.areas:
            for space in area.spaces:
                if isinstance(space, bpy.types.SpaceView3D) and space.region_3d is not None:
                    space.region_3d.view_perspective = "CAMERA"
                    space.shading.type = "MATERIAL"


# Words


@contextlib.contextmanager
def _chatter_away() -> Iterator[Callable[[str], None]]:
    """What Blender's own code prints for every frame goes nowhere; the function given prints all the same."""
    sys.stdout.flush()
    kept = os.dup(1)

    def say_all_the_same(line: str) -> None:
        os.write(kept, f"{line}\n".encode())

    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 1)
        yield say_all_the_same
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def say(line: str) -> None:
    print(f"\n{line}", flush=True)


def _say_result(report: dict[str, Any], out: Path, seconds: float) -> None:
    say(f"{verdict.verdict(report)}. {clock(seconds)} in all; see {out / 'backflip.mp4'}")
    for figure in verdict.figures(report):
        print(f"  {figure.label:<22}{figure.text}{'  (!)' if figure.flaw else ''}")
    print(f"  {'From the clip':<22}{report['g_mpjpe_mm'] / 10:.0f} cm, the baked rig {report['bake_error_mm']:.2g} mm")


def _terminate(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m backflip_addon.headless", description=__doc__)
    parser.add_argument("--out", type=lambda text: Path(text).resolve(), default=Path("demo").resolve())
    parser.add_argument("--clip", default="backflip")
    parser.add_argument("--character", default="", help="which armature of a clip with several")
    parser.add_argument("--action", default="", help="which action of a clip with several; the longest when left out")
    parser.add_argument(
        "--clip-map",
        type=lambda text: str(Path(text).resolve()) if text else "",
        default="",
        metavar="FILE",
        help="bone map of the clip's own skeleton, as Save Map writes it",
    )
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engine", choices=ENGINES, default="auto", help="what simulates the takes")
    return parser.parse_args(arguments)


def _leave(code: int) -> None:
    """End the process at once: Blender's module may hang in its own end, and all files are written."""
    sys.stdout.flush()
    sys.stderr.flush()
    shutil.rmtree(bpy.app.tempdir, ignore_errors=True)
    os._exit(code)


if __name__ == "__main__":
    _leave(main(sys.argv[1:]))
