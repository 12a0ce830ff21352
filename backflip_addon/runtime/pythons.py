# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding the Pythons of this computer."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from ..core import background, isolation
from . import pins

PROBE_SECONDS = 15.0
_WINDOWS = os.name == "nt"
_PROBE = "import sys; print(sys.version_info[0], sys.version_info[1], sys.maxsize > 2**32)"
_ABLE = f"import venv, ensurepip; {_PROBE}"


@dataclasses.dataclass(frozen=True)
class Base:
    """An interpreter to make a runtime with."""

    python: str
    version: pins.Version


def find_base(python: str = "", own: str = "") -> Base | None:
    """A Python with which the trainer's packages can be run; None when there is none.

    python: the one to take and no other. own: the one that runs Blender. A Python 3.11 for which there is PyBullet goes
    first; then Blender's own, which everybody has and which is there for as long as Blender is; then any that is found.
    """
    if python:
        return next((Base(python, version) for version in pins.PYTHONS if answers_as(python, version)), None)
    running = sys.version_info[:2]
    fitting = [version for version in pins.PYTHONS if pins.has_pybullet(version)]
    for version in (*fitting, running, *sorted(pins.PYTHONS, reverse=True)):
        if version not in pins.PYTHONS:
            continue
        also = (own,) if own and version == running else ()
        if version == running and version not in fitting and also and answers_as(own, version):
            return Base(own, version)
        if found := find_python(version, also):
            return Base(found, version)
    return None


def find_python(version: pins.Version, also: tuple[str, ...] = (), with_venv: bool = False) -> str:
    """A 64-bit Python of that version, or "" when there is none.

    also: interpreters to try after all others. with_venv: only one that can make environments.
    """
    for candidate in _candidates(version, also):
        if answers_as(candidate, version, with_venv):
            return candidate
    return ""


def answers_as(python: str, version: pins.Version, with_venv: bool = False) -> bool:
    """Whether an interpreter runs, is 64-bit and of that version, and can make environments where that is asked."""
    answer = _answer(python, isolation.python_command(python, "-B", "-c", _ABLE if with_venv else _PROBE))
    return answer.split() == [str(version[0]), str(version[1]), "True"]


def _answer(program: str, command: list[str]) -> str:
    """What a program prints that ends well in time, "" of any other."""
    try:
        run = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=PROBE_SECONDS,
            env=isolation.clean_environment(),
            cwd=isolation.safe_folder(program),
            stdin=subprocess.DEVNULL,
            creationflags=background.HIDDEN,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return "" if run.returncode else run.stdout


def lack_words(version: pins.Version) -> str:
    """The sentence for a computer without a Python of that version that can make environments."""
    name = pins.name(version)
    return (
        f"No Python {name} was found that can make environments. Install it from python.org, or with your "
        f"system's packages, and try again. On Debian and Ubuntu they are python{name} and python{name}-venv."
    )


def lack_base_words() -> str:
    """The sentence for a Blender whose own Python is none that the trainer's packages are made for, or cannot run."""
    names = [pins.name(version) for version in pins.PYTHONS]
    known = f"{', '.join(names[:-1])} or {names[-1]}"
    return (
        f"Blender's own Python {pins.name(sys.version_info[:2])} cannot be used for the trainer, and no Python {known} "
        "was found; install one from python.org or with your system's packages and try again."
    )


def _candidates(version: pins.Version, also: tuple[str, ...]) -> Iterator[str]:
    """Interpreters worth asking, each once, the likeliest first."""
    seen: set[str] = set()
    for candidate in (*_on_path(version), *_in_known_folders(version), *also):
        if candidate and candidate not in seen:
            seen.add(candidate)
            if candidate in also or not _may_be_changed_by_all(candidate):
                yield candidate


def _may_be_changed_by_all(program: str) -> bool:
    """Whether any user of the computer could have put a program there."""
    return isolation.open_to_all(program) or isolation.open_to_all(os.path.dirname(program))


def _on_path(version: pins.Version) -> Iterator[str]:
    name = f"{version[0]}.{version[1]}"
    yield from _programs(f"python{name}")  # all of them: the first may be broken and the next sound
    if _WINDOWS:
        for launcher in _programs("py"):
            yield from _ask_launcher(launcher, name)
    for plain in ("python3", "python"):
        yield from _programs(plain)


def _programs(name: str) -> Iterator[str]:
    """Programs of that name on the path; not by which(), which on Windows looks into the working directory first."""
    file = f"{name}.exe" if _WINDOWS else name
    for folder in isolation.trusted_path(os.environ.get("PATH", os.defpath)):
        program = os.path.join(folder, file)
        if os.path.isfile(program) and os.access(program, os.X_OK):
            yield program


def _ask_launcher(launcher: str, name: str) -> Iterator[str]:
    """What Windows' py knows as that version."""
    answer = _answer(launcher, [launcher, f"-{name}", "-I", "-c", "import sys; print(sys.executable)"])
    if answer.strip():
        yield answer.strip()


def _in_known_folders(version: pins.Version) -> Iterator[str]:
    """Interpreters that need not be on the path; a Blender started from a dock has hardly any."""
    name = f"{version[0]}.{version[1]}"
    home = _home()
    # Version managers keep what they install in a hidden folder of the home, or where they are told
    root = os.environ.get("PYENV_ROOT", "")
    told = os.path.isabs(root)
    managed = Path(root).glob(f"versions/{name}.*") if told else home.glob(f".*/versions/{name}.*")
    versions = sorted(managed, key=_newest, reverse=True)
    versions += sorted((home / ".local/share/uv/python").glob(f"cpython-{name}.*"), reverse=True)
    versions.append(Path(f"/Library/Frameworks/Python.framework/Versions/{name}"))
    versions += [Path("/opt/homebrew"), Path("/usr/local"), Path("/usr")]
    for folder in versions:
        interpreter = folder / "bin" / f"python{name}"
        if interpreter.is_file():
            yield str(interpreter)
    if _WINDOWS:
        short = f"Python{version[0]}{version[1]}"
        for base in (os.environ.get("LOCALAPPDATA", ""), os.environ.get("PROGRAMFILES", "")):
            for folder in (Path(base, "Programs", "Python", short), Path(base, short)):
                if base and (folder / "python.exe").is_file():
                    yield str(folder / "python.exe")


def _home() -> Path:
    """The user's home; a folder that is not there where nobody knows it (a container without passwd and HOME)."""
    try:
        return Path.home()
    except RuntimeError:
        return Path(os.devnull)


def _newest(folder: Path) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", folder.name))
