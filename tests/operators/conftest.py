# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "samples"


@pytest.fixture
def ops() -> Iterator[object]:
    """bpy.ops.backflip in an empty file."""
    bpy = pytest.importorskip("bpy")
    import backflip_addon

    bpy.ops.wm.read_factory_settings(use_empty=True)
    backflip_addon.register()
    yield bpy.ops.backflip
    backflip_addon.unregister()


@pytest.fixture(scope="session")
def samples() -> Path:
    if not SAMPLES.is_dir():
        pytest.skip("the sample rigs and clips are not beside this repository")
    return SAMPLES
