# SPDX-License-Identifier: GPL-3.0-or-later
"""The same seed gives the same takes bit for bit: run after run, with any number of threads, and after a change."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pybullet")
pytest.importorskip("pybullet_data")

from tests.trainer import same_takes

REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE = 900.0  # s; a busy machine takes many times the ten that it needs


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    """What a process of its own makes, whose numpy has one thread from its import on."""
    line = [sys.executable, "-m", "tests.trainer.same_takes"]
    done = subprocess.run(line, cwd=REPOSITORY, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    said = done.stdout.partition("TAKES ")[2]
    return json.loads(said.partition("\n")[0])  # PyBullet may have a word to say at the end


@pytest.mark.parametrize("clip", same_takes.CLIPS)
def test_the_same_seed_gives_the_same_take_again_and_with_another_number_of_threads(
    made: dict[str, Any], clip: str
) -> None:
    assert len(made["takes"][clip]) == 3 and len(set(made["takes"][clip].values())) == 1, made["takes"][clip]


def test_three_clips_give_three_takes(made: dict[str, Any]) -> None:
    assert len({hashes["again"] for hashes in made["takes"].values()}) == len(same_takes.CLIPS)


@pytest.mark.parametrize("clip", same_takes.CLIPS)
def test_a_take_is_the_one_that_was_recorded(made: dict[str, Any], clip: str) -> None:
    """A change of structure leaves every bit of a take as it was; one that is meant to change takes records anew."""
    recorded = [record["takes"] for record in same_takes.records() if record["facts"] == made["facts"]]
    if not recorded:
        pytest.skip(f"no takes are recorded for {made['facts']}; record them with: {same_takes.COMMAND}")
    assert made["takes"][clip]["two threads"] == recorded[0][clip], f"if this is meant: {same_takes.COMMAND}"


def test_takes_that_have_changed_are_forgotten_on_other_machines() -> None:
    here, there = ({"facts": {"cpu": [name]}, "takes": {"walk": "a"}} for name in ("here", "there"))
    changed = {**here, "takes": {"walk": "b"}}
    assert same_takes.recorded_anew([there], here) == [there, here]
    assert same_takes.recorded_anew([here, there], here) == [there, here]
    assert same_takes.recorded_anew([here, there], changed) == [changed]
