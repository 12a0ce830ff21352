# SPDX-License-Identifier: GPL-3.0-or-later
"""Landings that are steadied, one after the other until one is clean: which is kept, and what a job remembers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba")
pytest.importorskip("torch")

from backflip_addon.core import metrics
from backflip_addon.core.motion import Take
from backflip_addon.trainer.planning.plan import Plan
from backflip_addon.trainer.runner import plan_files, steady_phase
from backflip_addon.trainer.runner.run_context import TimeIsUp
from backflip_addon.trainer.runner.runner import Run
from tests.core import performances
from tests.job_events import told
from tests.trainer.whole_jobs import make_job

BODY = performances.over_its_feet(performances.body())
CLIP = performances.standing(BODY, 0.3)


class Fitted:
    """A training whose feedback is fitted already: it lands in so many of twenty small disturbances."""

    def __init__(self, lands: int, iterations: int, to_go: int = 0) -> None:
        self.lands, self.iterations, self.to_go = lands, iterations, to_go
        self.samples, self.falls_short, self.heavier = 100, False, 0
        self.settings = SimpleNamespace(feedback_fit=7, feedback_fits=3)

    def allow_for_weight(self) -> bool:
        """So many more are landed then."""
        self.lands, self.iterations = self.lands + self.heavier, self.iterations + 1
        return self.heavier > 0

    @property
    def fitting(self) -> bool:
        return self.to_go > 0

    def iterate(self) -> None:
        """Fit once, to what lands in too few."""
        self.to_go, self.falls_short = self.to_go - 1, True

    def __enter__(self) -> Fitted:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def attempt(self, *_: object) -> Take:
        take = performances.borne(BODY, performances.performed(BODY, CLIP))
        raised = take.motion.position + np.array([0.0, 0.0, 1e-5 * self.lands])  # no two takes are the same
        return dataclasses.replace(take, motion=dataclasses.replace(take.motion, position=raised))

    def small_landings(self, tell: Callable[[float], None]) -> int:
        tell(0.5)
        return self.lands

    def load(self, file: Path) -> None:
        self.lands, self.iterations = (int(number) for number in file.read_text().split())

    def save(self, file: Path) -> None:
        file.write_text(f"{self.lands} {self.iterations}")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    blenders = float(np.float32(0.9))  # as a job's settings hold it that were made in a panel
    folder = make_job(tmp_path / "job", BODY, CLIP, engine="compiled", friction=blenders)
    return Run(folder, folder.read_job())


def steadied(run: Run, monkeypatch: pytest.MonkeyPatch, lands: list[int], iterations: list[int]) -> list[bool]:
    """Steady landings of which each lands so often; whether each was asked for as another one."""
    return landed(run, monkeypatch, [Fitted(*each) for each in zip(lands, iterations, strict=True)])


def landed(run: Run, monkeypatch: pytest.MonkeyPatch, fitted: list[Fitted]) -> list[bool]:
    asked: list[bool] = []

    def find(run: Run, another: bool = False) -> Plan:
        if len(asked) == len(fitted):
            raise TimeIsUp
        asked.append(another)
        return Plan(np.full((4, run.track.layout.width), float(len(asked))), 3)

    def train(_run: Run, plan: Plan) -> Any:
        return fitted[int(plan.knots[0, 0]) - 1]

    monkeypatch.setattr(steady_phase, "find_landing_plan", find)
    monkeypatch.setattr(steady_phase, "new_training", train)
    steady_phase.land_steadily(run)
    return asked


def saved_plan(run: Run) -> float:
    plan = plan_files.read_plan(run.folder.stages / plan_files.PLAN_FILE, run.track)
    assert plan is not None
    return float(plan.knots[0, 0])


def test_landings_are_searched_for_until_one_is_clean_and_the_best_is_kept(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert metrics.CLEAN_LANDINGS == 16
    asked = steadied(run, monkeypatch, [9, 5, 18, 20], [32, 16, 16, 16])
    assert asked == [False, True, True], "the third is clean"
    takes = [event for event in told(run.folder) if event["kind"] == "take"]
    assert [take["robust_of_20"] for take in takes] == [9, 18], "what is no better is not kept"
    assert [take["landed_cleanly"] for take in takes] == [False, True]
    assert [take["stage"] for take in takes] == ["000032_policy.pt", "000033_policy.pt"], "the newest is the best one's"
    assert saved_plan(run) == 3.0
    words = [event["message"] for event in told(run.folder) if event["kind"] == "progress"]
    assert "Trying it in small disturbances: 50%" in words


def test_time_that_is_up_once_a_landing_is_steadied_ends_it_with_that_one(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert steadied(run, monkeypatch, [9], [32]) == [False]
    assert saved_plan(run) == 1.0
    run.began -= 0.6 * 60.0 * run.settings.minutes
    assert steadied(run, monkeypatch, [7, 20], [32, 32]) == [False], "what was steadied is not steadied again"
    takes = [event for event in told(run.folder) if event["kind"] == "take"]
    assert [take["robust_of_20"] for take in takes] == [9]


@pytest.mark.parametrize("time", [True, False])
def test_a_plan_whose_feedback_falls_short_makes_way_for_another_while_there_is_time(
    run: Run, monkeypatch: pytest.MonkeyPatch, time: bool
) -> None:
    if not time:
        run.began -= 0.6 * 60.0 * run.settings.minutes
    short, sound = Fitted(3, 16, to_go=5), Fitted(20, 16)
    assert landed(run, monkeypatch, [short, sound]) == ([False, True] if time else [False])
    assert short.to_go == (4 if time else 0)


def test_a_landing_that_lacks_robustness_alone_allows_for_the_weight(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    weighed = Fitted(14, 16)
    weighed.heavier = 3
    assert landed(run, monkeypatch, [weighed]) == [False], "then it is clean"
    takes = [event for event in told(run.folder) if event["kind"] == "take"]
    assert [take["robust_of_20"] for take in takes] == [14, 17]
    assert [take["landed_cleanly"] for take in takes] == [False, True]
    assert takes[0]["stage"] < takes[1]["stage"]


def test_time_that_is_up_while_a_landing_is_tried_in_small_disturbances_loses_nothing(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.began -= 1.1 * 60.0 * run.settings.minutes
    assert landed(run, monkeypatch, [Fitted(9, 16)]) == [False]
    assert [event["robust_of_20"] for event in told(run.folder) if event["kind"] == "take"] == [9]
