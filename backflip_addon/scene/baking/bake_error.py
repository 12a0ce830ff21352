# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a rig, as Blender evaluates it, is from a take, and the take read back off it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import bpy
import numpy as np

from ...core import batched_linalg, rotations
from ...core.arrays import Array
from ...core.body import Body
from ...core.motion import Motion
from ...core.rigs.binding import Binding
from ...core.rigs.control_rig import find as find_controls
from ..animation import pose_sampling
from ..armature.bind_matrix import find_bind_matrix
from ..armature.rig import read_rig
from ..units import scene_rate


def read_take_from_rig(
    armature: bpy.types.Object, body: Body, binding: Binding, first: int, last: int, scene: bpy.types.Scene
) -> Motion:
    """The motion measured back off the rig as Blender evaluates it, at the scene's frame rate."""
    positions, orientations = _measured_links(armature, binding, range(first, last + 1))
    return Motion(scene_rate(scene), positions[:, 0], body.local_rotations(orientations))


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
    positions, orientations = body.forward(clip.position, clip.rotations)
    shown = _measured_links(armature, binding, range(start_frame, start_frame + clip.frames))
    distance = np.linalg.norm(shown[0] - positions, axis=-1)
    return float(distance.max() * 1000.0), float(np.degrees(rotations.angle_between(shown[1], orientations).max()))


def _measured_links(armature: bpy.types.Object, binding: Binding, frames: Iterable[int]) -> tuple[Array, Array]:
    """Link positions (F, L, 3) and orientations (F, L, 4), in the simulation's world, of the rig at frames."""
    rig = read_rig(armature, with_skin=False, world=find_bind_matrix(armature, binding))
    controls = find_controls(binding, rig.bones)
    turned_by = controls.turned_by if controls else {}
    return measured_links(binding, rig.bones, rig.rest, pose_sampling.sample_poses(armature, frames), turned_by)


def measured_links(
    binding: Binding, names: Sequence[str], rest: Array, poses: Array, turned_by: Mapping[str, str] | None = None
) -> tuple[Array, Array]:
    """Link positions (F, L, 3) and orientations (F, L, 4), simulation's world, of bones' world matrices.

    names: the bones of rest (B, 4, 4) and poses (F, B, 4, 4). A hand without a bone goes with its forearm.
    turned_by: other bones that show the rotation of a link's bone (core.rigs.control_rig).
    """
    index = {name: i for i, name in enumerate(names)}
    heading = rotations.to_matrix(rotations.from_axis_angle([0.0, 0.0, 1.0], -binding.yaw))
    of_link = {link.name: link.bone for link in binding.links}
    played = [link.bone or of_link[link.name.replace("hand", "forearm")] for link in binding.links]
    moving = [index[bone] for bone in played]
    turning = [index[(turned_by or {}).get(bone, bone)] for bone in played]
    moves, whole = (
        poses[:, some] @ batched_linalg.inverse(rest[some]) for some in (moving, turning)
    )  # from rest to pose
    joints = np.array([link.joint for link in binding.links])
    positions = np.einsum("flij,lj->fli", moves[..., :3, :3], joints) + moves[..., :3, 3]
    own = np.swapaxes(rotations.to_matrix(np.array([link.turn for link in binding.links])), 1, 2)
    orientations = rotations.from_matrix(heading @ whole[..., :3, :3] @ own)
    return binding.to_sim(positions), orientations
