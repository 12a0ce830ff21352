# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job costs Blender's main thread, in milliseconds of processor time.

    python tests/benchmarks/ui_cost.py [--json FILE]      with a Python that has bpy

For 1,000 takes with 100,000 events and 10,000 takes with 1,000,000:

open_ms   the longest single call while a .blend tied to the job is opened: its handlers, then tick by tick until
          there is no more to read. Once for a file whose list is empty, once for one that was saved with its list;
          the longer of the two
tick_ms   a tick when nothing is new: the longest of many
draw_ms   all panels drawn once: the longest of several

Timers do not fire without a window, so the ticks are called here, one after another as the timer would. Without a
window nothing is painted either: draw_ms is the time of the panels' own Python, draw() of each with a stand-in for
the layout that takes every call and does nothing, and draw_item() for as many takes as the list shows. What
Blender's own code adds for the list's other items is not in it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import bpy
import numpy as np
from bpy.app.handlers import persistent

import backflip_addon
from backflip_addon.core.motion import Motion, Take, save_take
from backflip_addon.jobs import status
from backflip_addon.jobs.folder import JobFolder
from backflip_addon.jobs.messages import Job
from backflip_addon.operators import job_monitor
from backflip_addon.ui import avatar_panel, bake_panel, lists, reference_panel, takes_panel, training_panel

PANELS = [
    panel for file in (avatar_panel, reference_panel, training_panel, takes_panel, bake_panel) for panel in file.CLASSES
]
SIZES = {1_000: 100_000, 10_000: 1_000_000}  # takes: events
ROWS = 5  # of the list that are seen


def make_job(path: Path, takes: int, events: int) -> JobFolder:
    """A job that has ended, with so many take files and events."""
    folder = JobFolder(path)
    folder.create(Job(name="Hero flips", avatar="Hero", body={}, settings={}))
    rotations = np.zeros((2, 1, 4))
    rotations[..., 0] = 1.0
    nothing = np.zeros(2)
    model = path / "take.npz"
    take = Take(Motion(120.0, np.zeros((2, 3)), rotations), np.zeros((2, 1), dtype=bool), nothing, nothing, {})
    save_take(model, take)
    between = events // takes - 1
    with open(folder.events_file, "w", encoding="utf-8") as log:
        log.write(_line("started", pid=0, workers=2, mode="auto", seed=0))
        for number in range(takes):
            for step in range(between if number else between - 2):
                fraction = (number + step / between) / takes
                log.write(_progress(fraction, number * between + step))
            file = f"{number:05d}_search.npz"
            shutil.copyfile(model, folder.takes / file)
            log.write(
                _line(
                    "take",
                    file=file,
                    name=f"Attempt {number}",
                    landed=number % 3 == 0,
                    success=number % 6 == 0,
                    score=number % 97 / 97,
                    source="search",
                    stage=0,
                    control_steps=number * between,
                    seconds=float(number),
                )
            )
        log.write(_line("finished", reason="time", best_take="00000_search.npz", seconds=600.0, control_steps=events))
    return folder


def _line(kind: str, **fields: Any) -> str:
    return json.dumps({"time": 1.7e9, "kind": kind, **fields}) + "\n"


def _progress(fraction: float, steps: int) -> str:
    return (
        f'{{"time": 1700000000.0, "kind": "progress", "phase": "search", "fraction": {fraction:.4f}, "seconds": 9.0, '
        f'"seconds_left": 9.0, "message": "Searching: 41 of 60 frames held.", "control_steps": {steps}}}\n'
    )


class Layout:
    """Stands in for a layout: whatever is asked of it is there and does nothing."""

    def __getattr__(self, _name: str) -> Any:
        return self

    def __call__(self, *_values: Any, **_options: Any) -> Any:
        return self


def cost(call: Callable[[], Any]) -> tuple[float, Any]:
    """Processor time of one call, ms, and what it returned."""
    begin = time.process_time()
    result = call()
    return (time.process_time() - begin) * 1e3, result


def open_file(blend: Path) -> float:
    """Open a .blend as Blender does; returns our longest call, ms."""
    status._readers.clear()  # as in a Blender that has just been started
    calls: list[float] = []

    @persistent
    def on_load(*values: Any) -> None:
        calls.append(cost(lambda: job_monitor._on_load(*values))[0])

    handlers = bpy.app.handlers.load_post
    handlers[handlers.index(job_monitor._on_load)] = on_load
    bpy.ops.wm.open_mainfile(filepath=str(blend))
    handlers[handlers.index(on_load)] = job_monitor._on_load
    wait = job_monitor.READING_SECONDS
    while wait == job_monitor.READING_SECONDS:
        calls.append(cost(draw)[0])
        milliseconds, wait = cost(job_monitor._tick)
        calls.append(milliseconds)
    assert len(calls) > 2, "the file was not opened"
    return max(calls)


def draw() -> None:
    """Draw every panel and the rows of the list that are seen."""
    context = SimpleNamespace(
        scene=bpy.context.scene,
        preferences=SimpleNamespace(system=SimpleNamespace(ui_scale=1.0)),
        region=SimpleNamespace(width=300),
        window_manager=bpy.context.window_manager,
    )
    for panel in PANELS:
        if not hasattr(panel, "poll") or panel.poll(context):
            stand_in = type(panel.__name__, (), dict(panel.__dict__) | {"layout": Layout()})
            stand_in().draw(context)
    for item in bpy.context.scene.backflip.takes[:ROWS]:
        lists.BACKFLIP_UL_takes.draw_item(None, context, Layout(), None, item, 0, None, "")


def measure(place: Path, takes: int, events: int) -> dict[str, float]:
    folder = make_job(place / f"job {takes}", takes, events)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    armature = bpy.data.objects.new("Hero", bpy.data.armatures.new("Hero"))
    scene.collection.objects.link(armature)
    scene.backflip.avatar = armature
    scene.backflip.job_folder = scene.backflip.job_folder_absolute = str(folder.path)
    blend = place / f"{takes}.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(blend))
    longest = [open_file(blend)]
    bpy.ops.wm.save_mainfile()
    longest.append(open_file(blend))
    assert job_monitor.counts(bpy.context.scene)[0] == takes, "the list is not whole"
    return {
        "open_ms": max(longest),
        "tick_ms": max(cost(job_monitor._tick)[0] for _ in range(50)),
        "draw_ms": max(cost(draw)[0] for _ in range(10)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    backflip_addon.register()
    figures: dict[str, dict[str, float]] = {"open_ms": {}, "tick_ms": {}, "draw_ms": {}}
    with tempfile.TemporaryDirectory() as place:
        for takes, events in SIZES.items():
            for name, value in measure(Path(place), takes, events).items():
                figures[name][str(takes)] = round(value, 2)
                print(f"{name} with {takes} takes and {events} events: {value:.2f} ms", flush=True)
    backflip_addon.unregister()
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
