# SPDX-License-Identifier: GPL-3.0-or-later
"""What takes cost in Blender's window, in milliseconds of processor time.

    python tests/benchmarks/take_window.py [--json FILE]      with a Python that has bpy

With a mannequin and a job of 1,000 and of 10,000 takes of 2.5 s each:

list_ms   from a scene that is tied to the job to its list, whole and drawn, sorted by how unlike the takes are
play_ms   from a chosen take to its first picture: the longest of several takes. The first one is drawn with the body's
          shapes, until the character's mesh has been read
mesh_ms   reading the mesh, 9,700 vertices, in a hundred ticks or so
tick_ms   the longest single call of a timer in all of that, and of a training that records takes meanwhile; of the
          main thread alone, while the others are of all threads
draw_ms   a picture of four takes and the reference: the longest of many

Timers do not fire without a window, so they are called here, one after another as Blender would.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import bpy

import backflip_addon
from backflip_addon.core import body as bodies
from backflip_addon.core.motion import save_motion, save_take
from backflip_addon.core.outcome import KINDS
from backflip_addon.core.rigs import binding as bindings
from backflip_addon.jobs import status
from backflip_addon.jobs.folder import JobFolder
from backflip_addon.jobs.messages import Job
from backflip_addon.operators import job_monitor, take_browser, take_player
from backflip_addon.scene import stored_avatar
from tests.scene.takes import take, tumble

SIZES = (1_000, 10_000)
SECONDS = 2.5
CHOSEN = 8  # takes that are played
RECORDED = 20  # takes that are recorded meanwhile


class Clock:
    """Processor time: of all calls together, ms, and of the longest. now: of this thread alone, or of all."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self.total = self.longest = 0.0

    def time(self, call: Callable[[], Any]) -> Any:
        begin = self.now()
        result = call()
        spent = (self.now() - begin) * 1e3
        self.total += spent
        self.longest = max(self.longest, spent)
        return result


def make_job(path: Path, takes: int) -> JobFolder:
    """A job of the scene's avatar. Its takes are one file under many names."""
    body, binding = stored_avatar.body_and_binding(bpy.context.scene)
    folder = JobFolder(path)
    data = {"body": bodies.to_json(body), "binding": bindings.to_json(binding)}
    folder.create(Job(name="Hero", avatar=stored_avatar.avatar(bpy.context.scene).name, settings={}, **data))
    save_motion(folder.reference_file, tumble(body, SECONDS))
    save_take(path / "take.npz", take(body))
    for number in range(takes):
        record(folder, number)
    return folder


def record(folder: JobFolder, number: int) -> None:
    """Record a take, as a trainer does."""
    file = f"{number:05d}_search.npz"
    os.link(folder.path / "take.npz", folder.takes / file)
    facts = {
        "landed": number % 3 == 0,
        "success": False,
        "score": number % 97 / 97,
        "followed": number % 89 / 89,
        "source": "search",
    }
    told = {"outcome": KINDS[number % len(KINDS)], "impact_m_s": number % 83 / 10, "turned_deg": float(number % 360)}
    events = [
        {"time": 1.7e9, "kind": "progress", "phase": "search", "fraction": 0.5, "message": "Searching."},
        {"time": 1.7e9, "kind": "take", "file": file, "seconds": float(number), **facts, **told},
    ]
    with open(folder.events_file, "a", encoding="utf-8") as log:
        log.write("".join(json.dumps(event) + "\n" for event in events))


def tick_to_the_end(clock: Clock) -> None:
    """Tick as the monitor's timer would, until there is nothing to read."""
    while clock.time(job_monitor._tick) == job_monitor.READING_SECONDS:
        pass


def measure(place: Path, takes: int) -> dict[str, float]:
    """The figures of a job with so many takes."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.backflip.add_mannequin()
    bpy.ops.backflip.build_body()
    scene: Any = bpy.context.scene
    folder = make_job(place / str(takes), takes)
    status._readers.clear()
    scene.backflip.job_folder = scene.backflip.job_folder_absolute = str(folder.path)
    ticks = Clock(time.thread_time)  # what a thread does meanwhile holds nothing up
    listing, playing, reading, drawing = (Clock(time.process_time) for _ in range(4))
    listing.time(lambda: tick_to_the_end(ticks))
    scene.backflip.browser.sort = "unlike"
    listing.time(lambda: take_browser.view(scene))
    assert len(take_browser.view(scene).shown) == takes
    for index in range(0, takes, takes // CHOSEN):
        playing.time(lambda index=index: play(scene, index, ticks))
        reading.time(lambda: read_mesh(scene, ticks))
    for number in range(4):
        bpy.ops.backflip.compare_take(take=f"{number:05d}_search.npz")
    scene.backflip.browser.compare_reference = True
    take_player.figures(scene, wait=True)
    for _ in range(30):
        found = drawing.time(lambda: take_player.figures(scene))
    assert len(found) == take_player.MOST_COMPARED + 1
    for number in range(takes, takes + RECORDED):
        record(folder, number)
        tick_to_the_end(ticks)
    return {
        "list_ms": listing.total,
        "play_ms": playing.longest,
        "mesh_ms": reading.longest,
        "tick_ms": ticks.longest,
        "draw_ms": drawing.longest,
    }


def play(scene: Any, index: int, ticks: Clock) -> None:
    """Choose a take and wait for its first picture, ticking as the player's timer would."""
    scene.backflip.take_index = index
    end = time.monotonic() + 10.0
    name = scene.backflip.takes[index].name
    while [figure.name for figure in take_player.figures(scene)] != [name]:
        ticks.time(lambda: take_player._advance(scene))
        time.sleep(take_player.WAIT_SECONDS)
        assert time.monotonic() < end, "the take is not loaded"


def read_mesh(scene: Any, ticks: Clock) -> None:
    """Tick on until nothing is waited for: the character's mesh is there."""
    while ticks.time(lambda: take_player._advance(scene)) == take_player.WAIT_SECONDS:
        pass
    assert len(take_player.figures(scene)[0].points) > 5_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    backflip_addon.register()
    figures: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as place:
        for takes in SIZES:
            for name, value in measure(Path(place), takes).items():
                figures.setdefault(name, {})[str(takes)] = round(value, 2)
                print(f"{name} with {takes} takes: {value:.2f} ms", flush=True)
    backflip_addon.unregister()
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    sys.stdout.flush()
    os._exit(0)  # Blender's module may hang in its own end


if __name__ == "__main__":
    main()
