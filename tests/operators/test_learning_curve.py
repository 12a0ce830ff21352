# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from backflip_addon.jobs.folder import JobFolder  # noqa: E402
from backflip_addon.jobs.messages import Job  # noqa: E402
from backflip_addon.operators import job_monitor, learning_curve  # noqa: E402
from tests.job_events import tell  # noqa: E402


@pytest.fixture
def folder(ops: Any, tmp_path: Path) -> JobFolder:
    result = JobFolder(tmp_path / "job")
    result.create(Job(name="test", avatar="Hero", body={}, settings={}))
    job_monitor.set_job(bpy.context.scene, result.path)
    return result


def add(folder: JobFolder, *scores: float, landed: bool = False) -> None:
    first = len(list(folder.takes.iterdir()))
    for number, score in enumerate(scores, first):
        (folder.takes / f"{number:04d}_search.npz").touch()
        tell(folder, "take", file=f"{number:04d}_search.npz", score=score, landed=landed, phase="search, first try")
    job_monitor.refresh(bpy.context.scene, whole=True)


def test_the_curve_has_every_take_and_the_best_so_far(folder: JobFolder) -> None:
    add(folder, 0.4)
    assert learning_curve.curve(bpy.context.scene) is None, "one take is no curve"
    add(folder, 0.2, 0.6, -5.0)
    add(folder, 0.9, landed=True)
    curve = learning_curve.curve(bpy.context.scene)
    np.testing.assert_allclose(curve.x, [0.0, 0.25, 0.5, 0.75, 1.0])
    np.testing.assert_allclose(curve.y, [0.4, 0.2, 0.6, 0.0, 0.9], atol=1e-6)
    np.testing.assert_allclose(curve.best, [0.4, 0.4, 0.6, 0.6, 0.9], atol=1e-6)
    assert curve.landed.tolist() == [False, False, False, False, True]
    assert job_monitor.latest(bpy.context.scene).phase == "search, first try"


def test_of_very_many_takes_some_are_drawn_and_the_best_is_of_all(folder: JobFolder) -> None:
    scores = np.full(1000, 0.3)
    scores[501] = 0.8
    curve = learning_curve._curve(scores, np.zeros(1000, dtype=bool))
    assert len(curve.x) == learning_curve.MOST_DOTS and curve.x[0] == 0.0 and curve.x[-1] == 1.0
    assert curve.best[0] == 0.3 and curve.best[-1] == 0.8 and (np.diff(curve.best) >= 0.0).all()


def test_it_is_drawn_while_a_training_is_at_work_and_wanted(folder: JobFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    add(folder, 0.4, 0.5)
    assert not learning_curve.shown(bpy.context.scene)
    monkeypatch.setattr(JobFolder, "running", lambda _folder: True)
    folder.trainer_file.write_text(json.dumps({"pid": os.getpid(), "started": time.time() - 10.0}))
    tell(folder, "started", pid=os.getpid())
    job_monitor.refresh(bpy.context.scene, whole=True)
    assert learning_curve.shown(bpy.context.scene)
    bpy.context.scene.backflip.browser.curve = False
    assert not learning_curve.shown(bpy.context.scene)
