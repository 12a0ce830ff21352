# SPDX-License-Identifier: GPL-3.0-or-later
"""A take as keyframes on the animator's own rig.

The take gets a new action on a new NLA track that plays solo (scene.tracks): solo silences every
other track and the active action without touching them. Every bone that carries the take is keyed
in its own rotation mode against the pose its parent really has, so the armature object may be
scaled, turned, parented or moving.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix

from .. import compat
from ..core import linear, retarget, rotations
from ..core.body import Body
from ..core.controls import Controls
from ..core.controls import find as find_controls
from ..core.fit import Binding
from ..core.motion import Motion
from ..core.rotations import Array
from . import actions, control, shown, tracks
from .actions import Channel, bone_path
from .bound import bound_world as bound_world
from .bound import check_size
from .channels import data_property, to_channels
from .rig import bone_order, read_rig, without_scale
from .tracks import baked_tracks as baked_tracks
from .tracks import playing_track as playing_track
from .tracks import show_own_animation as show_own_animation
from .tracks import show_track as show_track

TRANSFORMS = ("location", "rotation_quaternion", "rotation_euler", "rotation_axis_angle", "scale")
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


@dataclasses.dataclass(frozen=True)
class _Bones:
    """The armature's bones, parents first, and which of them the take moves."""

    bones: list[bpy.types.Bone]
    targets: dict[str, Array]  # mapped bone -> world matrices (F, 4, 4)
    carriers: frozenset[str]  # unmapped bones between or above mapped ones, or idle controls: kept at rest

    @property
    def moved(self) -> list[str]:
        return [b.name for b in self.bones if b.name in self.targets or b.name in self.carriers]

    @property
    def free(self) -> list[str]:
        return [b.name for b in self.bones if b.name not in self.targets and b.name not in self.carriers]


def scene_rate(scene: bpy.types.Scene) -> float:
    """The scene's frames per second."""
    return scene.render.fps / scene.render.fps_base


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
    tracks.check_writable(armature)
    clip = motion.resampled(scene_rate(scene))
    frames = start_frame + np.arange(clip.frames)
    bound = bound_world(armature, binding)
    rig = read_rig(armature, with_skin=False, world=bound)
    controls = find_controls(binding, rig.bones)
    targets = retarget.bone_matrices(binding, rig, clip, controls.links if controls else None)
    bones = sort_bones(armature, targets, controls)
    own = own or _active_animation(armature, scene, start_frame)
    other = _animated_paths(armature)

    before = tracks.Before(armature)
    action, slot, bag = actions.new_action(name, armature.name)
    try:
        # The object stands still in the take, and does so before its place is asked for.
        actions.write_channels(bag, frames[:1], before.noted(_object_channels(armature, other)))
        track = tracks.add(armature, action, slot, frames)
        world = actions.sample_object(armature, frames)
        check_size(armature, world, bound)
        channels = _switched_off(armature, bones, other)
        if controls is not None:
            channels += _switches(armature, controls)
        channels += _own_channels(armature, bones, own, (frames - start_frame) / clip.rate, other)
        actions.write_channels(bag, frames, before.noted(channels))
        still = STILL * float(np.ptp(rig.heads, axis=0).max()) / _scale(world)
        if controls is None:
            basis = pose_basis(bones.bones, bones.targets, bones.carriers, world)
        else:
            basis = _control_basis(armature, bag, bones, world, frames, still, other)
        actions.write_channels(bag, frames, before.noted(_bone_channels(armature, bones, basis, still, other)))
        before.keep_on(action)
        warnings = _warnings(armature, bones, scene) or shown.what_is_off(armature, targets, frames)
    except Exception:
        before.take_back(action)
        raise
    return Baked(action.name, track.name, int(frames[0]), int(frames[-1]), tuple(warnings))


def sort_bones(armature: bpy.types.Object, targets: dict[str, Array], controls: Controls | None) -> _Bones:
    if controls is not None:
        return _Bones(bone_order(armature), targets, frozenset(controls.at_rest))
    carriers: set[str] = set()
    for name in targets:
        carriers.update(parent.name for parent in armature.data.bones[name].parent_recursive)
    return _Bones(bone_order(armature), targets, frozenset(carriers - targets.keys()))


# Channels


def _scale(world: Array) -> float:
    """World units per unit of the armature's own."""
    return float(np.cbrt(abs(np.linalg.det(world[0, :3, :3]))))


def _control_basis(
    armature: bpy.types.Object,
    bag: Any,
    bones: _Bones,
    world: Array,
    frames: np.ndarray,
    still: float,
    other: set[str],
) -> dict[str, Array]:
    """Own transforms (F, 4, 4) of a control rig's controls, such that the rig shows the take."""
    inverse = linear.inverse(world)
    poses = {name: without_scale(inverse @ target) for name, target in bones.targets.items()}
    names = [bone.name for bone in bones.bones]
    at_rest = dict.fromkeys(bones.carriers, np.broadcast_to(np.eye(4), (1, 4, 4)))
    basis = control.first_guess(armature, poses)
    for _ in range(control.ROUNDS):
        written = actions.write_channels(bag, frames, _bone_channels(armature, bones, basis | at_rest, still, other))
        shown = without_scale(inverse[:, None] @ actions.sample_poses(armature, frames))
        for curve in written:
            bag.fcurves.remove(curve)
        seen = {name: shown[:, names.index(name)] for name in poses}
        if control.is_close(poses, seen, still / STILL):
            break
        basis = control.refined(armature, poses, seen, basis)
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
    armature: bpy.types.Object, bones: _Bones, basis: dict[str, Array], still: float, other: set[str]
) -> list[Channel]:
    """Keys of the bones the take moves: location, rotation in each bone's mode, scale where it was touched.

    basis: each bone's own transforms (F, 4, 4). still: a bone that moves less is not moved, armature's units.
    """
    by_mode: dict[str, list[str]] = {}
    for name in bones.moved:
        by_mode.setdefault(armature.pose.bones[name].rotation_mode, []).append(name)
    channels: list[Channel] = []
    count = max(map(len, basis.values()))
    for mode, names in by_mode.items():
        own = [np.broadcast_to(basis[name][:, :3, :3], (count, 3, 3)) for name in names]
        turns = rotations.from_matrix(np.stack(own, axis=1))
        values = to_channels(turns, mode)
        for column, name in enumerate(names):
            channels += _channels(name, data_property(mode), values[:, column])
    for name in bones.moved:
        bone = armature.data.bones[name]
        if not (bone.use_connect and bone.parent):
            place = basis[name][:, :3, 3]
            channels += _channels(name, "location", place if np.abs(place).max() > still else np.zeros((1, 3)))
        pose_bone = armature.pose.bones[name]
        if bone_path(name, "scale") in other or any(abs(s - 1.0) > 1e-6 for s in pose_bone.scale):
            channels += _channels(name, "scale", np.ones((1, 3)))
    return channels


def _channels(bone: str, prop: str, values: Array) -> list[Channel]:
    path = bone_path(bone, prop)
    return [Channel(path, index, bone, values[:, index]) for index in range(values.shape[1])]


def pose_basis(
    bones: Iterable[bpy.types.Bone], targets: dict[str, Array], carriers: Iterable[str], world: Array
) -> dict[str, Array]:
    """Each moved bone's own transform (F, 4, 4) that brings it to its target; identity for carriers.

    targets: bone -> world matrices (F, 4, 4). world (F, 4, 4): the armature object's.
    """
    carriers = frozenset(carriers)
    inverse = linear.inverse(world)
    poses: dict[str, Array] = {}
    basis: dict[str, Array] = {}
    for bone in bones:
        if bone.name in targets:
            poses[bone.name] = without_scale(inverse @ targets[bone.name])
            basis[bone.name] = _to_basis(bone, poses)
        elif bone.name in carriers:
            basis[bone.name] = np.broadcast_to(np.eye(4), world.shape)
            poses[bone.name] = _from_rest(bone, poses, len(world))
    return basis


def _is_plain(bone: bpy.types.Bone) -> bool:
    return bone.use_inherit_rotation and bone.use_local_location


def _offset(bone: bpy.types.Bone) -> Array:
    """The bone's rest matrix (4, 4) in its parent's frame."""
    rest = np.array(bone.matrix_local, dtype=float)
    return linear.inverse(np.array(bone.parent.matrix_local, dtype=float)) @ rest if bone.parent else rest


def _to_basis(bone: bpy.types.Bone, poses: dict[str, Array]) -> Array:
    pose = poses[bone.name]
    if _is_plain(bone):
        base = poses[bone.parent.name] @ _offset(bone) if bone.parent else _offset(bone)
        return linear.inverse(base) @ pose
    return np.array([_convert(bone, poses, Matrix(m), f, invert=True) for f, m in enumerate(pose)])


def _from_rest(bone: bpy.types.Bone, poses: dict[str, Array], count: int) -> Array:
    """Pose matrices of a bone that is not moved itself."""
    if _is_plain(bone):
        pose = poses[bone.parent.name] @ _offset(bone) if bone.parent else _offset(bone)
        return np.broadcast_to(pose, (count, 4, 4))
    return np.array([_convert(bone, poses, Matrix(), f, invert=False) for f in range(count)])


def _convert(bone: bpy.types.Bone, poses: dict[str, Array], matrix: Matrix, frame: int, invert: bool) -> Array:
    """Between a bone's own transform and its pose, as Blender itself does it, for the rarer kinds of bone."""
    parents = {}
    if bone.parent:
        parents["parent_matrix"] = Matrix(poses[bone.parent.name][frame])
        parents["parent_matrix_local"] = bone.parent.matrix_local
    return np.array(bone.convert_local_to_pose(matrix, bone.matrix_local, invert=invert, **parents))


def _object_channels(armature: bpy.types.Object, other: set[str]) -> list[Channel]:
    """The object's own transform as it is now, where the user's animation would move it."""
    channels = []
    for prop in TRANSFORMS:
        if prop in other:
            values = np.array(getattr(armature, prop), dtype=float)
            channels += [Channel(prop, i, "Object Transforms", values[i : i + 1]) for i in range(len(values))]
    return channels


def _switched_off(armature: bpy.types.Object, bones: _Bones, other: set[str]) -> list[Channel]:
    """Constraints that would pull the take's bones elsewhere rest while the take plays."""
    moved = frozenset(bones.moved)
    drivers = armature.animation_data.drivers if armature.animation_data else ()
    changing = other | {curve.data_path for curve in drivers}
    channels = []
    for bone in armature.pose.bones:
        for constraint in bone.constraints:
            if moved.isdisjoint(_pulled_by(bone, constraint)):
                continue
            path = bone_path(bone.name, f'constraints["{bpy.utils.escape_identifier(constraint.name)}"].')
            rests = constraint.mute and f"{path}mute" not in changing
            if not rests and (constraint.influence > 0.0 or f"{path}influence" in other):
                channels.append(Channel(f"{path}influence", 0, bone.name, np.zeros(1)))
    return channels


def _pulled_by(bone: bpy.types.PoseBone, constraint: bpy.types.Constraint) -> list[str]:
    """The bones that a bone's constraint moves: itself, and the parents that its chain reaches."""
    names = [bone.name]
    if constraint.type in ("IK", "SPLINE_IK"):
        parents = [parent.name for parent in bone.parent_recursive]
        names += parents[: constraint.chain_count - 1] if constraint.chain_count else parents
    return names


def _active_animation(armature: bpy.types.Object, scene: bpy.types.Scene, start: int) -> OwnAnimation | None:
    data = armature.animation_data
    if data is None or data.action is None or data.action_slot is None:
        return None
    return OwnAnimation(data.action, data.action_slot, float(start), float("inf"), scene_rate(scene))


def _own_channels(
    armature: bpy.types.Object, bones: _Bones, own: OwnAnimation | None, seconds: Array, other: set[str]
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


def _warnings(armature: bpy.types.Object, bones: _Bones, scene: bpy.types.Scene) -> list[str]:
    warnings = []
    drivers = armature.animation_data.drivers if armature.animation_data else ()
    driven = sorted({name for curve in drivers if (name := actions.bone_of(curve.data_path)) in bones.moved})
    if driven:
        warnings.append(f"Drivers go on moving {', '.join(driven)}: mute them to see the take as it was performed.")
    if armature.data.pose_position != "POSE":
        warnings.append(f"{armature.data.name} is shown in rest position: switch it to pose position to see the take.")
    if scene.render.frame_map_old != scene.render.frame_map_new:
        warnings.append("The scene stretches time: set Old and New alike (Output, Frame Rate) for the take's own pace.")
    return warnings


# The proof


def read_take_from_rig(
    armature: bpy.types.Object, body: Body, binding: Binding, first: int, last: int, scene: bpy.types.Scene
) -> Motion:
    """The motion measured back off the rig as Blender evaluates it, at the scene's frame rate."""
    places, turns = _measured_links(armature, binding, range(first, last + 1))
    return Motion(scene_rate(scene), places[:, 0], body.local_rotations(turns))


def bake_error(
    armature: bpy.types.Object,
    body: Body,
    binding: Binding,
    motion: Motion,
    start_frame: int,
    scene: bpy.types.Scene,
) -> tuple[float, float]:
    """Greatest distance (mm, at the body's scale) and angle (degrees) of any link from the take, at any frame.

    The rig is evaluated by Blender with whatever animates it now.
    """
    clip = motion.resampled(scene_rate(scene))
    places, turns = body.forward(clip.position, clip.rotations)
    shown = _measured_links(armature, binding, range(start_frame, start_frame + clip.frames))
    distance = np.linalg.norm(shown[0] - places, axis=-1)
    return float(distance.max() * 1000.0), float(np.degrees(rotations.angle_between(shown[1], turns).max()))


def _measured_links(armature: bpy.types.Object, binding: Binding, frames: Iterable[int]) -> tuple[Array, Array]:
    """Link places (F, L, 3) and turns (F, L, 4), in the simulation's world, of the rig at frames."""
    rig = read_rig(armature, with_skin=False, world=bound_world(armature, binding))
    controls = find_controls(binding, rig.bones)
    turned_by = controls.turned_by if controls else {}
    return measured_links(binding, rig.bones, rig.rest, actions.sample_poses(armature, frames), turned_by)


def measured_links(
    binding: Binding, names: Sequence[str], rest: Array, poses: Array, turned_by: Mapping[str, str] | None = None
) -> tuple[Array, Array]:
    """Link places (F, L, 3) and turns (F, L, 4), simulation's world, of bones' world matrices.

    names: the bones of rest (B, 4, 4) and poses (F, B, 4, 4). A hand without a bone goes with its forearm.
    turned_by: other bones that show the rotation of a link's bone (core.controls).
    """
    index = {name: i for i, name in enumerate(names)}
    heading = rotations.to_matrix(rotations.from_axis_angle([0.0, 0.0, 1.0], -binding.yaw))
    of_link = {link.name: link.bone for link in binding.links}
    played = [link.bone or of_link[link.name.replace("hand", "forearm")] for link in binding.links]
    moving = [index[bone] for bone in played]
    turning = [index[(turned_by or {}).get(bone, bone)] for bone in played]
    moves, whole = (poses[:, some] @ linear.inverse(rest[some]) for some in (moving, turning))  # from rest to pose
    joints = np.array([link.joint for link in binding.links])
    places = np.einsum("flij,lj->fli", moves[..., :3, :3], joints) + moves[..., :3, 3]
    own = np.swapaxes(rotations.to_matrix(np.array([link.turn for link in binding.links])), 1, 2)
    turns = rotations.from_matrix(heading @ whole[..., :3, :3] @ own)
    return binding.to_sim(places), turns
