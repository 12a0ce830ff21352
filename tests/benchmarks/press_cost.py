# SPDX-License-Identifier: GPL-3.0-or-later
"""What each press of the first steps costs Blender's main thread, in milliseconds of processor time.

    python tests/benchmarks/press_cost.py [CLIP ...] [--rig RIG] [--json FILE]      with a Python that has bpy

For each clip: the mannequin or a rig of yours, its body, the clip, every switch of step 2 on and off, what a note
offers, and a bake of the clip itself. After each press the viewport's lines are asked for, as the drawing does. What
works in slices is driven as a window drives it: ms is then the longest time between two looks at the window, and
slices their number. What a window has worked out in a thread is not waited for here either: tick_ms is what taking it
over costs at most, later_ms the clock's time until it is there. What Blender itself does after a press is not in it,
but for its importers, which are told on a line of their own.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import bpy

import backflip_addon
from backflip_addon.core import findings
from backflip_addon.core.slices import Sliced, Slices
from backflip_addon.operators import avatar, background_work, reference_clip, sliced_step, viewport_lines
from backflip_addon.scene import stored_avatar, stored_reference
from backflip_addon.scene.baking import bake
from backflip_addon.scene.importing import importer

LONGEST = 50.0  # ms that a press may hold the window
SWITCHES = ("physical_flights", "physical_footing", "upright", "grounded", "loops")
VALUES = {"trim_start": 0.1, "time_scale": 1.2, "start_frame": 5}


def press(name: str, call: Callable[[], Any]) -> dict[str, Any]:
    """One press, and the drawing after it."""
    begin = time.thread_time()
    call()
    _draw()
    return _after(name, (time.thread_time() - begin) * 1e3, 1)


def press_slices(name: str, work: Slices[Any]) -> dict[str, Any]:
    """One press of what works in slices, driven as a window does it."""
    driven, longest, count, done = Sliced(work), 0.0, 0, False
    while not done:
        begin = time.thread_time()
        done = driven.go_on(sliced_step.SLICE_SECONDS)
        _draw()
        longest, count = max(longest, (time.thread_time() - begin) * 1e3), count + 1
    return _after(name, longest, count)


def _after(name: str, spent: float, slices: int) -> dict[str, Any]:
    """What follows a press from a thread; the press's row."""
    since, longest = time.monotonic(), 0.0
    while background_work._asked:
        time.sleep(background_work.TICK_SECONDS)
        begin = time.thread_time()
        background_work._tick()
        _draw()
        longest = max(longest, (time.thread_time() - begin) * 1e3)
    later = (time.monotonic() - since) * 1e3
    row = {"press": name, "ms": round(spent, 1), "slices": slices, "tick_ms": round(longest, 1), "later_ms": later}
    much = "*" if max(spent, longest) > LONGEST else ""
    print(f"{name:32} {spent:8.1f} {slices:8} {longest:8.1f} {later:8.0f} {much}", flush=True)
    return row


def _draw() -> None:
    viewport_lines.lines(bpy.context.scene)
    viewport_lines.contacts(bpy.context.scene)


def _begin(rig: str) -> list[dict[str, Any]]:
    """The presses of step 1."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene, rows = bpy.context.scene, []
    if rig:
        rows.append(press_slices(f"Import {Path(rig).name}", avatar.import_avatar_slices(scene, rig)))
    else:
        rows.append(press_slices("Add Mannequin", avatar.choose_mannequin_slices(bpy.context)))
    rows.append(press_slices("Build Body", avatar.build_body_slices(scene, 0.0, "athlete")))
    return rows


def _importers(clip: str) -> None:
    """Have Blender's own importer told apart, where a clip needs it."""
    if Path(clip).suffix.lower() in (".fbx", ".glb", ".gltf"):
        imported: list[Any] = []
        press("  (Blender's importer alone)", lambda: imported.append(importer._import_checked(Path(clip), False)))
        importer.remove(imported[0])


def walk(clip: str, rig: str) -> list[dict[str, Any]]:
    """All presses for one clip."""
    rows = _begin(rig)
    ops, scene = bpy.ops.backflip, bpy.context.scene
    settings = scene.backflip
    _importers(clip)
    rows.append(press_slices(f"Import {Path(clip).name}", reference_clip.use_file_slices(scene, clip)))
    rows.append(press("step 2", lambda: setattr(settings.road, "reference", True)))
    for name in SWITCHES:
        for on in (True, False):
            rows.append(press(f"{name} {'on' if on else 'off'}", lambda name=name, on=on: setattr(settings, name, on)))
    for name, value in VALUES.items():
        rows.append(press(name, lambda name=name, value=value: setattr(settings, name, value)))
    for note in findings.kept_notes(settings.reference_notes):
        if note["fix"] and note in findings.kept_notes(settings.reference_notes):  # no fix before it mended this, too
            rows.append(press(f"fix {note['code']}", lambda code=note["code"]: ops.apply_fix(code=code)))
    rows.append(press_slices("Read Again", reference_clip.read_with_map_slices(scene)))
    rows.append(press_slices("Build Body again", avatar.build_body_slices(scene, 0.0, "athlete")))
    motion, (_body, binding) = stored_reference.whole_reference(scene), stored_avatar.body_and_binding(scene)
    baked = bake.bake_slices(settings.avatar, binding, motion, name="Take", start_frame=1, scene=scene)
    rows.append(press_slices("Bake", baked))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", help="clips that are read without Blender's importers")
    parser.add_argument("--rig", default="", help="a character's file; the mannequin without one")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    backflip_addon.register()
    background_work.waits = lambda: False  # as with a window
    print(f"{'':32} {'press':>8} {'slices':>8} {'tick':>8} {'later':>8}")
    rows = {clip: walk(clip, options.rig) for clip in options.clips}
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    sys.stdout.flush()
    os._exit(0)  # Blender as a module is slow to end


if __name__ == "__main__":
    main()
