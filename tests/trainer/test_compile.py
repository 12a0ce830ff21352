# SPDX-License-Identifier: GPL-3.0-or-later
"""The physics compiled ahead of training: where it is kept, when it is done anew, and that it never costs a run.

A copy of the package is compiled, by trainers and by hand, whose warm-up runs kernels of one line each.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("numba")

from backflip_addon.core.progress_lines import Told, last_told
from backflip_addon.jobs.folder import JobFolder
from backflip_addon.trainer import compile as compiler
from backflip_addon.trainer import compiled_cache
from backflip_addon.trainer.kernel_sources import WARM_UP, kernel_count
from backflip_addon.trainer.lane_count import lane_count
from backflip_addon.trainer.runner import compilation
from tests.trainer.whole_jobs import events, of_kind, wait

PACKAGE = Path(compiled_cache.__file__).parents[1]
INIT = "from ..compiled_cache import use\n\nuse()\n"
CONSTANTS = "FACTOR = 2.0\n"
KERNELS = """
from numba import njit
from .constants import FACTOR

@njit(cache=True)
def scaled(number):
    return FACTOR * number

@njit(cache=True)
def halved(number):
    return number / 2
"""
WARMING = """
import os, time
from pathlib import Path
from .stand_in.kernels import halved, scaled

def warm_up(tell):
    with open(Path(__file__).with_name("compilations"), "a") as file:
        file.write("x")
    tell("the kernel", 0.0)
    time.sleep(SECONDS)
    print("scaled", scaled(1.0), flush=True)
    halved(1.0)
"""

# As in an environment of its own in the folder that the first argument names
RUN = """
import runpy, sys
sys.prefix, module = sys.argv[1:3]
sys.argv[1:] = sys.argv[3:]
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


class Copy:
    """A copy of the package, and an environment and a home for who uses it."""

    def __init__(self, root: Path) -> None:
        self.root, self.environment, self.home = root, root / "environment", root / "home"
        shutil.copytree(PACKAGE, root / "backflip_addon", ignore=shutil.ignore_patterns("__pycache__"))
        self.package = root / "backflip_addon"
        self.warm_up = self.package / WARM_UP
        self.kernels = self.package / "trainer" / "stand_in"
        self.kernels.mkdir()
        for folder in (self.environment, self.home):
            folder.mkdir()
        for name, text in (("__init__", INIT), ("constants", CONSTANTS), ("kernels", KERNELS)):
            (self.kernels / f"{name}.py").write_text(text)
        self.lasts(0.0)

    def lasts(self, seconds: float) -> None:
        self.warm_up.write_text(WARMING.replace("SECONDS", str(seconds)))

    @property
    def compilations(self) -> int:
        file = self.warm_up.with_name("compilations")
        return len(file.read_text()) if file.exists() else 0

    @property
    def folders(self) -> list[Path]:
        """What there is of compiled physics in the environment."""
        return sorted((self.environment / "compiled").glob("*"))

    @property
    def is_marked(self) -> bool:
        return [(folder / compiled_cache.MARK_NAME).exists() for folder in self.folders] == [True]

    def start(self, module: str = "compile", *arguments: str, **options: Any) -> subprocess.Popen:
        name = f"backflip_addon.{'trainer.compile' if module == 'compile' else module}"
        variables = {**os.environ, "PYTHONPATH": str(self.root), "HOME": str(self.home), "XDG_CACHE_HOME": ""}
        # A file that is changed within a second, its length the same, would be read as it was
        variables["PYTHONDONTWRITEBYTECODE"] = "1"
        line = [sys.executable, "-c", RUN, str(self.environment), name, *arguments]
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, **options}
        return subprocess.Popen(line, cwd=self.root, env=variables, text=True, **options)

    def compile(self) -> str:
        """Compile by hand; returns what is said."""
        process = self.start()
        said = process.communicate()[0]
        assert process.returncode == 0, said
        return said


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path / "a checkout")


def test_it_is_compiled_once_and_progress_is_told(copy: Copy) -> None:
    copy.lasts(compiler.NOTE_SECONDS)
    said = copy.compile()
    told = [last_told(f"{line}\n") for line in said.splitlines() if line.startswith("{")]
    total = kernel_count(copy.package)
    assert (told[0], told[-1]) == (Told(0.0, compiler.WORDS), Told(1.0, compiler.WORDS))
    counted = [f"Compiling the physics for this computer ({number} of {total})" for number in (1, 2)]
    between = told[1:-1]  # a busy machine is looked at between the two kernels too
    assert [one.message for one in between] == counted[: len(between)] and between
    assert [one.fraction for one in between] == [number / total for number in (1, 2)][: len(between)]
    assert "scaled 2.0" in said and copy.is_marked
    kept = {path: path.stat().st_mtime_ns for path in copy.folders[0].rglob("*.nb?")}
    assert kept
    assert copy.compile() == "" and copy.compilations == 1
    assert {path: path.stat().st_mtime_ns for path in copy.folders[0].rglob("*.nb?")} == kept


def test_mark_says_for_which_processor_and_versions(copy: Copy) -> None:
    copy.compile()
    import llvmlite.binding
    import numba

    facts = json.loads((copy.folders[0] / compiled_cache.MARK_NAME).read_text())
    assert facts["processor"] == llvmlite.binding.get_host_cpu_name()
    assert facts["versions"]["numba"] == numba.__version__ and facts["seconds"] >= 0.0


def test_constant_of_another_file_is_compiled_anew(copy: Copy) -> None:
    """numba itself would go on with the old number: the kernel's own file is as it was."""
    assert "scaled 2.0" in copy.compile()
    before = copy.folders
    (copy.kernels / "constants.py").write_text("FACTOR = 3.0\n")
    assert "scaled 3.0" in copy.compile()
    assert copy.is_marked and copy.folders != before, "what it replaces is gone"


def test_two_at_once_compile_once(copy: Copy) -> None:
    copy.lasts(1.0)
    processes = [copy.start() for _ in range(2)]
    said = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert copy.compilations == 1 and copy.is_marked


def test_killed_compilation_is_gone_on_with(copy: Copy) -> None:
    copy.lasts(1e6)
    process = copy.start()
    wait(process, lambda: copy.compilations)
    process.kill()
    process.communicate()
    copy.lasts(0.0)
    copy.compile()
    assert copy.is_marked


def test_error_is_the_last_line_and_leaves_no_mark(copy: Copy) -> None:
    (copy.kernels / "kernels.py").write_text(KERNELS.replace("FACTOR * number", "number.colour"))
    process = copy.start()
    last = process.communicate()[0].splitlines()[-1]
    assert process.returncode == 1 and last.startswith("ERROR: TypingError")
    assert not copy.is_marked


@pytest.mark.parametrize("home", [True, False])
def test_unwritable_environment_is_passed_by(copy: Copy, home: bool) -> None:
    """The user's cache then, and where there is none either, a folder for this run alone."""
    (copy.environment / "compiled").write_text("no folder")
    if not home:
        (copy.home / ".cache").write_text("no folder")
        (copy.home / "Library").write_text("no folder")
    temporary = copy.root / "temporary"
    temporary.mkdir()
    code = "import backflip_addon.trainer.compiled_cache as cache; print(cache.use(), cache.use().is_dir())"
    variables = {**os.environ, "PYTHONPATH": str(copy.root), "HOME": str(copy.home), "XDG_CACHE_HOME": ""}
    variables |= {"TMPDIR": str(temporary), "LOCALAPPDATA": str(copy.home)}
    run = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.prefix = {str(copy.environment)!r}; {code}"],
        env=variables,
        capture_output=True,
        text=True,
        check=True,
    )
    folder, is_there = run.stdout.strip().rsplit(" ", 1)
    assert is_there == "True"
    assert Path(folder).is_relative_to(copy.home if home else temporary)
    assert list(temporary.iterdir()) == [], "what is for one run alone goes with it"


# What the folder is named by


def state(copy: Copy) -> compiled_cache.Fingerprint:
    return compiled_cache.fingerprint(copy.package)


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("file", "old", "new", "counts"),
    [
        ("kernels.py", "FACTOR * number", "FACTOR * number  # a byte", True),
        ("../warm_up.py", "halved(1.0)", "halved(1)", True),
        ("constants.py", "2.0", "2", True),
        ("constants.py", "shift: float\n    scale: float", "scale: float\n    shift: float", True),
        ("constants.py", "# of nothing", "# of something", False),
        ("constants.py", "UNUSED = 1.0", "UNUSED = 2.0", False),
        ("../../core/far.py", "FAR = 2.0", "FAR = 3.0", True),
        ("../../core/far.py", "UNUSED = 1.0", "UNUSED = 2.0", False),
        ("../rl/unrelated.py", "1.0", "2.0", False),
    ],
)
def test_what_is_compiled_in_counts_and_nothing_else(copy: Copy, file: str, old: str, new: str, counts: bool) -> None:
    """Constants, whole or from far away, and the order of a named tuple's fields."""
    constants = (
        "from typing import NamedTuple\n\nfrom ...core.far import FAR\n\n"
        "UNUSED = 1.0  # of nothing\nWEIGHT = 2.0\nFACTOR = -FAR * WEIGHT\n\n\n"
        "class Line(NamedTuple):\n    shift: float\n    scale: float\n"
    )
    (copy.kernels / "constants.py").write_text(constants)
    (copy.package / "core" / "far.py").write_text("FAR = 2.0\nUNUSED = 1.0\n")
    (copy.package / "trainer" / "rl" / "unrelated.py").write_text("NUMBER = 1.0\n")
    change(copy.kernels / "kernels.py", "import FACTOR", "import FACTOR, Line")
    change(copy.kernels / "kernels.py", "scaled(number)", "scaled(number, line: Line = Line(0.0, 1.0))")
    before = state(copy).folder_name
    change(copy.kernels / file, old, new)
    assert (state(copy).folder_name != before) is counts


@pytest.mark.parametrize(("processors", "bodies"), [(1, 16), (2, 16), (3, 8), (64, 8)])
def test_how_many_bodies_are_taken_side_by_side_counts(copy: Copy, processors: int, bodies: int) -> None:
    """Few processors take more each; machines that share a disk keep what each has compiled."""
    own, other = (dataclasses.replace(state(copy), lanes=lanes) for lanes in (lane_count(processors), 24 - bodies))
    assert own.lanes == bodies and own.folder_name != other.folder_name and own.origin != other.origin


@pytest.mark.parametrize("way", ["from . import constants as c", "from ..stand_in import constants as c"])
def test_all_of_a_module_that_a_kernel_has_whole_counts(copy: Copy, way: str) -> None:
    (copy.kernels / "kernels.py").write_text(
        KERNELS.replace("from .constants import FACTOR", way).replace("FAC", "c.FAC")
    )
    before = state(copy).folder_name
    change(copy.kernels / "constants.py", "2.0", "2.5")
    assert state(copy).folder_name != before


def test_processor_packages_and_place_count(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    before = state(copy)
    newer = {**before.versions, "numpy": "9.9"}
    assert dataclasses.replace(before, versions=newer).folder_name != before.folder_name
    assert dataclasses.replace(before, versions=newer).origin == before.origin, "it replaces the other"
    assert set(before.versions) == {"python", "numba", "llvmlite", "numpy"}
    for change in ({"processor": "z80"}, {"features": "+abacus"}, {"package": "elsewhere"}):
        assert dataclasses.replace(before, **change).origin != before.origin, "and stands beside it"
    monkeypatch.setenv("NUMBA_CPU_NAME", "generic")
    assert state(copy).processor == "generic"


def test_what_nobody_has_used_for_long_goes(copy: Copy) -> None:
    compiled = copy.environment / "compiled"
    old, young, foreign = (compiled / name for name in ("0" * 8 + "-" + "0" * 12, "1" * 8 + "-" + "1" * 12, "my own"))
    for folder in (old, young, foreign):
        folder.mkdir(parents=True)
        (folder / "a file").write_text("")
    for folder in (old, foreign):
        os.utime(folder, (time.time() - (compiled_cache.UNUSED_DAYS + 1) * 24 * 3600,) * 2)
    copy.compile()
    assert not old.exists() and young.exists() and foreign.exists()


# In a run


@pytest.fixture
def run(copy: Copy, job: JobFolder) -> Iterator[Callable[[], subprocess.Popen]]:
    """Start a trainer from the copy on the job; all are dead when the test ends."""
    processes = []

    def begin() -> subprocess.Popen:
        with open(job.path / "output.txt", "a") as log:
            processes.append(copy.start("trainer", str(job.path), stdout=log, stderr=log))
        return processes[-1]

    yield begin
    for process in processes:
        process.kill()
        process.wait()


def test_training_compiles_first_and_once_and_its_clock_begins_then(
    copy: Copy, job: JobFolder, run: Callable[[], subprocess.Popen]
) -> None:
    copy.lasts(2.0)
    # A search that looks for the stop and does nothing else: its own kernels would be compiled for a minute
    search = copy.package / "trainer" / "runner" / "search_phase.py"
    change(search, "    known = None if another", "    while True:\n        run.check()\n    known = None if another")
    process = run()
    wait(process, lambda: copy.is_marked)
    job.request("stop")
    assert process.wait() == 0
    first, last = of_kind(job, "progress")[0], of_kind(job, "finished")[0]
    assert first["phase"] == "compile"
    assert first["message"] == "Compiling the physics for this computer: a minute or two, once"
    assert last["seconds"] <= last["time"] - first["time"] - 2.0 + 0.1, "the minutes are for learning"
    job.events_file.unlink()
    job.request("shoot", seed=-1)  # which is refused, and nothing else is done
    assert run().wait() == 1
    assert "None of the shots" in events(job)[-1]["message"]
    assert of_kind(job, "progress") == [] and copy.compilations == 1


def test_what_was_compiled_is_no_share_of_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    run = SimpleNamespace(tell=told.append, check=lambda: None, restart_clock=lambda: None, seconds=9.0)
    run.control_steps = 7
    monkeypatch.setattr(compiled_cache, "is_compiled", lambda: False)
    monkeypatch.setattr(compilation, "Pool", lambda *_values, **_options: nullcontext(SimpleNamespace(call=list)))
    compilation.compile_first(run)
    assert [(event.phase, event.fraction, event.control_steps) for event in told] == [("compile", 0.0, 7), ("", 0.0, 7)]


@pytest.mark.parametrize("how", ["request", "signal"])
def test_a_run_can_be_stopped_while_it_compiles(
    how: str, copy: Copy, job: JobFolder, run: Callable[[], subprocess.Popen]
) -> None:
    copy.lasts(1e6)
    process = run()
    wait(process, lambda: copy.compilations)
    if how == "request":
        job.request("stop")
    else:
        process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60.0) == 0
    assert of_kind(job, "finished")[-1]["reason"] == "stopped"
    copy.lasts(0.0)
    copy.compile()  # waits for nobody: who was at work has ended


def test_physics_that_cannot_be_compiled_is_a_sentence(
    copy: Copy, job: JobFolder, run: Callable[[], subprocess.Popen]
) -> None:
    copy.warm_up.write_text("def warm_up(tell):\n    raise OSError(28, 'No space left on device')\n")
    assert run().wait() == 1
    words = events(job)[-1]["message"]
    assert words.startswith("The physics could not be compiled for this computer: OSError")
    assert words.endswith("Make room on the disk and resume the training.")
