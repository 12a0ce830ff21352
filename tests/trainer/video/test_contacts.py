# SPDX-License-Identifier: GPL-3.0-or-later
"""What rests on the floor, wherever the person goes and whichever way up; and landmarks put elsewhere by hand."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from backflip_addon.core import rotations
from backflip_addon.core.body import LINK_NAMES
from backflip_addon.trainer.video import contacts, figure, inspection, run
from backflip_addon.trainer.video.landmarks import Landmarks
from tests.trainer.video import projected

FRAMES = 90


def standing(upside_down: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Root (F, 3) and link rotations (F, L, 4) of somebody who keeps still, seen from the side."""
    q = np.tile(rotations.IDENTITY, (FRAMES, len(LINK_NAMES), 1))
    half_round = rotations.from_axis_angle([1.0, 0.0, 0.0], np.pi)
    q[:, 0] = rotations.from_axis_angle([0.0, 0.0, 1.0], np.pi / 2)
    if upside_down:
        q[:, 0] = rotations.multiply(q[:, 0], half_round)
        q[:, [figure.INDEX["upper_arm.L"], figure.INDEX["upper_arm.R"]]] = half_round
    root = np.zeros((FRAMES, 3))
    lowest = projected.places(root, q)[0][0, :, 2].min()
    root[:, 2] = 0.08 - lowest
    return root, q


def test_feet_rest_on_a_floor_that_sinks_in_the_picture_as_the_person_comes_near() -> None:
    """From 7 to 5 metres: the floor under the feet sinks by half a metre at the person, and is followed."""
    root, q = standing()
    root[:, 1] = np.linspace(1.0, -1.0, FRAMES)
    seen = projected.seen(root, q, noise=1.0)
    found = contacts.see(seen, contacts.scale_of(seen))
    assert found.feet.mean() > 0.95
    assert not found.flight.any()
    scales = contacts.scales_of(seen)
    assert scales[-1] / scales[0] > 1.15, "7 / 5, less what may be a posture's"


def test_hands_of_a_handstand_rest_and_feet_in_the_air_do_not() -> None:
    """And what trembles a little is not taken for a fall in slow motion."""
    seen = projected.seen(*standing(upside_down=True), noise=1.0)
    found = contacts.see(seen, contacts.scale_of(seen))
    assert found.hands.mean() > 0.95
    assert not found.feet.any()
    assert not found.flight.any()
    assert inspection.slowness(seen) == 1.0


def test_a_landmark_that_was_put_elsewhere_is_there() -> None:
    """In the picture and, as far as that tells, in space; it counts more than one that is merely seen."""
    seen: Landmarks = projected.seen(*standing(), noise=0.0)
    wrist = 15
    moved = run.corrected(seen, [(3, wrist, 0.25, 0.5)])
    np.testing.assert_allclose(moved.xy[3, wrist], [0.25 * projected.WIDTH, 0.5 * projected.HEIGHT])
    way = (moved.xy - seen.xy)[3, wrist]
    metres = (moved.world - seen.world)[3, wrist, :2]
    np.testing.assert_allclose(metres, way / contacts.scale_of(seen))
    assert moved.visible[3, wrist] > 1.0
    rest = np.ones(seen.visible.shape, bool)
    rest[3, wrist] = False
    assert np.array_equal(moved.xy[rest], seen.xy[rest])
