# SPDX-License-Identifier: GPL-3.0-or-later
"""What the trainer's Python needs, the commands that put it into an environment, and pip's errors in plain words.

build.py makes its environments with the same steps.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import platform
import re
from pathlib import Path

from ..core import isolation
from .progress import DISK_FULL

PYTHON_VERSION = (3, 11)  # the newest for which every pinned package has wheels

# pyproject.toml's group "trainer", which is not part of an installed extension; a test holds them equal.
TRAINER = ("numpy==1.26.4", "torch==2.13.0", "pybullet==3.2.7", "numba==0.68.1")

LOCKS = Path(__file__).resolve().parent / "locks"  # every package by version and hashes; python3 build.py lock
SYSTEMS = ("linux_x86_64", "linux_aarch64", "macosx_arm64", "win_amd64")

# On Linux, PyPI's torch brings gigabytes of CUDA; the builds for the processor alone have this label, and are here.
TORCH_LABEL = "+cpu"
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"

COMPILE_SCRIPT = Path(__file__).resolve().parents[1] / "jobs" / "alias" / "backflip_compile.py"

_PIP = ("-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--progress-bar", "off", "--retries", "2")
# Nothing but what a lock names, and that only as the lock knows it, wherever it comes from
_LOCKED = (*_PIP, "--no-deps", "--require-hashes")


@dataclasses.dataclass(frozen=True)
class Step:
    """One command of an installation.

    words: what it does, for the user. weight: its share of the whole, any unit.
    fallback: the step to take when the command fails because pip finds no such file where it looks.
    variables: of the command's environment, beside the clean ones.
    otherwise: what happens instead where the step fails and nothing is lost by it, in a sentence; "": all has failed.
    """

    words: str
    command: tuple[str, ...]
    weight: float
    fallback: Step | None = None
    variables: tuple[tuple[str, str], ...] = ()
    otherwise: str = ""


def environment_python(folder: Path) -> Path:
    """The interpreter of the virtual environment in folder."""
    return folder / "Scripts" / "python.exe" if os.name == "nt" else folder / "bin" / "python"


def system_name() -> str:
    """This computer's name in SYSTEMS, or another where there is no lock for it."""
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    return {
        "Linux": f"linux_{machine}",
        "Darwin": f"macosx_{platform.machine()}",
        "Windows": f"win_{platform.machine().lower()}",
    }.get(platform.system(), f"{platform.system()}_{machine}".lower())


def lock_file(group: str, system: str = "", folder: Path = LOCKS) -> Path:
    """The lock of a group of packages for a system, this computer's when none is named."""
    return folder / f"{group}-{system or system_name()}.txt"


def lacks_lock(*locks: Path) -> str:
    """The sentence for a computer that no lock was made for, "" where there is one."""
    if all(lock.is_file() for lock in locks):
        return ""
    return f"Backflip has no list of packages for this system ({system_name()}); use one of {', '.join(SYSTEMS)}."


def fingerprint(*locks: Path) -> str:
    """A number that changes with what the locks hold; of missing ones, with their names."""
    content = [lock.read_bytes() if lock.is_file() else lock.name.encode() for lock in locks]
    return hashlib.sha256(b"\0".join(content)).hexdigest()


def steps(
    folder: Path, python: str, lock: Path | None = None, torch_lock: Path | None = None, compile_now: bool = True
) -> list[Step]:
    """The steps that make a virtual environment in folder from the interpreter python.

    lock, torch_lock: files of hashes as lock_file() names them, the trainer's when none are given.
    compile_now: False for an environment that is moved afterwards, whose compiled files would
    remember the old folder.
    """
    if lock is None:
        lock, torch_lock = lock_file("trainer"), lock_file("torch")
    own = str(environment_python(folder))
    compiling = () if compile_now else ("--no-compile",)
    made = [Step("Making the environment", isolated(python, "-m", "venv", "--clear", str(folder)), 1.0)]
    if torch_lock is not None:
        made.append(torch_step(own, torch_lock, compiling))
    made.append(locked_step(own, f"Installing {_list_words(lock)}", lock, compiling, 3.0))
    return made


def compile_step(python: str) -> Step:
    """Compile the physics with an environment's interpreter; what is compiled stays in the environment."""
    otherwise = "The physics could not be compiled yet; the first training does it, which takes a minute or two."
    command = isolated(python, str(COMPILE_SCRIPT))
    return Step("Compiling the physics for this computer", command, 3.0, otherwise=otherwise)


def isolated(python: str, *arguments: str) -> tuple[str, ...]:
    return tuple(isolation.python_command(python, *arguments))


def locked_step(python: str, words: str, lock: Path, options: tuple[str, ...], weight: float) -> Step:
    """Install what a lock names: from the package index, and where that has it not (a studio without a way out), from
    where this computer's pip is set up to look. The hashes hold for either."""
    named = (*_index_named(), *options, "-r", str(lock))
    fallback = Step(words, isolated(python, *_LOCKED, *named), weight)
    return Step(words, isolated(python, *_LOCKED, "--isolated", *options, "-r", str(lock)), weight, fallback)


def torch_step(python: str, lock: Path, options: tuple[str, ...] = ()) -> Step:
    """Install torch. The builds without CUDA that Linux takes are on PyTorch's own index alone, whose hashes the lock
    may not know: from there, and from nowhere else, it is held by its exact version."""
    step = locked_step(python, f"Installing torch {_pins(lock).get('torch', '')}", lock, options, 6.0)
    version = _pins(lock).get("torch", "")
    if not version.endswith(TORCH_LABEL) or step.fallback is None:
        return step
    index = ("--isolated", "--no-deps", "--index-url", TORCH_CPU_INDEX, *options, f"torch=={version}")
    # Without hashes not even the computer's own configuration may name other sources: on Windows any user can write it.
    last = Step(step.words, isolated(python, *_PIP, *index), step.weight, variables=(("PIP_CONFIG_FILE", os.devnull),))
    return dataclasses.replace(step, fallback=dataclasses.replace(step.fallback, fallback=last))


def _index_named() -> tuple[str, ...]:
    """The index that the user's variables name: a studio's mirror. What comes from it is held to the hashes."""
    index = os.environ.get("PIP_INDEX_URL", "").strip()
    return ("--index-url", index) if index else ()


def _pins(lock: Path) -> dict[str, str]:
    """Names and versions that a lock holds."""
    try:
        text = lock.read_text(encoding="utf-8")
    except OSError:
        return {}
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==([^\s\\]+)", text, re.M))


def found_no_file(log: str) -> bool:
    """Whether pip failed because it found no such file where it looked, or nobody who answers."""
    # With a constraint of the user's, pip calls a pinned version that is not there a conflict
    lacking = r"No matching distribution found|ResolutionImpossible|DO NOT MATCH THE HASHES"
    return bool(re.search(f"{lacking}|{_UNREACHED}", log))


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


_UNREACHED = (
    r"NewConnectionError|NameResolutionError|name resolution|getaddrinfo failed|Network is unreachable"
    r"|ProxyError|ConnectTimeout|ReadTimeout|Connection (?:refused|reset|aborted)|Could not fetch URL"
    r"|IncompleteRead|Max retries exceeded"
)

# pip's complaints and what they mean; the first that is found counts. Without a network pip says as
# well that it found no distribution, so the network stands before that.
_FAILURES = (
    (
        r"No space left on device|Disk quota exceeded|File too large|\[Errno (?:28|69|122|27)\]"
        r"|not enough space|WinError 112",
        DISK_FULL,
    ),
    (
        r"DO NOT MATCH THE HASHES|Hashes are required",
        "A downloaded package is not the one that Backflip knows (its checksum differs) and was not installed; try "
        "again, and see which package index this computer's pip is set up for.",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLError",
        "The package index's certificate was not accepted; check the computer's clock and any proxy, and try again.",
    ),
    (
        _UNREACHED,
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
    if not written:
        return "The installation ended without a word; see that there is room on the disk and in memory, and try again."
    last = (errors or written)[-1].strip()
    return f"The installation failed: {last}"


def _list_words(lock: Path) -> str:
    """The packages of a lock that a user may have heard of."""
    known = ("numpy", "pybullet", "numba", "bpy", "pytest", "ruff", "mypy")
    return ", ".join(f"{name} {version}" for name, version in _pins(lock).items() if name in known)
