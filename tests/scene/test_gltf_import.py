# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from mathutils import Matrix  # noqa: E402

from backflip_addon import compat  # noqa: E402
from backflip_addon.scene.importing.gltf_import import import_gltf  # noqa: E402

from . import rigs  # noqa: E402


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_a_bones_child_stands_where_the_file_has_it_whatever_the_armatures_scale(tmp_path: Path, scale: float) -> None:
    """Still and moving: a helmet that slides along its bone."""
    rigs.empty_scene()
    armature = rigs.build(matrix=Matrix.Scale(scale, 4), skin=True)
    data = bpy.data.meshes.new("Helmet")
    data.from_pydata([(0.1, 0, 0), (-0.1, 0, 0), (0, 0.1, 0.3)], [], [(0, 1, 2)])
    helmet = bpy.data.objects.new("Helmet", data)
    bpy.context.scene.collection.objects.link(helmet)
    helmet.parent, helmet.parent_type, helmet.parent_bone = armature, "BONE", "head"
    for frame, height in ((1, 0.0), (11, 0.2)):
        helmet.location = (0.0, height / scale, 0.0)
        helmet.scale = (1.0 / scale,) * 3
        helmet.keyframe_insert("location", frame=frame)
    bpy.context.scene.frame_start, bpy.context.scene.frame_end = 1, 11
    wanted = shown(helmet)
    path = tmp_path / "rig.glb"
    compat.ensure_addon("io_scene_gltf2")
    bpy.ops.export_scene.gltf(filepath=str(path), export_format="GLB")
    rigs.empty_scene()
    import_gltf(str(path))
    np.testing.assert_allclose(shown(bpy.data.objects["Helmet"]), wanted, atol=1e-4)


def shown(ob: bpy.types.Object) -> np.ndarray:
    """The object's corners (2, V, 3) in the world, at its animation's first and last frame."""
    positions = []
    for frame in ob.animation_data.action.frame_range if ob.animation_data and ob.animation_data.action else (1, 11):
        bpy.context.scene.frame_set(int(round(frame)))
        positions.append([tuple(ob.matrix_world @ v.co) for v in ob.data.vertices])
    return np.sort(np.array(positions), axis=1)
