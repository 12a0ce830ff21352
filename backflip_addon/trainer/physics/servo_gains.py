# SPDX-License-Identifier: GPL-3.0-or-later
"""The joints' servos in numbers, the same in every engine."""

from __future__ import annotations

import math

from ...core.body import Link
from .simulator import SERVO_RATE, SPEED_CHANGE

LEAST_KD = 1e-6  # N m s/rad: a body without damping does not divide by 0


def servo_gain(link: Link, seconds: float) -> float:
    """Share of a joint's error that its servo takes away in a substep of so many seconds, where torque suffices."""
    return 1.0 - math.exp(-SERVO_RATE * link.kp / max(link.kd, LEAST_KD) * seconds)


def steady_inertia(link: Link, seconds: float) -> list[float]:
    """A link's moments of inertia, kg m^2, at least so large that its joint's greatest torque changes
    its speed by no more than SPEED_CHANGE a substep.

    Damping is of no use once a torque is clamped: a foot's 90 N m on 0.005 kg m^2 flips it by
    140 rad/s in 1/120 s, and it rings from limit to limit. It matters about a limb's long axis
    alone; elsewhere the limb's own inertia is larger.
    """
    least = link.torque * seconds / SPEED_CHANGE
    return [max(moment, least) for moment in link.inertia]
