# SPDX-License-Identifier: GPL-3.0-or-later
"""VRM animations (VRMA): glTF without a mesh, whose nodes a humanoid map names.

Blender's importer makes an armature of skins alone, and a VRMA has none; so it is read here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .. import rotations
from ..arrays import Array
from ..formats.gltf_limits import Gltf, meshopt, read_gltf
from ..reading import MOST_JOINTS, UnreadableFile, finite, most_poses, told
from ..rigs.rig import Rig

_Node = tuple[str, Array, Array]  # name, rotation (4,) and translation (3,)
_Channel = tuple[Array, Array, bool]  # key times (K,), s, values (K, n), whether they are held from key to key
_Channels = dict[tuple[int, str], _Channel]  # by node, and "rotation" or "translation"

RATE = 60.0  # Hz, at which channels are sampled
_MOST_SECONDS = 1000.0  # of an animation
_TO_Z_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
_MOST_NUMBERS = 20_000_000  # of all channels together: several may share what is stored once


@told
def read_vrma(path: Path) -> tuple[Rig, Array, float]:
    """The skeleton with its humanoid map as hints, its motion (F, B, 4, 4), world z up, and its rate.

    Raises ValueError with one sentence.
    """
    file = read_gltf(path)
    try:
        bones = file.content["extensions"]["VRMC_vrm_animation"]["humanoid"]["humanBones"]
        named = {str(name): int(bone["node"]) for name, bone in bones.items()}
        nodes, parents = _nodes(file.content)
        channels = _channels(file)
    except (KeyError, IndexError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise UnreadableFile(
            f"{path.name} is not a VRM animation, or is damaged: {str(error)[:100]} is missing or wrong."
        ) from error
    return _motion(path, nodes, parents, channels, named)


def _accessor(file: Gltf, index: Any) -> Array:
    """An accessor's numbers (N, width), normalised ones as fractions."""
    values, accessor = file.numbers(_count(index)), file.content["accessors"][index]
    view = file.content["bufferViews"][accessor["bufferView"]] if "bufferView" in accessor else {}
    if "sparse" in accessor or meshopt(view) is not None:
        raise ValueError("an animation that is neither sparse nor packed by meshopt")
    if accessor.get("normalized") and values.dtype.kind in "iu":
        return values / float(np.iinfo(values.dtype).max)
    return values.astype(float)


def _count(value: Any) -> int:
    """An index, which a negative number is not."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError("a whole number that is not negative")
    return value


def _nodes(gltf: dict[str, Any]) -> tuple[list[_Node], list[int]]:
    """Name, rotation (4,) and translation (3,) of each node, and its parent; scale is left out."""
    nodes: list[_Node] = []
    parents = [-1] * len(gltf["nodes"])
    if len(parents) > MOST_JOINTS:
        raise ValueError(f"a skeleton of at most {MOST_JOINTS} nodes")
    for i, node in enumerate(gltf["nodes"]):
        x, y, z, w = node.get("rotation", (0.0, 0.0, 0.0, 1.0))
        rotation, position = np.array([w, x, y, z]), np.array(node.get("translation", (0.0, 0.0, 0.0)), dtype=float)
        if "matrix" in node:
            matrix = np.array(node["matrix"], dtype=float).reshape(4, 4).T
            rotation, position = rotations.from_matrix(matrix[:3, :3]), matrix[:3, 3]
        nodes.append((str(node.get("name", f"node {i}")), rotation, position))
        if rotation.shape != (4,) or position.shape != (3,) or not finite(rotation, position):
            raise ValueError("a node's finite position and rotation")
        for child in node.get("children", ()):
            parents[_count(child)] = i
    return nodes, parents


def _channels(file: Gltf) -> _Channels:
    """The channels of the file's first animation."""
    animation = file.content["animations"][0]
    found: _Channels = {}
    numbers = 0
    for channel in animation["channels"]:
        target, sampler = channel["target"], animation["samplers"][channel["sampler"]]
        if target["path"] not in ("rotation", "translation") or "node" not in target:
            continue
        times, values = (_accessor(file, sampler[key]) for key in ("input", "output"))
        numbers += times.size + values.size
        if numbers > _MOST_NUMBERS:
            raise ValueError(f"an animation of at most {_MOST_NUMBERS:,} numbers")
        if not len(times) or times.shape[1] != 1 or np.any(np.diff(times[:, 0]) < 0):
            raise ValueError("a channel whose times rise")
        if sampler.get("interpolation") == "CUBICSPLINE":
            values = values.reshape(len(times), 3, -1)[:, 1]  # between its tangents
        if values.shape != (len(times), 4 if target["path"] == "rotation" else 3):
            raise ValueError("a channel with a value for each time")
        found[target["node"], target["path"]] = (times[:, 0], values, sampler.get("interpolation") == "STEP")
    return found


def _motion(
    path: Path, nodes: list[_Node], parents: list[int], channels: _Channels, named: dict[str, int]
) -> tuple[Rig, Array, float]:
    last = max((float(times[-1]) for times, _, _ in channels.values()), default=0.0)
    if not 0.0 < last < _MOST_SECONDS:
        raise ValueError(f"{path.name} moves nothing, or lasts too long: choose another animation.")
    seconds = np.arange(int(round(last * RATE)) + 1) / RATE
    if len(seconds) * len(nodes) > most_poses(sum(values.size for _, values, _ in channels.values())):
        raise UnreadableFile(f"{path.name} is too long for a skeleton of {len(nodes)} nodes: choose a shorter one.")
    order: list[int] = []
    waiting = [i for i, parent in enumerate(parents) if parent < 0]
    while waiting:
        order.append(waiting.pop())
        waiting += [i for i, parent in enumerate(parents) if parent == order[-1]]
    rest: dict[int, Array] = {}
    moved: dict[int, Array] = {}
    for node in order:
        _, rotation, position = nodes[node]
        local = _matrices(rotation[None], position[None])
        orientations = _sampled(channels.get((node, "rotation")), seconds, rotation, is_rotation=True)
        positions = _sampled(channels.get((node, "translation")), seconds, position, is_rotation=False)
        motion = _matrices(orientations, positions)
        above = parents[node]
        rest[node] = rest[above] @ local if above >= 0 else local
        moved[node] = moved[above] @ motion if above >= 0 else motion
    convert = np.eye(4)
    convert[:3, :3] = _TO_Z_UP
    matrices = convert @ np.stack([moved[node] for node in order], axis=1)
    if not np.isfinite(matrices).all():
        raise ValueError(f"{path.name} holds numbers that are not finite.")
    names = _unique([nodes[node][0] for node in order])
    index = {node: i for i, node in enumerate(order)}
    bone_parents = tuple(index.get(parents[node], -1) for node in order)
    standing = (convert @ np.stack([rest[node][0] for node in order])).astype(float)
    heads = standing[:, :3, 3]
    tails = heads + standing[:, :3, 1] * 0.05
    for i, parent in enumerate(bone_parents):
        if parent >= 0:
            tails[parent] = heads[i]
    hints = {name: names[index[node]] for name, node in named.items() if node in index}
    rig = Rig(path.stem, names, bone_parents, standing, tails, (False,) * len(names), hints=hints)
    return rig, matrices, RATE


def _matrices(orientations: Array, positions: Array) -> Array:
    out = np.zeros((len(orientations), 4, 4))
    out[:, :3, :3], out[:, :3, 3], out[:, 3, 3] = rotations.to_matrix(rotations.normalise(orientations)), positions, 1.0
    return out


def _sampled(channel: _Channel | None, seconds: Array, still: Array, is_rotation: bool) -> Array:
    """A channel's values (F, 3 or 4) at times (F,), the node's own where nothing moves it."""
    if channel is None:
        return np.tile(still, (len(seconds), 1))
    times, values, held = channel
    if is_rotation:
        values = rotations.continuous(values[:, [3, 0, 1, 2]])
    after = np.clip(np.searchsorted(times, seconds, side="right"), 1, max(len(times) - 1, 1)) if len(times) > 1 else 0
    if len(times) < 2:
        return np.tile(values[0], (len(seconds), 1))
    before = after - 1
    part = np.clip((seconds - times[before]) / np.maximum(times[after] - times[before], 1e-9), 0.0, 1.0)
    if held:
        part = np.floor(part)
    if is_rotation:
        return rotations.slerp(values[before], values[after], part)
    between: Array = values[before] + (values[after] - values[before]) * part[:, None]
    return between


def _unique(names: list[str]) -> tuple[str, ...]:
    found: list[str] = []
    taken: set[str] = set()
    for name in names:
        new, number = name, 1
        while new in taken:
            new, number = f"{name}.{number:03d}", number + 1
        taken.add(new)
        found.append(new)
    return tuple(found)
