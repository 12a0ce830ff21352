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
    "jump": 0.06,
    "spinkick": 0.06,
    "dance_a": 0.08,
    "kick": 0.08,
    "cartwheel": 0.08,
    "backflip": 0.2,
    "roll": 0.1,
}


@pytest.mark.parametrize("name", MOVED)
def test_clips_ask_the_floor_for_what_it_can_give(name: str) -> None:
    clip = humanoid.clip(name, BODY)
    flown, flights = feasible_flight.feasible(BODY, clip)
    motion, same, changes = feasible(BODY, clip)
    before, after = (floor_forces.taken(BODY, m, flights) for m in (flown, motion))
    assert [(f.start, f.end) for f in same] == [(f.start, f.end) for f in flights]
    assert after.pull < 0.05 and after.slipping < 0.02
    assert after.tipping < max(0.5 * before.tipping, 0.04), "the centre of pressure comes to what touches"
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
    assert np.abs(lows[1] - lows[0])[bears].max() < 0.012
