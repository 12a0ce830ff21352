# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose strength does a clip need, has the body got it, and does the clip fly as bodies fly? An estimate."""

from __future__ import annotations

import dataclasses

import numpy as np

from .. import rotations
from ..arrays import Array, BoolArray
from ..body import Body
from ..findings import INFO, Finding
from ..motion import Motion
from ..rigs.anthropometry import part_of
from ..rigs.strength_presets import PRESETS, weakened_parts, with_strength
from ..torque_curve import torque_share
from . import feasible_flight, inverse_dynamics

RATE = 60.0  # Hz
OVER = 1.3  # times a joint's bound: less is within the estimate's noise
TOO_OFTEN = 0.15  # share of the clip's time past OVER; of DeepMimic's clips none passes it with an athlete's strength
MUCH_OF_THE_TIME = 90.0  # percentile of the clip's time that tells how much a joint is asked for
LEAST_SHARE = 0.05  # of its torque: a joint at its top speed is asked for twenty times as much, not for infinitely much
SLOWER = (1.25, 1.5, 2.0)
LARGE_TURN = np.radians(60)

_FEET, _HANDS = ("foot",), ("hand", "forearm")
_WORDS = {
    "chest": "waist",
    "head": "neck",
    "thigh": "hips",
    "shin": "knees",
    "foot": "ankles",
    "upper_arm": "shoulders",
    "forearm": "elbows",
}


@dataclasses.dataclass(frozen=True)
class _Demand:
    """What a motion asks of a body's joints.

    torque (T, L), N m, and speed (T, L) along it, rad/s, below 0 where the joint brakes. unsure (T,): neither on the
    feet alone nor on the hands alone nor in flight, where a body may share out the floor's forces as suits its joints.
    """

    torque: Array
    speed: Array
    unsure: BoolArray


@dataclasses.dataclass(frozen=True)
class _Load:
    """How a demand compares with a body's strength: share of the time too much is asked; of the part that is asked for
    most, the name, and how many times its strength it is."""

    too_much: float
    part: str
    times: float

    @property
    def bearable(self) -> bool:
        return self.too_much <= TOO_OFTEN


def check(motion: Motion, body: Body) -> list[Finding]:
    """Whose strength a motion asks for, where it is more than a person's or than the body's; impossible flights."""
    if motion.duration < 3 * inverse_dynamics.SMOOTHING:
        return []
    clean, flights = feasible_flight.feasible(body, motion)
    findings = [_flight_words(flight) for flight in flights if flight.change > LARGE_TURN]
    return _strength_findings(motion, body, _demand(body, clean), bool(flights)) + findings


def _needed(demand: _Demand, body: Body) -> str:
    """The weakest of PRESETS that bears a demand, "" if none does."""
    return next((name for name in PRESETS if _load(with_strength(body, name), demand).bearable), "")


def _strength_findings(motion: Motion, body: Body, demand: _Demand, flies: bool) -> list[Finding]:
    """flies: what flies cannot be slowed down without floating."""
    has_it, needed = _load(body, demand).bearable, _needed(demand, body)
    if has_it and needed in ("", *list(PRESETS)[:1]):
        return []
    if not needed:
        return [_nobody_words(motion, body, demand, flies)]
    words = f"This clip asks for {PRESETS[needed].whose} strength{_beyond(needed, body, demand)}"
    if has_it:
        return [Finding("needs_strength", f"{words}, which the body has.", level=INFO)]
    slower = 0.0 if flies else _slow_enough(motion, body)
    advice = "give it to the body" + (f", or slow the clip down {slower:g} times." if slower else ".")
    return [
        Finding("too_strong", f"{words}, and the body has less: {advice}", {"strength": list(PRESETS).index(needed)})
    ]


def _nobody_words(motion: Motion, body: Body, demand: _Demand, flies: bool) -> Finding:
    strongest = list(PRESETS)[-1]
    words = f"No body has the strength that this clip asks for{_than(strongest, body, demand)}: "
    part = _load(with_strength(body, strongest), demand).part
    if part in weakened_parts(body):
        return Finding("too_strong", words + f"raise the strength of its {_WORDS[part]} (Body Parts, step 1).")
    slower = 0.0 if flies else _slow_enough(motion, with_strength(body, strongest))
    if slower:
        return Finding("too_strong", words + f"slow it down {slower:g} times.", {"time_scale": slower})
    if flies:
        return Finding("too_strong", words + "expect the body to find another way.")
    return Finding("too_strong", words + "slowing it down is not enough; choose another clip.")


def _beyond(needed: str, body: Body, demand: _Demand) -> str:
    """How far a demand is past the preset below the needed one, in words; "" for the weakest."""
    weaker = list(PRESETS)[: list(PRESETS).index(needed)]
    return _than(weaker[-1], body, demand) if weaker else ""


def _than(preset: str, body: Body, demand: _Demand) -> str:
    load = _load(with_strength(body, preset), demand)
    part, whose = _WORDS.get(load.part, load.part), PRESETS[preset].whose
    return f" ({part} {load.times:.1f} times {whose})" if load.times >= 1.05 else f" ({part} at {whose} limit)"


def _slow_enough(motion: Motion, body: Body) -> float:
    """The least of SLOWER at which the body can do it, 0 if none is enough."""
    for scale in SLOWER:
        clean, _flights = feasible_flight.feasible(body, motion.scaled_in_time(scale))
        if _load(body, _demand(body, clean)).bearable:
            return scale
    return 0.0


def _demand(body: Body, motion: Motion) -> _Demand:
    torque = inverse_dynamics.needs(body, motion, RATE).torque
    position, joints = motion.sample(np.arange(len(torque)) / RATE)
    turning = rotations.rotate(rotations.conjugate(joints), rotations.angular_velocity(joints, RATE))  # child's frame
    size = np.linalg.norm(torque, axis=-1)
    along = np.sum(torque * turning, axis=-1) / np.maximum(size, 1e-9)
    return _Demand(size, along, _on_several_sorts(body, *body.forward(position, joints)))


def _on_several_sorts(body: Body, positions: Array, orientations: Array) -> BoolArray:
    """Whether (T,) a body of link frames (T, L, 3), (T, L, 4) lies or kneels, or stands on hands and feet at once."""
    near = body.lowest_points(positions, orientations) < inverse_dynamics.TOUCH
    parts = [part_of(name) for name in body.names]
    feet, hands = (near[:, [part in sort for part in parts]].any(axis=1) for sort in (_FEET, _HANDS))
    others = near[:, [part not in _FEET + _HANDS for part in parts]].any(axis=1)
    several: BoolArray = others | (feet & hands)
    return several


def _load(body: Body, demand: _Demand) -> _Load:
    greatest = np.array([link.torque if link.torque > 0 else np.inf for link in body.links])
    top_speed = np.array([link.top_speed for link in body.links])
    times = demand.torque / (greatest * np.maximum(torque_share(demand.speed, top_speed), LEAST_SHARE))
    times[demand.unsure] = 0.0
    much = np.percentile(times, MUCH_OF_THE_TIME, axis=0)
    most = int(np.argmax(much))
    return _Load(float(np.mean(times.max(axis=1) > OVER)), part_of(body.names[most]), float(much[most]))


def _flight_words(flight: feasible_flight.Flight) -> Finding:
    return Finding(
        "impossible_flight",
        f"In the air from {flight.start:.1f} to {flight.end:.1f} s the clip turns in a way that no free body can. "
        f"The take will turn evenly there, up to {np.degrees(flight.change):.0f}° away from it.",
        {"physical_flights": True},
    )
