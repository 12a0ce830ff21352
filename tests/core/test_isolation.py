# SPDX-License-Identifier: GPL-3.0-or-later
"""What another Python is started with."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from backflip_addon.core import isolation

posix = pytest.mark.skipif(os.name == "nt", reason="permissions as on Unix")


def lay_traps(folder: Path, marker: Path, names: tuple[str, ...]) -> None:
    """Modules that write a marker when they are imported."""
    for name in names:
        (folder / f"{name}.py").write_text(f"open({str(marker)!r}, 'a').write({name!r})\n")


def test_no_file_of_the_working_directory_or_of_a_variable_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = tmp_path / "ran"
    lay_traps(tmp_path, marker, ("json", "encodings", "sitecustomize", "usercustomize", "ran_from_startup"))
    for name in ("PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("PYTHONSTARTUP", str(tmp_path / "ran_from_startup.py"))
    command = isolation.python_command(sys.executable, "-c", "import json, sys; print(json.dumps(sys.path))")
    run = subprocess.run(
        command, cwd=tmp_path, env=isolation.clean_environment(), capture_output=True, text=True, check=True
    )
    assert str(tmp_path) not in run.stdout and '""' not in run.stdout
    assert not marker.exists()


def test_variables_that_bend_a_program_are_left_out() -> None:
    bending = {
        "PYTHONPATH": "x",
        "PIP_FIND_LINKS": "x",
        "PIP_EXTRA_INDEX_URL": "x",
        "LD_PRELOAD": "x",
        "DYLD_INSERT_LIBRARIES": "x",
        "__PYVENV_LAUNCHER__": "x",
    }
    kept = {"HOME": "/home/a", "https_proxy": "p", "LC_ALL": "C", "PATH": os.path.abspath(os.sep)}
    assert isolation.clean_environment({**bending, **kept}) == kept


@posix
def test_relative_and_open_folders_are_no_search_path(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    path = os.pathsep.join(("", ".", "bin", str(tmp_path), "/usr/bin"))
    assert isolation.trusted_path(path) == ["/usr/bin"]


def test_the_working_directory_is_the_interpreters_own_or_the_root() -> None:
    assert isolation.safe_folder(sys.executable) == os.path.dirname(sys.executable)
    assert isolation.safe_folder("python3") == isolation.safe_folder() == os.path.abspath(os.sep)


# An interpreter that is given its packages


def run_with_packages(folder: Path, *arguments: str) -> str:
    command = isolation.python_command(isolation.Interpreter(sys.executable, str(folder)), *arguments)
    run = subprocess.run(command, env=isolation.clean_environment(), capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_given_packages_are_found_and_the_interpreters_own_are_not(tmp_path: Path) -> None:
    (tmp_path / "given.py").write_text("import sys\nprint(__name__, sys.argv[1:])\n")
    look = "import sys, given, importlib.util as u; print(u.find_spec('pytest'), sys.path[-1], sys.argv)"
    assert run_with_packages(tmp_path, "-c", look, "an argument").splitlines() == [
        "given ['an argument']",
        f"None {tmp_path} ['-c', 'an argument']",
    ]
    assert run_with_packages(tmp_path, "-m", "given", "1") == "__main__ ['1']\n"
    assert run_with_packages(tmp_path, str(tmp_path / "given.py"), "1", "2") == "__main__ ['1', '2']\n"


WORKERS = """
import multiprocessing, sys

def look(_):
    import given
    return given.__file__

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.map(look, [0])[0])
"""


def test_workers_find_the_given_packages_too(tmp_path: Path) -> None:
    (tmp_path / "a folder").mkdir()
    (tmp_path / "a folder" / "given.py").write_text("")
    (tmp_path / "program.py").write_text(WORKERS)
    out = run_with_packages(tmp_path / "a folder", str(tmp_path / "program.py"))
    assert out.strip() == str(tmp_path / "a folder" / "given.py")


def test_bytecode_is_written_beside_given_packages_alone(tmp_path: Path) -> None:
    """blender/ stands in for the folder of Blender's standard library."""
    blender, given = tmp_path / "blender", tmp_path / "given"
    for folder in (blender, blender / "inner", given, given / "inner"):
        folder.mkdir()
        (folder / "__init__.py").write_text("")
        (folder / f"of_{folder.parent.name}_{folder.name}.py").write_text("")
    use = f"runpy.run_path({str(isolation.START_SCRIPT)!r})['use_packages']({str(given)!r})"
    modules = [path.stem for path in tmp_path.rglob("of_*.py")]
    code = f"import runpy, sys; sys.path.append({str(blender)!r}); {use}; sys.path.append({str(blender / 'inner')!r})"
    code += f"; sys.path.append({str(given / 'inner')!r}); import {', '.join(modules)}"
    subprocess.run([sys.executable, "-I", "-S", "-B", "-c", code], check=True)
    written = {path.parent.parent for path in tmp_path.rglob("*.pyc")}
    assert written == {given, given / "inner"}
