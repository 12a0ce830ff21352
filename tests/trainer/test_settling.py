# SPDX-License-Identifier: GPL-3.0-or-later
"""Bringing a body to rest: one that is shoved where it stands falls without it, and stands still with it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

pytest.importorskip("numba")

from backflip_addon.trainer.imitation.compiled_rollouts import CompiledRollouts
from backflip_addon.trainer.imitation.kinematics import capture_point, feet_middle, momenta
from backflip_addon.trainer.imitation.reference_track import Track
from backflip_addon.trainer.physics.state import Scene, States
from backflip_addon.trainer.planning import settling
from tests.core import performances

BODY = performances.body()
SHOVE = np.array([0.0, -0.3, 0.0])  # m/s: its capture point comes nearly to the edge of its soles
FIRST = 3


@pytest.fixture(scope="module")
def track() -> Track:
    return Track(BODY, performances.standing(BODY, 1.2))


def off_balance(states: States) -> float:
    """Of states (1,): the capture point's way from the middle of the feet, m."""
    positions, world = BODY.forward(states.position, states.rotations)
    arm = BODY.centre_of_mass(positions, world) - feet_middle(BODY, positions, world)
    return float(np.linalg.norm(capture_point(arm, momenta(BODY, states, positions, world)[0])))


@pytest.mark.parametrize("floor", [0.0, 0.3])
def test_a_shoved_body_comes_to_rest(track: Track, floor: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "SAMPLES", 6000)
    scene, still = Scene(floor=floor), track.states[FIRST]
    here = dataclasses.replace(still, position=still.position + [0, 0, floor], velocity=still.velocity + SHOVE)
    none = np.zeros((track.steps - FIRST + 1, track.layout.width))
    with CompiledRollouts(track, 0.6) as rollouts:
        found = settling.Settling(track, rollouts, scene, np.random.default_rng(0))
        with pytest.raises(RuntimeError):
            found.offsets(here, FIRST, none[0])
        found.fit(here, FIRST, none)
        offsets = found.offsets(here, FIRST, none[0])
        led, left = (rollouts(here[None], [scene], FIRST, each[None], none[0]) for each in (offsets, none[1:]))
        later = FIRST + 6
        on = rollouts(here[None], [scene], FIRST, offsets[None, :6], none[0])
        again = found.offsets(on.ends[0], later, offsets[5])
    assert off_balance(left.ends) > 0.5 and off_balance(led.ends) < 0.1
    assert np.linalg.norm(led.ends.velocity) < 0.1
    assert found.cost == pytest.approx(led.costs.mean(), rel=0.25), "about what it costs: contacts begin anew"
    np.testing.assert_allclose(again, offsets[6:], atol=0.02)
