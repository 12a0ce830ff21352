# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Python trains: the preference, BACKFLIP_PYTHON, the installed runtime, or the one we run in."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from ..core.isolation import Interpreter
from ..core.start_with_packages import CONDA_NAME
from . import deletion, folders, pins
from .folders import Installed
from .probe import Probe, ProbeResult, as_installed, interpreter

VARIABLE = "BACKFLIP_PYTHON"
State = Literal["ready", "missing", "outdated", "broken"]


@dataclasses.dataclass(frozen=True)
class Runtime:
    """A Python for the trainer.

    python: the interpreter, "" when there is none to speak of. missing: what it lacks, () when it can
    train. sentence: for the user. source: "preference", "variable", "installed", "own" or "". packages: the
    folder that holds its packages, "" where it has its own. older: there is none but what an earlier version installed.
    pybullet: whether it has PyBullet, without which it can do too.
    """

    python: str
    missing: tuple[str, ...]
    sentence: str
    source: str = ""
    packages: str = ""
    older: bool = False
    pybullet: bool = False

    @property
    def state(self) -> State:
        """What is to be said of it in a word."""
        if self.ready:
            return "ready"
        return "outdated" if self.older else "broken" if self.source else "missing"

    @property
    def interpreter(self) -> Interpreter:
        """What a trainer is started with."""
        return Interpreter(self.python, self.packages)

    @property
    def ready(self) -> bool:
        return bool(self.python) and not self.missing

    @property
    def addable(self) -> bool:
        """Whether PyBullet can be added to it: only to what we have installed."""
        return self.ready and self.source == "installed" and not self.pybullet


class RuntimeSearch:
    """Finding the Python to train with, without waiting: begin one, then poll() it from a timer.

    preference: the user's choice, "" for none; what the user names is taken or found wanting, nothing
    else is taken in silence. home: the folder in which the add-on installs its own runtime.
    """

    def __init__(self, preference: str = "", home: str | Path | None = None) -> None:
        self._result: Runtime | None = None
        self._probe: Probe | None = None
        asked, self._interpret = self._choose(preference.strip(), home)
        if self._result is None:
            self._key = (asked, _changed(asked))
            if self._key in _known:
                self._result = self._interpret(_known[self._key])
            else:
                self._probe = Probe.begin(asked)

    def poll(self) -> Runtime | None:
        """What was found, None while it is not known yet."""
        if self._result is None and self._probe is not None and (result := self._probe.poll()):
            if result.version:  # not when nothing was learned: the computer was busy, or the disk full
                _known[self._key] = result
            self._result = self._interpret(result)
        return self._result

    def cancel(self) -> None:
        """End what was started for it."""
        if self._probe is not None:
            self._probe.cancel()

    def _choose(self, preference: str, home: str | Path | None) -> tuple[Interpreter, Callable[[ProbeResult], Runtime]]:
        """The Python to ask, and what its answer means; none where the result is known without asking."""
        variable = os.environ.get(VARIABLE, "").strip()
        if preference or variable:
            source = "preference" if preference else "variable"
            python, lacking = _named(preference or variable, "" if preference else f" ({VARIABLE})")
            if lacking:
                self._result = Runtime(python, ("Python",), lacking, source)
            return Interpreter(python), lambda result: _chosen(result, source)
        if home is not None and (installed := folders.installed(Path(home))) is not None:
            if not installed.interpreter.path:
                self._result = _gone(installed)
            return installed.interpreter, lambda result: _installed(result, installed)
        own = deletion.own_python()
        if not own:
            self._result = _none(home)
        return Interpreter(own), lambda result: _from(result, "own") if result.ready else _none(home)


def find_runtime(preference: str = "", home: str | Path | None = None) -> Runtime:
    """The Python to train with, as RuntimeSearch finds it; waits for a Python that has not been asked yet."""
    search = RuntimeSearch(preference, home)
    while (runtime := search.poll()) is None:
        time.sleep(0.01)
    return runtime


# What was learned of an interpreter and when its packages last changed
_known: dict[tuple[Interpreter, float], ProbeResult] = {}


def _changed(asked: Interpreter) -> float:
    """When the packages of an interpreter last changed, as far as one can see from outside."""
    root = Path(asked.path).parent.parent
    own = (*root.glob("lib/python3.*/site-packages"), root / "Lib" / "site-packages")
    times = [0.0]
    packages = Path(asked.packages)
    places = (packages, packages.with_name(CONDA_NAME)) if asked.packages else own
    for path in (Path(asked.path), *places):
        try:
            times.append(path.stat().st_mtime)
        except OSError:
            continue
    return max(times)


def _named(path: str, hint: str) -> tuple[str, str]:
    """The interpreter that a user's path means, and what is wrong with it in a sentence, "" for nothing."""
    try:
        whole = os.path.isabs(os.path.expanduser(path))
    except ValueError:
        whole = False
    if not whole:  # else it would be looked for in the folder that we happen to be in
        return "", f"The Python to train with must be named by its whole path, and {path!r}{hint} is none."
    python = interpreter(path)
    if not os.path.isfile(python):
        return python, f"There is no Python at {python}{hint}; choose another."
    return python, ""


def _installed(result: ProbeResult, installed: Installed) -> Runtime:
    if result.version and result.version[:2] != installed.version:
        return _gone(installed)
    result = as_installed(result)
    runtime = _from(result, "installed")
    if not result.ready:
        words = f"The installed runtime is damaged; repair it in the preferences. {result.sentence}"
        runtime = dataclasses.replace(runtime, sentence=words)
    return dataclasses.replace(runtime, packages=installed.interpreter.packages)


def _gone(installed: Installed) -> Runtime:
    """Blender was moved, removed or replaced by one with another Python."""
    words = (
        f"The Python {pins.name(installed.version)} that the trainer's packages were installed for is gone "
        f"({installed.named or 'its name cannot be read'}); press Install again."
    )
    return Runtime("", ("Python",), words, "installed")


def _from(result: ProbeResult, source: str) -> Runtime:
    return Runtime(result.python, result.missing, result.sentence, source, pybullet=result.pybullet)


def _chosen(result: ProbeResult, source: str) -> Runtime:
    """The Python that the user named, and what to do where packages are missing from it: Install is not for it."""
    runtime = _from(result, source)
    if not result.version or not result.missing or result.missing[0].startswith("Python"):
        return runtime
    way = "clear Trainer's Python in the preferences" if source == "preference" else f"start Blender without {VARIABLE}"
    words = f"{result.sentence}\nInstall them there, or {way} and press Install."
    return dataclasses.replace(runtime, sentence=words)


def _none(home: str | Path | None) -> Runtime:
    missing = pins.package_names(pins.PYTHONS[0])
    if home is not None and deletion.runtimes(Path(home)):
        words = "What is installed belongs to another version of Backflip or of Python: press Install."
        return Runtime("", missing, words, older=True)
    return Runtime("", missing, "The trainer has no Python yet: press Install, or choose a Python of your own.")
