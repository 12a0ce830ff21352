# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m backflip_addon.trainer.compile`: compile the physics for this computer, once, ahead of all training.

Tells how far it is in lines of JSON (core.progress_lines). Exit status 0: all is compiled; 1: an error, told in the
last line. Whoever comes second waits for the first: one process compiles at a time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..core.progress_lines import Told, from_fields
from ..jobs.json_files import load_object, write_json
from ..jobs.lock import FileLock
from . import compiled_cache
from .kernel_sources import kernel_count

WORDS = "Compiling the physics for this computer"
PROGRESS_NAME = "progress.json"
LOCK_NAME = "compile.lock"
WAIT_SECONDS = 0.2
NOTE_SECONDS = 0.5  # between two notes of progress
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

    def note(told: Told) -> None:
        write_json(_progress_file(), dataclasses.asdict(told))
        tell(told)

    note(Told(0.0, WORDS))
    from .warm_up import warm_up  # with numba, which takes a second

    with _counted(note):
        warm_up(lambda _what, _fraction: None)
    compiled_cache.note_compiled(time.monotonic() - begin)
    tell(Told(1.0, WORDS))


@contextlib.contextmanager
def _counted(note: Callable[[Told], None]) -> Iterator[None]:
    """Note how many kernels are compiled while they are: numba tells of each, also of those inside another."""
    from numba.core import event

    total = max(kernel_count(compiled_cache.PACKAGE), 1)
    begin = noted = time.monotonic()
    compiled: set[object] = set()

    class Counter(event.Listener):  # type: ignore[misc]  # what numba says of its own types is not read
        def on_start(self, event: Any) -> None:
            pass

        def on_end(self, event: Any) -> None:
            nonlocal noted
            function, now = event.data["dispatcher"].py_func, time.monotonic()
            if function.__module__.startswith(f"{__package__}."):  # numba has functions of its own to compile
                compiled.add((function.__module__, function.__qualname__))
            if now - noted >= NOTE_SECONDS:
                noted, fraction = now, min(len(compiled) / total, 1.0)
                left = (now - begin) * (1.0 - fraction) / fraction if fraction >= SURE_FRACTION else None
                note(Told(fraction, f"{WORDS} ({len(compiled)} of {total})", left))

    with event.install_listener("numba:compile", Counter()):
        yield


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
