#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the locks: every package of every environment, by exact version and by the hashes of its files.

Run by `python3 build.py lock`, on any system, for all of them: dependencies are read from the index's metadata
with the markers of the system in question, not of this one. The pins are pyproject.toml's; what they need is
taken in the newest version that fits. A version that stands in a lock already is kept, so that a lock changes
only where a pin does (--upgrade takes the newest of all).

Written: backflip_addon/runtime/locks/ (what trains, Ray for clusters, and what brings PyBullet
from conda-forge, part of the add-on) and .ci/locks/ (the
tests' environments).
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import io
import json
import re
import sys
import tomllib
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

from packaging.markers import default_environment
from packaging.metadata import parse_email
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.tags import Tag, compatible_tags, cpython_tags, mac_platforms
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version
from pip._internal.models.index import PyPI

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from backflip_addon.runtime import packages, pins  # noqa: E402
from backflip_addon.runtime.pins import Size  # noqa: E402

TESTS_LOCKS = ROOT / ".ci" / "locks"
GLIBC = (28, 17, 12, 5)  # minor versions of the C library whose wheels are taken, the newest first
CHUNK = 1 << 18

# The files of torch's builds without CUDA are not on the index but on PyTorch's own, whose hashes could not be
# read when this was written. What is here was read off files that are served under that name elsewhere.
KNOWN_FILES = {
    ("2.13.0+cpu", "linux_x86_64", (3, 11)): ("6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b",),
}

# Of that file; of those that could not be read it is the best guess
CPU_TORCH_SIZE = Size(191_794_682, 699_298_109, 171)

Pins = dict[str, Version]


@dataclasses.dataclass(frozen=True)
class Held:
    """What is installed on a system for a Python."""

    system: str
    python: tuple[int, int]
    pins: Pins

    def size(self) -> Size:
        """How large that is."""
        return total_size(self.pins, self.system, self.python)


class LockError(Exception):
    """What stops the work, in one sentence."""


# The index


@functools.cache
def files(name: str) -> list[dict[str, Any]]:
    """All files of a package, with hashes (PEP 691)."""
    request = urllib.request.Request(
        f"{PyPI.simple_url}/{name}/", headers={"Accept": "application/vnd.pypi.simple.v1+json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return list(json.load(answer)["files"])


@functools.cache
def parsed(file_name: str) -> tuple[Version, frozenset[Tag] | None] | None:
    """Version and tags of a wheel, version and None of a source archive, None of anything else."""
    try:
        if file_name.endswith(".whl"):
            _name, version, _build, tags = parse_wheel_filename(file_name)
            return version, tags
        return parse_sdist_filename(file_name)[1], None
    except (InvalidSdistFilename, InvalidWheelFilename, InvalidVersion):
        return None


@functools.cache
def tags(system: str, python: tuple[int, int]) -> frozenset[Tag]:
    """What a system's Python installs."""
    if system.startswith("linux"):
        machine = system.removeprefix("linux_")
        platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(GLIBC[0], 4, -1)]
        platforms += [f"manylinux{year}_{machine}" for year in ("2014", "2010", "1")] + [system]
    elif system.startswith("macosx"):
        platforms = list(mac_platforms(pins.OLDEST_MAC, system.removeprefix("macosx_")))
    else:
        platforms = [system]
    interpreter = f"cp{python[0]}{python[1]}"
    return frozenset([*cpython_tags(python, platforms=platforms), *compatible_tags(python, interpreter, platforms)])


def fitting(name: str, version: Version, system: str, python: tuple[int, int]) -> list[dict[str, Any]]:
    """The wheels of a version that a system takes; its source archive where it has none."""
    of_version = [(f, parsed(f["filename"])) for f in files(name) if _for_python(f, python)]
    of_version = [(f, p) for f, p in of_version if p and p[0] == version]
    wheels = [f for f, p in of_version if p[1] and p[1] & tags(system, python)]
    return wheels or [f for f, p in of_version if p[1] is None]


@functools.cache
def needs(name: str, version: Version) -> tuple[Requirement, ...]:
    """What a version needs, markers and all, as its wheels tell."""
    wheels = [f for f in files(name) if (p := parsed(f["filename"])) and p[0] == version and p[1]]
    if not wheels:
        return ()  # a source archive alone would have to be built to be asked
    told = next((f for f in wheels if f.get("core-metadata")), None)
    if told is not None:
        with urllib.request.urlopen(f"{told['url']}.metadata", timeout=60) as answer:
            data = answer.read()
    else:
        with zipfile.ZipFile(RemoteFile(wheels[0]["url"])) as wheel:
            data = wheel.read(next(n for n in wheel.namelist() if n.endswith(".dist-info/METADATA")))
    raw, _rest = parse_email(data)
    return tuple(Requirement(text) for text in raw.get("requires_dist", ()))


class RemoteFile(io.RawIOBase):
    """A file on a server, of which only the parts are fetched that are read."""

    def __init__(self, url: str) -> None:
        self.url, self.position = url, 0
        self.chunks: dict[int, bytes] = {}
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=60) as answer:
            self.size = int(answer.headers["Content-Length"])

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.position = offset + (0, self.position, self.size)[whence]
        return self.position

    def read(self, count: int = -1) -> bytes:
        end = self.size if count < 0 else min(self.position + count, self.size)
        data = b"".join(self._chunk(i) for i in range(self.position // CHUNK, (end + CHUNK - 1) // CHUNK))
        start = self.position % CHUNK
        data = data[start : start + end - self.position]
        self.position += len(data)
        return data

    def _chunk(self, index: int) -> bytes:
        if index not in self.chunks:
            last = min((index + 1) * CHUNK, self.size) - 1
            request = urllib.request.Request(self.url, headers={"Range": f"bytes={index * CHUNK}-{last}"})
            with urllib.request.urlopen(request, timeout=60) as answer:
                if answer.status != 206:
                    raise LockError(f"{self.url} is not served in parts")
                self.chunks[index] = answer.read()
        return self.chunks[index]


# Resolving


def resolve(requirements: list[str], system: str, python: tuple[int, int], kept: Pins, with_cuda: bool = False) -> Pins:
    """Versions of all that the requirements need there: the pinned ones, else the kept one that fits, else the newest.

    with_cuda: also what the index's torch for Linux needs, which is built for CUDA and is not what is taken first.

    No backtracking: every demand on a package is gathered, and versions are chosen anew until nothing changes.
    """
    wanted = [Requirement(text) for text in requirements]
    chosen: Pins = {}
    for _ in range(20):
        demands: dict[str, list[Requirement]] = {}
        queue, seen = [(requirement, "") for requirement in wanted], set()
        while queue:
            requirement, extra = queue.pop()
            if requirement.marker and not requirement.marker.evaluate(_marked(system, python, extra)):
                continue
            name = canonicalize_name(requirement.name)
            demands.setdefault(name, []).append(requirement)
            for each in ("", *requirement.extras):
                if name in chosen and (name, each) not in seen:
                    seen.add((name, each))
                    needed = needs(name, chosen[name])
                    queue += [(n, each) for n in needed if with_cuda or not _for_cuda(name, n, system)]
        before, chosen = chosen, {n: _choose(n, d, system, python, kept) for n, d in sorted(demands.items())}
        if chosen == before:
            return chosen
    raise LockError(f"no versions were found that agree on {system}")


def _choose(name: str, demands: list[Requirement], system: str, python: tuple[int, int], kept: Pins) -> Version:
    def fits(version: Version) -> bool:
        return all(d.specifier.contains(version, prereleases=bool(d.specifier.prereleases)) for d in demands)

    if name in kept and fits(kept[name]) and fitting(name, kept[name], system, python):
        return kept[name]
    usable = [f for f in files(name) if not f.get("yanked") and _for_python(f, python)]
    known = {p[0] for f in usable if (p := parsed(f["filename"]))}
    for version in sorted(known, reverse=True):
        if fits(version) and fitting(name, version, system, python):
            return version
    raise LockError(f"no {name} fits {', '.join(map(str, demands))} on {system}")


def _for_python(file: dict[str, Any], python: tuple[int, int]) -> bool:
    return SpecifierSet(file.get("requires-python") or "").contains(f"{python[0]}.{python[1]}.9")


def _for_cuda(name: str, need: Requirement, system: str) -> bool:
    """Whether a need is of the index's torch for Linux alone, which is built for CUDA."""
    return name == "torch" and system.startswith("linux") and need.name.startswith(("nvidia", "cuda", "triton"))


def _public(version: Version) -> Version:
    return Version(version.public)


def _marked(system: str, python: tuple[int, int], extra: str) -> dict[str, str]:
    linux, mac = system.startswith("linux"), system.startswith("macosx")
    version = f"{python[0]}.{python[1]}"
    return {
        **{key: str(value) for key, value in default_environment().items()},
        "os_name": "posix" if linux or mac else "nt",
        "sys_platform": "linux" if linux else "darwin" if mac else "win32",
        "platform_system": "Linux" if linux else "Darwin" if mac else "Windows",
        "platform_machine": {"linux_x86_64": "x86_64", "linux_aarch64": "aarch64", "macosx_arm64": "arm64"}.get(
            system, "AMD64"
        ),
        "python_version": version,
        "python_full_version": f"{version}.9",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "extra": extra,
    }


# Writing


def torch_lines(held: list[Held]) -> list[str]:
    """The lock of torch on Linux: the build for the processor alone."""
    label = f"{held[0].pins['torch']}{packages.TORCH_LABEL}"
    known = [h for one in held for h in KNOWN_FILES.get((label, one.system, one.python), ())]
    words = [
        f"# PyTorch's own index alone has torch {label}, and its hashes could not be read when this was locked:",
        "# what comes from there is held by exact version and that index alone. The hashes here are of files",
        "# known under that name; any other index or folder is held to them.",
    ]
    return [*words, _line("torch", Version(label), known or ["0" * 64])]


def _line(name: str, version: Version, hashes: list[str] | tuple[str, ...]) -> str:
    return " \\\n    ".join([f"{name}=={version}", *(f"--hash=sha256:{h}" for h in sorted(set(hashes)))])


def shared_lines(held: list[Held]) -> list[str]:
    """The lock of packages that are of one version everywhere, by the hashes of all systems' files. Raises
    LockError."""
    hashes: dict[str, set[str]] = {}
    chosen: Pins = {}
    for one in held:
        for name, version in one.pins.items():
            if chosen.setdefault(name, version) != version:
                raise LockError(f"{name} is {chosen[name]} in one place and {version} on {one.system}")
            found = fitting(name, version, one.system, one.python)
            hashes.setdefault(name, set()).update(f["hashes"]["sha256"] for f in found)
    return [_line(name, version, sorted(hashes[name])) for name, version in sorted(chosen.items())]


def lines(chosen: Pins, system: str, python: tuple[int, int]) -> list[str]:
    """The lock of packages for one system and Python."""
    written = []
    for name, version in sorted(chosen.items()):
        found = fitting(name, version, system, python)
        if all(parsed(f["filename"])[1] is None for f in found):
            written.append(f"# {name} has no wheel here: its source is built, which takes a C++ compiler.")
        written.append(_line(name, version, [f["hashes"]["sha256"] for f in found]))
    return written


def total_size(chosen: Pins, system: str, python: tuple[int, int]) -> Size:
    """How large packages are; of several files that fit the largest."""
    total = Size()
    for name, version in chosen.items():
        if name == "torch" and version.local:
            total += CPU_TORCH_SIZE
        else:
            total += max((size(f["url"]) for f in fitting(name, version, system, python)), key=lambda each: each.disk)
    return total


@functools.cache
def size(url: str) -> Size:
    """How large a file is, packed and unpacked, as its table of contents says; a source archive's contents unread."""
    file = RemoteFile(url)
    if not url.endswith(".whl"):
        return Size(file.size, file.size, 0)
    with zipfile.ZipFile(file) as wheel:
        entries = wheel.infolist()
    return Size(file.size, sum(e.file_size for e in entries), max(len(e.filename) for e in entries))


def write(file: Path, title: str, body: list[str]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join([f"# {title}", "# Written by `python3 build.py lock`; not to be changed by hand.", *body, ""])
    file.write_text(text, encoding="utf-8", newline="\n")
    print(f"Wrote {file.relative_to(ROOT)}", flush=True)


def torch_alone(held: Held) -> Held:
    """Torch, as a system takes it."""
    version = held.pins["torch"]
    label = Version(f"{version}{packages.TORCH_LABEL}") if held.system.startswith("linux") else version
    return Held(held.system, held.python, {"torch": label})


def without_torch(held: Held) -> Held:
    """What trains beside it."""
    return Held(held.system, held.python, {name: version for name, version in held.pins.items() if name != "torch"})


def write_trainers(trainers: list[Held]) -> dict[str, Size]:
    """The locks of what trains, one for all systems and Pythons that take the same; returns their sizes. Raises
    LockError."""
    linux = [held for held in trainers if held.system.startswith("linux")]
    write(pins.torch_lock("linux"), "Torch, on Linux", torch_lines(linux))
    sizes = sizes_of(pins.torch_lock("linux"), list(map(torch_alone, linux)))
    others = [torch_alone(held) for held in trainers if held not in linux]
    sizes |= write_shared(pins.torch_lock("macosx"), "Torch, on macOS and Windows", others)
    rests: dict[Path, list[Held]] = {}
    for held in trainers:
        rests.setdefault(pins.trainer_lock(held.python, held.system), []).append(without_torch(held))
    for lock, rest in rests.items():
        places = ", ".join(f"{held.system} with Python {pins.name(held.python)}" for held in rest)
        sizes |= write_shared(lock, f"What trains, less torch, on {places}", rest)
    return sizes


def with_cuda(group: list[str], system: str, python: tuple[int, int], kept: Pins, trainer: Pins) -> Held:
    """Torch as the index has it for Linux, and what it needs beside what trains. Raises LockError."""
    all_of_it = resolve(group, system, python, kept, with_cuda=True)
    more = {name: version for name, version in all_of_it.items() if name == "torch" or name not in trainer}
    return Held(system, python, more)


def with_ray(
    groups: dict[str, list[str]], system: str, python: tuple[int, int], kept: Pins, trainer: Pins
) -> Held | None:
    """Ray and what it needs beside what trains; None where there is no Ray for it."""
    try:
        chosen = resolve([*groups["trainer"], *groups["cluster"]], system, python, kept)
    except LockError as error:
        print(f"Ray on {system} with Python {pins.name(python)}: left out, {error}", flush=True)
        return None
    return Held(system, python, {name: version for name, version in chosen.items() if name not in trainer})


def write_shared(lock: Path, title: str, held: list[Held]) -> dict[str, Size]:
    """One lock for several systems and Pythons; returns its sizes. Raises LockError."""
    write(lock, title, shared_lines(held))
    return sizes_of(lock, held)


def sizes_of(lock: Path, held: list[Held]) -> dict[str, Size]:
    """How large what a lock holds is on each system; of several Pythons the largest."""
    sizes: dict[str, Size] = {}
    for one in held:
        key, size = pins.size_key(lock, one.system), one.size()
        sizes[key] = max(size, sizes.get(key, size), key=lambda each: each.disk)
    return sizes


def write_sizes(sizes: dict[str, Size]) -> None:
    table = {stem: dataclasses.astuple(each) for stem, each in sorted(sizes.items())}
    text = ",\n".join(f" {json.dumps(stem)}: {json.dumps(each)}" for stem, each in table.items())
    pins.SIZES.write_text(f"{{\n{text}\n}}\n", encoding="utf-8", newline="\n")
    print(f"Wrote {pins.SIZES.relative_to(ROOT)}", flush=True)


def kept_pins(folders: tuple[Path, ...]) -> Pins:
    """The versions that the locks hold now."""
    found: Pins = {}
    for folder in folders:
        for file in sorted(folder.glob("*.txt")):
            for name, version in re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", file.read_text(encoding="utf-8"), re.M):
                found[canonicalize_name(name)] = _public(Version(version))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upgrade", action="store_true", help="the newest of what is not pinned")
    parser.add_argument("--environments", type=json.loads, required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    kept = {} if options.upgrade else kept_pins((pins.LOCKS, TESTS_LOCKS))
    sizes: dict[str, Size] = {}
    trainers: list[Held] = []
    ray: list[Held] = []
    cuda: list[Held] = []
    conda: list[Held] = []
    try:
        for system in pins.SYSTEMS:
            for python in pins.PYTHONS:
                chosen = resolve(groups["trainer"], system, python, kept)
                kept |= chosen
                trainers.append(Held(system, python, chosen))
                conda.append(Held(system, python, resolve(groups["conda"], system, python, kept)))
                if system.startswith("linux"):
                    cuda.append(with_cuda(groups["trainer"], system, python, kept, chosen))
                if (its_ray := with_ray(groups, system, python, kept, chosen)) is not None:
                    ray.append(its_ray)
            for name, (version, its_groups) in options.environments.items():
                requirements = [r for group in its_groups for r in groups[group]]
                try:
                    its = resolve(requirements, system, tuple(version), kept)
                except LockError as error:
                    print(f"{name} on {system}: left out, {error}", flush=True)
                    continue
                title = f"The environment {name}, on {system}" + (", less torch" if "torch" in its else "")
                rest = {package: chosen for package, chosen in its.items() if package != "torch"}
                write(pins.lock_file(name, system, TESTS_LOCKS), title, lines(rest, system, tuple(version)))
        sizes |= write_trainers(trainers)
        title = "What trains, on Linux, where PyTorch's own index cannot be reached"
        sizes |= write_shared(pins.cuda_lock("linux"), title, cuda)
        sizes |= write_shared(pins.cluster_lock(), "Ray, for training on a cluster", ray)
        sizes |= write_shared(pins.conda_lock(), "What brings PyBullet from conda-forge", conda)
        write_sizes(sizes)
    except (LockError, urllib.error.URLError) as error:
        print(f"lock: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
