# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a body stands: on soles that touch, its capture point inside them, at rest; and whether it falls."""

from __future__ import annotations

import numpy as np

from .. import rotations
from ..arrays import Array, BoolArray
from ..body import FEET, Body
from ..shapes import extent
from .course import SUNK, Course, without_chatter
from .flight import SHORTEST
from .footwork import airborne

UPRIGHT = np.radians(30)  # greatest root tilt of a standing body
STILL_SECONDS = 0.5  # at the end of a take, for which it must stand
TOUCH = 0.01  # m: a corner of a sole that touches is so near the floor
MARGIN = 0.01  # m inside the soles that touch: takes that stood had 31 mm and more, those that fell up to 1 mm
REST_SPEED, REST_TURN = 0.15, 0.5  # m/s and rad/s of the root of a body that stands
REST_SECONDS = 0.1  # over which those speeds are taken: a tremble of a millimetre is no way to go
VELOCITY_SECONDS = 0.05  # to each side, over which the velocity of the centre of mass is taken
MORE_TILT = np.radians(15)  # of the root, and
MORE_SINKING = 0.5  # m/s of the centre of mass: more than the clip itself has is falling
LATE = 0.3  # s by which a take may come upright later than its clip
ABSORBS = 0.3  # s after a leap in which it is taken up: whoever comes down from higher sinks faster, and does not fall


def stands_at_end(course: Course) -> bool:
    """Whether the last STILL_SECONDS are those of a body that stands.

    Upright, its capture point MARGIN inside the soles that touch, and at rest: its root goes slower than REST_SPEED
    and turns about the vertical slower than REST_TURN, whichever REST_SECONDS one looks at.
    """
    count = int(np.ceil(STILL_SECONDS * course.rate))
    if course.frames <= count:
        return False
    speed, turning = _rest_speeds(course)
    rests = speed < REST_SPEED and turning < REST_TURN
    return bool(rests and (course.tilt[-count:] < UPRIGHT).all() and standing_margin(course) >= MARGIN)


def unrest(course: Course) -> float:
    """How much a body that stands at its end sways and leans there: 0 at rest in the middle of its soles; by 1 or more
    it all but stands no longer.

    Its root's greatest speed as a share of REST_SPEED, or that of its turning as one of REST_TURN, whichever is more,
    and the share of a sole's half length that its capture point lacks to the middle.
    """
    if course.frames <= int(np.ceil(STILL_SECONDS * course.rate)):
        return float("inf")
    speed, turning = _rest_speeds(course)
    leans = max(1.0 - standing_margin(course) / (sole_length(course.body) / 2), 0.0)
    return max(speed / REST_SPEED, turning / REST_TURN) + leans


def _rest_speeds(course: Course) -> tuple[float, float]:
    """Of the last STILL_SECONDS the greatest speed of the root, m/s, and about the vertical, rad/s."""
    count = int(np.ceil(STILL_SECONDS * course.rate))
    step = max(round(REST_SECONDS * course.rate), 1)
    root = course.positions[-1 - count :, 0]
    ahead = rotations.rotate(course.orientations[-1 - count :, 0], np.array([0.0, -1.0, 0.0]))
    yaw = np.unwrap(rotations.arctan2(ahead[:, 1], ahead[:, 0]))
    speed = np.linalg.norm(root[step:] - root[:-step], axis=1) * course.rate / step
    turning = np.abs(yaw[step:] - yaw[:-step]) * course.rate / step
    return float(speed.max()), float(turning.max())


def standing_margin(course: Course) -> float:
    """How far inside the soles that touch the capture point stays in the last STILL_SECONDS, m; negative outside.

    A foot that touches does so with the corners of its sole that are within TOUCH over and SUNK under the floor.
    """
    body, centre = course.body, course.centre
    capture = capture_point(centre, centre_velocity(course), centre[:, 2:], course.gravity)
    corners, touches = [], []
    for name in FEET:
        own = sole_corners(body, name, course.positions, course.orientations)
        down = without_chatter(course.touching[:, body.index(name)], course.rate)
        corners.append(own)
        touches.append((own[..., 2] < TOUCH) & (own[..., 2] > -SUNK) & down[:, None])
    soles, on = np.concatenate(corners, axis=1), np.concatenate(touches, axis=1)
    count = int(np.ceil(STILL_SECONDS * course.rate))
    return float(inside_hulls(soles[-count:, :, :2], on[-count:], capture[-count:]).min())


def capture_point(centre: Array, velocity: Array, height: Array, gravity: Array) -> Array:
    """Where on the floor (N, 2) a body would come to rest: its centre of mass (N, 3) and the velocity of that times
    sqrt(height / g) (Pratt et al. 2006, "Capture point: a step toward humanoid push recovery").

    height (N, 1): over the floor, m. gravity (3,), or (N, 3): on a slope what counts is what lies under the centre
    along it.
    """
    level, down, high = gravity[..., :2], gravity[..., 2:], np.maximum(height, 0.0)
    point: Array = centre[:, :2] - high * level / down + velocity[:, :2] * np.sqrt(high / -down)
    return point


def centre_velocity(course: Course) -> Array:
    """Velocity (F, 3) of the centre of mass over VELOCITY_SECONDS to each side, m/s."""
    centre, half = course.centre, max(int(round(VELOCITY_SECONDS * course.rate)), 1)
    frames = np.arange(len(centre))
    after, before = np.minimum(frames + half, len(centre) - 1), np.maximum(frames - half, 0)
    span = np.maximum(after - before, 1)
    velocity: Array = (centre[after] - centre[before]) * (course.rate / span)[:, None]
    return velocity


def falls(course: Course, clip: Course) -> bool:
    """Whether, since the clip's last upright moment, the body tilts or sinks by much more than its clip does.

    That moment: from where on the clip stays upright; of one that ends lying, the last at which it is. A clip that
    never is upright cannot be fallen from. How fast it sinks while it comes down from a leap on its feet is no fall.
    """
    upright = clip.tilt < UPRIGHT
    if not upright.any():
        return False
    down = np.flatnonzero(~upright)
    ends_upright = bool(upright[-1])
    first = (int(down[-1]) + 1 if len(down) else 0) if ends_upright else int(np.flatnonzero(upright)[-1])
    begin = first / clip.rate
    if ends_upright and first:
        up = course.times[(course.tilt < UPRIGHT) & (course.times >= begin)]
        begin = min(float(up[0]) if len(up) else begin + LATE, begin + LATE)
    since = course.times >= begin - 1e-9
    if not since.any():
        return False  # it ends before: cut short, which is no success either
    tilts = course.tilt[since].max() - clip.tilt[first:].max()
    sinking = np.where(since & ~_comes_down(course), -centre_velocity(course)[:, 2], -np.inf).max()
    sinks = sinking + centre_velocity(clip)[first:, 2].min()
    return bool(tilts > MORE_TILT or sinks > MORE_SINKING)


def _comes_down(course: Course) -> BoolArray:
    """In which frames (F,) it flies, or has come down less than ABSORBS before and touches with its feet alone."""
    result, after = np.zeros(course.frames, dtype=bool), round(ABSORBS * course.rate)
    for start, end in airborne(course):
        if end - start >= SHORTEST * course.rate:
            result[start : end + after] = True
    others: BoolArray = np.delete(course.touching, [course.body.index(name) for name in FEET], axis=1).any(axis=1)
    return result & ~others


def sole_corners(body: Body, name: str, positions: Array, orientations: Array) -> Array:
    """Corners (..., 4, 3) of a foot's lower face, world."""
    index = body.index(name)
    low, high = extent(body.links[index].shapes)
    corners = np.array([[x, y, low[2]] for x in (low[0], high[0]) for y in (low[1], high[1])])
    return positions[..., index, None, :] + rotations.rotate(orientations[..., index, None, :], corners)


def sole_length(body: Body) -> float:
    """Of the two feet's in the mean, m."""
    return float(np.mean([np.ptp(extent(body.links[body.index(name)].shapes), axis=0)[:2].max() for name in FEET]))


def inside_hulls(points: Array, which: BoolArray, inner: Array) -> Array:
    """How far points inner (N, 2) lie inside the convex hulls of those points (N, P, 2) that are which (N, P): (N,),
    the distance to the nearest edge, signed; negative where a hull has no area, and endlessly without two points."""
    edges = points[:, None] - points[:, :, None]  # (N, P, P, 2), from one to the other
    lengths = np.linalg.norm(edges, axis=-1)
    real = which[:, None] & which[:, :, None] & (lengths > 1e-9)
    across = np.stack([-edges[..., 1], edges[..., 0]], axis=-1) / np.where(real, lengths, 1.0)[..., None]
    others = np.einsum("nijk,npk->nijp", across, points) - np.einsum("nijk,nik->nij", across, points)[..., None]
    outer = real & ((others > -1e-9) | ~which[:, None, None]).all(axis=-1)  # nothing lies beyond: the hull's own
    depths = np.einsum("nijk,nijk->nij", across, inner[:, None, None] - points[:, :, None])
    depth: Array = np.where(outer, depths, np.inf).min(axis=(1, 2))
    return np.where(outer.any(axis=(1, 2)), depth, -np.inf)
