# SPDX-License-Identifier: GPL-3.0-or-later
"""Rounds on machines that come and go: with stand-ins for machines, and in earnest where Ray can be imported."""

from __future__ import annotations

import importlib.util
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba")
pytest.importorskip("torch")
pytest.importorskip("pybullet")

from backflip_addon.trainer.cluster import ray_machines, rounds
from backflip_addon.trainer.cluster.rollouts import ClusterRollouts
from backflip_addon.trainer.cluster.rounds import ClusterPool, Rounds
from backflip_addon.trainer.imitation.compiled_rollouts import CompiledRollouts
from backflip_addon.trainer.imitation.reference_track import Track
from backflip_addon.trainer.lane_count import MOST_LANES
from backflip_addon.trainer.physics.state import Scene
from backflip_addon.trainer.workers import WorkerError
from tests.trainer import whole_jobs
from tests.trainer.stand_ins import StandIns


class Adder:
    """Remembers what it was told, and adds it."""

    def __init__(self, more: int = 0) -> None:
        self.more = more

    def follow(self, more: int) -> None:
        self.more = more

    def seed(self, _seed: int) -> None: ...

    def add(self, number: int) -> int:
        if number < 0:
            raise ValueError("no such number")
        return number + self.more


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "LATE_SECONDS", 0.05)
    monkeypatch.setattr(rounds, "ALONE_SECONDS", 0.3)


JOBS = [(number,) for number in range(7)]


def test_every_job_is_done_once_and_answered_in_order() -> None:
    machines = StandIns(Adder, (10,), ("a", "b", "c"))
    assert Rounds(machines).scatter("add", JOBS) == list(range(10, 17))
    assert len(machines.asked) == 7 and {name for name, _ in machines.asked} == {"a", "b", "c"}


def test_a_lost_worker_costs_its_job_which_is_done_again() -> None:
    machines = StandIns(Adder, (10,))
    machines.dying["b"] = 1
    one = Rounds(machines)
    assert one.scatter("add", JOBS) == list(range(10, 17))
    assert (one.lost, one.repeated, machines.present()) == (1, 1, ["a"])


def test_a_late_worker_holds_nobody_up_and_comes_back() -> None:
    machines = StandIns(Adder, (0,))
    machines.late["b"] = math.inf
    one = Rounds(machines)
    assert one.scatter("add", JOBS) == list(range(7)) and one.repeated == 1
    assert len(one.everyone("add", 1)) == 1, "it is still at what nobody waits for"
    machines.late.clear()
    machines.answers = {ticket: (0.0, answer) for ticket, (_, answer) in machines.answers.items()}
    assert one.everyone("add", 1) == [1, 1] and one.lost == 0


def test_a_lost_worker_costs_its_samples_and_a_new_one_knows_what_was_told() -> None:
    machines = StandIns(Adder, (0,))
    pool = ClusterPool(Rounds(machines))
    pool.call("follow", 5)
    pool.share("seed", [(1,), (2,)])
    assert pool.call("add", 1) == [6, 6]
    machines.dying["a"] = 0
    assert pool.call("add", 1) == [6] and len(pool) == 1
    machines.join("new")
    assert pool.call("add", 1) == [6, 6] and len(pool) == 2
    pool.call("follow", 7)
    assert pool.share("add", JOBS) == list(range(7, 14))


def test_what_a_worker_raises_and_a_cluster_without_workers_are_errors() -> None:
    machines = StandIns(Adder, (0,))
    with pytest.raises(WorkerError, match="no such number"):
        Rounds(machines).scatter("add", [(-1,)])
    machines.dying = {"a": 0, "b": 0}
    with pytest.raises(WorkerError, match=rounds.NOBODY):
        Rounds(machines).everyone("add", 1)


def test_a_worker_that_is_lost_while_it_is_late_is_asked_no_more() -> None:
    machines = StandIns(Adder, (0,))
    machines.late["b"], machines.dying["b"] = 0.3, 0
    one = Rounds(machines)
    assert one.everyone("add", 1) == [1]
    time.sleep(0.4)
    assert one.everyone("add", 1) == [1] and one.lost == 1


def test_a_stop_is_heard_in_a_round() -> None:
    machines = StandIns(Adder, (0,))
    machines.late = {"a": 60.0, "b": 60.0}

    def stop() -> None:
        if machines.asked:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Rounds(machines, stop).scatter("add", JOBS)


def samples(track: Track) -> tuple[Any, ...]:
    offsets = np.random.default_rng(0).normal(0, 0.1, (50, 12, track.layout.width))
    return track.states[:1], [Scene()], 3, offsets


def from_several_steps(track: Track) -> tuple[Any, ...]:
    """Samples that begin at control steps of their own, so many side by side."""
    firsts = np.repeat([3, 0, 5, 1], MOST_LANES)
    offsets = np.random.default_rng(1).normal(0, 0.1, (len(firsts), 4, track.layout.width))
    return track.states[firsts], [Scene()], firsts, offsets, offsets[:, 0]


def test_samples_from_several_steps_are_those_of_each_step() -> None:
    track = Track(whole_jobs.BODY, whole_jobs.easy_clip())
    rollouts = CompiledRollouts(track, 1.0)
    starts, scenes, firsts, offsets, before = from_several_steps(track)
    together = rollouts(starts, scenes, firsts, offsets, before)
    for first in np.unique(firsts):
        own = firsts == first
        alone = rollouts(starts[own], scenes, int(first), offsets[own], before[own])
        assert np.array_equal(alone.costs, together.costs[own])
        assert np.array_equal(alone.ends.rotations, together.ends.rotations[own])
    assert len(np.unique(together.costs)) == together.costs.size


@pytest.mark.parametrize("samples", [samples, from_several_steps])
def test_a_searchs_samples_are_the_same_wherever_they_are_tried(samples: Callable[[Track], tuple[Any, ...]]) -> None:
    """Also where a machine is lost in the midst."""
    track = Track(whole_jobs.BODY, whole_jobs.easy_clip())
    here = CompiledRollouts(track, 1.0)(*samples(track))
    made: list[StandIns] = []

    def machines(make: Callable[..., Any], arguments: tuple[Any, ...]) -> StandIns:
        made.append(StandIns(make, arguments, ("a", "b", "c")))
        made[0].dying["b"] = 0
        return made[0]

    with ClusterRollouts(track, 1.0, machines) as spread:
        there = spread(*samples(track))
    assert np.array_equal(here.costs, there.costs) and here.steps == there.steps
    assert np.array_equal(here.ends.rotations, there.ends.rotations) and len(here.ends) == len(there.ends)


# Who gets in


@pytest.mark.parametrize(
    ("address", "loopback"),
    [("local", True), ("127.0.0.1:6379", True), ("localhost:1", True), ("[::1]:6379", True)]
    + [("10.0.0.1:6379", False), ("farm.example:6379", False), ("0.0.0.0:6379", False), ("127.0.0.1.evil:1", False)],
)
def test_loopback_addresses(address: str, loopback: bool) -> None:
    assert ray_machines.is_loopback(address) == loopback


def test_without_a_token_no_other_computer_is_joined(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(ray_machines, "lets_anybody_in", lambda _address: True)
    with pytest.raises(ray_machines.ClusterError, match="RAY_AUTH_TOKEN"):
        ray_machines.check_closed("10.0.0.1:6379")
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "x" * 32)
    with pytest.raises(ray_machines.ClusterError, match="lets anybody in"):
        ray_machines.check_closed("10.0.0.1:6379")
    monkeypatch.setattr(ray_machines, "lets_anybody_in", lambda _address: False)
    ray_machines.check_closed("10.0.0.1:6379")
    ray_machines.check_closed("127.0.0.1:6379")


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is optional, and not installed here")
def test_workers_on_a_cluster_of_this_computer() -> None:
    track = Track(whole_jobs.BODY, whole_jobs.easy_clip())
    ray_machines.connect(ray_machines.LOCAL, 2)
    with ClusterRollouts(track, 1.0, ray_machines.RayMachines) as spread:
        assert len(spread.rounds.machines.present()) == 2
        assert np.array_equal(spread(*samples(track)).costs, CompiledRollouts(track, 1.0)(*samples(track)).costs)
