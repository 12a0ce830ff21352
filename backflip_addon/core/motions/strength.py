# SPDX-License-Identifier: GPL-3.0-or-later
"""Is a body strong enough for a clip, and does the clip fly as bodies fly? An estimate before training."""

from __future__ import annotations

import numpy as np

from ..body import Body
from ..findings import Finding
from ..motion import Motion
from . import feasible_flight, inverse_dynamics

RATE = 60.0  # Hz
OVER = 1.3  # times a joint's limit: less is within the estimate's noise
TOO_OFTEN = 0.15  # share of the time on the ground; DeepMimic's learnable clips stay under 0.08
SLOWER = (1.25, 1.5, 2.0)
LARGE_TURN = np.radians(60)

_WORDS = {
    "chest": "waist",
    "head": "neck",
    "thigh": "hip",
    "shin": "knee",
    "foot": "ankle",
    "upper_arm": "shoulder",
    "forearm": "elbow",
}


def check(motion: Motion, body: Body) -> list[Finding]:
    """What a motion asks of a body that it can hardly give."""
    if motion.duration < 3 * inverse_dynamics.SMOOTHING:
        return []
    clean, flights = feasible_flight.feasible(body, motion)
    findings = [_flight_words(flight) for flight in flights if flight.change > LARGE_TURN]
    share, ratio, link = _excess(body, clean)
    if share > TOO_OFTEN:
        findings.insert(0, _weak_words(body, motion, ratio, link, bool(flights)))
    return findings


def _excess(body: Body, motion: Motion) -> tuple[float, float, int]:
    """Share of the time on the ground with a joint past OVER; how far past, and which link's."""
    needs = inverse_dynamics.needs(body, motion, RATE)
    limits = np.array([link.torque if link.torque > 0 else np.inf for link in body.links])
    ratios = (np.linalg.norm(needs.torque, axis=-1) / limits)[needs.grounded]
    if not len(ratios):
        return 0.0, 0.0, 0
    high = np.percentile(ratios, 90, axis=0)
    return float(np.mean(ratios.max(axis=1) > OVER)), float(high.max()), int(np.argmax(high))


def _weak_words(body: Body, motion: Motion, ratio: float, link: int, flies: bool) -> Finding:
    part, _, side = body.names[link].partition(".")
    joint = {"L": "left ", "R": "right ", "": ""}[side] + _WORDS.get(part, part)
    much = f"{ratio:.1f} times its strength" if ratio >= 1.05 else "all its strength"
    words = f"The clip asks the {joint} for {much}: "
    if flies:  # what flies cannot be slowed down without floating
        return Finding("too_strong", words + "give the body more strength, or expect it to look for another way.")
    for scale in SLOWER:
        if _excess(body, feasible_flight.feasible(body, motion.scaled_in_time(scale))[0])[0] <= TOO_OFTEN:
            return Finding("too_strong", words + f"slow it down {scale:g} times.", {"time_scale": scale})
    return Finding("too_strong", words + "give the body more strength; slowing the clip down is not enough.")


def _flight_words(flight: feasible_flight.Flight) -> Finding:
    return Finding(
        "impossible_flight",
        f"In the air from {flight.start:.1f} to {flight.end:.1f} s the clip turns as no free body can; what is learned "
        f"will turn evenly there, up to {np.degrees(flight.change):.0f}° away from it.",
        {"physical_flights": True},
    )
