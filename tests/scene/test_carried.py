# SPDX-License-Identifier: GPL-3.0-or-later
"""Skin on bones that no role names: Blender's own evaluation of it against where the body's links carry it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from backflip_addon.core import rotations  # noqa: E402
from backflip_addon.core.body import LINK_NAMES, Body  # noqa: E402
from backflip_addon.core.motion import Motion  # noqa: E402
from backflip_addon.core.rigs import fit, roles  # noqa: E402
from backflip_addon.core.rigs.binding import Binding  # noqa: E402
from backflip_addon.scene.armature.rig import read_rig  # noqa: E402
from backflip_addon.scene.baking import bake, bake_error  # noqa: E402

from . import rigs, takes  # noqa: E402

Bones = dict[str, tuple[str | None, tuple[float, float, float], tuple[float, float, float]]]
TRUNK = ("pelvis", "chest")  # spines are of either


def table(**parents: str) -> Bones:
    """The T-pose with some bones hung elsewhere; __ in a name stands for a dot."""
    bones = {name: (parent, head, tail) for name, parent, head, tail in rigs.t_pose()}
    for name, parent in parents.items():
        name, parent = name.replace("__", "."), parent.replace("__", ".")
        bones[name] = (parent or None, *bones[name][1:])
    return bones


def with_bones(bones: Bones, **more: tuple[str, tuple, tuple]) -> Bones:
    """The table with further bones, and those that name them as parents hung on them."""
    return bones | {name.replace("__", "."): bone for name, bone in more.items()}


def hips_beside_the_legs() -> Bones:
    bones = with_bones(table(), body=("root", (0, 0, 0.8), (0, 0, 0.94)))
    for name in ("pelvis", "thigh.L", "thigh.R"):
        bones[name] = ("body", *bones[name][1:])
    return bones


def hips_and_legs_on_a_root_with_skin() -> Bones:
    bones = with_bones(
        table(thigh__L="floor", thigh__R="floor", pelvis="floor"), floor=("root", (0, 0, 0), (0, 0, 0.3))
    )
    return bones


def legs_under_bases_of_their_own() -> Bones:
    return with_bones(
        table(thigh__L="base__L", thigh__R="base__R"),
        base__L=("root", (0.05, 0, 0.95), (0.1, 0, 0.90)),
        base__R=("root", (-0.05, 0, 0.95), (-0.1, 0, 0.90)),
    )


def torso_beside_the_hips() -> Bones:
    return with_bones(table(spine="waist"), waist=("root", (0, 0, 1.0), (0, 0, 1.04)))


def small_bones_on_the_root() -> Bones:
    return with_bones(
        table(),
        belly=("root", (0, -0.06, 1.08), (0, -0.12, 1.08)),
        kneecap__L=("root", (0.1, -0.05, 0.48), (0.1, -0.09, 0.48)),
        hat=("root", (0, 0, 1.85), (0, 0, 1.95)),
    )


def twists_beside_the_limbs() -> Bones:
    return with_bones(
        table(),
        lower__L=("upper_arm.L", (0.45, 0, 1.42), (0.6, 0, 1.42)),
        upper__L=("shoulder.L", (0.17, 0, 1.42), (0.4, 0, 1.42)),
        lower__R=("root", (-0.10, -0.01, 0.48), (-0.10, 0.0, 0.2)),
    )


def loincloth_on_the_root() -> Bones:
    return with_bones(table(), cloth=("root", (0, -0.1, 0.94), (0, -0.1, 0.6)))


def feet_and_forearms_on_the_root() -> Bones:
    return table(foot__L="root", foot__R="root", forearm__L="root", forearm__R="root")


def legs_on_roots_of_their_own() -> Bones:
    return table(thigh__L="", thigh__R="")


def collar_bones_on_the_neck() -> Bones:
    bones = table()
    for side in "LR":
        bones[f"shoulder.{side}"] = ("neck", *bones[f"shoulder.{side}"][1:])
    return bones


CASES: dict[Callable[[], Bones], dict[str, tuple[str, ...]]] = {
    hips_beside_the_legs: {"body": ("pelvis",)},
    hips_and_legs_on_a_root_with_skin: {"floor": ("pelvis",)},
    legs_under_bases_of_their_own: {"base.L": ("pelvis", "thigh.L"), "base.R": ("pelvis", "thigh.R")},
    torso_beside_the_hips: {"waist": TRUNK},
    small_bones_on_the_root: {"belly": TRUNK, "kneecap.L": ("thigh.L", "shin.L"), "hat": ("head",)},
    twists_beside_the_limbs: {"lower.L": ("forearm.L",), "upper.L": ("upper_arm.L",), "lower.R": ("shin.R",)},
    loincloth_on_the_root: {"cloth": ("pelvis",)},
    feet_and_forearms_on_the_root: {},
    legs_on_roots_of_their_own: {},
    collar_bones_on_the_neck: {"shoulder.L": ("chest",), "shoulder.R": ("chest",), "neck": ("head",)},
}
# Bones whose skin is partly another's, as painted skin is.
SHARED = {
    "lower.L": ("forearm.L",),
    "upper.L": ("upper_arm.L",),
    "lower.R": ("shin.R",),
    "belly": ("spine",),
    "cloth": ("thigh.L", "thigh.R"),
}


_GOES_WITH = {"toe": "foot", "index": "hand", "neck": "head", "upper_chest": "chest", "shoulder": "chest"}


def allowed(bone: str) -> tuple[str, ...]:
    """The links that a bone of the T-pose may move with."""
    part, _, side = bone.partition(".")
    if part in ("spine", "chest"):
        return TRUNK
    link = _GOES_WITH.get(part, part)
    return (link if link in LINK_NAMES else f"{link}.{side}",)


def built(bones: Bones) -> bpy.types.Object:
    """The rig with its skin, each bone's a box, most of it that bone's alone."""
    order: list[str] = []
    while len(order) < len(bones):
        order += [name for name, bone in bones.items() if name not in order and (bone[0] is None or bone[0] in order)]
    armature = rigs.build([(name, *bones[name]) for name in order], skin=True)
    skin = bpy.data.objects["Skin"]
    for name, others in SHARED.items():
        if name not in bones:
            continue
        group = skin.vertex_groups[name]
        corners = [v.index for v in skin.data.vertices if group.index in [g.group for g in v.groups]]
        for corner, other in zip(corners, others * 2, strict=False):
            skin.vertex_groups[other].add([corner], 0.6, "REPLACE")
            group.add([corner], 0.4, "REPLACE")
    return armature


def skin_errors(body: Body, binding: Binding, motion: Motion) -> dict[str, dict[str, float]]:
    """Bone -> link -> mm: how far the bone's own vertices are at most from where each link would carry them."""
    scene, skin = bpy.context.scene, bpy.data.objects["Skin"]
    rest = np.array([skin.matrix_world @ v.co for v in skin.data.vertices])
    names = [group.name for group in skin.vertex_groups]
    own = [[g.group for g in v.groups] if len(v.groups) == 1 else [-1] for v in skin.data.vertices]
    own = np.array([groups[0] for groups in own])
    worst = np.zeros((len(names), len(LINK_NAMES)))
    for frame in (1, 14, 25, 36):
        scene.frame_set(frame)
        evaluated = skin.evaluated_get(bpy.context.evaluated_depsgraph_get())
        shown = binding.to_sim(np.array([evaluated.matrix_world @ v.co for v in evaluated.data.vertices]))
        position, turns = motion.sample([(frame - 1) / 24.0])
        positions, world = body.forward(position[0], turns[0])
        for i, link in enumerate(binding.links):
            local = rotations.rotate(np.array(link.turn), rest - np.array(link.joint)) * binding.scale
            off = np.linalg.norm(shown - positions[i] - rotations.rotate(world[i], local), axis=1) * 1000.0
            for j in range(len(names)):
                worst[j, i] = max(worst[j, i], off[own == j].max(initial=0.0))
    return {name: dict(zip(LINK_NAMES, worst[j].tolist(), strict=True)) for j, name in enumerate(names)}


def check(armature: bpy.types.Object, goes_with: Callable[[str], tuple[str, ...]]) -> None:
    """Bake a take, and hold every bone's skin against the links it may go with."""
    rig = read_rig(armature)
    body, binding = fit.fit_body(rig, roles.guess(rig), 70.0)
    motion = takes.tumble(body)
    bake.bake_take(armature, binding, motion, name="Tumble", start_frame=1, scene=bpy.context.scene)
    for bone, errors in skin_errors(body, binding, motion).items():
        assert min(errors[link] for link in goes_with(bone)) < 1.0, (bone, goes_with(bone), errors)
    millimetres, degrees = bake_error.bake_error(armature, body, binding, motion, 1, bpy.context.scene)
    assert millimetres < 1.0 and degrees < 0.1


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_all_skin_goes_with_the_part_it_belongs_to(case: Callable[[], Bones]) -> None:
    rigs.empty_scene()
    check(built(case()), lambda bone: CASES[case].get(bone, allowed(bone)))


@pytest.mark.parametrize("kind", ["COPY_TRANSFORMS", "CHILD_OF", "COPY_ROTATION"])
def test_deforming_bones_that_follow_controls_go_with_the_body_where_no_role_names_them(kind: str) -> None:
    """Roles name the deforming bones; those that no role names follow controls which the take leaves at rest."""
    rigs.empty_scene()
    body = [bone for bone in rigs.t_pose() if bone[0] != "root"]
    flat = kind == "CHILD_OF"  # which does not replace what the parent does
    deforming = [(name, "root" if flat or not parent else parent, head, tail) for name, parent, head, tail in body]
    controls = [(f"CTRL-{n}", p if p == "root" else f"CTRL-{p}", head, tail) for n, p, head, tail in body]
    armature = rigs.build([rigs.t_pose()[0], *controls, *deforming])
    rigs._add_skin(armature, deforming)
    for name, *_ in deforming:
        armature.data.bones[f"CTRL-{name}"].use_deform = False
        constraint = armature.pose.bones[name].constraints.new(kind)
        constraint.target, constraint.subtarget = armature, f"CTRL-{name}"
        if flat:
            constraint.inverse_matrix = armature.data.bones[constraint.subtarget].matrix_local.inverted()
    assert roles.guess(read_rig(armature)).bones["pelvis"] == "pelvis"
    check(armature, allowed)


def test_skin_on_bones_that_do_not_turn_with_their_parents_turns_with_the_body() -> None:
    rigs.empty_scene()
    armature = built(table())
    for name in ("index.L", "toe.R"):
        armature.data.bones[name].use_inherit_rotation = False
    check(armature, allowed)


def test_a_thing_that_stands_beside_the_character_stays_there() -> None:
    rigs.empty_scene()
    bones = with_bones(table(), board=("root", (0, -0.4, 0), (0, -0.4, 0.1)), bike=("root", (1.6, 0, 0), (1.6, 0, 0.9)))
    rig = read_rig(built(bones))
    _body, binding = fit.fit_body(rig, roles.guess(rig), 70.0)
    assert not {"board", "bike"} & binding.bones.keys()
