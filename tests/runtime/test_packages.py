# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from backflip_addon.runtime import packages

ROOT = Path(__file__).resolve().parents[2]


def test_pins_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert tuple(project["dependency-groups"]["trainer"]) == packages.TRAINER


def test_torch_on_linux_is_asked_for_without_cuda() -> None:
    step = packages.torch_step(("python", "-m", "pip", "install"), "torch==2.13.0", system="Linux")
    assert step.command[-1] == "torch==2.13.0+cpu", "pip's own configuration comes first"
    assert step.instead is not None and "torch==2.13.0+cpu" in step.instead.command
    assert step.instead.command[-2:] == ("--extra-index-url", packages.TORCH_CPU_INDEX)


@pytest.mark.parametrize("system", ["Darwin", "Windows"])
def test_torch_elsewhere_has_no_cuda_by_itself(system: str) -> None:
    step = packages.torch_step(("python",), "torch==2.13.0", system=system)
    assert step.command == ("python", "torch==2.13.0") and step.instead is None


def test_steps_install_every_requirement_once(tmp_path: Path) -> None:
    steps = packages.steps(tmp_path / "env", "python3.11", packages.TRAINER)
    assert steps[0].command == ("python3.11", "-m", "venv", "--clear", str(tmp_path / "env"))
    asked = [word.removesuffix("+cpu") for step in steps[1:] for word in step.command if "==" in word]
    assert sorted(asked) == sorted(packages.TRAINER)


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
        ("", "nothing was said"),
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
