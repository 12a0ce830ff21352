# SPDX-License-Identifier: GPL-3.0-or-later
"""Installing with a Python that has no pip, no venv and no ensurepip, from an index in a folder: the real steps, small
packages, and nothing written beside the interpreter."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pip
import pytest

from backflip_addon.core import isolation
from backflip_addon.runtime import bring_pip, deletion, find, folders, install, packages, pins, pythons
from tests.runtime.stand_ins import NAMES, VERSION, leftovers
from tests.runtime.test_packages import wheel

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-in is made of links")

LACKING = {"ensurepip", "venv", "site-packages", "dist-packages", "__pycache__"}


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter in a folder of its own, as Blender has one, with a standard library that lacks those modules."""
    folder = tmp_path_factory.mktemp("a blender")
    name = f"python{pins.name(VERSION)}"
    real, library = Path(sysconfig.get_path("stdlib")), folder / "lib" / name
    library.mkdir(parents=True)
    (folder / "bin").mkdir()
    shutil.copy2(os.path.realpath(sys.executable), folder / "bin" / name)
    for path in real.iterdir():
        if path.is_dir() and path.name not in LACKING and path.name != "lib-dynload":
            shutil.copytree(path, library / path.name, ignore=shutil.ignore_patterns("__pycache__", "test", "tests"))
        elif path.name not in LACKING:
            (library / path.name).symlink_to(path)
    python = str(folder / "bin" / name)
    ask = "import sys, importlib.util as u; print(sys.prefix, *map(u.find_spec, ('pip', 'venv', 'ensurepip')))"
    answer = subprocess.run([python, "-I", "-B", "-c", ask], capture_output=True, text=True, check=False).stdout
    if answer.strip() != f"{folder} None None None":
        pytest.skip("this Python cannot be copied")
    return python


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An index in a folder with small wheels of all that is needed and of pip, locks that name them, and no other."""
    simple, locks = tmp_path / "an index" / "simple", tmp_path / "locks"
    locks.mkdir()
    lines: dict[str, str] = {}
    for name in NAMES:
        version = "1.0+cpu" if name == "torch" else "1.0"
        file = wheel(tmp_path / f"wheel of {name}", "", name, version)
        lines[name] = f"{name}=={version} --hash=sha256:{sha256(file)}\n"
        serve(simple, name, file)
    monkeypatch.setattr(pins, "LOCKS", locks)
    monkeypatch.setattr(pins, "torch_lock", lambda system="": locks / "torch.txt")
    monkeypatch.setattr(pins, "trainer_lock", lambda version, system="": locks / "trainer.txt")
    (locks / "torch.txt").write_text(lines.pop("torch"))
    (locks / "trainer.txt").write_text("".join(lines.values()))
    pip_wheel = tmp_path / packages.PIP_WHEEL
    bring_pip.pack(Path(pip.__file__).parent, pip_wheel)
    serve(simple, "pip", pip_wheel)
    monkeypatch.setattr(packages, "PIP_HASH", sha256(pip_wheel))
    monkeypatch.setattr(packages, "TORCH_CPU_INDEX", "http://127.0.0.1:9/cpu")
    monkeypatch.setenv("PIP_INDEX_URL", simple.as_uri())
    for proxy in ("HTTPS_PROXY", "https_proxy"):  # nothing is looked for outside
        monkeypatch.setenv(proxy, "http://127.0.0.1:9")
    for home in ("HOME", "XDG_CONFIG_HOME"):  # no pip of the user's that knows better
        monkeypatch.setenv(home, str(tmp_path / "home"))
    yield simple


def serve(simple: Path, name: str, file: Path) -> None:
    (simple / name).mkdir(parents=True)
    (simple / name / "index.html").write_text(f'<!DOCTYPE html><a href="{file.as_uri()}#sha256=0">{file.name}</a>')


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def listed(python: str) -> dict[Path, float]:
    """Everything in the folder of an interpreter, with when it changed."""
    folder = Path(python).parents[1]
    return {path: path.lstat().st_mtime for path in folder.rglob("*")}


def test_runtime_is_installed_and_used_with_nothing_written_beside_the_interpreter(
    bare_python: str, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BACKFLIP_PYTHON", raising=False)  # or the one that the tests are run with would be found
    before, home = listed(bare_python), tmp_path / "Zoë's folder"
    progress = install.Installation.begin(home, bare_python).wait()
    log = (home / install.LOG_NAME).read_text()
    assert progress.state == "done", progress.message + log
    assert "physics could not be compiled yet" in progress.remark, "these packages are empty"
    runtime = find.find_runtime("", home)
    assert runtime.ready and runtime.python == bare_python, runtime.sentence
    command = isolation.python_command(runtime.interpreter, "-c", f"import {', '.join(NAMES)}; print(numpy.__file__)")
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    packages_folder = folders.packages_folder(folders.runtime_folder(home, VERSION))
    assert said == str(packages_folder / "numpy.py")
    assert listed(bare_python) == before
    deletion.wait()
    assert leftovers(home) == [folders.runtime_folder(home, VERSION).name]


def test_a_folder_of_wheels_does_for_a_computer_without_a_network(
    bare_python: str, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it comes from there, pip too. Another torch of that version will do, since no hash of it is known, and
    what is not there is said."""
    monkeypatch.delenv("BACKFLIP_PYTHON", raising=False)  # or the one that the tests are run with would be found
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    wheels, home = tmp_path / "the wheels", tmp_path / "home"
    wheels.mkdir()
    for file in tmp_path.glob("wheel of */*.whl"):
        shutil.copy2(file, wheels)
    shutil.copy2(tmp_path / packages.PIP_WHEEL, wheels)
    with zipfile.ZipFile(wheels / "torch-1.0+cpu-py3-none-any.whl", "a") as other:
        other.writestr("more.py", "")
    installation = install.Installation.begin(home, bare_python, wheels=str(wheels))
    assert installation.poll().in_words().startswith("1 of 4: ")
    progress = installation.wait()
    assert progress.state == "done", progress.message + (home / install.LOG_NAME).read_text()
    assert find.find_runtime("", home).python == bare_python
    next(wheels.glob("numba-*")).unlink()
    progress = install.Installation.begin(home, bare_python, wheels=str(wheels)).wait()
    assert progress.message.startswith("The folder of packages has no numba==1.0 for this computer")


def test_pip_that_is_not_the_known_one_is_not_run(
    bare_python: str, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "PIP_HASH", "0" * 64)
    progress = install.Installation.begin(tmp_path / "home", bare_python).wait()
    assert progress.state == "failed" and "its checksum differs" in progress.message
    assert leftovers(tmp_path / "home") == []


@pytest.mark.parametrize("way", ["none", "nobody", "other"])
def test_without_any_pip_it_is_said_what_to_do(
    bare_python: str, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    words = "install your system's package for it (on Debian and Ubuntu python3-pip)"
    if way == "none":
        monkeypatch.delenv("PIP_INDEX_URL")
    elif way == "nobody":
        monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
        words = "The package index cannot be reached; check the network connection"
    else:
        (index / "pip" / "index.html").write_text("<a href='pip-1.0-py3-none-any.whl'>another</a>")
    progress = install.Installation.begin(tmp_path / "home", bare_python).wait()
    assert progress.state == "failed" and words in progress.message


def test_pip_comes_from_the_interpreter_where_it_has_one(tmp_path: Path) -> None:
    """From ensurepip's wheel or the package itself; either runs as it is."""
    file, second = tmp_path / "pip.zip", tmp_path / "second.zip"
    assert bring_pip.main(file, "none", "0", []) == 0
    bring_pip.pack(Path(pip.__file__).parent, second)
    for each in (file, second):
        command = isolation.python_command(isolation.Interpreter(sys.executable, str(each)), "-m", "pip", "--version")
        assert str(each) in subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_bare_python_is_a_base(bare_python: str) -> None:
    assert pythons.find_base(bare_python) == pythons.Base(bare_python, VERSION)
    assert not pythons.answers_as(bare_python, VERSION, with_venv=True), "no environment can be made with it"
