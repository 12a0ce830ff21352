# SPDX-License-Identifier: GPL-3.0-or-later
"""The trainer's lock: the system's, so that neither a crash nor a race leaves two trainers or none."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from backflip_addon.core.files import RefusedFile
from backflip_addon.jobs import lock as locks
from backflip_addon.jobs.folder import JobFolder
from backflip_addon.jobs.json_files import JobError
from backflip_addon.jobs.lock import FileLock, is_held
from backflip_addon.jobs.messages import Job

REPOSITORY = Path(__file__).resolve().parents[2]


def hold_elsewhere(path: Path, then: str = "time.sleep(60)") -> subprocess.Popen[str]:
    """Another process that holds a lock; it has it when this returns."""
    begin = f"""
import os, subprocess, sys, time
from pathlib import Path
sys.path.insert(0, {str(REPOSITORY)!r})
from backflip_addon.jobs.lock import FileLock
lock = FileLock(Path({str(path)!r}))
assert lock.acquire()
print("held", flush=True)
"""
    process = subprocess.Popen([sys.executable, "-c", begin + then], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline().strip() == "held"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_one_holds_and_a_look_disturbs_nobody(tmp_path: Path) -> None:
    path = tmp_path / "trainer.lock"
    assert is_held(path) is False
    first, second = FileLock(path), FileLock(path)
    assert first.acquire() and not second.acquire() and is_held(path) is True
    assert path.stat().st_size == 0
    first.release()
    assert is_held(path) is False and second.acquire() and not first.acquire()
    second.release()
    second.release()


def test_a_lock_ends_with_its_process_however_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "trainer.lock"
    holder = hold_elsewhere(path)
    assert is_held(path) is True and not FileLock(path).acquire()
    end(holder)
    assert path.exists() and is_held(path) is False
    lock = FileLock(path)
    assert lock.acquire()
    lock.release()


@pytest.mark.skipif(os.name == "nt", reason="reads a process's number from a pipe")
def test_a_child_that_outlives_the_holder_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "trainer.lock"
    then = (
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], close_fds=False)\n"
        "print(child.pid, flush=True)\ntime.sleep(60)"
    )
    holder = hold_elsewhere(path, then)
    assert holder.stdout is not None
    child = int(holder.stdout.readline())
    holder.kill()
    holder.wait()
    try:
        os.kill(child, 0)
        assert is_held(path) is False
    finally:
        os.kill(child, signal.SIGKILL)
        holder.communicate()


def test_whoever_acquires_outlasts_a_look(tmp_path: Path) -> None:
    """A status that is read in the very moment must not turn a trainer away."""
    path = tmp_path / "trainer.lock"
    looker = subprocess.Popen(
        [
            *(sys.executable, "-c"),
            f"import sys; sys.path.insert(0, {str(REPOSITORY)!r})\nfrom pathlib import Path\n"
            f"from backflip_addon.jobs.lock import is_held\npath = Path({str(path)!r})\npath.touch()\n"
            "print('looking', flush=True)\nwhile True: is_held(path)",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert looker.stdout is not None and looker.stdout.readline().strip() == "looking"
    try:
        for _ in range(200):
            lock = FileLock(path)
            assert lock.acquire(60.0)
            lock.release()
    finally:
        end(looker)


def test_a_lock_file_that_was_removed_in_between_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "trainer.lock"
    plain, done = locks._lock, []

    def sweep_away(file: object, shared: bool = False) -> bool | None:
        if not done:
            done.append(path.unlink())
        return plain(file, shared)  # type: ignore[arg-type]

    monkeypatch.setattr(locks, "_lock", sweep_away)
    lock = FileLock(path)
    assert lock.acquire(60.0) and path.exists() and is_held(path) is True
    lock.release()


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege")
@pytest.mark.parametrize("kind", ["link", "dead link", "hard link", "pipe", "folder"])
def test_what_is_no_file_of_the_folder_is_no_lock(tmp_path: Path, kind: str) -> None:
    path, outside = tmp_path / "trainer.lock", tmp_path / "mine"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "dead link":
        path.symlink_to(outside)
    else:
        outside.write_text("mine")
        path.symlink_to(outside) if kind == "link" else path.hardlink_to(outside)
    with pytest.raises((RefusedFile, IsADirectoryError)):
        FileLock(path).acquire()
    assert outside.exists() == (kind in ("link", "hard link"))
    with pytest.raises(JobError):
        folder = JobFolder(tmp_path)
        folder.hold()


@pytest.fixture(params=[errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def lockless(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that knows no locks."""
    if os.name == "nt":
        pytest.skip("stands in for POSIX's call")

    def refuse(*_: object) -> None:
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(locks.fcntl, "flock", refuse)


def test_without_the_systems_locks_a_name_is_held(lockless: None, tmp_path: Path) -> None:
    path = tmp_path / "trainer.lock"
    first, second = FileLock(path), FileLock(path)
    assert first.acquire() and not second.acquire() and is_held(path) is None
    first.touch()
    first.release()
    assert second.acquire()
    second.release()
    assert [file.name for file in tmp_path.iterdir()] == ["trainer.lock"]


def test_without_the_systems_locks_a_dead_owner_is_told_by_its_process_not_its_age(
    lockless: None, tmp_path: Path
) -> None:
    path, owner = tmp_path / "trainer.lock", tmp_path / "trainer.lock.owner"
    first = FileLock(path)
    assert first.acquire()
    os.utime(owner, (1.0, 1.0))
    assert not FileLock(path).acquire(), "old, but its process lives"
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    owner.write_text(owner.read_text().replace(str(os.getpid()), str(ended.pid)))
    second = FileLock(path)
    assert second.acquire()
    second.release()


def test_without_the_systems_locks_a_job_is_trained_once_all_the_same(lockless: None, tmp_path: Path) -> None:
    folder = JobFolder(tmp_path / "job")
    folder.create(Job(name="test", body={}, settings={}))
    assert folder.hold(0.0) and not JobFolder(folder.path).hold(0.0)
    folder.beat()
    assert JobFolder(folder.path).running()
    old = time.time() - 3600
    os.utime(folder.path / "trainer.lock.owner", (old, old))
    folder.beat()
    assert (folder.path / "trainer.lock.owner").stat().st_mtime > old + 1800, "it shows that it lives"
    folder.let_go()


@pytest.mark.parametrize("number", [errno.EACCES, errno.EDEADLK])
def test_windows_way_of_locking_is_held_and_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Its call, played by POSIX's: one byte, from where the file is read on, and an error when another has it."""
    if os.name == "nt":
        pytest.skip("the real one is tested above")
    flock, places = locks.fcntl.flock, set()

    def locking(handle: int, mode: int, count: int) -> None:
        places.add((os.lseek(handle, 0, os.SEEK_CUR), count))
        try:
            flock(handle, locks.fcntl.LOCK_UN if mode == 0 else locks.fcntl.LOCK_EX | locks.fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError(number, os.strerror(number)) from None

    monkeypatch.setattr(locks, "_WINDOWS", True)
    monkeypatch.setattr(locks, "msvcrt", SimpleNamespace(LK_UNLCK=0, LK_NBLCK=2, locking=locking), raising=False)
    path = tmp_path / "trainer.lock"
    first, second = FileLock(path), FileLock(path)
    assert is_held(path) is False and first.acquire() and is_held(path) is True and not second.acquire()
    first.release()
    assert is_held(path) is False and second.acquire()
    second.release()
    assert places == {(0, 1)}
