# SPDX-License-Identifier: GPL-3.0-or-later
"""An update whose halves are learned on machines that come and go: what it is alone, to the bit."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("numba")
pytest.importorskip("pybullet")

import torch

from backflip_addon.trainer.cluster import ray_machines, rounds
from backflip_addon.trainer.cluster.rounds import ClusterPool, Rounds
from backflip_addon.trainer.imitation.disturbances import Disturbances
from backflip_addon.trainer.imitation.experience import Experience
from backflip_addon.trainer.rl.network_updates import PPOSettings
from backflip_addon.trainer.rl.networks import ActorCritic
from backflip_addon.trainer.rl.numpy_actor import Exploration
from backflip_addon.trainer.rl.ppo import PPO
from backflip_addon.trainer.rl.rollouts import PolicyWorker, RolloutSettings
from backflip_addon.trainer.rl.settings import LearningSettings
from backflip_addon.trainer.rl.trainer import PolicyTraining
from tests.trainer import whole_jobs
from tests.trainer.stand_ins import StandIns

SETTINGS = LearningSettings(bodies=2, length=6, hidden=(16,))
ARGUMENTS = (whole_jobs.BODY, whole_jobs.easy_clip(), SETTINGS)


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(rounds, "ALONE_SECONDS", 0.3)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class LearningWorker:
    """A worker that learns, and does nothing else."""

    learn = PolicyWorker.learn


def learner() -> PPO:
    torch.manual_seed(0)
    return PPO(ActorCritic(5, 6, 3, (16, 8)), PPOSettings(), seed=2)


def experience(seed: int) -> Experience:
    random = np.random.default_rng(seed)
    seen, known, after = (random.normal(size=(6, 8, n)).astype(np.float32) for n in (5, 6, 6))
    actions, log_probs = learner().network.exploring_actor().sample(seen.reshape(-1, 5), Exploration(random))
    ends = random.random((6, 8)) < 0.1
    never, rewards = np.zeros((6, 8), bool), random.random((6, 8))
    applied = actions = actions.reshape(6, 8, 3)
    return Experience(
        seen, known, actions, log_probs.reshape(6, 8), rewards, ends, never, after, never.astype(int), applied
    )


def same(one: PPO, other: PPO) -> bool:
    """Whether they have learned the same, and would go on alike."""
    a, b = one.state_dict(), other.state_dict()
    memories = zip(a["optimiser"]["state"].values(), b["optimiser"]["state"].values(), strict=True)
    return (
        all(p.equal(q) for p, q in zip(one.network.parameters(), other.network.parameters(), strict=True))
        and all(own[key].equal(its[key]) for own, its in memories for key in own)
        and (a["rate"], a["random"].tolist()) == (b["rate"], b["random"].tolist())
    )


@pytest.mark.parametrize("lost", [None, "a", "b"])
def test_an_update_on_machines_is_what_it_is_alone(lost: str | None) -> None:
    """Also where one is lost with the half that it was at."""
    here, there = learner(), learner()
    machines = StandIns(LearningWorker, ())
    pool = ClusterPool(Rounds(machines))
    for seed in (3, 4):
        assert here.update(experience(seed)) == there.update(experience(seed), pool)
        if lost:
            machines.dying[lost] = 0
            machines.join("c")
    assert same(here, there) and {method for _, method in machines.asked} == {"learn"}


def test_an_update_that_is_broken_off_is_as_if_it_had_not_been_begun() -> None:
    here, there = learner(), learner()
    machines = StandIns(LearningWorker, ())

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        there.update(experience(3), ClusterPool(Rounds(machines, stop)))
    assert same(here, there)
    here.update(experience(3))
    there.update(experience(3), ClusterPool(Rounds(machines)))
    assert same(here, there)


def test_one_machine_or_threads_of_ones_own_are_no_reason_to_share() -> None:
    one, two = StandIns(LearningWorker, (), ("a",)), StandIns(LearningWorker, ())
    learner().update(experience(3), ClusterPool(Rounds(one)))
    torch.set_num_threads(2)
    learner().update(experience(3), ClusterPool(Rounds(two)))
    assert not one.asked and not two.asked


def test_workers_ask_the_critic_what_the_trainer_would() -> None:
    """Of the same rollouts; numpy and torch round otherwise."""
    with PolicyTraining(*ARGUMENTS, workers=1, hold=0.0, engine="compiled", new_pool=on_machines([])) as training:
        training.iterate()
        ppo, network, actor = training.ppo, training.network, training.network.exploring_actor()
        start = np.full(training.trajectory.steps, 1 / training.trajectory.steps)
        rollout = RolloutSettings(Disturbances(), start, longest=4)
        made = (training.track, training.trajectory, 2, 5, SETTINGS.limits, "compiled")
        whole, valued = (PolicyWorker(*made).collect(actor, rollout, 12, asked).experience for asked in (
            None, network.valuing_critic()
        ))  # fmt: skip
        halves = [ppo._prepare(each, torch.Generator().manual_seed(0)) for each in (whole, valued)]
    assert whole.truncated.any() and valued.bootstrap_observations.size == valued.applied.size == 0
    for ours, theirs in zip(*halves, strict=True):
        for name in ("observations", "returns", "gains", "log_probs", "orders"):
            if hasattr(ours, name):
                np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-4, atol=1e-5)


# Whole trainings


def on_machines(made: list[StandIns]) -> Callable[..., ClusterPool]:
    def pool(_count: int, make: Callable[..., Any], *arguments: Any, meanwhile: Any = None) -> ClusterPool:
        made.append(StandIns(make, arguments))
        return ClusterPool(Rounds(made[-1], meanwhile))

    return pool


def test_a_training_goes_on_while_machines_come_and_go() -> None:
    made: list[StandIns] = []
    with PolicyTraining(*ARGUMENTS, workers=1, hold=0.0, engine="compiled", new_pool=on_machines(made)) as training:
        samples = [training.iterate().samples, training.iterate().samples]
        machines = made[0]
        machines.dying["b"] = 1  # it brings its rollouts, and is lost with its half of the update
        report = training.iterate()
        machines.join("new")
        samples += [report.samples, training.iterate().samples]
        learned = [parameter for parameter in training.network.parameters() if not parameter.isfinite().all()]
    assert samples == [24, 48, 72, 96] and not learned and report.update is not None and report.update.value_loss > 0
    assert {name for name, method in machines.asked if method == "learn"} == {"a", "b", "new"}


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is optional, and not installed here")
def test_learning_on_a_cluster_of_this_computer() -> None:
    ray_machines.connect(ray_machines.LOCAL, 2)

    def pool(_count: int, make: Callable[..., Any], *arguments: Any, meanwhile: Any = None) -> ClusterPool:
        return ClusterPool(Rounds(ray_machines.RayMachines(make, arguments), meanwhile))

    with PolicyTraining(*ARGUMENTS, workers=1, hold=0.0, engine="compiled", new_pool=pool) as training:
        reports = [training.iterate() for _ in range(3)]
    assert reports[-1].samples == 3 * 24 and reports[-1].update is not None and reports[-1].update.value_loss > 0
