# SPDX-License-Identifier: GPL-3.0-or-later
"""PyBullet from conda-forge: the real tool, with a copy of a channel in a folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rattler", reason="what reads conda-forge is not installed")
import rattler

from backflip_addon.core import isolation, start_with_packages
from backflip_addon.core.isolation import Interpreter
from backflip_addon.runtime import bring_pybullet, clips, find, folders, packages, pins, pybullet_addition, repair
from backflip_addon.runtime.packages import Step
from backflip_addon.runtime.pybullet_addition import PyBulletAddition
from tests.runtime import conda_channel
from tests.runtime.stand_ins import NAMES, leftovers, make_packages, note_runtime, script, until

OTHERS = tuple(name for name in NAMES if name != "pybullet")
LINK = "import os, sys; os.makedirs(sys.argv[1]); os.symlink(sys.argv[2], os.path.join(sys.argv[1], 'rattler'))"


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed runtime without PyBullet, on a computer for which there is no wheel of it; what pip would install
    from its index, which reads conda-forge, is that of the tests."""
    monkeypatch.setattr(pins, "PYBULLET_SYSTEM", "another")
    monkeypatch.delenv(find.VARIABLE, raising=False)
    made = note_runtime(tmp_path / "home")
    subprocess.run(make_packages(folders.packages_folder(made), OTHERS), check=True)

    def tool(_python: Interpreter, words: str, _lock: Path, options: tuple[str, ...], weight: float) -> Step:
        return Step(words, script(LINK, options[1], str(Path(rattler.__file__).parent)), weight)

    monkeypatch.setattr(packages, "locked_step", tool)
    return made


def add(home: Path, channel: str | Path, monkeypatch: pytest.MonkeyPatch) -> PyBulletAddition:
    monkeypatch.setattr(packages, "CONDA_CHANNEL", str(channel))
    return PyBulletAddition.begin(home)


def test_pybullet_is_added_beside_the_packages_and_nothing_that_is_there_already(
    tmp_path: Path, runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = runtime.parent
    before = find.find_runtime("", home)
    assert before.addable and not before.pybullet and "no PyBullet" in before.sentence
    conda_channel.make(tmp_path / "a channel")
    adding = add(home, tmp_path / "a channel", monkeypatch)
    told = set()
    while (progress := adding.poll()).state == "running":
        told.add(progress.in_words())
    assert (progress.state, progress.message) == ("done", "PyBullet was added."), progress
    assert any(words.startswith("3 of 4") for words in told)

    found = find.find_runtime("", home)
    assert found.ready and found.pybullet and not found.addable
    conda = folders.conda_folder(runtime)
    command = isolation.python_command(found.interpreter, "-c", "import pybullet; print(pybullet.__file__)")
    where = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert Path(where) == conda / conda_channel.SITE / "pybullet.py"
    assert (conda / "lib" / "libz.so").is_file(), "what its module is linked to"
    lacking = ("bin/python", f"{conda_channel.SITE}/numpy.py", "lib/libBullet.so", "lib/libX11.so", "was-run")
    assert not [path for path in lacking if (conda / path).exists()]
    assert list(clips.trainer_clips(found.interpreter)) == ["Backflip"]
    assert leftovers(home) == [runtime.name]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda folder: next(folder.glob("pybullet-*")).write_bytes(b"another"), "checksum differs"),
        (lambda folder: next(folder.glob("libzlib-*")).unlink(), "No such package in the folder"),
        (lambda folder: conda_channel.make(folder.parent, python="3.9"), "conda-forge has no PyBullet for this"),
        (lambda folder: conda_channel.make(folder.parent, "import no_such_library"), "no_such_library"),
        (lambda folder: (folder / "repodata.json").write_text("{"), "conda-forge cannot be reached"),
    ],
    ids=["another file", "a file that is missing", "another Python", "a module that does not load", "half a list"],
)
def test_what_cannot_be_had_or_does_not_work_is_said_and_not_kept(
    tmp_path: Path, runtime: Path, monkeypatch: pytest.MonkeyPatch, change: object, sentence: str
) -> None:
    change(conda_channel.make(tmp_path / "channel"))  # type: ignore[operator]
    progress = add(runtime.parent, tmp_path / "channel", monkeypatch).wait()
    assert progress.state == "failed" and sentence in progress.message and "\n" not in progress.message
    assert not folders.conda_folder(runtime).exists() and leftovers(runtime.parent) == [runtime.name]
    assert find.find_runtime("", runtime.parent).addable, "it trains as before, and can be tried again"


def test_no_network_is_one_sentence(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    progress = add(runtime.parent, "http://127.0.0.1:9/conda-forge", monkeypatch).wait()
    assert progress.message == "conda-forge cannot be reached; check the network connection and try again."


def test_it_needs_something_to_be_added_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(find.VARIABLE, raising=False)
    progress = add(tmp_path / "home", "nowhere", monkeypatch).poll()
    assert (progress.state, progress.message) == ("failed", pybullet_addition.INSTALL_FIRST)


def test_cancelled_it_leaves_what_was_there(tmp_path: Path, runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    conda_channel.make(tmp_path / "channel")
    adding = add(runtime.parent, tmp_path / "channel", monkeypatch)
    until(lambda: adding.poll().step[0] == 3)
    adding.cancel()
    assert adding.poll().state == "cancelled" and leftovers(runtime.parent) == [runtime.name]
    assert not folders.conda_folder(runtime).exists()


def test_a_copy_of_the_channel_among_the_wheels_does_for_a_computer_without_a_network(tmp_path: Path) -> None:
    trainer = Interpreter(sys.executable, str(tmp_path / "packages"))
    steps = packages.pybullet_steps(tmp_path, tmp_path / "p", trainer, ("-c", ""), tmp_path / "pip", str(tmp_path))
    assert steps[2].command[-1] == str(tmp_path / "conda-forge")
    assert {"--no-index", "--require-hashes", str(tmp_path)} <= set(steps[1].command)


def test_a_repaired_runtime_says_that_it_is_without(
    tmp_path: Path, runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conda_channel.make(tmp_path / "channel")
    assert add(runtime.parent, tmp_path / "channel", monkeypatch).wait().state == "done"
    monkeypatch.setattr(
        packages,
        "runtime_steps",
        lambda folder, *_: [Step("Making the packages", make_packages(folder, OTHERS), 1.0), Step("", script(""), 1.0)],
    )
    progress = repair.begin(runtime.parent, sys.executable).wait()
    assert progress.state == "done" and "add it again" in progress.remark
    assert find.find_runtime("", runtime.parent).addable


def test_windows_finds_the_libraries_beside_the_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beside = tmp_path / "Lib" / "site-packages"
    monkeypatch.setattr(start_with_packages, "_WINDOWS", True)
    assert start_with_packages.conda_site(str(tmp_path), "3.11") == str(beside)
    for file in (beside / "pybullet.pyd", tmp_path / "Library" / "bin" / "zlib.dll", tmp_path / "vcruntime140.dll"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"")
    bring_pybullet.keep_libraries_together(tmp_path)
    assert sorted(os.listdir(beside)) == ["pybullet.pyd", "vcruntime140.dll", "zlib.dll"]


def test_size_is_said_before() -> None:
    """PyBullet has 70 MB, and what brings it 20 to 50 more."""
    assert 85e6 < pybullet_addition.size().download < 125e6
