# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a rig shows what was keyed: something that no bake knows of may move its bones elsewhere."""

from __future__ import annotations

from collections.abc import Mapping

import bpy
import numpy as np

from ..core import rotations
from ..core.rotations import Array
from . import actions
from .rig import bone_order, without_scale

_LOOKS = 12  # frames that are looked at, first and last among them
_FAR = 5e-3  # of the rig's size
_TURNED = 1.0  # degrees


def what_is_off(armature: bpy.types.Object, targets: Mapping[str, Array], frames: np.ndarray) -> list[str]:
    """A sentence on the bone that is farthest from its place as Blender evaluates the rig; none where all are there.

    targets: bone -> world matrices at the frames (F, 4, 4).
    """
    places = np.unique(np.linspace(0, len(frames) - 1, _LOOKS).astype(int))
    names = [bone.name for bone in bone_order(armature)]
    seen = actions.sample_poses(armature, frames[places])[:, [names.index(name) for name in targets]]
    meant = without_scale(np.stack([target[places] for target in targets.values()], axis=1))
    size = float(np.ptp(meant[0, :, :3, 3], axis=0).max())
    away = np.linalg.norm(seen[..., :3, 3] - meant[..., :3, 3], axis=-1) / (_FAR * size)
    turns = rotations.from_matrix(seen[..., :3, :3]), rotations.from_matrix(meant[..., :3, :3])
    turned = np.degrees(rotations.angle_between(*turns)) / _TURNED
    off = np.maximum(away, turned)
    if not off.max() > 1.0:
        return []
    place, column = np.unravel_index(int(np.argmax(off)), off.shape)
    return [
        f"{list(targets)[column]} does not follow the take, at frame {frames[places[place]]} for one: "
        "something else moves it; look for a constraint, a driver or animated settings of the armature."
    ]
