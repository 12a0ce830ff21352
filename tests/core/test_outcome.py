# SPDX-License-Identifier: GPL-3.0-or-later
"""What happened in a take: takes built by hand, each of which ends in one known way."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from backflip_addon.core import metrics, outcome, rotations
from backflip_addon.core.body import FEET, HINGE_AXIS
from backflip_addon.core.motion import Motion, Take
from backflip_addon.core.outcome import Outcome, what_happened
from backflip_addon.core.verdict import verdict
from tests.core import performances
from tests.core.made_up_takes import BODY, END, REFERENCE, TAKE, X, Y, Z, cut, edited, moved

RATE = 120
TOUCHDOWN = END - round(0.5 * RATE)  # the somersault stands half a second after it
TAKE_OFF = round(0.5 * RATE)


def happened(take: Take, reference: Motion = REFERENCE) -> Outcome:
    return what_happened(BODY, reference, take)


def words(take: Take, reference: Motion = REFERENCE) -> str:
    return verdict({**metrics.evaluate_motion(BODY, reference, take).to_json(), **happened(take, reference).facts()})


def standing_and_then(axis: np.ndarray, angle: float, seconds: float = 0.8) -> tuple[Motion, Take]:
    """A clip that stands, and a take that tips over about its ankles, as a board does, from 0.5 s on."""
    clip = performances.standing(BODY, 1.0, 60.0)
    take = performances.performed(BODY, clip, seconds)
    frames = take.motion.frames
    share = np.clip((np.arange(frames) - 60) / 60, 0, 1)
    position, turns = take.motion.position.copy(), take.motion.rotations.copy()
    lean = rotations.from_rotation_vector(axis * angle * share[:, None] ** 2)
    turns[:, 0] = rotations.multiply(lean, turns[:, 0])
    position = rotations.rotate(lean, position)
    lowest = BODY.lowest_points(*BODY.forward(position, turns))
    position[:, 2] -= lowest.min(axis=1)
    lowest = BODY.lowest_points(*BODY.forward(position, turns))
    return clip, dataclasses.replace(moved(take, position, turns), contacts=lowest < 0.01)


def test_a_landing_is_one_and_tells_when_it_came_down() -> None:
    landed = happened(TAKE)
    assert landed.kind == outcome.LANDED and landed.part == "" and landed.degrees == pytest.approx(0, abs=1)
    assert landed.frame == pytest.approx(TOUCHDOWN, abs=2) and landed.at == landed.frame / RATE
    assert landed.turned == pytest.approx(-360, abs=2)
    centre = BODY.centre_of_mass(*BODY.forward(TAKE.motion.position, TAKE.motion.rotations))
    assert landed.highest == pytest.approx(centre[:, 2].max())
    assert landed.impact_part in FEET


@pytest.mark.parametrize("turned", [-320.0, -300.0, -400.0])
def test_rotation_that_is_off_is_told_in_degrees(turned: float) -> None:
    """Down on bent knees with a rotation that is off by so much."""
    told = happened(comes_down(REFERENCE, np.radians(turned), 1.5))
    off = -(turned + 360)
    assert told.kind == (outcome.UNDER_ROTATED if off < 0 else outcome.OVER_ROTATED) and told.part
    assert told.degrees == pytest.approx(off, abs=7), "a frame is 6 degrees"


def test_the_verdict_says_by_how_much_on_what_and_when() -> None:
    values = {"landed": False, "followed": 0.7, "outcome_at": 1.42, "outcome_part": "knees"}
    under = {"outcome": "under_rotated", "outcome_degrees": -40.2}
    assert verdict(values | under) == "Under-rotated by 40°, on its knees at 1.42 s"
    on_head = {"outcome": "on_head", "outcome_degrees": -151.0, "outcome_part": "head"}
    assert verdict(values | on_head) == "On its head at 1.42 s, under-rotated by 151°"
    assert (
        verdict(values | {"outcome": "fell_backward", "outcome_part": "seat"}) == "Fell backward, on its seat at 1.42 s"
    )
    assert verdict(values | {"outcome": "never_left", "outcome_part": "feet"}) == "Never left the floor"
    assert verdict(values | {"outcome": "a later version's"}) == "Followed 70 %"


@pytest.mark.parametrize("kind", outcome.KINDS)
def test_every_kind_of_failure_has_words_that_do_not_say_landed(kind: str) -> None:
    facts = {"landed": False, "success": False, "followed": 0.5, "outcome": kind, "outcome_at": 1.0}
    told = verdict(facts | {"outcome_degrees": 60.0, "outcome_part": "back"})
    assert told and "landed" not in told.lower()


@pytest.mark.parametrize(
    ("axis", "kind", "part"),
    [
        (1.1 * X, outcome.FELL_FORWARD, {"hands", "chest", "head", "knees"}),
        (-X, outcome.FELL_BACKWARD, {"back", "head", "seat", "hands", "shoulder"}),
        (Y, outcome.FELL_SIDEWAYS, {"shoulder", "hands", "head", "side"}),
        (-Y, outcome.FELL_SIDEWAYS, {"shoulder", "hands", "head", "side"}),
    ],
)
def test_a_board_that_tips_over_falls_the_way_it_tips(axis: np.ndarray, kind: str, part: set[str]) -> None:
    clip, take = standing_and_then(axis, np.pi / 2)
    told = happened(take, clip)
    assert told.kind == kind and told.part in part, told
    assert 0.9 < told.at <= 1.02 and told.degrees == 0.0


@pytest.mark.parametrize(("degrees", "kind"), [(50.0, outcome.FELL_FORWARD), (70.0, outcome.FELL_SIDEWAYS)])
def test_whose_front_comes_down_fell_forward_though_somewhat_sideways(degrees: float, kind: str) -> None:
    clip, take = standing_and_then(np.cos(np.radians(degrees)) * X + np.sin(np.radians(degrees)) * Y, 1.1 * np.pi / 2)
    assert happened(take, clip).kind == kind


@pytest.mark.parametrize("seconds", [0.0, 0.6])
def test_who_goes_down_fell_though_its_clip_leaps(seconds: float) -> None:
    """While the clip leaps, and after that: a body that never left the floor is one that still stands."""
    _, take = standing_and_then(X, 1.1 * np.pi / 2, 1.5)
    motion, wait = take.motion, round(seconds * RATE)
    later = np.maximum(np.arange(motion.frames) - wait, 0)
    position, turns = motion.position[later], motion.rotations[later]
    told = happened(dataclasses.replace(moved(take, position, turns), contacts=take.contacts[later]))
    assert told.kind == outcome.FELL_FORWARD, told


def test_forward_is_where_the_character_faces_and_not_an_axis_of_the_world() -> None:
    clip, take = standing_and_then(X, 1.1 * np.pi / 2)
    turn = rotations.from_axis_angle(Z, 2.0)
    position, turns = rotations.rotate(turn, take.motion.position), take.motion.rotations.copy()
    turns[:, 0] = rotations.multiply(turn, turns[:, 0])
    assert happened(moved(take, position, turns), clip).kind == outcome.FELL_FORWARD


def comes_down(
    reference: Motion, tilt: float, knees: float = 0.0, arms: float = 0.0, tuck: float = 0.0, axis: np.ndarray = X
) -> Take:
    """A leap at whose touchdown the body is turned by tilt about its left-right axis, or another, its knees bent, its
    arms lifted and its head tucked, rad; there it stays, whatever is lowest on the floor."""
    take = performances.performed(BODY, reference)
    position, turns = take.motion.position.copy(), take.motion.rotations.copy()
    share = np.clip((np.arange(len(position)) - TAKE_OFF) / (TOUCHDOWN - TAKE_OFF), 0, 1)
    turns[:, 0] = rotations.from_axis_angle(axis, tilt * share)
    turns[:, BODY.index("head")] = rotations.from_axis_angle(X, tuck * share)
    for side in "LR":
        turns[:, BODY.index(f"shin.{side}")] = rotations.from_axis_angle(np.array(HINGE_AXIS), -knees * share)
        turns[:, BODY.index(f"upper_arm.{side}")] = rotations.from_axis_angle(-X, arms * share)
    low = BODY.lowest_points(*BODY.forward(position, turns)).min(axis=1)
    position[:, 2] -= low[TOUCHDOWN] * share
    position[TAKE_OFF + 1 : TOUCHDOWN, 2] += np.maximum(0.03 - low + low[TOUCHDOWN] * share, 0)[
        TAKE_OFF + 1 : TOUCHDOWN
    ]
    lows = BODY.lowest_points(*BODY.forward(position, turns))
    return dataclasses.replace(moved(take, position, turns), contacts=lows < 0.01)


@pytest.mark.parametrize(
    ("tilt", "knees", "arms", "kind"),
    [
        (-np.pi / 2, 0.0, 0.0, outcome.ON_BACK),
        (np.pi, 0.0, 0.0, outcome.ON_HEAD),
        (0.0, 2.4, 0.0, outcome.ON_KNEES),
        (np.radians(170), 0.0, np.pi, outcome.ON_HANDS),
    ],
)
def test_a_leap_is_told_by_what_comes_down_first(tilt: float, knees: float, arms: float, kind: str) -> None:
    leap = performances.somersault(BODY, turns=0.0)
    told = what_happened(BODY, leap, comes_down(leap, tilt, knees, arms))
    assert told.kind == kind and abs(told.frame - TOUCHDOWN) <= 1, told


def test_who_comes_down_on_all_fours_with_a_level_trunk_fell_forward() -> None:
    """On its knees is who kneels."""
    leap = performances.somersault(BODY, turns=0.0)
    told = what_happened(BODY, leap, comes_down(leap, np.radians(80), 1.5, np.radians(80)))
    assert told.kind == outcome.FELL_FORWARD and told.part in ("knees", "hands"), told


@pytest.mark.parametrize(("tilt", "kind"), [(-125.0, outcome.ON_BACK), (-95.0, outcome.ON_BACK)])
def test_whose_back_comes_down_with_its_head_is_on_its_back(tilt: float, kind: str) -> None:
    """Its chin on its chest, the back comes down; four frames later the head does."""
    leap, head = performances.somersault(BODY, turns=0.0), BODY.index("head")
    take = comes_down(leap, np.radians(tilt), tuck=1.2)
    gap = BODY.lowest_points(*BODY.forward(take.motion.position, take.motion.rotations))[TOUCHDOWN, head]
    assert gap > 0.03
    take.motion.position[TOUCHDOWN + 4 :, 2] -= gap
    lows = BODY.lowest_points(*BODY.forward(take.motion.position, take.motion.rotations))
    told = what_happened(BODY, leap, dataclasses.replace(take, contacts=lows < 0.01))
    assert told.kind == kind and abs(told.frame - TOUCHDOWN) <= 1, told


def test_a_body_that_stood_before_it_fell_onto_its_head_has_fallen() -> None:
    def topple(position: np.ndarray, turns: np.ndarray, seconds: np.ndarray) -> None:
        share = np.clip(seconds / 0.4, 0, 1)[:, None] ** 2
        lean = rotations.from_rotation_vector(1.2 * np.pi / 2 * X * share)
        turns[:, 0] = rotations.multiply(lean, turns[:, 0])
        position[:] = np.where(seconds[:, None] > 0, rotations.rotate(lean, position), position)
        lows = BODY.lowest_points(*BODY.forward(position, turns)).min(axis=1)
        position[:, 2] -= np.where(seconds > 0, lows, 0.0)

    take = edited(TAKE, topple, since=(TOUCHDOWN + 60) / RATE)
    lows = BODY.lowest_points(*BODY.forward(take.motion.position, take.motion.rotations))
    told = happened(dataclasses.replace(take, contacts=lows < 0.01))
    assert told.kind == outcome.FELL_FORWARD and told.part == "head", told


def test_an_impact_is_as_fast_as_what_falls() -> None:
    """Dropped from 30 cm, the feet arrive with sqrt(2 g h)."""
    seconds = np.arange(round(0.5 * RATE)) / RATE
    height = np.maximum(0.3 - 9.81 * seconds**2 / 2, 0.0)
    clip = performances.standing(BODY, 0.4)
    take = performances.performed(BODY, clip, 0.2).first(len(seconds))
    dropped = moved(take, take.motion.position[: len(seconds)] + height[:, None] * Z)
    lows = BODY.lowest_points(*BODY.forward(dropped.motion.position, dropped.motion.rotations))
    told = happened(dataclasses.replace(dropped, contacts=lows < 0.001), clip)
    assert told.impact == pytest.approx(np.sqrt(2 * 9.81 * 0.3), rel=0.06) and told.impact_part in FEET


def test_a_body_that_stays_on_the_floor_has_never_left_it() -> None:
    clip, _ = standing_and_then(X, 0.0)
    still = performances.performed(BODY, clip, 3.0)
    frames = round((REFERENCE.duration + 1.0) * RATE) + 1
    told = happened(still.first(frames))
    assert told.kind == outcome.NEVER_LEFT and told.highest < 1.2 and told.turned == pytest.approx(0)
    assert words(still.first(frames)) == "Never left the floor"


def test_steps_and_hops_after_a_landing_are_a_stumble() -> None:
    def hop(position: np.ndarray, turns: np.ndarray, seconds: np.ndarray) -> None:
        position[:, 2] += 0.1 * np.sin(np.pi * np.clip(seconds / 0.2, 0, 1)) ** 2

    take = edited(TAKE, hop, since=(TOUCHDOWN + 24) / RATE)
    lows = BODY.lowest_points(*BODY.forward(take.motion.position, take.motion.rotations))
    take = dataclasses.replace(take, contacts=take.contacts & (lows < 0.01))
    told = happened(take)
    assert told.kind == outcome.STUMBLED and words(take) == "Landed but stumbled, a hop"


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 1e12])
def test_numbers_that_are_no_bodys_are_an_explosion(wrong: float) -> None:
    position = TAKE.motion.position.copy()
    position[70:, 1] = wrong
    told = happened(moved(TAKE, position))
    assert told.kind == outcome.EXPLODED and told.frame in (69, 70) and np.isfinite(told.highest)


def test_a_fall_that_was_played_out_is_told_and_flatters_no_measure() -> None:
    """Performed for half a second, then the body tips over: the same measures as without its fall."""
    clip, take = standing_and_then(X, 1.1 * np.pi / 2, 1.5)
    meta = {metrics.PERFORMED: 90}
    played_out = dataclasses.replace(take, meta=meta)
    assert metrics.evaluate_motion(BODY, clip, played_out) == metrics.evaluate_motion(BODY, clip, cut(take, 90))
    assert metrics.evaluate_motion(BODY, clip, played_out).landed is False
    assert happened(played_out, clip).kind == outcome.FELL_FORWARD
    assert happened(dataclasses.replace(cut(take, 61), meta={}), clip).kind == outcome.BROKEN_OFF


def test_no_score_is_the_better_for_a_fall_that_was_played_out_early() -> None:
    """Two attempts that lose the clip at the same moment: one that goes on to the clip's end, and one that gives up."""

    def tumble(position: np.ndarray, turns: np.ndarray, seconds: np.ndarray) -> None:
        position[:, 0] += 2.0 * seconds

    whole = edited(TAKE, tumble, since=0.6)
    given_up = dataclasses.replace(whole, meta={metrics.PERFORMED: round(0.8 * RATE)})
    one, other = (metrics.evaluate_motion(BODY, REFERENCE, take) for take in (whole, given_up))
    assert other.followed == one.followed and other.g_mpjpe_mm < one.g_mpjpe_mm / 2
    apart = metrics.score(other) / metrics.score(one)
    assert apart < np.exp((one.g_mpjpe_mm - other.g_mpjpe_mm) / metrics.SCORE_SCALE) / 1.3


def test_rotation_counts_by_the_whole_clip_even_where_little_of_it_was_performed() -> None:
    take = comes_down(REFERENCE, np.radians(-300.0), 1.5)
    told = happened(dataclasses.replace(take, meta={metrics.PERFORMED: TAKE_OFF + 10}))
    assert told.kind == outcome.UNDER_ROTATED and told.degrees == pytest.approx(-60, abs=7)


def test_a_take_that_goes_elsewhere_on_its_feet_has_strayed() -> None:
    walk = performances.standing(BODY, 1.0, 60.0)
    going = dataclasses.replace(walk, position=walk.position + np.linspace(0, 2, walk.frames)[:, None] * [0.0, -1, 0])
    assert not metrics.ends_standing(BODY, going)
    take = performances.performed(BODY, walk, 0.0)
    told = happened(take, going)
    assert told.kind == outcome.STRAYED and told.at == pytest.approx(0.175, abs=0.02), "0.35 m at 2 m/s"


def begun_at(seconds: float) -> Take:
    """The somersault, begun in its midst and done from there on as it should be."""
    first = round(seconds * RATE)
    motion = TAKE.motion
    rest = dataclasses.replace(motion, position=motion.position[first:], rotations=motion.rotations[first:])
    parts = {"contacts": TAKE.contacts[first:], "torque": TAKE.torque[first:], "assist": TAKE.assist[first:]}
    return dataclasses.replace(TAKE, motion=rest, **parts, meta={metrics.BEGINS: seconds})


@pytest.mark.parametrize("seconds", [0.25, 0.7])
def test_what_was_begun_in_the_clips_midst_has_landed_nothing(seconds: float) -> None:
    take = begun_at(seconds)
    measured = metrics.evaluate_motion(BODY, REFERENCE, take)
    assert (measured.landed, measured.landed_cleanly, measured.success) == (False, False, False)
    assert measured.worst_error_mm < 1.0, "it is held against what is left of the clip"
    assert measured.followed == pytest.approx(1 - seconds / REFERENCE.duration, abs=0.02), "which is no more of it"
    assert happened(take).kind == outcome.CAME_THROUGH and happened(take).degrees == 0
    assert words(take) == "Came through, begun in mid-clip"
    assert metrics.measured_from_its_beginning(BODY, REFERENCE, TAKE) == metrics.evaluate_motion(BODY, REFERENCE, TAKE)


def test_what_falls_from_the_clips_midst_is_told_as_any_fall_is() -> None:
    position, turns = TAKE.motion.position.copy(), TAKE.motion.rotations.copy()
    first = round(0.7 * RATE)
    turns[first:] = turns[first]  # it turns no further, and comes down so
    lows = BODY.lowest_points(*BODY.forward(position, turns)).min(axis=1)
    position[:, 2] += np.where(np.arange(len(position)) < first, 0.0, np.maximum(-lows, 0.0))
    whole = moved(TAKE, position, turns)
    cut_off = begun_at(0.7)
    motion = dataclasses.replace(cut_off.motion, position=position[first:], rotations=turns[first:])
    contacts = BODY.lowest_points(*BODY.forward(position, turns)) < 0.01
    fallen = dataclasses.replace(cut_off, motion=motion, contacts=contacts[first:])
    told, of_whole = happened(fallen), happened(dataclasses.replace(whole, contacts=contacts))
    assert (told.kind, told.part) == (of_whole.kind, of_whole.part) and told.kind != outcome.NEVER_LEFT
    assert told.frame + first == of_whole.frame


@pytest.mark.parametrize("told", [True, float("nan"), -1.0, 1e9, REFERENCE.duration, "0.5", None])
def test_a_beginning_that_makes_no_sense_is_the_first_frame(told: object) -> None:
    take = dataclasses.replace(TAKE, meta={metrics.BEGINS: told})
    assert metrics.begins_at(REFERENCE, take) == 0 and happened(take).kind == outcome.LANDED


def test_a_body_that_turns_about_while_it_tips_over_is_told_by_how_it_faced_last() -> None:
    """It tips over forward, and turns by a quarter while it no longer counts as upright."""
    clip, take = standing_and_then(X, 1.1 * np.pi / 2)
    share = np.clip((np.arange(take.motion.frames) - 95) / 15, 0, 1)
    turn = rotations.from_rotation_vector(np.pi / 2 * Z * share[:, None])
    position, turns = rotations.rotate(turn, take.motion.position), take.motion.rotations.copy()
    turns[:, 0] = rotations.multiply(turn, turns[:, 0])
    assert happened(moved(take, position, turns), clip).kind == outcome.FELL_FORWARD


def test_a_body_that_rolls_onto_its_back_while_it_falls_forward_fell_forward() -> None:
    clip, take = standing_and_then(X, 1.1 * np.pi / 2)
    turns = take.motion.rotations.copy()
    roll = np.radians(130) * np.clip((np.arange(len(turns)) - 90) / 25, 0, 1)[:, None]
    turns[:, 0] = rotations.multiply(turns[:, 0], rotations.from_rotation_vector(roll * Z))
    told = happened(moved(take, take.motion.position, turns), clip)
    assert told.kind == outcome.FELL_FORWARD and told.part != "chest", told


def test_who_sits_down_from_the_feet_after_a_leap_fell_backward() -> None:
    """Its feet came down first, for a tenth of a second: no leap onto its back."""
    leap = performances.somersault(BODY, turns=0.0)
    take, since = performances.performed(BODY, leap), TOUCHDOWN + 12
    position, turns = take.motion.position.copy(), take.motion.rotations.copy()
    share = np.clip((np.arange(len(position)) - since) / 30, 0, 1)
    for side in "LR":
        turns[:, BODY.index(f"thigh.{side}")] = rotations.from_rotation_vector(-np.pi / 2 * X * share[:, None])
        knee = -1.3 * np.array(HINGE_AXIS) * share[:, None]
        turns[:, BODY.index(f"shin.{side}")] = rotations.from_rotation_vector(knee)
    turns[:, 0] = rotations.from_rotation_vector(-0.5 * X * share[:, None])  # it leans back
    position += 0.6 * Y * share[:, None]
    lows = BODY.lowest_points(*BODY.forward(position, turns)).min(axis=1)
    position[:, 2] -= np.where(np.arange(len(position)) > since, lows, 0.0)
    lows = BODY.lowest_points(*BODY.forward(position, turns))
    told = what_happened(BODY, leap, dataclasses.replace(moved(take, position, turns), contacts=lows < 0.01))
    assert told.kind == outcome.FELL_BACKWARD and told.part == "seat", told


def test_whose_feet_came_down_first_however_short_fell_and_did_not_leap_onto_its_back() -> None:
    leap = performances.somersault(BODY, turns=0.0)
    take, since = performances.performed(BODY, leap), TOUCHDOWN + 10
    position, turns = take.motion.position.copy(), take.motion.rotations.copy()
    share = np.clip((np.arange(len(position)) - since) / 30, 0, 1)[:, None]
    turns[:, 0] = rotations.from_rotation_vector(-np.pi / 2 * X * share)
    position += Y * share
    hop = np.where(share[:, 0] < 1, 0.05, 0.0)  # they leave the floor again at once
    lows = BODY.lowest_points(*BODY.forward(position, turns)).min(axis=1)
    position[:, 2] -= np.where(share[:, 0] > 0, lows - hop, 0.0)
    lows = BODY.lowest_points(*BODY.forward(position, turns))
    told = what_happened(BODY, leap, dataclasses.replace(moved(take, position, turns), contacts=lows < 0.01))
    assert told.kind == outcome.FELL_BACKWARD and told.part != "feet", told


def test_a_stride_is_no_leap_and_no_dive_a_somersault() -> None:
    """Of a clip that stays on the floor: it dives with its feet in the air for a quarter of a second, head first."""
    clip, take = standing_and_then(X, 0.7 * np.pi, 1.5)
    hop = 0.12 * np.sin(np.pi * np.clip((np.arange(take.motion.frames) - 85) / 30, 0, 1))
    position = take.motion.position + hop[:, None] * Z
    lows = BODY.lowest_points(*BODY.forward(position, take.motion.rotations))
    dived = dataclasses.replace(moved(take, position), contacts=lows < 0.01)
    told = happened(dived, clip)
    assert (told.kind, told.part) == (outcome.FELL_FORWARD, "head"), told


@pytest.mark.parametrize("axis", [Y, -Y])
def test_what_comes_down_flat_on_its_side_after_a_leap_is_not_on_its_back(axis: np.ndarray) -> None:
    leap = performances.somersault(BODY, turns=0.0)
    told = what_happened(BODY, leap, comes_down(leap, np.pi / 2, axis=axis))
    assert told.kind == outcome.FELL_SIDEWAYS and abs(told.frame - TOUCHDOWN) <= 1, told


def test_a_body_that_never_gets_up_has_strayed_though_all_of_it_may_touch() -> None:
    """Lying on its back, gets up; and one that goes on lying there, and one that was up and lies again."""
    lying = performances.standing(BODY, 2.0, 60.0)
    down = np.clip(2.0 - np.arange(lying.frames) / 30, 0.0, 1.0)[:, None]  # from 1 s on it gets up

    def laid(motion: Motion, share: np.ndarray) -> Motion:
        turns = motion.rotations.copy()
        turns[:, 0] = rotations.from_rotation_vector(-np.pi / 2 * X * share)
        position = motion.position.copy()
        position[:, 2] -= BODY.lowest_points(*BODY.forward(position, turns)).min(axis=1)
        return dataclasses.replace(motion, position=position, rotations=turns)

    clip = laid(lying, down)
    take = performances.performed(BODY, clip, 1.0)
    frames = np.arange(take.motion.frames)[:, None] / RATE

    def told(share: np.ndarray) -> outcome.Outcome:
        motion = laid(take.motion, share)
        lows = BODY.lowest_points(*BODY.forward(motion.position, motion.rotations))
        return happened(dataclasses.replace(take, motion=motion, contacts=lows < 0.01), clip)

    assert told(np.interp(frames, [1.0, 2.0], [1.0, 0.0])).kind in (outcome.LANDED, outcome.STUMBLED)
    assert told(np.ones_like(frames)).kind == outcome.STRAYED
    sits_up = told(np.interp(frames, [1.0, 1.3, 1.6], [1.0, 0.6, 1.0]))
    assert sits_up.kind == outcome.STRAYED, "though its head, which the clip keeps off the floor, comes down"
    again = told(np.interp(frames, [1.0, 2.0, 2.3, 2.7], [1.0, 0.0, 0.0, 1.0]))
    assert again.kind == outcome.FELL_BACKWARD and again.part == "back" and 2.3 < again.at < 2.75, again


@pytest.mark.parametrize(("way", "kind"), [(1.0, outcome.STRAYED), (-1.0, outcome.FELL_BACKWARD)])
def test_who_goes_down_otherwise_than_its_clip_fell_and_who_goes_down_like_it_did_not_get_up(
    way: float, kind: str
) -> None:
    """The clip lies down on its front and gets up again."""
    standing = performances.standing(BODY, 3.0, 60.0)

    def down(motion: Motion, seconds: list[float], share: list[float], way: float) -> Motion:
        lean = np.interp(np.arange(motion.frames) / motion.rate, seconds, share)[:, None]
        turns, position = motion.rotations.copy(), motion.position.copy()
        turns[:, 0] = rotations.from_rotation_vector(way * np.pi / 2 * X * lean)
        position = rotations.rotate(rotations.from_rotation_vector(way * np.pi / 2 * X * lean), position)
        position[:, 2] -= BODY.lowest_points(*BODY.forward(position, turns)).min(axis=1)
        return dataclasses.replace(motion, position=position, rotations=turns)

    clip = down(standing, [0.5, 1.2, 2.0, 2.7], [0.0, 1.0, 1.0, 0.0], 1.0)
    take = performances.performed(BODY, clip, 1.0)
    still = performances.performed(BODY, standing, 1.0).motion
    motion = down(still, [0.5, 1.2], [0.0, 1.0], way)
    contacts = BODY.lowest_points(*BODY.forward(motion.position, motion.rotations)) < 0.01
    allowed = metrics.allowed_contacts(BODY, clip)
    contacts[:, ~allowed] = False  # all that comes down may
    assert happened(dataclasses.replace(take, motion=motion, contacts=contacts), clip).kind == kind
