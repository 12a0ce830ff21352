# SPDX-License-Identifier: GPL-3.0-or-later
"""The nearest motion that a free-flying body could perform.

While nothing touches the floor, the centre of mass is put on its parabola and the angular momentum is made constant:
joint rotations, take-off and landing poses stay as they are, only the root between them changes.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from .. import batched_linalg, rotations
from ..arrays import Array
from ..body import Body
from ..constants import GRAVITY
from ..motion import Motion

RATE = 120.0  # Hz, at which flights are integrated
AIRBORNE = 0.03  # m: a body is in flight while its lowest point is higher
SHORTEST_FLIGHT = 0.15  # s
LEAST_FALL = 0.2  # share of gravity at which a flight falls on the mean; what falls less hangs over a floor that is off
CLOSED = 1e-3  # rad: a flight that misses its landing's orientation by less has found it
LARGEST_CHANGE = 1.5  # rad, of the root in one step from the clip to a flight: more is another stunt
SMALLEST_STEP = 0.05  # of that way
NEWTON_STEPS = 8
MOMENTUM_SECONDS = 0.04  # after take-off, over which the clip's own angular momentum is averaged
SMOOTHING = 0.03  # s, standard deviation of the filter over the clip's frames


@dataclasses.dataclass(frozen=True)
class Flight:
    """One flight phase: start and end, s; centre of mass velocity at take-off, m/s; the constant
    angular momentum about the centre of mass, kg m^2/s. change: greatest turn of the root against
    the clip, rad. momentum_before: the clip's own angular momentum at take-off."""

    start: float
    end: float
    velocity: Array
    momentum: Array
    change: float
    momentum_before: Array


def feasible(body: Body, reference: Motion) -> tuple[Motion, list[Flight]]:
    """The reference at RATE, smoothed, its flights physical; and the flights.

    In a flight the centre of mass falls under GRAVITY and the angular momentum about it is constant, as of any body
    that nothing touches; take-off and landing poses are the clip's.
    """
    return flown(body, smoothed(reference, RATE))


def flown(body: Body, motion: Motion, airborne: float = AIRBORNE) -> tuple[Motion, list[Flight]]:
    """The motion, as smoothed() returns it, with its flights made physical; and the flights. airborne: see
    flight_phases()."""
    flights = []
    position, orientations = motion.position.copy(), motion.rotations.copy()
    for first, last in flight_phases(body, motion, airborne):
        flight, position[first : last + 1], orientations[first : last + 1, 0] = _fly(body, motion, first, last)
        flights.append(flight)
    return dataclasses.replace(motion, position=position, rotations=rotations.continuous(orientations)), flights


def smoothed(motion: Motion, rate: float) -> Motion:
    """The motion at another rate, low-passed by a Gaussian of SMOOTHING s."""
    fine = motion.resampled(rate)
    spread = SMOOTHING * rate
    reach = int(np.ceil(3 * spread))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / spread) ** 2)
    kernel /= kernel.sum()
    orientations = rotations.continuous(fine.rotations)
    return dataclasses.replace(
        fine, position=_filtered(fine.position, kernel), rotations=rotations.normalise(_filtered(orientations, kernel))
    )


def _filtered(track: Array, kernel: Array) -> Array:
    """Filter along the first axis; the ends are mirrored through the end points, which stay put."""
    reach = len(kernel) // 2
    count = min(reach, len(track) - 1)
    before = 2 * track[0] - track[count:0:-1]
    after = 2 * track[-1] - track[-2 : -2 - count : -1]
    padded = np.concatenate([before, track, after])
    if count < reach:
        return track
    filtered: Array = sum(w * padded[k : k + len(track)] for k, w in enumerate(kernel))
    return filtered


def flight_phases(body: Body, motion: Motion, airborne: float = AIRBORNE) -> list[tuple[int, int]]:
    """First and last frame of each phase in which nothing is within airborne, m, of the floor, and the body falls."""
    poses = body.forward(motion.position, motion.rotations)
    lows = body.lowest_points(*poses).min(axis=1)
    rising = np.gradient(body.centre_of_mass(*poses)[:, 2]) * motion.rate if motion.frames > 1 else lows
    up = np.concatenate([[False], lows > airborne, [False]]).astype(int)
    starts, ends = np.flatnonzero(np.diff(up) == 1), np.flatnonzero(np.diff(up) == -1) - 1
    least = SHORTEST_FLIGHT * motion.rate
    inside = [(int(s), int(e)) for s, e in zip(starts, ends, strict=True) if s > 0 and e < motion.frames - 1]
    slowest = LEAST_FALL * GRAVITY / motion.rate
    return [(s, e) for s, e in inside if e - s >= least and rising[s] - rising[e] > slowest * (e - s)]


def _fly(body: Body, motion: Motion, first: int, last: int) -> tuple[Flight, Array, Array]:
    """Re-integrate one flight; returns it with root positions (F, 3) and orientations (F, 4)."""
    seconds = (last - first) / motion.rate
    centroidal = Centroidal.of(body, motion, first, last)
    root = motion.rotations[first : last + 1, 0]
    centre = motion.position[first : last + 1] + rotations.rotate(root, centroidal.centre)
    times = np.arange(last - first + 1) / motion.rate
    gravity = np.array([0.0, 0.0, -GRAVITY])
    velocity = (centre[-1] - centre[0]) / seconds - gravity * seconds / 2
    path = centre[0] + velocity * times[:, None] + gravity * times[:, None] ** 2 / 2
    own = _own_momentum(centroidal, root, motion.rate)
    momentum, orientations = _evened(centroidal, root, own, motion.rate)
    orientations = _closed(orientations, root[-1])
    change = float(rotations.angle_between(orientations, root).max())
    before = own[: max(int(MOMENTUM_SECONDS * motion.rate), 1)].mean(axis=0)
    flight = Flight(first / motion.rate, last / motion.rate, velocity, momentum, change, before)
    return flight, path - rotations.rotate(orientations, centroidal.centre), orientations


@dataclasses.dataclass(frozen=True)
class Centroidal:
    """The body's changing pose seen from its root, per frame: centre of mass (F, 3), moment of
    inertia about it (F, 3, 3), and the angular momentum of the pose's change alone (F, 3)."""

    centre: Array
    inertia: Array
    momentum: Array

    @staticmethod
    def of(body: Body, motion: Motion, first: int, last: int) -> Centroidal:
        """Of a motion's frames first to last, in the root's frame."""
        low, high = max(first - 1, 0), min(last + 2, motion.frames)
        local = motion.rotations[low:high].copy()
        local[:, 0] = rotations.IDENTITY
        positions, orientations = body.forward(np.zeros((len(local), 3)), local)
        masses = np.array([link.mass for link in body.links])
        own = np.array([link.inertia for link in body.links])
        centres = positions + rotations.rotate(orientations, np.array([link.centre for link in body.links]))
        centre = np.einsum("l,flk->fk", masses / masses.sum(), centres)
        arms = centres - centre[:, None]
        frames = rotations.to_matrix(orientations)
        inertia = np.einsum("flij,lj,flkj->fik", frames, own, frames)
        inertia += np.einsum("l,fl->f", masses, np.sum(arms**2, -1))[:, None, None] * np.eye(3)
        inertia -= np.einsum("l,fli,flj->fij", masses, arms, arms)
        rate = motion.rate
        omega = rotations.angular_velocity(orientations, rate)
        local_omega = rotations.rotate(rotations.conjugate(orientations), omega)
        momentum = rotations.rotate(orientations, own * local_omega).sum(axis=1)
        momentum += np.cross(arms, masses[:, None] * np.gradient(arms, 1 / rate, axis=0)).sum(axis=1)
        keep = slice(first - low, first - low + last - first + 1)
        return Centroidal(centre[keep], inertia[keep], momentum[keep])


def _own_momentum(centroidal: Centroidal, root: Array, rate: float) -> Array:
    """Angular momentum (F, 3) of the clip as it is, world frame."""
    omega = rotations.rotate(rotations.conjugate(root), rotations.angular_velocity(root, rate))
    body_frame = np.einsum("fij,fj->fi", centroidal.inertia, omega) + centroidal.momentum
    return rotations.rotate(root, body_frame)


def _integrate(centroidal: Centroidal, start: Array, momentum: Array, rate: float) -> Array:
    """Root orientations (F, K, 4) of a body that changes its pose, for K courses of its angular
    momentum (F, K, 3) in the world's frame."""
    orientations = [np.broadcast_to(start, (momentum.shape[1], 4))]
    inverse = batched_linalg.inverse_3x3(centroidal.inertia)
    for f in range(len(inverse) - 1):
        own = rotations.rotate(rotations.conjugate(orientations[-1]), momentum[f]) - centroidal.momentum[f]
        omega = own @ inverse[f].T
        half = rotations.multiply(orientations[-1], rotations.from_rotation_vector(omega / (2 * rate)))
        middle = (momentum[f] + momentum[f + 1]) / 2, (centroidal.momentum[f] + centroidal.momentum[f + 1]) / 2
        own = rotations.rotate(rotations.conjugate(half), middle[0]) - middle[1]
        omega = own @ (inverse[f] + inverse[f + 1]).T / 2
        orientations.append(
            rotations.normalise(rotations.multiply(orientations[-1], rotations.from_rotation_vector(omega / rate)))
        )
    return np.array(orientations)


def _evened(centroidal: Centroidal, root: Array, own: Array, rate: float) -> tuple[Array, Array]:
    """The angular momentum (3,) that turns root[0] into root[-1], and the root's orientations (F, 4).

    Many momenta do, with fewer or more turns and twists on the way. The one that belongs to the clip is reached from
    the clip: its own momentum (F, 3) is blended into a constant one, in one step where that goes well, in smaller ones
    where it does not. Where no constant one is found it is as even as it could be made.
    """
    best, best_orientations = own.mean(axis=0), root
    share, step = 0.0, 1.0
    while share < 1.0 and step > SMALLEST_STEP:
        goal = min(share + step, 1.0)
        momentum, orientations, error = _shoot(centroidal, root, own, goal, best, rate)
        if error < CLOSED and rotations.angle_between(orientations, best_orientations).max() < LARGEST_CHANGE:
            share, best, best_orientations = goal, momentum, orientations
        else:
            step /= 2
    return best, best_orientations


def _shoot(
    centroidal: Centroidal, root: Array, own: Array, share: float, guess: Array, rate: float
) -> tuple[Array, Array, float]:
    """Newton's method by differences for the constant part of a blended momentum; it, the root's
    orientations (F, 4), and the angle by which they miss root[-1], rad."""
    momentum = guess.copy()
    scale = max(float(np.linalg.norm(guess)), 1.0)
    probes = np.concatenate([np.zeros((1, 3)), 1e-3 * scale * np.eye(3)])
    for attempt in range(NEWTON_STEPS):
        courses = (1 - share) * own[:, None] + share * (momentum + probes)
        orientations = _integrate(centroidal, root[0], courses, rate)
        errors = rotations.to_rotation_vector(rotations.multiply(root[-1], rotations.conjugate(orientations[-1])))
        error = float(np.linalg.norm(errors[0]))
        if error < CLOSED / 10 or attempt == NEWTON_STEPS - 1:
            break
        slopes = (errors[1:] - errors[0]).T / (1e-3 * scale)
        change = np.linalg.lstsq(slopes, -errors[0], rcond=1e-6)[0]
        momentum = momentum + change * min(1.0, 0.5 * scale / max(float(np.linalg.norm(change)), 1e-9))
    return momentum, orientations[:, 0], error


def _closed(orientations: Array, goal: Array) -> Array:
    """Spread what is left of the closing error evenly over the flight."""
    left = rotations.to_rotation_vector(rotations.multiply(goal, rotations.conjugate(orientations[-1])))
    share = np.linspace(0, 1, len(orientations))[:, None]
    return rotations.multiply(rotations.from_rotation_vector(share * left), orientations)
