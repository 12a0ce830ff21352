# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading poses off an armature through Blender's own evaluation.

Poses are evaluated in a scene of their own that holds nothing but the armature (depsgraph): the
user's scene, its current frame and its values stay as they are, and the meshes cost nothing.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import bpy
import numpy as np

from ... import compat
from ...core.arrays import Array
from ...core.slices import Slices, apart, at_once
from ..armature.rig import bone_order, without_scale
from ..typed_data import depsgraph_of, ensure_animation_data, pose_bones
from .action_slots import ActionError, pick_slot
from .actions import animations
from .depsgraph import evaluation_scene

_SLICE_SECONDS = 0.02  # of evaluation between two looks at the window
_MOST_FRAME = 1_048_574  # that Blender has, on either side of 0 (MAXFRAME, DNA_scene_types.h)


def check_frames(first: float, last: float) -> None:
    """Raises ActionError where Blender has no such frames, and would show others in their place."""
    if min(first, last) < -_MOST_FRAME or max(first, last) > _MOST_FRAME:
        raise ActionError(
            f"Frames {first:.0f} to {last:.0f} are beyond Blender's, which end at {_MOST_FRAME}: start nearer to 0."
        )


@contextlib.contextmanager
def playing_action(armature: bpy.types.Object, action: bpy.types.Action | None, slot: Any = None) -> Iterator[None]:
    """The armature animated by action alone, as it was again afterwards; None leaves the animation as it is."""
    if action is None:
        yield
        return
    had_data = armature.animation_data is not None
    data = ensure_animation_data(armature)
    if data.use_tweak_mode:
        raise ActionError(f"Leave tweak mode in the NLA editor of {armature.name} first.")
    before = (data.action, data.action_slot, data.use_nla)
    influence = (data.action_influence, data.action_blend_type)
    try:
        data.action = action
        data.action_slot = slot or pick_slot(action, armature)
        data.use_nla = False
        data.action_influence, data.action_blend_type = 1.0, "REPLACE"
        yield
    finally:
        data.action_influence, data.action_blend_type = influence
        data.action, slot_before, data.use_nla = before
        if slot_before is not None:
            data.action_slot = slot_before
        if not had_data:
            armature.animation_data_clear()


def sample_poses(
    armature: bpy.types.Object,
    frames: Iterable[float],
    action: bpy.types.Action | None = None,
    slot: Any = None,
) -> Array:
    """World pose matrices (F, B, 4, 4) of the armature's bones, in bone_order(), without scale.

    Evaluated by Blender with constraints and drivers at frames, which need not be whole. With an
    action it alone is played, else whatever animates the armature now.
    """
    return at_once(sample_pose_slices(armature, frames, action, slot))


def sample_pose_slices(
    armature: bpy.types.Object,
    frames: Iterable[float],
    action: bpy.types.Action | None = None,
    slot: Any = None,
) -> Slices[Array]:
    """sample_poses() in slices; between them the armature is as it was."""
    order = _pose_order(armature)
    waiting = [float(frame) for frame in frames]
    check_frames(min(waiting, default=0.0), max(waiting, default=0.0))
    poses: list[Array] = []
    while len(poses) < len(waiting):
        end = time.perf_counter() + _SLICE_SECONDS
        with playing_action(armature, action, slot), evaluation_scene(armature) as scene:
            for frame in waiting[len(poses) :]:
                poses.append(_evaluate(scene, armature, frame)[1][order])
                if time.perf_counter() > end:
                    break
        yield None
    return (yield from apart(_stacked, poses, len(order)))


def _stacked(poses: list[Array], bones: int) -> Array:
    return without_scale(np.array(poses).reshape(-1, bones, 4, 4))


def current_poses(armature: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> Array:
    """World pose matrices (B, 4, 4) as they are shown now, in bone_order(), without scale.

    They are those of some time before where the scene shows neither the armature nor a mesh that it bends.
    """
    evaluated = armature.evaluated_get(depsgraph)
    return without_scale(read_world(evaluated)[_pose_order(armature)])


def sample_object_matrices(armature: bpy.types.Object, frames: Sequence[float]) -> Array:
    """The armature object's world matrices (F, 4, 4), scale and all; evaluated once when nothing moves it."""
    looked_at = frames if is_object_animated(armature) else frames[:1]
    with evaluation_scene(armature) as scene:
        worlds = np.array([_evaluate(scene, armature, float(frame))[0] for frame in looked_at])
    return np.broadcast_to(worlds, (len(frames), 4, 4))


def is_object_animated(ob: bpy.types.Object | None) -> bool:
    """Whether an object's world matrix may change over time: itself or a parent is animated or constrained."""
    while ob is not None:
        data = ob.animation_data
        if any(not c.mute for c in ob.constraints) or (data and _animates_object(data)):
            return True
        if ob.parent is not None and ob.parent_type != "OBJECT":
            return True
        ob = ob.parent
    return False


def _animates_object(data: bpy.types.AnimData) -> bool:
    if any(not curve.data_path.startswith("pose.") for curve in data.drivers):
        return True
    return any(
        not curve.data_path.startswith("pose.")
        for action, slot in animations(data)
        for curve in compat.curves(action, slot)
    )


def _evaluate(scene: bpy.types.Scene, armature: bpy.types.Object, frame: float) -> tuple[Array, Array]:
    """The object's world matrix and its bones' world matrices in pose order, at a frame."""
    whole = int(np.floor(frame))
    scene.frame_set(whole, subframe=frame - whole)
    evaluated = armature.evaluated_get(depsgraph_of(scene))
    return np.array(evaluated.matrix_world), read_world(evaluated)


def read_world(evaluated: bpy.types.Object) -> Array:
    """World matrices (B, 4, 4) of an evaluated armature's bones, in the pose's own order."""
    bones = pose_bones(evaluated)
    flat = np.empty(len(bones) * 16, dtype=np.float32)
    bones.foreach_get("matrix", flat)  # columns first
    worlds: Array = np.array(evaluated.matrix_world) @ flat.reshape(-1, 4, 4).transpose(0, 2, 1).astype(float)
    return worlds


def _pose_order(armature: bpy.types.Object) -> list[int]:
    """For each bone of bone_order(), its place among the pose's bones."""
    positions = {bone.name: i for i, bone in enumerate(pose_bones(armature))}
    return [positions[bone.name] for bone in bone_order(armature)]
