# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole job, and trainers for it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backflip_addon.jobs.folder import JobFolder
from tests.trainer.whole_jobs import REPOSITORY, make_job

ENGINES = ("pybullet", "compiled")


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine that performs, where it is there."""
    if request.param == "pybullet":
        pytest.importorskip("pybullet")
    return request.param


@pytest.fixture
def job(tmp_path: Path) -> JobFolder:
    return make_job(tmp_path / "Zoë's job 日本")


@pytest.fixture
def start() -> Iterator[Callable[[JobFolder], subprocess.Popen]]:
    """Start a trainer; all are dead when the test ends."""
    processes = []

    def begin(job: JobFolder) -> subprocess.Popen:
        line = [sys.executable, "-m", "backflip_addon.trainer", str(job.path)]
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        log = open(job.path / "output.txt", "ab")  # noqa: SIM115
        process = subprocess.Popen(line, cwd=REPOSITORY, env=environment, stdout=log, stderr=log)
        log.close()
        processes.append(process)
        return process

    yield begin
    for process in processes:
        process.kill()
        process.wait()
