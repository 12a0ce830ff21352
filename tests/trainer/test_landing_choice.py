# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of several landings of a search is kept."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba")

from backflip_addon.core import metrics, rotations
from backflip_addon.trainer.planning.landing import SETTLED, Landing
from backflip_addon.trainer.planning.plan import Plan
from backflip_addon.trainer.runner.search_phase import _ends_search
from tests.core import performances

BODY = performances.over_its_feet(performances.body())
PLAN = Plan(np.zeros((2, 3)), 3)
CLIP = performances.standing(BODY, 0.5)


def test_the_one_with_fewer_flaws_is_kept_and_of_as_many_the_one_that_rests_sooner() -> None:
    flawed, restless, calm = (Landing(PLAN, *each) for each in ((1, 0.1), (0, 0.97), (0, 0.3)))
    assert flawed.better_than(None)
    assert restless.better_than(flawed) and not flawed.better_than(restless)
    assert calm.better_than(restless) and not restless.better_than(calm)
    assert [each.settled for each in (flawed, restless, calm)] == [False, False, True]


def test_one_that_has_turned_too_far_by_much_of_what_is_granted_is_not_good_enough() -> None:
    calm, turned = Landing(PLAN, 0, 0.3, 0.1), Landing(PLAN, 0, 0.3, 0.7)
    assert calm.settled and not turned.settled and calm.better_than(turned)
    still = performances.borne(BODY, performances.performed(BODY, CLIP))
    times = np.arange(still.motion.frames) / still.motion.rate
    turns = rotations.from_axis_angle(np.array([0.0, 0.0, 1.0]), np.radians(20.0) * np.minimum(times / 0.4, 1.0))
    turning = still.motion.rotations.copy()
    turning[:, 0] = rotations.multiply(turns, turning[:, 0])
    take = dataclasses.replace(still, motion=dataclasses.replace(still.motion, rotations=turning))
    landing = Landing.of(BODY, CLIP, PLAN, take)
    assert landing.turned == pytest.approx(20.0 / 30.0, abs=0.01) and not landing.settled
    assert Landing.of(BODY, CLIP, PLAN, still).turned < 0.01


def test_a_landing_beside_its_clip_is_worth_less_than_any_on_it_and_ends_a_later_search_alone() -> None:
    beside, flawed = Landing(PLAN, 0, 0.1, 0.0, astray=True), Landing(PLAN, 2, 0.9)
    assert flawed.better_than(beside) and not beside.better_than(flawed)
    leap = performances.leap(BODY, 0.3)
    take = performances.borne(BODY, performances.performed(BODY, leap))
    way = np.clip(np.arange(take.motion.frames) / (take.motion.frames // 2), 0.0, 1.0)
    away = np.outer(0.4 * (1 - np.cos(np.pi * way)), [1.0, 0.0, 0.0])  # as fast as friction lets it
    strayed = dataclasses.replace(take, motion=dataclasses.replace(take.motion, position=take.motion.position + away))
    run: Any = SimpleNamespace(learns=False, body=BODY, reference=leap)
    assert metrics.evaluate_take(BODY, leap, strayed).landed and Landing.of(BODY, leap, PLAN, strayed).astray
    assert [_ends_search(run, take, anywhere) for anywhere in (False, True)] == [True, True]
    assert [_ends_search(run, strayed, anywhere) for anywhere in (False, True)] == [False, True]


def test_who_only_stands_has_landed_nothing_elsewhere() -> None:
    take = performances.borne(BODY, performances.performed(BODY, CLIP))
    position = take.motion.position + np.array([1.0, 0.0, 0.0])
    beside = dataclasses.replace(take, motion=dataclasses.replace(take.motion, position=position))
    run: Any = SimpleNamespace(learns=False, body=BODY, reference=CLIP)
    assert metrics.evaluate_take(BODY, CLIP, beside).landed
    assert not _ends_search(run, beside, anywhere=True)
    assert [metrics.has_a_landing(BODY, clip) for clip in (CLIP, performances.somersault(BODY))] == [False, True]


def test_other_ends_and_other_searches_are_tried_until_one_settles() -> None:
    flawed, restless, calm = (Landing(PLAN, *each) for each in ((1, 0.1), (0, 0.97), (0, 0.3)))
    assert [each.enough(another_end=True, attempt=0) for each in (flawed, restless, calm)] == [False, False, True]
    assert [each.enough(another_end=False, attempt=0) for each in (flawed, restless, calm)] == [False, False, True]
    assert [each.enough(another_end=False, attempt=2) for each in (flawed, restless, calm)] == [True, True, True]


def test_who_stands_still_has_settled_and_who_still_rises_has_not() -> None:
    take = performances.borne(BODY, performances.performed(BODY, CLIP))
    landing = Landing.of(BODY, CLIP, PLAN, take)
    assert landing.flaws == 0 and landing.settled
    position = take.motion.position.copy()
    position[:, 2] += 0.1 * np.maximum(np.arange(take.motion.frames) / take.motion.rate - 1.0, 0.0)
    rising = dataclasses.replace(take, motion=dataclasses.replace(take.motion, position=position))
    assert metrics.unrest(BODY, rising) > SETTLED and not Landing.of(BODY, CLIP, PLAN, rising).settled
    strides = CLIP.position + np.linspace([0.0, 0.0, 0.0], [0.0, -3.0, 0.0], CLIP.frames)
    assert Landing.of(BODY, dataclasses.replace(CLIP, position=strides), PLAN, rising).settled, "nothing to stand"
