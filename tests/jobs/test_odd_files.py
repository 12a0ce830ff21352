# SPDX-License-Identifier: GPL-3.0-or-later
"""Job folders that hold links, pipes and folders in the place of files, on disks that refuse."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest

from backflip_addon.jobs import trainer_process
from backflip_addon.jobs.folder import JobFolder
from backflip_addon.jobs.json_files import JobError
from backflip_addon.jobs.messages import Progress, Started
from tests.jobs.folders import JOB, sentence

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
        "start": lambda: trainer_process.start(job, sys.executable),
        "kill": lambda: trainer_process.kill(job),
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

    monkeypatch.setattr(trainer_process, "_spawn", refuse)


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
    for use in (job.read_job, job.read_events, job.prepare, lambda: trainer_process.start(job, sys.executable)):
        with pytest.raises(JobError) as caught:
            use()
        sentence(caught)
    with pytest.raises(JobError):
        job.hold(0.0)
    assert job.running() is False and job.trainer().pid == 0 and not trainer_process.kill(job)


@pytest.mark.parametrize("path", ["nul\0byte", "x" * 5000, "half \ud800 letter", "a/" * 3000])
def test_a_path_that_can_be_none_is_told_in_a_sentence(tmp_path: Path, path: str) -> None:
    job = JobFolder(tmp_path / path)
    for use in (job.read_job, lambda: job.create(JOB), lambda: trainer_process.start(job, sys.executable)):
        with pytest.raises(JobError) as caught:
            use()
        assert str(caught.value).endswith(".")
    assert not job.running() and job.list_takes() == job.list_stages() == job.pending_requests() == []
    assert job.trainer().pid == 0 and not trainer_process.kill(job)
