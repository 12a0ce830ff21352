# SPDX-License-Identifier: GPL-3.0-or-later
"""The joints' servos in numbers, the same in every engine.

In each substep of h seconds a servo wants to change its joint's speed w by

    ball joint, each axis of the child's frame:  gain * error / h - w
    hinge:                                       gain * (goal - angle) / h + damping(h) * (target speed - w)

as far as its torque suffices: at most its joint's, and no more than a PD controller with gains SERVO_RATE kp and kd
gives, kd times the change of speed that it wants (of a ball joint, the length of it, about each axis), to which the
bound moves by the share response(h) of the way.

A ball joint's speed is damped whole, a hinge's by the share damping(h); since a hinge's
gain has that share in it, both are driven at the speed at which the error decays by SERVO_RATE kp/kd a second, whatever
h is.
"""

from __future__ import annotations

import math

from ...core.body import Link
from .simulator import SERVO_RATE, damping

LEAST_KD = 1e-6  # N m s/rad: a body without damping does not divide by 0


def servo_gain(link: Link, seconds: float) -> float:
    """The gain of the module's formulas for a substep of so many seconds."""
    share = 1.0 - math.exp(-servo_rate(link) * seconds)
    return share * damping(seconds) if link.joint == "hinge" else share


def servo_lag(link: Link) -> float:
    """Seconds by which a joint trails a target that moves evenly: none where its speed is a target too (a hinge)."""
    rate = servo_rate(link)
    return 1.0 / rate if link.joint == "spherical" and rate > 0 else 0.0


def servo_rate(link: Link) -> float:
    """The share of a joint's error that its servo takes away a second, 1/s, where torque suffices."""
    return SERVO_RATE * link.kp / max(link.kd, LEAST_KD)
