# SPDX-License-Identifier: GPL-3.0-or-later
"""build.py: the zip, its installation into a Blender, and clear errors."""

from __future__ import annotations

import dataclasses
import errno
import importlib.util
import json
import os
import re
import runpy
import shutil
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
def build_zip(build: ModuleType) -> ModuleType:
    return build.load_file("build_zip")


@pytest.fixture(scope="module")
def zip_file(build_zip: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_zip.make_zip(ROOT, tmp_path_factory.mktemp("dist"))


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


def test_zip_holds_the_whole_package_and_nothing_else(zip_file: Path) -> None:
    assert zip_file.name == f"backflip-{manifest()['version']}.zip"
    with zipfile.ZipFile(zip_file) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
        assert archive.testzip() is None
    expected = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    } - {"README.md"}
    assert zip_file.stat().st_size < 1e6, "the zip stays under 1 MB"
    assert names == expected | {"blender_manifest.toml", "LICENSE"}
    assert {"__init__.py", "jobs/trainer_process.py", "jobs/alias/backflip_addon/__init__.py"} <= names
    assert "core/rigs/families.json" in names
    assert {Path(name).suffix for name in names} <= {".py", ".json", ".toml", ".txt", ".npz", ""}
    assert not any("test" in Path(name).parts for name in names)


def copy_of_the_project(root: Path) -> Path:
    """What a zip is made of, and nothing that a Blender or an installed package could be found in."""
    (root / ".ci").mkdir()
    for name in ("build.py", ".ci/build_zip.py", "blender_manifest.toml", "pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, root / name)
    shutil.copytree(PACKAGE, root / "backflip_addon", ignore=shutil.ignore_patterns("__pycache__"))
    return root


def test_zip_needs_the_standard_library_alone(tmp_path: Path) -> None:
    """No environment is made, no package is found, no process is started and no network asked."""
    root = copy_of_the_project(tmp_path)
    forbid = (
        "import sys, runpy\n"
        "def refuse(event, arguments):\n"
        "    if event in ('subprocess.Popen', 'os.exec', 'os.posix_spawn', 'os.fork', 'socket.connect'):\n"
        "        raise RuntimeError(event)\n"
        "sys.addaudithook(refuse)\n"
        "sys.path.insert(0, sys.argv.pop(1))\n"
        "runpy.run_path(sys.path[0] + '/build.py', run_name='__main__')\n"
    )
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-c", forbid, str(root)], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert run.returncode == 0 and "Wrote dist" in run.stdout.replace(os.sep, "/"), run.stdout + run.stderr
    assert not list(root.glob(".env*"))
    assert [path.name for path in (root / "dist").iterdir()] == [f"backflip-{manifest()['version']}.zip"]


def test_zip_of_the_same_files_is_the_same_zip(build_zip: ModuleType, zip_file: Path, tmp_path: Path) -> None:
    root = copy_of_the_project(tmp_path)
    for number, path in enumerate(sorted((root / "backflip_addon").rglob("*"), reverse=True)):
        os.utime(path, (1.6e9 + number, 1.6e9 + number))
    (root / "backflip_addon" / "__init__.py").chmod(0o600)
    again = build_zip.make_zip(root, tmp_path / "again")
    assert again.read_bytes() == zip_file.read_bytes()


def test_unfinished_zip_leaves_the_old_one(
    build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = copy_of_the_project(tmp_path)
    zip_file = build.load_file("build_zip").make_zip(root, root / "dist")
    before = zip_file.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(zipfile.ZipFile, "writestr", full)
    monkeypatch.setattr(build, "ROOT", root)
    assert build.main([]) == 1
    said = capsys.readouterr().err
    assert os.strerror(errno.ENOSPC) in said and "Traceback" not in said
    assert list((root / "dist").iterdir()) == [zip_file] and zip_file.read_bytes() == before


def blenders_own(name: str) -> Path:
    """A file of the Blender that runs the test."""
    spec = importlib.util.find_spec("bpy")  # importing it takes seconds and would change where it says it lies
    assert spec is not None and spec.submodule_search_locations
    return next(Path(spec.submodule_search_locations[0]).glob(f"*/scripts/{name}"))


def refused_by_blender(path: Path) -> str:
    """What Blender's own builder of extensions says against a folder or a zip, "" when nothing."""
    builder = blenders_own("addons_core/bl_pkg/cli/blender_ext.py")
    run = subprocess.run(
        [sys.executable, str(builder), "validate", str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return run.stdout if run.returncode else ""


@needs_bpy
def test_blenders_own_builder_accepts_the_zip(zip_file: Path) -> None:
    assert refused_by_blender(zip_file) == ""


FAULTS = {
    "schema_version": "one",
    "id": "back__flip",
    "version": "0.1",
    "name": " Backflip",
    "tagline": "Let your own character learn a stunt.",
    "maintainer": "",
    "type": "addon",
    "blender_version_min": "4.5",
    "license": [],
    "blender_version_max": "five",
    "website": "",
    "tags": [""],
    "permissions": {"files": "x" * 65},
}


@pytest.mark.parametrize(("key", "value"), FAULTS.items(), ids=FAULTS)
def test_faulty_manifest_is_refused_as_blender_refuses_it(
    key: str, value: object, build_zip: ModuleType, tmp_path: Path
) -> None:
    faulty = manifest() | {key: value}
    assert [fault.split()[0] for fault in build_zip.manifest_faults(faulty)] == [key]
    if importlib.util.find_spec("bpy") is None:
        return
    tables = {name: faulty.pop(name) for name in list(faulty) if isinstance(faulty[name], dict)}
    text = "".join(f"{name} = {json.dumps(value)}\n" for name, value in faulty.items())
    for name, table in tables.items():
        text += f"[{name}]\n" + "".join(f"{inner} = {json.dumps(value)}\n" for inner, value in table.items())
    (tmp_path / "blender_manifest.toml").write_text(text, encoding="utf-8")
    (tmp_path / "__init__.py").write_text("")
    assert key in refused_by_blender(tmp_path)


@pytest.mark.parametrize("key", ["id", "version", "license", "blender_version_min"])
def test_incomplete_manifest_is_refused(key: str, build_zip: ModuleType) -> None:
    facts = manifest()
    del facts[key]
    assert build_zip.manifest_faults(facts) == [f"{key} is missing"]


def test_manifest_faults_are_one_sentence(
    build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = copy_of_the_project(tmp_path)
    monkeypatch.setattr(build, "ROOT", root)
    text = (root / "blender_manifest.toml").read_text(encoding="utf-8")
    for wrong, words in (
        (text.replace('"Rigging"', '"Stunts"'), "tags holds Stunts, which Blender does not know"),
        (text.replace("network =", "internet ="), "and not for internet"),
        (text + "[", "is no TOML"),
        (b"\xff".decode("latin-1"), "is no TOML"),
    ):
        (root / "blender_manifest.toml").write_text(wrong, encoding="latin-1")
        assert build.main([]) == 1
        said = capsys.readouterr().err
        assert words in said and said.count("\n") <= 2 and not (root / "dist").exists()


@needs_bpy
def test_tags_are_those_that_blender_lists(build_zip: ModuleType) -> None:
    listed = runpy.run_path(str(blenders_own("modules/_bpy_internal/extensions/tags.py")))["addons"]
    assert listed >= build_zip.TAGS


INSTALL = """
import importlib, json, os, sys
import bpy
zip_file = sys.argv[1]
done = bpy.ops.extensions.package_install_files(filepath=zip_file, repo="user_default", enable_on_install=True)
process = importlib.import_module("bl_ext.user_default.backflip.jobs.trainer_process")
operators = [name for name in dir(bpy.ops.backflip) if hasattr(bpy.types, "BACKFLIP_OT_" + name)]
print("RESULT" + json.dumps({
    "done": sorted(done),
    "enabled": [addon.module for addon in bpy.context.preferences.addons if "backflip" in addon.module],
    "operators": operators,
    "alias": str(process.ALIAS_PATH),
}))
bpy.ops.preferences.addon_disable(module="bl_ext.user_default.backflip")
left = [name for name in dir(bpy.types) if name.startswith("BACKFLIP_")]
print("LEFT" + json.dumps(left), flush=True)
os._exit(0)  # Blender's module may hang in its own end
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
        timeout=600,
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


@pytest.mark.parametrize(("name", "words"), [("fast.so", "must be pure Python"), ("link.py", "is a link")])
def test_what_a_zip_must_not_hold_is_refused(name: str, words: str, build_zip: ModuleType, tmp_path: Path) -> None:
    root = copy_of_the_project(tmp_path)
    if name.startswith("link"):
        (root / "backflip_addon" / name).symlink_to(ROOT / "LICENSE")
    else:
        (root / "backflip_addon" / name).write_text("")
    with pytest.raises(build_zip.ZipError, match=words):
        build_zip.make_zip(root, tmp_path / "dist")
    assert not (tmp_path / "dist").exists()


def test_full_disk_is_said(build: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build.shutil, "disk_usage", lambda _: SimpleNamespace(free=10**9))
    with pytest.raises(build.BuildError, match=r"needs 3\.5 GB of disk and .* has 1\.0 GB left"):
        build._need_disk(3.5)


def test_missing_python_is_said(
    build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(build, "ROOT", tmp_path)
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    monkeypatch.setattr(build.pythons, "find_python", lambda *_, **__: "")
    assert build.main(["demo"]) == 1
    assert "No Python 3.11 was found" in capsys.readouterr().err


def test_failed_step_is_said(build: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    log = "print('WARNING: Retrying: NewConnectionError')\nprint('ERROR: No matching distribution found for x')\n"
    step = build.packages.Step("Installing", (sys.executable, "-c", log + "raise SystemExit(1)"), 1.0)
    with pytest.raises(build.BuildError, match="cannot be reached"):
        build._take_step(step)
    build._take_step(dataclasses.replace(step, otherwise="Done later."))
    assert "  Done later. (" in capsys.readouterr().out


def test_pins_make_the_stamp(build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment is made once, and again when its lock changes."""
    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(build, "LOCKS", tmp_path / "locks")
    lock = build.pins.lock_file(build.MAIN.name, folder=tmp_path / "locks")
    lock.parent.mkdir()
    lock.write_text("numpy==1.26.4 --hash=sha256:00\n")
    made = []

    def steps(folder: Path, python: str, lock: Path, torch_lock: Path) -> list:
        made.append((lock, torch_lock))
        folder.mkdir(exist_ok=True)
        return []

    monkeypatch.setattr(build.packages, "environment_steps", steps)
    monkeypatch.setattr(build.pins, "lacks_lock", lambda *locks: "")
    monkeypatch.setattr(build.pythons, "find_python", lambda *_, **__: "python")
    monkeypatch.setattr(build.pythons, "answers_as", lambda python, version: True)
    monkeypatch.setattr(build, "_check_blender", lambda environment: None)
    for _ in range(2):
        build.make_environment(build.MAIN)
    assert made == [(lock, build.pins.torch_lock())]
    lock.write_text("numpy==1.26.4 --hash=sha256:01\n")
    build.make_environment(build.MAIN)
    assert len(made) == 2


def test_types_are_read_off_the_environment_that_trains(
    build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(
        build.packages, "environment_steps", lambda *_: build.TYPES.site_packages.mkdir(parents=True) or []
    )
    monkeypatch.setattr(build.pythons, "find_python", lambda *_, **__: "python")
    monkeypatch.setattr(build, "_check_blender", lambda environment: pytest.fail("there is no Blender in it"))
    build.make_environment(build.TYPES)
    (named,) = build.TYPES.site_packages.glob("*.pth")
    trains = (build.TYPES.site_packages / named.read_text(encoding="utf-8").strip()).resolve()
    assert trains == build.MAIN.site_packages.resolve()


@pytest.mark.parametrize("wrong", ["check", "format", ""])
def test_style_is_what_ruff_checks_and_how_it_formats(
    wrong: str, build: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "make_environment", lambda environment: Path(sys.executable))
    commands = []

    def run(command: list[str], variables: dict[str, str]) -> int:
        commands.append(command)
        return int(command[3] == wrong)

    monkeypatch.setattr(build, "_run_through", run)
    assert build.main(["lint"]) == bool(wrong)
    assert [command[3] for command in commands] == ["check", "format"]
    assert "--fix" not in commands[0] and "--check" in commands[1], "nothing is changed unasked"


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

    taken: list[str] = []
    monkeypatch.setattr(build, "make_environment", make)
    monkeypatch.setattr(build, "_take_step", lambda step: taken.append(step.words))
    monkeypatch.setattr(build.pythons, "find_python", lambda *_, **__: "")
    monkeypatch.setattr(build, "_run_through", lambda command, variables: 0)
    monkeypatch.setattr(build, "_run_pytest", lambda python, trainer, arguments, compiled: (0, "7 passed in 1 s"))
    assert build.main(["test"]) == 0
    assert taken == ["Compiling the physics for this computer"], "once, before all tests"
    said = capsys.readouterr().out
    assert "Style: clean" in said and "Types: clean" in said
    for arguments in build.MAIN_RUNS:
        assert f"Blender 4.5 LTS {' '.join(arguments)}: 7 passed" in said
    assert f"Blender 5.0 {' '.join(build.IN_BLENDER)}: 7 passed" in said
    assert "Blender 5.2 LTS: left out. No Python 3.13 was found" in said
    monkeypatch.setattr(build, "_run_pytest", lambda python, trainer, arguments, compiled: (1, "1 failed in 1 s"))
    assert build.main(["test"]) == 1


def test_continuous_integration_runs_the_tests() -> None:
    script = ROOT / ".ci" / "run"
    assert "python3 build.py test" in script.read_text(encoding="utf-8")
    assert os.name == "nt" or os.access(script, os.X_OK)
    workflow = (ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8")
    assert "run: python3 build.py test ${{ matrix.options }}" in workflow and "options: --without-pybullet" in workflow
    assert "contents: read" in workflow
    assert {system for system in ("ubuntu", "windows", "macos") if f"{system}-" in workflow} == {
        "ubuntu",
        "windows",
        "macos",
    }
    assert all(re.search(r"@v\d+\.\d+\.\d+$", line) for line in workflow.splitlines() if "uses:" in line)


def test_libraries_that_blender_needs_are_listed_alike(build: ModuleType) -> None:
    for file in ("README.md", ".github/workflows/test.yml"):
        assert build.load_file("check_blender").SYSTEM_PACKAGES in (ROOT / file).read_text(encoding="utf-8")


def test_hooks_are_the_commands_of_build(build: ModuleType) -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    asked = re.findall(r"entry: python3 build\.py (.+)", hooks)
    assert asked and all(build._parse(line.split()).command is not build.command_zip for line in asked)
