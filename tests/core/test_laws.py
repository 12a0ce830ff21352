# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes that something else moved than gravity, the floor and the body: each is told, and lands nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from backflip_addon.core import metrics, outcome, rotations
from backflip_addon.core.constants import GRAVITY
from backflip_addon.core.measures import flight
from backflip_addon.core.measures.course import Course
from backflip_addon.core.motion import Motion, Take
from backflip_addon.core.verdict import verdict
from tests.core import performances
from tests.core.made_up_takes import moved

RATE = 120.0
BODY = performances.over_its_feet(performances.body())
SPEED, STILL, PUSHES = 2.0, 60, 2  # m/s with which it leaves the floor; frames on it before and after, and of a push
FLIES = round(2 * SPEED / GRAVITY * RATE)
LEAVES, COMES_DOWN = STILL + PUSHES, STILL + PUSHES + FLIES
WEIGHT = BODY.mass * GRAVITY


def dropped(ahead: float = 0.0) -> Take:
    """A stiff body that stands, is thrown up by the floor in two frames, flies, is stopped in two and stands; in
    steps of a frame, which is how a simulation reckons. ahead: m/s along the floor while it flies."""
    lift = np.zeros((5 * STILL + 2 * PUSHES + FLIES, 2))  # m/s^2: up and along
    lift[:, 0] = GRAVITY
    flies = slice(LEAVES, COMES_DOWN)
    lift[STILL:LEAVES] += np.array([SPEED, ahead]) * RATE / PUSHES
    lift[flies] = 0.0
    lift[COMES_DOWN : COMES_DOWN + PUSHES] += np.array([SPEED_DOWN, -ahead]) * RATE / PUSHES
    speed = np.cumsum((lift - [GRAVITY, 0.0]) / RATE, axis=0)
    way = np.cumsum(speed / RATE, axis=0)
    still = performances.standing(BODY, (len(lift) - 1) / RATE, RATE)
    position = still.position + way[:, [1, 1, 0]] * [0.0, -1.0, 1.0]
    contacts = np.zeros((len(lift), len(BODY.links)), dtype=bool)
    feet = [BODY.index("foot.L"), BODY.index("foot.R")]
    contacts[:, feet] = (lift[:, 0] > 0)[:, None]
    load = np.zeros(contacts.shape, dtype=np.float32)
    load[:, feet] = lift[:, :1] * BODY.mass / 2
    half, nothing = np.full(len(lift), 0.5), np.zeros(len(lift))
    return Take(Motion(RATE, position, still.rotations), contacts, half, nothing, {}, load)


SPEED_DOWN = FLIES * GRAVITY / RATE - SPEED  # m/s with which it comes down
TAKE = dropped(0.5)
REFERENCE = TAKE.motion.trimmed(0.0, (COMES_DOWN + 30) / RATE)


def helped(take: Take) -> float | None:
    return metrics.evaluate_take(BODY, REFERENCE, take).helped_at


def test_what_gravity_and_the_floor_do_is_no_help() -> None:
    measures = metrics.evaluate_take(BODY, REFERENCE, TAKE)
    assert measures.helped_at is None and measures.landed is True and measures.success is True


def higher(take: Take) -> Take:
    """A second lift in mid-air."""
    position = take.motion.position.copy()
    seen = slice(LEAVES + 4, COMES_DOWN - 4)
    position[seen, 2] += 0.5 * np.sin(np.linspace(0, np.pi, seen.stop - seen.start)) ** 2
    return moved(take, position)


def elsewhere(take: Take) -> Take:
    """A quarter of a metre to the side, from one frame to the next."""
    position = take.motion.position.copy()
    position[LEAVES + 10 :, 0] += 0.25
    return moved(take, position)


def further(take: Take) -> Take:
    """Leaps with four metres a second that no friction gives it."""
    return dropped(4.0)


def quicker(take: Take) -> Take:
    """Played twice as fast."""
    return dataclasses.replace(take, motion=dataclasses.replace(take.motion, rate=2 * RATE))


def loads(factor: float) -> Callable[[Take], Take]:
    def edit(take: Take) -> Take:
        assert take.load is not None
        return dataclasses.replace(take, load=take.load * np.float32(factor))

    return edit


def borne_in_the_air(take: Take) -> Take:
    assert take.load is not None
    load = take.load.copy()
    load[LEAVES + FLIES // 2, BODY.index("head")] = 1.0
    return dataclasses.replace(take, load=load)


def heavy(take: Take) -> Take:
    return dataclasses.replace(take, meta={"scene": {"mass": 19.0}})


def without_forces(take: Take) -> Take:
    return dataclasses.replace(take, load=None)


def with_assist(take: Take) -> Take:
    assist = take.assist.copy()
    assist[LEAVES] = -3.0
    return dataclasses.replace(take, assist=assist)


def too_strong(take: Take) -> Take:
    return dataclasses.replace(take, torque=take.torque * 10)


@pytest.mark.parametrize(
    ("edit", "first", "last"),
    [
        (higher, LEAVES - 30, COMES_DOWN),
        (elsewhere, LEAVES - 30, LEAVES + 10),
        (further, STILL - 30, LEAVES),
        (quicker, 0, LEAVES),
        (loads(0.0), 0, 0),
        (loads(3.0), 0, 0),
        (loads(-1.0), 0, 0),
        (borne_in_the_air, LEAVES, COMES_DOWN),
        (heavy, 0, 0),
        (without_forces, 0, 0),
        (with_assist, LEAVES, LEAVES),
        (too_strong, 0, 0),
    ],
)
def test_what_else_moves_a_body_is_told_and_nothing_has_landed(
    edit: Callable[[Take], Take], first: int, last: int
) -> None:
    take = edit(TAKE)
    measures = metrics.evaluate_take(BODY, REFERENCE, take)
    assert measures.helped_at is not None
    assert first <= round(measures.helped_at * take.motion.rate) <= last
    assert (measures.landed, measures.landed_cleanly, measures.success) == (False, False, False)
    told = outcome.what_happened(BODY, REFERENCE, take, measures)
    assert told.kind == outcome.HELPED
    words = verdict(measures.to_json() | told.facts())
    assert words == f"Helped along at {measures.helped_at:.2f} s"


def test_a_body_that_is_to_be_stronger_is_so_far() -> None:
    strong = dataclasses.replace(TAKE, torque=TAKE.torque * 2.9, meta={"scene": {"strength": 1.5}})
    assert helped(strong) is None
    assert helped(dataclasses.replace(strong, torque=TAKE.torque * 3.1)) == 0.0
    assert helped(dataclasses.replace(strong, torque=TAKE.torque * 20, meta={"scene": {"strength": 1e9}})) == 0.0


def test_a_push_that_is_told_is_no_help_at_its_moment_alone() -> None:
    position = TAKE.motion.position.copy()
    since = np.maximum(np.arange(len(position)) - (LEAVES + 20), 0) / RATE
    position[:, 0] += 1.0 * since
    pushed = moved(TAKE, position)
    assert helped(pushed) is not None
    at = (LEAVES + 20) / RATE
    told = {"push_at": at, "push_impulse": [BODY.mass, 0.0, 0.0]}
    assert helped(dataclasses.replace(pushed, meta={"direction": told})) is None
    course = Course.of_take(BODY, pushed)
    assert flight.flight_errors(course)[0] == pytest.approx(1.0 * since[COMES_DOWN], abs=0.02)
    assert flight.flight_errors(course, LEAVES + 20) == (None, None)
    assert helped(dataclasses.replace(pushed, meta={"direction": told | {"push_at": at + 0.6}})) is not None


def test_a_take_of_few_frames_a_second_is_held_to_what_these_show() -> None:
    rate = 24.0
    every = round(RATE / rate)
    assert TAKE.load is not None
    spans = [TAKE.load[max(end - every + 1, 0) : end + 1].mean(axis=0) for end in range(0, len(TAKE.load), every)]
    motion = Motion(rate, TAKE.motion.position[::every], TAKE.motion.rotations[::every])
    parts = {"contacts": np.array(spans) > 0, "torque": TAKE.torque[::every], "assist": TAKE.assist[::every]}
    slow = dataclasses.replace(TAKE, motion=motion, load=np.array(spans, dtype=np.float32), **parts)
    assert metrics.helped_at(BODY, slow) is None
    assert metrics.helped_at(BODY, loads(0.0)(slow)) == 0.0


def test_what_is_off_in_the_air_or_shakes_keeps_a_landing_unclean() -> None:
    values = metrics.evaluate_take(BODY, REFERENCE, TAKE).to_json() | {"robust_of_20": 20}
    assert metrics.cleanly(values) is True
    for name, value in {"flight_parabola_cm": 1.2, "flight_momentum_change": 0.4, "shake": 91.0}.items():
        assert metrics.flaws(values | {name: value}) == (name,) and metrics.cleanly(values | {name: value}) is False


@pytest.mark.parametrize(("part", "axis"), [("shin.L", (0, 0, 1)), ("forearm.R", (0, 1, 0)), ("hand.L", (1, 0, 0))])
def test_what_turns_where_its_joint_does_not_is_past_its_limits(part: str, axis: tuple[float, ...]) -> None:
    turns = TAKE.motion.rotations.copy()
    index = BODY.index(part)
    assert BODY.links[index].joint in ("hinge", "fixed")
    aside = np.asarray(axis, dtype=float)
    if BODY.links[index].joint == "hinge":  # across the hinge's own axis
        own = np.array(BODY.links[index].axis)
        aside = rotations.normalise(aside - own * (aside @ own))
    turns[100, index] = rotations.multiply(turns[100, index], rotations.from_axis_angle(aside, np.radians(40)))
    measures = metrics.evaluate_take(BODY, REFERENCE, moved(TAKE, turns=turns))
    assert measures.limit_excess_deg == pytest.approx(40, abs=1.0) and "limit_excess_deg" in measures.flaws
