# SPDX-License-Identifier: GPL-3.0-or-later
"""Stages on disk: what is written comes back, and nothing that could run code does."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from backflip_addon.trainer import stages  # noqa: E402


def test_round_trip(tmp_path: Path) -> None:
    content = {
        "network": {"weight": torch.arange(6.0).reshape(2, 3)},
        "guide": {"turns": np.eye(4)},
        "numbers": {"samples": np.int64(12), "share": 0.25},
        "hidden": (256, 128),
    }
    stages.save(tmp_path / "a.pt", content)
    back = stages.load(tmp_path / "a.pt")
    assert torch.equal(back["network"]["weight"], content["network"]["weight"])
    np.testing.assert_array_equal(stages.arrays(back["guide"])["turns"], np.eye(4))
    assert back["numbers"] == {"samples": 12, "share": 0.25}
    assert list(back["hidden"]) == [256, 128]
    assert sorted(os.listdir(tmp_path)) == ["a.pt"], "no temporary file is left"


class _Bomb:
    def __reduce__(self) -> tuple:
        return (os.mkdir, ("exploded",))


def test_code_in_a_stage_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"version": stages.STAGE_VERSION, "network": _Bomb()}, tmp_path / "bomb.pt")
    with pytest.raises(ValueError, match="bomb.pt cannot be read"):
        stages.load(tmp_path / "bomb.pt")
    assert not (tmp_path / "exploded").exists()


def test_a_stage_holds_only_what_torch_calls_safe(tmp_path: Path) -> None:
    stages.save(tmp_path / "a.pt", {"network": {"w": torch.ones(2)}, "x": np.ones(3)})
    names = set()

    class Watch(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> object:
            names.add(f"{module}.{name}")
            return lambda *_: None

        def persistent_load(self, _: object) -> None:
            return None

    with zipfile.ZipFile(tmp_path / "a.pt") as archive:
        (entry,) = [n for n in archive.namelist() if n.endswith("data.pkl")]
        Watch(io.BytesIO(archive.read(entry))).load()
    assert names <= {"torch._utils._rebuild_tensor_v2", "torch.FloatStorage", "torch.DoubleStorage",
                     "collections.OrderedDict"}


@pytest.mark.parametrize("damage", [b"", b"not a stage", None])
def test_damaged_stages_are_told(tmp_path: Path, damage: bytes | None) -> None:
    path = tmp_path / "a.pt"
    if damage is None:
        stages.save(path, {"x": torch.ones(1000)})
        damage = path.read_bytes()[:500]
    path.write_bytes(damage)
    with pytest.raises(ValueError, match="a.pt cannot be read"):
        stages.load(path)


def test_other_versions_and_missing_files_are_told(tmp_path: Path) -> None:
    torch.save({"version": 999}, tmp_path / "new.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    for name, words in (("new.pt", "another version"), ("list.pt", "not a Backflip stage"), ("none.pt", "is missing")):
        with pytest.raises(ValueError, match=words):
            stages.load(tmp_path / name)
