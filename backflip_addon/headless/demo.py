# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo, a script of the words: `python -m backflip_addon.headless.demo --out DIR`. `build.py demo` runs it.

The built-in mannequin in a new .blend; then train, bake, export and film.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, cast

import bpy

from .. import register
from ..core import verdict
from ..core.clips import key_poses
from ..jobs.folder import JobFolder
from ..jobs.messages import ENGINES
from ..jobs.status import read_status
from ..operators.bone_map import choose
from ..scene.film import render
from ..scene.mannequin.build import add_mannequin
from ..scene.typed_data import current_scene
from .console import FAILED, WRONG_USE, clock, leave
from .words import run, said_of

FPS = 24  # the film's, and Blender's own
CLIP_FOLDER = Path("data", "motions")
CLIP_PREFIX = "humanoid3d_"


class DemoError(Exception):
    """What ends the demo, in one sentence for the user."""


def main(arguments: list[str]) -> int:
    """Run the demo; the exit status tells whether the road was walked to its end, not whether it landed."""
    options = _parse(arguments)
    begin = time.monotonic()
    try:
        clip = find_clip(options.clip)
        options.out.mkdir(parents=True, exist_ok=True)
        report = walk(clip, options)
    except (DemoError, OSError) as error:
        print(f"\nThe demo ended: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("\nThe demo was interrupted.", file=sys.stderr)
        return FAILED
    seconds = time.monotonic() - begin
    report["total_seconds"] = round(seconds, 1)
    (options.out / "report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    say(f"{verdict.verdict(report)}. {clock(seconds)} in all; see {options.out / 'backflip.mp4'}")
    print("\n".join(said_of(report)))
    return 0


def walk(clip: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The road, a word each. Returns the report. Raises DemoError."""
    out, blend = options.out, str(options.out / "backflip.blend")
    job = out / "backflip.backflip" / time.strftime("demo-%Y%m%d-%H%M%S")
    say("1 Avatar: adding the mannequin, mapping its bones")
    _make_blend(Path(blend))
    say(f"2 Reference: {clip.stem}")
    say(f"3 Train: up to {options.minutes:g} min, seed {options.seed}; Ctrl-C goes on with the best take so far")
    train = ["train", blend, "--clip", str(clip), "--job", str(job), "--save", "--stop-when-landed"]
    train += ["--minutes", str(options.minutes), "--seed", str(options.seed), "--engine", options.engine]
    train += ["--clip-map", options.clip_map, "--clip-action", options.action]
    trained = _do([*train, "--clip-character", options.character])
    status = read_status(JobFolder(job))
    if trained["exit"] == FAILED and not status.takes:
        raise DemoError(trained["error"])
    say(f"4 Takes: {status.takes} recorded, the best is {status.best_take or 'none'}")
    if not status.takes:
        raise DemoError("Nothing was recorded in so short a time; give it more --minutes.")
    say("5 Bake and export")
    report = _done(["bake", blend, "--job", str(job)])
    _done(["export", blend, "--out", str(out / "backflip.fbx"), "--export-format", "FBX"])
    say("6 Film")
    film = ["film", blend, "--out", str(out / "backflip.mp4"), "--sheet", str(out / "backflip.png"), "--save"]
    _done([*film, "--size", f"{render.SIZE[0]}x{render.SIZE[1]}"])
    report = {key: value for key, value in report.items() if key not in ("word", "status", "exit", "saved")}
    return report | {
        "seconds": round(status.seconds or 0.0, 1),
        "control_steps": status.control_steps,
        "clip": clip.stem,
        "seed": options.seed,
        "minutes": options.minutes,
        "blender": bpy.app.version_string,
    }


def _do(words: list[str]) -> dict[str, Any]:
    """Do a word; its report. Raises DemoError where it was used wrongly: an option of the demo's was passed on."""
    with tempfile.TemporaryDirectory(prefix="backflip-demo-") as folder:
        file = Path(folder) / "report.json"
        code = run([*words, "--json", str(file)])
        report: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    if code == WRONG_USE:
        raise DemoError(report["error"])
    return report


def _done(words: list[str]) -> dict[str, Any]:
    """The same; raises DemoError also where it failed."""
    report = _do(words)
    if report["exit"] == FAILED:
        raise DemoError(report["error"])
    return report


def find_clip(name: str) -> Path:
    """A clip of our own or DeepMimic's by its name, or as a file. Raises DemoError.

    pybullet_data is looked up by its place alone: importing it is the trainer's.
    """
    if Path(name).is_file():
        return Path(name).resolve()
    spec = importlib.util.find_spec("pybullet_data")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    clips = [clip for folder in folders for clip in (Path(folder) / CLIP_FOLDER).glob(f"{CLIP_PREFIX}*.txt")]
    known = {clip.stem.removeprefix(CLIP_PREFIX): clip for clip in [*clips, *key_poses.FOLDER.glob("*.json")]}
    if name in known:
        return known[name]
    raise DemoError(f"There is no clip {name}; give a file, or one of: {', '.join(sorted(known))}.")


def _make_blend(blend: Path) -> None:
    """A new .blend with the mannequin, mapped, its body still to be built."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    register()
    scene = current_scene()
    scene.render.fps, scene.render.fps_base = FPS, 1.0
    choose(scene, add_mannequin(bpy.context))
    cast(bpy.types.Preferences, bpy.context.preferences).filepaths.save_version = 0
    bpy.ops.wm.save_as_mainfile(filepath=str(blend))


def say(line: str) -> None:
    print(f"\n{line}", flush=True)


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m backflip_addon.headless.demo", description=__doc__)
    parser.add_argument("--out", type=lambda text: Path(text).resolve(), default=Path("demo").resolve())
    parser.add_argument("--clip", default="standing_backflip")
    parser.add_argument("--character", default="", help="which armature of a clip with several")
    parser.add_argument("--action", default="", help="which action of a clip with several; the longest when left out")
    parser.add_argument("--clip-map", default="", metavar="FILE", help="bone map of the clip's own skeleton")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engine", choices=ENGINES, default="auto", help="what simulates the takes")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
