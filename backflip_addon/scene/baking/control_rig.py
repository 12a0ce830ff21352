# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys for the controls of a control rig, so that the bones which follow them show the take.

Between a control and the control above it lie helper bones with constraints and drivers, which
Blender alone can evaluate. They are taken to move rigidly with the control above, as they do in FK;
then the rig is looked at, and what is left over is solved again with the helpers where they were seen.
"""

from __future__ import annotations

import bpy
import numpy as np

from ...core import batched_linalg
from ...core.arrays import Array
from ..typed_data import rest_bones

ITERATIONS = 4  # helpers that move with several controls need a round for each
CLOSE = 2e-6  # of the rig's size, and radians


def above(armature: bpy.types.Object, wanted: dict[str, Array]) -> dict[str, str]:
    """For each control the nearest control over it, "" for none."""
    bones = rest_bones(armature)
    return {name: next((p.name for p in bones[name].parent_recursive if p.name in wanted), "") for name in wanted}


def first_guess(armature: bpy.types.Object, poses: dict[str, Array]) -> dict[str, Array]:
    """Own transforms (F, 4, 4) that bring the controls to poses (F, 4, 4), armature space, helpers being rigid."""
    bones = rest_bones(armature)
    over = above(armature, poses)
    basis = {}
    for name, pose in poses.items():
        rest = np.array(bones[name].matrix_local, dtype=float)
        base = rest
        if over[name]:
            base = (
                poses[over[name]] @ batched_linalg.inverse(np.array(bones[over[name]].matrix_local, dtype=float)) @ rest
            )
        basis[name] = batched_linalg.inverse(base) @ pose
    return basis


def refine(
    armature: bpy.types.Object, poses: dict[str, Array], seen: dict[str, Array], basis: dict[str, Array]
) -> dict[str, Array]:
    """Own transforms from poses wanted and seen (F, 4, 4), armature space, the latter made by basis."""
    over = above(armature, poses)
    better = {}
    for name, pose in poses.items():
        base = seen[name] @ batched_linalg.inverse(basis[name])  # where the helpers put the control
        if over[name]:
            base = poses[over[name]] @ batched_linalg.inverse(seen[over[name]]) @ base
        better[name] = batched_linalg.inverse(base) @ pose
    return better


def is_close(poses: dict[str, Array], seen: dict[str, Array], size: float) -> bool:
    """Whether the controls are where they should be."""
    for name, pose in poses.items():
        if np.abs(seen[name][:, :3, 3] - pose[:, :3, 3]).max() > CLOSE * size:
            return False
        if np.abs(seen[name][:, :3, :3] - pose[:, :3, :3]).max() > 10 * CLOSE:
            return False
    return True
