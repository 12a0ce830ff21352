# SPDX-License-Identifier: GPL-3.0-or-later
"""How another Python is started: from a folder and in an environment where nobody else's file can be imported.

A plain `python -m …` puts its working directory first on sys.path, so that a file `json.py` beside a
.blend or in a job folder from elsewhere would run. Standard library alone.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

START_SCRIPT = Path(__file__).resolve().with_name("start_with_packages.py")
RUNTIME_NOTE = "python.json"  # beside the packages of an installed runtime; names its interpreter

# What a child is given of our own environment; the rest (PYTHON*, PIP_*, LD_PRELOAD, DYLD_* …) can redirect
# what it loads.
_KEPT = {
    *("HOME", "USER", "LOGNAME", "TMPDIR", "LANG", "LANGUAGE", "TZ", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"),
    *("USERPROFILE", "USERNAME", "HOMEDRIVE", "HOMEPATH", "APPDATA", "LOCALAPPDATA", "TEMP", "TMP", "SYSTEMROOT"),
    *("SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "PROGRAMDATA", "PROGRAMFILES", "PROGRAMFILES(X86)"),
    *("PROCESSOR_ARCHITECTURE", "NUMBER_OF_PROCESSORS"),
    # How the network is reached
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    # How numbers are worked out on a processor that the libraries would take for another
    *("OPENBLAS_NUM_THREADS", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "OMP_NUM_THREADS", "MKL_NUM_THREADS"),
}


@dataclasses.dataclass(frozen=True)
class Interpreter:
    """A Python, and the folder (or zip) with the packages that it is given; "" for one that has its own."""

    path: str
    packages: str = ""


def clean_environment(source: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables for another Python: known ones of source (this process's), and a path without relative parts."""
    source = os.environ if source is None else source
    kept = {k: v for k, v in source.items() if k.upper() in _KEPT or k.upper().startswith("LC_")}
    return {**kept, "PATH": os.pathsep.join(trusted_path(source.get("PATH", os.defpath)))}


def trusted_path(path: str) -> list[str]:
    """The folders of a search path that do not depend on where we are and that not everybody may write to."""
    return [folder for folder in path.split(os.pathsep) if os.path.isabs(folder) and not open_to_all(folder)]


def open_to_all(folder: str | os.PathLike[str]) -> bool:
    """Whether every user of the computer may put files into a folder (on Windows the system's own lists decide)."""
    if os.name == "nt":
        return False
    try:
        return bool(os.stat(folder).st_mode & 0o002)
    except (OSError, ValueError):
        return False


def python_command(python: str | Interpreter, *arguments: str) -> list[str]:
    """A command line for another Python that imports nothing but its own packages, or none but those it is given.

    arguments: -c and code, -m and a module, or a script's path; then the program's own.

    -I leaves out the working directory, PYTHON* variables and the user's own packages; what those variables
    said of text and buffers is said by options. -S leaves out the interpreter's packages too (in Blender's own Python,
    what Blender and other add-ons have put there), and with -B nothing is written beside them, see START_SCRIPT.
    """
    options = ("-X", "utf8", "-u")
    if isinstance(python, str) or not python.packages:
        return [python if isinstance(python, str) else python.path, "-I", *options, *arguments]
    command = [python.path, "-I", "-S", "-B", *options]
    if arguments[0] == "-c":
        first = f"import runpy; runpy.run_path({str(START_SCRIPT)!r})['use_packages']({python.packages!r})"
        return [*command, "-c", f"{first}\n{arguments[1]}", *arguments[2:]]
    return [*command, str(START_SCRIPT), python.packages, *arguments]


def safe_folder(python: str = "") -> str:
    """A working directory that is as trustworthy as the interpreter itself: its own folder, else the root."""
    folder = Path(python).parent
    if python and folder.is_absolute() and folder.is_dir() and not open_to_all(folder):
        return str(folder)
    return os.path.abspath(os.sep)
