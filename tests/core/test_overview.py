# SPDX-License-Identifier: GPL-3.0-or-later
"""What a viewport shows of a motion's physics."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from backflip_addon.core.constants import GRAVITY
from backflip_addon.core.measures import overview
from backflip_addon.core.measures.overview import Overview
from backflip_addon.core.motion import Motion
from tests.core import performances

RATE, SECONDS = 120.0, 0.4
BODY = performances.body()


def leap(gravity: float = GRAVITY) -> Motion:
    """Stands for half a second, leaps a metre forward under that gravity, and stands again."""
    still = performances.standing(BODY, 0.5, RATE)
    times = np.arange(1, round(SECONDS * RATE)) / RATE
    high = np.pad(gravity * times * (SECONDS - times) / 2, still.frames)
    far = np.concatenate([np.zeros(still.frames), times / SECONDS, np.ones(still.frames)])
    position = still.position[0] + np.column_stack([0 * high, -far, high])
    return Motion(RATE, position, np.repeat(still.rotations[:1], len(high), axis=0))


def off_the_fall(seen: Overview) -> float:
    """How far the path is from the parabola of its one flight at most, m."""
    (fall,) = seen.falls
    return float(np.abs(np.interp(fall[:, 1], seen.centre[::-1, 1], seen.centre[::-1, 2]) - fall[:, 2]).max())


def test_the_parabola_is_the_path_of_what_falls_freely_and_of_nothing_else() -> None:
    assert off_the_fall(overview.overview(BODY, leap())) < 0.002
    assert off_the_fall(overview.overview(BODY, leap(GRAVITY / 2))) == pytest.approx(GRAVITY * SECONDS**2 / 16, rel=0.3)
    assert not overview.overview(BODY, performances.standing(BODY)).falls


def test_the_parts_that_touch_are_told_and_a_long_clip_is_thinned_out() -> None:
    seen = overview.overview(BODY, leap())
    assert seen.parts == ("Left Foot", "Right Foot")
    in_the_air = (np.arange(len(seen.centre)) > 62) & (np.arange(len(seen.centre)) < 105)
    assert not seen.touching[in_the_air].any() and seen.touching[:50].all() and seen.touching[-50:].all()
    hanging = dataclasses.replace(leap(), position=leap().position - [0.0, 0.0, 0.9])
    assert overview.overview(BODY, hanging).parts[-1] == "Rest of the Body"
    long = overview.overview(BODY, leap().resampled(9600.0))
    assert len(long.centre) <= overview.MOST_FRAMES and long.seconds == pytest.approx(leap().duration, abs=0.01)
