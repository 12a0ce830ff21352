# SPDX-License-Identifier: GPL-3.0-or-later
"""The set's shaders: the backdrop that world and far floor share, and the floor's tiles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import bpy

from ... import compat
from ..typed_data import subtype

_HORIZON, _ZENITH = (0.150, 0.190, 0.235), (0.030, 0.042, 0.060)  # linear colours of the backdrop
_TILES = (0.105, 0.112, 0.122), (0.072, 0.079, 0.090)
_LINE = (0.200, 0.210, 0.222)


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
