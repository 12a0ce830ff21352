# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the compiled physics is kept: a folder for every state of its sources, its packages and the processor.

numba does not notice that another module has changed, whose functions were compiled into one ("Notes on Caching"). So
the folder is named by all that goes in, and a mark in it says that everything is compiled.

Standard library and llvmlite alone: numba reads where its folder is when a function is decorated.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import hashlib
import importlib.util
import multiprocessing
import os
import platform
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from ..core.files import is_own_folder
from ..core.isolation import RUNTIME_NOTE, open_to_all
from ..jobs.json_files import write_json
from .kernel_sources import kernel_sources
from .lane_count import LANES

PACKAGE = Path(os.path.abspath(__file__)).parents[1]
VARIABLE = "NUMBA_CACHE_DIR"  # read by numba, and by the workers of a trainer
MARK_NAME = "compiled.json"
UNUSED_DAYS = 30.0  # a folder of another checkout, Blender or processor goes when nobody has used it for so long
_WINDOWS = os.name == "nt"

_FOLDER = re.compile(r"[0-9a-f]{8}-[0-9a-f]{12}")


@dataclasses.dataclass(frozen=True)
class Fingerprint:
    """All that compiled code depends on.

    package: the folder of our package, which numba's own file names depend on. processor: LLVM's name of it; features:
    its instruction sets, in LLVM's words. sources: hash of the kernels and of what they use. lanes: lane_count.LANES.
    """

    package: str
    processor: str
    features: str
    sources: str
    versions: dict[str, str]
    lanes: int = LANES

    @property
    def origin(self) -> str:
        """Eight digits: folders of one origin replace one another."""
        return _hash(self.package, self.processor, self.features, str(self.lanes))[:8]

    @property
    def folder_name(self) -> str:
        versions = [f"{name} {version}" for name, version in sorted(self.versions.items())]
        return f"{self.origin}-{_hash(self.sources, *versions)[:12]}"


def fingerprint(package: Path = PACKAGE) -> Fingerprint:
    """The present state. Raises ImportError where llvmlite is lacking."""
    processor, features = _processor()
    versions = {"python": platform.python_version()}
    for name in ("numba", "llvmlite", "numpy"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    sources = hashlib.sha256()
    for name, text in sorted(kernel_sources(package).items()):
        for part in (name.encode(), text):
            sources.update(hashlib.sha256(part).digest())
    return Fingerprint(str(package), processor, features, sources.hexdigest(), versions)


def use() -> Path:
    """The folder of the compiled physics, told to numba as well; to be called before a kernel is defined.

    It is made where it can be written. Workers have the folder of the trainer that started them.
    """
    global _folder
    if _folder is None:
        of_trainer = os.environ.get(VARIABLE) if multiprocessing.parent_process() is not None else None
        _folder = Path(of_trainer) if of_trainer else _make(fingerprint())
        os.environ[VARIABLE] = str(_folder)
        if (numba := sys.modules.get("numba")) is not None:  # it has read the variable already
            numba.config.CACHE_DIR = str(_folder)
    return _folder


_folder: Path | None = None


def is_compiled() -> bool:
    """Whether all kernels are compiled as they are now, for this processor."""
    return (use() / MARK_NAME).is_file()


def note_compiled(seconds: float) -> None:
    """Write the mark that all is compiled, and for what; seconds: how long it took. Raises OSError."""
    facts = dataclasses.asdict(fingerprint())
    write_json(use() / MARK_NAME, {**facts, "seconds": round(seconds, 1), "time": time.time()})


def _make(state: Fingerprint) -> Path:
    for place in _places():
        folder = place / state.folder_name
        with contextlib.suppress(OSError):
            is_new = not folder.is_dir()
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)
            if open_to_all(place) or open_to_all(folder):
                continue  # what numba reads there would be run
            with tempfile.TemporaryFile(dir=folder):
                os.utime(folder)
            if is_new:
                _tidy(place, state)
            return folder
    folder = Path(tempfile.mkdtemp(prefix="backflip-compiled-"))  # for this run alone
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _places() -> Iterator[Path]:
    """Where the folders may lie, the best first: in the trainer's own runtime or environment, with which they go.

    A Python that is neither is the system's or the user's, and nothing of ours is put there. Nor on Windows: the
    runtime lies deep, and numba's files below it would pass the 260 characters that a path may have.
    """
    if not _WINDOWS and (own := _own_folder()) is not None:
        yield own / "compiled"
    if _WINDOWS:
        cache = os.environ.get("LOCALAPPDATA", "")
    elif sys.platform == "darwin":
        cache = os.path.expanduser("~/Library/Caches")
    else:
        cache = os.environ.get("XDG_CACHE_HOME", "") or os.path.expanduser("~/.cache")
    if os.path.isabs(cache):
        yield Path(cache) / "backflip" / "compiled"


def _own_folder() -> Path | None:
    """The folder of the runtime that our packages lie in, or of the environment that we run in."""
    spec = importlib.util.find_spec("llvmlite")
    packages = Path(spec.origin).parents[1] if spec is not None and spec.origin else None
    if packages is not None and (packages.parent / RUNTIME_NOTE).is_file():
        return packages.parent
    return Path(sys.prefix) if sys.prefix != sys.base_prefix else None


def _tidy(place: Path, state: Fingerprint) -> None:
    """Remove what the new folder replaces, and what nobody has used for long."""
    longest = time.time() - UNUSED_DAYS * 24 * 3600.0
    for other in place.iterdir():
        if not _FOLDER.fullmatch(other.name) or other.name == state.folder_name or not is_own_folder(other):
            continue
        if other.name.startswith(state.origin) or other.stat().st_mtime < longest:
            shutil.rmtree(other, ignore_errors=True)


def _processor() -> tuple[str, str]:
    """Name and features of the processor that numba compiles for."""
    from llvmlite import binding

    name = os.environ.get("NUMBA_CPU_NAME") or str(binding.get_host_cpu_name())
    features = os.environ.get("NUMBA_CPU_FEATURES")
    if features is None:
        with contextlib.suppress(RuntimeError):  # of a system that does not tell them
            features = str(binding.get_host_cpu_features().flatten())
    return name, features or ""


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()
