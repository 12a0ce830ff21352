# SPDX-License-Identifier: GPL-3.0-or-later
"""Small commands in pip's place, and what tests of installations and removals look at."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from backflip_addon.runtime import deletion, folder_lock, install

MAKE = """
import pathlib, sys
python = pathlib.Path(sys.argv[1])
python.parent.mkdir(parents=True)
python.write_text("#!/bin/sh\\necho 'backflip-check:%s'\\n" % sys.argv[2])
python.chmod(0o755)
"""
WHOLE = (
    '{"version": [3, 11, 9], "bits": 64, "broken": {},'
    ' "found": {"numpy": "1", "torch": "2", "pybullet": "3", "numba": "4"}}'
)
PARTIAL = WHOLE.replace('"torch": "2"', '"torch": ""')


def script(text: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-c", text, *arguments)


def leftovers(home: Path) -> list[str]:
    """What is in a runtime's folder beside the log and the lock, when all that was to go has gone."""
    deletion.wait()
    return sorted(path.name for path in home.iterdir() if path.name not in (install.LOG_NAME, folder_lock.LOCK_NAME))


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
