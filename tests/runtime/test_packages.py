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
from packaging.requirements import Requirement

from backflip_addon.core import files, isolation
from backflip_addon.runtime import packages, pins
from backflip_addon.runtime.packages import Step

ROOT = Path(__file__).resolve().parents[2]


EVERYWHERE = [(system, version) for system in pins.SYSTEMS for version in pins.PYTHONS]
GROUPS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
MARKERS = {
    "linux_x86_64": ("linux", "x86_64"),
    "linux_aarch64": ("linux", "aarch64"),
    "macosx_arm64": ("darwin", "arm64"),
    "win_amd64": ("win32", "AMD64"),
}


@pytest.mark.parametrize(("system", "version"), EVERYWHERE)
def test_pins_are_those_of_the_project(system: str, version: pins.Version) -> None:
    platform, machine = MARKERS[system]
    there = {"sys_platform": platform, "platform_machine": machine, "python_version": pins.name(version)}
    group = [Requirement(text) for text in GROUPS["trainer"]]
    asked = [f"{r.name}{r.specifier}" for r in group if r.marker is None or r.marker.evaluate(there)]
    assert sorted(asked) == sorted(pins.requirements(version, system))


LOCKS = sorted([*pins.LOCKS.glob("*.txt"), *(ROOT / ".ci" / "locks").glob("*.txt")])


def held_by(lock: Path) -> dict[str, str]:
    """Requirement -> the rest of its line, of a lock read as pip reads it."""
    text = re.sub(r"\\\n\s*", "", lock.read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return dict(line.split(" ", 1) for line in lines)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_every_package_of_a_lock_has_a_version_and_a_hash(lock: Path) -> None:
    assert held_by(lock)
    for requirement, rest in held_by(lock).items():
        assert re.fullmatch(r"[a-z0-9-]+==[0-9][\w.+]*", requirement)
        assert re.fullmatch(r"(\s*--hash=sha256:[0-9a-f]{64})+", rest), requirement


@pytest.mark.parametrize(("system", "version"), EVERYWHERE)
def test_locks_hold_the_projects_pins(system: str, version: pins.Version) -> None:
    locks = (pins.torch_lock(system), pins.trainer_lock(version, system))
    held = held_by(locks[0]) | held_by(locks[1])
    assert {requirement.removesuffix("+cpu") for requirement in held} >= set(pins.requirements(version, system))
    assert any("pybullet" in requirement for requirement in held) is pins.has_pybullet(version, system)


@pytest.mark.parametrize("system", pins.SYSTEMS)
def test_locks_of_the_tests_hold_the_projects_pins(system: str) -> None:
    asked_of = {"3.11-bpy45": ("bpy45", "test"), "3.11-bpy50": ("bpy50", "test"), "3.11-types": ("types",)}
    for name, asked in asked_of.items():
        lock = pins.lock_file(name, system, ROOT / ".ci" / "locks")
        if lock.is_file():  # Blender's module is not there for every system
            assert set(held_by(lock)) >= {requirement for group in asked for requirement in GROUPS[group]}


@pytest.mark.parametrize(("system", "version"), EVERYWHERE)
def test_size_is_known_before_anything_is_asked_for(system: str, version: pins.Version) -> None:
    """torch alone has more than 100 MB, and 450 unpacked; and Windows takes all of it below a folder of 92 letters."""
    size = pins.size(pins.torch_lock(system), pins.trainer_lock(version, system), system=system)
    assert 150e6 < size.download < 450e6 and 650e6 < size.disk < 1.5e9
    assert size.path <= files.MOST_PATH - 92 or not system.startswith("win")
    cuda = pins.cuda_lock(system)
    assert cuda.is_file() is system.startswith("linux")
    assert not cuda.is_file() or pins.size(cuda).download > 2e9


def all_steps(step: Step | None) -> list[Step]:
    """A step and those that follow where it fails."""
    return [step, *all_steps(step.fallback)] if step is not None else []


def test_every_command_is_isolated_and_held_to_hashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pins, "system_name", lambda: "linux_x86_64")
    folder, pip = tmp_path / "packages", tmp_path / "pip.zip"
    lock, torch = pins.trainer_lock((3, 11)), pins.torch_lock()
    runtime = packages.runtime_steps(folder, "python3.11", (3, 11), pip)
    for steps in (runtime, packages.environment_steps(tmp_path / "env", "python3.11", lock, torch)):
        every = [each for step in steps for each in all_steps(step)]
        assert all("-I" in step.command[:3] for step in every)
        unhashed = [step.command for step in every if "pip" in step.command and "--require-hashes" not in step.command]
        assert len(unhashed) == 1, "PyTorch's own index alone, whose hashes are not known"
        assert unhashed[0][-1] == "torch==2.13.0+cpu"
        assert unhashed[0][unhashed[0].index("--index-url") + 1] == packages.TORCH_CPU_INDEX
        assert {"--isolated", "--no-deps"} <= set(unhashed[0])
        assert all("--only-binary" in step.command for step in every if "pip" in step.command), "nothing is built"
    assert all({"-S", "-B", str(pip), str(folder)} <= set(step.command) for step in runtime[1:])


def test_torch_with_cuda_is_the_last_and_says_how_large_it_is() -> None:
    lock, cuda = pins.torch_lock("linux_x86_64"), pins.cuda_lock("linux_x86_64")
    *before, index, configured = all_steps(packages.torch_step("python", lock, (), cuda))
    size = pins.size(cuda)
    assert before[-1].command[-1] == "torch==2.13.0+cpu" and all(0 < step.disk < 1e9 for step in before)
    for step in (index, configured):
        assert str(cuda) in step.command and "--require-hashes" in step.command
        assert step.disk == size.download + size.disk and size.in_words() in step.words


@pytest.mark.parametrize("system", ["macosx_arm64", "win_amd64"])
def test_torch_elsewhere_has_no_cuda_by_itself(system: str) -> None:
    step = packages.torch_step("python", pins.torch_lock(system))
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
    step = packages.torch_step(sys.executable, pins.torch_lock("linux_x86_64"), options)
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
        ("ERROR: No matching distribution found for torch==2.13.0+cpu", "see that https://"),
        ("The virtual environment was not created because ensurepip is not available.", "python3.11-venv"),
        ("ERROR: This Python has no pip\n", "python3-pip"),
        ("error: command '/usr/bin/gcc' failed: No such file", "C++ compiler"),
        ("SSLError(SSLCertVerificationError(1, 'CERTIFICATE_VERIFY_FAILED'))", "certificate"),
        ("[Errno 13] Permission denied: '/opt/x'", "cannot be written"),
        ("Collecting x\nERROR: the moon is full\n", "the moon is full"),
        ("", "ended unexpectedly"),
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
    log = "Collecting numba==0.68.1 (from -r /a/locks/trainer-3.11.txt (line 3))\n"
    assert (
        packages.with_pip_line("Now", log + "Installing collected packages: a, b, c") == "Now: collecting numba==0.68.1"
    )


@pytest.mark.parametrize(
    ("machine", "most", "words"),
    [
        (("Darwin", "x86_64"), 2**63 - 1, "no longer made for Macs with Intel processors"),
        (("Windows", "AMD64"), 2**31 - 1, "a 32-bit Python"),
        (("Windows", "ARM64"), 2**63 - 1, "no list of packages for this system (win_arm64); use one of linux_x86_64"),
    ],
)
def test_computer_without_packages_is_told_so(
    monkeypatch: pytest.MonkeyPatch, machine: tuple[str, str], most: int, words: str
) -> None:
    monkeypatch.setattr(pins.platform, "system", lambda: machine[0])
    monkeypatch.setattr(pins.platform, "machine", lambda: machine[1])
    monkeypatch.setattr(pins.sys, "maxsize", most)
    sentence = pins.lacks_lock(pins.torch_lock())
    assert words in sentence and sentence.endswith(".") and "\n" not in sentence


@pytest.mark.parametrize(("version", "words"), [("13.6.1", "this is macOS 13.6"), ("14.0", ""), ("26.1", ""), ("", "")])
def test_mac_that_is_too_old_for_torch_is_told_so(monkeypatch: pytest.MonkeyPatch, version: str, words: str) -> None:
    monkeypatch.setattr(pins, "system_name", lambda: "macosx_arm64")
    monkeypatch.setattr(pins.platform, "mac_ver", lambda: (version, ("", "", ""), ""))
    sentence = pins.lacks_lock(pins.torch_lock())
    assert words in sentence and bool(sentence) is bool(words)


@pytest.mark.parametrize(("system", "machine"), [("Linux", "arm64"), ("Linux", "AMD64"), ("Darwin", "arm64")])
def test_computers_with_packages_are_known_by_any_name(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str
) -> None:
    monkeypatch.setattr(pins.platform, "system", lambda: system)
    monkeypatch.setattr(pins.platform, "machine", lambda: machine)
    assert pins.system_name() in pins.SYSTEMS
    assert not pins.lacks_lock(pins.torch_lock(), *map(pins.trainer_lock, pins.PYTHONS))
