# SPDX-License-Identifier: GPL-3.0-or-later
"""Does a clip make physical sense? What is odd is said, with the change that would mend it.

Nothing is changed here: an animator may want the moon's gravity.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np

from . import planting, rotations
from .body import Body
from .motion import Motion
from .reading import parse_json
from .rotations import Array

GRAVITY = 9.81
_MOST_TEXT = 100_000  # letters of a clip's findings
_FLIGHT = 0.15  # s: a shorter flight tells too little about gravity
_CLEARANCE = 0.06  # m: higher than this over the floor, nothing touches it
_TIME_SCALES = (0.25, 0.5, 2.0, 4.0)  # a wrong stamp is nearly always wrong by one of these


@dataclasses.dataclass(frozen=True)
class Finding:
    """Something odd about a clip.

    code: for programs. sentence: for the user. fix: settings that would mend it, JSON-ready, such
    as {"time_scale": 2.0} (Motion.scaled_in_time), {"start": s} (trim), {"loops": True}.
    """

    code: str
    sentence: str
    fix: dict[str, Any] = dataclasses.field(default_factory=dict)


def inspect(motion: Motion, body: Body) -> list[Finding]:
    """What is odd about a motion on a body, most important first."""
    if motion.frames < 2:
        return [Finding("one_frame", "The clip has a single frame: choose one that moves.")]
    places, turns = body.forward(motion.position, motion.rotations)
    lowest = body.lowest_points(places, turns).min(axis=1)
    centre = body.centre_of_mass(places, turns)
    checks = [
        _odd_first_frame(motion, turns),
        _time_scale(motion, centre, lowest),
        _jumps(motion, turns),
        _floor(lowest),
        _in_place(motion, body, places),
        _cycle(motion, turns),
    ]
    return [finding for finding in checks if finding is not None]


def fall(motion: Motion, centre: Array, lowest: Array) -> float | None:
    """The acceleration, m/s^2, under which the body's centre (F, 3) falls while in flight; None without flight.

    lowest (F,): height of the body's lowest point.
    """
    estimates, weights = [], []
    for start, end in planting.runs(lowest > _CLEARANCE):
        if (end - start) < 5:
            continue
        seconds = np.arange(end - start) / motion.rate
        curve = np.polyfit(seconds, centre[start:end, 2], 2)
        left_over = np.std(np.polyval(curve, seconds) - centre[start:end, 2])
        rise, gravity = np.ptp(centre[start:end, 2]), -2 * float(curve[0])
        # a low and slow flight is a body held up by something that the fitted floor does not meet
        high = lowest[start:end].max() > (0.12 if gravity > 0.5 * GRAVITY else 0.25)
        if high and rise > 0.05 and left_over < 0.1 * rise and gravity > 0:
            estimates.append(gravity)
            weights.append(end - start)
    return float(np.average(estimates, weights=weights)) if estimates else None


def _time_scale(motion: Motion, centre: Array, lowest: Array) -> Finding | None:
    gravity = fall(motion, centre, lowest)
    if gravity is None:
        return None
    exact = float(np.sqrt(gravity / GRAVITY))
    if 0.7 < exact < 1.4:
        return None
    scale = min(_TIME_SCALES, key=lambda s: abs(np.log(s / exact)))
    flown = "faster" if exact > 1 else "slower"
    advice = "slow it down" if scale > 1 else "speed it up"
    return Finding(
        "time_scale",
        f"In the air the clip falls under {gravity:.0f} m/s² instead of 9.8, as if it played {flown} than it was "
        f"recorded: {advice} {max(scale, 1 / scale):g} times.",
        {"time_scale": scale},
    )


def _odd_first_frame(motion: Motion, turns: Array) -> Finding | None:
    """A rest pose left in front of the clip: the second frame lies far from the first, then all is smooth."""
    if motion.frames < 8:
        return None
    change = rotations.angle_between(turns[1:], turns[:-1]).max(axis=1)
    usual = float(np.median(change[1:]))
    for first in range(min(3, motion.frames - 5)):
        if change[first] > max(8 * usual, np.radians(25)) and change[first] > 2.5 * change[first + 1]:
            seconds = (first + 1) / motion.rate
            number = "frame is a pose" if first == 0 else f"{first + 1} frames are a pose"
            return Finding(
                "rest_pose_first",
                f"The first {number} that the clip jumps away from, such as a T-pose: start after it.",
                {"start": seconds},
            )
    return None


def _jumps(motion: Motion, turns: Array) -> Finding | None:
    change = rotations.angle_between(turns[2:], turns[1:-1]).max(axis=1) if motion.frames > 2 else np.zeros(1)
    step = np.linalg.norm(np.diff(motion.position[1:], axis=0), axis=1) if motion.frames > 2 else np.zeros(1)
    turn_at = int(np.argmax(change))
    if change[turn_at] * motion.rate > 60 and change[turn_at] > np.radians(45):
        return Finding(
            "jump", f"At {(turn_at + 1) / motion.rate:.2f} s a body part turns over within one frame: look at it there."
        )
    if (step * motion.rate).max(initial=0.0) > 15:
        at = (int(np.argmax(step)) + 1) / motion.rate
        return Finding(
            "jump", f"At {at:.2f} s the clip moves faster than 15 m/s: its path jumps, or its scale is wrong."
        )
    return None


def _floor(lowest: Array) -> Finding | None:
    usual = float(np.quantile(lowest, 0.02))
    if abs(usual) < 0.03:
        return None
    how = "floats over" if usual > 0 else "sinks into"
    return Finding("floor", f"The clip {how} the floor by {abs(usual) * 100:.0f} cm; it is set down on it.")


def _in_place(motion: Motion, body: Body, places: Array) -> Finding | None:
    """Feet that slide back at a steady pace while the hips stay where they are."""
    way = np.ptp(motion.position[:, :2], axis=0).max()
    feet = places[:, [body.index("foot.L"), body.index("foot.R")]]
    low = feet[..., 2] < np.quantile(feet[..., 2], 0.05, axis=0) + 0.05
    speed = np.linalg.norm(np.diff(feet[..., :2], axis=0), axis=-1) * motion.rate
    resting = low[1:] & low[:-1]
    if way < 0.3 and resting.any() and np.median(speed[resting]) > 0.4:
        return Finding(
            "in_place",
            "The clip walks on the spot and its feet slide: physics needs a clip that moves over the ground.",
        )
    return None


def _cycle(motion: Motion, turns: Array) -> Finding | None:
    """Whether the clip ends as it begins; one that its file calls a cycle may do so less exactly."""
    if motion.frames < 10:
        return None
    heading = rotations.conjugate(rotations.heading(turns[:, 0]))[:, None]
    level = rotations.multiply(heading, turns)
    gap = rotations.angle_between(level[0], level[-1])
    speed = rotations.angle_between(level[1], level[0]).max()
    moving = speed * motion.rate > 0.5
    likeness = np.radians(30 if motion.loops else 12)
    if moving and gap.max() < likeness and abs(motion.position[0, 2] - motion.position[-1, 2]) < 0.05:
        return Finding(
            "loops", "The clip ends as it begins, in motion: it can be performed several times on end.", {"loops": True}
        )
    return None


@functools.lru_cache(maxsize=4)
def kept_notes(text: str) -> list[dict[str, Any]]:
    """Findings kept as text in a .blend, which may be a stranger's: what is none of them is left out."""
    try:
        notes = parse_json(text) if 0 < len(text) <= _MOST_TEXT else []
    except (ValueError, RecursionError):
        return []
    return [note for note in notes if _is_note(note)] if isinstance(notes, list) else []


def _is_note(note: Any) -> bool:
    if not isinstance(note, dict) or not isinstance(note.get("fix"), dict):
        return False
    words = (note.get("code"), note.get("sentence"))
    return all(isinstance(w, str) for w in words) and all(isinstance(v, (int, float)) for v in note["fix"].values())
