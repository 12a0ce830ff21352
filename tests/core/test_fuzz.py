# SPDX-License-Identifier: GPL-3.0-or-later
"""A short piece of tests/fuzz.py: the same damaged files each time, for every reader."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest

from tests import fuzz
from tests.mutations import mutate
from tests.seeds import seeds

FILES = 40  # for each reader


@pytest.mark.parametrize("reader", fuzz.READERS)
def test_a_damaged_file_is_read_or_refused_with_one_sentence(tmp_path: Path, reader: str) -> None:
    made = [seed for seed in seeds() if seed.reader == reader]
    report = fuzz.fuzz(made, tmp_path, 1, lambda count: count < FILES * len(made))
    assert not report.faults, "\n".join(report.faults)
    assert report.files == report.accepted + report.refused == FILES * len(made)


@pytest.mark.parametrize("seed", seeds(), ids=lambda seed: seed.name)
def test_every_seed_is_sound(tmp_path: Path, seed: fuzz.Seed) -> None:
    path = tmp_path / seed.name
    path.write_bytes(seed.data)
    report = fuzz.Report()
    assert fuzz.fault_of(fuzz.READERS[seed.reader], path, report) == "" and report.accepted == 1


def test_the_fuzzer_finds_what_it_looks_for(tmp_path: Path) -> None:
    def fault(read: object, content: bytes = b"{}") -> str:
        path = tmp_path / "a.json"
        path.write_bytes(content)
        return fuzz.fault_of(fuzz.Reader(read, (ValueError,)), path, fuzz.Report())  # type: ignore[arg-type]

    def refuse(words: str) -> object:
        raise ValueError(words)

    assert fault(lambda path: 5.0) == ""
    assert "KeyError" in fault(lambda path: json.loads(path.read_text())["frames"])
    assert "not finite" in fault(lambda path: (np.array([np.nan]),))
    assert "not finite" in fault(lambda path: {"a": [float("inf")]})
    assert "one sentence" in fault(lambda path: refuse("a.json: Traceback\nline 2"))
    assert "name" in fault(lambda path: refuse("it is damaged"))
    assert fault(lambda path: refuse(f"{path.name} is damaged")) == ""
    assert "MB" in fault(lambda path: np.empty(fuzz.MOST_MEMORY + 1, np.uint8)[:0])


@pytest.mark.parametrize("seed", seeds(), ids=lambda seed: seed.name)
def test_the_same_seed_makes_the_same_files_and_nearly_all_are_damaged(seed: fuzz.Seed) -> None:
    made, again = ([mutate(random.Random(i), seed.kind, seed.data) for i in range(20)] for _ in range(2))
    assert made == again
    assert sum(data != seed.data for data in made) > 15


@pytest.mark.parametrize("reader", ["body", "binding"])
def test_a_long_text_where_a_number_belongs_is_not_quoted_whole(tmp_path: Path, reader: str) -> None:
    seed = next(seed for seed in seeds() if seed.reader == reader)
    data = json.loads(seed.data)
    for item, key in ((data, "version"), (data["links"][0], "offset" if reader == "body" else "joint")):
        before, item[key] = item[key], "x\n" * 5000
        (tmp_path / seed.name).write_text(json.dumps(data))
        report = fuzz.Report()
        assert fuzz.fault_of(fuzz.READERS[reader], tmp_path / seed.name, report) == "" and report.refused == 1
        item[key] = before
