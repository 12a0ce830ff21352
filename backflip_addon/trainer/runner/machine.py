# SPDX-License-Identifier: GPL-3.0-or-later
"""Which computer trains, and with which versions of what: noted in a job, which may be trained anywhere."""

from __future__ import annotations

import contextlib
import platform
import socket
import tomllib
from importlib import metadata
from pathlib import Path

PACKAGES = ("numpy", "numba", "torch", "pybullet", "ray")
MANIFEST = "blender_manifest.toml"
PACKAGE = Path(__file__).resolve().parents[2]


def name() -> str:
    """The computer's name, system and processor."""
    return f"{socket.gethostname()}, {platform.system()} {platform.machine()}"


def versions() -> str:
    """Backflip's version, Python's, and those of the packages that are installed."""
    words = [f"Backflip {own_version()}", f"Python {platform.python_version()}"]
    for package in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            words.append(f"{package} {metadata.version(package)}")
    return ", ".join(words)


def own_version() -> str:
    """The version in the add-on's manifest, which lies in an installed add-on or beside the package of a checkout."""
    for folder in (PACKAGE, PACKAGE.parent):
        with contextlib.suppress(OSError, ValueError, KeyError):
            return str(tomllib.loads((folder / MANIFEST).read_text(encoding="utf-8"))["version"])
    return "of an unknown version"
