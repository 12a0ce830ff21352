# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Python trains: the preference, BACKFLIP_PYTHON, the installed runtime, or the one we run in."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from . import install, packages, removal
from .check import Findings, check, interpreter

VARIABLE = "BACKFLIP_PYTHON"


@dataclasses.dataclass(frozen=True)
class Runtime:
    """A Python for the trainer.

    python: the interpreter, "" when there is none to speak of. missing: what it lacks, () when it can
    train. sentence: for the user. source: "preference", "variable", "installed", "own" or "".
    """

    python: str
    missing: tuple[str, ...]
    sentence: str
    source: str = ""

    @property
    def ready(self) -> bool:
        return bool(self.python) and not self.missing


def find_runtime(preference: str = "", home: str | Path | None = None) -> Runtime:
    """The Python to train with.

    preference: the user's choice, "" for none; what the user names is taken or found wanting, nothing
    else is taken in silence. home: the folder in which the add-on installs its own runtime.
    """
    if preference.strip():
        return _named(preference.strip(), "preference", "")
    variable = os.environ.get(VARIABLE, "").strip()
    if variable:
        return _named(variable, "variable", f" ({VARIABLE})")
    if home is not None and (python := install.installed(Path(home))):
        return _installed(python)
    own = removal.own_python()
    if own:
        findings = check_once(own)
        if findings.ready:
            return _from(findings, "own")
    missing = tuple(packages.package_name(requirement) for requirement in packages.TRAINER)
    words = "The trainer has no Python yet: install the runtime in the preferences, or choose a Python that has one."
    return Runtime("", missing, words)


_known: dict[tuple[str, float], Findings] = {}


def check_once(python: str) -> Findings:
    """check(), remembered until packages come or go; not when nothing was learned."""
    key = (python, _changed(python))
    findings = _known.get(key) or check(python)
    if findings.version:
        _known[key] = findings
    return findings


def _changed(python: str) -> float:
    """When the packages of an interpreter last changed, as far as one can see from outside."""
    root = Path(python).parent.parent
    times = [0.0]
    for place in (Path(python), *root.glob("lib/python3.*/site-packages"), root / "Lib" / "site-packages"):
        try:
            times.append(place.stat().st_mtime)
        except OSError:
            continue
    return max(times)


def _named(path: str, source: str, hint: str) -> Runtime:
    python = interpreter(path)
    if not os.path.isfile(python):
        return Runtime(python, ("Python",), f"There is no Python at {python}{hint}; choose another.", source)
    return _from(check_once(python), source)


def _installed(python: str) -> Runtime:
    findings = check_once(python)
    if findings.ready:
        return _from(findings, "installed")
    words = f"The installed runtime is damaged; repair it in the preferences. {findings.sentence}"
    return Runtime(python, findings.missing, words, "installed")


def _from(findings: Findings, source: str) -> Runtime:
    return Runtime(findings.python, findings.missing, findings.sentence, source)
