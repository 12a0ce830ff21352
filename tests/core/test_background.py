# SPDX-License-Identifier: GPL-3.0-or-later
"""How programs are started behind Blender's window; Windows' branch with a stand-in for what starts them there."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from backflip_addon.core import background, clock

PACKAGE = Path(background.__file__).resolve().parents[1]


@pytest.mark.skipif(os.name == "nt", reason="sessions and nice values are POSIX's")
def test_program_has_a_session_of_its_own_and_low_priority() -> None:
    process = background.start([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert os.getsid(process.pid) == process.pid != os.getsid(0)
        niceness = os.getpriority(os.PRIO_PROCESS, process.pid)
        assert niceness == max(background.NICENESS, os.getpriority(os.PRIO_PROCESS, 0))
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("outlives", [True, False])
@pytest.mark.parametrize("may_leave", [True, False])
def test_windows_starts_it_hidden_and_out_of_a_launchers_job_where_it_may(
    monkeypatch: pytest.MonkeyPatch, outlives: bool, may_leave: bool
) -> None:
    tries: list[int] = []

    def start(command: list[str], creationflags: int, **options: Any) -> str:
        tries.append(creationflags)
        if creationflags & background.CREATE_BREAKAWAY_FROM_JOB and not may_leave:
            raise PermissionError(13, "Access is denied")
        return "a process"

    monkeypatch.setattr(background, "_WINDOWS", True)
    monkeypatch.setattr(background.subprocess, "Popen", start)
    assert background.start(["python.exe"], outlives=outlives) == "a process"
    hidden_and_low = background.CREATE_NO_WINDOW | background.BELOW_NORMAL_PRIORITY_CLASS
    assert all(flags & hidden_and_low == hidden_and_low for flags in tries)
    leaving = [bool(flags & background.CREATE_BREAKAWAY_FROM_JOB) for flags in tries]
    assert leaving == ([True] if outlives and may_leave else [True, False] if outlives else [False])


# What never runs on Windows, has no window of its own, or is called by a program that is hidden itself
SEEN_BY_NOBODY = {"runtime/watchdog.py", "jobs/os_processes.py", "core/background.py"}


def test_no_program_of_blenders_shows_a_console() -> None:
    """On Windows each that is started otherwise opens a black window for a moment."""
    seen = []
    for path in PACKAGE.rglob("*.py"):
        name = path.relative_to(PACKAGE).as_posix()
        if name in SEEN_BY_NOBODY or name.startswith("trainer/"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            starts = isinstance(node, ast.Call) and ast.unparse(node.func) in ("subprocess.run", "subprocess.Popen")
            if starts and "creationflags" not in [keyword.arg for keyword in node.keywords]:
                seen.append(name)
    assert seen == ["runtime/deletion.py"], "which asks ps, of macOS"


# The clock of work


def test_clock_goes_on_while_the_computer_is_awake() -> None:
    first = clock.awake_seconds()
    assert clock.awake_seconds() >= first


def test_on_windows_the_clock_is_the_one_that_stands_still_in_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    import ctypes

    class Kernel:
        @staticmethod
        def QueryUnbiasedInterruptTime(ticks: Any) -> int:
            ticks._obj.value = 123 * clock.TICKS_A_SECOND
            return 1

    class Libraries:
        kernel32 = Kernel

    monkeypatch.setattr(clock.sys, "platform", "win32")
    monkeypatch.setattr(ctypes, "windll", Libraries, raising=False)
    assert clock.awake_seconds() == 123.0
