# SPDX-License-Identifier: GPL-3.0-or-later
"""What an exported file holds, read from the file itself: as much as tells whether the shot is in it."""

from __future__ import annotations

import dataclasses
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .. import rotations
from ..arrays import Array
from ..clips import bvh
from ..formats import gltf_limits
from ..reading import told

_FBX_START = 27  # bytes before a binary FBX's first node
_KTIME = 46_186_158_000  # FBX's units of time a second
_SIZES = {b"Y": ("<h", 2), b"C": ("<B", 1), b"I": ("<i", 4), b"F": ("<f", 4), b"D": ("<d", 8), b"L": ("<q", 8)}


@dataclasses.dataclass(frozen=True)
class Facts:
    """meshes: names of the objects with geometry. seconds: how long the animation is, 0 for none.

    size: how far the bones' heads at rest (without bones, the geometry) lie apart, m, the diagonal of their box;
    0 where the file does not tell.
    """

    meshes: frozenset[str]
    bones: int
    seconds: float
    size: float


def diagonal(points: Array) -> float:
    """Of the box round points (N, 3)."""
    return float(np.linalg.norm(np.ptp(points, axis=0))) if len(points) else 0.0


def of_bvh(path: Path) -> Facts:
    """Raises UnreadableFile."""
    rig, matrices, rate = bvh.read_bvh(path, up="Y")
    return Facts(frozenset(), len(rig.bones), (len(matrices) - 1) / rate, diagonal(rig.heads))


# glTF


@told
def of_gltf(path: Path) -> Facts:
    """Raises UnreadableFile."""
    content = gltf_limits.read_content(path)
    nodes = content.get("nodes", [])
    joints = sorted({joint for skin in content.get("skins", []) for joint in skin["joints"]})
    world = _node_matrices(nodes)
    times = [
        content["accessors"][sampler["input"]]
        for animation in content.get("animations", [])
        for sampler in animation["samplers"]
    ]
    seconds = max((t["max"][0] for t in times), default=0.0) - min((t["min"][0] for t in times), default=0.0)
    heads = np.array([world[joint][:3, 3] for joint in joints]).reshape(-1, 3)
    named = frozenset(str(node.get("name", "")) for node in nodes if "mesh" in node)
    return Facts(named, len(joints), float(seconds), diagonal(heads))


def _node_matrices(nodes: list[dict[str, Any]]) -> list[Array]:
    """World matrices (4, 4) of a glTF's nodes, y up."""
    parents = {child: i for i, node in enumerate(nodes) for child in node.get("children", [])}
    world: dict[int, Array] = {}
    for index in range(len(nodes)):
        line = [index]
        while line[-1] in parents and line[-1] not in world and len(line) <= len(nodes):
            line.append(parents[line[-1]])
        for i in reversed(line):
            if i not in world:
                world[i] = world.get(parents.get(i, -1), np.eye(4)) @ _node_matrix(nodes[i])
    return [world[i] for i in range(len(nodes))]


def _node_matrix(node: dict[str, Any]) -> Array:
    if "matrix" in node:
        return np.array(node["matrix"], dtype=float).reshape(4, 4).T
    x, y, z, w = node.get("rotation", (0.0, 0.0, 0.0, 1.0))
    matrix = np.eye(4)
    matrix[:3, :3] = rotations.to_matrix(np.array([w, x, y, z])) * np.array(node.get("scale", (1.0, 1.0, 1.0)))
    matrix[:3, 3] = node.get("translation", (0.0, 0.0, 0.0))
    return matrix


# FBX


@dataclasses.dataclass(frozen=True)
class _Node:
    """A node of a binary FBX. start: where its properties begin; inside, end: where its children do, and it."""

    name: bytes
    count: int
    start: int
    inside: int
    end: int


@told
def of_fbx(path: Path) -> Facts:
    """Of a binary file. Raises UnreadableFile."""
    data = path.read_bytes()
    wide = struct.unpack_from("<I", data, 23)[0] >= 7500
    top = {node.name: node for node in _nodes(data, _FBX_START, len(data), wide)}
    objects = list(_nodes(data, top[b"Objects"].inside, top[b"Objects"].end, wide))
    models = {p[0]: (p[1], p[2]) for n in objects if n.name == b"Model" for p in [_properties(data, n)]}
    bones = {identity for identity, (_, kind) in models.items() if kind == b"LimbNode"}
    settings = _settings(data, top[b"GlobalSettings"], wide)
    stacks = [_settings(data, node, wide) for node in objects if node.name == b"AnimationStack"]
    seconds = max((s.get(b"LocalStop", 0) - s.get(b"LocalStart", 0) for s in stacks), default=0) / _KTIME
    positions = [
        position
        for node in objects
        if node.name == b"Pose"
        for identity, position in _bind_pose(data, node, wide)
        if identity in bones
    ]
    metres = settings.get(b"UnitScaleFactor", 1.0) / 100.0  # its units are centimetres
    names = [name.split(b"\0")[0].decode(errors="replace") for name, kind in models.values() if kind == b"Mesh"]
    return Facts(frozenset(names), len(bones), seconds, diagonal(np.array(positions).reshape(-1, 3)) * metres)


def _nodes(data: bytes, at: int, end: int, wide: bool) -> Iterator[_Node]:
    """The nodes that follow one another in a part of a file."""
    head = struct.Struct("<QQQB" if wide else "<IIIB")
    while at + head.size <= end:
        stop, count, length, name = head.unpack_from(data, at)
        if stop <= at:  # the list ends, or the file is damaged
            return
        start = at + head.size + name
        yield _Node(data[at + head.size : start], count, start, start + length, stop)
        at = stop


def _properties(data: bytes, node: _Node) -> list[Any]:
    """A node's properties: numbers, bytes and arrays of doubles; None for arrays of other kinds."""
    found: list[Any] = []
    at = node.start
    for _ in range(node.count):
        kind, at = data[at : at + 1], at + 1
        if kind in _SIZES:
            form, size = _SIZES[kind]
            found.append(struct.unpack_from(form, data, at)[0])
            at += size
        elif kind in (b"S", b"R"):
            length = struct.unpack_from("<I", data, at)[0]
            found.append(data[at + 4 : at + 4 + length])
            at += 4 + length
        else:
            _length, packed, stored = struct.unpack_from("<III", data, at)
            part = data[at + 12 : at + 12 + stored]
            numbers = np.frombuffer(zlib.decompress(part) if packed else part, "<f8") if kind == b"d" else None
            found.append(numbers)
            at += 12 + stored
    return found


def _settings(data: bytes, node: _Node, wide: bool) -> dict[bytes, Any]:
    """The named values that a node has."""
    found: dict[bytes, Any] = {}
    for part in _nodes(data, node.inside, node.end, wide):
        if part.name == b"Properties70":
            for entry in _nodes(data, part.inside, part.end, wide):
                values = _properties(data, entry)
                found[values[0]] = values[-1]
    return found


def _bind_pose(data: bytes, node: _Node, wide: bool) -> Iterator[tuple[int, Array]]:
    """Objects and where they are (3,) when the skin is bound."""
    for part in _nodes(data, node.inside, node.end, wide):
        if part.name == b"PoseNode":
            inner = {n.name: _properties(data, n)[0] for n in _nodes(data, part.inside, part.end, wide)}
            yield inner[b"Node"], np.asarray(inner[b"Matrix"])[12:15]
