# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding the Pythons of this computer."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from ..core import isolation

PROBE_SECONDS = 15.0
_PROBE = "import sys, venv, ensurepip; print(sys.version_info[0], sys.version_info[1], sys.maxsize > 2**32)"


def find_python(version: tuple[int, int], also: tuple[str, ...] = ()) -> str:
    """A 64-bit Python of that version that can make environments, or "" when there is none.

    also: interpreters to try after all others (Blender's own).
    """
    for candidate in _candidates(version, also):
        if answers_as(candidate, version):
            return candidate
    return ""


def answers_as(python: str, version: tuple[int, int]) -> bool:
    """Whether an interpreter runs, is 64-bit and of that version, and can make environments."""
    answer = _answer(python, isolation.python_command(python, "-c", _PROBE))
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
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return "" if run.returncode else run.stdout


def lack_words(version: tuple[int, int]) -> str:
    """The sentence for a computer without that Python."""
    name = f"{version[0]}.{version[1]}"
    return (
        f"No Python {name} was found that can make environments; install it from python.org or with your "
        f"system's packages (on Debian and Ubuntu python{name} and python{name}-venv) and try again."
    )


def _candidates(version: tuple[int, int], also: tuple[str, ...]) -> Iterator[str]:
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


def _on_path(version: tuple[int, int]) -> Iterator[str]:
    name = f"{version[0]}.{version[1]}"
    yield from _programs(f"python{name}")  # all of them: the first may be broken and the next sound
    if os.name == "nt":
        for launcher in _programs("py"):
            yield from _ask_launcher(launcher, name)
    for plain in ("python3", "python"):
        yield from _programs(plain)


def _programs(name: str) -> Iterator[str]:
    """Programs of that name on the path; not by which(), which on Windows looks into the working directory first."""
    file = f"{name}.exe" if os.name == "nt" else name
    for folder in isolation.trusted_path(os.environ.get("PATH", os.defpath)):
        program = os.path.join(folder, file)
        if os.path.isfile(program) and os.access(program, os.X_OK):
            yield program


def _ask_launcher(launcher: str, name: str) -> Iterator[str]:
    """What Windows' py knows as that version."""
    answer = _answer(launcher, [launcher, f"-{name}", "-I", "-c", "import sys; print(sys.executable)"])
    if answer.strip():
        yield answer.strip()


def _in_known_folders(version: tuple[int, int]) -> Iterator[str]:
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
    if os.name == "nt":
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
