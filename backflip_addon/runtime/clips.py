# SPDX-License-Identifier: GPL-3.0-or-later
"""Clips that lie on this computer already: those that come with PyBullet, and the user's own folder of them."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable
from pathlib import Path

from ..core.isolation import Interpreter
from ..core.start_with_packages import CONDA_NAME

FOLDER = Path("pybullet_data", "data", "motions")  # in the packages of the trainer's Python
PREFIX, SUFFIX = "humanoid3d_", ".txt"
MOST_CLIPS = 500  # of the user's, that a menu holds
MOST_FILES = 20_000  # that are looked at for them
# Name in the file -> in the menu, in this order; the others follow by name
NAMES = {
    "backflip": "Backflip",
    "sideflip": "Sideflip",
    "cartwheel": "Cartwheel",
    "spinkick": "Spin Kick",
    "spin": "Spin",
    "kick": "Kick",
    "punch": "Punch",
    "jump": "Jump",
    "roll": "Roll",
    "walk": "Walk",
    "run": "Run",
    "crawl": "Crawl",
    "dance_a": "Dance",
    "dance_b": "Second Dance",
    "getup_facedown": "Get Up, Face Down",
    "getup_faceup": "Get Up, Face Up",
}


def trainer_clips(trainer: Interpreter) -> dict[str, Path]:
    """Name in the menu -> file of each clip that the trainer's packages bring; none without PyBullet's data."""
    found: dict[str, Path] = {}
    for folder in _package_folders(trainer):
        for file in _names_in(folder / FOLDER):
            if file.startswith(PREFIX) and file.endswith(SUFFIX):
                found.setdefault(file[len(PREFIX) : -len(SUFFIX)], folder / FOLDER / file)
    known = {title: found[name] for name, title in NAMES.items() if name in found}
    others = {name.replace("_", " ").title(): file for name, file in sorted(found.items()) if name not in NAMES}
    return known | others


def user_clips(folder: Path, suffixes: Iterable[str]) -> dict[str, Path]:
    """Name in the menu -> file of each clip in a folder and the folders in it; none where it cannot be read."""
    wanted = tuple(suffixes)
    files = (Path(place, name) for place, _folders, names in os.walk(folder) for name in sorted(names))
    clips = (file for file in itertools.islice(files, MOST_FILES) if file.suffix.lower() in wanted)
    return {file.relative_to(folder).as_posix(): file for file in itertools.islice(clips, MOST_CLIPS)}


def _package_folders(trainer: Interpreter) -> list[Path]:
    """Where an interpreter's packages may lie."""
    if trainer.packages:
        beside = Path(trainer.packages).with_name(CONDA_NAME)
        return [Path(trainer.packages), *_site_packages(beside)]
    return _site_packages(Path(trainer.path).parent.parent)


def _site_packages(root: Path) -> list[Path]:
    """Where the packages of an environment may lie."""
    return [*sorted(root.glob("lib/python3.*/site-packages")), root / "Lib" / "site-packages"]


def _names_in(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []
