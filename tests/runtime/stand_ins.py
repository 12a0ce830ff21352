# SPDX-License-Identifier: GPL-3.0-or-later
"""Small commands in pip's place, and what tests of installations and removals look at."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from backflip_addon.runtime import deletion, folders, install, pins, pythons

VERSION = sys.version_info[:2]
NAMES = pins.package_names(VERSION)
# A folder with packages of those names, as pip leaves them: all that a probe looks at
MAKE = """
import json, pathlib, sys
folder = pathlib.Path(sys.argv[1])
for name in json.loads(sys.argv[2]):
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text("")
    facts = folder / f"{name}-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\\nName: {name}\\nVersion: 1.0\\n")
"""


def script(text: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-c", text, *arguments)


def make_packages(folder: Path, names: tuple[str, ...] = NAMES) -> tuple[str, ...]:
    """A command that makes them."""
    return script(MAKE, str(folder), json.dumps(names))


def runtime_folder(home: Path) -> Path:
    """Where a runtime of this Python is installed."""
    return folders.runtime_folder(home, VERSION)


def note_runtime(home: Path, python: str = sys.executable) -> Path:
    """An installed runtime without packages; returns its folder."""
    runtime = runtime_folder(home)
    folders.packages_folder(runtime).mkdir(parents=True)
    folders.note_interpreter(runtime, pythons.Base(python, VERSION))
    return runtime


def leftovers(home: Path) -> list[str]:
    """What is in a runtime's folder beside the log and the lock, when all that was to go has gone."""
    deletion.wait()
    return sorted(path.name for path in home.iterdir() if path.name not in (install.LOG_NAME, folders.LOCK_NAME))


def failing(errors: int) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errors, os.strerror(errors))

    return fail


def until(condition: Callable[[], object]) -> object:
    end = time.monotonic() + 120.0
    while not (result := condition()):
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)
    return result
