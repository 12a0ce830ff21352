# SPDX-License-Identifier: GPL-3.0-or-later
"""Shots: nonsense is refused, all others are taken in order, and none is lost with a trainer that is killed."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("numba")

from backflip_addon.core import body as bodies
from backflip_addon.core import motion as motions
from backflip_addon.core.direction import Direction
from backflip_addon.jobs.folder import JobFolder
from backflip_addon.jobs.json_files import JobError
from backflip_addon.jobs.messages import Job, Request, ShotRequest, TakeRecorded
from backflip_addon.trainer.runner import shooting
from backflip_addon.trainer.runner.runner import Run
from tests.core import performances
from tests.job_events import told

BODY = performances.body()


class Killed(BaseException):
    """Stands in for the end of the process."""


@pytest.fixture
def job(tmp_path: Path) -> JobFolder:
    folder = JobFolder(tmp_path / "job")
    settings = {"minutes": 10.0, "workers": 1, "mode": "search"}
    folder.create(Job(name="test", body=bodies.to_json(BODY), settings=settings))
    motions.save_motion(folder.reference_file, performances.standing(BODY, 0.3))
    return folder


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seeds of the shots that are taken, by a camera that takes no time; seed 13 kills its trainer."""
    seeds: list[int] = []

    def shoot(run: Run, shot: ShotRequest, _performed: object = None) -> None:
        if shot.seed == 13:
            raise Killed
        seeds.append(shot.seed)
        run.tell(TakeRecorded(file=f"{shot.seed}.npz", request=shot.request))

    monkeypatch.setattr(shooting, "_shoot", shoot)
    return seeds


def go(job: JobFolder) -> dict[str, Any]:
    Run(job, job.read_job()).go()
    return told(job)[-1]


def warnings(job: JobFolder) -> list[str]:
    return [event["message"] for event in told(job) if event["kind"] == "warning"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"seed": -1},
        {"seed": 2**63},
        {"seed": 1.5},
        {"seed": "one"},
        {"seed": True},
        {"seed": None},
        {"friction": float("nan")},
        {"friction": -0.1},
        {"friction": 11},
        {"friction": "ice"},
        {"friction": 10**400},
        {"mass": 0},
        {"mass": 0.01},
        {"mass": 21},
        {"mass": float("inf")},
        {"mass": None},
        {"mass": [1]},
        {"disturbed": "no"},
        {"replan": 0},
        {"stage": 7},
        {"stage": "../a.pt"},
        {"stage": "a\\b"},
        {"stage": "x" * 5000},
        {"stage": "a\0b"},
        {"direction": "moon"},
        {"direction": {"gravity": 0}},
        {"direction": {"push_impulse": [1, 2]}},
    ],
    ids=lambda wrong: str(wrong)[:30],
)
def test_a_shot_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(JobError, match="What was to be shot cannot be understood") as caught:
        ShotRequest.of(Request("shoot", "1", wrong), 0.9)
    assert len(str(caught.value)) < 200


def test_a_shot_takes_the_jobs_own_friction_and_names_what_differs() -> None:
    own = ShotRequest.of(Request("shoot", "1"), 0.9)
    assert own == ShotRequest(0, 0.9, 1.0, True, True, "", "1", Direction()) and own.name == "Shot 0"
    icy = ShotRequest.of(Request("shoot", "1"), 0.3)
    assert icy.friction == 0.3 and icy.name == "Shot 0", "the job's own floor was not asked for"
    assert ShotRequest.of(Request("shoot", "1", {"seed": 3, "mass": 2}), 0.5).name == "Shot 3: heavy ×2"


def test_what_is_directed_varies_by_its_direction_alone() -> None:
    asked = {"seed": 4, "direction": {"gravity": 1.62, "friction": 0.2}}
    shot = ShotRequest.of(Request("shoot", "1", asked), 0.9)
    assert not shot.disturbed and shot.direction == Direction(friction=0.2, gravity=1.62) and shot.friction == 0.2
    assert ShotRequest.of(Request("shoot", "1", asked | {"disturbed": True}), 0.9).disturbed


def test_shots_are_taken_in_order_and_one_bad_one_loses_none_after_it(job: JobFolder, taken: list[int]) -> None:
    for seed in (5, -1, 3, 9):
        job.request("shoot", seed=seed)
    end = go(job)
    assert taken == [5, 3, 9] and not job.pending_requests()
    assert end["kind"] == "finished" and end["reason"] == "shot"
    assert len(warnings(job)) == 1 and "random number" in warnings(job)[0]


def test_what_a_killed_trainer_has_not_shot_the_next_one_shoots(job: JobFolder, taken: list[int]) -> None:
    for seed in (1, 2, 13, 4, 5):
        job.request("shoot", seed=seed)
    with pytest.raises(Killed):
        go(job)
    kept = job.pending_requests()
    assert taken == [1, 2] and [request.fields["seed"] for request in kept] == [13, 4, 5]
    job.finish_request(kept[0])
    assert go(job)["reason"] == "shot", "it did not land, it only shot"
    assert taken == [1, 2, 4, 5] and not job.pending_requests()


def test_a_stop_comes_before_the_shots_and_keeps_them(job: JobFolder, taken: list[int]) -> None:
    for seed in (1, 2):
        job.request("shoot", seed=seed)
    job.request("stop")
    assert go(job)["reason"] == "stopped"
    assert not taken and [request.kind for request in job.pending_requests()] == ["shoot", "shoot"]


def test_a_shot_asked_for_during_a_shot_is_taken_after_it(
    job: JobFolder, taken: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    shoot = shooting._shoot

    def and_more(run: Run, shot: ShotRequest, _performed: object = None) -> None:
        if shot.seed == 1:
            job.request("shoot", seed=2)
        run.progress("shoot", 0.5, "Shooting a take", 0.0)
        shoot(run, shot)

    monkeypatch.setattr(shooting, "_shoot", and_more)
    monkeypatch.setattr("backflip_addon.trainer.runner.inbox.LOOK_SECONDS", 0.0)
    job.request("shoot", seed=1)
    go(job)
    assert taken == [1, 2]


def test_a_hundred_shots_are_all_taken_in_order(job: JobFolder, taken: list[int]) -> None:
    for seed in range(100, 200):
        job.request("shoot", seed=seed, direction={"gravity": 1.62})
    assert [one.fields["seed"] for one in job.shots_asked_for()] == list(range(100, 200))
    assert go(job)["reason"] == "shot"
    assert taken == list(range(100, 200)) and not job.shots_asked_for()


class InThisProcess:
    """Stands in for workers.Pool; shared: how many calls were made at a time."""

    shared: list[int] = []

    def __init__(self, count: int, make: Any, *arguments: Any, meanwhile: Any) -> None:
        self.workers = [make(*arguments) for _ in range(count)]

    def __len__(self) -> int:
        return len(self.workers)

    def share(self, method: str, arguments: list[Any]) -> list[Any]:
        self.shared.append(len(arguments))
        return [getattr(worker, method)(*own) for worker, own in zip(self.workers, arguments, strict=False)]

    def close(self) -> None:
        self.workers.clear()


def test_many_shots_of_a_plan_are_taken_side_by_side_and_in_order(
    job: JobFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip, alone = performances.standing(BODY, 0.3), []

    def perform(_track: Any, engine: str, _plan: Any, shot: ShotRequest) -> motions.Take:
        alone.append(shot.seed)
        return dataclasses.replace(performances.performed(BODY, clip), meta={"by": engine, "made_for": shot.seed})

    monkeypatch.setattr(shooting, "_as_planned", perform)
    monkeypatch.setattr(shooting, "Pool", InThisProcess)
    monkeypatch.setattr(InThisProcess, "shared", [])
    monkeypatch.setattr(shooting, "saved_plan", lambda run: "the plan")
    for seed in range(5):
        job.request("shoot", seed=seed, replan=False, direction={"clumsiness": 0.1})
    job.request("shoot", seed=5, replan=False, direction={"push_link": "tail", "push_impulse": [1, 0, 0]})
    job.request("shoot", seed=6, replan=False, direction={"part_mass": {"chest": 9}})
    run = Run(job, job.read_job())
    run.workers = 2
    run.go()
    assert InThisProcess.shared == [2, 2], "behind the fifth is one that is refused, and behind that the last"
    takes = [motions.load_take(file).meta for file in job.list_takes()]
    assert [take["seed"] for take in takes] == [take["made_for"] for take in takes] == [0, 1, 2, 3, 4, 6]
    assert alone == [0, 1, 2, 3, 4, 6] and len(warnings(job)) == 1


def test_shots_that_are_withdrawn_are_not_taken_and_nothing_else_is_lost(
    job: JobFolder, taken: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are withdrawn from Blender while the first is taken; one of them alone before that."""
    ids = [job.request("shoot", seed=seed) for seed in range(1, 9)]
    assert JobFolder(job.path).withdraw_shots([ids[3]]) == 1
    shoot = shooting._shoot

    def and_withdraw(run: Run, shot: ShotRequest, _performed: object = None) -> None:
        if shot.seed == 2:
            blender = JobFolder(job.path)
            assert blender.withdraw_shots() == 6, "that which is under way too: it is taken all the same"
            blender.request("checkpoint")
            blender.request("shoot", seed=50)
        shoot(run, shot)

    monkeypatch.setattr(shooting, "_shoot", and_withdraw)
    monkeypatch.setattr("backflip_addon.trainer.runner.inbox.LOOK_SECONDS", 0.0)
    go(job)
    assert taken == [1, 2, 50] and not job.shots_asked_for()


def test_a_shot_of_a_part_that_is_not_there_is_refused_and_ends_nothing(job: JobFolder) -> None:
    for asked in ({"push_link": "tail", "push_impulse": [1, 0, 0]}, {"part_mass": {"wing": 3}}, {"gravity": 900}):
        job.request("shoot", direction=asked)
    with pytest.raises(JobError, match="None of the shots"):
        go(job)
    told = warnings(job)
    assert len(told) == 3 and "tail" in told[0] and "wing" in told[1] and "gravity" in told[2]
    assert all(words.startswith("A shot was not taken: ") and words.endswith(".") for words in told)


def test_where_nothing_could_be_shot_the_run_says_so(job: JobFolder) -> None:
    job.request("shoot", seed=1)
    with pytest.raises(JobError, match="None of the shots"):
        go(job)
    assert "Nothing has been learned here yet" in warnings(job)[0] and not job.pending_requests()
