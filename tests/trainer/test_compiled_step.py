# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled step against PyBullet, against the oracle in numpy, and against laws of mechanics written down here."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

pytest.importorskip("pybullet")
pytest.importorskip("torch")
pytest.importorskip("numba")

from backflip_addon.core import joint_limits, rotations, self_contact
from backflip_addon.core.body import Body
from backflip_addon.core.constants import GRAVITY
from backflip_addon.core.joint_limits import LARGEST_ANGLE, LARGEST_SWING_Y, JointLimit
from backflip_addon.trainer.imitation.kinematics import momenta
from backflip_addon.trainer.physics import pybullet_world
from backflip_addon.trainer.physics.compiled import solver
from backflip_addon.trainer.physics.compiled.batch import CompiledBatch
from backflip_addon.trainer.physics.simulator import CONTROL_RATE, SUBSTEPS
from backflip_addon.trainer.physics.state import Scene, States, stacked
from tests.benchmarks import humanoid
from tests.core import performances
from tests.trainer.oracle.step import BatchedSimulator
from tests.trainer.stepped import COUNT, feet, in_pybullet, poses, shaken, targets_of, various, worst

FITTED, HUMANOID = performances.body(), humanoid.humanoid()
MANY = 600  # iterations of a solver, with which it is at its solution; half as many miss it by 3 % of a step's change
SECONDS = 1 / CONTROL_RATE


def unlimited(body: Body) -> Body:
    """The body, its ball joints as free as they can be, its torques the same at any speed."""
    widest = JointLimit((1.0, 0.0, 0.0, 0.0), float(LARGEST_ANGLE), float(LARGEST_SWING_Y), float(LARGEST_ANGLE))
    links = [dataclasses.replace(link, top_speed=0.0) for link in body.links]
    links = [dataclasses.replace(link, limit=widest) if link.joint == "spherical" else link for link in links]
    return dataclasses.replace(body, links=tuple(links))


def limp(body: Body) -> Body:
    """The body without any strength."""
    return dataclasses.replace(body, links=tuple(dataclasses.replace(link, torque=0.0) for link in body.links))


@pytest.fixture
def no_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of a body pass through each other."""
    monkeypatch.setattr(self_contact, "pairs", lambda body: ())


def simulated(
    body: Body,
    states: States,
    scenes: list[Scene],
    targets: tuple[np.ndarray, np.ndarray] | None = None,
    substeps: int = SUBSTEPS,
    rate: float = CONTROL_RATE,
    iterations: int = MANY,
    steps: int = 1,
) -> CompiledBatch:
    """Bodies after so many control steps of so many substeps. targets: rotations and velocities."""
    bodies = CompiledBatch(body, len(states), feet(body), rate, substeps, iterations)
    for i, scene in enumerate(scenes):
        bodies.set_scene(i, scene)
    bodies.reset(np.arange(len(states)), states)
    bodies.set_targets(*(targets or (states.rotations, np.zeros_like(states.joint_velocity))))
    for _ in range(steps):
        bodies.step()
    return bodies


@pytest.mark.parametrize("body", [FITTED, HUMANOID], ids=["fitted", "humanoid"])
@pytest.mark.usefixtures("no_pairs")
def test_in_the_air_a_control_step_is_pybullets(body: Body, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inertia, gravity, servos at and under their limits, hinges at theirs, heavier and lighter bodies."""
    monkeypatch.setattr(pybullet_world, "SOLVER_ITERATIONS", MANY)
    body, random = unlimited(body), np.random.default_rng(0)
    states = shaken(body, poses(body, 2.0), random, 0.1, 1.0)
    targets, scenes = targets_of(body, states, random), various(random)
    here = simulated(body, states, scenes, targets).states()
    there, _ = in_pybullet(body, states, *targets, scenes, SUBSTEPS)
    assert worst(here, there, "position").max() < 1e-4
    assert rotations.angle_between(here.rotations, there.rotations).max() < 5e-3
    for name in ("velocity", "angular_velocity", "joint_velocity"):
        assert worst(here, there, name).max() < 0.01 * worst(there, states, name).mean() + 1e-4, name


@pytest.mark.parametrize("body", [FITTED, HUMANOID], ids=["fitted", "humanoid"])
@pytest.mark.usefixtures("no_pairs")
def test_strength_that_is_used_up_is_pybullets(body: Body, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ball joints and hinges that drive as hard and as fast as they can, about several axes at once."""
    monkeypatch.setattr(pybullet_world, "SOLVER_ITERATIONS", MANY)
    weak = [dataclasses.replace(link, torque=0.1 * link.torque, top_speed=8.0) for link in unlimited(body).links]
    body, random = dataclasses.replace(body, links=tuple(weak)), np.random.default_rng(8)
    states = shaken(body, poses(body, 2.0), random, 0.1, 3.0)
    targets = shaken(body, states, random, 0.4, 0.0).rotations, np.zeros_like(states.joint_velocity)
    scenes = [Scene()] * COUNT
    here = simulated(body, states, scenes, targets).states()
    there, _ = in_pybullet(body, states, *targets, scenes, SUBSTEPS)
    assert rotations.angle_between(here.rotations, there.rotations).max() < 1e-3
    assert worst(here, there, "joint_velocity").max() < 0.01 * worst(there, states, "joint_velocity").mean()
    tireless = dataclasses.replace(body, links=tuple(dataclasses.replace(link, top_speed=0.0) for link in weak))
    other = simulated(tireless, states, scenes, targets).states()
    assert np.median(worst(here, other, "joint_velocity")) > 1.0, "it matters"


@pytest.mark.parametrize("height", [2.0, -0.003], ids=["in the air", "on the floor"])
@pytest.mark.usefixtures("no_pairs")
def test_a_substep_is_the_oracles(height: float) -> None:
    """Solved to the end, both have the same solution, in whichever order rows come; or nearly, on soles whose corners
    share what friction there is in more than one way."""
    body, random = unlimited(HUMANOID), np.random.default_rng(1)
    states = shaken(body, poses(body, height), random, 0.02, 0.5)
    (targets, speeds), scenes = targets_of(body, states, random), various(random)
    oracle = BatchedSimulator(body, COUNT, feet(body), CONTROL_RATE * SUBSTEPS, 1, MANY)
    for i, scene in enumerate(scenes):
        oracle.set_scene(i, scene)
    oracle.reset(np.arange(COUNT), states)
    oracle.set_targets(targets, speeds)
    touched = oracle.step()
    bodies = simulated(body, states, scenes, (targets, speeds), substeps=1, rate=CONTROL_RATE * SUBSTEPS)
    here, there = bodies.states(), oracle.states()
    assert touched.any() == (height < 0)
    np.testing.assert_array_equal(bodies.contacts(), touched)
    for name in ("position", "velocity", "angular_velocity", "joint_velocity"):
        change = worst(there, states, name).mean()
        assert np.median(worst(here, there, name)) < 0.01 * change + 1e-5, name
        assert np.quantile(worst(here, there, name), 0.9) < (0.02 if height > 0 else 0.06) * change + 1e-5, name


@pytest.mark.parametrize("engine", ["compiled", "pybullet"])
def test_in_flight_momentum_is_kept_and_the_centre_of_mass_falls(engine: str) -> None:
    """With joints and contacts between parts at work: forces inside a body move neither, whatever the step's length."""
    random = np.random.default_rng(2)
    states = shaken(FITTED, poses(FITTED, 2.0), random, 0.05, 1.0)
    targets, (velocity, spin) = targets_of(FITTED, states, random), motion(states)
    if engine == "compiled":
        after = simulated(FITTED, states, [Scene()] * COUNT, targets, steps=6).states()
    else:
        after, _ = in_pybullet(FITTED, states, *targets, [Scene()] * COUNT, SUBSTEPS, steps=6)
    fell, seconds = np.array([0.0, 0.0, -GRAVITY]), 6 * SECONDS
    off = motion(after)[0] - velocity - fell * seconds
    change = np.linalg.norm(motion(after)[1] - spin, axis=1) / np.linalg.norm(spin, axis=1)
    assert np.abs(off).max() < 1e-4 and change.max() < 1e-3, "m/s, and a share"
    # Gravity changes the speed at a step's beginning, so that half a step more of it is gone through
    way = velocity * seconds + fell * seconds * (seconds + SECONDS / SUBSTEPS) / 2
    assert np.abs(centre(after) - centre(states) - way).max() < 1e-5


def centre(states: States, body: Body = FITTED) -> np.ndarray:
    return body.centre_of_mass(*body.forward(states.position, states.rotations))


def motion(states: States, body: Body = FITTED) -> tuple[np.ndarray, np.ndarray]:
    """Velocity of the centre of mass and momentum about it."""
    return momenta(body, states, *body.forward(states.position, states.rotations))


@pytest.mark.usefixtures("no_pairs")
def test_a_limp_body_keeps_its_energy() -> None:
    """Kinetic and potential, summed over the links, with nothing at work but gravity."""
    body, random = unlimited(limp(FITTED)), np.random.default_rng(3)
    states = shaken(body, poses(body, 3.0), random, 0.1, 1.0)
    before, after = energy(body, states), energy(body, simulated(body, states, [Scene()] * COUNT, steps=3).states())
    moving = before - potential(body, states)
    euler = body.mass * GRAVITY**2 * (3 * SECONDS) * SECONDS / SUBSTEPS / 2  # by which so many steps fall too far
    np.testing.assert_allclose(after, before - euler, atol=0.05 * moving.min())
    assert moving.min() > 5.0, "J, they do move"


def energy(body: Body, states: States) -> np.ndarray:
    """J: of links' motion, by small differences of where they are, and of their height."""
    step = 1e-5

    def frames(after: float) -> tuple[np.ndarray, np.ndarray]:
        turns = states.rotations.copy()
        spin = rotations.from_rotation_vector(states.angular_velocity * after)
        turns[:, 0] = rotations.multiply(spin, turns[:, 0])
        own = rotations.from_rotation_vector(states.joint_velocity[:, 1:] * after)
        turns[:, 1:] = rotations.multiply(turns[:, 1:], own)
        positions, world = body.forward(states.position + states.velocity * after, turns)
        return positions + rotations.rotate(world, np.array([link.centre for link in body.links])), world

    (early, before), (late, after) = frames(-step), frames(step)
    masses = np.array([link.mass for link in body.links])
    speeds = np.linalg.norm(late - early, axis=-1) / (2 * step)
    spins = rotations.to_rotation_vector(rotations.multiply(rotations.conjugate(before), after)) / (2 * step)
    inertia = np.array([link.inertia for link in body.links])
    kinetic = 0.5 * (masses * speeds**2 + (inertia * spins**2).sum(axis=-1)).sum(axis=1)
    return kinetic + potential(body, states)


def potential(body: Body, states: States) -> np.ndarray:
    """J, of the links' height."""
    positions, world = body.forward(states.position, states.rotations)
    return body.mass * GRAVITY * body.centre_of_mass(positions, world)[:, 2]


def farthest(body: Body, start: States) -> tuple[float, float]:
    """By how many rad ball joints, and hinges, get past the limits of FITTED's in two thirds of a second."""
    bodies = simulated(body, start, [Scene()] * COUNT, iterations=10)
    balls = hinges = 0.0
    for _ in range(20):
        bodies.step()
        turns = bodies.states().rotations
        for i, link in enumerate(FITTED.links):
            if (limit := link.joint_limit) is not None and not link.name.startswith("upper_arm"):
                balls = max(balls, joint_limits.excess(turns[:, i], limit).max())
            elif link.joint == "hinge":
                angle = rotations.twist_angle(turns[:, i], np.array(link.axis))
                hinges = max(hinges, (angle - link.limits[1]).max(), (link.limits[0] - angle).max())
    return balls, hinges


def test_joints_stop_at_their_limits() -> None:
    """Limp joints flung outward. As in Bullet a ball joint's limit acts along the child's own axes, which are not those
    that its angles are measured about: far from the middle it gives way by some degrees before it holds."""
    body = limp(FITTED)
    start = shaken(body, poses(body, 30.0), np.random.default_rng(4), 0.0, 6.0)
    balls, hinges = farthest(body, start)
    assert hinges < np.radians(5) and balls < np.radians(32)
    assert farthest(unlimited(body), start)[0] > 2 * balls, "they would go farther"


def test_a_servo_ends_at_the_limit_and_holds_it() -> None:
    """A head that is told to turn half around turns as far as heads do."""
    body = FITTED
    states, head = poses(body, 30.0)[:2], body.index("head")
    limit = body.links[head].joint_limit
    assert limit is not None
    turned = states.rotations.copy()
    turned[:, head] = rotations.from_axis_angle(np.array([0.0, 0.0, 1.0]), np.array([2.8, -2.8]))
    found = simulated(body, states, [Scene()] * 2, (turned, np.zeros_like(states.joint_velocity)), steps=15).states()
    angles = joint_limits.angles(found.rotations[:, head], limit)
    np.testing.assert_allclose(np.abs(angles[:, 2]), limit.twist, atol=np.radians(2))


@pytest.mark.parametrize("friction", [0.1, 0.3])
def test_a_sliding_body_is_braked_by_friction_alone(friction: float) -> None:
    """Coulomb: the floor's impulse along it is friction times that upward, whatever else moves."""
    states = poses(FITTED, 0.0)[:2]
    bodies = simulated(FITTED, states, [Scene(friction=friction)] * 2, iterations=10, steps=5)
    bodies.push(0, np.array([0.0, -2.0, 0.0]), np.zeros(3))
    before = motion(bodies.states())[0][0]
    bodies.step()
    change = motion(bodies.states())[0][0] - before
    assert change[1] / (change[2] + GRAVITY * SECONDS) == pytest.approx(friction, rel=0.05)


def test_parts_that_are_driven_into_each_other_stop_at_their_skins() -> None:
    """Both arms swung together before the chest, and a leg across the other."""
    body = FITTED
    states = poses(body, 30.0)[:8]
    turned, random = states.rotations.copy(), np.random.default_rng(5)
    for side, sign in (("L", 1.0), ("R", -1.0)):
        forward = rotations.from_axis_angle(np.array([1.0, 0.0, 0.0]), random.uniform(-1.4, -0.8, size=8))
        inward = rotations.from_axis_angle(np.array([0.0, 1.0, 0.0]), sign * random.uniform(0.5, 0.9, size=8))
        turned[:, body.index(f"upper_arm.{side}")] = rotations.multiply(inward, forward)
        turned[:, body.index(f"thigh.{side}")] = rotations.from_axis_angle(np.array([0.0, 1.0, 0.0]), sign * 0.5)
    none, deepest = np.zeros_like(states.joint_velocity), 0.0
    apart, _ = depth(body, turned)
    assert apart > 0.03, "the goal itself lies inside"
    bodies = simulated(body, states, [Scene()] * 8, (turned, none), iterations=10)
    for _ in range(20):
        bodies.step()
        deepest = max(deepest, depth(body, bodies.states().rotations)[0])
    assert -0.01 < deepest < 0.01, "they met, and no deeper than a centimetre"


def depth(body: Body, turns: np.ndarray) -> tuple[float, np.ndarray]:
    """m, of the deepest pair of all poses (N, L, 4), and of each pose's."""
    depths = self_contact.depths(body, *body.forward(np.zeros((len(turns), 3)), turns))
    return float(depths.max()), depths.max(axis=1)


def test_a_mass_factor_is_a_body_of_so_many_times_the_mass() -> None:
    x, y, z = zip(*(1.5 * np.array(link.inertia) for link in FITTED.links), strict=True)
    links = [
        dataclasses.replace(link, mass=1.5 * link.mass, inertia=(float(x[i]), float(y[i]), float(z[i])))
        for i, link in enumerate(FITTED.links)
    ]
    heavy = dataclasses.replace(FITTED, links=tuple(links))
    random = np.random.default_rng(6)
    states = shaken(FITTED, poses(FITTED, 0.01), random, 0.05, 0.5)
    targets = targets_of(FITTED, states, random)
    found = [
        simulated(body, states, [Scene(mass=mass)] * COUNT, targets).states()
        for body, mass in ((FITTED, 1.5), (heavy, 1.0), (FITTED, 1.0))
    ]
    assert np.median(worst(found[0], found[1], "joint_velocity")) < 0.02
    assert np.median(worst(found[0], found[2], "joint_velocity")) > 0.1, "it matters"


def knee_push(goal: float, torque: float, top_speed: float) -> float:
    """Change of a knee's speed, rad/s, in the second substep after it bent at 5 rad/s, driven to a goal; other joints
    are limp."""
    knee = FITTED.index("shin.L")
    links = [dataclasses.replace(link, torque=0.0) for link in FITTED.links]
    links[knee] = dataclasses.replace(links[knee], torque=torque, top_speed=top_speed)
    body, axis = dataclasses.replace(FITTED, links=tuple(links)), np.array(links[knee].axis)
    states = poses(body, 30.0)[:1]
    turns, speeds = states.rotations.copy(), np.zeros_like(states.joint_velocity)
    turns[:, knee], speeds[:, knee] = rotations.from_axis_angle(axis, -1.3), -5.0 * axis
    targets = turns.copy()
    targets[:, knee] = rotations.from_axis_angle(axis, goal)
    start = dataclasses.replace(states, rotations=turns, joint_velocity=speeds)
    goal_of_all, found = (targets, np.zeros_like(speeds)), []
    for substeps in (1, 2):
        rate = CONTROL_RATE * SUBSTEPS / substeps
        bodies = simulated(body, start, [Scene()], goal_of_all, substeps=substeps, rate=rate)
        found.append(float(bodies.states().joint_velocity[0, knee] @ axis))
    return found[1] - found[0]


def test_a_joint_in_motion_has_less_torque() -> None:
    """A servo's push shrinks as Hill's curve says where it drives on, and not where it brakes."""
    limp, fast, torque = knee_push(-2.6, 0.0, 0.0), 20.0, 1.0
    whole, less = (knee_push(-2.6, torque, top) - limp for top in (0.0, fast))
    assert whole < -0.01 and less / whole == pytest.approx((fast - 5.0) / (fast + 2.4 * 5.0), rel=0.03)
    assert knee_push(0.0, torque, fast) == pytest.approx(knee_push(0.0, torque, 0.0), rel=1e-4)


def test_the_same_again_is_the_same_to_the_bit_whoever_shares_the_batch() -> None:
    random = np.random.default_rng(7)
    states = shaken(FITTED, poses(FITTED, 0.0), random, 0.1, 1.0)
    (targets, speeds), scenes = targets_of(FITTED, states, random), various(random)
    together = [simulated(FITTED, states, scenes, (targets, speeds), iterations=10, steps=3).states() for _ in range(2)]
    some = np.array([17, 5, 11])
    own = [scenes[i] for i in some]
    alone = simulated(FITTED, states[some], own, (targets[some], speeds[some]), iterations=10, steps=3).states()
    for name in ("position", "rotations", "velocity", "angular_velocity", "joint_velocity"):
        np.testing.assert_array_equal(getattr(together[0], name), getattr(together[1], name))
        np.testing.assert_array_equal(getattr(alone, name), getattr(together[0], name)[some])


def test_states_are_what_was_put_in() -> None:
    states = shaken(HUMANOID, poses(HUMANOID, 0.5), np.random.default_rng(8), 0.3, 2.0)
    bodies = CompiledBatch(HUMANOID, COUNT)
    bodies.reset(np.arange(COUNT), states)
    bodies.reset(np.array([3]), stacked([states[4]]))
    wanted = stacked([states[4] if i == 3 else states[i] for i in range(COUNT)])
    found = bodies.states()
    for name in ("position", "velocity", "angular_velocity", "joint_velocity"):
        np.testing.assert_allclose(getattr(found, name), getattr(wanted, name), atol=2e-6)
    assert rotations.angle_between(found.rotations, wanted.rotations).max() < 1e-3
    np.testing.assert_array_equal(bodies.states(np.array([3])).position, found.position[[3]])


def test_each_has_a_floor_of_its_own() -> None:
    body, heights = FITTED, (0.3, -0.1, 0.0)
    states = poses(body, 0.05)[:3]
    states = dataclasses.replace(states, position=states.position + np.array([[0, 0, h] for h in heights]))
    bodies = simulated(body, states, [Scene(floor=height) for height in heights], iterations=10, steps=30)
    found = bodies.states()
    lows = body.lowest_points(*body.forward(found.position, found.rotations)).min(axis=1)
    np.testing.assert_allclose(lows, heights, atol=0.01)
    assert bodies.contacts()[:, feet(body)].any(axis=1).all()


def test_a_body_may_lie_on_all_of_itself() -> None:
    """What was dropped flat on its back comes to rest there."""
    body = FITTED
    bodies = CompiledBatch(body, 2)
    states = poses(body, 0.0)[:2]
    turns = states.rotations.copy()
    turns[:, 0] = [np.sqrt(0.5), -np.sqrt(0.5), 0.0, 0.0]
    bodies.reset(np.arange(2), dataclasses.replace(states, position=states.position * [1, 1, 0.3], rotations=turns))
    bodies.set_targets(turns, states.joint_velocity)
    for _ in range(60):
        bodies.step()
    found = bodies.states()
    lows = body.lowest_points(*body.forward(found.position, found.rotations))
    assert np.abs(lows.min(axis=1)).max() < 0.02
    assert np.linalg.norm(found.velocity, axis=1).max() < 0.2 and (found.position[:, 2] < 0.25).all()


def test_what_may_not_touch_passes_through_the_floor_and_is_told() -> None:
    body = FITTED
    bodies = CompiledBatch(body, 1, feet(body))
    head_down = poses(body, 0.0)[:1]
    turns = head_down.rotations.copy()
    turns[:, 0] = [0.0, 1.0, 0.0, 0.0]
    bodies.reset(np.arange(1), dataclasses.replace(head_down, position=np.array([[0, 0, 0.6]]), rotations=turns))
    assert bodies.contacts()[0, body.index("head")]
    bodies.set_targets(turns, head_down.joint_velocity)
    touched = bodies.step()
    assert touched[0, body.index("head")] and not touched[0, feet(body)].any()
    assert bodies.states().velocity[0, 2] == pytest.approx(-GRAVITY * SECONDS, rel=0.2)


def test_a_part_of_a_kernel_refuses_pythons_calls() -> None:
    """There is no code for them, and to jump there would end the process."""
    with pytest.raises(TypeError, match=r"solve_friction\(\) is a part of kernels"):
        solver.solve_friction()
