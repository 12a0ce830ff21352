# SPDX-License-Identifier: GPL-3.0-or-later
"""Motions of the SMPL family's bodies as npz files: AMASS, AIST++, what finds bodies in videos.

The joints turn in poses (F, 72, 156 or 165), or in one array for the root and one for the body: root_orient and
pose_body, global_orient and body_pose. A turn is a rotation vector or a 3 x 3 matrix, and the joints may have an axis
of their own: (F, 72), (F, 24, 3), (F, 24, 3, 3). trans (F, 3) holds the root's position in metres. Fingers and face are
left out.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import numpy as np

from .. import rotations
from ..arrays import Array
from ..files import RefusedFile
from ..npz import npz_names, read_npz
from ..reading import LEAST_RATE, MOST_FRAMES, MOST_RATE, UnreadableFile, finite, told
from ..rigs.rig import Rig

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
_USUAL_RATE = 30.0  # of the videos that such files without a rate are made from
# Names of what a file may hold, in the order in which they are looked for: of several, the world's before a camera's
_WHOLE = ("poses", "pose_world", "smpl_poses", "full_pose", "fullpose", "pose")
_ROOT = ("root_orient", "global_orient")
_BODY = ("pose_body", "body_pose")
_POSITION = ("trans_world", "trans", "transl", "smpl_trans", "translation")
_SCALE = "smpl_scaling"  # AIST++: positions are this many times too large
_NAMES = (*_RATES, *_WHOLE, *_ROOT, *_BODY, *_POSITION, _SCALE)
_CAMERA = re.compile(r"cam(era)?\b")  # of a group of arrays that stands before a camera
_TO_Z_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
_UPWARD = {  # which axis points upwards -> the turn to z up
    "z": np.eye(3),
    "y": _TO_Z_UP,
    "-y": np.diag([1.0, -1.0, -1.0]) @ _TO_Z_UP,  # a camera's frame
    "-z": np.diag([1.0, -1.0, -1.0]),
}


@told
def read_smpl(path: Path) -> tuple[Rig, Array, float, str]:
    """The skeleton, its motion (F, 22, 4, 4), world z up, metres, its rate in frames/s, and what was assumed.

    Raises ValueError with one sentence.
    """
    orientations, positions, rate = _read(path)
    offsets, parents = _offsets(), [parent for _, parent, _ in _JOINTS]
    world, joints = np.empty_like(orientations), np.empty((*orientations.shape[:2], 3))
    for i, parent in enumerate(parents):
        if parent < 0:
            # the root turns about its own joint, which lies a little off the model's origin
            world[:, i], joints[:, i] = orientations[:, i], positions + offsets[i]
        else:
            world[:, i] = world[:, parent] @ orientations[:, i]
            joints[:, i] = joints[:, parent] + world[:, parent] @ offsets[i]
    # poses are against the y-up rest pose; where they stand it up themselves, the world is z up
    matrices = np.zeros((*orientations.shape[:2], 4, 4))
    up = _up(joints)
    matrices[..., :3, :3] = _UPWARD[up] @ world @ _TO_Z_UP.T
    matrices[..., :3, 3] = joints @ _UPWARD[up].T
    matrices[..., 3, 3] = 1.0
    assumed = [f"it names no frame rate, and {_USUAL_RATE:g} frames a second were taken"] if not rate else []
    if up in ("-y", "-z"):
        assumed.append(f"its body stands along {up}, a camera's frame, and was turned upright")
    return _rig(path.stem), matrices, rate or _USUAL_RATE, "; ".join(assumed)


def _up(joints: Array) -> str:
    """The axis along which a body with joints (F, 22, 3) mostly stands, feet to head."""
    names = [name for name, _, _ in _JOINTS]
    feet = joints[:, [names.index("L_Ankle"), names.index("R_Ankle")]].mean(axis=1)
    x, y, z = rotations.normalise(joints[:, names.index("Head")] - feet).mean(axis=0)
    return ("z" if z >= 0.0 else "-z") if abs(z) > abs(y) else ("y" if y >= 0.0 else "-y")


def _read(path: Path) -> tuple[Array, Array, float]:
    """Rotation matrices (F, 22, 3, 3), positions (F, 3), and the rate, 0.0 where none is told."""
    data = _arrays(path)
    whole, root, body = (next((data[name] for name in names if name in data), None) for names in (_WHOLE, _ROOT, _BODY))
    position = next((data[name] for name in _POSITION if name in data), None)
    lacking = f"{path.name} is not an SMPL motion, or is cut off: it lacks the body's "
    if position is None:
        raise UnreadableFile(lacking + "position (trans or transl).")
    positions = _numbers(path, position).reshape(-1, position.shape[-1] if position.ndim else 1)
    if whole is not None:
        orientations = _rotations(path, whole)
    elif root is not None and body is not None:
        orientations = _in_parts(path, root, body)
    else:
        raise UnreadableFile(lacking + "joints (poses, or global_orient and body_pose).")
    if orientations.shape[1] < len(_JOINTS) or positions.shape != (len(orientations), 3):
        raise UnreadableFile(
            f"{path.name} is not an SMPL motion of one body: it needs {len(_JOINTS)} joints or more and "
            "a position each frame."
        )
    scale = float(data[_SCALE].ravel()[0]) if _SCALE in data and data[_SCALE].size else 1.0
    if not 2 <= len(orientations) <= MOST_FRAMES or not finite(orientations, positions) or not 1e-6 < scale < 1e6:
        raise UnreadableFile(f"{path.name} has too few or too many frames, or numbers that are not finite.")
    rates = [float(data[name].ravel()[0]) for name in _RATES if name in data and data[name].size]
    if rates and not LEAST_RATE <= rates[0] <= MOST_RATE:
        raise UnreadableFile(f"{path.name} has a frame rate of {rates[0]:g}: set its mocap_framerate to what it is.")
    return orientations[:, : len(_JOINTS)], positions / scale, rates[0] if rates else 0.0


def _arrays(path: Path) -> dict[str, Array]:
    """The arrays of a file that are looked for, by their last names: "smpl_params_global/transl" is transl."""
    try:
        found: dict[str, str] = {}
        for name in sorted(npz_names(path), key=lambda name: (bool(_CAMERA.search(name)), name)):
            last = re.split(r"[./]", name)[-1]
            if last in _NAMES:
                found.setdefault(last, name)
        data = read_npz(path, only=tuple(found.values())) if found else {}
    except RefusedFile:
        raise
    except (ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise UnreadableFile(
            f"{path.name} is not an SMPL motion of plain numbers, or is cut off: save its arrays with numpy's savez."
        ) from error
    return {last: data[name] for last, name in found.items()}


def _in_parts(path: Path, root: Array, body: Array) -> Array:
    first, others = _rotations(path, root, root=True), _rotations(path, body)
    if len(first) != len(others):
        raise UnreadableFile(f"{path.name} has {len(first)} frames of its root, and {len(others)} of its body.")
    return np.concatenate([first, others], axis=1)


def _numbers(path: Path, array: Array) -> Array:
    if array.dtype.kind not in "iuf":
        raise UnreadableFile(f"{path.name} is not an SMPL motion: it holds something else than numbers.")
    return np.array(array, dtype=float)


def _rotations(path: Path, array: Array, root: bool = False) -> Array:
    """Rotation matrices (F, J, 3, 3) of an array in any of its shapes. root: it is of one joint."""
    numbers = _numbers(path, array)
    matrices = numbers.ndim >= 3 and numbers.shape[-2:] == (3, 3) and (root or numbers.ndim >= 4)
    flat = numbers.ndim > 0 and numbers.shape[-1] > 3  # the joints have no axis of their own
    if numbers.ndim == 4 + matrices - flat and len(numbers) == 1:
        numbers = numbers[0]  # a batch of one
    if root and numbers.shape[-1] == 3:
        numbers = numbers.reshape(-1, 1, 3, 3) if matrices else numbers.reshape(-1, 1, 3)
    width = numbers.shape[-1] if numbers.ndim else 0
    if width > 6 and numbers.ndim > 2:
        raise UnreadableFile(f"{path.name} holds several bodies: save the motion of one of them.")
    if width == 6 or numbers.ndim != 3 + matrices - flat or width % 3 or not width:
        raise UnreadableFile(
            f"{path.name} is an unknown kind of SMPL motion: save poses as rotation vectors (three numbers a joint)."
        )
    if not finite(numbers):
        raise UnreadableFile(f"{path.name} holds numbers that are not finite.")
    if not matrices:
        return rotations.to_matrix(rotations.from_rotation_vector(numbers.reshape(len(numbers), -1, 3)))
    if np.abs(np.linalg.det(numbers) - 1.0).max(initial=0.0) > 0.1:
        raise UnreadableFile(f"{path.name} is not an SMPL motion: its joints' matrices are not rotations.")
    return rotations.to_matrix(rotations.from_matrix(numbers))


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
