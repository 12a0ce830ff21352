# SPDX-License-Identifier: GPL-3.0-or-later
"""build.py: the zip, its installation into a Blender, and clear errors."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "backflip_addon"

needs_bpy = pytest.mark.skipif(importlib.util.find_spec("bpy") is None, reason="needs Blender's module")


@pytest.fixture(scope="module")
def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("backflip_build", ROOT / "build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def zip_file(build: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build.make_zip(Path(sys.executable), tmp_path_factory.mktemp("dist"))


def manifest() -> dict:
    return tomllib.loads((ROOT / "blender_manifest.toml").read_text(encoding="utf-8"))


def test_manifest_says_what_the_project_says() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    facts = manifest()
    assert facts["id"] == "backflip" and facts["version"] == project["version"]
    assert facts["blender_version_min"] == "4.5.0" and "blender_version_max" not in facts
    assert facts["license"] == [f"SPDX:{project['license']}"]
    assert set(facts["permissions"]) == {"files", "network"}
    for reason in facts["permissions"].values():  # what Blender's extensions platform asks for
        assert len(reason) <= 64 and reason[-1].isalnum()


@needs_bpy
def test_zip_holds_the_whole_package_and_nothing_else(zip_file: Path) -> None:
    assert zip_file.name == f"backflip-{manifest()['version']}.zip"
    with zipfile.ZipFile(zip_file) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
        assert archive.testzip() is None
    expected = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }
    assert names == expected | {"blender_manifest.toml", "LICENSE"}
    assert {"__init__.py", "jobs/process.py", "jobs/alias/backflip_addon/__init__.py"} <= names
    families = {path.name for path in (PACKAGE / "core" / "families").glob("*.json")}
    assert families and {f"core/families/{name}" for name in families} <= names
    assert {Path(name).suffix for name in names} <= {".py", ".json", ".toml", ".md", ".npz", ""}
    assert not any("test" in Path(name).parts for name in names)


INSTALL = """
import importlib, json, sys
import bpy
zip_file = sys.argv[1]
done = bpy.ops.extensions.package_install_files(filepath=zip_file, repo="user_default", enable_on_install=True)
process = importlib.import_module("bl_ext.user_default.backflip.jobs.process")
operators = [name for name in dir(bpy.ops.backflip) if hasattr(bpy.types, "BACKFLIP_OT_" + name)]
print("RESULT" + json.dumps({
    "done": sorted(done),
    "enabled": [addon.module for addon in bpy.context.preferences.addons if "backflip" in addon.module],
    "operators": operators,
    "alias": str(process.ALIAS_PATH),
}))
bpy.ops.preferences.addon_disable(module="bl_ext.user_default.backflip")
left = [name for name in dir(bpy.types) if name.startswith("BACKFLIP_")]
print("LEFT" + json.dumps(left))
"""


@needs_bpy
def test_zip_installs_into_blender(zip_file: Path, tmp_path: Path) -> None:
    """As "Install from Disk" does it; the extension enables, knows its trainer, and leaves nothing behind."""
    resources = tmp_path / "resources"
    resources.mkdir()
    run = subprocess.run(
        [sys.executable, "-c", INSTALL, str(zip_file)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        env=os.environ | {"BLENDER_USER_RESOURCES": str(resources)},
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "Traceback" not in run.stderr, run.stderr
    result = json.loads(re.findall(r"^RESULT(.*)$", run.stdout, re.M)[0])
    assert result["done"] == ["FINISHED"] and result["enabled"] == ["bl_ext.user_default.backflip"]
    assert result["operators"], "no operator of the road is there"
    assert json.loads(re.findall(r"^LEFT(.*)$", run.stdout, re.M)[0]) == []
    # The trainer is found in the installed folder, whose name is not the package's.
    probe = "import backflip_addon.jobs.folder as f; print(f.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", probe],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": result["alias"]},
        check=True,
    )
    assert str(resources) in found.stdout


def test_staging_refuses_compiled_code(
    build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root"
    (root / "backflip_addon").mkdir(parents=True)
    for name in ("blender_manifest.toml", "LICENSE"):
        (root / name).write_text("")
    (root / "backflip_addon" / "fast.so").write_text("")
    monkeypatch.setattr(build, "ROOT", root)
    with pytest.raises(build.BuildError, match=r"pure Python and holds fast\.so"):
        build.stage(tmp_path / "staged")


def test_missing_library_is_named(build: ModuleType) -> None:
    errors = "Traceback\nImportError: libSM.so.6: cannot open shared object file: No such file or directory\n"
    words = build.import_words(errors)
    assert "libSM.so.6" in words and "sudo apt-get install" in words and "libsm6" in words
    assert "cannot be imported: ImportError: wrong" in build.import_words("Traceback\nImportError: wrong\n")


def test_full_disk_is_said(build: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build.shutil, "disk_usage", lambda _: SimpleNamespace(free=10**9))
    with pytest.raises(build.BuildError, match=r"needs 3\.5 GB of disk and .* has 1\.0 GB left"):
        build._need_disk(3.5)


def test_missing_python_is_said(
    build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(build, "ROOT", tmp_path)
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    monkeypatch.setattr(build.pythons, "find_python", lambda version, also=(): "")
    assert build.main(["demo"]) == 1
    assert "No Python 3.11 was found" in capsys.readouterr().err


def test_failed_step_is_said(build: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    log = "print('WARNING: Retrying: NewConnectionError')\nprint('ERROR: No matching distribution found for x')\n"
    step = build.packages.Step("Installing", (sys.executable, "-c", log + "raise SystemExit(1)"), 1.0)
    with pytest.raises(build.BuildError, match="cannot be reached"):
        build._take_step(step)


def test_pins_make_the_stamp(build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment is made once, and again when a pin changes."""
    monkeypatch.setattr(build, "ROOT", tmp_path)
    project = (ROOT / "pyproject.toml").read_text()
    (tmp_path / "pyproject.toml").write_text(project)
    made = []

    def steps(folder: Path, python: str, requirements: list[str]) -> list:
        made.append(requirements)
        folder.mkdir(exist_ok=True)
        return []

    monkeypatch.setattr(build.packages, "steps", steps)
    monkeypatch.setattr(build.pythons, "find_python", lambda version, also=(): "python")
    monkeypatch.setattr(build.pythons, "answers_as", lambda python, version: True)
    monkeypatch.setattr(build, "_check_blender", lambda environment: None)
    for _ in range(2):
        build.make_environment(build.MAIN)
    assert len(made) == 1 and {"bpy==4.5.15", "pybullet==3.2.7"} <= set(made[0])
    (tmp_path / "pyproject.toml").write_text(project.replace("pybullet==3.2.7", "pybullet==3.2.8"))
    build.make_environment(build.MAIN)
    assert len(made) == 2


@pytest.mark.parametrize("minutes", ["0", "-3", "nan", "long"])
def test_senseless_time_is_refused(build: ModuleType, minutes: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        build.main(["demo", "--minutes", minutes])
    assert stopped.value.code == 2


def test_other_blenders_are_left_out_and_named(
    build: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def make(environment: object) -> Path:
        if environment.python == (3, 13):
            raise build.BuildError(build.pythons.lack_words((3, 13)))
        return Path(sys.executable)

    monkeypatch.setattr(build, "make_environment", make)
    monkeypatch.setattr(build.pythons, "find_python", lambda version, also=(): "")
    monkeypatch.setattr(build, "_run_through", lambda command, variables: 0)
    monkeypatch.setattr(build, "_run_pytest", lambda python, trainer, arguments: (0, "7 passed in 1 s"))
    assert build.main(["test"]) == 0
    said = capsys.readouterr().out
    assert "Blender 4.5 LTS: 7 passed" in said and "Blender 5.0: 7 passed" in said
    assert "Blender 5.2 LTS: left out. No Python 3.13 was found" in said
    monkeypatch.setattr(build, "_run_pytest", lambda python, trainer, arguments: (1, "1 failed in 1 s"))
    assert build.main(["test"]) == 1


def test_continuous_integration_runs_the_tests() -> None:
    script = ROOT / ".ci" / "run"
    assert "python3 build.py test" in script.read_text(encoding="utf-8")
    assert os.name == "nt" or os.access(script, os.X_OK)
