# SPDX-License-Identifier: GPL-3.0-or-later
"""Repairing and removing, what a killed Blender leaves, and two Blenders at once."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backflip_addon.core import isolation
from backflip_addon.runtime import deletion, find, folders, install, pins, repair, uninstall
from backflip_addon.runtime.packages import Step
from backflip_addon.runtime.progress import Progress
from tests.runtime.stand_ins import failing, leftovers, note_runtime, runtime_folder, until

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-ins are shell scripts")


def test_repair_replaces_the_damaged_one(tmp_path: Path, stand_in: list[Step]) -> None:
    broken = runtime_folder(tmp_path)
    broken.mkdir(parents=True)
    (broken / "half a file").write_text("")
    older, left, foreign = (
        tmp_path / name for name in ("python-3.11-00000000", f"{deletion.UNFINISHED_PREFIX}1-1", "my own")
    )
    for folder in (older, left, foreign):
        folder.mkdir()
    assert repair.begin(tmp_path, sys.executable).wait().state == "done"
    assert find.find_runtime("", tmp_path).ready and not (broken / "half a file").exists()
    assert leftovers(tmp_path) == sorted((broken.name, foreign.name))
    assert uninstall.remove(tmp_path).wait() == Progress("done", 1.0, "The trainer's Python was removed.")
    assert folders.installed(tmp_path) is None and leftovers(tmp_path) == [foreign.name]


# Other Blenders

BLENDER = """
import sys, time
from pathlib import Path
from backflip_addon.runtime import install, packages
ticking = "import sys, time\\nwhile True: open(sys.argv[1], 'a').write('x'); time.sleep(0.05)"
pip = "import subprocess, sys; subprocess.run([sys.executable, '-c', *sys.argv[1:]])"
step = packages.Step("Ticking", (sys.executable, "-c", pip, ticking, sys.argv[2]), 1.0)
packages.runtime_steps = lambda *_: [step]
installation = install.Installation.begin(Path(sys.argv[1]), sys.executable)
while True:
    print(installation.poll().state, flush=True)
    time.sleep(0.05)
"""


@pytest.fixture
def other_blender(tmp_path: Path) -> Iterator[subprocess.Popen]:
    """A process with an installation at work, whose pip's own child adds a letter to `ticks` now and then."""
    home, ticks = tmp_path / "home", tmp_path / "ticks"
    process = subprocess.Popen(
        [sys.executable, "-c", BLENDER, str(home), str(ticks)],
        stdout=subprocess.DEVNULL,
        cwd=Path(__file__).parents[2],
    )
    until(lambda: ticks.exists() and ticks.stat().st_size > 2)
    yield process
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    process.wait()


def test_pip_ends_with_a_killed_blender_and_what_it_left_goes_at_once(
    tmp_path: Path, other_blender: subprocess.Popen, stand_in: list[Step]
) -> None:
    home, ticks = tmp_path / "home", tmp_path / "ticks"
    other_blender.kill()
    other_blender.wait()

    def silent() -> bool:
        before = ticks.stat().st_size
        time.sleep(0.5)
        return ticks.stat().st_size == before

    until(silent)
    assert [path.name.startswith(deletion.UNFINISHED_PREFIX) for path in home.iterdir() if path.is_dir()] == [True]
    assert repair.clean(home).wait().state == "done"
    assert leftovers(home) == []
    assert install.Installation.begin(home, sys.executable).wait().state == "done"


def test_installation_of_another_blender_is_neither_joined_nor_removed(
    tmp_path: Path, other_blender: subprocess.Popen, stand_in: list[Step]
) -> None:
    home = tmp_path / "home"
    at_work = [path for path in home.iterdir() if path.is_dir()]
    os.utime(at_work[0], (time.time() - 1e6,) * 2)
    assert install.Installation.begin(home, sys.executable).poll().message == folders.BUSY
    with pytest.raises(uninstall.RuntimeFolderError, match="by this or another Blender"):
        uninstall.remove(home)
    assert repair.clean(home).paths == () and at_work[0].is_dir()
    assert repair.begin(home, sys.executable).poll().message == folders.BUSY
    assert other_blender.poll() is None


def test_second_installation_of_the_same_blender_is_refused(tmp_path: Path, stand_in: list[Step]) -> None:
    first = install.Installation.begin(tmp_path, sys.executable)
    assert install.Installation.begin(tmp_path, sys.executable).poll().message == folders.BUSY
    assert first.wait().state == "done"
    assert install.Installation.begin(tmp_path, sys.executable).wait().state == "done"


def test_what_is_left_is_removed_by_age_where_there_are_no_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, young = tmp_path / f"{deletion.UNFINISHED_PREFIX}1-1", tmp_path / f"{deletion.UNFINISHED_PREFIX}2-2"
    for folder in (old, young):
        folder.mkdir()
    os.utime(old, (time.time() - repair.LEFT_BEHIND_SECONDS - 60,) * 2)
    monkeypatch.setattr(folders.fcntl, "flock", failing(errno.ENOLCK))
    assert repair.clean(tmp_path).wait().state == "done" and leftovers(tmp_path) == [young.name]


def test_removing_waits_for_nothing_and_follows_no_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    left = home / f"{deletion.UNFINISHED_PREFIX}1-1"
    left.mkdir(parents=True), elsewhere.mkdir()
    (elsewhere / "the user's").write_text("")
    (left / "link").symlink_to(elsewhere)
    (home / f"{deletion.GOING_PREFIX}1-1").symlink_to(elsewhere)
    (home / f"{deletion.UNFINISHED_PREFIX}2-2").symlink_to(elsewhere)  # none of ours: we make folders
    runtime = runtime_folder(home)
    runtime.symlink_to(elsewhere)  # a user's, whose first disk is small
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda *_, **__: pytest.fail("removes in this process"))
        patch.setattr(subprocess.Popen, "wait", lambda *_: pytest.fail("waits"))
        going = uninstall.remove(home)
        assert folders.installed(home) is None, "it is no runtime any more"
    assert going.wait().state == "done"
    assert leftovers(home) == [f"{deletion.UNFINISHED_PREFIX}2-2"] and (elsewhere / "the user's").exists()


def test_runtime_that_a_training_uses_is_not_removed(tmp_path: Path) -> None:
    interpreter = folders.interpreter(note_runtime(tmp_path), sys.executable)
    older = tmp_path / "python-3.11-00000000"
    older.mkdir()
    training = subprocess.Popen(isolation.python_command(interpreter, "-c", "import time; time.sleep(1e6)"))
    try:
        until(lambda: deletion.in_use(runtime_folder(tmp_path)))  # a moment after it was started
        with pytest.raises(
            uninstall.RuntimeFolderError, match="A training runs with the trainer's Python; stop it first"
        ):
            uninstall.remove(tmp_path)
        assert folders.installed(tmp_path) is not None
    finally:
        training.kill()
        training.wait()
    assert uninstall.remove(tmp_path).wait().state == "done" and leftovers(tmp_path) == []


def test_older_runtime_of_which_a_file_is_open_stays(
    tmp_path: Path, stand_in: list[Step], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Windows nobody looks who uses it: the system refuses to rename what is open, and nothing of it is removed."""
    older, used = tmp_path / "python-3.11-00000000", tmp_path / "python-3.11-11111111"
    for folder in (older, used):
        (folder / "packages").mkdir(parents=True)
    rename = os.replace

    def refuse(source: Path, target: Path) -> None:
        if Path(source) == used:
            raise PermissionError(errno.EACCES, "Access is denied", str(source), 5, str(target))
        rename(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    assert install.Installation.begin(tmp_path, sys.executable).wait().state == "done"
    assert leftovers(tmp_path) == sorted((runtime_folder(tmp_path).name, used.name))
    assert (used / "packages").is_dir()


def test_runtime_of_another_blenders_python_stays(tmp_path: Path, stand_in: list[Step]) -> None:
    others = [folders.runtime_folder(tmp_path, version) for version in pins.PYTHONS]
    for folder in others:
        folder.mkdir()
    assert install.Installation.begin(tmp_path, sys.executable).wait().state == "done"
    assert leftovers(tmp_path) == sorted(folder.name for folder in others)


def test_what_cannot_be_removed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = tmp_path / f"{deletion.UNFINISHED_PREFIX}1-1"
    left.mkdir()
    monkeypatch.setattr(deletion, "_PROGRAM", "")
    progress = uninstall.remove(tmp_path).wait()
    assert progress.state == "failed" and f"{left} could not be removed completely" in progress.message


def test_blender_without_a_python_program_removes_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = tmp_path / f"{deletion.UNFINISHED_PREFIX}1-1"
    (left / "inner").mkdir(parents=True)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "blender"))
    assert repair.clean(tmp_path).wait().state == "done" and not left.exists()
