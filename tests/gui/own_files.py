# SPDX-License-Identifier: GPL-3.0-or-later
"""A user's own files, made by Blender without a window: hero.blend with a rig, and squat.bvh with a clip.

blender --background --factory-startup --python own_files.py -- FOLDER
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import bpy
from mathutils import Matrix

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.scene import rigs

_FOLDER = Path(sys.argv[sys.argv.index("--") + 1])
_FRAMES, _STEP = 24, 2  # at Blender's 24 a second; a key every second frame
_BEND, _HANG = 0.6, 1.2  # radians: of the thighs at the lowest, of the arms under the horizontal
_LEG = 0.42, 0.40  # m: thigh and shin of the tests' rig


def _turn(bone: bpy.types.PoseBone, axis: str, angle: float) -> None:
    """Turn a bone about its joint, about an axis of the armature's."""
    joint = Matrix.Translation(bone.matrix.translation)
    bone.matrix = joint @ Matrix.Rotation(angle, 4, axis) @ joint.inverted() @ bone.matrix
    bpy.context.view_layer.update()


def _squat(rig: bpy.types.Object) -> None:
    """From standing down and up again, in a second."""
    bones = rig.pose.bones
    for frame in range(1, _FRAMES + 2, _STEP):
        bend = _BEND * math.sin(math.pi * (frame - 1) / _FRAMES) ** 2
        for bone in bones:
            bone.matrix_basis = Matrix.Identity(4)
        bpy.context.view_layer.update()
        drop = sum(_LEG) * (1.0 - math.cos(bend))
        bones["pelvis"].matrix = Matrix.Translation((0.0, 0.0, -drop)) @ bones["pelvis"].matrix
        bpy.context.view_layer.update()
        for side, sign in (("L", 1.0), ("R", -1.0)):
            _turn(bones[f"upper_arm.{side}"], "Y", sign * _HANG)
            _turn(bones[f"thigh.{side}"], "X", -bend)
            _turn(bones[f"shin.{side}"], "X", 2.0 * bend)
            _turn(bones[f"foot.{side}"], "X", -bend)
        for bone in bones:
            bone.keyframe_insert("rotation_quaternion", frame=frame)
            bone.keyframe_insert("location", frame=frame)


for thing in list(bpy.data.objects):
    bpy.data.objects.remove(thing)
clip = rigs.build(name="Clip")
_squat(clip)
bpy.ops.export_anim.bvh(filepath=str(_FOLDER / "squat.bvh"), frame_start=1, frame_end=_FRAMES + 1)
bpy.data.objects.remove(clip)
hero = rigs.build(skin=True, name="Hero")
for thing in bpy.context.scene.objects:
    thing.select_set(thing == hero)
bpy.context.view_layer.objects.active = hero
bpy.ops.wm.save_as_mainfile(filepath=str(_FOLDER / "hero.blend"))
