# SPDX-License-Identifier: GPL-3.0-or-later
"""The built-in avatar: proportions, a sound skin, weights that deform well."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from mathutils import Matrix  # noqa: E402

from backflip_addon.scene.mannequin.build import add_mannequin  # noqa: E402
from backflip_addon.scene.mannequin.shape import ACCENT_LEFT, ACCENT_RIGHT  # noqa: E402


@pytest.fixture
def figure() -> bpy.types.Object:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    return add_mannequin(bpy.context)


def skin_of(armature: bpy.types.Object) -> bpy.types.Object:
    return armature.children[0]


def points(mesh: bpy.types.Mesh) -> np.ndarray:
    flat = np.empty(len(mesh.vertices) * 3, dtype=np.float32)
    mesh.vertices.foreach_get("co", flat)
    return flat.reshape(-1, 3).astype(float)


def posed_points(armature: bpy.types.Object) -> np.ndarray:
    bpy.context.view_layer.update()
    evaluated = skin_of(armature).evaluated_get(bpy.context.evaluated_depsgraph_get())
    return points(evaluated.data)


def turn(armature: bpy.types.Object, bone: str, axis: str, degrees: float) -> None:
    """Turn a bone in place about a world axis."""
    pose = armature.pose.bones[bone]
    place = pose.matrix.to_translation()
    about = Matrix.Translation(place) @ Matrix.Rotation(math.radians(degrees), 4, axis) @ Matrix.Translation(-place)
    pose.matrix = about @ pose.matrix
    bpy.context.view_layer.update()


def weights_of(skin: bpy.types.Object) -> np.ndarray:
    table = np.zeros((len(skin.data.vertices), len(skin.vertex_groups)))
    for vertex in skin.data.vertices:
        for group in vertex.groups:
            table[vertex.index, group.group] = group.weight
    return table


def test_stands_as_tall_as_a_person_on_the_floor(figure: bpy.types.Object) -> None:
    co = points(skin_of(figure).data)
    assert co[:, 2].min() == pytest.approx(0.0, abs=1e-6)
    assert co[:, 2].max() == pytest.approx(1.75, abs=1e-3)
    assert 1.0 < np.ptp(co[:, 0]) / 1.75 < 1.07  # arm span over height, of a grown person


def test_joints_follow_the_published_proportions(figure: bpy.types.Object) -> None:
    """Drillis & Contini's heights of ankle .039, knee .285, hip .530; de Leva's arm (281.7 + 268.9) / 1741 mm."""
    heads = {bone.name: np.array(bone.head_local) for bone in figure.data.bones}
    for bone, fraction in (("foot.L", 0.039), ("shin.L", 0.285), ("thigh.R", 0.530)):
        assert heads[bone][2] == pytest.approx(1.75 * fraction, abs=1e-4)
    arm = np.linalg.norm(heads["hand.L"] - heads["upper_arm.L"])
    assert arm / 1.75 == pytest.approx(550.6 / 1741, rel=0.01)


def test_skeleton_is_a_connected_humanoid_facing_forward(figure: bpy.types.Object) -> None:
    bones = figure.data.bones
    assert len(bones) == 22
    assert [bone.name for bone in bones if bone.parent is None] == ["hips"]
    assert bones["forearm.L"].head_local.x > bones["upper_arm.L"].head_local.x > 0 > bones["forearm.R"].head_local.x
    assert bones["toe.L"].head_local.y < bones["foot.L"].head_local.y
    for bone in bones:
        assert bone.length > 0.02
        if bone.name.endswith(".L"):
            partner = bones[bone.name[:-2] + ".R"]
            np.testing.assert_allclose(partner.head_local, np.array(bone.head_local) * (-1, 1, 1), atol=1e-6)


def test_knees_and_elbows_turn_about_their_own_x_axis(figure: bpy.types.Object) -> None:
    for name, lateral in (("shin.L", "x"), ("shin.R", "x"), ("forearm.L", "z"), ("forearm.R", "z")):
        axis = figure.data.bones[name].matrix_local.to_3x3().col[0]
        assert abs(getattr(axis, lateral)) == pytest.approx(1.0, abs=1e-5)


def test_every_shell_is_closed_and_faces_outwards(figure: bpy.types.Object) -> None:
    mesh = skin_of(figure).data
    assert len(mesh.vertices) < 10_000
    assert not mesh.validate()
    used = np.zeros(len(mesh.edges), dtype=int)
    directed: set[tuple[int, int]] = set()
    for face in mesh.polygons:
        for corner in face.loop_indices:
            used[mesh.loops[corner].edge_index] += 1
        ring = list(face.vertices)
        directed |= set(zip(ring, ring[1:] + ring[:1], strict=True))
    assert np.all(used == 2)
    assert len(directed) == 2 * len(mesh.edges)  # neighbours agree on which way is out
    co = points(mesh)
    label = np.arange(len(co))
    pairs = np.array([edge.vertices for edge in mesh.edges])
    while True:  # the shells, as the lowest vertex each vertex is connected to
        lower = label.copy()
        np.minimum.at(lower, pairs[:, 0], label[pairs[:, 1]])
        np.minimum.at(lower, pairs[:, 1], label[pairs[:, 0]])
        if np.array_equal(lower, label):
            break
        label = lower
    mesh.calc_loop_triangles()
    triangles = np.array([t.vertices for t in mesh.loop_triangles])
    volumes = np.linalg.det(co[triangles]) / 6
    per_shell = np.bincount(label[triangles[:, 0]], weights=volumes, minlength=len(co))
    assert np.all(per_shell[np.unique(label)] > 0)


def test_skin_is_symmetrical_and_its_sides_differ_in_colour(figure: bpy.types.Object) -> None:
    mesh = skin_of(figure).data
    co = points(mesh)
    key = {tuple(row) for row in np.round(co * 1e4).astype(int)}
    mirrored = {tuple(row) for row in np.round(co * (-1e4, 1e4, 1e4)).astype(int)}
    assert len(key ^ mirrored) < 0.02 * len(key)  # rounding alone
    colours = [slot.diffuse_color[:3] for slot in mesh.materials]
    assert len(colours) == len(set(colours)) == 4
    for accent, sign in ((ACCENT_LEFT, 1), (ACCENT_RIGHT, -1)):
        centres = [face.center.x for face in mesh.polygons if face.material_index == accent]
        assert centres and all(sign * x > 0 for x in centres)


def test_every_vertex_is_weighted_to_deforming_bones_and_sums_to_one(figure: bpy.types.Object) -> None:
    skin = skin_of(figure)
    table = weights_of(skin)
    np.testing.assert_allclose(table.sum(axis=1), 1.0, atol=1e-5)
    assert table.min() >= 0
    assert {group.name for group in skin.vertex_groups} == {bone.name for bone in figure.data.bones}
    assert np.all(np.count_nonzero(table, axis=1) <= 4)  # what game engines take
    assert np.all(table.max(axis=0) > 0.9)  # every bone has flesh of its own


def test_a_bent_elbow_moves_the_forearm_rigidly_and_nothing_else(figure: bpy.types.Object) -> None:
    rest = posed_points(figure)
    turn(figure, "forearm.L", "Z", -90)
    moved = posed_points(figure)
    table = weights_of(skin_of(figure))
    names = [group.name for group in skin_of(figure).vertex_groups]
    lower = table[:, [names.index("forearm.L"), names.index("hand.L")]].sum(axis=1) > 0.999
    np.testing.assert_allclose(moved[~lower], rest[~lower], atol=1e-5)
    elbow = np.array(figure.data.bones["forearm.L"].head_local)
    expected = (rest[lower] - elbow) @ np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]) + elbow  # (x, y) -> (y, -x)
    np.testing.assert_allclose(moved[lower], expected, atol=1e-4)


@pytest.mark.parametrize(("bone", "degrees"), [("chest", 40), ("neck", 40), ("toe.L", -40), ("spine", 30)])
def test_shared_rubber_neither_tears_nor_collapses(figure: bpy.types.Object, bone: str, degrees: float) -> None:
    mesh = skin_of(figure).data
    pairs = np.array([edge.vertices for edge in mesh.edges])
    rest = posed_points(figure)
    turn(figure, bone, "X", degrees)
    bent = posed_points(figure)
    before, after = (np.linalg.norm(co[pairs[:, 0]] - co[pairs[:, 1]], axis=1) for co in (rest, bent))
    stretch = after[before > 0.004] / before[before > 0.004]
    assert stretch.min() > 0.3 and stretch.max() < 2.2
    assert bent[:, 2].max() > 1.0


def test_adding_leaves_object_mode_and_a_second_one_has_a_skin_of_its_own(figure: bpy.types.Object) -> None:
    bpy.context.view_layer.objects.active = figure
    bpy.ops.object.mode_set(mode="POSE")
    second = add_mannequin(bpy.context)
    assert bpy.context.view_layer.objects.active is second and second.mode == figure.mode == "OBJECT"
    assert second is not figure and second.data is not figure.data
    assert skin_of(second).modifiers[0].object is second
    assert skin_of(second).data.materials[0] is skin_of(figure).data.materials[0]


def test_can_be_added_when_the_active_collection_is_excluded(figure: bpy.types.Object) -> None:
    hidden = bpy.data.collections.new("Hidden")
    bpy.context.scene.collection.children.link(hidden)
    layer = bpy.context.view_layer.layer_collection.children["Hidden"]
    bpy.context.view_layer.active_layer_collection = layer
    layer.exclude = True
    second = add_mannequin(bpy.context)
    assert len(second.data.bones) == 22 and second.name in bpy.context.view_layer.objects


def test_can_be_added_when_the_active_collection_is_another_files(figure: bpy.types.Object, tmp_path: Path) -> None:
    file = str(tmp_path / "set.blend")
    bpy.data.libraries.write(file, {bpy.data.collections.new("Set")})
    with bpy.data.libraries.load(file, link=True) as (_there, here):
        here.collections = ["Set"]
    linked = next(collection for collection in bpy.data.collections if collection.library)
    bpy.context.scene.collection.children.link(linked)
    layer = bpy.context.view_layer.layer_collection.children[linked.name]
    bpy.context.view_layer.active_layer_collection = layer
    assert add_mannequin(bpy.context).name in bpy.context.scene.collection.objects
