# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands that install packages, and pip's errors in plain words.

build.py makes its environments with the same steps.
"""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path

from ..core import isolation
from ..core.files import extended
from ..core.isolation import Interpreter
from . import pins
from .progress import DISK_FULL

# On Linux, PyPI's torch brings gigabytes of CUDA; the builds for the processor alone have this label, and are here.
TORCH_LABEL = "+cpu"
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"

COMPILE_SCRIPT = Path(__file__).resolve().parents[1] / "jobs" / "alias" / "backflip_compile.py"
PIP_SCRIPT = Path(__file__).with_name("bring_pip.py")
PYBULLET_SCRIPT = Path(__file__).with_name("bring_pybullet.py")
CONDA_CHANNEL = "conda-forge"  # whose address the tool knows
# pip for a Python that brings none, in the version whose wheel this is; python3 build.py lock leaves it alone
PIP_WHEEL = "pip-26.3-py3-none-any.whl"
PIP_HASH = "f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13"

_PIP = ("-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--progress-bar", "off", "--retries", "2")
# Nothing but what a lock names, and that only as the lock knows it, wherever it comes from; nothing is built
_LOCKED = (*_PIP, "--no-deps", "--require-hashes", "--only-binary", ":all:")


@dataclasses.dataclass(frozen=True)
class Step:
    """One command of an installation.

    words: what it does, for the user. weight: its share of the whole, any unit.
    fallback: the step to take when the command fails because pip finds no such file where it looks.
    variables: of the command's environment, beside the clean ones.
    otherwise: what happens instead where the step fails and nothing is lost by it, in a sentence; "": all has failed.
    disk: bytes that it takes there while it is at work, downloads included; 0: few.
    """

    words: str
    command: tuple[str, ...]
    weight: float
    fallback: Step | None = None
    variables: tuple[tuple[str, str], ...] = ()
    otherwise: str = ""
    disk: int = 0


def environment_python(folder: Path) -> Path:
    """The interpreter of the virtual environment in folder."""
    return folder / "Scripts" / "python.exe" if os.name == "nt" else folder / "bin" / "python"


def runtime_steps(folder: Path, python: str, version: pins.Version, pip: Path, wheels: str = "") -> list[Step]:
    """The steps that put the trainer's packages into a folder, with an interpreter that may lack pip and venv.

    pip: the zip in which pip is brought. wheels: a folder of the packages' files, from which alone they then come, and
    nothing is downloaded. The last one is torch: what else there is can be used while it is at work.
    """
    runner, into = Interpreter(python, str(pip)), _into(folder)
    trainer = pins.trainer_lock(version)
    first = _pip_step(python, pip, wheels)
    if wheels:
        locks = (trainer, 3.0), (pins.torch_lock(), 6.0)
        return [first, *(_folder_step(runner, lock, into, weight, wheels) for lock, weight in locks)]
    return [
        first,
        locked_step(runner, f"Installing {_list_words(trainer)}", trainer, into, 3.0),
        torch_step(runner, pins.torch_lock(), into, pins.cuda_lock()),
    ]


def pybullet_steps(
    folder: Path, prefix: Path, trainer: Interpreter, check: tuple[str, ...], pip: Path, wheels: str = ""
) -> list[Step]:
    """The steps that bring PyBullet from conda-forge into a prefix, with what does so in a folder of its own.

    trainer: an installed runtime's. check: the arguments with which it tries what was brought. wheels: a folder, from
    which alone all of it comes then: conda-forge's files are in its folder of that name, as a copy of a channel is.
    """
    runner, into, lock = Interpreter(trainer.path, str(pip)), _into(folder), pins.conda_lock()
    words = "Installing what reads conda-forge"
    tool = _folder_step(runner, lock, into, 2.0, wheels) if wheels else locked_step(runner, words, lock, into, 2.0)
    channel = str(Path(wheels, CONDA_CHANNEL)) if wheels else CONDA_CHANNEL
    bring = isolated(Interpreter(trainer.path, str(folder)), str(PYBULLET_SCRIPT), str(prefix), channel)
    return [
        _pip_step(trainer.path, pip, wheels),
        dataclasses.replace(tool, words=words),
        Step("Bringing PyBullet from conda-forge", bring, 5.0),
        Step("Trying PyBullet", isolated(trainer, *check), 0.3),
    ]


def _into(folder: Path) -> tuple[str, ...]:
    return ("--target", extended(folder), "--no-compile", "--no-cache-dir")


def _pip_step(python: str, pip: Path, wheels: str) -> Step:
    """Bring pip, as a zip."""
    bring = (str(PIP_SCRIPT), str(pip), PIP_WHEEL, PIP_HASH, *((wheels,) if wheels else index_named()[1:]))
    return Step("Looking for pip", isolated(python, "-B", *bring), 0.2)


def environment_steps(folder: Path, python: str, lock: Path, torch_lock: Path | None = None) -> list[Step]:
    """The steps that make a virtual environment in folder from the interpreter python, which has venv and ensurepip.

    lock, torch_lock: files of hashes as pins.lock_file() names them.
    """
    own = str(environment_python(folder))
    made = [Step("Making the environment", isolated(python, "-m", "venv", "--clear", str(folder)), 1.0)]
    if torch_lock is not None:
        made.append(torch_step(own, torch_lock))
    made.append(locked_step(own, f"Installing {_list_words(lock)}", lock, (), 3.0))
    return made


def _folder_step(python: Interpreter, lock: Path, options: tuple[str, ...], weight: float, wheels: str) -> Step:
    """Install what a lock names from a folder of wheels, and from nowhere else, held to its hashes. Of torch without
    CUDA, whose hashes the lock may not know, the exact version will do."""
    version = pins.versions(lock).get("torch", "")
    words = f"Installing torch {version}" if version else f"Installing {_list_words(lock)}"
    named = ("--isolated", "--no-index", "--find-links", wheels, *options)
    step = Step(words, isolated(python, *_LOCKED, *named, "-r", str(lock)), weight, disk=pins.size(lock).disk)
    if not version.endswith(TORCH_LABEL):
        return step
    exact = isolated(python, *_PIP, "--no-deps", "--only-binary", ":all:", *named, f"torch=={version}")
    return dataclasses.replace(step, fallback=dataclasses.replace(step, command=exact))


def compile_step(python: str | Interpreter) -> Step:
    """Compile the physics with the trainer's Python; what is compiled stays beside its packages."""
    otherwise = "The physics could not be compiled yet; the first training does it, which takes a minute or two."
    command = isolated(python, str(COMPILE_SCRIPT))
    return Step("Compiling the physics for this computer", command, 8.0, otherwise=otherwise)


def isolated(python: str | Interpreter, *arguments: str) -> tuple[str, ...]:
    return tuple(isolation.python_command(python, *arguments))


def locked_step(python: str | Interpreter, words: str, lock: Path, options: tuple[str, ...], weight: float) -> Step:
    """Install what a lock names: from the package index, and where that has it not (a studio without a way out), from
    where this computer's pip is set up to look. The hashes hold for either."""
    size, named = pins.size(lock), (*index_named(), *options, "-r", str(lock))
    disk = size.download + size.disk
    fallback = Step(words, isolated(python, *_LOCKED, *named), weight, disk=disk)
    return Step(words, isolated(python, *_LOCKED, "--isolated", *options, "-r", str(lock)), weight, fallback, disk=disk)


def torch_step(
    python: str | Interpreter, lock: Path, options: tuple[str, ...] = (), with_cuda: Path | None = None
) -> Step:
    """Install torch. The builds without CUDA that Linux takes are on PyTorch's own index alone, whose hashes the lock
    may not know: from there, and from nowhere else, it is held by its exact version.

    with_cuda: the lock of what is taken where that index cannot be reached, if there is such a lock.
    """
    version = pins.versions(lock).get("torch", "")
    step = locked_step(python, f"Installing torch {version}", lock, options, 6.0)
    if not version.endswith(TORCH_LABEL) or step.fallback is None:
        return step
    index = ("--isolated", "--no-deps", "--only-binary", ":all:", "--index-url", TORCH_CPU_INDEX, *options)
    command = isolated(python, *_PIP, *index, f"torch=={version}")
    cuda = None
    if with_cuda is not None and with_cuda.is_file():
        words = f"PyTorch's index cannot be reached; installing torch with CUDA ({pins.size(with_cuda).in_words()})"
        cuda = locked_step(python, words, with_cuda, options, 6.0)
    # Without hashes not even the computer's own configuration may name other sources: on Windows any user can write it.
    last = dataclasses.replace(step, command=command, fallback=cuda, variables=(("PIP_CONFIG_FILE", os.devnull),))
    return dataclasses.replace(step, fallback=dataclasses.replace(step.fallback, fallback=last))


def index_named() -> tuple[str, ...]:
    """The index that the user's variables name: a studio's mirror. What comes from it is held to the hashes."""
    index = os.environ.get("PIP_INDEX_URL", "").strip()
    return ("--index-url", index) if index else ()


def found_no_file(log: str) -> bool:
    """Whether pip failed because it found no such file where it looked, or nobody who answers."""
    # With a constraint of the user's, pip calls a pinned version that is not there a conflict
    lacking = r"No matching distribution found|ResolutionImpossible|DO NOT MATCH THE HASHES"
    return bool(re.search(f"{lacking}|{_UNREACHED}", log))


def with_pip_line(words: str, log: str) -> str:
    """What a step does, and what pip said last that is worth a user's eye."""
    for line in reversed(log[-4000:].splitlines()):
        worth = re.match(r"\s*(Collecting|Downloading|Processing|Building|Using cached) +(.+)", line)
        if worth:
            said = worth[2].replace("%2B", "+").partition(" (from ")[0]  # the list that asks for it
            what = re.split(r"[\\/]", said)[-1]
            return f"{words}: {worth[1].lower()} {what[:60]}"
    return words


_UNREACHED = (
    r"NewConnectionError|NameResolutionError|name resolution|getaddrinfo failed|Network is unreachable"
    r"|ProxyError|ConnectTimeout|ReadTimeout|Connection (?:refused|reset|aborted)|Could not fetch URL"
    r"|IncompleteRead|Max retries exceeded"
)

# pip's complaints and what they mean; the first that is found counts. Without a network pip says as
# well that it found no distribution, so the network stands before that.
_FAILURES = (
    (
        r"conda-forge has no PyBullet",
        "conda-forge has no PyBullet for this computer; Backflip's own physics goes on simulating the takes.",
    ),
    (
        r"No space left on device|Disk quota exceeded|File too large|\[Errno (?:28|69|122|27)\]"
        r"|not enough space|WinError 112",
        DISK_FULL,
    ),
    (
        r"DO NOT MATCH THE HASHES|Hashes are required",
        "A package is not the one that Backflip knows (its checksum differs) and was not installed. Try again, and see "
        "which package index this computer's pip is set up for.",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLError",
        "The package index's certificate was not accepted; check the computer's clock and any proxy, and try again.",
    ),
    (
        r"conda-forge cannot be reached",
        "conda-forge cannot be reached; check the network connection and try again.",
    ),
    (
        _UNREACHED,
        "The package index cannot be reached; check the network connection and try again.",
    ),
    (
        r"This Python has no pip",
        "Blender's Python brings no pip on this computer; install your system's package for it (on Debian and Ubuntu "
        "python3-pip) and try again.",
    ),
    (
        r"ensurepip is not available|No module named '?ensurepip|No module named '?venv",
        "This Python cannot make environments; on Debian and Ubuntu install the package python3.11-venv.",
    ),
    (
        r"error: command .*(gcc|clang|cl\.exe|c\+\+).*failed|Microsoft Visual C\+\+ .* is required",
        "A package had to be compiled and that failed; install a C++ compiler and try again.",
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
    if nothing and "Looking in links" in log:
        return f"The folder of packages has no {nothing[1]} for this computer; put its wheel there and try again."
    if nothing:
        index = TORCH_CPU_INDEX if nothing[1].startswith("torch") else "pip's package index"
        hint = f"see that {index} can be reached and try again"
        return f"No {nothing[1]} was found for this system; {hint}."
    errors = [line for line in log.splitlines() if re.match(r"\s*(ERROR|Error|error)\b", line)]
    written = [line for line in log.splitlines() if line.strip()]
    if not written:
        return "The installation ended unexpectedly; check that there is room on the disk and in memory, and try again."
    last = (errors or written)[-1].strip()
    return f"The installation failed: {last}"


def _list_words(lock: Path) -> str:
    """The packages of a lock that a user may have heard of."""
    known = ("numpy", "pybullet", "numba", "bpy", "pytest", "ruff", "mypy")
    return ", ".join(f"{name} {version}" for name, version in pins.versions(lock).items() if name in known)
