# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a body flies as nothing can but fly: its centre of mass on a parabola, its angular momentum constant."""

from __future__ import annotations

import numpy as np

from .. import rotations
from ..arrays import Array
from .course import Course, Phase
from .footwork import airborne

SHORTEST = 0.1  # s: a shorter flight shows nothing
START_SECONDS = 1 / 30  # at a flight's start, in which its velocity is taken
LEAP_SECONDS = 0.25  # off the floor, from which on a clip leaps: strides of a run are shorter
ARCHED = 0.5  # share of a free fall's arch that a leap's has at least: feet that hover make none
TUCKED = 0.023  # moment of inertia of a tuck over mass times height squared (Yeadon 1990)
SLOW_SPIN = 1.0  # rad/s of a tuck: of a flight with less angular momentum the change is a share of this


def flight_errors(course: Course, pushed: int | None = None) -> tuple[float | None, float | None]:
    """How far flights leave the laws of motion: the centre of mass from its parabola, m, and the angular momentum's
    change as a share of its own magnitude; the worst of all flights, None without one. pushed: a frame in which the
    body is pushed, whose flight obeys that.

    The parabola is the one that the flight itself sets out on: from its first frame, with the velocity that it has over
    its first START_SECONDS. The angular momentum is that about the centre of mass with the body's own inertia, held
    against what it is at the start.
    """
    errors = [
        (_parabola_error(course, start, end), _momentum_change(course, start, end))
        for start, end in airborne(course)
        if end - start >= max(SHORTEST * course.rate, 6) and (pushed is None or not start <= pushed <= end)
    ]
    if not errors:
        return None, None
    parabola, momentum = zip(*errors, strict=True)
    return max(parabola), max(momentum)


def leaps(course: Course) -> bool:
    """Whether a body leaps: from the floor through the air to the floor, its centre of mass in an arch."""
    fall = float(np.linalg.norm(course.gravity))
    for start, end in _whole_flights(course, LEAP_SECONDS):
        height = course.centre[start - 1 : end + 1, 2]
        arch = height - np.linspace(height[0], height[-1], len(height))
        if arch.max() >= ARCHED * fall * ((end - start) / course.rate) ** 2 / 8:
            return True
    return False


def leaves_the_floor(course: Course) -> bool:
    """Whether a body leaves the floor at all and comes down again."""
    return bool(_whole_flights(course, SHORTEST))


def _whole_flights(course: Course, seconds: float) -> list[Phase]:
    """Flights of so long at least that neither begin nor end with the course."""
    return [
        (start, end)
        for start, end in airborne(course)
        if start > 0 and end < course.frames and end - start >= seconds * course.rate
    ]


def _parabola_error(course: Course, start: int, end: int) -> float:
    first = start if start == 0 else start + 1  # the step before may have begun on the floor
    positions, orientations = course.positions[first:end], course.orientations[first:end]
    way = course.body.centre_of_mass(positions, orientations)
    way = way - way[0]
    times = np.arange(len(way))[:, None] / course.rate
    fall = course.gravity * times**2 / 2
    early = max(round(START_SECONDS * course.rate), 1)
    velocity = (way[early] - fall[early]) / times[early]
    return float(np.linalg.norm(way - velocity * times - fall, axis=1).max())


def _momentum_change(course: Course, start: int, end: int) -> float:
    first = start if start == 0 else start + 1
    momentum = angular_momentum(course, first, end)
    body = course.body
    least = TUCKED * body.mass * body.height**2 * SLOW_SPIN
    change = np.linalg.norm(momentum - momentum[0], axis=1).max()
    return float(change / max(float(np.linalg.norm(momentum[0])), least))


def angular_momentum(course: Course, first: int, end: int) -> Array:
    """Angular momentum (end - first - 4, 3) about the centre of mass, kg m^2/s, world, without the two frames at
    either end: velocities are differences over one and two frames to each side, extrapolated to none (Richardson)."""
    body = course.body
    positions, orientations = course.positions[first:end], course.orientations[first:end]
    masses = np.array([link.mass for link in body.links])
    centres = positions + rotations.rotate(orientations, np.array([link.centre for link in body.links]))
    arms = centres - np.einsum("l,flk->fk", masses / masses.sum(), centres)[:, None]
    velocity = (4 * _difference(arms, 1) - _difference(arms, 2)) * (course.rate / 3)
    spin = (4 * _turn(orientations, 1) - _turn(orientations, 2)) * (course.rate / 3)
    inner = orientations[2:-2]
    inertia = np.array([link.inertia for link in body.links])
    own = rotations.rotate(inner, inertia * rotations.rotate(rotations.conjugate(inner), spin))
    orbital = rotations.cross(arms[2:-2], masses[:, None] * velocity)
    total: Array = (own + orbital).sum(axis=1)
    return total


def _difference(track: Array, reach: int) -> Array:
    """Central differences (F - 4, ...) over reach frames to each side, a frame."""
    count = len(track)
    difference: Array = (track[2 + reach : count - 2 + reach] - track[2 - reach : count - 2 - reach]) / (2 * reach)
    return difference


def _turn(orientations: Array, reach: int) -> Array:
    """The same of orientations (F, L, 4): rotation vectors (F - 4, L, 3), world, a frame."""
    count = len(orientations)
    after, before = orientations[2 + reach : count - 2 + reach], orientations[2 - reach : count - 2 - reach]
    return rotations.to_rotation_vector(rotations.multiply(after, rotations.conjugate(before))) / (2 * reach)
