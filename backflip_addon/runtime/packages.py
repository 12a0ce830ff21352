# SPDX-License-Identifier: GPL-3.0-or-later
"""What the trainer's Python needs, the commands that put it into an environment, and pip's errors in plain words.

build.py makes its environments with the same steps.
"""

from __future__ import annotations

import dataclasses
import os
import platform
import re
from collections.abc import Iterable
from pathlib import Path

PYTHON_VERSION = (3, 11)  # the newest for which every pinned package has wheels

# pyproject.toml's group "trainer", which is not part of an installed extension; a test holds them equal.
TRAINER = ("numpy==1.26.4", "torch==2.13.0", "pybullet==3.2.7")

# On Linux, PyPI's torch brings gigabytes of CUDA; the builds for the processor alone are here.
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"

_PIP = ("-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--progress-bar", "off", "--retries", "2")


@dataclasses.dataclass(frozen=True)
class Step:
    """One command of an installation.

    words: what it does, for the user. weight: its share of the whole, any unit.
    instead: the step to take when the command fails because pip knows no such build.
    """

    words: str
    command: tuple[str, ...]
    weight: float
    instead: Step | None = None


def environment_python(folder: Path) -> Path:
    """The interpreter of the virtual environment in folder."""
    return folder / "Scripts" / "python.exe" if os.name == "nt" else folder / "bin" / "python"


def steps(folder: Path, python: str, requirements: Iterable[str], compile_now: bool = True) -> list[Step]:
    """The steps that make a virtual environment in folder from the interpreter python.

    compile_now: False for an environment that is moved afterwards, whose compiled files would
    remember the old place.
    """
    pip = (str(environment_python(folder)), *_PIP, *(() if compile_now else ("--no-compile",)))
    wanted = list(requirements)
    torch = [requirement for requirement in wanted if package_name(requirement) == "torch"]
    others = [requirement for requirement in wanted if requirement not in torch]
    made = [Step("Making the environment", (python, "-m", "venv", "--clear", str(folder)), 1.0)]
    made += [torch_step(pip, requirement) for requirement in torch]
    if others:
        made.append(Step(f"Installing {_list_words(others)}", (*pip, *others), 3.0))
    return made


def torch_step(pip: tuple[str, ...], requirement: str, system: str = "") -> Step:
    """Install torch without CUDA: from what pip is set up to use if that has such a build, else from PyTorch.

    On Linux alone is the plain build one for CUDA, so there the build is asked for by its label. Asking
    without PyTorch's index first keeps a machine working whose pip is set up for a mirror and reaches
    nothing else; where pip knows PyPI alone the question costs a second and downloads nothing.
    """
    words = f"Installing {requirement.replace('==', ' ')}"
    if (system or platform.system()) != "Linux":
        return Step(words, (*pip, requirement), 6.0)
    labelled = f"{requirement}+cpu"
    instead = Step(words, (*pip, labelled, "--extra-index-url", TORCH_CPU_INDEX), 6.0)
    return Step(words, (*pip, labelled), 6.0, instead)


def lacks_build(log: str) -> bool:
    """Whether pip failed because it knows no build of what was asked."""
    return "No matching distribution found" in log


def with_pip_line(words: str, log: str) -> str:
    """What a step does, and what pip said last that is worth a user's eye."""
    for line in reversed(log[-4000:].splitlines()):
        worth = re.match(r"\s*(Collecting|Downloading|Processing|Installing|Building|Using cached) +(.+)", line)
        if worth:
            what = re.split(r"[\\/]", worth[2].replace("%2B", "+"))[-1]
            return f"{words}: {worth[1].lower()} {what[:60]}"
    return words


def package_name(requirement: str) -> str:
    """The package of "name==version"."""
    return requirement.partition("==")[0].strip().lower()


def same_version(installed: str, wanted: str) -> bool:
    """Whether an installed version is the wanted one; 2.13.0+cpu is 2.13.0."""
    return installed.partition("+")[0] == wanted.partition("+")[0]


# pip's complaints and what they mean; the first that is found counts. Without a network pip says as
# well that it found no distribution, so the network stands before that.
_FAILURES = (
    (
        r"No space left on device|\[Errno 28\]|not enough space|WinError 112",
        "The disk is full; free some gigabytes and try again.",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLError",
        "The package index's certificate was not accepted; check the computer's clock and any proxy, and try again.",
    ),
    (
        r"NewConnectionError|NameResolutionError|name resolution|getaddrinfo failed|Network is unreachable"
        r"|ProxyError|ConnectTimeout|ReadTimeout|Connection (refused|reset|aborted)|Could not fetch URL"
        r"|IncompleteRead|Max retries exceeded",
        "The package index cannot be reached; check the network connection and try again.",
    ),
    (
        r"ensurepip is not available|No module named '?ensurepip|No module named '?venv",
        "This Python cannot make environments; on Debian and Ubuntu install the package python3.11-venv.",
    ),
    (
        r"error: command .*(gcc|clang|cl\.exe|c\+\+).*failed|Microsoft Visual C\+\+ .* is required",
        "A package had to be compiled and that failed; install a C++ compiler, or use Python 3.11 on a 64-bit system.",
    ),
    (r"Permission denied|\[Errno 13\]|WinError 5\b", "The folder cannot be written; check its permissions."),
)


def failure_words(log: str) -> str:
    """One sentence for what went wrong in an installation's output."""
    for pattern, words in _FAILURES:
        if re.search(pattern, log):
            which = f"PyTorch's package index ({TORCH_CPU_INDEX})" if "/whl/cpu/torch/" in log else "The package index"
            return words.replace("The package index", which, 1)
    nothing = re.search(r"No matching distribution found for (\S+)", log)
    if nothing:
        index = TORCH_CPU_INDEX if nothing[1].startswith("torch") else "pip's package index"
        hint = f"use a 64-bit Python 3.11 and see that {index} can be reached"
        return f"No {nothing[1]} was found for this system; {hint}."
    errors = [line for line in log.splitlines() if re.match(r"\s*(ERROR|Error|error)\b", line)]
    written = [line for line in log.splitlines() if line.strip()]
    last = (errors or written or ["nothing was said about why"])[-1].strip()
    return f"The installation failed: {last}"


def _list_words(requirements: list[str]) -> str:
    return ", ".join(requirement.replace("==", " ") for requirement in requirements)
