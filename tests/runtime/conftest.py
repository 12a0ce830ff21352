# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest

from backflip_addon.runtime import packages
from backflip_addon.runtime.packages import Step
from tests.runtime import stand_ins


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> list[Step]:
    """The steps after the one that makes the packages; a test fills them in."""
    after: list[Step] = []

    def steps(folder: Path, *_: object) -> list[Step]:
        return [Step("Making the packages", stand_ins.make_packages(folder, stand_ins.NAMES), 1.0), *after]

    monkeypatch.setattr(packages, "runtime_steps", steps)
    return after
