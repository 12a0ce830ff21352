# SPDX-License-Identifier: GPL-3.0-or-later
"""Clips of joint angles and of nodes: SMPL, MimicKit, VRMA; each against poses worked out by hand."""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path

import numpy as np
import pytest

from backflip_addon.core import rotations
from backflip_addon.core.body import HINGE_AXIS, LINK_NAMES, Body
from backflip_addon.core.clips import mimickit, smpl, vrma
from backflip_addon.core.motion import Motion
from backflip_addon.core.motions import retarget
from backflip_addon.core.rigs import fit, roles

from .skeletons import figure


@pytest.fixture(scope="module")
def body() -> Body:
    rig = figure()
    return fit.fit_body(rig, roles.guess(rig))[0]


def limb(body: Body, motion: Motion, link: str, frame: int = 0) -> np.ndarray:
    """World direction of a limb."""
    _, world = body.forward(motion.position, motion.rotations)
    return rotations.rotate(world[frame, body.index(link)], np.array([0.0, 0.0, -1.0]))


# SMPL


def amass(path: Path, width: int = 156, up: str = "Z", **changes: object) -> Path:
    """Five frames: standing, left knee bent by a right angle, right arm lowered; walking along the way it faces."""
    poses = np.zeros((5, width))
    if up == "Z":
        poses[:, 0] = np.pi / 2
    poses[:, 3 * 4] = np.pi / 2  # left knee about x, the left
    poses[:, 3 * 17 + 2] = np.pi / 2  # right shoulder about z, ahead
    trans = np.zeros((5, 3))
    trans[:, 1 if up == "Z" else 2] = np.arange(5) * (-0.1 if up == "Z" else 0.1)
    data = {"poses": poses, "trans": trans, "mocap_framerate": np.array(120.0), "gender": np.array("neutral")}
    np.savez(path, **(data | changes))
    return path


@pytest.mark.parametrize(("width", "up"), [(156, "Z"), (165, "Z"), (72, "Z"), (66, "Z"), (72, "Y")])
def test_smpl_poses_on_a_body(tmp_path: Path, body: Body, width: int, up: str) -> None:
    rig, matrices, rate, assumed = smpl.read_smpl(amass(tmp_path / "clip.npz", width, up))
    assert rate == 120.0 and not assumed and matrices.shape == (5, 22, 4, 4)
    role_map = roles.guess(rig)
    assert role_map.family == "SMPL" and role_map.bones["toe.R"] == "R_Foot" and role_map.bones["hand.L"] == "L_Wrist"
    motion = retarget.retarget(rig, role_map, matrices, rate, body)
    assert rotations.angle_between(motion.rotations[:, 0], rotations.IDENTITY).max() < np.radians(6)
    assert limb(body, motion, "shin.L") == pytest.approx([0.0, 1.0, 0.0], abs=0.15)  # to the back
    assert limb(body, motion, "upper_arm.R") == pytest.approx([0.0, 0.0, -1.0], abs=0.15)
    assert limb(body, motion, "upper_arm.L") == pytest.approx([1.0, 0.0, 0.0], abs=0.15)
    assert motion.position[-1, 1] - motion.position[0, 1] < -0.3  # ahead is -y


def test_smpl_in_parts(tmp_path: Path) -> None:
    whole = smpl.read_smpl(amass(tmp_path / "a.npz"))[1]
    with np.load(amass(tmp_path / "b.npz")) as data:
        poses = data["poses"]
        np.savez(tmp_path / "c.npz", root_orient=poses[:, :3], pose_body=poses[:, 3:66], trans=data["trans"], fps=60.0)
    _, parts, rate, _ = smpl.read_smpl(tmp_path / "c.npz")
    assert rate == 60.0 and np.allclose(parts, whole)


def _matrices(vectors: np.ndarray) -> np.ndarray:
    """Rotation matrices of rotation vectors (..., 3), by Rodrigues' formula."""
    angle = np.linalg.norm(vectors, axis=-1)[..., None, None]
    x, y, z = np.moveaxis(vectors / np.maximum(angle[..., 0], 1e-12), -1, 0)
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(*x.shape, 3, 3)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


@pytest.mark.parametrize("case", ["joints", "smpl", "matrices", "batch", "smplx", "grouped", "aist", "wham", "flat"])
def test_smpl_in_every_shape(tmp_path: Path, case: str) -> None:
    """As bodies found in videos, other data sets and other programs store the same motion."""
    whole = smpl.read_smpl(amass(tmp_path / "a.npz"))[1]
    with np.load(tmp_path / "a.npz") as data:
        poses, trans = data["poses"], data["trans"]
    root, body, joints = poses[:, :3], poses[:, 3:66], poses.reshape(5, -1, 3)
    matrices = _matrices(joints[:, :24])
    hands = np.zeros((5, 6))
    shapes = {
        "joints": {"poses": joints, "trans": trans},
        "smpl": {"global_orient": root, "body_pose": np.hstack([body, hands]), "transl": trans, "betas": hands},
        "matrices": {"global_orient": matrices[:, :1], "body_pose": matrices[:, 1:], "transl": trans},
        "batch": {"global_orient": root[None], "body_pose": body[None], "transl": trans[None]},
        "smplx": {"root_orient": joints[:, 0], "pose_body": joints[:, 1:22], "trans": trans},
        "grouped": {f"smpl_params_{where}/{name}": value * scale
                    for where, scale in (("incam", 0.5), ("global", 1.0))
                    for name, value in (("global_orient", root), ("body_pose", body), ("transl", trans))},
        "aist": {"smpl_poses": poses[:, :72], "smpl_trans": trans * 90.0, "smpl_scaling": np.array([90.0])},
        "wham": {"pose": poses * 0.5, "trans": trans * 2, "pose_world": poses[:, :72], "trans_world": trans},
        "flat": {"poses": matrices, "trans": trans},
    }  # fmt: skip
    np.savez(tmp_path / "b.npz", fps=60.0, **shapes[case])
    _, parts, rate, assumed = smpl.read_smpl(tmp_path / "b.npz")
    assert rate == 60.0 and not assumed and np.allclose(parts, whole, atol=1e-6)


@pytest.mark.parametrize(("up", "word"), [("-y", "stands along -y"), ("y", ""), ("-z", "stands along -z")])
def test_smpl_before_a_camera_is_turned_upright_and_said_to_be(tmp_path: Path, up: str, word: str) -> None:
    whole = smpl.read_smpl(amass(tmp_path / "a.npz", 72, "Y"))[1]
    about = {"-y": np.array([np.pi, 0.0, 0.0]), "y": np.zeros(3), "-z": np.array([-np.pi / 2, 0.0, 0.0])}[up]
    with np.load(tmp_path / "a.npz") as data:
        poses, trans = data["poses"].copy(), data["trans"]
    poses[:, :3] = about
    # the root turns about its joint, which lies off the model's origin
    np.savez(tmp_path / "b.npz", poses=poses, trans=trans @ _matrices(about).T)
    _, turned, rate, assumed = smpl.read_smpl(tmp_path / "b.npz")
    assert word in assumed and rate == 30.0 and "30 frames a second" in assumed
    moved = turned[:, :, :3, 3] - turned[:, :1, :3, 3]
    assert moved == pytest.approx(whole[:, :, :3, 3] - whole[:, :1, :3, 3], abs=1e-6)
    assert np.diff(turned[:, 0, :3, 3], axis=0) == pytest.approx(np.diff(whole[:, 0, :3, 3], axis=0), abs=1e-6)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"global_orient": np.zeros((5, 3)), "body_pose": np.zeros((5, 63))}, "lacks the body's position"),
        ({"transl": np.zeros((5, 3))}, "lacks the body's joints"),
        ({"poses": np.zeros((2, 5, 72)), "trans": np.zeros((2, 5, 3))}, "several bodies"),
        ({"poses": np.zeros((5, 24, 6)), "trans": np.zeros((5, 3))}, "rotation vectors"),
        ({"poses": np.zeros((5, 24, 3, 3)), "trans": np.zeros((5, 3))}, "not rotations"),
        ({"global_orient": np.zeros((4, 3)), "body_pose": np.zeros((5, 63)), "transl": np.zeros((5, 3))}, "4 frames"),
        ({"poses": np.zeros((1, 72)), "trans": np.zeros((1, 3))}, "too few"),
        ({"poses": np.array({"a": 1}, dtype=object), "trans": np.zeros((1, 3))}, "plain numbers"),
        ({"arr_0": np.zeros(3)}, "lacks"),
    ],
)  # fmt: skip
def test_what_smpl_lacks_is_named(tmp_path: Path, arrays: dict, words: str) -> None:
    np.savez(tmp_path / "clip.npz", **arrays)
    with pytest.raises(ValueError, match=words):
        smpl.read_smpl(tmp_path / "clip.npz")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"poses": np.zeros((5, 10))}, "kind of SMPL motion"),
        ({"trans": np.zeros((4, 3))}, "not an SMPL motion"),
        ({"trans": np.full((5, 3), np.nan)}, "not finite"),
        ({"mocap_framerate": np.array(0.0)}, "frame rate"),
        ({"poses": np.array([{}], dtype=object)}, "not an SMPL motion"),
    ],
)
def test_damaged_smpl_is_refused(tmp_path: Path, changes: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        smpl.read_smpl(amass(tmp_path / "clip.npz", **changes))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "clip.npz").read_bytes()[:200])
    with pytest.raises(ValueError, match=r"cut\.npz"):
        smpl.read_smpl(tmp_path / "cut.npz")


# MimicKit


def frames() -> list[list[float]]:
    """Three frames: facing y, right knee bent, left elbow bent, right arm stretched out to the side."""
    frame = np.zeros(34)
    frame[:6] = 0.0, 0.0, 0.9, 0.0, 0.0, np.pi / 2
    frame[6 + 6 : 6 + 9] = -np.pi / 2, 0.0, 0.0  # right shoulder about x, ahead: the arm goes to the right
    frame[6 + 13] = np.pi / 2  # left elbow
    frame[6 + 17] = -np.pi / 2  # right knee
    return [(frame + np.eye(34)[1] * 0.1 * i).tolist() for i in range(3)]


@pytest.mark.parametrize("kind", ["npz", "json"])
def test_mimickit(tmp_path: Path, body: Body, kind: str) -> None:
    path = tmp_path / f"clip.{kind}"
    if kind == "npz":
        np.savez(path, fps=30, frames=np.array(frames()), loop_mode=1)
    else:
        path.write_text(json.dumps({"fps": 30, "frames": frames(), "loop_mode": "LoopMode.WRAP"}))
    motion, leg = mimickit.load(path)
    assert (motion.rate, motion.loops, motion.frames) == (30.0, True, 3) and leg == pytest.approx(0.88, abs=0.01)
    _, world = body.forward(motion.position, motion.rotations)
    # facing +y the body's own -y points to +y: left is -x
    assert rotations.rotate(world[0, 0], [0.0, -1.0, 0.0]) == pytest.approx([0.0, 1.0, 0.0], abs=1e-9)
    assert limb(body, motion, "upper_arm.R") == pytest.approx([1.0, 0.0, 0.0], abs=1e-9)
    assert limb(body, motion, "forearm.L") == pytest.approx([0.0, 1.0, 0.0], abs=1e-9)
    assert limb(body, motion, "shin.R") == pytest.approx([0.0, -1.0, 0.0], abs=1e-9)
    knee = motion.rotations[0, LINK_NAMES.index("shin.R")]
    assert knee == pytest.approx(rotations.from_axis_angle(HINGE_AXIS, -np.pi / 2))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"fps": 30, "frames": [[0.0] * 20] * 3}, "its frame 1 is not 34 numbers"),
        ({"fps": 30, "frames": [*frames()[:2], frames()[2][:-1]]}, "its frame 3 is not 34 numbers"),
        ({"fps": 0, "frames": frames()}, "no sensible frame rate"),
        ({"fps": 30}, "'frames'"),
    ],
)
def test_damaged_mimickit_is_refused(tmp_path: Path, data: dict, words: str) -> None:
    path = tmp_path / "clip.json"
    path.write_text(json.dumps(data))
    with pytest.raises(ValueError, match=rf"clip\.json.*{words}"):
        mimickit.load(path)


# VRMA

_NODES = {
    "hips": (None, (0.0, 0.95, 0.0)), "spine": ("hips", (0.0, 0.1, 0.0)), "chest": ("spine", (0.0, 0.15, 0.0)),
    "neck": ("chest", (0.0, 0.25, 0.0)), "head": ("neck", (0.0, 0.1, 0.0)),
    "leftUpperArm": ("chest", (0.17, 0.2, 0.0)), "leftLowerArm": ("leftUpperArm", (0.28, 0.0, 0.0)),
    "leftHand": ("leftLowerArm", (0.25, 0.0, 0.0)), "leftUpperLeg": ("hips", (0.1, -0.05, 0.0)),
    "leftLowerLeg": ("leftUpperLeg", (0.0, -0.42, 0.0)), "leftFoot": ("leftLowerLeg", (0.0, -0.4, 0.0)),
    "leftToes": ("leftFoot", (0.0, -0.06, 0.13)),
}  # fmt: skip


def write_vrma(path: Path, changes: dict | None = None) -> Path:
    """Three keys over half a second: the left thigh swings ahead by a right angle, the hips rise by 0.2 m."""
    table = dict(_NODES)
    for name, (parent, place) in _NODES.items():
        if name.startswith("left"):
            other = parent.replace("left", "right") if parent else None
            table[name.replace("left", "right")] = (other, (-place[0], *place[1:]))
    names = list(table)
    nodes = [{"name": f"J_{i}", "translation": list(table[name][1])} for i, name in enumerate(names)]
    for i, name in enumerate(names):
        if table[name][0]:
            nodes[names.index(table[name][0])].setdefault("children", []).append(i)
    half = np.sqrt(0.5)
    times = np.array([0.0, 0.25, 0.5], dtype="<f4")
    turns = np.array([[0, 0, 0, 1], [-np.sin(np.pi / 8), 0, 0, np.cos(np.pi / 8)], [-half, 0, 0, half]], dtype="<f4")
    positions = np.array([[0, 0.95, 0], [0, 1.05, 0], [0, 1.15, 0]], dtype="<f4")
    parts = [times.tobytes(), turns.tobytes(), positions.tobytes()]
    starts = np.cumsum([0] + [len(p) for p in parts])
    gltf = {
        "asset": {"version": "2.0"},
        "nodes": nodes,
        "buffers": [{"byteLength": int(starts[-1])}],
        "bufferViews": [
            {"buffer": 0, "byteOffset": int(s), "byteLength": len(p)} for s, p in zip(starts, parts, strict=False)
        ],
        "accessors": [
            {"bufferView": i, "componentType": 5126, "count": 3, "type": kind}
            for i, kind in enumerate(("SCALAR", "VEC4", "VEC3"))
        ],
        "animations": [
            {
                "samplers": [{"input": 0, "output": 1}, {"input": 0, "output": 2, "interpolation": "LINEAR"}],
                "channels": [
                    {"sampler": 0, "target": {"node": names.index("leftUpperLeg"), "path": "rotation"}},
                    {"sampler": 1, "target": {"node": names.index("hips"), "path": "translation"}},
                ],
            }
        ],
        "extensions": {
            "VRMC_vrm_animation": {
                "specVersion": "1.0",
                "humanoid": {"humanBones": {name: {"node": i} for i, name in enumerate(names)}},
            }
        },
    } | (changes or {})
    data = b"".join(parts)
    if path.suffix == ".gltf":
        gltf["buffers"][0]["uri"] = "data:application/octet-stream;base64," + base64.b64encode(data).decode()
        path.write_text(json.dumps(gltf))
        return path
    text = json.dumps(gltf).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(data), 0x004E4942) + data
    path.write_bytes(struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks)
    return path


@pytest.mark.parametrize("name", ["clip.vrma", "clip.gltf"])
def test_vrma(tmp_path: Path, body: Body, name: str) -> None:
    rig, matrices, rate = vrma.read_vrma(write_vrma(tmp_path / name))
    role_map = roles.guess(rig)
    assert role_map.family == "VRM" and not roles.missing(role_map)
    motion = retarget.retarget(rig, role_map, matrices, rate, body)
    assert motion.duration == pytest.approx(0.5)
    assert limb(body, motion, "thigh.L", -1) == pytest.approx([0.0, -1.0, 0.0], abs=0.05)
    halfway = [0.0, -np.sqrt(0.5), -np.sqrt(0.5)]
    assert limb(body, motion, "thigh.L", motion.frames // 2) == pytest.approx(halfway, abs=0.05)
    assert limb(body, motion, "thigh.R", -1) == pytest.approx([0.0, 0.0, -1.0], abs=0.05)


@pytest.mark.parametrize("changes", [{"extensions": {}}, {"animations": []}, {"bufferViews": []}, {"buffers": []}])
def test_damaged_vrma_is_refused(tmp_path: Path, changes: dict) -> None:
    with pytest.raises(ValueError, match=r"clip\.vrma"):
        vrma.read_vrma(write_vrma(tmp_path / "clip.vrma", changes))
    whole = write_vrma(tmp_path / "whole.vrma").read_bytes()
    (tmp_path / "clip.vrma").write_bytes(whole[: len(whole) - 60])
    with pytest.raises(ValueError, match=r"clip\.vrma"):
        vrma.read_vrma(tmp_path / "clip.vrma")
