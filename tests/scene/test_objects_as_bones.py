# SPDX-License-Identifier: GPL-3.0-or-later
"""Skeletons of plain nodes: animations without a skin, robots whose rigid parts hang on nodes; in glTF and in FBX."""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest

from backflip_addon import compat
from backflip_addon.core.formats import gltf_nodes_as_bones
from backflip_addon.core.slices import at_once
from backflip_addon.scene.animation import actions, pose_sampling
from backflip_addon.scene.armature.rig import bone_order, bound_meshes
from backflip_addon.scene.importing import importer, objects_as_bones
from tests.scene import fbx_files, rigs
from tests.scene.test_fbx_text import JOINTS, swing
from tests.seeds import glb

FRAMES = 11
CUBE = np.array([[x, y, z] for x in (-0.03, 0.03) for y in (-0.03, 0.03) for z in (-0.03, 0.03)])
FACES = [0, 1, 3, 0, 3, 2, 4, 6, 7, 4, 7, 5, 0, 4, 5, 0, 5, 1, 2, 3, 7, 2, 7, 6, 0, 2, 6, 0, 6, 4, 1, 5, 7, 1, 7, 3]


@pytest.fixture(autouse=True)
def _empty() -> None:
    rigs.empty_scene()


def robot(meshes: bool = True, moves: bool = True, wrapped: bool = True) -> tuple[dict[str, Any], bytes]:
    """A GLB of nodes, y up, in centimetres under a node that makes metres of them; each joint bears a rigid part.

    The joints turn about the character's x as test_fbx_text.swing() says, at 24 frames a second.
    """
    names = [name for name, _, _ in JOINTS]
    at = {name: np.array([x, z, -y]) for name, _, (x, y, z) in JOINTS}
    unit = 100.0 if wrapped else 1.0
    nodes: list[dict[str, Any]] = []
    for name, parent, _ in JOINTS:
        offset = (at[name] - (at[parent] if parent else 0.0)) * unit
        children = [i for i, (_, above, _) in enumerate(JOINTS) if above == name]
        nodes.append({"name": name, "translation": offset.tolist()} | ({"children": children} if children else {}))
        if meshes:
            nodes[-1]["mesh"] = 0
    roots = [i for i, (_, parent, _) in enumerate(JOINTS) if parent is None]
    if wrapped:
        nodes.append({"name": "Robot", "children": roots, "scale": [0.01] * 3})
        roots = [len(nodes) - 1]
    arrays = [(CUBE * unit, "VEC3", "<f4"), (np.array(FACES)[:, None], "SCALAR", "<u2")]
    arrays.append((np.arange(FRAMES)[:, None] / 24.0, "SCALAR", "<f4"))
    moved = [name for name in names if swing(name, 1)]
    for name in moved:
        half = np.radians([swing(name, frame) for frame in range(FRAMES)]) / 2
        arrays.append((np.column_stack([np.sin(half), 0 * half, 0 * half, np.cos(half)]), "VEC4", "<f4"))
    binary, views, accessors = b"", [], []
    for numbers, kind, form in arrays:
        views.append({"buffer": 0, "byteOffset": len(binary), "byteLength": numbers.astype(form).nbytes})
        accessors.append({"bufferView": len(views) - 1, "componentType": 5123 if form == "<u2" else 5126,
                          "count": len(numbers), "type": kind, "min": numbers.min(0).tolist(),
                          "max": numbers.max(0).tolist()})  # fmt: skip
        binary += numbers.astype(form).tobytes()
        binary += bytes(-len(binary) % 4)
    content: dict[str, Any] = {
        "asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": roots}], "nodes": nodes,
        "buffers": [{"byteLength": len(binary)}], "bufferViews": views, "accessors": accessors,
    }  # fmt: skip
    if meshes:
        content["meshes"] = [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}]
    if moves:
        channels = [{"sampler": i, "target": {"node": names.index(name), "path": "rotation"}}
                    for i, name in enumerate(moved)]  # fmt: skip
        samplers = [{"input": 2, "output": 3 + i} for i in range(len(moved))]
        content["animations"] = [{"name": "Walk", "channels": channels, "samplers": samplers}]
    return content, binary


def assert_moves(armature: bpy.types.Object, action: bpy.types.Action, parts: bool = False) -> None:
    """Each joint is where it was worked out to be, and so is the middle of the part that hangs on it."""
    rate = action[importer.RATE_PROPERTY]
    first = actions.action_range(action)[0]
    frames = [first, first + 10 / 24 * rate]
    poses = pose_sampling.sample_poses(armature, frames, action)
    order = [bone.name for bone in bone_order(armature)]
    for i, frame in enumerate((0, 10)):
        expected = fbx_files.standing(JOINTS, swing, frame)
        found = {name: poses[i, order.index(name), :3, 3] for name in expected if name in order}
        assert len(found) >= len(expected) - 1
        for name, place in found.items():
            assert place == pytest.approx(expected[name], abs=1e-3), (name, frame)
        if parts:
            with pose_sampling.playing_action(armature, action):
                bpy.context.scene.frame_set(int(frames[i]), subframe=frames[i] % 1.0)
                bpy.context.view_layer.update()
                middles = [np.mean([mesh.matrix_world @ v.co for v in mesh.data.vertices], axis=0)
                           for mesh in bound_meshes(armature)]  # fmt: skip
            for name, place in expected.items():
                assert min(np.linalg.norm(middle - place) for middle in middles) < 1e-3, (name, frame)


@pytest.mark.parametrize("wrapped", [True, False])
def test_an_animation_of_nodes_is_a_clip(tmp_path: Path, wrapped: bool) -> None:
    (tmp_path / "walk.glb").write_bytes(glb(*robot(meshes=False, wrapped=wrapped)))
    imported = at_once(importer.import_clip_slices(str(tmp_path / "walk.glb")))
    (armature,), (action,) = imported.armatures, imported.actions
    assert_moves(armature, action)
    importer.remove(imported)
    assert not bpy.data.objects and not bpy.data.actions


@pytest.mark.parametrize("suffix", [".glb", ".gltf"])
def test_a_robot_of_rigid_parts_is_an_avatar(tmp_path: Path, suffix: str) -> None:
    content, binary = robot()
    content["nodes"].append({"name": "Camera", "camera": 0})
    content["cameras"] = [{"type": "perspective", "perspective": {"yfov": 1.0, "znear": 0.1}}]
    content["nodes"][1]["children"].append(len(content["nodes"]) - 1)  # below the hips
    if suffix == ".gltf":
        (tmp_path / "robot.bin").write_bytes(binary)
        content["buffers"][0]["uri"] = "robot.bin"
        png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
        (tmp_path / "skin.png").write_bytes(base64.b64decode(png))
        content |= {"images": [{"uri": "skin.png"}], "textures": [{"source": 0}]}
        content["materials"] = [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}]
        content["meshes"][0]["primitives"][0]["material"] = 0
        (tmp_path / "robot.gltf").write_text(json.dumps(content))
    else:
        (tmp_path / "robot.glb").write_bytes(glb(content, binary))
    armature, imported = importer.import_rig(str(tmp_path / f"robot{suffix}"))
    assert armature[objects_as_bones.NODES_PROPERTY] and "Camera" not in armature.data.bones
    assert len(bound_meshes(armature)) == len(JOINTS)
    assert_moves(armature, imported.actions[0], parts=True)
    if suffix == ".gltf":
        (image,) = bpy.data.images
        assert image.packed_file is not None and tuple(image.size) == (1, 1)


def test_a_rigid_vrm_tells_its_parts(tmp_path: Path) -> None:
    content, binary = robot(moves=False, wrapped=False)
    for i, node in enumerate(content["nodes"]):
        node["name"] = f"n{i * 37 % 101}"
    bones = {"hips": "pelvis", "chest": "chest", "leftUpperLeg": "thigh.L", "rightUpperLeg": "thigh.R"}
    names = [name for name, _, _ in JOINTS]
    content["extensions"] = {
        "VRM": {"humanoid": {"humanBones": [{"bone": b, "node": names.index(name)} for b, name in bones.items()]}}
    }
    (tmp_path / "robot.vrm").write_bytes(glb(content, binary))
    armature, _imported = importer.import_rig(str(tmp_path / "robot.vrm"))
    hints = json.loads(armature[importer.VRM_PROPERTY])
    assert hints == {bone: content["nodes"][names.index(name)]["name"] for bone, name in bones.items()}


@pytest.mark.parametrize("skinned", [True, False])
@pytest.mark.parametrize(
    "extension", [{"VRM": {}}, {"VRM": {"humanoid": {"humanBones": [{"bone": "hips", "node": 99}]}}}]
)
def test_a_humanoid_map_that_names_nothing_is_no_hindrance(tmp_path: Path, extension: Any, skinned: bool) -> None:
    content, binary = robot()
    content["extensions"] = extension
    content["animations"][0]["channels"][0]["target"]["node"] = 99 if skinned else 1
    if skinned:
        content["skins"] = [{"joints": list(range(len(JOINTS)))}]
    (tmp_path / "robot.glb").write_bytes(glb(content, binary))
    assert (gltf_nodes_as_bones.with_bones(tmp_path / "robot.glb") is None) is skinned


def test_a_skin_that_names_a_part_of_the_skeleton_is_made_whole(tmp_path: Path) -> None:
    """Exporters that name the joints with weights alone leave legs or arms to plain nodes."""
    content, binary = robot(meshes=False)
    names = [name for name, _, _ in JOINTS]
    content["skins"] = [{"joints": [names.index(name) for name in ("chest", "neck", "head")]}]
    for name in ("foot.L", "foot.R"):  # two more that move: props are fewer
        channel = {"sampler": len(content["animations"][0]["samplers"]), "target": {"path": "rotation"}}
        channel["target"]["node"] = names.index(name)
        content["animations"][0]["channels"].append(channel)
        still = struct.pack("<4f", 0, 0, 0, 1) * FRAMES
        content["bufferViews"].append({"buffer": 0, "byteOffset": len(binary), "byteLength": len(still)})
        content["accessors"].append({"bufferView": len(content["bufferViews"]) - 1, "componentType": 5126,
                                     "count": FRAMES, "type": "VEC4"})  # fmt: skip
        content["animations"][0]["samplers"].append({"input": 2, "output": len(content["accessors"]) - 1})
        binary += still
    content["buffers"][0]["byteLength"] = len(binary)
    (tmp_path / "walk.glb").write_bytes(glb(content, binary))
    imported = at_once(importer.import_clip_slices(str(tmp_path / "walk.glb")))
    (armature,), (action,) = imported.armatures, imported.actions
    assert_moves(armature, action)


# FBX


def test_a_capture_of_nulls_is_a_clip(tmp_path: Path) -> None:
    fbx_files.write_6100(tmp_path / "capture.fbx", JOINTS, swing, FRAMES, kind="Null")
    for name in ("pelvis", "spine"):  # names that are taken
        bpy.context.scene.collection.objects.link(bpy.data.objects.new(name, None))
    before = set(bpy.data.objects)
    imported = at_once(importer.import_clip_slices(str(tmp_path / "capture.fbx")))
    (armature,), (action,) = imported.objects, imported.actions
    assert action[importer.RATE_PROPERTY] == 24.0 and "pelvis" in armature.data.bones
    assert_moves(armature, action)
    importer.remove(imported)
    assert set(bpy.data.objects) == before and not bpy.data.actions


@pytest.fixture(scope="module")
def robot_fbx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The robot as Blender's FBX exporter writes it: meshes on meshes, and a take for each that moves."""
    rigs.empty_scene()
    folder = tmp_path_factory.mktemp("robot")
    (folder / "robot.glb").write_bytes(glb(*robot()))
    bpy.context.scene.render.fps, bpy.context.scene.frame_end = 24, FRAMES
    compat.import_gltf(str(folder / "robot.glb"))
    compat.ensure_addon("io_scene_fbx")
    bpy.ops.export_scene.fbx(filepath=str(folder / "robot.fbx"))
    return folder / "robot.fbx"


@pytest.mark.parametrize("newer", [False, True])
def test_a_robot_in_fbx_is_an_avatar(robot_fbx: Path, newer: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if newer:
        monkeypatch.setattr(compat, "import_fbx", compat.import_any_fbx)
    armature, imported = importer.import_rig(str(robot_fbx))
    assert armature[objects_as_bones.NODES_PROPERTY] and len(bound_meshes(armature)) == len(JOINTS)
    (action,) = imported.actions
    assert bpy.context.scene.render.fps == 24 and not [ob for ob in imported.objects if ob.type == "EMPTY"]
    assert_moves(armature, action, parts=True)


def test_a_file_whose_skins_name_its_joints_is_left_as_it_is(tmp_path: Path) -> None:
    content, binary = robot()
    content["skins"] = [{"joints": list(range(len(JOINTS)))}]
    (tmp_path / "rig.glb").write_bytes(glb(content, binary))
    assert gltf_nodes_as_bones.with_bones(tmp_path / "rig.glb") is None
