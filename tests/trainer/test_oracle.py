# SPDX-License-Identifier: GPL-3.0-or-later
"""The oracle that the compiled step is held against takes the steps that PyBullet takes."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("pybullet")
pytest.importorskip("torch")

from backflip_addon.core import rotations
from backflip_addon.core.body import Body
from backflip_addon.trainer.physics import pybullet_world
from backflip_addon.trainer.physics.pybullet_world import PyBulletWorld
from backflip_addon.trainer.physics.simulator import SOLVER_ITERATIONS, SUBSTEPS
from backflip_addon.trainer.physics.state import Scene, States
from tests.benchmarks import humanoid
from tests.core import performances
from tests.trainer.oracle.constraints import reverse_parts
from tests.trainer.oracle.step import BatchedSimulator
from tests.trainer.stepped import feet, in_pybullet, poses, shaken, targets_of, various, worst

FITTED, HUMANOID = performances.body(), humanoid.humanoid()


def in_batch(
    body: Body,
    states: States,
    targets: np.ndarray,
    speeds: np.ndarray,
    scenes: list[Scene],
    substeps: int,
    iterations: int = SOLVER_ITERATIONS,
) -> tuple[States, np.ndarray]:
    bodies = BatchedSimulator(body, len(states), feet(body), iterations=iterations)
    for i, scene in enumerate(scenes):
        bodies.set_scene(i, scene)
    bodies.reset(np.arange(len(states)), states)
    bodies.set_targets(targets, speeds)
    for _ in range(substeps):
        bodies._substep()
    return bodies.states(), bodies.contacts()


@pytest.mark.parametrize("body", [FITTED, HUMANOID], ids=["fitted", "humanoid"])
def test_in_the_air_it_is_pybullets_step_to_rounding(body: Body, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inertia, gravity, servos at and under their limits, hinges at theirs, heavier and lighter bodies; as the engine
    itself steps them, before a flight is put right."""
    monkeypatch.setattr(PyBulletWorld, "_flies", lambda world: False)
    random = np.random.default_rng(0)
    states = shaken(body, poses(body, 2.0), random, 0.3, 3.0)
    targets, speeds = targets_of(body, states, random)
    arguments = (body, states, targets, speeds, various(random))
    here, there = in_batch(*arguments, 1)[0], in_pybullet(*arguments, 1)[0]
    for name in ("position", "velocity", "angular_velocity", "joint_velocity"):
        change = worst(there, states, name).mean()
        assert worst(here, there, name).max() < 1e-4 * change + 1e-6, name
    assert rotations.angle_between(here.rotations, there.rotations).max() < 1e-4


def on_the_floor(body: Body, iterations: int = SOLVER_ITERATIONS) -> tuple[np.ndarray, np.ndarray]:
    """Of one step of bodies that stand or slip: how far joint velocities (N,), rad/s, are from PyBullet's; and whether
    each body (N,) touches. They change by some 10 rad/s, as fast as the servos are; the difference is the contacts'."""
    random = np.random.default_rng(1)
    states = shaken(body, poses(body, -0.003), random, 0.02, 0.5)
    targets, speeds = targets_of(body, states, random)
    arguments = (body, states, targets, speeds, various(random))
    (here, on), (there, touching) = in_batch(*arguments, 1, iterations), in_pybullet(*arguments, 1)
    np.testing.assert_array_equal(on, touching)
    return worst(here, there, "joint_velocity"), on.any(axis=1)


@pytest.mark.parametrize("body", [FITTED, HUMANOID], ids=["fitted", "humanoid"])
def test_on_the_floor_it_is_pybullets_step_or_near_it(body: Body) -> None:
    """Only the order of contacts may differ (PyBullet's depends on what touched before), which changes
    the solver's answer where several share a foot."""
    off, on = on_the_floor(body)
    assert on.mean() > 0.5, "most of them stand"
    assert np.quantile(off, 0.3) < 0.01, "these are the same step"
    assert np.quantile(off, 0.8) < 7.0


@pytest.mark.parametrize("body", [FITTED, HUMANOID], ids=["fitted", "humanoid"])
def test_on_the_floor_both_have_one_solution(body: Body, monkeypatch: pytest.MonkeyPatch) -> None:
    """With so many iterations the order of contacts no longer matters."""
    monkeypatch.setattr(pybullet_world, "SOLVER_ITERATIONS", 300)
    off, _ = on_the_floor(body, 300)
    assert np.median(off) < 0.07 and off.max() < 0.7


def test_it_stays_with_pybullet_for_a_fifth_of_a_second() -> None:
    """Six control steps of one target, through take-off or touchdown: the order of contacts adds up."""
    substeps = 6 * SUBSTEPS
    random = np.random.default_rng(2)
    states = shaken(HUMANOID, poses(HUMANOID, 0.02), random, 0.05, 0.5)
    targets, speeds = targets_of(HUMANOID, states, random)
    arguments = (HUMANOID, states, targets, speeds, various(random))
    here, there = in_batch(*arguments, substeps)[0], in_pybullet(*arguments, substeps)[0]
    moved = np.median(worst(there, states, "position"))
    off = worst(here, there, "position")
    assert np.median(off) < 0.1 * moved
    assert np.quantile(off, 0.8) < 0.3 * moved


def test_a_quicksort_of_equals_reverses_every_part() -> None:
    items = list(range(5))
    reverse_parts(items, 0, 4)
    # 4 3 2 1 0 -> parts (4 3) and (1 0), the middle left -> 3 4 2 0 1
    assert items == [3, 4, 2, 0, 1]
