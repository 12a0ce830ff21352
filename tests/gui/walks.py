# SPDX-License-Identifier: GPL-3.0-or-later
"""Three walks from a factory Blender with nothing but the zip: Try It, a rig and a clip of one's own, and a shot.

Where a press is not found on the screen a walk ends with a sentence that says which, and with a picture.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from backflip_addon.jobs import trainer_process
from backflip_addon.jobs.folder import JobFolder

from .blender import FOLDER, HERE, Blender, WalkError, display, prepare_user, run_blender
from .person import Person

SIZE = 1280, 720  # pixels of the screen and of Blender's window: the smallest that all has to fit
LEARN_SECONDS = 240.0  # until which something has been learned, or it is given up
_START_SECONDS, _FILES_SECONDS, _STOP_SECONDS = 60.0, 120.0, 30.0
_VIEWPORT, _VIEWPORT_FREE = (400, 350), (200, 350)  # over the viewport; and beside the splash screen
_ASIDE = (200, 560)  # where the mouse hides nothing


@dataclasses.dataclass(frozen=True)
class Walked:
    """presses: clicks and keys from the first on. seconds: of the clock from the first press to what was wanted."""

    presses: int
    seconds: float


@dataclasses.dataclass(frozen=True)
class Walker:
    """Where the walks are made, and where their pictures go. scale: Blender's resolution scale."""

    user: Path
    pictures: Path | None = None

    @contextmanager
    def person(self, walk: str, *arguments: str) -> Iterator[Person]:
        try:
            with display(*SIZE) as (number, screen), Blender.started(number, self.user, SIZE, *arguments) as blender:
                yield Person(screen, blender, self.pictures, walk)
        finally:
            _end_trainers()


def _end_trainers() -> None:
    """A training goes on without its Blender: have those of the walks stop."""
    jobs = [JobFolder(file.parent) for file in FOLDER.rglob("job.json")]
    for job in jobs:
        if job.running():
            job.request("stop")
    end = time.monotonic() + _STOP_SECONDS
    for job in jobs:
        while job.running() and time.monotonic() < end:
            time.sleep(0.2)
        if job.running():
            trainer_process.kill(job)


def prepare(pictures: Path | None) -> Walker:
    """Install the zip, and compile the physics for it. Raises WalkError."""
    if pictures is not None:
        pictures.mkdir(parents=True, exist_ok=True)
    return Walker(prepare_user(), pictures)


def walk(walker: Walker) -> dict[str, Walked]:
    """All three: the shot is one of what was learned in the first. Raises WalkError."""
    with walker.person("try_it") as person:
        tried = try_it(person)
        shot = shoot(person.anew("shoot"))
    files = own_files(walker)
    with walker.person("own", str(files / "hero.blend")) as person:
        return {"try_it": tried, "own": own(person), "shoot": shot}


def try_it(person: Person) -> Walked:
    """From Blender's splash screen to a baked backflip."""
    person.wait_for("Recover Last Session", _START_SECONDS)
    person.click_at(_VIEWPORT_FREE, step="splash")
    person.key("n", _VIEWPORT)
    person.click("Try It: Learn a Backflip")
    bake_what_landed(person)
    return reached(person, lambda told: len(told["strips"]) == 1 and told["avatar"] == "Mannequin")


def own_files(walker: Walker) -> Path:
    """A folder with hero.blend and squat.bvh."""
    folder = FOLDER / "own"
    folder.mkdir(exist_ok=True)
    script = ["--background", "--factory-startup", "--python", str(HERE / "own_files.py"), "--", str(folder)]
    run_blender(walker.user, script, _FILES_SECONDS)
    return folder


def own(person: Person) -> Walked:
    """From a .blend with a rig, opened by its own double-click, and a BVH file beside it to a bake."""
    person.key("n", _VIEWPORT)
    person.click("Use as Avatar")
    person.click("Build Body")
    person.click("Import Clip")
    person.click("squat.bvh", times=2)
    person.click("Start Training")
    bake_what_landed(person)
    return reached(person, lambda told: len(told["strips"]) == 1 and told["avatar"] == "Hero")


def shoot(person: Person) -> Walked:
    """From a baked take to another one, shot on the Moon, chosen and baked."""
    person.click("4 Takes: …")
    person.click("As Trained")
    person.click("Moon")
    person.click("Shoot")
    person.move(_ASIDE)
    until(person, lambda told: bool(on_the_moon(told["takes"])))
    number = on_the_moon(person.facts()["takes"])[0].partition(" ")[0]
    person.click(f"{number} Gravity …", below="All Takes", step="choose")
    person.click("Bake This Take")
    return reached(person, lambda told: bool(on_the_moon(told["strips"])))


def on_the_moon(titles: list[str]) -> list[str]:
    """Of takes, or of what they are baked to, those that were shot so: the learning that goes on records others."""
    return [title for title in titles if "Gravity 1.62" in title]


def bake_what_landed(person: Person) -> None:
    """Wait for the button that bakes, and press it."""
    person.move(_ASIDE)
    person.click("Bake Chosen Take", seconds=LEARN_SECONDS)


def until(person: Person, wanted: Callable[[dict[str, Any]], bool], seconds: float = LEARN_SECONDS) -> None:
    """Wait until Blender's own data have what was wanted. Raises WalkError."""
    end = time.monotonic() + seconds
    while not wanted(told := person.facts()):
        if time.monotonic() > end:
            person.show("lost")
            raise WalkError(f"This was not what the walk was to come to: {told}.")
        time.sleep(0.2)


def reached(person: Person, wanted: Callable[[dict[str, Any]], bool]) -> Walked:
    """What the walk took, once Blender has what was wanted and the screen offers to play it. Raises WalkError."""
    person.move(_ASIDE)
    until(person, wanted, 20.0)
    person.wait_for("Play")
    walked = Walked(person.presses, round(person.seconds, 1))
    person.show("end")
    return walked
