# SPDX-License-Identifier: GPL-3.0-or-later
"""The buttons of the trainer's Python, with small commands in pip's place."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from backflip_addon import preferences  # noqa: E402
from backflip_addon.operators import runtime  # noqa: E402
from backflip_addon.runtime import deletion, folders, install, packages, pythons, uninstall  # noqa: E402
from backflip_addon.runtime.status import STATUS  # noqa: E402
from tests.runtime import stand_ins  # noqa: E402

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-ins are shell scripts")

MAKE = f"import sys, time\n{stand_ins.MAKE}\ntime.sleep(float(sys.argv[3]))"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "runtime"
    monkeypatch.delenv("BACKFLIP_PYTHON", raising=False)
    monkeypatch.setattr(preferences, "data_folder", lambda name: folder)
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    monkeypatch.setattr(STATUS, "installed", None)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "blender"))
    monkeypatch.setattr(install.pythons, "find_base", lambda *_: pythons.Base(PYTHON, stand_ins.VERSION))
    lasts(monkeypatch, 0.0)
    bpy.context.preferences.system.use_online_access = True
    return folder


PYTHON = sys.executable


def lasts(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    def steps(folder: Path, python: str, *_: object) -> list[packages.Step]:
        made = (str(folder), json.dumps(stand_ins.NAMES), str(seconds))
        return [packages.Step("Making", (python, "-c", MAKE, *made), 1.0)]

    monkeypatch.setattr(packages, "runtime_steps", steps)


def tick_to_the_end() -> None:
    end = time.monotonic() + 120.0
    while runtime._tick() is not None:
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)
    deletion.wait()


def said() -> str:
    return " ".join(STATUS.lines)


def test_asking_whether_a_button_works_lists_the_folder_once(
    ops: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []
    monkeypatch.setattr(runtime.uninstall, "is_there", lambda folder: bool(looks.append(folder)))
    monkeypatch.setattr(preferences, "runtime_home", lambda: home)
    for _ in range(5):
        assert not ops.repair_runtime.poll() and not ops.remove_runtime.poll()
    assert looks == [home]


def test_install_repair_and_remove(ops: Any, home: Path) -> None:
    for button in (ops.repair_runtime, ops.remove_runtime):
        assert not button.poll(), "there is nothing yet"
    assert ops.install_runtime() == {"FINISHED"}
    tick_to_the_end()
    assert "is ready" in said() and STATUS.ready and STATUS.heading == "Ready" and ops.show_install_log.poll()
    shutil.rmtree(stand_ins.runtime_folder(home) / "packages" / f"{stand_ins.NAMES[0]}-1.0.dist-info")
    assert not runtime.look() and "repair it in the preferences" in said() and STATUS.heading == "Broken"
    assert ops.repair_runtime() == {"FINISHED"}
    tick_to_the_end()
    assert "is ready" in said()
    assert ops.remove_runtime() == {"FINISHED"}
    tick_to_the_end()
    assert "press Install" in said() and not STATUS.ready and STATUS.heading == "Not Installed"
    assert [place.name for place in home.iterdir()] == [folders.LOCK_NAME]


def test_one_work_at_a_time_and_it_can_be_cancelled(ops: Any, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lasts(monkeypatch, 1e6)
    assert not ops.cancel_runtime.poll()
    ops.install_runtime()
    for button in (ops.install_runtime, ops.repair_runtime, ops.remove_runtime, ops.check_runtime):
        assert not button.poll()
    with pytest.raises(RuntimeError, match="poll"):
        ops.install_runtime()
    assert ops.cancel_runtime() == {"FINISHED"}
    assert said() == "The installation was cancelled." and not ops.cancel_runtime.poll()
    ops.repair_runtime.poll()  # asked by a drawing, while what was begun is still being removed
    deletion.wait()
    assert not ops.repair_runtime.poll() and not ops.remove_runtime.poll()
    assert not uninstall.is_there(home) and ops.install_runtime.poll()


def test_physics_that_was_not_compiled_is_said_beside_what_is_ready(
    ops: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = packages.Step("Compiling", (PYTHON, "-c", "raise SystemExit(1)"), 1.0, otherwise="Compiled later.")
    monkeypatch.setattr(packages, "compile_step", lambda python: failing)
    ops.install_runtime()
    tick_to_the_end()
    assert STATUS.ready and "is ready" in STATUS.lines[0] and STATUS.lines[1:] == ("Compiled later.",)
    ops.check_runtime("INVOKE_DEFAULT")
    tick_to_the_end()
    assert STATUS.ready and len(STATUS.lines) == 1


def test_leftovers_go_soon_after_blender_has_started(ops: Any, home: Path) -> None:
    left = home / f"{deletion.UNFINISHED_PREFIX}1-1"
    (left / "inner").mkdir(parents=True)
    runtime._first_look()
    deletion.wait()
    assert not left.exists()


def test_the_first_look_outlives_the_file_that_blender_is_started_with(ops: Any, home: Path) -> None:
    runtime.look_soon()
    try:
        bpy.ops.wm.read_homefile(use_empty=True)
        assert bpy.app.timers.is_registered(runtime._first_look)
    finally:
        if bpy.app.timers.is_registered(runtime._first_look):
            bpy.app.timers.unregister(runtime._first_look)


def test_failed_removal_is_said(ops: Any, home: Path) -> None:
    stand_ins.runtime_folder(home).mkdir(parents=True)
    held = folders.FolderLock.acquire(home)
    with pytest.raises(RuntimeError, match="by this or another Blender; wait until that is done"):
        ops.remove_runtime()
    assert stand_ins.runtime_folder(home).exists() and STATUS.work is None
    held.release()


def test_offline_nothing_is_downloaded(ops: Any, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bpy.context.preferences.system.use_online_access = False
    stand_ins.runtime_folder(home).mkdir(parents=True)
    assert not ops.install_runtime.poll() and not ops.repair_runtime.poll()
    assert ops.remove_runtime.poll(), "which asks nobody"
    monkeypatch.setattr(preferences, "wheels_folder", lambda: str(home / "nowhere"))
    assert ops.install_runtime.poll(), "from a folder it may be"
    with pytest.raises(RuntimeError, match="There is no folder"):
        ops.install_runtime()


def test_blender_without_a_folder_for_data_looks_nowhere_else(
    ops: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without HOME Blender answers "", which as a path is the folder of a .blend that somebody sent."""
    monkeypatch.delenv("BACKFLIP_PYTHON", raising=False)
    monkeypatch.setattr(bpy.utils, "user_resource", lambda *_, **__: "")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "blender"))
    bpy.context.preferences.system.use_online_access = True
    marker = tmp_path / "it ran"
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\ntouch '{marker}'\n")
    python.chmod(0o755)
    stand_ins.note_runtime(tmp_path, str(python))
    monkeypatch.chdir(tmp_path)
    runtime._first_look()
    tick_to_the_end()
    assert not STATUS.ready and not marker.exists()
    with pytest.raises(RuntimeError, match="Blender has no folder for its user's data"):
        ops.install_runtime()
    assert not ops.remove_runtime.poll()


@pytest.mark.parametrize("local", ["/somewhere/Zoë B/Local", "", "Local"])
def test_on_windows_it_lies_where_paths_are_short_and_nothing_roams(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, local: str
) -> None:
    monkeypatch.setattr(preferences, "_WINDOWS", True)
    monkeypatch.setattr(preferences, "data_folder", lambda name: tmp_path / name)
    monkeypatch.setenv("LOCALAPPDATA", local)
    is_whole = local.startswith("/")
    assert preferences.runtime_folder() == (Path(local, "backflip", "runtime") if is_whole else tmp_path / "runtime")


def test_how_much_is_downloaded_is_said_before(ops: Any) -> None:
    said = runtime.InstallRuntime.description(bpy.context, None)
    assert "MB to download" in said and "GB on the disk" in said
