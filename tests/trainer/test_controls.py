# SPDX-License-Identifier: GPL-3.0-or-later
"""What servos are told: a track's controls, which they follow without trailing; offsets; and what footwork costs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

pytest.importorskip("pybullet")

from backflip_addon.core import rotations
from backflip_addon.core.motion import Motion
from backflip_addon.trainer.imitation.action_layout import ActionLayout
from backflip_addon.trainer.imitation.cost import FIRM, HARD, LARGE_COST, PRESSES, Weights
from backflip_addon.trainer.imitation.reference_track import Track
from backflip_addon.trainer.physics.pybullet_world import PyBulletWorld
from backflip_addon.trainer.physics.servo_gains import servo_lag
from tests.core import performances
from tests.trainer.oracle.cost import Cost, Footwork

BODY = performances.body()
X, Y, Z = np.eye(3)
SPEED = 1.0  # rad/s, of the arm
ARM = BODY.index("upper_arm.L")


def turning() -> Motion:
    """High up, an arm turns evenly from -0.5 to 0.5 rad."""
    motion = performances.standing(BODY, 1.0, 120.0)
    turns = motion.rotations.copy()
    turns[:, ARM] = rotations.from_axis_angle(X, SPEED * (np.arange(motion.frames) / 120.0 - 0.5))
    return dataclasses.replace(motion, position=motion.position + 5.0 * Z, rotations=turns)


def test_servos_alone_follow_an_even_turn_without_trailing() -> None:
    """PyBullet's: they would trail what they are told by the lag."""
    strong = dataclasses.replace(BODY, links=tuple(dataclasses.replace(k, torque=1e4) for k in BODY.links))
    track, world = Track(strong, turning(), hold=0.0), PyBulletWorld(strong)
    world.reset(track.states[0])
    targets = world.targets(track.targets(np.zeros((track.steps, track.layout.width)), 0))
    speeds = world.velocities(track.velocities(0, track.steps))
    angles = []
    for target, speed in zip(targets, speeds, strict=True):
        world.step(target, speed)
        angles.append(rotations.twist_angle(world.state().rotations[ARM], X))
    world.close()
    trails = rotations.twist_angle(track.states.rotations[1:, ARM], X) - np.array(angles)
    even = slice(8, 24)
    lag = SPEED * servo_lag(strong.links[ARM])
    assert lag > 0.02 and np.abs(trails[even]).max() < 0.2 * lag


def test_offsets_are_found_again_from_the_targets_they_make() -> None:
    layout, random = ActionLayout(BODY), np.random.default_rng(3)
    targets = rotations.from_rotation_vector(random.normal(scale=0.5, size=(4, len(BODY.links), 3)))
    offsets = random.uniform(-1.0, 1.0, size=(4, layout.width))
    assert np.allclose(layout.offsets_to(targets, layout.offset_targets(targets, offsets)), offsets)


def test_footwork_costs_what_its_weights_say() -> None:
    """A foot without load where it is to rest, a body without, a slide, and a hard landing; no more for a landing that
    isn't hard, nor for a foot that is to be in the air."""
    track, step = Track(BODY, performances.standing(BODY)), np.array([9])
    weights, cost = Weights(), Cost(track)

    def of(load: float, slid: float = 0.0, others: float = 0.5) -> float:
        feet = Footwork(np.array([[load, others]]), np.array([[slid, 0.0]]))
        bounded = cost(track.states[step + 1], step, footwork=feet) / LARGE_COST
        return float(LARGE_COST * np.expm1(bounded)[0])

    plain = of(0.5)
    assert plain == pytest.approx(of(HARD - 0.5)) == pytest.approx(of(PRESSES))
    assert of(0.25 * PRESSES) - plain == pytest.approx(0.75 * weights.stepping)
    assert of(0.0, others=0.0) - plain == pytest.approx(2 * weights.stepping + weights.aloft)
    track.flies = True
    assert of(0.25 * PRESSES) - plain == pytest.approx(0.75 * weights.planted), "where to land is not to rock"
    assert of(PRESSES, others=FIRM - PRESSES) == pytest.approx(plain)
    assert of(0.5, 0.01) - plain == pytest.approx(0.01 * weights.slide)
    assert of(HARD + 1.5) - plain == pytest.approx(4.0 * weights.impact)
    track.resting[:, 0] = False
    assert of(0.25 * PRESSES) == pytest.approx(of(PRESSES))


def test_a_foot_that_tilts_where_it_should_be_flat_costs_its_tilt() -> None:
    track, step = Track(BODY, performances.standing(BODY)), np.array([9])
    tilted = track.states[step + 1].copy()
    tilted.position[:, 2] += 0.5  # in the air: that no sole's edge is lower than it was
    track.positions[step + 1] += [0.0, 0.0, 0.5]
    foot, angle = BODY.index("foot.L"), 0.1
    flat = Cost(track, Weights(sole=0.0))(tilted, step), Cost(track)(tilted, step)
    assert flat[0] == pytest.approx(flat[1])
    tilted.rotations[:, foot] = rotations.multiply(tilted.rotations[:, foot], rotations.from_axis_angle(X, angle))
    costs = [LARGE_COST * np.expm1(Cost(track, w)(tilted, step) / LARGE_COST) for w in (Weights(), Weights(sole=0.0))]
    assert (costs[0] - costs[1])[0] == pytest.approx(Weights().sole * (2 * np.sin(angle / 2)) ** 2)
