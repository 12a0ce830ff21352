# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import math

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from mathutils import Matrix, Vector  # noqa: E402

from backflip_addon.core.body import LINK_NAMES  # noqa: E402
from backflip_addon.core.rigs import fit, roles  # noqa: E402
from backflip_addon.scene.armature.rig import SKIN_VERTICES, bone_order, bound_meshes, read_rig  # noqa: E402
from tests.work import count_calls  # noqa: E402

from . import rigs  # noqa: E402


@pytest.fixture(autouse=True)
def _empty() -> None:
    rigs.empty_scene()


def test_heads_and_tails_are_in_the_world() -> None:
    rig = read_rig(rigs.build(matrix=rigs.SCALED_AND_TURNED))
    positions = {name: (head, tail) for name, _parent, head, tail in rigs.t_pose()}
    for name, head, tail in zip(rig.bones, rig.heads, rig.tails, strict=True):
        np.testing.assert_allclose(head, positions[name][0], atol=1e-5)
        np.testing.assert_allclose(tail, positions[name][1], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(rig.rest[:, :3, :3], axis=1), 1.0, atol=1e-6)
    assert all(parent < i for i, parent in enumerate(rig.parents))


def test_the_skin_is_read_at_rest_whatever_the_pose() -> None:
    armature = rigs.build(skin=True)
    before = read_rig(armature).skin
    armature.pose.bones["thigh.L"].rotation_quaternion = (0.7, 0.7, 0, 0)
    bpy.context.view_layer.update()
    after = read_rig(armature).skin
    np.testing.assert_allclose(after.vertices, before.vertices)
    thigh = read_rig(armature).bones.index("thigh.L")
    own = before.vertices[(before.bones[:, 0] == thigh) & (before.weights[:, 0] > 0)]
    np.testing.assert_allclose(own.min(axis=0), (0.06, -0.05, 0.44), atol=1e-5)


def test_a_mesh_that_hangs_on_a_bone_is_its_skin() -> None:
    armature = rigs.build()
    data = bpy.data.meshes.new("Helmet")
    data.from_pydata([(0, 0, 1.6), (0.1, 0, 1.7), (0, 0.1, 1.8)], [], [(0, 1, 2)])
    mesh = bpy.data.objects.new("Helmet", data)
    bpy.context.scene.collection.objects.link(mesh)
    mesh.parent, mesh.parent_type, mesh.parent_bone = armature, "BONE", "head"
    bone = armature.data.bones["head"]
    tail = Matrix.Translation(bone.tail_local) @ bone.matrix_local.to_3x3().to_4x4()
    mesh.matrix_parent_inverse = (armature.matrix_world @ tail).inverted()
    armature.pose.bones["head"].rotation_quaternion = (0.8, 0, 0.6, 0)
    bpy.context.view_layer.update()
    rig = read_rig(armature)
    np.testing.assert_allclose(rig.skin.vertices[:3], [tuple(v.co) for v in data.vertices], atol=1e-5)
    assert (rig.skin.bones[:, 0] == rig.bones.index("head")).all()


@pytest.mark.parametrize("bent", [False, True])
def test_a_block_is_as_thick_as_its_faces_though_it_has_but_corners(bent: bool) -> None:
    armature = rigs.build()
    data = bpy.data.meshes.new("Block")
    corners = [(x, y, z) for x in (-0.2, 0.2) for y in (-0.15, 0.15) for z in (0.95, 1.45)]
    quads = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))
    data.from_pydata(corners, [], quads)
    block = bpy.data.objects.new("Block", data)
    bpy.context.scene.collection.objects.link(block)
    block.parent = armature
    if bent:
        block.modifiers.new("Armature", "ARMATURE").object = armature
        for name, rows in {"pelvis": (0, 2, 4, 6), "upper_chest": (1, 3, 5, 7)}.items():
            block.vertex_groups.new(name=name).add(rows, 1.0, "REPLACE")
    else:
        world = block.matrix_world.copy()
        block.parent_type, block.parent_bone = "BONE", "upper_chest"
        bpy.context.view_layer.update()
        block.matrix_world = world
    bpy.context.view_layer.update()
    rig = read_rig(armature)
    chest = fit.fit_body(rig, roles.guess(rig))[0].links[LINK_NAMES.index("chest")]
    for shape in chest.shapes:
        assert shape.size[0] == pytest.approx(0.15, abs=0.01)
    middle = np.abs(rig.skin.vertices[:, 2] - 1.2) < 1e-3
    upper = np.where(rig.skin.bones == rig.bones.index("upper_chest"), rig.skin.weights, 0.0).sum(axis=1)
    np.testing.assert_allclose(upper[middle], 0.5 if bent else 1.0, atol=0.01)
    assert middle.any()


def test_a_helper_mesh_is_no_skin() -> None:
    armature = rigs.build(skin=True)
    data = bpy.data.meshes.new("Icosphere")
    data.from_pydata([(9, 9, 9)], [], [])
    bpy.context.scene.collection.objects.link(bpy.data.objects.new("Icosphere", data))
    assert [mesh.name for mesh in bound_meshes(armature)] == ["Skin"]


def test_no_skin_at_all() -> None:
    assert read_rig(rigs.build()).skin is None


def test_uneven_scale_leaves_its_shear_to_be_seen() -> None:
    matrix = Matrix.Diagonal((1.0, 1.0, 2.0, 1.0))
    bones = [("a", None, (0, 0, 0), (0.0, 1.0, 1.0))]
    armature = rigs.build(bones, matrix=Matrix.Identity(4))
    armature.matrix_world = matrix
    bpy.context.view_layer.update()
    turn = read_rig(armature).rest[0, :3, :3]
    assert np.abs(turn.T @ turn - np.eye(3)).max() > 0.1


def test_parents_come_first_in_any_order_of_making() -> None:
    armature = rigs.build()
    names = [bone.name for bone in bone_order(armature)]
    assert sorted(names) == sorted(bone.name for bone in armature.data.bones)
    for bone in armature.data.bones:
        assert bone.parent is None or names.index(bone.parent.name) < names.index(bone.name)


@pytest.mark.parametrize("count", [13_000, 60_000])
def test_a_skin_is_a_few_calls_a_vertex_and_no_more_than_20000_are_read(count: int) -> None:
    armature = rigs.build()
    data = bpy.data.meshes.new("Dense")
    data.from_pydata([Vector((math.sin(i), math.cos(i), i / count)) for i in range(count)], [], [])
    mesh = bpy.data.objects.new("Dense", data)
    bpy.context.scene.collection.objects.link(mesh)
    mesh.modifiers.new("Armature", "ARMATURE").object = armature
    for k, name in enumerate(("spine", "chest", "head", "thigh.L")):
        mesh.vertex_groups.new(name=name).add(list(range(count)), 0.1 + 0.2 * k, "REPLACE")
    read = []
    calls = count_calls(lambda: read.append(read_rig(armature).skin))
    skin = read[0]
    assert calls < 10 * len(skin.vertices) + 5_000
    assert len(skin.vertices) == min(count, SKIN_VERTICES)
    np.testing.assert_allclose(skin.weights.sum(axis=1), 1.0)
