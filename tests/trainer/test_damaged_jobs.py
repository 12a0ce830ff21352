# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs whose folder is damaged and that can go on all the same: what was damaged is set aside and kept."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("numba")

from backflip_addon.jobs.folder import JobFolder
from backflip_addon.trainer.runner import policy_phase
from backflip_addon.trainer.runner import runner as running
from backflip_addon.trainer.runner.plan_files import PLAN_FILE, SEARCH_FILE
from tests.trainer.whole_jobs import PATIENCE, events, of_kind, under_way, wait


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
    wait(process, lambda: under_way(job))
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
        policy_phase.save_stage(run, training, "scratch")
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
