# SPDX-License-Identifier: GPL-3.0-or-later
"""Feedback that a training fits: what it is tried by, what a stage keeps of it, and a fit that a resumed run misses."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba")
pytest.importorskip("torch")

from backflip_addon.core import rotations
from backflip_addon.trainer.imitation.disturbances import NONE, Disturbances
from backflip_addon.trainer.imitation.environment import trial
from backflip_addon.trainer.imitation.feedback_rollouts import NEVER, FeedbackRollouts
from backflip_addon.trainer.imitation.reference_track import Track
from backflip_addon.trainer.imitation.target_trajectory import TargetTrajectory
from backflip_addon.trainer.physics.state import stacked
from backflip_addon.trainer.planning.plan import Plan
from backflip_addon.trainer.rl import trainer
from backflip_addon.trainer.rl.settings import LearningSettings
from tests.core import performances

BODY = performances.body()
STANDING = performances.standing(BODY)
# One fit, hardly compared, and no other weights to allow for
QUICK = {
    "feedback_fits": 1,
    "feedback_trials": 4,
    "feedback_variations": 0,
    "disturbances": Disturbances(mass=0.0),
}


def leaning(trajectory: TargetTrajectory, angle: float) -> TargetTrajectory:
    """The trajectory, its ankles told to lean forward by an angle."""
    targets = trajectory.targets.copy()
    lean = rotations.from_axis_angle(np.array([1.0, 0.0, 0.0]), angle)
    for side in ("L", "R"):
        foot = BODY.index(f"foot.{side}")
        targets[:, foot] = rotations.multiply(targets[:, foot], lean)
    return dataclasses.replace(trajectory, targets=targets)


def test_a_fall_is_told_with_its_step_and_costs_more() -> None:
    track = Track(BODY, STANDING, 1.0)
    trajectory, costs = TargetTrajectory.of_track(track), []
    for angle in (0.0, 0.5):
        with FeedbackRollouts(track, leaning(trajectory, angle)) as rollouts:
            starts, circumstances = zip(*(trial(BODY, trajectory, seed, NONE) for seed in (1, 2)), strict=True)
            played = rollouts(stacked(starts), circumstances, 0, np.zeros((2, trajectory.steps, 28)))
        assert len(played.ends.position) == 2 and played.costs[0].mean() == pytest.approx(played.costs[1].mean())
        assert (played.failed == NEVER).all() == (angle == 0.0)
        assert angle == 0.0 or (played.failed > 10).all() and (played.failed < trajectory.steps).all()
        costs.append(played.costs[0].mean())
    assert costs[1] > 2 * costs[0]


def test_a_stage_keeps_the_feedback_that_was_fitted(tmp_path: Path) -> None:
    settings = LearningSettings(bodies=6, length=30, hidden=(8,), feedback_fit=0, **QUICK)
    plan = Plan(np.zeros((12, 28)), 4)
    with trainer.PolicyTraining(BODY, STANDING, settings, workers=1, seed=1, plan=plan, hold=0.0) as training:
        training.iterate()
        gains = training.trajectory.gains
        assert gains.shape[0] == training.trajectory.steps and training.learned == (0, True)
        training.iterate()
        assert training.learned == (1, True)
        training.save(tmp_path / "a.pt")
    with trainer.PolicyTraining(BODY, STANDING, settings, workers=1, hold=0.0) as other:
        other.load(tmp_path / "a.pt")
        assert other.learned == (1, True) and other.counters.planned
        np.testing.assert_array_equal(other.trajectory.gains, gains)


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
