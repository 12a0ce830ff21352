# SPDX-License-Identifier: GPL-3.0-or-later
"""A place for the mannequin to stand in, free of what is in the scene already."""

from __future__ import annotations

import bpy
from mathutils import Vector

CLEARANCE = 1.0  # m between the mannequin and what stands there
FLOOR_LIKE = 0.05  # m: what is no higher is a floor to stand on
FARTHEST = 20.0  # m


def free_place(scene: bpy.types.Scene, newcomer: bpy.types.Object) -> float:
    """Where on the x axis the mannequin stands free of what is there already, such as Blender's first cube; m."""
    taken = []
    for ob in scene.objects:
        if ob.type == "MESH" and ob.visible_get() and ob.parent != newcomer:
            corners = [ob.matrix_world @ Vector(corner) for corner in ob.bound_box]
            if max(corner.z for corner in corners) > FLOOR_LIKE:
                across = [corner.x for corner in corners]
                taken.append((min(across) - CLEARANCE, max(across) + CLEARANCE))
    x = 0.0
    for first, last in sorted(taken):
        x = max(x, last) if first < x < last else x
    return min(x, FARTHEST)
