# SPDX-License-Identifier: GPL-3.0-or-later
"""DeepMimic's clips: hand-made ones whose poses are known, the published ones, and broken ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backflip_addon.core import metrics, rotations
from backflip_addon.core import motion as motions
from backflip_addon.core.body import LINK_NAMES
from backflip_addon.core.clips import deepmimic
from tests.core import performances

STILL = [1.0, 0.0, 0.0, 0.0]


def frame(
    duration: float = 0.1, place: tuple = (0.0, 0.9, 0.0), root: list[float] = STILL, **joints: Any
) -> list[float]:
    """One frame's 44 numbers, in the format's own axes; joints by name with underscores for dots."""
    numbers = [duration, *place, *root]
    for name in deepmimic.JOINT_ORDER:
        value = joints.get(name.replace(".", "_"), 0.0 if name in deepmimic.HINGES else STILL)
        numbers += [value] if name in deepmimic.HINGES else list(value)
    return numbers


def write(folder: Path, frames: Any, loop: Any = "none") -> Path:
    path = folder / "clip.txt"
    path.write_text(json.dumps({"Loop": loop, "Frames": frames}))
    return path


def about(axis: str, angle: float) -> list[float]:
    return [np.cos(angle / 2), *(np.sin(angle / 2) * np.array([axis == "x", axis == "y", axis == "z"]))]


def test_places_turn_from_y_up_to_z_up(tmp_path: Path) -> None:
    motion, leg = deepmimic.load(write(tmp_path, [frame(), frame(place=(1.0, 1.2, 0.3))]))
    # x ahead becomes -y, y up becomes z, z to the right becomes -x
    assert np.allclose(motion.position, [[0, 0, 0.9], [-0.3, -1.0, 1.2]])
    assert leg == pytest.approx(0.88, abs=0.01)
    assert motion.rate == pytest.approx(10.0) and not motion.loops


@pytest.mark.parametrize(("theirs", "ours"), [("x", (0.0, -1.0, 0.0)), ("y", (0.0, 0.0, 1.0)), ("z", (-1.0, 0.0, 0.0))])
def test_rotations_turn_with_their_axes(tmp_path: Path, theirs: str, ours: tuple) -> None:
    turned = frame(root=about(theirs, 0.7), chest=about(theirs, -0.4), foot_L=about(theirs, 0.2))
    motion, _ = deepmimic.load(write(tmp_path, [turned, turned]))
    for link, angle in (("pelvis", 0.7), ("chest", -0.4), ("foot.L", 0.2), ("head", 0.0), ("hand.L", 0.0)):
        expected = rotations.from_rotation_vector(np.array(ours) * angle)
        assert rotations.angle_between(motion.rotations[0, LINK_NAMES.index(link)], expected) < 1e-7


def test_a_knee_bends_the_foot_backward_and_an_elbow_the_hand_forward(tmp_path: Path) -> None:
    body = performances.body()
    bent = frame(shin_R=-1.0, forearm_L=1.0)
    motion, _ = deepmimic.load(write(tmp_path, [bent, bent]))
    positions, _ = body.forward(motion.position, motion.rotations)
    foot, knee = (positions[0, body.index(name)] for name in ("foot.R", "shin.R"))
    hand, elbow = (positions[0, body.index(name)] for name in ("hand.L", "forearm.L"))
    assert foot[1] > knee[1] + 0.2, "+y is behind"
    assert hand[1] < elbow[1] - 0.15, "-y is ahead"


@pytest.mark.parametrize("coding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_no_part_of_a_clip(tmp_path: Path, coding: str) -> None:
    path = write(tmp_path, [frame(), frame()], "Wrap")
    path.write_text(path.read_text(), encoding=coding)
    motion, _leg = deepmimic.load(path)
    assert motion.frames == 2 and motion.loops


def test_durations_make_the_rate_whatever_the_last_one_is(tmp_path: Path) -> None:
    motion, _ = deepmimic.load(write(tmp_path, [frame(0.0625), frame(0.0625), frame(0.0625), frame(0.0)]))
    assert motion.rate == pytest.approx(16.0) and motion.frames == 4 and motion.duration == pytest.approx(3 / 16)


def test_uneven_durations_keep_the_clips_time(tmp_path: Path) -> None:
    times = np.array([0.0, 0.1, 0.2, 0.5, 0.6, 1.0])
    durations = [*np.diff(times), 0.0]
    frames = [frame(d, place=(t, 1.0 + t, 0.0)) for d, t in zip(durations, times, strict=True)]
    motion, _ = deepmimic.load(write(tmp_path, frames))
    assert motion.duration == pytest.approx(1.0, abs=0.5 / motion.rate)
    # Steadily moving: wherever it is sampled, it is there
    for t in (0.0, 0.15, 0.35, 0.8):
        assert np.allclose(motion.sample([t])[0], [[0.0, -t, 1.0 + t]], atol=1e-6)


def test_unnormalised_quaternions_are_mended(tmp_path: Path) -> None:
    long = [2 * x for x in about("y", 0.5)]
    motion, _ = deepmimic.load(write(tmp_path, [frame(root=long), frame(root=long)]))
    assert np.allclose(np.linalg.norm(motion.rotations, axis=-1), 1.0)


def test_signs_of_quaternions_do_not_jump(tmp_path: Path) -> None:
    q = about("y", 0.5)
    motion, _ = deepmimic.load(write(tmp_path, [frame(root=q), frame(root=[-x for x in q])]))
    assert np.allclose(motion.rotations[0], motion.rotations[1])


@pytest.mark.parametrize(("loop", "expected"), [("wrap", True), ("none", False), (None, False)])
def test_loops(tmp_path: Path, loop: Any, expected: bool) -> None:
    assert deepmimic.load(write(tmp_path, [frame(), frame()], loop))[0].loops is expected


BAD: dict[str, Any] = {
    "no frames": [],
    "one frame": [frame()],
    "too narrow": [frame()[:-1]] * 3,
    "too wide": [[*frame(), 0.0]] * 3,
    "ragged": [frame(), frame()[:-2]],
    "text": [["a"] * 44] * 2,
    "no list": "frames",
    "null": None,
    "flat": frame(),
    "not a number": [frame(), [float("nan")] * 44],
    "infinite": [frame(), frame(place=(float("inf"), 0, 0))],
    "no time": [frame(0.0)] * 3,
    "some frame without time": [frame(), frame(0.0), frame()],
    "backward in time": [frame(), frame(-0.1), frame()],
    "too fast": [frame(1e-9)] * 3,
    "too slow": [frame(1e9)] * 3,
    "one very long frame": [frame(0.01), frame(0.01), frame(0.01), frame(1e9), frame()],
    "root without orientation": [frame(root=[0.0, 0.0, 0.0, 0.0])] * 3,
}


@pytest.mark.parametrize("case", BAD)
def test_broken_clips_are_refused_in_a_sentence(tmp_path: Path, case: str) -> None:
    path = write(tmp_path, BAD[case])
    with pytest.raises(ValueError) as caught:
        deepmimic.load(path)
    assert "clip.txt" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("ragged", "its frame 2 is not 44 numbers"),
        ("text", "its frame 1 is not 44 numbers"),
        ("flat", "its frame 1 is not 44 numbers"),
        ("no list", "it needs two or more frames of 44 numbers"),
        ("null", "it needs two or more frames of 44 numbers"),
    ],
)
def test_the_frame_that_is_none_is_named(tmp_path: Path, case: str, words: str) -> None:
    with pytest.raises(ValueError) as caught:
        deepmimic.load(write(tmp_path, BAD[case]))
    assert str(caught.value) == f"clip.txt is not a humanoid clip: {words}."


def test_cut_off_and_foreign_files_are_refused(tmp_path: Path) -> None:
    whole = write(tmp_path, [frame()] * 3).read_bytes()
    contents = [whole[:n] for n in range(0, len(whole) - 1, 37)]
    contents += [b"\xff\xfe\x00", b"[]", b"3", b'{"Loop": "wrap"}', b"HIERARCHY\nROOT Hips\n", b"[" * 100_000]
    path = tmp_path / "clip.txt"
    for content in contents:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"clip\.txt"):
            deepmimic.load(path)
    with pytest.raises(ValueError, match=r"missing\.txt"):
        deepmimic.load(tmp_path / "missing.txt")
    with pytest.raises(ValueError):
        deepmimic.load(tmp_path)


def published() -> list[Path]:
    pybullet_data = pytest.importorskip("pybullet_data")
    return sorted(Path(pybullet_data.getDataPath(), "data", "motions").glob("humanoid3d_*.txt"))


def test_all_published_clips_can_be_read() -> None:
    files = published()
    assert len(files) == 15
    for file in files:
        motion, _ = deepmimic.load(file)
        motions.validate(motion, len(LINK_NAMES))
        assert 0.3 < motion.duration < 60 and 10 <= motion.rate <= 120, file.name
        assert np.allclose(np.linalg.norm(motion.rotations, axis=-1), 1), file.name
        assert 0.0 < motion.position[:, 2].max() < 2.5, f"{file.name}: up is up"


def test_the_backflip_is_what_is_known_of_it() -> None:
    (file,) = [file for file in published() if file.stem == "humanoid3d_backflip"]
    motion, _ = deepmimic.load(file)
    assert motion.frames == 29 and motion.duration == pytest.approx(1.75, abs=0.01)
    turn = np.degrees(metrics.net_somersault(motion.rotations[:, 0]))
    assert abs(turn) == pytest.approx(360, abs=25)
    # Backward: from its start the head tips to +y, behind it
    up = rotations.rotate(motion.rotations[:, 0], np.array([0.0, 0.0, 1.0]))
    quarter = np.flatnonzero(np.abs(up[:, 2]) < 0.5)[0]
    assert up[quarter, 1] > 0.5
