# SPDX-License-Identifier: GPL-3.0-or-later
"""Does a clip make physical sense? What is odd is said, with the change that would mend it.

Nothing is changed here: an animator may want the moon's gravity. Each check gives a Finding or None.
"""

from __future__ import annotations

import numpy as np

from .. import rotations
from ..arrays import Array
from ..body import Body
from ..constants import GRAVITY
from ..findings import INFO, Finding
from ..motion import Motion
from ..motions import foot_planting
from . import ground, posture

# In frames, not in seconds: a clip at the wrong pace has its flight's seconds wrong, too
_FEWEST_FRAMES = 5  # of a flight: a parabola through fewer tells too little about gravity
_CLEARANCE = 0.06  # m: higher than this over the floor, nothing touches it
_HIGH = 0.12  # m that a flight's lowest point must reach to count
_HIGH_AND_SLOW = 0.25  # m, where it falls under less than half of gravity: that may be a body held up by something
_LEAST_RISE = 0.05  # m of the centre of mass: less is noise
_MISFIT = 0.1  # of that rise: a path further off its parabola is no free fall
_TIME_SCALES = (0.2, 0.25, 0.4, 0.5, 2.0, 2.5, 4.0, 5.0)  # where no rate explains it
_USUAL_SCALES = (0.7, 1.4)  # a pace that is off by less is within what people do and cameras tell
_RATES = (24.0, 25.0, 30.0, 60.0, 120.0, 240.0)  # at which motion is recorded
_EXPLAINED = 0.15  # of the logarithm: a rate that is so near explains the pace
_OVER = np.radians(120)  # a clip that tips over by more is no cycle
_JUMP_TURN, _JUMP_RATE = np.radians(45), 60.0  # rad within one frame, and rad/s: a part that turns by more jumps
_JUMP_SPEED = 15.0  # m/s of the root: people run at 12
_STILL = np.radians(7)  # that any part turns: a whole turn in radians, read as degrees, is less
_ODD_FRAMES = 3  # at a clip's start that may be a pose left in front of it
_ODD_TURN = np.radians(25)  # from such a pose to the next
_MOVING = 0.5  # rad/s of the fastest part: a clip that begins more slowly begins at rest
_CYCLE_GAP, _DECLARED_GAP = np.radians(12), np.radians(30)  # between first and last pose of a cycle; of a declared one
_CYCLE_RISE = 0.05  # m between first and last height of the root
# Steps a second times the square root of leg length over gravity. People walk at 0.4 to 0.6 and sprint at 1.3
# (Hof 1996, Scaling gait data to body size; Weyand et al. 2000)
_SLOWEST_PACE, _USUAL_PACE, _FASTEST_PACE = 0.2, 0.5, 1.6
_LONG_STEP = 0.35  # leg lengths: shorter ones may be as slow as they like


def inspect(motion: Motion, body: Body) -> list[Finding]:
    """What is odd about a motion on a body, most important first."""
    if motion.frames < 2:
        return [Finding("one_frame", "The clip has a single frame: choose one that moves.")]
    positions, orientations = body.forward(motion.position, motion.rotations)
    lowest = body.lowest_points(positions, orientations).min(axis=1)
    centre = body.centre_of_mass(positions, orientations)
    stance = ground.Ground(motion, body, positions, orientations, lowest, centre)
    on_the_spot = ground.in_place(stance)
    pace = _time_scale(motion, centre, lowest) or _pace(stance)
    hovering = None if pace else ground.hovering(stance)  # who flies in slow motion seems to be held
    checks = [
        _still(motion),
        _odd_first_frame(motion, orientations),
        posture.lying(body, positions),
        pace,
        _jumps(motion, orientations),
        hovering or ground.floor(stance),
        None if pace else ground.high_flight(stance),
        on_the_spot,
        None if on_the_spot else ground.sliding_foot(stance),
        ground.moves_off(stance),
        _cycle(motion, orientations),
    ]
    return [finding for finding in checks if finding is not None]


def _still(motion: Motion) -> Finding | None:
    most = rotations.angle_between(motion.rotations, motion.rotations[0]).max()
    if most > _STILL:
        return None
    return Finding(
        "still",
        f"The clip holds one pose: no part turns by more than {np.degrees(most):.1f}°. Unless you mean it, choose "
        "another, or export it in degrees if its angles are in radians.",
        level=INFO,
    )


def fall(motion: Motion, centre: Array, lowest: Array) -> float | None:
    """The acceleration, m/s^2, under which the body's centre of mass (F, 3) falls in flight; None without a flight.

    lowest (F,): height of the body's lowest point, m. Parabolas are fitted to the flights; their mean counts each
    flight by its frames.
    """
    estimates, weights = [], []
    for start, end in foot_planting.runs(lowest > _CLEARANCE):
        if end - start < _FEWEST_FRAMES:
            continue
        seconds = np.arange(end - start) / motion.rate
        curve = np.polyfit(seconds, centre[start:end, 2], 2)
        left_over = np.std(np.polyval(curve, seconds) - centre[start:end, 2])
        rise, gravity = np.ptp(centre[start:end, 2]), -2 * float(curve[0])
        # a low and slow flight is a body held up by something that the fitted floor does not meet
        high = lowest[start:end].max() > (_HIGH if gravity > 0.5 * GRAVITY else _HIGH_AND_SLOW)
        if high and rise > _LEAST_RISE and left_over < _MISFIT * rise and gravity > 0:
            estimates.append(gravity)
            weights.append(end - start)
    return float(np.average(estimates, weights=weights)) if estimates else None


def _time_scale(motion: Motion, centre: Array, lowest: Array) -> Finding | None:
    gravity = fall(motion, centre, lowest)
    if gravity is None:
        return None
    exact = float(np.sqrt(gravity / GRAVITY))
    if _USUAL_SCALES[0] < exact < _USUAL_SCALES[1]:
        return None
    flown = "faster" if exact > 1 else "slower"
    scale, recorded = _likely_scale(motion.rate, exact)
    return Finding(
        "time_scale",
        f"In the air the clip falls at {gravity:.1f} m/s² instead of 9.8. It seems to play {flown} than it was "
        f"recorded{recorded}: {_advice(scale)}.",
        {"time_scale": scale},
    )


def _likely_scale(rate: float, exact: float) -> tuple[float, str]:
    """How many times longer the clip should take, and words for the rate that explains it, "" for none."""
    explained = min(_RATES, key=lambda other: abs(np.log(rate / other / exact)))
    if abs(np.log(rate / explained / exact)) < _EXPLAINED:
        return round(rate / explained, 4), f" (at {explained:g} frames a second, not {rate:.4g})"
    return min(_TIME_SCALES, key=lambda scale: abs(np.log(scale / exact))), ""


def _advice(scale: float) -> str:
    return f"slow it down {scale:.3g} times" if scale > 1 else f"speed it up {1 / scale:.3g} times"


def _pace(stance: ground.Ground) -> Finding | None:
    """Whether a walk steps far more slowly, or far faster, than legs of its length do."""
    steps = stance.steps()
    way = float(np.linalg.norm(stance.motion.position[-1, :2] - stance.motion.position[0, :2]))
    if len(steps) < 4 or way < _LONG_STEP * stance.leg * len(steps):
        return None
    pace = (len(steps) - 1) / (steps[-1] - steps[0]) * np.sqrt(stance.leg / GRAVITY)
    if _SLOWEST_PACE < pace < _FASTEST_PACE:
        return None
    scale, recorded = _likely_scale(stance.motion.rate, pace / _USUAL_PACE)
    often = f"{(len(steps) - 1) / (steps[-1] - steps[0]):.1f} times a second"
    return Finding(
        "time_scale",
        f"The clip steps {often}. It seems to play {'slower' if scale < 1 else 'faster'} than it was "
        f"recorded{recorded}: {_advice(scale)}, unless you mean it.",
        {"time_scale": scale},
    )


def _odd_first_frame(motion: Motion, orientations: Array) -> Finding | None:
    """A rest pose left in front of the clip: the second frame lies far from the first, then all is smooth."""
    if motion.frames < 8:
        return None
    change = rotations.angle_between(orientations[1:], orientations[:-1]).max(axis=1)
    usual = float(np.median(change[1:]))
    for first in range(min(_ODD_FRAMES, motion.frames - 5)):
        if change[first] > max(8 * usual, _ODD_TURN) and change[first] > 2.5 * change[first + 1]:
            seconds = (first + 1) / motion.rate
            number = "frame is a pose" if first == 0 else f"{first + 1} frames are a pose"
            return Finding(
                "rest_pose_first",
                f"The first {number} that the clip jumps away from, such as a T-pose: start after it.",
                {"start": seconds},
            )
    return None


def _jumps(motion: Motion, orientations: Array) -> Finding | None:
    change = (
        rotations.angle_between(orientations[2:], orientations[1:-1]).max(axis=1) if motion.frames > 2 else np.zeros(1)
    )
    step = np.linalg.norm(np.diff(motion.position[1:], axis=0), axis=1) if motion.frames > 2 else np.zeros(1)
    turn_at = int(np.argmax(change))
    if change[turn_at] * motion.rate > _JUMP_RATE and change[turn_at] > _JUMP_TURN:
        return Finding(
            "jump", f"At {(turn_at + 1) / motion.rate:.2f} s a body part flips over within one frame: check it there."
        )
    if (step * motion.rate).max(initial=0.0) > _JUMP_SPEED:
        at = (int(np.argmax(step)) + 1) / motion.rate
        return Finding(
            "jump",
            f"At {at:.2f} s the clip moves faster than {_JUMP_SPEED:g} m/s: its path jumps, or its scale is wrong.",
        )
    return None


def _cycle(motion: Motion, orientations: Array) -> Finding | None:
    """Whether the clip ends as it begins; one that its file calls a cycle may do so less exactly."""
    over = rotations.rotate(motion.rotations[:, 0], posture.UP)[:, 2].min() < np.cos(_OVER)
    if motion.frames < 10 or over:
        return None
    heading = rotations.conjugate(rotations.heading(orientations[:, 0]))[:, None]
    level = rotations.multiply(heading, orientations)
    gap = rotations.angle_between(level[0], level[-1])
    speed = rotations.angle_between(level[1], level[0]).max()
    moving = speed * motion.rate > _MOVING
    likeness = _DECLARED_GAP if motion.loops else _CYCLE_GAP
    if moving and gap.max() < likeness and abs(motion.position[0, 2] - motion.position[-1, 2]) < _CYCLE_RISE:
        return Finding(
            "loops",
            "The clip ends as it begins, in motion: it can be performed several times in a row.",
            {"loops": True},
            INFO,
        )
    return None
