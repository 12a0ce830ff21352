# SPDX-License-Identifier: GPL-3.0-or-later
"""The job folder as the disk may leave it: half-written, glued, damaged, foreign."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from backflip_addon.jobs import folder as folders
from backflip_addon.jobs.folder import JobError, JobFolder

JOB: dict[str, Any] = {"name": "Übung", "body": {"links": []}, "settings": {"minutes": 1.0}}


@pytest.fixture
def job(tmp_path: Path) -> JobFolder:
    folder = JobFolder(tmp_path / "some job")
    folder.create(JOB)
    return folder


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["kind"] for event in events]


def test_a_job_returns(job: JobFolder) -> None:
    assert job.read_job() == {"version": folders.JOB_VERSION, **JOB}
    assert job.requests.is_dir() and job.stages.is_dir() and job.takes.is_dir()
    assert job.take_files() == [] and job.stage_files() == [] and job.read_events() == ([], 0)
    assert not job.running()


def test_events_in_order_and_from_where_one_left(job: JobFolder) -> None:
    job.append_event("started", pid=1)
    events, offset = job.read_events()
    assert kinds(events) == ["started"] and events[0]["pid"] == 1 and events[0]["time"] > 0
    assert job.read_events(offset) == ([], offset)
    job.append_event("take", file="ä.npz")
    job.append_event("finished")
    events, offset = job.read_events(offset)
    assert kinds(events) == ["take", "finished"] and events[0]["file"] == "ä.npz"
    assert offset == job.events_file.stat().st_size


def test_a_half_written_last_line_waits_until_it_is_whole(job: JobFolder) -> None:
    job.append_event("started")
    line = json.dumps({"kind": "progress", "message": "größer"}, ensure_ascii=False).encode() + b"\n"
    whole = job.events_file.read_bytes()
    seen, offset = job.read_events()
    for length in range(len(line)):
        job.events_file.write_bytes(whole + line[:length])
        assert job.read_events(offset) == ([], offset), length
    job.events_file.write_bytes(whole + line)
    events, _ = job.read_events(offset)
    assert kinds(seen + events) == ["started", "progress"] and events[0]["message"] == "größer"


def test_after_a_kill_the_next_line_stands_alone(job: JobFolder) -> None:
    job.append_event("started")
    with open(job.events_file, "ab") as file:
        file.write(b'{"kind": "progress", "fracti')
    job.append_event("started")
    job.append_event("finished")
    assert kinds(job.read_events()[0]) == ["started", "started", "finished"]


def test_two_lines_glued_lose_no_others(job: JobFolder) -> None:
    lines = ['{"kind": "a"}', '{"kind": "half"{"kind": "b"}', "[1, 2]", "\x00\x00\x00", "", '{"kind": "c"}']
    job.events_file.write_bytes("\n".join(lines).encode() + b"\n\xff\xfe\n" + b'{"kind": "d"}\n')
    events, offset = job.read_events()
    assert kinds(events) == ["a", "c", "d"] and offset == job.events_file.stat().st_size


def test_odd_line_ends_inside_a_text_break_no_event(job: JobFolder) -> None:
    job.append_event("error", message="one\ntwo\r\u2028three\x0b\x85four")
    assert job.read_events()[0][0]["message"] == "one\ntwo\r\u2028three\x0b\x85four"
    with open(job.events_file, "ab") as file:
        file.write('{"kind": "raw", "message": "a\u2028b\x85c"}\n'.encode())
    assert kinds(job.read_events()[0]) == ["error", "raw"]


def test_events_that_are_gone_start_over(job: JobFolder) -> None:
    """A job whose history was deleted while it was watched."""
    for _ in range(5):
        job.append_event("progress")
    _, offset = job.read_events()
    job.events_file.unlink()
    assert job.read_events(offset) == ([], 0)


def sentence(error: pytest.ExceptionInfo[JobError]) -> str:
    text = str(error.value)
    assert text.endswith(".") and "\n" not in text and "Traceback" not in text and len(text) > 20
    return text


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe\xfd",
        bytes(512),
        b"[" * 100_000,
        b'{"version": 1}',
        b'{"version": 1, "body": {}, "settings": []}',
        b'{"version": 1, "body": 3, "settings": {}}',
        b'{"version": 2, "body": {}, "settings": {}}',
        b'{"body": {}, "settings": {}}',
        b'{"version": "1", "body": {}, "settings": {}}',
        json.dumps({"version": 1, **JOB}).encode()[:-7],
    ],
)
def test_a_damaged_job_is_told_in_a_sentence(job: JobFolder, content: bytes) -> None:
    job.job_file.write_bytes(content)
    with pytest.raises(JobError) as caught:
        job.read_job()
    assert "job.json" in sentence(caught)


def test_a_job_of_another_version_is_said_to_be_one(job: JobFolder) -> None:
    job.job_file.write_text(json.dumps({"version": 2, "body": {}, "settings": {}}))
    with pytest.raises(JobError, match="another version"):
        job.read_job()
    job.job_file.write_text(json.dumps({"version": 2, "figure": {}, "options": {}}))
    with pytest.raises(JobError, match="another version"):
        job.read_job()


def test_missing_folders_and_folders_in_the_wrong_place(tmp_path: Path) -> None:
    with pytest.raises(JobError) as caught:
        JobFolder(tmp_path / "nowhere").read_job()
    assert "missing" in sentence(caught)
    (tmp_path / "job.json").mkdir()
    with pytest.raises(JobError) as caught:
        JobFolder(tmp_path).read_job()
    sentence(caught)
    (tmp_path / "file").write_text("")
    with pytest.raises(JobError) as caught:
        JobFolder(tmp_path / "file" / "job").create(JOB)
    assert "cannot be written" in sentence(caught)


def test_json_is_written_whole_or_not_at_all(job: JobFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    before = job.job_file.read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(folders.os, "fsync", full)
        with pytest.raises(JobError, match="No space left"):
            job.create({**JOB, "name": "another"})
    assert job.job_file.read_bytes() == before
    with pytest.raises(TypeError):
        folders.write_json(job.job_file, {"object": object()})
    assert job.job_file.read_bytes() == before


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


def test_files_come_oldest_first_and_without_temporaries(job: JobFolder) -> None:
    for name in ("0002_policy.npz", "0000_search.npz", "0010_search.npz", "0003_search.npz.tmp"):
        (job.takes / name).write_bytes(b"")
    assert [file.name for file in job.take_files()] == ["0000_search.npz", "0002_policy.npz", "0010_search.npz"]
