# SPDX-License-Identifier: GPL-3.0-or-later
"""The job folder as the disk may leave it: half-written, glued, damaged, foreign."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
from pathlib import Path

import pytest

from backflip_addon.jobs import folder as folders
from backflip_addon.jobs import json_files
from backflip_addon.jobs.folder import JobFolder
from backflip_addon.jobs.json_files import JobError
from backflip_addon.jobs.messages import Event, Failed, Finished, Progress, Started, TakeRecorded
from tests.jobs.folders import JOB, sentence


def kinds(events: list[Event]) -> list[str]:
    return [event.kind for event in events]


def test_a_job_returns(job: JobFolder) -> None:
    assert job.read_job() == JOB
    written = json.loads(job.job_file.read_text(encoding="utf-8"))
    assert written["version"] == folders.JOB_VERSION and written["name"] == "Übung"
    assert job.requests.is_dir() and job.stages.is_dir() and job.takes.is_dir()
    assert job.list_takes() == [] and job.list_stages() == [] and job.read_events() == ([], 0)
    assert not job.running()


def test_events_in_order_and_from_where_one_left(job: JobFolder) -> None:
    job.append_event(Started(pid=1))
    events, offset = job.read_events()
    assert kinds(events) == ["started"] and events[0].pid == 1 and events[0].time > 0
    assert job.read_events(offset) == ([], offset)
    job.append_event(TakeRecorded(file="ä.npz"))
    job.append_event(Finished())
    events, offset = job.read_events(offset)
    assert kinds(events) == ["take", "finished"] and events[0].file == "ä.npz"
    assert offset == job.events_file.stat().st_size


def test_a_half_written_last_line_waits_until_it_is_whole(job: JobFolder) -> None:
    job.append_event(Started())
    line = json.dumps({"kind": "progress", "message": "größer"}, ensure_ascii=False).encode() + b"\n"
    whole = job.events_file.read_bytes()
    seen, offset = job.read_events()
    for length in range(len(line)):
        job.events_file.write_bytes(whole + line[:length])
        assert job.read_events(offset) == ([], offset), length
    job.events_file.write_bytes(whole + line)
    events, _ = job.read_events(offset)
    assert kinds(seen + events) == ["started", "progress"] and events[0].message == "größer"


def test_after_a_kill_the_next_line_stands_alone(job: JobFolder) -> None:
    job.append_event(Started())
    with open(job.events_file, "ab") as file:
        file.write(b'{"kind": "progress", "fracti')
    job.append_event(Started())
    job.append_event(Finished())
    assert kinds(job.read_events()[0]) == ["started", "started", "finished"]


def test_two_lines_glued_lose_no_others(job: JobFolder) -> None:
    lines = ['{"kind": "paused"}', '{"kind": "half"{"kind": "b"}', "[1, 2]", "\x00\x00\x00", "", '{"kind": "resumed"}']
    job.events_file.write_bytes("\n".join(lines).encode() + b"\n\xff\xfe\n" + b'{"kind": "stage"}\n')
    events, offset = job.read_events()
    assert kinds(events) == ["paused", "resumed", "stage"] and offset == job.events_file.stat().st_size


def test_odd_line_ends_inside_a_text_break_no_event(job: JobFolder) -> None:
    job.append_event(Failed(message="one\ntwo\r\u2028three\x0b\x85four"))
    assert job.read_events()[0][0].message == "one\ntwo\r\u2028three\x0b\x85four"
    with open(job.events_file, "ab") as file:
        file.write('{"kind": "warning", "message": "a\u2028b\x85c"}\n'.encode())
    assert kinds(job.read_events()[0]) == ["error", "warning"]


def test_events_that_are_gone_start_over(job: JobFolder) -> None:
    """A job whose history was deleted while it was watched."""
    for _ in range(5):
        job.append_event(Progress())
    _, offset = job.read_events()
    job.events_file.unlink()
    assert job.read_events(offset) == ([], 0)


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
        json.dumps({"version": 1, **JOB.to_json()}).encode()[:-7],
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
            job.create(dataclasses.replace(JOB, name="another"))
    assert job.job_file.read_bytes() == before
    with pytest.raises(TypeError):
        json_files.write_json(job.job_file, {"object": object()})
    assert job.job_file.read_bytes() == before


def test_files_come_oldest_first_and_without_temporaries(job: JobFolder) -> None:
    for name in ("0002_policy.npz", "0000_search.npz", "0010_search.npz", "0003_search.npz.tmp"):
        (job.takes / name).write_bytes(b"")
    assert [file.name for file in job.list_takes()] == ["0000_search.npz", "0002_policy.npz", "0010_search.npz"]


@pytest.mark.parametrize(
    "content",
    [
        b'{"version": 1, "body": {"mass": NaN}, "settings": {}}',
        b'{"version": 1, "body": {"mass": 1e999}, "settings": {}}',
        b'{"version": 1, "body": {"mass": ' + b"9" * 400 + b'}, "settings": {}}',
        b'{"version": 1, "body": {"mass": ' + b"9" * 5000 + b'}, "settings": {}}',
        b'{"version": 1, "body": ' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b', "settings": {}}',
        '{"version": 1, "body": {}, "settings": {}}'.encode("utf-16"),
    ],
)
def test_numbers_that_are_none_and_deep_nesting_are_a_damaged_job(job: JobFolder, content: bytes) -> None:
    job.job_file.write_bytes(content)
    with pytest.raises(JobError) as caught:
        job.read_job()
    assert "job.json" in sentence(caught)


def test_a_job_too_large_to_be_one_is_not_read_whole(job: JobFolder) -> None:
    with open(job.job_file, "wb") as file:
        file.truncate(10**12)
    with pytest.raises(JobError, match="larger than the 64 MB"):
        job.read_job()
    with open(job.trainer_file, "wb") as file:
        file.truncate(10**12)
    assert not job.running()


def test_a_byte_order_mark_twice_a_key_and_half_a_letter_are_no_damage(job: JobFolder) -> None:
    job.job_file.write_bytes(
        b'\xef\xbb\xbf{"version": 2, "version": 1, "body": {}, "settings": {}, "name": "\\ud800x\\udcff"}'
    )
    name = job.read_job().name
    assert name == "\ufffdx\udcff", "Blender's own escapes of bytes that are no UTF-8 are kept"
    assert name.encode("utf-8", "surrogateescape") == b"\xef\xbf\xbdx\xff"


def test_what_killed_trainers_left_half_written_is_removed_and_nothing_else(job: JobFolder) -> None:
    ours = ["0003_search.npz.tmp", "plan.npz.0123456789ab.tmp", "000012_scratch.pt.tmp", "search.npz.4711.tmp"]
    others = ["notes.tmp", "my film.npz.tmp", "plan.npz", "../plan.npz.tmp.bak", "Plan.npz.tmp"]
    for room in (job.stages, job.takes):
        for name in ours + others:
            (room / name).write_text("x")
    (job.takes / "0009_folder.npz.tmp").mkdir()
    fresh, old = "00000000000000000002-0000abcd.json.0123456789ab.tmp", "00000000000000000001-0000abcd.json.1.tmp"
    for name in (fresh, old):
        (job.requests / name).write_text("x")
    (job.path / "job.json.17.tmp").write_text("x")
    for stale in (job.requests / old, job.path / "job.json.17.tmp"):
        os.utime(stale, (1e9, 1e9))
    job.prepare()
    for room in (job.stages, job.takes):
        assert not {file.name for file in room.iterdir()} & set(ours)
        assert all((room / name).exists() for name in others)
    assert (job.takes / "0009_folder.npz.tmp").is_dir() and not (job.path / "job.json.17.tmp").exists()
    assert [file.name for file in job.requests.iterdir()] == [fresh], "Blender may be writing it just now"


def test_the_ten_thousandth_take_comes_after_the_one_before(job: JobFolder) -> None:
    for name in ("10000_search.npz", "9999_search.npz", "0002_policy.npz"):
        (job.takes / name).write_bytes(b"")
    assert [file.name for file in job.list_takes()] == ["0002_policy.npz", "9999_search.npz", "10000_search.npz"]
