# SPDX-License-Identifier: GPL-3.0-or-later
"""What the trainer needs, for which systems and Pythons there is a list of it, and how large that is."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import platform
import re
import sys
from pathlib import Path

Version = tuple[int, int]

# Of Blender 4.5 and 5.0; of Blender 5.1 and later; of the Blenders that distributions build with the newest Python
PYTHONS: tuple[Version, ...] = ((3, 11), (3, 13), (3, 14))
SYSTEMS = ("linux_x86_64", "linux_aarch64", "macosx_arm64", "win_amd64")
LOCKS = Path(__file__).resolve().parent / "locks"  # every package by version and hashes; python3 build.py lock

SIZES = LOCKS / "sizes.json"  # lock and system -> the fields of its Size

PYBULLET = "pybullet==3.2.7"
PYBULLET_SYSTEM = "linux_x86_64"  # the one with wheels of it, for Pythons up to this
PYBULLET_NEWEST_PYTHON = (3, 11)
OLDEST_MAC = (14, 0)  # whose wheels are taken: torch has none for older ones


@dataclasses.dataclass(frozen=True)
class Size:
    """Bytes to download, bytes on the disk, and letters of the longest path in it."""

    download: int = 0
    disk: int = 0
    path: int = 0

    def __add__(self, other: Size) -> Size:
        return Size(self.download + other.download, self.disk + other.disk, max(self.path, other.path))

    def in_words(self) -> str:
        return f"{self.download / 1e6:.0f} MB to download, {self.disk / 1e9:.1f} GB on the disk"


def has_pybullet(version: Version, system: str = "") -> bool:
    """Whether PyBullet can be had without a compiler, for this computer where no system is named."""
    return (system or system_name()) == PYBULLET_SYSTEM and version <= PYBULLET_NEWEST_PYTHON


def requirements(version: Version, system: str = "") -> tuple[str, ...]:
    """What trains with a Python of that version: pyproject.toml's group "trainer"; a test holds them equal.

    That group is not part of an installed extension.
    """
    numpy = "numpy==1.26.4" if version < (3, 12) else "numpy==2.5.5"  # PyBullet's wheel is built for the older
    needed = (numpy, "torch==2.13.0", "numba==0.68.1")
    return (*needed, PYBULLET) if has_pybullet(version, system) else needed


def package_name(requirement: str) -> str:
    """The package of "name==version"."""
    return requirement.partition("==")[0].strip().lower()


def package_names(version: Version, system: str = "") -> tuple[str, ...]:
    return tuple(map(package_name, requirements(version, system)))


def name(version: Version) -> str:
    """3.11, of (3, 11)."""
    return ".".join(map(str, version))


def system_name() -> str:
    """This computer's name in SYSTEMS, or another where there is no lock for it."""
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    return {
        "Linux": f"linux_{machine}",
        "Darwin": f"macosx_{platform.machine()}",
        "Windows": f"win_{platform.machine().lower()}",
    }.get(platform.system(), f"{platform.system()}_{machine}".lower())


def _mac_version() -> Version | None:
    """The version of macOS, None where it is not known."""
    found = re.match(r"(\d+)\.(\d+)", platform.mac_ver()[0])
    return (int(found[1]), int(found[2])) if found else None


# Locks


def lock_file(group: str, system: str = "", folder: Path = LOCKS) -> Path:
    """The lock of a group of packages for a system, this computer's when none is named."""
    return folder / f"{group}-{system or system_name()}.txt"


def torch_lock(system: str = "") -> Path:
    """The lock of torch, without CUDA, whatever Python: of Linux, where it has a label of its own, or of the others."""
    return LOCKS / ("torch-linux.txt" if _is_linux(system) else "torch.txt")


def cuda_lock(system: str = "") -> Path:
    """The lock of torch as the package index has it for Linux, whatever Python: with CUDA, gigabytes; there is none
    elsewhere."""
    return LOCKS / ("torch-cuda-linux.txt" if _is_linux(system) else "torch-cuda.txt")


def trainer_lock(version: Version, system: str = "") -> Path:
    """The lock of all the rest: PyBullet is for one system and Python alone, numpy older with the older Python."""
    if has_pybullet(version, system):
        return LOCKS / "trainer-pybullet.txt"
    return LOCKS / ("trainer-3.11.txt" if version < (3, 12) else "trainer.txt")


def conda_lock() -> Path:
    """The lock of what brings packages from conda-forge; of all systems and Pythons."""
    return LOCKS / "conda.txt"


def lacks_lock(*locks: Path) -> str:
    """The sentence for a computer that no lock was made for, "" where there is one."""
    system = system_name()
    if system == "macosx_arm64" and (mac := _mac_version()) and mac < OLDEST_MAC:
        return f"torch needs macOS {OLDEST_MAC[0]} or newer, and this is macOS {name(mac)}; update it and try again."
    if sys.maxsize <= 2**32:
        return "This is a 32-bit Python, for which torch is no longer made; use a 64-bit Blender."
    if system in SYSTEMS and all(lock.is_file() for lock in locks):
        return ""
    if system == "macosx_x86_64":
        return (
            "Torch is no longer made for Macs with Intel processors, so they cannot train. On a Mac with "
            "Apple's own processor use the Blender made for it; else train on another computer."
        )
    return f"Backflip has no list of packages for this system ({system}); use one of {', '.join(SYSTEMS)}."


def fingerprint(*locks: Path) -> str:
    """A number that changes with what the locks hold; of missing ones, with their names."""
    content = [lock.read_bytes() if lock.is_file() else lock.name.encode() for lock in locks]
    return hashlib.sha256(b"\0".join(content)).hexdigest()


def versions(lock: Path) -> dict[str, str]:
    """Names and versions that a lock holds."""
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==([^\s\\]+)", _text(lock), re.M))


def size(*locks: Path, system: str = "") -> Size:
    """How large what the locks name is, as written when they were made; nothing of a lock that is not ours.

    system: for which, where a lock is of several; this computer where none is named.
    """
    total = Size()
    for lock in locks:
        total += Size(*_sizes().get(size_key(lock, system), ()))
    return total


def size_key(lock: Path, system: str = "") -> str:
    """Under which the size is noted that a lock has on a system."""
    return f"{lock.stem} {system or system_name()}"


@functools.cache
def _sizes() -> dict[str, list[int]]:
    try:
        return dict(json.loads(SIZES.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def runtime_size(version: Version) -> Size:
    """How large the trainer's packages are on this computer."""
    return size(torch_lock(), trainer_lock(version))


def expected_size() -> Size:
    """The same before it is known which Python it will be: Blender's own where there is a list for it."""
    own = sys.version_info[:2]
    return runtime_size(own if own in PYTHONS else PYTHONS[0])


def _is_linux(system: str) -> bool:
    return (system or system_name()).startswith("linux")


def _text(lock: Path) -> str:
    try:
        return lock.read_text(encoding="utf-8")
    except OSError:
        return ""
