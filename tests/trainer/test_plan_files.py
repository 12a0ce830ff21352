# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans and searches on disk: what is damaged or foreign is told in one sentence, and never believed."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba")

from backflip_addon.core import npz
from backflip_addon.trainer.imitation.compiled_rollouts import Rolled
from backflip_addon.trainer.imitation.reference_track import Track
from backflip_addon.trainer.planning.mpc import Search
from backflip_addon.trainer.planning.search_settings import SearchSettings
from backflip_addon.trainer.runner import plan_files
from tests.core import performances

BODY = performances.body()
CLIP = performances.standing(BODY, 0.4)
TRACK = Track(BODY, CLIP, 0.0)
KNOTS = np.zeros((5, TRACK.layout.width))


def archive(**entries: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in entries.items():
            file.writestr(f"{name}.npy", data)
    return packed.getvalue()


def claiming(shape: tuple[int, ...]) -> bytes:
    """An array that says it has this shape, and holds nothing."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return header.getvalue()


def test_a_plan_comes_back(tmp_path: Path) -> None:
    knots = np.linspace(-1, 1, KNOTS.size).reshape(KNOTS.shape)
    plan_files.write_arrays(tmp_path / "plan.npz", {"knots": knots, "knot": 4})
    plan = plan_files.read_plan(tmp_path / "plan.npz", TRACK)
    assert plan is not None and plan.knot == 4
    np.testing.assert_array_equal(plan.knots, knots)
    assert plan_files.read_plan(tmp_path / "none.npz", TRACK) is None
    assert os.listdir(tmp_path) == ["plan.npz"]


@pytest.mark.parametrize(
    "arrays",
    [
        {"other": KNOTS},
        {"knots": KNOTS},
        {"knots": KNOTS, "knot": 0},
        {"knots": KNOTS, "knot": 4.0},
        {"knots": KNOTS, "knot": [4, 4]},
        {"knots": KNOTS[0], "knot": 4},
        {"knots": KNOTS[:0], "knot": 4},
        {"knots": KNOTS[:, 1:], "knot": 4},
        {"knots": KNOTS.astype(int), "knot": 4},
        {"knots": KNOTS.astype(complex), "knot": 4},
        {"knots": KNOTS.astype("U5"), "knot": 4},
        {"knots": np.full_like(KNOTS, np.nan), "knot": 4},
        {"knots": np.full_like(KNOTS, 1e300), "knot": 4},
    ],
    ids=lambda arrays: " ".join(f"{key}={np.asarray(value).dtype}{np.shape(value)}" for key, value in arrays.items()),
)
def test_a_plan_with_other_keys_shapes_or_numbers_is_none(tmp_path: Path, arrays: dict[str, Any]) -> None:
    plan_files.write_arrays(tmp_path / "plan.npz", arrays)
    with pytest.raises(ValueError, match=r"plan\.npz"):
        plan_files.read_plan(tmp_path / "plan.npz", TRACK)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK half a file",
        archive(),
        archive(knots=b"no array"),
        archive(knots=claiming((10**10,)), knot=claiming(())),
        archive(knots=claiming((-1, 4))),
        archive(knots=bytes(plan_files.MOST_BYTES + 1)),
        archive(**{f"a{i}": b"" for i in range(npz.MOST_MEMBERS + 1)}),
    ],
    ids=["empty", "half", "no arrays", "no array", "80 GB", "less than nothing", "unpacks to too much", "too many"],
)
def test_a_damaged_file_is_told_and_makes_no_room_for_what_it_claims(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "plan.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"plan\.npz"):
        plan_files.read_plan(tmp_path / "plan.npz", TRACK)


def test_what_is_no_ordinary_file_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "plan.npz").mkdir()
    with pytest.raises(ValueError, match="not a regular file"):
        plan_files.read_arrays(tmp_path / "plan.npz")
    plan_files.write_arrays(tmp_path / "elsewhere.npz", {"knots": KNOTS, "knot": 4})
    (tmp_path / "search.npz").symlink_to(tmp_path / "elsewhere.npz")
    with pytest.raises(ValueError, match="link"):
        plan_files.read_arrays(tmp_path / "search.npz")


def test_what_is_set_aside_takes_no_other_names(tmp_path: Path) -> None:
    names = []
    for content in ("one", "two"):
        (tmp_path / "plan.npz").write_text(content)
        names.append(plan_files.set_aside(tmp_path / "plan.npz").name)
    assert names == ["plan.npz.damaged-1", "plan.npz.damaged-2"]
    assert [(tmp_path / name).read_text() for name in names] == ["one", "two"]
    assert len(plan_files.set_aside(_made(tmp_path / ("x" * 250))).name) < 255, "however long its name was"


def _made(path: Path) -> Path:
    path.write_text("")
    return path


def no_rollouts(*_: object) -> Rolled:
    raise AssertionError("nothing is rolled out")


def a_search() -> Search:
    return Search(Track(BODY, CLIP, 0.0), no_rollouts, SearchSettings(horizon=8))


@pytest.mark.parametrize(
    "change",
    [
        {"mean": np.zeros(3)},
        {"mean": "text"},
        {"deviation": "negative"},
        {"mean": "nan"},
        {"strides": [3, 10**6]},
        {"strides": [4, -1]},
        {"strides": np.zeros(3)},
        {"strides": 3},
        {"control_steps": 10**30},
        {"control_steps": float("inf")},
        {"random": "no json"},
        {"random": "{}"},
        {"random": "[" * 100_000},
        {"costs": 3},
        {"costs": "text"},
        {"strides": None},
    ],
    ids=str,
)
def test_a_damaged_search_is_told_and_the_new_one_is_as_it_was(change: dict[str, Any]) -> None:
    search = a_search()
    whole = search.checkpoint()
    ((name, value),) = change.items()
    if isinstance(value, str) and name in ("mean", "deviation"):
        value = {"text": "text", "negative": -whole["deviation"], "nan": whole["mean"] * np.nan}[value]
    before = search._random.bit_generator.state
    with pytest.raises(ValueError, match="what was planned so far"):
        search.load_state({**whole, "strides": [3, 1], name: value})
    assert search.performed == 0 and search._random.bit_generator.state == before
    search.load_state({**whole, "strides": [3, 1]})
    assert search.performed == 4
