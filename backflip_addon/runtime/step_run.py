# SPDX-License-Identifier: GPL-3.0-or-later
"""A step of an installation at work: a process of its own, what it writes, and how far it is."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

from ..core import background, isolation
from ..core.files import extended
from ..core.progress_lines import last_told
from . import packages
from .packages import Step

SURE_OF_A_STEP = 0.95  # other programs write too: until a step has ended it is not said to be done
WATCHDOG = Path(__file__).with_name("watchdog.py")
KILL_SECONDS = 5.0
_WINDOWS = os.name == "nt"


class StepRun:
    """A step at work, from when it is made. Raises OSError where it cannot be started.

    log_file: of its own; it need not be there. temporary: the folder for what it leaves. free: bytes free on the disk.
    """

    def __init__(self, step: Step, log_file: Path, temporary: Path, free: int) -> None:
        self.step = step
        self._log_file = log_file
        self._free = free
        self._inside = 0.0
        with open(log_file, "ab") as log:
            self.process = background.start(  # a group of its own, so that cancelling ends pip's children too
                isolation.python_command(step.command[0], "-B", str(WATCHDOG), *step.command),
                stdin=subprocess.PIPE,  # whose end tells that Blender's has come
                stdout=log,
                stderr=subprocess.STDOUT,
                env=isolation.clean_environment()
                | dict(step.variables)
                | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), extended(temporary)),
                cwd=isolation.safe_folder(step.command[0]),
            )

    def poll(self) -> int | None:
        """Its exit status, None while it is at work."""
        code = self.process.poll()
        if code is not None:
            self._close_input()
        return code

    def kill(self) -> None:
        """End it, with all that it has started."""
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            if not _WINDOWS:
                os.killpg(self.process.pid, signal.SIGKILL)
            self._close_input()  # on Windows the watchdog then ends all below it
            self.process.wait(KILL_SECONDS)

    def log(self) -> str:
        """What it has written so far."""
        with contextlib.suppress(OSError):
            return self._log_file.read_text(encoding="utf-8", errors="replace")
        return ""

    def words(self) -> str:
        """What it does, and how far it is, for the user."""
        log = self.log()
        told = last_told(log)
        return told.in_words() if told is not None else packages.with_pip_line(self.step.words, log)

    def fraction(self, free: int) -> float:
        """How far it is: as it tells, else by what has come onto the disk (free: bytes left there), since pip tells of
        whole files."""
        if (told := last_told(self.log())) is not None:
            return told.fraction
        if self.step.disk:
            self._inside = max(self._inside, min((self._free - free) / self.step.disk, SURE_OF_A_STEP))
        return self._inside

    def _close_input(self) -> None:
        if self.process.stdin is not None:
            self.process.stdin.close()
