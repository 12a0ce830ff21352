# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading motion capture in Biovision's BVH format."""

from __future__ import annotations

import dataclasses
import itertools
import re
from pathlib import Path

import numpy as np

from .. import rotations
from ..arrays import Array
from ..reading import (
    LEAST_RATE,
    MOST_FRAMES,
    MOST_JOINTS,
    MOST_NUMBER,
    MOST_RATE,
    UnreadableFile,
    finite,
    most_poses,
    read_text,
    told,
)
from ..rigs import roles
from ..rigs.rig import Rig

_AXES = {"X": 0, "Y": 1, "Z": 2}
Line = tuple[int, str]  # its number in the file, what it says
_COMMA = "a number has a decimal comma; export the clip again with decimal points."

# From a file's axes to z up: which way is up there -> rotation (3, 3).
_TO_Z_UP = {
    "Y": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]),
    "Z": np.eye(3),
    "X": np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]]),
}


@dataclasses.dataclass
class _Joint:
    """One joint as the file has it. ends: offsets of its end sites."""

    name: str
    parent: int
    offset: Array
    channels: list[str]
    ends: list[Array]


def read_bvh(path: Path | str, up: str | None = None) -> tuple[Rig, Array, float]:
    """As read_clip(), without what it lacks."""
    return read_clip(path, up)[:3]


@told
def read_clip(path: Path | str, up: str | None = None) -> tuple[Rig, Array, float, str]:
    """The skeleton of a BVH file, its motion (F, B, 4, 4), its rate in frames/s, and what to tell of a file that lacks
    frames: of one that names one too many, as some writers do, nothing.

    World z up, lengths as in the file. up: "X", "Y" or "Z" where the file's up axis is known; else it
    is found from the character. Rest: every joint unturned, as the file's offsets lay them out.
    A last frame that was cut off is left out. Raises ValueError with one sentence.
    """
    path = Path(path)
    head, motion = _split(path)
    joints = _parse_hierarchy(head, path.name)
    frames, seconds = _parse_motion_head(motion[0], motion[1], path.name)
    values = _parse_values(motion[2:], sum(len(j.channels) for j in joints), frames, path.name)
    if len(values) * len(joints) > most_poses(values.size):
        raise UnreadableFile(f"{path.name} has {len(values)} frames of {len(joints)} joints: cut it into clips.")
    parents = tuple(joint.parent for joint in joints)
    orientations, positions = _world(joints, values)
    rest = _rest_positions(joints)
    rig = _rig(path.stem, joints, parents, rest, np.eye(3))
    axis = up or up_axis(rig, positions)
    if axis not in _TO_Z_UP:
        raise ValueError(f"{axis!r} is not an axis: the up axis of a clip is X, Y or Z.")
    convert = _TO_Z_UP[axis]
    matrices = np.zeros((len(values), len(joints), 4, 4))
    # the rest pose is unturned in our axes too: turning by convert on both sides keeps it so
    matrices[..., :3, :3] = convert @ orientations @ convert.T
    matrices[..., :3, 3] = positions @ convert.T
    matrices[..., 3, 3] = 1.0
    if not np.isfinite(matrices).all():
        raise UnreadableFile(f"{path.name} places a joint further away than numbers reach: repair it.")
    lacks = f"it is cut off and holds {len(values)} of its {frames} frames" if len(values) < frames - 1 else ""
    return _rig(path.stem, joints, parents, rest, convert), matrices, 1.0 / seconds, lacks


def up_axis(rig: Rig, positions: Array) -> str:
    """ "Y" or "Z" (or "X"): the axis along which a character with joints at positions (F, B, 3) mostly stands."""
    bones = roles.guess(rig, positions).bones
    if "head" not in bones or "foot.L" not in bones or "foot.R" not in bones:
        return "Y"  # as the format was made
    head, feet = rig.bone_index[bones["head"]], [rig.bone_index[bones[f"foot.{side}"]] for side in "LR"]

    def upward(points: Array) -> Array:
        return rotations.normalise(points[..., head, :] - points[..., feet, :].mean(axis=-2))

    # what the character does counts for more than its rest pose, which may lie or make no sense
    votes = np.abs(upward(positions).mean(axis=0)) + 0.3 * np.abs(upward(rig.heads))
    return "XYZ"[int(np.argmax(votes * [0.7, 1.0, 1.0]))]


def _split(path: Path) -> tuple[list[Line], list[Line]]:
    """The lines that are not empty, with their numbers: of the hierarchy, and of the motion after its title."""
    text = read_text(path).replace("\r\n", "\n").replace("\r", "\n")
    lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not lines or not lines[0][1].upper().startswith("HIERARCHY"):
        raise UnreadableFile(f"{path.name} is not a BVH file: it does not begin with HIERARCHY.")
    title = next((i for i, (_, line) in enumerate(lines) if line.upper().startswith("MOTION")), len(lines))
    if len(lines) < title + 4:
        raise UnreadableFile(f"{path.name} is cut off: it holds no motion; export or download it again.")
    return lines[:title], lines[title + 1 :]


def _parse_hierarchy(lines: list[Line], file: str) -> list[_Joint]:
    joints: list[_Joint] = []
    open_: list[int] = []  # joints whose braces are open; -1 for an end site
    number = 1
    try:
        for number, line in lines[1:]:  # noqa: B007 - told when a line cannot be read
            word, *more = line.split(None, 1)
            word, rest = word.upper(), more[0] if more else ""
            if word in ("ROOT", "JOINT"):
                if len(joints) == MOST_JOINTS:
                    raise ValueError(f"there are more than {MOST_JOINTS} joints")
                parent = next((j for j in reversed(open_) if j >= 0), -1)
                joints.append(_Joint(_unique(rest.rstrip("{").strip(), joints), parent, np.zeros(3), [], []))
                open_.append(len(joints) - 1)
            elif word == "END":
                open_.append(-1)
            elif word == "OFFSET":
                _set_offset(joints, open_, _offset(rest))
            elif word == "CHANNELS":
                channels = _channels(rest)
                if open_[-1] >= 0:
                    joints[open_[-1]].channels = channels
                elif channels:
                    raise ValueError("an end site has channels")
            elif word == "}":
                open_.pop()
            elif line != "{":
                raise ValueError(f"the word {word[:30]} is not known")
    except (ValueError, IndexError) as error:
        words = "a brace is closed that was not opened" if isinstance(error, IndexError) else str(error)
        raise UnreadableFile(f"{file}, line {number}: the skeleton cannot be read, {words}.") from error
    if not joints or open_:
        raise UnreadableFile(f"{file} is damaged: its skeleton is empty or cut off.")
    return joints


def _offset(rest: str) -> Array:
    offset = np.array([float(x) for x in rest.split()[:3]])
    if offset.shape != (3,) or not finite(offset):
        raise ValueError("an offset is not three finite numbers")
    return offset


def _set_offset(joints: list[_Joint], open_: list[int], offset: Array) -> None:
    if open_[-1] >= 0:
        joints[open_[-1]].offset = offset
    else:
        joint = next((j for j in reversed(open_) if j >= 0), None)
        if joint is None:
            raise ValueError("an end site belongs to no joint")
        joints[joint].ends.append(offset)


def _channels(rest: str) -> list[str]:
    count, *names = rest.split()
    names = [name.lower() for name in names]
    if int(count) != len(names):
        raise ValueError("a list of channels has another length than it says")
    for name in names:
        if name[:1].upper() not in _AXES or name[1:] not in ("position", "rotation"):
            raise ValueError(f"the channel {name} is not known")
    return names


def _unique(name: str, joints: list[_Joint]) -> str:
    """The name, with a number where an earlier joint has it."""
    taken = {joint.name for joint in joints}
    name = name or "joint"
    if name not in taken:
        return name
    return next(f"{name}.{i:03d}" for i in range(1, len(joints) + 2) if f"{name}.{i:03d}" not in taken)


def _parse_motion_head(count: Line, time: Line, file: str) -> tuple[int, float]:
    frames, seconds = (_labelled_number(line, file) for line in (count, time))
    if not 1.0 / MOST_RATE <= seconds <= 1.0 / LEAST_RATE:
        raise UnreadableFile(f"{file}, line {time[0]}: a frame cannot last {seconds:g} s; correct it in the file.")
    return int(frames), seconds


def _labelled_number(line: Line, file: str) -> float:
    """The number at the end of a line such as "Frame Time: 0.0083"; Blender's importer needs no colon either."""
    try:
        value = float(re.split(r"[:\s]+", line[1])[-1])
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        if re.search(r"\d,\d", line[1]):
            raise UnreadableFile(f"{file}, line {line[0]}: {_COMMA}")
        raise UnreadableFile(f"{file}, line {line[0]}: the frame count or frame time is damaged and cannot be read.")
    return value


def _parse_values(lines: list[Line], channels: int, frames: int, file: str) -> Array:
    """The channels' values (F, channels): as many whole frames as there are, MOST_FRAMES at most."""
    rows = [(number, line.split()) for number, line in lines]
    widths = {len(words) for _, words in rows}
    if channels and len(rows) == frames > 1 and len(widths) == 1 and max(widths) > channels:
        widths = {channels}  # columns of somebody's own, which Blender leaves out, too
    if channels and len(rows) == frames > 1 and len(widths) == 1 and channels not in widths:
        raise UnreadableFile(
            f"{file}, line {rows[0][0]}: a frame needs {channels} numbers and this line has {widths.pop()}."
        )
    if channels not in widths:
        rows = _wrapped(rows, channels, frames, file)
    else:
        if len(rows[-1][1]) < channels:
            rows.pop()  # the file was cut off there
        _check_widths(rows[:frames] if frames > 0 else rows, channels, file)
    if frames > 0:
        rows = rows[:frames]
    if not rows or not channels:
        raise UnreadableFile(f"{file} is cut off: it does not hold one whole frame; export or download it again.")
    if len(rows) > MOST_FRAMES:
        raise UnreadableFile(f"{file} has {len(rows)} frames: cut it into clips of at most {MOST_FRAMES}.")
    return np.array([_row(number, words, channels, file) for number, words in rows])


def _check_widths(rows: list[tuple[int, list[str]]], channels: int, file: str) -> None:
    """Raises UnreadableFile for a row with a number too many or too few.

    Where all rows have the same number of columns more, these are somebody's own and left out, as Blender does.
    """
    widths = [len(words) for _, words in rows]
    if len(set(widths)) > 1:
        usual = max(set(widths), key=lambda width: (widths.count(width), width == channels))
        wrong = next(i for i, width in enumerate(widths) if width != (usual if usual > channels else channels))
        raise UnreadableFile(
            f"{file}, line {rows[wrong][0]}: a frame needs {channels} numbers and this line has {widths[wrong]}."
        )


def _wrapped(rows: list[tuple[int, list[str]]], channels: int, frames: int, file: str) -> list[tuple[int, list[str]]]:
    """Frames that run over several lines, one after the other. Raises UnreadableFile where a number is amiss."""
    widths = [len(words) for _, words in rows]
    usual = _usual_lines(widths, channels)
    for i, (number, words) in enumerate(rows[:-1] if usual else ()):
        needed = usual[i % len(usual)]
        if len(words) != needed:
            raise UnreadableFile(f"{file}, line {number}: {needed} numbers belong here and the line has {len(words)}.")
    words = [word for _, row in rows for word in row]
    whole = len(words) // channels if channels else 0
    if whole and not usual and len(words) not in (whole * channels, frames * channels):
        raise UnreadableFile(
            f"{file}: its {len(words)} numbers do not fill whole frames of {channels}: one is missing or too many."
        )
    return [(rows[0][0], words[i * channels : (i + 1) * channels]) for i in range(whole)]


def _usual_lines(widths: list[int], channels: int) -> list[int]:
    """How many numbers the lines of a frame hold, one after the other; none where frames end amid lines."""
    ends = [0, *itertools.accumulate(widths)]
    for lines in range(2, min(len(widths), channels) + 1):
        for first in range(0, len(widths) - lines + 1, lines):
            if ends[first + lines] - ends[first] == channels:
                return widths[first : first + lines]
    return []


def _row(number: int, words: list[str], channels: int, file: str) -> list[float]:
    if len(words) < channels:
        raise UnreadableFile(f"{file}, line {number}: a frame needs {channels} numbers and this line has {len(words)}.")
    try:
        values = [float(word) for word in words[:channels]]
    except ValueError as error:
        if any(re.fullmatch(r"[-+]?\d+,\d+", word) for word in words):
            raise UnreadableFile(f"{file}, line {number}: {_COMMA}") from error
        raise UnreadableFile(f"{file}, line {number}: the motion holds something that is not a number.") from error
    if not all(abs(value) <= MOST_NUMBER for value in values):
        raise UnreadableFile(f"{file}, line {number}: a number is not finite, or larger than can be; repair it.")
    return values


def _world(joints: list[_Joint], values: Array) -> tuple[Array, Array]:
    """World rotations (F, J, 3, 3) and positions (F, J, 3) of the joints, in the file's axes."""
    frames = len(values)
    orientations, positions = np.zeros((frames, len(joints), 3, 3)), np.zeros((frames, len(joints), 3))
    column = 0
    for i, joint in enumerate(joints):
        offset = np.tile(joint.offset, (frames, 1))
        turn = np.tile(np.eye(3), (frames, 1, 1))
        for channel in joint.channels:
            axis = _AXES[channel[0].upper()]
            if channel.endswith("position"):
                offset[:, axis] = values[:, column]  # replaces the joint's offset, as all writers mean it
            else:
                turn = turn @ _about(axis, np.radians(values[:, column]))
            column += 1
        if joint.parent < 0:
            orientations[:, i], positions[:, i] = turn, offset
        else:
            orientations[:, i] = orientations[:, joint.parent] @ turn
            positions[:, i] = positions[:, joint.parent] + np.einsum(
                "fij,fj->fi", orientations[:, joint.parent], offset
            )
    return orientations, positions


def _about(axis: int, angles: Array) -> Array:
    """Rotation matrices (F, 3, 3) about one axis."""
    i, j = (axis + 1) % 3, (axis + 2) % 3
    out = np.zeros((len(angles), 3, 3))
    out[:, axis, axis] = 1.0
    out[:, i, i] = out[:, j, j] = np.cos(angles)
    out[:, j, i] = np.sin(angles)
    out[:, i, j] = -out[:, j, i]
    return out


def _rest_positions(joints: list[_Joint]) -> Array:
    """Joints at rest (J, 3), in the file's axes."""
    positions = np.zeros((len(joints), 3))
    for i, joint in enumerate(joints):
        positions[i] = joint.offset + (positions[joint.parent] if joint.parent >= 0 else 0.0)
    return positions


def _rig(name: str, joints: list[_Joint], parents: tuple[int, ...], rest: Array, convert: Array) -> Rig:
    matrices = np.tile(np.eye(4), (len(joints), 1, 1))
    matrices[:, :3, 3] = rest @ convert.T
    tails = np.array(rest)
    for i, joint in enumerate(joints):
        children = [rest[j] for j, parent in enumerate(parents) if parent == i]
        ends = children or [rest[i] + end for end in joint.ends]
        if ends:
            tails[i] = np.mean(ends, axis=0)
    return Rig(name, tuple(j.name for j in joints), parents, matrices, tails @ convert.T, (False,) * len(joints))
