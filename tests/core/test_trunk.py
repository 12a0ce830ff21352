# SPDX-License-Identifier: GPL-3.0-or-later
"""Trunks whose hierarchy is not the usual one: collar bones on the neck, thighs beside the hips."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from backflip_addon.core import rotations
from backflip_addon.core.body import LINK_NAMES
from backflip_addon.core.motions import retarget
from backflip_addon.core.rigs import fit, rest_pose, roles
from backflip_addon.core.rigs.rig import Rig, Skin

from . import skeletons


def hung(rig: Rig, **parents: str) -> Rig:
    """The rig with some bones' parents changed; __ in a name stands for a dot."""
    changed = {rig.index(bone.replace("__", ".")): rig.index(parent) for bone, parent in parents.items()}
    return dataclasses.replace(rig, parents=tuple(changed.get(i, p) for i, p in enumerate(rig.parents)))


def with_body(rig: Rig, height: float) -> Rig:
    """The rig's hips and thighs side by side on a bone of the body at a height; the root is over it."""
    rest = np.insert(rig.rest, 1, rig.rest[0], axis=0)
    rest[1, :3, 3] = (0.0, 0.0, height)
    bones = (rig.bones[0], "body", *rig.bones[1:])
    parents = [-1, 0, *(parent + (parent > 0) for parent in rig.parents[1:])]
    changed = dataclasses.replace(
        rig, bones=bones, parents=tuple(parents), rest=rest, tails=rest[:, :3, 3] + 0.1, deform=(True,) * len(bones)
    )
    return hung(changed, pelvis="body", thigh__L="body", thigh__R="body")


@pytest.mark.parametrize("named", [True, False], ids=["collar bones mapped", "collar bones unmapped"])
def test_a_chest_below_collar_bones_that_hang_on_the_neck_does_not_nod(named: bool) -> None:
    leave_out = () if named else ("shoulder.L", "shoulder.R")
    source = skeletons.figure(spines=3, leave_out=leave_out)
    arms = {f"{'shoulder' if named else 'upper_arm'}__{side}": "neck" for side in "LR"}
    source = hung(source, **arms)
    found = roles.guess(source)
    assert found.bones["chest"] == "chest" and found.bones["neck"] == "neck"
    matrices = skeletons.animate(source, 40, swing=40.0)
    body, _binding = fit.fit_body(skeletons.figure(), roles.guess(skeletons.figure()))
    motion = retarget.retarget(source, found, matrices, 30.0, body)
    _places, turns = body.forward(motion.position, motion.rotations)
    for link, bone in (("chest", "chest"), ("head", "head"), ("pelvis", "pelvis")):
        index = source.index(bone)
        truth = rotations.from_matrix(matrices[:, index, :3, :3] @ source.rest[index, :3, :3].T)
        assert np.degrees(rotations.angle_between(turns[:, body.index(link)], truth)).max() < 1.0, link


def test_a_trunk_of_a_neck_alone_keeps_its_chest() -> None:
    rig = hung(skeletons.figure(), shoulder__L="neck", shoulder__R="neck", neck="pelvis")
    bones = roles.guess(rig).bones | {"chest": "neck"}
    bones.pop("neck")
    neutral = rest_pose.measure(rig, roles.RoleMap(bones))
    assert rig.bones[neutral.bones["chest"]] == "neck"


@pytest.mark.parametrize(("height", "pelvis"), [(0.95, "body"), (1.1, "body"), (0.0, "pelvis")])
def test_the_pelvis_carries_both_thighs_and_the_spine(height: float, pelvis: str) -> None:
    """A bone on the floor is a root, and the hips stay what they are named."""
    rig = with_body(skeletons.figure(root=True), height)
    found = roles.guess(rig)
    assert found.bones["pelvis"] == pelvis
    roles.check(rig, found)


def test_hips_that_carry_the_thighs_stay_the_pelvis_though_the_spine_hangs_beside_them() -> None:
    rig = with_body(skeletons.figure(root=True), 0.95)
    rig = hung(rig, spine="body", thigh__L="pelvis", thigh__R="pelvis")
    assert roles.guess(rig).bones["pelvis"] == "pelvis"


def test_a_torso_that_hangs_whole_on_the_hips_is_still_as_thick_as_its_skin() -> None:
    """As a robot's, whose shoulders alone hang on the chest."""
    rig = skeletons.figure(skin=True)
    rng = np.random.default_rng(1)
    around = rng.normal(size=(400, 3)) * (1.0, 1.0, 0.0)
    barrel = around / np.linalg.norm(around, axis=1, keepdims=True) * (0.16, 0.13, 0.0) + (0.0, 0.0, 0.9)
    barrel[:, 2] += rng.uniform(0.0, 0.55, 400)
    skin, trunk = rig.skin, ("pelvis", "spine", "chest")
    kept = ~np.isin(skin.bones[:, 0], [rig.index(bone) for bone in trunk])
    kept &= (np.abs(skin.vertices[:, 0]) > 0.13) | ~np.isin(
        skin.bones[:, 0], [rig.index(f"shoulder.{s}") for s in "LR"]
    )
    vertices, owners = np.concatenate([skin.vertices[kept], barrel]), np.full((400, 1), rig.index("pelvis"))
    bones = np.concatenate([skin.bones[kept], owners])
    rig = dataclasses.replace(rig, skin=Skin(vertices, bones, np.ones(bones.shape)))
    body, _binding = fit.fit_body(rig, roles.guess(rig))
    for link in ("pelvis", "chest"):
        for shape in body.links[body.index(link)].shapes:
            assert 0.1 < shape.size[0] < 0.14 and 0.26 < shape.size[1] + 2 * shape.size[0] < 0.34, link


BIPED = {"pelvis": "Pelvis", "spine": "Spine", "chest": "Spine1", "neck": "Neck", "head": "Head"} | {
    f"{role}.{side}": f"{side} {name}"
    for role, name in {
        "shoulder": "Clavicle", "upper_arm": "UpperArm", "forearm": "Forearm", "hand": "Hand",
        "thigh": "Thigh", "shin": "Calf", "foot": "Foot", "toe": "Toe0",
    }.items()
    for side in "LR"
}  # fmt: skip


def test_a_biped_with_triangle_pelvis_and_triangle_neck() -> None:
    """3ds Max hangs thighs on the lowest spine and collar bones on the neck then."""
    rig = skeletons.figure(name=lambda role: f"Bip01 {BIPED[role]}")
    parents = {f"Bip01 {side} {part}": "Bip01 Neck" for side in "LR" for part in ("Clavicle",)}
    parents |= {f"Bip01 {side} Thigh": "Bip01 Spine" for side in "LR"}
    changed = {rig.index(bone): rig.index(parent) for bone, parent in parents.items()}
    rig = dataclasses.replace(rig, parents=tuple(changed.get(i, p) for i, p in enumerate(rig.parents)))
    found = roles.guess(rig)
    assert {role: bone.removeprefix("Bip01 ") for role, bone in found.bones.items()} == BIPED
    assert all(found.certain.values())
    neutral = rest_pose.measure(rig, found)
    assert {link: rig.bones[bone].removeprefix("Bip01 ") for link, bone in neutral.bones.items()} == {
        role: BIPED[role] for role in neutral.bones
    }
    owner = {bone: LINK_NAMES[neutral.owners[i]] for i, bone in enumerate(rig.bones)}
    assert owner["Bip01 L Clavicle"] == "chest" and owner["Bip01 Neck"] == "head" and owner["Bip01 Pelvis"] == "pelvis"
