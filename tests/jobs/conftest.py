# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backflip_addon.jobs.folder import JobFolder
from backflip_addon.jobs.messages import Job
from tests.jobs.folders import JOB
from tests.jobs.launching import copy_package, import_launch


@pytest.fixture(scope="module", params=["backflip_addon", "backflip"])
def launch(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """jobs.trainer_process and jobs.status of a checkout, and of an extension whose folder has another name."""
    place = copy_package(tmp_path_factory.mktemp("extensions") / "with space" / request.param)
    name = f"bl_ext_stand_in_{request.param}"
    yield import_launch(place, name)
    for module in [module for module in sys.modules if module.split(".")[0] == name]:
        del sys.modules[module]


@pytest.fixture
def make_job(launch: SimpleNamespace, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    made = []

    def make(**settings: Any) -> Any:
        folder = launch.JobFolder(tmp_path / f"a job {len(made)}")
        folder.create(Job(name="test", body={}, settings=settings))
        made.append(folder)
        return folder

    yield make
    for folder in made:
        launch.kill(folder)
        launch.wait_for_end(folder, 5.0)


@pytest.fixture
def job(tmp_path: Path) -> JobFolder:
    folder = JobFolder(tmp_path / "some job")
    folder.create(JOB)
    return folder
