# SPDX-License-Identifier: GPL-3.0-or-later
"""What counts as landed and as success: made-up takes, each wrong in exactly one known way."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable

import numpy as np
import pytest

from backflip_addon.core import metrics, outcome, rotations
from backflip_addon.core.body import HINGE_AXIS
from backflip_addon.core.measures import balance
from backflip_addon.core.measures.course import Course
from tests.core import performances
from tests.core.made_up_takes import BODY, END, REFERENCE, TAKE, X, Z, cut, leaning, measure, moved, touching


def test_a_perfect_take_landed() -> None:
    measures = measure(TAKE)
    assert measures.landed is True and measures.success is True
    assert measures.somersault_deg == pytest.approx(-360, abs=1)
    assert measures.reference_somersault_deg == pytest.approx(-360, abs=1)
    assert measures.g_mpjpe_mm == pytest.approx(0, abs=1e-6) and measures.mpjpe_mm == pytest.approx(0, abs=1e-6)
    assert measures.followed == 1.0 and measures.hops == measures.steps == 0
    assert measures.illegal_contacts == () and measures.complete is True
    assert measures.slide_cm == pytest.approx(0, abs=1e-6) and measures.limit_excess_deg == 0.0
    assert measures.flaws == () and measures.landed_cleanly is None, "nobody has tried how robust it is"
    assert metrics.score(measures) == pytest.approx(1.0, abs=1e-6)


def test_measures_are_plain_json() -> None:
    as_json = measure(TAKE).to_json()
    assert json.loads(json.dumps(as_json, allow_nan=False)) == as_json


@pytest.mark.parametrize("link", ["head", "chest", "pelvis", "hand.L", "shin.R", "thigh.L", "forearm.R"])
@pytest.mark.parametrize("frame", [0, END, len(TAKE.assist) - 1])
def test_one_illegal_contact_and_it_is_no_landing(link: str, frame: int) -> None:
    measures = measure(touching(link, frame))
    assert measures.landed is False and measures.illegal_contacts == (link,)


@pytest.mark.parametrize("missing", [1.0, 0.5, 0.05])
def test_a_take_cut_short_is_no_landing(missing: float) -> None:
    measures = measure(cut(TAKE, len(TAKE.assist) - round(missing * 120)))
    assert measures.landed is False and measures.success is False and measures.complete is False


def test_a_take_that_ends_in_the_air() -> None:
    measures = measure(cut(TAKE, round(0.75 * 120)))
    assert measures.landed is False and measures.success is False


@pytest.mark.parametrize("degrees", [28.0, 32.0])
def test_tilt(degrees: float) -> None:
    """The trunk tilts for good after landing, the legs stay under it."""
    turns = TAKE.motion.rotations.copy()
    tilt = rotations.from_axis_angle(X, np.radians(degrees))
    turns[END:, 0] = rotations.multiply(turns[END:, 0], tilt)
    for link in ("thigh.L", "thigh.R", "chest"):
        i = BODY.index(link)
        turns[END:, i] = rotations.multiply(rotations.conjugate(tilt), turns[END:, i])
    measures = measure(moved(TAKE, turns=turns))
    assert measures.landed is (degrees < 30) and measures.success is (degrees < 30)


def test_centre_of_mass_off_the_feet() -> None:
    upright, leant = measure(leaning(np.radians(4), END)), measure(leaning(np.radians(20), END))
    assert upright.landed is True
    assert leant.landed is False, "20 degrees put it 30 cm ahead of the ankles"
    assert leant.success is False, "what ends standing must land"


def test_a_last_lean_is_enough() -> None:
    assert measure(leaning(np.radians(20), len(TAKE.assist) - 3)).landed is False


def test_without_the_somersault() -> None:
    jump = performances.performed(BODY, performances.somersault(BODY, turns=0.0))
    measures = measure(jump)
    assert measures.landed is False and measures.somersault_deg == pytest.approx(0, abs=1)
    assert metrics.evaluate_motion(BODY, performances.somersault(BODY, turns=0.0), jump).landed is True


def test_the_somersault_in_the_other_direction() -> None:
    measures = measure(performances.performed(BODY, performances.somersault(BODY, turns=1.0)))
    assert measures.landed is False and measures.somersault_deg == pytest.approx(360, abs=1)


def test_a_side_flip_has_to_go_over_as_often_as_its_clip() -> None:
    single, double, none = (performances.somersault(BODY, turns, axis=(0, 1, 0)) for turns in (1.0, 2.0, 0.0))
    assert metrics.evaluate_motion(BODY, single, performances.performed(BODY, single)).landed is True
    for clip, own, kind in (
        (single, none, "under_rotated"),
        (double, single, "under_rotated"),
        (none, single, "over_"),
    ):
        take = performances.performed(BODY, own)
        measures = metrics.evaluate_motion(BODY, clip, take)
        assert abs(measures.somersault_off_deg) < 1 and measures.landed is False
        happened = outcome.what_happened(BODY, clip, take)
        assert happened.kind.startswith(kind) and abs(happened.degrees) == 360


def test_half_of_a_double_somersault_is_no_landing() -> None:
    double = performances.somersault(BODY, turns=-2.0)
    assert metrics.evaluate_motion(BODY, double, performances.performed(BODY, double)).landed is True
    assert metrics.evaluate_motion(BODY, double, TAKE).landed is False


@pytest.mark.parametrize("height", [0.12, 0.3])
def test_who_stays_on_the_floor_has_not_landed_a_leap(height: float) -> None:
    leap = performances.leap(BODY, height)
    leapt = metrics.evaluate_motion(BODY, leap, performances.performed(BODY, leap))
    assert leapt.landed is True and leapt.success is True
    stood = performances.performed(BODY, performances.astride(BODY, leap.duration))
    measures = metrics.evaluate_motion(BODY, leap, stood)
    assert measures.worst_error_mm < 350, "near enough to count as followed"
    assert measures.landed is False and measures.success is False
    assert outcome.what_happened(BODY, leap, stood).kind == outcome.NEVER_LEFT


def test_feet_that_hover_in_a_clip_make_no_leap_of_it() -> None:
    hover = performances.leap(BODY, 0.0)
    feet = (np.abs(np.arange(hover.frames) / hover.rate - hover.duration / 2) < 0.2)[:, None]
    raised = dataclasses.replace(hover, position=hover.position + 0.06 * feet * np.array([0.0, 0.0, 1.0]))
    stood = performances.performed(BODY, performances.astride(BODY, hover.duration))
    measures = metrics.evaluate_motion(BODY, raised, stood)
    assert measures.landed is True


def test_a_hop_at_the_end_is_no_standing() -> None:
    position, contacts = TAKE.motion.position.copy(), TAKE.contacts.copy()
    hop = slice(len(position) - 50, len(position) - 40)
    position[hop, 2] += 0.05
    contacts[hop] = False
    measures = measure(dataclasses.replace(moved(TAKE, position), contacts=contacts))
    assert measures.landed is False, "0.33 s after the last touchdown are not 0.5 s"
    longer = performances.performed(BODY, REFERENCE, tail=2.0)
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
        course = Course.of_clip(shifted, motion)
        assert balance.stands_at_end(course) == expected
        assert balance.standing_margin(course) == pytest.approx(0.01 - beyond, abs=0.002)
        half = BODY.links[BODY.index("foot.L")].shapes[0].size[1]
        assert balance.unrest(course) == pytest.approx(1 - (0.01 - beyond) / half, abs=0.02)


def test_who_sways_rests_less() -> None:
    """The pelvis goes up, or round, the feet where they are: half of the speed that is allowed counts a half."""
    body, motion = performances.over_its_feet(BODY), performances.standing(BODY, 2.0)
    course = Course.of_clip(body, motion)
    still = balance.unrest(course)
    assert 0.0 <= still < 0.3
    positions = course.positions.copy()
    positions[:, 0, 2] += 0.075 * np.maximum(course.times - 1.0, 0.0)
    swaying = dataclasses.replace(course, positions=positions)
    assert balance.unrest(swaying) == pytest.approx(still + 0.5, abs=0.05)
    orientations = course.orientations.copy()
    round_and_round = rotations.from_axis_angle(np.array([0.0, 0.0, 1.0]), 0.25 * np.maximum(course.times - 1.0, 0.0))
    orientations[:, 0] = rotations.multiply(round_and_round, orientations[:, 0])
    swivelling = dataclasses.replace(course, orientations=orientations)
    assert balance.unrest(swivelling) == pytest.approx(still + 0.5, abs=0.05)
    assert balance.unrest(Course.of_clip(body, performances.standing(BODY, 0.3))) == float("inf")


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
    assert metrics.evaluate_motion(BODY, clip, take).landed, "before it is edited"
    position, turns = take.motion.position.copy(), take.motion.rotations.copy()
    seconds = np.maximum(np.arange(take.motion.frames) / take.motion.rate - clip.duration, 0.0)
    edit(position, turns, seconds)
    motion = dataclasses.replace(take.motion, position=position, rotations=turns)
    assert not metrics.evaluate_motion(BODY, clip, dataclasses.replace(take, motion=motion)).landed


def test_how_far_points_lie_inside_hulls() -> None:
    """The least of how far a hull reaches from a point, over many directions. Points in a line have no inside."""
    random = np.random.default_rng(0)
    points, inner = random.normal(size=(300, 8, 2)), 0.6 * random.normal(size=(300, 2))
    which = random.uniform(size=(300, 8)) < 0.6
    points[:50] = points[:50, :1]  # eight times the same point
    points[50:100, :, 1] = points[50:100, :, 0]
    points[100:150, 4:] = points[100:150, :4]
    angles = np.linspace(0, 2 * np.pi, 3600)
    directions = np.stack([np.cos(angles), np.sin(angles)])
    told = balance.inside_hulls(points, which, inner)
    for own, on, point, depth in zip(points, which, inner, told, strict=True):
        corners = np.unique(own[on], axis=0)
        if len(corners) < 3 or np.ptp(corners[:, 0] - corners[:, 1]) == 0:
            assert depth <= 1e-9
        else:
            reach = ((corners - point) @ directions).max(axis=0).min()
            assert depth == pytest.approx(reach, abs=2e-3) if reach > 0 else depth < 2e-3
