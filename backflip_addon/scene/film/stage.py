# SPDX-License-Identifier: GPL-3.0-or-later
"""The set around a performance: floor, lights and camera, built to the performer's measure.

Everything here is in world space and world units; lengths in metres are multiplied by the performer's unit.
"""

from __future__ import annotations

import dataclasses
import math
from typing import cast

import bpy
import numpy as np
from mathutils import Matrix, Vector

from ...core.arrays import Array, IntArray
from ..typed_data import current_scene, current_view_layer, pose_bones, rest_bones
from .camera import build_camera
from .render import SIZE
from .shaders import build_world, floor_material

SET_NAME = "Backflip Set"
_SET_MARK = "backflip_set"  # custom property of what belongs to the set

_FLOOR = 40.0  # m; half the side of the square floor, which fades into the backdrop long before
_MOST_BOXES = 240  # frames at which the performance is measured at most
HUMAN = 1.75  # m; the set is built to the measure of a performer of this height


@dataclasses.dataclass(frozen=True)
class FilmSet:
    """What build_set put into the scene."""

    collection: bpy.types.Collection
    camera: bpy.types.Object
    floor: bpy.types.Object
    lights: tuple[bpy.types.Object, ...]


def build_set(
    context: bpy.types.Context,
    armature: bpy.types.Object,
    frames: tuple[int, int] | None = None,
    yaw: float = 0.0,
    floor_height: float = 0.0,
    size: tuple[int, int] = SIZE,
) -> FilmSet:
    """Put floor, light and camera around what armature does from the first to the last of frames.

    frames: the scene's own range when not given. yaw: the performer's facing, radians about world z
    from -Y. floor_height: world z of the floor. size: of the picture, pixels across and up. The camera
    frames the whole performance, or follows it where it covers much ground. A set built earlier in this
    scene is replaced. The scene gets the set's camera and world, until remove_set.
    """
    scene = current_scene(context)
    first, last = frames or (scene.frame_start, scene.frame_end)
    remove_set(scene)
    before = {"camera_before": scene.camera, "world_before": scene.world}
    boxes, at = _performance_boxes(context, armature, first, last)
    unit = _standing_height(armature) / HUMAN
    centre = (boxes.min(axis=(0, 1)) + boxes.max(axis=(0, 1))) / 2
    ground = np.array([centre[0], centre[1], floor_height])

    collection = bpy.data.collections.new(SET_NAME)
    collection[_SET_MARK] = True
    for name, thing in before.items():
        if thing is not None:
            collection[name] = thing
    scene.collection.children.link(collection)
    floor = _build_floor(collection, ground, unit)
    lights = _build_lights(collection, ground, unit, yaw)
    camera = build_camera(f"{SET_NAME} Camera", boxes, at, scene.render.fps / scene.render.fps_base, unit, yaw, size)
    collection.objects.link(camera)
    scene.camera = camera
    scene.world = build_world(SET_NAME)
    current_view_layer(context).update()
    return FilmSet(collection, camera, floor, lights)


def remove_set(scene: bpy.types.Scene) -> None:
    """Remove the set that build_set put into this scene, if any; its camera and world before come back."""
    for collection in [c for c in scene.collection.children if c.get(_SET_MARK)]:
        scene.camera, scene.world = collection.get("camera_before"), collection.get("world_before")
        for thing in list(collection.objects):
            data = thing.data
            bpy.data.objects.remove(thing)
            if data is not None and data.users == 0:
                bpy.data.batch_remove([data])
        bpy.data.collections.remove(collection)


def _performance_boxes(
    context: bpy.types.Context, armature: bpy.types.Object, first: int, last: int
) -> tuple[Array, IntArray]:
    """Corners (F, 8, 3), world, of the box around performer and skin in F frames, and those frames (F,)."""
    scene = current_scene(context)
    before, below = scene.frame_current, scene.frame_subframe
    at = np.unique(np.linspace(first, last, min(last - first + 1, _MOST_BOXES)).round().astype(int))
    skins = [thing for thing in scene.objects if _is_seen_on(thing, armature)]
    boxes = []
    try:
        for frame in at:
            scene.frame_set(int(frame))
            boxes.append(_box(context.evaluated_depsgraph_get(), armature, skins))
    finally:
        scene.frame_set(before, subframe=below)
    return np.array(boxes), at


def _is_seen_on(thing: bpy.types.Object, armature: bpy.types.Object) -> bool:
    """Whether the mesh thing is moved by armature and will be seen in the render."""
    if thing.type != "MESH" or thing.hide_render:
        return False
    return thing.parent is armature or any(
        isinstance(m, bpy.types.ArmatureModifier) and m.object is armature for m in thing.modifiers
    )


def _box(depsgraph: bpy.types.Depsgraph, armature: bpy.types.Object, skins: list[bpy.types.Object]) -> Array:
    """Corners (8, 3), world, of the box around the skins, or around the bones where there are none."""
    points: list[Vector] = []
    for thing in skins:
        evaluated = thing.evaluated_get(depsgraph)
        points += [evaluated.matrix_world @ Vector(corner) for corner in evaluated.bound_box]
    if not points:
        posed = armature.evaluated_get(depsgraph)
        points = [posed.matrix_world @ end for bone in pose_bones(posed) for end in (bone.head, bone.tail)]
    corners = np.array(points, dtype=float)
    low, high = corners.min(axis=0), corners.max(axis=0)
    picks = np.array(np.meshgrid([0, 1], [0, 1], [0, 1])).reshape(3, 8).T
    return np.where(picks, high, low)


def _standing_height(armature: bpy.types.Object) -> float:
    """The rest skeleton's height in world units; a skeleton without height counts as human."""
    ends = [armature.matrix_world @ end for b in rest_bones(armature) for end in (b.head_local, b.tail_local)]
    height = float(np.ptp([end.z for end in ends])) if ends else 0.0
    return height if height > 1e-6 else HUMAN


def _build_lights(
    collection: bpy.types.Collection, ground: Array, unit: float, yaw: float
) -> tuple[bpy.types.Object, ...]:
    """A warm soft key from the camera's side and a cool rim from behind: suns, so they light any length of floor.

    ground: the middle of the floor (3,), world. unit: world units per metre of a human performer.
    """
    lights = []
    for name, azimuth, height, strength, softness, colour in (
        ("Key", -70.0, 60.0, 3.6, 12.0, (1.0, 0.93, 0.84)),
        ("Rim", 145.0, 55.0, 1.5, 10.0, (0.70, 0.84, 1.0)),
    ):
        data = cast(bpy.types.SunLight, bpy.data.lights.new(f"{SET_NAME} {name}", "SUN"))
        data.energy, data.angle, data.color = strength, math.radians(softness), colour
        light = bpy.data.objects.new(data.name, data)
        collection.objects.link(light)
        turn = Matrix.Rotation(yaw + math.radians(azimuth), 4, "Z") @ Matrix.Rotation(math.radians(90 - height), 4, "Y")
        light.matrix_world = Matrix.Translation(ground.tolist()) @ turn @ Matrix.Translation((0, 0, 5 * unit))
        lights.append(light)
    return tuple(lights)


def _build_floor(collection: bpy.types.Collection, ground: Array, unit: float) -> bpy.types.Object:
    """The floor about ground (3,), world; unit: world units per metre of a human performer."""
    mesh = bpy.data.meshes.new(f"{SET_NAME} Floor")
    mesh.from_pydata(
        [(-_FLOOR, -_FLOOR, 0), (_FLOOR, -_FLOOR, 0), (_FLOOR, _FLOOR, 0), (-_FLOOR, _FLOOR, 0)], [], [(0, 1, 2, 3)]
    )
    mesh.materials.append(floor_material(f"{SET_NAME} Floor"))
    floor = bpy.data.objects.new(mesh.name, mesh)
    floor.location = ground.tolist()
    floor.scale = (unit, unit, unit)  # so the material counts in the performer's metres
    collection.objects.link(floor)
    return floor
