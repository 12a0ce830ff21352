# SPDX-License-Identifier: GPL-3.0-or-later
"""The physics compiled for this computer before a run uses it, where that has not been done yet.

It is done when the trainer's Python is installed; again here where the add-on, a package or the processor has changed
since. In a process of its own, so that Stop works, and before there are workers, who would each do it.
"""

from __future__ import annotations

import time

from ...core.progress_lines import Told
from ...jobs.json_files import JobError
from ...jobs.messages import Progress
from .. import compile as compiler
from .. import compiled_cache
from ..workers import Pool, WorkerError
from .run_context import PROGRESS_SECONDS, RunContext

ONCE = f"{compiler.WORDS}: a minute or two, once"


def compile_first(run: RunContext) -> None:
    """Compile what a run needs and tell of it. Raises JobError with a sentence, Stopped and JobGone.

    The run's clock begins when it is done: its minutes are for learning.
    """
    if compiled_cache.is_compiled():
        return
    told = Told(0.0, ONCE)
    _tell(run, told)
    told_at = time.monotonic()

    def look() -> None:
        nonlocal told, told_at
        run.check()
        now = compiler.progress()
        if now.fraction > told.fraction and time.monotonic() - told_at >= PROGRESS_SECONDS:
            told, told_at = now, time.monotonic()
            _tell(run, now)

    try:
        with Pool(1, compiler.Compiler, meanwhile=look) as pool:
            pool.call("compile")
    except WorkerError as error:
        why = str(error).strip().splitlines()[-1].rstrip(".")
        raise JobError(f"The physics could not be compiled for this computer: {why}. {_remedy(why)}") from error
    run.restart_clock()
    run.tell(Progress(control_steps=run.control_steps))  # what was compiled is no share of the training


def _tell(run: RunContext, told: Told) -> None:
    run.tell(
        Progress(
            phase="compile",
            fraction=round(told.fraction, 4),
            seconds=round(run.seconds, 2),
            seconds_left=told.seconds_left,
            control_steps=run.control_steps,
            message=told.message,
        )
    )


def _remedy(why: str) -> str:
    if "No space left" in why or "quota" in why:
        return "Make room on the disk and resume the training."
    return "Repair the trainer's Python in the preferences, or choose another."
