# SPDX-License-Identifier: GPL-3.0-or-later
"""check, pythons and find, with interpreters made up of small scripts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backflip_addon.core.isolation import Interpreter
from backflip_addon.runtime import deletion, find, forecast, install, packages, pins, probe, pythons
from tests.runtime.stand_ins import NAMES, VERSION, make_packages, note_runtime, runtime_folder

posix_only = pytest.mark.skipif(os.name == "nt", reason="the stand-ins are shell scripts")


def fake_python(path: Path, found: dict[str, str], version: tuple[int, ...] = (3, 11, 9), **facts: object) -> str:
    """A program that answers a check as such a Python would."""
    answer = {"version": version, "bits": 64, "found": found, "broken": {}} | facts
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho some warning\nprintf '%s\\n' 'backflip-check:{json.dumps(answer)}'\n")
    path.chmod(0o755)
    return str(path)


WHOLE = {"numpy": "1.26.4", "torch": "2.13.0+cpu", "pybullet": "3.2.7", "numba": "0.68.1"}


@pytest.fixture(autouse=True)
def no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(find.VARIABLE, raising=False)


def test_check_of_this_python_tells_the_truth() -> None:
    result = probe.probe(sys.executable)
    assert result.version == sys.version_info[:3]
    from importlib import metadata

    def here(name: str) -> bool:
        try:
            return bool(metadata.version(name))
        except metadata.PackageNotFoundError:
            return False

    lacking = {name for name in NAMES if not here(name)}
    assert result.pybullet is here("pybullet")
    assert set(result.missing) == lacking - {"pybullet"}
    assert all(name in result.sentence for name in result.missing)


@posix_only
def test_what_is_lacking_is_said(tmp_path: Path) -> None:
    python = fake_python(tmp_path / "python", {"numpy": "1.26.4", "torch": "", "pybullet": "3.2.7", "numba": ""})
    result = probe.probe(python)
    assert result.missing == ("torch", "numba")
    assert result.sentence.endswith("lacks torch and numba.") and not result.ready
    said = find.find_runtime(str(python)).sentence.splitlines()
    assert said[1] == "Install them there, or clear Trainer's Python in the preferences and press Install."


@posix_only
@pytest.mark.parametrize(
    ("system", "version", "needed"),
    [
        ("linux_x86_64", (3, 11, 9), True),
        ("linux_x86_64", (3, 13, 1), False),
        ("win_amd64", (3, 11, 9), False),
        ("macosx_arm64", (3, 13, 1), False),
    ],
)
def test_pybullet_is_missing_only_of_what_was_installed_where_there_is_a_wheel_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str, version: tuple[int, ...], needed: bool
) -> None:
    monkeypatch.setattr(pins, "system_name", lambda: system)
    python = fake_python(tmp_path / "python", WHOLE | {"pybullet": ""}, version)
    result = probe.probe(python)
    assert result.ready and not result.pybullet, "a Python that somebody chose can do without it"
    assert result.sentence.endswith(probe.WITHOUT_PYBULLET)
    assert probe.as_installed(result).missing == (("pybullet",) if needed else ())
    assert find.find_runtime(python).ready and not find.find_runtime(python).pybullet
    whole = probe.probe(fake_python(tmp_path / "other", WHOLE, version))
    assert whole.pybullet and probe.as_installed(whole) == whole and "Backflip's own" not in whole.sentence


@posix_only
def test_a_pybullet_that_cannot_be_imported_is_none(tmp_path: Path) -> None:
    python = fake_python(tmp_path / "python", WHOLE, broken={"pybullet": "DLL load failed"})
    result = probe.probe(python, imports=True)
    assert result.ready and not result.pybullet


@posix_only
def test_broken_package_is_said(tmp_path: Path) -> None:
    python = fake_python(tmp_path / "python", WHOLE, broken={"torch": "libgomp is missing\nlong story"})
    assert probe.probe(python, imports=True).missing == ("a working torch (libgomp is missing)",)


@posix_only
@pytest.mark.parametrize(("version", "bits"), [((3, 8, 1), 64), ((2, 7, 18), 64), ((3, 11, 2), 32)])
def test_unfit_python_is_refused(tmp_path: Path, version: tuple[int, ...], bits: int) -> None:
    result = probe.probe(fake_python(tmp_path / "python", WHOLE, version, bits=bits))
    assert not result.ready and "the trainer needs a 64-bit Python 3.11" in result.sentence


@posix_only
@pytest.mark.parametrize("script", ["exit 1", "echo hello", "echo backflip-check:{", "echo 'backflip-check:[1]'"])
def test_no_python_at_all(tmp_path: Path, script: str) -> None:
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    result = probe.probe(str(program))
    assert result.missing == ("Python",) and "is not a Python that can be run" in result.sentence


@posix_only
def test_hanging_python_does_not_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nexec sleep 100000\n")
    program.chmod(0o755)
    monkeypatch.setattr(probe, "PROBE_SECONDS", 0.3)
    running = probe.Probe.begin(str(program))
    seen = [running.poll()]
    while (result := running.poll()) is None:
        seen.append(result)
        time.sleep(0.02)
    assert seen[0] is None and "does not answer" in result.sentence
    assert running._process is not None and running._process.poll() is not None, "it was ended"


def test_preference_is_taken_or_found_wanting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(find.VARIABLE, sys.executable)
    runtime = find.find_runtime(str(tmp_path / "nothing here"))
    assert runtime.missing and "There is no Python at" in runtime.sentence and not runtime.ready


def test_preference_may_be_a_folder() -> None:
    if sys.prefix == sys.base_prefix:
        pytest.skip("this Python runs in no environment")
    runtime = find.find_runtime(sys.prefix)
    assert Path(runtime.python) == packages.environment_python(Path(sys.prefix))
    assert runtime.source == "preference"


@posix_only
def test_variable_comes_before_the_installed_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    note_runtime(home, fake_python(tmp_path / "base", WHOLE, (*VERSION, 9)))
    assert find.find_runtime("", home).source == "installed"
    monkeypatch.setenv(find.VARIABLE, fake_python(tmp_path / "python", WHOLE))
    runtime = find.find_runtime("", home)
    assert runtime.source == "variable" and runtime.ready and "torch 2.13.0+cpu" in runtime.sentence


@pytest.mark.parametrize("names", [(), NAMES[:-1]])
def test_damaged_runtime_is_not_taken_for_sound(tmp_path: Path, names: tuple[str, ...]) -> None:
    packages_folder = note_runtime(tmp_path) / "packages"
    subprocess.run(make_packages(packages_folder, names), check=True)
    runtime = find.find_runtime("", tmp_path)
    assert not runtime.ready and "repair it" in runtime.sentence and NAMES[-1] in runtime.missing
    assert runtime.state == "broken"


def test_installed_packages_go_with_their_interpreter(tmp_path: Path) -> None:
    subprocess.run(make_packages(note_runtime(tmp_path) / "packages"), check=True)
    runtime = find.find_runtime("", tmp_path)
    assert runtime.ready and runtime.source == "installed"
    assert runtime.interpreter == Interpreter(sys.executable, str(runtime_folder(tmp_path) / "packages"))


# Blender was moved, removed or replaced


def test_runtime_is_run_by_the_blender_that_came_in_the_place_of_a_moved_one(tmp_path: Path) -> None:
    subprocess.run(make_packages(note_runtime(tmp_path, str(tmp_path / "moved" / "python"))), check=True)
    subprocess.run(make_packages(runtime_folder(tmp_path) / "packages"), check=True)
    runtime = find.find_runtime("", tmp_path)
    assert runtime.ready and runtime.python == deletion.own_python()


@pytest.mark.parametrize("text", [None, "", "[]", '{"python": 3}', '{"python": "python3"}'])
def test_runtime_whose_note_is_damaged_is_run_by_this_blender(tmp_path: Path, text: str | None) -> None:
    runtime = note_runtime(tmp_path)
    subprocess.run(make_packages(runtime / "packages"), check=True)
    note = runtime / "python.json"
    note.unlink() if text is None else note.write_text(text)
    assert find.find_runtime("", tmp_path).python == deletion.own_python()


def test_runtime_of_a_python_that_is_gone_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = str(tmp_path / "moved" / "python")
    note_runtime(tmp_path, gone)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "blender"))
    runtime = find.find_runtime("", tmp_path)
    assert not runtime.ready and not runtime.python
    assert runtime.sentence == (
        f"The Python {pins.name(VERSION)} that the trainer's packages were installed for is gone ({gone}); "
        "press Install again."
    )


@posix_only
def test_interpreter_that_was_replaced_by_a_newer_one_is_said(tmp_path: Path) -> None:
    note_runtime(tmp_path, fake_python(tmp_path / "python3", WHOLE, (VERSION[0], VERSION[1] + 1, 0)))
    runtime = find.find_runtime("", tmp_path)
    assert not runtime.ready and "is gone" in runtime.sentence and "press Install again" in runtime.sentence


def test_none_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "blender"))
    runtime = find.find_runtime("", tmp_path)
    assert runtime == find.Runtime("", pins.package_names(pins.PYTHONS[0]), runtime.sentence)
    assert "press Install" in runtime.sentence and runtime.state == "missing"
    said = forecast.before_installing(tmp_path)
    assert pins.expected_size().in_words() in said[0], "its size is known before it is asked for"
    assert str(tmp_path) in said[1] and "BSD" in said[2]
    (tmp_path / "python-3.11-0123abcd").mkdir()
    assert find.find_runtime("", tmp_path).state == "outdated"


@posix_only
def test_change_of_packages_is_seen(tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python"
    fake_python(python, {"numpy": ""})
    assert not find.find_runtime(str(python)).ready
    fake_python(python, WHOLE)
    os.utime(python, (time.time() + 5,) * 2)
    assert find.find_runtime(str(python)).ready


def test_this_python_is_found_again() -> None:
    version = sys.version_info[:2]
    assert pythons.answers_as(sys.executable, version)
    assert pythons.find_python(version, also=(sys.executable,))
    assert not pythons.answers_as(sys.executable, (version[0], version[1] + 1))


@posix_only
def test_search_passes_over_broken_pythons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A launcher of a version manager stands on the path and fails; a sound one comes after it."""
    broken, sound = tmp_path / "broken", tmp_path / "sound"
    for folder, script in ((broken, "exit 127"), (sound, f'exec {sys.executable} "$@"')):
        folder.mkdir()
        program = folder / f"python{sys.version_info[0]}.{sys.version_info[1]}"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join((str(broken), str(sound))))
    assert pythons.find_python(sys.version_info[:2]).startswith(str(sound))


@posix_only
@pytest.mark.parametrize("told", [True, False])
def test_search_looks_into_version_managers(told: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"{sys.version_info[0]}.{sys.version_info[1]}"
    root = tmp_path / ".manager"
    for patch in ("9", "10"):
        program = root / "versions" / f"{name}.{patch}" / "bin" / f"python{name}"
        program.parent.mkdir(parents=True)
        program.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        program.chmod(0o755)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    if told:
        monkeypatch.setenv("PYENV_ROOT", str(root))
    else:
        monkeypatch.delenv("PYENV_ROOT", raising=False)
    assert f"{name}.10" in pythons.find_python(sys.version_info[:2]), "the newest first"


@pytest.mark.parametrize("pybullet", [True, False])
@pytest.mark.parametrize("other", [True, False])
def test_blenders_own_python_is_the_base_where_none_with_pybullet_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pybullet: bool, other: bool
) -> None:
    """Of a Blender with another Python than the one that PyBullet has wheels for."""
    answering = {"own": (3, 13), "other": (3, 11)} if other else {"own": (3, 13)}
    monkeypatch.setattr(sys, "version_info", (3, 13, 1))
    monkeypatch.setattr(pins, "has_pybullet", lambda version, system="": pybullet and version == (3, 11))
    monkeypatch.setattr(pythons, "_candidates", lambda version, also: iter((*answering, *also)))
    monkeypatch.setattr(pythons, "answers_as", lambda python, version, venv=False: answering.get(python) == version)
    expected = pythons.Base("other", (3, 11)) if pybullet and other else pythons.Base("own", (3, 13))
    assert pythons.find_base(own="own") == expected


def test_blender_without_a_python_of_its_own_takes_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pythons, "_candidates", lambda version, also: iter(("other", *also)))
    monkeypatch.setattr(pythons, "answers_as", lambda python, version, venv=False: version == (3, 13))
    assert pythons.find_base() == pythons.Base("other", (3, 13))


def test_none_found_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 12, 1))
    assert "own Python 3.12 cannot be used" in pythons.lack_base_words()
    assert "no Python 3.11, 3.13 or 3.14 was found" in pythons.lack_base_words()
    assert "python3.11-venv" in pythons.lack_words((3, 11))
    assert not pythons.find_python((3, 99))


@posix_only
@pytest.mark.parametrize("named", ["python3", "./python3", "bin/../python3"])
@pytest.mark.parametrize("way", ["preference", "variable"])
def test_nothing_is_taken_from_the_folder_we_are_in(
    named: str, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file python3 beside a .blend is somebody else's, whatever a preference or a variable calls for."""
    marker = tmp_path / "it ran"
    stranger = tmp_path / "python3"
    stranger.write_text(f"#!/bin/sh\ntouch '{marker}'\n")
    stranger.chmod(0o755)
    (tmp_path / "bin").mkdir()
    monkeypatch.chdir(tmp_path)
    if way == "variable":
        monkeypatch.setenv(find.VARIABLE, named)
    runtime = find.find_runtime(named if way == "preference" else "")
    assert not runtime.ready and "whole path" in runtime.sentence and not marker.exists()


@posix_only
@pytest.mark.parametrize("open_one", ["file", "folder"])
def test_python_that_everybody_may_change_is_not_asked(
    open_one: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"{sys.version_info[0]}.{sys.version_info[1]}"
    marker = tmp_path / "it ran"
    program = tmp_path / "versions" / f"{name}.9" / "bin" / f"python{name}"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\ntouch '{marker}'\n")
    program.chmod(0o755)
    (program if open_one == "file" else program.parent).chmod(0o777)
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("PATH", str(program.parent))
    pythons.find_python(sys.version_info[:2])
    assert not marker.exists()


@posix_only
def test_look_never_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nexec sleep 100000\n")
    program.chmod(0o755)
    monkeypatch.setattr(probe.time, "sleep", lambda _: pytest.fail("it waits"))
    search = find.RuntimeSearch(str(program))
    assert search.poll() is None
    search.cancel()


@posix_only
def test_nothing_learned_is_not_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk was full, or the computer busy; the next look looks again."""
    python = fake_python(tmp_path / "python", WHOLE)
    with monkeypatch.context() as patch:
        patch.setattr(probe.tempfile, "TemporaryFile", lambda: (_ for _ in ()).throw(OSError(28, "No space")))
        runtime = find.find_runtime(python)
        assert not runtime.ready and "no temporary file can be written" in runtime.sentence
    assert find.find_runtime(python).ready


def test_nobody_needs_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container whose user stands in no list, and no HOME: no traceback, and no `~` in the folder we are in."""
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RuntimeError):
        Path.home()
    assert pythons.find_python(sys.version_info[:2], also=(sys.executable,))
    assert "must be named by its whole path" in find.find_runtime("~/python").sentence
    progress = install.Installation.begin(tmp_path / "home", str(tmp_path / "no Python")).wait()
    assert progress.state == "failed" and "\n" not in progress.message
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
