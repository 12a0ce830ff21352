# SPDX-License-Identifier: GPL-3.0-or-later
"""What a take is worth, measured from its own frames alone ("Truth" in backflip_addon/README.md says what counts).

Used by the trainer, the tests and the UI alike, on a simulated take and on one measured back off
a baked rig.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from . import rotations
from .arrays import Array, BoolArray
from .body import FEET, Body
from .constants import GRAVITY
from .convex_hull import hull_corners
from .motion import Motion, Take
from .proportions import hip_to_sole
from .shapes import extent

TAIL_SECONDS = 1.0  # a take goes on so long after a clip that ends standing
FOLLOWED_ERROR = 0.35  # m, mean link error past which the clip is lost
UPRIGHT = np.radians(30)  # greatest root tilt of a standing body
STILL_SECONDS = 0.5  # at the end of a take, for which it must stand
SOMERSAULT_TOLERANCE = np.radians(30)  # between the take's net turn and the reference's
TOUCH = 0.01  # m: a link so near the floor touches it, in a motion without contacts
SLOW_END = 0.65  # leg lengths a second: a clip whose root goes on faster does not end standing
REFERENCE_TOUCH = 0.05  # m: a link that the reference brings so near may touch
MARGIN = 0.01  # m inside the soles that touch: takes that stood had 31 mm and more, those that fell up to 1 mm
REST_SPEED, REST_TURN = 0.15, 0.5  # m/s and rad/s of the root of a body that stands
SUNK = 0.03  # m: a sole deeper under the floor stands on nothing
SKATE_HEIGHT = 0.03  # m: a foot whose lowest point is lower skates
HIPS_HIGH = 0.6  # leg lengths over the lower foot: a body that stands holds its hips higher
KNEE_LOW = 0.25  # leg lengths: a knee that the reference brings so near the floor may touch it
VELOCITY_SECONDS = 0.05  # to each side, over which the velocity of the centre of mass is taken
JERK_RATE = 30.0  # Hz: the fastest rate at which jerk is compared
SCORE_SCALE = 500.0  # mm of mean error by which a score falls to 1/e
STANDS = "stands_3_s"  # in a take's meta: whether it still stood, played so much further with its pose held
STANDS_SECONDS = 3.0


@dataclasses.dataclass(frozen=True)
class Measures:
    """What a take is worth.

    landed: None for a clip that does not end standing (there is nothing to land). stands_3_s: whether it still stood,
    played so much further with its pose held; None where that is not known. success: followed to the end without
    falling. followed: share of the clip, 0 to 1. g_mpjpe_mm, mpjpe_mm: mean link position error, global and relative
    to the root; worst_error_mm: of the worst frame. foot_skate_cm_s: see foot_skate(). penetration_cm: the deepest
    point under the floor. jerk_ratio: see jerk_ratio(). somersault_deg, reference_somersault_deg: net turns, see
    net_somersault(). illegal_contacts: links that touched the floor and may not. torque: greatest share of a joint's
    limit. assist: greatest helper force, N. complete: it goes on for as long as it must. seconds: its length.
    """

    landed: bool | None
    stands_3_s: bool | None
    success: bool
    assist: float
    followed: float
    g_mpjpe_mm: float
    mpjpe_mm: float
    worst_error_mm: float
    foot_skate_cm_s: float
    penetration_cm: float
    jerk_ratio: float
    somersault_deg: float
    reference_somersault_deg: float
    illegal_contacts: tuple[str, ...]
    torque: float
    complete: bool
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """As a take's file keeps them."""
        return {**dataclasses.asdict(self), "illegal_contacts": list(self.illegal_contacts)}


def evaluate_take(body: Body, reference: Motion, take: Take) -> Measures:
    """All measures of a take that follows a reference from its frame 0.

    A take that is known to fall after its last frame has not landed. A simulation that breaks down into numbers that
    are not finite is measured up to there. Raises ValueError when that is its first frame.
    """
    frames, take = take.motion.frames, _sound_part(take)
    positions, orientations = body.forward(take.motion.position, take.motion.rotations)
    times = np.arange(take.motion.frames) / take.motion.rate
    goal_positions, goal_orientations = body.forward(*reference.sample(times))
    during = times <= reference.duration + 1e-6
    errors = np.linalg.norm(positions - goal_positions, axis=-1)  # (F, L)
    relative = np.linalg.norm((positions - positions[:, :1]) - (goal_positions - goal_positions[:, :1]), axis=-1)
    lows = body.lowest_points(positions, orientations)
    standing = ends_standing(body, reference)
    needed = reference.duration + (TAIL_SECONDS if standing else 0.0) - 1.5 / take.motion.rate
    complete = take.motion.frames == frames and times[-1] >= needed
    mean_error = errors.mean(axis=1)
    followed = bool(complete and mean_error[during].max() <= FOLLOWED_ERROR)
    stood = bool(_upright(orientations)[times > reference.duration].all()) if complete else False
    assist = float(np.max(np.abs(take.assist), initial=0.0))
    somersault = net_somersault(take.motion.rotations[during][:, 0])
    goal_somersault = net_somersault(goal_orientations[during][:, 0])
    illegal = take.contacts & ~allowed_contacts(body, reference)
    clean = not illegal.any()
    torque = float(np.max(take.torque, initial=0.0))
    stands_on = take.meta.get(STANDS)
    stands = stands_on is not False and stands_at_end(body, take.motion, positions, orientations)
    landed = standing and bool(
        complete
        and clean
        and stands
        and abs(somersault - goal_somersault) <= SOMERSAULT_TOLERANCE
        and assist == 0.0
        and torque <= 1.0 + 1e-6
    )
    return Measures(
        landed=landed if standing else None,
        stands_3_s=stands_on if isinstance(stands_on, bool) else None,
        success=bool(followed and (stood or not standing) and assist == 0.0),
        assist=assist,
        followed=_followed_share(mean_error[during], reference.duration, take.motion.rate),
        g_mpjpe_mm=float(errors[during].mean() * 1000),
        mpjpe_mm=float(relative[during].mean() * 1000),
        worst_error_mm=float(mean_error[during].max() * 1000),
        foot_skate_cm_s=foot_skate(body, positions, orientations, take.motion.rate) * 100,
        penetration_cm=float(max(0.0, -lows.min()) * 100),
        jerk_ratio=jerk_ratio(positions, goal_positions, during, take.motion.rate, reference.rate),
        somersault_deg=float(np.degrees(somersault)),
        reference_somersault_deg=float(np.degrees(goal_somersault)),
        illegal_contacts=tuple(sorted({body.names[i] for i in np.flatnonzero(illegal.any(axis=0))})),
        torque=torque,
        complete=bool(complete),
        seconds=float(times[-1]),
    )


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


def score(measures: Measures) -> float:
    """One number in [0, 1] to rank attempts by: the share of the clip followed, times nearness."""
    return float(measures.followed * np.exp(-measures.g_mpjpe_mm / SCORE_SCALE))


def is_success(measures: Measures) -> bool:
    """Landed and followed; where there is nothing to land, followed to the end."""
    return bool(measures.success if measures.landed is None else measures.landed and measures.success)


def ends_standing(body: Body, reference: Motion) -> bool:
    """Whether a clip ends on its feet: upright, a foot on the floor, the hips high, and slow."""
    positions, orientations = body.forward(reference.position[-1:], reference.rotations[-1:])
    if not _upright(orientations)[0]:
        return False
    lows = body.lowest_points(positions, orientations)[0]
    feet = [body.index(name) for name in FEET]
    hips_high = positions[0, 0, 2] - min(lows[feet]) > HIPS_HIGH * hip_to_sole(body)
    last = reference.position[-max(int(reference.rate / 10), 2) :]
    speed = np.linalg.norm(last[-1, :2] - last[0, :2]) * reference.rate / max(len(last) - 1, 1)
    return bool(min(lows[feet]) < REFERENCE_TOUCH and hips_high and speed < SLOW_END * hip_to_sole(body))


def allowed_contacts(body: Body, reference: Motion) -> BoolArray:
    """Links (L,) that may touch the floor: the feet, and what the reference itself brings there.

    Each link counts for itself: of an arm that the reference puts down on its hand, the hand may touch and the
    forearm may not.
    """
    positions, orientations = body.forward(reference.position, reference.rotations)
    allowed: BoolArray = (body.lowest_points(positions, orientations) < REFERENCE_TOUCH).any(axis=0)
    for side in ("L", "R"):
        foot, shin = body.index(f"foot.{side}"), body.index(f"shin.{side}")
        allowed[foot] = True
        # A shin's lower end comes near the floor in any crouch; only a knee down there is meant
        knee_low = (positions[:, shin, 2] < KNEE_LOW * hip_to_sole(body)).any()
        allowed[shin] &= knee_low
    return allowed


def net_somersault(root: Array) -> float:
    """Net turn of the root (F, 4) about its own left-right axis over the frames, rad, signed.

    The angular velocity's component along the body's lateral axis (x), summed.
    """
    steps = rotations.to_rotation_vector(rotations.multiply(rotations.conjugate(root[:-1]), root[1:]))
    return float(steps[:, 0].sum())


def stands_at_end(body: Body, motion: Motion, positions: Array, orientations: Array) -> bool:
    """Whether the last STILL_SECONDS are those of a body that stands.

    Upright, its capture point MARGIN inside the soles that touch, and at rest: on the mean of that time its root
    goes slower than REST_SPEED and turns slower than REST_TURN. (Within it, it may sway.)
    """
    count = int(np.ceil(STILL_SECONDS * motion.rate))
    if motion.frames <= count:
        return False
    seconds = count / motion.rate
    way = np.linalg.norm(motion.position[-1] - motion.position[-1 - count])
    ahead = rotations.rotate(orientations[-1 - count :, 0], np.array([0.0, -1.0, 0.0]))
    turned = np.ptp(np.unwrap(np.arctan2(ahead[:, 1], ahead[:, 0])))
    rests = way < REST_SPEED * seconds and turned < REST_TURN * seconds
    return bool(
        rests
        and _upright(orientations[-count:]).all()
        and standing_margin(body, motion, positions, orientations) >= MARGIN
    )


def standing_margin(body: Body, motion: Motion, positions: Array, orientations: Array) -> float:
    """How far inside the soles that touch the capture point stays in the last STILL_SECONDS, m; negative outside.

    Capture point: centre of mass and its velocity times sqrt(height / g) (Pratt et al. 2006, "Capture point: a step
    toward humanoid push recovery"). A sole touches with
    the corners that are within TOUCH over and SUNK under the floor.
    """
    count, half = int(np.ceil(STILL_SECONDS * motion.rate)), max(int(round(VELOCITY_SECONDS * motion.rate)), 1)
    centre = body.centre_of_mass(positions, orientations)
    times = np.arange(len(centre))
    after, before = np.minimum(times + half, len(centre) - 1), np.maximum(times - half, 0)
    velocity = (centre[after] - centre[before]) * (motion.rate / (after - before))[:, None]
    capture = centre[:, :2] + velocity[:, :2] * np.sqrt(np.maximum(centre[:, 2:], 0.0) / GRAVITY)
    soles = np.concatenate([_sole_corners(body, name, positions, orientations) for name in FEET], axis=-2)
    touches = (soles[..., 2] < TOUCH) & (soles[..., 2] > -SUNK)
    tail = range(max(len(centre) - count, 0), len(centre))
    return min(_inside(soles[f][touches[f], :2], capture[f]) for f in tail)


def _inside(points: Array, point: Array) -> float:
    """How far a point (2,) lies inside the convex hull of points (N, 2): distance to its nearest edge, signed."""
    hull = hull_corners(points)
    if len(hull) < 3:
        return -float("inf") if not len(hull) else -float(np.linalg.norm(hull - point, axis=1).min())
    edges = np.roll(hull, -1, axis=0) - hull
    across = np.stack([-edges[:, 1], edges[:, 0]], axis=1) / np.linalg.norm(edges, axis=1)[:, None]
    return float(np.sum((point - hull) * across, axis=1).min())


def _sole_corners(body: Body, name: str, positions: Array, orientations: Array) -> Array:
    """Corners (..., 4, 3) of a foot's lower face, world."""
    index = body.index(name)
    low, high = extent(body.links[index].shapes)
    corners = np.array([[x, y, low[2]] for x in (low[0], high[0]) for y in (low[1], high[1])])
    return positions[..., index, None, :] + rotations.rotate(orientations[..., index, None, :], corners)


def foot_skate(body: Body, positions: Array, orientations: Array, rate: float) -> float:
    """Mean horizontal speed of a foot's lowest corner while it is below SKATE_HEIGHT, m/s; 0 where it never is."""
    speeds = []
    for name in FEET:
        corners = _sole_corners(body, name, positions, orientations)
        lowest = np.argmin(corners[..., 2], axis=-1)[:-1]
        now = np.take_along_axis(corners[:-1], lowest[:, None, None], axis=1)[:, 0]
        then = np.take_along_axis(corners[1:], lowest[:, None, None], axis=1)[:, 0]
        speed = np.linalg.norm((then - now)[:, :2], axis=-1) * rate
        speeds.append(speed[now[:, 2] < SKATE_HEIGHT])
    every = np.concatenate(speeds)
    return float(every.mean()) if len(every) else 0.0


def jerk_ratio(positions: Array, goal: Array, during: BoolArray, rate: float, reference_rate: float) -> float:
    """Mean |jerk| of the take's links over the reference's, both at the slower of the two rates.

    A reference stamped at 16 Hz and a take at 120 Hz would not compare otherwise: third
    differences amplify whatever lies between the samples.
    """
    stride = max(int(round(rate / min(reference_rate, JERK_RATE, rate))), 1)
    jerks = []
    for track in (positions[during][::stride], goal[during][::stride]):
        third = np.diff(track, n=3, axis=0) * (rate / stride) ** 3
        jerks.append(np.linalg.norm(third, axis=-1).mean() if len(third) else 0.0)
    return float(jerks[0] / max(jerks[1], 1e-9))


def root_tilt(orientations: Array) -> Array:
    """Angle (F,) between the root's up axis and the world's, rad."""
    up = rotations.rotate(orientations[..., 0, :], np.array([0.0, 0.0, 1.0]))[..., 2]
    return np.arccos(np.clip(up, -1, 1))


def _followed_share(errors: Array, clip_seconds: float, rate: float) -> float:
    """The share of the clip until the mean link error (F,) first passes FOLLOWED_ERROR."""
    lost = np.flatnonzero(errors > FOLLOWED_ERROR)
    count = int(lost[0]) if len(lost) else len(errors)
    return min(1.0, count / max(clip_seconds * rate, 1.0))


def _upright(orientations: Array) -> BoolArray:
    upright: BoolArray = root_tilt(orientations) < UPRIGHT
    return upright
