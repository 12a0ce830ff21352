# SPDX-License-Identifier: GPL-3.0-or-later
"""Installing the trainer's Python into a folder of the add-on's own.

Nothing blocks: Installation.begin(), then poll() from a timer. The environment is built under a
temporary name and renamed when it has been checked, so that an installed runtime is a whole one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Literal

from ..core import isolation
from . import packages, pythons
from .check import Check

NEEDED_BYTES = 2_500_000_000
SOON = "unfinished-"  # how the folder of an installation at work begins
LOG_NAME = "install.log"

State = Literal["running", "done", "failed", "cancelled"]


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far an installation is. fraction: 0..1. message: one sentence or line for the user."""

    state: State
    fraction: float
    message: str


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
        self.folder = home / f"{SOON}{os.getpid()}-{time.time_ns()}"
        self.log_file = self.folder.with_suffix(".log")
        self._steps = packages.steps(self.folder, python, compile_now=False)
        self._weights = [step.weight for step in self._steps] + [1.0]  # the check is the last
        self._done = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._check: Check | None = None
        self._log_start = 0
        self._result: Progress | None = None

    @classmethod
    def begin(cls, home: str | Path, python: str = "") -> Installation:
        """Start an installation below home from a Python 3.11, which is looked for when none is given.

        A failure shows in poll(). The caller has asked the user and seen that Blender may go online.
        """
        home = Path(home)
        base = python or pythons.find_python(packages.PYTHON_VERSION, also=(_own_base(),))
        installation = cls(home, base)
        try:
            home.mkdir(parents=True, exist_ok=True)
            installation.log_file.write_bytes(b"")
            free = shutil.disk_usage(home).free
        except OSError as error:
            return installation._end("failed", f"{home} cannot be written: {error.strerror}.")
        if lacking := packages.lacks_lock(packages.lock_file("torch"), packages.lock_file("trainer")):
            return installation._end("failed", lacking)
        if not base:
            return installation._end("failed", pythons.lack_words(packages.PYTHON_VERSION))
        if free < NEEDED_BYTES:
            words = f"The trainer's Python needs {NEEDED_BYTES / 1e9:.1f} GB and {home} has {free / 1e9:.1f} GB left."
            return installation._end("failed", words)
        return installation

    def poll(self) -> Progress:
        """Go on as far as possible without waiting, and say how far it is."""
        if self._result is None:
            try:
                self._advance()
            except OSError as error:
                self._fail(f"The installation failed: {error.strerror or error}.")
        return self._result or Progress("running", self._fraction(), self._words())

    def cancel(self) -> None:
        """End the installation and remove what it made."""
        if self._result is None:
            if self._check:
                self._check.cancel()
            self._kill()
            self._end("cancelled", "The installation was cancelled.")
            shutil.rmtree(self.folder, ignore_errors=True)

    def wait(self) -> Progress:
        """Wait for the end."""
        while (progress := self.poll()).state == "running":
            time.sleep(0.1)
        return progress

    def _advance(self) -> None:
        if self._done == len(self._steps):
            self._advance_check()
        elif self._process is None:
            self._start_step()
        elif (code := self._process.poll()) is not None:
            self._process = None
            self._end_step(code)

    def _start_step(self) -> None:
        self._log_start = self.log_file.stat().st_size
        with open(self.log_file, "ab") as log:
            self._process = subprocess.Popen(
                self._steps[self._done].command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=isolation.clean_environment(),
                cwd=isolation.safe_folder(self._steps[self._done].command[0]),
                # A session of its own, so that cancelling ends pip's children too.
                start_new_session=os.name != "nt",
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )

    def _end_step(self, code: int) -> None:
        step = self._steps[self._done]
        if code == 0:
            self._done += 1
        elif step.instead and packages.lacks_build(self._step_log()):
            self._steps[self._done] = step.instead
        else:
            self._fail(packages.failure_words(self._step_log()))

    def _advance_check(self) -> None:
        if self._check is None:
            self._check = Check.begin(str(packages.environment_python(self.folder)), imports=True)
        findings = self._check.poll()
        if findings and not findings.ready:
            self._fail(f"What was installed does not work: {findings.sentence}")
        elif findings:
            self._keep()

    def _keep(self) -> None:
        """Give the finished environment its name. Raises OSError."""
        target = runtime_folder(self.home)
        if target.exists():  # a broken one being repaired, or another Blender was quicker
            shutil.rmtree(target, ignore_errors=True)
        os.replace(self.folder, target)
        self._end("done", "The trainer's Python is installed.")

    def _fail(self, words: str) -> None:
        self._end("failed", words)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self, state: State, words: str) -> Installation:
        with contextlib.suppress(OSError):  # where the user can read it
            os.replace(self.log_file, self.home / LOG_NAME)
        self._result = Progress(state, 1.0 if state == "done" else self._fraction(), words)
        return self

    def _kill(self) -> None:
        if self._process is None:
            return
        with contextlib.suppress(OSError):
            if os.name == "nt":
                pid = str(self._process.pid)
                subprocess.run(["taskkill", "/F", "/T", "/PID", pid], capture_output=True, check=False)
            else:
                import signal

                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _fraction(self) -> float:
        return sum(self._weights[: self._done]) / sum(self._weights)

    def _words(self) -> str:
        if self._done == len(self._steps):
            return "Checking what was installed"
        words = self._steps[self._done].words
        if self._process is None:
            return words
        return packages.with_pip_line(words, self._step_log())

    def _step_log(self) -> str:
        with contextlib.suppress(OSError), open(self.log_file, "rb") as log:
            log.seek(self._log_start)
            return log.read().decode("utf-8", "replace")
        return ""


def _own_base() -> str:
    """The interpreter below the one we run in: Blender's own Python can make environments as well."""
    name = Path(sys.executable or "").name.lower()
    return sys.executable if name.startswith("python") else ""
