# SPDX-License-Identifier: GPL-3.0-or-later
"""How far the skin of a baked rig is from where the take has it."""

from __future__ import annotations

import bpy
import numpy as np

from backflip_addon.core.motion import Motion
from backflip_addon.core.motions import retarget
from backflip_addon.core.rigs.binding import Binding
from backflip_addon.core.rigs.control_rig import find as find_controls
from backflip_addon.scene.armature.bind_matrix import find_bind_matrix
from backflip_addon.scene.armature.rig import read_rig
from backflip_addon.scene.baking import skin_check
from backflip_addon.scene.baking.bone_check import ExpectedPoses
from backflip_addon.scene.units import scene_rate


def skin_error(
    armature: bpy.types.Object, binding: Binding, motion: Motion, start_frame: int, scene: bpy.types.Scene
) -> float | None:
    """Greatest distance (mm, at the body's scale) of the evaluated skin from where the take has it, at some frames.

    None for a rig without skin. See skin_check.
    """
    clip = motion.resampled(scene_rate(scene))
    rig = read_rig(armature, with_skin=False, world=find_bind_matrix(armature, binding))
    controls = find_controls(binding, rig.bones)
    targets = retarget.bone_matrices(binding, rig, clip, controls.links if controls else None)
    expected = ExpectedPoses.of(binding, rig, clip, targets, controls, start_frame + np.arange(clip.frames))
    return max((off.millimetres for off in skin_check.skin_errors(armature, expected)), default=None)
