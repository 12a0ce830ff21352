# SPDX-License-Identifier: GPL-3.0-or-later
"""Who comes down upside down, hands first: on its head, or, where it has turned on until the head is down, flat."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from backflip_addon.core import metrics, outcome, rotations
from backflip_addon.core.motion import Take
from tests.core.made_up_takes import BODY, REFERENCE, X, moved
from tests.core.test_outcome import RATE, TAKE_OFF, TOUCHDOWN, comes_down, words

FOLDS = 8  # frames in which the arms give way


def dives(turned: float, on: float) -> Take:
    """Hands first after a turn, degrees, that goes on by some more while the arms give way."""
    take = comes_down(REFERENCE, np.radians(turned), arms=np.radians(150))
    position, turns = take.motion.position.copy(), take.motion.rotations.copy()
    share = np.clip((np.arange(len(position)) - TOUCHDOWN) / FOLDS, 0, 1)
    after = share > 0
    turns[after, 0] = rotations.from_axis_angle(X, np.radians(turned + on * share[after]))
    for side in "LR":
        arm = BODY.index(f"upper_arm.{side}")
        turns[after, arm] = rotations.from_axis_angle(-X, np.radians(150) * (1 - share[after]))
    position[:, 2] -= np.where(after, BODY.lowest_points(*BODY.forward(position, turns)).min(axis=1), 0.0)
    lows = BODY.lowest_points(*BODY.forward(position, turns))
    return dataclasses.replace(moved(take, position, turns), contacts=lows < 0.01)


@pytest.mark.parametrize(
    ("turned", "on", "kind", "said"),
    [
        (-225.0, 0.0, outcome.ON_HEAD, "On its head"),
        (-225.0, -32.0, outcome.UNDER_ROTATED, "on its chest"),
    ],
)
def test_who_has_turned_on_until_the_head_is_down_is_under_rotated(
    turned: float, on: float, kind: str, said: str
) -> None:
    take = dives(turned, on)
    told = outcome.what_happened(BODY, REFERENCE, take)
    assert told.kind == kind and abs(told.frame - TOUCHDOWN) <= 1, told
    assert said in words(take)


def test_who_was_begun_just_before_its_take_off_and_is_off_the_floor_at_once_has_leaped() -> None:
    """Begun a moment before the clip takes off, with feet that do not touch any more: its flight is the one to tell."""
    take, first = comes_down(REFERENCE, np.radians(-300.0), 1.5), TAKE_OFF - 5
    motion, contacts = take.motion, take.contacts[first:].copy()
    contacts[:10] = False
    rest = dataclasses.replace(motion, position=motion.position[first:], rotations=motion.rotations[first:])
    parts = {"contacts": contacts, "torque": take.torque[first:], "assist": take.assist[first:]}
    begun = dataclasses.replace(take, motion=rest, **parts, meta={metrics.BEGINS: first / RATE})
    assert outcome.what_happened(BODY, REFERENCE, begun).kind == outcome.UNDER_ROTATED
