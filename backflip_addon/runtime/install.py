# SPDX-License-Identifier: GPL-3.0-or-later
"""Installing the trainer's Python into a folder of the add-on's own.

Nothing blocks: Installation.begin(), then poll() from a timer. The runtime is built in a folder of the installation's
own and moved to its name when it has been checked, so that an installed runtime is a whole one. All that an
installation writes lies in that folder, pip's own temporary files too.

The physics needs all packages but the largest, torch; so it is compiled while that one is downloaded.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import time
from pathlib import Path
from typing import Self

from ..core.files import replace, too_deep
from . import deletion, folders, packages, pins, pythons
from .deletion import UNFINISHED_PREFIX
from .folders import BUSY, FolderLock
from .packages import Step
from .probe import Probe, as_installed
from .progress import DISK_FULL, Progress, State, error_words
from .pythons import Base
from .step_run import StepRun

SPARE_BYTES = 300_000_000  # beside the packages: bytecode, the compiled physics, pip's own files
FULL_BYTES = 64_000_000  # with less than this left, whatever failed is put down to the disk
LOG_NAME = "install.log"
PYBULLET_GONE = "PyBullet went with the old packages; add it again."
CHECK_WEIGHT = 1.0  # of the last check, as steps have one


class Installation:
    """An installation at work."""

    CHECKS = 1  # steps after the stages
    DONE = "The trainer's Python is installed."

    def __init__(self, home: Path, base: Base | None, wheels: str = "") -> None:
        self.home = home
        self._wheels = wheels
        self.folder = home / f"{UNFINISHED_PREFIX}{os.getpid()}-{time.time_ns()}"
        self.log_file = self.folder / LOG_NAME
        self._base = base
        self._runtime = self.folder / "runtime"
        self._interpreter = folders.interpreter(self._runtime, base.python if base is not None else "")
        self._temporary = self.folder / "tmp"
        self._stages = self._planned(base) if base is not None else []
        self._total = sum(step.weight for stage in self._stages for step in stage) + self.CHECKS * CHECK_WEIGHT
        self._done = 0  # stages
        self._done_weight = 0.0
        self._lock: FolderLock | None = None
        self._runs: list[StepRun] = []  # of the present stage
        self._begun = 0  # steps
        self._probe: Probe | None = None
        self._remark = ""
        self._least_free = SPARE_BYTES
        self._free = 0
        self._result: Progress | None = None

    @classmethod
    def begin(cls, home: str | Path, python: str = "", wheels: str = "") -> Installation:
        """Start an installation below home with an interpreter, which is looked for when none is given.

        wheels: a folder of the packages' files, for computers without a network; "" downloads them. A failure shows in
        poll(). The caller has asked the user and seen that Blender may go online.
        """
        return cls(Path(home), pythons.find_base(python, deletion.own_python()), wheels)._started()

    def _started(self) -> Self:
        try:
            lacking = self._prepare()
        except OSError as error:
            lacking = error_words(error, self.home)
        if lacking:
            self._end("failed", lacking)
        return self

    def _planned(self, base: Base) -> list[tuple[Step, ...]]:
        """The stages, one after the other; a stage's steps run side by side."""
        into, pip = folders.packages_folder(self._runtime), self.folder / "pip.zip"
        steps = packages.runtime_steps(into, base.python, base.version, pip, self._wheels)
        *first, torch = steps
        return [*((step,) for step in first), (torch, packages.compile_step(self._interpreter))]

    def _prepare(self) -> str:
        """Take the folder to work in; returns what is lacking, in a sentence. Raises OSError."""
        self.home.mkdir(parents=True, exist_ok=True)
        self._lock = FolderLock.acquire(self.home)
        if self._lock is None:
            return BUSY
        if lacking := self._lacks_base():
            return lacking
        size = self._size()
        if lacking := self._lacks_room(size.download + size.disk + SPARE_BYTES) or self._lacks_letters(size.path):
            return lacking
        self._temporary.mkdir(parents=True)
        self._begin_folder()
        self.log_file.write_bytes(b"")
        return ""

    def _lacks_base(self) -> str:
        """The sentence for a computer on which there is nothing to build on, "" where there is."""
        version = self._base.version if self._base else pins.PYTHONS[0]
        if lacking := pins.lacks_lock(pins.torch_lock(), pins.trainer_lock(version)):
            return lacking
        return "" if self._base is not None else pythons.lack_base_words()

    def _size(self) -> pins.Size:
        """How large what is installed is."""
        assert self._base is not None
        return pins.runtime_size(self._base.version)

    def _begin_folder(self) -> None:
        """What is there before the first step. Raises OSError."""
        assert self._base is not None
        self._runtime.mkdir()
        folders.note_interpreter(self._runtime, self._base)

    def _lacks_room(self, needed: int) -> str:
        """The sentence for a disk on which there is no room for so many bytes, "" where there is. Raises OSError."""
        free = shutil.disk_usage(self.home).free
        if free >= needed:
            return ""
        words = f"The trainer's Python needs {needed / 1e9:.1f} GB"
        return f"{words} and {self.home} has {free / 1e9:.1f} GB left; free some and try again."

    def _lacks_letters(self, longest: int) -> str:
        """The sentence for a folder so deep that Windows would refuse the longest path in it, "" for any other."""
        deepest = folders.packages_folder(folders.runtime_folder(self.home, pins.PYTHONS[0]))
        return too_deep(self.home, len(str(deepest)) - len(str(self.home)) + longest)

    def poll(self) -> Progress:
        """Go on as far as possible without waiting, and say how far it is."""
        if self._result is None:
            try:
                self._note_free()
                self._advance()
            except OSError as error:
                self._end("failed", self._gone_words() or error_words(error, self.home))
        return self._result or Progress("running", self._fraction(), self._words(), step=self._place())

    def cancel(self) -> None:
        """End the installation and remove what it made."""
        if self._result is None:
            self._end("cancelled", "The installation was cancelled.")

    def wait(self) -> Progress:
        """Wait for the end."""
        while (progress := self.poll()).state == "running":
            time.sleep(0.1)
        return progress

    def _advance(self) -> None:
        if self._done == len(self._stages):
            self._finish()
        elif not self._runs:
            for step in self._stages[self._done]:
                self._runs.append(self._begin(step))
        else:
            for run in list(self._runs):
                if self._result is None and (code := run.poll()) is not None:
                    self._end_step(run, code)
            if not self._runs and self._result is None:
                self._done += 1

    def _begin(self, step: Step) -> StepRun:
        self._begun += 1
        return StepRun(step, self.folder / f"step-{self._begun}.log", self._temporary, self._free)

    def _end_step(self, run: StepRun, code: int) -> None:
        step, place = run.step, self._runs.index(run)
        del self._runs[place]
        self._note_log(run)
        if code and step.fallback and packages.found_no_file(run.log()):
            if lacking := self._lacks_room(step.fallback.disk):
                self._end("failed", lacking)
            else:
                fallback = dataclasses.replace(step.fallback, weight=step.weight)
                self._runs.insert(place, self._begin(fallback))
        elif code and not step.otherwise:
            self._end("failed", self._failure_words(packages.failure_words(run.log())))
        else:
            self._done_weight += step.weight
            self._remark = step.otherwise if code else self._remark

    def _note_log(self, run: StepRun) -> None:
        """Add what a step wrote to what the user can read."""
        with open(self.log_file, "a", encoding="utf-8") as log:
            log.write(run.log())

    def _finish(self) -> None:
        """Check what was installed, and keep it. Raises OSError."""
        if self._probe is None:
            self._probe = Probe.begin(self._interpreter, imports=True)
        result = self._probe.poll()
        result = as_installed(result) if result else None
        if result and not result.ready:
            self._end("failed", self._failure_words(f"What was installed does not work: {result.sentence}"))
        elif result:
            self._keep()

    def _keep(self) -> None:
        """Give the finished runtime its name; what had it, and what older versions left, goes. Raises OSError."""
        assert self._base is not None
        target = folders.runtime_folder(self.home, self._base.version)
        if folders.conda_folder(target).is_dir():
            self._remark = PYBULLET_GONE
        aside = self._put(self._runtime, target)  # a broken one being repaired
        self._end("done", self.DONE)
        kept = {folders.runtime_folder(self.home, version) for version in pins.PYTHONS}  # another Blender's
        older = [folder for folder in deletion.runtimes(self.home) if folder not in kept]
        deletion.delete([*deletion.set_aside_unused(older), *([aside] if aside else [])])

    def _put(self, made: Path, target: Path) -> Path | None:
        """Give what was made its name; returns where that is now which had the name before. Raises OSError."""
        aside = deletion.set_aside(target)
        try:
            replace(made, target)
        except OSError:
            if aside:
                replace(aside, target)
            raise
        return aside

    def _end(self, state: State, words: str) -> None:
        """Stop what runs, keep the log where the user can read it, and let go of the rest."""
        if self._probe is not None:
            self._probe.cancel()
        runs, self._runs = self._runs, []
        for run in runs:
            run.kill()
        with contextlib.suppress(OSError):
            for run in runs:
                self._note_log(run)
        with contextlib.suppress(OSError):
            replace(self.log_file, self.home / LOG_NAME)
        remark = self._remark if state == "done" else ""
        self._result = Progress(state, 1.0 if state == "done" else self._fraction(), words, remark)
        if self.folder.exists():
            deletion.delete([self.folder])
        if self._lock is not None:
            self._lock.release()

    def _note_free(self) -> None:
        with contextlib.suppress(OSError):
            self._free = shutil.disk_usage(self.home).free
            self._least_free = min(self._least_free, self._free)

    def _failure_words(self, words: str) -> str:
        """words, or what is behind them: pip on a full disk may fail to say so, and may have tidied up since."""
        if gone := self._gone_words():
            return gone
        self._note_free()
        return DISK_FULL if self._least_free < FULL_BYTES or self._is_full() else words

    def _is_full(self) -> bool:
        """Whether nothing more can be written: a share can be used up on a disk that has room."""
        try:
            trial = self._temporary / "trial"
            trial.write_bytes(bytes(1_000_000))
            trial.unlink()
        except OSError as error:
            return error_words(error, self.home) == DISK_FULL
        return False

    def _gone_words(self) -> str:
        if self.folder.is_dir():
            return ""
        return f"{self.folder} was moved or removed while the installation was at work; press Install again."

    def _place(self) -> tuple[int, int]:
        """Which stage is at work, and how many there are; a check is the last."""
        return self._done + 1, len(self._stages) + self.CHECKS

    def _fraction(self) -> float:
        inside = sum(run.step.weight * run.fraction(self._free) for run in self._runs)
        return (self._done_weight + inside) / max(self._total, CHECK_WEIGHT)

    def _words(self) -> str:
        if self._done == len(self._stages):
            return "Checking what was installed"
        if not self._runs:
            return self._stages[self._done][0].words
        *others, last = self._runs  # with all that each has to say a line would be too long
        return ". ".join([*(run.step.words for run in others), last.words()])
