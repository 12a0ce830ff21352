# SPDX-License-Identifier: GPL-3.0-or-later
"""Changing what Blender's exporter wrote as glTF, so that every reader finds it where it was."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

_JSON = 0x4E4F534A  # a GLB's part of this kind holds its description
_NO_SCALE = 1e-6


def finish(path: Path, factor: float) -> None:
    """Scale the scenes of a .glb or .gltf by factor, and the skeletons by nodes of their own.

    Raises OSError or ValueError.
    """
    data = path.read_bytes()
    packed = data[:4] == b"glTF"
    length = struct.unpack_from("<I", data, 12)[0] if packed else 0
    content = json.loads(data[20 : 20 + length] if packed else data)
    changed = _split_scales(content)
    if factor != 1.0:
        _put_on_a_node(content, factor)
    if not changed and factor == 1.0:
        return
    text = json.dumps(content, separators=(",", ":")).encode()
    if packed:
        text += b" " * (-len(text) % 4)
        rest = data[20 + length :]
        head = struct.pack("<4sIIII", b"glTF", 2, 20 + len(text) + len(rest), len(text), _JSON)
        path.write_bytes(head + text + rest)
    else:
        path.write_bytes(text)


def _put_on_a_node(content: dict[str, Any], factor: float) -> None:
    nodes = content.setdefault("nodes", [])
    for scene in content.get("scenes", []):
        nodes.append({"name": "Units", "scale": [factor] * 3, "children": scene.get("nodes", [])})
        scene["nodes"] = [len(nodes) - 1]


def _split_scales(content: dict[str, Any]) -> bool:
    """Give each scaled node that holds joints a node above it that has its scale and its position.

    Blender's importer keeps an armature's scale and sets what hangs on the bones as if there were none. A scale
    that is the same along all axes may as well stand above the rotation. Returns whether anything was changed.
    """
    nodes = content.get("nodes", [])
    joints = {joint for skin in content.get("skins", []) for joint in skin.get("joints", [])}
    above: dict[int, int] = {}
    for index in range(len(nodes)):
        node = nodes[index]
        scale = node.get("scale", [1.0, 1.0, 1.0])
        even = max(scale) - min(scale) <= _NO_SCALE * max(map(abs, scale))
        if index in joints or not joints.intersection(node.get("children", [])):
            continue
        if not even or abs(scale[0] - 1.0) <= _NO_SCALE or "mesh" in node or "matrix" in node:
            continue
        above[index] = len(nodes)
        moved = {key: node.pop(key) for key in ("translation", "scale") if key in node}
        nodes.append({"name": f"{node.get('name', 'Armature')} Scale", **moved, "children": [index]})
    if above:
        _put_above(content, above)
    return bool(above)


def _put_above(content: dict[str, Any], above: dict[int, int]) -> None:
    """Have parents, scenes and animations name the nodes above instead of those below them."""
    own = set(above.values())
    for index, node in enumerate(content["nodes"]):
        if index not in own and "children" in node:
            node["children"] = [above.get(child, child) for child in node["children"]]
    for scene in content.get("scenes", []):
        scene["nodes"] = [above.get(node, node) for node in scene.get("nodes", [])]
    for animation in content.get("animations", []):
        for channel in animation.get("channels", []):
            target = channel["target"]
            if target.get("path") in ("translation", "scale"):
                target["node"] = above.get(target.get("node"), target.get("node"))
