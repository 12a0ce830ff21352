# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs that trainers in processes of their own carry out, and what is read of them."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from backflip_addon.core import body as bodies
from backflip_addon.core import motion as motions
from backflip_addon.core.body import Body
from backflip_addon.core.motion import Motion
from backflip_addon.jobs.folder import JobFolder
from backflip_addon.jobs.messages import Job
from tests.core import performances
from tests.job_events import told

BODY = performances.body()
REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE = 900.0  # s; a busy machine takes many times as long


def easy_clip() -> Motion:
    """0.8 s of standing with a nudge at its end: easily followed, and no landing to wait a second for."""
    motion = performances.standing(BODY, 0.8)
    motion.position[-2:, 1] -= np.array([0.03, 0.06])
    return motion


def make_job(path: Path, body: Body = BODY, clip: Motion | None = None, **settings: Any) -> JobFolder:
    """clip: None is the easy one."""
    folder = JobFolder(path)
    settings = {"minutes": 20.0, "seed": 1, "workers": 1, "mode": "search", **settings}
    folder.create(Job(name="test", body=bodies.to_json(body), settings=settings))
    motions.save_motion(folder.reference_file, clip or easy_clip())
    return folder


def events(job: JobFolder) -> list[dict[str, Any]]:
    return told(job)


def of_kind(job: JobFolder, kind: str) -> list[dict[str, Any]]:
    return [event for event in events(job) if event["kind"] == kind]


def under_way(job: JobFolder) -> list[dict[str, Any]]:
    """What was told of progress since the physics was compiled, where it had to be."""
    return [event for event in of_kind(job, "progress") if event["phase"] != "compile"]


def wait(process: subprocess.Popen, good: Callable[[], Any]) -> None:
    """Until something is so; the trainer must be alive until then."""
    end = time.monotonic() + PATIENCE
    while not good():
        assert process.poll() is None, "the trainer ended too early"
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.02)


def children(process: subprocess.Popen) -> list[int]:
    file = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(pid) for pid in file.read_text().split()] if file.exists() else []
