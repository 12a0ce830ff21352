# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of files that hold no character or no clip: what they hold, and what can really be done next."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from tests.scene.test_objects_as_bones import robot  # noqa: E402
from tests.seeds import glb  # noqa: E402


def scene_of(**parts: Any) -> bytes:
    """A GLB of one node with the parts."""
    return glb({"asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}], **parts})


CAMERA = {"cameras": [{"type": "perspective", "perspective": {"yfov": 1.0, "znear": 0.1}}], "nodes": [{"camera": 0}]}


def still() -> bytes:
    content, binary = robot(moves=False)
    return glb(content, binary)


def toy() -> bytes:
    """Seven nodes with parts, too few for a body."""
    content, binary = robot(wrapped=False)
    content["nodes"] = [{"mesh": 0, "name": f"part{i}", "children": [i + 1]} for i in range(6)] + [{"mesh": 0}]
    content["scenes"] = [{"nodes": [0]}]
    del content["animations"]
    return glb(content, binary)


def changed(**parts: Any) -> bytes:
    content, binary = robot()
    return glb(content | parts, binary)


PACKED = {"extensionsUsed": ["EXT_nothing"], "extensionsRequired": ["EXT_nothing"]}
CASES = [
    ("packed.glb", changed(**PACKED), "needs EXT_nothing, which this Blender", "needs EXT_nothing, which this Blender"),
    ("apart.gltf", json.dumps(robot()[0] | {"buffers": [{"byteLength": 9, "uri": "gone.bin"}]}).encode(),
     "needs 'gone.bin', which is not beside it", "needs 'gone.bin', which is not beside it"),
    ("camera.glb", scene_of(**CAMERA), "holds a camera, but no armature", "holds a camera, but no skeleton"),
    ("empty.glb", scene_of(nodes=[{}]), "holds an empty, but no armature", "holds an empty, but no skeleton"),
    ("bare.glb", glb({"asset": {"version": "2.0"}, "cameras": CAMERA["cameras"]}),
     "holds nothing that Blender can import: choose", "holds nothing that Blender can import: choose"),
    ("toy.glb", toy(), "holds 7 meshes, but no armature", "no skeleton"),
    ("still.glb", still(), "", "holds a character but no animation"),
    ("flip.pkl", b"", "pickle, which can run code", "pickle, which can run code"),
    ("hero.usdz", b"", "press Use as Avatar", "press Use Action"),
    ("hero.blend", None, "", "File > Append"),
    ("flip.vrma", None, "import a character first", ""),
    ("hero.dae", b"", "export it as FBX or GLB", "export it as FBX or GLB"),
    ("hero.xyz", b"", "choose one of FBX", "choose one of BVH"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "data", "as_rig", "as_clip"), CASES, ids=[case[0] for case in CASES])
def test_a_refusal_says_what_is_there_and_what_to_do(
    ops: Any, tmp_path: Path, name: str, data: bytes | None, as_rig: str, as_clip: str
) -> None:
    path = tmp_path / name
    path.write_bytes(data or b"")
    if as_rig:
        with pytest.raises(RuntimeError, match=as_rig):
            ops.import_avatar(filepath=str(path))
        assert not bpy.data.objects
    if as_clip:
        ops.add_mannequin()
        ops.build_body()
        before = set(bpy.data.objects)
        with pytest.raises(RuntimeError, match=as_clip):
            ops.import_reference(filepath=str(path))
        assert set(bpy.data.objects) == before


def test_a_character_whose_map_has_gaps_is_kept_so_that_they_can_be_filled(ops: Any, tmp_path: Path) -> None:
    """What could be chosen in the map is still there to be chosen."""
    content, binary = robot()
    hands = [i for i, node in enumerate(content["nodes"]) if node["name"] in ("thigh.L", "shin.L", "foot.L", "toe.L")]
    for node in content["nodes"]:
        node["children"] = [child for child in node.get("children", []) if child not in hands]
        if not node["children"]:
            del node["children"]
    content["scenes"][0]["nodes"] += hands  # a leg that hangs on nothing
    content["animations"] = []
    (tmp_path / "robot.glb").write_bytes(glb(content, binary))
    ops.import_avatar(filepath=str(tmp_path / "robot.glb"))
    settings = bpy.context.scene.backflip
    assert settings.avatar is not None
    assert [item.name for item in settings.roles if item.required and not item.bone]


def test_what_is_no_humanoid_is_not_taken(ops: Any, tmp_path: Path) -> None:
    content, binary = robot(moves=False)
    for i, node in enumerate(content["nodes"]):
        node |= {"name": f"link{i}", "translation": [0.0, 1.0, 0.0], "children": [i + 1]}
    del content["nodes"][-1]["children"]
    content["scenes"] = [{"nodes": [0]}]
    (tmp_path / "chain.glb").write_bytes(glb(content, binary))
    with pytest.raises(RuntimeError, match=r"does not look like a humanoid.*Use as Avatar"):
        ops.import_avatar(filepath=str(tmp_path / "chain.glb"))
    assert not bpy.data.objects


def test_of_two_characters_the_humanoid_is_taken_and_the_other_named(
    ops: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A long tail has more bones and as many parts."""
    content, binary = robot(moves=False)
    first = len(content["nodes"])
    tail = copy.deepcopy(content["nodes"][0]) | {"mesh": 0}
    for i in range(40):
        content["nodes"].append(tail | {"name": f"tail{i}", "children": [first + i + 1]})
    content["nodes"].append({"name": "tip", "mesh": 0})
    content["nodes"].append({"name": "Snake", "children": [first]})
    content["scenes"][0]["nodes"].append(len(content["nodes"]) - 1)
    (tmp_path / "two.glb").write_bytes(glb(content, binary))
    ops.import_avatar(filepath=str(tmp_path / "two.glb"))
    assert "thigh.L" in bpy.context.scene.backflip.avatar.data.bones
    said = capfd.readouterr().out
    assert "came with it: to use another one, select it and press Use as Avatar" in said and "Snake" in said
    assert "bones were made for its parts" in said
