# SPDX-License-Identifier: GPL-3.0-or-later
"""Having Blender evaluate what the user's scene may not show: hidden, excluded, in no scene at all.

What nothing visible depends on is not evaluated, and keeps whatever pose and place it had last. So a
probe, which is visible, is made to depend on it; the user's own settings are left alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

import bpy

from ..armature.hierarchy import attached_objects
from ..typed_data import armature_data, current_scene, current_view_layer, subtype


@contextlib.contextmanager
def evaluation_scene(armature: bpy.types.Object, others: Iterable[bpy.types.Object] = ()) -> Iterator[bpy.types.Scene]:
    """A scene that evaluates the armature with all its bones, and other objects; gone afterwards.

    It has the current scene's frame rate. Nothing else is in it but what these depend on.
    """
    source = current_scene()
    scene = bpy.data.scenes.new("Backflip Evaluation")
    posed = armature_data(armature).pose_position
    try:
        scene.collection.objects.link(armature)
        scene.render.fps, scene.render.fps_base = source.render.fps, source.render.fps_base
        if posed != "POSE":
            armature_data(armature).pose_position = "POSE"
        with _probing(scene.collection, armature, others):
            yield scene
    finally:
        if posed != "POSE":
            armature_data(armature).pose_position = posed
        bpy.data.scenes.remove(scene)


@contextlib.contextmanager
def evaluated_in(scene: bpy.types.Scene, armature: bpy.types.Object) -> Iterator[None]:
    """Have a scene of the user's evaluate the armature, posed, though it may hide it."""
    posed = armature_data(armature).pose_position
    try:
        if posed != "POSE":
            armature_data(armature).pose_position = "POSE"
        with _probing(scene.collection, armature, ()):
            yield
    finally:
        if posed != "POSE":
            armature_data(armature).pose_position = posed


def update_world_matrices(armature: bpy.types.Object) -> None:
    """Bring the world matrices of an armature, and of what hangs on it, up to date where the scene hides them."""
    hidden = [ob for ob in (armature, *attached_objects(armature)) if not ob.visible_get()]
    if not hidden:
        return
    with _probing(current_scene().collection, armature, hidden, shapes=False):
        current_view_layer().update()


@contextlib.contextmanager
def _probing(
    collection: bpy.types.Collection,
    armature: bpy.types.Object,
    others: Iterable[bpy.types.Object],
    shapes: bool = True,
) -> Iterator[None]:
    """A visible object that depends on every bone of an armature, and on the place (and shape) of other objects."""
    mesh = bpy.data.meshes.new("Backflip Probe")
    mesh.from_pydata([(0.0, 0.0, 0.0)], [], [])  # an empty mesh evaluates no modifiers
    probe = bpy.data.objects.new("Backflip Probe", mesh)
    try:
        modifier = subtype(probe.modifiers.new("Armature", "ARMATURE"))
        modifier.object = armature
        modifier.use_bone_envelopes = True  # vertex groups alone would depend on their bones alone
        for ob in others:
            follow = subtype(probe.constraints.new("COPY_LOCATION"))
            follow.target = ob
            if shapes and ob.type == "MESH":
                follow.subtarget = "Backflip Probe"  # a vertex group, there or not, has it depend on the shape
        collection.objects.link(probe)
        yield
    finally:
        bpy.data.objects.remove(probe)
        bpy.data.meshes.remove(mesh)
