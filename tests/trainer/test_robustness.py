# SPDX-License-Identifier: GPL-3.0-or-later
"""How many of some small disturbances are landed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

pytest.importorskip("numba")

from backflip_addon.core import metrics, rotations
from backflip_addon.core.motion import Take
from backflip_addon.trainer.imitation import disturbances
from backflip_addon.trainer.imitation.reference_track import Track
from backflip_addon.trainer.physics.state import Scene, States
from tests.core import performances
from tests.core.made_up_takes import cut
from tests.trainer.small_trials import controls, robust_landings, small_disturbances

BODY = performances.body()
STANDING = performances.astride(BODY, 0.3)
TRACK = Track(BODY, STANDING)
STANDS = performances.borne(BODY, performances.performed(BODY, STANDING))


def test_controls_that_stand_land_and_controls_that_fall_do_not(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("START_NOISE", "FLOOR"):  # legs straight: not a stance to catch oneself in
        monkeypatch.setattr(disturbances, name, 0.001)
    upright = TRACK.targets(np.zeros((TRACK.steps, TRACK.layout.width)), 0)
    assert robust_landings(TRACK, controls(TRACK, upright, engine), trials=3) == 3
    bowed = upright.copy()
    bowed[:, BODY.index("chest")] = rotations.from_axis_angle(np.array([1.0, 0.0, 0.0]), 1.2)
    for side in ("L", "R"):
        bowed[:, BODY.index(f"thigh.{side}")] = rotations.from_axis_angle(np.array([-1.0, 0.0, 0.0]), 1.2)
    assert robust_landings(TRACK, controls(TRACK, bowed, engine), trials=2) == 0


def test_disturbances_are_small_all_different_and_always_the_same() -> None:
    scene = Scene(friction=0.5, floor=0.3, mass=1.1)
    trials = small_disturbances(TRACK, scene)
    assert len(trials) == metrics.TRIALS == 20
    for around, start in trials:
        assert abs(around.friction - 0.5) <= 0.1 and abs(around.floor - 0.3) <= 0.01
        assert abs(around.mass / 1.1 - 1) <= 0.02
        turned = rotations.angle_between(start.rotations[1:], TRACK.states.rotations[0, 1:])
        assert 0.005 < np.sqrt(np.mean(turned**2) / 3) < 0.02, "0.01 rad about each axis"
        assert np.array_equal(start.velocity, TRACK.states.velocity[0])
    assert len({around.friction for around, _ in trials}) == 20
    for one, other in zip(trials, small_disturbances(TRACK, scene), strict=True):
        assert one[0] == other[0] and np.array_equal(one[1].rotations, other[1].rotations)


@pytest.mark.parametrize("landing", [0, 7, 20])
def test_landings_are_counted(landing: int) -> None:
    """Stand-ins for performances: so many stand to the end, the others are cut short."""
    scenes: list[Scene] = []

    def perform(scene: Scene, _start: States) -> Take:
        scenes.append(scene)
        return STANDS if len(scenes) <= landing else cut(STANDS, 40)

    assert robust_landings(TRACK, perform) == landing and len(scenes) == 20


def test_who_falls_after_its_last_frame_has_not_landed() -> None:
    falls = dataclasses.replace(STANDS, meta={metrics.STANDS: False})
    assert robust_landings(TRACK, lambda scene, start: falls, trials=2) == 0


def test_a_take_tells_its_own_robustness() -> None:
    take = disturbances.with_robustness(STANDS, 17)
    assert metrics.evaluate_take(BODY, STANDING, take).robust_of_20 == 17
    assert metrics.evaluate_take(BODY, STANDING, take).landed_cleanly is True and not STANDS.meta
