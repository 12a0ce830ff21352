# SPDX-License-Identifier: GPL-3.0-or-later
"""A pose that shows whether the bones are mapped right, and the pose from before again."""

from __future__ import annotations

import json
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix

from ..core import batched_linalg, proportions, rotations
from ..core.arrays import Array
from ..core.body import HINGE_AXIS, Body
from ..core.motion import Motion
from ..core.motions import retarget
from ..core.rigs.binding import Binding
from ..core.rigs.control_rig import find as find_controls
from .armature import bind_matrix
from .armature.rig import read_rig, without_scale
from .baking import control_rig, pose_basis
from .baking.drivers import DrivenChannels
from .typed_data import pose_bones, subtype

POSE_PROPERTY = "backflip_check"  # on the armature object: the pose from before and the one that is shown, JSON
_EQUAL = 1e-4  # between numbers of a pose that nobody has changed

# Link -> axis and degrees from the neutral pose.
_POSE = {
    "upper_arm.L": (HINGE_AXIS, 90.0),
    "upper_arm.R": ((0.0, 1.0, 0.0), 90.0),
    "forearm.R": (HINGE_AXIS, 90.0),
    "thigh.L": (HINGE_AXIS, 80.0),
    "shin.L": (HINGE_AXIS, -80.0),
    "head": ((0.0, 0.0, 1.0), 30.0),
}


def pose(body: Body) -> Motion:
    """The check pose, standing at the origin: one frame."""
    orientations = np.tile(rotations.IDENTITY, (1, len(body.links), 1))
    for link, (axis, degrees) in _POSE.items():
        orientations[:, body.index(link)] = rotations.from_axis_angle(axis, np.radians(degrees))
    return Motion(30.0, np.array([[0.0, 0.0, proportions.standing_height(body)]]), orientations)


def show(armature: bpy.types.Object, body: Body, binding: Binding) -> None:
    """Put the armature into the check pose, until the frame changes or it is taken back. Raises ActionError."""
    rig = read_rig(armature, with_skin=False, world=bind_matrix.find_bind_matrix(armature, binding))
    controls = find_controls(binding, rig.bones)
    targets = retarget.bone_matrices(binding, rig, pose(body), controls.links if controls else None)
    world = np.array(armature.matrix_world)[None]
    if controls is None:
        basis = pose_basis.pose_basis(
            pose_basis.sort_bones(armature, targets, None, DrivenChannels.of(armature)), world
        )
    else:
        inverse = batched_linalg.inverse(world)
        basis = control_rig.first_guess(armature, {name: without_scale(inverse @ m) for name, m in targets.items()})
        basis |= dict.fromkeys(controls.at_rest, np.eye(4)[None])
    before = {name: np.array(pose_bones(armature)[name].matrix_basis).tolist() for name in basis}
    switches = []
    for switch in controls.switches if controls else ():
        bone = subtype(pose_bones(armature)[switch.bone])
        if switch.prop in bone:
            switches.append([switch.bone, switch.prop, bone[switch.prop]])
            bone[switch.prop] = switch.value
    shown = {}
    for name, matrix in basis.items():
        bone = pose_bones(armature)[name]
        bone.matrix_basis = Matrix(matrix[0])
        shown[name] = np.array(bone.matrix_basis).tolist()  # as its channels hold it
    armature[POSE_PROPERTY] = json.dumps({"bones": before, "shown": shown, "switches": switches})
    armature.update_tag(refresh={"OBJECT", "DATA"})


def is_shown(armature: bpy.types.Object) -> bool:
    """Whether the armature was put into the check pose. Cheap enough for drawing."""
    return POSE_PROPERTY in subtype(armature)


def _same(matrix: Matrix, shown: Array) -> bool:
    return bool(np.abs(np.array(matrix) - shown).max() < _EQUAL)


def take_back(armature: bpy.types.Object) -> bool:
    """Put the pose from before the check pose back; False when there was none. Bones that were posed since stay so."""
    if not is_shown(armature):
        return False
    try:
        before = json.loads(armature[POSE_PROPERTY])
        matrices = {name: Matrix(matrix) for name, matrix in before["bones"].items()}
        shown = {name: np.array(Matrix(matrix)) for name, matrix in before.get("shown", {}).items()}
        switches = [(str(name), str(prop), float(value)) for name, prop, value in before["switches"]]
    except (AttributeError, KeyError, TypeError, ValueError):
        matrices, shown, switches = {}, {}, []  # not ours
    del armature[POSE_PROPERTY]
    bones: Any = pose_bones(armature)
    # A file of before knows not what was shown: there all counts as held
    turned = [n for n in matrices if n in bones and not (n in shown and _same(matrices[n], shown[n]))]
    held = [n for n in turned if n not in shown or _same(bones[n].matrix_basis, shown[n])]
    for name in held:
        bones[name].matrix_basis = matrices[name]
    for name, prop, value in switches:
        if name in bones and prop in bones[name]:
            bones[name][prop] = type(bones[name][prop])(value)
    armature.update_tag(refresh={"OBJECT", "DATA"})
    return bool(held) or not turned
