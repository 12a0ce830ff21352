# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures of truth on made-up takes, each wrong in exactly one known way."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable

import numpy as np
import pytest

from backflip_addon.core import metrics, rotations
from backflip_addon.core.body import HINGE_AXIS
from backflip_addon.core.motion import Motion, Take
from tests.core import performances

BODY = performances.body()
X, Y, Z = np.eye(3)
REFERENCE = performances.somersault(BODY)
TAKE = performances.performed(BODY, REFERENCE)
END = round(REFERENCE.duration * 120)  # frame of the take at the clip's end


def measure(take: Take, reference: Motion = REFERENCE) -> metrics.Measures:
    return metrics.evaluate_take(BODY, reference, take)


def moved(take: Take, position: np.ndarray | None = None, turns: np.ndarray | None = None) -> Take:
    """The take with other poses; contacts stay as they are."""
    motion = take.motion
    position = motion.position if position is None else position
    return dataclasses.replace(
        take,
        motion=dataclasses.replace(motion, position=position, rotations=motion.rotations if turns is None else turns),
    )


def touching(link: str, frame: int) -> Take:
    contacts = TAKE.contacts.copy()
    contacts[frame, BODY.index(link)] = True
    return dataclasses.replace(TAKE, contacts=contacts)


def cut(take: Take, frames: int) -> Take:
    """The first frames of a take."""
    motion = dataclasses.replace(
        take.motion, position=take.motion.position[:frames], rotations=take.motion.rotations[:frames]
    )
    return Take(motion, take.contacts[:frames], take.torque[:frames], take.assist[:frames], take.meta)


def leaning(angle: float, first: int) -> Take:
    """Leaning forward from frame first on: the whole body about its ankles, its feet left flat."""
    position, turns = TAKE.motion.position.copy(), TAKE.motion.rotations.copy()
    lean = rotations.from_axis_angle(X, angle)
    turns[first:, 0] = rotations.multiply(lean, turns[first:, 0])
    for side in ("L", "R"):
        foot = BODY.index(f"foot.{side}")
        turns[first:, foot] = rotations.multiply(rotations.conjugate(lean), turns[first:, foot])
    ankle = np.array([0.0, 0.0, performances.hips_height(BODY) - leg_to_ankle()])
    position[first:] = ankle + rotations.rotate(lean, position[first:] - ankle)
    return moved(TAKE, position, turns)


def leg_to_ankle() -> float:
    return -sum(BODY.links[BODY.index(f"{part}.L")].offset[2] for part in ("thigh", "shin", "foot"))


def test_a_perfect_take_landed() -> None:
    measures = measure(TAKE)
    assert measures.landed is True and measures.success is True
    assert measures.somersault_deg == pytest.approx(-360, abs=1)
    assert measures.reference_somersault_deg == pytest.approx(-360, abs=1)
    assert measures.g_mpjpe_mm == pytest.approx(0, abs=1e-6) and measures.mpjpe_mm == pytest.approx(0, abs=1e-6)
    assert measures.followed == 1.0 and measures.assist == 0.0 and measures.torque == 0.5
    assert measures.illegal_contacts == () and measures.complete is True
    assert measures.jerk_ratio == pytest.approx(1.0, abs=1e-6)
    assert metrics.score(measures) == pytest.approx(1.0, abs=1e-6)


def test_measures_are_plain_json() -> None:
    as_json = measure(TAKE).to_json()
    assert json.loads(json.dumps(as_json, allow_nan=False)) == as_json


@pytest.mark.parametrize("link", ["head", "chest", "pelvis", "hand.L", "shin.R", "thigh.L", "forearm.R"])
@pytest.mark.parametrize("frame", [0, END, len(TAKE.assist) - 1])
def test_one_illegal_contact_and_it_is_no_landing(link: str, frame: int) -> None:
    measures = measure(touching(link, frame))
    assert measures.landed is False and measures.illegal_contacts == (link,)


def test_any_assist_at_all_is_no_landing_and_no_success() -> None:
    assist = np.zeros_like(TAKE.assist)
    assist[7] = 1e-9
    measures = measure(dataclasses.replace(TAKE, assist=assist))
    assert measures.landed is False and measures.success is False and measures.assist == 1e-9


def test_assist_counts_whatever_its_sign() -> None:
    assist = np.zeros_like(TAKE.assist)
    assist[7] = -5.0
    measures = measure(dataclasses.replace(TAKE, assist=assist))
    assert measures.landed is False and measures.success is False


def test_torque_past_its_limit_is_no_landing() -> None:
    torque = TAKE.torque.copy()
    torque[50] = 1.0
    assert measure(dataclasses.replace(TAKE, torque=torque)).landed is True, "at the limit is within it"
    torque[50] = 1.01
    assert measure(dataclasses.replace(TAKE, torque=torque)).landed is False


@pytest.mark.parametrize("missing", [1.0, 0.5, 0.05])
def test_a_take_cut_short_is_no_landing(missing: float) -> None:
    measures = measure(cut(TAKE, len(TAKE.assist) - round(missing * 120)))
    assert measures.landed is False and measures.success is False and measures.complete is False


def test_a_take_that_ends_in_the_air() -> None:
    measures = measure(cut(TAKE, round(0.75 * 120)))
    assert measures.landed is False and measures.success is False


@pytest.mark.parametrize("degrees", [28.0, 32.0])
@pytest.mark.parametrize("axis", [X, Y])
def test_tilt(degrees: float, axis: np.ndarray) -> None:
    """The trunk tilts for good after landing, the legs stay under it."""
    turns = TAKE.motion.rotations.copy()
    tilt = rotations.from_axis_angle(axis, np.radians(degrees))
    turns[END:, 0] = rotations.multiply(turns[END:, 0], tilt)
    for link in ("thigh.L", "thigh.R", "chest"):
        i = BODY.index(link)
        turns[END:, i] = rotations.multiply(rotations.conjugate(tilt), turns[END:, i])
    measures = measure(moved(TAKE, turns=turns))
    # The hips' offset turns with the root: sideways, one foot leaves the floor, the other holds
    assert measures.success is (degrees < 30)
    if axis is X:
        assert measures.landed is (degrees < 30)


def test_centre_of_mass_off_the_feet() -> None:
    upright, leant = measure(leaning(np.radians(4), END)), measure(leaning(np.radians(20), END))
    assert upright.landed is True
    assert leant.landed is False, "20 degrees put it 30 cm ahead of the ankles"
    assert leant.success is True, "success asks for tilt alone"


def test_a_last_lean_is_enough() -> None:
    assert measure(leaning(np.radians(20), len(TAKE.assist) - 3)).landed is False


def test_without_the_somersault() -> None:
    jump = performances.performed(BODY, performances.somersault(BODY, turns=0.0))
    measures = measure(jump)
    assert measures.landed is False and measures.somersault_deg == pytest.approx(0, abs=1)
    assert metrics.evaluate_take(BODY, performances.somersault(BODY, turns=0.0), jump).landed is True


def test_the_somersault_in_the_other_direction() -> None:
    measures = measure(performances.performed(BODY, performances.somersault(BODY, turns=1.0)))
    assert measures.landed is False and measures.somersault_deg == pytest.approx(360, abs=1)


def test_half_of_a_double_somersault_is_no_landing() -> None:
    double = performances.somersault(BODY, turns=-2.0)
    assert metrics.evaluate_take(BODY, double, performances.performed(BODY, double)).landed is True
    assert metrics.evaluate_take(BODY, double, TAKE).landed is False


def test_a_hop_at_the_end_is_no_standing() -> None:
    position, contacts = TAKE.motion.position.copy(), TAKE.contacts.copy()
    hop = slice(len(position) - 50, len(position) - 40)
    position[hop, 2] += 0.05
    contacts[hop] = False
    measures = measure(dataclasses.replace(moved(TAKE, position), contacts=contacts))
    assert measures.landed is False, "0.33 s after the last touchdown are not 0.5 s"
    longer = performances.performed(BODY, REFERENCE, settle=2.0)
    position, contacts = longer.motion.position.copy(), longer.contacts.copy()
    position[hop, 2] += 0.05
    contacts[hop] = False
    assert measure(dataclasses.replace(moved(longer, position), contacts=contacts)).landed is True


def test_never_on_the_floor_is_no_landing() -> None:
    take = moved(TAKE, TAKE.motion.position + 0.5 * Z)
    contacts = np.zeros_like(TAKE.contacts)
    measures = measure(dataclasses.replace(take, contacts=contacts))
    assert measures.landed is False and measures.success is False


def test_success_is_lost_past_35_cm() -> None:
    for offset, expected in ((0.34, True), (0.36, False)):
        position = TAKE.motion.position.copy()
        position[60:70, 0] += offset
        measures = measure(moved(TAKE, position))
        assert measures.success is expected
        assert measures.worst_error_mm == pytest.approx(offset * 1000)
        assert (measures.followed == 1.0) is expected
        if not expected:
            assert measures.followed == pytest.approx(60 / END, abs=0.01)


def test_errors_of_a_shifted_take() -> None:
    measures = measure(moved(TAKE, TAKE.motion.position + [0.06, 0.08, 0.0]))
    assert measures.g_mpjpe_mm == pytest.approx(100.0) and measures.mpjpe_mm == pytest.approx(0.0, abs=1e-6)
    assert metrics.score(measures) == pytest.approx(np.exp(-0.2))


def test_error_of_one_raised_arm() -> None:
    """One elbow at a right angle: only the hand moves, by the forearm's length times root two."""
    turns = TAKE.motion.rotations.copy()
    turns[:, BODY.index("forearm.L")] = rotations.from_axis_angle(-X, np.pi / 2)
    hand = np.linalg.norm(BODY.links[BODY.index("hand.L")].offset)
    measures = measure(moved(TAKE, turns=turns))
    expected = 1000 * hand * np.sqrt(2) / len(BODY.links)
    assert measures.mpjpe_mm == pytest.approx(expected) and measures.g_mpjpe_mm == pytest.approx(expected)


@pytest.mark.parametrize("what", ["position", "rotations"])
def test_numbers_that_are_none_are_no_landing(what: str) -> None:
    values = getattr(TAKE.motion, what).copy()
    values[100:] = np.nan
    take = dataclasses.replace(TAKE, motion=dataclasses.replace(TAKE.motion, **{what: values}))
    measures = measure(take)
    assert measures.landed is False and measures.success is False
    assert 0.0 <= metrics.score(measures) < 1.0
    json.dumps(measures.to_json(), allow_nan=False)
    values[:] = np.nan
    with pytest.raises(ValueError):
        measure(dataclasses.replace(TAKE, motion=dataclasses.replace(TAKE.motion, **{what: values})))


# Ends standing, allowed contacts


def ended(change: Callable[[np.ndarray, np.ndarray], None]) -> bool:
    motion = performances.standing(BODY)
    position, turns = motion.position.copy(), motion.rotations.copy()
    change(position, turns)
    return metrics.ends_standing(BODY, dataclasses.replace(motion, position=position, rotations=turns))


def test_clips_that_end_standing_and_others() -> None:
    frames = 31

    def squat(position: np.ndarray, turns: np.ndarray) -> None:
        performances.bent(BODY, turns, np.full(frames, np.radians(60)))
        position[:, 2] = performances.crouched_height(BODY, np.radians(60))

    def lie(position: np.ndarray, turns: np.ndarray) -> None:
        turns[:, 0] = rotations.from_axis_angle(X, -np.pi / 2)
        position[:, 2] = 0.15

    def walk(position: np.ndarray, turns: np.ndarray) -> None:
        position[:, 1] -= np.arange(frames) / 30.0

    def fly(position: np.ndarray, turns: np.ndarray) -> None:
        position[:, 2] += 0.2

    assert ended(lambda position, turns: None)
    assert not any(ended(change) for change in (squat, lie, walk, fly))


def test_a_clip_that_does_not_end_standing_has_nothing_to_land() -> None:
    motion = performances.standing(BODY)
    walk = dataclasses.replace(motion, position=motion.position - np.arange(31)[:, None] / 30.0 * Y)
    measures = metrics.evaluate_take(BODY, walk, performances.performed(BODY, walk, settle=0.0))
    assert measures.landed is None and measures.success is True


def test_only_feet_may_touch_in_a_standing_clip() -> None:
    allowed = metrics.allowed_contacts(BODY, performances.standing(BODY))
    assert {BODY.names[i] for i in np.flatnonzero(allowed)} == {"foot.L", "foot.R"}


def test_a_crouch_allows_no_shins_and_kneeling_does() -> None:
    motion = performances.standing(BODY)
    bend = np.full(motion.frames, np.radians(75))
    turns = performances.bent(BODY, motion.rotations.copy(), bend)
    position = motion.position.copy()
    position[:, 2] = performances.crouched_height(BODY, bend)
    crouch = dataclasses.replace(motion, position=position, rotations=turns)
    assert not metrics.allowed_contacts(BODY, crouch)[BODY.index("shin.L")]
    turns = motion.rotations.copy()
    turns[:, BODY.index("shin.L")] = rotations.from_axis_angle(X, np.pi / 2)
    position[:, 2] = -BODY.links[BODY.index("shin.L")].offset[2] + 0.05
    kneel = dataclasses.replace(motion, position=position, rotations=turns)
    allowed = metrics.allowed_contacts(BODY, kneel)
    assert allowed[BODY.index("shin.L")]


def test_a_hand_on_the_floor_is_allowed_where_the_reference_puts_it() -> None:
    motion = performances.standing(BODY)
    hand = BODY.lowest_points(*BODY.forward(motion.position, motion.rotations))[0, BODY.index("hand.L")]
    sunk = dataclasses.replace(motion, position=motion.position - [0, 0, hand])
    assert metrics.allowed_contacts(BODY, sunk)[BODY.index("hand.L")]


# Single measures


def test_somersaults_are_counted() -> None:
    start = rotations.from_rotation_vector([0.2, 0.4, 1.0])
    for turns in (-2.5, -1.0, 0.0, 0.25, 3.0):
        angles = np.linspace(0, 2 * np.pi * turns, 240)
        root = rotations.multiply(start, rotations.from_axis_angle(X, angles))
        assert metrics.net_somersault(root) == pytest.approx(2 * np.pi * turns, abs=1e-6)


def test_a_pirouette_is_no_somersault_and_a_turn_back_cancels() -> None:
    assert metrics.net_somersault(rotations.from_axis_angle(Z, np.linspace(0, 9, 100))) == pytest.approx(0, abs=1e-9)
    there_and_back = np.concatenate([np.linspace(0, 4, 50), np.linspace(4, 0, 50)])
    assert metrics.net_somersault(rotations.from_axis_angle(X, there_and_back)) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("rate", [30.0, 120.0])
@pytest.mark.parametrize("speed", [0.0, 0.25, 2.0])
def test_sliding_feet(speed: float, rate: float) -> None:
    motion = performances.standing(BODY, 1.0, rate)
    slide = np.arange(motion.frames)[:, None] / rate * speed * np.array([0.6, -0.8, 0.0])
    positions, turns = BODY.forward(motion.position + slide, motion.rotations)
    assert metrics.foot_skate(BODY, positions, turns, rate) == pytest.approx(speed)


def test_feet_above_3_cm_do_not_skate() -> None:
    motion = performances.standing(BODY)
    slide = np.arange(motion.frames)[:, None] * 0.1 * X
    for height, expected in ((0.029, 3.0), (0.031, 0.0)):
        positions, turns = BODY.forward(motion.position + slide + height * Z, motion.rotations)
        assert metrics.foot_skate(BODY, positions, turns, 30.0) == pytest.approx(expected)


def test_one_foot_sliding_of_two_down_is_half_the_speed() -> None:
    motion = performances.standing(BODY)
    positions, turns = BODY.forward(motion.position, motion.rotations)
    positions[:, BODY.index("foot.L"), 0] += np.arange(motion.frames) / 30.0 * 0.4
    assert metrics.foot_skate(BODY, positions, turns, 30.0) == pytest.approx(0.2)


def test_a_foot_that_rolls_over_its_toes_does_not_skate() -> None:
    motion = performances.standing(BODY)
    positions, turns = BODY.forward(motion.position, motion.rotations)
    foot = BODY.index("foot.L")
    box = BODY.links[foot].shapes[0]
    toes = np.array(box.position) + np.array(box.size) * [0, -1, -1]
    roll = rotations.from_axis_angle(X, np.linspace(0, 1.0, motion.frames))
    pivot = positions[:, foot] + toes
    turns[:, foot] = roll
    positions[:, foot] = pivot - rotations.rotate(roll, toes)
    assert metrics.foot_skate(BODY, positions, turns, 30.0) == pytest.approx(0.0, abs=0.02)


def test_penetration_is_the_deepest_point() -> None:
    position = TAKE.motion.position.copy()
    position[40, 2] -= 0.025
    assert measure(moved(TAKE, position)).penetration_cm == pytest.approx(2.5 + measure(TAKE).penetration_cm, abs=0.01)
    assert measure(moved(TAKE, TAKE.motion.position + 0.1 * Z)).penetration_cm == 0.0


def test_jerk_of_sines() -> None:
    """The jerk of a sin(w t) is a w^3 |cos(w t)|: its mean is a w^3 2/pi over whole periods."""
    rate, seconds = 120.0, 2 * np.pi
    times = np.arange(round(seconds * rate)) / rate

    def track(a: float, w: float) -> np.ndarray:
        return np.tile((a * np.sin(w * times))[:, None, None], (1, 4, 1)) * np.array([0.6, 0.0, 0.8])

    during = np.ones(len(times), dtype=bool)
    ratio = metrics.jerk_ratio(track(0.3, 2.0), track(0.1, 3.0), during, rate, 60.0)
    assert ratio == pytest.approx(0.3 * 2**3 / (0.1 * 3**3), rel=0.02)
    assert metrics.jerk_ratio(track(0.3, 2.0), track(0.3, 2.0), during, rate, 16.0) == pytest.approx(1.0)


def test_jerk_looks_at_the_clip_alone() -> None:
    rate = 120.0
    times = np.arange(480) / rate
    track = np.tile(np.sin(3 * times)[:, None, None], (1, 2, 3))
    noisy = track.copy()
    noisy[300:] += np.random.default_rng(0).normal(size=noisy[300:].shape)
    assert metrics.jerk_ratio(noisy, track, times < 2.0, rate, 30.0) == pytest.approx(1.0)


@pytest.mark.parametrize(("axis", "sign"), [(0, 1), (0, -1), (1, 1), (1, -1)])
def test_who_stands_has_the_centre_of_mass_1_cm_inside_the_soles(axis: int, sign: int) -> None:
    """A shifted pelvis weight puts the centre of mass anywhere; the feet are boxes added up by hand."""
    motion = performances.standing(BODY, 1.0)
    positions, turns = BODY.forward(motion.position, motion.rotations)
    edges = []
    for side in ("L", "R"):
        foot = BODY.index(f"foot.{side}")
        box = BODY.links[foot].shapes[0]
        edges.append(positions[0, foot, axis] + box.position[axis] + sign * box.size[axis])
    edge = max(edges, key=lambda e: sign * e) - sign * 0.01
    now = BODY.centre_of_mass(positions, turns)[0, axis]
    pelvis = BODY.links[0]
    for beyond, expected in ((-0.006, True), (0.006, False)):
        centre = np.array(pelvis.centre)
        centre[axis] += (edge + sign * beyond - now) * BODY.mass / pelvis.mass
        links = (dataclasses.replace(pelvis, centre=tuple(centre)), *BODY.links[1:])
        shifted = dataclasses.replace(BODY, links=links)
        assert metrics.stands_after_touchdown(shifted, motion, positions, turns) == expected
        assert metrics.standing_margin(shifted, motion, positions, turns) == pytest.approx(0.01 - beyond, abs=0.002)


def gliding(position: np.ndarray, turns: np.ndarray, seconds: np.ndarray) -> None:
    position[:, 1] += 0.5 * seconds


def spinning(position: np.ndarray, turns: np.ndarray, seconds: np.ndarray) -> None:
    spin = rotations.from_axis_angle(np.array([0.0, 0.0, 1.0]), 2 * np.pi * seconds)
    turns[:, 0] = rotations.multiply(spin, turns[:, 0])


def sinking(position: np.ndarray, turns: np.ndarray, seconds: np.ndarray) -> None:
    position[:, 2] -= 0.15 * (seconds > 0)


def hovering(position: np.ndarray, turns: np.ndarray, seconds: np.ndarray) -> None:
    position[:, 2] += 0.20 * (seconds > 0)


def tipping(position: np.ndarray, turns: np.ndarray, seconds: np.ndarray) -> None:
    lean = rotations.from_axis_angle(np.array([1.0, 0.0, 0.0]), np.radians(35) * np.minimum(seconds * 4, 1.0))
    turns[:, 0] = rotations.multiply(lean, turns[:, 0])


def raising_a_foot(position: np.ndarray, turns: np.ndarray, seconds: np.ndarray) -> None:
    """The left thigh and shin fold up; the weight stays between the feet."""
    fold = 1.2 * np.minimum(seconds * 4, 1.0)
    turns[:, BODY.index("thigh.L")] = rotations.from_axis_angle(np.array([-1.0, 0.0, 0.0]), fold)
    turns[:, BODY.index("shin.L")] = rotations.from_axis_angle(np.array(HINGE_AXIS), -2 * fold)


@pytest.mark.parametrize("edit", [gliding, spinning, sinking, hovering, tipping, raising_a_foot])
def test_a_take_edited_to_be_bad_after_its_landing_has_not_landed(edit: Callable[..., None]) -> None:
    clip = performances.somersault(BODY)
    take = performances.performed(BODY, clip)
    assert metrics.evaluate_take(BODY, clip, take).landed, "before it is edited"
    position, turns = take.motion.position.copy(), take.motion.rotations.copy()
    seconds = np.maximum(np.arange(take.motion.frames) / take.motion.rate - clip.duration, 0.0)
    edit(position, turns, seconds)
    motion = dataclasses.replace(take.motion, position=position, rotations=turns)
    assert not metrics.evaluate_take(BODY, clip, dataclasses.replace(take, motion=motion)).landed


def test_leg_length_and_tilt() -> None:
    assert metrics.leg_length(BODY) == pytest.approx(performances.hips_height(BODY), abs=0.01)
    turns = np.zeros((3, 15, 4))
    turns[:, 0] = rotations.from_axis_angle(Y, np.array([0.0, 1.0, -2.0]))
    assert np.allclose(metrics.root_tilt(turns), [0.0, 1.0, 2.0])
