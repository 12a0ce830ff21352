# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a trainer is alive, by its heartbeat and its process."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backflip_addon.jobs import folder as folders
from backflip_addon.jobs.folder import JobFolder
from backflip_addon.jobs.messages import Job


def test_heartbeats(job: JobFolder) -> None:
    job.beat()
    facts = json.loads(job.trainer_file.read_text())
    assert facts["pid"] == os.getpid() and facts["host"] == socket.gethostname()
    old = time.time() - 20
    os.utime(job.trainer_file, (old, old))
    job.beat()
    assert job.trainer_file.stat().st_mtime > old + 10
    assert job.running()
    job.rest()
    assert not job.running() and not job.trainer_file.exists()
    job.rest()


def test_a_beat_leaves_nothing_with_a_job_that_took_the_place_meanwhile(
    job: JobFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After it was asked whether the job is there, before it is written who its trainer is."""
    job.read_job()
    named = JobFolder.name_trainer

    def late(self: JobFolder, pid: int) -> None:
        self.path.rename(tmp_path / "elsewhere")
        JobFolder(self.path).create(Job(name="another", body={}, settings={}))
        named(self, pid)

    monkeypatch.setattr(JobFolder, "name_trainer", late)
    job.beat()
    assert job.is_gone() and sorted(file.name for file in job.path.iterdir()) == [
        "job.json", "requests", "stages", "takes"
    ]  # fmt: skip


def test_a_dead_trainer_is_not_running_however_fresh_its_beat(job: JobFolder) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    folders.write_json(job.trainer_file, {"pid": process.pid, "host": socket.gethostname()})
    assert not job.running()


def test_the_heartbeat_of_a_dead_trainer_is_not_continued(job: JobFolder) -> None:
    """A trainer killed without goodbye leaves its file; the next one must be the one that is found."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    folders.write_json(job.trainer_file, {"pid": process.pid, "host": socket.gethostname()})
    job.beat()
    assert json.loads(job.trainer_file.read_text())["pid"] == os.getpid() and job.running()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": "x"}', '{"pid": -1}', "{}"])
def test_damaged_heartbeats_are_no_trainer(job: JobFolder, content: str) -> None:
    facts = content if content != "{}" else json.dumps({"host": socket.gethostname()})
    job.trainer_file.write_text(facts)
    assert not job.running() or "host" not in facts


def test_a_trainer_on_another_machine_lives_by_its_beat(job: JobFolder) -> None:
    folders.write_json(job.trainer_file, {"pid": 1, "host": "elsewhere"})
    assert job.running()
    old = time.time() - folders.SILENT_SECONDS - 1
    os.utime(job.trainer_file, (old, old))
    assert not job.running()


def test_process_alive() -> None:
    assert folders.process_alive(os.getpid())
    assert not folders.process_alive(0) and not folders.process_alive(-1)
    process = subprocess.Popen([sys.executable, "-c", ""])
    while process.poll() is None:
        time.sleep(0.01)
    assert not folders.process_alive(process.pid)


@pytest.mark.parametrize("ahead", [-(10**6), 10**6, 10**8])
def test_a_beat_on_another_machine_is_heard_whatever_its_clock_says(
    job: JobFolder, monkeypatch: pytest.MonkeyPatch, ahead: int
) -> None:
    folders.write_json(job.trainer_file, {"pid": 1, "host": "elsewhere"})
    clock = [100.0]
    monkeypatch.setattr(folders.time, "monotonic", lambda: clock[0])
    begin = time.time() + ahead
    os.utime(job.trainer_file, (begin, begin))
    job.running()
    for beat in range(1, 40):
        clock[0] += folders.HEARTBEAT_SECONDS
        os.utime(job.trainer_file, (begin + beat * folders.HEARTBEAT_SECONDS,) * 2)
        assert job.running()
    clock[0] += folders.SILENT_SECONDS - 1
    assert job.running()
    clock[0] += 2
    assert not job.running(), "silent, though its time may lie ahead"


def test_a_file_that_names_no_trainer_is_none(job: JobFolder) -> None:
    job.trainer_file.write_text('{"kind": "stop"}')
    assert not job.running()
