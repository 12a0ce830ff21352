# SPDX-License-Identifier: GPL-3.0-or-later
"""What hangs on an armature: found to any depth, and read as skin where it stands at rest."""

from __future__ import annotations

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from mathutils import Matrix, Vector  # noqa: E402

from backflip_addon.scene.armature.hierarchy import attached_objects, meshes_left_behind  # noqa: E402
from backflip_addon.scene.armature.rig import bound_meshes, read_rig  # noqa: E402

from . import rigs  # noqa: E402

RIGID = ("On Bone", "On Mesh", "On Empty", "Bent By Prop", "On Prop's Bone", "Shifted", "Child Of", "Relative")
AT_REST: dict[str, np.ndarray] = {}  # where Blender shows the corners of each while the rig is at rest
CORNERS = [(x, y, z) for x in (-0.1, 0.1) for y in (-0.1, 0.1) for z in (-0.1, 0.1)]


@pytest.fixture(scope="module")
def armature() -> bpy.types.Object:
    """A rig with a thing hung on its upper chest in every way there is, then posed."""
    rigs.empty_scene()
    armature = rigs.build(matrix=rigs.SCALED_AND_TURNED)
    on_bone = _thing("On Bone", armature, bone="upper_chest")
    _thing("On Mesh", on_bone)
    empty = _thing("Empty", armature, bone="upper_chest", data=None)
    second = _thing("Second Empty", empty, data=None)
    _thing("On Empty", second)
    prop = rigs.build(
        [("blade", None, (0, 0, 1.4), (0, 0, 1.5)), ("tip", "blade", (0, 0, 1.5), (0, 0, 1.6))], name="Prop"
    )
    _hang(prop, armature, bone="upper_chest")
    bent = _thing("Bent By Prop", prop)
    bent.modifiers.new("Armature", "ARMATURE").object = prop
    bent.vertex_groups.new(name="blade").add(range(8), 1.0, "REPLACE")
    _thing("On Prop's Bone", prop, bone="tip")
    shifted = _thing("Shifted", empty)
    shifted.delta_location = (0.02, 0.0, 0.0)
    followed = _thing("Child Of", None)
    constraint = followed.constraints.new("CHILD_OF")
    constraint.target, constraint.subtarget = armature, "upper_chest"
    bpy.context.view_layer.update()
    pose = armature.matrix_world @ armature.pose.bones["upper_chest"].matrix
    constraint.inverse_matrix = pose.inverted()
    _relative(armature)
    _instance(armature)
    _thing("On Armature", armature)
    _thing("Alone", None)
    for name in (*RIGID, "Instanced"):
        world = bpy.data.objects["Instancer" if name == "Instanced" else name].matrix_world
        AT_REST[name] = np.array([world @ Vector(corner) for corner in CORNERS])
    armature.pose.bones["spine"].rotation_quaternion = (0.8, 0.3, 0.5, 0.1)
    armature.pose.bones["upper_chest"].location = (3.0, 5.0, 0.0)
    bpy.context.view_layer.update()
    return armature


def _thing(name: str, parent: bpy.types.Object | None, bone: str = "", data: str | None = "cube") -> bpy.types.Object:
    """A small box, or an empty, that stands at (0, 0, 1.4) in the world while the rig is at rest."""
    mesh = None
    if data:
        mesh = bpy.data.meshes.new(name)
        mesh.from_pydata(CORNERS, [], [])
    ob = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(ob)
    ob.matrix_world = Matrix.Translation((0.0, 0.0, 1.4))
    if parent is not None:
        _hang(ob, parent, bone)
    return ob


def _hang(ob: bpy.types.Object, parent: bpy.types.Object, bone: str = "") -> None:
    bpy.context.view_layer.update()
    world = ob.matrix_world.copy()
    ob.parent = parent
    if bone:
        ob.parent_type, ob.parent_bone = "BONE", bone
    bpy.context.view_layer.update()
    ob.matrix_world = world
    bpy.context.view_layer.update()


def _relative(armature: bpy.types.Object) -> None:
    armature.data.bones["chest"].use_relative_parent = True
    _thing("Relative", armature, bone="chest")


def _instance(armature: bpy.types.Object) -> None:
    shown = bpy.data.collections.new("Shown")
    shown.instance_offset = (5.0, 0.0, 0.0)
    mesh = bpy.data.meshes.new("Instanced")
    mesh.from_pydata(CORNERS, [], [])
    member = bpy.data.objects.new("Instanced", mesh)
    member.location = (5.0, 0.0, 0.0)
    shown.objects.link(member)
    empty = _thing("Instancer", armature, bone="upper_chest", data=None)
    empty.instance_type, empty.instance_collection = "COLLECTION", shown


def test_everything_that_hangs_on_an_armature_is_found_whatever_is_between(armature: bpy.types.Object) -> None:
    names = [ob.name for ob in attached_objects(armature)]
    assert sorted(names) == sorted((*RIGID, "Empty", "Second Empty", "Prop", "Instancer", "On Armature"))
    for ob in attached_objects(armature):
        if ob.parent is not None and ob.parent != armature:
            assert names.index(ob.parent.name) < names.index(ob.name)


def test_what_the_bones_move_is_bound_and_what_the_object_alone_moves_is_not(armature: bpy.types.Object) -> None:
    assert {mesh.name for mesh in bound_meshes(armature)} == set(RIGID)


def test_rigid_skin_stands_where_it_stands_at_rest(armature: bpy.types.Object) -> None:
    rig = read_rig(armature)
    count = len(CORNERS)
    assert len(rig.skin.vertices) == count * (len(RIGID) + 1)  # and the instance
    bones = {rig.bones[bone] for bone in rig.skin.bones[:, 0]}
    assert bones == {"upper_chest", "chest"}
    parts = rig.skin.vertices.reshape(-1, count, 3)
    names = [mesh.name for mesh in bound_meshes(armature)]
    for name, part in zip((*names, "Instanced"), parts, strict=True):
        np.testing.assert_allclose(part, AT_REST[name], atol=1e-4, err_msg=name)


def test_envelopes_bind_as_blender_does() -> None:
    rigs.empty_scene()
    armature = rigs.build(matrix=rigs.SCALED_AND_TURNED)
    points = np.random.default_rng(0).uniform((-0.9, -0.2, 0.0), (0.9, 0.2, 1.9), (200, 3))
    data = bpy.data.meshes.new("Skin")
    data.from_pydata(points.tolist(), [], [])
    mesh = bpy.data.objects.new("Skin", data)
    bpy.context.scene.collection.objects.link(mesh)
    modifier = mesh.modifiers.new("Armature", "ARMATURE")
    modifier.object, modifier.use_bone_envelopes, modifier.use_vertex_groups = armature, True, False
    mesh.vertex_groups.new(name="head").add(range(200), 1.0, "REPLACE")  # not asked
    for i, bone in enumerate(armature.data.bones):
        bone.envelope_distance, bone.envelope_weight = (9.0, 1.0 + 0.1 * i) if i % 3 else (0.0, 1.0)
        bone.head_radius, bone.tail_radius = 4.0, 7.0
    for bone in armature.pose.bones:
        bone.rotation_quaternion = (0.98, 0.1, 0.15, 0.05)
    bpy.context.view_layer.update()
    shown = np.array([v.co for v in mesh.evaluated_get(bpy.context.evaluated_depsgraph_get()).data.vertices])
    rig = read_rig(armature)
    moved = np.array([armature.matrix_world @ armature.pose.bones[bone].matrix for bone in rig.bones])
    rest = np.array([armature.matrix_world @ armature.data.bones[bone].matrix_local for bone in rig.bones])
    by_bone = moved @ np.linalg.inv(rest)
    skin = rig.skin
    few = (skin.bones[:, -1] < 0) & (skin.weights.sum(axis=1) > 0)  # of more than four bones the lightest are left out
    assert few.sum() > 30
    at = {tuple(np.round(point, 4)): where for point, where in zip(points, shown, strict=True)}
    for vertex, bones, weights in zip(skin.vertices[few], skin.bones[few], skin.weights[few], strict=True):
        matrix = np.einsum("k,kij->ij", weights, by_bone[bones])
        np.testing.assert_allclose(matrix[:3, :3] @ vertex + matrix[:3, 3], at[tuple(np.round(vertex, 4))], atol=1e-5)


def test_an_outfit_whose_bones_copy_the_characters_hangs_on_it_and_a_partner_who_holds_its_hand_does_not() -> None:
    rigs.empty_scene()
    armature, outfit, partner = (rigs.build(name=name) for name in ("Hero", "Outfit", "Partner"))
    for other, names in (
        (outfit, [bone.name for bone in outfit.data.bones if bone.name != "index.L"]),
        (partner, ["hand.L"]),
    ):
        for name in names:
            constraint = other.pose.bones[name].constraints.new("COPY_TRANSFORMS")
            constraint.target, constraint.subtarget = armature, name
    rigs._add_skin(outfit, rigs.t_pose())
    assert [ob.name for ob in attached_objects(armature)] == ["Outfit", "Skin"]
    buckle = _thing("Buckle", outfit, bone="spine")
    for parent in (None, armature):
        outfit.parent = parent
        assert meshes_left_behind(armature) == [], "its bones go along"
    bpy.data.objects.remove(buckle)
    rig = read_rig(armature)
    skin = bpy.data.objects["Skin"]
    for vertex, bone in zip(skin.data.vertices, rig.skin.bones[:, 0], strict=False):  # then points on faces
        group = skin.vertex_groups[vertex.groups[0].group].name
        assert rig.bones[bone] == {"index.L": "hand.L"}.get(group, group)
