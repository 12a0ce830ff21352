# SPDX-License-Identifier: GPL-3.0-or-later
"""No stranger's file runs in a trainer: not of the job folder, of the working directory or of a variable."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.job_events import told
from tests.jobs.launching import set_traps


def test_no_file_of_a_job_or_of_the_working_directory_runs_in_trainer_or_worker(
    launch: SimpleNamespace, make_job: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = make_job(steps=1, behaviour="workers")
    marker, beside = tmp_path / "it ran", tmp_path / "beside the .blend"
    set_traps(folder.path, marker)
    set_traps(beside, marker)
    monkeypatch.chdir(beside)
    for name in ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONUSERBASE", "LD_PRELOAD_", "DYLD_X", "PIP_X"):
        monkeypatch.setenv(name, str(beside))
    launch.start(folder, sys.executable)
    assert launch.wait_for_end(folder, 120.0).state == "finished", launch.log_tail(folder)
    assert not marker.exists(), marker.read_text()
    started = told(folder)[0]
    for facts in (started["facts"], started["worker"]):
        assert facts["isolated"] and facts["path"][0] == str(launch.ALIAS_PATH)
        open_folders = {"", ".", str(folder.path), str(beside), os.path.realpath(beside)}
        assert not open_folders & {*facts["path"], facts["cwd"]}
        assert not any(name.startswith(("PYTHON", "LD_", "DYLD_", "PIP_")) for name in facts["variables"])


@pytest.mark.parametrize("place", ["job", "beside"])
def test_a_trainer_started_by_hand_takes_nothing_from_where_the_shell_is(
    launch: SimpleNamespace, make_job: Callable[..., Any], tmp_path: Path, place: str
) -> None:
    """runpy itself is found before we can say anything; after that nothing is."""
    folder = make_job(steps=1, behaviour="workers")
    marker, beside = tmp_path / "it ran", tmp_path / "beside"
    for trapped in (folder.path, beside):
        set_traps(trapped, marker)
        for early in ("runpy.py", "sitecustomize.py", "usercustomize.py", "encodings/__init__.py"):
            (trapped / early).unlink()
        for empty in ("encodings", "backflip_addon"):
            shutil.rmtree(trapped / empty)
    here = folder.path if place == "job" else beside
    environment = {**os.environ, "PYTHONPATH": str(launch.ALIAS_PATH)}
    line = [sys.executable, "-m", "backflip_addon.trainer", os.path.relpath(folder.path, here)]
    done = subprocess.run(line, cwd=here, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert not marker.exists(), marker.read_text()
    started = told(folder)[0]
    for facts in (started["facts"], started["worker"]):
        assert not {"", ".", str(folder.path), str(beside)} & {*facts["path"], facts["cwd"]}


@pytest.mark.parametrize("python", ["bin/python", "./python", "../python", "", "no such python"])
def test_a_relative_python_is_never_taken_from_the_working_directory(
    launch: SimpleNamespace, make_job: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, python: str
) -> None:
    marker = tmp_path / "it ran"
    folder = make_job()
    for place in (folder.path, tmp_path / "here"):
        for name in ("bin/python", "python", "no such python"):
            file = place / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"#!/bin/sh\necho ran > '{marker}'\n")
            file.chmod(0o755)
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("PATH", os.pathsep.join(["", ".", "bin", "/usr/bin"]))
    with pytest.raises(launch.JobError, match="whole path"):
        launch.start(folder, python)
    assert not marker.exists() and launch.read_status(folder).state == "idle"


def test_a_python_by_its_name_is_looked_up_on_the_path(
    launch: SimpleNamespace, make_job: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_job(steps=1)
    monkeypatch.setenv("PATH", os.path.dirname(sys.executable))
    launch.start(folder, os.path.basename(sys.executable))
    assert launch.wait_for_end(folder, 120.0).state == "finished", launch.log_tail(folder)
