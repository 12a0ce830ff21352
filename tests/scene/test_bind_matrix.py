# SPDX-License-Identifier: GPL-3.0-or-later
"""The rig is the one that the body was built for, or is refused by what was done to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from mathutils import Matrix  # noqa: E402

from backflip_addon.core.rigs import binding as bindings  # noqa: E402
from backflip_addon.scene.armature.bind_matrix import SkeletonError  # noqa: E402
from backflip_addon.scene.baking import bake_error  # noqa: E402

from . import rigs, takes  # noqa: E402
from .baked import bake_one, bound  # noqa: E402


@pytest.fixture(autouse=True)
def _empty() -> None:
    rigs.empty_scene()


def parented(armature: Any, scale: tuple) -> None:
    parent = bpy.data.objects.new("Parent", None)
    bpy.context.scene.collection.objects.link(parent)
    armature.parent = parent
    parent.scale = scale


def applied(armature: Any) -> None:
    armature.data.transform(Matrix.Scale(3.0, 4))


CHANGED: dict[str, tuple[Callable[[Any], None], str]] = {
    "scaled": (lambda ob: setattr(ob, "scale", (3, 3, 3)), "scaled since"),
    "scaled a little": (lambda ob: setattr(ob, "scale", (1.01, 1.01, 1.01)), "scaled since"),
    "scaled unevenly": (lambda ob: setattr(ob, "scale", (1, 1, 1.5)), "scaled since"),
    "scaled to nothing": (lambda ob: setattr(ob, "scale", (0, 0, 0)), "scaled since"),
    "mirrored": (lambda ob: setattr(ob, "scale", (-1, 1, 1)), "mirrored since"),
    "mirrored whole": (lambda ob: setattr(ob, "scale", (-1, -1, -1)), "mirrored since"),
    "its scale applied": (applied, "scaled since"),
    "under a scaled parent": (lambda ob: parented(ob, (2, 2, 2)), "scaled since"),
    "under a sheared parent": (
        lambda ob: (setattr(ob, "rotation_euler", (0, 0.5, 0)), parented(ob, (1, 1, 2))),
        "scaled since",
    ),
    "a bone renamed": (lambda ob: setattr(ob.data.bones["hand.L"], "name", "Paw"), "no bone called hand.L"),
    "its data swapped": (lambda ob: setattr(ob, "data", other_data()), "has changed|no bone called"),
    "hands swapped by name": (lambda ob: names_swapped(ob, "hand.L", "hand.R"), "has changed"),
    "toes swapped by name": (lambda ob: names_swapped(ob, "toe.L", "toe.R"), "has changed"),
    "spine and chest swapped by name": (lambda ob: names_swapped(ob, "spine", "chest"), "has changed"),
    "all sides swapped by name": (lambda ob: sides_swapped(ob), "has changed"),
}


def names_swapped(armature: Any, one: str, other: str) -> None:
    bones = armature.data.bones
    first, second = bones[one], bones[other]
    first.name, second.name, first.name = "between", one, other


def sides_swapped(armature: Any) -> None:
    for name in [bone.name for bone in armature.data.bones if bone.name.endswith(".L")]:
        names_swapped(armature, name, name.replace(".L", ".R"))


def other_data() -> Any:
    other = rigs.build(rigs.a_pose(), name="Other")
    return other.data


@pytest.mark.parametrize("change", CHANGED)
def test_a_rig_that_was_changed_is_refused_by_what_was_done(change: str) -> None:
    armature = rigs.build()
    of = bound(armature)
    alter, sentence = CHANGED[change]
    alter(armature)
    bpy.context.view_layer.update()
    count = len(bpy.data.actions)
    with pytest.raises(SkeletonError, match=sentence):
        bake_one(armature, of)
    assert len(bpy.data.actions) == count and armature.animation_data is None


@pytest.mark.parametrize("bone", ["hand.R", "chest", "head", "pelvis"])
def test_a_deleted_bone_is_named(bone: str) -> None:
    armature = rigs.build()
    of = bound(armature)
    edit(armature, lambda bones: bones.remove(bones[bone]))
    with pytest.raises(SkeletonError, match=f"no bone called {bone}"):
        bake_one(armature, of)


def edit(armature: Any, change: Callable[[Any], Any]) -> None:
    bpy.context.view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")
    change(armature.data.edit_bones)
    bpy.ops.object.mode_set(mode="OBJECT")


def rolled(bones: Any) -> None:
    for i, bone in enumerate(bones):
        bone.roll += 0.4 * (i % 5)


LEGIT: dict[str, Callable[[Any], Any]] = {
    "rolled bones": lambda ob: edit(ob, rolled),
    "a finger gone": lambda ob: edit(ob, lambda bones: bones.remove(bones["index.L"])),
    "lengthened at its end": lambda ob: edit(ob, lambda bones: setattr(bones["head"], "tail", (0, 0, 1.9))),
    "moved and turned": lambda ob: setattr(
        ob, "matrix_world", Matrix.Translation((1, 2, 3)) @ Matrix.Rotation(1.0, 4, "Z")
    ),
    "tipped over": lambda ob: setattr(ob, "matrix_world", Matrix.Rotation(1.2, 4, "X")),
    "renamed": lambda ob: setattr(ob, "name", "Somebody"),
    "other units": lambda _ob: setattr(bpy.context.scene.unit_settings, "scale_length", 0.01),
}


@pytest.mark.parametrize("change", LEGIT)
def test_what_may_be_changed_does_not_falsify_the_take(change: str) -> None:
    armature = rigs.build()
    body, binding = bound(armature)
    LEGIT[change](armature)
    bpy.context.view_layer.update()
    bake_one(armature, (body, binding))
    error = bake_error.bake_error(armature, body, binding, takes.tumble(body), 11, bpy.context.scene)
    assert error[0] < 1.0 and error[1] < 0.1


def test_a_binding_of_before_heads_were_kept_is_read_and_baked() -> None:
    armature = rigs.build()
    body, binding = bound(armature)
    data = bindings.to_json(binding)
    assert bindings.from_json(data) == binding
    for link in data["links"]:
        del link["heads"]
    assert bake_one(armature, (body, bindings.from_json(data))).warnings == ()
