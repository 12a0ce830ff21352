# SPDX-License-Identifier: GPL-3.0-or-later
"""Importing glTF through Blender, with what its importer puts in the wrong place put right."""

from __future__ import annotations

from typing import cast

import bpy

from ... import compat
from ..animation import actions
from ..typed_data import rest_bones, subtype


def import_gltf(filepath: str) -> None:
    """Import a glTF or GLB file. Raises RuntimeError."""
    before = set(bpy.data.objects)
    compat.import_gltf(filepath)
    for ob in bpy.data.objects:
        if ob not in before and ob.parent_type == "BONE" and ob.parent is not None and ob.parent.type == "ARMATURE":
            _hang_on_its_bone(ob)


def _hang_on_its_bone(ob: bpy.types.Object) -> None:
    """Move a bone's child back to the bone's head, from where Blender's importer counts the way.

    It divides the bones' lengths by the armature object's scale, but not what it takes from its children for them
    (io_scene_gltf2/blender/imp/node.py, Blender 4.5 to 5.2): with a scale of 100 these stand 99 lengths off.
    """
    parent = cast(bpy.types.Object, ob.parent)
    bone = rest_bones(parent).get(ob.parent_bone)
    shift = bone.length * (max(subtype(parent.scale)) - 1.0) if bone is not None else 0.0
    if abs(shift) < 1e-9:
        return
    ob.location.y += shift
    for action, slot in dict.fromkeys(actions.animations(ob.animation_data)):
        for curve in compat.curves(action, slot):
            if (curve.data_path, curve.array_index) == ("location", 1):
                for key in curve.keyframe_points:
                    key.co_ui.y += shift
                curve.update()
