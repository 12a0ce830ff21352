# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a clip, from a file or from an armature's action, as a motion of the avatar's body."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from .. import compat
from ..core.arrays import Array
from ..core.body import Body
from ..core.clips import bvh, deepmimic, ground, key_poses, mimickit, smpl, video_motion, vrma
from ..core.motion import Motion
from ..core.motions import retarget
from ..core.reading import LEAST_RATE, MOST_FRAMES, MOST_RATE, UnreadableFile
from ..core.rigs import roles
from ..core.rigs.binding import Binding
from ..core.rigs.rig import Rig, RigError
from ..core.rigs.roles import RoleMap
from ..core.slices import Slices, apart
from .animation import action_slots, actions, pose_sampling
from .animation.action_slots import ActionError
from .animation.rna_paths import bone_of
from .animation.visual_motion import is_static, sample_visual_pose_slices
from .armature.bind_matrix import find_bind_matrix
from .armature.rig import read_rig
from .baking.own_animation import OwnAnimation
from .importing.importer import RATE_PROPERTY, FileError
from .reference_source import Source
from .typed_data import rest_bones
from .units import scene_rate

MOST_SECONDS = 1e6  # into a clip, or times its speed: more is a stranger's joke
READ_HERE = (".bvh", ".txt", ".json", ".npz", ".vrma")  # formats that need no armature in the scene


@dataclasses.dataclass(frozen=True)
class Recording:
    """A clip as it was recorded: its skeleton, its bones' world matrices (F, B, 4, 4), frames a second.

    binding: given where it is the avatar itself that was recorded, which then stays where it is.
    assumed: what its file does not tell or lacks, for the user; empty for most.
    """

    rig: Rig
    matrices: Array
    rate: float
    binding: Binding | None = None
    assumed: str = ""

    def guess(self) -> RoleMap:
        """Which of its joints play which body parts."""
        return roles.guess(self.rig, self.matrices[..., :3, 3])

    def on(self, body: Body, role_map: RoleMap) -> Motion:
        """The clip on a body. Raises RigError where the map is not one of its skeleton, ValueError."""
        return retarget.retarget(self.rig, role_map, self.matrices, self.rate, body, binding=self.binding)


def read_file(path: Path, body: Body) -> Recording | Motion:
    """A clip that needs no armature: as recorded, or, where it is made of joint angles, on a body. Raises FileError."""
    try:
        if (recording := read_skeleton(path)) is not None:
            return recording
        if _is_video_motion(path):
            seen = video_motion.load(path)
            # Soles of another shape are elsewhere than the filmed person's, which stood on the floor
            motion = retarget.adapt(video_motion.with_sureness(seen), seen.leg, body)
            return ground.grounded(motion, body, ground.OWN_SOLES)
        if _is_stunt(path):
            return key_poses.load(path, body)
        motion, leg = (mimickit if _is_mimickit(path) else deepmimic).load(path)
        return retarget.adapt(motion, leg, body)
    except (ValueError, RigError) as error:
        raise FileError(str(error)) from error
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}.") from error


def read_skeleton(path: Path) -> Recording | None:
    """A clip with a skeleton of its own; None for one of joint angles. Raises ValueError or OSError."""
    suffix = path.suffix.lower()
    if suffix == ".bvh":
        rig, matrices, rate, assumed = bvh.read_clip(path)
        return Recording(rig, matrices, rate, assumed=assumed)
    if suffix == ".vrma":
        return Recording(*vrma.read_vrma(path))
    if suffix != ".npz" or _is_mimickit(path) or _is_video_motion(path):
        return None
    rig, matrices, rate, assumed = smpl.read_smpl(path)
    return Recording(rig, matrices, rate, assumed=assumed)


def _is_stunt(path: Path) -> bool:
    """Whether a file holds key poses; a damaged one is left to its reader to refuse."""
    try:
        return path.suffix.lower() == ".json" and key_poses.is_stunt(path)
    except UnreadableFile:
        return False


def _is_mimickit(path: Path) -> bool:
    """Whether a file holds a MimicKit motion; a damaged one is left to its reader to refuse."""
    try:
        return path.suffix.lower() in (".npz", ".json") and mimickit.is_motion(path)
    except UnreadableFile:
        return False


def _is_video_motion(path: Path) -> bool:
    """Whether a file holds a motion from a video; a damaged one is left to its reader to refuse."""
    try:
        return path.suffix.lower() == ".npz" and video_motion.is_video_motion(path)
    except UnreadableFile:
        return False


def read_source_slices(scene: bpy.types.Scene, source: Source, binding: Binding | None = None) -> Slices[Recording]:
    """An armature's action, or what it is seen to do.

    binding: how the body hangs on the armature, where that is the avatar itself. Raises RigError or ActionError.
    """
    armature = source.armature
    if source.action is None:
        rate = scene_rate(scene)
        poses = yield from sample_visual_pose_slices(scene, armature, source.first, source.last)
    else:
        rate = action_rate(scene, source.action)
        first, last = actions.action_range(source.action, source.slot)
        count = int(round(last - first)) + 1
        if not 2 <= count <= MOST_FRAMES:
            frames = "1 frame" if count == 1 else f"{count} frames"
            raise ActionError(f"The action {source.action.name} has {frames}; a clip needs 2 to {MOST_FRAMES:,}.")
        at = first + np.arange(count)
        poses = yield from pose_sampling.sample_pose_slices(armature, at, source.action, source.slot)
        if (yield from apart(is_static, poses)) and _is_keyed_to_move(source):
            raise ActionError(
                f"The action {source.action.name} leaves {armature.name} as it is: its curves are muted, "
                "or made for bones in another rotation mode."
            )
    if not LEAST_RATE <= rate <= MOST_RATE:
        raise ActionError(
            f"{source.label} has {rate:.4g} frames a second, and a clip {LEAST_RATE:g} to {MOST_RATE:g}: change the "
            "rate of its file, or of the scene (Output, Frame Rate)."
        )
    world = find_bind_matrix(armature, binding) if binding is not None else None
    return Recording(read_rig(armature, with_skin=False, world=world), poses, rate, binding)


def _is_keyed_to_move(source: Source) -> bool:
    """Whether a bone's curve has keys of different values."""
    for curve in compat.curves(source.action, source.slot) if source.action is not None else ():
        keys = np.zeros(2 * len(curve.keyframe_points), np.float32)
        curve.keyframe_points.foreach_get("co", keys)
        if bone_of(curve.data_path) in rest_bones(source.armature) and len(set(keys[1::2].tolist())) > 1:
            return True
    return False


def action_rate(scene: bpy.types.Scene, action: bpy.types.Action) -> float:
    """Frames per second that an action's keys were made for."""
    return float(action.get(RATE_PROPERTY, 0.0)) or scene_rate(scene)


def own_animation(scene: bpy.types.Scene, armature: bpy.types.Object, facts: dict[str, Any]) -> OwnAnimation | None:
    """How the bones that a take leaves alone follow the reference, where it was an action of the avatar itself.

    facts: what reference_origin() told when the job was made; a job may be a stranger's, so they may be anything.
    None where the action is gone, or moves the avatar no more: then those bones rest.
    """
    action = bpy.data.actions.get(str(facts.get("action", "")))
    if facts.get("kind") != "ACTION" or facts.get("object") != armature.name or action is None:
        return None
    try:
        slot = action_slots.pick_slot(action, armature, str(facts.get("slot", "")))
    except ActionError:
        return None
    rate = action_rate(scene, action)
    first, last = actions.action_range(action, slot)
    start = first + _positive(facts.get("trim_start"), 0.0) * rate
    return OwnAnimation(action, slot, start, last, rate / _positive(facts.get("time_scale"), 1.0))


def _positive(value: object, default: float) -> float:
    """value where it is a number that a reference can have, else default."""
    sound = isinstance(value, (int, float)) and 0.0 < value <= MOST_SECONDS
    return float(value) if sound and isinstance(value, (int, float)) else default
