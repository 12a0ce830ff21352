# SPDX-License-Identifier: GPL-3.0-or-later
"""A copy of a channel like conda-forge's, with small packages: what PyBullet's asks for there, and PyBullet."""

from __future__ import annotations

import hashlib
import io
import json
import sys
import tarfile
from pathlib import Path
from typing import Any

import rattler

PYTHON = ".".join(map(str, sys.version_info[:2]))
SITE = f"lib/python{PYTHON}/site-packages"
# What an addition tries of it; where it was taken from shows in its path
MODULE = "DIRECT = 2\ndef connect(mode): return 0\ndef stepSimulation(physicsClientId): pass\n"


def make(root: Path, module: str = MODULE, python: str = PYTHON) -> Path:
    """A channel whose PyBullet has this module, for that Python; returns the folder of this system's packages."""
    system = root / str(rattler.Subdir.current())
    pybullet = {
        f"{SITE}/pybullet.py": module,
        f"{SITE}/pybullet-3.2.5.dist-info/METADATA": "Metadata-Version: 2.1\nName: pybullet\nVersion: 3.2.5\n",
        f"{SITE}/pybullet_data/data/motions/humanoid3d_backflip.txt": "{}",
        "bin/.pybullet-post-link.sh": 'touch "$PREFIX/was-run"\n',
    }
    needs = ["bullet-cpp 3.25 h", f"python {python}.*", "numpy >=1.23,<3", "libzlib >=1.3,<2.0a0"]
    made = [
        package(system, "python", f"{python}.9", ["libzlib >=1.3"], {"bin/python": "not one"}),
        package(system, "numpy", "2.5.5", [f"python {python}.*"], {f"{SITE}/numpy.py": "not one"}),
        package(system, "libzlib", "1.3.1", [], {"lib/libz.so": "not one"}),
        package(system, "xorg-libx11", "1.8", [], {"lib/libX11.so": "not one"}),
        package(system, "bullet-cpp", "3.25", ["xorg-libx11"], {"lib/libBullet.so": "not one"}),
        package(system, "pybullet", "3.25", needs, pybullet),
    ]
    index(system, dict(made))
    index(root / "noarch", {})
    return system


def package(folder: Path, name: str, version: str, depends: list[str], files: dict[str, str]) -> tuple[str, Any]:
    """Write a package; returns the name of its file, and what the channel says of it."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}-{version}-h.tar.bz2"
    facts = {"name": name, "version": version, "build": "h", "build_number": 0, "depends": depends}
    facts |= {"subdir": folder.name, "timestamp": 1_700_000_000_000}
    data = {path: text.encode() for path, text in files.items()}
    paths = [
        {
            "_path": path,
            "path_type": "hardlink",
            "sha256": hashlib.sha256(content).hexdigest(),
            "size_in_bytes": len(content),
        }
        for path, content in data.items()
    ]
    about = {
        "info/index.json": json.dumps(facts).encode(),
        "info/files": "\n".join(files).encode(),
        "info/paths.json": json.dumps({"paths_version": 1, "paths": paths}).encode(),
    }
    with tarfile.open(file, "w:bz2") as archive:
        for path, content in (about | data).items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), 0o755
            archive.addfile(entry, io.BytesIO(content))
    packed = file.read_bytes()
    return file.name, facts | {"sha256": hashlib.sha256(packed).hexdigest(), "size": len(packed)}


def index(folder: Path, packages: dict[str, Any]) -> None:
    """Write what a channel has for one system."""
    folder.mkdir(parents=True, exist_ok=True)
    told = {"info": {"subdir": folder.name}, "packages": packages, "packages.conda": {}, "repodata_version": 1}
    (folder / "repodata.json").write_text(json.dumps(told))
