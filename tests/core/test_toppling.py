# SPDX-License-Identifier: GPL-3.0-or-later
"""Which way a body topples that twists on the way down: as it leaned when it began to."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from backflip_addon.core import outcome, rotations
from tests.core.made_up_takes import BODY, X, Y, Z, moved
from tests.core.test_outcome import standing_and_then

TWISTS = 30  # frames in which it turns about its own length, from where it leans by 20 degrees


@pytest.mark.parametrize(
    ("axis", "twist", "kind"),
    [
        (Y, -90.0, outcome.FELL_SIDEWAYS),  # its back comes down
        (Y, 90.0, outcome.FELL_SIDEWAYS),  # its front does
        (-X, 90.0, outcome.FELL_BACKWARD),
        (X, 90.0, outcome.FELL_FORWARD),
    ],
)
def test_who_twists_on_the_way_down_fell_as_it_leaned(axis: np.ndarray, twist: float, kind: str) -> None:
    clip, take = standing_and_then(axis, np.pi / 2, 1.5)
    turns = take.motion.rotations.copy()
    share = np.clip((np.arange(len(turns)) - 88) / TWISTS, 0, 1)[:, None]
    turns[:, 0] = rotations.multiply(turns[:, 0], rotations.from_rotation_vector(np.radians(twist) * Z * share))
    position = take.motion.position.copy()
    position[:, 2] -= BODY.lowest_points(*BODY.forward(position, turns)).min(axis=1)
    contacts = BODY.lowest_points(*BODY.forward(position, turns)) < 0.01
    told = outcome.what_happened(BODY, clip, dataclasses.replace(moved(take, position, turns), contacts=contacts))
    assert told.kind == kind, told
