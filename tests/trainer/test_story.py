# SPDX-License-Identifier: GPL-3.0-or-later
"""A search's takes under way are played beside it, and all is as if it had waited for them."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba")

from backflip_addon.core import motion as motions
from backflip_addon.core.motion import Take
from backflip_addon.trainer.planning.plan import Plan
from backflip_addon.trainer.planning.search_settings import Refining, SearchSettings
from backflip_addon.trainer.runner import search_phase, story
from backflip_addon.trainer.runner.inbox import Stopped
from backflip_addon.trainer.runner.run_context import RunContext
from backflip_addon.trainer.runner.runner import Run
from backflip_addon.trainer.runner.story import Chapter, Story
from backflip_addon.trainer.workers import Pool, WorkerError
from tests.job_events import told
from tests.trainer.whole_jobs import make_job

FEW = Refining(samples=8, rounds=3)
QUICK = SearchSettings(horizon=6, refining=FEW, grounded=FEW, caught=FEW, first_rounds=4)


@pytest.fixture(autouse=True)
def cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as are asked for, wherever this runs."""
    monkeypatch.setattr(story, "core_count", lambda: 3)


def a_run(path: Path, workers: int) -> Run:
    folder = make_job(path, workers=workers, engine="compiled", stop_when_landed=True)
    return Run(folder, folder.read_job())


def takes_of(run: RunContext) -> list[tuple[str, str, int, Take]]:
    """By their numbers."""
    events = sorted((event for event in told(run.folder) if event["kind"] == "take"), key=lambda event: event["file"])
    files = [motions.load_take(run.folder.takes / event["file"]) for event in events]
    return [(e["name"], e["phase"], e["control_steps"], take) for e, take in zip(events, files, strict=True)]


def a_chapter(run: RunContext, name: str, offset: float = 0.0) -> Chapter:
    plan = Plan(np.full((12, run.track.layout.width), offset), 3)
    return Chapter(name, plan, run.takes.reserve(), {"seed": 0})


def test_takes_are_the_same_whoever_plays_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the search itself, where it has one core, and by others, in their order, none of them left behind."""
    monkeypatch.setattr(search_phase, "search_settings_for", lambda *_: QUICK)
    pools: list[Pool] = []

    def pool(*arguments: Any, **options: Any) -> Pool:
        pools.append(Pool(*arguments, **options))
        return pools[-1]

    monkeypatch.setattr(story, "Pool", pool)
    alone, beside = (a_run(tmp_path / f"{workers}", workers) for workers in (1, 3))
    plans = [search_phase.find_landing_plan(run) for run in (alone, beside)]
    assert pools and not any(process.is_alive() for each in pools for process in each._processes)
    assert np.array_equal(plans[0].knots, plans[1].knots)
    one, other = takes_of(alone), takes_of(beside)
    assert len(one) == len(other) > 1 and "0 % planned" in one[0][0]
    for (*facts, take), (*others, same) in zip(one, other, strict=True):
        assert facts == others
        assert np.array_equal(take.motion.rotations, same.motion.rotations)


def test_a_take_whose_player_is_gone_is_played_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object, **__: object) -> Pool:
        raise WorkerError("a worker was killed; where memory has run out, close other programs")

    monkeypatch.setattr(story, "Pool", none)
    run = a_run(tmp_path / "job", 2)
    with closing(Story(run)) as chapters:
        for name, offset in (("one", 0.0), ("two", 0.05)):
            chapters.begin(a_chapter(run, name, offset))
        heard = [chapters.heard(wait=True) for _ in range(3)]
    assert heard[2] is None
    names = [each[0].name for each in heard if each]
    assert names == ["one", "two"]


def test_who_stops_does_not_wait_for_a_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = a_run(tmp_path / "job", 2)

    def stop() -> None:
        raise Stopped

    monkeypatch.setattr(run, "check", stop)
    with closing(Story(run)) as chapters:
        assert chapters.heard() is None and chapters.heard(wait=True) is None, "nothing was begun"
        chapters.begin(a_chapter(run, "one"))
        with pytest.raises(Stopped):
            chapters.heard(wait=True)
        with pytest.raises(Stopped):
            chapters.played(a_chapter(run, "two").plan)
    for pool in chapters._pools:
        assert not any(process.is_alive() for process in pool._processes)


def test_who_has_one_core_here_plays_takes_by_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many a cluster has."""
    monkeypatch.setattr(story, "core_count", lambda: 1)
    with closing(Story(a_run(tmp_path / "job", 64))) as chapters:
        chapters.begin(a_chapter(chapters._run, "one"))
        assert chapters.heard() is not None, "at once"
        assert not chapters._pools
