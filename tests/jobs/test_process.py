# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting and watching a trainer, with a stand-in that speaks the job folder's contract."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.work import count_calls

PACKAGE = Path(__file__).resolve().parents[2] / "backflip_addon"
STAND_IN = Path(__file__).with_name("stand_in_trainer.py")


def copy_package(place: Path) -> Path:
    """The parts of the package that launching needs, with the stand-in for a trainer."""
    (place / "trainer").mkdir(parents=True)
    # Blender alone can import the real one: the trainer's Python must not come across it.
    (place / "__init__.py").write_text("import a_module_only_blender_has\n")
    (place / "trainer" / "__init__.py").write_text("")
    shutil.copy(STAND_IN, place / "trainer" / "run.py")
    shutil.copy(PACKAGE / "trainer" / "__main__.py", place / "trainer" / "__main__.py")
    (place / "core").mkdir()
    for file in ("__init__.py", "files.py", "isolation.py"):
        shutil.copy(PACKAGE / "core" / file, place / "core" / file)
    shutil.copytree(PACKAGE / "jobs", place / "jobs", ignore=shutil.ignore_patterns("__pycache__"))
    return place


def import_launch(place: Path, name: str) -> SimpleNamespace:
    """The copy's jobs.process and jobs.status in one, in a package called name, as Blender imports an extension."""
    package = ModuleType(name)
    package.__path__ = [str(place)]
    sys.modules[name] = package
    process = importlib.import_module(f"{name}.jobs.process")
    status = importlib.import_module(f"{name}.jobs.status")
    return SimpleNamespace(**vars(status), **{k: v for k, v in vars(process).items() if k not in vars(status)})


@pytest.fixture(scope="module", params=["backflip_addon", "backflip"])
def launch(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """jobs.process and jobs.status of a checkout, and of an extension whose folder has another name."""
    place = copy_package(tmp_path_factory.mktemp("extensions") / "with space" / request.param)
    name = f"bl_ext_stand_in_{request.param}"
    yield import_launch(place, name)
    for module in [module for module in sys.modules if module.split(".")[0] == name]:
        del sys.modules[module]


@pytest.fixture
def make_job(launch: SimpleNamespace, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    made = []

    def make(**settings: Any) -> Any:
        folder = launch.JobFolder(tmp_path / f"a job {len(made)}")
        folder.create({"name": "test", "body": {}, "settings": settings})
        made.append(folder)
        return folder

    yield make
    for folder in made:
        launch.kill(folder)
        launch.wait_for_end(folder, 5.0)


def wait_for(launch: SimpleNamespace, folder: Any, state: str) -> Any:
    end = time.monotonic() + 120.0
    while (status := launch.read_status(folder)).state != state:
        assert time.monotonic() < end, f"still {status} instead of {state}"
        time.sleep(0.02)
    return status


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


TRAPS = ("json", "numpy", "torch", "pybullet", "multiprocessing", "sitecustomize", "usercustomize", "runpy", "signal")


def set_traps(place: Path, marker: Path) -> None:
    """Modules by the names of those that a trainer imports; each tells when it was run."""
    code = f"open({str(marker)!r}, 'a').write(__file__ + chr(10))\n"
    place.mkdir(parents=True, exist_ok=True)
    for name in TRAPS:
        (place / f"{name}.py").write_text(code)
    for name in ("encodings", "backflip_addon", "concurrent"):
        (place / name).mkdir()
        (place / name / "__init__.py").write_text(code)


def test_no_file_of_a_job_or_of_the_working_directory_runs_in_trainer_or_worker(
    launch: SimpleNamespace, make_job: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = make_job(steps=1, behaviour="workers")
    marker, beside = tmp_path / "it ran", tmp_path / "beside the .blend"
    set_traps(folder.path, marker)
    set_traps(beside, marker)
    monkeypatch.chdir(beside)
    for name in ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONUSERBASE", "LD_PRELOAD_", "DYLD_X", "PIP_X"):
        monkeypatch.setenv(name, str(beside))
    launch.start(folder, sys.executable)
    assert launch.wait_for_end(folder, 120.0).state == "finished", launch.log_tail(folder)
    assert not marker.exists(), marker.read_text()
    started = folder.read_events()[0][0]
    for facts in (started["facts"], started["worker"]):
        assert facts["isolated"] and facts["path"][0] == str(launch.ALIAS_PATH)
        open_folders = {"", ".", str(folder.path), str(beside), os.path.realpath(beside)}
        assert not open_folders & {*facts["path"], facts["cwd"]}
        assert not any(name.startswith(("PYTHON", "LD_", "DYLD_", "PIP_")) for name in facts["variables"])


@pytest.mark.parametrize("place", ["job", "beside"])
def test_a_trainer_started_by_hand_takes_nothing_from_where_the_shell_is(
    launch: SimpleNamespace, make_job: Callable[..., Any], tmp_path: Path, place: str
) -> None:
    """runpy itself is found before we can say anything; after that nothing is."""
    folder = make_job(steps=1, behaviour="workers")
    marker, beside = tmp_path / "it ran", tmp_path / "beside"
    for trapped in (folder.path, beside):
        set_traps(trapped, marker)
        for early in ("runpy.py", "sitecustomize.py", "usercustomize.py", "encodings/__init__.py"):
            (trapped / early).unlink()
        for empty in ("encodings", "backflip_addon"):
            shutil.rmtree(trapped / empty)
    here = folder.path if place == "job" else beside
    environment = {**os.environ, "PYTHONPATH": str(launch.ALIAS_PATH)}
    line = [sys.executable, "-m", "backflip_addon.trainer", os.path.relpath(folder.path, here)]
    done = subprocess.run(line, cwd=here, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert not marker.exists(), marker.read_text()
    started = folder.read_events()[0][0]
    for facts in (started["facts"], started["worker"]):
        assert not {"", ".", str(folder.path), str(beside)} & {*facts["path"], facts["cwd"]}


@pytest.mark.parametrize("python", ["bin/python", "./python", "../python", "", "no such python"])
def test_a_relative_python_is_never_taken_from_the_working_directory(
    launch: SimpleNamespace, make_job: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, python: str
) -> None:
    marker = tmp_path / "it ran"
    folder = make_job()
    for place in (folder.path, tmp_path / "here"):
        for name in ("bin/python", "python", "no such python"):
            file = place / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"#!/bin/sh\necho ran > '{marker}'\n")
            file.chmod(0o755)
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("PATH", os.pathsep.join(["", ".", "bin", "/usr/bin"]))
    with pytest.raises(launch.JobError, match="whole path"):
        launch.start(folder, python)
    assert not marker.exists() and launch.read_status(folder).state == "idle"


def test_a_python_by_its_name_is_looked_up_on_the_path(
    launch: SimpleNamespace, make_job: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_job(steps=1)
    monkeypatch.setenv("PATH", os.path.dirname(sys.executable))
    launch.start(folder, os.path.basename(sys.executable))
    assert launch.wait_for_end(folder, 120.0).state == "finished", launch.log_tail(folder)


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
        from other.jobs import process as launch
        from other.jobs.process import JobFolder
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
    words = sorted(blender.communicate(timeout=120)[0].strip() for blender in blenders)
    assert words == ["refused"] * 3 + ["started"]
    wait_for(launch, folder, "running")
    assert sum(event["kind"] == "started" for event in folder.read_events()[0]) == 1


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
        from other.jobs import process as launch
        from other.jobs.process import JobFolder
        launch.start(JobFolder({str(folder.path)!r}), sys.executable)
        print("started", flush=True)
        time.sleep(60)
    """)
    blender = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert blender.stdout is not None and blender.stdout.readline().strip() == "started"
    os.killpg(blender.pid, signal.SIGKILL)
    blender.communicate(timeout=120)
    before = wait_for(launch, folder, "running")
    time.sleep(0.3)
    after = launch.read_status(folder)
    assert after.state == "running" and after.event["seconds"] > before.progress * 10
    launch.request_stop(folder)
    assert launch.wait_for_end(folder, 120.0).state == "stopped"


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is POSIX's")
def test_killed_trainer_is_seen_and_started_again(launch: SimpleNamespace, make_job: Callable[..., Any]) -> None:
    folder = make_job(steps=10_000)
    launch.start(folder, sys.executable)
    pid = wait_for(launch, folder, "running").pid
    os.kill(pid, signal.SIGKILL)
    died = wait_for(launch, folder, "died")
    assert "start it again" in died.message and died.pid == 0
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


def test_lacking_module_is_named(launch: SimpleNamespace, make_job: Callable[..., Any]) -> None:
    folder = make_job()
    folder.append_event("started", pid=0)
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
    assert status.state == "failed" and "not a Backflip job folder" in status.message


def test_nobody_hears_a_request(launch: SimpleNamespace, make_job: Callable[..., Any]) -> None:
    with pytest.raises(launch.JobError, match="start it first"):
        launch.request_stop(make_job())


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc to tell processes apart")
def test_reused_process_number_is_no_trainer(launch: SimpleNamespace, make_job: Callable[..., Any]) -> None:
    """After a restart of the computer a stranger may have the dead trainer's number."""
    folder = make_job()
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(30)"])
    folder.append_event("started", pid=stranger.pid)
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
