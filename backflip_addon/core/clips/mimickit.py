# SPDX-License-Identifier: GPL-3.0-or-later
"""MimicKit's motions for its humanoid, exported from their pickles as npz or JSON.

Keys: fps, frames (F, 34), loop_mode (0 or "CLAMP": once, 1 or "WRAP": a cycle). A frame is the root's
position, its orientation as a rotation vector, then the joints in JOINT_ORDER: rotation vectors, one
angle for a hinge. The world is z up, the figure faces x, its left is y.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from .. import rotations
from ..arrays import Array
from ..body import HINGE_AXIS, LINK_NAMES
from ..files import RefusedFile
from ..motion import Motion
from ..npz import npz_names, read_npz
from ..reading import LEAST_RATE, MOST_FRAMES, MOST_RATE, UnreadableFile, finite, frames_of_numbers, read_json, told
from .deepmimic import LEG_LENGTH

JOINT_ORDER: tuple[str, ...] = (
    "chest", "head", "upper_arm.R", "forearm.R", "upper_arm.L", "forearm.L",
    "thigh.R", "shin.R", "foot.R", "thigh.L", "shin.L", "foot.L",
)  # fmt: skip
HINGES = ("forearm.R", "forearm.L", "shin.R", "shin.L")
FRAME_NUMBERS = 6 + 3 * (len(JOINT_ORDER) - len(HINGES)) + len(HINGES)

_KEYS = ("fps", "frames", "loop_mode")
_FACING = rotations.from_axis_angle([0.0, 0.0, 1.0], np.pi / 2)  # from facing -y to facing x


@told
def is_motion(path: Path) -> bool:
    """Whether a file has the keys of a MimicKit motion. Raises UnreadableFile."""
    names = npz_names(path) if path.suffix.lower() == ".npz" else read_json(path)
    return isinstance(names, (dict, set)) and "frames" in names and "fps" in names


@told
def load(path: Path) -> tuple[Motion, float]:
    """Read a clip: the motion in body.LINK_NAMES' order, and the leg length it was made for, m.

    Raises ValueError with one sentence on a file that is no sound clip.
    """
    try:
        data: Any = read_npz(path, only=_KEYS) if path.suffix.lower() == ".npz" else read_json(path)
        frames = frames_of_numbers(path.name, data["frames"], FRAME_NUMBERS)
        rate = float(data["fps"])
        loops = str(data.get("loop_mode", 0)).rpartition(".")[2].upper() in ("1", "WRAP", "TRUE")
    except (RefusedFile, UnreadableFile):
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, zipfile.BadZipFile) as error:
        raise UnreadableFile(f"{path.name} is not a MimicKit motion, or is cut off: {error}.") from error
    if len(frames) > MOST_FRAMES or not finite(frames) or not LEAST_RATE <= rate <= MOST_RATE:
        raise ValueError(f"{path.name} holds numbers that are not finite, or no sensible frame rate.")
    return _to_motion(frames, rate, loops), LEG_LENGTH


def _to_motion(frames: Array, rate: float, loops: bool) -> Motion:
    orientations = np.tile(rotations.IDENTITY, (len(frames), len(LINK_NAMES), 1))
    # the root may face anywhere: positions keep their axes, the neutral figure is turned to face x
    orientations[:, 0] = rotations.multiply(rotations.from_rotation_vector(frames[:, 3:6]), _FACING)
    column = 6
    for name in JOINT_ORDER:
        if name in HINGES:
            turn = rotations.from_axis_angle(np.array(HINGE_AXIS), frames[:, column])
            column += 1
        else:
            vectors = rotations.rotate(rotations.conjugate(_FACING), frames[:, column : column + 3])
            turn = rotations.from_rotation_vector(vectors)
            column += 3
        orientations[:, LINK_NAMES.index(name)] = turn
    return Motion(rate, frames[:, :3].copy(), orientations, loops)
