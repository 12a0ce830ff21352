# SPDX-License-Identifier: GPL-3.0-or-later
"""Putting the add-on's own runtime right: leftovers, older versions, and a damaged one made anew."""

from __future__ import annotations

import contextlib
import shutil
import time
from pathlib import Path

from .install import SOON, Installation, runtime_folder

LEFT_BEHIND_SECONDS = 2 * 3600.0  # no installation takes that long


def clean(home: str | Path) -> list[Path]:
    """Remove what broken-off installations and older versions of the add-on left; returns what went."""
    home = Path(home)
    if not home.is_dir():
        return []
    gone = [folder for folder in home.iterdir() if folder.is_dir() and _is_left_behind(folder)]
    for folder in gone:
        shutil.rmtree(folder, ignore_errors=True)
    return [folder for folder in gone if not folder.exists()]


def begin(home: str | Path, python: str = "") -> Installation:
    """Install the runtime again; the damaged one is replaced when the new one is whole."""
    clean(home)
    return Installation.begin(home, python)


def remove(home: str | Path) -> None:
    """Remove the installed runtime and everything left behind."""
    clean(home)
    shutil.rmtree(runtime_folder(Path(home)), ignore_errors=True)


def _is_left_behind(folder: Path) -> bool:
    if folder.name.startswith(SOON):
        with contextlib.suppress(OSError):
            return time.time() - folder.stat().st_mtime > LEFT_BEHIND_SECONDS
        return False
    return folder.name.startswith("python-") and folder != runtime_folder(folder.parent)
