# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the armature stood when its body was built, and whether it is still the one that the body was built for."""

from __future__ import annotations

import bpy
import numpy as np

from ...core.arrays import Array
from ...core.rigs.binding import Binding
from ..animation.action_slots import ActionError
from ..animation.depsgraph import update_world_matrices
from ..typed_data import rest_bones

_JOINTED = ("thigh", "shin", "foot", "upper_arm", "forearm")  # links whose joints are their bones' heads
_SAME_PLACE = 1e-4  # of the rig's size
_SAME_SIZE = 1e-3


class SkeletonError(ActionError):
    """A rig that a body does not fit, or no longer."""


def find_bind_matrix(armature: bpy.types.Object, binding: Binding, drawing: bool = False) -> Array:
    """The armature object's world matrix (4, 4) when the body was built; it may have been moved and turned since.

    Found from the joints that the binding remembers. drawing: nothing may be evaluated now. Raises SkeletonError
    when the skeleton is another one, or stands there in another size or mirrored.
    """
    if not drawing:
        update_world_matrices(armature)
    bones = rest_bones(armature)
    lost = [bone for link in binding.links for bone in (link.bone, *link.bones) if bone and bone not in bones]
    if lost:
        raise SkeletonError(f"{armature.name} has no bone called {lost[0]} any more; name it so, or {_ANEW}.")
    positions = {link.bone: link.joint for link in binding.links if link.bone and link.name.startswith(_JOINTED)}
    for link in binding.links:
        positions |= dict(zip(link.bones, link.heads, strict=False))
    heads = np.array([bones[bone].head_local for bone in positions], dtype=float)
    joints = np.array(list(positions.values()))
    now = np.array(armature.matrix_world)
    size = float(np.ptp(joints, axis=0).max())
    for world in (now, _similarity(heads, joints)):
        if np.abs(heads @ world[:3, :3].T + world[:3, 3] - joints).max() < _SAME_PLACE * size:
            check_scale(armature, now[None], world)
            return world
    raise SkeletonError(f"The skeleton of {armature.name} has changed since its body was built; {_ANEW}.")


_ANEW = "build the body again (step 1) and train again"


def check_scale(armature: bpy.types.Object, worlds: Array, bound: Array) -> None:
    """Whether the object, in each of its world matrices (F, 4, 4), is only moved and turned from where it was bound.

    Raises SkeletonError.
    """
    change = worlds[:, :3, :3] @ np.linalg.inv(bound[:3, :3])
    off = np.abs(change @ np.swapaxes(change, 1, 2) - np.eye(3)).max()
    if not off < 2 * _SAME_SIZE:
        words = "has been scaled since its body was built, or its parent has: scale it back"
    elif (np.linalg.det(change) < 0.0).any():
        words = "has been mirrored since its body was built: mirror it back"
    else:
        return
    raise SkeletonError(f"{armature.name} {words}, or {_ANEW}.")


def _similarity(points: Array, targets: Array) -> Array:
    """The scaling, rotation and translation (4, 4) that best brings points (N, 3) onto targets (Umeyama 1991)."""
    centre, goal = points.mean(axis=0), targets.mean(axis=0)
    u, stretch, vt = np.linalg.svd((targets - goal).T @ (points - centre))
    flip = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    turn = (u * flip) @ vt
    spread = float(((points - centre) ** 2).sum())
    scale = float((stretch * flip).sum()) / spread if spread > 0.0 else 1.0
    world = np.eye(4)
    world[:3, :3] = scale * turn
    world[:3, 3] = goal - scale * turn @ centre
    return world
