# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting and watching a trainer, with a stand-in that speaks the job folder's contract."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.job_events import tell, told
from tests.jobs.launching import wait_for
from tests.work import count_calls


def test_job_runs_from_start_to_end(launch: SimpleNamespace, make_job: Callable[..., Any]) -> None:
    folder = make_job()
    assert launch.read_status(folder).state == "idle"
    launch.start(folder, sys.executable)
    seen = []
    last = launch.wait_for_end(folder, 120.0, on_status=seen.append, interval=0.02)
    states = [status.state for status in seen]
    assert states[0] == "starting" and "running" in states and states[-1] == "finished"
    assert (last.progress, last.control_steps, last.seconds) == (1.0, 123, 1.0)
    assert last.landed and not last.active
    assert last.takes == 3 and last.best_take == "0001_search.npz", "a landed take beats a higher score"
    running = [status for status in seen if status.state == "running" and status.message == "Trying."]
    assert running[0].progress < running[-1].progress and running[0].seconds_left == 9.0
    assert not folder.running() and not (folder.path / "start.lock").exists()


def test_pause_resume_stop(launch: SimpleNamespace, make_job: Callable[..., Any]) -> None:
    folder = make_job(steps=10_000)
    launch.start(folder, sys.executable)
    wait_for(launch, folder, "running")
    launch.request_pause(folder)
    assert wait_for(launch, folder, "paused").message == "Paused."
    launch.request_resume(folder)
    wait_for(launch, folder, "running")
    launch.request_stop(folder)
    assert launch.wait_for_end(folder, 120.0).state == "stopped"


def test_second_trainer_is_refused(launch: SimpleNamespace, make_job: Callable[..., Any]) -> None:
    folder = make_job(steps=10_000, start_seconds=0.5)
    launch.start(folder, sys.executable)
    with pytest.raises(launch.AlreadyRunning, match="already being trained by process"):
        launch.start(folder, sys.executable)
    wait_for(launch, folder, "running")
    with pytest.raises(launch.AlreadyRunning):
        launch.start(folder, sys.executable)


def test_two_blenders_start_one_trainer(launch: SimpleNamespace, make_job: Callable[..., Any]) -> None:
    folder = make_job(steps=10_000)
    package = launch.ALIAS_PATH.parents[1]
    code = textwrap.dedent(f"""
        import sys, types
        package = types.ModuleType("other")
        package.__path__ = [{str(package)!r}]
        sys.modules["other"] = package
        from other.jobs import trainer_process as launch
        from other.jobs.trainer_process import JobFolder
        try:
            launch.start(JobFolder({str(folder.path)!r}), sys.executable)
        except launch.AlreadyRunning:
            print("refused")
        else:
            print("started")
    """)
    blenders = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, stderr=subprocess.STDOUT)
        for _ in range(4)
    ]
    words = sorted(blender.communicate(timeout=600)[0].strip() for blender in blenders)
    assert words == ["refused"] * 3 + ["started"]
    wait_for(launch, folder, "running")
    assert sum(event["kind"] == "started" for event in told(folder)) == 1


@pytest.mark.skipif(os.name == "nt", reason="process groups are POSIX's")
def test_trainer_outlives_blender(launch: SimpleNamespace, make_job: Callable[..., Any]) -> None:
    """The starter's whole process group is killed; the trainer goes on and is found by the next."""
    folder = make_job(steps=10_000)
    package = launch.ALIAS_PATH.parents[1]
    code = textwrap.dedent(f"""
        import sys, types, time
        package = types.ModuleType("other")
        package.__path__ = [{str(package)!r}]
        sys.modules["other"] = package
        from other.jobs import trainer_process as launch
        from other.jobs.trainer_process import JobFolder
        launch.start(JobFolder({str(folder.path)!r}), sys.executable)
        print("started", flush=True)
        time.sleep(60)
    """)
    blender = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert blender.stdout is not None and blender.stdout.readline().strip() == "started"
    os.killpg(blender.pid, signal.SIGKILL)
    blender.communicate(timeout=600)
    before = wait_for(launch, folder, "running")
    time.sleep(0.3)
    after = launch.read_status(folder)
    assert after.state == "running" and after.event.seconds > before.progress * 10
    launch.request_stop(folder)
    assert launch.wait_for_end(folder, 120.0).state == "stopped"


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is POSIX's")
def test_killed_trainer_is_seen_and_started_again(launch: SimpleNamespace, make_job: Callable[..., Any]) -> None:
    folder = make_job(steps=10_000)
    launch.start(folder, sys.executable)
    pid = wait_for(launch, folder, "running").pid
    os.kill(pid, signal.SIGKILL)
    died = wait_for(launch, folder, "died")
    assert "resume the training" in died.message and died.pid == 0
    folder.request("stop")  # asked of the dead; the next one must not obey it
    launch.start(folder, sys.executable)
    wait_for(launch, folder, "running")
    time.sleep(0.3)
    assert launch.read_status(folder).state == "running"
    assert launch.kill(folder)
    wait_for(launch, folder, "died")


def test_crash_shows_the_log(launch: SimpleNamespace, make_job: Callable[..., Any]) -> None:
    folder = make_job(behaviour="crash")
    launch.start(folder, sys.executable)
    died = launch.wait_for_end(folder, 120.0)
    assert died.state == "died" and "RuntimeError: out of luck" in died.message
    assert not launch.log_tail(folder).startswith("---")


def test_what_is_printed_at_every_start_explains_no_death(
    launch: SimpleNamespace, make_job: Callable[..., Any]
) -> None:
    folder = make_job()
    tell(folder, "started", pid=0)
    folder.log_file.write_text("--- now python\npybullet build time: Jan 29 2025 23:17:20\nargv[0]=\n")
    assert len(launch.read_status(folder).message.splitlines()) == 1
    with folder.log_file.open("a") as file:
        file.write("Killed by nobody\n")
    assert launch.log_tail(folder) == "Killed by nobody"


def test_lacking_module_is_named(launch: SimpleNamespace, make_job: Callable[..., Any]) -> None:
    folder = make_job()
    tell(folder, "started", pid=0)
    folder.log_file.write_text("--- now python\nTraceback\nModuleNotFoundError: No module named 'pybullet'\n")
    assert "lacks pybullet" in launch.read_status(folder).message


def test_error_of_the_trainer_is_the_message(launch: SimpleNamespace, make_job: Callable[..., Any]) -> None:
    folder = make_job(behaviour="error")
    launch.start(folder, sys.executable)
    failed = launch.wait_for_end(folder, 120.0)
    assert (failed.state, failed.message) == ("failed", "The reference has no frames.")


def test_wrong_python_is_one_sentence(launch: SimpleNamespace, make_job: Callable[..., Any], tmp_path: Path) -> None:
    folder = make_job()
    with pytest.raises(launch.JobError, match="could not be started with"):
        launch.start(folder, str(tmp_path / "no python"))
    assert launch.read_status(folder).state == "idle" and not (folder.path / "start.lock").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 1}', '{"version": 99, "body": {}, "settings": {}}'])
def test_damaged_job_is_refused(launch: SimpleNamespace, tmp_path: Path, text: str) -> None:
    folder = launch.JobFolder(tmp_path)
    folder.job_file.write_text(text)
    with pytest.raises(launch.JobError, match=r"job\.json"):
        launch.start(folder, sys.executable)


def test_missing_job_is_a_failed_job(launch: SimpleNamespace, tmp_path: Path) -> None:
    status = launch.read_status(launch.JobFolder(tmp_path / "gone"))
    assert status.state == "failed" and "not a training's folder" in status.message


def test_nobody_hears_a_request(launch: SimpleNamespace, make_job: Callable[..., Any]) -> None:
    with pytest.raises(launch.JobError, match="start it first"):
        launch.request_stop(make_job())


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc to tell processes apart")
def test_reused_process_number_is_no_trainer(launch: SimpleNamespace, make_job: Callable[..., Any]) -> None:
    """After a restart of the computer a stranger may have the dead trainer's number."""
    folder = make_job()
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(30)"])
    tell(folder, "started", pid=stranger.pid)
    facts = {"pid": stranger.pid, "host": socket.gethostname(), "started": time.time() - 3600}
    folder.trainer_file.write_text(json.dumps(facts))
    os.utime(folder.trainer_file, (time.time() - 3600,) * 2)
    assert launch.read_status(folder).state == "died"
    stranger.kill()
    stranger.wait()


def test_status_of_a_long_job_is_cheap(launch: SimpleNamespace, make_job: Callable[..., Any]) -> None:
    folder = make_job()
    line = json.dumps({"time": 1.0, "kind": "progress", "fraction": 0.5, "message": "Trying."}) + "\n"
    folder.events_file.write_text(line * 50_000)
    launch.read_status(folder)
    assert count_calls(lambda: launch.read_status(folder)) < 1_000, "nothing new, and nothing is read again"
