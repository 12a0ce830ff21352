# SPDX-License-Identifier: GPL-3.0-or-later
"""Installing the trainer's Python into a folder of the add-on's own.

Nothing blocks: Installation.begin(), then poll() from a timer. The environment is built in a folder of the
installation's own and moved to its name when it has been checked, so that an installed runtime is a whole one. All
that an installation writes lies in that folder, pip's own temporary files too, so that what a crash leaves can be
found and removed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from ..core import isolation
from ..core.progress_lines import last_told
from . import deletion, packages, pythons
from .deletion import UNFINISHED_PREFIX
from .folder_lock import BUSY, FolderLock
from .probe import Probe
from .progress import DISK_FULL, Progress, State, error_words

NEEDED_BYTES = 2_500_000_000
FULL_BYTES = 64_000_000  # with less than this left, whatever failed is put down to the disk
LOG_NAME = "install.log"
WATCHDOG = Path(__file__).with_name("watchdog.py")
KILL_SECONDS = 5.0


def runtime_folder(home: Path) -> Path:
    """Where the runtime of this version of the add-on lives; other pins, another folder."""
    pins = packages.fingerprint(packages.lock_file("torch"), packages.lock_file("trainer"))[:8]
    version = ".".join(map(str, packages.PYTHON_VERSION))
    return home / f"python-{version}-{pins}"


def installed(home: Path) -> str:
    """The interpreter of the installed runtime, sound or not; "" when none was installed."""
    folder = runtime_folder(home)
    return str(packages.environment_python(folder)) if folder.is_dir() else ""


class Installation:
    """An installation at work."""

    def __init__(self, home: Path, python: str) -> None:
        self.home = home
        self.folder = home / f"{UNFINISHED_PREFIX}{os.getpid()}-{time.time_ns()}"
        self.log_file = self.folder / LOG_NAME
        self._environment = self.folder / "environment"
        self._temporary = self.folder / "tmp"
        own = str(packages.environment_python(self._environment))
        self._steps = [*packages.steps(self._environment, python, compile_now=False), packages.compile_step(own)]
        self._weights = [step.weight for step in self._steps] + [1.0]  # the check is the last
        self._done = 0
        self._lock: FolderLock | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._probe: Probe | None = None
        self._log_start = 0
        self._remark = ""
        self._least_free = NEEDED_BYTES
        self._result: Progress | None = None

    @classmethod
    def begin(cls, home: str | Path, python: str = "") -> Installation:
        """Start an installation below home from a Python 3.11, which is looked for when none is given.

        A failure shows in poll(). The caller has asked the user and seen that Blender may go online.
        """
        home = Path(home)
        base = python or pythons.find_python(packages.PYTHON_VERSION, also=(deletion.own_python(),))
        installation = cls(home, base)
        try:
            lacking = installation._prepare(base)
        except OSError as error:
            lacking = error_words(error, home)
        return installation._end("failed", lacking) if lacking else installation

    def _prepare(self, python: str) -> str:
        """Take the folder to work in; returns what is lacking, in a sentence. Raises OSError."""
        self.home.mkdir(parents=True, exist_ok=True)
        self._lock = FolderLock.acquire(self.home)
        if self._lock is None:
            return BUSY
        if lacking := packages.lacks_lock(packages.lock_file("torch"), packages.lock_file("trainer")):
            return lacking
        if not python:
            return pythons.lack_words(packages.PYTHON_VERSION)
        free = shutil.disk_usage(self.home).free
        if free < NEEDED_BYTES:
            needed = f"The trainer's Python needs {NEEDED_BYTES / 1e9:.1f} GB"
            return f"{needed} and {self.home} has {free / 1e9:.1f} GB left; free some and try again."
        self._temporary.mkdir(parents=True)
        self.log_file.write_bytes(b"")
        return ""

    def poll(self) -> Progress:
        """Go on as far as possible without waiting, and say how far it is."""
        if self._result is None:
            try:
                self._note_free()
                self._advance()
            except OSError as error:
                self._end("failed", self._gone_words() or error_words(error, self.home))
        return self._result or Progress("running", self._fraction(), self._words())

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
        if self._done == len(self._steps):
            self._advance_probe()
        elif self._process is None:
            self._start_step()
        elif (code := self._process.poll()) is not None:
            _close_input(self._process)
            self._process = None
            self._end_step(code)

    def _start_step(self) -> None:
        self._log_start = self.log_file.stat().st_size
        step = self._steps[self._done]
        command = step.command
        temporary = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(self._temporary))
        with open(self.log_file, "ab") as log:
            self._process = subprocess.Popen(
                isolation.python_command(command[0], str(WATCHDOG), *command),
                stdin=subprocess.PIPE,  # whose end tells that Blender's has come
                stdout=log,
                stderr=subprocess.STDOUT,
                env=isolation.clean_environment() | dict(step.variables) | temporary,
                cwd=isolation.safe_folder(command[0]),
                # A session of its own, so that cancelling ends pip's children too.
                start_new_session=os.name != "nt",
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )

    def _end_step(self, code: int) -> None:
        step = self._steps[self._done]
        if code == 0:
            self._done += 1
        elif step.fallback and packages.found_no_file(self._step_log()):
            self._steps[self._done] = step.fallback
        elif step.otherwise:
            self._remark, self._done = step.otherwise, self._done + 1
        else:
            self._end("failed", self._failure_words(packages.failure_words(self._step_log())))

    def _advance_probe(self) -> None:
        if self._probe is None:
            self._probe = Probe.begin(str(packages.environment_python(self._environment)), imports=True)
        result = self._probe.poll()
        if result and not result.ready:
            self._end("failed", self._failure_words(f"What was installed does not work: {result.sentence}"))
        elif result:
            self._keep()

    def _keep(self) -> None:
        """Give the finished environment its name; what had it, and what older versions left, goes. Raises OSError."""
        target = runtime_folder(self.home)
        aside = deletion.set_aside(target)  # a broken one being repaired
        try:
            os.replace(self._environment, target)
        except OSError:
            if aside:
                os.replace(aside, target)
            raise
        self._end("done", "The trainer's Python is installed.")
        older = [folder for folder in deletion.runtimes(self.home) if folder != target and not deletion.in_use(folder)]
        deletion.delete([*older, *([aside] if aside else [])])

    def _end(self, state: State, words: str) -> Installation:
        """Stop what runs, keep the log where the user can read it, and let go of the rest."""
        if self._probe is not None:
            self._probe.cancel()
        self._kill()
        with contextlib.suppress(OSError):
            os.replace(self.log_file, self.home / LOG_NAME)
        remark = self._remark if state == "done" else ""
        self._result = Progress(state, 1.0 if state == "done" else self._fraction(), words, remark)
        if self.folder.exists():
            deletion.delete([self.folder])
        if self._lock is not None:
            self._lock.release()
        return self

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            if os.name != "nt":
                os.killpg(process.pid, signal.SIGKILL)
            _close_input(process)  # on Windows the watchdog then ends all below it
            process.wait(KILL_SECONDS)

    def _note_free(self) -> None:
        with contextlib.suppress(OSError):
            self._least_free = min(self._least_free, shutil.disk_usage(self.home).free)

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

    def _fraction(self) -> float:
        told = last_told(self._step_log()) if self._process is not None else None
        inside = self._weights[self._done] * told.fraction if told is not None else 0.0
        return (sum(self._weights[: self._done]) + inside) / sum(self._weights)

    def _words(self) -> str:
        if self._done == len(self._steps):
            return "Checking what was installed"
        words = self._steps[self._done].words
        if self._process is None:
            return words
        log = self._step_log()
        told = last_told(log)
        return told.in_words() if told is not None else packages.with_pip_line(words, log)

    def _step_log(self) -> str:
        with contextlib.suppress(OSError), open(self.log_file, "rb") as log:
            log.seek(self._log_start)
            return log.read().decode("utf-8", "replace")
        return ""


def _close_input(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
