# SPDX-License-Identifier: GPL-3.0-or-later
"""Installations, with small commands in pip's place; and one real one that finds no network."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import pytest

from backflip_addon.core import files
from backflip_addon.core.isolation import Interpreter
from backflip_addon.runtime import (
    deletion,
    find,
    folders,
    install,
    packages,
    pins,
    progress,
    pythons,
    repair,
    uninstall,
)
from backflip_addon.runtime.packages import Step
from backflip_addon.runtime.step_run import SURE_OF_A_STEP
from tests.runtime import stand_ins
from tests.runtime.stand_ins import NAMES, failing, leftovers, runtime_folder, script, until

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-ins are shell scripts")


def test_runtime_appears_whole(tmp_path: Path, stand_in: list[Step]) -> None:
    seen_it = tmp_path / "seen"
    wait = f"import pathlib, time\nwhile not pathlib.Path({str(seen_it)!r}).exists(): time.sleep(0.02)"
    stand_in.append(Step("Installing all", script(f"print('Collecting torch', flush=True)\n{wait}"), 9.0))
    installation = install.Installation.begin(tmp_path, sys.executable)
    seen = []
    while (progress := installation.poll()).state == "running":
        assert folders.installed(tmp_path) is None, "nothing has the final name before it is checked"
        seen.append(progress)
        if progress.message == "Installing all: collecting torch":
            seen_it.touch()
        time.sleep(0.02)
    seen_it.unlink()
    assert progress.state == "done" and progress.fraction == 1.0
    assert [p.fraction for p in seen] == sorted(p.fraction for p in seen)
    assert find.find_runtime("", tmp_path).ready
    assert leftovers(tmp_path) == [runtime_folder(tmp_path).name]
    assert "Collecting torch" in (tmp_path / install.LOG_NAME).read_text()


def test_poll_never_waits(tmp_path: Path, stand_in: list[Step], monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in.append(Step("For ever", script("import time; time.sleep(1e6)"), 1.0))
    installation = install.Installation.begin(tmp_path, sys.executable)
    with monkeypatch.context() as patch:
        patch.setattr(time, "sleep", lambda _: pytest.fail("poll() waits"))
        patch.setattr(subprocess.Popen, "wait", lambda *_: pytest.fail("poll() waits"))
        for _ in range(20):
            assert installation.poll().state == "running"
    installation.cancel()
    assert installation.poll().state == "cancelled" and leftovers(tmp_path) == []
    installation.cancel()
    assert installation.poll().state == "cancelled", "cancelling twice is cancelling once"


def test_failure_leaves_nothing_but_the_log(tmp_path: Path, stand_in: list[Step]) -> None:
    stand_in.append(Step("Installing", script("print('ERROR: the moon is full'); raise SystemExit(1)"), 1.0))
    progress = install.Installation.begin(tmp_path, sys.executable).wait()
    assert progress.state == "failed" and "the moon is full" in progress.message
    assert leftovers(tmp_path) == [] and "moon" in (tmp_path / install.LOG_NAME).read_text()


@pytest.mark.parametrize(("word", "state"), [("No matching distribution found for torch", "done"), ("else", "failed")])
def test_other_index_is_asked_when_there_is_no_build(
    tmp_path: Path, stand_in: list[Step], word: str, state: str
) -> None:
    second = Step("Installing", script("print('found')"), 1.0)
    stand_in.append(Step("Installing", script(f"print('ERROR: {word}'); raise SystemExit(1)"), 1.0, second))
    assert install.Installation.begin(tmp_path, sys.executable).wait().state == state


def test_what_does_not_work_is_not_kept(tmp_path: Path, stand_in: list[Step], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stand_ins, "NAMES", NAMES[1:])
    progress = install.Installation.begin(tmp_path, sys.executable).wait()
    assert progress.state == "failed" and f"lacks {NAMES[0]}" in progress.message
    assert folders.installed(tmp_path) is None


def test_no_disk_is_said_beforehand(tmp_path: Path, stand_in: list[Step], monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 9 * 10**8, 10**8))
    progress = install.Installation.begin(tmp_path, sys.executable).poll()
    assert progress.state == "failed" and re.search(r"needs \d\.\d GB", progress.message)
    assert "0.1 GB left" in progress.message


def test_disk_that_is_too_small_for_the_last_resort_is_said(
    tmp_path: Path, stand_in: list[Step], monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch with CUDA has gigabytes, and is taken only where PyTorch's own index cannot be reached."""
    large = Step("Installing torch with CUDA", script("raise SystemExit(9)"), 1.0, disk=10**18)
    stand_in.append(
        Step("Installing", script("print('No matching distribution found'); raise SystemExit(1)"), 1.0, large)
    )
    progress = install.Installation.begin(tmp_path, sys.executable).wait()
    assert progress.state == "failed" and "needs 1000000000.0 GB" in progress.message


@pytest.mark.parametrize("allowed", [True, False])
def test_folder_too_deep_for_windows_is_said(
    tmp_path: Path, stand_in: list[Step], monkeypatch: pytest.MonkeyPatch, allowed: bool
) -> None:
    monkeypatch.setattr(files, "_WINDOWS", True)
    monkeypatch.setattr(files, "long_paths_allowed", lambda: allowed)
    home = tmp_path / "a folder of many letters, deep inside others".replace(" ", "_" * 12)
    progress = install.Installation.begin(home, sys.executable).wait()
    if allowed:
        assert progress.state == "done"
    else:
        assert progress.state == "failed" and "too deep for Windows" in progress.message
        assert "LongPathsEnabled" in progress.message


def test_download_moves_the_bar_by_what_has_come_onto_the_disk(
    tmp_path: Path, stand_in: list[Step], monkeypatch: pytest.MonkeyPatch
) -> None:
    """pip tells of a file when it begins, and no more; another program may delete something meanwhile."""
    usage, free = namedtuple("usage", "total used free"), [9 * 10**9]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**10, 0, free[0]))
    stand_in.append(Step("Installing", script("import time; time.sleep(1e6)"), 6.0, disk=10**9))
    installation = install.Installation.begin(tmp_path, sys.executable)
    until(lambda: installation.poll() and installation._done == 1 and len(installation._runs) == 1)
    seen = []
    for taken in (0, 10**8, 5 * 10**8, 4 * 10**8, 3 * 10**9):
        free[0] = 9 * 10**9 - taken
        seen.append(installation.poll().fraction)
    installation.cancel()
    compiled = packages.compile_step(sys.executable).weight  # it has failed: there is nothing to compile with
    expected = [
        (1.0 + compiled + 6.0 * inside) / installation._total for inside in (0.0, 0.1, 0.5, 0.5, SURE_OF_A_STEP)
    ]
    assert seen == pytest.approx(expected)


def test_unwritable_home_is_said(tmp_path: Path, stand_in: list[Step]) -> None:
    (tmp_path / "file").write_text("")
    progress = install.Installation.begin(tmp_path / "file" / "home", sys.executable).poll()
    assert progress.state == "failed" and "cannot be written" in progress.message


def test_no_python_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install.pythons, "find_base", lambda python, own: None)
    progress = install.Installation.begin(tmp_path).poll()
    assert progress.state == "failed" and progress.message == pythons.lack_base_words()


def test_a_new_runtime_that_cannot_be_moved_leaves_the_old_one(
    tmp_path: Path, stand_in: list[Step], monkeypatch: pytest.MonkeyPatch
) -> None:
    old = runtime_folder(tmp_path)
    old.mkdir()
    (old / "half a file").write_text("")
    replace = os.replace

    def refuse(source: Path, target: Path) -> None:
        if Path(source).name == "runtime":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(source), None, str(target))
        replace(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    progress = install.Installation.begin(tmp_path, sys.executable).wait()
    assert progress.state == "failed" and "is in use or cannot be written" in progress.message
    assert (old / "half a file").exists() and leftovers(tmp_path) == [old.name]


def test_no_file_beside_a_blend_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever Python is looked for, asked, made or cleaned up, with Blender in a folder that somebody sent."""
    shot, marker = tmp_path / "shot", tmp_path / "it ran"
    shot.mkdir()
    for name in ("json", "sitecustomize", "usercustomize", "venv", "pip", "ensurepip", "shutil", "subprocess", "numpy"):
        (shot / f"{name}.py").write_text(f"open({str(marker)!r}, 'a').write({name!r})\n")
    (shot / "encodings").mkdir()
    (shot / "encodings" / "__init__.py").write_text(f"open({str(marker)!r}, 'a').write('encodings')\n")
    for name in ("python", "python3", f"python{sys.version_info[0]}.{sys.version_info[1]}", "py"):
        (shot / name).write_text(f"#!/bin/sh\necho {name} >> '{marker}'\n")
        (shot / name).chmod(0o755)
    monkeypatch.chdir(shot)
    monkeypatch.setenv("PATH", os.pathsep.join(("", ".", str(Path(sys.executable).parent), "/usr/bin", "/bin")))
    for name in ("PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE"):
        monkeypatch.setenv(name, str(shot))
    real = packages.runtime_steps

    def steps(folder: Path, python: str, version: pins.Version, pip: Path, *_: str) -> list[Step]:
        asked = packages.isolated(Interpreter(python, str(pip)), "-m", "pip", "--version")
        return [real(folder, python, version, pip)[0], Step("pip", asked, 1.0)]

    monkeypatch.setattr(packages, "runtime_steps", steps)
    assert find.find_runtime(sys.executable).source == "preference"
    assert pythons.find_python(sys.version_info[:2], also=(sys.executable,))
    left = tmp_path / "home" / f"{deletion.UNFINISHED_PREFIX}1-1"
    left.mkdir(parents=True)
    assert repair.clean(tmp_path / "home").wait().state == "done"
    progress = install.Installation.begin(tmp_path / "home", sys.executable).wait()
    assert "What was installed does not work" in progress.message and "lacks numpy" in progress.message
    assert leftovers(tmp_path / "home") == []
    assert not marker.exists(), marker.read_text()


def test_no_network_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real steps, with a package index that nobody answers for."""
    for proxy in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(proxy, "http://127.0.0.1:9")
    for home in ("HOME", "USERPROFILE", "XDG_CONFIG_HOME", "APPDATA"):  # no pip of the user's that knows better
        monkeypatch.setenv(home, str(tmp_path / "home"))
    monkeypatch.setattr(packages, "TORCH_CPU_INDEX", "http://127.0.0.1:9/cpu")
    progress = install.Installation.begin(tmp_path / "runtime", sys.executable).wait()
    assert progress.state == "failed" and "cannot be reached; check the network" in progress.message
    assert leftovers(tmp_path / "runtime") == []


# A full disk


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
@pytest.mark.parametrize("when", ["begin", "step"])
def test_full_disk_is_said_when_the_log_cannot_be_written(
    number: int, when: str, tmp_path: Path, stand_in: list[Step], monkeypatch: pytest.MonkeyPatch
) -> None:
    if when == "begin":
        monkeypatch.setattr(Path, "write_bytes", failing(number))
    installation = install.Installation.begin(tmp_path, sys.executable)
    if when == "step":
        monkeypatch.setattr(subprocess, "Popen", failing(number))
    assert installation.wait().message == progress.DISK_FULL


def test_full_disk_is_said_when_pip_says_something_else_and_tidies_up(
    tmp_path: Path, stand_in: list[Step], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk was full for a moment; when pip has ended there is room again, and its last words were others."""
    usage, free = namedtuple("usage", "total used free"), [5 * 10**9]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**10, 0, free[0]))
    stand_in.append(Step("Installing", script("print('ERROR: the moon is full'); raise SystemExit(1)"), 1.0))
    installation = install.Installation.begin(tmp_path, sys.executable)
    free[0] = 1000
    assert installation.poll().state == "running"
    free[0] = 5 * 10**9
    assert installation.wait().message == progress.DISK_FULL and leftovers(tmp_path) == []


def test_used_up_share_is_said_when_nothing_could_be_written(
    tmp_path: Path, stand_in: list[Step], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk itself has room, pip died without a word, and the log is empty."""
    stand_in.append(Step("Installing", script("raise SystemExit(1)"), 1.0))
    installation = install.Installation.begin(tmp_path, sys.executable)
    monkeypatch.setattr(Path, "write_bytes", failing(errno.EDQUOT))
    assert installation.wait().message == progress.DISK_FULL


LIMITED = """
import resource, sys
from pathlib import Path
from backflip_addon.runtime import install, packages
code = "import sys; print('ERROR: no word of it is written', flush=True)"
packages.runtime_steps = lambda *_: [packages.Step("Installing", (sys.executable, "-c", code), 1.0)]
installation = install.Installation.begin(Path(sys.argv[1]), sys.executable)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
message = installation.wait().message
sys.stdout.write(message)
"""


def test_limit_of_the_system_is_said_as_a_full_disk(tmp_path: Path) -> None:
    """Nothing may be written by Blender or pip, not even a letter of the log."""
    run = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path / "home")],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert run.stdout == progress.DISK_FULL


def test_silent_end_is_one_sentence(tmp_path: Path, stand_in: list[Step]) -> None:
    stand_in.append(Step("Installing", script("import os; os.kill(os.getpid(), 9)"), 1.0))
    sentence = install.Installation.begin(tmp_path, sys.executable).wait().message
    assert "ended unexpectedly; check that there is room on the disk and in memory" in sentence


# A folder that goes, or was never there


def test_folder_that_goes_away_is_said(tmp_path: Path, stand_in: list[Step]) -> None:
    stand_in.append(Step("Installing", script("import time; time.sleep(1e6)"), 1.0))
    home = tmp_path / "home"
    installation = install.Installation.begin(home, sys.executable)
    (run,) = until(lambda: installation.poll() and installation._done == 1 and installation._runs)[:1]
    home.rename(tmp_path / "elsewhere")
    os.killpg(run.process.pid, signal.SIGKILL)
    sentence = installation.wait().message
    assert "was moved or removed while the installation was at work; press Install again" in sentence


def test_folder_that_goes_away_between_steps_ends_what_runs(tmp_path: Path, stand_in: list[Step]) -> None:
    home = tmp_path / "home"
    installation = install.Installation.begin(home, sys.executable)
    shutil.rmtree(home)
    progress = installation.wait()
    assert progress.state == "failed" and "was moved or removed" in progress.message
    assert repair.clean(home).wait().state == "done" and uninstall.remove(home).wait().state == "done"


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_folder_that_cannot_be_written_is_said(
    number: int, tmp_path: Path, stand_in: list[Step], monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime, left = runtime_folder(tmp_path), tmp_path / f"{deletion.UNFINISHED_PREFIX}1-1"
    runtime.mkdir(), left.mkdir()
    monkeypatch.setattr(os, "open", failing(number))
    progress = install.Installation.begin(tmp_path, sys.executable).poll()
    assert progress.state == "failed" and f"{tmp_path} cannot be written: {os.strerror(number)}" in progress.message
    assert repair.clean(tmp_path).paths == (), "and it is not cleaned"
    with pytest.raises(uninstall.RuntimeFolderError, match="cannot be written"):
        uninstall.remove(tmp_path)
    assert runtime.exists() and left.exists()
