# SPDX-License-Identifier: GPL-3.0-or-later
"""Motions from rigs of all kinds onto bodies, and back onto rigs."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from backflip_addon.core import body as bodies
from backflip_addon.core import proportions, rotations
from backflip_addon.core.arrays import Array
from backflip_addon.core.clips import bvh, inspection
from backflip_addon.core.motion import Motion
from backflip_addon.core.motions import foot_planting, retarget
from backflip_addon.core.rigs import binding as bindings
from backflip_addon.core.rigs import fit, roles
from backflip_addon.core.rigs.rig import Rig
from tests.work import count_calls

from .skeletons import animate, figure
from .test_fit import KINDS

LIMBS = (("upper_arm", "forearm"), ("forearm", "hand"), ("thigh", "shin"), ("shin", "foot"))
SAMPLES = Path(__file__).parents[3] / "shared" / "samples" / "motions"


def direction_errors(source: Rig, matrices: Array, world: dict[str, Array], target_map: roles.RoleMap) -> Array:
    """Angles (F, limbs), degrees, between the source's limbs and those of the moved rig."""
    source_map = roles.guess(source)
    errors = []
    for side in "LR":
        for a, b in LIMBS:
            names = [f"{part}.{side}" for part in (a, b)]
            if not all(name in m.bones for name in names for m in (source_map, target_map)):
                continue
            ends = [matrices[:, source.index(source_map.bones[name]), :3, 3] for name in names]
            found = [world[target_map.bones[name]][:, :3, 3] for name in names]
            wanted, got = rotations.normalise(ends[1] - ends[0]), rotations.normalise(found[1] - found[0])
            errors.append(np.degrees(np.arctan2(np.linalg.norm(np.cross(wanted, got), axis=1), (wanted * got).sum(1))))
    assert len(errors) >= 6
    return np.stack(errors, axis=1)


def human(frames: int, rig: Rig, seed: int = 0) -> Array:
    """A made-up motion in which knees and elbows bend as a human's do, on a figure without own bone axes."""
    rng = np.random.default_rng(seed)
    out = np.zeros((frames, len(rig.bones), 4, 4))
    phase = rng.random(len(rig.bones)) * 6
    axis = rotations.normalise(rng.normal(size=(len(rig.bones), 3)))
    t = np.arange(frames) / 30.0
    for b, parent in enumerate(rig.parents):
        part = rig.bones[b].partition(".")[0]
        wave = np.sin(2.5 * t + phase[b])
        angles, about_ = 0.5 * wave, axis[b]
        if part in ("shin", "forearm"):  # in the T pose an elbow turns about the vertical
            angles = 0.8 + 0.7 * wave
            sign = -1.0 if rig.bones[b].endswith("L") else 1.0
            about_ = np.array([1.0, 0.0, 0.0]) if part == "shin" else np.array([0.0, 0.0, sign])
        turn = rotations.to_matrix(rotations.from_axis_angle(np.tile(about_, (frames, 1)), angles))
        offset = rig.heads[b] - (rig.heads[parent] if parent >= 0 else 0.0)
        if parent >= 0:
            out[:, b, :3, :3] = out[:, parent, :3, :3] @ turn
            out[:, b, :3, 3] = out[:, parent, :3, 3] + out[:, parent, :3, :3] @ offset
        else:
            out[:, b, :3, :3] = turn
            out[:, b, :3, 3] = offset
        out[:, b, 3, 3] = 1.0
    return out


@pytest.mark.parametrize("target", KINDS)
def test_directions_survive_on_every_rig(target: str) -> None:
    source = figure()
    matrices = human(90, source)
    rig = figure(**KINDS[target])
    role_map = roles.guess(rig)
    body, binding = fit.fit_body(rig, role_map)
    motion = retarget.retarget(source, roles.guess(source), matrices, 30.0, body)
    world = retarget.bone_matrices(dataclasses.replace(binding, yaw=0.0), rig, motion)
    assert direction_errors(source, matrices, world, role_map).max() < 3.0


@pytest.mark.parametrize("kind", KINDS)
def test_directions_survive_from_every_rig(kind: str) -> None:
    """The same performance on sources with other rest poses, axes and sizes."""
    source = figure(**KINDS[kind])
    matrices = animate(source, 60, swing=20.0)
    rig = figure()
    role_map = roles.guess(rig)
    body, binding = fit.fit_body(rig, role_map)
    motion = retarget.retarget(source, roles.guess(source), matrices, 30.0, body)
    world = retarget.bone_matrices(binding, rig, motion)
    assert direction_errors(source, matrices, world, role_map).max() < 3.2


@pytest.mark.parametrize("kind", KINDS)
def test_an_own_action_stays_where_it_is(kind: str) -> None:
    """A rig's own motion, put on its body and baked back, is the same in place and in trunk and thighs."""
    rig = figure(**KINDS[kind])
    role_map = roles.guess(rig)
    body, binding = fit.fit_body(rig, role_map)
    matrices = animate(rig, 40, swing=15.0)
    motion = retarget.retarget(rig, role_map, matrices, 30.0, body, binding)
    world = retarget.bone_matrices(binding, rig, motion)
    size = np.ptp(rig.heads, axis=0).max()
    pelvis = rig.index("pelvis")
    hips = (matrices[:, rig.index("thigh.L"), :3, 3] + matrices[:, rig.index("thigh.R"), :3, 3]) / 2
    got = (world["thigh.L"][:, :3, 3] + world["thigh.R"][:, :3, 3]) / 2
    assert np.abs(got - hips).max() < 1e-6 * size
    assert np.abs(world["pelvis"][:, :3, :3] - matrices[:, pelvis, :3, :3]).max() < 1e-6
    assert np.abs(world["chest"][:, :3, :3] - matrices[:, rig.index("chest"), :3, :3]).max() < 1e-6
    assert np.abs(world["foot.L"][:, :3, :3] - matrices[:, rig.index("foot.L"), :3, :3]).max() < 1e-6
    assert direction_errors(rig, matrices, world, role_map).max() < 1.2


def test_rest_pose_on_rest_pose_is_neutral() -> None:
    """A source that stands in its rest pose puts the body in that pose, trunk upright and soles on the floor."""
    for kind in ("T", "A", "bent", "facing +Y", "bone Y across", "lying"):
        source = figure(**KINDS[kind])
        rig = figure()
        body, _ = fit.fit_body(rig, roles.guess(rig))
        stand = np.tile(source.rest, (5, 1, 1, 1))
        motion = retarget.retarget(source, roles.guess(source), stand, 30.0, body)
        at = dict(zip(bodies.LINK_NAMES, np.moveaxis(motion.rotations, 1, 0), strict=True))
        for name in ("chest", "head"):
            assert rotations.angle_between(at[name], rotations.IDENTITY).max() < 1e-6, (kind, name)
        _, world = body.forward(motion.position, motion.rotations)
        sole = rotations.rotate(world[:, body.index("foot.L")], np.array([0.0, 0.0, 1.0]))
        assert kind == "lying" or sole[:, 2].min() > np.cos(np.radians(1.0)), kind
        if kind == "T":  # the arms are level, the legs straight
            out = rotations.rotate(at["upper_arm.L"][0], np.array([0.0, 0.0, -1.0]))
            assert out == pytest.approx([1.0, 0.0, 0.0], abs=1e-6)
        lows = body.lowest_points(*body.forward(motion.position, motion.rotations)).min(axis=1)
        assert np.abs(lows).max() < 0.01


def test_knees_bend_backwards_and_elbows_forwards() -> None:
    source = figure(knee=60.0, elbow=60.0)
    straight = figure()
    rig = figure(arms=40.0)
    body, _ = fit.fit_body(rig, roles.guess(rig))
    pose = np.tile(straight.rest, (3, 1, 1, 1))
    pose[:, :, :3, 3] = source.heads  # the straight rig's bones, brought into the bent rig's places
    motion = retarget.retarget(straight, roles.guess(straight), pose, 30.0, body)
    knee = motion.rotations[0, body.index("shin.L")]
    elbow = motion.rotations[0, body.index("forearm.R")]
    # hinges turn about (-1, 0, 0): knees by a negative, elbows by a positive angle
    axis = np.array([-1.0, 0.0, 0.0])
    assert np.degrees(rotations.twist_angle(knee, axis)) == pytest.approx(-60.0, abs=3.0)
    assert np.degrees(rotations.twist_angle(elbow, axis)) == pytest.approx(60.0, abs=3.0)


def test_hinges_are_hinges_and_twists_run_smoothly() -> None:
    source = figure()
    matrices = human(120, source, seed=5)
    rig = figure(arms=30.0)
    body, _ = fit.fit_body(rig, roles.guess(rig))
    motion = retarget.retarget(source, roles.guess(source), matrices, 30.0, body)
    for name in ("shin.L", "shin.R", "forearm.L", "forearm.R"):
        turn = motion.rotations[:, body.index(name)]
        assert np.abs(turn[:, 2:]).max() < 1e-6
    step = rotations.angle_between(motion.rotations[1:], motion.rotations[:-1])
    assert np.degrees(step.max()) < 25.0


def test_a_rest_pose_without_sense_gives_way_to_an_upright_frame() -> None:
    source = figure()
    matrices = human(60, source, seed=2)
    matrices[30] = source.rest  # somewhere it stands straight
    line = np.array(source.rest)
    # all bones along one axis: every joint straight above its parent
    for bone, parent in enumerate(source.parents):
        if parent >= 0:
            length = np.linalg.norm(source.heads[bone] - source.heads[parent])
            line[bone, :3, 3] = line[parent, :3, 3] + [0.0, length, 0.0]
    odd = dataclasses.replace(source, rest=line)
    rig = figure()
    role_map = roles.guess(rig)
    body, binding = fit.fit_body(rig, role_map)
    motion = retarget.retarget(odd, roles.guess(source), matrices, 30.0, body)
    world = retarget.bone_matrices(binding, rig, motion)
    assert direction_errors(source, matrices, world, role_map).max() < 3.0


def walker(roll: float = 0.0) -> tuple[Rig, Array]:
    """A figure that shifts its weight over planted feet; roll: degrees its heels rise about its toes' joints."""
    rig = figure()
    frames = 60
    sway = 0.06 * np.sin(np.arange(frames) / 8.0)
    rise = np.radians(roll) * np.sin(np.pi * np.arange(frames) / frames) ** 2
    matrices = np.tile(rig.rest, (frames, 1, 1, 1))
    drop = 0.05
    matrices[:, :, :3, 3] += np.stack([sway, np.zeros(frames), np.full(frames, -drop)], axis=1)[:, None]
    for side in "LR":
        thigh, shin, foot, toe = (rig.index(f"{p}.{side}") for p in ("thigh", "shin", "foot", "toe"))
        start = matrices[:, thigh, :3, 3]
        turns = rotations.to_matrix(rotations.from_axis_angle([1.0, 0.0, 0.0], rise))
        end = rig.heads[toe] + turns @ (rig.heads[foot] - rig.heads[toe])
        upper = np.linalg.norm(rig.heads[shin] - rig.heads[thigh])
        lower = np.linalg.norm(rig.heads[foot] - rig.heads[shin])
        away = end - start
        reach = np.linalg.norm(away, axis=1)
        along = (reach**2 + upper**2 - lower**2) / (2 * reach)
        out = np.sqrt(np.maximum(upper**2 - along**2, 0.0))
        direction = away / reach[:, None]
        ahead = np.tile([0.0, -1.0, 0.0], (frames, 1))
        ahead = rotations.normalise(ahead - direction * (ahead * direction).sum(1, keepdims=True))
        matrices[:, shin, :3, 3] = start + direction * along[:, None] + ahead * out[:, None]
        matrices[:, foot, :3, :3] = turns @ matrices[:, foot, :3, :3]
        matrices[:, foot, :3, 3] = end
        matrices[:, toe, :3, 3] = rig.heads[toe]
    return rig, matrices


@pytest.mark.parametrize("legs", [(1.0, 1.0), (1.25, 0.8), (0.85, 1.2)])
def test_planted_feet_stay_planted(legs: tuple[float, float]) -> None:
    """On other proportions a planted foot slides under 1 cm/s and stays within 1 cm of the floor."""
    source, matrices = walker()
    rig = figure()
    positions = np.array(rig.rest)
    for side in "LR":  # longer thighs, shorter shins or the other way
        thigh, shin, foot, toe = (rig.index(f"{p}.{side}") for p in ("thigh", "shin", "foot", "toe"))
        knee = rig.heads[thigh] + (rig.heads[shin] - rig.heads[thigh]) * legs[0]
        ankle = knee + (rig.heads[foot] - rig.heads[shin]) * legs[1]
        positions[toe, :3, 3] = ankle + rig.heads[toe] - rig.heads[foot]
        positions[shin, :3, 3], positions[foot, :3, 3] = knee, ankle
    rig = dataclasses.replace(rig, rest=positions)
    body, binding = fit.fit_body(rig, roles.guess(rig))
    motion = retarget.retarget(source, roles.guess(source), matrices, 30.0, body)
    at, turns = body.forward(motion.position, motion.rotations)
    lows = body.lowest_points(at, turns)
    for side in "LR":
        points, weights = foot_planting.sole_points(body, at, turns, side)
        sole = np.einsum("fp,fpk->fk", weights, points)
        speed = np.linalg.norm(np.diff(sole[:, :2], axis=0), axis=1) * 30.0
        assert speed.mean() < 0.01
        assert np.abs(lows[:, body.index(f"foot.{side}")]).max() < 0.01
    world = retarget.bone_matrices(binding, rig, motion)
    assert direction_errors(source, matrices, world, roles.guess(rig)).max() < 3.0


@pytest.mark.parametrize("length", [0.6, 1.0, 1.4])
def test_a_foot_that_rolls_turns_about_its_toes(length: float) -> None:
    """However far from the ankle the toes bend, their joint slides under 1 cm/s while the heel rises."""
    source, matrices = walker(roll=30.0)
    rig = figure(skin=True)
    positions = np.array(rig.rest)
    for side in "LR":
        foot, toe = rig.index(f"foot.{side}"), rig.index(f"toe.{side}")
        positions[toe, :3, 3] = rig.heads[foot] + (rig.heads[toe] - rig.heads[foot]) * [1.0, length, 1.0]
    rig = dataclasses.replace(rig, rest=positions)
    body, binding = fit.fit_body(rig, roles.guess(rig))
    motion = retarget.retarget(source, roles.guess(source), matrices, 30.0, body)
    shown = retarget.bone_matrices(binding, rig, motion)
    for side in "LR":
        bone, toe = rig.index(f"foot.{side}"), rig.index(f"toe.{side}")
        local = rig.rest[bone, :3, :3].T @ (rig.heads[toe] - rig.heads[bone])
        foot = shown[f"foot.{side}"]
        path = foot[:, :3, 3] + foot[:, :3, :3] @ local
        assert np.linalg.norm(np.diff(path[:, :2], axis=0), axis=1).mean() * 30.0 < 0.01
        assert np.ptp(foot[:, 2, 3]) > 0.03  # its heel does rise


def _stretched() -> tuple[bodies.Body, bindings.Binding, Rig]:
    """A figure with longer thighs and shorter shins than the walker."""
    rig = figure()
    positions = np.array(rig.rest)
    for side in "LR":
        thigh, shin, foot, toe = (rig.index(f"{p}.{side}") for p in ("thigh", "shin", "foot", "toe"))
        knee = rig.heads[thigh] + (rig.heads[shin] - rig.heads[thigh]) * 1.25
        positions[shin, :3, 3], positions[foot, :3, 3] = knee, knee + (rig.heads[foot] - rig.heads[shin]) * 0.8
        positions[toe, :3, 3] = positions[foot, :3, 3] + rig.heads[toe] - rig.heads[foot]
    rig = dataclasses.replace(rig, rest=positions)
    return *fit.fit_body(rig, roles.guess(rig)), rig


def test_a_t_pose_in_front_does_not_throw_the_body() -> None:
    """The rest pose stands elsewhere; from the second frame on the body moves as it does without that frame."""
    source, matrices = walker()
    away = np.array(source.rest)
    away[:, :3, 3] += [0.3, 0.5, 0.0]
    body, _binding, _rig = _stretched()
    role_map = roles.guess(source)
    plain = retarget.retarget(source, role_map, matrices, 30.0, body)
    led = retarget.retarget(source, role_map, np.concatenate([away[None], matrices]), 30.0, body)
    speed = np.linalg.norm(np.diff(led.position[1:], axis=0) - np.diff(plain.position, axis=0), axis=1) * 30.0
    assert speed.max() < 0.15


def test_planted_frames() -> None:
    rate, leg = 60.0, 0.8
    frames = np.arange(120)
    foot = np.zeros((120, 3))
    swing = (frames >= 40) & (frames < 70)
    foot[40:70, 0] = np.linspace(0, 0.6, 30)
    foot[70:, 0] = 0.6
    foot[40:70, 2] = 0.15 * np.sin(np.linspace(0, np.pi, 30))
    resting = foot_planting.planted(foot, foot + [0.0, -0.15, 0.0], leg, rate)
    assert resting[:37].all() and resting[73:].all()
    assert not resting[44:66].any()
    assert swing.any()


def test_level_takes_out_a_constant_tilt() -> None:
    rng = np.random.default_rng(1)
    tilt = rotations.from_axis_angle([1.0, 0.0, 0.0], 0.25)
    turns = rotations.multiply(rotations.from_axis_angle([0.0, 0.0, 1.0], rng.random(50)), tilt)
    fixed = foot_planting.level(turns, np.zeros((50, 3)), np.ones(50, dtype=bool))
    upward = rotations.rotate(fixed, np.array([0.0, 0.0, 1.0]))
    assert upward[:, 2].min() > np.cos(0.01)


def test_put_on_floor_and_adapt() -> None:
    rig = figure()
    body, _ = fit.fit_body(rig, roles.guess(rig))
    neutral = np.tile(rotations.IDENTITY, (20, 15, 1))
    motion = Motion(30.0, np.tile([0.0, 0.0, 5.0], (20, 1)), neutral)
    for fitted in (retarget.put_on_floor(motion, body), retarget.adapt(motion, 0.5, body)):
        lows = body.lowest_points(*body.forward(fitted.position, fitted.rotations)).min(axis=1)
        assert np.abs(lows).max() < 1e-3
    path = np.zeros((20, 3))
    path[:, 1] = -np.arange(20) / 10.0
    scaled = retarget.adapt(Motion(30.0, path, neutral), 2 * proportions.hip_to_sole(body), body)
    assert np.ptp(scaled.position[:, 1]) == pytest.approx(0.95, abs=0.02)


def test_from_origin() -> None:
    turn = rotations.from_axis_angle([0.0, 0.0, 1.0], 2.0)
    poses = np.tile(rotations.IDENTITY, (3, 15, 1))
    poses[:, 0] = turn
    ahead = rotations.rotate(turn, np.array([0.0, -1.0, 0.0]))  # where that figure faces
    motion = Motion(30.0, np.array([4.0, 5.0, 1.0]) + ahead * np.arange(3)[:, None], poses)
    assert retarget.from_origin(motion).position[:, 2] == pytest.approx([1.0, 1.0, 1.0])
    assert retarget.from_origin(motion).position[0] == pytest.approx([0.0, 0.0, 1.0])
    facing = retarget.from_origin(motion, forward=True)
    assert facing.position[2] == pytest.approx([0.0, -2.0, 1.0])
    assert rotations.angle_between(facing.rotations[:, 0], rotations.IDENTITY).max() < 1e-6


def test_ten_times_the_frames_are_hardly_more_calls() -> None:
    """Frames are worked out all at once; nothing goes through them one by one."""
    source = figure()
    matrices = np.tile(human(100, source), (10, 1, 1, 1))
    body, _ = fit.fit_body(source, roles.guess(source))

    def calls(frames: int) -> int:
        return count_calls(lambda: retarget.retarget(source, roles.guess(source), matrices[:frames], 30.0, body))

    calls(100)
    assert calls(1000) < 2 * calls(100)


def test_damaged_clips_are_refused() -> None:
    source = figure()
    body, _ = fit.fit_body(source, roles.guess(source))
    matrices = np.tile(source.rest, (3, 1, 1, 1))
    broken = matrices.copy()
    broken[1, 2, 0, 3] = np.inf
    with pytest.raises(ValueError, match="finite"):
        retarget.retarget(source, roles.guess(source), broken, 30.0, body)
    with pytest.raises(ValueError, match="bones"):
        retarget.retarget(source, roles.guess(source), matrices[:, :-1], 30.0, body)


# What is odd about a clip


def jump(rate: float, gravity: float, body: bodies.Body) -> Motion:
    """The neutral pose, but for an arm, standing, then flying under a gravity, m/s^2, then standing."""
    height = proportions.standing_height(body)
    flight = np.arange(0.0, 0.6, 1.0 / rate)
    up = gravity / 2 * flight * (0.6 - flight)
    z = height + np.concatenate([np.zeros(20), up, np.zeros(20)])
    position = np.stack([np.zeros_like(z), np.zeros_like(z), z], axis=1)
    turns = np.tile(rotations.IDENTITY, (len(z), 15, 1))
    turns[:, body.index("upper_arm.L")] = rotations.from_axis_angle([0.0, 1.0, 0.0], np.linspace(0.0, -0.2, len(z)))
    return Motion(rate, position, turns)


def codes(motion: Motion, body: bodies.Body) -> list[str]:
    return [finding.code for finding in inspection.inspect(motion, body)]


def test_inspect_finds_a_wrong_time_scale() -> None:
    rig = figure()
    body, _ = fit.fit_body(rig, roles.guess(rig))
    assert codes(jump(60.0, 9.81, body), body) == []
    findings = inspection.inspect(jump(60.0, 4 * 9.81, body), body)
    assert [f.code for f in findings] == ["time_scale"]
    assert findings[0].fix == {"time_scale": 2.0}
    assert "39.2 m/s²" in findings[0].sentence and "slow it down 2 times" in findings[0].sentence


def test_inspect_finds_floor_and_first_pose() -> None:
    rig = figure()
    body, _ = fit.fit_body(rig, roles.guess(rig))
    stand = jump(60.0, 9.81, body)
    floating = dataclasses.replace(stand, position=stand.position + [0.0, 0.0, 0.2])
    assert "floor" in codes(floating, body)
    turned = stand.rotations.copy()
    turned[0, body.index("upper_arm.L")] = rotations.from_axis_angle([0.0, 1.0, 0.0], -1.5)
    findings = inspection.inspect(dataclasses.replace(stand, rotations=turned), body)
    assert findings[0].code == "rest_pose_first"
    assert findings[0].fix["start"] == pytest.approx(1 / 60.0)


# Real motion capture


@pytest.mark.parametrize("clip", ["snu_backflip", "fair1_dab", "sl_avatar_jumpforjoy", "cmu1_jumping_jacks"])
@pytest.mark.parametrize("kind", ["T", "bent", "2.5 m", "one spine bone"])
def test_sample_clips(clip: str, kind: str) -> None:
    if not SAMPLES.is_dir():
        pytest.skip("the sample clips are not here")
    source, matrices, rate = bvh.read_bvh(SAMPLES / f"{clip}.bvh")
    rig = figure(**KINDS[kind])
    role_map = roles.guess(rig)
    body, binding = fit.fit_body(rig, role_map)
    motion = retarget.retarget(source, roles.guess(source), matrices, rate, body)
    world = retarget.bone_matrices(binding, rig, motion)
    assert direction_errors(source, matrices, world, role_map).max() < 3.0
    positions, turns = body.forward(motion.position, motion.rotations)
    lows = body.lowest_points(positions, turns).min(axis=1)
    assert lows.min() > -0.02
    assert np.quantile(lows, 0.1) < 0.03
    head, foot = positions[..., body.index("head"), 2], positions[..., body.index("foot.L"), 2]
    assert head[0] - foot[0] > 0.6  # upright at the start
    found = inspection.inspect(motion, body)
    if clip == "snu_backflip":
        scales = [finding.fix["time_scale"] for finding in found if "time_scale" in finding.fix]
        assert scales in ([2.0], [2.5])  # it falls 5.5 times as fast as it should where the body is as large as its
    else:
        assert "time_scale" not in [finding.code for finding in found]
