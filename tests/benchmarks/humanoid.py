# SPDX-License-Identifier: GPL-3.0-or-later
"""DeepMimic's humanoid as a Body, read from the URDF that ships in pybullet_data."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pybullet_data

from backflip_addon.core import motion
from backflip_addon.core.body import HINGE_LIMITS, LINK_NAMES, LINK_PARENTS, Body, Link
from backflip_addon.core.clips import deepmimic, key_poses
from backflip_addon.core.motions import retarget
from backflip_addon.core.rigs.strength_presets import PRESETS
from backflip_addon.core.shapes import Shape

DATA = Path(pybullet_data.getDataPath())
CLIPS = DATA / "data" / "motions"
SCALE = 0.25  # the URDF is four times life size

# URDF name, greatest torque N m, kp, kd: PyBullet's own deep_mimic environment. The torques are an athlete's of its
# 45 kg and 1.62 m, not a superhero's (core/rigs/strength_presets.py): waist 200 N m against 197, hips 200 against 190,
# knees 150 against 175, elbows 60 against 61; of shoulders (100 against 78) and neck (50 against 36) more, of ankles
# (90 against 175) less. So they are kept, and fall with the joint's speed as an athlete's do.
JOINTS: dict[str, tuple[str, float, float, float]] = {
    "pelvis": ("root", 0, 0, 0),
    "chest": ("chest", 200, 1000, 100),
    "head": ("neck", 50, 100, 10),
    "thigh": ("hip", 200, 500, 50),
    "shin": ("knee", 150, 500, 50),
    "foot": ("ankle", 90, 400, 40),
    "upper_arm": ("shoulder", 100, 400, 40),
    "forearm": ("elbow", 60, 300, 30),
    "hand": ("wrist", 0, 0, 0),
}
AXES = np.array([[0.0, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def humanoid() -> Body:
    """DeepMimic's figure: 45 kg, 1.6 m."""
    text = (DATA / "humanoid" / "humanoid.urdf").read_text(encoding="latin-1")
    tree = ElementTree.fromstring(text[: text.index("</robot>") + len("</robot>")])  # stray bytes follow
    links = {link.get("name"): link for link in tree.iter("link")}
    joints = {joint.find("child").get("link"): joint for joint in tree.iter("joint")}
    return Body("DeepMimic humanoid", tuple(_link(name, links, joints) for name in LINK_NAMES), 1.62)


def clip(name: str, body: Body) -> motion.Motion:
    """The clip humanoid3d_<name>, a stunt of our own, or a file's path, on the body."""
    if (stunt := key_poses.FOLDER / f"{name}.json").exists():
        return key_poses.load(stunt, body)
    path = CLIPS / f"humanoid3d_{name}.txt"
    clip_motion, leg = deepmimic.load(path if path.exists() else Path(name))
    return retarget.adapt(clip_motion, leg, body)


def clip_names() -> list[str]:
    """The names of all clips of pybullet_data."""
    return sorted(file.stem.removeprefix("humanoid3d_") for file in CLIPS.glob("humanoid3d_*.txt"))


def _numbers(text: str) -> np.ndarray:
    return np.array([float(x) for x in text.split()])


def _link(name: str, links: dict, joints: dict) -> Link:
    part, _, side = name.partition(".")
    urdf, torque, kp, kd = JOINTS[part]
    urdf = {"L": "left_", "R": "right_", "": ""}[side] + urdf
    link, joint = links[urdf], joints[urdf]
    parent, strengths = LINK_PARENTS[name], PRESETS["athlete"].joints
    centre = AXES @ _numbers(link.find("inertial/origin").get("xyz")) * SCALE
    mass = float(link.find("inertial/mass").get("value"))
    shape = _shape(link.find("collision"))
    kind = "free" if parent is None else "hinge" if part in HINGE_LIMITS else "fixed" if part == "hand" else "spherical"
    return Link(
        name=name,
        parent=-1 if parent is None else LINK_NAMES.index(parent),
        joint=kind,
        offset=tuple(np.zeros(3) if parent is None else AXES @ _numbers(joint.find("origin").get("xyz")) * SCALE),
        mass=mass,
        centre=tuple(centre),
        inertia=_inertia(shape, mass),
        shapes=(shape,),
        limits=HINGE_LIMITS.get(part, (0.0, 2.6)),
        torque=torque,
        kp=kp,
        kd=kd,
        top_speed=strengths[part].top_speed if part in strengths else 0.0,
    )


def _shape(collision: ElementTree.Element) -> Shape:
    place = tuple(AXES @ _numbers(collision.find("origin").get("xyz")) * SCALE)
    solid = collision.find("geometry")[0]
    if solid.tag == "sphere":
        return Shape("sphere", (float(solid.get("radius")) * SCALE,), place)
    if solid.tag == "capsule":  # along the limb: our z
        return Shape("capsule", (float(solid.get("radius")) * SCALE, float(solid.get("length")) * SCALE), place)
    return Shape("box", tuple(np.abs(AXES @ _numbers(solid.get("size"))) * SCALE / 2), place)


def _inertia(shape: Shape, mass: float) -> tuple[float, float, float]:
    if shape.kind == "sphere":
        return (0.4 * mass * shape.size[0] ** 2,) * 3
    if shape.kind == "box":
        x, y, z = (2 * half for half in shape.size)
        return (mass / 12 * (y * y + z * z), mass / 12 * (x * x + z * z), mass / 12 * (x * x + y * y))
    radius, length = shape.size  # Bullet's own approximation of a capsule: its bounding box
    x = y = 2 * radius
    z = length + 2 * radius
    return (mass / 12 * (y * y + z * z), mass / 12 * (x * x + z * z), mass / 12 * (x * x + y * y))
