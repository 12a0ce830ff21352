# SPDX-License-Identifier: GPL-3.0-or-later
"""The job folder as the disk may leave it: half-written, glued, damaged, foreign."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backflip_addon.jobs import folder as folders
from backflip_addon.jobs import json_files, process
from backflip_addon.jobs.folder import JobFolder
from backflip_addon.jobs.json_files import JobError
from backflip_addon.jobs.messages import Event, Failed, Finished, Job, Progress, Started, TakeRecorded

JOB = Job(name="Übung", body={"links": []}, settings={"minutes": 1.0})


@pytest.fixture
def job(tmp_path: Path) -> JobFolder:
    folder = JobFolder(tmp_path / "some job")
    folder.create(JOB)
    return folder


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
    assert [file.name for file in job.list_takes()] == ["0000_search.npz", "0002_policy.npz", "0010_search.npz"]


needs_links = pytest.mark.skipif(os.name == "nt", reason="links need a privilege, and pipes are POSIX's")
FILES = ("job.json", "events.jsonl", "trainer.json", "trainer.log", "trainer.lock")


def use_all(job: JobFolder) -> dict[str, str]:
    """Everything that Blender and a trainer do with a folder; what each says."""
    said = {}
    for name, use in {
        "read_job": job.read_job,
        "read_events": job.read_events,
        "append_event": lambda: job.append_event(Progress()),
        "running": job.running,
        "trainer": job.trainer,
        "beat": job.beat,
        "rest": job.rest,
        "hold": lambda: job.hold(0.0),
        "let_go": job.let_go,
        "prepare": job.prepare,
        "pending": job.pending_requests,
        "takes": job.list_takes,
        "stages": job.list_stages,
        "start": lambda: process.start(job, sys.executable),
        "kill": lambda: process.kill(job),
    }.items():
        try:
            use()
        except JobError as error:
            said[name] = str(error)
            assert said[name].endswith(".") and "\n" not in said[name], said
    return said


@pytest.fixture
def no_trainer(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOEXEC, "Exec format error")

    monkeypatch.setattr(process, "_spawn", refuse)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


@needs_links
@pytest.mark.parametrize("kind", ["link", "hard link"])
@pytest.mark.parametrize("name", FILES)
def test_nothing_is_written_or_deleted_through_a_link(
    job: JobFolder, no_trainer: None, tmp_path: Path, name: str, kind: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mine").write_bytes(b"mine" * 1_000_000 if name == "trainer.log" else b'{"pid": 1}\n')
    os.utime(outside / "mine", (1e9, 1e9))
    before = contents(outside)
    (job.path / name).unlink(missing_ok=True)
    if kind == "link":
        (job.path / name).symlink_to(outside / "mine")
    else:
        (job.path / name).hardlink_to(outside / "mine")
    use_all(job)
    assert contents(outside) == before and (outside / "mine").stat().st_mtime == 1e9


@needs_links
@pytest.mark.parametrize("room", ["requests", "stages", "takes"])
def test_a_room_that_is_a_link_leads_nowhere_and_is_told(
    job: JobFolder, no_trainer: None, tmp_path: Path, room: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    for name in ("0000_search.npz", "000001_policy.pt", "00000000000000000001-0000abcd.json", "plan.npz.tmp"):
        (outside / name).write_text('{"kind": "stop"}')
        os.utime(outside / name, (1e9, 1e9))
    before = contents(outside)
    (job.path / room).rmdir()
    (job.path / room).symlink_to(outside, target_is_directory=True)
    assert job.list_takes() == job.list_stages() == job.pending_requests() == []
    said = use_all(job)
    assert room in said["start"] and room in said["prepare"]
    with pytest.raises(JobError, match=room):
        job.create(JOB)
    assert contents(outside) == before


@needs_links
@pytest.mark.parametrize("kind", ["pipe", "folder"])
@pytest.mark.parametrize("name", FILES)
def test_a_pipe_or_a_folder_by_the_name_of_a_file_neither_hangs_nor_is_a_traceback(
    job: JobFolder, no_trainer: None, name: str, kind: str
) -> None:
    (job.path / name).unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(job.path / name)
    else:
        (job.path / name).mkdir()
    said = use_all(job)
    told = {"job.json": "read_job", "events.jsonl": "append_event", "trainer.lock": "hold", "trainer.log": "start"}
    assert name == "trainer.json" or "cannot be" in said[told[name]] or "could not be" in said[told[name]]


@needs_links
def test_a_job_that_the_user_reaches_by_a_link_is_fine(job: JobFolder, tmp_path: Path) -> None:
    (tmp_path / "short").symlink_to(job.path)
    reached = JobFolder(tmp_path / "short")
    assert reached.read_job() == job.read_job() and reached.hold(0.0)
    reached.prepare()
    reached.request("stop")
    assert len(job.pending_requests()) == 1 and not reached.is_gone()
    reached.let_go()


@needs_links
def test_only_regular_files_with_sane_names_are_takes_and_stages(job: JobFolder, tmp_path: Path) -> None:
    (tmp_path / "mine.npz").write_bytes(b"")
    for room, ending in ((job.takes, ".npz"), (job.stages, ".pt")):
        (room / f"0000_good{ending}").write_bytes(b"")
        (room / f"0001_link{ending}").symlink_to(tmp_path / "mine.npz")
        os.mkfifo(room / f"0002_pipe{ending}")
        (room / f"0003_folder{ending}").mkdir()
        (room / f"0004_line\nbreak{ending}").write_bytes(b"")
        (room / f"0005_{'x' * 200}{ending}").write_bytes(b"")
        (room / f".hidden{ending}").write_bytes(b"")
        Path(os.fsdecode(os.fsencode(room) + b"/0006_\xff" + ending.encode())).write_bytes(b"")
    assert [file.name for file in job.list_takes()] == ["0000_good.npz"]
    assert [file.name for file in job.list_stages()] == ["0000_good.pt"]


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


ERRORS = [errno.EACCES, errno.EIO, errno.ESTALE, errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR]


@pytest.mark.parametrize("number", ERRORS)
def test_a_disk_that_refuses_is_told_in_a_sentence(
    job: JobFolder, no_trainer: None, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    job.append_event(Started())
    job.beat()

    def refuse(path: object, *_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), str(path))

    for name in ("open", "scandir", "lstat", "stat"):
        monkeypatch.setattr(os, name, refuse)
    for use in (job.read_job, job.read_events, job.prepare, lambda: process.start(job, sys.executable)):
        with pytest.raises(JobError) as caught:
            use()
        sentence(caught)
    with pytest.raises(JobError):
        job.hold(0.0)
    assert job.running() is False and job.trainer().pid == 0 and not process.kill(job)


@pytest.mark.parametrize("path", ["nul\0byte", "x" * 5000, "half \ud800 letter", "a/" * 3000])
def test_a_path_that_can_be_none_is_told_in_a_sentence(tmp_path: Path, path: str) -> None:
    job = JobFolder(tmp_path / path)
    for use in (job.read_job, lambda: job.create(JOB), lambda: process.start(job, sys.executable)):
        with pytest.raises(JobError) as caught:
            use()
        assert str(caught.value).endswith(".")
    assert not job.running() and job.list_takes() == job.list_stages() == job.pending_requests() == []
    assert job.trainer().pid == 0 and not process.kill(job)


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


def test_a_file_that_names_no_trainer_is_none(job: JobFolder) -> None:
    job.trainer_file.write_text('{"kind": "stop"}')
    assert not job.running()
