# SPDX-License-Identifier: GPL-3.0-or-later
"""What joints do that no person's do: past their limits, shaking, and parts inside one another."""

from __future__ import annotations

import numpy as np

from .. import joint_limits, rotations, self_contact
from ..arrays import Array
from ..body import Body
from .course import Course

DEEP = 0.01  # m: a part so deep in another is seen
SHAKES_ABOVE = 8.0  # Hz: people move slower; physiological tremor is 8 to 12 Hz (Elble and Koller 1990, "Tremor")
SEGMENT_SECONDS = 1.0  # of a spectrum (Welch 1967), half overlapping
LEAST_POWER = np.radians(1.0) ** 2  # rad^2, the mean joint's: a body that moves less stands still
LEAST_SHARE = 1e-4  # of a clip: a shake a hundredth as wide as the motion; what is below is smoothing or rounding


def self_penetration(course: Course) -> tuple[float, float]:
    """How deep parts are in one another at most, m, and for how many seconds deeper than DEEP."""
    depths = self_contact.depths(course.body, course.positions, course.orientations)
    if not depths.size:
        return 0.0, 0.0
    deepest = depths.max(axis=1)
    return max(float(deepest.max()), 0.0), float((deepest > DEEP).sum() / course.rate)


def limit_excess(body: Body, local: Array) -> float:
    """By how much a joint is past its limits at most, rad, of joint rotations (F, L, 4); a hinge turns about its axis
    alone, and what is fixed not at all."""
    worst = 0.0
    for i, link in enumerate(body.links):
        if link.joint == "hinge":
            axis = np.array(link.axis)
            angle = rotations.twist_angle(local[:, i], axis)
            aside = _turned(rotations.multiply(local[:, i], rotations.from_axis_angle(axis, -angle)))
            worst = max(worst, float((angle - link.limits[1]).max()), float((link.limits[0] - angle).max()), aside)
        elif link.joint == "fixed":
            worst = max(worst, _turned(local[:, i]))
        elif (limit := link.joint_limit) is not None:
            worst = max(worst, float(joint_limits.excess(local[:, i], limit).max()))
    return worst


def _turned(turns: Array) -> float:
    """The greatest angle of rotations (F, 4), rad."""
    return float(np.linalg.norm(rotations.to_rotation_vector(turns), axis=-1).max())


def shake(course: Course, clip: Course) -> float | None:
    """The share of the joint angles' power above SHAKES_ABOVE over the clip's own share; None at rates too low to tell.

    1: it shakes as its clip does. A clip counts as having LEAST_SHARE, since a smoothed one has next to none.
    """
    own, clips = shaking_share(course.local, course.rate), shaking_share(clip.local, clip.rate)
    return None if own is None else own / max(clips or 0.0, LEAST_SHARE)


def shaking_share(local: Array, rate: float) -> float | None:
    """The share of the joint angles' power that lies above SHAKES_ABOVE, of joint rotations (F, L, 4).

    Welch's method: spectra of SEGMENT_SECONDS, each about its mean and under a Hann window, added up over all joints.
    """
    count = min(round(SEGMENT_SECONDS * rate), len(local))
    if rate <= 2 * SHAKES_ABOVE or count < 8:
        return None
    # Turned about its own axes from frame to frame, and added up: no jump where a joint passes half a turn
    steps = rotations.to_rotation_vector(rotations.multiply(rotations.conjugate(local[:-1, 1:]), local[1:, 1:]))
    turns = np.cumsum(np.concatenate([np.zeros_like(steps[:1]), steps]), axis=0).reshape(len(local), -1)
    starts = sorted({*range(0, len(local) - count + 1, max(count // 2, 1)), len(local) - count})
    window = np.hanning(count)[:, None]
    fast = np.fft.rfftfreq(count, 1 / rate) > SHAKES_ABOVE
    total = high = 0.0
    for start in starts:
        part = turns[start : start + count]
        part = part - part.mean(axis=0)
        power = (np.abs(np.fft.rfft(part * window, axis=0)) ** 2).sum(axis=1) * (2.0 / (window**2).sum() / count)
        total, high = total + float(power.sum()), high + float(power[fast].sum())
    return float(high / (total + LEAST_POWER * len(starts) * (local.shape[1] - 1)))
