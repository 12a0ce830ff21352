# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys for the bones that a take moves, written and looked at until the rig shows the take."""

from __future__ import annotations

import dataclasses
from typing import Any

import bpy
import numpy as np

from ...core import batched_linalg, rotations
from ...core.arrays import Array, IntArray
from ...core.rigs.control_rig import Controls
from ...core.slices import Slices, apart
from ..animation import actions, pose_sampling
from ..animation.actions import Channel
from ..animation.rna_paths import bone_path
from ..animation.rotation_channels import data_property, to_channels
from ..armature.rig import without_scale
from ..typed_data import pose_bones, rest_bones, subtype
from . import bone_check, control_rig, drivers, nla, pose_basis
from .drivers import DrivenChannels
from .pose_basis import Bones

_HELPS = 0.8  # a correction that leaves more than this of what a rig is off does not get it there
_SLICE_KEYS = 60_000  # that are written between two looks at the window: some 10 ms
STILL = 1e-6  # of the rig's size: a bone that moves less from its rest place is not moved at all


@dataclasses.dataclass
class KeyWriter:
    """Keys for the bones that the take moves, written anew until the rig shows it.

    still: a bone that moves less is not moved, armature's units. other: paths that the user's own actions move.
    """

    armature: bpy.types.Object
    bag: Any
    bones: Bones
    frames: IntArray
    still: float
    other: set[str]
    driven: DrivenChannels
    before: nla.SavedAnimation
    curves: list[bpy.types.FCurve] = dataclasses.field(default_factory=list)

    def write_slices(self, basis: dict[str, Array]) -> Slices[None]:
        """Write each bone's own transforms (F, 4, 4), in place of those written before."""
        for curve in self.curves:
            self.bag.fcurves.remove(curve)
        channels = _bone_channels(self.armature, self.bones, basis, self.still, self.other, self.driven)
        noted = channels if self.curves else self.before.save_channels(channels)
        self.curves = []
        at_once = max(_SLICE_KEYS // len(self.frames), 1)
        for first in range(0, len(noted), at_once):
            yield None
            self.curves += actions.write_channels(self.bag, self.frames, noted[first : first + at_once])
        yield None

    def seen_slices(self, world: Array) -> Slices[dict[str, Array]]:
        """Poses (F, 4, 4) of the moved bones, armature space without scale, as Blender makes them."""
        poses = yield from pose_sampling.sample_pose_slices(self.armature, self.frames)
        poses = yield from apart(lambda: without_scale(batched_linalg.inverse(world)[:, None] @ poses))
        positions = {bone.name: i for i, bone in enumerate(self.bones.bones)}
        return {name: poses[:, positions[name]] for name in self.bones.moved}


def write_bone_key_slices(writer: KeyWriter, world: Array, expected: bone_check.ExpectedPoses) -> Slices[None]:
    """Write what brings the bones to their targets; where something comes between, evaluate and correct while it helps.

    world (F, 4, 4): of the armature object.
    """
    basis = pose_basis.pose_basis(writer.bones, world)
    yield None
    yield from writer.write_slices(basis)
    off = yield from bone_check.worst_error_slices(writer.armature, expected)
    while off > 1.0:
        seen = yield from writer.seen_slices(world)
        better = pose_basis.refine(writer.bones, basis, seen, world)
        yield None
        yield from writer.write_slices(better)
        now = yield from bone_check.worst_error_slices(writer.armature, expected)
        if not now < _HELPS * off:
            yield from writer.write_slices(better if now < off else basis)
            return
        basis, off = better, now


def control_basis_slices(writer: KeyWriter, world: Array) -> Slices[dict[str, Array]]:
    """Own transforms (F, 4, 4) of a control rig's controls, such that the rig shows the take."""
    armature, bones = writer.armature, writer.bones
    inverse = batched_linalg.inverse(world)
    poses = {name: without_scale(inverse @ target) for name, target in bones.targets.items()}
    at_rest = dict.fromkeys(bones.carriers, np.broadcast_to(np.eye(4), (1, 4, 4)))
    basis = control_rig.first_guess(armature, poses)
    for _ in range(control_rig.ITERATIONS):
        yield from writer.write_slices(basis | at_rest)
        seen = yield from writer.seen_slices(world)
        if control_rig.is_close(poses, seen, writer.still / STILL):
            break
        basis = control_rig.refine(armature, poses, seen, basis)
    return basis | at_rest


def world_scale(world: Array) -> float:
    """World units per unit of the armature's own."""
    return float(np.cbrt(abs(np.linalg.det(world[0, :3, :3]))))


def _bone_channels(
    armature: bpy.types.Object,
    bones: Bones,
    basis: dict[str, Array],
    still: float,
    other: set[str],
    driven: DrivenChannels,
) -> list[Channel]:
    """Keys of the bones the take moves: location, rotation in each bone's mode, scale where it was touched.

    basis: each bone's own transforms (F, 4, 4). still: a bone that moves less is not moved, armature's units.
    """
    by_mode: dict[str, list[str]] = {}
    channels: list[Channel] = []
    for name in bones.moved:
        bone = pose_bones(armature)[name]
        mode = drivers.rotation_mode(bone, driven)
        by_mode.setdefault(mode, []).append(name)
        if mode != bone.rotation_mode or bone_path(name, "rotation_mode") in other:
            channels.append(drivers.mode_channel(bone, mode))
    count = max(map(len, basis.values()))
    for mode, names in by_mode.items():
        own = [np.broadcast_to(basis[name][:, :3, :3], (count, 3, 3)) for name in names]
        orientations = rotations.from_matrix(np.stack(own, axis=1))
        values = to_channels(orientations, mode)
        for column, name in enumerate(names):
            channels += _channels(name, data_property(mode), values[:, column])
    lifted = frozenset(bones.lifts.values())
    for name in bones.moved:
        rest = rest_bones(armature)[name]
        if not (rest.use_connect and rest.parent):
            place = basis[name][:, :3, 3]
            moves = name not in lifted and np.abs(place).max() > still
            channels += _channels(name, "location", place if moves else np.zeros((1, 3)))
        pose_bone = pose_bones(armature)[name]
        if bone_path(name, "scale") in other or any(abs(s - 1.0) > 1e-6 for s in subtype(pose_bone.scale)):
            channels += _channels(name, "scale", np.ones((1, 3)))
    return channels


def _channels(bone: str, prop: str, values: Array) -> list[Channel]:
    path = bone_path(bone, prop)
    return [Channel(path, index, bone, values[:, index]) for index in range(values.shape[1])]


def switch_channels(armature: bpy.types.Object, controls: Controls) -> list[Channel]:
    """Custom properties that have the rig follow the controls that are keyed."""
    channels = []
    for switch in controls.switches:
        if switch.prop in subtype(pose_bones(armature)[switch.bone]):
            path = f'pose.bones["{bpy.utils.escape_identifier(switch.bone)}"]["{switch.prop}"]'
            channels.append(Channel(path, 0, switch.bone, np.array([switch.value])))
    return channels
