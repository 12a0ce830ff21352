# SPDX-License-Identifier: GPL-3.0-or-later
"""A copy of the package with a stand-in for a trainer, imported as Blender imports an extension."""

from __future__ import annotations

import importlib
import shutil
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

PACKAGE = Path(__file__).resolve().parents[2] / "backflip_addon"
STAND_IN = Path(__file__).with_name("stand_in_trainer.py")


def copy_package(place: Path) -> Path:
    """The parts of the package that launching needs, with the stand-in for a trainer."""
    runner = place / "trainer" / "runner"
    runner.mkdir(parents=True)
    # Blender alone can import the real one: the trainer's Python must not come across it.
    (place / "__init__.py").write_text("import a_module_only_blender_has\n")
    (place / "trainer" / "__init__.py").write_text("")
    shutil.copy(STAND_IN, runner / "runner.py")
    for file in ("__main__.py", "threads.py", "runner/__init__.py", "runner/signals.py"):
        shutil.copy(PACKAGE / "trainer" / file, place / "trainer" / file)
    (place / "core").mkdir()
    for file in ("__init__.py", "background.py", "constants.py", "direction.py", "files.py", "isolation.py"):
        shutil.copy(PACKAGE / "core" / file, place / "core" / file)
    shutil.copytree(PACKAGE / "jobs", place / "jobs", ignore=shutil.ignore_patterns("__pycache__"))
    return place


def import_launch(place: Path, name: str) -> SimpleNamespace:
    """The copy's trainer_process and status in one, in a package called name, as Blender imports an extension."""
    package = ModuleType(name)
    package.__path__ = [str(place)]
    sys.modules[name] = package
    process = importlib.import_module(f"{name}.jobs.trainer_process")
    status = importlib.import_module(f"{name}.jobs.status")
    parts = {**vars(process), **vars(status), "folder_module": importlib.import_module(f"{name}.jobs.folder")}
    return SimpleNamespace(**parts)


def wait_for(launch: SimpleNamespace, folder: Any, state: str) -> Any:
    end = time.monotonic() + 120.0
    while (status := launch.read_status(folder)).state != state:
        late = time.monotonic() > end
        assert not late and "Traceback" not in status.message, f"{status} instead of {state}"
        time.sleep(0.02)
    return status


TRAPS = (
    "json",
    "numpy",
    "torch",
    "pybullet",
    "numba",
    "multiprocessing",
    "sitecustomize",
    "usercustomize",
    "runpy",
    "signal",
)


def set_traps(place: Path, marker: Path) -> None:
    """Modules by the names of those that a trainer imports; each tells when it was run."""
    code = f"open({str(marker)!r}, 'a').write(__file__ + chr(10))\n"
    place.mkdir(parents=True, exist_ok=True)
    for name in TRAPS:
        (place / f"{name}.py").write_text(code)
    for name in ("encodings", "backflip_addon", "concurrent"):
        (place / name).mkdir()
        (place / name / "__init__.py").write_text(code)
