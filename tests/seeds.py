# SPDX-License-Identifier: GPL-3.0-or-later
"""Small sound files of every kind that is read, for tests that damage them. Needs no Blender."""

from __future__ import annotations

import dataclasses
import io
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from backflip_addon.core import body as bodies
from backflip_addon.core import motion
from backflip_addon.core.clips import key_poses
from backflip_addon.core.rigs import binding as bindings
from backflip_addon.core.rigs import fit, roles
from tests.core.skeletons import figure

JSON, BINARY = 0x4E4F534A, 0x004E4942
FBX_HEAD = b"Kaydara FBX Binary\x20\x20\x00\x1a\x00" + struct.pack("<I", 7400)

BVH = """HIERARCHY
ROOT Hips
{
\tOFFSET 0.0 0.9 0.0
\tCHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
\tJOINT Spine
\t{
\t\tOFFSET 0.0 0.2 0.0
\t\tCHANNELS 3 Zrotation Xrotation Yrotation
\t\tEnd Site
\t\t{
\t\t\tOFFSET 0.0 0.3 0.0
\t\t}
\t}
\tJOINT LeftUpLeg
\t{
\t\tOFFSET 0.1 0.0 0.0
\t\tCHANNELS 3 Zrotation Xrotation Yrotation
\t\tEnd Site
\t\t{
\t\t\tOFFSET 0.0 -0.4 0.0
\t\t}
\t}
}
MOTION
Frames: 4
Frame Time: 0.0333333
0 0.9 0 0 0 0 0 0 0 10 0 0
0 0.9 0.1 0 5 0 0 1 0 20 0 0
0 0.9 0.2 0 10 0 0 2 0 30 0 0
0 0.9 0.3 0 15 0 0 3 0 40 0 0
"""


@dataclasses.dataclass(frozen=True)
class Seed:
    """A sound file. kind: how it is damaged, "text", "json", "npz", "gltf" or "bytes"; reader: who reads it."""

    name: str
    kind: str
    reader: str
    data: bytes


def seeds() -> list[Seed]:
    """One sound file or more for each reader."""
    content, binary = skinned()
    vrma_content, vrma_binary = animated()
    made = [
        Seed("clip.bvh", "text", "bvh", BVH.encode()),
        Seed("clip.txt", "json", "deepmimic", deepmimic()),
        Seed("clip.json", "json", "mimickit", _json({"fps": 30, "loop_mode": "WRAP", "frames": np.zeros((3, 34))})),
        Seed("stunt.json", "json", "key_poses", (key_poses.FOLDER / "standing_backflip.json").read_bytes()),
        Seed("clip.npz", "npz", "mimickit", npz(fps=np.array(30), frames=np.zeros((3, 34)), loop_mode=np.array(1))),
        Seed("poses.npz", "npz", "smpl", smpl()),
        Seed("clip.vrma", "gltf", "vrma", glb(vrma_content, vrma_binary)),
        Seed("rig.glb", "gltf", "gltf", glb(content, binary)),
        Seed("rig.fbx", "bytes", "fbx", fbx()),
        Seed("0001_search.npz", "npz", "take", take()),
        Seed("reference.npz", "npz", "motion", take()),
        *jobs(),
    ]
    rig = figure()
    role_map = roles.guess(rig)
    body, binding = fit.fit_body(rig, role_map)
    for name, data in (("body", bodies.to_json(body)), ("binding", bindings.to_json(binding))):
        made.append(Seed(f"{name}.json", "json", name, _json(data)))
    made.append(Seed("map.json", "json", "map", _json(roles.to_json(role_map))))
    return made


def samples(folder: Path) -> list[Seed]:
    """Seeds of real files, where there are any."""
    of = {".bvh": ("text", "bvh"), ".txt": ("json", "deepmimic"), ".fbx": ("bytes", "fbx")}
    of |= {".glb": ("gltf", "gltf"), ".vrm": ("gltf", "gltf")}
    files = sorted(file for file in folder.rglob("*") if file.suffix in of) if folder.is_dir() else []
    return [Seed(file.name, *of[file.suffix], file.read_bytes()) for file in files]


def jobs() -> list[Seed]:
    """The files of a job folder."""
    job = {"version": 1, "name": "Flip", "body": {"links": []}, "settings": {"minutes": 3.5, "seed": 1}}
    events = [
        {"time": 1.0, "kind": "started", "pid": 7},
        {"time": 2.0, "kind": "take", "file": "0001_search.npz", "score": 0.5, "landed": True, "name": "é"},
        {"time": 3.0, "kind": "progress", "fraction": 0.5, "seconds": 3.0, "message": "At work"},
        {"time": 4.0, "kind": "finished", "reason": "landed", "best_take": "0001_search.npz"},
    ]
    return [
        Seed("job.json", "json", "job", _json(job)),
        Seed("trainer.json", "json", "trainer", _json({"pid": 7, "started": 1.0, "host": "here"})),
        Seed("events.jsonl", "text", "events", b"".join(_json(event) + b"\n" for event in events)),
        Seed("0001-a.json", "json", "request", _json({"kind": "shoot", "id": "0001-a", "count": 3})),
    ]


def _json(data: dict[str, Any]) -> bytes:
    return json.dumps(data, default=lambda array: array.tolist()).encode()


def deepmimic() -> bytes:
    frame = [0.1, 0.0, 0.9, 0.0, *([1.0, 0.0, 0.0, 0.0] * 4), 0.0, *[1.0, 0.0, 0.0, 0.0] * 2, 0.0]
    frame += [1.0, 0.0, 0.0, 0.0, 0.0, *[1.0, 0.0, 0.0, 0.0] * 2, 0.0]
    return _json({"Loop": "none", "Frames": [frame[:44]] * 3})


def npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def smpl() -> bytes:
    poses = np.full((4, 156), 0.1)
    return npz(poses=poses, trans=np.zeros((4, 3)), mocap_framerate=np.array(60.0), gender=np.array("neutral"))


def take() -> bytes:
    turns = np.tile([1.0, 0.0, 0.0, 0.0], (5, 15, 1))
    return npz(
        version=np.array(motion.MOTION_VERSION),
        rate=np.array(120.0),
        loops=np.array(False),
        position=np.zeros((5, 3)),
        rotations=turns,
        contacts=np.zeros((5, 15), bool),
        torque=np.zeros(5),
        assist=np.zeros(5),
        meta=np.array(json.dumps({"name": "Take", "seed": 1, "measures": {"landed": True, "score": 0.5}})),
    )


def glb(content: dict[str, Any], binary: bytes = b"") -> bytes:
    text = _json(content)
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<II", len(text), JSON) + text + struct.pack("<II", len(binary), BINARY) + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def skinned() -> tuple[dict[str, Any], bytes]:
    """A triangle on two bones, one of which moves: the content and the data of a GLB."""
    content, binary = _packed(
        (np.eye(3), "VEC3", "<f4"),
        (np.zeros((3, 4)), "VEC4", "<u1"),
        (np.tile([1.0, 0.0, 0.0, 0.0], (3, 1)), "VEC4", "<f4"),
        (np.tile(np.eye(4), (2, 1, 1)), "MAT4", "<f4"),
        (np.array([0.0, 1.0]), "SCALAR", "<f4"),
        (np.array([[0.0, 0.0, 0.0, 1.0], [0.0, 1.0, 0.0, 0.0]]), "VEC4", "<f4"),
    )
    content["accessors"][0] |= {"min": [0, 0, 0], "max": [1, 1, 1]}
    content |= {
        "scene": 0,
        "scenes": [{"nodes": [0, 2]}],
        "nodes": [{"name": "a", "children": [1]}, {"name": "b", "translation": [0, 1, 0]}, {"mesh": 0, "skin": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0, "JOINTS_0": 1, "WEIGHTS_0": 2}}]}],
        "skins": [{"joints": [0, 1], "inverseBindMatrices": 3}],
        "animations": [_animation(4, 5)],
    }
    return content, binary


def animated() -> tuple[dict[str, Any], bytes]:
    """A VRM animation of two nodes: the content and the data of its GLB."""
    content, binary = _packed(
        (np.array([0.0, 1.0]), "SCALAR", "<f4"),
        (np.array([[0.0, 0.0, 0.0, 1.0], [0.0, 1.0, 0.0, 0.0]]), "VEC4", "<f4"),
    )
    bones = {"hips": {"node": 0}, "spine": {"node": 1}}
    content |= {
        "extensions": {"VRMC_vrm_animation": {"specVersion": "1.0", "humanoid": {"humanBones": bones}}},
        "nodes": [{"name": "Hips", "children": [1]}, {"name": "Spine", "translation": [0, 1, 0]}],
        "animations": [_animation(0, 1)],
    }
    return content, binary


def _animation(times: int, turns: int) -> dict[str, Any]:
    return {
        "channels": [{"sampler": 0, "target": {"node": 1, "path": "rotation"}}],
        "samplers": [{"input": times, "output": turns}],
    }


def _packed(*arrays: tuple[np.ndarray, str, str]) -> tuple[dict[str, Any], bytes]:
    """Numbers one after the other, each with a view and an accessor of its own."""
    binary, views, accessors = b"", [], []
    for numbers, kind, form in arrays:
        data = numbers.astype(form).tobytes()
        views.append({"buffer": 0, "byteOffset": len(binary), "byteLength": len(data)})
        form_ = 5121 if form == "<u1" else 5126
        accessors.append({"bufferView": len(accessors), "componentType": form_, "count": len(numbers), "type": kind})
        binary += data
    buffers = [{"byteLength": len(binary)}]
    asset = {"version": "2.0"}
    return {"asset": asset, "buffers": buffers, "bufferViews": views, "accessors": accessors}, binary


def fbx_node(name: bytes, properties: bytes = b"", count: int = 0, at: int = 0, inner: bytes = b"") -> bytes:
    """A node of a binary FBX of version 7.4 that begins at byte at."""
    end = at + 13 + len(name) + len(properties) + len(inner)
    return struct.pack("<IIIB", end, count, len(properties), len(name)) + name + properties + inner


def fbx_array(length: int, data: bytes) -> bytes:
    """An array of packed numbers that says it has that length."""
    stored = zlib.compress(data)
    return b"d" + struct.pack("<III", length, 1, len(stored)) + stored


def fbx(properties: bytes = b"", count: int = 1) -> bytes:
    """A file of one node, of nine numbers where nothing else is asked for."""
    properties = properties or fbx_array(9, np.zeros(9).tobytes())
    return FBX_HEAD + fbx_node(b"Vertices", properties, count, len(FBX_HEAD)) + bytes(13 + 200)
