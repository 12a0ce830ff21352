# SPDX-License-Identifier: GPL-3.0-or-later
"""Rigs and clips from strangers: what is damaged is refused with one sentence and leaves nothing behind."""

from __future__ import annotations

import base64
import io
import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest

from backflip_addon import compat
from backflip_addon.core.formats import gltf_limits
from backflip_addon.core.motion import Motion
from backflip_addon.scene import stored_avatar, stored_reference
from backflip_addon.scene.importing import importer
from backflip_addon.scene.importing.importer import FileError
from tests.scene import rigs
from tests.seeds import fbx, fbx_array, glb, skinned


@pytest.fixture(autouse=True)
def _empty() -> None:
    rigs.empty_scene()


def everything() -> dict[str, set[str]]:
    kinds = (kind for kind in bpy.types.BlendData.bl_rna.properties if kind.type == "COLLECTION")
    return {kind.identifier: {item.name for item in getattr(bpy.data, kind.identifier)} for kind in kinds}


def refusal(path: Path) -> str:
    """The sentence a file is refused with; nothing of it is left in the open file."""
    before = everything()
    with pytest.raises(FileError) as refused:
        importer.import_rig(str(path))
    words = str(refused.value)
    assert everything() == before
    assert path.name in words and "\n" not in words and "Traceback" not in words and len(words) < 500
    return words


def test_a_sound_glb_comes_in(tmp_path: Path) -> None:
    path = tmp_path / "rig.glb"
    path.write_bytes(glb(*skinned()))
    armature, _imported = importer.import_rig(str(path))
    assert {bone.name for bone in armature.data.bones} >= {"a", "b"}


BLANK = {"componentType": 5126, "count": 100_000, "type": "SCALAR"}
PRIMITIVES = [{"attributes": {"POSITION": 0}}] * 2_000


def _set(*place: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        item: Any = content
        for step in place[:-1]:
            item = item[step]
        item[place[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_set("accessors", 0, "count", value=300_000_000), "fewer are"),
        (_set("accessors", 0, value={"componentType": 5126, "count": 300_000_000, "type": "MAT4"}), "unpacks to more"),
        (_set("accessors", 0, value={"componentType": 5126, "count": 5_000_000, "type": "SCALAR"}), "unpacks to more"),
        (_set("accessors", 0, "sparse", value={"count": 300_000_000}), "changes more"),
        (_set("accessors", 0, "type", value="VEC9"), "unknown kind"),
        (_set("accessors", 0, "count", value=-1), "count"),
        (_set("accessors", 0, "count", value="3"), "count"),
        (_set("accessors", 0, "bufferView", value=99), "view 99"),
        (_set("bufferViews", 0, "byteLength", value=10**9), "longer than its buffer"),
        (_set("bufferViews", 0, "byteOffset", value=-8), "byteOffset"),
        (_set("buffers", 0, "byteLength", value=10**9), "shorter than it says"),
        (_set("buffers", 0, "uri", value="../secret.bin"), "outside its folder"),
        (_set("buffers", 0, "uri", value="/dev/zero"), "outside its folder"),
        (_set("buffers", 0, "uri", value="file:///dev/zero"), "outside its folder"),
        (_set("buffers", 0, "uri", value="%2e%2e/secret.bin"), "outside its folder"),
        (_set("buffers", 0, "uri", value="data:,!!!"), "cannot be decoded"),
        (_set("images", value=[{"uri": "../secret.png"}]), "outside its folder"),
        (_set("nodes", 1, "children", value=[0]), "own parent"),
        (_set("nodes", 2, "children", value=[1]), "two parents"),
        (_set("nodes", 0, "children", value=[99]), "not there"),
        (_set("nodes", value=[{"children": [i + 1]} for i in range(5_000)] + [{}]), "nested too deeply"),
        (_set("skins", 0, "joints", value=[0] * 3_000), "bones"),
        (_set("nodes", 1, "translation", value=[0, float("nan"), 0]), "NaN"),
        (_set("nodes", value=5), "nodes"),
        (_set("accessors", value=[5]), "accessors"),
        (_set("animations", 0, "samplers", 0, "input", value=99), "99"),
        (_set("animations", 0, "channels", 0, "sampler", value=9), "sampler 9"),
        (lambda content: content["animations"].extend(content["animations"] * 200_000), "animations"),
        (lambda content: content["accessors"].extend([dict(BLANK) for _ in range(100)]), "unpacks to more"),
        (lambda content: content["meshes"][0].update(primitives=PRIMITIVES), "larger than a character"),
    ],
)
def test_a_glb_that_is_not_what_it_says_is_refused_before_anything_is_unfbx_array(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compat, "import_gltf", lambda path: pytest.fail("the importer was given the file"))
    monkeypatch.setattr(gltf_limits, "MOST_USED", 10_000)
    content, binary = skinned()
    change(content)
    (tmp_path / "rig.glb").write_bytes(glb(content, binary))
    assert words in refusal(tmp_path / "rig.glb")


def meshopt_packed(**changes: Any) -> bytes:
    """A GLB whose first view is packed by meshopt, or says so: its numbers are in a buffer of their own."""
    content, binary = skinned()
    view = content["bufferViews"][0]
    packed = {"buffer": 0, "byteOffset": 0, "byteLength": 20, "byteStride": 12, "count": 3, "mode": "ATTRIBUTES"}
    content["buffers"].append({"byteLength": 36, "extensions": {"EXT_meshopt_compression": {"fallback": True}}})
    view |= {"buffer": 1, "byteOffset": 0, "extensions": {"EXT_meshopt_compression": packed | changes}}
    return glb(content, binary)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"byteLength": 10**9}, "longer than its buffer"),
        ({"buffer": 7}, "longer than its buffer"),
        ({"count": 10**8}, "another size"),
        ({"byteStride": 6, "count": 6}, "another size"),
        ({"filter": "QUATERNION"}, "another size"),
        ({"mode": "OTHER"}, "another size"),
    ],
)
def test_what_meshopt_has_packed_is_of_the_size_it_says(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    (tmp_path / "rig.glb").write_bytes(meshopt_packed(**changes))
    if not words:
        assert len(gltf_limits.read_gltf(tmp_path / "rig.glb").buffers[1]) == 36
    else:
        with pytest.raises(ValueError, match=words):
            gltf_limits.read_gltf(tmp_path / "rig.glb")


def test_what_meshopt_has_packed_is_not_made_room_for_without_limit(tmp_path: Path) -> None:
    content, binary = skinned()
    content["buffers"] += [{"byteLength": 10**8, "extensions": {"KHR_meshopt_compression": {"fallback": True}}}] * 3
    (tmp_path / "rig.glb").write_bytes(glb(content, binary))
    assert "unpacks to more" in refusal(tmp_path / "rig.glb")


@pytest.mark.parametrize("accessor", [0, 3, 4, 5])
def test_a_glb_whose_numbers_are_not_finite_is_refused(tmp_path: Path, accessor: int) -> None:
    content, binary = skinned()
    at = content["bufferViews"][accessor]["byteOffset"]
    (tmp_path / "rig.glb").write_bytes(glb(content, binary[:at] + struct.pack("<f", np.inf) + binary[at + 4 :]))
    assert "not finite" in refusal(tmp_path / "rig.glb")


@pytest.mark.parametrize("length", [0, 3, 4, 11, 19, 20, 100, -8, -400])
def test_a_glb_that_was_cut_off_is_refused(tmp_path: Path, length: int) -> None:
    (tmp_path / "rig.glb").write_bytes(glb(*skinned())[:length])
    refusal(tmp_path / "rig.glb")


def test_what_an_importer_raises_becomes_one_sentence_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors: list[Exception] = [KeyError("nodes"), RecursionError(), MemoryError(), struct.error("4 bytes")]
    operator = 'Error: Python: Traceback (most recent call last):\n  File "io.py", line 3\nKeyError: 0\nLocation: x:1'
    errors.append(RuntimeError(operator))

    def fail(_path: str) -> None:
        data = bpy.data.armatures.new("half")
        bpy.context.scene.collection.objects.link(bpy.data.objects.new("half", data))
        for kind in ("actions", "collections", "materials", "texts", "node_groups", "worlds"):
            arguments = ("half", "ShaderNodeTree") if kind == "node_groups" else ("half",)
            getattr(bpy.data, kind).new(*arguments)
        raise errors[-1]

    monkeypatch.setattr(compat, "import_gltf", fail)
    (tmp_path / "rig.glb").write_bytes(glb(*skinned()))
    while errors:
        assert "damaged" in refusal(tmp_path / "rig.glb")
        errors.pop()


def test_an_importer_that_fails_while_it_edits_leaves_object_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_path: str) -> None:
        ob = bpy.data.objects.new("half", bpy.data.armatures.new("half"))
        bpy.context.scene.collection.objects.link(ob)
        bpy.context.view_layer.objects.active = ob
        bpy.ops.object.mode_set(mode="EDIT")
        raise KeyError("bones")

    monkeypatch.setattr(compat, "import_gltf", fail)
    (tmp_path / "rig.glb").write_bytes(glb(*skinned()))
    refusal(tmp_path / "rig.glb")
    assert bpy.context.mode == "OBJECT"


# FBX


@pytest.mark.parametrize(
    ("properties", "count", "words"),
    [
        (fbx_array(500_000_000, bytes(800)), 1, "unpacks to more"),
        (fbx_array(100, bytes(8_000_000)), 1, "longer than it says"),
        (fbx_array(100, bytes(80)), 1, "cut off"),
        (b"d" + struct.pack("<III", 100, 0, 4) + bytes(4), 1, "cut off"),
        (b"d" + struct.pack("<III", 1, 1, 4_000_000_000), 1, "longer than its part"),
        (b"S" + struct.pack("<I", 4_000_000_000), 1, "longer than its part"),
        (b"I" + bytes(4), 4_000_000_000, "longer than it says"),
        (b"?", 1, "unknown kind"),
        (b"I" + bytes(9), 1, "other properties"),
    ],
)
def test_an_fbx_that_is_not_what_it_says_is_refused_before_anything_is_unfbx_array(
    tmp_path: Path, properties: bytes, count: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compat, "import_fbx", lambda path: pytest.fail("the importer was given the file"))
    (tmp_path / "rig.fbx").write_bytes(fbx(properties, count))
    assert words in refusal(tmp_path / "rig.fbx")


# Other kinds


@pytest.mark.parametrize("suffix", importer.RIG_SUFFIXES)
@pytest.mark.parametrize("content", [b"", b"5", b"[]", b"\0" * 100, b"[" * 100_000], ids=str)
def test_what_is_no_rig_is_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"rig{suffix}"
    path.write_bytes(content)
    refusal(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("suffix", importer.RIG_SUFFIXES)
def test_a_pipe_a_device_or_a_folder_never_holds_the_window(tmp_path: Path, suffix: str) -> None:
    pipe, folder, device = (tmp_path / f"{name}{suffix}" for name in ("pipe", "folder", "device"))
    os.mkfifo(pipe)
    folder.mkdir()
    device.symlink_to("/dev/zero")
    for path in (pipe, folder, device):
        assert "not a regular file" in refusal(path)


def test_a_gltf_that_names_a_pipe_never_holds_the_window(tmp_path: Path) -> None:
    content, binary = skinned()
    os.mkfifo(tmp_path / "data.bin")
    content["buffers"][0]["uri"] = "data.bin"
    (tmp_path / "rig.gltf").write_text(json.dumps(content))
    assert "data.bin" in refusal(tmp_path / "rig.gltf")
    content["buffers"][0]["uri"] = "data:application/octet-stream;base64," + base64.b64encode(binary).decode()
    (tmp_path / "rig.gltf").write_text(json.dumps(content))
    importer.import_rig(str(tmp_path / "rig.gltf"))


def test_a_link_to_a_rig_is_fine(tmp_path: Path) -> None:
    (tmp_path / "elsewhere.glb").write_bytes(glb(*skinned()))
    (tmp_path / "rig.glb").symlink_to(tmp_path / "elsewhere.glb")
    importer.import_rig(str(tmp_path / "rig.glb"))


def test_a_strangers_blend_runs_nothing(tmp_path: Path) -> None:
    """Its text that is to run on loading and its driver in Python stay data, appended and linked."""
    ob = rigs.build(rigs.t_pose())
    text = bpy.data.texts.new("run.py")
    text.write(f"open({str(tmp_path / 'ran')!r}, 'w')")
    text.use_module = True
    ob["text"] = text
    ob.driver_add("location", 0).driver.expression = f"open({str(tmp_path / 'ran')!r}, 'w').close() or 0"
    bpy.data.libraries.write(str(tmp_path / "rig.blend"), {ob, *ob.users_collection})
    for link in (False, True):
        rigs.empty_scene()
        importer.import_rig(str(tmp_path / "rig.blend"), link and any(ob.users_collection for ob in bpy.data.objects))
        bpy.context.scene.frame_set(5)
        assert not (tmp_path / "ran").exists() and not bpy.context.preferences.filepaths.use_scripts_auto_execute


# The reference and the body in a .blend


def reference(**changes: Any) -> str:
    motion = Motion(30.0, np.zeros((3, 3)), np.tile([1.0, 0.0, 0.0, 0.0], (3, 15, 1)))
    with np.load(io.BytesIO(base64.b64decode(stored_reference.encode_motion(motion)))) as data:
        arrays = {key: data[key] for key in data.files} | changes
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return base64.b64encode(buffer.getvalue()).decode()


@pytest.mark.parametrize(
    "changes",
    [
        {"position": np.full((3, 3), np.nan)},
        {"position": np.zeros(3)},
        {"rotations": np.zeros((3, 15, 4))},
        {"rotations": np.zeros((0, 0, 0))},
        {"rate": np.array(0.0)},
        {"rate": np.array(np.inf)},
        {"rate": np.array([1.0, 2.0])},
        {"rate": np.array("thirty")},
        {"rotations": np.zeros((200_000, 15, 4))},
    ],
    ids=str,
)
def test_a_strangers_reference_is_refused(changes: dict[str, Any]) -> None:
    assert stored_reference.decode_motion(reference()).frames == 3
    with pytest.raises(ValueError, match="reference in this file"):
        stored_reference.decode_motion(reference(**changes))


@pytest.mark.parametrize("text", ["5", "x", "[]", "é", "\0", "UEsDBA==", "A" * 1000])
def test_a_text_that_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="reference in this file"):
        stored_reference.decode_motion(text)


@pytest.mark.parametrize("text", ["5", "[]", "{", "null", '{"version": 1}', "[" * 100_000, "9" * 5000, "NaN"])
def test_a_text_that_is_no_body_or_binding_is_told(text: str) -> None:
    with pytest.raises(stored_avatar.StateError):
        stored_avatar.read_body_text(text, text)


def test_a_body_of_many_megabytes_is_not_parsed() -> None:
    with pytest.raises(stored_avatar.StateError, match="longer"):
        stored_avatar.read_body_text("[" + "0," * 1_000_000 + "0]", "{}")
