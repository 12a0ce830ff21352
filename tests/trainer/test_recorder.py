# SPDX-License-Identifier: GPL-3.0-or-later
"""A job's takes: none is overwritten, none falsely praised, whatever else lies in the folder."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba")

from backflip_addon.core import metrics
from backflip_addon.core import motion as motions
from backflip_addon.core.body import FEET
from backflip_addon.core.constants import GRAVITY
from backflip_addon.core.motion import Motion, Take
from backflip_addon.jobs.folder import JobFolder
from backflip_addon.jobs.json_values import json_ready
from backflip_addon.jobs.messages import Job, TakeRecorded, event_from_json
from backflip_addon.trainer.runner.recorder import TakeRecorder, steps_of
from tests.core import performances
from tests.job_events import told

BODY = performances.body()
CLIP = performances.standing(BODY, 0.5)


def standing_take(**meta: Any) -> Take:
    """The clip and a second more, as a simulation would record it."""
    still = performances.standing(BODY, 0.5 + metrics.TAIL_SECONDS)
    motion = still.resampled(120.0)
    contacts = np.zeros(motion.rotations.shape[:2], dtype=bool)
    feet = [BODY.index(name) for name in FEET]
    contacts[:, feet] = True
    load = np.zeros(contacts.shape, dtype=np.float32)
    load[:, feet] = BODY.mass * GRAVITY / len(feet)
    return Take(motion, contacts, np.full(motion.frames, 0.5), np.zeros(motion.frames), meta, load)


@pytest.fixture
def job(tmp_path: Path) -> JobFolder:
    folder = JobFolder(tmp_path / "job")
    folder.create(Job(name="test", body={}, settings={}))
    return folder


def recorder(job: JobFolder) -> TakeRecorder:
    made = TakeRecorder(job, BODY, CLIP, job.append_event)
    made.remember(job.read_events()[0])
    return made


def best_of(one: TakeRecorder) -> tuple[tuple[int, bool, float], str]:
    assert one.best is not None
    return one.best.rank, one.best.file


def takes_told(job: JobFolder) -> list[dict[str, Any]]:
    return [event for event in told(job) if event["kind"] == "take"]


def test_numbers_go_on_from_whatever_lies_there_and_overwrite_nothing(job: JobFolder) -> None:
    (job.takes / "²²²²_x.npz").write_text("no number, though str.isdigit() says so")
    (job.takes / "٣٣٣٣_x.npz").write_text("nor this one")
    (job.takes / "99999999999_x.npz").write_text("more than a number of ours")
    (job.takes / "0007_folder.npz").mkdir()
    (job.takes / "0008_link.npz").symlink_to(job.takes / "nowhere")
    one = recorder(job)
    one.record(standing_take(), TakeRecorded(name="first", source="search"))
    assert (job.takes / "0009_search.npz").is_file()
    (job.takes / "0010_search.npz").write_text("come by itself")
    one.record(standing_take(), TakeRecorded(name="second", source="search"))
    assert (job.takes / "0010_search.npz").read_text() == "come by itself"
    assert (job.takes / "0011_search.npz").is_file()
    recorder(job).record(standing_take(), TakeRecorded(name="third", source="search"))
    assert (job.takes / "0012_search.npz").is_file()


def test_events_that_make_no_sense_are_passed_over(job: JobFolder) -> None:
    (job.takes / "0000_search.npz").write_text("")
    (job.takes / "0001_search.npz").write_text("")
    wrong: list[dict[str, Any]] = [
        {"score": "high"},
        {"score": None},
        {"score": 1e300},
        {"score": [1]},
        {"score": True},
        {"landed": "yes"},
        {"file": "x" * 5000},
        {"file": 7},
        {"file": None},
        {"file": "../job.json"},
        {"file": ["0000_search.npz"]},
        {"file": "a\0b"},
        {"request": 5},
        {"time": "noon", "request": "r"},
    ]
    lines = [{"kind": "take", "file": "0000_search.npz", "score": 0.5, **change} for change in wrong]
    lines.append({"kind": "take", "file": "0001_search.npz", "score": 0.9})
    job.events_file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert best_of(recorder(job)) == ((False, 0, False, 0, 0.9), "0001_search.npz")


@pytest.mark.parametrize("steps", ["many", 10**400, -1, 1.5, None, [1]])
def test_control_steps_that_make_no_sense_count_for_nothing(steps: Any) -> None:
    assert steps_of(event_from_json({"kind": "progress", "control_steps": steps})) == 0
    assert steps_of(event_from_json({"kind": "progress", "control_steps": 12})) == 12


def test_a_take_that_falls_after_its_last_frame_has_not_landed_and_ranks_below_one_that_stands(job: JobFolder) -> None:
    one = recorder(job)
    stands = one.record(standing_take(**{metrics.STANDS: True}), TakeRecorded(name="stands", source="search"))
    falls = one.record(standing_take(**{metrics.STANDS: False}), TakeRecorded(name="falls", source="search"))
    unknown = one.record(standing_take(), TakeRecorded(name="nobody looked", source="search"))
    assert (stands.landed, falls.landed, unknown.landed) == (True, False, True)
    assert (stands.stands_3_s, falls.stands_3_s, unknown.stands_3_s) == (True, False, None)
    assert one.best is not None and one.best.file == "0000_search.npz"
    assert best_of(recorder(job)) == best_of(one), "a later run thinks the same"
    assert [event["landed"] for event in takes_told(job)] == [True, False, True]


def test_what_is_said_to_have_landed_is_looked_at_again(job: JobFolder) -> None:
    """A stranger's takes, events and all: one that was carried, one that is no take, and one that landed."""
    one = recorder(job)
    landed = standing_take(**{metrics.STANDS: True})
    one.record(landed, TakeRecorded(name="landed", source="search"))
    assert landed.load is not None
    carried = dataclasses.replace(landed, load=landed.load * 0)
    one.record(carried, TakeRecorded(name="carried", source="search"))
    (job.takes / "0002_search.npz").write_bytes(b"nothing")
    said = {"kind": "take", "landed": True, "landed_cleanly": True, "success": True, "score": 1.0, "stands_3_s": True}
    lies = [{**said, "file": f"000{number}_search.npz"} for number in (1, 2)]
    job.events_file.write_text("".join(json.dumps(line) + "\n" for line in (*takes_told(job), *lies)))
    later = recorder(job)
    assert later.best is not None and later.best.file == "0000_search.npz" and later.best.landed
    (job.takes / "0000_search.npz").unlink()
    assert (best := recorder(job).best) is not None and not best.landed and not best.success


def test_an_untold_take_is_told_as_it_is_and_not_as_it_says(job: JobFolder) -> None:
    recorder(job).record(standing_take(), TakeRecorded(name="landed", source="search"))
    file = job.takes / "0000_search.npz"
    take = motions.load_take(file)
    position = take.motion.position + [0.0, 0.0, 0.4]
    motions.save_take(file, dataclasses.replace(take, motion=dataclasses.replace(take.motion, position=position)))
    job.events_file.unlink()
    recorder(job)
    (told,) = takes_told(job)
    assert (told["landed"], told["success"], told["outcome"]) == (False, False, "helped")


def test_a_takes_seed_is_its_own(job: JobFolder) -> None:
    one = recorder(job)
    one.record(standing_take(seed=77), TakeRecorded(name="a shot", source="replan", seed=3))
    one.record(standing_take(), TakeRecorded(name="an attempt", source="search", seed=1003))
    assert [motions.load_take(file).meta["seed"] for file in job.list_takes()] == [77, 1003]
    assert [event["seed"] for event in takes_told(job)] == [77, 1003]


def test_a_take_whose_trainer_was_killed_before_it_told_of_it_is_told_of_later(job: JobFolder) -> None:
    recorder(job).record(standing_take(seed=5), TakeRecorded(name="Shot 5", source="replan", request="the request"))
    whole = takes_told(job)[0]
    job.events_file.unlink()
    (job.takes / "0001_search.npz").write_bytes(b"half a take")
    later = recorder(job)
    (again,) = takes_told(job)
    assert {key: again[key] for key in ("file", "name", "landed", "success", "seed", "request")} == {
        key: whole[key] for key in ("file", "name", "landed", "success", "seed", "request")
    }
    assert "the request" in later.shots and later.best is not None and later.best.file == "0000_replan.npz"
    assert best_of(recorder(job)) == best_of(later) and len(takes_told(job)) == 1, "once"


def test_numbers_that_are_not_finite_are_not_written(job: JobFolder) -> None:
    assert json_ready({"a": [float("nan"), 1.5, (float("-inf"),)], "b": "NaN", "c": 3}) == {
        "a": [None, 1.5, [None]],
        "b": "NaN",
        "c": 3,
    }
    take = standing_take(odd=float("inf"))
    broken = take.motion.position.copy()
    broken[-20:] = np.nan
    take = dataclasses.replace(take, motion=Motion(take.motion.rate, broken, take.motion.rotations))
    recorder(job).record(take, TakeRecorded(name="it blew up", source="search", control_steps=3))
    assert takes_told(job)[0]["landed"] is False
    for text in (job.events_file.read_text(), str(np.load(job.list_takes()[0])["meta"])):
        assert "NaN" not in text and "Infinity" not in text
