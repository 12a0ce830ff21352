# SPDX-License-Identifier: GPL-3.0-or-later
"""Feedback for a landed plan: who lands at a quick look, which gains are chosen, and what a job records of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba")
pytest.importorskip("torch")

from backflip_addon.core import body as bodies
from backflip_addon.core import metrics, rotations
from backflip_addon.core import motion as motions
from backflip_addon.jobs.folder import JobFolder
from backflip_addon.jobs.messages import Job
from backflip_addon.trainer.imitation.disturbances import NONE, SMALL
from backflip_addon.trainer.imitation.environment import trial
from backflip_addon.trainer.imitation.feedback_landings import who_lands
from backflip_addon.trainer.imitation.feedback_rollouts import FeedbackRollouts
from backflip_addon.trainer.imitation.reference_track import Track
from backflip_addon.trainer.imitation.standing import who_stands
from backflip_addon.trainer.imitation.target_trajectory import TargetTrajectory
from backflip_addon.trainer.physics.engines import new_simulator
from backflip_addon.trainer.physics.state import stacked
from backflip_addon.trainer.planning.lqr import (
    COSTS,
    DESIGNS,
    Design,
    Feedback,
    FeedbackSettings,
    Models,
    weights_of_differences,
)
from backflip_addon.trainer.rl import rollouts
from backflip_addon.trainer.rl.feedback_choice import Chosen, Looks, best_feedback, remembered
from backflip_addon.trainer.rl.numpy_actor import Actor
from tests.core import performances
from tests.trainer.whole_jobs import PATIENCE, events, of_kind

BODY = performances.body()
STANDING = performances.astride(BODY, 0.3)
TRACK = Track(BODY, STANDING)
TRAJECTORY = TargetTrajectory.of_track(TRACK)


def bowed() -> TargetTrajectory:
    """Targets that bend it over until it falls."""
    targets = TRAJECTORY.targets.copy()
    targets[:, BODY.index("chest")] = rotations.from_axis_angle(np.array([1.0, 0.0, 0.0]), 1.2)
    for side in ("L", "R"):
        targets[:, BODY.index(f"thigh.{side}")] = rotations.from_axis_angle(np.array([-1.0, 0.0, 0.0]), 1.2)
    return dataclasses.replace(TRAJECTORY, targets=targets)


def swivelling(turns: float) -> TargetTrajectory:
    """Targets that turn the trunk to and fro by so much, rad, 1.5 times a second: the pelvis turns against it."""
    targets, chest = TRAJECTORY.targets.copy(), BODY.index("chest")
    for t in range(TRAJECTORY.steps):
        turn = rotations.from_axis_angle(np.array([0.0, 0.0, 1.0]), turns * np.sin(2 * np.pi * 1.5 * t / 30))
        targets[t, chest] = rotations.multiply(targets[t, chest], turn)
    return dataclasses.replace(TRAJECTORY, targets=targets)


@pytest.mark.parametrize(
    ("speed", "turns", "lands"), [(0.0, 0.0, True), (0.1, 0.0, True), (2.5, 0.0, False), (0.0, 0.7, False)]
)
def test_who_lands_at_a_quick_look_is_who_lands_as_takes_are_judged(speed: float, turns: float, lands: bool) -> None:
    """A body that stands, one that is nudged, one that is thrown forward, and one that swivels where it stands."""
    trajectory = swivelling(turns)
    start, own = trial(BODY, trajectory, 0, NONE)
    start = dataclasses.replace(start, velocity=start.velocity + np.array([0.0, -speed, 0.0]))
    looked = FeedbackRollouts(TRACK, trajectory)
    landed, costs = who_lands(looked, stacked([start] * 3), [own] * 3, standing=True)
    assert landed.tolist() == [lands] * 3 and np.ptp(costs) < 1e-6
    performers = new_simulator(BODY, 1, "compiled")
    performers.record([0])
    performers.reset(np.array([0]), start[None])
    for target, velocity in zip(trajectory.targets, trajectory.velocities, strict=True):
        performers.set_targets(target[None], velocity[None])
        performers.step()
    recording = performers.recording(0)
    stands = bool(who_stands(performers, np.ones(1, dtype=bool))[0])
    judged = metrics.evaluate_take(BODY, STANDING, recording.take(**{metrics.STANDS: stands}))
    assert judged.landed is lands


def test_targets_that_bow_land_nowhere() -> None:
    start, own = trial(BODY, TRAJECTORY, 0, NONE)
    assert not who_lands(FeedbackRollouts(TRACK, bowed()), start[None], [own], standing=True)[0].any()


def test_each_of_many_bodies_stands_or_falls_for_itself(engine: str) -> None:
    performers = new_simulator(BODY, 3, engine)
    state = TRACK.states[0]
    thrown = dataclasses.replace(state, velocity=state.velocity + np.array([0.0, -2.5, 0.0]))
    performers.reset(np.arange(3), stacked([state, thrown, state]))
    targets = np.repeat(TRAJECTORY.targets[:1], 3, axis=0)
    performers.set_targets(targets, np.zeros((3, len(BODY.links), 3)))
    performers.step()
    assert who_stands(performers, np.array([True, True, False])).tolist() == [True, False, False]


def test_the_gains_that_land_most_often_are_chosen() -> None:
    """Stand-ins for trials: what lands is told beforehand."""
    feedback, one_each = (
        Feedback(dict.fromkeys(COSTS, 1), 6, FeedbackSettings()),
        np.tile(np.eye(len(COSTS)), (6, 1, 1)),
    )
    models = Models(one_each, one_each, np.zeros((6, len(COSTS))))
    feedback.models = lambda: models  # type: ignore[method-assign]
    trajectory = dataclasses.replace(TRAJECTORY, landed=3)
    looks = StandInLooks()
    tried = looks.longer_at

    def flaws(own: TargetTrajectory) -> int | None:
        """Of the gains that land in 0.9 of the trials none, of those in 0.8 two, and of the others one."""
        return {0.9: None, 0.8: 2}.get(looks.known.get(own.gains.tobytes(), 0.0), 1)

    def one(*shares: float, variations: int = 0, **known: object) -> Chosen:
        looks.known, looks.shares = {}, iter(shares)
        for told in (tried, looks.first_at, looks.judged_at):
            told.clear()
        arguments = (feedback, known.pop("begins", trajectory), looks, known.pop("flaws", lambda own: 0))
        return best_feedback(*arguments, np.random.default_rng(0), 0.95, variations, **known)  # type: ignore[arg-type]

    eight = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.2)
    best = one(*eight)
    assert len(looks.first_at) == len(DESIGNS) and tried == [0.7, 0.6], "of eight designs two are looked at longer"
    assert best.lands == 0.7 and best.design == DESIGNS[6] and looks.judged_at == [0.7], "the best so far is judged"
    varied = one(*eight, 0.6, 0.66, 0.75, 0.7, variations=4)
    assert tried == [0.7, 0.6, 0.66, 0.75, 0.7], "and variations that are no more than a little behind"
    assert varied.lands == 0.75 and varied.design not in DESIGNS
    assert len({own.gains.tobytes() for own in looks.first_at[len(DESIGNS) :]}) == 4, "variations differ"
    enough = one(*eight[:3], 0.97, *eight[4:], 0.99, variations=4)
    assert tried == [0.97] and enough.lands == 0.97 and len(looks.first_at) == len(DESIGNS), (
        "nothing after what is enough"
    )
    looks.later[0.97] = 0.65
    falls = one(*eight[:3], 0.97, *eight[4:])
    assert tried == [0.97, 0.7] and falls.lands == 0.7, "and is not where too many fall later"
    kept = one(0.96, begins=best.trajectory, variations=4)
    assert tried == [0.96] and kept.trajectory is best.trajectory, "what it had is looked at before all else"
    again = one(0.3, 0.4, 0.5, variations=2, design=DESIGNS[5])
    assert len(looks.first_at) == 3 and again.lands == 0.5 and again.design not in DESIGNS, (
        "from an earlier fit's design on"
    )
    worse = one(0.1, 0.8, 0.7, *eight[3:6], 0.9, 0.2, 0.75, 0.9, variations=2, flaws=flaws)
    assert worse.lands == 0.0, "what lands most often would not land undisturbed, or with more flaws"


class StandInLooks:
    """Stand-ins for trials: of gains, in the order in which they are seen first, the next share lands."""

    def __init__(self) -> None:
        self.shares: Iterator[float] = iter(())
        self.known: dict[bytes, float] = {}
        self.first_at: list[TargetTrajectory] = []
        self.longer_at: list[float] = []
        self.judged_at: list[float] = []
        self.later: dict[float, float] = {}  # of those that land in one share this one still stands later

    def share(self, own: TargetTrajectory) -> float:
        key = own.gains.tobytes()
        if key not in self.known:
            self.known[key] = next(self.shares)
        return self.known[key]

    def first(self, own: TargetTrajectory) -> tuple[float, float]:
        self.first_at.append(own)
        return self.share(own), -1.0

    def longer(self, own: TargetTrajectory, beat: float = 0.0) -> tuple[float, float]:
        self.longer_at.append(self.share(own))
        return self.share(own), -1.0

    def judged(self, own: TargetTrajectory) -> tuple[float, float]:
        self.judged_at.append(self.share(own))
        return self.later.get(self.share(own), self.share(own)), -1.0


class Trials:
    """Stand-ins for two workers: of every ten trials so many land, and half of them still stand later."""

    def __init__(self, of_ten: int) -> None:
        self.of_ten, self.asked = of_ten, list[tuple[list[int], bool]]()

    def __len__(self) -> int:
        return 2

    def share(self, method: str, calls: list[tuple[list[int], object, bool]]) -> list[tuple[np.ndarray, np.ndarray]]:
        assert method == "landings"
        self.asked.append(([seed for seeds, _, _ in calls for seed in seeds], calls[0][2]))
        of_ten = [self.of_ten // 2 if stays else self.of_ten for _, _, stays in calls]
        landed = [np.array([seed % 10 < of for seed in seeds]) for (seeds, _, _), of in zip(calls, of_ten, strict=True)]
        return [(own, np.full(len(own), 2.0)) for own in landed]


def test_a_first_look_is_at_few_trials_a_longer_one_at_the_others_and_what_is_judged_is_to_stand_on() -> None:
    trials, followed = Trials(8), list[TargetTrajectory]()
    looks = Looks(trials, followed.append, list(range(80)))  # type: ignore[arg-type]
    assert looks.first(TRAJECTORY) == (0.8, -2.0) and looks.longer(TRAJECTORY) == (0.8, -2.0)
    assert trials.asked[0] == (list(range(20)), False) and not any(stays for _, stays in trials.asked[1:])
    assert [seed for seeds, _ in trials.asked[1:] for seed in seeds] == list(range(20, 80))
    trials.asked.clear()
    assert looks.judged(TRAJECTORY) == (0.4, -2.0) and trials.asked == [(list(range(20, 80)), True)]
    assert followed == [TRAJECTORY] * 3


def test_what_was_performed_is_not_performed_again() -> None:
    asked = list[TargetTrajectory]()
    flaws = remembered(lambda own: asked.append(own) or len(asked))  # type: ignore[func-returns-value]
    several = [dataclasses.replace(TRAJECTORY) for _ in range(5)]
    assert [flaws(own) for own in (*several, *several[1:])] == [1, 2, 3, 4, 5, 2, 3, 4, 5]
    assert flaws(several[0]) == 6, "the last few are remembered"


def test_trials_begin_alike_whatever_is_followed() -> None:
    worker = rollouts.PolicyWorker(TRACK, TRAJECTORY, 1, 0, rollouts.Limits())
    first = worker.set_out([3, 4], SMALL)
    worker.follow(TRAJECTORY.gains, bowed().targets)
    again, weaker = worker.set_out([4, 3], SMALL), worker.set_out([3], NONE)
    assert again == first[::-1] and weaker[0] is not first[0]
    start, own = trial(BODY, bowed(), 3, SMALL)
    assert own.scene == first[0][1].scene and np.array_equal(start.position, first[0][0].position)


def test_a_longer_look_ends_where_the_best_is_out_of_reach_or_far_ahead() -> None:
    trials = Trials(4)
    looks = Looks(trials, lambda own: None, list(range(80)))  # type: ignore[arg-type]
    for beat in (0.9, 0.6):
        share, cost = looks.longer(TRAJECTORY, beat)
        assert share < beat and cost == -2.0 and len(trials.asked) == 1, "12 of 20 do not land"
        trials.asked.clear()
    for beat in (0.5, 0.3):
        assert looks.longer(TRAJECTORY, beat) == (0.4, -2.0) and sum(len(seeds) for seeds, _ in trials.asked) == 60
        trials.asked.clear()


def test_costs_are_a_designs_and_fall_after_the_landing() -> None:
    parts = {"tilt": 1, "joints": 2}
    weights = weights_of_differences(parts, Design(landed=0.5, costs={"tilt": 4.0}, steady_costs={"joints": 6.0}), 2, 4)
    np.testing.assert_allclose(weights[:2], [[4.0, COSTS["joints"], COSTS["joints"]]] * 2)
    np.testing.assert_allclose(weights[2:], [[2.0, 3.0, 3.0]] * 2)


def test_short_rollouts_are_broken_off_wherever_they_began() -> None:
    worker = rollouts.PolicyWorker(TRACK, TRAJECTORY, 8, 0, rollouts.Limits())
    width, observed = worker.env.layout.width, worker.env.observe(np.ones(8, dtype=bool))[0].shape[1]
    layer = (np.zeros((width, observed), dtype=np.float32), np.zeros(width, dtype=np.float32))
    actor = Actor((layer,), np.zeros(observed), np.ones(observed), np.full(width, -9.0))
    everywhere = np.full(TRAJECTORY.steps, 1 / TRAJECTORY.steps)
    collected = worker.collect(actor, rollouts.RolloutSettings(NONE, everywhere, visited=0.0, longest=5), 20)
    lengths = collected.episodes.last_steps - collected.episodes.first_steps
    assert len(lengths) >= 20 and lengths.max() == 5 and len(set(collected.episodes.first_steps.tolist())) > 5
    assert not collected.experience.terminated.any()


def test_a_landing_is_steadied_and_says_in_how_many_small_disturbances_it_lands(
    tmp_path: Path, start: Callable
) -> None:
    job = JobFolder(tmp_path / "job")
    settings = {"minutes": 20.0, "seed": 1, "workers": 1, "mode": "search", "engine": "compiled"}
    job.create(Job(name="test", body=bodies.to_json(BODY), settings=settings))
    motions.save_motion(job.reference_file, STANDING)
    assert start(job).wait(PATIENCE) == 0
    assert events(job)[-1]["reason"] == "landed"
    *_, last = of_kind(job, "take")
    take = motions.load_take(job.takes / last["file"])
    assert (last["source"], last["name"]) == ("policy", "Steadied") and (job.stages / last["stage"]).is_file()
    assert 16 <= take.meta["measures"]["robust_of_20"] <= 20
    assert take.meta["measures"]["landed_cleanly"] is True and events(job)[-1]["best_take"] == last["file"]
    # Once more: what is fitted is not fitted again, and what it performs is no new take
    count = len(of_kind(job, "take"))
    samples = [event["samples"] for event in of_kind(job, "stage") if "samples" in event]
    assert start(job).wait(PATIENCE) == 0
    assert len(of_kind(job, "take")) == count
    assert {event["samples"] for event in of_kind(job, "stage") if "samples" in event} == set(samples)
