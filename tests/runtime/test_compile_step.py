# SPDX-License-Identifier: GPL-3.0-or-later
"""The step of an installation that compiles the physics: beside the last download, told, cancelled, no loss if it
fails."""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from pathlib import Path

import pytest

from backflip_addon.core.isolation import Interpreter
from backflip_addon.core.progress_lines import Told, last_told
from backflip_addon.runtime import find, install, packages
from backflip_addon.runtime.packages import Step
from tests.runtime.stand_ins import leftovers, script, until

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-ins are shell scripts")

REAL_STEP = packages.compile_step
HALF = Told(0.5, "Compiling the physics for this computer (3 of 6)", 40.0)
TELLING = f"print({HALF.to_line()!r}, flush=True); import time; time.sleep(SECONDS)"


def compiles(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Have the step run other code; everything else of it stays."""

    def step(python: Interpreter) -> Step:
        return dataclasses.replace(REAL_STEP(python), command=script(code))

    monkeypatch.setattr(packages, "compile_step", step)


def test_it_runs_beside_the_last_download_and_tells_how_far_it_is(
    tmp_path: Path, stand_in: list[Step], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = f"import pathlib; assert list(pathlib.Path({str(tmp_path)!r}).rglob('packages/numpy')); "
    compiles(monkeypatch, made + TELLING.replace("SECONDS", "1.0"))
    done = tmp_path / "downloaded"
    wait = f"import pathlib, time\nwhile not pathlib.Path({str(done)!r}).exists(): time.sleep(0.02)"
    stand_in.append(Step("Installing torch", script(wait), 5.0))
    installation = install.Installation.begin(tmp_path, sys.executable)
    both = f"2 of 3: Installing torch. {HALF.message}, 40 s left"
    seen = []
    while (progress := installation.poll()).state == "running":
        seen.append(progress)
        if seen[-1].in_words() == both and not done.exists():
            done.touch()  # the download ends first, and the compilation is waited for
        time.sleep(0.02)
    assert progress.state == "done" and progress.remark == ""
    told = [p.in_words() for p in seen]
    assert both in told and f"2 of 3: {HALF.message}, 40 s left" in told
    assert [p.fraction for p in seen] == sorted(p.fraction for p in seen)
    assert told.index(both) > 0 and seen[told.index(both)].fraction > seen[0].fraction, "what is told counts"
    assert seen[-1].message == "Checking what was installed"
    log = (tmp_path / install.LOG_NAME).read_text()
    assert log.count(HALF.to_line()) == 1, "what each of them wrote is kept"


def test_a_download_that_fails_ends_the_compilation(
    tmp_path: Path, stand_in: list[Step], monkeypatch: pytest.MonkeyPatch
) -> None:
    compiles(monkeypatch, TELLING.replace("SECONDS", "1e6"))
    stand_in.append(
        Step("Installing", script("import time; time.sleep(1); print('ERROR: full'); raise SystemExit(1)"), 5.0)
    )
    installation = install.Installation.begin(tmp_path, sys.executable)
    processes = until(lambda: installation.poll() and len(installation._runs) == 2 and [*installation._runs])
    progress = installation.wait()
    assert progress.state == "failed" and "full" in progress.message
    assert all(run.process.poll() is not None for run in processes) and leftovers(tmp_path) == []
    log = (tmp_path / install.LOG_NAME).read_text()
    assert log.count("ERROR: full") == 1 and HALF.to_line() in log, "each is kept, once"


def test_another_index_is_asked_while_it_compiles(
    tmp_path: Path, stand_in: list[Step], monkeypatch: pytest.MonkeyPatch
) -> None:
    compiles(monkeypatch, TELLING.replace("SECONDS", "2"))
    second = Step("Asking another index", script("import time; time.sleep(1); print('found')"), 1.0)
    first = script("print('ERROR: No matching distribution found for torch'); raise SystemExit(1)")
    stand_in.append(Step("Installing", first, 5.0, second))
    installation = install.Installation.begin(tmp_path, sys.executable)
    both = f"Asking another index. {HALF.message}, 40 s left"
    until(lambda: installation.poll().message == both)
    progress = installation.wait()
    assert progress.state == "done" and progress.remark == "" and progress.fraction == 1.0
    log = (tmp_path / install.LOG_NAME).read_text()
    assert log.index("No matching distribution") < log.index("found\n"), "the first one's words are kept"


def test_failure_is_said_and_the_runtime_is_kept(
    tmp_path: Path, stand_in: list[Step], monkeypatch: pytest.MonkeyPatch
) -> None:
    compiles(monkeypatch, "print('ERROR: TypingError: the moon'); raise SystemExit(1)")
    progress = install.Installation.begin(tmp_path, sys.executable).wait()
    assert progress.state == "done" and find.find_runtime("", tmp_path).ready
    assert progress.remark == (
        "The physics could not be compiled yet; the first training does it, which takes a minute or two."
    )
    assert "the moon" in (tmp_path / install.LOG_NAME).read_text()


def test_it_can_be_cancelled(tmp_path: Path, stand_in: list[Step], monkeypatch: pytest.MonkeyPatch) -> None:
    compiles(monkeypatch, TELLING.replace("SECONDS", "1e6"))
    installation = install.Installation.begin(tmp_path, sys.executable)
    while HALF.message not in installation.poll().message:
        time.sleep(0.02)
    installation.cancel()
    assert installation.poll().state == "cancelled" and leftovers(tmp_path) == []


def test_command_is_isolated_and_its_script_is_there() -> None:
    for named in ("/an/environment/bin/python", Interpreter("/an/environment/bin/python", "/a/folder")):
        python, *options, file = packages.compile_step(named).command
        assert python == "/an/environment/bin/python" and "-I" in options
        assert Path(file).is_file(), "it is part of the add-on"
    assert "/a/folder" in options


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ("", None),
        ("Collecting numba\n", None),
        (f"{HALF.to_line()}\nNumbaWarning: never mind\n", HALF),
        (f"{HALF.to_line()}\n{dataclasses.replace(HALF, fraction=0.75).to_line()}", HALF),  # half a line may be wrong
        ('{"progress": {"fraction": 7, "message": "", "seconds_left": null}}\n', None),
        ('{"progress": {"fraction": 0.5}}\n', None),
        ('{"progress": []}\n', None),
        ('{"progress": {"fraction": 0.5, "message": "", "seconds_left": NaN}}\n', None),
    ],
)
def test_progress_is_read_from_whole_lines_alone(output: str, told: Told | None) -> None:
    assert last_told(output) == told
