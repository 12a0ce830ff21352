# SPDX-License-Identifier: GPL-3.0-or-later
"""Animation for the tests' rigs: limbs that swing, in slots, strips and constraints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import bpy
import numpy as np

from backflip_addon.scene.animation import actions
from backflip_addon.scene.animation.actions import Channel
from backflip_addon.scene.animation.rna_paths import bone_path
from backflip_addon.scene.armature.rig import bone_order


def add_slot(action: bpy.types.Action, name: str, degrees: Mapping[str, float], frames: int = 20) -> Any:
    """A slot that turns bones about their x from 0 by these degrees, over frames 1 to frames."""
    layer = action.layers[0] if len(action.layers) else action.layers.new("Layer")
    strip = layer.strips[0] if len(layer.strips) else layer.strips.new(type="KEYFRAME")
    slot = action.slots.new(id_type="OBJECT", name=name)
    bag = strip.channelbag(slot, ensure=True)
    for bone, angle in degrees.items():
        values = np.radians(np.linspace(0.0, angle, frames))
        channel = Channel(bone_path(bone, "rotation_euler"), 0, bone, values)
        actions.write_channels(bag, np.arange(1, frames + 1), [channel])
    return slot


def play(armature: bpy.types.Object, action: bpy.types.Action, slot: Any) -> None:
    """Have an armature play a slot; its bones take Euler angles."""
    take_angles(armature)
    data = armature.animation_data_create()
    data.action = action
    data.action_slot = slot


def take_angles(armature: bpy.types.Object) -> None:
    for bone in armature.pose.bones:
        bone.rotation_mode = "XYZ"


def swing(armature: bpy.types.Object, name: str, degrees: Mapping[str, float], frames: int = 20) -> bpy.types.Action:
    """An action of the armature's own that it plays."""
    action = bpy.data.actions.new(name)
    play(armature, action, add_slot(action, armature.name, degrees, frames))
    return action


def add_strip(armature: bpy.types.Object, action: bpy.types.Action, slot: Any, start: int) -> bpy.types.NlaStrip:
    take_angles(armature)
    track = armature.animation_data_create().nla_tracks.new()
    strip = track.strips.new(action.name, start, action)
    strip.action_slot = slot
    return strip


def turn_of(armature: bpy.types.Object, poses: np.ndarray, bone: str) -> np.ndarray:
    """Degrees (F,) by which a bone has turned since the first frame."""
    names = [b.name for b in bone_order(armature)]
    turns = poses[:, names.index(bone), :3, :3]
    cosine = (np.trace(turns[0].T @ turns, axis1=-2, axis2=-1) - 1.0) / 2.0
    return np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))
