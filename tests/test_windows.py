# SPDX-License-Identifier: GPL-3.0-or-later
"""What Windows does otherwise with programs and folders, by stand-ins for its answers.

Elsewhere: files (core/test_files.py), locks of jobs (jobs/test_lock.py), how programs are started, and the clock
(core/test_background.py).
"""

from __future__ import annotations

import errno
import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backflip_addon.core import files
from backflip_addon.jobs import folder as folders
from backflip_addon.jobs import os_processes, trainer_process
from backflip_addon.jobs.folder import JobFolder
from backflip_addon.jobs.json_files import JobError
from backflip_addon.runtime import folders as runtime_folders
from backflip_addon.runtime import pythons, step_run, watchdog
from backflip_addon.runtime.packages import Step
from tests.jobs.folders import JOB

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the real ones answer there")

PYTHON = r"C:\Users\Zoë Ångström\AppData\Local\Programs\Python\Python311\python.exe"
STILL_ACTIVE = 259


class Kernel:
    """kernel32: processes by their numbers, each with its exit status and its program ("": Windows will not say)."""

    def __init__(self, processes: dict[int, tuple[int, str]]) -> None:
        self.processes = processes
        self.open: list[int] = []

        def open_process(_access: int, _inherit: bool, pid: int) -> int:
            self.open += [pid] if pid in processes else []
            return pid if pid in processes else 0

        self.OpenProcess = open_process  # a function can be told the type of what it returns, a method cannot

    def GetExitCodeProcess(self, handle: Any, code: Any) -> int:
        code._obj.value = self.processes[handle.value][0]
        return 1

    def QueryFullProcessImageNameW(self, handle: Any, _flags: int, text: Any, _size: Any) -> int:
        text.value = self.processes[handle.value][1]
        return 1

    def CloseHandle(self, handle: Any) -> int:
        self.open.remove(handle.value)
        return 1


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    import ctypes

    alive = STILL_ACTIVE
    made = Kernel({10: (alive, PYTHON), 11: (0, PYTHON), 12: (alive, ""), 13: (alive, r"C:\a.exe")})
    monkeypatch.setattr(ctypes, "windll", SimpleNamespace(kernel32=made), raising=False)
    for module in (os_processes, folders, trainer_process):
        monkeypatch.setattr(module, "_WINDOWS", True)
    return made


def test_processes_are_asked_of_the_system_and_let_go(kernel: Kernel) -> None:
    assert [os_processes.process_alive(pid) for pid in (0, 9, 10, 11, 12)] == [False, False, True, False, True]
    assert [os_processes.command_line(pid) for pid in (10, 11, 12)] == [PYTHON, "", "?"]
    assert kernel.open == [], "every handle is closed"


@pytest.mark.parametrize(("pid", "its_own"), [(10, True), (11, False), (12, False), (13, False), (9, False)])
def test_a_trainer_is_ended_with_its_workers_and_no_stranger_is(
    pid: int, its_own: bool, kernel: Kernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    job = JobFolder(tmp_path / "a jöb")
    job.create(JOB)
    folders.write_json(job.trainer_file, {"pid": pid, "host": socket.gethostname()})
    monkeypatch.setattr(folders, "is_held", lambda path: True)  # by a trainer
    asked: list[list[str]] = []

    def run(command: list[str], **options: Any) -> SimpleNamespace:
        asked.append(command)
        return SimpleNamespace(returncode=0)

    monkeypatch.setenv("SYSTEMROOT", r"D:\Windows")
    monkeypatch.setattr(trainer_process.subprocess, "run", run)
    assert trainer_process.kill(job) is its_own
    assert [command[1:] for command in asked] == ([["/F", "/T", "/PID", "10"]] if its_own else [])
    assert all(command[0].startswith(r"D:\Windows") and "taskkill.exe" in command[0] for command in asked)


def test_a_job_in_a_folder_too_deep_is_refused_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def create(letters: int) -> None:
        # The folder itself need not be so long here: nobody but Windows minds
        folder = tmp_path / ("x" * (letters - len(str(tmp_path)) - 1))
        JobFolder(folder).create(JOB)

    monkeypatch.setattr(files, "_WINDOWS", True)
    monkeypatch.setattr(files, "long_paths_allowed", lambda: False)
    create(files.MOST_PATH - folders.LONGEST_INSIDE - 1)
    with pytest.raises(JobError, match=r"too deep for Windows: paths of 260 letters .* enable long paths"):
        create(files.MOST_PATH - folders.LONGEST_INSIDE)
    monkeypatch.setattr(files, "long_paths_allowed", lambda: True)
    create(files.MOST_PATH - folders.LONGEST_INSIDE)


def test_no_path_in_a_job_is_longer_than_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = JobFolder(tmp_path / "job")
    job.create(JOB)
    names: list[Path] = []
    real = os.open

    def noted(path: Any, *arguments: Any, **options: Any) -> int:
        names.append(Path(path))
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, "open", noted)
    job.request("shoot", seed=1)
    job.beat()
    inside = [len(str(path.relative_to(job.path))) for path in names if path.is_relative_to(job.path)]
    assert max(inside) <= folders.LONGEST_INSIDE and max(inside) > 50, "what is being written has the longest name"


# The trainer's Python


def test_pythons_are_found_on_the_path_by_the_launcher_and_where_installers_put_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, programs = tmp_path / "Zoë Ångström" / "AppData" / "Local", tmp_path / "Program Files"
    on_path = tmp_path / "on the path"
    for file in (on_path / "py.exe", on_path / "python.exe", user / "Programs/Python/Python313/python.exe",
                 programs / "Python313/python.exe"):  # fmt: skip
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")
        file.chmod(0o755)
    asked: list[list[str]] = []

    def answer(program: str, command: list[str]) -> str:
        asked.append(command)
        return f"{PYTHON}\r\n" if program.endswith("py.exe") else ""

    monkeypatch.setattr(pythons, "_WINDOWS", True)
    monkeypatch.setattr(pythons, "_answer", answer)
    monkeypatch.setenv("PATH", str(on_path))
    monkeypatch.setenv("LOCALAPPDATA", str(user))
    monkeypatch.setenv("PROGRAMFILES", str(programs))
    found = [*pythons._on_path((3, 13)), *pythons._in_known_folders((3, 13))]
    assert found[:2] == [PYTHON, str(on_path / "python.exe")]
    assert found[-2:] == [str(user / "Programs/Python/Python313/python.exe"), str(programs / "Python313/python.exe")]
    assert [command[:2] for command in asked] == [[str(on_path / "py.exe"), "-3.13"]]


def test_one_installation_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """msvcrt's call, played by POSIX's: one byte, and an error of its own when another has it."""
    flock = runtime_folders.fcntl.flock

    def locking(handle: int, mode: int, count: int) -> None:
        assert (mode, count) == (2, 1)
        try:
            flock(handle, runtime_folders.fcntl.LOCK_EX | runtime_folders.fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError(errno.EACCES, "Permission denied") from None

    monkeypatch.setattr(runtime_folders, "_WINDOWS", True)
    monkeypatch.setattr(runtime_folders, "msvcrt", SimpleNamespace(LK_NBLCK=2, locking=locking))
    first = runtime_folders.FolderLock.acquire(tmp_path)
    assert first is not None and first.enforced and runtime_folders.FolderLock.acquire(tmp_path) is None
    first.release()
    second = runtime_folders.FolderLock.acquire(tmp_path)
    assert second is not None
    second.release()


def test_pip_ends_with_all_that_it_started_when_blender_does(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    os.close(write)  # Blender has ended
    asked: list[list[str]] = []
    monkeypatch.setattr(watchdog, "_WINDOWS", True)
    monkeypatch.setattr(watchdog.os, "read", lambda handle, count, real=os.read: real(read, count))
    monkeypatch.setattr(watchdog.subprocess, "call", asked.append)
    monkeypatch.setenv("SYSTEMROOT", r"D:\Windows")
    watchdog._end_with_starter()
    os.close(read)
    (command,) = asked
    assert command[0].startswith(r"D:\Windows") and command[1:] == ["/F", "/T", "/PID", str(os.getpid())]


def test_a_step_that_is_cancelled_ends_by_its_closed_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no group to kill there: the watchdog, which is real here, sees its input's end and does it."""
    monkeypatch.setattr(step_run, "_WINDOWS", True)
    monkeypatch.setattr(os, "killpg", lambda *_: pytest.fail("Windows has no such call"))
    wait = (sys.executable, "-c", "import time; print('begun', flush=True); time.sleep(1e6)")
    run = step_run.StepRun(Step("Waiting", wait, 1.0), tmp_path / "step.log", tmp_path, 0)
    end = time.monotonic() + 60.0
    while "begun" not in run.log() and time.monotonic() < end:
        time.sleep(0.02)
    assert run.poll() is None
    run.kill()
    assert run.poll() is not None


def test_compiled_physics_lies_where_paths_are_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("llvmlite")
    from backflip_addon.trainer import compiled_cache

    monkeypatch.setattr(compiled_cache, "_WINDOWS", True)
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "Zoë" / "Local"))
    assert list(compiled_cache._places()) == [tmp_path / "Zoë" / "Local" / "backflip" / "compiled"]
    monkeypatch.setenv("LOCALAPPDATA", "")
    assert list(compiled_cache._places()) == []


def test_a_training_on_another_drive_is_kept_by_its_whole_path(monkeypatch: pytest.MonkeyPatch) -> None:
    bpy = pytest.importorskip("bpy")
    from backflip_addon.operators import job_link

    def relpath(path: str, start: str = "") -> str:
        raise ValueError("path is on mount 'E:', start on mount 'C:'")  # as os.path.relpath there

    monkeypatch.setattr(bpy.path, "relpath", relpath)
    for place in (r"E:\jobs\a", r"\\server\share\jobs\a"):
        assert job_link._relative(place, r"C:\shots\a.blend") == place


def test_what_programs_write_is_read_as_utf_8(tmp_path: Path) -> None:
    """Whatever code page the system has."""
    say = (sys.executable, "-c", "import sys; sys.stdout.buffer.write('Zoë Ångström 日本\\n'.encode())")
    run = step_run.StepRun(Step("Saying", say, 1.0), tmp_path / "Zoë.log", tmp_path, 0)
    run.process.wait(60.0)
    assert run.poll() == 0 and run.log() == "Zoë Ångström 日本\n"
