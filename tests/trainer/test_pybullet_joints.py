# SPDX-License-Identifier: GPL-3.0-or-later
"""What joints do in PyBullet's world: servos, the ends of their ranges, and parts that meet."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

pytest.importorskip("pybullet")

from backflip_addon.core import joint_limits, rotations, self_contact
from backflip_addon.core.body import Body
from backflip_addon.core.shapes import Shape
from backflip_addon.trainer.physics.pybullet_world import PyBulletWorld
from backflip_addon.trainer.physics.simulator import JOINT_SPEED, SERVO_RATE
from backflip_addon.trainer.physics.state import States
from tests.core import performances
from tests.trainer.figure import BODY, X, Y, Z, a_world, controls, hold, in_the_air, standing_state

world = pytest.fixture(a_world)


DRIVEN = {"upper_arm.R": 0.5, "thigh.R": -0.5, "forearm.L": -0.5, "shin.L": 0.5}


def left_after(substeps: int, seconds: float) -> dict[str, float]:
    """What is left, rad, of the turns that servos of great strength were to make, after so long."""
    strong = dataclasses.replace(BODY, links=tuple(dataclasses.replace(k, torque=1e4) for k in BODY.links))
    world, start = PyBulletWorld(strong, substeps=substeps), in_the_air()
    world.reset(start)
    goal = start.rotations.copy()
    for name, angle in DRIVEN.items():
        goal[BODY.index(name)] = rotations.from_axis_angle(X, angle)
    world.set_targets(world.targets(goal[None])[0], controls(world, start)[1][0])
    for _ in range(round(seconds * world.control_rate * substeps)):
        world.substep()
    found = world.state().rotations
    world.close()
    return {n: float(angle - rotations.twist_angle(found[BODY.index(n)], X)) for n, angle in DRIVEN.items()}


def test_a_servo_is_as_quick_at_any_rate() -> None:
    """A PD controller moves a limb's inertia, and so is slower than its error's exponential decay, which it comes to
    for a light limb; none goes past its target."""
    seconds = 0.05
    here, finer = left_after(16, seconds), left_after(32, seconds)
    for name, angle in DRIVEN.items():
        link = BODY.links[BODY.index(name)]
        decayed = np.exp(-SERVO_RATE * link.kp / link.kd * seconds)
        assert 0.7 * decayed < here[name] / angle < 0.75, name
        assert here[name] == pytest.approx(finer[name], abs=0.02), name


BALLS = [link.name for link in BODY.links if link.joint_limit]


@pytest.mark.parametrize("name", BALLS)
@pytest.mark.parametrize("axis", [0, 1, 2], ids=["swing x", "swing y", "twist"])
@pytest.mark.parametrize("way", [-1.0, 1.0], ids=["back", "forth"])
def test_a_joint_stops_at_its_limit(world: PyBulletWorld, name: str, axis: int, way: float) -> None:
    """Driven with all its strength from the middle of its range to past its end, in the air."""
    index = BODY.index(name)
    limit = BODY.links[index].joint_limit
    assert limit
    start = in_the_air()
    start.rotations[index] = limit.frame
    world.reset(start)
    goal = start.rotations.copy()
    # Past 90 degrees a swing about y is one about x and a twist, and half a turn either way is the same
    far = way * min(limit.half[axis] + 0.7, np.radians((170, 88, 170))[axis])
    goal[index] = rotations.multiply(limit.frame, rotations.from_axis_angle(np.eye(3)[axis], far))
    world.set_targets(goal, controls(world, start)[1][0])  # not bounded
    reached = []
    for _ in range(round(0.5 * world.control_rate) * world.substeps):
        world.substep()
        reached.append(rotations.angle_between(world.state().rotations[index], np.array(limit.frame)))
    step = JOINT_SPEED / world.control_rate / world.substeps
    assert max(reached) < limit.half[axis] + step, "a limit holds what has passed it, a substep later at most"
    assert reached[-1] == pytest.approx(limit.half[axis], abs=np.radians(5)), "light feet turn otherwise as well"
    told = joint_limits.angles(world.state().rotations[index], limit)
    assert told[axis] == pytest.approx(way * limit.half[axis], abs=np.radians(2.5))


def test_a_target_past_a_limit_ends_at_it(world: PyBulletWorld) -> None:
    index = BODY.index("head")
    limit = BODY.links[index].joint_limit
    assert limit
    goal = in_the_air().rotations
    goal[index] = rotations.from_axis_angle(Z, limit.twist + 1.0)
    world.reset(in_the_air())
    hold(world, dataclasses.replace(in_the_air(), rotations=goal), 1.0)
    told = joint_limits.angles(world.state().rotations[index], limit)
    assert told[2] == pytest.approx(limit.twist, abs=np.radians(0.5))
    assert np.linalg.norm(world.state().joint_velocity[index]) < 0.05, "and does not chatter there"


def posed(**turns: np.ndarray) -> np.ndarray:
    """The neutral pose (L, 4), some joints turned; thigh_L is "thigh.L"."""
    pose = performances.neutral(BODY, 1)[0]
    for name, turn in turns.items():
        pose[BODY.index(name.replace("_", ".") if name[:5] != "upper" else f"upper_arm.{name[-1]}")] = turn
    return pose


def about(axis: np.ndarray, angle: float) -> np.ndarray:
    return rotations.from_axis_angle(axis, angle)


def deepest(body: Body, state: States) -> float:
    positions, turns = body.forward(state.position, state.rotations)
    return float(self_contact.depths(body, positions[None], turns[None]).max())


TUCK = {
    f"{part}_{side}": turn
    for side, inward in (("L", 0.15), ("R", -0.15))
    for part, turn in (
        ("thigh", about(X, -2.1)),
        ("shin", about(X, 1.6)),
        ("upper", rotations.multiply(about(X, -0.6), about(Y, inward))),
        ("forearm", about(X, -0.4)),
    )
}


@pytest.mark.parametrize(
    "pose",
    [
        posed(upper_L=about(Y, 0.5)),
        posed(thigh_L=about(Y, 0.4), thigh_R=about(Y, -0.4)),
        posed(**TUCK),
    ],
    ids=["an arm through the trunk", "heels through each other", "hands through shins"],
)
def test_parts_stop_one_another(world: PyBulletWorld, pose: np.ndarray) -> None:
    """Driven with all their strength, and with nothing to hold on to."""
    start = in_the_air()
    wanted = dataclasses.replace(start, rotations=pose)
    assert deepest(BODY, wanted) > 0.03, "or nothing would have to stop them"
    world.reset(start)
    world.set_targets(world.targets(pose[None])[0], controls(world, start)[1][0])
    for _ in range(round(0.6 * world.control_rate) * world.substeps):
        world.substep()
        assert deepest(BODY, world.state()) < 0.01


def test_thighs_that_overlap_by_their_fit_do_not_burst_apart() -> None:
    """A stout figure's legs: thighs of 14 cm radius."""
    links = [
        dataclasses.replace(
            link,
            shapes=tuple(
                Shape(shape.kind, (0.14, *shape.size[1:]), shape.position, shape.rotation) for shape in link.shapes
            ),
        )
        if link.name.startswith("thigh")
        else link
        for link in BODY.links
    ]
    stout = dataclasses.replace(BODY, links=tuple(links))
    thighs = (stout.index("thigh.R"), stout.index("thigh.L"))
    assert thighs not in self_contact.pairs(stout)
    world, start = PyBulletWorld(stout), standing_state()
    world.reset(start)
    hold(world, start, 1.0)
    state = world.state()
    world.close()
    assert (
        np.abs(state.joint_velocity).max() < 1.0
        and rotations.angle_between(state.rotations[0], start.rotations[0]) < 0.1
    )
