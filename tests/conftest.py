# SPDX-License-Identifier: GPL-3.0-or-later
"""For all tests: a Blender that neither knows nor changes what the user has set up."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import pytest

_RESOURCES = tempfile.mkdtemp(prefix="backflip-tests-")
os.environ["BLENDER_USER_RESOURCES"] = _RESOURCES  # read when bpy is imported

_exit_status = 0


@pytest.fixture(scope="session")
def build() -> ModuleType:
    """build.py, as a module."""
    spec = importlib.util.spec_from_file_location("backflip_build", Path(__file__).resolve().parents[1] / "build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def pytest_sessionfinish(exitstatus: int) -> None:
    global _exit_status
    _exit_status = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    shutil.rmtree(_RESOURCES, ignore_errors=True)
    if "bpy" in sys.modules:
        # Blender's module may crash or hang in its own end, which says nothing of the tests.
        shutil.rmtree(sys.modules["bpy"].app.tempdir, ignore_errors=True)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_exit_status)
