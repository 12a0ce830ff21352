# SPDX-License-Identifier: GPL-3.0-or-later
"""What the compiled step tells of the feet: how much they carry, for how long, and how far they slide."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

pytest.importorskip("numba")
pytest.importorskip("pybullet_data")

from backflip_addon.core import rotations
from backflip_addon.core.measures.balance import sole_corners
from backflip_addon.trainer.physics.compiled.batch import CompiledBatch, taken
from backflip_addon.trainer.physics.state import Scene, States
from tests.benchmarks import humanoid
from tests.trainer.stepped import COUNT, feet, poses

BODY = humanoid.humanoid()  # whose legs are of one length
FEET = feet(BODY)


def played(batch: CompiledBatch, start: States, steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of the feet, after each control step: touched, load, slid (S, N, 2), and where they are (S + 1, N, 2, 3), m."""
    batch.reset(np.arange(COUNT), start)
    batch.set_targets(start.rotations, np.zeros_like(start.joint_velocity))
    told, places = [], []
    for step in range(steps + 1):
        now = batch.states()
        places.append(BODY.forward(now.position, now.rotations)[0][:, FEET])
        if step < steps:
            batch.step()
            floor = batch.floor
            told.append([taken(a, COUNT)[:, FEET].copy() for a in (floor.touched, floor.load, floor.slid)])
    touched, load, slid = np.array(told).swapaxes(0, 1)
    return touched, load, slid, np.array(places)


def test_feet_that_stand_carry_one_body_weight_and_do_not_slide() -> None:
    touched, load, slid, _ = played(CompiledBatch(BODY, COUNT), poses(BODY, 0.0), 20)
    assert load[10:].sum(axis=2).mean() == pytest.approx(1.0, abs=0.01)
    assert np.all(touched[10:] == 1.0) and slid[10:].max() < 1e-3


def test_what_stands_is_quiet() -> None:
    """The floor's force on it, the mean of a control step, hardly varies: it rattled with all of the last step's
    impulses kept."""
    _, load, _, _ = played(CompiledBatch(BODY, COUNT), poses(BODY, 0.0), 60)
    assert np.median(load[30:].sum(axis=2).std(axis=0)) < 0.05


def test_feet_in_the_air_carry_nothing() -> None:
    touched, load, slid, _ = played(CompiledBatch(BODY, COUNT), poses(BODY, 1.0), 5)
    assert not touched.any() and not load.any() and not slid.any()


def test_feet_slide_as_far_as_they_move_along_the_floor() -> None:
    """On ice all of a body that is shoved goes on, before it tips: by the way of the feet that carry it."""
    batch, start = CompiledBatch(BODY, COUNT), poses(BODY, 0.0)
    for index in range(COUNT):
        batch.set_scene(index, Scene(friction=0.02))
    start.velocity[:, :2] = 0.4 * np.stack([np.cos(np.arange(COUNT)), np.sin(np.arange(COUNT))], axis=1)
    touched, load, slid, places = played(batch, start, 5)
    way = np.linalg.norm(np.diff(places, axis=0)[..., :2], axis=-1)
    carry = (touched == 1.0) & (load > 0.25)
    assert carry.mean() > 0.3 and way[carry].mean() > 0.008
    assert np.median(np.abs(slid - way)[carry]) < 0.05 * way[carry].mean(), "some roll: an ankle isn't a sole"
    assert slid[carry].mean() == pytest.approx(way[carry].mean(), rel=0.15)


def test_a_foot_that_turns_about_the_corner_it_bears_on_slides_as_its_other_corners_do() -> None:
    """Which are a hair above the floor and carry nothing: so a slide is judged, too (core.measures.footwork)."""
    batch, start = CompiledBatch(BODY, COUNT), poses(BODY, 0.0)
    for index in range(COUNT):
        batch.set_scene(index, Scene(friction=0.02))

    def soles(states: States) -> np.ndarray:
        return sole_corners(BODY, "foot.L", *BODY.forward(states.position, states.rotations))

    pivot, lean = soles(start)[:, 0], rotations.from_rotation_vector(np.array([0.004, -0.004, 0.0]))
    turned = start.rotations.copy()
    turned[:, 0] = rotations.multiply(lean, turned[:, 0])
    arm = rotations.rotate(lean, start.position - pivot)
    spin = np.tile([0.0, 0.0, 1.0], (COUNT, 1))
    start = dataclasses.replace(
        start, position=pivot + arm, rotations=turned, velocity=np.cross(spin, arm), angular_velocity=spin
    )
    before = soles(start)
    assert (before[:, 1:, 2] > 2e-4).all() and before[..., 2].max() < 1.5e-3
    _, load, slid, _ = played(batch, start, 1)
    way = np.linalg.norm((soles(batch.states()) - before)[..., :2], axis=-1)
    assert load[0, :, 1].min() > 0.05 and (way[:, 0] < 0.5 * way.mean(axis=1)).all()
    np.testing.assert_allclose(slid[0, :, 1], way.mean(axis=1), rtol=0.2)
