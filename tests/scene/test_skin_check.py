# SPDX-License-Identifier: GPL-3.0-or-later
"""Skin that does not go with the body is said after a bake, with the bone's and the mesh's name; the rest is silent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from mathutils import Matrix  # noqa: E402

from backflip_addon.core.rigs import fit, roles  # noqa: E402
from backflip_addon.scene.armature.rig import read_rig  # noqa: E402
from backflip_addon.scene.baking import bake, nla  # noqa: E402
from backflip_addon.scene.importing import importer  # noqa: E402
from backflip_addon.scene.mannequin.build import add_mannequin  # noqa: E402

from . import rigs, takes  # noqa: E402
from .skin import skin_error  # noqa: E402

SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "samples" / "rigs"
Change = Callable[[Any, Any], None]


def bound(armature: Any) -> tuple:
    rig = read_rig(armature)
    return fit.fit_body(rig, roles.guess(rig), 70.0)


def baked(armature: Any, of: tuple) -> tuple:
    """The bake's warnings and the greatest error of the skin, mm."""
    bpy.context.view_layer.update()
    body, binding = of
    motion = takes.tumble(body, seconds=1.0)
    scene = bpy.context.scene
    result = bake.bake_take(armature, binding, motion, name="T", start_frame=1, scene=scene)
    return result.warnings, skin_error(armature, binding, motion, 1, scene)


def state() -> list:
    """Everything in the file that looking at the skin might leave behind or alter."""
    kinds = (bpy.data.objects, bpy.data.meshes, bpy.data.scenes, bpy.data.collections)
    meshes = [ob for ob in bpy.data.objects if ob.type == "MESH"]
    modifiers = [(m.name, m.show_viewport, getattr(m, "vertex_group", "")) for ob in meshes for m in ob.modifiers]
    looks = [(ob.hide_viewport, ob.hide_get(), ob.show_only_shape_key, ob.active_shape_key_index) for ob in meshes]
    return [[len(kind) for kind in kinds], modifiers, looks, [(ob.users, ob.data.users) for ob in meshes]]


# What is done to a sound rig and its skin without harm to the take


def nothing(_armature: Any, _skin: Any) -> None:
    pass


def generated(_armature: Any, skin: Any) -> None:
    first = skin.modifiers.new("Mirror", "MIRROR")
    first.use_axis[0] = True
    skin.modifiers.move(skin.modifiers.find("Mirror"), 0)
    skin.modifiers.new("Subdivision", "SUBSURF").levels = 2


def displaced(_armature: Any, skin: Any) -> None:
    skin.modifiers.new("Displace", "DISPLACE").strength = 0.2


def keyed_shape(_armature: Any, skin: Any) -> None:
    skin.shape_key_add(name="Basis")
    fat = skin.shape_key_add(name="Fat")
    for point in fat.data:
        point.co *= 1.3
    fat.value = 1.0


def volume_kept(_armature: Any, skin: Any) -> None:
    skin.modifiers["Armature"].use_deform_preserve_volume = True


def bent(armature: Any, _skin: Any) -> None:
    armature.data.bones["spine"].bbone_segments = 8
    armature.data.bones["spine"].bbone_curveinx = 0.2


def blended(armature: Any, skin: Any) -> None:
    """Two modifiers, the second a mixture, as in rigs that keep the volume here and there."""
    other = skin.modifiers.new("Volume", "ARMATURE")
    other.object, other.use_multi_modifier, other.use_deform_preserve_volume = armature, True, True


def masked(_armature: Any, skin: Any) -> None:
    skin.vertex_groups.new(name="mask").add(range(0, 40), 0.5, "REPLACE")
    skin.modifiers["Armature"].vertex_group = "mask"


def hidden(_armature: Any, skin: Any) -> None:
    skin.hide_viewport = True


def render_only(_armature: Any, skin: Any) -> None:
    skin.modifiers["Armature"].show_viewport = False


def helper(armature: Any, _skin: Any) -> None:
    """The fingers and what is not deformed by bones have an animation of their own."""
    for frame, turn in ((1, 0.0), (30, 1.0)):
        armature.pose.bones["index.L"].rotation_quaternion = (1, 0, turn, 0)
        armature.pose.bones["index.L"].keyframe_insert("rotation_quaternion", frame=frame)


def _sword(armature: Any, bone: str) -> Any:
    data = bpy.data.meshes.new("Sword")
    data.from_pydata([(0, 0, 0), (0, 0.8, 0), (0, 0, 0.1)], [], [(0, 1, 2)])
    sword = bpy.data.objects.new("Sword", data)
    bpy.context.scene.collection.objects.link(sword)
    sword.parent, sword.parent_type, sword.parent_bone = armature, "BONE", bone
    return sword


def watching(armature: Any, _skin: Any) -> None:
    """A finger that points at something in the world."""
    target = bpy.data.objects.new("Target", None)
    bpy.context.scene.collection.objects.link(target)
    armature.pose.bones["index.L"].constraints.new("DAMPED_TRACK").target = target


def swung(armature: Any, _skin: Any) -> None:
    sword = _sword(armature, "hand.L")
    for frame in (1, 30):
        sword.location.z = frame * 0.05
        sword.keyframe_insert("location", frame=frame)


SILENT: dict[str, Change] = {
    "as it is": nothing,
    "more vertices than it has": generated,
    "displaced": displaced,
    "shape keys": keyed_shape,
    "preserved volume": volume_kept,
    "bendy bones": bent,
    "two modifiers in a mixture": blended,
    "a masked modifier": masked,
    "hidden": hidden,
    "deformed in renders alone": render_only,
    "fingers of their own": helper,
    "a finger that points": watching,
    "a sword swung in the hand": swung,
}


# What is done to a sound rig that an animator would see


def _give(skin: Any, groups: tuple[str, ...], bone: str, share: float) -> None:
    """A share of the weights of groups to another bone."""
    other = skin.vertex_groups.get(bone) or skin.vertex_groups.new(name=bone)
    for name in groups:
        group = skin.vertex_groups[name]
        mine = [v.index for v in skin.data.vertices if any(g.group == group.index for g in v.groups)]
        group.add(mine, 1.0 - share, "REPLACE")
        other.add(mine, share, "REPLACE")


def torso_on_root(_armature: Any, skin: Any) -> None:
    _give(skin, ("spine", "chest"), "root", 1.0)


def belly_on_root(_armature: Any, skin: Any) -> None:
    _give(skin, ("spine",), "root", 0.05)


def torn_trousers(armature: Any, skin: Any) -> None:
    """A bone that nobody moves, beside the hips."""
    bpy.context.view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")
    bone = armature.data.edit_bones.new("Belt")
    bone.head, bone.tail = (np.array(armature.data.edit_bones["pelvis"].head) + d for d in (0.0, 0.1))
    bpy.ops.object.mode_set(mode="OBJECT")
    _give(skin, ("pelvis",), "Belt", 0.5)


def left_sword(armature: Any, _skin: Any) -> None:
    _sword(armature, "root")


def pulled_off(armature: Any, _skin: Any) -> None:
    """A finger that goes after something in the world."""
    bpy.context.view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")
    armature.data.edit_bones["index.L"].use_connect = False
    bpy.ops.object.mode_set(mode="OBJECT")
    target = bpy.data.objects.new("Target", None)
    bpy.context.scene.collection.objects.link(target)
    armature.pose.bones["index.L"].constraints.new("COPY_LOCATION").target = target


def deformed_twice(armature: Any, skin: Any) -> None:
    skin.modifiers.new("Again", "ARMATURE").object = armature


def influence_channels(_armature: Any, skin: Any) -> None:
    skin.modifiers["Armature"].show_viewport = skin.modifiers["Armature"].show_render = False


def moved_itself(_armature: Any, skin: Any) -> None:
    for frame in (1, 30):
        skin.location.x = frame * 0.1
        skin.keyframe_insert("location", frame=frame)


def scaled_finger(armature: Any, _skin: Any) -> None:
    armature.pose.bones["head"].driver_add("scale", 0).driver.expression = "1.5"


SAID: dict[str, tuple[Change, str, str]] = {
    "a torso on the root": (torso_on_root, "Skin", "root, which stays behind"),
    "5 % of a belly on the root": (belly_on_root, "Skin", "root, which stays behind"),
    "half the trousers on a bone beside": (torn_trousers, "Skin", "Belt, which stays behind"),
    "a sword on the root": (left_sword, "Sword", "root, which stays behind"),
    "a finger that is pulled off": (pulled_off, "Skin", "index.L, which stays behind"),
    "a modifier twice": (deformed_twice, "Skin", "an Armature modifier too many"),
    "a modifier switched off": (influence_channels, "Skin", "too many or off"),
    "keys of its own": (moved_itself, "Skin", "keys or constraints of Skin"),
    "a bone scaled by a driver": (scaled_finger, "Skin", "where head has it"),
}


@pytest.mark.parametrize("change", SILENT)
def test_skin_that_goes_with_the_body_is_not_talked_of(change: str) -> None:
    rigs.empty_scene()
    armature = rigs.build(skin=True)
    of = bound(armature)
    SILENT[change](armature, bpy.data.objects["Skin"])
    bpy.context.view_layer.update()
    before = state()
    warnings, error = baked(armature, of)
    assert warnings == () and error < 1.0
    assert state() == before


@pytest.mark.parametrize("change", SAID)
def test_skin_that_does_not_is_said_by_its_name_and_the_bones(change: str) -> None:
    rigs.empty_scene()
    lying = list(SAID).index(change) % 2  # and in centimetres
    armature = rigs.build(skin=True, matrix=rigs.SCALED_AND_TURNED if lying else Matrix())
    of = bound(armature)
    alter, mesh, words = SAID[change]
    alter(armature, bpy.data.objects["Skin"])
    bpy.context.view_layer.update()
    before = state()
    warnings, error = baked(armature, of)
    assert len(warnings) == 1 and mesh in warnings[0] and words in warnings[0]
    assert error > 10.0
    assert state() == before


def test_the_error_is_what_the_render_shows() -> None:
    """A share of the belly on the root: it stays behind by that share of the way."""
    rigs.empty_scene()
    armature = rigs.build(skin=True)
    of = bound(armature)
    skin = bpy.data.objects["Skin"]
    group = skin.vertex_groups["spine"].index
    belly = [v.index for v in skin.data.vertices if any(g.group == group for g in v.groups)]

    def seen() -> np.ndarray:
        positions = []
        for frame in range(1, 26):
            bpy.context.scene.frame_set(frame)
            evaluated = skin.evaluated_get(bpy.context.evaluated_depsgraph_get())
            positions.append([evaluated.matrix_world @ evaluated.data.vertices[i].co for i in belly])
        return np.array(positions)

    baked(armature, of)
    sound = seen()
    nla.show_own_animation(armature)
    belly_on_root(armature, skin)
    _warnings, error = baked(armature, of)
    wanted = np.linalg.norm(seen() - sound, axis=-1).max() * of[1].scale * 1000.0
    assert error == pytest.approx(wanted, rel=0.05)  # twelve of the frames are looked at


def test_a_linked_character_is_looked_at_through_its_override(tmp_path: Path) -> None:
    rigs.empty_scene()
    armature = rigs.build(skin=True)
    skin = bpy.data.objects["Skin"]
    skin.modifiers.new("Displace", "DISPLACE")
    collection = bpy.data.collections.new("Character")
    for ob in (armature, skin):
        collection.objects.link(ob)
    bpy.data.libraries.write(str(tmp_path / "library.blend"), {collection})
    rigs.empty_scene()
    with bpy.data.libraries.load(str(tmp_path / "library.blend"), link=True) as (_held, wanted):
        wanted.collections = ["Character"]
    own = wanted.collections[0].override_hierarchy_create(bpy.context.scene, bpy.context.view_layer)
    bpy.context.view_layer.update()
    armature = next(ob for ob in own.all_objects if ob.type == "ARMATURE")
    warnings, error = baked(armature, bound(armature))
    assert warnings == () and error < 1.0


def test_a_rig_without_skin_has_no_error_of_it() -> None:
    rigs.empty_scene()
    armature = rigs.build()
    assert baked(armature, bound(armature)) == ((), None)


def test_the_mannequin_is_clean() -> None:
    rigs.empty_scene()
    armature = add_mannequin(bpy.context)
    warnings, error = baked(armature, bound(armature))
    assert warnings == () and error < 0.1


@pytest.mark.parametrize(
    "file", ["CesiumMan.glb", "cryptovoxels.vrm", "keijiro_NeoLowMan.fbx", "makehuman_game_engine.glb"]
)
def test_the_samples_are_clean(file: str) -> None:
    if not (SAMPLES / file).is_file():
        pytest.skip("the sample rigs are not at hand")
    rigs.empty_scene()
    armature, _imported = importer.import_rig(str(SAMPLES / file))
    warnings, error = baked(armature, bound(armature))
    assert warnings == () and error < 0.1
