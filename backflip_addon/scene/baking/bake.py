# SPDX-License-Identifier: GPL-3.0-or-later
"""A take as keyframes on the animator's own rig.

The take gets a new action on a new NLA track that plays solo (nla): solo silences every
other track and the active action without touching them. Every bone that carries the take is keyed
in its own rotation mode against the pose its parent really has, so the armature object may be
scaled, turned, parented or moving.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import bpy
import numpy as np

from ... import compat
from ...core import batched_linalg, rotations
from ...core.arrays import Array, IntArray
from ...core.motion import Motion
from ...core.motions import retarget
from ...core.rigs.binding import Binding
from ...core.rigs.control_rig import Controls
from ...core.rigs.control_rig import find as find_controls
from ..animation import actions
from ..animation.actions import Channel, bone_path
from ..animation.rotation_channels import data_property, to_channels
from ..armature.bind_matrix import bound_world as bound_world
from ..armature.bind_matrix import check_size
from ..armature.rig import read_rig, without_scale
from . import bone_check, constraints, control_rig, nla, pose_basis, skin_check
from .bake_error import bake_error as bake_error
from .bake_error import measured_links as measured_links
from .bake_error import read_take_from_rig as read_take_from_rig
from .bake_error import scene_rate as scene_rate
from .bake_error import skin_error as skin_error
from .constraints import Driven
from .nla import baked_tracks as baked_tracks
from .nla import playing_track as playing_track
from .nla import show_own_animation as show_own_animation
from .nla import show_track as show_track
from .nla import warnings as warnings
from .pose_basis import Bones

TRANSFORMS = ("location", "rotation_quaternion", "rotation_euler", "rotation_axis_angle", "scale")
_HELPS = 0.8  # a correction that leaves more than this of what a rig is off does not get it there
STILL = 1e-6  # of the rig's size: a bone that moves less from its rest place is not moved at all


@dataclasses.dataclass(frozen=True)
class OwnAnimation:
    """Where the bones that the take does not move get their keys from.

    frames: the action's frame for each baked frame, given the seconds since the take's start:
    first + seconds * per_second, held at last.
    """

    action: bpy.types.Action
    slot: Any
    first: float
    last: float
    per_second: float

    def frames(self, seconds: Array) -> Array:
        return np.clip(self.first + seconds * self.per_second, self.first, self.last)


@dataclasses.dataclass(frozen=True)
class Baked:
    """What a bake made, by name; warnings are sentences for the user."""

    action: str
    track: str
    first: int
    last: int
    warnings: tuple[str, ...] = ()


def bake_take(
    armature: bpy.types.Object,
    binding: Binding,
    motion: Motion,
    *,
    name: str,
    start_frame: int,
    scene: bpy.types.Scene,
    own: OwnAnimation | None = None,
) -> Baked:
    """Write a motion to the armature as a new action on a new NLA track of its own.

    The motion is sampled at the scene's frames. own: the animation of the bones the take does not
    move; without it they follow the armature's active action. Raises ActionError.
    """
    nla.check_writable(armature)
    clip = motion.resampled(scene_rate(scene))
    frames = start_frame + np.arange(clip.frames)
    bound = bound_world(armature, binding)
    rig = read_rig(armature, with_skin=False, world=bound)
    controls = find_controls(binding, rig.bones)
    targets = retarget.bone_matrices(binding, rig, clip, controls.links if controls else None)
    driven = Driven.of(armature)
    bones = pose_basis.sort_bones(armature, targets, controls, driven)
    own = own or _active_animation(armature, scene, start_frame)
    other = _animated_paths(armature)

    before = nla.Before(armature)
    action, slot, bag = actions.new_action(name, armature.name)
    try:
        # The object stands still in the take, and does so before its place is asked for.
        actions.write_channels(bag, frames[:1], before.noted(_object_channels(armature, other)))
        track = nla.add(armature, action, slot, frames)
        world = actions.sample_object(armature, frames)
        check_size(armature, world, bound)
        channels = constraints.switched_off(armature, bones.moved, other, driven, small=controls is None)
        if controls is not None:
            channels += _switches(armature, controls)
        channels += _own_channels(armature, bones, own, (frames - start_frame) / clip.rate, other)
        actions.write_channels(bag, frames, before.noted(channels))
        meant = bone_check.Meant.of(binding, rig, clip, targets, controls, frames)
        writer = _Writer(armature, bag, bones, frames, STILL * meant.size / _scale(world), other, driven, before)
        if controls is None:
            _solve(writer, world, meant)
        else:
            writer.write(_control_basis(writer, world))
        before.keep_on(action)
        said = _warnings(armature, bones, scene, driven, meant)
        action[nla.WARNINGS_PROPERTY] = json.dumps(said)
    except Exception:
        before.take_back(action)
        raise
    return Baked(action.name, track.name, int(frames[0]), int(frames[-1]), tuple(said))


def _warnings(
    armature: bpy.types.Object, bones: Bones, scene: bpy.types.Scene, driven: Driven, meant: bone_check.Meant
) -> list[str]:
    """What keeps the take from being seen as it was performed, measured on the rig and its skin."""
    said = bone_check.what_is_off(armature, meant, bones, driven) or skin_check.what_is_off(armature, meant)
    if armature.data.pose_position != "POSE":
        said.append(f"{armature.data.name} is shown in rest position: switch it to pose position to see the take.")
    if scene.render.frame_map_old != scene.render.frame_map_new:
        said.append("The scene stretches time: set Old and New alike (Output, Frame Rate) for the take's own pace.")
    return said


# Channels


def _scale(world: Array) -> float:
    """World units per unit of the armature's own."""
    return float(np.cbrt(abs(np.linalg.det(world[0, :3, :3]))))


@dataclasses.dataclass
class _Writer:
    """Keys for the bones that the take moves, written anew until the rig shows it.

    still: a bone that moves less is not moved, armature's units. other: paths that the user's own actions move.
    """

    armature: bpy.types.Object
    bag: Any
    bones: Bones
    frames: IntArray
    still: float
    other: set[str]
    driven: Driven
    before: nla.Before
    curves: list[bpy.types.FCurve] = dataclasses.field(default_factory=list)

    def write(self, basis: dict[str, Array]) -> None:
        """Each bone's own transforms (F, 4, 4) in place of those written before."""
        for curve in self.curves:
            self.bag.fcurves.remove(curve)
        channels = _bone_channels(self.armature, self.bones, basis, self.still, self.other, self.driven)
        noted = channels if self.curves else self.before.noted(channels)
        self.curves = actions.write_channels(self.bag, self.frames, noted)

    def seen(self, world: Array) -> dict[str, Array]:
        """Poses (F, 4, 4) of the moved bones, armature space without scale, as Blender makes them."""
        poses = actions.sample_poses(self.armature, self.frames)
        poses = without_scale(batched_linalg.inverse(world)[:, None] @ poses)
        positions = {bone.name: i for i, bone in enumerate(self.bones.bones)}
        return {name: poses[:, positions[name]] for name in self.bones.moved}


def _solve(writer: _Writer, world: Array, meant: bone_check.Meant) -> None:
    """Write what brings the bones to their places; where something comes between, look and correct while it helps."""
    basis = pose_basis.pose_basis(writer.bones, world)
    writer.write(basis)
    off = bone_check.how_far(writer.armature, meant)
    while off > 1.0:
        better = pose_basis.refined(writer.bones, basis, writer.seen(world), world)
        writer.write(better)
        now = bone_check.how_far(writer.armature, meant)
        if not now < _HELPS * off:
            writer.write(better if now < off else basis)
            return
        basis, off = better, now


def _control_basis(writer: _Writer, world: Array) -> dict[str, Array]:
    """Own transforms (F, 4, 4) of a control rig's controls, such that the rig shows the take."""
    armature, bones = writer.armature, writer.bones
    inverse = batched_linalg.inverse(world)
    poses = {name: without_scale(inverse @ target) for name, target in bones.targets.items()}
    at_rest = dict.fromkeys(bones.carriers, np.broadcast_to(np.eye(4), (1, 4, 4)))
    basis = control_rig.first_guess(armature, poses)
    for _ in range(control_rig.ROUNDS):
        writer.write(basis | at_rest)
        seen = writer.seen(world)
        if control_rig.is_close(poses, seen, writer.still / STILL):
            break
        basis = control_rig.refined(armature, poses, seen, basis)
    return basis | at_rest


def _switches(armature: bpy.types.Object, controls: Controls) -> list[Channel]:
    """Custom properties that have the rig follow the controls that are keyed."""
    channels = []
    for switch in controls.switches:
        if switch.prop in armature.pose.bones[switch.bone]:
            path = f'pose.bones["{bpy.utils.escape_identifier(switch.bone)}"]["{switch.prop}"]'
            channels.append(Channel(path, 0, switch.bone, np.array([switch.value])))
    return channels


def _bone_channels(
    armature: bpy.types.Object, bones: Bones, basis: dict[str, Array], still: float, other: set[str], driven: Driven
) -> list[Channel]:
    """Keys of the bones the take moves: location, rotation in each bone's mode, scale where it was touched.

    basis: each bone's own transforms (F, 4, 4). still: a bone that moves less is not moved, armature's units.
    """
    by_mode: dict[str, list[str]] = {}
    channels: list[Channel] = []
    for name in bones.moved:
        bone = armature.pose.bones[name]
        mode = constraints.rotation_mode(bone, driven)
        by_mode.setdefault(mode, []).append(name)
        if mode != bone.rotation_mode or bone_path(name, "rotation_mode") in other:
            channels.append(constraints.mode_channel(bone, mode))
    count = max(map(len, basis.values()))
    for mode, names in by_mode.items():
        own = [np.broadcast_to(basis[name][:, :3, :3], (count, 3, 3)) for name in names]
        orientations = rotations.from_matrix(np.stack(own, axis=1))
        values = to_channels(orientations, mode)
        for column, name in enumerate(names):
            channels += _channels(name, data_property(mode), values[:, column])
    lifted = frozenset(bones.lifts.values())
    for name in bones.moved:
        bone = armature.data.bones[name]
        if not (bone.use_connect and bone.parent):
            place = basis[name][:, :3, 3]
            moves = name not in lifted and np.abs(place).max() > still
            channels += _channels(name, "location", place if moves else np.zeros((1, 3)))
        pose_bone = armature.pose.bones[name]
        if bone_path(name, "scale") in other or any(abs(s - 1.0) > 1e-6 for s in pose_bone.scale):
            channels += _channels(name, "scale", np.ones((1, 3)))
    return channels


def _channels(bone: str, prop: str, values: Array) -> list[Channel]:
    path = bone_path(bone, prop)
    return [Channel(path, index, bone, values[:, index]) for index in range(values.shape[1])]


def _object_channels(armature: bpy.types.Object, other: set[str]) -> list[Channel]:
    """The object's own transform as it is now, where the user's animation would move it."""
    channels = []
    for prop in TRANSFORMS:
        if prop in other:
            values = np.array(getattr(armature, prop), dtype=float)
            channels += [Channel(prop, i, "Object Transforms", values[i : i + 1]) for i in range(len(values))]
    return channels


def _active_animation(armature: bpy.types.Object, scene: bpy.types.Scene, start: int) -> OwnAnimation | None:
    data = armature.animation_data
    if data is None or data.action is None or data.action_slot is None:
        return None
    return OwnAnimation(data.action, data.action_slot, float(start), float("inf"), scene_rate(scene))


def _own_channels(
    armature: bpy.types.Object, bones: Bones, own: OwnAnimation | None, seconds: Array, other: set[str]
) -> list[Channel]:
    """Keys of the bones the take leaves alone: their own animation, else rest where an action would move them."""
    free = frozenset(bones.free)
    channels: list[Channel] = []
    copied: set[str] = set()
    if own is not None:
        frames = own.frames(seconds).tolist()
        for curve in compat.curves(own.action, own.slot):
            name = actions.bone_of(curve.data_path)
            if name in free and curve.data_path.endswith(TRANSFORMS):
                values = np.array([curve.evaluate(frame) for frame in frames])
                channels.append(Channel(curve.data_path, curve.array_index, name, values))
                copied.add(curve.data_path)
    for path in sorted(other - copied):
        name = actions.bone_of(path)
        if name in free and path.endswith(TRANSFORMS):
            channels += _rest_channels(path, name)
    return channels


def _rest_channels(path: str, bone: str) -> list[Channel]:
    prop = path.rpartition(".")[2]
    rest = {"scale": (1, 1, 1), "rotation_quaternion": (1, 0, 0, 0), "rotation_axis_angle": (0, 0, 1, 0)}
    values = rest.get(prop, (0, 0, 0))
    return [Channel(path, i, bone, np.array([float(v)])) for i, v in enumerate(values)]


def _animated_paths(armature: bpy.types.Object) -> set[str]:
    """RNA paths that the user's own actions and tracks animate."""
    pairs = actions.animations(armature.animation_data)
    return {curve.data_path for action, slot in pairs for curve in compat.curves(action, slot)}
