# SPDX-License-Identifier: GPL-3.0-or-later
"""What each press of the first steps costs Blender's main thread, in milliseconds of processor time.

    python tests/benchmarks/press_cost.py [CLIP ...] [--json FILE]      with a Python that has bpy

For each clip: the mannequin, its body, the clip, every switch of step 2 on and off, and what a note offers. After each
press the viewport's lines are asked for, as the drawing does. What a window has worked out in a thread is not waited
for here either: tick_ms is what taking it over costs at most, later_ms the clock's time until it is there. What
Blender itself does after a press is not in it.
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
from backflip_addon.operators import background_work, viewport_lines

LONGEST = 50.0  # ms that a press may hold the window
SWITCHES = ("physical_flights", "physical_footing", "upright", "grounded", "loops")
VALUES = {"trim_start": 0.1, "time_scale": 1.2, "start_frame": 5}


def press(name: str, call: Callable[[], Any]) -> dict[str, Any]:
    """One press, and the drawing after it."""
    begin = time.thread_time()
    call()
    _draw()
    spent = (time.thread_time() - begin) * 1e3
    since, longest = time.monotonic(), 0.0
    while background_work._asked:
        time.sleep(background_work.TICK_SECONDS)
        begin = time.thread_time()
        background_work._tick()
        _draw()
        longest = max(longest, (time.thread_time() - begin) * 1e3)
    later = (time.monotonic() - since) * 1e3
    row = {"press": name, "ms": round(spent, 1), "tick_ms": round(longest, 1), "later_ms": round(later)}
    print(
        f"{name:32} {spent:8.1f} {longest:8.1f} {later:8.0f} {'*' if max(spent, longest) > LONGEST else ''}", flush=True
    )
    return row


def _draw() -> None:
    viewport_lines.lines(bpy.context.scene)
    viewport_lines.contacts(bpy.context.scene)


def walk(clip: str) -> list[dict[str, Any]]:
    """All presses for one clip."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    ops, settings = bpy.ops.backflip, bpy.context.scene.backflip
    rows = [press("Add Mannequin", ops.add_mannequin), press("Build Body", ops.build_body)]
    rows.append(press(f"Import {Path(clip).name}", lambda: ops.import_reference(filepath=clip)))
    rows.append(press("step 2", lambda: setattr(settings.road, "reference", True)))
    for name in SWITCHES:
        for on in (True, False):
            rows.append(press(f"{name} {'on' if on else 'off'}", lambda name=name, on=on: setattr(settings, name, on)))
    for name, value in VALUES.items():
        rows.append(press(name, lambda name=name, value=value: setattr(settings, name, value)))
    for note in findings.kept_notes(settings.reference_notes):
        if note["fix"]:
            rows.append(press(f"fix {note['code']}", lambda code=note["code"]: ops.apply_fix(code=code)))
    rows.append(press("Read Again", ops.read_clip_again))
    rows.append(press("Build Body again", ops.build_body))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", help="clips that are read without Blender's importers")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    backflip_addon.register()
    background_work.waits = lambda: False  # as with a window
    print(f"{'':32} {'press':>8} {'tick':>8} {'later':>8}")
    rows = {clip: walk(clip) for clip in options.clips}
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    sys.stdout.flush()
    os._exit(0)  # Blender as a module is slow to end


if __name__ == "__main__":
    main()
