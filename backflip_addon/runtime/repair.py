# SPDX-License-Identifier: GPL-3.0-or-later
"""Putting the add-on's own runtime right: leftovers, a damaged one made anew, and all of it removed. Nothing blocks."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from . import removal
from .claim import TAKEN, Claim
from .install import LOG_NAME, Installation, runtime_folder
from .progress import error_words
from .removal import Removal

LEFT_BEHIND_SECONDS = 2 * 3600.0  # no installation takes that long; asked where the file system knows no locks


class RuntimeFolderError(Exception):
    """Why the runtime cannot be removed, in one sentence."""


def clean(home: str | Path) -> Removal:
    """Begin to remove what broken-off installations and removals left; none of an installation at work."""
    home = Path(home)
    found = removal.leftovers(home)
    claim = None
    with contextlib.suppress(OSError):  # a folder that cannot be written cannot be cleaned
        claim = Claim.take(home) if found else None
    if claim is None:  # another Blender's installation is at work
        return removal.delete(place for place in found if place.name.startswith(removal.GOING))
    try:
        return removal.delete(place for place in found if claim.sure or _is_old(place))
    finally:
        claim.release()


def begin(home: str | Path, python: str = "") -> Installation:
    """Install the runtime again; the damaged one is replaced when the new one is whole."""
    clean(home)
    return Installation.begin(home, python)


def is_there(home: str | Path) -> bool:
    """Whether there is anything to remove."""
    return bool(removal.runtimes(Path(home)) or removal.leftovers(Path(home)))


def remove(home: str | Path) -> Removal:
    """Begin to remove the installed runtime, those of older versions, and everything left behind.

    Raises RuntimeFolderError when an installation is at work, or a training.
    """
    home = Path(home)
    if not is_there(home):
        return removal.delete(())
    try:
        claim = Claim.take(home)
    except OSError as error:
        raise RuntimeFolderError(error_words(error, home)) from error
    if claim is None:
        raise RuntimeFolderError(TAKEN)
    try:
        places = _set_aside(home)
        (home / LOG_NAME).unlink(missing_ok=True)
        return removal.delete(places, "The trainer's Python was removed.")
    except OSError as error:
        raise RuntimeFolderError(error_words(error, home)) from error
    finally:
        claim.release()


def _set_aside(home: Path) -> list[Path]:
    """What is to go, the runtimes under names that say so. Raises RuntimeFolderError and OSError."""
    runtimes = removal.runtimes(home)
    busy = [folder for folder in runtimes if removal.in_use(folder)]
    if runtime_folder(home) in busy:
        raise RuntimeFolderError("A training runs with the trainer's Python; stop it first.")
    for folder in runtimes:
        if folder not in busy:
            removal.set_aside(folder)
    return removal.leftovers(home)


def _is_old(place: Path) -> bool:
    with contextlib.suppress(OSError):
        return time.time() - place.lstat().st_mtime > LEFT_BEHIND_SECONDS
    return False
