# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures of truth: what a take is worth, from its own frames alone (DESIGN.md, Truth).

Used by the trainer, the tests and the UI alike, on a simulated take and on one measured back off
a baked rig.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from . import rotations
from .body import Body
from .motion import Motion, Take
from .rotations import Array

SETTLE_SECONDS = 1.0  # a take goes on so long after its clip
FOLLOWED_ERROR = 0.35  # m, mean link error past which the clip is lost
UPRIGHT = np.radians(30)  # root tilt of a standing body
STILL_SECONDS = 0.5
SOMERSAULT_TOLERANCE = np.radians(30)
TOUCH = 0.01  # m: a link so near the floor touches it, in a motion without contacts
REFERENCE_TOUCH = 0.05  # m: a link that the reference brings so near may touch
FOOT_MARGIN = 0.03  # m round the feet within which the centre of mass still counts as over them
SKATE_HEIGHT = 0.03
FEET = ("foot.L", "foot.R")
STANDS = "stands_3_s"  # in a take's meta: whether it still stood, played so much further with its pose held
STANDS_SECONDS = 3.0


def measure(body: Body, reference: Motion, take: Take) -> dict[str, Any]:
    """All measures of a take that follows a reference from its frame 0. JSON-ready.

    landed is None for a clip that does not end standing (there is nothing to land). A take that is known to fall
    after its last frame has not landed; stands_3_s is None where that is not known. A simulation that
    breaks down into numbers that are not finite is measured up to there. Raises ValueError when that is
    its first frame.
    """
    frames, take = take.motion.frames, _sound_part(take)
    places, turns = body.forward(take.motion.position, take.motion.rotations)
    times = np.arange(take.motion.frames) / take.motion.rate
    goal_places, goal_turns = body.forward(*reference.sample(times))
    during = times <= reference.duration + 1e-6
    errors = np.linalg.norm(places - goal_places, axis=-1)  # (F, L)
    relative = np.linalg.norm((places - places[:, :1]) - (goal_places - goal_places[:, :1]), axis=-1)
    lows = body.lowest_points(places, turns)
    standing = ends_standing(body, reference)
    needed = reference.duration + (SETTLE_SECONDS if standing else 0.0) - 1.5 / take.motion.rate
    complete = take.motion.frames == frames and times[-1] >= needed
    mean_error = errors.mean(axis=1)
    followed = bool(complete and mean_error[during].max() <= FOLLOWED_ERROR)
    stood = bool(_upright(turns)[times > reference.duration].all()) if complete else False
    assist = float(np.max(np.abs(take.assist), initial=0.0))
    spin = net_somersault(take.motion.rotations[during][:, 0])
    goal_spin = net_somersault(goal_turns[during][:, 0])
    illegal = take.contacts & ~allowed_contacts(body, reference)
    clean = not illegal.any()
    torque = float(np.max(take.torque, initial=0.0))
    stands_on = take.meta.get(STANDS)
    stands = stands_on is not False and stands_after_touchdown(body, take, places, turns, lows, reference.duration)
    landed = standing and bool(
        complete
        and clean
        and stands
        and abs(spin - goal_spin) <= SOMERSAULT_TOLERANCE
        and assist == 0.0
        and torque <= 1.0 + 1e-6
    )
    return {
        "landed": landed if standing else None,
        STANDS: stands_on if isinstance(stands_on, bool) else None,
        "success": bool(followed and (stood or not standing) and assist == 0.0),
        "assist": assist,
        "followed": _followed_share(mean_error[during], reference.duration, take.motion.rate),
        "g_mpjpe_mm": float(errors[during].mean() * 1000),
        "mpjpe_mm": float(relative[during].mean() * 1000),
        "worst_error_mm": float(mean_error[during].max() * 1000),
        "foot_skate_cm_s": foot_skate(body, places, turns, take.motion.rate) * 100,
        "penetration_cm": float(max(0.0, -lows.min()) * 100),
        "jerk_ratio": jerk_ratio(places, goal_places, during, take.motion.rate, reference.rate),
        "somersault_deg": float(np.degrees(spin)),
        "reference_somersault_deg": float(np.degrees(goal_spin)),
        "illegal_contacts": sorted({body.names[i] for i in np.flatnonzero(illegal.any(axis=0))}),
        "torque": torque,
        "complete": bool(complete),
        "seconds": float(times[-1]),
    }


def _sound_part(take: Take) -> Take:
    """The take up to its first frame with a number that is not finite."""
    motion = take.motion
    sound = np.isfinite(motion.position).all(axis=1) & np.isfinite(motion.rotations).all(axis=(1, 2))
    sound &= np.isfinite(take.torque) & np.isfinite(take.assist)
    if sound.all():
        return take
    end = int(np.argmin(sound))
    if not end:
        raise ValueError("the take holds numbers that are not finite")
    motion = dataclasses.replace(motion, position=motion.position[:end], rotations=motion.rotations[:end])
    return Take(motion, take.contacts[:end], take.torque[:end], take.assist[:end], take.meta)


def score(measures: dict[str, Any]) -> float:
    """One number in [0, 1] to rank attempts by: the share of the clip followed, times nearness."""
    return float(measures["followed"] * np.exp(-measures["g_mpjpe_mm"] / 500.0))


def succeeded(measures: dict[str, Any]) -> bool:
    """Landed and followed; where there is nothing to land, followed to the end."""
    return bool(measures["success"] if measures["landed"] is None else measures["landed"] and measures["success"])


def ends_standing(body: Body, reference: Motion) -> bool:
    """Whether a clip ends on its feet: upright, a foot on the floor, the hips high, and slow."""
    places, turns = body.forward(reference.position[-1:], reference.rotations[-1:])
    if not _upright(turns)[0]:
        return False
    lows = body.lowest_points(places, turns)[0]
    feet = [body.index(name) for name in FEET]
    hips_high = places[0, 0, 2] - min(lows[feet]) > 0.6 * leg_length(body)
    last = reference.position[-max(int(reference.rate / 10), 2) :]
    speed = np.linalg.norm(last[-1, :2] - last[0, :2]) * reference.rate / (len(last) - 1)
    return bool(min(lows[feet]) < REFERENCE_TOUCH and hips_high and speed < 0.6)


def leg_length(body: Body) -> float:
    """Hip to sole of a body in its neutral pose, m."""
    turns = np.broadcast_to(rotations.IDENTITY, (len(body.links), 4))
    places, world = body.forward(np.zeros(3), turns)
    lows = body.lowest_points(places[None], world[None])[0]
    feet = [body.index(name) for name in FEET]
    return float(-np.mean(lows[feet]))


def allowed_contacts(body: Body, reference: Motion) -> np.ndarray:
    """Links (L,) that may touch the floor: the feet, and what the reference itself brings there.

    A link's children count for it: a forearm whose hand is on the floor stays forbidden, a hand
    does not.
    """
    places, turns = body.forward(reference.position, reference.rotations)
    allowed = (body.lowest_points(places, turns) < REFERENCE_TOUCH).any(axis=0)
    for side in ("L", "R"):
        foot, shin = body.index(f"foot.{side}"), body.index(f"shin.{side}")
        allowed[foot] = True
        # A shin's lower end comes near the floor in any crouch; only a knee down there is meant
        knee_low = (places[:, shin, 2] < 0.25 * leg_length(body)).any()
        allowed[shin] &= knee_low
    return allowed


def net_somersault(root: Array) -> float:
    """Net turn of the root (F, 4) about its own left-right axis over the frames, rad, signed.

    The angular velocity's component along the body's lateral axis (x), summed.
    """
    steps = rotations.to_rotation_vector(rotations.multiply(rotations.conjugate(root[:-1]), root[1:]))
    return float(steps[:, 0].sum())


def stands_after_touchdown(
    body: Body, take: Take, places: Array, turns: Array, lows: Array, clip_seconds: float
) -> bool:
    """After the last touchdown: tilt < 30 degrees and centre of mass over the feet for 0.5 s."""
    feet = [body.index(name) for name in FEET]
    grounded = take.contacts[:, feet].any(axis=1) | (lows[:, feet] < TOUCH).any(axis=1)
    airborne = np.flatnonzero(~grounded)
    start = int(airborne[-1]) + 1 if len(airborne) else 0
    good = _upright(turns) & grounded & over_feet(body, places, turns)
    good[:start] = False
    needed = int(np.ceil(STILL_SECONDS * take.motion.rate))
    tail = good[-needed:]
    return bool(len(tail) == needed and tail.all())


def over_feet(body: Body, places: Array, turns: Array) -> np.ndarray:
    """Whether the centre of mass (F,) is above the feet's bounding rectangle (with FOOT_MARGIN).

    The rectangle lies along the line between the two feet's middles.
    """
    com = body.centre_of_mass(places, turns)[..., :2]
    corners = np.concatenate([_sole_corners(body, name, places, turns) for name in FEET], axis=-2)[..., :2]
    left, right = (corners[..., s, :].mean(axis=-2) for s in (slice(0, 4), slice(4, 8)))
    across = rotations.normalise(left - right)
    along = np.stack([-across[..., 1], across[..., 0]], axis=-1)
    inside = np.ones(com.shape[:-1], dtype=bool)
    for axis in (across, along):
        reach = np.einsum("...ck,...k->...c", corners, axis)
        point = np.sum(com * axis, axis=-1)
        inside &= (point > reach.min(-1) - FOOT_MARGIN) & (point < reach.max(-1) + FOOT_MARGIN)
    return inside


def _sole_corners(body: Body, name: str, places: Array, turns: Array) -> Array:
    """Corners (..., 4, 3) of a foot's lower face, world."""
    index = body.index(name)
    low, high = link_extent(body, index)
    corners = np.array([[x, y, low[2]] for x in (low[0], high[0]) for y in (low[1], high[1])])
    return places[..., index, None, :] + rotations.rotate(turns[..., index, None, :], corners)


def link_extent(body: Body, index: int) -> tuple[Array, Array]:
    """Lower and upper corner (3,), (3,) of a link's shapes in its own frame."""
    lows, highs = [], []
    for shape in body.links[index].shapes:
        axes = np.abs(rotations.to_matrix(np.array(shape.rotation)))
        if shape.kind == "box":
            reach = axes @ np.array(shape.size)
        elif shape.kind == "capsule":
            reach = shape.size[0] + axes[:, 2] * shape.size[1] / 2
        else:
            reach = np.full(3, shape.size[0])
        lows.append(np.array(shape.position) - reach)
        highs.append(np.array(shape.position) + reach)
    return np.min(lows, axis=0), np.max(highs, axis=0)


def foot_skate(body: Body, places: Array, turns: Array, rate: float) -> float:
    """Mean horizontal speed of a foot while its lowest point is below 3 cm, m/s."""
    speeds = []
    for name in FEET:
        corners = _sole_corners(body, name, places, turns)
        lowest = np.argmin(corners[..., 2], axis=-1)[:-1]
        now = np.take_along_axis(corners[:-1], lowest[:, None, None], axis=1)[:, 0]
        then = np.take_along_axis(corners[1:], lowest[:, None, None], axis=1)[:, 0]
        speed = np.linalg.norm((then - now)[:, :2], axis=-1) * rate
        speeds.append(speed[now[:, 2] < SKATE_HEIGHT])
    every = np.concatenate(speeds)
    return float(every.mean()) if len(every) else 0.0


def jerk_ratio(places: Array, goal: Array, during: np.ndarray, rate: float, reference_rate: float) -> float:
    """Mean |jerk| of the take's links over the reference's, both at the slower of the two rates.

    A reference stamped at 16 Hz and a take at 120 Hz would not compare otherwise: third
    differences amplify whatever lies between the samples.
    """
    stride = max(int(round(rate / min(reference_rate, 30.0, rate))), 1)
    jerks = []
    for track in (places[during][::stride], goal[during][::stride]):
        third = np.diff(track, n=3, axis=0) * (rate / stride) ** 3
        jerks.append(np.linalg.norm(third, axis=-1).mean() if len(third) else 0.0)
    return float(jerks[0] / max(jerks[1], 1e-9))


def root_tilt(turns: Array) -> Array:
    """Angle (F,) between the root's up axis and the world's, rad."""
    up = rotations.rotate(turns[..., 0, :], np.array([0.0, 0.0, 1.0]))[..., 2]
    return np.arccos(np.clip(up, -1, 1))


def _followed_share(errors: Array, clip_seconds: float, rate: float) -> float:
    """The share of the clip until the mean link error (F,) first passes FOLLOWED_ERROR."""
    lost = np.flatnonzero(errors > FOLLOWED_ERROR)
    count = int(lost[0]) if len(lost) else len(errors)
    return min(1.0, count / max(clip_seconds * rate, 1.0))


def _upright(turns: Array) -> np.ndarray:
    return root_tilt(turns) < UPRIGHT
