# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings pip, as a zip that runs as it is. A program of its own: python bring_pip.py FILE NAME SHA256 INDEX …

The wheel that ensurepip or the system holds is taken, else the pip beside Blender's own packages, else the wheel NAME
from an INDEX (the address of a simple repository, PEP 503, or a folder) that the user has named, and that only with the
hash we know. Nothing is made in the interpreter's own folder.

Exit status 0: FILE is there; 1: it is not, and the last line says why in pip's own words, which
packages.failure_words() knows.
"""

from __future__ import annotations

import hashlib
import html
import importlib.util
import re
import shutil
import ssl
import sys
import sysconfig
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

TIMEOUT_SECONDS = 60.0
MOST_BYTES = 20_000_000  # of a page or a wheel; pip's has 2 MB, its page 100 kB


def main(file: Path, name: str, sha256: str, indexes: list[str]) -> int:
    """Bring pip; returns the exit status."""
    for wheel in wheels():
        print(f"Using {wheel}")
        shutil.copyfile(wheel, file)
        return 0
    if (package := package_folder("pip")) is not None:
        print(f"Using {package}")
        pack(package, file)
        return 0
    errors = ["ERROR: This Python has no pip"]
    for index in indexes:
        try:
            data = find(index, name)
        except (OSError, ValueError) as error:  # urllib's own errors are OSErrors
            errors.append(words(index, error))
            continue
        if hashlib.sha256(data).hexdigest() == sha256:
            file.write_bytes(data)
            return 0
        errors.append(f"ERROR: {index}: {name}: THESE PACKAGES DO NOT MATCH THE HASHES")
    print("\n".join(errors))
    return 1


def wheels() -> Iterator[Path]:
    """pip's wheels that lie beside ensurepip, or where a distribution keeps them, the newest first."""
    ensurepip = package_folder("ensurepip")
    kept = sysconfig.get_config_var("WHEEL_PKG_DIR")  # of Fedora and others
    for folder in (ensurepip and ensurepip / "_bundled", kept and Path(kept)):
        if folder:
            yield from sorted(folder.glob("pip-*-py3-none-any.whl"), key=_version, reverse=True)


def package_folder(name: str) -> Path | None:
    """Where a package of this Python lies, None when there is none."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def pack(package: Path, file: Path) -> None:
    """A zip of a package's files. Raises OSError."""
    with zipfile.ZipFile(file, "w", strict_timestamps=False) as archive:
        for path in sorted(package.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                archive.write(path, path.relative_to(package.parent))


def find(index: str, name: str) -> bytes:
    """The file of that name of the index's page of pip. Raises OSError, and ValueError where the page has it not."""
    if Path(index).is_dir():
        return (Path(index) / name).read_bytes()
    page = f"{index.rstrip('/')}/pip/"
    if page.startswith("file:"):
        page += "index.html"  # as pip itself does it
    for link in re.findall(r"""<a\s[^>]*?href\s*=\s*["']([^"']+)["']""", read(page).decode("utf-8", "replace"), re.I):
        address = urllib.parse.urljoin(page, html.unescape(link))
        if urllib.parse.unquote(urllib.parse.urlsplit(address).path).rpartition("/")[2] == name:
            return read(urllib.parse.urldefrag(address).url)
    raise ValueError(f"No matching distribution found for {name}")


def read(address: str) -> bytes:
    """What an address holds. Raises OSError."""
    with urllib.request.urlopen(address, timeout=TIMEOUT_SECONDS) as answer:
        return bytes(answer.read(MOST_BYTES))


def words(index: str, error: Exception) -> str:
    """An error as pip would put it."""
    reason = getattr(error, "reason", error)
    if isinstance(error, urllib.error.HTTPError) or not isinstance(error, OSError):
        return f"ERROR: {index}: No matching distribution found for pip ({error})"
    return f"ERROR: {index}: {'SSLError' if isinstance(reason, ssl.SSLError) else 'NewConnectionError'}({reason})"


def _version(wheel: Path) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", wheel.name.split("-")[1]))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:]))
