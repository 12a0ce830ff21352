# SPDX-License-Identifier: GPL-3.0-or-later
"""What drivers hold on a rig: a driver wins over keys, so a take is keyed where they leave it free."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

import bpy
import numpy as np

from ..animation.actions import Channel
from ..animation.rna_paths import bone_of, bone_path
from ..animation.rotation_channels import data_property
from ..typed_data import subtype

# Each with a property of its own, so that a driver on one leaves the others free.
_MODES = ("QUATERNION", "XYZ", "AXIS_ANGLE")


@dataclasses.dataclass(frozen=True)
class DrivenChannels:
    """RNA paths from the armature object that drivers hold."""

    paths: frozenset[str]

    @classmethod
    def of(cls, armature: bpy.types.Object) -> DrivenChannels:
        """What drivers of the armature object hold now, muted ones left out."""
        data = armature.animation_data
        return cls(frozenset(curve.data_path for curve in data.drivers if not curve.mute) if data else frozenset())

    def holds(self, bone: str, prop: str) -> bool:
        """Whether a driver holds a property of a pose bone."""
        return bone_path(bone, prop) in self.paths

    def bones(self, names: Collection[str]) -> list[str]:
        """Those of the bones that a driver moves, by name."""
        return sorted({name for path in self.paths if (name := bone_of(path)) in names and _moves(path)})


def _moves(path: str) -> bool:
    return path.endswith(("location", "rotation_quaternion", "rotation_euler", "rotation_axis_angle", "scale", "_mode"))


def rotation_mode(bone: bpy.types.PoseBone, driven: DrivenChannels) -> str:
    """The mode to key a bone's rotation in: its own, or where drivers hold that, one that they leave free."""
    if driven.holds(bone.name, "rotation_mode"):
        return bone.rotation_mode
    modes = (bone.rotation_mode, *_MODES)
    return next((m for m in modes if not driven.holds(bone.name, data_property(m))), bone.rotation_mode)


def mode_channel(bone: bpy.types.PoseBone, mode: str) -> Channel:
    """The key that has a bone rotate in a mode."""
    number = subtype(bone.bl_rna.properties["rotation_mode"]).enum_items[mode].value
    return Channel(bone_path(bone.name, "rotation_mode"), 0, bone.name, np.array([float(number)]))
