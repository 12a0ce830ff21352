# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings PyBullet from conda-forge. A program of its own: python bring_pybullet.py PREFIX CHANNEL

CHANNEL: its name, or the folder of a copy. PREFIX: where it goes, laid out as a conda environment, so that what is
linked to each other finds it: but without Python, without numpy, which are there already, and without what PyBullet's
package asks for and its module does not use (Bullet's own libraries, and X11 for them).

conda-forge is taken as it is today, no list of ours pins it: what it names is held to the checksums that it names
itself, and to its own address. Nothing that a package brings is run here.

Exit status 0: it is there; 1: it is not, and the last line says why in words that packages.failure_words() knows.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import sys
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import rattler
from rattler.exceptions import FetchRepoDataError, GatewayError, SolverError

WANTED = "pybullet"
WRONG_CHECKSUM = "THESE PACKAGES DO NOT MATCH THE HASHES"  # in pip's words
# What is there already, and what its module does without
LEFT_OUT = {"python", "python_abi", "numpy", "bullet-cpp"}


class NotThere(Exception):
    """Why PyBullet cannot be had, in words that packages.failure_words() knows."""


class Told(rattler.InstallerReporter):
    """Tells how far the downloads are: lines as core/progress_lines.py reads them, which cannot be imported here."""

    def __init__(self, size: int) -> None:
        self._size = max(size, 1)
        self._of_file: dict[int, int] = {}
        self._told = -1.0

    def on_download_start(self, cache_entry: int) -> int:
        """What a download is called in on_download_progress()."""
        return cache_entry

    def on_download_progress(self, download_idx: int, progress: int, total: int | None) -> None:
        """Tell it: bytes of a file that have come."""
        self._of_file[download_idx] = progress
        fraction = min(sum(self._of_file.values()) / self._size, 1.0)
        if fraction > self._told + 0.01:
            self._told = fraction
            tell(0.1 + 0.8 * fraction, f"Downloading PyBullet, {self._size / 1e6:.0f} MB")


def tell(fraction: float, message: str) -> None:
    """Say how far it is, 0 to 1."""
    print(json.dumps({"progress": {"fraction": fraction, "message": message, "seconds_left": None}}), flush=True)


def main(prefix: Path, channel: str) -> int:
    """Bring it; returns the exit status."""
    try:
        asyncio.run(bring(prefix, channel))
    except NotThere as error:
        print(f"ERROR: {' '.join(str(error).split())}")
        return 1
    return 0


async def bring(prefix: Path, channel: str) -> None:
    """Bring what conda-forge has newest for this Python. Raises NotThere."""
    cache = prefix.with_name(f"{prefix.name}-cache")  # not the user's own
    tell(0.0, "Asking conda-forge for PyBullet")
    records = beside_python(await solved(channel, cache))
    for record in records:
        hold_to_checksum(record)
        print(f"Taking {record.file_name} with the sha256 {bytes(record.sha256).hex()}")
    try:
        told = Told(sum(record.size or 0 for record in records))  # type: ignore[abstract]  # its base's bodies are empty
        await rattler.install(records, prefix, cache_dir=cache, execute_link_scripts=False, reporter=told)
    except Exception as error:  # of many kinds, rattler's own: a network that goes, a full disk, a wrong checksum
        raise NotThere(failure(error)) from error
    tell(0.95, "Unpacking PyBullet")
    if os.name == "nt":
        keep_libraries_together(prefix)
    shutil.rmtree(cache, ignore_errors=True)


async def solved(channel: str, cache: Path) -> list[Any]:
    """The records of PyBullet and all that it asks for, Python included. Raises NotThere."""
    python = ".".join(map(str, sys.version_info[:2]))
    source = rattler.Channel(Path(channel).as_uri() if os.path.isabs(channel) else channel)
    here = rattler.Subdir.current()
    try:
        return await rattler.solve(
            [source],
            [WANTED, f"python {python}.*"],
            gateway=rattler.Gateway(cache_dir=cache),
            platforms=[here, rattler.Subdir("noarch")],
            virtual_packages=rattler.VirtualPackage.detect(),
        )
    except SolverError as error:
        raise NotThere(f"conda-forge has no PyBullet for Python {python} on {here}: {error}") from error
    except (GatewayError, FetchRepoDataError, OSError) as error:
        raise NotThere(f"conda-forge cannot be reached: {error}") from error


def beside_python(records: Iterable[Any]) -> list[Any]:
    """The records of PyBullet and what its module needs, but for what is left out and what that alone needs."""
    by_name = {record.name.normalized: record for record in records}
    needed, queue = [], [WANTED]
    while queue:
        record = by_name.pop(queue.pop(), None)
        if record is not None:
            needed.append(record)
            queue += [name for name in map(_name, record.depends) if name not in LEFT_OUT]
    return needed


def hold_to_checksum(record: Any) -> None:
    """Raises NotThere for a package without a checksum, and for one in a folder that has another: what comes over the
    network is held to it by rattler, a file beside us is not."""
    scheme, _, path = record.url.partition("://")
    if not record.sha256:
        raise NotThere(f"{WRONG_CHECKSUM}: none is named for {record.file_name}")
    if scheme == "file":
        file = Path(urllib.request.url2pathname(path))
        try:
            with file.open("rb") as opened:
                found = hashlib.file_digest(opened, "sha256").digest()
        except OSError as error:
            raise NotThere(f"No such package in the folder: {error}") from error
        if found != bytes(record.sha256):
            raise NotThere(f"{WRONG_CHECKSUM}: {file}")


def keep_libraries_together(prefix: Path) -> None:
    """Windows looks for a module's libraries beside it, and not where conda keeps them. Raises OSError."""
    beside = prefix / "Lib" / "site-packages"
    for library in (*prefix.glob("*.dll"), *prefix.glob("Library/bin/*.dll")):
        shutil.copyfile(library, beside / library.name)


def failure(error: Exception) -> str:
    """Why packages could not be brought; what rattler says of checksums and the network has words of its own."""
    words, cause = [str(error)], error.__cause__
    while cause is not None:
        words.append(str(cause))
        cause = cause.__cause__
    text = ": ".join(words)
    if "hash" in text.lower() or "sha256" in text.lower():
        return f"{WRONG_CHECKSUM}: {text}"
    return f"conda-forge cannot be reached: {text}" if "request" in text or "connect" in text else text


def _name(dependency: str) -> str:
    """The package of "name >=1.0,<2.0 build"."""
    return dependency.split()[0].lower()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
