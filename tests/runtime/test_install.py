# SPDX-License-Identifier: GPL-3.0-or-later
"""Installations, with small commands in pip's place; and one real one that finds no network."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections import namedtuple
from pathlib import Path

import pytest

from backflip_addon.runtime import check, install, packages, repair
from backflip_addon.runtime.packages import Step

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-ins are shell scripts")

MAKE = """
import pathlib, sys
python = pathlib.Path(sys.argv[1])
python.parent.mkdir(parents=True)
python.write_text("#!/bin/sh\\necho 'backflip-check:%s'\\n" % sys.argv[2])
python.chmod(0o755)
"""
WHOLE = '{"version": [3, 11, 9], "bits": 64, "broken": {}, "found": {"numpy": "1", "torch": "2", "pybullet": "3"}}'
PARTIAL = WHOLE.replace('"torch": "2"', '"torch": ""')


def script(text: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-c", text, *arguments)


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> list[Step]:
    """The steps after the making of the environment; a test fills them in."""
    after: list[Step] = []

    def steps(folder: Path, python: str, compile_now: bool) -> list[Step]:
        assert not compile_now
        make = script(MAKE, str(packages.environment_python(folder)), WHOLE)
        return [Step("Making the environment", make, 1.0), *after]

    monkeypatch.setattr(packages, "steps", steps)
    return after


def leftovers(home: Path) -> list[str]:
    return sorted(place.name for place in home.iterdir() if place.name != install.LOG_NAME)


def test_runtime_appears_whole(tmp_path: Path, stand_in: list[Step]) -> None:
    collect = script("print('Collecting torch', flush=True); import time; time.sleep(.5)")
    stand_in.append(Step("Installing all", collect, 9.0))
    installation = install.Installation.begin(tmp_path, sys.executable)
    seen = []
    while (progress := installation.poll()).state == "running":
        assert not install.installed(tmp_path), "nothing has the final name before it is checked"
        seen.append(progress)
        time.sleep(0.02)
    assert progress.state == "done" and progress.fraction == 1.0
    assert [p.fraction for p in seen] == sorted(p.fraction for p in seen)
    assert any(p.message == "Installing all: collecting torch" for p in seen)
    assert check.check(install.installed(tmp_path)).ready
    assert leftovers(tmp_path) == [install.runtime_folder(tmp_path).name]
    assert "Collecting torch" in (tmp_path / install.LOG_NAME).read_text()


def test_poll_never_blocks(tmp_path: Path, stand_in: list[Step]) -> None:
    stand_in.append(Step("Slowly", script("import time; time.sleep(30)"), 1.0))
    installation = install.Installation.begin(tmp_path, sys.executable)
    slowest = 0.0
    for _ in range(20):
        begin = time.perf_counter()
        assert installation.poll().state == "running"
        slowest = max(slowest, time.perf_counter() - begin)
        time.sleep(0.02)
    installation.cancel()
    assert slowest < 0.2
    assert installation.poll().state == "cancelled" and leftovers(tmp_path) == []


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
    monkeypatch.setitem(globals(), "WHOLE", PARTIAL)
    progress = install.Installation.begin(tmp_path, sys.executable).wait()
    assert progress.state == "failed" and "lacks torch" in progress.message and not install.installed(tmp_path)


def test_no_disk_is_said_beforehand(tmp_path: Path, stand_in: list[Step], monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 9 * 10**8, 10**8))
    progress = install.Installation.begin(tmp_path, sys.executable).poll()
    assert progress.state == "failed" and "needs 2.5 GB" in progress.message and "0.1 GB left" in progress.message


def test_unwritable_home_is_said(tmp_path: Path, stand_in: list[Step]) -> None:
    (tmp_path / "file").write_text("")
    progress = install.Installation.begin(tmp_path / "file" / "home", sys.executable).poll()
    assert progress.state == "failed" and "cannot be written" in progress.message


def test_no_python_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install.pythons, "find_python", lambda version, also=(): "")
    progress = install.Installation.begin(tmp_path).poll()
    assert progress.state == "failed" and "No Python 3.11 was found" in progress.message


def test_repair_replaces_the_damaged_one(tmp_path: Path, stand_in: list[Step]) -> None:
    broken = install.runtime_folder(tmp_path)
    broken.mkdir(parents=True)
    (broken / "half a file").write_text("")
    older, left = tmp_path / "python-3.11-00000000", tmp_path / f"{install.SOON}1-1"
    fresh, foreign = tmp_path / f"{install.SOON}2-2", tmp_path / "something of the user's"
    for folder in (older, left, fresh, foreign):
        folder.mkdir()
    os.utime(left, (time.time() - repair.LEFT_BEHIND_SECONDS - 60,) * 2)
    assert repair.begin(tmp_path, sys.executable).wait().state == "done"
    assert check.check(install.installed(tmp_path)).ready and not (broken / "half a file").exists()
    assert not older.exists() and not left.exists()
    assert fresh.exists(), "another Blender's installation is at work there"
    assert foreign.exists()
    repair.remove(tmp_path)
    assert not install.installed(tmp_path)


def test_no_network_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real steps, with a package index that nobody answers for."""
    if sys.version_info[:2] != packages.PYTHON_VERSION:
        pytest.skip("takes the trainer's own Python version")
    for proxy in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(proxy, "http://127.0.0.1:9")
    for home in ("HOME", "USERPROFILE", "XDG_CONFIG_HOME", "APPDATA"):  # no pip of the user's that knows better
        monkeypatch.setenv(home, str(tmp_path / "home"))
    monkeypatch.setattr(packages, "TORCH_CPU_INDEX", "http://127.0.0.1:9/cpu")
    progress = install.Installation.begin(tmp_path / "runtime", sys.executable).wait()
    assert progress.state == "failed" and "cannot be reached; check the network" in progress.message
    assert leftovers(tmp_path / "runtime") == []
