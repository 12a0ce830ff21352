# SPDX-License-Identifier: GPL-3.0-or-later
"""Rigs the tests build themselves: a humanoid of about 1.7 m in many guises."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import bpy
from mathutils import Matrix, Vector

# name, parent, head, tail: T-pose, facing -Y, left = +X, metres
_MIDDLE = (
    ("root", None, (0, 0, 0), (0, 0.2, 0)),
    ("pelvis", "root", (0, 0, 0.94), (0, 0, 1.04)),
    ("spine", "pelvis", (0, 0, 1.04), (0, 0, 1.16)),
    ("chest", "spine", (0, 0, 1.16), (0, 0, 1.28)),
    ("upper_chest", "chest", (0, 0, 1.28), (0, 0, 1.44)),
    ("neck", "upper_chest", (0, 0, 1.44), (0, 0, 1.54)),
    ("head", "neck", (0, 0, 1.54), (0, 0, 1.74)),
)
_LEFT = (
    ("shoulder.L", "upper_chest", (0.03, 0, 1.42), (0.17, 0, 1.42)),
    ("upper_arm.L", "shoulder.L", (0.17, 0, 1.42), (0.45, 0, 1.42)),
    ("forearm.L", "upper_arm.L", (0.45, 0, 1.42), (0.70, 0, 1.42)),
    ("hand.L", "forearm.L", (0.70, 0, 1.42), (0.80, 0, 1.42)),
    ("index.L", "hand.L", (0.80, 0, 1.42), (0.88, 0, 1.42)),
    ("thigh.L", "pelvis", (0.10, 0, 0.90), (0.10, -0.01, 0.48)),
    ("shin.L", "thigh.L", (0.10, -0.01, 0.48), (0.10, 0.01, 0.08)),
    ("foot.L", "shin.L", (0.10, 0.01, 0.08), (0.10, -0.12, 0.02)),
    ("toe.L", "foot.L", (0.10, -0.12, 0.02), (0.10, -0.19, 0.02)),
)

Bone = tuple[str, str | None, tuple[float, float, float], tuple[float, float, float]]


def t_pose() -> list[Bone]:
    """The skeleton with both sides."""
    return [*_MIDDLE, *_LEFT, *(_other_side(bone) for bone in _LEFT)]


def _other_side(bone: Bone) -> Bone:
    name, parent, head, tail = bone
    flip = lambda p: (-p[0], p[1], p[2])  # noqa: E731
    return name.replace(".L", ".R"), parent.replace(".L", ".R") if parent else None, flip(head), flip(tail)


def a_pose(degrees: float = 45.0) -> list[Bone]:
    """The arms hanging at an angle under the horizontal."""
    bones = []
    for name, parent, head, tail in t_pose():
        if name.split(".")[0] in ("upper_arm", "forearm", "hand", "index"):
            side = 1 if name.endswith("L") else -1
            joint = Vector((0.17 * side, 0, 1.42))
            turn = Matrix.Rotation(math.radians(degrees) * side, 3, "Y")
            head, tail = (tuple(joint + turn @ (Vector(p) - joint)) for p in (head, tail))
        bones.append((name, parent, head, tail))
    return bones


def build(
    bones: list[Bone] | None = None,
    *,
    name: str = "Rig",
    matrix: Matrix | None = None,
    roll: Callable[[str], float] = lambda _name: 0.0,
    across: bool = False,
    modes: tuple[str, ...] = ("QUATERNION",),
    skin: bool = False,
) -> bpy.types.Object:
    """An armature object whose character stands at 1:1 in the world whatever its object's matrix.

    across: every bone's Y axis lies at right angles to its limb, as in rigs from other software.
    modes: rotation modes, dealt out to the bones in turn.
    """
    matrix = matrix or Matrix.Identity(4)
    armature = bpy.data.objects.new(name, bpy.data.armatures.new(name))
    bpy.context.scene.collection.objects.link(armature)
    armature.matrix_world = matrix
    bpy.context.view_layer.update()
    bpy.context.view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")
    back = matrix.inverted()
    for bone_name, parent, head, tail in bones or t_pose():
        bone = armature.data.edit_bones.new(bone_name)
        bone.head, bone.tail = back @ Vector(head), back @ Vector(tail)
        if across:
            along = bone.tail - bone.head
            bone.tail = bone.head + along.orthogonal().normalized() * along.length
        bone.roll = roll(bone_name)
        if parent:
            bone.parent = armature.data.edit_bones[parent]
            bone.use_connect = not across and (bone.head - bone.parent.tail).length < 1e-6 and parent != "root"
    bpy.ops.object.mode_set(mode="OBJECT")
    for i, bone in enumerate(armature.pose.bones):
        bone.rotation_mode = modes[i % len(modes)]
    if skin:
        _add_skin(armature, bones or t_pose())
    bpy.context.view_layer.update()
    return armature


def _add_skin(armature: bpy.types.Object, bones: list[Bone]) -> None:
    """An eight-cornered box round each bone, each bound to its bone."""
    vertices, faces, groups = [], [], []
    for name, _parent, head, tail in bones:
        if name == "root":
            continue
        low = [min(a, b) - 0.04 for a, b in zip(head, tail, strict=True)]
        high = [max(a, b) + 0.04 for a, b in zip(head, tail, strict=True)]
        low[2] = max(low[2], 0.0)
        first = len(vertices)
        vertices += [(x, y, z) for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])]
        quads = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))
        faces += [tuple(first + i for i in face) for face in quads]
        groups.append((name, range(first, first + 8)))
    data = bpy.data.meshes.new("Skin")
    data.from_pydata(vertices, [], faces)
    mesh = bpy.data.objects.new("Skin", data)
    bpy.context.scene.collection.objects.link(mesh)
    mesh.parent = armature
    mesh.matrix_parent_inverse = armature.matrix_world.inverted()
    mesh.modifiers.new("Armature", "ARMATURE").object = armature
    for name, members in groups:
        mesh.vertex_groups.new(name=name).add(list(members), 1.0, "REPLACE")


SCALED_AND_TURNED = (
    Matrix.Translation((0.4, -0.3, 0.0)) @ Matrix.Rotation(math.radians(90), 4, "X") @ Matrix.Scale(0.01, 4)
)


def empty_scene() -> None:
    """A fresh file with nothing in it."""
    bpy.ops.wm.read_factory_settings(use_empty=True)


# In a process of its own: Rigify's classes bring Blender's module down when a file is loaded afterwards.
_GENERATE = """
import os, sys
import bpy
import addon_utils
bpy.ops.wm.read_factory_settings(use_empty=True)
if addon_utils.enable("rigify", default_set=True) is None:
    os._exit(3)
bpy.ops.object.armature_basic_human_metarig_add()
bpy.ops.pose.rigify_generate()
bpy.ops.wm.save_as_mainfile(filepath=sys.argv[1])
os._exit(0)
"""


def generate_rigify(file: Path) -> bool:
    """Save a .blend with Rigify's metarig of a human and the rig that it generates; False where there is no Rigify."""
    command = [sys.executable, "-c", _GENERATE, str(file)]
    status = subprocess.run(command, capture_output=True, timeout=600, check=False).returncode
    assert status in (0, 3) and file.is_file() == (status == 0)
    return status == 0
