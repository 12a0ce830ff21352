# SPDX-License-Identifier: GPL-3.0-or-later
"""Installing the trainer's Python into a folder of the add-on's own.

Nothing blocks: Installation.begin(), then poll() from a timer. The runtime is built in a folder of the
installation's own and moved to its name when it has been checked, so that an installed runtime is a whole one. All
that an installation writes lies in that folder, pip's own temporary files too, so that what a crash leaves can be
found and removed. The interpreter stays where it is, in Blender mostly, and nothing is written there.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from ..core import background, isolation
from ..core.files import extended, replace
from ..core.progress_lines import last_told
from . import deletion, folders, packages, pins, pythons
from .deletion import UNFINISHED_PREFIX
from .folder_lock import BUSY, FolderLock
from .packages import Step
from .probe import Probe
from .progress import DISK_FULL, Progress, State, error_words
from .pythons import Base

SPARE_BYTES = 300_000_000  # beside the packages: bytecode, the compiled physics, pip's own files
FULL_BYTES = 64_000_000  # with less than this left, whatever failed is put down to the disk
SURE_OF_A_STEP = 0.95  # other programs write too: until a step has ended it is not said to be done
LOG_NAME = "install.log"
WATCHDOG = Path(__file__).with_name("watchdog.py")
KILL_SECONDS = 5.0
_WINDOWS = os.name == "nt"


class Installation:
    """An installation at work."""

    def __init__(self, home: Path, base: Base | None, wheels: str = "") -> None:
        self.home = home
        self._wheels = wheels
        self.folder = home / f"{UNFINISHED_PREFIX}{os.getpid()}-{time.time_ns()}"
        self.log_file = self.folder / LOG_NAME
        self._base = base
        self._runtime = self.folder / "runtime"
        self._interpreter = folders.interpreter(self._runtime, base.python if base is not None else "")
        self._temporary = self.folder / "tmp"
        self._steps = self._planned(base) if base is not None else []
        self._weights = [step.weight for step in self._steps] + [1.0]  # the check is the last
        self._done = 0
        self._lock: FolderLock | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._probe: Probe | None = None
        self._log_start = 0
        self._remark = ""
        self._least_free = SPARE_BYTES
        self._free = self._step_free = 0
        self._inside = 0.0  # of the present step
        self._result: Progress | None = None

    @classmethod
    def begin(cls, home: str | Path, python: str = "", wheels: str = "") -> Installation:
        """Start an installation below home with an interpreter, which is looked for when none is given.

        wheels: a folder of the packages' files, for computers without a network; "" downloads them. A failure shows in
        poll(). The caller has asked the user and seen that Blender may go online.
        """
        home = Path(home)
        installation = cls(home, pythons.find_base(python, deletion.own_python()), wheels)
        try:
            lacking = installation._prepare()
        except OSError as error:
            lacking = error_words(error, home)
        return installation._end("failed", lacking) if lacking else installation

    def _planned(self, base: Base) -> list[Step]:
        into, pip = folders.packages_folder(self._runtime), self.folder / "pip.zip"
        steps = packages.runtime_steps(into, base.python, base.version, pip, self._wheels)
        return [*steps, packages.compile_step(self._interpreter)]

    def _prepare(self) -> str:
        """Take the folder to work in; returns what is lacking, in a sentence. Raises OSError."""
        self.home.mkdir(parents=True, exist_ok=True)
        self._lock = FolderLock.acquire(self.home)
        if self._lock is None:
            return BUSY
        base = self._base
        locks = [lock(base.version if base else pins.PYTHONS[0]) for lock in (pins.torch_lock, pins.trainer_lock)]
        if lacking := pins.lacks_lock(*locks):
            return lacking
        if base is None:
            return pythons.lack_base_words()
        size = pins.size(*locks)
        if lacking := self._lacks_room(size.download + size.disk + SPARE_BYTES) or self._lacks_letters(size.path):
            return lacking
        self._temporary.mkdir(parents=True)
        self._runtime.mkdir()
        folders.note_interpreter(self._runtime, base)
        self.log_file.write_bytes(b"")
        return ""

    def _lacks_room(self, needed: int) -> str:
        """The sentence for a disk on which there is no room for so many bytes, "" where there is. Raises OSError."""
        free = shutil.disk_usage(self.home).free
        if free >= needed:
            return ""
        words = f"The trainer's Python needs {needed / 1e9:.1f} GB"
        return f"{words} and {self.home} has {free / 1e9:.1f} GB left; free some and try again."

    def _lacks_letters(self, longest: int) -> str:
        """The sentence for a folder so deep that Windows would refuse the longest path in it, "" for any other."""
        letters = len(str(folders.packages_folder(folders.runtime_folder(self.home, pins.PYTHONS[0])))) + 1 + longest
        if not _WINDOWS or letters <= pins.MOST_PATH or _long_paths_allowed():
            return ""
        return (
            f"The folder {self.home} is too deep for Windows: paths of {letters} letters would be needed, and it takes "
            f"{pins.MOST_PATH}; have long paths enabled (LongPathsEnabled in the registry) and try again."
        )

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
        if self._done == len(self._steps):
            self._advance_probe()
        elif self._process is None:
            self._start_step()
        elif (code := self._process.poll()) is not None:
            _close_input(self._process)
            self._process = None
            self._end_step(code)

    def _start_step(self) -> None:
        self._log_start, self._step_free, self._inside = self.log_file.stat().st_size, self._free, 0.0
        step = self._steps[self._done]
        command = step.command
        temporary = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), extended(self._temporary))
        with open(self.log_file, "ab") as log:
            self._process = background.start(  # a group of its own, so that cancelling ends pip's children too
                isolation.python_command(command[0], "-B", str(WATCHDOG), *command),
                stdin=subprocess.PIPE,  # whose end tells that Blender's has come
                stdout=log,
                stderr=subprocess.STDOUT,
                env=isolation.clean_environment() | dict(step.variables) | temporary,
                cwd=isolation.safe_folder(command[0]),
            )

    def _end_step(self, code: int) -> None:
        step = self._steps[self._done]
        if code == 0:
            self._done += 1
        elif step.fallback and packages.found_no_file(self._step_log()):
            self._steps[self._done] = step.fallback
            if lacking := self._lacks_room(step.fallback.disk):
                self._end("failed", lacking)
        elif step.otherwise:
            self._remark, self._done = step.otherwise, self._done + 1
        else:
            self._end("failed", self._failure_words(packages.failure_words(self._step_log())))

    def _advance_probe(self) -> None:
        if self._probe is None:
            self._probe = Probe.begin(self._interpreter, imports=True)
        result = self._probe.poll()
        if result and not result.ready:
            self._end("failed", self._failure_words(f"What was installed does not work: {result.sentence}"))
        elif result:
            self._keep()

    def _keep(self) -> None:
        """Give the finished runtime its name; what had it, and what older versions left, goes. Raises OSError."""
        assert self._base is not None
        target = folders.runtime_folder(self.home, self._base.version)
        aside = deletion.set_aside(target)  # a broken one being repaired
        try:
            replace(self._runtime, target)
        except OSError:
            if aside:
                replace(aside, target)
            raise
        self._end("done", "The trainer's Python is installed.")
        kept = {folders.runtime_folder(self.home, version) for version in pins.PYTHONS}  # another Blender's
        older = [folder for folder in deletion.runtimes(self.home) if folder not in kept]
        deletion.delete([*deletion.set_aside_unused(older), *([aside] if aside else [])])

    def _end(self, state: State, words: str) -> Installation:
        """Stop what runs, keep the log where the user can read it, and let go of the rest."""
        if self._probe is not None:
            self._probe.cancel()
        self._kill()
        with contextlib.suppress(OSError):
            replace(self.log_file, self.home / LOG_NAME)
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
        """Which step is at work, and how many there are; the check is the last."""
        return self._done + 1, len(self._steps) + 1

    def _fraction(self) -> float:
        inside = self._weights[self._done] * self._step_fraction() if self._process is not None else 0.0
        return (sum(self._weights[: self._done]) + inside) / sum(self._weights)

    def _step_fraction(self) -> float:
        """How far the present step is: as it tells, else by what has come onto the disk; pip tells of whole files."""
        step = self._steps[self._done]
        if (told := last_told(self._step_log())) is not None:
            return told.fraction
        if step.disk:
            self._inside = max(self._inside, min((self._step_free - self._free) / step.disk, SURE_OF_A_STEP))
        return self._inside

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


def _long_paths_allowed() -> bool:
    """Whether this Windows takes paths of more than 260 letters from programs that can name them, as Python can."""
    try:
        import winreg

        key = winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"SYSTEM\CurrentControlSet\Control\FileSystem")  # type: ignore[attr-defined]  # Windows alone has it
        return bool(winreg.QueryValueEx(key, "LongPathsEnabled")[0])  # type: ignore[attr-defined]
    except (ImportError, OSError):
        return False
