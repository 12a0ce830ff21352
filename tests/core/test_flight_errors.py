# SPDX-License-Identifier: GPL-3.0-or-later
"""Flights that obey the laws of motion, and flights edited not to."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from backflip_addon.core import metrics, rotations
from backflip_addon.core.constants import GRAVITY
from backflip_addon.core.motion import Motion, Take
from backflip_addon.core.motions import feasible_flight
from tests.core import performances
from tests.core.made_up_takes import BODY, X, moved

RATE = 120.0
SECONDS = 0.6


def leap(spin: float = 0.0, bend: float = 0.0) -> Take:
    """A body stiff as a board, or bending its legs on the way, thrown up with a spin about its left-right axis.

    Its centre of mass flies a parabola; the spin is constant: it is a free body's if nothing bends.
    """
    times = np.arange(round(SECONDS * RATE) + 1) / RATE
    turns = performances.neutral(BODY, len(times))
    turns[:, 0] = rotations.from_axis_angle(X, spin * times)
    if bend:
        performances.bent(BODY, turns, bend * np.sin(np.pi * times / SECONDS))
    centre = BODY.centre_of_mass(*BODY.forward(np.zeros((len(times), 3)), turns))
    height = 2.0 + GRAVITY / 2 * times * (SECONDS - times)
    position = np.stack([0 * times, 0.5 * times, height], axis=1) - centre
    nothing = np.zeros((len(times), len(BODY.links)), dtype=bool)
    return Take(Motion(RATE, position, turns), nothing, *np.zeros((2, len(times))), {})


def errors(take: Take) -> tuple[float, float]:
    """Metres off the parabola, and the share by which angular momentum changes."""
    measures = metrics.evaluate_motion(BODY, performances.standing(BODY), take)
    assert measures.flight_parabola_cm is not None and measures.flight_momentum_change is not None
    return measures.flight_parabola_cm / 100, measures.flight_momentum_change


def in_air(take: Take) -> np.ndarray:
    """Seconds of flight at each frame."""
    return np.arange(take.motion.frames) / RATE


@pytest.mark.parametrize("spin", [0.0, -8.0, 10.0])
def test_a_stiff_free_body_makes_no_error(spin: float) -> None:
    parabola, momentum = errors(leap(spin))
    assert parabola < 1e-6 and momentum < 1e-3, "left-right is all but a principal axis"


def test_who_hangs_in_the_air_leaves_the_parabola() -> None:
    """With a tenth less gravity the centre of mass is 0.1 g t^2 / 2 over its parabola at the end."""
    take = leap(-8.0)
    lift = 0.05 * GRAVITY * in_air(take) ** 2
    parabola, momentum = errors(moved(take, take.motion.position + lift[:, None] * [0, 0, 1]))
    assert parabola == pytest.approx(0.05 * GRAVITY * SECONDS**2, rel=0.15), "all but what its start has of it"
    assert momentum < 1e-3


def test_a_kick_in_mid_air_is_seen_whole() -> None:
    """0.2 m/s more from half way on: a fit to the whole flight would hide most of it."""
    take = leap()
    kick = 0.2 * np.maximum(in_air(take) - SECONDS / 2, 0)
    parabola, _ = errors(moved(take, take.motion.position + kick[:, None] * [1, 0, 0]))
    assert parabola == pytest.approx(0.2 * SECONDS / 2, rel=0.05)


@pytest.mark.parametrize("more", [0.02, -0.1])
def test_spin_that_grows_from_nothing(more: float) -> None:
    """Turning about the centre of mass, by a share faster in the flight's second half."""
    take = leap(-8.0)
    late = np.maximum(in_air(take) - SECONDS / 2, 0)
    faster = rotations.from_axis_angle(X, -8.0 * more * late)
    turns = take.motion.rotations.copy()
    turns[:, 0] = rotations.multiply(faster, turns[:, 0])
    positions, world = BODY.forward(take.motion.position, take.motion.rotations)
    centre = BODY.centre_of_mass(positions, world)
    position = centre + rotations.rotate(faster, take.motion.position - centre)
    parabola, momentum = errors(moved(take, position, turns))
    assert momentum == pytest.approx(abs(more), rel=0.1) and parabola < 1e-3


def test_legs_drawn_up_without_turning_faster_are_seen() -> None:
    assert errors(leap(-8.0, bend=1.2))[1] > 0.2


def test_a_flight_made_possible_is_one() -> None:
    """Another reckoning of the same law: the clip's flight integrated with constant angular momentum."""
    clip = performances.somersault(BODY, rate=120.0)
    with_tuck = dataclasses.replace(clip, rotations=clip.rotations.copy())
    air = np.clip((np.arange(clip.frames) - 60) / (clip.frames - 121), 0, 1)
    performances.bent(BODY, with_tuck.rotations, np.sin(np.pi * air))
    motion, flights = feasible_flight.feasible(BODY, with_tuck)
    assert len(flights) == 1
    air = slice(round(flights[0].start * 120), round(flights[0].end * 120) + 1)
    flown = dataclasses.replace(motion, position=motion.position[air], rotations=motion.rotations[air])
    take = Take(flown, np.zeros((flown.frames, len(BODY.links)), dtype=bool), *np.zeros((2, flown.frames)), {})
    parabola, momentum = errors(take)
    assert parabola < 0.003 and momentum < 0.02


def test_no_flight_has_no_error() -> None:
    measures = metrics.evaluate_motion(
        BODY, performances.standing(BODY), performances.performed(BODY, performances.standing(BODY))
    )
    assert measures.flight_parabola_cm is None and measures.flight_momentum_change is None
