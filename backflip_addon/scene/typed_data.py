# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's data under the particular type that the caller knows it to have.

Blender's stubs declare an object's data as any of a dozen kinds or None, a context's scene as perhaps missing, and so
on. Each function here states, for the type checker alone, what holds at the place where it is called; it tests nothing.
"""

from __future__ import annotations

from typing import Any, cast

import bpy


def armature_data(ob: bpy.types.Object) -> bpy.types.Armature:
    """The data of an armature object."""
    return cast(bpy.types.Armature, ob.data)


def rest_bones(ob: bpy.types.Object) -> bpy.types.bpy_prop_collection[bpy.types.Bone]:
    """The bones of an armature object's data, at rest."""
    return armature_data(ob).bones


def mesh_data(ob: bpy.types.Object) -> bpy.types.Mesh:
    """The data of a mesh object."""
    return cast(bpy.types.Mesh, ob.data)


def pose_bones(ob: bpy.types.Object) -> bpy.types.bpy_prop_collection[bpy.types.PoseBone]:
    """The pose bones of an armature object."""
    return cast(bpy.types.Pose, ob.pose).bones


def ensure_animation_data(owner: bpy.types.Object) -> bpy.types.AnimData:
    """The animation data of an object, made where there is none yet."""
    return cast(bpy.types.AnimData, owner.animation_data_create())


def action_of(data: bpy.types.AnimData | bpy.types.NlaStrip) -> bpy.types.Action:
    """The action that an ID or a strip of its NLA plays, where there is one."""
    return cast(bpy.types.Action, data.action)


def current_scene(context: bpy.types.Context | None = None) -> bpy.types.Scene:
    """The scene of a context, by default Blender's own: there is always one outside of Blender's start and end."""
    return cast(bpy.types.Scene, (context or bpy.context).scene)


def current_view_layer(context: bpy.types.Context | None = None) -> bpy.types.ViewLayer:
    """The view layer of a context, by default Blender's own: there is one where there is a scene."""
    return cast(bpy.types.ViewLayer, (context or bpy.context).view_layer)


def depsgraph_of(scene: bpy.types.Scene) -> bpy.types.Depsgraph:
    """The dependency graph of a scene's first view layer, once the scene has been evaluated."""
    return cast(bpy.types.Depsgraph, scene.view_layers[0].depsgraph)


def subtype(thing: Any) -> Any:
    """Something whose properties the stubs lack, which show those of its base type alone, and the caller knows."""
    return thing
