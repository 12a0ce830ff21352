# SPDX-License-Identifier: GPL-3.0-or-later
"""Motions of the SMPL family's bodies as npz files, as AMASS distributes them.

poses (F, 72, 156 or 165) hold a rotation vector a joint, or root_orient (F, 3) and pose_body (F, 63)
do; trans (F, 3) the place in metres. All these bodies have the same 22 joints first; fingers and face
are left out.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from . import bvh, rotations
from .files import RefusedFile
from .reading import MOST_FRAMES, UnreadableFile, finite, read_npz, told
from .rig import Rig
from .rotations import Array

# name, parent, joint at rest in metres: T-pose, y up, facing z, left x; a mean grown-up
_JOINTS: tuple[tuple[str, int, tuple[float, float, float]], ...] = (
    ("Pelvis", -1, (0.0, -0.22, 0.03)),
    ("L_Hip", 0, (0.07, -0.31, 0.02)),
    ("R_Hip", 0, (-0.07, -0.31, 0.02)),
    ("Spine1", 0, (0.0, -0.11, 0.0)),
    ("L_Knee", 1, (0.10, -0.69, 0.02)),
    ("R_Knee", 2, (-0.10, -0.69, 0.02)),
    ("Spine2", 3, (0.0, 0.02, 0.0)),
    ("L_Ankle", 4, (0.09, -1.09, -0.03)),
    ("R_Ankle", 5, (-0.09, -1.09, -0.03)),
    ("Spine3", 6, (0.0, 0.075, 0.03)),
    ("L_Foot", 7, (0.115, -1.145, 0.095)),
    ("R_Foot", 8, (-0.115, -1.145, 0.095)),
    ("Neck", 9, (0.0, 0.29, -0.015)),
    ("L_Collar", 9, (0.08, 0.195, -0.01)),
    ("R_Collar", 9, (-0.08, 0.195, -0.01)),
    ("Head", 12, (0.0, 0.355, 0.035)),
    ("L_Shoulder", 13, (0.175, 0.225, -0.015)),
    ("R_Shoulder", 14, (-0.175, 0.225, -0.015)),
    ("L_Elbow", 16, (0.43, 0.215, -0.04)),
    ("R_Elbow", 17, (-0.43, 0.215, -0.04)),
    ("L_Wrist", 18, (0.68, 0.22, -0.045)),
    ("R_Wrist", 19, (-0.68, 0.22, -0.045)),
)
_RATES = ("mocap_framerate", "mocap_frame_rate", "fps", "frame_rate", "framerate")
_KEYS = (*_RATES, "poses", "root_orient", "pose_body", "trans")
_TO_Z_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])


@told
def read_smpl(path: Path) -> tuple[Rig, Array, float]:
    """The skeleton, its motion (F, 22, 4, 4), world z up, metres, and its rate in frames/s.

    Raises ValueError with one sentence.
    """
    vectors, places, rate = _read(path)
    turns = rotations.to_matrix(rotations.from_rotation_vector(vectors))
    offsets, parents = _offsets(), [parent for _, parent, _ in _JOINTS]
    world, joints = np.empty_like(turns), np.empty((*turns.shape[:2], 3))
    for i, parent in enumerate(parents):
        if parent < 0:
            # the root turns about its own joint, which lies a little off the model's origin
            world[:, i], joints[:, i] = turns[:, i], places + offsets[i]
        else:
            world[:, i] = world[:, parent] @ turns[:, i]
            joints[:, i] = joints[:, parent] + world[:, parent] @ offsets[i]
    rig = _rig(path.stem)
    # poses are against the y-up rest pose; where they stand it up themselves, the world is z up
    matrices = np.zeros((*turns.shape[:2], 4, 4))
    up = bvh.up_axis(rig, joints)
    convert = np.eye(3) if up == "Z" else _TO_Z_UP
    matrices[..., :3, :3] = convert @ world @ _TO_Z_UP.T
    matrices[..., :3, 3] = joints @ convert.T
    matrices[..., 3, 3] = 1.0
    return rig, matrices, rate


def _read(path: Path) -> tuple[Array, Array, float]:
    """Rotation vectors (F, 22, 3), places (F, 3), rate."""
    try:
        data = read_npz(path, only=_KEYS)
        if "poses" in data:
            poses = np.array(data["poses"], dtype=float)
        else:
            poses = np.concatenate([data["root_orient"], data["pose_body"]], axis=1).astype(float)
        places = np.array(data["trans"], dtype=float)
        rates = [float(data[key]) for key in _RATES if key in data]
    except RefusedFile:
        raise
    except (ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise UnreadableFile(f"{path.name} is no SMPL motion with poses and trans, or is cut off.") from error
    if poses.ndim != 2 or poses.shape[1] < 66 or poses.shape[1] % 3 or places.shape != (len(poses), 3):
        raise ValueError(f"{path.name} is no SMPL motion: its poses need 66 or more numbers a frame, its trans three.")
    if not rates or not 1.0 <= rates[0] <= 1000.0:
        raise ValueError(f"{path.name} does not tell its frame rate: add mocap_framerate to it.")
    if not 2 <= len(poses) <= MOST_FRAMES or not finite(poses, places):
        raise ValueError(f"{path.name} has too few or too many frames, or numbers that are not finite.")
    return poses[:, : 3 * len(_JOINTS)].reshape(len(poses), -1, 3), places, rates[0]


def _offsets() -> Array:
    """Each joint (J, 3) in its parent's rest frame."""
    rest = np.array([joint for _, _, joint in _JOINTS])
    return np.array([rest[i] - (rest[p] if p >= 0 else 0.0) for i, (_, p, _) in enumerate(_JOINTS)])


def _rig(name: str) -> Rig:
    rest = np.array([joint for _, _, joint in _JOINTS]) @ _TO_Z_UP.T
    matrices = np.tile(np.eye(4), (len(rest), 1, 1))
    matrices[:, :3, 3] = rest
    parents = tuple(parent for _, parent, _ in _JOINTS)
    tails = rest + [0.0, 0.0, 0.05]
    for i, parent in enumerate(parents):
        if parent >= 0:
            tails[parent] = rest[i]
    return Rig(name, tuple(n for n, _, _ in _JOINTS), parents, matrices, tails, (False,) * len(rest))
