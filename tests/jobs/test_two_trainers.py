# SPDX-License-Identifier: GPL-3.0-or-later
"""One job, one trainer: however many start it, whoever crashed before, and wherever the folder goes."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backflip_addon.jobs.messages import Job, Progress
from tests.job_events import told
from tests.jobs.launching import wait_for

pytestmark = pytest.mark.skipif(os.name == "nt", reason="counts processes by their groups")

STARTERS, ROUNDS = 8, 3


def starter(launch: SimpleNamespace, folder: Any, go: Path, then: str = "") -> subprocess.Popen[str]:
    """A Blender that starts the job as soon as the file go is there."""
    code = f"""
import sys, time, types, os
from pathlib import Path
package = types.ModuleType("other")
package.__path__ = [{str(launch.ALIAS_PATH.parents[1])!r}]
sys.modules["other"] = package
from other.jobs import trainer_process as process
{then}
while not Path({str(go)!r}).exists():
    time.sleep(0.001)
try:
    process.start(process.JobFolder({str(folder.path)!r}), sys.executable)
except process.AlreadyRunning:
    print("refused")
else:
    print("started")
"""
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, stderr=subprocess.STDOUT)


def trainers_of(folder: Any) -> list[int]:
    """The processes that have this job in their command line, starters not counted."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            line = (process / "cmdline").read_bytes() if process.name.isdigit() else b""
        except OSError:
            continue
        if line.endswith(os.fsencode(folder.path.resolve()) + b"\0"):
            found.append(int(process.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc to count trainers")
@pytest.mark.parametrize("left", ["nothing", "a crashed Blender's lock", "an old lock", "a dead trainer"])
def test_many_starters_make_one_trainer(
    launch: SimpleNamespace, make_job: Callable[..., Any], tmp_path: Path, left: str
) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    facts = json.dumps({"pid": ended.pid, "host": socket.gethostname(), "started": time.time()})
    for number in range(ROUNDS):
        folder = make_job(steps=10_000)
        for name in {"a crashed Blender's lock": ("start.lock", "trainer.lock"), "an old lock": ("trainer.lock",)}.get(
            left, ("trainer.json",) if left == "a dead trainer" else ()
        ):
            (folder.path / name).write_text(facts)
            if left == "an old lock":
                os.utime(folder.path / name, (1.0, 1.0))
        go = tmp_path / f"go {number}"
        blenders = [starter(launch, folder, go) for _ in range(STARTERS)]
        go.touch()
        words = sorted(blender.communicate(timeout=600)[0].strip() for blender in blenders)
        assert words == ["refused"] * (STARTERS - 1) + ["started"]
        status = wait_for(launch, folder, "running")
        assert trainers_of(folder) == [status.pid] == [folder.trainer().pid]
        assert [event["kind"] for event in told(folder)].count("started") == 1
        assert launch.kill(folder)
        wait_for(launch, folder, "died")


CRASH = """
def crash(self, pid):
    os._exit(9)
process.JobFolder.name_trainer = crash
"""


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc to count trainers")
def test_a_blender_that_dies_while_it_starts_a_trainer_leaves_one_trainer(
    launch: SimpleNamespace, make_job: Callable[..., Any], tmp_path: Path
) -> None:
    """Killed between the trainer's start and its name: the next start may make a second, and one of them ends."""
    folder = make_job(steps=10_000)
    go = tmp_path / "go"
    go.touch()
    assert starter(launch, folder, go, CRASH).wait(120) == 9
    with contextlib.suppress(launch.AlreadyRunning):  # the orphan may have the lock by now
        launch.start(folder, sys.executable)
    wait_for(launch, folder, "running")
    end = time.monotonic() + 120.0
    while len(trainers_of(folder)) != 1 or folder.trainer().pid != trainers_of(folder)[0]:
        assert time.monotonic() < end, (trainers_of(folder), folder.trainer())
        launch.collect_ended()
        time.sleep(0.02)
    assert [event["kind"] for event in told(folder)].count("started") == 1


def snapshot(folder: Any) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in folder.path.rglob("*") if file.is_file()}


def test_a_second_trainer_ends_with_a_status_of_its_own_and_writes_nothing(
    launch: SimpleNamespace, make_job: Callable[..., Any]
) -> None:
    folder = make_job()
    (folder.takes / "0000_search.npz.tmp").write_text("being written")
    assert folder.hold()
    before = snapshot(folder)
    line = launch.command(folder, sys.executable)
    second = subprocess.run(line, capture_output=True, text=True, timeout=600)
    assert second.returncode == 3 and "Another trainer is at work" in second.stderr
    assert snapshot(folder) == before
    folder.let_go()
    assert subprocess.run(line, capture_output=True, timeout=600).returncode == 0


def test_a_trainer_at_work_is_found_without_its_name_and_whatever_the_clock_says(
    launch: SimpleNamespace, make_job: Callable[..., Any]
) -> None:
    folder = make_job()
    assert folder.hold()
    another = launch.JobFolder(folder.path)
    assert another.running(), "it has just taken the lock"
    for moment in (1.0, time.time() - 3600, time.time() + 3600, 2.0**33):
        folder.beat()
        os.utime(folder.trainer_file, (moment, moment))
        assert another.running()
        with pytest.raises(launch.AlreadyRunning):
            launch.start(another, sys.executable)
    folder.let_go()
    folder.rest()
    assert not another.running()


def test_kill_ends_no_stranger_with_the_dead_trainers_number(
    launch: SimpleNamespace, make_job: Callable[..., Any]
) -> None:
    folder = make_job()
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    facts = {"pid": stranger.pid, "host": socket.gethostname(), "started": time.time()}
    for content in (facts, {**facts, "pid": 1}, {**facts, "pid": True}, {**facts, "pid": -stranger.pid}):
        folder.trainer_file.write_text(json.dumps(content))
        assert not launch.kill(folder)
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_kill_ends_no_trainer_of_another_job(launch: SimpleNamespace, make_job: Callable[..., Any]) -> None:
    folder, other = make_job(), make_job(steps=10_000)
    launch.start(other, sys.executable)
    status = wait_for(launch, other, "running")
    shutil.copy(other.trainer_file, folder.trainer_file)
    launch_of_another_blender = dict(launch.kill.__globals__["_children"])
    launch.kill.__globals__["_children"].clear()
    assert not launch.kill(folder)
    os.kill(status.pid, 0)
    assert launch.kill(other)
    launch.kill.__globals__["_children"].update(launch_of_another_blender)
    wait_for(launch, other, "died")


def test_a_stop_pressed_right_after_the_start_is_obeyed_and_an_old_one_is_not(
    launch: SimpleNamespace, make_job: Callable[..., Any]
) -> None:
    folder = make_job(steps=10_000, start_seconds=0.3)
    for kind in ("stop", "pause", "shoot", "resume", "checkpoint"):
        folder.request(kind)
    launch.start(folder, sys.executable)
    assert [request.kind for request in folder.pending_requests()] == ["shoot"]
    launch.request_pause(folder)
    launch.request_stop(folder)
    launch.request_resume(folder)
    assert launch.wait_for_end(folder, 120.0).state == "stopped"


@pytest.mark.parametrize("how", ["moved", "deleted", "replaced"])
def test_a_job_that_went_away_is_gone_and_is_left_alone(
    launch: SimpleNamespace, make_job: Callable[..., Any], tmp_path: Path, how: str
) -> None:
    folder = make_job(steps=10_000)
    launch.start(folder, sys.executable)
    pid = wait_for(launch, folder, "running").pid
    if how == "deleted":
        shutil.rmtree(folder.path)
    else:
        folder.path.rename(tmp_path / "elsewhere")
    if how == "replaced":
        launch.JobFolder(folder.path).create(Job(name="another", body={}, settings={}))
    end = time.monotonic() + 120.0
    while launch.folder_module.process_alive(pid):
        assert time.monotonic() < end, "nobody watches it, and it goes on"
        launch.collect_ended()
        time.sleep(0.02)
    left = sorted(file.name for file in folder.path.iterdir()) if folder.path.exists() else []
    assert left == (["job.json", "requests", "stages", "takes"] if how == "replaced" else [])


def test_a_share_that_does_not_answer_is_not_gone(
    launch: SimpleNamespace, make_job: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_job()
    folder.read_job()
    assert not folder.is_gone()

    def stale(*_: object) -> None:
        raise OSError(116, "Stale file handle")

    with monkeypatch.context() as patch:
        patch.setattr(launch.folder_module.os, "lstat", stale)
        assert not folder.is_gone()
    folder.job_file.unlink()
    assert folder.is_gone()


def test_a_killed_trainers_lock_is_free_while_its_workers_still_end(
    launch: SimpleNamespace, make_job: Callable[..., Any]
) -> None:
    folder = make_job(steps=10_000, behaviour="lingering worker")
    launch.start(folder, sys.executable)
    started = wait_for(launch, folder, "running").event
    worker = next(e["worker"] for e in told(folder) if e["kind"] == "started")["pid"]
    assert started
    os.kill(folder.trainer().pid, signal.SIGKILL)
    wait_for(launch, folder, "died")
    try:
        os.kill(worker, 0)
        launch.start(folder, sys.executable)
        wait_for(launch, folder, "running")
    finally:
        os.kill(worker, signal.SIGKILL)


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc to count trainers")
def test_a_start_that_meets_a_full_disk_leaves_no_trainer(
    launch: SimpleNamespace, make_job: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_job(steps=10_000)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(launch.JobFolder, "name_trainer", full)
        with pytest.raises(launch.JobError, match="could not be started with .*: No space left on device"):
            launch.start(folder, sys.executable)
    end = time.monotonic() + 120.0
    while trainers_of(folder):
        assert time.monotonic() < end, "it goes on without a name"
        launch.collect_ended()
        time.sleep(0.02)
    assert not folder.running()


def test_who_was_slower_at_the_lock_sees_the_trainer_that_has_yet_to_take_it(
    launch: SimpleNamespace, make_job: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_job(steps=10_000)
    folder.name_trainer(os.getpid())
    monkeypatch.setattr(folder, "running", lambda: False)  # so it was when this Blender looked
    with pytest.raises(launch.AlreadyRunning, match="already being trained"):
        launch.start(folder, sys.executable)
    folder.rest()


def test_a_trainer_writes_nothing_into_the_job_that_took_its_folder(
    launch: SimpleNamespace, make_job: Callable[..., Any], tmp_path: Path
) -> None:
    folder = make_job()
    folder.read_job()
    folder.path.rename(tmp_path / "elsewhere")
    launch.JobFolder(folder.path).create(Job(name="another", body={}, settings={}))
    before = snapshot(folder)
    with pytest.raises(FileNotFoundError, match="moved or deleted"):
        folder.append_event(Progress())
    folder.beat()
    folder.rest()
    assert snapshot(folder) == before
