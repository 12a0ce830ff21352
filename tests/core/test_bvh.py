# SPDX-License-Identifier: GPL-3.0-or-later
"""BVH files: values computed by hand, axes, odd and damaged files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from backflip_addon.core.clips import bvh

SMALL = """HIERARCHY
ROOT Hips
{
  OFFSET 0 10 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT Left Knee
  {
    OFFSET 0 -4 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    JOINT helper
    {
      OFFSET 0 0 0
      CHANNELS 3 Zrotation Xrotation Yrotation
      End Site
      {
        OFFSET 0 0 0
      }
    }
    End Site
    {
      OFFSET 0 -3 1
    }
  }
}
MOTION
Frames: 2
Frame Time: 0.025
0 10 0 0 0 0 0 0 0 0 0 0
1 12 3 90 0 0 0 90 0 0 0 0
"""


def write(folder: Path, text: str, name: str = "clip.bvh") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_small_file(tmp_path: Path) -> None:
    rig, matrices, rate = bvh.read_bvh(write(tmp_path, SMALL))
    assert rate == pytest.approx(40.0)
    assert rig.bones == ("Hips", "Left Knee", "helper")
    assert rig.parents == (-1, 0, 1)
    # y up becomes z up: (x, y, z) -> (x, -z, y)
    assert rig.heads.tolist() == [[0, 0, 10], [0, 0, 6], [0, 0, 6]]
    assert rig.tails[2].tolist() == [0, 0, 6]
    assert np.allclose(matrices[0, :, :3, 3], rig.heads)
    # the hips turned by 90 degrees about the file's z bring the knee (0, -4, 0) to (4, 0, 0)
    assert matrices[1, 0, :3, 3] == pytest.approx([1, -3, 12])
    assert matrices[1, 1, :3, 3] == pytest.approx([5, -3, 12])
    # then the knee by 90 degrees about its own x: file's (0, 0, 1) -> (0, -1, 0) -> by the hips (1, 0, 0)
    turn = matrices[1, 1, :3, :3]
    assert turn @ [0, -1, 0] == pytest.approx([1, 0, 0])


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_line_ends_tabs_and_marks(tmp_path: Path, newline: str) -> None:
    text = "\ufeff" + SMALL.replace("  ", "\t").replace("OFFSET ", "OFFSET\t").replace("\n", newline)
    path = tmp_path / "clip.bvh"
    path.write_bytes(text.encode("utf-8"))
    assert bvh.read_bvh(path)[1].shape == (2, 3, 4, 4)


def test_a_cut_off_last_frame_is_left_out(tmp_path: Path) -> None:
    text = SMALL.rstrip().rsplit(" ", 3)[0]
    assert len(bvh.read_bvh(write(tmp_path, text))[1]) == 1


def test_a_file_that_lacks_more_than_its_last_frame_is_told(tmp_path: Path) -> None:
    """Some writers count one frame too many: that is no news."""
    path = write(tmp_path, SMALL.replace("Frames: 2", "Frames: 40"))
    assert bvh.read_clip(path)[3] == "it is cut off and holds 2 of its 40 frames"
    path = write(tmp_path, SMALL.replace("Frames: 2", "Frames: 3"))
    assert bvh.read_clip(path)[3] == ""


def test_names_that_occur_twice_are_told_apart(tmp_path: Path) -> None:
    rig, _, _ = bvh.read_bvh(write(tmp_path, SMALL.replace("helper", "Hips")))
    assert rig.bones == ("Hips", "Left Knee", "Hips.001")


def test_an_end_site_that_says_it_has_no_channels_takes_none_from_its_joint(tmp_path: Path) -> None:
    said = SMALL.replace("OFFSET 0 0 0\n      }", "OFFSET 0 0 0\n        CHANNELS 0\n      }")
    assert said != SMALL
    read, plain = (bvh.read_bvh(write(tmp_path, text))[1] for text in (said, SMALL))
    np.testing.assert_array_equal(read, plain)


LONE_END = "HIERARCHY\nEnd Site\n{\nOFFSET 1 2 3\n}\n"


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda text: text.replace("HIERARCHY", "<html>"), "not a BVH"),
        (lambda text: text[: text.index("MOTION")], "cut off"),
        (lambda text: text[: text.index("End Site")], "cut off"),
        (lambda text: text.replace("\n}\nMOTION", "\nMOTION"), "cut off"),
        (lambda text: text.replace("1 12 3", "nan 12 3"), "line 29: a number is not finite"),
        (lambda text: text.replace("1 12 3", "1e400 12 3"), "line 29: a number is not finite"),
        (lambda text: text.replace("1 12 3", "1 12 x"), "line 29: .* not a number"),
        (lambda text: text.replace("0.025", "0"), "line 27: a frame cannot last"),
        (lambda text: text.replace("0.025", "0.00099"), "line 27: a frame cannot last 0.00099 s"),
        (lambda text: text.replace("0.025", "1.01"), "line 27: a frame cannot last 1.01 s"),
        (lambda text: text.replace("0.025", "-inf"), "line 27: the frame count or frame time"),
        (lambda text: text.replace("Frames: 2", "Frames: inf"), "line 26: the frame count"),
        (lambda text: text.replace("Frames: 2", "Frames two"), "frame count"),
        (lambda text: text.replace("CHANNELS 6", "CHANNELS 5"), "channels"),
        (lambda text: text.replace("Zposition", "Wposition"), "channel"),
        (lambda text: text.replace("OFFSET 0 -4 0", "OFFSET 0 -4"), "line 8: .* offset"),
        (lambda text: LONE_END + text[text.index("MOTION") :], "line 4: .* no joint"),
        (lambda text: text.replace("HIERARCHY\n", "HIERARCHY\n}\n"), "line 2"),
        (lambda text: text.replace("{\n  OFFSET 0 10 0", "{ OFFSET 0 10 0"), "line 3: .* word {"),
        (lambda text: text.replace("OFFSET 0 -3 1", "OFFSET 0 -3 1\nCHANNELS 1 Xrotation"), "line 22: .* end site"),
        (lambda text: text[: text.index("0 10 0 0 0") + 5], "whole frame"),
        (lambda text: "", "not a BVH"),
    ],
)
def test_damaged_files_are_refused_with_a_sentence(tmp_path: Path, change: object, word: str) -> None:
    with pytest.raises(ValueError, match=word) as refusal:
        bvh.read_bvh(write(tmp_path, change(SMALL)))
    assert "clip.bvh" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_line_with_other_numbers_than_the_rest_is_named_and_columns_too_many_are_left_out(tmp_path: Path) -> None:
    lines = SMALL.rstrip().split("\n")
    broken = [*lines[:-2], " ".join(lines[-2].split()[:-1]), lines[-1]]
    with pytest.raises(ValueError, match=f"line {len(lines) - 1}: a frame needs"):
        bvh.read_bvh(write(tmp_path, "\n".join(broken)))
    with pytest.raises(ValueError, match=f"line {len(lines) - 1}: a frame needs"):
        bvh.read_bvh(write(tmp_path, "\n".join([*lines[:-2], "7.5 " + lines[-2], lines[-1]])))
    _, straight, _ = bvh.read_bvh(write(tmp_path, SMALL))
    _, longer, _ = bvh.read_bvh(write(tmp_path, "\n".join([*lines[:-2], lines[-2] + " 7.5", lines[-1] + " 8"])))
    np.testing.assert_array_equal(straight, longer)


@pytest.mark.parametrize("period", [2, 3])
def test_frames_over_several_lines_are_read_and_a_wrong_line_is_named(tmp_path: Path, period: int) -> None:
    lines = SMALL.rstrip().split("\n")
    size = 12 // period
    folded = [" ".join(row.split()[i : i + size]) for row in lines[-2:] for i in range(0, 12, size)]
    _, straight, _ = bvh.read_bvh(write(tmp_path, SMALL))
    _, wrapped, _ = bvh.read_bvh(write(tmp_path, "\n".join(lines[:-2] + folded)))
    np.testing.assert_array_equal(straight, wrapped)
    for change in (" ".join(folded[1].split()[1:]), folded[1] + " 1.0"):
        with pytest.raises(ValueError, match=f"line {len(lines)}: {size} numbers belong here"):
            bvh.read_bvh(write(tmp_path, "\n".join([*lines[:-2], folded[0], change, *folded[2:]])))


def test_a_title_without_its_colon_or_case_is_read(tmp_path: Path) -> None:
    text = SMALL.replace("MOTION", "   motion").replace("Frames: 2", "Frames 2")
    assert len(bvh.read_bvh(write(tmp_path, text))[1]) == 2


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="none.bvh is missing"):
        bvh.read_bvh(tmp_path / "none.bvh")


def humanoid(up: int, lying_rest: bool = False) -> str:
    """A small humanoid that stands with its head along axis up (1: y, 2: z) of the file."""
    ahead = 3 - up

    def vector(side: float, height: float, forward: float = 0.0) -> str:
        v = [side, 0.0, 0.0]
        v[up], v[ahead] = (forward, height) if lying_rest else (height, forward)
        return " ".join(f"{x:g}" for x in v)

    lines = ["HIERARCHY", "ROOT Hips", "{", f"OFFSET {vector(0, 9)}"]
    lines.append("CHANNELS 6 Xposition Yposition Zposition Xrotation Yrotation Zrotation")
    count = 0

    def joint(name: str, offset: str, inside: list[str]) -> list[str]:
        nonlocal count
        count += 1
        return [f"JOINT {name}", "{", f"OFFSET {offset}", "CHANNELS 3 Xrotation Yrotation Zrotation", *inside, "}"]

    end = ["End Site", "{", f"OFFSET {vector(0, 1)}", "}"]
    lines += joint("Spine", vector(0, 2), joint("Neck", vector(0, 3), joint("Head", vector(0, 1), end)))
    for side, sign in (("Left", 1), ("Right", -1)):
        foot = joint(f"{side}Foot", vector(0, -4), end)
        lines += joint(f"{side}UpLeg", vector(sign, 0), joint(f"{side}Leg", vector(0, -4), foot))
    lines += ["}", "MOTION", "Frames: 3", "Frame Time: 0.03333"]
    place = [0.0, 0.0, 0.0]
    place[up] = 9.0
    turn = [0.0, 0.0, 0.0]
    if lying_rest:  # raised by a quarter turn about x
        turn[0] = 90.0 if up == 2 else -90.0
    lines += [" ".join(f"{x:g}" for x in [*place, *turn, *[0] * (3 * count)])] * 3
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(("up", "lying"), [(1, False), (2, False), (1, True), (2, True)])
def test_the_up_axis_is_found_from_what_the_character_does(tmp_path: Path, up: int, lying: bool) -> None:
    rig, matrices, _ = bvh.read_bvh(write(tmp_path, humanoid(up, lying)))
    way = matrices[:, rig.index("Head"), :3, 3] - matrices[:, rig.index("LeftFoot"), :3, 3]
    assert np.abs(way[:, 2]).min() > 10


@pytest.mark.parametrize(
    ("clip", "joints", "frames", "rate"),
    [("snu_backflip", 37, 199, 120.0), ("fair1_dab", 27, 339, 30.0), ("sl_avatar_jumpforjoy", 21, 32, 24.0),
     ("cmu1_jumping_jacks", 31, 125, 30.0)],
)  # fmt: skip
def test_sample_clips(clip: str, joints: int, frames: int, rate: float) -> None:
    path = Path(__file__).parents[3] / "shared" / "samples" / "motions" / f"{clip}.bvh"
    if not path.is_file():
        pytest.skip("the sample clips are not here")
    rig, matrices, found = bvh.read_bvh(path)
    assert matrices.shape == (frames, joints, 4, 4)
    assert found == pytest.approx(rate, rel=1e-3)
    turns = matrices[..., :3, :3]
    assert np.abs(np.swapaxes(turns, -1, -2) @ turns - np.eye(3)).max() < 1e-9


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda text: text.replace("0.025", "0,025"), "line 27: a number has a decimal comma"),
        (lambda text: text.replace("0 10 0 0 0 0", "0 10,5 0 0 0 0"), "line 28: a number has a decimal comma"),
        (
            lambda text: text.replace("CHANNELS 3 Zrotation", "CHANNELS 4 Yposition Zrotation", 1),
            "line 28: a frame needs 13 numbers and this line has 12",
        ),
    ],
)
def test_what_would_be_misread_is_named(tmp_path: Path, change: Callable[[str], str], sentence: str) -> None:
    """Frames that all have another length than the skeleton's are not read on into each other."""
    path = tmp_path / "clip.bvh"
    path.write_text(change(SMALL))
    with pytest.raises(ValueError, match=sentence):
        bvh.read_bvh(path)
