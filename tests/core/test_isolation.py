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
