# SPDX-License-Identifier: GPL-3.0-or-later
"""The mannequin as Blender objects: its armature, its skin bound to it, and a place for them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import bpy
import numpy as np
from mathutils import Vector

from ... import compat
from ...core.slices import Slices, apart, at_once
from ..typed_data import armature_data, current_scene, current_view_layer, pose_bones, subtype
from .shape import BONES, MATERIALS, NAME, Bone
from .skin import Skin, build_skin, right_name

CLEARANCE = 1.0  # m between the mannequin and what stands there
FLOOR_LIKE = 0.05  # m: what is no higher is a floor to stand on
FARTHEST = 20.0  # m


def add_mannequin(context: bpy.types.Context, name: str = NAME) -> bpy.types.Object:
    """Add the mannequin at the world's origin; returns its armature object, selected and active."""
    return at_once(add_mannequin_slices(context, name))


def add_mannequin_slices(context: bpy.types.Context, name: str = NAME) -> Slices[bpy.types.Object]:
    """add_mannequin() in slices; nothing is added before all is worked out."""
    skin = yield from apart(build_skin)
    collection = _visible_collection(context)
    armature = _add_armature(context, collection, name)
    mesh = bpy.data.objects.new(f"{name} Skin", _build_mesh(f"{name} Skin", skin))
    collection.objects.link(mesh)
    _add_weights(mesh, skin)
    mesh.parent = armature
    modifier = subtype(mesh.modifiers.new("Armature", "ARMATURE"))
    modifier.object = armature
    current_view_layer(context).update()
    return armature


def remove_mannequin(armature: bpy.types.Object) -> None:
    """Take out a mannequin that was just added, with its skin."""
    meshes = [child.data for child in armature.children]
    data = armature.data
    bpy.data.batch_remove([*armature.children, armature])
    bpy.data.batch_remove([each for each in (*meshes, data) if each is not None])


def _visible_collection(context: bpy.types.Context) -> bpy.types.Collection:
    """The active collection, or the scene's own where the active one is hidden, excluded or another file's."""
    active = current_view_layer(context).active_layer_collection
    if active is not None and active.is_visible and not active.exclude and active.collection.is_editable:
        return active.collection
    return current_scene(context).collection


def _add_armature(context: bpy.types.Context, collection: bpy.types.Collection, name: str) -> bpy.types.Object:
    armature = bpy.data.objects.new(name, bpy.data.armatures.new(name))
    collection.objects.link(armature)
    armature.show_in_front = True
    with _editing(context, armature):
        for bone in BONES:
            _add_bone(armature_data(armature), bone, mirror=1)
            if bone.name.endswith(".L"):
                _add_bone(armature_data(armature), bone, mirror=-1)
    for posed in pose_bones(armature):
        posed.rotation_mode = "QUATERNION"
    return armature


def _add_bone(data: bpy.types.Armature, shape: Bone, mirror: int) -> None:
    """Add a bone in edit mode as it is, or, mirror being -1, on the right."""
    side = right_name if mirror < 0 else str
    bone = data.edit_bones.new(side(shape.name))
    bone.head = (mirror * shape.head[0], shape.head[1], shape.head[2])
    bone.tail = (mirror * shape.tail[0], shape.tail[1], shape.tail[2])
    # Every bone's z axis faces forward, a foot's up: bending knees and elbows is a turn about local x.
    bone.align_roll((0, 0, 1) if shape.name.startswith(("foot", "toe")) else (0, -1, 0))
    if shape.parent:
        bone.parent = data.edit_bones[side(shape.parent)]
        bone.use_connect = shape.connected


@contextlib.contextmanager
def _editing(context: bpy.types.Context, armature: bpy.types.Object) -> Iterator[None]:
    """Edit mode on the armature, which is left selected and active, in object mode."""
    layer = current_view_layer(context)
    if layer.objects.active is not None and layer.objects.active.mode != "OBJECT":
        bpy.ops.object.mode_set(mode="OBJECT")
    for other in layer.objects:
        other.select_set(False)
    armature.select_set(True)
    layer.objects.active = armature
    with context.temp_override(active_object=armature, object=armature, selected_objects=[armature]):
        bpy.ops.object.mode_set(mode="EDIT")
        try:
            yield
        finally:
            bpy.ops.object.mode_set(mode="OBJECT")


def _build_mesh(name: str, skin: Skin) -> bpy.types.Mesh:
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(np.concatenate(skin.vertices).tolist(), [], skin.faces)
    for material in MATERIALS:
        mesh.materials.append(_material(*material))
    mesh.polygons.foreach_set("material_index", skin.materials)
    mesh.polygons.foreach_set("use_smooth", [True] * len(skin.faces))
    mesh.update()
    return mesh


def _add_weights(mesh: bpy.types.Object, skin: Skin) -> None:
    """Give the mesh a vertex group for each bone."""
    for bone, indices, values in skin.weights:
        group = mesh.vertex_groups.get(bone) or mesh.vertex_groups.new(name=bone)
        for value in np.unique(values):
            group.add(indices[values == value].tolist(), float(value), "REPLACE")


def _material(name: str, colour: tuple[float, float, float], roughness: float) -> bpy.types.Material:
    """The material of that name, made at first need and shared by all mannequins."""
    material = bpy.data.materials.get(name)
    if material is None:
        material = bpy.data.materials.new(name)
        compat.use_nodes(material)
        subtype(material).diffuse_color = (*colour, 1.0)  # what the viewport's solid mode shows
        nodes = subtype(material.node_tree).nodes
        shader = next(node for node in nodes if node.type == "BSDF_PRINCIPLED")
        shader.inputs["Base Color"].default_value = (*colour, 1.0)
        shader.inputs["Roughness"].default_value = roughness
    return material


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
