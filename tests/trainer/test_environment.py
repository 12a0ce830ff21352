# SPDX-License-Identifier: GPL-3.0-or-later
"""The imitation environment and a training on it, on a body small numbers suffice for."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from backflip_addon.trainer.imitation.disturbances import disturbed

pytest.importorskip("pybullet")
pytest.importorskip("torch")
pytest.importorskip("numba")

from backflip_addon.core import metrics, rotations
from backflip_addon.core.body import FEET
from backflip_addon.core.motion import Motion
from backflip_addon.trainer.imitation import environment
from backflip_addon.trainer.imitation.compiled_environment import CompiledEnvironment
from backflip_addon.trainer.imitation.disturbances import NONE, Circumstances, Disturbances
from backflip_addon.trainer.imitation.environment import ImitationEnvironment, trial
from backflip_addon.trainer.imitation.observations import Figures, parts
from backflip_addon.trainer.imitation.reference_track import Track
from backflip_addon.trainer.imitation.rewards import Imitation
from backflip_addon.trainer.imitation.target_trajectory import TargetTrajectory
from backflip_addon.trainer.physics.compiled.batch import CompiledBatch
from backflip_addon.trainer.physics.pybullet_batch import PyBulletBatch
from backflip_addon.trainer.physics.state import Scene, States, stacked
from backflip_addon.trainer.planning.plan import Plan
from backflip_addon.trainer.rl import checkpoints, rollouts, trainer
from backflip_addon.trainer.rl.numpy_actor import Actor
from backflip_addon.trainer.rl.settings import LearningSettings
from backflip_addon.trainer.rl.start_states import Episodes, StartStates
from tests.benchmarks import humanoid
from tests.core import performances

BODY = humanoid.humanoid()


@pytest.fixture(scope="module")
def reference() -> Motion:
    """Half a second of the backflip, from its standing start."""
    return humanoid.clip("backflip", BODY).trimmed(0.0, 0.5)


@pytest.fixture(scope="module")
def track(reference: Motion) -> Track:
    return Track(BODY, reference, 0.0)


@pytest.fixture(scope="module")
def env(track: Track) -> Iterator[ImitationEnvironment]:
    worlds = PyBulletBatch(BODY, 2)
    yield ImitationEnvironment(worlds, TargetTrajectory.of_track(track), track.allowed)
    worlds.close()


def begin(env: ImitationEnvironment, step: int = 0, circumstances: Circumstances | None = None) -> None:
    own = circumstances or Circumstances(Scene())
    start(env, [env.trajectory.states[step]] * env.count, [own] * env.count, step)


def start(env: ImitationEnvironment, states: list[States], circumstances: list[Circumstances], step: int = 0) -> None:
    env.start(np.arange(env.count), np.full(env.count, step), stacked(states), circumstances)
    env.refresh()


def test_the_reference_itself_earns_one(track: Track) -> None:
    goals = Figures.of(BODY, track.states)
    np.testing.assert_allclose(Imitation(BODY)(goals, goals), 1.0, atol=1e-9)


def test_reward_of_a_body_moved_sideways_is_the_formula(track: Track) -> None:
    """Only the end links' and the root's positions are off: DeepMimic's terms by hand."""
    away = dataclasses.replace(track.states, position=track.states.position + [0.1, 0, 0])
    got = Imitation(BODY)(Figures.of(BODY, away), Figures.of(BODY, track.states))
    by_hand = 0.5 + 0.05 + 0.15 * np.exp(-40 * 0.01) + 0.2 * np.exp(-5 * 0.01) + 0.1
    np.testing.assert_allclose(got, by_hand, atol=1e-9)


def test_momentum_and_velocity_of_a_rigid_turn(track: Track) -> None:
    """A stiff body that turns about its root: the centre of mass moves by omega x arm."""
    still = track.states[:1]
    spin = np.array([[0.3, -1.0, 2.0]])
    states = States(still.position, still.rotations, np.zeros((1, 3)), spin, np.zeros_like(still.joint_velocity))
    figures = Figures.of(BODY, states)
    np.testing.assert_allclose(figures.velocity, np.cross(spin, figures.centre - states.position), atol=1e-9)
    # Kinetic energy of the turn is half the momentum along it (about the centre of mass)
    assert float(np.sum(figures.momentum * spin)) > 0


def test_observations_are_zero_on_the_goal_and_measure_what_is_off(env: ImitationEnvironment) -> None:
    goals = env.observations.goals
    steps = np.arange(len(goals.states))
    np.testing.assert_allclose(env.observations(goals, steps), 0.0, atol=1e-7)
    away = dataclasses.replace(goals.states, position=goals.states.position + [0, 0.02, 0])
    differences = env.observations(Figures.of(BODY, away), steps)
    assert differences.shape == (len(steps), env.observations.width)
    before = steps < env.trajectory.landed
    assert before.any() and not before.all()
    np.testing.assert_allclose(differences[before, 1], 0.02, atol=1e-9)
    np.testing.assert_allclose(differences[~before, 1], 0.0, atol=1e-9, err_msg="who has landed does not mind where")
    np.testing.assert_allclose(np.delete(differences, 1, axis=1), 0.0, atol=1e-7)


def test_observations_do_not_know_how_high_the_floor_is(env: ImitationEnvironment) -> None:
    goals = env.observations.goals
    steps = np.arange(len(goals.states))
    higher = goals.moved(np.tile([0.0, 0.0, 0.02], (len(steps), 1)))
    np.testing.assert_allclose(env.observations(higher, steps), 0.0, atol=1e-7)


def test_a_lean_is_observed_as_the_centre_of_mass_off_the_feet(env: ImitationEnvironment) -> None:
    """Turned about the point between the feet, a body's centre of mass moves by its height."""
    state = env.observations.goals.states[:1]
    lean = np.array([[np.cos(0.02), np.sin(0.02), 0, 0]])  # 0.04 rad about x
    turns = np.concatenate([rotations.multiply(lean, state.rotations[:, 0])[:, None], state.rotations[:, 1:]], axis=1)
    figures = Figures.of(BODY, dataclasses.replace(state, rotations=turns))
    differences = env.observations(figures, np.zeros(1, dtype=int))[0]
    upright = Figures.of(BODY, state)
    middle = (upright.positions + rotations.rotate(upright.world, np.array([link.centre for link in BODY.links])))[
        0, env.observations.feet
    ].mean(axis=0)
    arm = upright.centre[0] - middle
    turned = rotations.rotate(lean[0], arm)
    np.testing.assert_allclose(differences[2:5], turned - arm, atol=1e-9)


def test_equal_bodies_do_the_same(env: ImitationEnvironment) -> None:
    begin(env)
    random = np.random.default_rng(0)
    for _ in range(5):
        env.step(np.repeat(random.normal(size=(1, env.layout.width)) * 0.2, 2, axis=0))
    env.refresh()
    states = env.bodies.states()
    np.testing.assert_array_equal(states.position[0], states.position[1])
    np.testing.assert_array_equal(states.joint_velocity[0], states.joint_velocity[1])


def test_the_compiled_environment_observes_and_earns_what_pybullets_does(
    env: ImitationEnvironment, track: Track
) -> None:
    bodies = CompiledEnvironment(CompiledBatch(BODY, 2, track.allowed), env.trajectory, track.allowed)
    pushed = Circumstances(Scene(0.8, 0.01, 1.05), push_step=4, push=np.array([0.2, 0, 0]))
    action = 0.2 * np.random.default_rng(4).normal(size=(2, env.layout.width))
    observed, rewards = [], []
    for one in (env, bodies):
        begin(one, 3, pushed)
        one.observe(np.ones(2, dtype=bool))
        for _ in range(3):
            illegal_contacts = one.step(action)
            one.refresh()
        assert not illegal_contacts.any()
        observed.append(one.observe(np.ones(2, dtype=bool))[1])
        rewards.append(one.evaluate()[0])
    off = np.abs(observed[1] - observed[0])
    assert np.median(off) < 0.005 and np.quantile(off, 0.9) < 0.15
    np.testing.assert_allclose(rewards[1], rewards[0], atol=0.02)


def test_actions_turn_the_joint_targets(env: ImitationEnvironment) -> None:
    """An action of 1 on a hinge is ACTION_SCALE of its angle more."""
    begin(env)
    elbow = BODY.index("forearm.L")
    action = np.zeros((2, env.layout.width))
    action[0, env.layout.columns[elbow]] = 1.0
    turns = env._targets(env._corrected(action))
    axis = np.array(BODY.links[elbow].axis)
    angles = rotations.twist_angle(turns[:, elbow], axis)
    assert angles[0] - angles[1] == pytest.approx(environment.ACTION_SCALE)


def test_feedback_turns_targets_by_gain_times_difference(track: Track) -> None:
    trajectory = TargetTrajectory.of_track(track)
    width = 28
    gains = np.zeros((trajectory.steps, width, sum(parts(width).values())))
    gains[:, 3, 0] = -2.0  # the fourth column answers a horizontal error along x
    env = ImitationEnvironment(
        CompiledBatch(BODY, 1, track.allowed), dataclasses.replace(trajectory, gains=gains), track.allowed
    )
    off = dataclasses.replace(trajectory.states[0], position=trajectory.states[0].position + [0.05, 0, 0])
    start(env, [off], [Circumstances(Scene())])
    env.observe(np.ones(1, dtype=bool))
    turns = env._corrected(np.zeros((1, width)))
    assert turns[0, 3] == pytest.approx(-0.1, rel=1e-5)
    assert np.abs(np.delete(turns[0], 3)).max() == 0


def test_a_body_on_its_head_touches_illegally_and_is_lost(env: ImitationEnvironment) -> None:
    state = env.trajectory.states[0]
    turns = np.concatenate([[[0.7071, 0.7071, 0, 0]], state.rotations[1:]])
    lying = dataclasses.replace(state, position=np.array([0, 0, 0.15]), rotations=turns)
    start(env, [lying] * 2, [Circumstances(Scene())] * 2)
    illegal_contacts = np.zeros(2, dtype=bool)
    for _ in range(4):
        illegal_contacts |= env.step(np.zeros((2, env.layout.width)))
    env.refresh()
    assert illegal_contacts.all()
    assert env.evaluate()[1].all()


def test_once_landed_it_matters_to_stand_and_not_where(env: ImitationEnvironment) -> None:
    """The goal's pose half a metre off: lost before the landing, nearly as good after it."""
    trajectory, whole = env.trajectory, env.trajectory.steps
    away = [
        dataclasses.replace(trajectory.states[k], position=trajectory.states[k].position + [0.5, 0, 0])
        for k in (5, whole)
    ]
    rewards, lost = [], []
    for step, state in zip((5, whole), away, strict=True):
        start(env, [state, trajectory.states[step]], [Circumstances(Scene())] * 2, step)
        reward, gone = env.evaluate()
        rewards.append(reward)
        lost.append(gone.tolist())
    assert lost == [[True, False], [False, False]]
    assert rewards[0][1] == pytest.approx(1.0, abs=1e-6)
    (off, there), (off_landed, landed) = rewards
    assert 0 < landed - off_landed < 0.5 * (there - off)


def test_a_landing_that_is_not_stood_is_worth_less() -> None:
    """The same pose at a standing clip's end: at rest, and carried off at 1 m/s."""
    track, worlds = Track(BODY, performances.standing(BODY, 0.3)), PyBulletBatch(BODY, 2)
    env = ImitationEnvironment(worlds, TargetTrajectory.of_track(track), track.allowed)
    upright = dataclasses.replace(env.trajectory.states[env.trajectory.steps], velocity=np.zeros(3))
    carried = dataclasses.replace(upright, velocity=np.array([1.0, 0, 0]))
    start(env, [upright, carried], [Circumstances(Scene())] * 2, env.trajectory.steps)
    rewards, _ = env.evaluate()
    worlds.close()
    assert rewards[0] - rewards[1] > 0.2


def test_disturbed_starts_are_as_far_off_as_asked(env: ImitationEnvironment) -> None:
    random, state = np.random.default_rng(0), env.trajectory.states[0]
    d = Disturbances()
    drawn = [disturbed(BODY, state, d, random, 0.0) for _ in range(200)]
    speeds = np.array([s.velocity - state.velocity for s in drawn])
    assert speeds.std() == pytest.approx(d.velocity, rel=0.1)
    feet = [BODY.index(name) for name in FEET]
    lows = [BODY.lowest_points(*BODY.forward(s.position, s.rotations))[feet].min() for s in drawn]
    still = BODY.lowest_points(*BODY.forward(state.position, state.rotations))[feet].min()
    assert min(lows) >= min(still, 0.0) - 1e-9
    same = disturbed(BODY, state, NONE, random, 0.0)
    np.testing.assert_allclose(same.rotations, state.rotations)
    np.testing.assert_allclose(same.position, state.position)


def test_pushes_leave_a_body_that_is_to_stand_the_time_to_come_to_rest() -> None:
    """A clip that ends standing is judged a second past its end; one that ends in mid-stride goes on to its end."""
    standing = TargetTrajectory.of_track(Track(BODY, performances.standing(BODY, 1.0)))
    for trajectory, spared in ((standing, 1.0), (dataclasses.replace(standing, landed=standing.steps + 1), 0.0)):
        seconds = np.array([trial(BODY, trajectory, seed, Disturbances())[1].push_step for seed in range(300)]) / 30
        whole = trajectory.steps / 30
        assert seconds.max() < whole - spared and seconds.max() > whole - spared - 0.1 and seconds.min() < 0.1


def test_start_states_come_before_failures() -> None:
    start_states = StartStates(60, 0.2)
    even = start_states.probabilities()
    assert even.sum() == pytest.approx(1.0)
    assert even[0] == pytest.approx(0.2 + 0.8 / 60)
    last = np.repeat([40, 60], 50)
    start_states.count(Episodes(np.zeros(100, dtype=int), last, np.ones(100), last < 60))
    hard = start_states.probabilities()
    assert hard[25:37].min() > hard[42:].max()


def test_episodes_begin_in_states_that_others_passed_through(track: Track) -> None:
    trajectory = TargetTrajectory.of_track(track)
    worker = rollouts.PolicyWorker(track, trajectory, 4, 0, environment.Limits())
    start_states = np.zeros(trajectory.steps)
    start_states[2] = 1.0
    away = dataclasses.replace(trajectory.states[2], position=trajectory.states[2].position + [0.3, 0, 0])
    worker.visited = {2: [(away, Circumstances(Scene(mass=1.1)))]}
    worker._restart(np.ones(4, dtype=bool), rollouts.RolloutSettings(NONE, start_states, visited=1.0))
    positions = worker.env.bodies.states().position[:, 0]
    np.testing.assert_allclose(positions, away.position[0], atol=1e-6)
    assert {own.scene.mass for own in worker.env.circumstances} == {1.1}
    worker._restart(np.ones(4, dtype=bool), rollouts.RolloutSettings(NONE, start_states, visited=0.0))
    positions = worker.env.bodies.states().position[:, 0]
    np.testing.assert_allclose(positions, trajectory.states.position[2, 0], atol=1e-6)


def test_rollouts_remember_the_states_they_pass_through(track: Track) -> None:
    trajectory = TargetTrajectory.of_track(track)
    worker = rollouts.PolicyWorker(track, trajectory, 4, 0, environment.Limits())
    width = worker.env.layout.width
    worker.env.refresh()
    observed = worker.env.observe(np.ones(4, dtype=bool))[0].shape[1]
    layer = (np.zeros((width, observed), dtype=np.float32), np.zeros(width, dtype=np.float32))
    actor = Actor((layer,), np.zeros(observed), np.ones(observed), np.full(width, -9.0))
    start_states = np.zeros(trajectory.steps)
    start_states[0] = 1.0
    worker.collect(actor, rollouts.RolloutSettings(NONE, start_states), 16)
    assert worker.visited and all(0 < step <= trajectory.steps for step in worker.visited)
    assert max(len(known) for known in worker.visited.values()) <= rollouts.MOST_VISITED


def test_training_learns_saves_and_goes_on(reference: Motion, tmp_path: Path) -> None:
    settings = LearningSettings(bodies=2, length=6, hidden=(16,))
    plan = Plan(np.zeros((8, 28)), 4)
    with trainer.PolicyTraining(BODY, reference, settings, workers=1, seed=3, plan=plan, hold=0.0) as training:
        for _ in range(2):
            progress = training.iterate()
        assert progress.samples == 24 and progress.iteration == 2
        training.save(tmp_path / "a.pt")
        take = training.attempt(5)
        again = training.attempt(5)
        result = training.evaluate(2, NONE)
    np.testing.assert_array_equal(take.motion.position, again.motion.position)
    assert take.motion.rate == 120.0
    assert take.motion.duration >= reference.duration - 1 / 30
    assert take.assist.max() == 0.0 and 0 < take.torque.max() <= 1.0 + 1e-6
    assert len(result.trials) == 2 and 0 <= result.landing_rate <= 1
    with trainer.PolicyTraining(BODY, reference, settings, workers=1, seed=9, hold=0.0) as other:
        other.load(tmp_path / "a.pt")
        assert other.samples == 24 and other.iterations == 2
        resumed = other.attempt(5)
        np.testing.assert_array_equal(resumed.motion.position, take.motion.position)


def test_fewer_trials_than_bodies_before_any_rollout(reference: Motion) -> None:
    """Of an untrained policy, which follows the trajectory's own targets: every trial without disturbance alike."""
    settings = LearningSettings(bodies=3, hidden=(8,))
    with trainer.PolicyTraining(BODY, reference, settings, workers=1, hold=0.0) as training:
        results = training.evaluate(2, NONE).trials
        take = training.attempt(1)
    assert len(results) == 2
    assert results[0].measures == results[1].measures
    measures = metrics.evaluate_take(BODY, reference, take)
    assert measures.g_mpjpe_mm == pytest.approx(results[0].measures.g_mpjpe_mm, abs=1e-6)


def test_a_rate_that_is_enough_is_measured_once_more(reference: Motion, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = LearningSettings(bodies=1, hidden=(8,))
    rates, seeds = iter((0.8, 0.94, 0.86)), []

    def evaluate(trials: int, seed: int) -> SimpleNamespace:
        seeds.append(range(seed, seed + trials))
        return SimpleNamespace(landing_rate=next(rates))

    with trainer.PolicyTraining(BODY, reference, settings, workers=1, hold=0.0) as training:
        monkeypatch.setattr(training, "evaluate", evaluate)
        assert training.landing_rate(50, 0.9) == 0.8
        training.counters.iterations += 1
        assert training.landing_rate(50, 0.9) == 0.86, "the second figure counts"
    played = [trial for some in seeds for trial in some]
    assert len(played) == len(set(played)) == 150, "no trial twice"


def test_a_stage_of_another_network_is_told(reference: Motion, tmp_path: Path) -> None:
    small = LearningSettings(bodies=1, length=2, hidden=(8,))
    with trainer.PolicyTraining(BODY, reference, small, workers=1, hold=0.0) as training:
        training.save(tmp_path / "a.pt")
    other = trainer.PolicyTraining(BODY, reference, workers=1, hold=0.0)
    with other, pytest.raises(ValueError, match="another size"):
        other.load(tmp_path / "a.pt")


@pytest.fixture(scope="module")
def a_stage(reference: Motion, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Of a small training that has begun."""
    path = tmp_path_factory.mktemp("stage") / "a.pt"
    small = LearningSettings(bodies=2, length=4, hidden=(8,))
    with trainer.PolicyTraining(BODY, reference, small, workers=1, seed=3, hold=0.0, engine="compiled") as training:
        for _ in range(2):
            training.iterate()
        training.save(path)
    return path.read_bytes()


@pytest.mark.parametrize(
    "damage", ["weights", "sizes", "optimiser", "numbers", "trajectory", "failures", "random", "missing"]
)
def test_a_stage_that_does_not_fit_is_told_and_the_training_is_as_it_was(
    reference: Motion, a_stage: bytes, tmp_path: Path, damage: str
) -> None:
    small = LearningSettings(bodies=2, length=4, hidden=(8,))
    (tmp_path / "a.pt").write_bytes(a_stage)
    import torch

    content = checkpoints.load(tmp_path / "a.pt")
    if damage == "weights":
        content["network"]["actor.0.weight"] = torch.full_like(content["network"]["actor.0.weight"], float("nan"))
    elif damage == "sizes":
        content["network"]["critic.0.weight"] = content["network"]["critic.0.weight"][:, 1:].contiguous()
    elif damage == "optimiser":
        content["optimiser"]["state"][0]["exp_avg"] = torch.zeros(3)
    elif damage == "numbers":
        content["numbers"]["iterations"] = "many"
    elif damage == "trajectory":
        content["trajectory"]["velocities"] = content["trajectory"]["velocities"][1:].clone()
    elif damage == "failures":
        content["failures"] = torch.zeros(2)
    elif damage == "random":
        content["random"] = torch.zeros(4)
    else:
        del content["trajectory"]
    checkpoints.save(tmp_path / "a.pt", content)
    with trainer.PolicyTraining(BODY, reference, small, workers=1, seed=9, hold=0.0, engine="compiled") as other:
        network = {key: value.clone() for key, value in other.network.state_dict().items()}
        trajectory, take = other.trajectory, other.attempt(5)
        with pytest.raises(ValueError, match="a.pt"):
            other.load(tmp_path / "a.pt")
        assert all(value.equal(network[key]) for key, value in other.network.state_dict().items())
        assert (
            other.iterations == 0
            and other.samples == 0
            and other.trajectory is trajectory
            and not other.ppo.optimiser.state
        )
        np.testing.assert_array_equal(other.attempt(5).motion.position, take.motion.position)
