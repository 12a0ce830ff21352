# SPDX-License-Identifier: GPL-3.0-or-later
"""Stunts of our own, written down as key poses in JSON text; what becomes of them is in motions/stunt.

"poses" is a list: each has its "time", s, from 0 on, and angles in degrees by the names of stunt.ANGLES; "pose" is what
it is called. One that "leaves" is the last on the floor, and one that "lands" the first there again.
"somersaults" is how many turns a flight has, forward ones above 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..body import Body
from ..motion import Motion
from ..motions.stunt import ANGLES, BALANCE, Pose, perform
from ..reading import parse_json, read_text, told

FOLDER = Path(__file__).parent / "stunts"
MOST_BYTES = 200_000
MOST_POSES, LONGEST, CLOSEST = 200, 30.0, 0.01  # poses; s that they last, and between two of them
MOST_DEGREES, MOST_BALANCE, MOST_SOMERSAULTS = 180.0, 3.0, 4.0
_WORDS = {"pose", "time", "leaves", "lands", *ANGLES, BALANCE}


def moved_here(path: Path) -> Path:
    """Where a file is now: a stunt of our own is where Backflip is, which another Blender has in another place."""
    folder, _, name = str(path).replace("\\", "/").rpartition("/")
    own = FOLDER / name
    return own if folder.endswith("/core/clips/stunts") and own.is_file() else path


@told
def is_stunt(path: Path) -> bool:
    """Whether a JSON file holds key poses. Raises UnreadableFile."""
    return path.stat().st_size <= MOST_BYTES and isinstance(data := _read(path), dict) and "poses" in data


@told
def load(path: Path, body: Body) -> Motion:
    """The stunt of a file as a body performs it. Raises UnreadableFile with one sentence on a file that holds none."""
    data = _read(path)
    if not isinstance(data, dict) or not isinstance(data.get("poses"), list):
        raise ValueError(f"{path.name} holds no list of poses.")
    if not 2 <= len(data["poses"]) <= MOST_POSES:
        raise ValueError(f"{path.name} needs 2 to {MOST_POSES} poses.")
    poses = [_pose(f"{path.name}: pose {number}", entry) for number, entry in enumerate(data["poses"], 1)]
    _check(path.name, poses)
    somersaults = _number(path.name, "somersaults", data.get("somersaults", 0), MOST_SOMERSAULTS)
    try:
        return perform(poses, somersaults, body)
    except ValueError as error:
        raise ValueError(f"{path.name} cannot be performed: {error}.") from error


def _read(path: Path) -> Any:
    return parse_json(read_text(path, MOST_BYTES))


def _pose(which: str, entry: Any) -> Pose:
    if not isinstance(entry, dict) or "time" not in entry:
        raise ValueError(f"{which} has no time.")
    if unknown := sorted(entry.keys() - _WORDS):
        raise ValueError(f"{which} has an angle called {unknown[0]}; known are {', '.join(ANGLES)}.")
    values = {name: math.radians(_number(which, name, entry[name], MOST_DEGREES)) for name in ANGLES if name in entry}
    if BALANCE in entry:
        values[BALANCE] = _number(which, BALANCE, entry[BALANCE], MOST_BALANCE)
    time = _number(which, "time", entry["time"], LONGEST)
    return Pose(time, values, entry.get("leaves") is True, entry.get("lands") is True)


def _number(which: str, name: str, value: Any, most: float) -> float:
    if type(value) not in (int, float) or not abs(value) <= most:
        raise ValueError(f"{which} has no {name} within {most:g}.")
    return float(value)


def _check(file: str, poses: Sequence[Pose]) -> None:
    """Raises ValueError where poses do not follow each other."""
    times = [pose.time for pose in poses]
    if times[0] != 0 or any(b - a < CLOSEST for a, b in zip(times, times[1:], strict=False)):
        raise ValueError(f"{file}: the times of its poses do not begin at 0 and rise by {CLOSEST:g} s each.")
    marks = [mark for pose in poses for mark, set_ in (("leaves", pose.leaves), ("lands", pose.lands)) if set_]
    if marks != ["leaves", "lands"] * (len(marks) // 2) or poses[0].leaves or poses[-1].lands:
        raise ValueError(f"{file}: poses that leave the floor and that land do not take turns between two that stand.")
