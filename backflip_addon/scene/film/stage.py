# SPDX-License-Identifier: GPL-3.0-or-later
"""The set around a performance: floor, lights and camera, built to the performer's measure; and its shaders, the
backdrop that world and far floor share, and the floor's tiles.

Everything here is in world space and world units; lengths in metres are multiplied by the performer's unit.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, cast

import bpy
import numpy as np
from mathutils import Matrix, Vector

from ... import compat
from ...core.arrays import Array, IntArray
from ..typed_data import current_scene, current_view_layer, pose_bones, rest_bones, subtype
from .camera import build_camera
from .render import SIZE

SET_NAME = "Backflip Set"
_SET_MARK = "backflip_set"  # custom property of what belongs to the set

_FLOOR = 40.0  # m; half the side of the square floor, which fades into the backdrop long before
_MOST_BOXES = 240  # frames at which the performance is measured at most
HUMAN = 1.75  # m; the set is built to the measure of a performer of this height

_HORIZON, _ZENITH = (0.150, 0.190, 0.235), (0.030, 0.042, 0.060)  # linear colours of the backdrop
_TILES = (0.105, 0.112, 0.122), (0.072, 0.079, 0.090)
_LINE = (0.200, 0.210, 0.222)


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

    frames: the scene's own range when not given. yaw: the performer's facing, radians about world z from -Y.
    floor_height: world z of the floor. size: of the picture, pixels across and up. The camera frames the whole
    performance, or follows it where it covers much ground. An earlier set is replaced. The scene gets the set's camera
    and world, until remove_set.
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


class _Nodes:
    """A shader tree in the making: nodes by short calls, inputs wired or set by name or index."""

    def __init__(self, tree: bpy.types.ShaderNodeTree | None) -> None:
        assert tree is not None  # compat.use_nodes has seen to it
        self.tree = tree
        tree.nodes.clear()

    def add(self, kind: str, inputs: Mapping[Any, object] | None = None, **settings: object) -> bpy.types.Node:
        """A node of a kind; inputs: by name or number, a socket to wire or a value; settings: its own properties."""
        node = self.tree.nodes.new(kind)
        for name, value in settings.items():
            setattr(node, name, value)
        for key, value in (inputs or {}).items():
            self._feed(node.inputs[key], value)
        return node

    def _feed(self, socket: bpy.types.NodeSocket, value: object) -> None:
        """Wire an input to another node's output, or set it to a value."""
        if isinstance(value, bpy.types.NodeSocket):
            self.tree.links.new(value, socket)
        else:
            subtype(socket).default_value = value

    def math(self, operation: str, *values: object) -> bpy.types.NodeSocket:
        """The outcome of an operation on sockets or numbers."""
        return self.add("ShaderNodeMath", dict(enumerate(values)), operation=operation).outputs[0]

    def mix(self, share: object, low: object, high: object) -> bpy.types.NodeSocket:
        """The colour share of the way from low to high."""
        colours = [(*c, 1.0) if isinstance(c, tuple) else c for c in (low, high)]
        node = self.add("ShaderNodeMix", data_type="RGBA")
        for index, value in zip((0, 6, 7), (share, *colours), strict=True):
            self._feed(node.inputs[index], value)
        return node.outputs[2]

    def backdrop(self) -> bpy.types.NodeSocket:
        """The studio wall's colour: a gradient up the picture, the same for world and far floor."""
        window = self.add("ShaderNodeTexCoord").outputs["Window"]
        height = self.add("ShaderNodeSeparateXYZ", {0: window}).outputs[1]
        rise = self.add("ShaderNodeMapRange", {0: height, 1: 0.35, 2: 1.05}, interpolation_type="SMOOTHSTEP")
        return self.mix(rise.outputs[0], _HORIZON, _ZENITH)


def build_world(name: str) -> bpy.types.World:
    """The fill light, and behind it, for the camera alone, the backdrop. One world of a name serves all sets."""
    world = bpy.data.worlds.get(name) or bpy.data.worlds.new(name)
    compat.use_nodes(world)
    subtype(
        world
    ).cycles.sampling_method = "NONE"  # an even fill needs no importance map, which costs a third of a frame
    nodes = _Nodes(world.node_tree)
    fill = nodes.add("ShaderNodeBackground", {0: (0.62, 0.74, 0.95, 1.0), 1: 0.42})
    wall = nodes.add("ShaderNodeBackground", {0: nodes.backdrop()})
    seen = nodes.add("ShaderNodeLightPath").outputs["Is Camera Ray"]
    both = nodes.add("ShaderNodeMixShader", {0: seen, 1: fill.outputs[0], 2: wall.outputs[0]})
    nodes.add("ShaderNodeOutputWorld", {0: both.outputs[0]})
    return world


def floor_material(name: str) -> bpy.types.Material:
    """Half-metre tiles with a line every metre, so that speed and travel show; far off it becomes the backdrop."""
    if name in bpy.data.materials:
        return bpy.data.materials[name]
    material = bpy.data.materials.new(name)
    compat.use_nodes(material)
    nodes = _Nodes(material.node_tree)
    place = nodes.add("ShaderNodeTexCoord").outputs["Object"]
    # Off the whole numbers in z, where the checker would flicker.
    lifted = nodes.add("ShaderNodeVectorMath", {0: place, 1: (0, 0, 0.25)}, operation="ADD").outputs[0]
    tiles = nodes.add("ShaderNodeTexChecker", {"Vector": lifted, "Scale": 2.0}).outputs["Fac"]
    axes = nodes.add("ShaderNodeSeparateXYZ", {0: place})
    gaps = [nodes.math("PINGPONG", axes.outputs[i], 0.5) for i in (0, 1)]
    line = nodes.math("LESS_THAN", nodes.math("MINIMUM", *gaps), 0.011)
    colour = nodes.mix(line, nodes.mix(tiles, *_TILES), _LINE)
    shader = {"Base Color": colour, "Roughness": 0.55, "Specular IOR Level": 0.2}
    floor = nodes.add("ShaderNodeBsdfPrincipled", shader)
    away = nodes.add("ShaderNodeVectorMath", {0: place}, operation="LENGTH").outputs["Value"]
    fade = nodes.add("ShaderNodeMapRange", {0: away, 1: 3.5, 2: 11.0}, interpolation_type="SMOOTHSTEP").outputs[0]
    wall = nodes.add("ShaderNodeEmission", {0: nodes.backdrop()})
    both = nodes.add("ShaderNodeMixShader", {0: fade, 1: floor.outputs[0], 2: wall.outputs[0]})
    nodes.add("ShaderNodeOutputMaterial", {0: both.outputs[0]})
    return material
