# SPDX-License-Identifier: GPL-3.0-or-later
"""Files from strangers: held against limits before anything is unpacked, and refused with one sentence."""

from __future__ import annotations

import io
import json
import os
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from backflip_addon.core import findings
from backflip_addon.core import motion as motions
from backflip_addon.core.clips import bvh, deepmimic, key_poses, mimickit, smpl, vrma
from backflip_addon.core.npz import read_npz
from backflip_addon.core.reading import UnreadableFile
from tests.core import performances
from tests.seeds import animated, take
from tests.seeds import glb as glb_of

MODEST = 40_000_000  # bytes that a refusal may take

READERS: dict[str, Callable[[Path], object]] = {
    "clip.bvh": bvh.read_bvh,
    "clip.txt": deepmimic.load,
    "clip.json": mimickit.load,
    "stunt.json": lambda path: key_poses.load(path, performances.body()),
    "motion.npz": mimickit.load,
    "smpl.npz": smpl.read_smpl,
    "clip.vrma": vrma.read_vrma,
}


def refusal(reader: Callable[[Path], object], path: Path) -> str:
    """The sentence with which a file is refused, and that little memory went into it."""
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableFile) as refused:
            reader(path)
        assert tracemalloc.get_traced_memory()[1] < MODEST
    finally:
        tracemalloc.stop()
    words = str(refused.value)
    assert path.name in words and "\n" not in words and len(words) < 500
    return words


def npz(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def npy(shape: str, descr: str = "'<f8'", data: bytes = b"") -> bytes:
    """An array's file that says it has that shape, whatever data follows."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data


@pytest.mark.parametrize(
    ("poses", "words"),
    [
        (npy("(500000000, 156)"), "larger than what is there"),
        (npy("(400,)", "'|O'", b"\x80\x04."), "something else"),
        (npy("(400,)", "[('a', '<f8')]", bytes(3200)), "something else"),
        (npy("(-4,)"), "no sensible size"),
        (npy("(10, 10)", data=bytes(80)), "larger than what is there"),
        (b"no array at all", "magic"),
        (b"", "magic|EOF|read"),
    ],
)
def test_an_arrays_header_is_held_against_what_is_there(tmp_path: Path, poses: bytes, words: str) -> None:
    path = npz(tmp_path / "smpl.npz", {"poses.npy": poses, "trans.npy": npy("(1, 3)", data=bytes(24))})
    with pytest.raises(ValueError, match=words):
        read_npz(path)
    refusal(smpl.read_smpl, path)


@pytest.mark.parametrize("reader", [motions.load_take, motions.load_motion])
def test_a_small_file_that_unpacks_to_gigabytes_is_not_unpacked(tmp_path: Path, reader: Callable) -> None:
    """10 MB of zeros well packed are a take of gigabytes; a smaller one does here."""
    size = 300_000_000
    path = tmp_path / "0000_search.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("rotations.npy", "w") as member:
        member.write(npy(f"({size // 8},)"))
        for _ in range(size // 10_000_000):
            member.write(bytes(10_000_000))
    assert path.stat().st_size < 1_000_000
    tracemalloc.start()
    with pytest.raises(ValueError, match="cannot be read"):
        reader(path)
    assert tracemalloc.get_traced_memory()[1] < MODEST
    tracemalloc.stop()


def test_an_archive_that_lies_about_its_size_is_read_no_further(tmp_path: Path) -> None:
    path = npz(tmp_path / "a.npz", {"poses.npy": npy("(10,)", data=bytes(80)) + bytes(50_000_000)})
    data = path.read_bytes().replace(struct.pack("<I", 50_000_208), struct.pack("<I", 208))
    path.write_bytes(data)
    tracemalloc.start()
    with pytest.raises(Exception, match=r"."):
        read_npz(path)
    assert tracemalloc.get_traced_memory()[1] < MODEST
    tracemalloc.stop()


def test_an_array_called_archive_and_a_locked_archive_are_refused(tmp_path: Path) -> None:
    array = tmp_path / "smpl.npz"
    np.save(io.BytesIO(), np.zeros(3))
    array.write_bytes(npy("(3,)", data=bytes(24)))
    refusal(smpl.read_smpl, array)
    locked = npz(tmp_path / "locked.npz", {"poses.npy": npy("(3,)", data=bytes(24))})
    data = bytearray(locked.read_bytes())
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    locked.write_bytes(bytes(data))
    refusal(smpl.read_smpl, locked)


def glb(accessor: dict[str, object], view: dict[str, object]) -> bytes:
    """A VRMA whose one channel is read through an accessor."""
    content = {
        "extensions": {"VRMC_vrm_animation": {"humanoid": {"humanBones": {"hips": {"node": 0}}}}},
        "nodes": [{"name": "Hips"}],
        "buffers": [{"byteLength": 64}],
        "bufferViews": [{"buffer": 0, "byteLength": 64, **view}],
        "accessors": [{"bufferView": 0, "componentType": 5126, "count": 2, "type": "SCALAR", **accessor}],
        "animations": [
            {
                "channels": [{"target": {"node": 0, "path": "rotation"}, "sampler": 0}],
                "samplers": [{"input": 0, "output": 0}],
            }
        ],
    }
    text = json.dumps(content).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", 64, b"BIN\0") + bytes(64)
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


@pytest.mark.parametrize(
    ("accessor", "view"),
    [
        ({"count": 300_000_000}, {"byteStride": 0}),
        ({"count": 300_000_000}, {}),
        ({"count": -1}, {}),
        ({"count": 2.5}, {}),
        ({"count": True}, {}),
        ({"byteOffset": -8}, {}),
        ({}, {"byteOffset": 10**30}),
        ({}, {"byteStride": 1}),
        ({}, {"buffer": -1}),
        ({"bufferView": -1}, {}),
        ({"componentType": 5130}, {}),
    ],
)
def test_an_animation_of_three_kilobytes_takes_no_gigabytes(
    tmp_path: Path, accessor: dict[str, object], view: dict[str, object]
) -> None:
    path = tmp_path / "clip.vrma"
    path.write_bytes(glb(accessor, view))
    refusal(vrma.read_vrma, path)


def test_a_small_animation_of_many_bones_that_lasts_long_takes_no_gigabytes(tmp_path: Path) -> None:
    content, binary = animated()
    content["nodes"] += [{"name": str(i)} for i in range(60)]
    binary = binary.replace(struct.pack("<2f", 0, 1), struct.pack("<2f", 0, 900))
    (tmp_path / "clip.vrma").write_bytes(glb_of(content, binary))
    assert "too long for a skeleton" in refusal(vrma.read_vrma, tmp_path / "clip.vrma")


def test_an_animation_whose_numbers_are_put_in_later_is_refused(tmp_path: Path) -> None:
    """Read without them its bones would stand still, and nobody would know."""
    content, binary = animated()
    content["accessors"].append({"componentType": 5126, "count": 2, "type": "VEC4"})
    sparse = {"bufferView": 1, "byteOffset": 0}
    content["accessors"][-1]["sparse"] = {"count": 1, "indices": {**sparse, "componentType": 5121}, "values": sparse}
    content["animations"][0]["samplers"][0]["output"] = len(content["accessors"]) - 1
    (tmp_path / "clip.vrma").write_bytes(glb_of(content, binary))
    assert "sparse" in refusal(vrma.read_vrma, tmp_path / "clip.vrma")


def test_channels_that_share_what_is_stored_once_take_no_gigabytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, binary = animated()
    content["animations"][0]["channels"] *= 50
    (tmp_path / "clip.vrma").write_bytes(glb_of(content, binary))
    vrma.read_vrma(tmp_path / "clip.vrma")
    monkeypatch.setattr(vrma, "_MOST_NUMBERS", 499)
    assert "at most" in refusal(vrma.read_vrma, tmp_path / "clip.vrma")


def test_a_small_skeleton_file_of_many_joints_that_keep_still_takes_no_gigabytes(tmp_path: Path) -> None:
    still = "JOINT j\n{\nOFFSET 0 1 0\nCHANNELS 0\n" * 1999 + "}\n" * 1999
    head = "HIERARCHY\nROOT a\n{\nOFFSET 0 0 0\nCHANNELS 1 Yrotation\n"
    text = f"{head}{still}}}\nMOTION\nFrames: 600\nFrame Time: 0.01\n" + "0\n" * 600
    (tmp_path / "clip.bvh").write_text(text)
    assert "2000 joints" in refusal(bvh.read_bvh, tmp_path / "clip.bvh")


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(
    "content",
    [b"", b"\0", b"5", b"[]", b"{}", b"[" * 100_000, b"9" * 400, b"\xff\xfe", b"PK\x03\x04", b"glTF"],
    ids=["empty", "nul", "5", "list", "object", "deep", "400 digits", "utf-16", "zip", "glb"],
)
def test_what_is_no_clip_is_refused_with_its_name(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    refusal(READERS[name], path)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "9" * 350])
def test_numbers_that_are_not_finite_are_refused(tmp_path: Path, number: str) -> None:
    frame = ", ".join(["0.1", *["0"] * 3, *["1", "0", "0", "0"] * 10])
    path = tmp_path / "clip.txt"
    path.write_text(f'{{"Loop": "none", "Frames": [[{frame.replace("0.1", number)}], [{frame}]]}}')
    refusal(deepmimic.load, path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("name", READERS)
def test_a_pipe_or_a_folder_never_hangs_a_reader(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    assert "not a regular file" in refusal(READERS[name], tmp_path / name)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / name).mkdir()
    refusal(READERS[name], tmp_path / "folder" / name)


def test_a_link_to_a_clip_is_fine_and_a_link_among_a_jobs_files_is_not(tmp_path: Path) -> None:
    motion = motions.Motion(30.0, np.zeros((2, 3)), np.tile([1.0, 0, 0, 0], (2, 1, 1)))
    motions.save_motion(tmp_path / "elsewhere.npz", motion)
    (tmp_path / "reference.npz").symlink_to(tmp_path / "elsewhere.npz")
    assert motions.load_motion(tmp_path / "elsewhere.npz").frames == 2
    with pytest.raises(ValueError, match="is a link"):
        motions.load_motion(tmp_path / "reference.npz")
    assert set(read_npz(tmp_path / "reference.npz")) == {"version", "rate", "loops", "position", "rotations"}


def test_a_motion_with_numbers_that_are_not_finite_is_refused(tmp_path: Path) -> None:
    motion = motions.Motion(30.0, np.full((2, 3), np.nan), np.tile([1.0, 0, 0, 0], (2, 1, 1)))
    motions.save_motion(tmp_path / "reference.npz", motion)
    with pytest.raises(ValueError, match="not finite"):
        motions.load_motion(tmp_path / "reference.npz")


@pytest.mark.parametrize(
    "text",
    ["", "5", "[5]", "{}", "[", "[" * 100_000, '[{"code": "a", "sentence": "b", "fix": {"start": "x"}}]'],
    ids=range(7),
)
def test_a_strangers_findings_on_a_clip_are_left_out(text: str) -> None:
    assert findings.kept_notes(text) == []
    sound = {"code": "a", "sentence": "b", "fix": {"start": 1.0}}
    assert findings.kept_notes(json.dumps([sound, 5])) == [sound]


@pytest.mark.parametrize("key", ["torque", "assist"])
def test_a_take_with_numbers_that_are_not_finite_is_refused(tmp_path: Path, key: str) -> None:
    with np.load(io.BytesIO(take())) as data:
        arrays = {name: data[name] for name in data.files}
    path = tmp_path / "0001_search.npz"
    np.savez(path, **arrays)
    assert motions.load_take(path).motion.frames == 5
    np.savez(path, **arrays | {key: np.full(5, np.nan)})
    with pytest.raises(ValueError, match=r"0001_search\.npz.*not finite"):
        motions.load_take(path)
