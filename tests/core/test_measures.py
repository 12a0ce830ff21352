# SPDX-License-Identifier: GPL-3.0-or-later
"""Each measure on takes that were edited to be bad in one known way: the take must say so, and by how much."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from backflip_addon.core import metrics, rotations
from backflip_addon.core.arrays import Array
from backflip_addon.core.body import HINGE_AXIS
from backflip_addon.core.constants import GRAVITY
from backflip_addon.core.measures import balance
from backflip_addon.core.measures.course import Course
from backflip_addon.core.motion import Motion, Take
from tests.core import performances
from tests.core.made_up_takes import BODY, END, REFERENCE, TAKE, X, Y, Z, edited, loaded, measure, moved

STANDING = performances.standing(BODY, 2.0)
STOOD = loaded(performances.performed(BODY, STANDING))
WEIGHT = BODY.mass * GRAVITY


def of_standing(take: Take) -> metrics.Measures:
    return metrics.evaluate_motion(BODY, STANDING, take)


def lifted(take: Take, first: int, count: int, height: float, links: tuple[str, ...] | None = None) -> Take:
    """The take with its root, or the legs of those feet, raised for count frames; what is raised touches nothing."""
    contacts, turns = take.contacts.copy(), take.motion.rotations.copy()
    position = take.motion.position.copy()
    span = slice(first, first + count)
    if links is None:
        position[span, 2] += height * np.sin(np.pi * (np.arange(count) + 0.5) / count)
        contacts[span] = False
    for name in links or ():
        fold = np.arccos(1 - height / 0.8) * np.sin(np.pi * (np.arange(count) + 0.5) / count)
        side = name[-1]
        turns[span, BODY.index(f"thigh.{side}")] = rotations.from_axis_angle(-X, fold)
        turns[span, BODY.index(f"shin.{side}")] = rotations.from_axis_angle(np.array(HINGE_AXIS), -2 * fold)
        turns[span, BODY.index(name)] = rotations.from_axis_angle(-X, fold)
        contacts[span, BODY.index(name)] = False
    return dataclasses.replace(moved(take, position, turns), contacts=contacts)


# Feet


@pytest.mark.parametrize("frames", [6, 30])
def test_a_hop_that_the_clip_lacks_is_counted_after_its_flight_and_before(frames: int) -> None:
    after = measure(lifted(TAKE, END + 10, frames, 0.02))
    assert (after.hops, after.hops_after, after.steps) == (1, 1, 0)
    assert after.landed is True and after.landed_cleanly is False and after.flaws == ("hops",)
    before = measure(lifted(TAKE, 20, frames, 0.02))
    assert (before.hops, before.hops_after, before.steps) == (1, 0, 0) and before.landed_cleanly is False


def test_a_contact_that_flickers_is_no_hop() -> None:
    assert measure(lifted(TAKE, END + 10, 4, 0.001)).hops == 0, "33 ms"


def test_a_body_lifted_off_what_it_says_it_touches_is_in_the_air() -> None:
    position = TAKE.motion.position.copy()
    position[END + 10 : END + 25, 2] += 0.05
    assert measure(moved(TAKE, position)).hops == 1


def test_a_clips_own_hops_are_its_own_each_once() -> None:
    hopping = lifted(STOOD, 60, 40, 0.05).motion
    clip = dataclasses.replace(hopping, position=hopping.position[:241], rotations=hopping.rotations[:241])
    once = metrics.evaluate_motion(BODY, clip, lifted(STOOD, 66, 36, 0.05))
    assert once.hops == once.steps == 0, "50 ms later, and shorter, it is still the clip's"
    twice = metrics.evaluate_motion(BODY, clip, lifted(lifted(STOOD, 60, 18, 0.05), 84, 16, 0.05))
    assert twice.hops == 1
    assert metrics.evaluate_motion(BODY, clip, lifted(lifted(STOOD, 60, 40, 0.05), 160, 40, 0.05)).hops == 1


@pytest.mark.parametrize("side", ["L", "R"])
def test_a_foot_lifted_and_put_down_again_is_a_step(side: str) -> None:
    one = lifted(STOOD, 100, 30, 0.05, (f"foot.{side}",))
    measures = of_standing(one)
    assert (measures.steps, measures.hops) == (1, 0) and measures.flaws == (), "one step is to recover"
    two = lifted(one, 180, 30, 0.05, (f"foot.{side}",))
    assert of_standing(two).steps == 2 and of_standing(two).flaws == ("steps",)
    clip = Motion(120.0, one.motion.position, one.motion.rotations)
    assert metrics.evaluate_motion(BODY, clip, one).steps == 0, "the clip's own"


def test_a_foot_that_unloads_in_its_place_has_not_stepped() -> None:
    contacts = STOOD.contacts.copy()
    contacts[100:130, BODY.index("foot.L")] = False
    assert of_standing(dataclasses.replace(STOOD, contacts=contacts)).steps == 0


def slid(take: Take, metres: float, first: int, count: int) -> Take:
    """The take, its whole body carried sideways over count frames."""
    way = np.clip((np.arange(take.motion.frames) - first) / count, 0, 1)
    return moved(take, take.motion.position + metres * way[:, None] * np.array([0.6, -0.8, 0.0]))


@pytest.mark.parametrize("take", [TAKE, loaded(TAKE)])
def test_a_planted_foot_slid_by_3_cm(take: Take) -> None:
    measures = measure(slid(take, 0.03, END + 10, 12))
    assert measures.slide_cm == pytest.approx(3.0, abs=0.02)
    assert measures.landed is True and measures.landed_cleanly is False and measures.flaws == ("slide_cm",)
    assert measure(slid(take, 0.019, END + 10, 12)).flaws == ()


def test_a_slide_there_and_back_is_one() -> None:
    assert measure(slid(slid(TAKE, 0.03, END + 10, 12), -0.03, END + 30, 12)).slide_cm == pytest.approx(3.0, abs=0.02)


def test_slip_is_weighted_by_what_a_foot_carries() -> None:
    """The left foot moves at 0.4 m/s under a quarter of the weight."""
    turn = np.arange(STOOD.motion.frames) / 120.0 * 0.4 / 0.8
    gliding = slid(STOOD, 0.4 * 3.0, 0, 360)
    assert of_standing(gliding).slip_cm_s == pytest.approx(40.0, rel=1e-3)
    load = np.zeros_like(STOOD.load)
    load[:, BODY.index("foot.R")] = WEIGHT
    assert of_standing(dataclasses.replace(gliding, load=load)).slip_cm_s == pytest.approx(40.0, rel=1e-3)
    turns = STOOD.motion.rotations.copy()
    turns[:, BODY.index("thigh.L")] = rotations.from_axis_angle(-X, 0.02 * np.sin(turn))
    swinging = moved(STOOD, turns=turns)
    assert of_standing(dataclasses.replace(swinging, load=load)).slip_cm_s == pytest.approx(0.0, abs=1e-6)
    assert of_standing(swinging).slip_cm_s > 0.1
    assert of_standing(dataclasses.replace(gliding, load=None)).slip_cm_s is None


def test_a_foot_in_flight_near_the_floor_does_not_slip() -> None:
    """It is 1 cm over the floor, and moves at 1 m/s."""
    position = STOOD.motion.position + np.arange(STOOD.motion.frames)[:, None] / 120.0 * Y + 0.01 * Z
    none = np.zeros_like(STOOD.contacts)
    measures = of_standing(dataclasses.replace(moved(STOOD, position), contacts=none, load=np.zeros_like(STOOD.load)))
    assert measures.slip_cm_s == 0.0 and measures.slide_cm == 0.0


def on_left_foot(turn: Array, pivots: Array, places: Array) -> Take:
    """The whole body turned (F, 4) as its left foot is, whose points pivots (F, 3) are at places (F, 3): what the foot
    does is what counts."""
    foot, frames = BODY.index("foot.L"), len(turn)
    turns = performances.neutral(BODY, frames)
    neutral = BODY.forward(np.zeros(3), turns[0])[0][foot]
    turns[:, 0] = turn
    position = places - rotations.rotate(turn, neutral + pivots)
    contacts = np.zeros((frames, len(BODY.links)), dtype=bool)
    contacts[:, foot] = True
    return Take(Motion(120.0, position, turns), contacts, np.zeros(frames), np.zeros(frames), {})


def sole_corner(x: float, y: float) -> Array:
    """A corner of the left foot's sole, in the foot's frame; x, y -1 to 1."""
    shape = BODY.links[BODY.index("foot.L")].shapes[0]
    return np.array(shape.position) + np.array(shape.size) * [x, y, -1]


def test_a_foot_that_rolls_from_heel_to_toe_does_not_slide() -> None:
    roll = np.linspace(-0.5, 0.8, 120)  # about the heel, then about the toes
    edges = [sole_corner(0, 1), sole_corner(0, -1)]
    pivots = np.where((roll < 0)[:, None], edges[0], edges[1])
    places = pivots * [1, 1, 0]  # where they are with the foot flat
    assert of_standing(on_left_foot(rotations.from_axis_angle(X, roll), pivots, places)).slide_cm < 0.3


def test_a_foot_that_turns_about_the_corner_it_stands_on_does_not_slide_but_one_whose_corner_moves_does() -> None:
    frames = 120
    tipped = rotations.multiply(rotations.from_axis_angle(X, -0.06), rotations.from_axis_angle(Y, 0.06))
    turning = rotations.from_axis_angle(Z, np.linspace(0.0, 0.5, frames))
    corner = min((sole_corner(x, y) for x in (-1, 1) for y in (-1, 1)), key=lambda c: rotations.rotate(tipped, c)[2])
    turn, pivots = rotations.multiply(turning, tipped), np.repeat(corner[None], frames, axis=0)
    on_the_spot = on_left_foot(turn, pivots, np.zeros((frames, 3)))
    assert of_standing(on_the_spot).slide_cm < 0.1
    assert of_standing(slid(on_the_spot, 0.03, 30, 60)).slide_cm == pytest.approx(3.0, abs=0.1)
    flat = on_left_foot(turning, pivots, np.zeros((frames, 3)))
    assert of_standing(flat).slide_cm > 3.0  # the rest of the sole sweeps the floor


def test_the_impact_is_the_floors_force_over_50_ms() -> None:
    load = STOOD.load.copy()
    assert of_standing(STOOD).landing_bw == pytest.approx(1.0)
    load[100:103] *= 11.0  # 25 ms of ten body weights more
    assert of_standing(dataclasses.replace(STOOD, load=load)).landing_bw == pytest.approx(1 + 10 * 3 / 6)
    heavier = dataclasses.replace(STOOD, meta={"scene": {"mass": 2.0}})
    assert of_standing(heavier).landing_bw == pytest.approx(0.5)
    assert of_standing(dataclasses.replace(STOOD, load=None)).landing_bw is None


@pytest.mark.parametrize("scene", [None, 5, {}, {"mass": "heavy"}, {"mass": float("nan")}, {"mass": -1.0}])
def test_a_scene_that_makes_no_sense_changes_nothing(scene: object) -> None:
    assert of_standing(dataclasses.replace(STOOD, meta={"scene": scene})).landing_bw == pytest.approx(1.0)


# Joints and parts


def test_an_arm_through_the_trunk() -> None:
    """The upper arm turns inward until the forearm's axis runs through the spine."""

    def edit(position: np.ndarray, turns: np.ndarray, seconds: np.ndarray) -> None:
        arm = rotations.from_axis_angle(np.array([0.0, 1.0, 0.0]), 1.0 * (seconds > 0.2))
        turns[:, BODY.index("upper_arm.L")] = arm

    assert measure(TAKE).self_penetration_cm < 0.5
    measures = measure(edited(TAKE, edit))
    assert measures.self_penetration_cm > 5.0 and "self_penetration_cm" in measures.flaws
    assert measures.self_penetration_s == pytest.approx(0.8, abs=0.02)
    assert measures.landed_cleanly is False


def test_a_head_turned_by_150_degrees() -> None:
    turns = TAKE.motion.rotations.copy()
    turns[END:, BODY.index("head")] = rotations.from_axis_angle(Z, np.radians(150))
    measures = measure(moved(TAKE, turns=turns))
    assert measures.limit_excess_deg == pytest.approx(70, abs=0.1), "people turn theirs by 80"
    assert measures.landed_cleanly is False and "limit_excess_deg" in measures.flaws


@pytest.mark.parametrize(("bend", "excess"), [(0.1, 5.73), (-1.0, 0.0), (-2.9, 11.46)])
def test_a_knee_bent_past_its_hinges_limits(bend: float, excess: float) -> None:
    turns = TAKE.motion.rotations.copy()
    shin = BODY.index("shin.R")
    low, high = BODY.links[shin].limits
    assert (low, high) == (-2.7, 0.05)
    turns[60, shin] = rotations.from_axis_angle(np.array(HINGE_AXIS), bend)
    expected = np.degrees(max(bend - high, low - bend, 0.0))
    assert measure(moved(TAKE, turns=turns)).limit_excess_deg == pytest.approx(expected, abs=0.01)


def waving(frequency: float, angle: float = 0.3) -> Motion:
    """Standing, the left arm swung to and fro."""
    motion = performances.standing(BODY, 4.0, 120.0)
    turns = motion.rotations.copy()
    swing = angle * np.sin(2 * np.pi * frequency * np.arange(motion.frames) / 120.0)
    turns[:, BODY.index("upper_arm.L")] = rotations.from_axis_angle(X, swing)
    return dataclasses.replace(motion, rotations=turns)


def shaken(frequency: float, angle: float) -> float | None:
    """The shake of a slow wave with a fast one on top of it."""
    clip, fast = waving(1.0), waving(frequency, angle)
    take = performances.performed(BODY, clip, tail=0.0)
    turns = rotations.multiply(take.motion.rotations, fast.rotations)
    return metrics.evaluate_motion(BODY, clip, moved(take, turns=turns)).shake


def test_a_limb_that_shakes_at_15_hz() -> None:
    """Two sines have power as the squares of their angles: 0.03 rad against 0.3 is a hundredth of it."""
    assert shaken(15.0, 0.0) < 1.0, "the clip's own share"
    share = 0.03**2 / (0.3**2 + 0.03**2) * 1e4  # over what a clip counts as having at least
    assert shaken(15.0, 0.03) == pytest.approx(share, rel=0.1)
    assert shaken(25.0, 0.03) == pytest.approx(share, rel=0.1), "nor does it matter how fast"
    assert shaken(5.0, 0.03) < 1.0, "people move so fast"


def test_a_clip_that_shakes_allows_it() -> None:
    clip = waving(12.0)
    measures = metrics.evaluate_motion(BODY, clip, performances.performed(BODY, clip, tail=0.0))
    assert measures.shake == pytest.approx(1.0, rel=0.01)
    slow = clip.resampled(12.0)
    assert metrics.evaluate_motion(BODY, slow, performances.performed(BODY, slow, tail=0.0, rate=12.0)).shake is None


# Falling


def walking() -> Motion:
    """Upright all the way at 1 m/s: a clip that does not end standing."""
    motion = performances.standing(BODY, 2.0)
    return dataclasses.replace(motion, position=motion.position - np.arange(motion.frames)[:, None] / 30.0 * Y)


def fallen(degrees: float, sinking: float) -> metrics.Measures:
    """The walk, in its last half second tilted and sinking by so much more than the clip."""
    clip = walking()
    take = performances.performed(BODY, clip, tail=0.0)

    def edit(position: np.ndarray, turns: np.ndarray, seconds: np.ndarray) -> None:
        tilt = rotations.from_axis_angle(X, np.radians(degrees) * np.minimum(2 * seconds, 1.0))
        turns[:, 0] = rotations.multiply(tilt, turns[:, 0])
        position[:, 2] -= sinking * seconds

    return metrics.evaluate_motion(BODY, clip, edited(take, edit, 1.5))


def test_who_tilts_or_sinks_more_than_the_clip_falls() -> None:
    assert fallen(0.0, 0.0).success is True and fallen(0.0, 0.0).landed is None
    assert fallen(13.0, 0.0).success is True and fallen(17.0, 0.0).success is False
    assert fallen(0.0, 0.3).success is True and fallen(0.0, 0.6).success is False
    assert fallen(17.0, 0.0).followed == fallen(0.0, 0.6).followed == 1.0, "it is near its clip all the same"


def leaping(height: float) -> Motion:
    """The walk, with a leap of so many metres after half a second."""
    clip = walking()
    air = 2 * np.sqrt(2 * height / 9.81)
    way = np.clip((np.arange(clip.frames) / 30.0 - 0.5) / air, 0, 1)
    return dataclasses.replace(clip, position=clip.position + 4 * height * (way * (1 - way))[:, None] * Z)


def test_who_comes_down_from_higher_than_its_clip_does_not_fall() -> None:
    clip, take = leaping(0.1), performances.performed(BODY, leaping(0.3), tail=0.0)
    assert metrics.evaluate_motion(BODY, clip, take).success is True, "it comes down a metre a second faster"
    course, reference = Course.of_take(BODY, take), Course.of_clip(BODY, clip)
    down = (course.times > 0.8) & (course.times < 1.1)

    def falls(*parts: str) -> bool:
        touching = course.touching.copy()
        touching[np.ix_(down, [BODY.index(name) for name in parts])] = True
        return balance.falls(dataclasses.replace(course, touching=touching), reference)

    assert not falls("foot.L", "foot.R"), "its legs bend"
    assert falls("foot.L", "foot.R", "hand.L"), "it ends up on a hand"


def test_a_clip_that_lies_down_may_be_followed_down() -> None:
    motion = performances.standing(BODY, 2.0, 60.0)
    seconds = np.arange(motion.frames) / 60.0
    lean = rotations.from_axis_angle(-X, np.clip(seconds - 0.5, 0, 1) * np.pi / 2)
    clip = dataclasses.replace(motion, rotations=motion.rotations.copy(), position=motion.position.copy())
    clip.rotations[:, 0] = lean
    clip.position[:, 2] *= 1 - 0.8 * np.clip(seconds - 0.5, 0, 1)
    take = performances.performed(BODY, clip, tail=0.0)
    assert metrics.evaluate_motion(BODY, clip, take).success is True
    late = dataclasses.replace(clip, position=clip.position[:-6], rotations=clip.rotations[:-6])
    position, turns = (
        np.concatenate([a[:1].repeat(6, axis=0), b])
        for a, b in ((late.position, late.position), (late.rotations, late.rotations))
    )
    take = performances.performed(BODY, dataclasses.replace(clip, position=position, rotations=turns), tail=0.0)
    assert metrics.evaluate_motion(BODY, clip, take).success is True, "a tenth of a second later"


# The whole


def test_a_turn_that_the_clip_lacks_is_no_landing() -> None:
    """A turn about the vertical in a second, begun and ended before the clip's flight."""
    seconds = np.arange(TAKE.motion.frames) / 120.0
    for turn, expected in ((2 * np.pi, False), (np.radians(25), True)):
        spin = rotations.from_axis_angle(Z, turn * np.clip(seconds / 0.4, 0, 1))
        turns = TAKE.motion.rotations.copy()
        turns[:, 0] = rotations.multiply(spin, turns[:, 0])
        measures = measure(moved(TAKE, turns=turns))
        assert measures.twist_off_deg == pytest.approx(np.degrees(turn), abs=0.1)
        assert measures.landed is expected


@pytest.mark.parametrize(
    ("landings", "cleanly"), [(None, None), (20, True), (16, True), (15, False), (0, False), (21, None), ("20", None)]
)
def test_nobody_lands_cleanly_whose_robustness_is_not_known(landings: object, cleanly: bool | None) -> None:
    meta = {metrics.ROBUST: landings}
    measures = measure(dataclasses.replace(TAKE, meta=meta))
    assert measures.landed is True and measures.landed_cleanly is cleanly
    hopped = measure(dataclasses.replace(lifted(TAKE, END + 10, 30, 0.02), meta=meta))
    assert hopped.landed_cleanly is False and hopped.flaws


def test_a_take_on_one_leg_that_holds_the_other_a_hair_over_the_floor_stands_on_one() -> None:
    """The corners of a foot within 1 cm of the floor would hold it up, if it touched."""
    contacts = TAKE.contacts.copy()
    contacts[END + 20 :, BODY.index("foot.L")] = False
    assert measure(dataclasses.replace(TAKE, contacts=contacts)).landed is False


def test_older_takes_leave_out_what_was_not_recorded() -> None:
    measures = measure(TAKE)
    assert (measures.slip_cm_s, measures.landing_bw, measures.robust_of_20) == (None, None, None)
    whole = measure(loaded(TAKE)).to_json()
    assert whole["slip_cm_s"] is not None and json.loads(json.dumps(whole, allow_nan=False)) == whole


def test_loads_that_are_no_numbers_end_a_take() -> None:
    take = loaded(TAKE)
    take.load[100:] = np.nan
    assert measure(take).complete is False and REFERENCE.frames > 0
