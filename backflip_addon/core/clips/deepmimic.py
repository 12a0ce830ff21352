# SPDX-License-Identifier: GPL-3.0-or-later
"""DeepMimic's motion clips (Peng et al. 2018): JSON text, one list of 44 numbers a frame.

A frame is its duration in seconds, the root's position, the root's orientation, then the joints in
JOINT_ORDER: four numbers (w, x, y, z) for a spherical joint, one angle for a hinge. The clip's
world is y up, the figure faces x, its right is z.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .. import rotations
from ..arrays import Array
from ..body import HINGE_AXIS, LINK_NAMES
from ..files import RefusedFile
from ..motion import Motion
from ..reading import LEAST_RATE, MOST_FRAMES, MOST_RATE, UnreadableFile, finite, frames_of_numbers, read_json, told

JOINT_ORDER: tuple[str, ...] = (
    "chest",
    "head",
    "thigh.R",
    "shin.R",
    "foot.R",
    "upper_arm.R",
    "forearm.R",
    "thigh.L",
    "shin.L",
    "foot.L",
    "upper_arm.L",
    "forearm.L",
)
HINGES = ("shin.R", "forearm.R", "shin.L", "forearm.L")
FRAME_NUMBERS = 44
LEG_LENGTH = 0.8814  # hip to sole of DeepMimic's figure, m: thigh 0.4215, shin 0.4099, foot 0.0500

# DeepMimic's axes (x ahead, y up, z right) in ours (-y ahead, z up, -x right)
_AXES: Array = np.array([[0.0, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


@told
def load(path: Path) -> tuple[Motion, float]:
    """Read a clip: the motion in body.LINK_NAMES' order, and the leg length it was made for, m.

    Raises ValueError with one sentence on a file that is no sound clip.
    """
    frames, loops = _read_frames(path)
    durations = frames[:-1, 0]
    if np.any(durations <= 0):
        raise ValueError(f"{path.name}: a frame lasts no time at all; every frame but the last needs a duration.")
    rate = 1.0 / float(np.median(durations))
    if not LEAST_RATE <= rate <= MOST_RATE or durations.sum() * rate > MOST_FRAMES:
        raise ValueError(f"{path.name}: its frames last far too short or too long to be a performance.")
    motion = _to_motion(frames, rate, loops)
    if np.ptp(durations) > 1e-6:
        motion = _evenly_timed(motion, durations)
    return motion, LEG_LENGTH


def _read_frames(path: Path) -> tuple[Array, bool]:
    try:
        data = read_json(path)
        frames = frames_of_numbers(path.name, data["Frames"], FRAME_NUMBERS)
        loops = str(data.get("Loop")).lower() in ("wrap", "true")
    except (RefusedFile, UnreadableFile):
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UnreadableFile(f"{path.name} is not a DeepMimic clip, or is cut off: {error}.") from error
    if len(frames) > MOST_FRAMES or not finite(frames):
        raise ValueError(f"{path.name} holds numbers that are not finite, or too many frames.")
    quaternions = [frames[:, c : c + 4] for c in _quaternion_columns()]
    if min(float(np.linalg.norm(q, axis=1).min()) for q in quaternions) < 0.1:
        raise ValueError(f"{path.name} holds rotations that are none: their four numbers are nearly zero.")
    return frames, loops


def _quaternion_columns() -> list[int]:
    """Where the root's and each spherical joint's four numbers begin."""
    columns, column = [4], 8
    for name in JOINT_ORDER:
        if name not in HINGES:
            columns.append(column)
        column += 1 if name in HINGES else 4
    return columns


def _to_motion(frames: Array, rate: float, loops: bool) -> Motion:
    orientations = np.broadcast_to(rotations.IDENTITY, (len(frames), len(LINK_NAMES), 4)).copy()
    orientations[:, 0] = _our_rotation(frames[:, 4:8])
    column = 8
    for name in JOINT_ORDER:
        index = LINK_NAMES.index(name)
        if name in HINGES:
            orientations[:, index] = rotations.from_axis_angle(np.array(HINGE_AXIS), frames[:, column])
            column += 1
        else:
            orientations[:, index] = _our_rotation(frames[:, column : column + 4])
            column += 4
    return Motion(rate, frames[:, 1:4] @ _AXES.T, rotations.continuous(orientations), loops)


def _our_rotation(q: Array) -> Array:
    q = rotations.normalise(q)
    return np.concatenate([q[:, :1], q[:, 1:] @ _AXES.T], axis=1)


def _evenly_timed(motion: Motion, durations: Array) -> Motion:
    """Resample frames that last unequally; times are measured by the median frame."""
    frame_of_time = np.interp(
        np.arange(0, durations.sum() * motion.rate + 1e-6) / motion.rate,
        np.concatenate([[0.0], np.cumsum(durations)]),
        np.arange(motion.frames),
    )
    position, orientations = motion.sample(frame_of_time / motion.rate)
    return Motion(motion.rate, position, rotations.continuous(orientations), motion.loops)
