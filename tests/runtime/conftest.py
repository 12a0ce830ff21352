# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest

from backflip_addon.runtime import packages
from backflip_addon.runtime.packages import Step
from tests.runtime import stand_ins


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> list[Step]:
    """The steps after the making of the environment; a test fills them in."""
    after: list[Step] = []

    def steps(folder: Path, python: str, compile_now: bool) -> list[Step]:
        assert not compile_now
        make = stand_ins.script(stand_ins.MAKE, str(packages.environment_python(folder)), stand_ins.WHOLE)
        return [Step("Making the environment", make, 1.0), *after]

    monkeypatch.setattr(packages, "steps", steps)
    return after
