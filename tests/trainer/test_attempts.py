# SPDX-License-Identifier: GPL-3.0-or-later
"""Attempts are recorded as they come, and none twice."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba")

from backflip_addon.core import metrics
from backflip_addon.core import motion as motions
from backflip_addon.core.motion import Take
from backflip_addon.jobs.messages import TakeRecorded
from backflip_addon.trainer.runner import policy_phase, search_phase, story
from backflip_addon.trainer.runner.inbox import Stopped
from backflip_addon.trainer.runner.recorder import TakeRecorder
from backflip_addon.trainer.runner.runner import Run
from tests.core import performances
from tests.job_events import told
from tests.trainer.whole_jobs import make_job

BODY = performances.body()
CLIP = performances.standing(BODY, 0.3)
AT_REST = performances.over_its_feet(BODY)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    folder = make_job(tmp_path / "job", BODY, CLIP, engine="compiled")
    return Run(folder, folder.read_job())


def moved(take: Take, way: float) -> Take:
    position = take.motion.position + np.linspace(0, way, take.motion.frames)[:, None] * [1.0, 0.0, 0.0]
    return dataclasses.replace(take, motion=dataclasses.replace(take.motion, position=position))


def test_the_same_attempt_is_recorded_once_and_a_shot_always(run: Run) -> None:
    take = performances.borne(BODY, performances.performed(BODY, CLIP))
    for name in ("first", "again"):
        measures = run.record(take, name, "search", seed=3, phase="search, first try")
        assert measures.complete
    run.record(moved(take, 0.3), "another", "search", seed=3, phase="search, second try")
    run.record(take, "asked for", "replan", request="r", phase="shot")
    takes = [event for event in told(run.folder) if event["kind"] == "take"]
    assert [event["name"] for event in takes] == ["first", "another", "asked for"]
    assert [event["phase"] for event in takes] == ["search, first try", "search, second try", "shot"]
    meta = motions.load_take(run.folder.takes / takes[0]["file"]).meta
    assert meta["phase"] == "search, first try" and meta["outcome"] == takes[0]["outcome"] != ""
    assert meta["seconds_since_start"] >= 0 and meta["seed"] == 3
    resumed = Run(run.folder, run.folder.read_job())
    resumed.remember()
    resumed.record(take, "by the stage it goes on from", "search")
    assert len(run.folder.list_takes()) == 3


def test_attempts_without_noise_that_look_alike_are_one() -> None:
    take = performances.borne(BODY, performances.performed(BODY, CLIP))
    assert policy_phase._alike(take, moved(take, 0.02)) and not policy_phase._alike(take, moved(take, 0.2))
    fell = dataclasses.replace(take, meta={metrics.PERFORMED: take.motion.frames - 2})
    assert not policy_phase._alike(take, fell), "one fell and the other did not"
    assert not policy_phase._alike(take, take.first(60))


def test_the_story_is_dense_early_and_sparse_late() -> None:
    gaps = np.diff(search_phase.STORY)
    assert search_phase.STORY[0] == 0.0 and (np.diff(gaps) > -1e-9).all()
    due = [0]
    while due[-1] < 200:
        due.append(policy_phase._next_recording(due[-1]))
    assert due[:5] == [0, 1, 2, 3, 4] and (np.diff(due, 2) >= 0).all() and due[-1] - due[-2] > 15
    assert [search_phase.ordinal(n) for n in (1, 2, 3, 4, 12, 21)] == [
        "first",
        "second",
        "third",
        "4th",
        "12th",
        "21st",
    ]


class Planned:
    """A search under way whose plan so far, played to the end, is a take, and which promises as much, or does not; it
    stops once that is told."""

    control_steps, performed, end = 0, 3, 0
    track = types.SimpleNamespace(steps=9, rate=30.0, standing=True, states=[None])
    plan = None

    def __init__(self, take: Take, promises: bool = True) -> None:
        self.take = take
        self.promises = lambda *_: promises

    def checkpoint(self) -> dict[str, object]:
        return {}

    def attempt(self) -> types.SimpleNamespace:
        return types.SimpleNamespace(ended=lambda: self.take)

    def perform(self, tell: Callable[[float, float], None], promising: Callable[[], None]) -> types.SimpleNamespace:
        tell(0.8, 1.0)
        raise Stopped


def swaying(sways: float) -> Take:
    """A body that stands, and goes so fast in the last half second, m/s: below 0.15 it has landed."""
    still = performances.borne(AT_REST, performances.performed(AT_REST, CLIP))
    seconds = np.arange(still.motion.frames) / still.motion.rate
    position = still.motion.position + np.outer(sways * np.maximum(seconds - seconds[-1] + 0.6, 0.0), [0.0, -1.0, 0.0])
    take = dataclasses.replace(still, motion=dataclasses.replace(still.motion, position=position))
    assert metrics.evaluate_take(AT_REST, CLIP, take).landed is True
    return take


def test_of_two_landings_the_calmer_is_the_better(run: Run) -> None:
    recorder = TakeRecorder(run.folder, AT_REST, CLIP, lambda event: None)
    for sways, best in ((0.13, "0.13"), (0.02, "0.02"), (0.1, "0.02")):
        recorder.record(swaying(sways), TakeRecorded(name=str(sways), source="search"))
        assert recorder.best is not None and recorder.best.name == best


@pytest.mark.parametrize(("sways", "promises", "ends"), [(0.0, True, True), (0.13, True, False), (0.0, False, False)])
def test_a_plan_that_is_not_finished_ends_a_search_where_it_promises_to_land_and_brings_the_body_to_rest(
    run: Run, monkeypatch: pytest.MonkeyPatch, sways: float, promises: bool, ends: bool
) -> None:
    run.body = AT_REST
    search = Planned(swaying(sways), promises)
    monkeypatch.setattr(story, "take_of_plan", lambda *_, **__: search.take)
    landing = None
    with contextlib.suppress(Stopped):
        landing = search_phase._search_once(run, search, story.Story(run), 0)  # type: ignore[arg-type]
    assert (landing is not None) == ends
    names = [event["name"] for event in told(run.folder) if event["kind"] == "take"]
    assert names[0] == "Take 1, 80 % planned"


class Promising(Planned):
    """The same, of whose windows each ends with a promise, after so many steps."""

    def perform(self, tell: Callable[[float, float], None], promising: Callable[[], None]) -> types.SimpleNamespace:
        for self.performed in range(3, 10):
            promising()
        return self.attempt()


@pytest.mark.parametrize("sways", [0.0, 0.13])
def test_a_plan_that_promises_to_land_is_played_at_once_and_what_was_begun_before_is_told_after_it(
    run: Run, monkeypatch: pytest.MonkeyPatch, sways: float
) -> None:
    """Its number stands behind theirs all the same; one that does not land is followed by another a while later."""
    run.body, run.settings = AT_REST, dataclasses.replace(run.settings, stop_when_landed=True)
    each = itertools.count()  # of which none is the same attempt once more
    monkeypatch.setattr(story, "take_of_plan", lambda *_, **__: moved(swaying(sways), 0.001 * next(each)))
    search, chapters = Promising(swaying(0.05)), story.Story(run)
    chapters.begin(story.Chapter("a fall", None, run.takes.reserve(), {"seed": 0}))  # type: ignore[arg-type]
    landing = search_phase._search_once(run, search, chapters, 0)  # type: ignore[arg-type]
    search_phase._listen(run, chapters, wait=True)
    takes = [event for event in told(run.folder) if event["kind"] == "take"]
    numbers = {event["name"]: event["file"] for event in takes}
    assert landing is not None and numbers["a fall"].startswith("0000") and len(numbers) == len(takes)
    shares = [int(event["name"].split()[2]) for event in takes if "planned" in event["name"]]
    assert shares[0] == 33 and takes[0]["name"] == "Take 1, 33 % planned"
    assert len(shares) == 1 if sways == 0.0 else len(shares) > 2 and (np.diff(shares) >= 10).all()


def test_a_landing_that_is_to_be_clean_is_planned_on_though_it_promises_to_land(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.body = AT_REST
    monkeypatch.setattr(story, "take_of_plan", lambda *_, **__: swaying(0.0))
    search = Promising(swaying(0.05), promises=False)
    search_phase._search_once(run, search, story.Story(run), 0)  # type: ignore[arg-type]
    names = [event["name"] for event in told(run.folder) if event["kind"] == "take"]
    assert not run.settings.stop_when_landed and names == ["Take 1"]


class Trying:
    """A training of which each try ends as told, by its number."""

    iterations, samples = 3, 0
    trajectory = types.SimpleNamespace(landed=9)
    start_states = types.SimpleNamespace(draw=lambda random, first, last: 2)

    def __init__(self, first_frame: bool) -> None:
        self.first_frame, self.looks = first_frame, 0

    def attempt(self, seed: int, scene: object, disturbed: bool, exploring: bool, begins: int, plays_out: bool) -> Take:
        assert exploring and begins < 9 and (begins == 0) == self.first_frame and (disturbed or not begins)
        self.looks += not plays_out
        tail = 0.1 * (seed // policy_phase.OTHER_TRY % 10 + 1)
        return performances.borne(BODY, performances.performed(BODY, CLIP, tail))


@pytest.mark.parametrize("tries", [1, 2])
def test_of_tries_from_scratch_one_is_kept_whose_like_has_not_been_seen_for_long(
    run: Run, monkeypatch: pytest.MonkeyPatch, tries: int
) -> None:
    """Falls are played out of none but the one that is kept; one that begins well is enough."""
    phase = policy_phase.PolicyPhase.__new__(policy_phase.PolicyPhase)
    phase.run, phase.tries, phase.phase = run, tries, "scratch"
    for before, endings, kept, looks in (
        ("", "abcd", "a", 1),
        ("abc", "abca", "a", 4),
        ("cab", "accc", "c", 4),
        ("dababab", "abda", "d", 3),
        ("dababab", "dabb", "d", 1),
    ):
        phase.training = training = Trying(first_frame=tries == 1)  # type: ignore[assignment]
        phase.told = list(before)
        kinds = {4 + number: kind for number, kind in enumerate(endings)}  # by the take's length, tenths of a second
        monkeypatch.setattr(phase, "_kind", lambda take, kinds=kinds: kinds[round(take.motion.duration * 10)])
        assert phase._kind(phase._unlike_others()) == kept
        assert training.looks == looks


class Over(Planned):
    """A search that comes to a take."""

    given_up = False

    def perform(self, **_: object) -> types.SimpleNamespace:
        return self.attempt()

    def give_up_ends(self) -> None:
        self.given_up = True


def test_no_other_end_is_tried_of_what_left_its_clip_before_it_came_down(tmp_path: Path) -> None:
    """But where it counts that it lands somewhere: in a later try."""
    leap = performances.leap(AT_REST, 0.3)
    folder = make_job(tmp_path / "job", AT_REST, leap, engine="compiled")
    run = Run(folder, folder.read_job())
    whole = performances.borne(AT_REST, performances.performed(AT_REST, leap))
    touchdown = run.track.landed / run.track.rate
    for begins, attempt, given_up in ((0.1, 0, True), (0.1, 1, False), (touchdown, 0, False)):
        seconds = np.arange(whole.motion.frames) / whole.motion.rate
        way = np.outer(np.clip(8.0 * (seconds - begins), 0.0, 2.0), [0.0, 1.0, 0.0])
        motion = dataclasses.replace(whole.motion, position=whole.motion.position + way)
        search = Over(dataclasses.replace(whole, motion=motion))
        assert search_phase._search_once(run, search, story.Story(run), attempt) is None  # type: ignore[arg-type]
        assert search.given_up is given_up
