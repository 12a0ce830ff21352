# SPDX-License-Identifier: GPL-3.0-or-later
"""What an armature is seen to do over a range of frames, whatever makes it: strips, constraints, drivers, physics.

Poses are evaluated in a scene of their own (depsgraph) as long as that shows the same; what lives in the
user's scene alone, such as its rigid bodies, is played there from the start, and all is put back.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import bpy
import numpy as np

from ...core import batched_linalg
from ...core.arrays import Array
from ...core.reading import MOST_FRAMES
from ...core.slices import Slices
from ..typed_data import action_of, depsgraph_of, pose_bones, subtype
from . import actions, depsgraph, pose_sampling
from .action_slots import ActionError, bindings

# Modifiers that go on from frame to frame
_CACHED = {"CLOTH", "SOFT_BODY", "DYNAMIC_PAINT", "FLUID", "PARTICLE_SYSTEM", "NODES"}
_SLIP = 1e-3  # frames by which strips may be off whole ones
_LOOKS = 8  # frames that tell whether anything moves
_LEAST = 1e-6  # of the skeleton's size: what moves less stands still
_GLIDES = 1e-4  # the same of bones that move against the first one
_CHANNELS = ("location", "rotation_quaternion", "rotation_euler", "rotation_axis_angle", "scale")


def evaluation_dependencies(armature: bpy.types.Object) -> list[bpy.types.Object]:
    """The armature, and every object that its pose or its place depends on, to any depth."""
    found = {armature: None}
    waiting = [armature]
    for ob in waiting:  # grows while it is walked
        for other in _looked_at(ob):
            if other not in found:
                found[other] = None
                waiting.append(other)
    return list(found)


def _looked_at(ob: bpy.types.Object) -> Iterator[bpy.types.Object]:
    """The objects that an object's place, pose and shape follow."""
    if ob.parent is not None:
        yield ob.parent
    bones = pose_bones(ob) if ob.pose is not None else ()
    owners = [*ob.constraints, *(c for bone in bones for c in bone.constraints)]
    owners = [owner for owner in owners if not owner.mute] + list(ob.modifiers)
    owners += [target for owner in owners for target in getattr(owner, "targets", ())]
    for owner in owners:
        for prop in owner.bl_rna.properties:
            if prop.type == "POINTER" and isinstance(other := getattr(owner, prop.identifier), bpy.types.Object):
                yield other
    for target in _driver_targets(ob):
        if isinstance(target.id, bpy.types.Object):
            yield target.id


def _animated(ob: bpy.types.Object) -> Iterator[bpy.types.AnimData]:
    """The animation of an object and of its data."""
    for owner in (ob, ob.data):
        if owner is not None and (data := owner.animation_data) is not None:
            yield data


def _driver_targets(ob: bpy.types.Object) -> Iterator[bpy.types.DriverTarget]:
    for data in _animated(ob):
        for curve in data.drivers:
            for variable in subtype(curve.driver).variables:
                yield from variable.targets


def needs_own_scene(scene: bpy.types.Scene, armature: bpy.types.Object) -> bool:
    """Whether what moves the armature needs the user's own scene: physics, or drivers that read the scene."""
    objects = evaluation_dependencies(armature)
    if scene.rigidbody_world is not None and any(ob.rigid_body is not None for ob in objects):
        return True
    if any(modifier.type in _CACHED for ob in objects for modifier in ob.modifiers):
        return True
    targets = (target for ob in objects for target in _driver_targets(ob))
    return any(getattr(target, "id_type", "") == "SCENE" or _reads_context(target) for target in targets)


def _reads_context(target: bpy.types.DriverTarget) -> bool:
    """Whether a driver's variable is a property of the active scene or view layer: it has no data-block, but a path."""
    return target.id is None and bool(target.data_path)


def audible_strips(data: bpy.types.AnimData | None) -> list[bpy.types.NlaStrip]:
    """The strips of an NLA that are heard, solo or not muted."""
    if data is None or not data.use_nla:
        return []
    solo = [track for track in data.nla_tracks if track.is_solo]
    tracks = solo or [track for track in data.nla_tracks if not track.mute]
    return [strip for track in tracks for strip in track.strips if not strip.mute]


def _hears_action(data: bpy.types.AnimData) -> bool:
    """Whether an ID's present action is heard: a track with the star silences it."""
    if data.action is None or data.action_slot is None or data.action_influence == 0.0:
        return False
    return not (data.use_nla and any(track.is_solo for track in data.nla_tracks))


def _heard_range(data: bpy.types.AnimData) -> list[tuple[float, float]]:
    """First and last frames of what is heard of an ID's strips and action."""
    ranges = [(strip.frame_start, strip.frame_end) for strip in audible_strips(data)]
    if _hears_action(data):
        ranges.append(actions.action_range(action_of(data), data.action_slot))
    return ranges


def extent(scene: bpy.types.Scene, armature: bpy.types.Object) -> tuple[int, int]:
    """First and last whole frame of whatever is keyed and moves the armature; the scene's own range where nothing is.

    Physics and what drivers read of the scene know no end: for them it is the scene's range, too.
    """
    ranges: list[tuple[float, float]] = []
    if not needs_own_scene(scene, armature):
        for ob in evaluation_dependencies(armature):
            others = (getattr(target.id, "animation_data", None) for target in _driver_targets(ob))
            for data in (*_animated(ob), *filter(None, others)):
                ranges += _heard_range(data)
    if not ranges:
        return scene.frame_start, scene.frame_end
    # a frame before a strip's start, though by a fraction, is none of its own
    first, last = math.ceil(min(r[0] for r in ranges) - _SLIP), math.floor(max(r[1] for r in ranges) + _SLIP)
    return (first, last) if first < last else (scene.frame_start, scene.frame_end)


def moves_beyond_action(
    scene: bpy.types.Scene, armature: bpy.types.Object, action: bpy.types.Action, slot: Any
) -> bool:
    """Whether others, such as what its bones follow, move limbs of the armature before or after its action's frames.

    One that glides on as a whole does nothing more.
    """
    first, last = extent(scene, armature)
    start, end = actions.action_range(action, slot)
    beyond = [np.linspace(first, start, _LOOKS)] * (first < start - 1.0)
    beyond += [np.linspace(end, last, _LOOKS)] * (last > end + 1.0)
    for frames in beyond:
        poses = pose_sampling.sample_poses(armature, frames)
        if not is_static(batched_linalg.inverse(poses[:, :1]) @ poses, _GLIDES):
            return True
    return False


def plays_action_alone(scene: bpy.types.Scene, armature: bpy.types.Object) -> bool:
    """Whether the armature's present action is all that is heard of it: no strips beside it, no physics."""
    data = armature.animation_data
    if data is None or data.action is None or audible_strips(data):
        return False
    mixed = data.action_influence < 1.0 or data.action_blend_type not in ("REPLACE", "COMBINE")
    return not mixed and not needs_own_scene(scene, armature)


def sample_visual_pose_slices(
    scene: bpy.types.Scene, armature: bpy.types.Object, first: int, last: int
) -> Slices[Array]:
    """World pose matrices (F, B, 4, 4), as sample_poses gives them, of all that is seen from first to last; what is
    played in the user's scene, such as its physics, in one slice.

    Raises ActionError for a range that is no clip's, and where the armature stands still in it.
    """
    count = last - first + 1
    if not 2 <= count <= MOST_FRAMES:
        raise ActionError(f"Frames {first} to {last} are not a clip: it needs 2 to {MOST_FRAMES} frames.")
    pose_sampling.check_frames(first, last)
    if needs_own_scene(scene, armature):
        poses = _played(scene, armature, first, last)
    else:
        poses = yield from pose_sampling.sample_pose_slices(armature, range(first, last + 1))
    if is_static(poses):
        raise ActionError(_nothing_moves(armature, first, last))
    return poses


def is_static(poses: Array, least: float = _LEAST) -> bool:
    """Whether poses (F, B, 4, 4) are all the same one, to a part of the skeleton's size and of a turn."""
    positions = poses[..., :3, 3]
    size = float(np.ptp(positions[0], axis=0).max(initial=0.0)) or 1.0
    moved = float(np.ptp(positions, axis=0).max(initial=0.0)) / size
    return max(moved, float(np.ptp(poses[..., :3, :3], axis=0).max(initial=0.0))) < least


def _nothing_moves(armature: bpy.types.Object, first: int, last: int) -> str:
    frames = f"from frame {first} to {last}"
    if any(True for _ in bindings(armature.animation_data)):
        return f"{armature.name} stands still {frames}: choose an action by name, or other frames."
    return f"{armature.name} plays no action, and nothing else moves it {frames}: choose an action by name."


def _played(scene: bpy.types.Scene, armature: bpy.types.Object, first: int, last: int) -> Array:
    """Poses of frames first to last of the user's scene, played frame by frame as its physics need it."""
    poses = []
    caches = [scene.rigidbody_world.point_cache.frame_start] if scene.rigidbody_world is not None else []
    with _scene_kept(scene), depsgraph.evaluated_in(scene, armature):
        for frame in range(min([first, *caches]), last + 1):
            scene.frame_set(frame)
            if frame >= first:
                poses.append(pose_sampling.current_poses(armature, depsgraph_of(scene)))
    return np.array(poses)


@contextlib.contextmanager
def _scene_kept(scene: bpy.types.Scene) -> Iterator[None]:
    """The current frame, and what is posed but not keyed, as they were afterwards."""
    frame, subframe = scene.frame_current, scene.frame_subframe
    before = [(owner, _values(owner)) for ob in scene.objects for owner in _posed(ob)]
    try:
        yield
    finally:
        scene.frame_set(frame, subframe=subframe)
        for owner, values in before:
            if _values(owner) != values:
                for name, value in zip(_CHANNELS, values, strict=True):
                    setattr(owner, name, value)


def _posed(ob: bpy.types.Object) -> Sequence[Any]:
    return [ob, *(pose_bones(ob) if ob.pose is not None else ())]


def _values(owner: Any) -> list[tuple[float, ...]]:
    return [tuple(getattr(owner, name)) for name in _CHANNELS]
