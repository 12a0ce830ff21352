# SPDX-License-Identifier: GPL-3.0-or-later
"""References within the joints' limits, and limbs that reach."""

from __future__ import annotations

import numpy as np
import pytest

from backflip_addon.core import joint_limits, rotations
from backflip_addon.core.body import HINGE_AXIS
from backflip_addon.core.motion import Motion
from backflip_addon.core.motions.feasible_joints import arms_within, within_joints
from backflip_addon.core.motions.limb_reach import Limb
from tests.core import performances

BODY = performances.body()
X = np.array([1.0, 0.0, 0.0])


def squat(bend: np.ndarray) -> Motion:
    motion = performances.standing(BODY, (len(bend) - 1) / 30.0)
    position = motion.position.copy()
    position[:, 2] = performances.crouched_height(BODY, bend)
    return Motion(30.0, position, performances.bent(BODY, motion.rotations.copy(), bend))


def test_what_is_within_stays_to_the_bit() -> None:
    motion = squat(np.linspace(0.0, 0.6, 31))
    same, found = within_joints(BODY, motion)
    assert found == [] and np.array_equal(same.rotations, motion.rotations)


def test_an_ankle_is_kept_and_said() -> None:
    """Squatting until the shins lean 57 degrees ahead; with weight on it an ankle goes to 40."""
    motion = squat(np.concatenate([np.linspace(0.0, 1.0, 31), np.linspace(1.0, 0.0, 30)]))
    kept, found = within_joints(BODY, motion)
    assert {found[0].link, found[1].link} == {"foot.L", "foot.R"}
    assert found[0].time == pytest.approx(1.0, abs=0.05) and np.degrees(found[0].angle) == pytest.approx(17.3, abs=1.0)
    for name in ("foot.L", "foot.R"):
        limit = BODY.links[BODY.index(name)].joint_limit
        assert limit is not None
        before, after = (joint_limits.excess(m.rotations[:, BODY.index(name)], limit) for m in (motion, kept))
        assert np.degrees(before.max()) > 15 and np.degrees(after.max()) < 7, (
            "drawing the leg up bends it a little again"
        )
    lowest = BODY.lowest_points(*BODY.forward(kept.position, kept.rotations)).min()
    assert lowest > -0.003, "its toes do not go into the floor"


def test_a_knee_is_kept() -> None:
    motion = performances.standing(BODY)
    turns = motion.rotations.copy()
    turns[:, BODY.index("shin.L")] = rotations.from_axis_angle(np.array(HINGE_AXIS), np.full(motion.frames, 0.5))
    kept, (found,) = within_joints(BODY, Motion(30.0, motion.position, turns))
    low, high = BODY.links[BODY.index("shin.L")].limits
    angle = rotations.twist_angle(kept.rotations[:, BODY.index("shin.L")], np.array(HINGE_AXIS))
    assert found.link == "shin.L" and found.angle == pytest.approx(0.5 - high)
    assert np.allclose(angle, high)


@pytest.mark.parametrize(("degrees", "kept"), [(55.0, True), (80.0, False)])
def test_arms_are_within_again_after_low_passing(degrees: float, kept: bool) -> None:
    """Swung behind the back, where they go 48 degrees: what is far past that is no trace of low-passing, and stays."""
    motion = performances.standing(BODY, 1.0)
    turns = motion.rotations.copy()
    swing = np.radians(degrees) * np.sin(np.linspace(0, np.pi, motion.frames))
    arms, thighs = ([BODY.index(f"{part}.{side}") for side in "LR"] for part in ("upper_arm", "thigh"))
    turns[:, arms + thighs] = rotations.from_axis_angle(X, swing)[:, None]
    after = arms_within(BODY, Motion(30.0, motion.position, turns))
    limit = BODY.links[arms[0]].joint_limit
    assert limit is not None
    assert (np.degrees(joint_limits.excess(after.rotations[:, arms[0]], limit).max()) < 0.01) == kept
    same = turns[:, thighs] if kept else turns[:, arms + thighs]
    assert np.array_equal(after.rotations[:, thighs if kept else arms + thighs], same)
    assert rotations.angle_between(after.rotations[1:, arms], after.rotations[:-1, arms]).max() < np.radians(10)


@pytest.mark.parametrize("make", [Limb.leg, Limb.arm])
@pytest.mark.parametrize("side", ["L", "R"])
def test_a_limb_reaches_what_is_in_its_reach(make, side: str) -> None:  # noqa: ANN001
    """Towards points all around, from a bent limb: its end lies there, worked out by forward kinematics."""
    limb = make(BODY, side)
    motion = performances.standing(BODY, 1.0)
    turns = motion.rotations.copy()
    turns[:, limb.lower] = rotations.from_axis_angle(X, np.full(motion.frames, 0.7 * limb.bend))
    positions, world = BODY.forward(motion.position, turns)
    rng = np.random.default_rng(4)
    way = rotations.normalise(rng.normal(size=(motion.frames, 3)) - [0.0, 0.0, 1.0])
    away = way * rng.uniform(0.5, 0.98, (motion.frames, 1)) * limb.longest(BODY)
    world[:, limb.upper], world[:, limb.lower] = limb.reaching(BODY, world[:, limb.upper], world[:, limb.lower], away)
    reached, _ = BODY.forward(motion.position, BODY.local_rotations(world))
    assert np.allclose(reached[:, limb.end] - reached[:, limb.upper], away, atol=1e-6)
    angle = rotations.twist_angle(BODY.local_rotations(world)[:, limb.lower], X)
    assert (angle * limb.bend > 0).all(), "it bends as such limbs bend"
