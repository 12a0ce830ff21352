# SPDX-License-Identifier: GPL-3.0-or-later
"""The search: honest replays, the same result again, and clips that it must manage."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest

from backflip_addon.trainer.imitation.disturbances import shaken

pytest.importorskip("pybullet")

from backflip_addon.core import metrics
from backflip_addon.core.motion import Motion, Take
from backflip_addon.trainer.physics.state import Scene
from backflip_addon.trainer.planning.mpc import RolloutWorker, Search, SearchSettings
from backflip_addon.trainer.planning.plan import Plan, interpolate
from backflip_addon.trainer.workers import Pool, WorkerError
from tests.core import performances

BODY = performances.body()
QUICK = SearchSettings(horizon=8, samples=12, elites=4, rounds=2, first_rounds=2)
HOLD = 0.1


def crouch() -> Motion:
    """Down into the knees within 0.4 s: something to plan for, unlike standing."""
    bend = 0.35 * (1 - np.cos(np.pi * np.arange(13) / 12))
    motion = performances.standing(BODY, 0.4)
    position = motion.position * [1, 1, 0] + performances.crouched_height(BODY, bend)[:, None] * [0, 0, 1]
    return Motion(30.0, position, performances.bent(BODY, motion.rotations, bend))


CROUCH = crouch()


def pool_of(count: int, reference: Motion = CROUCH, hold: float | None = HOLD) -> Pool:
    return Pool(count, RolloutWorker, BODY, reference, Scene(), hold, QUICK.lost)


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with pool_of(1) as made:
        yield made


def a_search(pool: Pool, seed: int = 0) -> Search:
    return Search(BODY, CROUCH, pool, QUICK, seed=seed, hold=HOLD)


def same(one: Take, other: Take) -> bool:
    pairs = [(one.motion.position, other.motion.position), (one.motion.rotations, other.motion.rotations)]
    pairs += [(one.contacts, other.contacts), (one.torque, other.torque)]
    return all(np.array_equal(a, b) for a, b in pairs)


def test_interpolation_goes_through_the_knots() -> None:
    knots = np.array([[0.0, 1.0], [4.0, 1.0], [8.0, -3.0]])
    assert np.allclose(interpolate(knots, 4, 0, 9)[:, 0], np.arange(9))
    assert np.allclose(interpolate(knots, 4, 6, 3)[:, 1], [-1.0, -2.0, -3.0])
    assert np.allclose(interpolate(knots, 4, 8, 6)[:, 0], 8.0), "held past the last knot"
    assert np.allclose(interpolate(np.stack([knots, 2 * knots]), 4, 2, 3)[1], 2 * interpolate(knots, 4, 2, 3))
    assert np.allclose(Plan(knots, 4).offsets(1, 2), interpolate(knots, 4, 1, 2))


def test_the_same_seed_finds_the_same_take_and_another_another(pool: Pool) -> None:
    one, two, other = (a_search(pool, seed) for seed in (3, 3, 4))
    takes = [search.perform().take() for search in (one, two, other)]
    assert same(takes[0], takes[1]) and one.control_steps == two.control_steps
    assert np.array_equal(one.plan.knots, two.plan.knots)
    assert not same(takes[0], takes[2])


def test_more_workers_find_the_same_take(pool: Pool) -> None:
    alone = a_search(pool, 3)
    with pool_of(2) as two:
        together = a_search(two, 3)
        assert same(alone.perform().take(), together.perform().take())
    assert alone.control_steps == together.control_steps


class ManyWorkers:
    """Stands in for a Pool of more workers than there are samples, in this process."""

    def __init__(self) -> None:
        self.worker = RolloutWorker(BODY, CROUCH, Scene(), HOLD, QUICK.lost)

    def __len__(self) -> int:
        return 70

    def share(self, method: str, arguments: list[tuple]) -> list:
        return [getattr(self.worker, method)(*own) for own in arguments]


def test_more_workers_than_samples_find_the_same_take(pool: Pool) -> None:
    alone, many = a_search(pool, 3), Search(BODY, CROUCH, ManyWorkers(), QUICK, seed=3, hold=HOLD)
    assert same(alone.perform().take(), many.perform().take())


def test_more_real_workers_than_samples() -> None:
    few = dataclasses.replace(QUICK, samples=2, elites=1)
    with pool_of(3) as three:
        search = Search(BODY, CROUCH, three, few, seed=3, hold=HOLD)
        assert search.perform().take().motion.frames == 4 * search.track.steps + 1


def test_a_performance_says_whether_it_goes_on_to_stand(pool: Pool) -> None:
    standing = performances.standing(BODY, 0.3)
    search = Search(BODY, standing, pool, QUICK, hold=0.3)
    performance = search.attempt()
    frames = performance.take().motion.frames
    take = performance.final_take()
    assert take.meta[metrics.STANDS] is True and take.motion.frames == frames, "what comes after is not recorded"
    falling = Search(BODY, standing, pool, QUICK, hold=0.3)
    start = falling.track.states[0]
    pushed = falling.attempt(start=dataclasses.replace(start, velocity=start.velocity + [0.0, 1.5, 0.0]))
    assert pushed.final_take().meta[metrics.STANDS] is False


def test_the_performance_is_its_plans_replay(pool: Pool) -> None:
    """Planned in pieces from saved states, performed in one go: playing the plan from frame 0 gives it to the bit."""
    search = a_search(pool)
    take = search.perform().take()
    assert same(take, search.attempt().take())
    assert take.motion.rate == 120.0 and take.motion.frames == 4 * search.track.steps + 1
    assert take.assist.max() == 0.0 and take.torque.max() <= 1.0 + 1e-6
    assert search.performed == search.track.steps


def test_a_scene_acts(pool: Pool) -> None:
    search = a_search(pool)
    search.perform()
    high = search.attempt(scene=Scene(floor=0.2)).take()
    icy = search.attempt(scene=Scene(friction=0.1, mass=1.2)).take()
    assert high.meta["scene"]["floor"] == 0.2 and icy.meta["scene"]["friction"] == 0.1
    # Its start is not raised with the floor: it stands 20 cm deep, and is pushed out
    assert not same(icy, search.attempt().take())


class Enough(Exception):
    pass


def interrupted(pool: Pool, steps: int) -> tuple[dict, Search]:
    search = a_search(pool, 5)
    saved = {}

    def tell(_share: float, cost: float) -> None:
        assert np.isfinite(cost)
        if search.performed >= steps:
            saved.update(search.checkpoint())
            raise Enough

    with pytest.raises(Enough):
        search.perform(tell=tell)
    return saved, search


def test_a_search_taken_up_goes_on(pool: Pool) -> None:
    saved, broken = interrupted(pool, 8)
    assert int(saved["performed"]) == 8 and saved["control_steps"] == broken.control_steps > 0
    takes = []
    for _ in range(2):
        search = a_search(pool, 99)  # the checkpoint knows how its random numbers go on
        search.load_state(saved)
        takes.append(search.perform().take())
        assert search.control_steps > saved["control_steps"] and search.performed == search.track.steps
    assert same(*takes)
    past = 8 * 4 + 1
    assert np.array_equal(takes[0].motion.rotations[:past], broken.attempt().take().motion.rotations[:past])


def test_a_foreign_checkpoint_is_refused(pool: Pool) -> None:
    saved = a_search(pool).checkpoint()
    with pytest.raises(ValueError):
        a_search(pool).load_state({**saved, "mean": saved["mean"][:-1]})


def test_a_warm_start_begins_with_the_plan(pool: Pool) -> None:
    first = a_search(pool)
    first.perform()
    second = a_search(pool, 1)
    second.start_from(first.plan)
    assert same(second.attempt().take(), first.attempt().take())
    second.start_from(Plan(first.plan.knots[:2], first.plan.knot))


def test_disturbed_starts_are_near_and_not_the_same(pool: Pool) -> None:
    state = a_search(pool).track.states[0]
    start_states = [shaken(state, np.random.default_rng(seed), 0.05, 0.1, 0.3) for seed in (1, 1, 2)]
    assert np.array_equal(start_states[0].rotations, start_states[1].rotations)
    assert not np.array_equal(start_states[0].rotations, start_states[2].rotations)
    assert np.array_equal(start_states[0].rotations[0], state.rotations[0]) and np.allclose(
        np.linalg.norm(start_states[0].rotations, axis=-1), 1
    )
    assert not np.array_equal(start_states[0].velocity, state.velocity)


def good_for(reference: Motion) -> object:
    return lambda take: metrics.evaluate_take(BODY, reference, take).landed


def squatting_hop(height: float = 0.06) -> Motion:
    """Down, up, 6 cm off the floor, down and up again."""
    rate = 60.0
    air = 2 * np.sqrt(2 * height / 9.81)
    push = np.sqrt(2 * 9.81 * height)
    low = 0.5
    drop = -float(performances.crouched_height(BODY, np.array(low)) - performances.hips_height(BODY))
    down, up, absorb = 0.35, 2 * drop / push, 0.5
    times = np.arange(round((down + up + air + absorb) * rate) + 1) / rate
    root = np.zeros_like(times)
    for i, t in enumerate(times):
        if t < down:
            root[i] = -drop * (1 - np.cos(np.pi * t / down)) / 2
        elif t < down + up:  # evenly faster up to the take-off
            root[i] = -drop + push / up * (t - down) ** 2 / 2
        elif t < down + up + air:
            s = t - down - up
            root[i] = push * s - 9.81 * s**2 / 2
        else:  # softly down and up again
            s = t - down - up - air
            root[i] = -push * s * np.exp(-s / 0.1)
    cosine = 1 + np.minimum(root, 0) / drop * (1 - np.cos(low))
    turns = performances.bent(BODY, performances.neutral(BODY, len(times)), np.arccos(np.clip(cosine, -1, 1)))
    position = np.stack([0 * root, 0 * root, performances.hips_height(BODY) + root], axis=1)
    return Motion(rate, position, turns)


@pytest.mark.parametrize("clip", ["standing", "hop"])
def test_easy_clips_land(clip: str) -> None:
    reference = performances.standing(BODY, 0.5) if clip == "standing" else squatting_hop()
    settings = QUICK if clip == "standing" else dataclasses.replace(QUICK, horizon=18, samples=24, rounds=4)
    with pool_of(2, reference, None) as pool:
        search = Search(BODY, reference, pool, settings, seed=0)
        take = search.perform(good=good_for(reference)).take()
    measures = metrics.evaluate_take(BODY, reference, take)
    assert measures.followed == 1.0 and not measures.illegal_contacts and measures.penetration_cm < 2.0
    if clip == "standing":  # a hop takes longer to come to rest than the second that a take goes on for
        assert measures.landed is True and measures.success is True


def test_a_failing_worker_is_told() -> None:
    with pool_of(1) as pool, pytest.raises(WorkerError):
        pool.call("rollouts", "/nowhere/state.bullet", 0, np.zeros((1, 2, 28)))


def test_a_worker_that_is_gone_is_told() -> None:
    with pool_of(1) as pool:
        pool._processes[0].kill()
        pool._processes[0].join()
        with pytest.raises(WorkerError, match="worker"):
            a_search(pool).perform()
