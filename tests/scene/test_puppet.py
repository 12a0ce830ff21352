# SPDX-License-Identifier: GPL-3.0-or-later
"""The character's meshes as takes are shown with them, held against what Blender shows of the baked take."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from backflip_addon.core.motions.skinning import Skin, skin_moves, solid_moves, solid_skin  # noqa: E402
from backflip_addon.core.rigs import fit, roles  # noqa: E402
from backflip_addon.scene import overlay, puppet  # noqa: E402
from backflip_addon.scene.armature.bind_matrix import SkeletonError  # noqa: E402
from backflip_addon.scene.armature.rig import read_rig  # noqa: E402
from backflip_addon.scene.baking import bake  # noqa: E402

from . import rigs, takes  # noqa: E402


@pytest.fixture
def bound() -> tuple:
    rigs.empty_scene()
    bpy.context.scene.render.fps = 24
    armature = rigs.build(matrix=rigs.SCALED_AND_TURNED, skin=True)
    _blend(meshes(armature)[0], armature)
    rig = read_rig(armature)
    return (armature, *fit.fit_body(rig, roles.guess(rig)))


def read(armature: Any, binding: Any) -> Skin:
    *waiting, skin = puppet.read_puppet(armature, binding)
    assert len(waiting) > 2 and not any(waiting) and skin is not None
    return skin


def shown(mesh: Any) -> Any:
    """Vertices (V, 3) in the world, as Blender evaluates them."""
    ob = mesh.evaluated_get(bpy.context.evaluated_depsgraph_get())
    points = np.empty(len(ob.data.vertices) * 3)
    ob.data.vertices.foreach_get("co", points)
    matrix = np.array(ob.matrix_world)
    return points.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]


def meshes(armature: Any) -> list[Any]:
    return [ob for ob in bpy.data.objects if ob.type == "MESH" and ob.find_armature() == armature]


def _blend(mesh: Any, armature: Any) -> None:
    """Give each vertex a share of the bone that its own one hangs on."""
    names = {group.index: group.name for group in mesh.vertex_groups}
    owners = [names[vertex.groups[0].group] for vertex in mesh.data.vertices]
    for vertex, name in enumerate(owners):
        above = armature.data.bones[name].parent.name
        if above in mesh.vertex_groups:
            mesh.vertex_groups[above].add([vertex], 0.1 * (vertex % 5), "REPLACE")


def bake_and_look(bound: tuple, skin: Skin, frames: tuple[int, ...] = (0, 11, 30)) -> None:
    """Assert that the skin shows at some frames what Blender shows of a baked take."""
    armature, body, binding = bound
    motion = takes.tumble(body)
    moves = skin_moves(binding, motion)
    bake.bake_take(armature, binding, motion, name="T", start_frame=1, scene=bpy.context.scene)
    for frame in frames:
        bpy.context.scene.frame_set(1 + frame)
        expected = np.concatenate([shown(mesh) for mesh in meshes(armature)])
        assert np.ptp(expected, axis=0).max() > 0.5
        np.testing.assert_allclose(skin.posed(moves[5 * frame]), expected, atol=1e-4)


def test_a_take_is_shown_as_blender_shows_it_baked(bound: tuple) -> None:
    bake_and_look(bound, read(bound[0], bound[2]))


def test_a_character_in_any_pose_is_read_as_it_is_at_rest(bound: tuple) -> None:
    armature, _body, binding = bound
    rng = np.random.default_rng(3)
    before = read(armature, binding)
    for bone in armature.pose.bones:
        bone.rotation_mode = "XYZ"
        bone.rotation_euler = rng.uniform(-0.5, 0.5, 3)
    armature.location.x += 2.0
    bpy.context.view_layer.update()
    after = read(armature, binding)
    np.testing.assert_allclose(after.rows, before.rows, atol=2e-4)
    np.testing.assert_array_equal(after.triangles, before.triangles)


def test_what_modifiers_make_is_shown_too(bound: tuple) -> None:
    armature = bound[0]
    mesh = meshes(armature)[0]
    count = len(mesh.data.vertices)
    modifier = mesh.modifiers.new("Finer", "SUBSURF")
    modifier.subdivision_type, modifier.levels = "SIMPLE", 1
    mesh.modifiers.move(1, 0)  # before the armature bends what it makes
    bpy.context.view_layer.update()
    skin = read(armature, bound[2])
    assert len(skin.rows) > count
    bake_and_look(bound, skin)


def test_a_hidden_character_is_read_from_its_own_data(bound: tuple) -> None:
    skin = read(bound[0], bound[2])
    for mesh in meshes(bound[0]):
        mesh.hide_viewport = True
    bpy.context.view_layer.update()
    np.testing.assert_allclose(read(bound[0], bound[2]).rows, skin.rows, atol=1e-5)


def test_heavy_meshes_and_foreign_rigs_are_refused(bound: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    armature, _body, binding = bound
    with monkeypatch.context() as small:
        small.setattr(puppet, "MOST_VERTICES", 10)
        with pytest.raises(puppet.PuppetError, match="more than 10 vertices"):
            read(armature, binding)
    for mesh in meshes(armature):
        bpy.data.objects.remove(mesh)
    with pytest.raises(puppet.PuppetError, match="no mesh"):
        read(armature, binding)
    other = rigs.build(name="Other")
    other.scale = (2.0, 2.0, 2.0)
    bpy.context.view_layer.update()
    with pytest.raises(SkeletonError):
        read(other, binding)


def test_solid_shapes_stand_where_the_bodys_lines_do(bound: tuple) -> None:
    _armature, body, binding = bound
    motion = takes.tumble(body)
    frame = 50
    points = solid_skin(body).posed(solid_moves(body, binding, motion)[frame])
    positions, orientations = body.forward(motion.position[frame], motion.rotations[frame])
    lines = binding.to_world(overlay.link_lines(body, positions, orientations)).reshape(-1, 3)
    size = np.ptp(lines, axis=0).max()
    np.testing.assert_allclose(points.min(axis=0), lines.min(axis=0), atol=0.02 * size)
    np.testing.assert_allclose(points.max(axis=0), lines.max(axis=0), atol=0.02 * size)


def test_solid_shapes_face_outward(bound: tuple) -> None:
    body = bound[1]
    skin = solid_skin(body)
    identity = np.tile(np.concatenate([np.eye(3), np.zeros((1, 3))]), (len(body.links), 1, 1)).astype(np.float32)
    points = skin.posed(identity)  # each link's shapes about its own joint
    a, b, c = (points[skin.triangles[:, i]] for i in range(3))
    volume = np.einsum("ti,ti->t", a, np.cross(b, c)).sum() / 6
    expected = sum(_volume(shape) for link in body.links for shape in link.shapes)
    assert volume == pytest.approx(expected, rel=0.12), "a ring of twelve corners is a little inside its circle"


def _volume(shape: Any) -> float:
    if shape.kind == "box":
        return 8 * float(np.prod(shape.size))
    ball = 4 / 3 * np.pi * shape.size[0] ** 3
    return ball + (np.pi * shape.size[0] ** 2 * shape.size[1] if shape.kind == "capsule" else 0.0)
