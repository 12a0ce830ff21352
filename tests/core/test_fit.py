# SPDX-License-Identifier: GPL-3.0-or-later
"""Bodies fitted to rigs of all kinds, and their bindings."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from backflip_addon.core import body as bodies
from backflip_addon.core import proportions, rotations
from backflip_addon.core.motion import Motion
from backflip_addon.core.motions import retarget
from backflip_addon.core.rigs import binding as bindings
from backflip_addon.core.rigs import fit, roles
from backflip_addon.core.rigs.rig import RigError

from .skeletons import about, figure

KINDS = {
    "T": {},
    "A": {"arms": 45.0},
    "hanging": {"arms": 88.0},
    "bent": {"arms": 40.0, "knee": 14.0, "elbow": 40.0},
    "lying": {"turn": about((1, 0, 0), -90)},
    "face down": {"turn": about((1, 0, 0), 90)},
    "facing +Y": {"turn": about((0, 0, 1), 180)},
    "facing +X": {"turn": about((0, 0, 1), 90)},
    "bone Y across": {"axes": about((1, 0, 0), 90)},
    "bone Y aslant": {"axes": about((0.6, 0.0, 0.8), 77)},
    "1.9 cm": {"scale": 0.019 / 1.7},
    "2.5 m": {"scale": 2.5 / 1.7},
    "170 m": {"scale": 100.0},
    "one spine bone": {"spines": 1},
    "six spine bones": {"spines": 6},
    "bare": {"leave_out": ("neck", "shoulder.L", "shoulder.R", "toe.L", "toe.R")},
    "no hands": {"leave_out": ("hand.L", "hand.R")},
    "feet on root": {"feet_on_root": True},
    "root on the floor": {"root": True},
    "skinned": {"skin": True},
}
NAMES = bodies.LINK_NAMES


@pytest.mark.parametrize("kind", KINDS)
def test_a_body_is_plausible(kind: str) -> None:
    rig = figure(**KINDS[kind])
    body, binding = fit.fit_body(rig, roles.guess(rig))
    bodies.validate(body)
    assert 1.4 <= body.height <= 2.0
    assert 15 < body.mass / body.height**2 < 30
    positions, _ = body.forward(np.zeros(3), np.tile(rotations.IDENTITY, (15, 1)))
    at = dict(zip(NAMES, positions, strict=True))
    size = body.height / 1.7
    # arms and legs hang straight down, left is +x, the trunk stands upright
    for side, sign in (("L", 1), ("R", -1)):
        assert at[f"thigh.{side}"][0] * sign > 0.05 * size
        for a, b in (("thigh", "shin"), ("shin", "foot"), ("upper_arm", "forearm"), ("forearm", "hand")):
            way = at[f"{b}.{side}"] - at[f"{a}.{side}"]
            assert np.hypot(way[0], way[1]) < 1e-9
            assert way[2] < -0.05 * size
    assert at["head"][2] > at["chest"][2] > 0.05 * size
    # soles on the floor, under the ankles and in front of them
    lows = body.lowest_points(positions, np.tile(rotations.IDENTITY, (15, 1)))
    floor = -proportions.standing_height(body)
    for side in "LR":
        i = NAMES.index(f"foot.{side}")
        assert lows[i] == pytest.approx(floor, abs=0.01)
        assert lows[NAMES.index(f"shin.{side}")] > floor + 0.01
        box = body.links[i].shapes[0]
        assert box.position[1] - box.size[1] < -0.05
    # left and right are alike
    for left in (name for name in NAMES if name.endswith(".L")):
        a, b = body.links[NAMES.index(left)], body.links[NAMES.index(left[:-1] + "R")]
        assert np.allclose(np.array(a.offset) * [-1, 1, 1], b.offset, atol=1e-9)
        assert a.mass == pytest.approx(b.mass)
    expected = (
        1.0 if 1.4 <= KINDS[kind].get("scale", 1.0) * 1.66 <= 2.0 else body.height / (1.66 * KINDS[kind]["scale"])
    )
    assert binding.scale == pytest.approx(expected, rel=0.05)


def test_masses_follow_the_anthropometric_table() -> None:
    rig = figure()
    body, _ = fit.fit_body(rig, roles.guess(rig), mass_kg=80.0)
    assert body.mass == pytest.approx(80.0)
    share = {link.name: link.mass / 80.0 for link in body.links}
    # de Leva 1996: thigh 14.2 % (men) and 14.8 % (women), trunk 43.5 % and 42.6 %, head 6.9 % and 6.7 %
    assert 0.141 < share["thigh.L"] < 0.149
    assert 0.42 < share["pelvis"] + share["chest"] < 0.44
    assert 0.066 < share["head"] < 0.070


def test_gains_are_deepmimics_for_its_own_size_and_strength_an_athletes() -> None:
    rig = figure()
    role_map = roles.guess(rig)
    height = fit.fit_body(rig, role_map)[0].height
    body, _ = fit.fit_body(rig, role_map, mass_kg=45 * 1.62 / height)
    for name, torque, kp, kd in (
        ("chest", 197, 1000, 100),
        ("head", 36, 100, 10),
        ("thigh.L", 190, 500, 50),
        ("shin.R", 175, 500, 50),
        ("foot.L", 175, 400, 40),
        ("upper_arm.L", 78, 400, 40),
        ("forearm.R", 61, 300, 30),
    ):
        link = body.links[body.index(name)]
        assert (link.kp, link.kd) == pytest.approx((kp, kd))
        assert link.torque == pytest.approx(torque, abs=0.5) and link.top_speed > 0


def test_adjustments() -> None:
    rig = figure()
    role_map = roles.guess(rig)
    plain, _ = fit.fit_body(rig, role_map)
    factors = {"thigh": fit.Adjustment(mass=2.0), "hand.L": fit.Adjustment(size=1.5)}
    changed, _ = fit.fit_body(rig, role_map, adjustments=factors)
    for side in "LR":
        i = plain.index(f"thigh.{side}")
        assert changed.links[i].mass == pytest.approx(2 * plain.links[i].mass)
    i, j = plain.index("hand.L"), plain.index("hand.R")
    assert changed.links[i].shapes[0].size[0] == pytest.approx(1.5 * plain.links[i].shapes[0].size[0])
    assert changed.links[j].shapes == plain.links[j].shapes
    with pytest.raises(RigError, match="above zero"):
        fit.fit_body(rig, role_map, adjustments={"thigh": fit.Adjustment(mass=0.0)})
    with pytest.raises(RigError, match="mass"):
        fit.fit_body(rig, role_map, mass_kg=-1.0)


def test_limb_shapes_follow_the_skin() -> None:
    rig = figure(skin=True)
    body, _ = fit.fit_body(rig, roles.guess(rig))
    for name in ("thigh.L", "shin.R", "upper_arm.L"):
        shape = body.links[body.index(name)].shapes[0]
        assert shape.kind == "capsule"
        # points on a ball of 5 cm around the bone: the median distance from the line is 4.3 cm
        assert 0.03 < shape.size[0] < 0.055


@pytest.mark.parametrize("kind", KINDS)
def test_binding_survives_json(kind: str) -> None:
    rig = figure(**KINDS[kind])
    _, binding = fit.fit_body(rig, roles.guess(rig))
    assert bindings.from_json(json.loads(json.dumps(bindings.to_json(binding)))) == binding


def test_damaged_bindings_are_refused() -> None:
    rig = figure()
    data = bindings.to_json(fit.fit_body(rig, roles.guess(rig))[1])
    for bad in (
        {**data, "version": 0},
        {**data, "links": data["links"][:-1]},
        {**data, "scale": -1.0},
        {**data, "scale": 1e300},
        {k: v for k, v in data.items() if k != "yaw"},
        {**data, "origin": [0.0, float("nan"), 0.0]},
        {**data, "origin": [0.0, 1e300, 0.0]},
        {**data, "yaw": 1e300},
        {**data, "yaw": float("nan")},
        {**data, "links": [{**link, "turn": [0.0, 0.0, 0.0, 0.0]} for link in data["links"]]},
        {**data, "links": [{**link, "joint": [1e300, 0.0, 0.0]} for link in data["links"]]},
    ):
        with pytest.raises(ValueError, match="binding"):
            bindings.from_json(bad)


def test_a_figure_for_which_no_binding_can_be_kept_is_refused_when_its_body_is_built() -> None:
    for scale, words in ((1e-7, "too small for a body, 1.7e-07.* up"), (1e8, "too large for a body.* down")):
        rig = figure(scale=scale)
        with pytest.raises(RigError, match=words):
            fit.fit_body(rig, roles.guess(rig))
    rig = figure(scale=1e5)
    rest = rig.rest.copy()
    rest[:, 0, 3] += 1e10
    with pytest.raises(RigError, match="too far from the world's origin"):
        fit.fit_body(dataclasses.replace(rig, rest=rest, tails=rig.tails + [1e10, 0.0, 0.0]), roles.guess(rig))
    bindings.from_json(bindings.to_json(fit.fit_body(rig, roles.guess(rig))[1]))


@pytest.mark.parametrize("kind", KINDS)
def test_bones_move_rigidly(kind: str) -> None:
    """Joints keep their distances, bones their rotation against their link, whatever the pose."""
    rig = figure(**KINDS[kind])
    role_map = roles.guess(rig)
    body, binding = fit.fit_body(rig, role_map)
    rng = np.random.default_rng(3)
    poses = rotations.normalise(rng.normal(size=(7, 15, 4)))
    motion = Motion(30.0, rng.normal(size=(7, 3)), poses)
    world = retarget.bone_matrices(binding, rig, motion)
    assert set(world) >= set(role_map.bones.values())
    size = np.ptp(rig.heads, axis=0).max()
    for bone, matrix in world.items():
        turn = matrix[:, :3, :3]
        assert np.abs(np.swapaxes(turn, 1, 2) @ turn - np.eye(3)).max() < 1e-9
        parent = rig.parents[rig.index(bone)]
        if parent < 0 or rig.bones[parent] not in world or bone.startswith("foot") and KINDS[kind].get("feet_on_root"):
            continue
        apart = np.linalg.norm(matrix[:, :3, 3] - world[rig.bones[parent]][:, :3, 3], axis=1)
        assert np.abs(apart - np.linalg.norm(rig.heads[rig.index(bone)] - rig.heads[parent])).max() < 1e-9 * size
    # joints between links lie where the simulated body has them
    positions, _ = body.forward(motion.position, motion.rotations)
    frames, _ = retarget.link_frames(binding, motion)
    assert np.abs(binding.to_sim(frames) - positions).max() < 1e-9
    for side in "LR":
        joint = world[role_map.bones[f"shin.{side}"]][:, :3, 3]
        assert np.abs(binding.to_sim(joint) - positions[:, NAMES.index(f"shin.{side}")]).max() < 1e-9


def test_a_standing_rig_stands_at_its_place() -> None:
    rig = figure(turn=about((0, 0, 1), 90))
    moved = np.array(rig.rest)
    moved[:, :3, 3] += [3.0, -2.0, 0.0]
    rig = dataclasses.replace(rig, rest=moved, tails=rig.tails + [3.0, -2.0, 0.0])
    body, binding = fit.fit_body(rig, roles.guess(rig))
    assert binding.origin == pytest.approx((3.0, -2.0, 0.0), abs=1e-6)
    assert binding.yaw == pytest.approx(np.pi / 2)
    root = np.array([[0.0, 0.0, proportions.standing_height(body)]])
    pose = Motion(30.0, root, np.tile(rotations.IDENTITY, (1, 15, 1)))
    world = retarget.bone_matrices(binding, rig, pose)
    # the trunk at neutral is the trunk at rest
    for bone in ("pelvis", "chest", "head", "thigh.L"):
        assert world[bone][0, :3, 3] == pytest.approx(rig.heads[rig.index(bone)], abs=0.02)


def _moved(rig: object, bones: list[str], matrix: np.ndarray, about_bone: str) -> object:
    """The rig with some bones turned and scaled (3, 3) about another's head."""
    rest, tails = rig.rest.copy(), rig.tails.copy()
    centre = rig.heads[rig.index(about_bone)].copy()
    for name in bones:
        bone = rig.index(name)
        rest[bone, :3, 3] = centre + matrix @ (rest[bone, :3, 3] - centre)
        tails[bone] = centre + matrix @ (tails[bone] - centre)
    return dataclasses.replace(rig, rest=rest, tails=tails)


def test_four_legs_and_ears_for_arms_are_refused() -> None:
    """A figure whose trunk lies over legs and arms that all stand is an animal; one that sits or bows is not."""
    rig = figure(arms=88.0)
    legs = [name for name in rig.bones if name.split(".")[0] in ("thigh", "shin", "foot", "toe")]
    role_map = roles.guess(rig)
    trunk = [name for name in rig.bones if name not in legs]
    arms = [name for name in trunk if name.split(".")[0] in ("upper_arm", "forearm", "hand")]
    bowed = _moved(rig, trunk, about((1, 0, 0), 85), "pelvis")
    animal = bowed
    for side in "LR":
        own = [name for name in arms if name.endswith(side)]
        animal = _moved(animal, own, about((1, 0, 0), -85), f"upper_arm.{side}")
    with pytest.raises(RigError, match="stands on four legs"):
        fit.fit_body(animal, role_map)
    roles.check_upright(bowed, role_map)
    roles.check_upright(_moved(rig, legs, about((1, 0, 0), 90), "pelvis"), role_map)
    eared = rig
    for side in "LR":
        own = [name for name in arms if name.endswith(side)]
        eared = _moved(eared, own, 0.1 * np.eye(3), f"upper_arm.{side}")
    with pytest.raises(RigError, match="far shorter than its legs"):
        fit.fit_body(eared, role_map)
