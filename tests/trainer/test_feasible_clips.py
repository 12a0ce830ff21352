# SPDX-License-Identifier: GPL-3.0-or-later
"""DeepMimic's clips made feasible: what the floor is asked for, worked out from positions alone."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("pybullet_data")

from backflip_addon.core.motions import feasible_flight
from backflip_addon.core.motions.feasible import feasible
from tests.benchmarks import humanoid
from tests.core import floor_forces

BODY = humanoid.humanoid()
FEET = [BODY.index("foot.L"), BODY.index("foot.R")]
# clip -> the most its hips may be moved by, m
MOVED = {
    "walk": 0.01,
    "run": 0.08,
    "jump": 0.08,
    "spinkick": 0.06,
    "dance_a": 0.08,
    "kick": 0.08,
    "cartwheel": 0.08,
    "backflip": 0.2,
    "roll": 0.12,
}


@pytest.mark.parametrize("name", MOVED)
def test_clips_ask_the_floor_for_what_it_can_give(name: str) -> None:
    clip = humanoid.clip(name, BODY)
    flown, flights = feasible_flight.feasible(BODY, clip)
    motion, same, changes = feasible(BODY, clip)
    before, after = (floor_forces.taken(BODY, m, flights) for m in (flown, motion))
    for clips in flights:  # feet that are held on the floor leave it a moment later; a hop that hovered is one too
        assert any(abs(own.start - clips.start) < 0.05 and abs(own.end - clips.end) < 0.05 for own in same)
    assert len(flights) <= len(same) <= len(flights) + (name == "dance_a")
    assert after.pull < 0.05 and after.slipping < 0.02
    assert after.tipping < max(0.65 * before.tipping, 0.04), "the centre of pressure comes to what touches"
    assert max(change.moved for change in changes) < MOVED[name]
    if name == "backflip":
        assert before.pull > 0.15 and after.pull < 0.0, "it hung from the floor after landing"


@pytest.mark.parametrize("name", ["walk", "cartwheel", "backflip"])
def test_clips_keep_their_feet(name: str) -> None:
    clip = humanoid.clip(name, BODY)
    flown, _ = feasible_flight.feasible(BODY, clip)
    motion, _, _ = feasible(BODY, clip)
    lows = [BODY.lowest_points(*BODY.forward(m.position, m.rotations))[:, FEET] for m in (flown, motion)]
    bears = lows[0] < 0.02
    # those that rest come down to the floor, the others stay
    assert (np.abs(lows[1]) - np.abs(lows[0]))[bears].max() < 0.012
    assert (lows[1] - lows[0])[bears].max() < 0.012 and (lows[0] - lows[1])[bears].max() < 0.025
    if name == "backflip":
        assert lows[0][-1].max() > 0.015 and np.abs(lows[1][-1]).max() < 0.008, "it ended with one sole 2 cm up"
