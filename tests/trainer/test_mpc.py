# SPDX-License-Identifier: GPL-3.0-or-later
"""The search: honest replays, the same result again, and clips that it must manage."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest

from backflip_addon.trainer.imitation.disturbances import shaken

pytest.importorskip("numba")

from backflip_addon.core import metrics
from backflip_addon.core.motion import Motion, Take
from backflip_addon.trainer.imitation.action_layout import ActionLayout
from backflip_addon.trainer.imitation.compiled_rollouts import CompiledRollouts, Rolled
from backflip_addon.trainer.imitation.reference_track import Track
from backflip_addon.trainer.physics.state import Scene, States
from backflip_addon.trainer.planning.evolution import KnotDistribution
from backflip_addon.trainer.planning.mpc import QUIET_PATIENCE, Search
from backflip_addon.trainer.planning.noise import Mirror
from backflip_addon.trainer.planning.plan import Plan, interpolate, knots_along
from backflip_addon.trainer.planning.search_settings import Refining, SearchSettings
from tests.core import performances

BODY = performances.body()
FEW = Refining(samples=16, rounds=3)
QUICK = SearchSettings(horizon=12, refining=FEW, grounded=FEW, caught=FEW, first_rounds=4)
HOLD = 0.1


def crouch() -> Motion:
    """Down into the knees within 0.4 s: something to plan for, unlike standing."""
    bend = 0.35 * (1 - np.cos(np.pi * np.arange(13) / 12))
    motion = performances.standing(BODY, 0.4)
    position = motion.position * [1, 1, 0] + performances.crouched_height(BODY, bend)[:, None] * [0, 0, 1]
    return Motion(30.0, position, performances.bent(BODY, motion.rotations, bend))


CROUCH = crouch()


def rollouts_of(count: int, reference: Motion = CROUCH, hold: float | None = HOLD) -> CompiledRollouts:
    return CompiledRollouts(Track(BODY, reference, hold), QUICK.lost, count)


@pytest.fixture(scope="module")
def rollouts() -> Iterator[CompiledRollouts]:
    with rollouts_of(1) as made:
        yield made


def a_search(rollouts: CompiledRollouts, seed: int = 0, settings: SearchSettings = QUICK) -> Search:
    return Search(rollouts.track, rollouts, settings, seed=seed)


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


@pytest.mark.parametrize("first, count", [(6, 9), (7, 10), (8, 3)])
def test_knots_are_laid_along_offsets_and_those_of_the_past_stay(first: int, count: int) -> None:
    random = np.random.default_rng(0)
    knots, others = random.normal(size=(2, 8, 4))
    others[: first // 3 + 1] = knots[: first // 3 + 1]
    wanted = interpolate(others, 3, first, count)
    laid = knots_along(knots, 3, first, wanted)
    np.testing.assert_allclose(interpolate(laid, 3, first, count), wanted, atol=1e-9)
    assert np.array_equal(laid[: first // 3 + 1], knots[: first // 3 + 1])
    assert np.array_equal(laid[-1], wanted[-1]), "past their end they keep their last"


def test_the_same_seed_finds_the_same_take_and_another_another(rollouts: CompiledRollouts) -> None:
    one, two, other = (a_search(rollouts, seed) for seed in (3, 3, 4))
    takes = [search.perform().take() for search in (one, two, other)]
    assert same(takes[0], takes[1]) and one.control_steps == two.control_steps
    assert np.array_equal(one.plan.knots, two.plan.knots)
    assert not same(takes[0], takes[2])


@pytest.mark.parametrize("threads", [2, 5])
def test_more_threads_find_the_same_take(rollouts: CompiledRollouts, threads: int) -> None:
    """Five: more than there are groups of candidates."""
    alone = a_search(rollouts, 3)
    with rollouts_of(threads) as more:
        together = a_search(more, 3)
        assert same(alone.perform().take(), together.perform().take())
    assert alone.control_steps == together.control_steps


def test_copies_are_tried_as_well(rollouts: CompiledRollouts) -> None:
    """Candidates are tried on the body as it is and on disturbed ones: another plan, by so many more steps."""
    tried = dataclasses.replace(QUICK, grounded=dataclasses.replace(FEW, copies=3))
    alone, many = a_search(rollouts, 3), a_search(rollouts, 3, tried)
    assert not same(alone.perform().take(), many.perform().take())
    assert many.control_steps > 2 * alone.control_steps


def test_noise_is_as_symmetric_as_asked_for() -> None:
    layout = ActionLayout(BODY)
    plan = KnotDistribution(np.zeros((2, layout.width)), np.ones((2, layout.width)))
    for share, likeness in ((1.0, 1.0), (0.0, 0.0), (0.8, 0.8)):
        mirror = Mirror(BODY, layout, share)
        noise = mirror.draw(plan, slice(0, 2), 4000, np.random.default_rng(0))
        limbs = [c for link, own in layout.columns.items() if "." in BODY.names[link] for c in own]
        alike = np.mean(noise[..., limbs] * mirror.mirrored(noise)[..., limbs])
        assert abs(alike - likeness) < 0.03 and abs(noise[..., limbs].std() - 1) < 0.02
    thigh, other = (layout.columns[BODY.index(name)] for name in ("thigh.L", "thigh.R"))
    only = np.zeros(layout.width)
    only[thigh] = (1.0, 2.0, 3.0)
    assert np.array_equal(Mirror(BODY, layout, 1.0).mirrored(only)[other], (1.0, -2.0, -3.0))


def test_a_performance_says_whether_it_goes_on_to_stand(rollouts: CompiledRollouts) -> None:
    standing = performances.standing(BODY, 0.3)
    track = Track(BODY, standing, 0.3)
    search = Search(track, rollouts, QUICK)
    performance = search.attempt()
    frames = performance.take().motion.frames
    take = performance.final_take()
    assert take.meta[metrics.STANDS] is True and take.motion.frames == frames, "what comes after is not recorded"
    falling = Search(track, rollouts, QUICK)
    start = falling.track.states[0]
    pushed = falling.attempt(start=dataclasses.replace(start, velocity=start.velocity + [0.0, 1.5, 0.0]))
    assert pushed.final_take().meta[metrics.STANDS] is False


def test_the_performance_is_its_plans_replay(rollouts: CompiledRollouts) -> None:
    """Planned in pieces from saved states, performed in one go: playing the plan from frame 0 gives it to the bit."""
    search = a_search(rollouts)
    take = search.perform().take()
    assert same(take, search.attempt().take())
    assert take.motion.rate == 120.0 and take.motion.frames == 4 * search.track.steps + 1
    assert take.assist.max() == 0.0 and take.torque.max() <= 1.0 + 1e-6
    assert search.performed == search.track.steps


def test_a_scene_acts(rollouts: CompiledRollouts) -> None:
    search = a_search(rollouts)
    search.perform()
    high = search.attempt(scene=Scene(floor=0.2)).take()
    icy = search.attempt(scene=Scene(friction=0.1, mass=1.2)).take()
    assert high.meta["scene"]["floor"] == 0.2 and icy.meta["scene"]["friction"] == 0.1
    # Its start is not raised with the floor: it stands 20 cm deep, and is pushed out
    assert not same(icy, search.attempt().take())


class Enough(Exception):
    pass


def interrupted(rollouts: CompiledRollouts, steps: int) -> tuple[dict, Search]:
    search = a_search(rollouts, 5)
    saved = {}

    def tell(_share: float, cost: float) -> None:
        assert np.isfinite(cost)
        if search.performed >= steps:
            saved.update(search.checkpoint())
            raise Enough

    with pytest.raises(Enough):
        search.perform(tell=tell)
    return saved, search


def test_a_search_taken_up_goes_on(rollouts: CompiledRollouts) -> None:
    saved, broken = interrupted(rollouts, 8)
    assert saved["strides"].sum() == broken.performed >= 8 and saved["control_steps"] == broken.control_steps > 0
    takes = []
    for _ in range(2):
        search = a_search(rollouts, 99)  # the checkpoint knows how its random numbers go on
        search.load_state(saved)
        takes.append(search.perform().take())
        assert search.control_steps > saved["control_steps"] and search.performed == search.track.steps
    assert same(*takes)
    past = 8 * 4 + 1
    assert np.array_equal(takes[0].motion.rotations[:past], broken.attempt().take().motion.rotations[:past])


def test_a_foreign_checkpoint_is_refused(rollouts: CompiledRollouts) -> None:
    saved = a_search(rollouts).checkpoint()
    with pytest.raises(ValueError):
        a_search(rollouts).load_state({**saved, "mean": saved["mean"][:-1]})


def test_a_warm_start_begins_with_the_plan(rollouts: CompiledRollouts) -> None:
    first = a_search(rollouts)
    first.perform()
    second = a_search(rollouts, 1)
    second.start_from(first.plan)
    assert same(second.attempt().take(), first.attempt().take())
    second.start_from(Plan(first.plan.knots[:2], first.plan.knot))


def test_disturbed_starts_are_near_and_not_the_same(rollouts: CompiledRollouts) -> None:
    state = a_search(rollouts).track.states[0]
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
    more = Refining(samples=24, rounds=4)
    hopping = dataclasses.replace(QUICK, horizon=18, refining=more, grounded=more, caught=more)
    settings = SearchSettings() if clip == "standing" else hopping
    with rollouts_of(2, reference, None) as rollouts:
        search = a_search(rollouts, 0, settings)
        take = search.perform(good=good_for(reference)).take()
    measures = metrics.evaluate_take(BODY, reference, take)
    assert measures.followed == 1.0 and not measures.illegal_contacts and measures.penetration_cm < 2.0
    if clip == "standing":  # a hop takes longer to come to rest than the second that a take goes on for
        assert measures.landed is True and measures.success is True


def test_a_body_that_has_landed_is_given_another_end_and_is_taken_up_in_it() -> None:
    """All up to the touchdown stays as it was; from there on a search that was broken off goes on as one that was
    not."""
    with rollouts_of(2, squatting_hop(), 0.0) as rollouts:
        search = a_search(rollouts)
        assert not search.has_another_end
        takes = [search.perform().take()]
        assert search.has_another_end
        search.try_another_end()
        again = search.performed
        assert 0 < again <= search.track.landed
        saved = copy.deepcopy(search.checkpoint())
        takes.append(search.perform().take())
        past = 4 * again + 1
        assert np.array_equal(takes[0].motion.rotations[:past], takes[1].motion.rotations[:past])
        assert not same(*takes)
        resumed = a_search(rollouts, 7)
        resumed.load_state(saved)
        assert same(resumed.perform().take(), takes[1])
        search.end = search.settings.other_ends
        assert not search.has_another_end, "so many are enough"


def test_what_is_followed_after_a_landing_is_forgotten_by_the_next_search() -> None:
    with rollouts_of(1, squatting_hop(), 0.0) as rollouts:
        first = a_search(rollouts, 2)
        takes = [first.perform().take()]
        assert first.has_another_end
        takes.append(a_search(rollouts, 2).perform().take())
    assert same(*takes)


def test_a_clip_that_never_flies_is_not_begun_anew(rollouts: CompiledRollouts) -> None:
    search = a_search(rollouts)
    search.perform()
    assert not search.has_another_end


class Improving:
    """Rollouts whose cost falls by as much a round, whatever is tried."""

    def __init__(self, cost: float, step: float) -> None:
        self.cost, self.step = cost, step

    def __call__(self, starts: States, scenes: list[Scene], first: int, offsets: np.ndarray, before: object) -> Rolled:
        return Rolled(np.full(offsets.shape[:2], self.cost), starts, 0)

    def follow(self, track: Track) -> None: ...


@pytest.mark.parametrize(
    ("cost", "step", "rounds"),
    [(3.0, 0.04, 20), (3.0, 0.01, 7), (0.7, 0.015, 20), (0.7, 0.008, 7), (0.2, 0.0, QUIET_PATIENCE + 1)],
)
def test_a_window_that_goes_well_is_left_sooner(cost: float, step: float, rounds: int) -> None:
    """One that goes badly while it improves by a hundredth of its cost, another by a hundredth of a fair one's."""
    settings = SearchSettings(horizon=12, first_rounds=20, grounded=Refining(patience=6))
    rollouts, told = Improving(cost, step), []
    search = Search(Track(BODY, CROUCH, HOLD), rollouts, settings)

    class WindowOver(Exception): ...

    def tell(share: float, _cost: float) -> None:
        if share > 0:
            raise WindowOver
        told.append(share)
        rollouts.cost -= rollouts.step

    with pytest.raises(WindowOver):
        search.perform(tell=tell)
    assert len(told) == rounds


@pytest.mark.parametrize("flies", [False, True])
def test_where_it_goes_easily_more_is_performed_at_once_and_no_touchdown_is_passed_by(flies: bool) -> None:
    """Costs as a search tells them of its windows: before a flight only what is quiet is easy."""
    track = Track(BODY, squatting_hop(0.1), 0.0) if flies else Track(BODY, CROUCH, HOLD)
    for cost, easy in ((0.2, True), (1.9, not flies), (2.1, False)):
        search, resumed = (Search(track, Improving(cost, 0.0), QUICK) for _ in range(2))
        search.perform()
        strides = search.checkpoint()["strides"]
        ends = np.cumsum(strides)
        assert strides[0] == (6 if easy else 3) and set(strides[:-1]) <= {3, 6} and ends[-1] == track.steps
        if flies:
            assert track.landed <= ends[ends >= track.landed][0] < track.landed + 3
        resumed.load_state(search.checkpoint())
        assert resumed.performed == search.performed


@pytest.mark.parametrize(("flies", "cost", "rounds"), [(False, 3.0, 12), (True, 3.0, 20), (True, 1.1, 12)])
def test_windows_of_what_does_not_fly_and_cheap_ones_are_done_after_fewer_rounds(
    flies: bool, cost: float, rounds: int
) -> None:
    """Of costs that go on falling by more than a hundredth."""
    track = Track(BODY, squatting_hop(0.1), 0.0) if flies else Track(BODY, CROUCH, HOLD)
    rollouts, shares = Improving(cost, 0.011 * max(cost, 1.0)), []

    class WindowsOver(Exception): ...

    def tell(share: float, _cost: float) -> None:
        if len(set(shares)) == 3:
            raise WindowsOver
        shares.append(share)
        rollouts.cost -= rollouts.step

    with pytest.raises(WindowsOver):
        Search(track, rollouts).perform(tell=tell)
    first, second, third = dict.fromkeys(shares)
    assert (shares.count(first), shares.count(second)) == (SearchSettings().first_rounds, rounds) and third > second


def test_long_before_and_after_a_leap_is_planned_as_what_does_not_fly() -> None:
    """A second of standing, a hop, and standing again: the leap's surroundings are told by hand."""
    hop = squatting_hop(0.1)
    waits = np.repeat(np.arange(hop.frames), [96 + 1, *[1] * (hop.frames - 2), 60 + 1])
    track = Track(BODY, Motion(hop.rate, hop.position[waits], hop.rotations[waits]), 0.0)
    lows = BODY.lowest_points(track.positions, track.world)[:, track.feet]
    air = np.flatnonzero((lows > 0.02).all(axis=1))
    search = Search(track, Improving(1.9, 0.0), QUICK)
    search.perform()
    begins = np.cumsum([0, *search.checkpoint()["strides"]])
    before, near = begins[begins < air[0] - 48], begins[(begins >= air[0] - 45) & (begins < air[-1])]
    assert set(np.diff(before)) == {6} and set(np.diff(near)) == {3}
    alone = Track(BODY, hop, 0.0)
    assert alone.leaps[: alone.landed].all()
    small = Track(BODY, squatting_hop(0.06), 0.0)
    assert small.flies and not small.leaps.any(), "its feet are hardly off the floor, for 0.13 s"
