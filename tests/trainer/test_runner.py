# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole jobs in processes of their own: told in events, killed, taken up again, and refused with a sentence."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pybullet")

from backflip_addon.core import body as bodies
from backflip_addon.core import motion as motions
from backflip_addon.core.motion import Motion
from backflip_addon.jobs.folder import JobFolder
from backflip_addon.jobs.json_files import JobError
from backflip_addon.jobs.messages import Job, JobSettings
from backflip_addon.jobs.os_processes import process_alive
from backflip_addon.trainer.runner import policy_phase
from backflip_addon.trainer.runner import runner as running
from backflip_addon.trainer.runner.plan_files import PLAN_FILE, SEARCH_FILE
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


@pytest.fixture
def job(tmp_path: Path) -> JobFolder:
    return make_job(tmp_path / "job with space")


def make_job(path: Path, **settings: Any) -> JobFolder:
    folder = JobFolder(path)
    settings = {"minutes": 20.0, "seed": 1, "workers": 1, "mode": "search", **settings}
    folder.create(Job(name="test", body=bodies.to_json(BODY), settings=settings))
    motions.save_motion(folder.reference_file, easy_clip())
    return folder


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


def events(job: JobFolder) -> list[dict[str, Any]]:
    return told(job)


def of_kind(job: JobFolder, kind: str) -> list[dict[str, Any]]:
    return [event for event in events(job) if event["kind"] == kind]


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
        assert {"landed", "success", "assist", "g_mpjpe_mm", "jerk_ratio", "torque"} <= measures.keys()
        assert take.meta["source"] == "search" and take.meta["seed"] == 1 and take.meta["name"]
        assert take.motion.rate == 120.0 and measures["assist"] == 0.0 and measures["torque"] <= 1 + 1e-6
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
    assert workers, "physics has processes of its own"
    second.kill()
    second.wait()
    assert not job.running()
    end = time.monotonic() + PATIENCE
    while any(process_alive(pid) for pid in workers) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(process_alive(pid) for pid in workers), "nothing is left behind"
    with np.load(saved, allow_pickle=False) as data:
        performed, steps = int(data["performed"]), int(data["control_steps"])
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
    wait(process, lambda: of_kind(job, "progress"))
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


def test_a_policy_killed_in_its_practice_goes_on(tmp_path: Path, start: Callable) -> None:
    pytest.importorskip("torch")
    from backflip_addon.trainer.rl.trainer import LearningSettings

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
    policy = [take for take in of_kind(job, "take") if take["source"] == "policy"]
    first, taught = (int(take["stage"].split("_")[0]) for take in policy[:2])
    assert first == 0 and taught > LearningSettings().feedback_fit, "until its lesson is over it performs as it did"


def test_while_a_policy_is_to_follow_a_search_tells_the_whole_works_progress(tmp_path: Path, start: Callable) -> None:
    job = make_job(tmp_path / "job", mode="auto", minutes=2.0)
    process = start(job)
    wait(process, lambda: of_kind(job, "progress"))
    job.request("stop")
    assert process.wait(PATIENCE) == 0
    first = of_kind(job, "progress")[0]
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
    job.request("shoot", seed=2, disturbed=False, replan=False)
    job.request("shoot", seed=3, disturbed=False, stage="000000_policy.pt")
    assert start(job).wait(PATIENCE) == 0
    takes = of_kind(job, "take")[-3:]
    assert [take["source"] for take in takes] == ["replan", "policy", "policy"]
    assert [take["stage"] for take in takes] == ["", "000000_policy.pt", "000000_policy.pt"]


def test_termination_is_a_stop(job: JobFolder, start: Callable) -> None:
    process = start(job)
    wait(process, lambda: of_kind(job, "progress"))
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
    wait(process, lambda: of_kind(job, "progress"))
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


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_a_stop_is_obeyed_though_a_worker_was_stopped(job: JobFolder, start: Callable) -> None:
    process = start(job)
    wait(process, lambda: of_kind(job, "progress"))
    workers = [pid for pid in children(process) if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    job.request("stop")
    assert process.wait(PATIENCE) == 0
    assert events(job)[-1]["reason"] == "stopped" and (job.stages / SEARCH_FILE).exists()
    assert workers and not any(process_alive(pid) for pid in workers)


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


def test_a_stop_while_paused_and_the_end_of_time(tmp_path: Path, start: Callable) -> None:
    short = make_job(tmp_path / "short", minutes=0.001)
    process = start(short)
    assert process.wait(PATIENCE) == 0
    assert events(short)[-1]["reason"] == "time" and of_kind(short, "take")


# Refused


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
    assert str(caught.value).startswith("The job's settings are damaged") and "\n" not in str(caught.value)


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


def test_a_job_with_every_kind_of_damage_is_started_again_and_keeps_what_was_damaged(
    job: JobFolder, start: Callable
) -> None:
    (job.stages / SEARCH_FILE).write_bytes(b"PK half a file")
    np.savez(job.stages / PLAN_FILE, other=np.full((3, 28), np.nan))
    lines = [{"kind": "take", "file": "0000_search.npz", "score": "high", "control_steps": 10**400}]
    lines.append({"kind": "take", "file": "x" * 5000, "score": 1.0})
    job.events_file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (job.takes / "²²²²_x.npz").write_bytes(b"")
    (job.takes / "0000_search.npz").write_bytes(b"no take")
    (job.takes / "0004_folder.npz").mkdir()
    (job.requests / "x.json").mkdir()
    process = start(job)
    wait(process, lambda: of_kind(job, "progress"))
    job.request("stop")
    assert process.wait(PATIENCE) == 0
    assert events(job)[-1]["reason"] == "stopped" and not of_kind(job, "error")
    told = " ".join(event["message"] for event in of_kind(job, "warning"))
    for name in (SEARCH_FILE, PLAN_FILE):
        assert f"{name}.damaged-1" in told and (job.stages / f"{name}.damaged-1").exists()
    assert (job.takes / "0000_search.npz").read_bytes() == b"no take"
    assert min(int(file.name[:4]) for file in job.takes.glob("*_search.npz") if file.stat().st_size > 7) == 5


def test_stages_that_cannot_be_used_are_set_aside_and_an_older_one_is_gone_on_from(job: JobFolder) -> None:
    torch = pytest.importorskip("torch")
    from backflip_addon.trainer.rl import checkpoints

    run = running.Run(job, job.read_job())
    with policy_phase.new_training(run, None) as training:
        training.save(job.stages / "000001_policy.pt")
        content = checkpoints.load(job.stages / "000001_policy.pt")
        content["network"]["actor.0.weight"] *= float("nan")
        checkpoints.save(job.stages / "000002_policy.pt", content)
        (job.stages / "000003_policy.pt").write_bytes(b"nothing that torch knows")
        torch.save({"version": 999}, job.stages / "000004_policy.pt")
        used = policy_phase.load_latest_stage(run, training)
    assert used == job.stages / "000001_policy.pt"
    assert [file.name for file in job.list_stages()] == ["000001_policy.pt"]
    told = [event["message"] for event in of_kind(job, "warning")]
    assert len(told) == 3 and all("damaged-1" in message and message.endswith("done anew.") for message in told)


def test_a_folder_in_a_stages_place_goes_aside(job: JobFolder) -> None:
    pytest.importorskip("torch")
    run = running.Run(job, job.read_job())
    (job.stages / "000000_scratch.pt").mkdir()
    with policy_phase.new_training(run, None) as training:
        policy_phase.PolicyPhase(run, training, None)._save_stage()
    assert (job.stages / "000000_scratch.pt").is_file() and (job.stages / "000000_scratch.pt.damaged-1").is_dir()


def test_what_stands_in_the_place_of_the_events_goes_aside(job: JobFolder, start: Callable) -> None:
    (job.path / "elsewhere").write_text("somebody else's")
    job.events_file.symlink_to(job.path / "elsewhere")
    job.request("stop")
    assert start(job).wait(PATIENCE) == 0
    assert [event["kind"] for event in events(job)] == ["started", "finished"]
    assert (job.path / "elsewhere").read_text() == "somebody else's"
    assert (job.path / "events.jsonl.damaged-1").is_symlink()


def test_events_with_a_second_name_elsewhere_are_copied_and_the_other_is_left_as_it_was(
    job: JobFolder, start: Callable
) -> None:
    elsewhere = job.path / "elsewhere"
    elsewhere.write_text('{"time": 1, "kind": "progress"}\n')
    os.link(elsewhere, job.events_file)
    job.request("stop")
    assert start(job).wait(PATIENCE) == 0
    assert [event["kind"] for event in events(job)] == ["progress", "started", "finished"]
    assert elsewhere.read_text() == '{"time": 1, "kind": "progress"}\n'


def test_a_full_disk_is_told_in_one_sentence(
    job: JobFolder, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    def full(_run: running.Run) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(job.stages))

    monkeypatch.setattr(running, "find_landing_plan", full)
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
