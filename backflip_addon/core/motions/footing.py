# SPDX-License-Identifier: GPL-3.0-or-later
"""Does a clip ask the floor, or a joint, for what it cannot give? Said before training, with what will come of it."""

from __future__ import annotations

import dataclasses

import numpy as np

from ..arrays import Array
from ..body import Body
from ..constants import FRICTION, GRAVITY
from ..findings import INFO, Finding
from ..joint_limits import joint_words
from ..motion import Motion
from . import feasible_flight, feasible_joints, feasible_stance, foot_planting
from .feasible_flight import Flight
from .feasible_joints import Excess
from .feasible_stance import StanceChange
from .floor_limits import Reaction, Support
from .shifted_body import ShiftedBody

# What is said: body weights of pull and of slip, metres times body weights of leaning, each for so many seconds
PULL, SLIP, LEAN = 0.1, 0.15, 0.1
PULL_SECONDS, SLIP_SECONDS, LEAN_SECONDS = 0.04, 0.08, 0.15
EDGE = 0.06  # s around a flight in which forces come and go, and say little
WORTH_MOVED, WORTH_TURNED = 0.03, np.radians(6.0)  # a change of the hips by less is not worth a word
WORTH_SOLED = 0.01  # m: nor is a foot that is put down by less
LONGEST = 30.0  # s of a clip whose change is worked out beforehand: a longer one would keep its reader waiting
WORTH_BENT = np.radians(15.0)  # past a joint's limit


@dataclasses.dataclass(frozen=True)
class Demands:
    """What a motion takes from the floor beyond what it gives, per frame (F,), 0 where it stays within.

    pull and slip: body weights by which it would have to pull, and to hold against sliding. lean: metres times body
    weights by which its weight lies outside of what touches.
    """

    pull: Array
    slip: Array
    lean: Array

    @staticmethod
    def of(body: Body, motion: Motion, flights: list[Flight]) -> Demands:
        """Of a smooth motion; nothing is asked in flights and beside them."""
        shifted = ShiftedBody(body, motion)
        frames = np.arange(2, motion.frames - 2)
        centre, momentum = shifted.momentum(shifted.base)
        reaction = Reaction.of(centre, momentum, None, frames, motion.rate, body.mass * GRAVITY)
        support = Support.of(body, shifted.base)
        times = np.arange(motion.frames) / motion.rate
        counts = support.bears.copy()
        for flight in flights:
            counts &= (times < flight.start - EDGE) | (times > flight.end + EDGE)
        place, _ = reaction.about_floor()
        inward = np.einsum("fex,fx->fe", support.normals[frames], place)
        inside = np.where(
            support.normals[frames].any(axis=2), inward - support.limits[frames] * reaction.force[:, 2:], 0
        )
        pressing = np.maximum(reaction.force[:, 2], 0.0)
        level = np.linalg.norm(reaction.force[:, :2], axis=1)
        found = np.zeros((3, motion.frames))
        found[:, frames] = (
            -reaction.force[:, 2],
            level - FRICTION * pressing,
            np.where(pressing > 0, -inside.min(axis=1), 0),
        )
        return Demands(*np.where(counts, np.maximum(found, 0.0), 0.0))


def check(motion: Motion, body: Body) -> list[Finding]:
    """What a motion asks of the floor and of the joints that they do not give."""
    if motion.duration < feasible_stance.SHORTEST:
        return []
    within, excesses = feasible_joints.within_joints(body, motion)
    smooth = feasible_flight.smoothed(within, feasible_flight.RATE)
    flown, flights = feasible_flight.flown(body, smooth)
    demands = Demands.of(body, smooth, flights)
    findings = [_limit_words(excesses)] if excesses and excesses[0].angle > WORTH_BENT else []
    worst = _worst(demands, smooth.rate)
    if worst is None:
        return findings
    changes = [] if smooth.duration > LONGEST else feasible_stance.carried(body, smooth, flown, flights)[1]
    stance = _stance_words(worst, changes)
    return [stance, *findings] if stance is not None else findings


@dataclasses.dataclass(frozen=True)
class _Worst:
    """The gravest thing that is asked of the floor: words for it and for what is done instead, start and end, s."""

    words: str
    instead: str
    start: float
    end: float
    lean: bool = False


def _worst(demands: Demands, rate: float) -> _Worst | None:
    if run := _gravest(demands.pull, PULL, PULL_SECONDS * rate):
        weights = f"{demands.pull[run].max():.1f} body weights"
        words, instead = f"pulls on the floor, with {weights}", "press on it"
    elif run := _gravest(demands.slip, SLIP, SLIP_SECONDS * rate):
        words, instead = "pushes sideways harder than the floor can hold", "not slip there"
    elif run := _gravest(demands.lean, LEAN, LEAN_SECONDS * rate):
        far = f"{demands.lean[run].max() * 100:.0f} cm"
        words = f"leans further than anyone could without falling, up to {far} past what it stands on"
        return _Worst(words, "keep its balance", run.start / rate, run.stop / rate, True)
    else:
        return None
    return _Worst(words, instead, run.start / rate, run.stop / rate)


def _gravest(asked: Array, most: float, frames: float) -> slice | None:
    """The gravest run of so many frames in which more than half of most is asked, and in one of them more than most."""
    runs = [slice(a, b) for a, b in foot_planting.runs(asked > most / 2) if b - a >= frames]
    grave = max(runs, key=lambda run: float(asked[run].sum()), default=None)
    return grave if grave is not None and asked[grave].max() > most else None


def _stance_words(worst: _Worst, changes: list[StanceChange]) -> Finding | None:
    own = [change for change in changes if change.start <= worst.end and change.end >= worst.start]
    moved, turned, soled = (max((getattr(c, name) for c in own), default=0.0) for name in ("moved", "turned", "soled"))
    worth = [f"{moved * 100:.0f} cm"] if moved >= WORTH_MOVED else []
    worth += [f"{np.degrees(turned):.0f}°"] if turned >= WORTH_TURNED else []
    if worst.lean and not worth:  # what a shift of less than that mends is within what a clip is measured to
        return None
    start, end = f"{worst.start:.1f}", f"{worst.end:.1f}"
    when = f"From {start} to {end} s" if start != end else f"At {start} s"
    moves = [f"the hips move by up to {' and '.join(worth)}"] if worth else []
    moves += [f"soles come down flat by up to {soled * 100:.0f} cm"] if soled >= WORTH_SOLED else []
    how = f": {', and '.join(moves)}" if moves else ""
    return Finding(
        "impossible_stance",
        f"{when} the clip {worst.words}. The take will {worst.instead}{how}.",
        {"physical_footing": True},
    )


def _limit_words(excesses: list[Excess]) -> Finding:
    worst, more = excesses[0], [e for e in excesses[1:] if e.angle > WORTH_BENT]
    also = f", and {len(more)} more joint{'s' if len(more) > 1 else ''} too far" if more else ""
    return Finding(
        "past_limits",
        f"At {worst.time:.1f} s the clip turns the {joint_words(worst.link)} {np.degrees(worst.angle):.0f}° further "
        f"than it goes{also}. The take will stay within.",
        level=INFO,
    )
