# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m backflip_addon.trainer.compile`: compile the physics for this computer, once, ahead of all training.

Tells how far it is in lines of JSON (core.progress_lines). Exit status 0: all is compiled; 1: an error, told in the
last line. Whoever comes second waits for the first: one process compiles at a time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from ..core.progress_lines import Told, from_fields
from ..jobs.json_files import load_object, write_json
from ..jobs.lock import FileLock
from . import compiled_cache

WORDS = "Compiling the physics for this computer"
PROGRESS_NAME = "progress.json"
LOCK_NAME = "compile.lock"
WAIT_SECONDS = 0.2
SURE_FRACTION = 0.2  # of the work, after which the time left is worth telling


def compile_physics(tell: Callable[[Told], None]) -> None:
    """Compile what is not compiled yet; returns when all is. Raises OSError, and whatever numba raises."""
    if compiled_cache.is_compiled():
        return
    lock = FileLock(compiled_cache.use() / LOCK_NAME)
    while not lock.acquire():
        tell(progress())
        time.sleep(WAIT_SECONDS)
    try:
        if not compiled_cache.is_compiled():
            _compile(tell)
    finally:
        lock.release()


def progress() -> Told:
    """How far the compilation is, whichever process compiles."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return from_fields(load_object(_progress_file()))
    return Told(0.0, WORDS)


def _compile(tell: Callable[[Told], None]) -> None:
    begin = time.monotonic()

    def note(what: str, fraction: float) -> None:
        """what: is compiled next, in a word or two; fraction: of all that is compiled."""
        seconds = time.monotonic() - begin
        left = seconds * (1.0 - fraction) / fraction if fraction >= SURE_FRACTION else None
        told = Told(min(max(fraction, 0.0), 1.0), f"{WORDS} ({what})" if what else WORDS, left)
        write_json(_progress_file(), dataclasses.asdict(told))
        tell(told)

    note("", 0.0)
    warm_up = importlib.import_module(".physics.compiled.warm_up", __package__)  # with numba, which takes a second
    warm_up.warm_up(note)
    compiled_cache.note_compiled(time.monotonic() - begin)
    tell(Told(1.0, WORDS))


def _progress_file() -> Path:
    return compiled_cache.use() / PROGRESS_NAME


class Compiler:
    """compile_physics() in a process of its own (workers.Pool), so that a run can be stopped meanwhile."""

    def compile(self) -> None:
        compile_physics(lambda _told: None)


def main() -> int:
    """Compile, and tell of it on standard output; returns the exit status."""
    try:
        compile_physics(lambda told: print(told.to_line(), flush=True))
    except Exception as error:  # of any kind: numba's, LLVM's, the disk's
        traceback.print_exc()
        words = str(error).strip().splitlines() or [""]
        print(f"ERROR: {type(error).__name__}: {words[0]}", flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
