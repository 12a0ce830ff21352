# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs that cannot run: each is refused with one sentence, in its events and on the terminal."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba")

from backflip_addon.core import body as bodies
from backflip_addon.core import motion as motions
from backflip_addon.core.motion import Motion
from backflip_addon.jobs.folder import JobFolder
from backflip_addon.jobs.json_files import JobError
from backflip_addon.jobs.messages import JobSettings
from backflip_addon.trainer.runner import runner as running
from tests.trainer.whole_jobs import BODY, PATIENCE, REPOSITORY, easy_clip, events, of_kind


def refused(job: JobFolder, capfd: pytest.CaptureFixture) -> str:
    """The error's sentence of a job that cannot run, in this process."""
    assert running.run_job(job.path) == 1
    told = of_kind(job, "error")
    assert len(told) == 1 and events(job)[-1] == told[0]
    message = told[0]["message"]
    assert "\n" not in message and "Traceback" not in message and len(message) > 15
    output = capfd.readouterr()
    assert "Traceback" not in output.err and message in output.err
    assert not job.running()
    return message


def rewrite(job: JobFolder, **changes: Any) -> None:
    data = json.loads(job.job_file.read_text())
    job.job_file.write_text(json.dumps({**data, **changes}))


def test_a_refused_jobs_exit_status(job: JobFolder, start: Callable) -> None:
    job.job_file.write_bytes(job.job_file.read_bytes()[:200])
    assert start(job).wait(PATIENCE) == 1
    assert "job.json" in of_kind(job, "error")[0]["message"]
    assert b"Traceback" not in (job.path / "output.txt").read_bytes()


def test_damaged_jobs(job: JobFolder, capfd: pytest.CaptureFixture) -> None:
    for content in (b"", b"[]", b"{}", bytes(100)):
        job.job_file.write_bytes(content)
        job.events_file.unlink(missing_ok=True)
        assert "job.json" in refused(job, capfd)
    job.job_file.unlink()
    job.events_file.unlink()
    assert "missing" in refused(job, capfd)


def test_no_job_at_all(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    assert running.run_job(tmp_path / "nowhere") == 1
    assert not (tmp_path / "nowhere").exists()
    assert "Traceback" not in capfd.readouterr().err


def test_damaged_references(job: JobFolder, capfd: pytest.CaptureFixture) -> None:
    whole = job.reference_file.read_bytes()
    for content in (None, b"", whole[: len(whole) // 2], whole[:-1]):
        job.reference_file.unlink(missing_ok=True)
        if content is not None:
            job.reference_file.write_bytes(content)
        job.events_file.unlink(missing_ok=True)
        assert "reference.npz" in refused(job, capfd)


def test_references_that_do_not_fit(job: JobFolder, capfd: pytest.CaptureFixture) -> None:
    clip = easy_clip()
    position = clip.position.copy()
    position[3] = np.nan
    for wrong in (
        Motion(clip.rate, position, clip.rotations),
        Motion(clip.rate, clip.position[:1], clip.rotations[:1]),
        Motion(clip.rate, clip.position, clip.rotations[:, :-1]),
        Motion(1e-3, clip.position, clip.rotations),
        Motion(clip.rate, clip.position, 0 * clip.rotations),
    ):
        motions.save_motion(job.reference_file, wrong)
        job.events_file.unlink(missing_ok=True)
        message = refused(job, capfd)
        assert "motion" in message or "reference.npz" in message


@pytest.mark.parametrize("what", ["NaN", "missing", "massless", "legless", "other version"])
def test_damaged_bodies(job: JobFolder, what: str, capfd: pytest.CaptureFixture) -> None:
    body = bodies.to_json(BODY)
    body = json.loads(json.dumps(body))
    if what == "NaN":
        body["links"][2]["mass"] = float("nan")
    elif what == "missing":
        del body["links"]
    elif what == "massless":
        body["links"][4]["mass"] = 0.0
    elif what == "legless":
        body["links"] = body["links"][:3]
    else:
        body["version"] = 77
    rewrite(job, body=body)
    if what == "legless":
        clip = easy_clip()
        motions.save_motion(job.reference_file, Motion(clip.rate, clip.position, clip.rotations[:, :3]))
    assert ("job.json" if what == "NaN" else "body") in refused(job, capfd)


@pytest.mark.parametrize(
    "settings",
    [
        {"minutes": 0},
        {"minutes": -3},
        {"minutes": float("nan")},
        {"minutes": float("inf")},
        {"minutes": "ten"},
        {"minutes": None},
        {"seed": -1},
        {"seed": "x"},
        {"seed": 1.5},
        {"workers": -2},
        {"workers": "all"},
        {"workers": 100_000},
        {"minutes": 10**400},
        {"minutes": True},
        {"seed": 2**63},
        {"seed": 10**400},
        {"workers": True},
        {"stop_when_landed": "no"},
        {"mode": "guess"},
        {"mode": ["auto"]},
        {"friction": 10**400},
        {"mode": None},
        {"friction": -0.1},
        {"friction": float("nan")},
        {"friction": "ice"},
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, Any]) -> None:
    with pytest.raises(JobError) as caught:
        JobSettings.from_json(settings)
    assert str(caught.value).startswith("The training's settings are damaged") and "\n" not in str(caught.value)


def test_settings_of_a_later_version_are_ignored() -> None:
    assert JobSettings.from_json({"minutes": 3, "surprise": 1}) == JobSettings(minutes=3)


def test_a_folder_that_cannot_be_written(job: JobFolder, capfd: pytest.CaptureFixture) -> None:
    job.takes.rmdir()
    job.takes.write_text("a file where a folder should be")
    message = refused(job, capfd)
    assert "takes" in message
    if os.geteuid() == 0:
        return  # to whom nothing is read-only
    os.chmod(job.path, 0o500)
    try:
        assert running.run_job(job.path) == 1
    finally:
        os.chmod(job.path, 0o700)


def test_a_full_disk_is_told_in_one_sentence(
    job: JobFolder, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    def full(_run: running.Run) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(job.stages))

    monkeypatch.setattr(running, "land_steadily", full)
    assert "The disk is full" in refused(job, capfd)


@pytest.mark.parametrize(
    "body", [{"version": 77}, {"links": 5}, {"links": [None]}, {"links": {"a": 1}}, {"height": [1]}, {"height": None}]
)
def test_nonsense_for_a_body_is_told_in_one_sentence(
    job: JobFolder, body: dict[str, Any], capfd: pytest.CaptureFixture
) -> None:
    rewrite(job, body={**bodies.to_json(BODY), **body})
    assert "body is damaged" in refused(job, capfd)


def test_usage() -> None:
    line = [sys.executable, "-m", "backflip_addon.trainer"]
    done = subprocess.run(line, cwd=REPOSITORY, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 2 and "usage" in done.stderr
