# SPDX-License-Identifier: GPL-3.0-or-later
"""The environments that build.py makes: one that has no PyBullet, and what is said of a Blender that does not start."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]


def test_missing_library_is_named(build: ModuleType) -> None:
    lack_words = build.load_file("check_blender").lack_words
    words = lack_words(ImportError("libSM.so.6: cannot open shared object file: No such file or directory"))
    assert "libSM.so.6" in words and "sudo apt-get install" in words and "libsm6" in words
    assert "cannot be imported: ImportError: wrong" in lack_words(ImportError("wrong"))


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("raise ImportError('libSM.so.6: cannot open shared object file')", "libsm6"),
        ("import os, sys; sys.stderr.write('gone'); os._exit(3)", "gone"),
        ("import os; os._exit(3)", "without a word"),
        ("class app: version = (4, 5, 15)", ""),
    ],
)
def test_a_blender_that_cannot_be_imported_is_said_in_a_sentence(
    module: str, words: str, build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    environment = dataclasses.replace(build.MAIN, blender="4.5 LTS")
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(tmp_path / f".env-{environment.name}")], check=True
    )
    monkeypatch.setattr(build, "ROOT", tmp_path)
    (tmp_path / ".ci").mkdir()
    shutil.copyfile(ROOT / ".ci" / "check_blender.py", tmp_path / ".ci" / "check_blender.py")
    (next(environment.folder.rglob("site-packages")) / "bpy.py").write_text(module)
    if not words:
        build._check_blender(environment)
        assert "Blender 4.5.15 is ready" in capsys.readouterr().out
        return
    with pytest.raises(build.BuildError, match=words):
        build._check_blender(environment)


def test_an_environment_without_pybullet_has_all_else(
    build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "ROOT", tmp_path)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(build.MAIN.folder)], check=True)
    packages = next(build.MAIN.folder.rglob("site-packages"))
    for name in ("pybullet_data/clip.txt", "pybullet-3.2.7.dist-info/METADATA", "torch/__init__.py", "numpy.py"):
        (packages / name).parent.mkdir(exist_ok=True)
        (packages / name).write_text("")
    (packages / "pybullet.so").write_text("")
    (build.MAIN.folder / build.STAMP_NAME).write_text('{"stamp": "1"}')
    for _ in range(2):
        python = build.without_pybullet(build.MAIN)
        asked = "import torch, numpy, importlib.util as u; print(u.find_spec('pybullet'), u.find_spec('pybullet_data'))"
        run = subprocess.run([python, "-I", "-c", asked], capture_output=True, text=True, check=True)
        assert run.stdout.split() == ["None", "None"]
        kept = next(python.parents[1].rglob("torch/__init__.py"))
        kept.unlink()  # what is there is not made anew while its original is the same
        kept.write_text("mark = 1")
    assert kept.read_text() == "mark = 1" and not list(python.parents[1].rglob("pybullet*"))
    assert (packages / "torch" / "__init__.py").read_text() == "", "the original stays as it is"
    (build.MAIN.folder / build.STAMP_NAME).write_text('{"stamp": "2"}')
    build.without_pybullet(build.MAIN)
    assert kept.read_text() == ""
