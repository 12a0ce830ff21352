# SPDX-License-Identifier: GPL-3.0-or-later
"""What the bones that a take leaves alone do meanwhile: their own animation, which is copied into the take's action."""

from __future__ import annotations

import dataclasses
from typing import Any

import bpy
import numpy as np

from ... import compat
from ...core.arrays import Array
from ..animation.actions import Channel, animations
from ..animation.rna_paths import bone_of
from ..units import scene_rate
from .pose_basis import Bones

TRANSFORMS = ("location", "rotation_quaternion", "rotation_euler", "rotation_axis_angle", "scale")


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
        """The action's frames (F,) at seconds (F,) after the take's start."""
        return np.clip(self.first + seconds * self.per_second, self.first, self.last)


def active_animation(armature: bpy.types.Object, scene: bpy.types.Scene, start: int) -> OwnAnimation | None:
    """The armature's active action from the take's first frame on; None without one. start: that frame."""
    data = armature.animation_data
    if data is None or data.action is None or data.action_slot is None:
        return None
    return OwnAnimation(data.action, data.action_slot, float(start), float("inf"), scene_rate(scene))


def own_channels(
    armature: bpy.types.Object, bones: Bones, own: OwnAnimation | None, seconds: Array, other: set[str]
) -> list[Channel]:
    """Keys of the bones the take leaves alone: their own animation, else rest where an action would move them."""
    free = frozenset(bones.free)
    channels: list[Channel] = []
    copied: set[str] = set()
    if own is not None:
        frames = own.frames(seconds).tolist()
        for curve in compat.curves(own.action, own.slot):
            name = bone_of(curve.data_path)
            if name in free and curve.data_path.endswith(TRANSFORMS):
                values = np.array([curve.evaluate(frame) for frame in frames])
                channels.append(Channel(curve.data_path, curve.array_index, name, values))
                copied.add(curve.data_path)
    for path in sorted(other - copied):
        name = bone_of(path)
        if name in free and path.endswith(TRANSFORMS):
            channels += _rest_channels(path, name)
    return channels


def _rest_channels(path: str, bone: str) -> list[Channel]:
    prop = path.rpartition(".")[2]
    rest = {"scale": (1, 1, 1), "rotation_quaternion": (1, 0, 0, 0), "rotation_axis_angle": (0, 0, 1, 0)}
    values = rest.get(prop, (0, 0, 0))
    return [Channel(path, i, bone, np.array([float(v)])) for i, v in enumerate(values)]


def object_channels(armature: bpy.types.Object, other: set[str]) -> list[Channel]:
    """The object's own transform as it is now, where the user's animation would move it."""
    channels = []
    for prop in TRANSFORMS:
        if prop in other:
            values = np.array(getattr(armature, prop), dtype=float)
            channels += [Channel(prop, i, "Object Transforms", values[i : i + 1]) for i in range(len(values))]
    return channels


def animated_paths(armature: bpy.types.Object) -> set[str]:
    """RNA paths that the user's own actions and tracks animate."""
    pairs = animations(armature.animation_data)
    return {curve.data_path for action, slot in pairs for curve in compat.curves(action, slot)}
