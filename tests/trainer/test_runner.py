# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole jobs in processes of their own: told in events, killed, paused, stopped and taken up again."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba")

from backflip_addon.core import motion as motions
from backflip_addon.jobs.folder import JobFolder
from backflip_addon.jobs.os_processes import process_alive
from backflip_addon.trainer.runner import policy_phase
from backflip_addon.trainer.runner import runner as running
from backflip_addon.trainer.runner.plan_files import SEARCH_FILE
from tests.trainer.whole_jobs import PATIENCE, children, events, make_job, of_kind, under_way, wait

STOP_PATIENCE = 120.0  # s; a stop while paused has little left to do


def test_a_job_from_start_to_finish(job: JobFolder, start: Callable) -> None:
    assert start(job).wait(PATIENCE) == 0
    told = events(job)
    kinds = [event["kind"] for event in told]
    assert kinds[0] == "started" and kinds[-1] == "finished" and "error" not in kinds
    assert told[0]["mode"] == "search" and told[0]["workers"] == 1
    times = [event["time"] for event in told]
    assert times == sorted(times)
    for event in of_kind(job, "progress"):
        assert 0 <= event["fraction"] <= 1 and event["seconds_left"] >= 0 and event["phase"] == "search"
        assert event["message"] and event["seconds"] >= 0
    steps = [event["control_steps"] for event in told if "control_steps" in event]
    assert steps == sorted(steps) and steps[-1] > 0
    end = told[-1]
    assert end["reason"] == "landed" and end["landed"] is False, "there is nothing to land in this clip"
    files = [event["file"] for event in of_kind(job, "take")]
    assert files and end["best_take"] in files
    assert [file.name for file in job.list_takes()] == files
    for file in job.list_takes():
        take = motions.load_take(file)
        measures = take.meta["measures"]
        assert {"landed", "landed_cleanly", "success", "hops", "slide_cm", "shake"} <= measures.keys()
        assert take.meta["source"] == "search" and take.meta["seed"] == 1 and take.meta["name"]
        assert take.motion.rate == 120.0
    best = motions.load_take(job.takes / end["best_take"])
    assert best.meta["measures"]["success"] is True
    assert not job.running() and not job.trainer_file.exists()

    # Once more: what is known is not searched for again
    assert start(job).wait(PATIENCE) == 0
    again = events(job)[len(told) :]
    assert [event["kind"] for event in again] == ["started", "finished"] and again[-1]["reason"] == "landed"


def test_killed_twice_and_taken_up_again(job: JobFolder, start: Callable) -> None:
    first = start(job)
    wait(first, lambda: of_kind(job, "started"))
    first.kill()
    first.wait()
    assert not job.running()

    second = start(job)
    saved = job.stages / SEARCH_FILE
    wait(second, saved.exists)
    workers = children(second)
    second.kill()
    second.wait()
    assert not job.running()
    end = time.monotonic() + PATIENCE
    while any(process_alive(pid) for pid in workers) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(process_alive(pid) for pid in workers), "nothing is left behind"
    with np.load(saved, allow_pickle=False) as data:
        performed, steps = int(data["strides"].sum()), int(data["control_steps"])
    assert performed > 0 and steps > 0
    with open(job.events_file, "ab") as file:
        file.write(b'{"kind": "progr')  # and the kill fell into a line

    third = start(job)
    wait(third, lambda: len(of_kind(job, "started")) == 3)
    assert job.running(), "found again, though the one before left its heartbeat"
    assert third.wait(PATIENCE) == 0
    last = [event["kind"] for event in events(job)].count("started")
    assert last == 3 and events(job)[-1]["kind"] == "finished" and events(job)[-1]["reason"] == "landed"
    begun = max(i for i, event in enumerate(events(job)) if event["kind"] == "started")
    went_on = [event["control_steps"] for event in events(job)[begun:] if "control_steps" in event]
    assert min(went_on) >= steps, "counted on from what was saved"
    first_fraction = next(event["fraction"] for event in events(job)[begun:] if event["kind"] == "progress")
    assert first_fraction >= performed / 24 - 1e-6, "planned on from where it was"
    numbers = [file.name for file in job.list_takes()]
    assert len(numbers) == len(set(numbers)) and all(motions.load_take(file) for file in job.list_takes())


def test_pause_resume_checkpoint_and_stop(job: JobFolder, start: Callable) -> None:
    process = start(job)
    wait(process, lambda: under_way(job))
    job.request("pause")
    wait(process, lambda: of_kind(job, "paused"))
    count = len(events(job))
    time.sleep(1.0)
    assert len(events(job)) == count and job.running(), "quiet, and alive"
    job.request("resume")
    wait(process, lambda: of_kind(job, "resumed"))
    job.request("checkpoint")
    job.request("stop")
    assert process.wait(PATIENCE) == 0
    end = events(job)[-1]
    assert end["kind"] == "finished" and end["reason"] == "stopped"
    assert (job.stages / SEARCH_FILE).exists(), "a stopped job can go on"
    assert of_kind(job, "take") and end["best_take"]
    assert not job.running()


def test_a_policy_killed_in_its_rollouts_goes_on(tmp_path: Path, start: Callable) -> None:
    pytest.importorskip("torch")
    from backflip_addon.trainer.physics import engines
    from backflip_addon.trainer.rl.settings import LearningSettings

    job = make_job(tmp_path / "job", mode="auto")
    process = start(job)
    wait(process, lambda: any(stage.get("samples", 0) > 0 for stage in of_kind(job, "stage")))
    process.kill()
    process.wait()
    before = len(events(job))
    samples = max(stage.get("samples", 0) for stage in of_kind(job, "stage"))
    process = start(job)

    def collected() -> bool:
        return any(e["kind"] == "stage" and e.get("samples", 0) > samples for e in events(job)[before:])

    wait(process, collected)
    job.request("stop")
    assert process.wait(PATIENCE) == 0
    again = events(job)[before:]
    assert not [e for e in again if e["kind"] == "progress" and e["phase"] == "search"], "the plan is known"
    assert min(e["samples"] for e in again if e["kind"] == "stage" and "samples" in e) >= samples
    assert again[-1]["reason"] in ("stopped", "robust"), "so easy a clip may be mastered before the stop is read"
    policy = [take for take in of_kind(job, "take") if take["source"] == "policy" and "try" not in take["name"]]
    # Until its feedback is fitted it performs as it did: without PyBullet the plan to the number, which is recorded
    stages = [int(take["stage"].split("_")[0]) for take in policy]
    before_it, fitted = ([], stages[0]) if engines.chosen("auto") == "compiled" else (stages[:1], stages[1])
    assert not any(before_it) and fitted > LearningSettings().feedback_fit


def test_while_a_policy_is_to_follow_a_search_tells_the_whole_works_progress(tmp_path: Path, start: Callable) -> None:
    job = make_job(tmp_path / "job", mode="auto", minutes=2.0)
    process = start(job)
    wait(process, lambda: under_way(job))
    job.request("stop")
    assert process.wait(PATIENCE) == 0
    first = under_way(job)[0]
    assert first["phase"] == "search"
    assert first["fraction"] == pytest.approx(first["seconds"] / 120, abs=1e-3)
    assert first["seconds"] + first["seconds_left"] == pytest.approx(120, abs=0.1)


def test_shots_are_replanned_and_a_policy_performs_when_asked(job: JobFolder, start: Callable) -> None:
    pytest.importorskip("torch")
    assert start(job).wait(PATIENCE) == 0
    run = running.Run(job, job.read_job())
    with policy_phase.new_training(run, None) as training:
        training.save(job.stages / "000000_policy.pt")
    job.request("shoot", seed=1, disturbed=False)
    job.request("shoot", seed=2, replan=False, direction={"gravity": 1.62, "push_impulse": [5, 0, 0], "falls_at": 0.4})
    job.request("shoot", seed=3, disturbed=False, stage="000000_policy.pt")
    assert start(job).wait(PATIENCE) == 0
    takes = of_kind(job, "take")[-3:]
    assert [take["source"] for take in takes] == ["replan", "policy", "policy"]
    assert [take["stage"] for take in takes] == ["", "000000_policy.pt", "000000_policy.pt"]
    assert [take["seed"] for take in takes] == [1, 2, 3], "each its own, and not the job's"
    asked = "pushed 5 N s at 0 s, gravity 1.62 m/s², gives up at 0.4 s"
    assert [take["phase"] for take in takes] == ["shot", f"shot: {asked}", "shot"]
    meta = motions.load_take(job.takes / takes[1]["file"]).meta
    assert meta["direction"]["gravity"] == 1.62 and meta["scene"]["gravity"][2] == -1.62 and meta["seed"] == 2
    assert meta["performed_frames"] == 49 and not meta["measures"]["landed"], "it gave up when it was told to"


def test_termination_is_a_stop(job: JobFolder, start: Callable) -> None:
    process = start(job)
    wait(process, lambda: under_way(job))
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0
    assert events(job)[-1]["kind"] == "finished" and events(job)[-1]["reason"] == "stopped"


@pytest.mark.parametrize("twice", [False, True])
def test_termination_while_the_trainer_loads_is_a_stop_too(job: JobFolder, start: Callable, twice: bool) -> None:
    process = start(job)
    # The lock is taken right before what takes long to load
    wait(process, lambda: any(file.suffix == ".lock" for file in job.path.iterdir()))
    for _ in range(1 + twice):
        process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
    assert process.wait(PATIENCE) == 0
    assert [event["kind"] for event in events(job)] == ["started", "finished"]
    assert events(job)[-1]["reason"] == "stopped"
    assert b"Traceback" not in (job.path / "output.txt").read_bytes()


@pytest.mark.parametrize("fate", ["moved while paused", "deleted while it works"])
def test_without_its_folder_a_trainer_and_its_workers_end_by_themselves(
    job: JobFolder, start: Callable, fate: str
) -> None:
    process = start(job)
    wait(process, lambda: under_way(job))
    workers = children(process)
    if "paused" in fate:
        job.request("pause")
        wait(process, lambda: of_kind(job, "paused"))
        job.path.rename(job.path.with_name("moved"))
    else:
        shutil.rmtree(job.path, ignore_errors=True)
        shutil.rmtree(job.path, ignore_errors=True)  # what was written meanwhile
    assert process.wait(PATIENCE) == 1
    end = time.monotonic() + 10
    while any(process_alive(pid) for pid in workers) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(process_alive(pid) for pid in workers)
    assert not job.path.exists(), "nothing is made where the job was"


def test_a_shot_under_way_when_the_trainer_is_killed_is_taken_by_the_next_and_none_twice(
    job: JobFolder, start: Callable
) -> None:
    assert start(job).wait(PATIENCE) == 0
    before = len(job.list_takes())
    for seed in (11, 12):
        job.request("shoot", seed=seed)
    process = start(job)
    wait(process, lambda: len(of_kind(job, "take")) > before and of_kind(job, "progress")[-1]["phase"] == "shoot")
    process.kill()
    process.wait()
    assert job.pending_requests(), "the rest is still asked for"
    assert start(job).wait(PATIENCE) == 0
    assert events(job)[-1]["reason"] == "shot" and not job.pending_requests()
    takes = [motions.load_take(file).meta for file in job.list_takes()[before:]]
    assert [take["seed"] for take in takes] == [11, 12]
    assert [take["seed"] for take in of_kind(job, "take")[before:]] == [11, 12]


def test_a_stop_while_paused_ends_the_job_where_it_was(job: JobFolder, start: Callable) -> None:
    process = start(job)
    wait(process, lambda: under_way(job))
    job.request("pause")
    wait(process, lambda: of_kind(job, "paused"))
    time.sleep(0.5)  # paused for a while, not just asked to be
    assert events(job)[-1]["kind"] == "paused" and process.poll() is None and job.running()
    job.request("stop")
    assert process.wait(STOP_PATIENCE) == 0
    kinds = [event["kind"] for event in events(job)]
    after = kinds[kinds.index("paused") + 1 :]
    assert after[-1] == "finished" and "resumed" not in kinds and "progress" not in after, "nothing more was searched"
    assert events(job)[-1]["reason"] == "stopped" and not job.running() and not job.pending_requests()
    assert (job.stages / SEARCH_FILE).exists(), "it can go on"


def test_the_end_of_time(tmp_path: Path, start: Callable) -> None:
    short = make_job(tmp_path / "short", minutes=0.001)
    process = start(short)
    assert process.wait(PATIENCE) == 0
    assert events(short)[-1]["reason"] == "time" and of_kind(short, "take")
