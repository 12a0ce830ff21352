# SPDX-License-Identifier: GPL-3.0-or-later
"""Stunts made of key poses: physics holds in them, on bodies of any size, and what is no stunt is refused in words."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backflip_addon.core import body as bodies
from backflip_addon.core import joint_limits
from backflip_addon.core.clips import inspection, key_poses
from backflip_addon.core.constants import GRAVITY
from backflip_addon.core.motion import Motion
from backflip_addon.core.motions import foot_planting, footing
from backflip_addon.core.motions.shifted_body import ShiftedBody
from backflip_addon.core.reading import UnreadableFile
from tests.core import performances

BACKFLIP = key_poses.FOLDER / "standing_backflip.json"
STUNTS = sorted(key_poses.FOLDER.glob("*.json"))


def in_flight(body: bodies.Body, motion: Motion) -> tuple[int, int]:
    """First and last frame in which nothing touches the floor, of the longest flight; none beside its ends."""
    lows = body.lowest_points(*body.forward(motion.position, motion.rotations)).min(axis=1)
    start, end = max(foot_planting.runs(lows > 1e-3), key=lambda run: run[1] - run[0])
    return start + 2, end - 2


@pytest.mark.parametrize("file", STUNTS, ids=lambda file: file.stem)
def test_physics_holds_in_every_stunt(file: Path) -> None:
    body = performances.body()
    motion = key_poses.load(file, body)
    shifted = ShiftedBody(body, motion)
    centre, momentum = shifted.momentum(shifted.base)
    start, end = in_flight(body, motion)
    assert (end - start) / motion.rate > 0.3
    falls = np.diff(centre, 2, axis=0)[start : end - 2] * motion.rate**2
    assert np.allclose(falls, [0.0, 0.0, -GRAVITY], atol=0.1), "the centre of mass does not leave its parabola"
    kept = np.ptp(momentum[start:end], axis=0).max()
    assert kept < 0.5 + 0.01 * np.abs(momentum[start:end]).max(), "nor does turning, kg m^2/s"
    for side in "LR":
        positions, turns = body.forward(motion.position, motion.rotations)
        toes = foot_planting.sole_points(body, positions, turns, side)[0][:, 1]
        for planted in (toes[: start - 4], toes[end + 4 :]):
            assert np.ptp(planted[:, :2], axis=0).max() < 2e-3, "no foot slides"
    assert shifted.lowest.min() > -1e-3
    for index, link in enumerate(body.links):
        if link.joint_limit is not None:
            assert joint_limits.excess(motion.rotations[:, index], link.joint_limit).max() < 1e-3, link.name
    assert not inspection.inspect(motion, body) and not footing.check(motion, body), "nothing is odd in it"


def test_a_backflip_turns_once_backward_and_the_small_are_quicker() -> None:
    body = performances.body()
    motion = key_poses.load(BACKFLIP, body)
    lean = np.unwrap(2 * np.arctan2(motion.rotations[:, 0, 1], motion.rotations[:, 0, 0]))
    assert np.degrees(lean[-1] - lean[0]) == pytest.approx(-360.0, abs=2.0)
    half = dataclasses.replace(
        body,
        links=tuple(
            dataclasses.replace(
                link,
                offset=tuple(x / 2 for x in link.offset),
                centre=tuple(x / 2 for x in link.centre),
                mass=link.mass / 8,
                inertia=tuple(x / 32 for x in link.inertia),
                shapes=tuple(
                    dataclasses.replace(s, size=tuple(x / 2 for x in s.size), position=tuple(x / 2 for x in s.position))
                    for s in link.shapes
                ),
            )
            for link in body.links
        ),
    )
    small = key_poses.load(BACKFLIP, half)
    assert small.duration == pytest.approx(motion.duration / np.sqrt(2), abs=0.02)
    assert np.allclose(small.position[-1], motion.position[-1] / 2, atol=0.01)


def change(**changed: Any) -> dict[str, Any]:
    return {**json.loads(BACKFLIP.read_text(encoding="utf-8")), **changed}


def with_pose(number: int, **changed: Any) -> dict[str, Any]:
    data = change()
    data["poses"][number - 1] |= changed
    return data


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (change(poses=[]), "needs 2 to 200 poses"),
        (change(somersaults=50), "no somersaults within 4"),
        (with_pose(2, tail=5), "pose 2 has an angle called tail"),
        (with_pose(2, knees="bent"), "pose 2 has no knees within 180"),
        (with_pose(2, knees=True), "pose 2 has no knees within 180"),
        (with_pose(2, time=9), "rise by 0.01 s"),
        (with_pose(5, leaves=False), "do not take turns"),
        (with_pose(11, time=1.0), "rise by 0.01 s"),
        (with_pose(5, knees=120, hips=120, heels=0), "has to crouch"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_stunt_is_refused_in_words(tmp_path: Path, data: dict[str, Any], words: str) -> None:
    file = tmp_path / "stunt.json"
    file.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(UnreadableFile, match=words) as refused:
        key_poses.load(file, performances.body())
    assert file.name in str(refused.value)


def test_our_own_stunts_are_found_where_another_blender_has_them(tmp_path: Path) -> None:
    for elsewhere in ("/gone/backflip/core/clips/stunts/", "C:\\Blender\\backflip\\core\\clips\\stunts\\"):
        assert key_poses.moved_here(Path(elsewhere + BACKFLIP.name)) == BACKFLIP
    for other in (tmp_path / BACKFLIP.name, tmp_path / "core" / "clips" / "stunts" / "mine.json"):
        assert key_poses.moved_here(other) == other


def test_a_flight_that_is_too_short_is_refused(tmp_path: Path) -> None:
    data = change()
    data["poses"] = [pose for pose in data["poses"] if not 0.77 < pose["time"] < 1.38]
    for pose in data["poses"]:
        pose["time"] -= 0.56 if pose["time"] >= 1.38 else 0.0
    file = tmp_path / "stunt.json"
    file.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(UnreadableFile, match="too short"):
        key_poses.load(file, performances.body())
