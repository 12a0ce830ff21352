# SPDX-License-Identifier: GPL-3.0-or-later
"""Stages on disk: what is written comes back, and nothing that could run code does."""

from __future__ import annotations

import errno
import io
import os
import pickle
import pickletools
import zipfile
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from backflip_addon.trainer.rl import checkpoints  # noqa: E402
from backflip_addon.trainer.runner import runner  # noqa: E402


def test_round_trip(tmp_path: Path) -> None:
    content = {
        "network": {"weight": torch.arange(6.0).reshape(2, 3)},
        "trajectory": {"targets": np.eye(4)},
        "numbers": {"samples": np.int64(12), "share": 0.25},
        "hidden": (256, 128),
    }
    checkpoints.save(tmp_path / "a.pt", content)
    back = checkpoints.load(tmp_path / "a.pt")
    assert torch.equal(back["network"]["weight"], content["network"]["weight"])
    np.testing.assert_array_equal(checkpoints.arrays(back["trajectory"])["targets"], np.eye(4))
    assert back["numbers"] == {"samples": 12, "share": 0.25}
    assert list(back["hidden"]) == [256, 128]
    assert sorted(os.listdir(tmp_path)) == ["a.pt"], "no temporary file is left"


class _Bomb:
    def __reduce__(self) -> tuple:
        return (os.mkdir, ("exploded",))


def test_code_in_a_stage_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"version": checkpoints.STAGE_VERSION, "network": _Bomb()}, tmp_path / "bomb.pt")
    with pytest.raises(ValueError, match="bomb.pt cannot be read"):
        checkpoints.load(tmp_path / "bomb.pt")
    assert not (tmp_path / "exploded").exists()


def test_a_stage_holds_only_what_torch_calls_safe(tmp_path: Path) -> None:
    checkpoints.save(tmp_path / "a.pt", {"network": {"w": torch.ones(2)}, "x": np.ones(3)})
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
    assert names <= {
        "torch._utils._rebuild_tensor_v2",
        "torch.FloatStorage",
        "torch.DoubleStorage",
        "collections.OrderedDict",
    }


@pytest.mark.parametrize("damage", [b"", b"not a stage", None])
def test_damaged_stages_are_told(tmp_path: Path, damage: bytes | None) -> None:
    path = tmp_path / "a.pt"
    if damage is None:
        checkpoints.save(path, {"x": torch.ones(1000)})
        damage = path.read_bytes()[:500]
    path.write_bytes(damage)
    with pytest.raises(ValueError, match="a.pt cannot be read"):
        checkpoints.load(path)


def test_other_versions_and_missing_files_are_told(tmp_path: Path) -> None:
    torch.save({"version": 999}, tmp_path / "new.pt")
    torch.save({"version": torch.tensor([3, 3])}, tmp_path / "many.pt")
    with zipfile.ZipFile(tmp_path / "many.pt") as archive, zipfile.ZipFile(tmp_path / "deep.pt", "w") as made:
        for entry in archive.infolist():
            whole = b"\x80\x02}X\x07\x00\x00\x00version" + b"]" * 5_000 + b"a" * 4_999 + b"s."
            made.writestr(entry.filename, whole if entry.filename.endswith(".pkl") else archive.read(entry))
    torch.save([1, 2], tmp_path / "list.pt")
    for name, words in (
        ("new.pt", "another version"),
        ("many.pt", "another version"),
        ("deep.pt", "another version"),
        ("list.pt", "nothing that Backflip has learned"),
        ("none.pt", "is missing"),
    ):
        with pytest.raises(ValueError, match=words):
            checkpoints.load(tmp_path / name)


def test_a_full_disk_is_told_as_such_and_costs_neither_the_old_stage_nor_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints.save(tmp_path / "a.pt", {"x": torch.ones(3)})

    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch, pytest.raises(OSError, match=os.strerror(errno.ENOSPC)) as caught:
        patch.setattr(os, "fsync", full)
        checkpoints.save(tmp_path / "a.pt", {"x": torch.zeros(1000)})
    assert "disk is full" in runner._sentence(caught.value)
    assert os.listdir(tmp_path) == ["a.pt"]
    assert checkpoints.load(tmp_path / "a.pt")["x"].sum() == 3


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_disk_that_fills_up_while_a_stage_is_written_is_no_error_of_torchs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, name = os.open, str(tmp_path)

    def on_a_full_disk(path: str | Path, flags: int, mode: int = 0o777) -> int:
        return make("/dev/full", os.O_WRONLY) if str(path).startswith(name) else make(path, flags, mode)

    with monkeypatch.context() as patch, pytest.raises(OSError) as caught:
        patch.setattr(os, "open", on_a_full_disk)
        checkpoints.save(tmp_path / "a.pt", {"x": torch.zeros(1000)})
    assert caught.value.errno == errno.ENOSPC


def repeated(depth: int) -> list:
    """A list of two lists of two lists..., each pair the same one: small on disk, endless to walk."""
    value: list = [1]
    for _ in range(depth):
        value = [value, value]
    return value


@pytest.mark.parametrize(
    "content",
    [
        {"x": torch.tensor([1.0, float("nan")])},
        {"deep": [{"x": torch.tensor(float("inf"))}]},
        {"x": torch.ones(1).expand(10**10)},
        {"x": torch.ones(3).to_sparse()},
    ],
    ids=["not a number", "infinite, deep inside", "40 GB of one number", "sparse"],
)
def test_tensors_that_are_not_what_they_seem_are_damage(tmp_path: Path, content: dict) -> None:
    torch.save({"version": checkpoints.STAGE_VERSION, **content}, tmp_path / "a.pt")
    with pytest.raises(ValueError, match="a.pt cannot be read"):
        checkpoints.load(tmp_path / "a.pt")


def test_what_refers_to_itself_is_walked_once(tmp_path: Path) -> None:
    torch.save({"version": checkpoints.STAGE_VERSION, "x": repeated(60)}, tmp_path / "a.pt")
    assert checkpoints.load(tmp_path / "a.pt")["version"] == checkpoints.STAGE_VERSION


def test_a_stage_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints.save(tmp_path / "a.pt", {"x": torch.zeros(1_000_000)})
    with zipfile.ZipFile(tmp_path / "a.pt") as whole, zipfile.ZipFile(tmp_path / "b.pt", "w") as packed:
        for entry in whole.infolist():
            packed.writestr(entry.filename, whole.read(entry), zipfile.ZIP_DEFLATED)
    assert (tmp_path / "b.pt").stat().st_size < 100_000
    monkeypatch.setattr(checkpoints, "MOST_BYTES", 1_000_000)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("it was unpacked"))
    for name in ("a.pt", "b.pt"):
        with pytest.raises(ValueError, match=f"{name} cannot be read"):
            checkpoints.load(tmp_path / name)


def test_what_is_no_ordinary_file_is_no_stage(tmp_path: Path) -> None:
    (tmp_path / "folder.pt").mkdir()
    checkpoints.save(tmp_path / "real.pt", {})
    (tmp_path / "link.pt").symlink_to(tmp_path / "real.pt")
    for name in ("folder.pt", "link.pt"):
        with pytest.raises(ValueError, match=f"{name} cannot be read"):
            checkpoints.load(tmp_path / name)


class Roomy:
    """What a pickle of 60 bytes makes of itself: 200 MB."""

    def __reduce__(self) -> tuple:
        return bytearray, (200_000_000,)


def test_a_pickle_that_goes_on_for_long_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten million operations pack into ten thousand bytes."""
    file, read, genops = tmp_path / "000001_policy.pt", [], pickletools.genops
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("a/data.pkl", b"N" * 10_000_000 + b".")
    monkeypatch.setattr(checkpoints.pickletools, "genops", lambda data: (read.append(1) or one for one in genops(data)))
    with pytest.raises(ValueError, match="damaged or nothing that Backflip has learned"):
        checkpoints.load(file)
    assert len(read) < 1_000_000


@pytest.mark.parametrize("older", [False, True])
def test_a_stage_cannot_make_room_by_what_its_pickle_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, older: bool
) -> None:
    whole, file = tmp_path / "whole.pt", tmp_path / "000001_policy.pt"
    checkpoints.save(whole, {"value": 1})
    pickled = pickle.dumps({"version": checkpoints.STAGE_VERSION, "value": Roomy()}, protocol=2)
    if older:  # torch's format before zip files, with a harmless stage behind it
        file.write_bytes(pickled + whole.read_bytes())
    else:
        with zipfile.ZipFile(whole) as archive, zipfile.ZipFile(file, "w") as made:
            for entry in archive.infolist():
                made.writestr(entry.filename, pickled if entry.filename.endswith(".pkl") else archive.read(entry))

    unpickling = []
    monkeypatch.setattr(checkpoints.torch, "load", lambda *a, **k: unpickling.append(1))
    with pytest.raises(ValueError, match="damaged or nothing that Backflip has learned"):
        checkpoints.load(file)
    assert not unpickling
