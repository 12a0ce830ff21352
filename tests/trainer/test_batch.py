# SPDX-License-Identifier: GPL-3.0-or-later
"""A batch of jobs, on stand-ins for machines: broken off, lost, gone on with, and never twice."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from backflip_addon.jobs import trainer_process
from backflip_addon.jobs.folder import JobFolder
from backflip_addon.jobs.messages import Finished, Started, TakeRecorded
from backflip_addon.trainer.cluster import batch
from backflip_addon.trainer.cluster.rounds import Lost
from backflip_addon.trainer.workers import WorkerError
from tests.trainer import whole_jobs


class StandIns:
    """Tasks that need two slices each. lose: the numbers of the submissions whose machine is lost; broken_off after so
    many answers."""

    def __init__(self, folder: Path, lose: Sequence[int] = (), breaks_off: int = 1000) -> None:
        self.folder, self.lose, self.left = folder, lose, breaks_off
        self.submitted: list[tuple[batch.Files, int]] = []

    def submit(self, files: batch.Files, seconds: float, cores: int) -> int:
        self.submitted.append((files, cores))
        return len(self.submitted)

    def wait(self, tickets: Sequence[int], seconds: float) -> list[int]:
        return list(tickets)[:1]

    def answer(self, ticket: int) -> batch.Files:
        if self.left <= 0:
            raise KeyboardInterrupt
        self.left -= 1
        if ticket in self.lose:
            raise Lost
        job = JobFolder(self.folder / str(ticket))
        job.path.mkdir(parents=True)
        batch.unpack(self.submitted[ticket - 1][0], job.path, back=False)
        job.make_rooms()
        again = job.events_file.exists()
        job.append_event(Started())
        (job.stages / "plan.npz").write_bytes(b"what was learned")
        if again:
            job.append_event(TakeRecorded(file="0001_search.npz", landed=True, success=True))
        job.append_event(Finished(reason="landed" if again else "stopped", seconds=30.0))
        return batch.pack(job.path, batch.BACK)


def jobs(folder: Path, count: int) -> list[Path]:
    return [whole_jobs.make_job(folder / f"{number:02d}", minutes=10.0, workers=3).path for number in range(count)]


def test_a_batch_that_was_broken_off_goes_on_and_trains_none_twice(tmp_path: Path) -> None:
    folders = jobs(tmp_path / "jobs", 6)
    first = StandIns(tmp_path / "first", lose=(2,), breaks_off=9)
    begun = batch.members(folders, 1)
    with contextlib.suppress(KeyboardInterrupt):
        batch.run(begun, first)
    assert [m.state for m in begun].count("finished") < 6
    second = StandIns(tmp_path / "second")
    whole = batch.members([*folders, folders[0]], 1)
    batch.run(whole, second)
    assert len(whole) == 6 and {m.state for m in whole} == {"finished"} and all(m.landed for m in whole)
    for folder in folders:
        events = JobFolder(folder).read_events()[0]
        assert sum(isinstance(event, Started) for event in events) == 2, "neither lost nor done twice"
        assert json.loads((folder / "job.json").read_text())["settings"]["minutes"] == 10.0
        assert (folder / "stages" / "plan.npz").is_file() and not JobFolder(folder).running()
    sent, cores = second.submitted[-1]
    assert cores == 3 and json.loads(sent["job.json"])["settings"]["minutes"] == pytest.approx(9.5)


def test_what_is_no_job_or_taken_is_said_and_the_rest_is_trained(tmp_path: Path) -> None:
    good, taken = jobs(tmp_path / "jobs", 2)
    code = "import sys; sys.path.insert(0, sys.argv[1]); from backflip_addon.jobs.folder import JobFolder\n"
    code += "job = JobFolder(sys.argv[2]); print(job.hold(), flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(whole_jobs.REPOSITORY), str(taken)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "True\n"
        found = batch.members([good, taken, tmp_path / "nothing"], 1)
        batch.run(found, StandIns(tmp_path / "out"))
        other.communicate("")
    assert [m.state for m in found] == ["finished", "taken", "failed"] and "job.json" in found[2].message


@pytest.mark.parametrize("name", ["../job.json", "job.json", "takes/../x", "takes/.x", "/etc/x", "bin/x", "stages/a/b"])
def test_a_machine_sends_back_a_jobs_files_alone(tmp_path: Path, name: str) -> None:
    with pytest.raises(WorkerError, match="no file of a training"):
        batch.unpack({name: b"x"}, tmp_path, back=True)
    assert not any(tmp_path.rglob("*"))


def test_a_job_as_bytes_is_trained_by_a_trainer_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And asked to stop when its time there is over."""
    trainer = whole_jobs.REPOSITORY / "tests" / "operators" / "stand_in_trainer.py"

    def command(folder: JobFolder, python: str) -> list[str]:
        return [python, str(trainer), str(folder.path)]

    monkeypatch.setattr(trainer_process, "command", command)
    (folder,) = jobs(tmp_path, 1)
    files: dict[str, Any] = batch.train_packed(batch.pack(folder, batch.SENT), 1.0)
    batch.unpack(files, folder, back=True)
    told = JobFolder(folder).read_events()[0]
    assert isinstance(told[-1], Finished) and told[-1].reason == "stopped"
    assert "takes/0001_search.npz" in files and "job.json" not in files
