# SPDX-License-Identifier: GPL-3.0-or-later
"""glTF files whose skeleton is of plain nodes: animations without a mesh, robots of rigid parts, VRM among them.
Some have a skin that names but a part of it.

Blender's importer makes bones of a skin's joints alone, and empties of all other nodes. So such a file is written anew
as a GLB with a skin that names its nodes: their transforms, their animations and what hangs on them stay as they are.
"""

from __future__ import annotations

import contextlib
import copy
import json
import mimetypes
import struct
from pathlib import Path
from typing import Any

from ..files import read_limited
from ..reading import MOST_JOINTS, told
from ..rigs.joint_nodes import Node, skeletons
from .gltf_limits import MOST_BYTES, beside, meshopt, read_content, read_gltf

_JSON, _BINARY = 0x4E4F534A, 0x004E4942
_FEWEST_OUTSIDE = 4  # moving nodes that no skin names, where the skin is taken for a part; fewer are props


@told
def with_bones(path: Path) -> bytes | None:
    """A GLB of the file with its nodes as bones; None where its skins name them, or they are too few for a character.

    Raises UnreadableFile.
    """
    if _has_bones(read_content(path)):
        return None
    file = read_gltf(path)
    content = copy.deepcopy(file.content)
    found = skeletons(_plain(content.get("nodes", [])), _moved(content))
    if not found or sum(map(len, found)) > MOST_JOINTS:
        return None
    content["skins"] = [*content.get("skins", []), *({"joints": joints} for joints in found)]
    return _packed(content, file.buffers, path)


def humanoid(content: dict[str, Any]) -> dict[str, int]:
    """VRM's map of a file, VRM's bone name -> node; empty when there is none. Raises KeyError and the like."""
    extensions = content.get("extensions", {})
    for name in ("VRMC_vrm", "VRMC_vrm_animation"):  # VRM 1: {"hips": {"node": 3}, ...}
        if name in extensions:
            return {bone: int(node["node"]) for bone, node in extensions[name]["humanoid"]["humanBones"].items()}
    if "VRM" in extensions:  # VRM 0: [{"bone": "hips", "node": 3}, ...]
        return {str(bone["bone"]): int(bone["node"]) for bone in extensions["VRM"]["humanoid"]["humanBones"]}
    return {}


def _has_bones(content: dict[str, Any]) -> bool:
    """Whether a file's skins name its joints: all but a few nodes that move are joints, or above one, or a mesh."""
    if not content.get("skins"):
        return False
    nodes = content.get("nodes", [])
    joints = {joint for skin in content["skins"] for joint in skin.get("joints", ())}
    above = {child: node for node, item in enumerate(nodes) for child in item.get("children", ())}
    held = set(joints)
    for joint in joints:
        while (joint := above.get(joint, -1)) not in held and joint >= 0:
            held.add(joint)
    outside = [node for node in _moved(content) if node not in held and "mesh" not in nodes[node]]
    return len(outside) < _FEWEST_OUTSIDE


def _moved(content: dict[str, Any]) -> set[int]:
    """The nodes that an animation moves, or that a humanoid map names."""
    channels = [channel for animation in content.get("animations", []) for channel in animation.get("channels", [])]
    targets = {channel.get("target", {}).get("node") for channel in channels}
    with contextlib.suppress(AttributeError, KeyError, TypeError, ValueError):  # a damaged map names nothing
        targets.update(humanoid(content).values())
    return {node for node in targets if isinstance(node, int) and 0 <= node < len(content.get("nodes", []))}


def _plain(nodes: list[dict[str, Any]]) -> list[Node]:
    return [
        Node(
            tuple(node.get("children", ())),
            "mesh" in node,
            "camera" in node or "KHR_lights_punctual" in node.get("extensions", {}),
            tuple(node["matrix"][12:15] if "matrix" in node else node.get("translation", (0.0, 0.0, 0.0))),
        )
        for node in nodes
    ]


def _packed(content: dict[str, Any], buffers: list[bytes], path: Path) -> bytes:
    """A GLB of a description and its buffers, and of the images that lie beside it."""
    binary = bytearray()
    starts = []
    for buffer in buffers:
        starts.append(_append(binary, buffer))
    views = content.setdefault("bufferViews", [])
    for view in views:
        view["byteOffset"] = view.get("byteOffset", 0) + starts[view["buffer"]]
        view["buffer"] = 0
        if (packed := meshopt(view)) is not None:
            packed["byteOffset"] = packed.get("byteOffset", 0) + starts[packed["buffer"]]
            packed["buffer"] = 0
    for image in content.get("images", []):
        if isinstance(uri := image.get("uri"), str) and not uri.startswith("data:"):
            del image["uri"]
            image["mimeType"] = mimetypes.guess_type(uri)[0] or "image/png"
            file = beside(path, uri)
            data = read_limited(file, MOST_BYTES, follow=True) if file.is_file() else b""
            image["bufferView"] = len(views)
            views.append({"buffer": 0, "byteOffset": _append(binary, data), "byteLength": len(data)})
    content["buffers"] = [{"byteLength": len(binary)}] if binary else []
    text = json.dumps(content).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<II", len(text), _JSON) + text + struct.pack("<II", len(binary), _BINARY) + bytes(binary)
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def _append(binary: bytearray, data: bytes) -> int:
    """Put data behind what is there, at a multiple of 8 bytes; returns where it begins."""
    binary += bytes(-len(binary) % 8)
    start = len(binary)
    binary += data
    binary += bytes(-len(binary) % 4)
    return start
