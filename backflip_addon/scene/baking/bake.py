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

import bpy
import numpy as np

from ...core.motion import Motion
from ...core.motions import retarget
from ...core.rigs.binding import Binding
from ...core.rigs.control_rig import find as find_controls
from ...core.slices import Slices, apart, at_once
from ..animation import actions, pose_sampling
from ..armature.bind_matrix import check_scale, find_bind_matrix
from ..armature.rig import read_rig
from ..typed_data import armature_data
from ..units import scene_rate
from . import bone_check, constraints, nla, pose_basis, skin_check
from .bone_keys import (
    STILL,
    KeyWriter,
    control_basis_slices,
    switch_channels,
    world_scale,
    write_bone_key_slices,
)
from .drivers import DrivenChannels
from .own_animation import OwnAnimation, active_animation, animated_paths, object_channels, own_channels
from .pose_basis import Bones


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
    return at_once(
        bake_slices(armature, binding, motion, name=name, start_frame=start_frame, scene=scene, own=own),
    )


def bake_slices(
    armature: bpy.types.Object,
    binding: Binding,
    motion: Motion,
    *,
    name: str,
    start_frame: int,
    scene: bpy.types.Scene,
    own: OwnAnimation | None = None,
) -> Slices[Baked]:
    """bake_take() in slices; one that is given up leaves the animation as it was."""
    nla.check_writable(armature)
    clip = motion.resampled(scene_rate(scene))
    frames = start_frame + np.arange(clip.frames)
    pose_sampling.check_frames(frames[0], frames[-1])
    bound = find_bind_matrix(armature, binding)
    rig = read_rig(armature, with_skin=False, world=bound)
    controls = find_controls(binding, rig.bones)
    targets = yield from apart(retarget.bone_matrices, binding, rig, clip, controls.links if controls else None)
    driven = DrivenChannels.of(armature)
    bones = pose_basis.sort_bones(armature, targets, controls, driven)
    own = own or active_animation(armature, scene, start_frame)
    other = animated_paths(armature)

    before = nla.SavedAnimation(armature)
    action, slot, bag = actions.new_action(name, armature.name)
    try:
        # The object stands still in the take, and does so before its place is asked for.
        actions.write_channels(bag, frames[:1], before.save_channels(object_channels(armature, other)))
        track = nla.add(armature, action, slot, frames)
        yield None
        world = pose_sampling.sample_object_matrices(armature, frames.tolist())
        check_scale(armature, world, bound)
        channels = constraints.influence_channels(armature, bones.moved, other, driven, small=controls is None)
        if controls is not None:
            channels += switch_channels(armature, controls)
        yield None
        channels += own_channels(armature, bones, own, (frames - start_frame) / clip.rate, other)
        actions.write_channels(bag, frames, before.save_channels(channels))
        expected = yield from apart(bone_check.ExpectedPoses.of, binding, rig, clip, targets, controls, frames)
        writer = KeyWriter(
            armature, bag, bones, frames, STILL * expected.size / world_scale(world), other, driven, before
        )
        if controls is None:
            yield from write_bone_key_slices(writer, world, expected)
        else:
            basis = yield from control_basis_slices(writer, world)
            yield from writer.write_slices(basis)
        before.store_on(action)
        said = yield from _warning_slices(armature, bones, scene, driven, expected)
        action[nla.WARNINGS_PROPERTY] = json.dumps(said)
    except (Exception, GeneratorExit):
        before.restore_without(action)
        raise
    return Baked(action.name, track.name, int(frames[0]), int(frames[-1]), tuple(said))


def _warning_slices(
    armature: bpy.types.Object,
    bones: Bones,
    scene: bpy.types.Scene,
    driven: DrivenChannels,
    expected: bone_check.ExpectedPoses,
) -> Slices[list[str]]:
    """What keeps the take from being seen as it was performed, measured on the rig and its skin."""
    said = yield from bone_check.bone_warning_slices(armature, expected, bones, driven)
    if not said:
        said = yield from skin_check.skin_warning_slices(armature, expected)
    if armature_data(armature).pose_position != "POSE":
        said.append(
            f"{armature_data(armature).name} is shown in rest position: switch it to pose position to see the take."
        )
    if scene.render.frame_map_old != scene.render.frame_map_new:
        said.append("The scene stretches time: set Old and New alike (Output, Frame Rate) for the take's own pace.")
    return said
