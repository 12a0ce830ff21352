# SPDX-License-Identifier: GPL-3.0-or-later
"""What is compiled of the environment against the same in numpy, number by number, on the same physics."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba")
pytest.importorskip("pybullet_data")

from backflip_addon.core import rotations
from backflip_addon.trainer.imitation.compiled_environment import CompiledEnvironment
from backflip_addon.trainer.imitation.disturbances import (
    Circumstances,
    Disturbances,
    disturbed_many,
    draw_circumstances,
)
from backflip_addon.trainer.imitation.environment import ACTION_SCALE, ImitationEnvironment
from backflip_addon.trainer.imitation.feedback_rollouts import NEVER, FeedbackRollouts, Played
from backflip_addon.trainer.imitation.observations import parts
from backflip_addon.trainer.imitation.reference_track import Track
from backflip_addon.trainer.imitation.target_trajectory import TargetTrajectory
from backflip_addon.trainer.physics.compiled.batch import CompiledBatch, taken
from backflip_addon.trainer.physics.state import Scene, States
from tests.benchmarks import humanoid
from tests.trainer.oracle.cost import Cost, Footwork

BODY = humanoid.humanoid()
COUNT = 21  # two whole groups of lanes, and one in part
Start = tuple[States, list[Circumstances]]


@pytest.fixture(scope="module")
def track() -> Track:
    """The backflip with its landing, its left arm unsure in part."""
    clip = humanoid.clip("backflip", BODY)
    sure = np.ones((clip.frames, len(BODY.links)))
    sure[10:30, [BODY.index(f"{part}.L") for part in ("upper_arm", "forearm", "hand")]] = 0.4
    return Track(BODY, dataclasses.replace(clip, sure=sure), 0.3)


@pytest.fixture(scope="module")
def trajectory(track: Track) -> TargetTrajectory:
    """With feedback of some kind."""
    width = track.layout.width
    shape = (track.steps, width, sum(parts(width).values()))
    gains = 0.03 * np.random.default_rng(0).normal(size=shape)
    return dataclasses.replace(TargetTrajectory.of_track(track), gains=gains)


def starts_at(trajectory: TargetTrajectory, steps: np.ndarray, seed: int, after: int) -> Start:
    """Disturbed states and circumstances, each with a push within so many steps."""
    d, random = dataclasses.replace(Disturbances().prompt, pose=0.1, push=1.0), np.random.default_rng(seed)
    circumstances = [draw_circumstances(d, random, trajectory.steps) for _ in steps]
    for i, (own, step) in enumerate(zip(circumstances, steps, strict=True)):
        own.push_step = int(step) + i % after
    floors = np.array([own.scene.floor for own in circumstances])
    return disturbed_many(BODY, trajectory.states[steps], [d] * len(steps), random, floors), circumstances


def environments(track: Track, trajectory: TargetTrajectory) -> list[ImitationEnvironment[CompiledBatch]]:
    return [
        make(CompiledBatch(BODY, COUNT, track.allowed), trajectory, track.allowed)
        for make in (ImitationEnvironment, CompiledEnvironment)
    ]


def everything(env: ImitationEnvironment[CompiledBatch], actions: np.ndarray, fresh: np.ndarray) -> list[Any]:
    """All that an environment tells in one control step."""
    observed = env.observe(fresh)
    illegal = env.step(actions)
    env.refresh()
    return [*observed, illegal, *env.evaluate(), env.bootstrap_observation(), env.applied]


@pytest.mark.parametrize("seed", [1, 2])
def test_a_control_step_tells_the_same(track: Track, trajectory: TargetTrajectory, seed: int) -> None:
    """From anywhere along the clip, its end included; then some begin again, the others go on."""
    random = np.random.default_rng(seed)
    steps = random.integers(0, trajectory.steps, COUNT)
    steps[0] = trajectory.steps - 1
    states, circumstances = starts_at(trajectory, steps, seed, 2)
    actions = random.normal(size=(2, COUNT, track.layout.width))
    again = np.array([1, 9, COUNT - 1])
    told = []
    for env in environments(track, trajectory):
        env.start(np.arange(COUNT), steps, states, circumstances)
        env.refresh()
        told.append(everything(env, actions[0], np.ones(COUNT, dtype=bool)))
        env.start(again, steps[again], states[again], [circumstances[i] for i in again])
        fresh = np.isin(np.arange(COUNT), again)
        env.refresh(fresh)
        told[-1] += everything(env, actions[1], fresh)
    for numpys, compileds in zip(*told, strict=True):
        # Where a contact is at its edge, rounding decides
        assert np.isclose(np.asarray(compileds, dtype=float), numpys, atol=0.02, rtol=2e-3).mean() > 0.998
        assert np.median(np.abs(np.asarray(compileds, dtype=float) - numpys)) < 1e-5
    assert told[0][3].std() > 0.05, "rewards differ from body to body"


@pytest.mark.parametrize(("held", "fades", "at_the_end"), [(True, True, 0.0), (True, False, 1.0), (False, True, 1.0)])
def test_actions_count_for_nothing_where_feedback_holds_what_has_landed(
    held: bool, fades: bool, at_the_end: float
) -> None:
    """Where nothing else does, and where they are asked for, they count to the end."""
    still = Track(BODY, humanoid.clip("backflip", BODY))
    trajectory, width = TargetTrajectory.of_track(still), still.layout.width
    if held:
        trajectory = dataclasses.replace(trajectory, gains=np.zeros((still.steps, width, sum(parts(width).values()))))
    assert trajectory.landed < trajectory.steps - 30
    bold = np.full((COUNT, width), 0.5, np.float32)
    for env in environments(still, trajectory):
        env.fades = fades
        for step, share in ((0, 1.0), (trajectory.landed, 1.0), (trajectory.steps - 10, at_the_end)):
            states = trajectory.states[np.full(COUNT, step)]
            env.start(np.arange(COUNT), np.full(COUNT, step), states, [Circumstances(Scene())] * COUNT)
            env.refresh()
            env.observe(np.ones(COUNT, dtype=bool))
            env.step(bold)
            np.testing.assert_allclose(env.applied, 0.5 * ACTION_SCALE * share, atol=1e-6)


def test_rewards_and_falls_are_the_same_far_from_the_goal(track: Track, trajectory: TargetTrajectory) -> None:
    """Bodies moved and tilted so far that some are lost."""
    random = np.random.default_rng(3)
    steps = random.integers(0, trajectory.steps, COUNT)
    states, circumstances = starts_at(trajectory, steps, 4, 2)
    turns = states.rotations.copy()
    lean = rotations.from_rotation_vector(random.normal(scale=0.5, size=(COUNT, 3)))
    turns[:, 0] = rotations.multiply(lean, turns[:, 0])
    moved = states.position + random.normal(scale=0.1, size=(COUNT, 3))
    far = dataclasses.replace(states, rotations=turns, position=moved)
    told = []
    for env in environments(track, trajectory):
        env.start(np.arange(COUNT), steps, far, circumstances)
        env.refresh()
        told.append(env.evaluate())
    np.testing.assert_allclose(told[1][0], told[0][0], atol=1e-5)
    np.testing.assert_array_equal(told[1][1], told[0][1])
    assert 0 < told[0][1].sum() < COUNT


def played_in_numpy(
    track: Track, trajectory: TargetTrajectory, start: Start, first: int, offsets: np.ndarray
) -> Played:
    """Rollouts with the environment and the cost in numpy."""
    env = ImitationEnvironment(CompiledBatch(BODY, COUNT, track.allowed), trajectory, track.allowed)
    cost = Cost(track, anywhere=True)
    env.fades = False
    env.start(np.arange(COUNT), np.full(COUNT, first), *start)
    env.refresh()
    fresh, costs, failed = np.ones(COUNT, dtype=bool), np.zeros(offsets.shape[:2]), np.full(COUNT, NEVER)
    passed = []
    for h in range(offsets.shape[1]):
        env.observe(fresh)
        fresh = np.zeros(COUNT, dtype=bool)
        illegal = env.step(offsets[:, h] / ACTION_SCALE)
        env.refresh()
        down = env.floors[:, None] * [0.0, 0.0, 1.0]
        on_level = dataclasses.replace(env.now.states, position=env.now.states.position - down)
        floor = env.bodies.floor
        feet = Footwork(*(taken(part, COUNT)[:, track.feet] for part in (floor.load, floor.slid)))
        costs[:, h] = cost(on_level, np.minimum(env.steps, trajectory.steps) - 1, footwork=feet)
        passed.append(env.bodies.states())
        failed = np.where((illegal | env.evaluate()[1]) & (failed == NEVER), first + h, failed)
    return Played(costs, passed[-1], passed, failed, offsets.shape[0] * offsets.shape[1])


@pytest.mark.parametrize("back", [40, 2], ids=["in the clip", "past its end"])
def test_rollouts_with_feedback_cost_the_same(track: Track, trajectory: TargetTrajectory, back: int) -> None:
    first = trajectory.steps - back
    start = starts_at(trajectory, np.full(COUNT, first), 5, 3)
    offsets = 0.2 * np.random.default_rng(6).normal(size=(COUNT, 4, track.layout.width))
    with FeedbackRollouts(track, trajectory, workers=2) as roll_out:
        found, again = (roll_out(*start, first, offsets, kept) for kept in (3, 0))
    wanted = played_in_numpy(track, trajectory, start, first, offsets)
    # A millimetre of a slide costs 0.2: its rounding shows
    np.testing.assert_allclose(found.costs[:, 0], wanted.costs[:, 0], rtol=5e-3)
    np.testing.assert_allclose(found.costs, wanted.costs, rtol=0.05)
    assert len(found.passed) == 3 and not again.passed
    for one, other in zip((*found.passed, found.ends), (*wanted.passed[1:], wanted.ends), strict=True):
        off = np.abs(one.position - other.position)
        assert np.quantile(off, 0.95) < 2e-3 and off.max() < 0.02, "but for a foot that slips by a hair"
    np.testing.assert_array_equal(found.passed[-1].rotations, found.ends.rotations)
    np.testing.assert_array_equal(found.costs, again.costs)
    assert found.steps == wanted.steps == 4 * COUNT


def test_a_rollout_tells_the_step_in_which_it_fails(track: Track, trajectory: TargetTrajectory) -> None:
    """Legs that give way: all end on the floor, in the very step that the environment says."""
    limp = dataclasses.replace(trajectory, gains=np.zeros((0, 0, 0)))
    start = starts_at(limp, np.zeros(COUNT, dtype=int), 7, 3)
    offsets = np.zeros((COUNT, 24, track.layout.width))
    for name in ("shin.L", "shin.R"):
        offsets[:, :, track.layout.columns[BODY.index(name)]] = -1.2
    with FeedbackRollouts(track, limp) as roll_out:
        found = roll_out(*start, 0, offsets)
    wanted = played_in_numpy(track, limp, start, 0, offsets)
    assert (found.failed < NEVER).mean() > 0.5
    assert np.mean(found.failed == wanted.failed) > 0.8 and np.abs(found.failed - wanted.failed).max() <= NEVER
