# SPDX-License-Identifier: GPL-3.0-or-later
"""Joint targets refined for many disturbed copies at once."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba")
pytest.importorskip("torch")

from backflip_addon.core import rotations
from backflip_addon.trainer.imitation.action_layout import ActionLayout
from backflip_addon.trainer.imitation.disturbances import NONE, Disturbances
from backflip_addon.trainer.imitation.environment import Limits
from backflip_addon.trainer.imitation.feedback_rollouts import NEVER
from backflip_addon.trainer.imitation.reference_track import Track
from backflip_addon.trainer.imitation.target_trajectory import TargetTrajectory
from backflip_addon.trainer.planning.plan import Plan
from backflip_addon.trainer.planning.robust import RobustPlanning, RobustSettings
from backflip_addon.trainer.rl import trainer
from backflip_addon.trainer.rl.rollouts import PolicyWorker
from backflip_addon.trainer.rl.settings import LearningSettings
from tests.core import performances

BODY = performances.body()
STANDING = performances.standing(BODY)
SMALL = RobustSettings(bodies=6, copies=2, fewest=1, horizon=8, samples=6, elites=3, rounds=2, before=30)
HARDER = dataclasses.replace(SMALL, horizon=16, samples=48, elites=8, rounds=12, deviation=0.15)

QUICK = {"feedback_fits": 1, "feedback_trials": 4, "feedback_variations": 0}  # one fit, hardly compared


class OneWorker:
    """Stands in for workers.Pool, in this process; for as many workers as it says it has."""

    def __init__(self, worker: PolicyWorker, count: int = 1) -> None:
        self.worker = worker
        self.count = count

    def __len__(self) -> int:
        return self.count

    def share(self, method: str, arguments: list[tuple]) -> list:
        return [getattr(self.worker, method)(*own) for own in arguments]


def leaning(trajectory: TargetTrajectory, angle: float) -> TargetTrajectory:
    """The trajectory, its ankles told to lean forward by an angle."""
    targets = trajectory.targets.copy()
    lean = rotations.from_axis_angle(np.array([1.0, 0.0, 0.0]), angle)
    for side in ("L", "R"):
        foot = BODY.index(f"foot.{side}")
        targets[:, foot] = rotations.multiply(targets[:, foot], lean)
    return dataclasses.replace(trajectory, targets=targets)


def setting(
    trajectory: TargetTrajectory, hold: float, settings: RobustSettings = SMALL
) -> tuple[PolicyWorker, RobustPlanning]:
    worker = PolicyWorker(BODY, STANDING, trajectory, hold, 6, 0, Limits())
    return worker, RobustPlanning(trajectory, ActionLayout(BODY), settings, 3)


def test_where_nobody_fails_there_is_nothing_to_plan() -> None:
    trajectory = TargetTrajectory.of_track(Track(BODY, STANDING, 0.0))
    worker, robust = setting(trajectory, 0.0)
    robust.set_out(OneWorker(worker), NONE)
    assert robust.done and robust.share == 1.0
    np.testing.assert_allclose(robust.trajectory().targets, trajectory.targets, atol=1e-12)


def test_a_fall_is_told_with_its_step_and_costs_more() -> None:
    trajectory = TargetTrajectory.of_track(Track(BODY, STANDING, 1.0))
    costs = []
    for angle in (0.0, 0.5):
        worker, _ = setting(leaning(trajectory, angle), 1.0)
        start_states = worker.set_out([1, 2], NONE)
        cost, ends, terminated = worker.play(start_states, 0, np.zeros((2, trajectory.steps, 28)))
        assert len(ends) == 2 and cost[0] == pytest.approx(cost[1])
        assert (terminated == NEVER).all() == (angle == 0.0)
        assert angle == 0.0 or (terminated > 10).all() and (terminated < trajectory.steps).all()
        costs.append(cost[0])
    assert costs[1] > 2 * costs[0]


def test_planned_copies_stay_up_longer_than_the_trajectory_alone() -> None:
    """Ankles told to lean until everybody topples; what is planned puts it off."""
    trajectory = leaning(TargetTrajectory.of_track(Track(BODY, STANDING, 0.3)), 0.25)
    worker, robust = setting(trajectory, 0.3, HARDER)
    pool = OneWorker(worker)
    little = Disturbances().scaled(0.1)
    robust.set_out(pool, little)
    assert not robust.done
    shares = [robust.share]
    while not robust.done:
        robust.round(pool)
        shares.append(robust.share)
    assert shares == sorted(shares) and robust.samples > 0
    seeds = [50, 51, 52, 53]
    costs, fallen = [], []
    for one in (trajectory, robust.trajectory()):
        worker.follow(one.gains, one.targets)
        cost, _, failed = worker.play(worker.set_out(seeds, little), 0, np.zeros((4, trajectory.steps, 28)))
        costs.append(cost.mean())
        fallen.append(failed)
    assert costs[1] < 0.9 * costs[0], costs
    assert (fallen[1] > fallen[0]).all(), fallen


def test_training_plans_robustly_after_its_feedback_fit_and_a_checkpoint_knows_it(tmp_path: Path) -> None:
    settings = LearningSettings(bodies=6, length=30, hidden=(8,), feedback_fit=0, robust=SMALL, **QUICK)
    settings = dataclasses.replace(settings, robust_shares=(0.5, 1.0))
    plan = Plan(np.zeros((12, 28)), 4)
    with trainer.PolicyTraining(BODY, STANDING, settings, workers=1, seed=1, plan=plan, hold=0.0) as training:
        training.iterate()
        gains = training.trajectory.gains
        assert gains.shape[0] == training.trajectory.steps and training.robust_done == 0
        told = training.iterate()
        assert 0 <= told.robust_share <= 1 and told.iteration == 1 + training.robust_done
        for _ in range(200):
            if training.robust_done == 2:
                break
            training.iterate()
        assert training.robust_done == 2
        training.save(tmp_path / "a.pt")
        targets = training.trajectory.targets
    with trainer.PolicyTraining(BODY, STANDING, settings, workers=1, hold=0.0) as other:
        other.load(tmp_path / "a.pt")
        assert other.robust_done == 2 and other.counters.planned
        np.testing.assert_array_equal(other.trajectory.targets, targets)


def test_more_processes_than_copies_and_samples_plan_the_same() -> None:
    trajectory = leaning(TargetTrajectory.of_track(Track(BODY, STANDING, 0.3)), 0.25)
    knots = []
    for count in (1, SMALL.samples + 1):
        worker, robust = setting(trajectory, 0.3)
        pool = OneWorker(worker, count)
        robust.set_out(pool, Disturbances().scaled(0.1))
        robust.round(pool)
        knots.append(robust._distribution.mean)
    np.testing.assert_allclose(knots[1], knots[0], atol=1e-6)


class Broken(Exception):
    pass


class Breaking(OneWorker):
    """A pool whose so manyeth call is broken off."""

    def __init__(self, worker: PolicyWorker, calls: int) -> None:
        super().__init__(worker)
        self.calls = calls

    def share(self, method: str, arguments: list[tuple]) -> list:
        self.calls -= 1
        if not self.calls:
            raise Broken
        return super().share(method, arguments)


def test_a_planning_resumed_from_its_checkpoint_goes_on_to_the_bit() -> None:
    trajectory = leaning(TargetTrajectory.of_track(Track(BODY, STANDING, 0.3)), 0.25)
    worker, whole = setting(trajectory, 0.3)
    pool = OneWorker(worker)
    little = Disturbances().scaled(0.1)
    whole.set_out(pool, little)
    whole.round(pool)
    saved = whole.checkpoint()
    other_worker, second = setting(trajectory, 0.3)
    second.load_state(saved)
    for breaking in (1, 2):  # in the midst of a round, and of moving on after it
        with pytest.raises(Broken):
            second.round(Breaking(other_worker, breaking))
    assert second.share == whole.share
    for _ in range(3):
        whole.round(pool)
        second.round(OneWorker(other_worker))
    assert second.share == whole.share > 0
    np.testing.assert_array_equal(second.trajectory().targets, whole.trajectory().targets)


def test_a_damaged_checkpoint_of_a_planning_is_told() -> None:
    trajectory = leaning(TargetTrajectory.of_track(Track(BODY, STANDING, 0.3)), 0.25)
    worker, robust = setting(trajectory, 0.3)
    robust.set_out(OneWorker(worker), Disturbances().scaled(0.1))
    whole = robust.checkpoint()
    far = {**whole["counters"], "_step": 10**9}
    for damage in (
        {"knots": np.zeros(3)},
        {"deviation": np.zeros((1, 2))},
        {"circumstances": np.zeros((6, 3))},
        {"states": {}},
        {"counters": {}},
        {"counters": far},
        {"random": "{}"},
    ):
        other = RobustPlanning(trajectory, ActionLayout(BODY), SMALL, 3)
        with pytest.raises(ValueError, match="the saved robust plan is damaged"):
            other.load_state({**whole, **damage})


def test_a_training_broken_off_in_its_robust_planning_again_and_again_gets_past_it_as_one_that_was_not(
    tmp_path: Path,
) -> None:
    """Every run has time for one round, which is less than a planning takes."""
    small = dataclasses.replace(SMALL, bodies=2, rounds=1, execute=12, before=24)
    settings = LearningSettings(bodies=4, length=8, hidden=(8,), feedback_fit=0, robust=small, **QUICK)
    settings = dataclasses.replace(settings, robust_shares=(1.0,))
    arguments = (BODY, STANDING, settings, 1, 1, Plan(np.zeros((12, 28)), 4), 0.3)
    targets, rounds = [], []
    for again in (False, True):
        training = trainer.PolicyTraining(*arguments)
        training.iterate()
        training._follow(leaning(training.trajectory, 0.25))  # so that there is something to plan
        gains = training.trajectory.gains
        done = 0
        while training.robust_done < 1:
            training.iterate()
            done += 1
            assert done < 100
            if again:
                training.save(tmp_path / "a.pt")
                training.close()
                training = trainer.PolicyTraining(*arguments)
                training.load(tmp_path / "a.pt")
        np.testing.assert_array_equal(training.trajectory.gains, gains)
        targets.append(training.trajectory.targets)
        rounds.append(done)
        training.close()
    assert rounds[0] == rounds[1] > 2
    np.testing.assert_array_equal(targets[0], targets[1])


def test_a_training_resumed_just_before_its_feedback_fit_explores_less_after_it(tmp_path: Path) -> None:
    """Its rollouts are lost, so that no feedback is fitted; the bold exploration for it ends all the same."""
    settings = LearningSettings(bodies=6, length=4, hidden=(8,), feedback_fit=4, **QUICK)
    plan = Plan(np.zeros((12, 28)), 4)
    arguments = (BODY, STANDING, settings, 1, 1, plan, 0.0)
    with trainer.PolicyTraining(*arguments) as training:
        for _ in range(4):
            training.iterate()
        np.testing.assert_allclose(training.network.exploring_actor().log_std, np.log(settings.feedback_std), rtol=1e-5)
        training.save(tmp_path / "a.pt")
    with trainer.PolicyTraining(*arguments) as other:
        other.load(tmp_path / "a.pt")
        other.iterate()
        assert other.trajectory.gains.size == 0
        np.testing.assert_allclose(other.network.exploring_actor().log_std, np.log(settings.std), rtol=1e-5)
