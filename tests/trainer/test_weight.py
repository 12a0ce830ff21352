# SPDX-License-Identifier: GPL-3.0-or-later
"""Feedback that allows for the body's weight: what changes with it, how it is estimated, and when it is learned."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba")
pytest.importorskip("torch")

from backflip_addon.core import metrics
from backflip_addon.core.arrays import Array
from backflip_addon.core.motion import Take
from backflip_addon.trainer.imitation.disturbances import NONE, Disturbances
from backflip_addon.trainer.imitation.environment import trial
from backflip_addon.trainer.imitation.feedback_rollouts import FeedbackRollouts
from backflip_addon.trainer.imitation.observations import Figures
from backflip_addon.trainer.imitation.reference_track import Track
from backflip_addon.trainer.imitation.target_trajectory import TargetTrajectory
from backflip_addon.trainer.physics.state import Scene, stacked
from backflip_addon.trainer.planning import weight
from backflip_addon.trainer.planning.lqr import COSTS, LAST_COST, Design, Feedback, FeedbackSettings, Transitions
from backflip_addon.trainer.planning.plan import Plan, trajectory_of_plan
from backflip_addon.trainer.planning.weight import (
    WeightResponse,
    gains_for_any_weight,
    response_of_models,
    response_to_weight,
)
from backflip_addon.trainer.rl import trainer
from backflip_addon.trainer.rl.feedback_choice import Chosen
from backflip_addon.trainer.rl.settings import LearningSettings
from tests.core import performances

BODY = performances.over_its_feet(performances.body())
# Down to a squat and up again in a second
SQUAT = performances.squatting(BODY, 0.5 * np.sin(np.pi * np.arange(61) / 60.0) ** 2)
TRACK = Track(BODY, SQUAT)
PLAN = Plan(np.zeros((30, 28)), 3)
HEAVIER = 0.08


def lands(take: Take) -> bool:
    return metrics.is_success(metrics.evaluate_take(BODY, SQUAT, take))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer weights and rollouts than are worth their time elsewhere."""
    for name, number in {"WEIGHTS": (-0.1, 0.1), "LEAST_LANDED": 2, "TRIES": 1, "PLAYED": 128}.items():
        monkeypatch.setattr(weight, name, number)


@pytest.fixture(scope="module")
def trajectory() -> TargetTrajectory:
    """Held by no feedback at all."""
    own = trajectory_of_plan(TRACK, PLAN, None, "compiled")
    width = len(FeedbackRollouts(TRACK, own).observations(Figures.of(BODY, own.states[:1]), np.zeros(1, int))[0])
    return dataclasses.replace(own, gains=np.zeros((own.steps, 28, width)))


def test_a_plan_so_changed_keeps_a_heavier_body_where_it_belongs(trajectory: TargetTrajectory) -> None:
    """Nothing holds it there but the controls themselves: with those of the lighter body it goes half a metre off. A
    search of a few rounds may be out of luck once."""
    state, own = trial(BODY, trajectory, 1, NONE)
    heavy, shares = dataclasses.replace(own, scene=Scene(mass=1 + HEAVIER)), []
    for seed in range(3):
        found = response_to_weight(TRACK, PLAN, trajectory, lands, 1, seed)
        assert found is not None and found.differences.shape == trajectory.gains.shape[::2]
        with FeedbackRollouts(TRACK, trajectory) as rollouts:
            played = [rollouts(stacked([state]), [heavy], 0, more * found.offsets[None]) for more in (0.0, HEAVIER)]
        shares.append(float(played[1].costs.mean() / played[0].costs.mean()))
    assert np.median(shares) < 0.3, shares


def test_by_models_a_body_that_weighs_more_does_what_costs_least() -> None:
    """Of a system of two differences and one action whose weight pushes it, against the least of the same costs over
    all sequences of actions, by least squares."""
    random, count = np.random.default_rng(0), 12
    a, b, pull = np.array([[1.0, 0.2], [-0.1, 0.9]]), np.array([[0.1], [0.5]]), np.array([0.3, -0.4])
    feedback = Feedback({"support": 1, "tilt": 1}, count, FeedbackSettings(ridge=0.0))
    steps = np.repeat(np.arange(count), 400)
    before, actions = random.normal(size=(len(steps), 2)), random.normal(size=(len(steps), 1))
    weights = random.uniform(-0.1, 0.1, len(steps))
    after = before @ a.T + actions @ b.T + weights[:, None] * pull
    feedback._batches = [Transitions(steps, before, actions, after, weights)]
    found = response_of_models(feedback, Design(), count)
    assert found is not None
    costs = np.tile([COSTS["support"], COSTS["tilt"]], (count, 1))
    costs[-1] *= LAST_COST
    led, free, now = np.zeros((count, 2, count)), np.zeros((count, 2)), np.zeros(2)
    for t in range(count):
        now = free[t] = a @ now + pull
        for k in range(t + 1):
            led[t, :, k] = (np.linalg.matrix_power(a, t - k) @ b)[:, 0]
    rows = np.sqrt(costs)[..., None] * led
    system = np.concatenate([rows.reshape(-1, count), np.sqrt(weight.EFFORT) * np.eye(count)])
    wanted = np.concatenate([-(np.sqrt(costs) * free).ravel(), np.zeros(count)])
    best = np.linalg.lstsq(system, wanted, rcond=None)[0]
    np.testing.assert_allclose(found.offsets[:, 0], best, atol=0.02 * np.abs(best).max())
    np.testing.assert_allclose(found.differences[1:], (free + led @ best)[:-1], atol=0.02)
    assert response_of_models(Feedback({}, count, FeedbackSettings()), None, 0) is None


@pytest.mark.parametrize(("lands", "anew"), [(0.9, False), (0.8, True)])
def test_plans_are_made_anew_only_where_the_models_do_not_help_enough(
    trajectory: TargetTrajectory, monkeypatch: pytest.MonkeyPatch, lands: float, anew: bool
) -> None:
    known, other = (WeightResponse(np.full(1, x), np.zeros(1)) for x in (1.0, 2.0))
    rates = {0.0: 0.5, 1.0: lands, 2.0: 0.85}
    asked: list[object] = []
    monkeypatch.setattr(weight, "response_to_weight", lambda *_: asked.append(1) or other)
    monkeypatch.setattr(
        weight, "gains_for_any_weight", lambda _, given, response, *__: given.gains + response.offsets[0]
    )
    best = weight.allowing_for_weight(
        TRACK, PLAN, trajectory, Disturbances(), lambda one: rates[float(one.gains.flat[0])], lambda _: 0,
        lambda _: True, 1, 0, known=known,
    )  # fmt: skip
    assert bool(asked) == anew and best.gains.flat[0] == (2.0 if anew else 1.0)


def test_too_few_weights_that_land_tell_nothing(trajectory: TargetTrajectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weight, "WEIGHTS", (0.1,))
    monkeypatch.setattr(weight, "LEAST_LANDED", 1)
    assert response_to_weight(TRACK, PLAN, trajectory, lambda take: False, 1) is None


def test_a_search_for_other_weights_can_be_broken_off(trajectory: TargetTrajectory) -> None:
    def tell(share: float) -> None:
        if share > 0.3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        response_to_weight(TRACK, PLAN, trajectory, lands, 1, tell=tell)


def test_gains_do_for_a_heavier_body_what_its_weight_asks_for(trajectory: TargetTrajectory) -> None:
    """Nothing is held on to; so what the gains come to is the offsets asked for, times the weight that is seen."""
    asked = np.zeros((trajectory.steps, 28))
    asked[:, 3] = 0.5  # rad for each share of weight more
    width = trajectory.gains.shape[2]
    response = WeightResponse(asked, np.zeros((trajectory.steps, width)))
    gains = gains_for_any_weight(TRACK, trajectory, response, Disturbances(), 1)
    done = corrections(dataclasses.replace(trajectory, gains=gains), HEAVIER)
    lighter = corrections(dataclasses.replace(trajectory, gains=gains), -HEAVIER)
    rising = slice(15, 26)  # where the weight shows
    for told, sign in ((done, 1.0), (lighter, -1.0)):
        share = sign * told[rising, 3] / (HEAVIER * 0.5)
        assert (share > 0.3).all() and (share < 1.3).all(), share
    assert np.abs(np.delete(done, 3, axis=1)).max() < 1e-9


def corrections(trajectory: TargetTrajectory, more: float) -> Array:
    """What feedback turns the targets by (T, width), rad, of a body that weighs a share more, else undisturbed."""
    state, own = trial(BODY, trajectory, 1, NONE)
    heavy = dataclasses.replace(own, scene=dataclasses.replace(own.scene, mass=1 + more))
    with FeedbackRollouts(TRACK, trajectory) as rollouts:
        played = rollouts(stacked([state]), [heavy], 0, np.zeros((1, trajectory.steps, 28)), trajectory.steps)
        states = [stacked([state]), *played.passed[:-1]]
        seen = [rollouts.observations(Figures.of(BODY, each), np.array([t]))[0] for t, each in enumerate(states)]
    result: Array = np.einsum("twn,tn->tw", trajectory.gains, np.array(seen))
    return result


def test_a_policy_makes_allowance_once_before_its_network_learns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []

    def allow(*arguments: object) -> TargetTrajectory:
        trajectory, tell = arguments[2], arguments[9]
        assert isinstance(trajectory, TargetTrajectory) and callable(tell)
        tell(0.5)
        return dataclasses.replace(trajectory, gains=trajectory.gains + 1e-3)

    monkeypatch.setattr(trainer, "allowing_for_weight", allow)
    with begun() as training:
        training.tell_weight = asked.append
        training.iterate()
        fitted = training.trajectory.gains
        training.iterate()
        np.testing.assert_allclose(training.trajectory.gains, fitted + 1e-3)
        training.iterate()
        assert asked == [0.5]
        training.save(tmp_path / "a.pt")
    with begun() as other:
        other.tell_weight = asked.append
        other.load(tmp_path / "a.pt")
        other.iterate()
        assert asked == [0.5]
        np.testing.assert_allclose(other.trajectory.gains, fitted + 1e-3)


def begun(fits: int = 1) -> trainer.PolicyTraining:
    """A training whose feedback is fitted in its first iteration, or so many, and lands in no trial."""
    settings = LearningSettings(
        bodies=6, length=4, hidden=(8,), feedback_fit=0, feedback_fits=fits, feedback_trials=4, feedback_variations=0
    )
    return trainer.PolicyTraining(BODY, SQUAT, settings, workers=1, seed=1, plan=PLAN, engine="compiled")


def test_a_landing_allows_for_the_weight_where_that_is_asked_and_helps(
    trajectory: TargetTrajectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of feedback that lands in hardly any small disturbance, it is not the weight."""
    other = dataclasses.replace(trajectory, gains=trajectory.gains + 1e-3)
    monkeypatch.setattr(trainer, "best_feedback", lambda *_: Chosen(trajectory, lands=0.41))
    with begun() as training:
        training.iterate()
        assert training.trajectory is trajectory
        for lands, found in ((0.41, trajectory), (0.39, other), (0.41, other)):
            monkeypatch.setattr(trainer, "allowing_for_weight", lambda *_, found=found: found)
            training.counters.feedback_lands = lands
            helps = found is other and lands > 0.4
            assert training.allow_for_weight() == helps
            assert training.trajectory is (other if helps else trajectory)


def test_where_nothing_lands_oftener_the_feedback_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backflip_addon.trainer.rl.feedback_choice.Looks.longer", lambda *_: (0.5, 0.0))
    monkeypatch.setattr("backflip_addon.trainer.rl.feedback_choice.Looks.judged", lambda *_: (0.5, 0.0))
    changed = WeightResponse(np.zeros(0), np.zeros(0))
    monkeypatch.setattr(weight, "response_to_weight", lambda *_: changed)
    monkeypatch.setattr(weight, "gains_for_any_weight", lambda _, given, *__: given.gains + 1e-3)
    with begun() as training:
        training.iterate()
        fitted = training.trajectory.gains
        assert fitted.any() and not training.allow_for_weight()
        training.iterate()
        np.testing.assert_array_equal(training.trajectory.gains, fitted)


def test_feedback_that_is_worse_than_none_is_left_and_one_that_lands_in_few_falls_short(
    trajectory: TargetTrajectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = dataclasses.replace(trajectory, gains=np.zeros((0, 0, 0)))
    monkeypatch.setattr(trainer, "best_feedback", lambda *_: Chosen(without, lands=lands))
    for lands in (0.39, 0.41):
        with begun(fits=2) as training:
            assert not training.falls_short, "nothing was fitted yet"
            report = training.iterate()
            assert report.feedback == 0.0 and not training.learned[1]
            assert training.falls_short == (lands < 0.4)
