# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from backflip_addon.core import isolation
from backflip_addon.runtime import packages

ROOT = Path(__file__).resolve().parents[2]


def test_pins_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert tuple(project["dependency-groups"]["trainer"]) == packages.TRAINER


LOCKS = sorted([*packages.LOCKS.glob("*.txt"), *(ROOT / ".ci" / "locks").glob("*.txt")])


def pins(lock: Path) -> dict[str, str]:
    """Requirement -> the rest of its line, of a lock read as pip reads it."""
    text = re.sub(r"\\\n\s*", "", lock.read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return dict(line.split(" ", 1) for line in lines)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_every_package_of_a_lock_has_a_version_and_a_hash(lock: Path) -> None:
    assert pins(lock)
    for requirement, rest in pins(lock).items():
        assert re.fullmatch(r"[a-z0-9-]+==[0-9][\w.+]*", requirement)
        assert re.fullmatch(r"(\s*--hash=sha256:[0-9a-f]{64})+", rest), requirement


@pytest.mark.parametrize("system", packages.SYSTEMS)
def test_locks_hold_the_projects_pins(system: str) -> None:
    held = {**pins(packages.lock_file("torch", system)), **pins(packages.lock_file("trainer", system))}
    assert {requirement.removesuffix("+cpu") for requirement in held} >= set(packages.TRAINER)
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    asked_of = {"3.11-bpy45": ("bpy45", "test"), "3.11-bpy50": ("bpy50", "test"), "3.11-types": ("types",)}
    for name, asked in asked_of.items():
        lock = packages.lock_file(name, system, ROOT / ".ci" / "locks")
        if lock.is_file():  # Blender's module is not there for every system
            assert set(pins(lock)) >= {requirement for group in asked for requirement in groups[group]}


def test_every_command_is_isolated_and_held_to_hashes(tmp_path: Path) -> None:
    lock, torch = packages.lock_file("trainer", "linux_x86_64"), packages.lock_file("torch", "linux_x86_64")
    unhashed = []
    for step in packages.steps(tmp_path / "env", "python3.11", lock, torch):
        while step is not None:
            assert "-I" in step.command[:3]
            if "pip" in step.command and "--require-hashes" not in step.command:
                unhashed.append(step.command)
            step = step.fallback
    assert len(unhashed) == 1, "PyTorch's own index alone, whose hashes are not known"
    assert unhashed[0][-3:] == ("--index-url", packages.TORCH_CPU_INDEX, "torch==2.13.0+cpu")
    assert {"--isolated", "--no-deps"} <= set(unhashed[0])


@pytest.mark.parametrize("system", ["macosx_arm64", "win_amd64"])
def test_torch_elsewhere_has_no_cuda_by_itself(system: str) -> None:
    step = packages.torch_step("python", packages.lock_file("torch", system))
    while step is not None:
        assert "--require-hashes" in step.command
        step = step.fallback


def wheel(folder: Path, text: str, name: str = "backflip_pinned", version: str = "1.0") -> Path:
    """A wheel of one module whose only line is text."""
    folder.mkdir()
    file = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(f"{name}.py", text)
        for facts_of, facts in (
            ("METADATA", f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: {version}\n"),
            ("WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
            ("RECORD", ""),
        ):
            archive.writestr(f"{name}-{version}.dist-info/{facts_of}", facts)
    return file


@pytest.mark.parametrize("way", ["variable", "configuration"])
@pytest.mark.parametrize("first", ["right", "stranger"])
def test_a_strangers_wheel_of_the_right_version_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str, first: str
) -> None:
    """pip is set up to find files in a folder: only what the lock knows is taken from there."""
    right, stranger = wheel(tmp_path / "right", "KNOWN = 1"), wheel(tmp_path / "stranger", "KNOWN = 0")
    lock = tmp_path / "a lock.txt"
    lock.write_text(f"backflip-pinned==1.0 --hash=sha256:{hashlib.sha256(right.read_bytes()).hexdigest()}\n")
    found = str((right if first == "right" else stranger).parent)
    home = tmp_path / "home"
    for folder in (home / ".config" / "pip", home / "pip"):
        folder.mkdir(parents=True)
        links = f"find-links = {found}\n" if way == "configuration" else ""
        (folder / ("pip.ini" if os.name == "nt" else "pip.conf")).write_text(f"[global]\nno-index = true\n{links}")
    for name in ("HOME", "USERPROFILE", "APPDATA"):
        monkeypatch.setenv(name, str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("PIP_FIND_LINKS", str(stranger.parent))
    for proxy in ("HTTPS_PROXY", "https_proxy"):  # nothing is looked for outside
        monkeypatch.setenv(proxy, "http://127.0.0.1:9")
    step = packages.locked_step(sys.executable, "Installing", lock, ("--target", str(tmp_path / "out")), 1.0)
    logs = []
    while step is not None:
        run = subprocess.run(
            step.command, env=isolation.clean_environment(), cwd=tmp_path, capture_output=True, text=True, check=False
        )
        logs.append(run.stdout + run.stderr)
        step = step.fallback if run.returncode and packages.found_no_file(logs[-1]) else None
    installed = tmp_path / "out" / "backflip_pinned.py"
    if way == "configuration" and first == "right":
        assert installed.read_text() == "KNOWN = 1", logs
    else:
        assert not installed.exists()
        assert run.returncode


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="where the computer's configuration can be named")
@pytest.mark.parametrize("read", [False, True])
def test_what_has_no_hash_comes_from_its_own_index_alone(
    read: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A configuration for the whole computer names a folder with a stranger's torch of the right version, which
    would be taken if that configuration was read."""
    stranger = wheel(tmp_path / "stranger", "KNOWN = 0", "torch", "2.13.0+cpu")
    (tmp_path / "machine" / "pip").mkdir(parents=True)
    (tmp_path / "machine" / "pip" / "pip.conf").write_text(f"[global]\nfind-links = {stranger.parent}\n")
    monkeypatch.setattr(packages, "TORCH_CPU_INDEX", "http://127.0.0.1:9/cpu")
    out = tmp_path / "out"
    options = ("--retries", "0", "--target", str(out))
    step = packages.torch_step(sys.executable, packages.lock_file("torch", "linux_x86_64"), options)
    while step.fallback is not None:
        step = step.fallback
    variables = isolation.clean_environment() | {"XDG_CONFIG_DIRS": str(tmp_path / "machine")}
    variables |= {} if read else dict(step.variables)
    subprocess.run(step.command, env=variables, cwd=tmp_path, capture_output=True, check=False)
    assert (out / "torch.py").exists() is read


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk is full"),
        (
            "WARNING: Retrying after connection broken by 'NewConnectionError(...)'\n"
            "ERROR: No matching distribution found for numpy==1.26.4",
            "cannot be reached",
        ),
        ("Retrying after 'NewConnectionError': /whl/cpu/torch/", "PyTorch's package index (https://"),
        ("ERROR: No matching distribution found for torch==2.13.0+cpu", "use a 64-bit Python 3.11"),
        ("The virtual environment was not created because ensurepip is not available.", "python3.11-venv"),
        ("error: command '/usr/bin/gcc' failed: No such file", "C++ compiler"),
        ("SSLError(SSLCertVerificationError(1, 'CERTIFICATE_VERIFY_FAILED'))", "certificate"),
        ("[Errno 13] Permission denied: '/opt/x'", "cannot be written"),
        ("Collecting x\nERROR: the moon is full\n", "the moon is full"),
        ("", "ended without a word"),
        ("OSError: [Errno 122] Disk quota exceeded", "disk is full"),
        ("OSError: [Errno 27] File too large: 'x'", "disk is full"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "checksum differs"),
    ],
)
def test_failures_are_one_sentence(log: str, words: str) -> None:
    sentence = packages.failure_words(log)
    assert words in sentence and "\n" not in sentence


def test_pip_line_is_short() -> None:
    log = "Collecting torch\n  Downloading https://index/whl/torch-2.13.0%2Bcpu.whl (180 MB)\nWARNING: never mind\n"
    assert packages.with_pip_line("Now", log) == "Now: downloading torch-2.13.0+cpu.whl (180 MB)"


def test_local_label_is_no_other_version() -> None:
    assert packages.same_version("2.13.0+cpu", "2.13.0") and not packages.same_version("2.12.0+cpu", "2.13.0")
