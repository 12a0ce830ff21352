# SPDX-License-Identifier: GPL-3.0-or-later
"""When feet and hands rest on the floor, when the person is in free flight, and how fast it then falls."""

from __future__ import annotations

import dataclasses

import numpy as np

from ...core.arrays import Array, BoolArray, IntArray
from ...core.rigs.anthropometry import CENTRE_SHARE, MASS_SHARE
from .landmarks import Landmarks

GRAVITY = 9.81  # m/s^2
FEET = ((27, 29, 31), (28, 30, 32))  # landmarks: ankle, heel, toes
HANDS = ((15, 17, 19), (16, 18, 20))
FEWEST = 3  # frames: what rests for less does not rest
FEWEST_IN_FLIGHT = 4
STILL_SPEED = 0.7  # m/s: a foot or hand slower than that rests, if it is low
LOW_FOOT, LOW_HAND, OFF_FLOOR = 0.4, 0.35, 0.05  # m from the floor's line
LOW_TOLD = 0.12  # m, where somebody has put that line
MOSTLY, NEAR_GROUND = 0.95, 0.3  # share of all that rests, and m: what rests so far above that quantile is no floor
USUAL_CAMERA_HEIGHT = 1.3  # m: held at the chest, or on a tripod
CAMERA_DOUBT = 0.1  # squares of shares of the scale that a way must have gone to say as much as what is usual
SCALE_SECONDS = 0.17  # over which the person's size is smoothed
SCALE_ERROR = 0.08  # share by which the network's own size of a person differs from posture to posture
FALLS = (4.0, 17.0)  # m/s^2: what may be a fall, of what is measured

# Of each part: landmarks at its ends, how far along its mass lies, and its share of the whole (de Leva 1996)
_TRUNK, _TRUNK_AT, _FOOT_AT = ((23, 11), (24, 12)), 0.5, 0.5
_PARTS = (
    *(((hip, shoulder), _TRUNK_AT, MASS_SHARE["pelvis"] / 2 + MASS_SHARE["chest"] / 2) for hip, shoulder in _TRUNK),
    *(((ear, ear), 0.0, MASS_SHARE["head"] / 2) for ear in (7, 8)),
    *(((hip, hip + 2), CENTRE_SHARE["thigh"], MASS_SHARE["thigh"]) for hip in (23, 24)),
    *(((knee, knee + 2), CENTRE_SHARE["shin"], MASS_SHARE["shin"]) for knee in (25, 26)),
    *(((heel, heel + 2), _FOOT_AT, MASS_SHARE["foot"]) for heel in (29, 30)),
    *(((shoulder, shoulder + 2), CENTRE_SHARE["upper_arm"], MASS_SHARE["upper_arm"]) for shoulder in (11, 12)),
    *(((elbow, elbow + 2), CENTRE_SHARE["forearm"], MASS_SHARE["forearm"]) for elbow in (13, 14)),
    *(((wrist, wrist), 0.0, MASS_SHARE["hand"]) for wrist in (15, 16)),
)


@dataclasses.dataclass(frozen=True)
class Contacts:
    """feet, hands (F, 2: left, right): rest on the floor. flight (F,): nothing touches it."""

    feet: BoolArray
    hands: BoolArray
    flight: BoolArray


def scale_of(landmarks: Landmarks) -> float:
    """Pixels per metre at the person, by the network's own metres: the median over the frames."""
    return max(float(np.median(_scales(landmarks))), 1e-3)


def scales_of(landmarks: Landmarks) -> Array:
    """The same of each frame (F,), smoothed: a person who comes nearer grows. A small change is a posture's."""
    usual = scale_of(landmarks)
    off = smoothed(_scales(landmarks), SCALE_SECONDS * landmarks.rate) / usual - 1
    scales: Array = usual * np.maximum(1 + np.sign(off) * np.maximum(np.abs(off) - SCALE_ERROR, 0.0), 0.2)
    return scales


def _scales(landmarks: Landmarks) -> Array:
    world = landmarks.world[:, 11:33, :2]
    picture = landmarks.xy[:, 11:33]
    world, picture = world - world.mean(axis=1, keepdims=True), picture - picture.mean(axis=1, keepdims=True)
    ratios: Array = (world * picture).sum(axis=(1, 2)) / np.maximum((world * world).sum(axis=(1, 2)), 1e-6)
    return ratios


def see(landmarks: Landmarks, scale: float, floor: tuple[int, float] | None = None) -> Contacts:
    """Contacts as the picture alone tells them. scale: pixels per metre. floor: a frame, and where in its picture the
    floor under the person is known to be, pixels from above."""
    low, speed = _lowest_and_speed(landmarks, FEET, scale)
    hand_low, hand_speed = _lowest_and_speed(landmarks, HANDS, scale)
    still, still_hands = _each(speed < STILL_SPEED, FEWEST), _each(hand_speed < STILL_SPEED, FEWEST)
    rows = [np.flatnonzero(mask) // 2 for mask in (still, still_hands)]
    near = scales_of(landmarks) - scale
    resting = np.concatenate([low[still], hand_low[still_hands]])
    ground = _floor_line(low, resting, np.concatenate(rows), near, scale)[:, None]
    if floor is not None:
        ground = ground + (floor[1] - ground[floor[0]])
    height = (ground - low) / scale
    low_foot, low_hand = (LOW_FOOT, LOW_HAND) if floor is None else (LOW_TOLD, LOW_TOLD)
    feet = _each(still & (height < low_foot), FEWEST)
    hands = _each(still_hands & (np.abs(ground - hand_low) / scale < low_hand), FEWEST)
    off = (height.min(axis=1) > OFF_FLOOR) & ~feet.any(axis=1) & ~hands.any(axis=1)
    fall = _fallen(landmarks)[:, None] * [0.0, 0.0, 1.0] / scale
    return Contacts(feet, hands, falls_in(off, fall, landmarks.rate))


def _floor_line(low: Array, resting: Array, rows: IntArray, near: Array, scale: float) -> Array:
    """Where the floor under the person is in each frame (F,), pixels down: where the lowest of what rests is.

    Feet are held still in the air as well, hands at the sides. Nearer to a level camera the floor is lower in the
    picture, by the camera's height in pixels: what is usual, unless the person's way tells better. low (F, 2): of the
    feet. resting (N,): of what rests, in frames rows (N,). near (F,): pixels per metre, more than scale.
    """
    if not len(resting):
        return np.full(len(low), np.quantile(low.max(axis=1), 0.75))
    level = resting - USUAL_CAMERA_HEIGHT * near[rows]
    lowest = level >= np.quantile(level, MOSTLY) - NEAR_GROUND * scale
    lowest &= level >= np.quantile(level[lowest], 0.3)
    x, y = near[rows][lowest], level[lowest]
    x, y = x - x.mean(), y - y.mean()
    tilt = float((x * y).sum() / ((x * x).sum() + CAMERA_DOUBT * scale**2))
    line: Array = (USUAL_CAMERA_HEIGHT + tilt) * near
    return line + float(np.median(resting[lowest] - line[rows][lowest]))


def falls_in(off: BoolArray, centre: Array, rate: float) -> BoolArray:
    """Of the frames (F,) in which nothing touches the floor, those of flights that fall about as things do.

    centre (F, 3): the centre of mass, m, z up.
    """
    flight = at_least(off, FEWEST_IN_FLIGHT)
    for first, last in runs(flight):
        if not FALLS[0] < fall_of(centre[first:last, 2], rate) < FALLS[1]:
            flight[first:last] = False
    return flight


def fall_of(height: Array, rate: float) -> float:
    """Downward acceleration of a height (F,), m, over some frames: a parabola's by least squares, m/s^2."""
    return -2.0 * float(np.polyfit(np.arange(len(height)) / rate, height, 2)[0])


def _fallen(landmarks: Landmarks) -> Array:
    """Height (F,) of the centre of mass in the picture, pixels, upwards."""
    y = landmarks.xy[..., 1]
    parts = [share * (y[:, a] + at * (y[:, b] - y[:, a])) for (a, b), at, share in _PARTS]
    height: Array = -np.sum(parts, axis=0) / sum(share for _ends, _at, share in _PARTS)
    return height


def _lowest_and_speed(landmarks: Landmarks, sides: tuple[tuple[int, ...], ...], scale: float) -> tuple[Array, Array]:
    """The lowest (F, 2: left, right) of a foot's or hand's points, pixels down, and the slowest one's speed, m/s."""
    points = np.stack([landmarks.xy[:, side] for side in sides], axis=1)
    points = smoothed(points, 0.7)
    speed = np.linalg.norm(np.gradient(points, axis=0), axis=-1).min(axis=-1) * landmarks.rate / scale
    return points[..., 1].max(axis=-1), speed


def gravity_seen(landmarks: Landmarks, scale: float) -> tuple[float, float]:
    """How fast the longest flight falls, m/s^2, and how long it lasts, s; 0 and 0 without one."""
    flight = see(landmarks, scale).flight
    longest = max(runs(flight), key=lambda run: run[1] - run[0], default=(0, 0))
    first, last = longest
    if last - first < FEWEST_IN_FLIGHT:
        return 0.0, 0.0
    return fall_of(_fallen(landmarks)[first:last] / scale, landmarks.rate), (last - first) / landmarks.rate


# Runs of frames


def runs(mask: BoolArray) -> list[tuple[int, int]]:
    """First and last + 1 of each run of true frames."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(int)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def at_least(mask: BoolArray, fewest: int) -> BoolArray:
    """The mask without runs that are shorter."""
    kept = mask.copy()
    for first, last in runs(mask):
        if last - first < fewest:
            kept[first:last] = False
    return kept


def _each(mask: BoolArray, fewest: int) -> BoolArray:
    return np.stack([at_least(column, fewest) for column in mask.T], axis=1)


def smoothed(values: Array, sigma: float) -> Array:
    """Values (F, ...) under a Gaussian of so many frames; beyond the ends they stay as at the ends."""
    reach = int(3 * sigma) + 1
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    padded = np.concatenate([np.repeat(values[:1], reach, 0), values, np.repeat(values[-1:], reach, 0)])
    result: Array = sum(weight * padded[k : k + len(values)] for k, weight in enumerate(kernel))
    return result
